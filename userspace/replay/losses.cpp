// SPDX-License-Identifier: Apache-2.0
// Comparing what segments hold with what the next of their track says was stored before it.
#include "userspace/replay/losses.h"

#include <algorithm>

namespace flightrec::replay {
namespace {

uint64_t events_in(const flight::SegmentInfo& segment) {
    uint64_t sum = 0;
    for (const auto& block : segment.blocks)
        if (block.header.kind != FR_BLOCK_KEYFRAME) sum += block.header.events;
    return sum;
}

}  // namespace

std::vector<MissingPart> missing_parts(const flight::FlightFile& file) {
    std::vector<MissingPart> out;
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track) {
        const flight::SegmentInfo* before = nullptr;
        for (const auto& segment : file.segments()) {
            if (segment.header.track != track) continue;
            if (before != nullptr) {
                // stored_before counts every class; this track holds its own only.
                uint64_t should = 0;
                uint64_t had = 0;
                for (uint8_t cls = 0; cls < FR_CLASS_COUNT; ++cls) {
                    if (flight::track_of(cls) != track) continue;
                    should += segment.header.stored_before[cls];
                    had += before->header.stored_before[cls];
                }
                had += events_in(*before);
                if (should > had)
                    out.push_back(
                        {segment.blocks.empty() ? segment.header.boot_ns : segment.blocks.front().header.first_ns,
                         track, should - had});
            }
            before = &segment;
        }
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.time_ns < b.time_ns; });
    return out;
}

std::array<uint64_t, FR_TRACK_COUNT> evicted_events(const flight::FlightFile& file) {
    std::array<uint64_t, FR_TRACK_COUNT> out{};
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track)
        for (const auto& segment : file.segments()) {
            if (segment.header.track != track) continue;
            for (uint8_t cls = 0; cls < FR_CLASS_COUNT; ++cls)
                if (flight::track_of(cls) == track) out[track] += segment.header.stored_before[cls];
            break;
        }
    return out;
}

}  // namespace flightrec::replay
