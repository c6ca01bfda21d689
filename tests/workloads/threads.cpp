// SPDX-License-Identifier: Apache-2.0
// A process of --threads N more threads that then ends: --end exit (exit_group by one), kill (SIGKILL to itself), each
// (one after the other), or hold (sleeps --hold MS first).
#include <pthread.h>
#include <signal.h>

#include "common.h"

namespace {

bool each;

void* work(void*) {
    if (each) return nullptr;
    for (;;) pause();
}

}  // namespace

int main(int argc, char** argv) {
    const long count = option_number(argc, argv, "--threads", 8);
    const char* end = option(argc, argv, "--end", "exit");
    each = strcmp(end, "each") == 0;
    pthread_t threads[64];
    for (long i = 0; i < count && i < 64; ++i)
        if (pthread_create(&threads[i], nullptr, work, nullptr) != 0) return 3;
    printf("threads %ld\n", count);
    fflush(stdout);
    if (each)
        for (long i = 0; i < count && i < 64; ++i) pthread_join(threads[i], nullptr);
    if (strcmp(end, "hold") == 0) sleep_ms(option_number(argc, argv, "--hold", 60000));
    if (strcmp(end, "kill") == 0) kill(getpid(), SIGKILL);
    _exit(5);
}
