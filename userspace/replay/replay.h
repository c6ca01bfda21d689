// SPDX-License-Identifier: Apache-2.0
// Replaying a flight: read, keep the state, filter, render. What `flightrec replay` does, without the command line.
//
// The vital track is read from its beginning, so that processes and cgroups are known at any moment; of system calls
// only the blocks are read that the times asked for touch.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/reader.h"
#include "userspace/replay/filter.h"
#include "userspace/replay/output.h"
#include "userspace/replay/text_renderer.h"

namespace flightrec::replay {

enum class Format : uint8_t { text, json, stats, stats_json };

struct ReplayOptions {
    FilterOptions filter{};
    Format format = Format::text;
    std::optional<TimeStyle> time{};  // nullopt: relative where there is a trigger, else utc
    TextOptions text{};
    bool everything = false;             // also the classes text hides
    std::optional<uint64_t> last{};      // only the last so many events that match
    std::optional<uint64_t> incident{};  // times count from it, numbered as the report does; nullopt: the trigger
    bool symbols = true;                 // name the frames of user stacks from local files
    std::vector<std::string> debug_directories{};
    size_t width = 0;     // text: lines are cut to so many columns; 0: they are not
    bool follow = false;  // go on with what a live window gets, until stopped or nobody records any more
    std::string path{};   // with follow: where the file is, to find the window of a recorder that is started again
};

struct ReplaySummary {
    uint64_t events = 0;  // read, keyframes apart
    uint64_t shown = 0;
    uint64_t matched = 0;      // of those shown or counted: all but losses
    bool selected = false;     // the options left something out
    uint64_t missing = 0;      // events of segments that are missing from the file
    uint64_t blocks_lost = 0;  // of a live window, overwritten while they were read
    // Of system calls, within the times asked for: what --stats says was read and what was not needed.
    flight::BlockCounts call_blocks;
    flight::Damage damage;  // of the file, and of the blocks that were read
};

// Writes to `out` until the end, or until `stop` turns true or the reader of out goes away. Errors: options that make
// no sense (Code::usage, Code::not_found), and output errors.
Result<ReplaySummary> replay(flight::FlightFile& file, const ReplayOptions& options, Output& out,
                             const std::atomic<bool>& stop);

}  // namespace flightrec::replay
