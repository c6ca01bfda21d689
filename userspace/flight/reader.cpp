// SPDX-License-Identifier: Apache-2.0
// Opening a flight file: header, information, segments, clock.
#include "userspace/flight/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <limits>

#include "userspace/flight/file_impl.h"
#include "userspace/flight/hash.h"
#include "userspace/flight/layout.h"

namespace flightrec::flight {
namespace {

// The geometry a header may claim.
bool sane(const fr_file_header& h) {
    if (h.kind != FR_FILE_WINDOW && h.kind != FR_FILE_DUMP) return false;
    if (h.data_offset % FR_PAGE != 0 || h.data_offset < FR_FILE_HEADER_SIZE || h.data_offset > (1u << 30)) return false;
    if (h.segment_size < FR_SEGMENT_SIZE_MIN || h.segment_size > FR_SEGMENT_SIZE_MAX) return false;
    return h.segment_count <= (1u << 20) && h.info_slot_size >= sizeof(fr_info_header) &&
           h.info_slot_size <= (1u << 24);
}

}  // namespace

FlightFile::FlightFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlightFile::FlightFile(FlightFile&&) noexcept = default;
FlightFile& FlightFile::operator=(FlightFile&&) noexcept = default;
FlightFile::~FlightFile() = default;

Result<FlightFile> FlightFile::open(const std::filesystem::path& path) {
    FR_ASSIGN(auto source, Source::open(path));
    auto impl = std::make_unique<Impl>(std::move(source));
    FR_TRY(impl->load());
    return FlightFile(std::move(impl));
}

Result<FlightFile> FlightFile::from_memory(std::span<const std::byte> bytes, std::string name) {
    auto impl = std::make_unique<Impl>(Source::memory(bytes, std::move(name)));
    FR_TRY(impl->load());
    return FlightFile(std::move(impl));
}

// Reads the file header. An error only for a newer version; a header that does not fit leaves header_good false.
Result<void> FlightFile::Impl::load_header() {
    std::vector<std::byte> page(std::min<uint64_t>(FR_FILE_HEADER_SIZE, source.size()));
    if (!source.read(0, page) || page.size() < sizeof header) return {};
    std::memcpy(&header, page.data(), sizeof header);
    if (std::memcmp(header.magic, FR_FILE_MAGIC, sizeof header.magic) != 0) return {};
    // In every version the hash is the last 8 bytes of header_size ("Versions").
    if (header.header_size < sizeof header || header.header_size > page.size()) return {};
    uint64_t hash = 0;
    std::byte* const hash_at = page.data() + header.header_size - sizeof hash;
    std::memcpy(&hash, hash_at, sizeof hash);
    std::memset(hash_at, 0, sizeof hash);
    if (hash64(std::span(page).first(header.header_size)) != hash) return {};
    if (header.version != FR_FORMAT_VERSION)
        return fail(Code::unsupported,
                    fmt::format("{} is of format version {}, this program reads version {}: use a newer flightrec",
                                source.name(), header.version, FR_FORMAT_VERSION));
    header_good = header.header_size == sizeof header && sane(header);
    return {};
}

void FlightFile::Impl::load_info() {
    uint64_t best = 0;
    bool found = false;
    for (const uint64_t offset : header.info_offset) {
        fr_info_header h;
        if (offset == 0 || !source.read_value(offset, h) || h.magic != FR_INFO_MAGIC) continue;
        if (h.size > header.info_slot_size - sizeof h || (found && h.generation <= best)) continue;
        std::string json(h.size, '\0');
        if (!source.read(offset + sizeof h, std::as_writable_bytes(std::span(json)))) continue;
        if (header_hash(h, std::as_bytes(std::span(json))) != h.hash) continue;
        info = std::move(json);
        best = h.generation;
        found = true;
    }
    if (!found) {
        info = "{}";
        add_damage(damage, header.info_offset[0], header.info_slot_size, "the information does not fit its hash");
    }
}

Result<void> FlightFile::Impl::load() {
    FR_TRY(load_header());
    if (header_good) {
        live = header.kind == FR_FILE_WINDOW && source.locked();
        load_info();
        SegmentScan scan(source, damage, live);
        segments = header.kind == FR_FILE_WINDOW ? scan.window(header) : scan.dump(header);
    } else {
        SegmentScan scan(source, damage, false);
        auto found = scan.anywhere();
        if (found.empty()) return fail(Code::corrupt, fmt::format("{} is not a flight file", source.name()));
        add_damage(damage, 0, FR_FILE_HEADER_SIZE, "the file header does not fit its hash");
        segments = std::move(found);
        // What a writer of this version would have said.
        header = {};
        std::memcpy(header.magic, FR_FILE_MAGIC, sizeof header.magic);
        header.version = FR_FORMAT_VERSION;
        header.header_size = sizeof header;
        std::memcpy(header.recording_id, segments.front().header.recording_id, sizeof header.recording_id);
        header.kind = segments.front().header.used == 0 ? FR_FILE_WINDOW : FR_FILE_DUMP;
        header.segment_count = static_cast<__u32>(segments.size());
        header.file_size = source.size();
        header.segment_size = segments.front().header.segment_size;
        header.info_offset[0] = info_offset_a;
        header.info_offset[1] = header.kind == FR_FILE_WINDOW ? info_offset_b : 0;
        header.info_slot_size = FR_INFO_SLOT_SIZE;
        for (uint8_t c = 0; c < FR_CLASS_COUNT; ++c) header.fixed_size[c] = fixed_size_of(c);
        load_info();
    }
    std::stable_sort(segments.begin(), segments.end(),
                     [](const SegmentInfo& a, const SegmentInfo& b) { return a.header.sequence < b.header.sequence; });
    return {};
}

const fr_file_header& FlightFile::header() const { return impl_->header; }
const std::string& FlightFile::info_json() const { return impl_->info; }
std::span<const SegmentInfo> FlightFile::segments() const { return impl_->segments; }
const Damage& FlightFile::damage() const { return impl_->damage; }
bool FlightFile::live() const { return impl_->live; }

uint64_t FlightFile::first_ns() const {
    uint64_t first = std::numeric_limits<uint64_t>::max();
    for (const auto& segment : impl_->segments)
        for (const auto& block : segment.blocks)
            if (!Impl::is_keyframe(block)) first = std::min<uint64_t>(first, block.header.first_ns);
    return first == std::numeric_limits<uint64_t>::max() ? 0 : first;
}

uint64_t FlightFile::last_ns() const {
    uint64_t last = 0;
    for (const auto& segment : impl_->segments)
        for (const auto& block : segment.blocks)
            if (!Impl::is_keyframe(block)) last = std::max<uint64_t>(last, block.header.last_ns);
    return last;
}

BlockState FlightFile::Impl::read_payload(const BlockInfo& block, std::vector<std::byte>& to, std::string& what) const {
    const fr_block_header& h = block.header;
    fr_block_header now;
    to.resize(h.stored_size);
    const bool read = source.read_value(block.file_offset, now) && source.read(block.file_offset + sizeof now, to);
    if (read && std::memcmp(&now, &h, sizeof h) == 0 && hash64(to) == h.payload_hash) return BlockState::good;
    // Overtaken by the writer, or broken?
    fr_segment_header segment;
    if (header.kind == FR_FILE_WINDOW && live && source.read_value(block.file_offset - h.offset, segment) &&
        (segment.sequence != h.segment_sequence || segment.hash != header_hash(segment)))
        return BlockState::lost;
    what = fmt::format("segment {}, block {}: {}", h.segment_sequence, h.index,
                       read ? "the payload does not fit its hash" : "cannot be read");
    return BlockState::damaged;
}

std::optional<BlockSummary> FlightFile::Impl::read_summary(const BlockInfo& block) const {
    const fr_block_header& h = block.header;
    std::array<uint32_t, 2> frame{};
    if (h.kind != FR_BLOCK_SYSCALLS || h.codec != FR_CODEC_ZSTD || h.stored_size < sizeof frame) return std::nullopt;
    if (!source.read_value(block.file_offset + sizeof h, frame) || frame[0] != FR_SUMMARY_MAGIC ||
        frame[1] > FR_SUMMARY_MAX || sizeof frame + frame[1] > h.stored_size)
        return std::nullopt;
    std::array<std::byte, summary_bound> bytes;
    const auto whole = std::span(bytes).first(sizeof frame + frame[1]);
    if (!source.read(block.file_offset + sizeof h, whole)) return std::nullopt;
    return flight::read_summary(h, whole);
}

std::optional<BlockSummary> FlightFile::summary(const BlockInfo& block) const { return impl_->read_summary(block); }

Result<std::span<const EventRef>> FlightFile::Impl::decode(BlockDecoder& with, const fr_block_header& block,
                                                           std::span<const std::byte> bytes) const {
    FR_ASSIGN(const auto events, with.decode(block, bytes, fixed_sizes()));
    if (block.kind != FR_BLOCK_KEYFRAME && !events.empty() &&
        (events.front().head().time_ns < block.first_ns || events.back().head().time_ns > block.last_ns))
        return fail(Code::corrupt, "it holds events outside the times that its header gives");
    return events;
}

Result<std::span<const EventRef>> FlightFile::decode(const BlockInfo& block) {
    std::string what;
    switch (impl_->read_payload(block, impl_->payload, what)) {
        case BlockState::good: break;
        case BlockState::lost: return fail(Code::not_found, "the block has been overwritten by a newer one");
        case BlockState::damaged: return fail(Code::corrupt, what);
    }
    return impl_->decode(impl_->decoder, block.header, impl_->payload);
}

std::vector<BlockInfo> FlightFile::refresh() {
    Impl& s = *impl_;
    std::vector<BlockInfo> fresh;
    if (!s.header_good || s.header.kind != FR_FILE_WINDOW) return fresh;
    s.live = s.source.locked();
    SegmentScan scan(s.source, s.damage, true);
    for (uint32_t slot = 0; slot < s.header.segment_count; ++slot) {
        const uint64_t at = s.header.data_offset + slot * s.header.segment_size;
        const auto header = scan.header_at(at);
        if (!header || header->segment_size != s.header.segment_size) continue;
        auto known = std::find_if(s.segments.begin(), s.segments.end(),
                                  [&](const SegmentInfo& i) { return i.file_offset == at; });
        if (known == s.segments.end() || known->header.sequence != header->sequence) {
            if (known != s.segments.end()) s.segments.erase(known);
            SegmentInfo segment;
            segment.header = *header;
            segment.file_offset = at;
            segment.end = FR_SEGMENT_HEADER_SIZE;
            known = std::upper_bound(
                s.segments.begin(), s.segments.end(), segment,
                [](const SegmentInfo& a, const SegmentInfo& b) { return a.header.sequence < b.header.sequence; });
            known = s.segments.insert(known, std::move(segment));
        }
        const size_t before = known->blocks.size();
        scan.walk(*known);
        fresh.insert(fresh.end(), known->blocks.begin() + static_cast<ptrdiff_t>(before), known->blocks.end());
    }
    std::stable_sort(fresh.begin(), fresh.end(),
                     [](const BlockInfo& a, const BlockInfo& b) { return a.header.first_ns < b.header.first_ns; });
    if (!fresh.empty()) s.clock_ready = false;
    return fresh;
}

// Between two segments whose clocks agree (but for slewing, at most 500 ppm: adjtimex(2)) the clock was not stepped;
// elsewhere, and after the last segment's beginning, CLOCK markers are looked for.
void FlightFile::Impl::build_clock() {
    clock = {};
    for (const auto& segment : segments)
        if (!segment.rebuilt) clock.add(segment.header.boot_ns, segment.header.realtime_ns);
    const std::vector<ClockPair>& pairs = clock.pairs();
    std::vector<std::pair<uint64_t, uint64_t>> doubtful;
    const uint64_t end = std::numeric_limits<uint64_t>::max();
    doubtful.emplace_back(pairs.empty() ? 0 : pairs.back().boot, end);
    if (!pairs.empty()) doubtful.emplace_back(0, pairs.front().boot);
    for (size_t i = 1; i < pairs.size() && doubtful.size() < 64; ++i) {
        const uint64_t passed = pairs[i].boot - pairs[i - 1].boot;
        const uint64_t drift = pairs[i].realtime - pairs[i - 1].realtime - passed;
        if (std::min(drift, 0 - drift) > passed / 1000 + 1'000'000)
            doubtful.emplace_back(pairs[i - 1].boot, pairs[i].boot);
    }
    add_clock_markers(doubtful);
    clock_ready = true;
}

void FlightFile::Impl::add_clock_markers(const std::vector<std::pair<uint64_t, uint64_t>>& ranges) {
    BlockDecoder reading;  // not decode()'s: its events stay valid
    std::vector<std::byte> bytes;
    std::string what;
    for (const auto& segment : segments) {
        if (segment.header.track != FR_TRACK_VITAL) continue;
        for (const auto& block : segment.blocks) {
            const bool wanted = std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
                return block.header.last_ns >= range.first && block.header.first_ns <= range.second;
            });
            if (block.header.kind != FR_BLOCK_EVENTS || !wanted || read_payload(block, bytes, what) != BlockState::good)
                continue;
            const auto events = decode(reading, block.header, bytes);
            if (!events) continue;
            for (const EventRef& event : *events) {
                if (event.head().cls != FR_CLASS_MARKER) continue;
                const auto marker = event.as<fr_marker>();
                if (marker.kind == FR_MARKER_CLOCK) clock.add(event.head().time_ns, marker.value[0]);
            }
        }
    }
}

uint64_t FlightFile::realtime_of(uint64_t boot_ns) const {
    if (!impl_->clock_ready) impl_->build_clock();
    return impl_->clock.realtime_of(boot_ns);
}

uint64_t FlightFile::boot_of_realtime(uint64_t realtime_ns) const {
    if (!impl_->clock_ready) impl_->build_clock();
    return impl_->clock.boot_of(realtime_ns);
}

uint64_t FlightFile::first_boot_of_realtime(uint64_t realtime_ns) const {
    if (!impl_->clock_ready) impl_->build_clock();
    return impl_->clock.first_boot_of(realtime_ns);
}

}  // namespace flightrec::flight
