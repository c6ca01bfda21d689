// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/clock.h"

#include <fmt/format.h>

namespace flightrec {

ClockPair clock_pair() {
    ClockPair best;
    uint64_t best_width = UINT64_MAX;
    for (int i = 0; i < 3; ++i) {
        const uint64_t before = boot_ns();
        const uint64_t real = realtime_ns();
        const uint64_t width = boot_ns() - before;
        if (width < best_width) {
            best_width = width;
            best = {before + width / 2, real};
        }
    }
    return best;
}

std::string format_utc(uint64_t ns) {
    const time_t seconds = static_cast<time_t>(ns / 1'000'000'000u);
    tm parts{};
    gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ns % 1'000'000'000u);
}

}  // namespace flightrec
