// SPDX-License-Identifier: Apache-2.0
// Attaches the empty programs of floor.bpf.c ("both" or "exit"), says "attached", and ends when its input does.
#include <bpf/libbpf.h>

#include <cstdio>
#include <cstring>
#include <initializer_list>

int main(int argc, char** argv) {
    const bool both = argc > 1 && strcmp(argv[1], "both") == 0;
    if (argc != 2 || (!both && strcmp(argv[1], "exit") != 0)) {
        fprintf(stderr, "floor: give 'both' or 'exit'\n");
        return 2;
    }
    bpf_object* object = bpf_object__open_file(FLIGHTREC_FLOOR_OBJECT, nullptr);
    if (!object || bpf_object__load(object) != 0) {
        perror("floor: cannot load " FLIGHTREC_FLOOR_OBJECT);
        return 1;
    }
    for (const char* name : {"floor_exit", "floor_enter"}) {
        if (!both && strcmp(name, "floor_enter") == 0) continue;
        if (!bpf_program__attach(bpf_object__find_program_by_name(object, name))) {
            perror("floor: cannot attach");
            return 1;
        }
    }
    puts("attached");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
