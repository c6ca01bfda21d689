// SPDX-License-Identifier: Apache-2.0
// What an OOM kill's record tells of the memory of the domain that ran out, and of the processes in it. Pure.
//
// Sources: Documentation/admin-guide/cgroup-v2.rst (memory.stat), cgroup-v1/memory.rst (memory.stat; total_* with the
// groups below), filesystems/proc.rst (meminfo).
#pragma once

#include <charconv>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "schemas/flightrec/event.h"

namespace flightrec::replay {

// "anon 4096\nfile 0\n" and "MemTotal:  100 kB\n": take(key, value) for each line; sizes in kB become bytes.
template <class Take>
void for_each_stat(std::string_view lines, Take&& take) {
    while (!lines.empty()) {
        const auto end = lines.find('\n');
        const std::string_view line = lines.substr(0, end);
        lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
        const auto key_end = line.find_first_of(" :");
        if (key_end == std::string_view::npos) continue;
        const auto digit = line.find_first_of("0123456789", key_end);
        if (digit == std::string_view::npos) continue;
        uint64_t value = 0;
        std::from_chars(line.data() + digit, line.data() + line.size(), value);
        take(line.substr(0, key_end), line.ends_with(" kB") ? value * 1024 : value);
    }
}

struct MemoryPart {
    std::string_view name;  // "anon", "page tables", …; static
    uint64_t bytes = 0;
};

// The parts of a memory.stat of either version, or of /proc/meminfo, in a fixed order; those it does not tell are
// left out. Parts overlap as the kernel's do: "file" holds "shmem".
[[nodiscard]] std::vector<MemoryPart> memory_parts(std::string_view stat);

// The processes of a CANDIDATES blob, as the kernel side ordered them.
[[nodiscard]] std::vector<fr_oom_candidate> oom_candidates(std::string_view blob);
[[nodiscard]] inline uint64_t rss_of(const fr_oom_candidate& c) { return c.anon + c.file + c.shmem; }

}  // namespace flightrec::replay
