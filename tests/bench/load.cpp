// SPDX-License-Identifier: Apache-2.0
// The measured load: system calls in batches of about a tenth of a millisecond, on one CPU. Prints JSON: the lower
// quartile over the batches of the wall time and of the thread's CPU time of one operation.
//
//   load CALL SECONDS CPU [PROGRAM]   CALL: getppid, open (openat and close of PROGRAM or another existing file), fork
//                                     (fork, exec of PROGRAM, exit, wait), sleepers (SECONDS is how many). Measures
//                                     once for every byte of its input, at least once: before, while and after it is
//                                     recorded.
//   load storm FILE CPU               getppid for ever; how many, and in what CPU time, stands in the file for each
//                                     millisecond, which it maps.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

namespace {

double now(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

const char* program = nullptr;

bool call_once(char kind) {
    if (kind == 'g') return syscall(SYS_getppid) >= 0;
    if (kind == 'o') {
        const char* path = program != nullptr ? program : "/usr/bin/env";
        const long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        return fd >= 0 && syscall(SYS_close, fd) == 0;
    }
    const pid_t child = vfork();
    if (child == 0) {
        execl(program, program, static_cast<char*>(nullptr));
        _exit(127);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

// Children that do nothing, until the end of the input.
int sleepers(long count) {
    std::vector<pid_t> children;
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child == 0)
            for (;;) pause();
        if (child < 0) break;
        children.push_back(child);
    }
    printf("%zu\n", children.size());
    fflush(stdout);
    char byte = 0;
    while (read(0, &byte, 1) > 0) {
    }
    for (const pid_t child : children) kill(child, SIGKILL);
    for (const pid_t child : children) waitpid(child, nullptr, 0);
    return 0;
}

struct Bin {
    long calls, cpu_ns;
};

// Calls made and CPU time taken in each millisecond of CLOCK_MONOTONIC, in the last 65536 of them.
int storm(const char* path) {
    constexpr long bins = 65536;
    const int fd = open(path, O_RDWR);
    void* at = fd < 0 ? MAP_FAILED : mmap(nullptr, bins * sizeof(Bin), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        perror(path);
        return 1;
    }
    Bin* made = static_cast<Bin*>(at);
    const auto millisecond = [] { return static_cast<long>(now(CLOCK_MONOTONIC) / 1e6); };
    double cpu = now(CLOCK_THREAD_CPUTIME_ID);
    long calls = 0;
    for (long bin = millisecond();;) {
        for (int i = 0; i < 100; ++i) syscall(SYS_getppid);
        calls += 100;
        const long at_ms = millisecond();
        if (at_ms == bin) continue;
        const double cpu_now = now(CLOCK_THREAD_CPUTIME_ID);
        made[bin % bins] = {calls, static_cast<long>(cpu_now - cpu)};
        while (++bin < at_ms) made[bin % bins] = {};
        calls = 0;
        cpu = cpu_now;
    }
}

// Batches that were interrupted, or shared the core, lie above it.
double lower_quartile(std::vector<double>& v) {
    std::nth_element(v.begin(), v.begin() + static_cast<long>(v.size() / 4), v.end());
    return v[v.size() / 4];
}

// One measurement of `seconds`, printed as a line.
bool measure(char kind, double seconds) {
    const int batch = kind == 'g' ? 400 : kind == 'o' ? 40 : 1;
    static std::vector<double> wall, cpu;
    wall.clear();
    cpu.clear();
    wall.reserve(1 << 20);
    cpu.reserve(1 << 20);
    long made = 0;
    const double began = now(CLOCK_MONOTONIC);
    while (now(CLOCK_MONOTONIC) < began + seconds * 1e9) {
        const double w = now(CLOCK_MONOTONIC), c = now(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < batch; ++i)
            if (!call_once(kind)) {
                perror("load");
                return false;
            }
        cpu.push_back((now(CLOCK_THREAD_CPUTIME_ID) - c) / batch);
        wall.push_back((now(CLOCK_MONOTONIC) - w) / batch);
        made += batch;
    }
    const double mean = (now(CLOCK_MONOTONIC) - began) / static_cast<double>(made);
    printf("{\"operations\": %ld, \"wall_ns\": %.2f, \"cpu_ns\": %.2f, \"mean_wall_ns\": %.2f}\n", made,
           lower_quartile(wall), lower_quartile(cpu), mean);
    fflush(stdout);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    const char kind = argv[1][0];
    if (strcmp(argv[1], "sleepers") == 0) return sleepers(atol(argv[2]));
    const double seconds = atof(argv[2]);
    program = argc > 4 ? argv[4] : nullptr;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(atoi(argv[3])), &set);
    sched_setaffinity(0, sizeof set, &set);
    if (strcmp(argv[1], "storm") == 0) return storm(argv[2]);
    for (int done = 0;; ++done) {
        char byte = 0;
        const ssize_t n = read(0, &byte, 1);
        if (n < 0) return 1;
        if (n == 0 && done > 0) return 0;
        if (!measure(kind, seconds)) return 1;
        if (n == 0) return 0;
    }
}
