// SPDX-License-Identifier: Apache-2.0
// What an open flight file holds; shared by reader.cpp, event_reader.cpp and verify.cpp only.
#pragma once

#include <utility>
#include <vector>

#include "userspace/flight/clock_map.h"
#include "userspace/flight/reader.h"
#include "userspace/flight/segment_scan.h"
#include "userspace/flight/source.h"

namespace flightrec::flight {

enum class BlockState { good, lost, damaged };

struct FlightFile::Impl {
    explicit Impl(Source from) : source(std::move(from)) {}

    Source source;
    fr_file_header header{};
    bool header_good = false;
    bool live = false;
    std::string info = "{}";
    std::vector<SegmentInfo> segments;
    Damage damage;

    std::vector<std::byte> payload;  // for decode()
    BlockDecoder decoder;

    ClockMap clock;
    bool clock_ready = false;

    Result<void> load();
    Result<void> load_header();
    void load_info();
    void build_clock();
    void add_clock_markers(const std::vector<std::pair<uint64_t, uint64_t>>& ranges);

    // Copies the payload and checks it. lost: the place has been overwritten by a later lap. `what`: what is wrong.
    BlockState read_payload(const BlockInfo& block, std::vector<std::byte>& to, std::string& what) const;
    // The summary that the block begins with, where it can be trusted.
    [[nodiscard]] std::optional<BlockSummary> read_summary(const BlockInfo& block) const;
    // Decodes what read_payload() gave. Code::corrupt also when an event lies outside the times of the header: blocks
    // are put in order by these.
    Result<std::span<const EventRef>> decode(BlockDecoder& with, const fr_block_header& block,
                                             std::span<const std::byte> bytes) const;
    [[nodiscard]] std::span<const uint16_t, 64> fixed_sizes() const { return header.fixed_size; }
    [[nodiscard]] static bool is_keyframe(const BlockInfo& b) { return b.header.kind == FR_BLOCK_KEYFRAME; }
};

}  // namespace flightrec::flight
