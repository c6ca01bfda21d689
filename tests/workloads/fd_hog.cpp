// SPDX-License-Identifier: Apache-2.0
// Opens files until the system has no more (ENFILE) or this process may have no more, keeps at it --hold MS: whatever
// becomes free is taken at once. --uid N: as that user. Prints "full" when it got there.
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "common.h"

int main(int argc, char** argv) {
    const long hold = option_number(argc, argv, "--hold", 1000);
    const long pause_us = option_number(argc, argv, "--pause", 2000);
    become_user(argc, argv);
    timespec begin{}, now{};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    long opened = 0;
    bool full = false;
    do {
        if (open("/dev/null", O_RDONLY) >= 0) {
            ++opened;
        } else {
            if (!full) {
                printf("full %ld errno %d\n", opened, errno);
                fflush(stdout);
            }
            full = true;
            usleep(static_cast<useconds_t>(pause_us));
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1'000'000 < hold);
    return 0;
}
