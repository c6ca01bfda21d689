// SPDX-License-Identifier: Apache-2.0
// EVENTS and KEYFRAME blocks: records in rows (flight-format.md, "Rows").
#define XXH_STATIC_LINKING_ONLY  // XXH3_state_t on the stack
#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "userspace/flight/block.h"
#include "userspace/flight/bytes.h"
#include "userspace/flight/zstd_context.h"

namespace flightrec::flight {

uint64_t hash64(std::span<const std::byte> a, std::span<const std::byte> b) {
    if (b.empty()) return XXH3_64bits(a.data(), a.size());
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, a.data(), a.size());
    XXH3_64bits_update(&state, b.data(), b.size());
    return XXH3_64bits_digest(&state);
}

struct EventBlockEncoder::Impl {
    struct Entry {
        uint64_t time_ns;
        uint32_t offset;
        uint16_t size;
        uint16_t cpu;
    };
    size_t capacity;  // of records and their CPUs together
    size_t used = 0;
    bool in_order = true;
    fr_block_header header{};
    std::array<uint32_t, FR_CLASS_COUNT> by_class{};
    std::vector<std::byte> records, sorted, out;
    std::vector<Entry> entries;  // capacity reserved
    Compressor compressor;

    Impl(size_t raw_capacity, Compressor zstd)
        : capacity(raw_capacity),
          records(raw_capacity),
          sorted(raw_capacity),
          out(Compressor::bound(raw_capacity)),
          compressor(std::move(zstd)) {
        entries.reserve(raw_capacity / sizeof(fr_event) + 1);
        restart();
    }
    void restart() {
        used = 0;
        in_order = true;
        entries.clear();
        by_class = {};
        header = {};
        header.first_ns = header.first_enter_ns = std::numeric_limits<uint64_t>::max();
    }
    static size_t cpu_bytes(size_t events) { return align_up<size_t>(events * sizeof(uint16_t), FR_BLOCK_ALIGN); }

    // Puts the records in time order and their CPUs behind them; returns the raw payload.
    std::span<const std::byte> lay_out() {
        std::vector<std::byte>* raw = &records;
        if (!in_order) {
            std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
                return a.time_ns != b.time_ns ? a.time_ns < b.time_ns : a.offset < b.offset;
            });
            size_t at = 0;
            for (const Entry& e : entries) {
                std::memcpy(sorted.data() + at, records.data() + e.offset, e.size);
                at += e.size;
            }
            raw = &sorted;
        }
        std::byte* cpus = raw->data() + used;
        std::memset(cpus, 0, cpu_bytes(entries.size()));
        for (size_t i = 0; i < entries.size(); ++i)
            std::memcpy(cpus + i * sizeof(uint16_t), &entries[i].cpu, sizeof(uint16_t));
        return {raw->data(), used + cpu_bytes(entries.size())};
    }
};

EventBlockEncoder::EventBlockEncoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventBlockEncoder::EventBlockEncoder(EventBlockEncoder&&) noexcept = default;
EventBlockEncoder& EventBlockEncoder::operator=(EventBlockEncoder&&) noexcept = default;
EventBlockEncoder::~EventBlockEncoder() = default;

Result<EventBlockEncoder> EventBlockEncoder::make(size_t raw_capacity, int zstd_level) {
    if (raw_capacity < FR_EVENT_MAX + FR_BLOCK_ALIGN || raw_capacity > FR_BLOCK_RAW_MAX)
        return fail(Code::usage, "event block size must be between 16392 bytes and 16 MiB");
    auto zstd = Compressor::make(zstd_level);
    if (!zstd) return fail(Code::no_space, "cannot set up zstd: not enough memory or a level outside -5…9");
    return EventBlockEncoder(std::make_unique<Impl>(raw_capacity, std::move(*zstd)));
}

bool EventBlockEncoder::add(std::span<const std::byte> record, uint16_t cpu) {
    Impl& s = *impl_;
    if (record.size() < sizeof(fr_event) || record.size() > FR_EVENT_MAX || record.size() % FR_EVENT_ALIGN != 0)
        return false;
    if (s.used + record.size() + Impl::cpu_bytes(s.entries.size() + 1) > s.capacity) return false;
    fr_event head;
    std::memcpy(&head, record.data(), sizeof head);
    head.stamp = 0;
    head.class_seq = 0;
    head.size = static_cast<__u16>(record.size());
    std::byte* to = s.records.data() + s.used;
    std::memcpy(to, &head, sizeof head);
    std::memcpy(to + sizeof head, record.data() + sizeof head, record.size() - sizeof head);
    if (!s.entries.empty() && head.time_ns < s.entries.back().time_ns) s.in_order = false;
    s.entries.push_back({head.time_ns, static_cast<uint32_t>(s.used), head.size, cpu});
    s.used += record.size();
    s.header.first_ns = std::min<uint64_t>(s.header.first_ns, head.time_ns);
    s.header.last_ns = std::max<uint64_t>(s.header.last_ns, head.time_ns);
    if (head.cls < FR_CLASS_COUNT) ++s.by_class[head.cls];
    return true;
}

bool EventBlockEncoder::empty() const { return impl_->entries.empty(); }
size_t EventBlockEncoder::raw_bytes() const { return impl_->used; }
size_t EventBlockEncoder::payload_bound() const { return impl_->out.size(); }
const std::array<uint32_t, FR_CLASS_COUNT>& EventBlockEncoder::by_class() const { return impl_->by_class; }

EncodedBlock EventBlockEncoder::finish(uint8_t kind) {
    Impl& s = *impl_;
    const auto raw = s.lay_out();
    EncodedBlock block;
    block.header = s.header;
    block.header.magic = FR_BLOCK_MAGIC;
    block.header.kind = kind;
    block.header.codec = FR_CODEC_ZSTD;
    block.header.header_size = FR_BLOCK_HEADER_SIZE;
    block.header.raw_size = static_cast<__u32>(raw.size());
    block.header.events = static_cast<__u32>(s.entries.size());
    if (s.entries.empty()) block.header.first_ns = 0;
    block.header.first_enter_ns = block.header.first_ns;
    const size_t size = s.compressor.compress(s.out, raw);
    block.header.stored_size = static_cast<__u32>(size);
    block.payload = {s.out.data(), size};
    block.header.payload_hash = hash64(block.payload);
    block.by_class = s.by_class;
    s.restart();
    return block;
}

}  // namespace flightrec::flight
