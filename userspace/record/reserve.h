// SPDX-License-Identifier: Apache-2.0
// What keeps the recorder alive when memory, descriptors and the OOM killer's patience run out: taken once, at start.
//
// malloc(3) is told to serve every thread from one heap that grows by brk(2) only and never shrinks (mallopt(3)). At
// the end of the start that heap is grown by a reserve, and everything is locked and faulted in (mlockall(2)). From
// then on the whole process, libcurl, OpenSSL, zstd and the C++ library included, allocates without asking the kernel;
// usage() tells whether that has held.
#pragma once

#include <cstdint>

#include "userspace/base/result.h"
#include "userspace/record/cgroups.h"
#include "userspace/record/emit.h"

namespace flightrec::record {

class Reserve {
  public:
    // First of all, before any thread: one heap, the limits on descriptors and locked memory raised as far as allowed.
    // What is refused is logged; recording goes on without.
    static void prepare();
    // Whether what take() will lock fits into the control group of this process and those above it. Code::no_space
    // names the group: a locked process that may not be killed would hang there, not die.
    static Result<void> check_room(const SystemPaths& paths, const CgroupMount& memory, uint64_t heap_bytes);
    // Last of the start: grows the heap by `heap_bytes`, touches the stack, locks all memory.
    static Reserve take(uint64_t heap_bytes);

    // Since take(). Sources: sbrk(2), mallinfo2(3), getrusage(2).
    struct Usage {
        uint64_t heap = 0;          // bytes of the heap, the free ones included
        uint64_t in_use = 0;        // of them
        uint64_t grown = 0;         // taken from the kernel because the reserve was used up; 0 is the promise
        uint64_t minor_faults = 0;  // of the whole process; pages of files that were written back are write-protected
        uint64_t major_faults = 0;  // that had to wait for a disk; 0 is the promise
        bool locked = false;
    };
    [[nodiscard]] Usage usage() const;  // any thread

  private:
    uint64_t heap_end_ = 0, minor_ = 0, major_ = 0;
    bool locked_ = false;
};

// oom_score_adj of -1000 ("the OOM killer never takes it", proc(5)); a warning where that is not allowed. `proc`: where
// procfs is mounted.
void protect_from_oom_killer(const char* proc);

}  // namespace flightrec::record
