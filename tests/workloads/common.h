// SPDX-License-Identifier: Apache-2.0
// What the workloads share: options of the form --name value, and one line of text to a file descriptor.
#pragma once

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The value of "--name value" or fallback. Exits with 2 when the value is missing.
static inline const char* option(int argc, char** argv, const char* name, const char* fallback) {
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], name) != 0) continue;
        if (i + 1 >= argc) {
            fprintf(stderr, "%s: %s needs a value\n", argv[0], name);
            exit(2);
        }
        return argv[i + 1];
    }
    return fallback;
}

static inline long option_number(int argc, char** argv, const char* name, long fallback) {
    const char* text = option(argc, argv, name, nullptr);
    if (text == nullptr) return fallback;
    char* end = nullptr;
    const long value = strtol(text, &end, 0);
    if (end == text || *end != '\0') {
        fprintf(stderr, "%s: %s: '%s' is not a number\n", argv[0], name, text);
        exit(2);
    }
    return value;
}

static inline bool flag(int argc, char** argv, const char* name) {
    for (int i = 1; i < argc; ++i)
        if (strcmp(argv[i], name) == 0) return true;
    return false;
}

// "--uid N": becomes that user and group, for good.
static inline void become_user(int argc, char** argv) {
    const long uid = option_number(argc, argv, "--uid", -1);
    if (uid < 0) return;
    if (setgroups(0, nullptr) != 0 || setgid(static_cast<gid_t>(uid)) != 0 || setuid(static_cast<uid_t>(uid)) != 0) {
        perror(argv[0]);
        exit(3);
    }
}

static inline void sleep_ms(long ms) {
    if (ms > 0) usleep(static_cast<useconds_t>(ms * 1000));
}
