// SPDX-License-Identifier: Apache-2.0
// What the machine was doing before a moment: which system calls, which failed, who made most of them. For dumps that
// somebody asked for.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "schemas/syscalls/syscalls.h"
#include "userspace/flight/reader.h"

namespace flightrec::replay {

struct CallActivity {
    struct Slow {
        uint64_t time_ns = 0, duration_ns = 0;
        uint32_t pid = 0;
        std::string syscall;
    };
    uint64_t from_ns = 0, to_ns = 0;  // what was read
    uint64_t calls = 0, failed = 0;
    // Most frequent first.
    std::vector<std::pair<std::string, uint64_t>> by_name;   // "openat"
    std::vector<std::pair<std::string, uint64_t>> by_error;  // "openat ENOENT"
    std::vector<std::pair<uint32_t, uint64_t>> by_pid;
    std::vector<Slow> slow;  // calls of 100 ms and more that are not there to wait, slowest first; at most 5
};

// Reads the system calls that returned in [from_ns, to_ns]; those that were recorded at their entry only do not count.
[[nodiscard]] CallActivity read_activity(const flight::FlightFile& file, uint64_t from_ns, uint64_t to_ns,
                                         schemas::Arch arch);

}  // namespace flightrec::replay
