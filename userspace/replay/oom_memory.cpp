// SPDX-License-Identifier: Apache-2.0
// Taking apart what an OOM kill's record carries.
#include "userspace/replay/oom_memory.h"

#include <array>
#include <cstring>
#include <optional>

namespace flightrec::replay {
namespace {

struct Field {
    std::string_view key;   // of version 2, of version 1, or of meminfo
    std::string_view part;  // what it is called here
};

// Keys of version 2 and of meminfo never meet; version 1 has its own total_*.
constexpr Field fields[] = {
    {"anon", "anon"},
    {"total_rss", "anon"},
    {"AnonPages", "anon"},
    {"file", "file"},
    {"total_cache", "file"},
    {"Cached", "file"},
    {"shmem", "shmem"},
    {"total_shmem", "shmem"},
    {"Shmem", "shmem"},
    {"slab", "slab"},
    {"Slab", "slab"},
    {"pagetables", "page tables"},
    {"PageTables", "page tables"},
    {"kernel_stack", "kernel stacks"},
    {"KernelStack", "kernel stacks"},
    {"sock", "sock"},
    {"percpu", "percpu"},
    {"Percpu", "percpu"},
    {"vmalloc", "vmalloc"},
    {"total_swap", "swap"},
    {"Mlocked", "locked"},
};
constexpr std::array<std::string_view, 11> order = {"anon", "file",   "shmem",   "slab", "page tables", "kernel stacks",
                                                    "sock", "percpu", "vmalloc", "swap", "locked"};

}  // namespace

std::vector<MemoryPart> memory_parts(std::string_view stat) {
    std::array<std::optional<uint64_t>, order.size()> found{};
    std::optional<uint64_t> swap_total, swap_free;
    for_each_stat(stat, [&](std::string_view key, uint64_t value) {
        if (key == "SwapTotal") swap_total = value;
        if (key == "SwapFree") swap_free = value;
        for (const Field& field : fields) {
            if (field.key != key) continue;
            // In version 1 "shmem" is the group's own; total_shmem, which follows, that of all below.
            for (size_t i = 0; i < order.size(); ++i)
                if (order[i] == field.part) found[i] = value;
        }
    });
    std::vector<MemoryPart> out;
    for (size_t i = 0; i < order.size(); ++i) {
        if (order[i] == "swap" && swap_total && swap_free && *swap_free <= *swap_total)
            found[i] = *swap_total - *swap_free;
        if (found[i]) out.push_back({order[i], *found[i]});
    }
    return out;
}

std::vector<fr_oom_candidate> oom_candidates(std::string_view blob) {
    std::vector<fr_oom_candidate> out(blob.size() / sizeof(fr_oom_candidate));
    if (!out.empty()) std::memcpy(out.data(), blob.data(), out.size() * sizeof(fr_oom_candidate));
    return out;
}

}  // namespace flightrec::replay
