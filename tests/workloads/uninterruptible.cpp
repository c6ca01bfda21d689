// SPDX-License-Identifier: Apache-2.0
// Waits in state D for --seconds N: the parent of a vfork() child that takes its time cannot be interrupted.
#include "common.h"

int main(int argc, char** argv) {
    const long seconds = option_number(argc, argv, "--seconds", 15);
    const pid_t child = vfork();
    if (child < 0) {
        perror("uninterruptible: vfork");
        return 3;
    }
    if (child == 0) {
        for (long i = 0; i < seconds * 10; ++i) usleep(100000);
        _exit(0);
    }
    return 0;
}
