// SPDX-License-Identifier: Apache-2.0
// Forks until fork fails or --max children exist, holds them --hold MS, then ends them all; prints how many and why.
// Its children are gone when it ends. --nproc N sets RLIMIT_NPROC, --uid N becomes that user first (root is not held by
// that limit). With --again MS it tries to fork that often while it holds them, and prints "forks again" when
// one succeeds.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <vector>

#include "common.h"

int main(int argc, char** argv) {
    const long max = option_number(argc, argv, "--max", 200);
    const long hold = option_number(argc, argv, "--hold", 200);
    const long again = option_number(argc, argv, "--again", 0);
    become_user(argc, argv);
    const long nproc = option_number(argc, argv, "--nproc", 0), uid = option_number(argc, argv, "--uid", 0);
    const rlimit limit{static_cast<rlim_t>(nproc), static_cast<rlim_t>(nproc)};
    if (nproc > 0 && setrlimit(RLIMIT_NPROC, &limit) != 0) return 3;
    if (uid > 0 && (setgid(static_cast<gid_t>(uid)) != 0 || setuid(static_cast<uid_t>(uid)) != 0)) return 3;
    const pid_t parent = getpid();
    std::vector<pid_t> children;
    children.reserve(static_cast<size_t>(max));
    int error = 0;
    while (static_cast<long>(children.size()) < max) {
        const pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) _exit(0);
            for (;;) pause();
        }
        if (child < 0) {
            error = errno;
            break;
        }
        children.push_back(child);
    }
    printf("children %zu errno %d (%s)\n", children.size(), error, error != 0 ? strerror(error) : "none");
    fflush(stdout);
    for (long slept = 0; again > 0 && slept < hold; slept += again) {
        sleep_ms(again);
        const pid_t child = fork();
        if (child == 0) _exit(0);
        if (child < 0) continue;
        waitpid(child, nullptr, 0);
        printf("forks again\n");
        fflush(stdout);
    }
    if (again == 0) sleep_ms(hold);
    for (const pid_t child : children) kill(child, SIGKILL);
    for (const pid_t child : children) waitpid(child, nullptr, 0);
    return error != 0 ? 1 : 0;
}
