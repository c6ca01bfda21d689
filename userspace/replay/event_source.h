// SPDX-License-Identifier: Apache-2.0
// Events of both tracks in time order: all vital ones, and system calls of a span of time.
//
// The state needs every process and cgroup from the beginning of the flight; system calls, thousand times as many, are
// decoded only where they are wanted.
#pragma once

#include <optional>

#include "userspace/flight/reader.h"

namespace flightrec::replay {

class EventSource {
  public:
    using Wanted = std::function<bool(const flight::BlockInfo&, const flight::BlockSummary&)>;
    // Vital events up to to_ns; system calls of [calls_from_ns, to_ns] in the blocks that are wanted (empty: all), none
    // when `calls` is false.
    EventSource(const flight::FlightFile& file, uint64_t calls_from_ns, uint64_t to_ns, Wanted wanted, bool calls);
    // Valid until the next call.
    std::optional<flight::EventRef> next();
    [[nodiscard]] bool in_keyframe() const { return keyframe_; }
    [[nodiscard]] uint64_t blocks_lost() const;
    [[nodiscard]] flight::BlockCounts call_blocks() const;
    // Of the file and of what was read.
    [[nodiscard]] flight::Damage damage() const;

  private:
    const flight::FlightFile& file_;
    flight::EventReader vital_;
    std::optional<flight::EventReader> calls_;
    std::optional<flight::EventRef> next_vital_, next_call_;
    enum class From { start, vital, calls } from_ = From::start;
    bool keyframe_ = false;
    bool vital_keyframe_ = false;
};

}  // namespace flightrec::replay
