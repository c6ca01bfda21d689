// SPDX-License-Identifier: Apache-2.0
// Makes --count processes that live for a moment; --exec PROGRAM runs it in each; child i exits with i % 100.
#include <sys/wait.h>

#include "common.h"

int main(int argc, char** argv) {
    const long count = option_number(argc, argv, "--count", 100);
    const char* program = option(argc, argv, "--exec", nullptr);
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child < 0) {
            perror("short_lived: fork");
            return 3;
        }
        if (child == 0) {
            char number[32];
            snprintf(number, sizeof number, "%ld", i);
            if (program != nullptr) execl(program, program, number, static_cast<char*>(nullptr));
            _exit(program != nullptr ? 127 : static_cast<int>(i % 100));
        }
        if (waitpid(child, nullptr, 0) < 0) {
            perror("short_lived: waitpid");
            return 3;
        }
    }
    printf("processes %ld\n", count);
    return 0;
}
