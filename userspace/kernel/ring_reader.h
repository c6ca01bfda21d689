// SPDX-License-Identifier: Apache-2.0
// Reads one track's rings (one a CPU) out of the kernel's memory; the protocol is in schemas/flightrec/event.h.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "schemas/flightrec/event.h"
#include "userspace/base/clock.h"
#include "userspace/base/result.h"

namespace flightrec::kernel {

// Where a reader stands in one CPU's ring.
struct RingCursor {
    uint64_t position = 0;
    std::array<uint64_t, FR_CLASS_COUNT> next_seq{};  // sequence of the next event of the class
    std::array<uint64_t, FR_CLASS_COUNT> drained{};   // events handed out
    uint64_t torn = 0;                                // records given up because their writer never finished
    uint64_t overruns = 0;                            // times the writer lapped the reader
    uint64_t stalled_at = 0;                          // position of an unfinished record, and since when
    uint64_t stalled_since_ns = 0;
};

// How far a CPU's ring has been stored, for the next recorder when the maps are pinned: everything before is in the
// last one's window, or lost. Counts are since the ring was made, over all recorders.
struct RingMark {
    uint64_t position = 0;
    std::array<uint64_t, FR_CLASS_COUNT> next_seq{};
    std::array<uint64_t, FR_CLASS_COUNT> lost{};  // of the events before next_seq: overwritten
};

// What the last ledger that was stored had told of a CPU's losses, since the ring was made; lost never above the
// mark's.
struct RingTold {
    std::array<uint64_t, FR_CLASS_COUNT> skipped{}, failed{}, lost{};
};

// Up to where totals() count as handed out what was: to the cursor, or to the last block that was stored.
enum class Upto : uint8_t { cursor, stored };

// Sums over all CPUs of one track at one moment; after resume() only what no earlier ledger told.
struct RingTotals {
    std::array<uint64_t, FR_CLASS_COUNT> produced{}, drained{}, overwritten{}, torn{}, skipped{}, pending{};
};

// Reader of all rings of a track. Owns nothing but a copy buffer made at construction; `memory` is the map's read-only
// mapping and must outlive it. One thread.
class RingReader {
  public:
    // ring_size: bytes of data per CPU; stride: bytes between the rings of two CPUs; ahead: see event.h.
    RingReader(const std::byte* memory, uint32_t cpus, uint32_t ring_size, uint64_t stride, uint32_t page,
               uint32_t ahead);

    [[nodiscard]] uint32_t cpus() const { return static_cast<uint32_t>(cursors_.size()); }

    // Hands every finished record of a CPU that has not been handed out yet to `consume(std::span<std::byte>)`, oldest
    // first. The span is a private copy, may be modified, and is valid during the call. Stops after about
    // `most_bytes`, or when `consume` returns false: that record is handed out again the next time. Returns the bytes
    // read. Never allocates.
    template <class Consume>
    size_t drain(uint32_t cpu, size_t most_bytes, Consume&& consume) {
        size_t total = 0;
        while (total < most_bytes) {
            const Chunk chunk = next_chunk(cpu);
            if (chunk.bytes.empty()) {
                settle(cpu);
                break;
            }
            total += chunk.bytes.size();
            if (!walk(cpu, chunk, consume)) break;
        }
        return total;
    }

    [[nodiscard]] const RingCursor& cursor(uint32_t cpu) const { return cursors_[cpu]; }
    // Goes on where another reader stopped, whose ledgers told so much; before the first drain().
    void resume(uint32_t cpu, const RingMark& mark, const RingTold& told);
    // While drain() hands out a record: everything before that record.
    [[nodiscard]] RingMark mark(uint32_t cpu) const;

    // A block is finished and holds what was handed out so far: prepare() notes where that is, commit() that the block
    // has been stored. tell(): a finished block has a ledger with the totals(…, true) asked for last.
    void prepare();
    void commit();
    void tell();
    [[nodiscard]] const RingMark& prepared_mark(uint32_t cpu) const { return prepared_[cpu]; }
    [[nodiscard]] const RingTold& prepared_told(uint32_t cpu) const { return prepared_told_[cpu]; }
    // Bytes written but not drained.
    [[nodiscard]] uint64_t backlog(uint32_t cpu) const;
    // Lost to overwriting so far: all classes of one CPU, by the rule of totals(). Exact once everything was drained,
    // or an event of the class was drained after the loss.
    [[nodiscard]] uint64_t overwritten(uint32_t cpu) const;
    // telling: they are for a ledger in the next block.
    [[nodiscard]] RingTotals totals(Upto upto, bool telling = false);
    // What the programs timed of themselves, over all CPUs (event.h, fr_ring_head), and calls of a class so far: cheap.
    struct Timing {
        uint64_t timed = 0, timed_ns = 0, clock_ns = 0;
        uint64_t placed = 0, skipped = 0;
    };
    [[nodiscard]] Timing timing(uint8_t cls) const;
    [[nodiscard]] uint32_t ring_size() const { return size_; }

  private:
    struct Chunk {
        std::span<std::byte> bytes;  // in the copy buffer
        uint64_t position = 0;       // of its first byte
    };
    [[nodiscard]] const fr_ring_head& head(uint32_t cpu) const {
        return *reinterpret_cast<const fr_ring_head*>(memory_ + cpu * stride_);
    }
    static uint64_t load(const __u64& value) {
        // The kernel writes it on another CPU; a relaxed atomic would let the copy that follows start early.
        return __atomic_load_n(&value, __ATOMIC_ACQUIRE);
    }
    // All was handed out, and nothing is being written: what was placed and not handed out was overwritten.
    void settle(uint32_t cpu);
    Chunk next_chunk(uint32_t cpu);
    // How many of the `length` bytes from `position` on are finished records.
    [[nodiscard]] uint64_t finished(uint32_t cpu, uint64_t position, uint64_t length) const;
    uint64_t oldest_safe(uint32_t cpu, uint64_t reserved) const;
    bool give_up_stalled(RingCursor& cursor);

    // Walks the records of a chunk and moves the cursor behind the last one handed out. False: no more for now.
    template <class Consume>
    bool walk(uint32_t cpu, const Chunk& chunk, Consume&& consume) {
        RingCursor& cursor = cursors_[cpu];
        uint64_t position = chunk.position;
        const uint64_t end = chunk.position + chunk.bytes.size();
        while (position < end) {
            const uint32_t room = page_ - static_cast<uint32_t>(position & (page_ - 1));
            std::byte* at = chunk.bytes.data() + (position - chunk.position);
            auto* event = reinterpret_cast<fr_event*>(at);
            if (room < sizeof(fr_event)) {
                position += room;
                continue;
            }
            if (event->stamp != position + 1 || event->size < sizeof(fr_event) || event->size > room ||
                event->cls >= FR_CLASS_COUNT || position + event->size > end) {
                cursor.position = position;
                if (!give_up_stalled(cursor)) return false;
                position = cursor.position;
                continue;
            }
            position += event->size;
            if (event->cls == FR_CLASS_NONE) continue;
            const uint8_t cls = event->cls;
            const uint32_t seq = event->class_seq;
            cursor.position = position - event->size;  // for mark()
            if (!consume(std::span<std::byte>(at, event->size))) return false;
            count(cursor, cls, seq);  // behind: while it is being consumed it still counts as pending
        }
        cursor.position = position;
        return true;
    }
    static void count(RingCursor& cursor, uint8_t cls, uint32_t seq) {
        uint64_t& next = cursor.next_seq[cls];
        // Extend the 32-bit sequence: an event may be at most 2^31 ahead of, or behind, the newest one seen.
        const auto ahead = static_cast<int32_t>(seq - static_cast<uint32_t>(next));
        if (ahead >= 0) next += static_cast<uint64_t>(ahead) + 1;
        ++cursor.drained[cls];
    }

    const std::byte* memory_;
    uint32_t size_, page_, ahead_;
    uint64_t stride_;
    std::vector<RingCursor> cursors_;
    std::vector<RingTold> bases_;                                       // what resume() was given
    std::vector<std::array<uint64_t, FR_CLASS_COUNT>> drained_before_;  // by then, what was told of as lost included
    std::vector<RingTold> told_;                                        // by the totals() asked for last
    std::vector<RingMark> prepared_, stored_;
    std::vector<RingTold> prepared_told_;
    std::vector<std::byte> buffer_;
};

}  // namespace flightrec::kernel
