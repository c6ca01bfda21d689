// SPDX-License-Identifier: Apache-2.0
// The verdict on an OOM kill: who was killed, what ran out, whose allocation found out, who grew.
//
// The probe's numbers and the kernel's own report are two witnesses: both are shown, a difference is said.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/kernel_oom_report.h"
#include "userspace/replay/names.h"
#include "userspace/replay/oom_memory.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

constexpr uint64_t before_ns = 3 * second;  // the report's lines precede the kill, those of the reaper follow it
constexpr uint64_t after_ns = 5 * second;

// The kernel's lines that belong to one kill.
struct KernelReport {
    std::optional<KilledLine> killed;
    std::optional<InvokedLine> invoked;
    std::optional<ConstraintLine> constraint;
    std::optional<UsageLine> usage;
    Evidence killed_line, invoked_line, constraint_line, usage_line;
};

KernelReport find_kernel_report(const VerdictInput& in) {
    KernelReport out;
    const auto& lines = in.digest.kernel;
    const auto in_reach = [&](const KernelLine& line) {
        return line.time_ns + before_ns >= in.seed.time_ns && line.time_ns <= in.seed.time_ns + after_ns;
    };
    size_t at = lines.size();
    for (size_t i = 0; i < lines.size() && at == lines.size(); ++i) {
        if (!in_reach(lines[i])) continue;
        const auto killed = parse_killed_line(lines[i].text);
        if (!killed || killed->pid != in.seed.pid) continue;
        out.killed = killed;
        out.killed_line = kernel_evidence(lines[i]);
        at = i;
    }
    // The rest of the report stands before that line, back to "invoked oom-killer"; without it, before the kill.
    for (size_t i = at; i-- > 0 && !out.invoked;) {
        const auto& line = lines[i];
        if (!in_reach(line)) {
            if (line.time_ns + before_ns < in.seed.time_ns) break;
            continue;
        }
        if (!out.constraint && (out.constraint = parse_constraint_line(line.text))) {
            out.constraint_line = kernel_evidence(line);
            if (out.constraint->pid != in.seed.pid && !out.killed) out.constraint.reset();
        }
        if (!out.usage && (out.usage = parse_usage_line(line.text))) out.usage_line = kernel_evidence(line);
        if ((out.invoked = parse_invoked_line(line.text))) out.invoked_line = kernel_evidence(line);
    }
    return out;
}

enum class Domain { unknown, machine, cgroup, other };

struct Ran {  // what ran out
    Domain domain = Domain::unknown;
    std::string path;
    std::optional<uint64_t> limit, usage;
    uint64_t failures = 0;
};

Ran what_ran_out(const IncidentSeed& seed, const KernelReport& kernel) {
    Ran out;
    const bool context = seed.has_event && (seed.oom.flags & FR_OOM_CONTEXT_KNOWN) != 0;
    const bool domain = seed.has_event && (seed.oom.flags & FR_OOM_DOMAIN_KNOWN) != 0;
    std::string constraint = context ? std::string(oom_constraint_name(seed.oom.constraint)) : std::string{};
    if (constraint.empty() && kernel.constraint) constraint = kernel.constraint->constraint;
    if (constraint.empty() && domain && seed.oom.domain_cgroup_id != 0) constraint = "CONSTRAINT_MEMCG";
    if (constraint.empty() && kernel.killed)
        constraint = kernel.killed->cgroup ? "CONSTRAINT_MEMCG" : "CONSTRAINT_NONE";
    if (constraint == "CONSTRAINT_MEMCG") {
        out.domain = Domain::cgroup;
        out.path = seed.domain;
        if (out.path.empty() && kernel.constraint) out.path = kernel.constraint->oom_cgroup;
        if (domain && seed.oom.domain_limit != 0) {
            out.limit = seed.oom.domain_limit;
            out.usage = seed.oom.domain_usage;
            out.failures = seed.oom.domain_failures;
        } else if (kernel.usage) {
            out.limit = kernel.usage->limit;
            out.usage = kernel.usage->usage;
            out.failures = kernel.usage->failures;
        }
    } else if (constraint == "CONSTRAINT_NONE") {
        out.domain = Domain::machine;
    } else if (!constraint.empty()) {
        out.domain = Domain::other;
        out.path = constraint;
    }
    return out;
}

std::string domain_words(const Ran& ran) {
    const std::string path = ran.path.empty() ? "whose path is not known" : printable(ran.path);
    switch (ran.domain) {
        case Domain::cgroup:
            return fmt::format("the memory cgroup {} was at its limit{}", path,
                               ran.limit ? " of " + format_bytes(*ran.limit) : "");
        case Domain::machine: return "the machine was out of memory";
        case Domain::other:
            return fmt::format("the memory nodes that its {} allows were exhausted ({})",
                               ran.path == "CONSTRAINT_CPUSET" ? "cpuset" : "memory policy", ran.path);
        case Domain::unknown: return "what ran out of memory is unknown";
    }
    return {};
}

void add_why(const VerdictInput& in, IncidentReport& out, const KernelReport& kernel, const Ran& ran) {
    Statement s{"why", {}, ran.domain != Domain::unknown, {}};
    s.text = domain_words(ran);
    if (ran.domain == Domain::cgroup && ran.usage) {
        s.text += fmt::format("; it used {} in all", format_bytes(*ran.usage));
        if (ran.failures != 0) s.text += fmt::format(", {} charges had failed before", ran.failures);
    }
    if (in.seed.has_event) s.evidence.push_back(in.seed.line);
    if (kernel.constraint) s.evidence.push_back(kernel.constraint_line);
    if (kernel.usage && ran.domain == Domain::cgroup) s.evidence.push_back(kernel.usage_line);
    out.statements.push_back(std::move(s));
}

void add_invoker(const VerdictInput& in, IncidentReport& out, const KernelReport& kernel) {
    Statement s{"invoker", {}, true, {}};
    const auto& oom = in.seed.oom;
    if (in.seed.has_event) {
        s.text = "the allocation that failed was made by ";
        append_process_name(s.text, comm_text(oom.comm), oom.event.pid);
        if (oom.event.pid == oom.victim_pid) s.text += ", the victim itself";
        if ((oom.flags & FR_OOM_CONTEXT_KNOWN) != 0) {
            s.text += ": gfp ";
            append_gfp(s.text, oom.gfp_mask);
            s.text += fmt::format(
                ", order {} ({})", oom.order,
                oom.order >= 0 && oom.order < 32 ? format_bytes(in.digest.info.page_size << oom.order) : "?");
        } else if (kernel.invoked) {
            s.text += ": gfp ";
            append_gfp(s.text, kernel.invoked->gfp_mask);
            s.text += fmt::format(", order {} (as the kernel log says)", kernel.invoked->order);
        }
    } else if (kernel.invoked) {
        s.text = fmt::format("the allocation that failed was made by {}", printable(kernel.invoked->comm));
    } else {
        s.known = false;
        s.text = "who asked for the memory is unknown";
    }
    if (kernel.invoked) s.evidence.push_back(kernel.invoked_line);
    for (const auto& line : in.seed.stack) s.evidence.push_back({in.seed.time_ns, "  at " + line});
    out.statements.push_back(std::move(s));
}

struct Sizes {
    uint64_t anon = 0, file = 0, shmem = 0, page_tables = 0, total_vm = 0;
    bool page_tables_known = true;
    [[nodiscard]] uint64_t rss() const { return anon + file + shmem; }
};

// The kernel prints its counters a moment later, and per-CPU counters are approximate: 1 MiB or 2 % is no difference.
bool differs(uint64_t a, uint64_t b) {
    const uint64_t difference = a > b ? a - b : b - a;
    return difference > std::max<uint64_t>(1u << 20, std::max(a, b) / 50);
}

std::string mismatch(const Sizes& probe, const Sizes& kernel) {
    std::string out;
    const auto check = [&](std::string_view name, uint64_t a, uint64_t b) {
        if (!differs(a, b)) return;
        out += fmt::format("{}{} {} by the probe, {} by the kernel's log", out.empty() ? "" : "; ", name,
                           format_bytes(a), format_bytes(b));
    };
    check("anon", probe.anon, kernel.anon);
    check("file", probe.file, kernel.file);
    check("shmem", probe.shmem, kernel.shmem);
    check("total-vm", probe.total_vm, kernel.total_vm);
    if (kernel.page_tables_known) check("page tables", probe.page_tables, kernel.page_tables);
    return out;
}

// The victim's own size, told apart from what its domain used.
void add_victim_size(const VerdictInput& in, IncidentReport& out, const KernelReport& kernel, const Ran& ran) {
    Statement s{"victim_size", {}, true, {}};
    std::optional<Sizes> probe, log;
    const auto& oom = in.seed.oom;
    if (in.seed.has_event)
        probe = Sizes{oom.victim_anon, oom.victim_file, oom.victim_shmem, oom.victim_page_tables, oom.victim_total_vm};
    if (kernel.killed)
        log = Sizes{kernel.killed->anon,     kernel.killed->file,
                    kernel.killed->shmem,    kernel.killed->page_tables.value_or(0),
                    kernel.killed->total_vm, kernel.killed->page_tables.has_value()};
    if (!probe && !log) {
        s.known = false;
        s.text = "how large the victim was is unknown";
        out.statements.push_back(std::move(s));
        return;
    }
    const Sizes& size = probe ? *probe : *log;
    s.text = fmt::format("the victim had {} resident: anon {} + file {} + shmem {}; page tables {}, total-vm {}",
                         format_bytes(size.rss()), format_bytes(size.anon), format_bytes(size.file),
                         format_bytes(size.shmem), size.page_tables_known ? format_bytes(size.page_tables) : "unknown",
                         format_bytes(size.total_vm));
    if (probe)
        s.text += fmt::format(", swap {}, oom_score_adj {}", format_bytes(oom.victim_swap), oom.victim_oom_score_adj);
    if (ran.usage && *ran.usage != 0)
        s.text += fmt::format("; that is {:.0f} % of the {} its cgroup used",
                              100.0 * static_cast<double>(size.rss()) / static_cast<double>(*ran.usage),
                              format_bytes(*ran.usage));
    if (probe) s.evidence.push_back(in.seed.line);
    if (log) s.evidence.push_back(kernel.killed_line);
    if (probe && log) {
        const auto difference = mismatch(*probe, *log);
        s.text += difference.empty() ? "; the kernel's own report says the same"
                                     : "; MISMATCH between the witnesses: " + difference;
    }
    out.statements.push_back(std::move(s));
}

// Parts that are less than this are not worth a reader's time: 1 % of the whole, and less than 1 MiB.
bool negligible(uint64_t bytes, uint64_t whole) { return bytes < (1u << 20) && bytes < whole / 100; }

// What the memory of the domain was, by the kernel's own account of it.
void add_domain_memory(const VerdictInput& in, IncidentReport& out, const Ran& ran) {
    if (!in.seed.has_event) return;
    Statement s{"domain_memory", {}, true, {}};
    const auto& oom = in.seed.oom;
    const bool machine = ran.domain == Domain::machine;
    const std::string whose =
        machine ? "the machine's memory" : "the memory of " + (ran.path.empty() ? "the cgroup" : printable(ran.path));
    const auto parts = memory_parts(in.seed.memory_stat);
    if (parts.empty()) {
        s.known = false;
        s.text = fmt::format("what {} was made of is unknown: its {} is not in the record", whose,
                             machine ? "/proc/meminfo" : "memory.stat");
        out.statements.push_back(std::move(s));
        return;
    }
    uint64_t whole = ran.usage.value_or(0);
    if (whole == 0 || whole == FR_UNKNOWN)
        for (const auto& part : parts) whole = std::max(whole, part.bytes);
    for (const auto& part : parts)
        if (!negligible(part.bytes, whole))
            s.text += fmt::format("{}{} {}", s.text.empty() ? "" : ", ", part.name, format_bytes(part.bytes));
    s.text = fmt::format("{} was {}", whose, s.text.empty() ? "all given back" : s.text);
    if (oom.memory_stat_ns > in.seed.time_ns)
        s.text += fmt::format("; read {} after the kill, when the victim may have given some back",
                              format_duration(oom.memory_stat_ns - in.seed.time_ns));
    out.statements.push_back(std::move(s));
}

Evidence candidate_line(const IncidentSeed& seed, const fr_oom_candidate& c) {
    Evidence out{seed.time_ns, {}};
    append_process_name(out.text, comm_text(c.comm), c.pid);
    out.text += fmt::format(" rss {} = anon {} + file {} + shmem {}", format_bytes(rss_of(c)), format_bytes(c.anon),
                            format_bytes(c.file), format_bytes(c.shmem));
    if (c.swap != 0) out.text += fmt::format(", swap {}", format_bytes(c.swap));
    out.text += fmt::format(", page tables {}, oom_score_adj {}, uid {}{}", format_bytes(c.page_tables),
                            c.oom_score_adj, c.uid, c.pid == seed.oom.victim_pid ? ", the victim" : "");
    return out;
}

// Whom the kernel could have chosen.
void add_candidates(const VerdictInput& in, IncidentReport& out) {
    constexpr size_t shown_max = 10;
    const IncidentSeed& seed = in.seed;
    if (!seed.has_event) return;
    Statement s{"candidates", {}, true, {}};
    if (seed.candidates.empty()) {
        s.known = false;
        s.text = "unknown: the other processes that could have been chosen are not in the record";
        out.statements.push_back(std::move(s));
        return;
    }
    auto list = seed.candidates;
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return rss_of(a) > rss_of(b); });
    const size_t total = std::max<size_t>(seed.oom.candidates, list.size());
    s.text = fmt::format("{} process{} could have been chosen", total, total == 1 ? "" : "es");
    if (list.front().pid != seed.oom.victim_pid) {
        s.text += "; the victim was not the largest of them: ";
        append_process_name(s.text, comm_text(list.front().comm), list.front().pid);
        s.text +=
            fmt::format(" had {} with an oom_score_adj of {}, the victim's was {}", format_bytes(rss_of(list.front())),
                        list.front().oom_score_adj, seed.oom.victim_oom_score_adj);
    }
    if (total > std::min(list.size(), shown_max))
        s.text += fmt::format("; the largest {} of them", std::min(list.size(), shown_max));
    if ((seed.oom.flags & FR_OOM_CANDIDATES_CUT) != 0) s.text += "; not every process could be looked at";
    for (size_t i = 0; i < std::min(list.size(), shown_max); ++i) s.evidence.push_back(candidate_line(seed, list[i]));
    out.statements.push_back(std::move(s));
}

// What of the domain was not in processes: page cache of tmpfs, slab, page tables.
void add_domain_growth(const VerdictInput& in, IncidentReport& out, const Ran& ran) {
    Statement s{"domain_growth", {}, true, {}};
    const std::map<std::string, std::vector<Point>>* fields = &in.digest.system;
    if (ran.domain == Domain::cgroup) {
        const auto it = in.digest.cgroups.find(in.seed.oom.domain_cgroup_id);
        if (it == in.digest.cgroups.end()) return;
        fields = &it->second;
    }
    for (const auto& [name, points] : *fields) {
        if (name == "available" || name == "limit" || name == "failures" || name == "pids") continue;
        const auto growth = growth_of(points, in.seed.time_ns, 60 * second);
        if (!growth || growth->change() < (1 << 20)) continue;
        s.text += fmt::format("{}{} +{} to {} ({})", s.text.empty() ? "" : ", ", name,
                              format_bytes(static_cast<uint64_t>(growth->change())), format_bytes(growth->after),
                              shape_name(growth->shape));
    }
    if (s.text.empty()) return;
    s.text = fmt::format("over the last minute {} grew: {}",
                         ran.domain == Domain::cgroup ? "that cgroup's memory" : "the machine's memory use", s.text);
    out.statements.push_back(std::move(s));
}

void add_death(const VerdictInput& in, IncidentReport& out) {
    Statement s{"death", {}, true, {}};
    for (const auto& death : in.digest.deaths) {
        if (death.pid != in.seed.pid || death.time_ns < in.seed.time_ns) continue;
        s.text = fmt::format("it was gone {} later", format_duration(death.time_ns - in.seed.time_ns));
        s.evidence.push_back(death.line);
        break;
    }
    if (s.text.empty()) {
        s.known = false;
        s.text = "its exit is not in this file";
    }
    out.statements.push_back(std::move(s));
}

}  // namespace

void oom_verdict(const VerdictInput& in, IncidentReport& out) {
    const KernelReport kernel = find_kernel_report(in);
    const Ran ran = what_ran_out(in.seed, kernel);
    static constexpr std::string_view causes[] = {"oom_unknown", "oom_global", "oom_cgroup", "oom_constrained"};
    out.cause = causes[static_cast<size_t>(ran.domain)];
    out.verdict = fmt::format("{} was killed by the OOM killer: {}", who(in.seed), domain_words(ran));
    if (in.seed.has_event && (in.seed.oom.flags & FR_OOM_GROUP) != 0)
        out.verdict += "; it died as a member of a group that is killed together";
    add_identity(in, out);
    add_why(in, out, kernel, ran);
    add_victim_size(in, out, kernel, ran);
    add_domain_memory(in, out, ran);
    add_candidates(in, out);
    add_invoker(in, out, kernel);
    add_growth(in, out, ran.domain == Domain::cgroup ? ran.path : std::string{});
    add_domain_growth(in, out, ran);
    add_calls(in, out);
    add_death(in, out);
    add_machine(in, out);
    Statement log{"kernel_log", {}, true, {}};
    for (const auto& line : in.digest.kernel)
        if (line.time_ns + before_ns >= in.seed.time_ns && line.time_ns <= in.seed.time_ns + after_ns &&
            is_oom_line(line.text))
            log.evidence.push_back(kernel_evidence(line));
    if (log.evidence.empty()) {
        log.known = false;
        log.text = "the kernel's own report of it is not in this file";
    } else {
        log.text = "the kernel's own report (its main lines; replay --class kmsg shows all)";
    }
    out.statements.push_back(std::move(log));
}

}  // namespace flightrec::replay
