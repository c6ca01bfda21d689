// SPDX-License-Identifier: Apache-2.0
// Runs itself with an argv that is hard to print: control characters, quotes, newlines, invalid UTF-8, an empty
// argument, a long one of --long bytes; and with a comm that is no better.
#include <sys/prctl.h>

#include "common.h"

int main(int argc, char** argv) {
    if (getenv("ARGV_WEIRD") != nullptr) {
        prctl(PR_SET_NAME, "we\x1b[31m\"ird\xff\n");
        printf("argc %d\n", argc);
        return 0;
    }
    const long length = option_number(argc, argv, "--long", 9000);
    char* tail = static_cast<char*>(malloc(static_cast<size_t>(length) + 1));
    if (tail == nullptr) return 3;
    memset(tail, 'L', static_cast<size_t>(length));
    tail[length] = '\0';
    setenv("ARGV_WEIRD", "1", 1);
    execl("/proc/self/exe", "argv_weird", "", "esc \x1b[31mred", "quote \"double\" 'single' \\", "line\nbreak\ttab",
          "bad \xff\xfe utf-8 \xc3", "ümlaut ✈", tail, static_cast<char*>(nullptr));
    perror("argv_weird: exec");
    return 3;
}
