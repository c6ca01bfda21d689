// SPDX-License-Identifier: Apache-2.0
// Mapping between the two clocks.
#include "userspace/flight/clock_map.h"

#include <algorithm>

namespace flightrec::flight {
namespace {
bool before(const ClockPair& a, const ClockPair& b) { return a.boot < b.boot; }
// a + (b - c), not below 0
uint64_t shifted(uint64_t a, uint64_t b, uint64_t c) {
    if (b >= c) return a + (b - c);
    return a > c - b ? a - (c - b) : 0;
}
}  // namespace

void ClockMap::add(uint64_t boot_ns, uint64_t realtime_ns) {
    const ClockPair pair{boot_ns, realtime_ns};
    pairs_.insert(std::upper_bound(pairs_.begin(), pairs_.end(), pair, before), pair);
}

uint64_t ClockMap::realtime_of(uint64_t boot_ns) const {
    if (pairs_.empty()) return 0;
    auto at = std::upper_bound(pairs_.begin(), pairs_.end(), ClockPair{boot_ns, 0}, before);
    if (at != pairs_.begin()) --at;
    return shifted(at->realtime, boot_ns, at->boot);
}

uint64_t ClockMap::boot_of(uint64_t realtime_ns) const {
    if (pairs_.empty()) return 0;
    for (size_t i = pairs_.size(); i-- > 0;) {
        const ClockPair& pair = pairs_[i];
        if (realtime_ns < pair.realtime) continue;
        const uint64_t boot = shifted(pair.boot, realtime_ns, pair.realtime);
        return i + 1 < pairs_.size() ? std::min(boot, pairs_[i + 1].boot) : boot;
    }
    return shifted(pairs_.front().boot, realtime_ns, pairs_.front().realtime);
}

uint64_t ClockMap::first_boot_of(uint64_t realtime_ns) const {
    for (size_t i = 0; i < pairs_.size(); ++i) {
        const ClockPair& pair = pairs_[i];
        if (realtime_ns < pair.realtime) return i == 0 ? shifted(pair.boot, realtime_ns, pair.realtime) : pair.boot;
        const uint64_t boot = shifted(pair.boot, realtime_ns, pair.realtime);
        if (i + 1 == pairs_.size() || boot < pairs_[i + 1].boot) return boot;
    }
    return 0;
}

}  // namespace flightrec::flight
