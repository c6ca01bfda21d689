// SPDX-License-Identifier: Apache-2.0
// The verdict on forks and allocations that failed: which limit refused, and who used it up.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

std::string limit_words(const IncidentSeed& seed) {
    const auto& alloc = seed.alloc;
    std::string numbers;
    if (alloc.limit != 0) numbers = fmt::format(" of {} ({} in use)", alloc.limit, alloc.usage);
    switch (alloc.cause) {
        case FR_FORK_PIDS_CGROUP:
            return fmt::format("the pids limit{} of cgroup {}", numbers,
                               seed.domain.empty() ? "(path not known)" : printable(seed.domain));
        case FR_FORK_RLIMIT_NPROC: return fmt::format("RLIMIT_NPROC{}, processes of one user", numbers);
        case FR_FORK_THREADS_MAX: return fmt::format("threads-max{}, threads of the machine", numbers);
        case FR_FORK_PID_MAX: return fmt::format("pid_max{}, process numbers", numbers);
        case FR_FORK_MEMORY: return "lack of memory";
        case FR_FORK_PIDNS_DEAD: return "its pid namespace, whose init is gone";
        case FR_MEMORY_RLIMIT_AS: return fmt::format("RLIMIT_AS{}, bytes of address space", numbers);
        case FR_MEMORY_RLIMIT_DATA: return fmt::format("RLIMIT_DATA{}, bytes of data", numbers);
        case FR_MEMORY_MAP_COUNT: return fmt::format("vm.max_map_count{}, mappings of one process", numbers);
        default: return "a limit that is not known";
    }
}

std::string error_of(const fr_alloc_failure& alloc) {
    if (alloc.result >= 0 || alloc.result <= -4096) return {};
    return fmt::format(" with {}", errno_name(static_cast<int>(-alloc.result)));
}

// Who made most processes and threads in the minute before.
void add_spawners(const VerdictInput& in, IncidentReport& out) {
    std::map<ProcessIndex, std::pair<uint64_t, uint64_t>> by_maker;  // processes, threads
    uint64_t all = 0;
    uint64_t first = in.seed.time_ns;
    for (const auto& fork : in.digest.forks) {
        if (fork.time_ns + 60 * second < in.seed.time_ns || fork.time_ns > in.seed.time_ns) continue;
        auto& [processes, threads] = by_maker[fork.maker];
        ++(fork.thread ? threads : processes);
        ++all;
        first = std::min(first, fork.time_ns);
    }
    Statement s{"who_spawned", {}, all != 0, {}};
    if (all == 0) {
        s.text = "who filled it is unknown: no fork is in this file before it";
        out.statements.push_back(std::move(s));
        return;
    }
    std::vector<std::pair<ProcessIndex, std::pair<uint64_t, uint64_t>>> sorted(by_maker.begin(), by_maker.end());
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
        return a.second.first + a.second.second > b.second.first + b.second.second;
    });
    s.text = fmt::format("{} processes and threads were made in the {} before it: ", all,
                         format_duration(in.seed.time_ns - first));
    for (size_t i = 0; i < std::min<size_t>(sorted.size(), 5); ++i) {
        const auto& [index, counts] = sorted[i];
        if (i != 0) s.text += ", ";
        if (index == no_process) {
            s.text += "an unknown process";
        } else {
            const Process& maker = in.digest.state.process(index);
            append_process_name(s.text, maker.comm, maker.pid);
        }
        s.text += fmt::format(" {}", counts.first + counts.second);
    }
    out.statements.push_back(std::move(s));
}

// The same counted by program: a fork bomb makes each process once.
void add_programs(const VerdictInput& in, IncidentReport& out) {
    std::map<std::string, uint64_t> by_comm;
    for (const auto& fork : in.digest.forks) {
        if (fork.time_ns + 60 * second < in.seed.time_ns || fork.time_ns > in.seed.time_ns) continue;
        if (fork.maker != no_process) ++by_comm[in.digest.state.process(fork.maker).comm];
    }
    if (by_comm.empty()) return;
    const auto most = std::max_element(by_comm.begin(), by_comm.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    Statement s{"which_program", {}, true, {}};
    s.text = fmt::format("most by processes named \"{}\": {}", escaped(most->first), most->second);
    out.statements.push_back(std::move(s));
}

}  // namespace

void limit_verdict(const VerdictInput& in, IncidentReport& out) {
    const auto& seed = in.seed;
    const std::string times =
        seed.repeats > 1 ? fmt::format(", {} times in {}", seed.repeats, format_duration(seed.last_ns - seed.time_ns))
                         : std::string{};
    if (!seed.has_event) {
        out.cause = "unknown";
        out.verdict =
            fmt::format("{} could not get what it asked for; why is unknown: the event is not in this file", who(seed));
    } else if (seed.kind == IncidentKind::fork_failure) {
        out.cause = fmt::format("fork_{}", fork_cause_name(seed.alloc.cause));
        out.verdict = fmt::format("{} could not make a process or thread{}: refused by {}{}", who(seed),
                                  error_of(seed.alloc), limit_words(seed), times);
    } else {
        out.cause = fmt::format("alloc_{}", alloc_kind_name(seed.alloc.kind));
        std::string gfp;
        append_gfp(gfp, seed.alloc.gfp_mask);
        out.verdict = fmt::format("a kernel memory allocation of order {} failed for {}, gfp {}{}", seed.alloc.order,
                                  who(seed), gfp, times);
    }
    add_identity(in, out);
    Statement why{"why", seed.has_event ? "the first failure" : "only the trigger is in this file", seed.has_event, {}};
    why.evidence.push_back(seed.line);
    for (const auto& line : seed.stack) why.evidence.push_back({seed.time_ns, "  at " + line});
    out.statements.push_back(std::move(why));
    if (seed.kind == IncidentKind::fork_failure) {
        add_spawners(in, out);
        add_programs(in, out);
    } else {
        add_growth(in, out, {});
    }
    add_calls(in, out);
    add_kernel_log(in, out, 2 * second, 2 * second, 20);
    add_machine(in, out);
}

}  // namespace flightrec::replay
