// SPDX-License-Identifier: Apache-2.0
// Dies of SIGSEGV with --count mappings (default 60000) and --files files mapped as code (default 500), made in
// --folder and spread among them; writes the lines of /proc/self/maps that have a file mapped as code before.
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "common.h"

namespace {

constexpr long kPage = 4096;

void stop_with(const char* what) {
    perror(what);
    exit(3);
}

// `count` mappings in a row: neighbours differ in their rights, so that the kernel does not make one of them.
void map_many(long count) {
    auto* at = static_cast<char*>(mmap(nullptr, static_cast<size_t>(count * kPage), PROT_NONE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (at == MAP_FAILED) stop_with("mmap");
    for (long i = 0; i < count; i += 2)
        if (mprotect(at + i * kPage, kPage, PROT_READ) != 0) stop_with("mprotect");
}

void map_file(const char* folder, long number) {
    char path[256];
    snprintf(path, sizeof path, "%s/%ld", folder, number);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0 || ftruncate(fd, kPage) != 0) stop_with(path);
    if (mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED) stop_with("mmap of a file");
    close(fd);
}

void print_code() {
    FILE* maps = fopen("/proc/self/maps", "re");
    if (maps == nullptr) stop_with("/proc/self/maps");
    char line[1024];
    while (fgets(line, sizeof line, maps) != nullptr)
        if (strstr(line, "x") != nullptr && strchr(line, '/') != nullptr && strstr(line, "r-xp") != nullptr)
            fputs(line, stdout);
    fclose(maps);
    fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const long count = option_number(argc, argv, "--count", 60000), files = option_number(argc, argv, "--files", 500);
    const char* folder = option(argc, argv, "--folder", "/tmp");
    const long parts = 5;
    long made = 0;
    for (long part = 0; part < parts; ++part) {
        for (; made < files * (part + 1) / parts; ++made) map_file(folder, made);
        map_many(count / parts);
    }
    print_code();
    *reinterpret_cast<volatile int*>(static_cast<uintptr_t>(option_number(argc, argv, "--address", 8))) = 1;
    return 1;
}
