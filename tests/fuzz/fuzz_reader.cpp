// SPDX-License-Identifier: Apache-2.0
// Any bytes as a flight file. Hashes are made to fit first, so that the fuzzer gets behind them. What a summary says of
// a block that is without damage must be so.
#include <cstring>
#include <vector>

#include "userspace/flight/cgroup_table.h"
#include "userspace/flight/hash.h"
#include "userspace/flight/layout.h"
#include "userspace/flight/process_table.h"
#include "userspace/flight/reader.h"

using namespace flightrec::flight;

namespace {

template <class T>
bool get(const std::vector<std::byte>& bytes, size_t at, T& value) {
    if (at > bytes.size() || bytes.size() - at < sizeof value) return false;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return true;
}

void seal_summary(const fr_block_header& block, std::span<std::byte> payload) {
    const size_t size = summary_size(payload);
    if (size < 16) return;
    const std::array<uint64_t, 4> of{block.events, block.first_ns, block.last_ns, block.raw_size};
    const uint64_t hash = hash64(std::as_bytes(std::span(of)), payload.subspan(8, size - 16));
    std::memcpy(payload.data() + size - sizeof hash, &hash, sizeof hash);
}

void seal(std::vector<std::byte>& bytes) {
    fr_file_header file;
    if (!get(bytes, 0, file)) return;
    if (file.header_size == sizeof file) {
        file.hash = header_hash(file);
        std::memcpy(bytes.data(), &file, sizeof file);
    }
    for (size_t at = FR_PAGE; at + 8 <= bytes.size(); at += FR_BLOCK_ALIGN) {
        fr_segment_header segment;
        if (at % FR_PAGE == 0 && get(bytes, at, segment) && segment.magic == FR_SEGMENT_MAGIC) {
            segment.hash = header_hash(segment);
            std::memcpy(bytes.data() + at, &segment, sizeof segment);
        }
        fr_block_header block;
        if (!get(bytes, at, block) || block.magic != FR_BLOCK_MAGIC) continue;
        const size_t payload = at + sizeof block;
        if (block.stored_size <= bytes.size() - payload) {
            seal_summary(block, std::span(bytes).subspan(payload, block.stored_size));
            block.payload_hash = hash64(std::span(bytes).subspan(payload, block.stored_size));
        }
        block.hash = header_hash(block);
        std::memcpy(bytes.data() + at, &block, sizeof block);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2 || size > (1u << 20)) return 0;
    std::vector<std::byte> bytes(size - 1);
    std::memcpy(bytes.data(), data + 1, bytes.size());
    if (data[0] & 1) seal(bytes);
    const auto file = FlightFile::from_memory(bytes, "fuzz");
    if (!file) return 0;
    static auto processes = ProcessTable::make({64, 64});
    static auto cgroups = CgroupTable::make({64, true});
    ReadOptions options;
    if (data[0] & 2) options.from_ns = file->first_ns() + 50;
    if (data[0] & 4) options.to_ns = file->last_ns() - 50;
    auto reader = file->read(options);
    uint64_t last = 0;
    while (const auto event = reader.next()) {
        if (!reader.in_keyframe() && reader.damage().none() && event->head().time_ns < last) __builtin_trap();
        if (!reader.in_keyframe()) last = event->head().time_ns;
        processes->apply(*event);
        cgroups->apply(*event);
    }
    // Blocks without process 1 may be left out, its events may not.
    options.vital = options.keyframes = false;
    size_t calls = 0, found = 0;
    auto all = file->read(options);
    while (const auto event = all.next()) calls += event->head().pid == 1;
    options.wanted = [](const BlockInfo&, const BlockSummary& summary) {
        return std::any_of(summary.threads.begin(), summary.threads.end(), [](const auto& t) { return t.pid == 1; });
    };
    auto some = file->read(options);
    while (const auto event = some.next()) found += event->head().pid == 1;
    if (all.damage().none() && some.damage().none() && found != calls) __builtin_trap();
    (void)verify(*file);
    (void)file->boot_of_realtime(file->realtime_of(last));
    return 0;
}
