// SPDX-License-Identifier: Apache-2.0
// Dies of SIGSEGV below --depth named functions: --address N (default 0, a null pointer), --write, --delay MS; --leaf:
// in a function without a frame.
#include <stdint.h>

#include "common.h"

namespace {
volatile uintptr_t address = 0;
volatile int sink = 0;
bool writes = false;
}  // namespace

// A leaf as compilers make them without frame pointers: nothing but the access and the return.
#if defined(__x86_64__)
asm(".text\n.globl crash_leaf\n.type crash_leaf, @function\ncrash_leaf:\n movl (%rdi), %eax\n ret\n"
    ".size crash_leaf, . - crash_leaf\n");
#elif defined(__aarch64__)
asm(".text\n.globl crash_leaf\n.type crash_leaf, %function\ncrash_leaf:\n ldr w0, [x0]\n ret\n"
    ".size crash_leaf, . - crash_leaf\n");
#endif

extern "C" {
int crash_leaf(uintptr_t at);

__attribute__((noinline)) void call_leaf() {
    sink = crash_leaf(address);
    sink = sink + 1;
}
__attribute__((noinline)) void above_leaf() {
    call_leaf();
    sink = sink + 1;
}

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
    if (flag(argc, argv, "--leaf")) above_leaf();
    switch (depth) {
        case 0: crash_here(); break;
        case 1: level_1(); break;
        case 2: level_2(); break;
        case 3: level_3(); break;
        default: level_n(depth - 4); break;
    }
    return 1;
}
