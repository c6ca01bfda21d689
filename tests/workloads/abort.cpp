// SPDX-License-Identifier: Apache-2.0
// Calls abort() (SIGABRT) after --delay MS.
#include "common.h"

int main(int argc, char** argv) {
    sleep_ms(option_number(argc, argv, "--delay", 0));
    abort();
}
