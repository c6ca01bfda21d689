// SPDX-License-Identifier: Apache-2.0
// Makes known system calls --count times: --call getppid|openat|failopen|mix; --sleep US between; prints how many.
#include <fcntl.h>
#include <sys/syscall.h>

#include "common.h"

int main(int argc, char** argv) {
    const char* call = option(argc, argv, "--call", "getppid");
    const long count = option_number(argc, argv, "--count", 1000);
    const long pause_us = option_number(argc, argv, "--sleep", 0);
    const bool mix = strcmp(call, "mix") == 0;
    long made = 0;
    for (long i = 0; i < count; ++i) {
        if (mix || strcmp(call, "getppid") == 0) {
            syscall(SYS_getppid);
            ++made;
        }
        if (mix || strcmp(call, "openat") == 0) {
            const long fd = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
            if (fd >= 0) syscall(SYS_close, fd);
            made += 2;
        }
        if (mix || strcmp(call, "failopen") == 0) {
            syscall(SYS_openat, AT_FDCWD, "/nonexistent/flightrec", O_RDONLY, 0);
            ++made;
        }
        if (pause_us > 0) usleep(static_cast<useconds_t>(pause_us));
    }
    if (made == 0) {
        fprintf(stderr, "syscall_loop: --call is getppid, openat, failopen or mix, not '%s'\n", call);
        return 2;
    }
    printf("calls %ld\n", made);
    return 0;
}
