// SPDX-License-Identifier: Apache-2.0
// Makes memory allocations fail: --kind mmap (RLIMIT_AS), brk (RLIMIT_DATA) or mlock (RLIMIT_MEMLOCK). The kernel's
// own, in a machine of less than 512 MiB: vmalloc (a table of 2^26 descriptors), slab (signals that are queued until
// nothing is free).
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "common.h"

namespace {

void limit(int what, rlim_t bytes) {
    const rlimit value{bytes, bytes};
    setrlimit(static_cast<__rlimit_resource>(what), &value);
}

// fs/file.c:alloc_fdtable() takes eight bytes a descriptor, and tells of no memory as EMFILE. fs.nr_open must allow it.
int grow_descriptors() {
    constexpr int last = (1 << 26) - 1;
    limit(RLIMIT_NOFILE, last + 1);
    return dup2(0, last) < 0 ? (errno == EMFILE ? ENOMEM : errno) : 0;
}

// kernel/signal.c:__sigqueue_alloc() takes each queued signal from its slab cache without waiting for memory
// (GFP_ATOMIC), and tells of none as EAGAIN. What is free but for the last 24 MiB is taken first, for good.
int queue_signals() {
    struct sysinfo machine {};
    sysinfo(&machine);
    const size_t kept = 24UL << 20, available = machine.freeram;
    limit(RLIMIT_SIGPENDING, 100'000'000);
    const size_t taken = available > kept ? available - kept : 4096;
    void* memory =
        mmap(nullptr, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) return errno;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    for (int i = 0; i < 50'000'000; ++i)
        if (sigqueue(getpid(), SIGRTMIN, {}) != 0) {
            const int error = errno == EAGAIN ? ENOMEM : errno;
            munmap(memory, taken);
            return error;
        }
    return 0;
}

// The error of one failing call of the wanted kind; 0 when it did not fail, -1 for an unknown kind.
int attempt(const char* kind) {
    if (strcmp(kind, "mmap") == 0) {
        limit(RLIMIT_AS, 64UL << 20);
        return mmap(nullptr, 256UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
    }
    if (strcmp(kind, "brk") == 0) {
        limit(RLIMIT_DATA, 8UL << 20);
        return sbrk(64 << 20) == reinterpret_cast<void*>(-1) ? errno : 0;
    }
    if (strcmp(kind, "mlock") == 0) {
        // Not for root: CAP_IPC_LOCK passes the limit.
        limit(RLIMIT_MEMLOCK, 4096);
        if (setuid(65534) != 0) return errno;
        void* memory = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return mlock(memory, 1 << 20) != 0 ? errno : 0;
    }
    if (strcmp(kind, "vmalloc") == 0) return grow_descriptors();
    if (strcmp(kind, "slab") == 0) return queue_signals();
    return -1;
}

}  // namespace

int main(int argc, char** argv) {
    const char* kind = option(argc, argv, "--kind", "mmap");
    const int error = attempt(kind);
    if (error < 0) {
        fprintf(stderr, "alloc_fail: --kind is mmap, brk, mlock, vmalloc or slab, not '%s'\n", kind);
        return 2;
    }
    printf("errno %d (%s)\n", error, strerror(error));
    return error == ENOMEM ? 0 : 1;
}
