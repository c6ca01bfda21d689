// SPDX-License-Identifier: Apache-2.0
// Makes memory allocations fail: --kind mmap (RLIMIT_AS), brk (RLIMIT_DATA) or mlock (RLIMIT_MEMLOCK).
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common.h"

namespace {

void limit(int what, rlim_t bytes) {
    const rlimit value{bytes, bytes};
    setrlimit(static_cast<__rlimit_resource>(what), &value);
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
    return -1;
}

}  // namespace

int main(int argc, char** argv) {
    const char* kind = option(argc, argv, "--kind", "mmap");
    const int error = attempt(kind);
    if (error < 0) {
        fprintf(stderr, "alloc_fail: --kind is mmap, brk or mlock, not '%s'\n", kind);
        return 2;
    }
    printf("errno %d (%s)\n", error, strerror(error));
    return error == ENOMEM ? 0 : 1;
}
