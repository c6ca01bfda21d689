// SPDX-License-Identifier: Apache-2.0
// Makes numbered calls until SIGTERM: lseek(fd, N) with N = 1, 2, 3, …, about --rate a second, paced without further
// system calls, or with naps of --nap US where it is ahead. Every --fork N calls a child that exits at once (0: none).
// Prints the last number and the children.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

namespace {

volatile sig_atomic_t stopping = 0;

long now_us() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);  // vdso: no system call
    return t.tv_sec * 1'000'000 + t.tv_nsec / 1000;
}

}  // namespace

int main(int argc, char** argv) {
    const long rate = option_number(argc, argv, "--rate", 5000);
    const long nap_us = option_number(argc, argv, "--nap", 0);
    const long fork_every = option_number(argc, argv, "--fork", 0);
    struct sigaction action {};
    action.sa_handler = [](int) { stopping = 1; };
    sigaction(SIGTERM, &action, nullptr);
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror("numbered_calls: /proc/self/exe");
        return 3;
    }
    long number = 0, children = 0;
    const long began = now_us();
    while (stopping == 0) {
        while (stopping == 0 && now_us() < began + number * 1'000'000 / rate)
            if (nap_us > 0) usleep(static_cast<useconds_t>(nap_us));
        lseek(fd, ++number, SEEK_SET);
        if (fork_every == 0 || number % fork_every != 0) continue;
        const pid_t child = fork();
        if (child == 0) _exit(0);
        if (child > 0 && waitpid(child, nullptr, 0) == child) ++children;
    }
    printf("calls %ld children %ld\n", number, children);
    return 0;
}
