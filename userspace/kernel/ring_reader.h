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
// last one's window and in its ledger.
struct RingMark {
    uint64_t position = 0;
    std::array<uint64_t, FR_CLASS_COUNT> next_seq{};
    std::array<uint64_t, FR_CLASS_COUNT> skipped{}, failed{};  // as the last ledger that was stored had them
    std::array<uint64_t, FR_CLASS_COUNT>
        lost{};  // overwritten before next_seq, and not yet in a ledger that was stored
};

// Sums over all CPUs of one track at one moment; after resume() only what came after the mark.
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
            if (chunk.bytes.empty()) break;
            total += chunk.bytes.size();
            if (!walk(cpu, chunk, consume)) break;
        }
        return total;
    }

    [[nodiscard]] const RingCursor& cursor(uint32_t cpu) const { return cursors_[cpu]; }
    // Goes on where another reader stopped; before the first drain().
    void resume(uint32_t cpu, const RingMark& mark);
    // While drain() hands out a record: everything before that record.
    [[nodiscard]] RingMark mark(uint32_t cpu) const;
    // The totals asked for last were stored: mark() takes their skipped, failed and lost ones as told from now on.
    void totals_are_stored();
    // Bytes written but not drained.
    [[nodiscard]] uint64_t backlog(uint32_t cpu) const;
    // Lost to overwriting so far: all classes of one CPU, by the rule of totals(). Exact once everything was drained,
    // or an event of the class was drained after the loss.
    [[nodiscard]] uint64_t overwritten(uint32_t cpu) const;
    [[nodiscard]] RingTotals totals() const;
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
    // What is known of one CPU's events of each class: how many were placed, and of how many it is decided whether they
    // were handed out or lost.
    struct Account {
        std::array<uint64_t, FR_CLASS_COUNT> placed{}, decided{};
    };
    [[nodiscard]] Account account(uint32_t cpu) const;
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
    struct Refused {
        std::array<uint64_t, FR_CLASS_COUNT> skipped{}, failed{}, lost{};
    };
    std::vector<RingCursor> cursors_;
    std::vector<RingMark> bases_;        // what resume() was given
    mutable std::vector<Refused> told_;  // by totals()
    std::vector<Refused> stored_;        // of them, in a ledger that was stored
    std::vector<std::byte> buffer_;
};

}  // namespace flightrec::kernel
