// SPDX-License-Identifier: Apache-2.0
// Finding segments and block headers, whole or around damage (flight-format.md, "Damage"). Reads no payloads.
#pragma once

#include <optional>
#include <vector>

#include "userspace/flight/reader.h"
#include "userspace/flight/source.h"

namespace flightrec::flight {

void add_damage(Damage& damage, uint64_t offset, uint64_t bytes, std::string what);
// What is to be said of a block whose summary contradicts its events.
[[nodiscard]] std::string summary_wrong(const fr_block_header& header);

class SegmentScan {
  public:
    // live: what is being written at the end of a segment is not damage.
    SegmentScan(const Source& source, Damage& damage, bool live) : source_(source), damage_(damage), live_(live) {}

    // The header at this place when it is whole and within limits.
    [[nodiscard]] std::optional<fr_segment_header> header_at(uint64_t file_offset) const;
    // Appends the blocks from segment.end on. Returns true when it got to the end without damage.
    bool walk(SegmentInfo& segment);
    // All segments of a window's slots, of a dump, or of a file whose header cannot be trusted.
    std::vector<SegmentInfo> window(const fr_file_header& file);
    std::vector<SegmentInfo> dump(const fr_file_header& file);
    std::vector<SegmentInfo> anywhere();

  private:
    enum class Seen { block, end, damage };
    [[nodiscard]] Seen header_seen(const SegmentInfo& segment, uint64_t offset, fr_block_header& header) const;
    [[nodiscard]] uint64_t find_block(uint64_t start, uint64_t from, uint64_t to, uint64_t sequence,
                                      fr_block_header& header) const;
    [[nodiscard]] uint64_t limit_of(const SegmentInfo& segment) const;
    void check_used(const SegmentInfo& segment);
    bool read_segment(uint64_t at, const fr_segment_header& header, std::vector<SegmentInfo>& out);
    void rebuild(uint64_t start, uint64_t length, const fr_file_header& file, std::vector<SegmentInfo>& out);
    [[nodiscard]] std::optional<uint64_t> next_segment(uint64_t from) const;

    const Source& source_;
    Damage& damage_;
    bool live_;
};

}  // namespace flightrec::flight
