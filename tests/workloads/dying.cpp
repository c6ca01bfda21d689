// SPDX-License-Identifier: Apache-2.0
// A process that is dying but still has its memory, held so by a tracer, while its parent runs the cgroup out of
// memory:
// --held MB of the dying one, --takes MB of the parent. The OOM killer need not kill it, only mark it.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "common.h"

namespace {

void* wait_for_the_end(void*) {
    for (;;) pause();
}

// Anonymous memory, touched page by page.
bool take(long megabytes) {
    const size_t size = static_cast<size_t>(megabytes) << 20;
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return false;
    for (size_t i = 0; i < size; i += 4096) static_cast<volatile char*>(at)[i] = 1;
    return true;
}

// exit_group() of a process with two threads: told to the tracer before its memory is given back.
[[noreturn]] void die_slowly(long megabytes) {
    pthread_t other;
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(3);
    raise(SIGSTOP);
    if (!take(megabytes) || pthread_create(&other, nullptr, wait_for_the_end, nullptr) != 0) _exit(3);
    _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    const long held = option_number(argc, argv, "--held", 30);
    const long takes = option_number(argc, argv, "--takes", 25);
    int status = 0;
    const pid_t child = fork();
    if (child == 0) die_slowly(held);
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return 3;
    if (ptrace(PTRACE_SETOPTIONS, child, nullptr, reinterpret_cast<void*>(PTRACE_O_TRACEEXIT)) != 0) return 3;
    if (ptrace(PTRACE_CONT, child, nullptr, nullptr) != 0) return 3;
    if (waitpid(child, &status, 0) != child || status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8)) return 3;
    printf("dying %d\n", child);
    fflush(stdout);
    if (!take(takes)) return 4;
    if (ptrace(PTRACE_CONT, child, nullptr, nullptr) != 0 || waitpid(child, &status, 0) != child) return 3;
    printf("ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}
