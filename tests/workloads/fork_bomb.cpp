// SPDX-License-Identifier: Apache-2.0
// Forks until fork fails or --max children exist, holds them --hold MS, then ends them all; prints how many and why.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

int main(int argc, char** argv) {
    const long max = option_number(argc, argv, "--max", 200);
    const long hold = option_number(argc, argv, "--hold", 200);
    const pid_t parent = getpid();
    long made = 0;
    int error = 0;
    while (made < max) {
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
        ++made;
    }
    printf("children %ld errno %d (%s)\n", made, error, error != 0 ? strerror(error) : "none");
    fflush(stdout);
    sleep_ms(hold);
    // The children die with this process: PR_SET_PDEATHSIG.
    return error != 0 ? 1 : 0;
}
