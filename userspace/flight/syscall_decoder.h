// SPDX-License-Identifier: Apache-2.0
// Decoding of SYSCALLS payloads (flight-format.md, "Columns"). Trusts nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/block_summary.h"
#include "userspace/flight/bytes.h"
#include "userspace/flight/syscall_model.h"

namespace flightrec::flight {

// Records as they come out: in `bytes`, 8-aligned, each at an offset.
struct DecodedRecords {
    struct Entry {
        uint64_t time_ns;
        uint32_t offset;
        uint16_t size;
        uint16_t cpu;
    };
    std::unique_ptr<std::byte[]> bytes;
    size_t capacity = 0, used = 0;
    std::vector<Entry> entries;

    // Room for n more bytes; false beyond FR_BLOCK_DECODED_MAX.
    bool reserve(size_t n);
};

class SyscallDecoder {
  public:
    // raw: the decompressed payload. Appends to out. The first thing that does not fit is Code::corrupt.
    Result<void> decode(std::span<const std::byte> raw, uint32_t events, DecodedRecords& out);
    // Whether a summary tells what was decoded last.
    [[nodiscard]] bool fits(const BlockSummary& summary) { return counts_.equals(summary, model_); }

  private:
    struct Shape {
        uint8_t cls = 0, flags = 0;
        bool has_entry = false;
        uint32_t pad = 0;
        uint32_t first_blob = 0, blobs = 0;
    };
    struct BlobKind {
        uint8_t kind, flags;
    };
    struct Text {
        const std::byte* at;
        uint32_t length;
    };
    Result<void> open(std::span<const std::byte> raw, uint32_t events);
    Result<void> decode_run(DecodedRecords& out, uint64_t left, uint64_t& count);
    const char* decode_event(DecodedRecords& out, uint16_t cpu);  // what is wrong, or nullptr
    const char* step(uint32_t& thread, uint32_t& number);
    const char* read_shape(uint32_t number, bool differs);
    const char* read_strings(uint32_t thread, uint32_t number, const Shape& shape, uint32_t& first);
    uint64_t read_value(uint8_t symbol);
    uint64_t read_delta(ByteStream& in, uint32_t& phase);
    ByteStream& numbered(size_t kind, uint32_t number) { return numbered_[kind * number_count_ + number]; }

    SyscallModel model_;
    SummaryCounts counts_;
    std::array<ByteStream, common_streams> common_;
    std::vector<ByteStream> numbered_;
    uint32_t number_count_ = 0;
    BitReader bits_;
    uint64_t tick_ = 0;
    std::vector<Shape> shapes_;
    std::vector<BlobKind> kinds_;
    std::vector<Text> strings_;
    std::vector<Text> at_hand_;  // of the event being read
    struct CpuState {
        uint16_t cpu;
        uint32_t thread;
    };
    std::vector<CpuState> cpus_;
    uint32_t current_ = none;
};

}  // namespace flightrec::flight
