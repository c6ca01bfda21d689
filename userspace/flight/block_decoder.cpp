// SPDX-License-Identifier: Apache-2.0
// Decoding of blocks of every kind into records in time order (flight-format.md, "Payloads").
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "userspace/flight/block.h"
#include "userspace/flight/block_summary.h"
#include "userspace/flight/bytes.h"
#include "userspace/flight/syscall_decoder.h"
#include "userspace/flight/zstd_context.h"

namespace flightrec::flight {

struct BlockDecoder::Impl {
    Decompressor zstd;
    std::unique_ptr<SyscallDecoder> syscalls;  // made when the first such block comes
    std::unique_ptr<uint64_t[]> raw;           // decompressed payload, 8-aligned
    size_t raw_capacity = 0;
    DecodedRecords records;
    std::vector<DecodedRecords::Entry> scratch;
    std::vector<EventRef> refs;
    bool summary_fits = true;

    Result<std::span<const std::byte>> unpack(const fr_block_header& header, std::span<const std::byte> payload);
    Result<void> read_rows(std::span<const std::byte> raw_bytes, uint32_t events);
    void sort_by_time();
    void refer(const std::byte* base, bool columns, std::span<const uint16_t, 64> fixed_size);
};

Result<std::span<const std::byte>> BlockDecoder::Impl::unpack(const fr_block_header& header,
                                                              std::span<const std::byte> payload) {
    if (header.raw_size > FR_BLOCK_RAW_MAX) return fail(Code::corrupt, "block is larger than the format allows");
    if (payload.size() != header.stored_size) return fail(Code::corrupt, "payload is not of the size its header says");
    if (header.raw_size > raw_capacity || !raw) {
        raw_capacity = align_up<size_t>(std::max<size_t>(header.raw_size, 4096), 4096);
        raw = std::make_unique_for_overwrite<uint64_t[]>(raw_capacity / sizeof(uint64_t));
    }
    const std::span<std::byte> to{reinterpret_cast<std::byte*>(raw.get()), header.raw_size};
    if (header.codec == FR_CODEC_NONE) {
        if (payload.size() != to.size()) return fail(Code::corrupt, "payload is not of the size its header says");
        std::copy(payload.begin(), payload.end(), to.begin());
    } else if (header.codec == FR_CODEC_ZSTD) {
        if (!zstd.decompress(to, payload)) return fail(Code::corrupt, "payload cannot be decompressed");
    } else {
        return fail(Code::unsupported,
                    fmt::format("payload is compressed by method {}, which this version does not know", header.codec));
    }
    return to;
}

Result<void> BlockDecoder::Impl::read_rows(std::span<const std::byte> bytes, uint32_t events) {
    const size_t cpus = align_up<size_t>(size_t{events} * sizeof(uint16_t), FR_BLOCK_ALIGN);
    if (cpus > bytes.size()) return fail(Code::corrupt, "more events than bytes");
    const auto rows = bytes.first(bytes.size() - cpus);
    size_t at = 0;
    for (uint32_t i = 0; i < events; ++i) {
        fr_event head;
        if (rows.size() - at < sizeof head) return fail(Code::corrupt, fmt::format("event {} ends after its block", i));
        std::memcpy(&head, rows.data() + at, sizeof head);
        if (head.size < sizeof head || head.size % FR_EVENT_ALIGN != 0 || head.size > FR_EVENT_MAX ||
            head.size > rows.size() - at)
            return fail(Code::corrupt, fmt::format("event {} has a bad size of {} bytes", i, head.size));
        uint16_t cpu = 0;
        std::memcpy(&cpu, rows.data() + rows.size() + i * sizeof cpu, sizeof cpu);
        records.entries.push_back({head.time_ns, static_cast<uint32_t>(at), head.size, cpu});
        at += head.size;
    }
    if (at != rows.size()) return fail(Code::corrupt, "bytes after the last event");
    return {};
}

// Stable. Merges the ascending stretches that are there: one stretch per CPU, as a rule.
void BlockDecoder::Impl::sort_by_time() {
    auto& e = records.entries;
    using Entry = DecodedRecords::Entry;
    const auto earlier = [](const Entry& a, const Entry& b) { return a.time_ns < b.time_ns; };
    if (std::is_sorted(e.begin(), e.end(), earlier)) return;
    std::vector<size_t> ends;  // of the stretches
    for (size_t i = 1; i <= e.size(); ++i)
        if (i == e.size() || earlier(e[i], e[i - 1])) ends.push_back(i);
    if (ends.size() > e.size() / 8) {
        std::stable_sort(e.begin(), e.end(), earlier);
        return;
    }
    scratch.resize(e.size());
    while (ends.size() > 1) {
        std::vector<size_t> merged;
        size_t begin = 0;
        for (size_t i = 0; i < ends.size(); i += 2) {
            const size_t middle = ends[i], end = i + 1 < ends.size() ? ends[i + 1] : middle;
            std::merge(e.begin() + static_cast<ptrdiff_t>(begin), e.begin() + static_cast<ptrdiff_t>(middle),
                       e.begin() + static_cast<ptrdiff_t>(middle), e.begin() + static_cast<ptrdiff_t>(end),
                       scratch.begin() + static_cast<ptrdiff_t>(begin), earlier);
            begin = end;
            merged.push_back(end);
        }
        e.swap(scratch);
        ends.swap(merged);
    }
}

void BlockDecoder::Impl::refer(const std::byte* base, bool columns, std::span<const uint16_t, 64> fixed_size) {
    refs.clear();
    refs.reserve(records.entries.size());
    for (const auto& e : records.entries) {
        EventRef ref;
        ref.bytes = {base + e.offset, e.size};
        ref.cpu = e.cpu;
        const uint8_t cls = ref.head().cls;
        const size_t fixed = columns ? sizeof(fr_syscall) : cls < fixed_size.size() ? fixed_size[cls] : 0;
        ref.fixed_size = static_cast<uint16_t>(std::clamp<size_t>(fixed, sizeof(fr_event), e.size));
        refs.push_back(ref);
    }
}

BlockDecoder::BlockDecoder() : impl_(std::make_unique<Impl>()) {}
BlockDecoder::BlockDecoder(BlockDecoder&&) noexcept = default;
BlockDecoder& BlockDecoder::operator=(BlockDecoder&&) noexcept = default;
BlockDecoder::~BlockDecoder() = default;

Result<std::span<const EventRef>> BlockDecoder::decode(const fr_block_header& header,
                                                       std::span<const std::byte> payload,
                                                       std::span<const uint16_t, 64> fixed_size) {
    Impl& s = *impl_;
    s.records.entries.clear();
    s.records.used = 0;
    s.summary_fits = true;
    FR_ASSIGN(const auto raw, s.unpack(header, payload));
    const bool columns = header.kind == FR_BLOCK_SYSCALLS;
    if (columns) {
        if (!s.syscalls) s.syscalls = std::make_unique<SyscallDecoder>();
        FR_TRY(s.syscalls->decode(raw, header.events, s.records));
        if (const auto summary = read_summary(header, payload)) s.summary_fits = s.syscalls->fits(*summary);
    } else if (header.kind == FR_BLOCK_EVENTS || header.kind == FR_BLOCK_KEYFRAME) {
        FR_TRY(s.read_rows(raw, header.events));
    } else {
        return fail(Code::unsupported, fmt::format("blocks of kind {} are not known to this version", header.kind));
    }
    s.sort_by_time();
    s.refer(columns ? s.records.bytes.get() : raw.data(), columns, fixed_size);
    return std::span<const EventRef>(s.refs);
}

bool BlockDecoder::summary_fits() const { return impl_->summary_fits; }

}  // namespace flightrec::flight
