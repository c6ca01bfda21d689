// SPDX-License-Identifier: Apache-2.0
// A supervisor that restarts what keeps dying: --count attempts, --sleep MS between, --signal N (default SIGSEGV).
// Each attempt is exec'd with argv "crash_loop --attempt I", so that attempts can be told apart.
#include <signal.h>
#include <sys/wait.h>

#include "common.h"

int main(int argc, char** argv) {
    const int signal_number = static_cast<int>(option_number(argc, argv, "--signal", SIGSEGV));
    if (option(argc, argv, "--attempt", nullptr) != nullptr) {
        raise(signal_number);
        return 1;
    }
    const long count = option_number(argc, argv, "--count", 10);
    const long sleep = option_number(argc, argv, "--sleep", 10);
    long died = 0;
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child < 0) {
            perror("crash_loop: fork");
            return 3;
        }
        if (child == 0) {
            char attempt[32];
            char number[32];
            snprintf(attempt, sizeof attempt, "%ld", i);
            snprintf(number, sizeof number, "%d", signal_number);
            execl("/proc/self/exe", "crash_loop", "--attempt", attempt, "--signal", number,
                  static_cast<char*>(nullptr));
            _exit(127);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) ++died;
        sleep_ms(sleep);
    }
    printf("attempts %ld died %ld\n", count, died);
    return died == count ? 0 : 1;
}
