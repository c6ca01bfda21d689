// SPDX-License-Identifier: Apache-2.0
// What a file should hold and does not: segments that are missing between others, blocks that cannot be read.
//
// The gaps the recorder itself met are MARKER events of kind GAP; these are those that came after, in the file.
#pragma once

#include <cstdint>
#include <vector>

#include "userspace/flight/reader.h"

namespace flightrec::replay {

struct MissingPart {
    uint64_t time_ns = 0;  // of the first event after it
    uint8_t track = 0;
    uint64_t events = 0;  // exact: from the counts segments carry
};

// Holes between the segments of each track, by time. What was evicted before the oldest segment is no hole.
[[nodiscard]] std::vector<MissingPart> missing_parts(const flight::FlightFile& file);
// Events of each track that the recording had stored before the oldest segment of the file: evicted, by design.
[[nodiscard]] std::array<uint64_t, FR_TRACK_COUNT> evicted_events(const flight::FlightFile& file);

}  // namespace flightrec::replay
