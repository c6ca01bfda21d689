// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of blocks (flight-format.md, "Blocks"). Pure: bytes in, bytes out.
//
// Encoders are made once, with all memory they will ever use; add() and finish() never allocate.
// One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "schemas/flightrec/format.h"
#include "userspace/base/result.h"
#include "userspace/flight/event_ref.h"

namespace flightrec::flight {

// A finished block: header fields that the encoder knows, and the stored payload (valid until the encoder's next
// add or finish). segment_sequence, index, offset and hash are the window's to fill.
struct EncodedBlock {
    fr_block_header header{};
    std::span<const std::byte> payload;
    // events of each class in it
    std::array<uint32_t, FR_CLASS_COUNT> by_class{};
};

// Collects records of any class, as they are, with the CPU they came from (EVENTS and KEYFRAME blocks), compresses.
class EventBlockEncoder {
  public:
    // raw_capacity: bytes of records a block can take; at most FR_BLOCK_RAW_MAX.
    static Result<EventBlockEncoder> make(size_t raw_capacity, int zstd_level = 1);
    EventBlockEncoder(EventBlockEncoder&&) noexcept;
    EventBlockEncoder& operator=(EventBlockEncoder&&) noexcept;
    ~EventBlockEncoder();

    // False when the record does not fit any more: finish() first. stamp and class_seq are stored as 0. A record is
    // 32…FR_EVENT_MAX bytes and a multiple of 8: any other is refused also by an empty encoder.
    [[nodiscard]] bool add(std::span<const std::byte> record, uint16_t cpu);
    [[nodiscard]] bool empty() const;
    [[nodiscard]] size_t raw_bytes() const;
    // Events of each class added since the last finish().
    [[nodiscard]] const std::array<uint32_t, FR_CLASS_COUNT>& by_class() const;
    // Encodes what was added, in time order, and starts anew.
    EncodedBlock finish(uint8_t kind = FR_BLOCK_EVENTS);
    // Largest payload finish() can return.
    [[nodiscard]] size_t payload_bound() const;

  private:
    struct Impl;
    explicit EventBlockEncoder(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Collects SYSCALL and SYSCALL_ENTER records and encodes them in columns. Same contract. Call run(cpu) before the
// records of each CPU; within a run records stand in time order (as a ring gives them; any other order is kept too,
// at the cost of size). A record is sizeof(fr_syscall)…FR_SYSCALL_EVENT_MAX bytes.
class SyscallBlockEncoder {
  public:
    // max_events: 16…131072. string_capacity: bytes of distinct strings, FR_SYSCALL_EVENT_MAX…4 MiB.
    static Result<SyscallBlockEncoder> make(size_t max_events, size_t string_capacity, int zstd_level = 1);
    SyscallBlockEncoder(SyscallBlockEncoder&&) noexcept;
    SyscallBlockEncoder& operator=(SyscallBlockEncoder&&) noexcept;
    ~SyscallBlockEncoder();

    void run(uint16_t cpu);
    [[nodiscard]] bool add(std::span<const std::byte> record);
    [[nodiscard]] bool empty() const;
    [[nodiscard]] size_t events() const;
    [[nodiscard]] const std::array<uint32_t, FR_CLASS_COUNT>& by_class() const;
    EncodedBlock finish();
    [[nodiscard]] size_t payload_bound() const;

  private:
    struct Impl;
    explicit SyscallBlockEncoder(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Decodes blocks of every kind into records in time order. Reusable; grows to the largest block it has seen, at most
// FR_BLOCK_RAW_MAX times a small factor. Every length is checked: a bad block is an error (Code::corrupt), never
// more than that.
class BlockDecoder {
  public:
    BlockDecoder();
    BlockDecoder(BlockDecoder&&) noexcept;
    BlockDecoder& operator=(BlockDecoder&&) noexcept;
    ~BlockDecoder();

    // fixed_size: the file header's table. The result is valid until the next decode().
    Result<std::span<const EventRef>> decode(const fr_block_header& header, std::span<const std::byte> payload,
                                             std::span<const uint16_t, 64> fixed_size);
    // False when the block decoded last had a summary that tells something else than what is in it: whoever leaves out
    // blocks by their summaries would miss events of it. The events themselves are as good as any.
    [[nodiscard]] bool summary_fits() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// XXH3-64 as the format uses it.
[[nodiscard]] uint64_t hash64(std::span<const std::byte> a, std::span<const std::byte> b = {});

}  // namespace flightrec::flight
