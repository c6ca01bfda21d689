// SPDX-License-Identifier: Apache-2.0
// Dies of SIGBUS: reads a mapping beyond the end of its file; --dir for the file.
#include <fcntl.h>
#include <sys/mman.h>

#include "common.h"

int main(int argc, char** argv) {
    char path[4096];
    snprintf(path, sizeof path, "%s/sigbus.%d", option(argc, argv, "--dir", "/tmp"), static_cast<int>(getpid()));
    const int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(path);
        return 3;
    }
    unlink(path);
    void* memory = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        perror("sigbus: mmap");
        return 3;
    }
    return *static_cast<volatile char*>(memory);
}
