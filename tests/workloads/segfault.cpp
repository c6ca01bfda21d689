// SPDX-License-Identifier: Apache-2.0
// Dies of SIGSEGV below --depth named functions: --address N (default 0, a null pointer), --write, --delay MS.
#include <stdint.h>

#include "common.h"

namespace {
volatile uintptr_t address = 0;
volatile int sink = 0;
bool writes = false;
}  // namespace

extern "C" {
// Named and never inlined, so that a stack of them can be recognised: crash_here < level_1 < level_2 … < main.
__attribute__((noinline)) void crash_here() {
    auto* target = reinterpret_cast<volatile int*>(address);
    if (writes) {
        *target = 1;
    } else {
        sink = *target;
    }
    sink = sink + 1;
}
__attribute__((noinline)) void level_1() {
    crash_here();
    sink = sink + 1;
}
__attribute__((noinline)) void level_2() {
    level_1();
    sink = sink + 1;
}
__attribute__((noinline)) void level_3() {
    level_2();
    sink = sink + 1;
}
// More levels than have names: level_n calls itself.
__attribute__((noinline)) void level_n(long more) {
    if (more > 0) {
        level_n(more - 1);
    } else {
        level_3();
    }
    sink = sink + 1;
}
}

int main(int argc, char** argv) {
    const long depth = option_number(argc, argv, "--depth", 3);
    address = static_cast<uintptr_t>(option_number(argc, argv, "--address", 0));
    writes = flag(argc, argv, "--write");
    sleep_ms(option_number(argc, argv, "--delay", 0));
    switch (depth) {
        case 0: crash_here(); break;
        case 1: level_1(); break;
        case 2: level_2(); break;
        case 3: level_3(); break;
        default: level_n(depth - 4); break;
    }
    return 1;
}
