// SPDX-License-Identifier: Apache-2.0
// One event as one line for people: time, who, what.
//
//   -1.234567 python3[812]         openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3 <0.000012>
//
// One thread. Appends to the caller's string; allocates nothing once that has grown.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "userspace/flight/event_ref.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/timeline.h"

namespace flightrec::replay {

enum class TimeStyle : uint8_t {
    relative,  // seconds from the trigger, or from the end of a flight without one
    utc,
    boot,   // seconds since boot
    delta,  // seconds since the line before
};

// Writes the time column; keeps what it can from the line before.
class TimeColumn {
  public:
    TimeColumn(TimeStyle style, uint64_t reference_ns, const WallClock& clock)
        : style_(style), reference_ns_(reference_ns), clock_(clock) {}
    void append(std::string& out, uint64_t time_ns);
    // "2026-11-23T11:10:02.123456789Z", whatever the style.
    void append_utc(std::string& out, uint64_t time_ns, int decimals);

  private:
    TimeStyle style_;
    uint64_t reference_ns_;
    uint64_t before_ns_ = 0;
    const WallClock& clock_;
    uint64_t second_ = UINT64_MAX;        // of the wall clock, of the text below
    std::array<char, 20> second_text_{};  // "2026-11-23T11:10:02."
};

// What is said of a thread in every line, from the last line about it. For system calls alone: the other classes may
// have a name of their own in the record.
class WhoCache {
  public:
    // The text of tid; empty (to be filled by the caller) when it is not known, or the state knows other names now.
    [[nodiscard]] std::string& of(const fr_event& head, const ReplayState& state) {
        Entry& entry = entries_[head.tid % entries_.size()];
        if (entry.tid != head.tid || entry.pid != head.pid || entry.version != state.names_version()) {
            entry.tid = head.tid;
            entry.pid = head.pid;
            entry.version = state.names_version();
            entry.text.clear();
        }
        return entry.text;
    }

  private:
    struct Entry {
        uint32_t tid = 0, pid = 0;
        uint64_t version = 0;
        std::string text;
    };
    std::array<Entry, 256> entries_;
};

class TextRenderer {
  public:
    // clock: borrowed.
    TextRenderer(TimeStyle style, uint64_t reference_ns, const WallClock& clock, const TextOptions& options)
        : time_(style, reference_ns, clock), options_(options) {}
    // Appends the line (several for stacks) with its '\n'.
    void append(std::string& out, const flight::EventRef& event, const ReplayState& state);

  private:
    TimeColumn time_;
    TextOptions options_;
    WhoCache who_;
};

// The comm of the thread an event happened in: what the event tells, else what the state knows; "" when neither does.
[[nodiscard]] std::string_view display_comm(const flight::EventRef& event, const ReplayState& state);

// Classes that text leaves out unless they are asked for: state and bookkeeping, and the samples of single processes
// and cgroups, of which there are many a second.
[[nodiscard]] bool hidden_in_text(const flight::EventRef& event);

// Cuts every line of out from `begin` on to so many columns; the last one of a line that was cut is "…". Colours take
// no room and end with the line.
void cut_lines(std::string& out, size_t begin, size_t columns);

}  // namespace flightrec::replay
