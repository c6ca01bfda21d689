// SPDX-License-Identifier: Apache-2.0
// The kernel's own report of an OOM kill, out of the lines of the kernel log. Pure.
//
// Source: mm/oom_kill.c (dump_header, oom_kill_process, __oom_kill_process) and mm/memcontrol.c
// (mem_cgroup_print_oom_meminfo) of Linux 5.10 to 6.18.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flightrec::replay {

// "Memory cgroup out of memory: Killed process 812 (python3) total-vm:…kB, anon-rss:…kB, file-rss:…kB, shmem-rss:…kB,
// UID:0 pgtables:…kB oom_score_adj:0"; sizes in bytes.
struct KilledLine {
    uint32_t pid = 0;
    std::string comm;
    bool cgroup = false;  // "Memory cgroup out of memory"
    uint64_t total_vm = 0, anon = 0, file = 0, shmem = 0;
    std::optional<uint64_t> page_tables;
    std::optional<uint32_t> uid;
    std::optional<int32_t> oom_score_adj;
};
[[nodiscard]] std::optional<KilledLine> parse_killed_line(std::string_view text);

// "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
struct InvokedLine {
    std::string comm;
    uint32_t gfp_mask = 0;
    int32_t order = 0;
};
[[nodiscard]] std::optional<InvokedLine> parse_invoked_line(std::string_view text);

// "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/x,task_memcg=/x/y,
// task=python3,pid=812,uid=0"; oom_memcg is empty for "global_oom".
struct ConstraintLine {
    std::string constraint, oom_cgroup, task_cgroup;
    uint32_t pid = 0;
};
[[nodiscard]] std::optional<ConstraintLine> parse_constraint_line(std::string_view text);

// "memory: usage 65536kB, limit 65536kB, failcnt 23"; sizes in bytes.
struct UsageLine {
    uint64_t usage = 0, limit = 0, failures = 0;
};
[[nodiscard]] std::optional<UsageLine> parse_usage_line(std::string_view text);

// A line of such a report that says something a reader wants: one of the above, memory of the machine, the reaper.
[[nodiscard]] bool is_oom_line(std::string_view text);

}  // namespace flightrec::replay
