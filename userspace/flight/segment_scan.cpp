// SPDX-License-Identifier: Apache-2.0
// The walk from header to header, and the search behind damage.
#include "userspace/flight/segment_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "userspace/flight/hash.h"
#include "userspace/flight/layout.h"

namespace flightrec::flight {
namespace {

constexpr uint64_t any_sequence = 0;
constexpr uint64_t nowhere = std::numeric_limits<uint64_t>::max();
constexpr size_t search_step = 65536;

bool whole(const fr_block_header& h) {
    return h.magic == FR_BLOCK_MAGIC && h.header_size == FR_BLOCK_HEADER_SIZE && h.hash == header_hash(h);
}

bool all_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

constexpr size_t damage_items_max = 100;
}  // namespace

void add_damage(Damage& damage, uint64_t offset, uint64_t bytes, std::string what) {
    ++damage.count;
    if (damage.items.size() < damage_items_max) damage.items.push_back({offset, bytes, std::move(what)});
}

void Damage::add(const Damage& other) {
    count += other.count;
    for (const Item& item : other.items)
        if (items.size() < damage_items_max) items.push_back(item);
}

std::string summary_wrong(const fr_block_header& header) {
    return fmt::format("segment {}, block {}: its summary tells something else than what is in it",
                       header.segment_sequence, header.index);
}

std::optional<fr_segment_header> SegmentScan::header_at(uint64_t file_offset) const {
    fr_segment_header h;
    if (!source_.read_value(file_offset, h) || h.magic != FR_SEGMENT_MAGIC || h.hash != header_hash(h))
        return std::nullopt;
    if (h.header_size != FR_SEGMENT_HEADER_SIZE || h.track >= FR_TRACK_COUNT ||
        h.segment_size < FR_SEGMENT_HEADER_SIZE || h.segment_size > FR_SEGMENT_SIZE_MAX)
        return std::nullopt;
    return h;
}

// Bytes of the segment that can be in the file.
uint64_t SegmentScan::limit_of(const SegmentInfo& segment) const {
    return std::min<uint64_t>(segment.header.segment_size, source_.size() - segment.file_offset);
}

// What stands where the next block header should.
SegmentScan::Seen SegmentScan::header_seen(const SegmentInfo& segment, uint64_t offset, fr_block_header& header) const {
    if (offset + sizeof header > limit_of(segment) || !source_.read_value(segment.file_offset + offset, header))
        return Seen::end;
    const bool magic = header.magic == FR_BLOCK_MAGIC;
    const bool sequence = header.segment_sequence == segment.header.sequence;
    const bool place = header.offset == offset;
    if (whole(header)) return sequence && place ? Seen::block : Seen::end;
    return magic + sequence + place >= 2 ? Seen::damage : Seen::end;
}

// The first whole header of this sequence at or after `from` (within the segment that starts at `start`), or nowhere.
uint64_t SegmentScan::find_block(uint64_t start, uint64_t from, uint64_t to, uint64_t sequence,
                                 fr_block_header& header) const {
    std::array<std::byte, search_step> buffer;
    from = align_up<uint64_t>(from, FR_BLOCK_ALIGN);
    for (uint64_t at = from; at + sizeof header <= to;) {
        const size_t n = std::min<uint64_t>(buffer.size(), to - at) / FR_BLOCK_ALIGN * FR_BLOCK_ALIGN;
        if (n == 0 || !source_.read(start + at, std::span(buffer).first(n))) return nowhere;
        for (size_t i = 0; i < n; i += FR_BLOCK_ALIGN) {
            uint32_t magic = 0;
            std::memcpy(&magic, buffer.data() + i, sizeof magic);
            if (magic != FR_BLOCK_MAGIC || at + i + sizeof header > to) continue;
            if (source_.read_value(start + at + i, header) && whole(header) && header.offset == at + i &&
                (sequence == any_sequence || header.segment_sequence == sequence))
                return at + i;
        }
        at += n;
    }
    return nowhere;
}

bool SegmentScan::walk(SegmentInfo& segment) {
    const uint64_t limit = limit_of(segment);
    bool clean = true;
    for (;;) {
        fr_block_header header;
        const Seen seen = header_seen(segment, segment.end, header);
        if (seen != Seen::block) {
            if (live_) return clean;  // what is being written there
            const uint64_t found =
                find_block(segment.file_offset, segment.end + FR_BLOCK_ALIGN, limit, segment.header.sequence, header);
            if (found == nowhere && seen == Seen::end) return clean;
            clean = false;
            const uint64_t end = found == nowhere ? limit : found;
            add_damage(damage_, segment.file_offset + segment.end, end - segment.end,
                       fmt::format("segment {}: the header of block {} does not fit", segment.header.sequence,
                                   segment.blocks.empty() ? 0 : segment.blocks.back().header.index + 1));
            if (found == nowhere) return clean;
            segment.end = found;
        } else if (const uint32_t expected = segment.blocks.empty() ? 0 : segment.blocks.back().header.index + 1;
                   header.index != expected && clean) {
            clean = false;
            add_damage(damage_, segment.file_offset + segment.end, 0,
                       fmt::format("segment {}: block {} follows where block {} should", segment.header.sequence,
                                   header.index, expected));
        }
        const uint64_t end = next_block(segment.end, header);
        if (segment.end + sizeof header + header.stored_size > limit) {
            add_damage(damage_, segment.file_offset + segment.end, limit - segment.end,
                       fmt::format("segment {}, block {}: its payload ends after the {}", segment.header.sequence,
                                   header.index, limit == segment.header.segment_size ? "segment" : "file"));
            return false;
        }
        segment.blocks.push_back({header, segment.file_offset + segment.end});
        segment.end = end;
    }
}

// A dump says where each segment ends.
void SegmentScan::check_used(const SegmentInfo& segment) {
    const uint64_t used = segment.header.used;
    if (used == segment.end) return;
    add_damage(damage_, segment.file_offset + std::min(segment.end, used),
               used > segment.end ? used - segment.end : segment.end - used,
               fmt::format("segment {}: its blocks end at byte {}, its header says {}", segment.header.sequence,
                           segment.end, used));
}

bool SegmentScan::read_segment(uint64_t at, const fr_segment_header& header, std::vector<SegmentInfo>& out) {
    SegmentInfo segment;
    segment.header = header;
    segment.file_offset = at;
    segment.end = FR_SEGMENT_HEADER_SIZE;
    const bool clean = walk(segment);
    out.push_back(std::move(segment));
    return clean;
}

// A segment without a usable header, from its blocks: those of the highest sequence found.
void SegmentScan::rebuild(uint64_t start, uint64_t length, const fr_file_header& file, std::vector<SegmentInfo>& out) {
    std::vector<BlockInfo> found;
    uint64_t sequence = 0;
    fr_block_header header;
    for (uint64_t at = FR_SEGMENT_HEADER_SIZE; (at = find_block(start, at, length, any_sequence, header)) != nowhere;) {
        sequence = std::max<uint64_t>(sequence, header.segment_sequence);
        const bool fits = at + sizeof header + header.stored_size <= length;
        if (fits) found.push_back({header, start + at});
        at = fits ? next_block(at, header) : at + FR_BLOCK_ALIGN;
    }
    std::erase_if(found, [&](const BlockInfo& b) { return b.header.segment_sequence != sequence; });
    if (found.empty()) return;
    SegmentInfo segment;
    segment.rebuilt = true;
    segment.file_offset = start;
    segment.header.magic = FR_SEGMENT_MAGIC;
    std::memcpy(segment.header.recording_id, file.recording_id, sizeof file.recording_id);
    segment.header.sequence = sequence;
    segment.header.track = found.front().header.kind == FR_BLOCK_SYSCALLS ? FR_TRACK_SYSCALL : FR_TRACK_VITAL;
    segment.header.header_size = FR_SEGMENT_HEADER_SIZE;
    segment.header.segment_size = file.segment_size;
    segment.header.boot_ns = found.front().header.first_ns;
    segment.end = next_block(found.back().header.offset, found.back().header);
    segment.blocks = std::move(found);
    out.push_back(std::move(segment));
}

std::vector<SegmentInfo> SegmentScan::window(const fr_file_header& file) {
    std::vector<SegmentInfo> out;
    for (uint32_t slot = 0; slot < file.segment_count; ++slot) {
        const uint64_t at = file.data_offset + slot * file.segment_size;
        std::array<std::byte, sizeof(fr_segment_header)> bytes;
        if (!source_.read(at, bytes)) {
            add_damage(damage_, source_.size(), 0,
                       fmt::format("the file ends in slot {} of {}", slot, file.segment_count));
            break;
        }
        if (all_zero(bytes)) continue;  // never used
        const auto header = header_at(at);
        if (header && std::equal(header->recording_id, header->recording_id + 16, file.recording_id) &&
            header->segment_size == file.segment_size) {
            read_segment(at, *header, out);
        } else if (!live_) {
            add_damage(damage_, at, file.segment_size, fmt::format("slot {}: the segment header does not fit", slot));
            rebuild(at, std::min<uint64_t>(file.segment_size, source_.size() - at), file, out);
        }
    }
    return out;
}

std::optional<uint64_t> SegmentScan::next_segment(uint64_t from) const {
    for (uint64_t at = align_up<uint64_t>(from, FR_PAGE); at + FR_SEGMENT_HEADER_SIZE <= source_.size();
         at += FR_PAGE) {
        uint64_t magic = 0;
        if (source_.read_value(at, magic) && magic == FR_SEGMENT_MAGIC && header_at(at)) return at;
    }
    return std::nullopt;
}

std::vector<SegmentInfo> SegmentScan::dump(const fr_file_header& file) {
    std::vector<SegmentInfo> out;
    if (file.file_size > source_.size())
        add_damage(damage_, source_.size(), file.file_size - source_.size(),
                   fmt::format("the file is cut: {} of {} bytes are there", source_.size(), file.file_size));
    uint64_t at = file.data_offset;
    while (out.size() < file.segment_count && at < source_.size()) {
        const auto header = header_at(at);
        if (header && std::equal(header->recording_id, header->recording_id + 16, file.recording_id)) {
            read_segment(at, *header, out);
            const SegmentInfo& segment = out.back();
            check_used(segment);
            // Where its blocks end; where its header says, when they end early.
            const uint64_t walked = align_up<uint64_t>(at + segment.end, FR_PAGE);
            const uint64_t told = align_up<uint64_t>(at + segment.header.used, FR_PAGE);
            const bool usable = segment.header.used > segment.end &&
                                segment.header.used <= segment.header.segment_size &&
                                (told >= source_.size() || header_at(told));
            at = usable && !header_at(walked) ? told : walked;
            continue;
        }
        const uint64_t next = next_segment(at + FR_PAGE).value_or(source_.size());
        add_damage(damage_, at, next - at, "the segment header does not fit");
        rebuild(at, std::min<uint64_t>(next - at, file.segment_size), file, out);
        at = next;
    }
    if (out.size() < file.segment_count)
        add_damage(damage_, source_.size(), 0,
                   fmt::format("{} of {} segments were found", out.size(), file.segment_count));
    return out;
}

std::vector<SegmentInfo> SegmentScan::anywhere() {
    std::vector<SegmentInfo> out;
    for (auto at = next_segment(FR_PAGE); at; at = next_segment(*at + FR_PAGE)) {
        const auto header = header_at(*at);
        if (!header) continue;
        if (!out.empty() &&
            !std::equal(header->recording_id, header->recording_id + 16, out.front().header.recording_id))
            continue;
        read_segment(*at, *header, out);
    }
    return out;
}

}  // namespace flightrec::flight
