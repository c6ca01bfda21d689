// SPDX-License-Identifier: Apache-2.0
// Attaches the empty programs of floor.bpf.c as told by its argument, says "attached", and again for every line of its
// input; ends when its input does.
//
//   both | exit | none    sys_enter and sys_exit, sys_exit alone, nothing: until the next line
//   bursts ON OFF [both]  sys_exit attached for ON microseconds, detached for OFF, and so on
#include <bpf/libbpf.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

bpf_object* object = nullptr;
bpf_link *enter = nullptr, *leave = nullptr;

bool set(bpf_link*& link, const char* program, bool wanted) {
    if (wanted == (link != nullptr)) return true;
    if (wanted) {
        link = bpf_program__attach(bpf_object__find_program_by_name(object, program));
        if (!link) perror("floor: cannot attach");
        return link != nullptr;
    }
    bpf_link__destroy(link);
    link = nullptr;
    return true;
}

bool attach(bool both, bool exit) { return set(enter, "floor_enter", both) && set(leave, "floor_exit", exit); }

// What the input holds, up to the end of its first line; waits so long for it.
bool line_within(long us, std::string& line) {
    pollfd in{STDIN_FILENO, POLLIN, 0};
    const timespec wait{us / 1'000'000, us % 1'000'000 * 1'000};
    if (ppoll(&in, 1, us < 0 ? nullptr : &wait, nullptr) <= 0) return false;
    line.clear();
    for (char c = 0; read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) line += c;
    return true;
}

// Until the next line, which is left in `line`.
bool bursts(long on_us, long off_us, bool both, std::string& line) {
    while (attach(both, true)) {
        if (line_within(on_us, line)) return true;
        if (!attach(false, false)) return false;
        if (line_within(off_us, line)) return true;
    }
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "floor: give 'both', 'exit' or 'none'\n");
        return 2;
    }
    object = bpf_object__open_file(FLIGHTREC_FLOOR_OBJECT, nullptr);
    if (!object || bpf_object__load(object) != 0) {
        perror("floor: cannot load " FLIGHTREC_FLOOR_OBJECT);
        return 1;
    }
    std::string line = argv[1];
    while (!line.empty()) {
        long on = 0, off = 0;
        char which[8] = "";
        const bool bursting = sscanf(line.c_str(), "bursts %ld %ld %7s", &on, &off, which) >= 2;
        if (!bursting && !attach(line == "both", line != "none")) return 1;
        puts("attached");
        fflush(stdout);
        if (!bursting)
            line_within(-1, line);
        else if (!bursts(on, off, strcmp(which, "both") == 0, line))
            return 1;
    }
    return 0;
}
