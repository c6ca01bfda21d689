// SPDX-License-Identifier: Apache-2.0
#include "userspace/kernel/ring_reader.h"

#include <algorithm>

namespace flightrec::kernel {
namespace {
// Stays in the near caches until it is encoded, beside the tables of the encoder.
constexpr size_t copy_bytes = 32 * 1024;
// A writer runs with preemption off: a record that is unfinished for so long never will be.
constexpr uint64_t stall_limit_ns = 1'000'000'000;
}  // namespace

RingReader::RingReader(const std::byte* memory, uint32_t cpus, uint32_t ring_size, uint64_t stride, uint32_t page,
                       uint32_t ahead)
    : memory_(memory),
      size_(ring_size),
      page_(page),
      ahead_(ahead),
      stride_(stride),
      cursors_(cpus),
      bases_(cpus),
      drained_before_(cpus),
      told_(cpus),
      prepared_(cpus),
      stored_(cpus),
      prepared_told_(cpus),
      buffer_(std::max<size_t>(copy_bytes, page)) {}

// The lowest page start from which nothing can have been overwritten while `reserved` was the writer's position.
uint64_t RingReader::oldest_safe(uint32_t, uint64_t reserved) const {
    if (reserved + ahead_ <= size_) return 0;
    const uint64_t lowest = reserved + ahead_ - size_;
    return (lowest + page_ - 1) & ~uint64_t{page_ - 1};
}

uint64_t RingReader::finished(uint32_t cpu, uint64_t position, uint64_t length) const {
    const std::byte* data = memory_ + cpu * stride_ + FR_RING_HEAD_SIZE;
    uint64_t at = 0;
    while (at < length) {
        const uint32_t room = page_ - static_cast<uint32_t>((position + at) & (page_ - 1));
        if (room < sizeof(fr_event)) {
            at += room;
            continue;
        }
        const auto& event = *reinterpret_cast<const fr_event*>(data + ((position + at) & (size_ - 1)));
        if (load(event.stamp) != position + at + 1) break;
        const uint16_t size = __atomic_load_n(&event.size, __ATOMIC_RELAXED);
        if (size < sizeof(fr_event) || size > room) break;
        at += size;
    }
    return std::min(at, length);
}

RingReader::Chunk RingReader::next_chunk(uint32_t cpu) {
    RingCursor& cursor = cursors_[cpu];
    const fr_ring_head& ring = head(cpu);
    for (;;) {
        const uint64_t reserved = load(ring.reserved);
        const uint64_t safe = oldest_safe(cpu, reserved);
        if (cursor.position < safe) {
            cursor.position = std::min(safe, reserved);
            ++cursor.overruns;
        }
        if (cursor.position >= reserved) return {};
        const uint64_t offset = cursor.position & (size_ - 1);
        uint64_t length = std::min<uint64_t>(reserved - cursor.position, size_ - offset);
        if (length > buffer_.size())  // end at a page, so that no record is cut
            length = ((cursor.position + buffer_.size()) & ~uint64_t{page_ - 1}) - cursor.position;
        // Writers of the vital track may be nested: a record before the position may be unfinished. Its stamp must be
        // seen before its bytes are copied, or the stamp could be newer than they are.
        if (ahead_ == 0) {
            const uint64_t whole = finished(cpu, cursor.position, length);
            if (whole == 0 && oldest_safe(cpu, load(ring.reserved)) <= cursor.position) {
                if (!give_up_stalled(cursor)) return {};
                continue;
            }
            length = whole;
        }
        std::memcpy(buffer_.data(), memory_ + cpu * stride_ + FR_RING_HEAD_SIZE + offset, length);
        // The copy must be complete before `reserved` is read again.
        std::atomic_thread_fence(std::memory_order_acquire);
        if (oldest_safe(cpu, load(ring.reserved)) <= cursor.position)
            return {{buffer_.data(), length}, cursor.position};
    }
}

// An unfinished record: false while it may yet be finished; then gives up the rest of its page.
bool RingReader::give_up_stalled(RingCursor& cursor) {
    const uint64_t now = boot_ns();
    if (cursor.stalled_at != cursor.position || cursor.stalled_since_ns == 0) {
        cursor.stalled_at = cursor.position;
        cursor.stalled_since_ns = now;
        return false;
    }
    if (now - cursor.stalled_since_ns < stall_limit_ns) return false;
    ++cursor.torn;
    cursor.stalled_since_ns = 0;
    cursor.position = (cursor.position | (page_ - 1)) + 1;
    return true;
}

uint64_t RingReader::backlog(uint32_t cpu) const {
    const uint64_t reserved = load(head(cpu).reserved);
    return reserved > cursors_[cpu].position ? reserved - cursors_[cpu].position : 0;
}

// The writer of the syscall track counts a record before it moves `reserved` on, and `busy` is set around both; on the
// vital track `reserved` moves first, and every record below it was seen finished.
void RingReader::settle(uint32_t cpu) {
    RingCursor& cursor = cursors_[cpu];
    const fr_ring_head& ring = head(cpu);
    if (cursor.position != load(ring.reserved)) return;
    std::array<uint64_t, FR_CLASS_COUNT> placed{};
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) placed[c] = load(ring.placed[c]);
    if (load(ring.busy) != 0 || cursor.position != load(ring.reserved)) return;
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) cursor.next_seq[c] = std::max(cursor.next_seq[c], placed[c]);
}

uint64_t RingReader::overwritten(uint32_t cpu) const {
    uint64_t sum = 0;
    const RingCursor& cursor = cursors_[cpu];
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c)
        sum += cursor.next_seq[c] - std::min(cursor.next_seq[c], cursor.drained[c]);
    return sum;
}

// What an earlier ledger told counts as handed out.
void RingReader::resume(uint32_t cpu, const RingMark& mark, const RingTold& told) {
    RingCursor& cursor = cursors_[cpu];
    cursor.position = mark.position;
    cursor.next_seq = mark.next_seq;
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) {
        const uint64_t untold = mark.lost[c] - std::min(mark.lost[c], told.lost[c]);
        cursor.drained[c] = mark.next_seq[c] - std::min(untold, mark.next_seq[c]);
        if (untold > 0) cursor.overruns = 1;
    }
    drained_before_[cpu] = cursor.drained;
    bases_[cpu] = prepared_told_[cpu] = told;
    stored_[cpu] = mark;
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) stored_[cpu].lost[c] = std::max(mark.lost[c], told.lost[c]);
    prepared_[cpu] = stored_[cpu];
}

RingMark RingReader::mark(uint32_t cpu) const {
    const RingCursor& cursor = cursors_[cpu];
    RingMark out{cursor.position, cursor.next_seq, {}};
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c)
        out.lost[c] = bases_[cpu].lost[c] + cursor.next_seq[c] - std::min(cursor.next_seq[c], cursor.drained[c]);
    return out;
}

void RingReader::prepare() {
    for (uint32_t cpu = 0; cpu < cpus(); ++cpu) prepared_[cpu] = mark(cpu);
}

void RingReader::commit() { stored_ = prepared_; }
void RingReader::tell() { prepared_told_ = told_; }

RingReader::Timing RingReader::timing(uint8_t cls) const {
    Timing t;
    for (uint32_t cpu = 0; cpu < cursors_.size(); ++cpu) {
        const fr_ring_head& ring = head(cpu);
        t.timed += load(ring.timed);
        t.timed_ns += load(ring.timed_ns);
        t.clock_ns += load(ring.clock_ns);
        t.placed += load(ring.placed[cls]);
        t.skipped += load(ring.skipped[cls]) + load(ring.failed[cls]);
    }
    return t;
}

RingTotals RingReader::totals(Upto upto, bool telling) {
    RingTotals t;
    for (uint32_t cpu = 0; cpu < cpus(); ++cpu) {
        const RingTold& base = bases_[cpu];
        const RingMark until = upto == Upto::cursor ? mark(cpu) : stored_[cpu];
        const fr_ring_head& ring = head(cpu);
        RingTold now;
        for (size_t c = 0; c < FR_CLASS_COUNT; ++c) {
            now.skipped[c] = load(ring.skipped[c]);
            now.failed[c] = load(ring.failed[c]);
            now.lost[c] = until.lost[c];
            const uint64_t placed = std::max(load(ring.placed[c]), until.next_seq[c]);
            const uint64_t overwritten = now.lost[c] - base.lost[c];
            const uint64_t skipped = now.skipped[c] - base.skipped[c], failed = now.failed[c] - base.failed[c];
            t.produced[c] += placed - drained_before_[cpu][c] + skipped + failed;
            t.drained[c] += until.next_seq[c] - overwritten - drained_before_[cpu][c];
            t.overwritten[c] += overwritten;
            t.pending[c] += placed - until.next_seq[c];
            t.skipped[c] += skipped;
            t.torn[c] += failed;
        }
        if (telling) told_[cpu] = now;
    }
    return t;
}

}  // namespace flightrec::kernel
