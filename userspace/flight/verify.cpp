// SPDX-License-Identifier: Apache-2.0
// The independent check of a file: every block decoded, every event counted against the last ledger.
#include <fmt/format.h>

#include <algorithm>

#include "userspace/flight/file_impl.h"

namespace flightrec::flight {
namespace {

using Counts = std::array<uint64_t, FR_CLASS_COUNT>;

// Where a block stands in its track.
struct Place {
    uint64_t sequence = 0;
    uint64_t index = 0;
    auto operator<=>(const Place&) const = default;
};

struct CountedBlock {
    Place place;
    uint32_t track = 0;
    Counts counts{};
};

struct LastLedger {
    bool found = false;
    Place place;
    fr_ledger record{};
};

// Whether the ledger counts this block.
bool counted(const LastLedger& ledger, const CountedBlock& block) {
    if (block.track == FR_TRACK_VITAL) return block.place <= ledger.place;
    const auto& position = ledger.record.position[FR_TRACK_SYSCALL];
    return block.place < Place{position.segment_sequence, position.blocks};
}

void count_missing(std::span<const SegmentInfo> segments, Verification& out) {
    for (uint32_t track = 0; track < FR_TRACK_COUNT; ++track) {
        const SegmentInfo* before = nullptr;
        for (const auto& segment : segments) {
            if (segment.header.track != track || segment.rebuilt) continue;
            if (before != nullptr) {
                const uint64_t step = segment.header.track_sequence - before->header.track_sequence;
                if (step != 1) out.missing_segments[track] += step - 1;
            }
            before = &segment;
        }
        // A rebuilt segment is there, though its header is not.
        for (const auto& segment : segments)
            if (segment.header.track == track && segment.rebuilt && out.missing_segments[track] > 0)
                --out.missing_segments[track];
    }
}

void fill_lines(const LastLedger& ledger, std::span<const SegmentInfo> segments,
                const std::vector<CountedBlock>& blocks, Verification& out) {
    std::array<const SegmentInfo*, FR_TRACK_COUNT> oldest{};
    for (const auto& segment : segments)
        if (oldest[segment.header.track] == nullptr) oldest[segment.header.track] = &segment;
    for (uint8_t c = 0; c < FR_CLASS_COUNT; ++c) {
        auto& line = out.line[c];
        for (const auto& block : blocks)
            (ledger.found && !counted(ledger, block) ? line.after : line.found) += block.counts[c];
        if (!ledger.found) continue;
        const fr_ledger_line& said = ledger.record.line[c];
        line.produced = said.produced;
        line.stored = said.stored;
        line.overwritten = said.overwritten;
        line.torn = said.torn;
        line.skipped = said.skipped;
        line.pending = said.pending;
        const SegmentInfo* first = oldest[track_of(c)];
        // A segment begun after the ledger can be the oldest there is: then all of what it counts is evicted.
        line.evicted = first != nullptr ? std::min<uint64_t>(first->header.stored_before[c], line.stored) : 0;
        line.balanced = line.produced == line.stored + line.overwritten + line.torn + line.skipped + line.pending &&
                        line.found + line.evicted == line.stored && (first == nullptr || !first->rebuilt);
    }
}

}  // namespace

bool Verification::intact() const {
    return damage.none() &&
           std::all_of(missing_segments.begin(), missing_segments.end(), [](uint64_t n) { return n == 0; });
}

bool Verification::balanced() const {
    return has_ledger && std::all_of(line.begin(), line.end(), [](const Line& l) { return l.balanced; });
}

namespace {
Verification verify_once(const FlightFile::Impl& file) {
    Verification out;
    out.damage = file.damage;
    BlockDecoder decoder;
    std::vector<std::byte> payload;
    std::vector<CountedBlock> blocks;
    LastLedger ledger;
    std::string what;
    for (const auto& segment : file.segments) {
        ++out.segments;
        for (const auto& block : segment.blocks) {
            ++out.blocks;
            const fr_block_header& h = block.header;
            const BlockState state = file.read_payload(block, payload, what);
            if (state == BlockState::lost) {
                ++out.lost_blocks;
                continue;
            }
            auto events = state == BlockState::good ? file.decode(decoder, h, payload)
                                                    : Result<std::span<const EventRef>>{fail(Code::corrupt, what)};
            if (!events) {
                add_damage(out.damage, block.file_offset, h.header_size + h.stored_size,
                           state == BlockState::good ? fmt::format("segment {}, block {}: {}", h.segment_sequence,
                                                                   h.index, events.error().message)
                                                     : what);
                continue;
            }
            if (!decoder.summary_fits()) add_damage(out.damage, block.file_offset, 0, summary_wrong(h));
            if (summary_size(payload) != 0 && h.kind == FR_BLOCK_SYSCALLS) ++out.summaries;
            out.stored_bytes += h.header_size + h.stored_size;
            out.raw_bytes += h.raw_size;
            if (h.kind == FR_BLOCK_KEYFRAME) {
                out.keyframe_records += events->size();
                continue;
            }
            out.events += events->size();
            if (h.kind == FR_BLOCK_SYSCALLS) {
                out.syscall_events += events->size();
                out.syscall_stored_bytes += h.header_size + h.stored_size;
            }
            CountedBlock& counts = blocks.emplace_back();
            counts.place = {segment.header.sequence, h.index};
            counts.track = segment.header.track;
            for (const EventRef& event : *events) {
                const uint8_t cls = event.head().cls;
                if (cls < FR_CLASS_COUNT) ++counts.counts[cls];
                if (cls != FR_CLASS_LEDGER || segment.header.track != FR_TRACK_VITAL) continue;
                // Segments come by sequence and blocks by index: what comes later replaces what came before.
                ledger.found = true;
                ledger.place = counts.place;
                ledger.record = event.as<fr_ledger>();
            }
        }
    }
    out.has_ledger = ledger.found;
    count_missing(file.segments, out);
    fill_lines(ledger, file.segments, blocks, out);
    return out;
}
}  // namespace

Result<Verification> verify(const FlightFile& file) {
    Verification out = verify_once(*file.impl_);
    // A live window moves on while it is read: what is overtaken is looked at anew.
    for (int i = 0; i < 3 && out.lost_blocks > 0; ++i) {
        auto again = FlightFile::open(file.impl_->source.name());
        if (!again) break;
        out = verify_once(*again->impl_);
    }
    return out;
}

}  // namespace flightrec::flight
