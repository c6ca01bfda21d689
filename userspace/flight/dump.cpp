// SPDX-License-Identifier: Apache-2.0
// Writing a dump of a window's pinned segments (flight-format.md, "Segments", Dump).
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "userspace/flight/hash.h"
#include "userspace/flight/layout.h"
#include "userspace/flight/reader.h"
#include "userspace/flight/window.h"

namespace flightrec::flight {
namespace {

alignas(8) constexpr std::array<std::byte, FR_PAGE> zeros{};

Result<void> write_zeros(const WritePiece& write, uint64_t count) {
    while (count > 0) {
        const size_t n = std::min<uint64_t>(count, zeros.size());
        FR_TRY(write(std::span(zeros).first(n)));
        count -= n;
    }
    return {};
}

fr_file_header dump_header(fr_file_header header, uint32_t segments, uint64_t size) {
    header.kind = FR_FILE_DUMP;
    header.segment_count = segments;
    header.file_size = size;
    header.data_offset = dump_data_offset;
    header.info_offset[0] = info_offset_a;
    header.info_offset[1] = 0;
    header.vital_slots = 0;
    header.created_realtime_ns = realtime_ns();
    if (::getrandom(header.file_id, sizeof header.file_id, GRND_NONBLOCK) !=
        static_cast<ssize_t>(sizeof header.file_id)) {
        const ClockPair now = clock_pair();
        std::memcpy(header.file_id, &now, sizeof header.file_id);
    }
    header.hash = header_hash(header);
    return header;
}

Result<void> write_front(const fr_file_header& header, std::string_view json, const WritePiece& write) {
    FR_TRY(write(bytes_of(header)));
    FR_TRY(write_zeros(write, FR_FILE_HEADER_SIZE - sizeof header));
    fr_info_header info{};
    info.magic = FR_INFO_MAGIC;
    info.generation = 1;
    info.size = static_cast<__u32>(json.size());
    info.hash = header_hash(info, std::as_bytes(std::span(json)));
    FR_TRY(write(bytes_of(info)));
    FR_TRY(write(std::as_bytes(std::span(json))));
    return write_zeros(write, FR_INFO_SLOT_SIZE - sizeof info - json.size());
}

Result<void> write_segment(std::span<const std::byte> bytes, const WritePiece& write) {
    fr_segment_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.used = bytes.size();  // not part of the hash
    FR_TRY(write(bytes_of(header)));
    return write(bytes.subspan(sizeof header));
}

// Segments of a recovered file with what is to be added.
struct Recovered {
    const FlightFile& file;
    int source;
    const EncodedBlock* closing;
    const SegmentInfo* last_vital = nullptr;

    [[nodiscard]] uint64_t added(const SegmentInfo& s) const {
        return &s == last_vital ? align_up<uint64_t>(FR_BLOCK_HEADER_SIZE + closing->payload.size(), FR_BLOCK_ALIGN)
                                : 0;
    }
    Result<void> write_segment(const SegmentInfo& segment, const WritePiece& write) const;
    Result<void> write_closing(const SegmentInfo& segment, const WritePiece& write) const;
};

Result<void> Recovered::write_closing(const SegmentInfo& segment, const WritePiece& write) const {
    fr_block_header header = closing->header;
    header.index = segment.blocks.empty() ? 0 : segment.blocks.back().header.index + 1;
    header.segment_sequence = segment.header.sequence;
    header.offset = segment.end;
    header.hash = header_hash(header);
    FR_TRY(write(bytes_of(header)));
    FR_TRY(write(closing->payload));
    return write_zeros(write, added(segment) - sizeof header - closing->payload.size());
}

Result<void> Recovered::write_segment(const SegmentInfo& segment, const WritePiece& write) const {
    fr_segment_header header = segment.header;
    header.used = segment.end + added(segment);
    FR_TRY(write(bytes_of(header)));
    std::vector<std::byte> buffer(256u << 10);
    for (uint64_t at = sizeof header; at < segment.end;) {
        const size_t want = std::min<uint64_t>(buffer.size(), segment.end - at);
        const ssize_t n = ::pread(source, buffer.data(), want, static_cast<off_t>(segment.file_offset + at));
        if (n < 0) return fail_errno(errno, "cannot read the old window");
        if (n == 0) return fail(Code::corrupt, "the old window is shorter than it was");
        FR_TRY(write(std::span(buffer).first(static_cast<size_t>(n))));
        at += static_cast<uint64_t>(n);
    }
    return added(segment) == 0 ? Result<void>{} : write_closing(segment, write);
}

}  // namespace

Result<uint64_t> write_recovered(const FlightFile& file, int source, const EncodedBlock* closing,
                                 std::string_view info_json, const WritePiece& write) {
    if (info_json.size() > info_max)
        return fail(Code::usage, fmt::format("the information is longer than {} bytes", info_max));
    Recovered recovered{file, source, closing};
    for (const SegmentInfo& segment : file.segments())
        if (closing != nullptr && segment.header.track == FR_TRACK_VITAL) recovered.last_vital = &segment;
    if (recovered.last_vital != nullptr &&
        recovered.last_vital->end + recovered.added(*recovered.last_vital) > file.header().segment_size)
        recovered.last_vital = nullptr;
    uint64_t size = dump_data_offset;
    for (const SegmentInfo& segment : file.segments())
        size = align_up<uint64_t>(size, FR_PAGE) + segment.end + recovered.added(segment);
    FR_TRY(
        write_front(dump_header(file.header(), static_cast<uint32_t>(file.segments().size()), size), info_json, write));
    uint64_t at = dump_data_offset;
    for (const SegmentInfo& segment : file.segments()) {
        FR_TRY(write_zeros(write, align_up<uint64_t>(at, FR_PAGE) - at));
        FR_TRY(recovered.write_segment(segment, write));
        at = align_up<uint64_t>(at, FR_PAGE) + segment.end + recovered.added(segment);
    }
    return size;
}

uint64_t dump_size(const std::vector<Window::PinnedSegment>& segments) {
    uint64_t size = dump_data_offset;
    for (const auto& segment : segments) size = align_up<uint64_t>(size, FR_PAGE) + segment.used;
    return size;
}

Result<uint64_t> write_dump(Window& window, const std::vector<Window::PinnedSegment>& segments,
                            std::string_view info_json, const WritePiece& write) {
    Result<void> result;
    if (info_json.size() > info_max)
        result = fail(Code::usage, fmt::format("the information is longer than {} bytes", info_max));
    const uint64_t size = dump_size(segments);
    if (result)
        result =
            write_front(dump_header(window.header(), static_cast<uint32_t>(segments.size()), size), info_json, write);
    uint64_t at = dump_data_offset;
    for (const auto& segment : segments) {
        if (result) result = write_zeros(write, align_up<uint64_t>(at, FR_PAGE) - at);
        if (result) result = write_segment(window.segment_bytes(segment), write);
        at = align_up<uint64_t>(at, FR_PAGE) + segment.used;
        window.unpin(segment.slot);
    }
    if (!result) return std::unexpected(result.error());
    return size;
}

Result<uint64_t> write_dump(Window& window, std::string_view info_json, const WritePiece& write) {
    return write_dump(window, window.pin(), info_json, write);
}

}  // namespace flightrec::flight
