// SPDX-License-Identifier: Apache-2.0
// The verdict on a stall: how long the machine waited for what (PSI), and which tasks slept in the kernel where.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

constexpr uint64_t look_back_ns = 30 * second;

// From so much on, pressure is called the cause.
constexpr uint32_t cause_full = 1000;  // 10 % of "full"
constexpr uint32_t cause_cpu = 5000;   // 50 % of "some"

struct Pressure {
    std::string_view what;
    uint32_t hundredths;
    uint32_t cause;
};

struct Found {
    Pressure worst{"", 0, 0};  // relative to what makes it a cause
    std::vector<LongWait> waits;
};

bool in_reach(const VerdictInput& in, uint64_t time_ns) {
    return time_ns + look_back_ns >= in.seed.time_ns && time_ns <= in.seed.last_ns + second;
}

Found look(const VerdictInput& in) {
    Found out;
    for (const auto& [time_ns, m] : in.digest.system_samples) {
        if (!in_reach(in, time_ns)) continue;
        for (const Pressure p :
             {Pressure{"memory", m.psi_memory_full_avg10, cause_full}, Pressure{"io", m.psi_io_full_avg10, cause_full},
              Pressure{"cpu", m.psi_cpu_some_avg10, cause_cpu}}) {
            if (p.hundredths == unknown_hundredths || p.hundredths < p.cause) continue;
            if (out.worst.cause == 0 || p.hundredths / p.cause > out.worst.hundredths / out.worst.cause ||
                (p.what == out.worst.what && p.hundredths > out.worst.hundredths))
                out.worst = p;
        }
    }
    std::vector<WaitingTask> tasks;
    for (const auto& task : in.digest.waiting)
        if (in_reach(in, task.time_ns)) tasks.push_back(task);
    out.waits = long_waits(tasks, 3 * second);
    return out;
}

std::string wait_words(const LongWait& wait) {
    std::string out;
    append_process_name(out, wait.comm, wait.pid);
    if (!wait.cgroup.empty() && wait.cgroup != "/") {
        out += " of ";
        append_printable(out, wait.cgroup);
    }
    out += fmt::format(" for {}", format_duration(wait.to_ns - wait.from_ns));
    if (wait.function.empty()) return out + ", in which function is not known";
    out += " in ";
    append_printable(out, wait.function);
    return out;
}

void decide(const Found& found, IncidentReport& out) {
    if (found.worst.cause != 0) {
        out.cause = fmt::format("stall_{}", found.worst.what);
        out.verdict = fmt::format("the machine stalled on {}: {} of ten seconds were lost to it", found.worst.what,
                                  percent(found.worst.hundredths));
        if (!found.waits.empty()) out.verdict += "; longest asleep: " + wait_words(found.waits[0]);
    } else if (!found.waits.empty()) {
        out.cause = "stall_tasks";
        out.verdict = fmt::format("{} hung in uninterruptible sleep: {}{}",
                                  found.waits.size() == 1 ? "a task" : fmt::format("{} tasks", found.waits.size()),
                                  wait_words(found.waits[0]), found.waits.size() > 1 ? ", and others" : "");
    } else {
        out.cause = "stall_unknown";
        out.verdict = "the machine stalled; what it waited for is unknown";
    }
}

void add_pressure(const VerdictInput& in, const Found& found, IncidentReport& out) {
    Statement s{"why", {}, true, {}};
    bool measured = false;
    for (const auto& [time_ns, m] : in.digest.system_samples) {
        if (!in_reach(in, time_ns)) continue;
        for (const auto value : {m.psi_cpu_some_avg10, m.psi_memory_full_avg10, m.psi_io_full_avg10})
            measured = measured || value != unknown_hundredths;
        s.evidence.push_back(
            {time_ns,
             fmt::format("pressure cpu {} some, memory {} some, {} full, io {} some, {} full; {} tasks blocked",
                         percent(m.psi_cpu_some_avg10), percent(m.psi_memory_some_avg10),
                         percent(m.psi_memory_full_avg10), percent(m.psi_io_some_avg10), percent(m.psi_io_full_avg10),
                         m.blocked == FR_UNKNOWN ? "unknown" : std::to_string(m.blocked))});
    }
    if (s.evidence.size() > 10) s.evidence.erase(s.evidence.begin(), s.evidence.end() - 10);
    if (found.worst.cause != 0) {
        s.text = fmt::format("most pressure was on {}: {} of ten seconds", found.worst.what,
                             percent(found.worst.hundredths));
    } else if (measured) {
        s.text = fmt::format(
            "the machine as a whole did not stall: pressure stayed below {} for memory and io (full) "
            "and {} for cpu (some)",
            percent(cause_full), percent(cause_cpu));
    } else {
        s.known = false;
        s.text = s.evidence.empty() ? "what the machine waited for is unknown: no sample of it then"
                                    : "what the machine waited for is unknown: this kernel does not measure pressure";
    }
    out.statements.push_back(std::move(s));
}

// How long each slept, longest first; without such, what single samples saw.
void add_waiting(const VerdictInput& in, const Found& found, IncidentReport& out) {
    Statement s{"waiting", {}, true, {}};
    std::map<std::string, uint64_t> by_function;
    for (const auto& task : in.digest.waiting)
        if (in_reach(in, task.time_ns))
            ++by_function[task.function.empty() ? "an unknown function" : printable(task.function)];
    if (by_function.empty()) {
        s.known = false;
        s.text = "no task in uninterruptible sleep is in the samples around it";
    } else {
        std::vector<std::pair<std::string, uint64_t>> sorted(by_function.begin(), by_function.end());
        std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
        s.text = "tasks in uninterruptible sleep waited in ";
        for (size_t i = 0; i < std::min<size_t>(sorted.size(), 5); ++i)
            s.text += fmt::format("{}{} ({} samples)", i == 0 ? "" : ", ", sorted[i].first, sorted[i].second);
    }
    for (const auto& wait : found.waits) {
        if (s.evidence.size() == 20) break;
        s.evidence.push_back(
            {wait.from_ns, fmt::format("{}: state D in each of {} samples", wait_words(wait), wait.samples)});
    }
    out.statements.push_back(std::move(s));
}

// Memory cgroups that were held back at a limit meanwhile: who is in them waits for reclaim, whatever the machine has.
void add_limits(const VerdictInput& in, IncidentReport& out) {
    struct Held {
        uint64_t hits = 0, limit = 0;
        Evidence last;
    };
    std::map<std::pair<std::string, bool>, Held> held;
    for (const auto& hit : in.digest.limit_hits) {
        if (!in_reach(in, hit.time_ns)) continue;
        Held& h = held[{hit.path, hit.high}];
        h.hits += hit.hits;
        h.limit = hit.limit;
        h.last = hit.line;
    }
    for (const auto& [which, h] : held) {
        const auto& [path, high] = which;
        Statement s{"limits", {}, true, {h.last}};
        s.text = fmt::format("the memory cgroup {} was held back at its {} of {}, {} times",
                             path.empty() ? "whose path is not known" : printable(path), high ? "memory.high" : "limit",
                             format_bytes(h.limit), h.hits);
        out.statements.push_back(std::move(s));
    }
}

}  // namespace

void stall_verdict(const VerdictInput& in, IncidentReport& out) {
    const Found found = look(in);
    decide(found, out);
    add_pressure(in, found, out);
    add_waiting(in, found, out);
    add_limits(in, out);
    add_growth(in, out, {});
    add_machine(in, out);
    add_kernel_log(in, out, look_back_ns, 2 * second, 30);
}

}  // namespace flightrec::replay
