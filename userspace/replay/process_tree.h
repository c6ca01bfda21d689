// SPDX-License-Identifier: Apache-2.0
// Who was whose child at a moment of a flight: what `flightrec tree` prints.
//
// The parent of a process is the one that made it, as long as the flight tells it, also after that one has ended: such
// ancestors are shown as ended. That a parent is not known is said, and differs from having none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/reader.h"
#include "userspace/replay/output.h"

namespace flightrec::replay {

struct TreeOptions {
    std::string at;                      // a moment as --since takes it; "": the trigger, else the end
    std::optional<uint64_t> incident{};  // times count from it, numbered as the report does; nullopt: the trigger
    std::vector<uint32_t> pids{};        // only these, with their ancestors and descendants; none: all
    bool ended = false;                  // also processes that had ended by then
    bool kernel_threads = false;
    bool json = false;  // one object a line (schemas/json/tree.schema.json), parents before children
    bool color = false;
};

// Writes to `out`. Code::usage for a moment that is none, Code::not_found for an incident or pid that is not there.
// Returns the damage met on the way.
Result<flight::Damage> show_tree(const flight::FlightFile& file, const TreeOptions& options, Output& out);

}  // namespace flightrec::replay
