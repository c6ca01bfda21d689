// SPDX-License-Identifier: Apache-2.0
// Grows until it is killed: --kind anon|tmpfs|mlock|fork|pagetable, --step MB, --sleep MS, --limit MB, --dir TMPFS;
// --node N: on that NUMA node only.
// Prints nothing once it has begun: an OOM kill must find it at a plain page fault or write.
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common.h"

namespace {

constexpr long kMiB = 1 << 20;

void touch(char* memory, long bytes) {
    for (long at = 0; at < bytes; at += 4096) memory[at] = static_cast<char>(at | 1);
}

char* take(long bytes) {
    void* memory = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("oom_hog: mmap");
        exit(3);
    }
    return static_cast<char*>(memory);
}

void grow_anon(long step) { touch(take(step * kMiB), step * kMiB); }

void grow_locked(long step) {
    char* memory = take(step * kMiB);
    if (mlock(memory, static_cast<size_t>(step * kMiB)) != 0) {
        perror("oom_hog: mlock");
        exit(3);
    }
}

// One page touched in every 2 MiB: little resident memory, much in page tables.
void grow_page_tables(long step) {
    const long bytes = step * kMiB * 512;
    char* memory = take(bytes);
    madvise(memory, static_cast<size_t>(bytes), MADV_NOHUGEPAGE);
    for (long at = 0; at < bytes; at += 2 * kMiB) {
        // Reading maps the shared zero page: a page table page each, and nothing else.
        (void)*static_cast<volatile char*>(memory + at);
    }
}

void grow_file(int fd, long step) {
    static char block[65536];
    memset(block, 'x', sizeof block);
    for (long done = 0; done < step * kMiB; done += static_cast<long>(sizeof block)) {
        if (write(fd, block, sizeof block) < 0) {
            perror("oom_hog: write");
            exit(3);
        }
    }
}

int open_filler(const char* dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/oom_hog.%d", dir, static_cast<int>(getpid()));
    const int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(path);
        exit(3);
    }
    return fd;
}

// A child a step, each holding one step: no single process is large.
void grow_by_child(long step) {
    const pid_t child = fork();
    if (child < 0) {
        perror("oom_hog: fork");
        exit(3);
    }
    if (child != 0) return;
    grow_anon(step);
    for (;;) pause();
}

void bind_to_node(long node) {
    if (node < 0) return;
    const unsigned long nodes = 1UL << node;
    if (syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 8 * sizeof nodes) != 0) {
        perror("oom_hog: set_mempolicy");
        exit(3);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const char* kind = option(argc, argv, "--kind", "anon");
    const long step = option_number(argc, argv, "--step", 8);
    const long sleep = option_number(argc, argv, "--sleep", 20);
    const long limit = option_number(argc, argv, "--limit", 1L << 30);
    bind_to_node(option_number(argc, argv, "--node", -1));
    const int filler = strcmp(kind, "tmpfs") == 0 ? open_filler(option(argc, argv, "--dir", "/tmp")) : -1;
    for (long held = 0; held < limit; held += step) {
        if (strcmp(kind, "anon") == 0) {
            grow_anon(step);
        } else if (filler >= 0) {
            grow_file(filler, step);
        } else if (strcmp(kind, "mlock") == 0) {
            grow_locked(step);
        } else if (strcmp(kind, "pagetable") == 0) {
            grow_page_tables(step);
        } else if (strcmp(kind, "fork") == 0) {
            grow_by_child(step);
        } else {
            fprintf(stderr, "oom_hog: --kind is anon, tmpfs, mlock, fork or pagetable, not '%s'\n", kind);
            return 2;
        }
        sleep_ms(sleep);
    }
    for (;;) pause();
}
