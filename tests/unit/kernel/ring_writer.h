// SPDX-License-Identifier: Apache-2.0
// The kernel's side of the rings (schemas/flightrec/event.h, bpf/include/ring.h), in ordinary memory: what the programs
// do.
#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "schemas/flightrec/event.h"

namespace flightrec::kernel::test {

// One CPU's ring. Records carry their number in time_ns, and every byte behind the head is its lowest eight bits.
class RingWriter {
  public:
    static constexpr uint32_t page = 32768;

    // ahead: 0 as on the vital track; two pages as on that of system calls.
    explicit RingWriter(uint32_t pages, uint32_t ahead) : size_(pages * page), ahead_(ahead) {
        void* at = ::mmap(nullptr, length(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) std::abort();
        memory_ = static_cast<std::byte*>(at);
    }
    RingWriter(const RingWriter&) = delete;
    RingWriter& operator=(const RingWriter&) = delete;
    ~RingWriter() { ::munmap(memory_, length()); }

    [[nodiscard]] std::byte* memory() const { return memory_; }
    [[nodiscard]] size_t length() const { return FR_RING_HEAD_SIZE + size_ + page; }
    [[nodiscard]] uint32_t size() const { return size_; }
    [[nodiscard]] uint32_t ahead() const { return ahead_; }
    [[nodiscard]] fr_ring_head& head() const { return *reinterpret_cast<fr_ring_head*>(memory_); }
    [[nodiscard]] fr_event& at(uint64_t position) const {
        return *reinterpret_cast<fr_event*>(memory_ + FR_RING_HEAD_SIZE + (position & (size_ - 1)));
    }

    // Takes a place, as vital_take() and syscall_fit() do: the next page when this one has too little room.
    uint64_t take(uint32_t size) {
        const uint64_t old = head().reserved;
        const uint32_t room = page - static_cast<uint32_t>(old & (page - 1));
        const uint64_t position = size > room ? old + room : old;
        if (position != old && room >= sizeof(fr_event)) {
            fr_event& filler = at(old);
            filler.size = static_cast<uint16_t>(room);
            filler.cls = FR_CLASS_NONE;
            filler.stamp = old + 1;
        }
        head().reserved = position + size;
        return position;
    }
    // Fills it. Without `finish` it has no stamp yet: its writer was interrupted.
    void fill(uint64_t position, uint64_t number, uint8_t cls, uint32_t size, bool finish = true) {
        fr_event& event = at(position);
        event.stamp = 0;
        event.time_ns = number;
        event.class_seq = static_cast<uint32_t>(head().placed[cls]++);
        event.size = static_cast<uint16_t>(size);
        event.cls = cls;
        std::memset(&event + 1, static_cast<int>(number & 0xff), size - sizeof event);
        if (finish) event.stamp = position + 1;
    }
    uint64_t put(uint64_t number, uint32_t size = 64, uint8_t cls = FR_CLASS_SYSCALL) {
        const uint64_t position = take(size);
        fill(position, number, cls, size);
        return position;
    }

  private:
    uint32_t size_, ahead_;
    std::byte* memory_ = nullptr;
};

}  // namespace flightrec::kernel::test
