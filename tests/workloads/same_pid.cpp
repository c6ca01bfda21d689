// SPDX-License-Identifier: Apache-2.0
// Two processes that have the same pid one after the other: the first fails --count mmap calls (default 5000), the
// second,
// --pause milliseconds later (default 1500), one. Prints the pid.
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common.h"

namespace {

// As fork(2), with the pid that is wished for (0: any); clone3(2), "set_tid".
pid_t fork_as(pid_t pid) {
    struct clone_args arguments = {};
    arguments.exit_signal = SIGCHLD;
    if (pid != 0) {
        arguments.set_tid = reinterpret_cast<uintptr_t>(&pid);
        arguments.set_tid_size = 1;
    }
    return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
}

pid_t run(pid_t wished, long count) {
    const pid_t pid = fork_as(wished);
    if (pid == 0) {
        for (long i = 0; i < count; ++i)
            if (mmap(nullptr, size_t{1} << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) _exit(1);
        _exit(0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        perror("the child");
        exit(3);
    }
    return pid;
}

}  // namespace

int main(int argc, char** argv) {
    const pid_t pid = run(0, option_number(argc, argv, "--count", 5000));
    sleep_ms(option_number(argc, argv, "--pause", 1500));
    if (run(pid, 1) != pid) return 4;
    printf("%d\n", pid);
    return 0;
}
