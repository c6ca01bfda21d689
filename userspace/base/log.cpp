// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/log.h"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace flightrec::log {
namespace {
std::atomic<Level> most_verbose{Level::info};
std::atomic<bool> journal_prefix{false};
}  // namespace

void set_level(Level level) { most_verbose = level; }
bool enabled(Level level) { return level <= most_verbose.load(std::memory_order_relaxed); }
void set_journal_prefix(bool on) { journal_prefix = on; }

void write(Level level, std::string_view line) {
    static constexpr std::array<std::string_view, 4> names{"error: ", "warning: ", "", "debug: "};
    static constexpr std::array<std::string_view, 4> priorities{"<3>", "<4>", "<6>", "<7>"};
    const auto index = static_cast<size_t>(level);
    const auto part = [](std::string_view s) { return iovec{const_cast<char*>(s.data()), s.size()}; };
    const std::array<iovec, 5> parts{part(journal_prefix ? priorities[index] : std::string_view{}), part("flightrec: "),
                                     part(names[index]), part(line), part("\n")};
    [[maybe_unused]] const ssize_t n = ::writev(STDERR_FILENO, parts.data(), parts.size());
}

}  // namespace flightrec::log
