// SPDX-License-Identifier: Apache-2.0
// Messages of the recorder and the tools: one line each on standard error, "flightrec: LEVEL: text".
// Any thread. Writes with one write(2) from a buffer on the stack: no allocation, so it works without memory.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace flightrec::log {

enum class Level { error, warning, info, debug };

void set_level(Level most_verbose);  // start-up only
[[nodiscard]] bool enabled(Level level);
// When on, each line starts with "<N>", the level as sd-daemon(3) wants it (journald sets JOURNAL_STREAM).
void set_journal_prefix(bool on);
void write(Level level, std::string_view line);

template <class... Args>
void message(Level level, fmt::format_string<Args...> format, Args&&... args) {
    if (!enabled(level)) return;
    char buffer[1024];
    const auto out = fmt::format_to_n(buffer, sizeof buffer, format, std::forward<Args>(args)...);
    write(level, {buffer, out.size < sizeof buffer ? out.size : sizeof buffer});
}
template <class... Args>
void error(fmt::format_string<Args...> f, Args&&... a) {
    message(Level::error, f, std::forward<Args>(a)...);
}
template <class... Args>
void warning(fmt::format_string<Args...> f, Args&&... a) {
    message(Level::warning, f, std::forward<Args>(a)...);
}
template <class... Args>
void info(fmt::format_string<Args...> f, Args&&... a) {
    message(Level::info, f, std::forward<Args>(a)...);
}
template <class... Args>
void debug(fmt::format_string<Args...> f, Args&&... a) {
    message(Level::debug, f, std::forward<Args>(a)...);
}

}  // namespace flightrec::log
