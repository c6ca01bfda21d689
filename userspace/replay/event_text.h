// SPDX-License-Identifier: Apache-2.0
// The text of one event without its time and thread: what `flightrec replay` prints after "comm[pid]" and what reports
// quote as evidence.
//
// The result never holds a byte a terminal acts on but '\n' (stacks stand on lines of their own) and, with colour on,
// the SGR sequences of this file. Appends to a caller's string, so that nothing is allocated once that has grown.
#pragma once

#include <string>
#include <string_view>

#include "userspace/flight/event_ref.h"
#include "userspace/replay/state.h"

namespace flightrec::replay {

class Symbolizer;

struct TextOptions {
    bool color = false;
    bool stacks = true;                    // stacks of crashes, OOM kills and failed allocations on lines of their own
    bool fd_names = true;                  // 3</etc/passwd>
    std::string_view indent = "        ";  // of the lines of a stack
    size_t string_limit = 0;               // bytes shown of an argument that is a string, no path; 0: all that was kept
    Symbolizer* symbols = nullptr;         // borrowed; nullptr: user frames stay build id + offset
};

// SGR sequences; all empty strings without colour.
struct Palette {
    std::string_view reset, dim, bold, red, green, yellow, blue, magenta, cyan;
    static const Palette& of(bool color);
};

// state: as after ReplayState::begin(event).
void append_event_text(std::string& out, const flight::EventRef& event, const ReplayState& state,
                       const TextOptions& options);

// A pressure or load of a sample that could not be read.
inline constexpr uint32_t unknown_hundredths = 0xffffffff;

// ---- parts that other renderers share
// "0.123456" seconds.
void append_seconds(std::string& out, uint64_t ns, int decimals = 6);
// A moment as "+1.234567" or "-0.000001" seconds from another.
void append_offset(std::string& out, uint64_t ns, uint64_t reference_ns, int decimals = 6);
// "1.2 s", "3.4 ms", "2 h 5 min": for reading.
[[nodiscard]] std::string format_duration(uint64_t ns);
// ["sh", "-c", "exit 3"]; NUL-separated argv as in /proc/PID/cmdline.
void append_argv(std::string& out, std::string_view argv, bool cut, size_t limit = 0);
// "exited with status 3", "killed by SIGSEGV (core dumped)", from a wait(2) status.
void append_exit_status(std::string& out, uint32_t code);
// "a1b2c3…+0x1234" or the plain address.
void append_frame(std::string& out, const fr_frame& frame);
// A fixed comm field of an event, without its padding.
[[nodiscard]] inline std::string_view comm_text(const char (&comm)[FR_COMM_LEN]) {
    return {comm, strnlen(comm, FR_COMM_LEN)};
}
// Bytes that are not quoted: as printable() of base/text.h, appended.
void append_printable(std::string& out, std::string_view bytes);
// "python3[812]", the comm made printable; "pid 812" where no comm is known.
void append_process_name(std::string& out, std::string_view comm, uint32_t pid);

}  // namespace flightrec::replay
