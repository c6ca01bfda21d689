// SPDX-License-Identifier: Apache-2.0
// One event as one JSON object on one line; the contract is schemas/json/event.schema.json.
//
// One thread. Appends to the caller's string. Bytes that are not UTF-8 are written as \xNN (append_json_string).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "userspace/flight/event_ref.h"
#include "userspace/replay/json_line.h"
#include "userspace/replay/state.h"
#include "userspace/replay/text_renderer.h"
#include "userspace/replay/timeline.h"

namespace flightrec::replay {

class JsonRenderer {
  public:
    // reference_ns: of the trigger; nullopt: since_trigger_ns is left out. clock: borrowed.
    // symbols: borrowed; nullptr: frames of user stacks have no names.
    JsonRenderer(std::optional<uint64_t> reference_ns, const WallClock& clock, Symbolizer* symbols = nullptr)
        : reference_ns_(reference_ns), time_(TimeStyle::utc, 0, clock), symbols_(symbols) {}
    // Appends the object with its '\n'.
    void append(std::string& out, const flight::EventRef& event, const ReplayState& state);

  private:
    std::optional<uint64_t> reference_ns_;
    TimeColumn time_;
    Symbolizer* symbols_;
    WhoCache who_;
    std::string scratch_;
};

}  // namespace flightrec::replay
