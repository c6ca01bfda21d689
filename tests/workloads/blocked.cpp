// SPDX-License-Identifier: Apache-2.0
// Waits uninterruptibly (state D) for --hold MS: the parent of a vfork(2) whose child takes its time.
#include "common.h"

namespace {

[[gnu::noinline]] int block(long hold) {
    const pid_t child = vfork();
    if (child == 0) {
        sleep_ms(hold);
        _exit(0);
    }
    return child < 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) { return block(option_number(argc, argv, "--hold", 5000)); }
