// SPDX-License-Identifier: Apache-2.0
// Statements that several verdicts make: who it was, what it did last, who grew, what the machine was like.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

std::string signed_bytes(int64_t change) {
    return change < 0 ? "-" + format_bytes(0 - static_cast<uint64_t>(change))
                      : "+" + format_bytes(static_cast<uint64_t>(change));
}

// The sizes of one process over time, the one its OOM kill tells included.
struct SizeSeries {
    uint32_t pid = 0;
    ProcessIndex process = no_process;
    std::string_view comm;
    std::span<const Point> points;
    std::vector<Point> own;   // behind points where the samples alone do not do
    bool from_birth = false;  // the first point is the beginning of its program, not a sample
    bool to_kill = false;     // the last one is its size at the kill, not a sample
};

struct Grower {
    const SizeSeries* series;
    Growth growth;
};

// All sampled processes; those whose size at the kill is known end with it.
std::vector<SizeSeries> size_series(const VerdictInput& in) {
    std::vector<SizeSeries> out;
    out.reserve(in.digest.series.size() + in.seed.finals.size());
    for (const auto& series : in.digest.series)
        out.push_back({series.pid, series.process, series.comm, series.rss, {}, false, false});
    for (const auto& final : in.seed.finals) {
        const ProcessSeries* sampled = in.digest.series_of(final.pid, final.start_ns);
        SizeSeries* series = nullptr;
        if (sampled != nullptr) {
            series = &out[static_cast<size_t>(sampled - in.digest.series.data())];
            if (series->to_kill) continue;
            for (const Point& point : sampled->rss)
                if (point.time_ns < in.seed.time_ns) series->own.push_back(point);
        } else {
            series = &out.emplace_back(SizeSeries{final.pid, final.process, final.comm, {}, {}, false, false});
        }
        const bool born = final.began_ns != 0 && final.began_ns < in.seed.time_ns;
        if (series->own.empty() && born) {
            series->own.push_back({final.began_ns, 0});
            series->from_birth = true;
        }
        series->own.push_back({in.seed.time_ns, final.rss});
        series->to_kill = true;
        series->points = series->own;
    }
    return out;
}

// What grew over one span, largest growth first.
std::vector<Grower> growers(const VerdictInput& in, const std::vector<SizeSeries>& all, const std::string& cgroup,
                            uint64_t span_ns) {
    std::vector<Grower> out;
    for (const auto& series : all) {
        // Those of the kill were in the domain, whatever another hierarchy calls it.
        if (!cgroup.empty() && !series.to_kill) {
            if (series.process == no_process) continue;
            const auto path = in.digest.state.cgroup_of(in.digest.state.process(series.process));
            if (!below(path, cgroup)) continue;
        }
        // Dead before the incident: not a grower.
        const auto growth = growth_of(series.points, in.seed.time_ns, span_ns);
        if (!growth || growth->change() <= 0 || growth->to_ns + 5 * second < in.seed.time_ns) continue;
        out.push_back({&series, *growth});
    }
    std::sort(out.begin(), out.end(),
              [](const Grower& a, const Grower& b) { return a.growth.change() > b.growth.change(); });
    return out;
}

std::string describe(const Grower& grower) {
    const SizeSeries& series = *grower.series;
    const Growth& g = grower.growth;
    std::string out;
    append_process_name(out, series.comm, series.pid);
    const bool birth = series.from_birth && g.from_ns == series.points.front().time_ns;
    if (birth)
        return out + fmt::format(" {} in the {} of its life, in no sample before the kill", signed_bytes(g.change()),
                                 format_duration(g.to_ns - g.from_ns));
    out +=
        fmt::format(" {} ({} to {}{} in {}{}, {})", signed_bytes(g.change()), format_bytes(g.before),
                    format_bytes(g.after), series.to_kill ? " at the kill" : "", format_duration(g.to_ns - g.from_ns),
                    g.whole_span ? "" : ", since it was first seen", shape_name(g.shape));
    return out;
}

Evidence size_line(const SizeSeries& series, uint64_t time_ns, uint64_t rss) {
    Evidence out{time_ns, {}};
    append_process_name(out.text, series.comm, series.pid);
    if (series.from_birth && time_ns == series.points.front().time_ns)
        out.text += " began";
    else
        out.text += fmt::format(" {}: rss {}",
                                series.to_kill && time_ns == series.points.back().time_ns ? "at the kill" : "sample",
                                format_bytes(rss));
    return out;
}

std::string quoted_argv(std::string_view argv) {
    std::string out;
    append_argv(out, argv, false);
    return out;
}

}  // namespace

std::string who(const IncidentSeed& seed) {
    std::string out;
    append_process_name(out, seed.comm, seed.pid);
    if (!seed.victim || seed.victim->exe.empty() || seed.comm.empty()) return out;
    const auto base = [](std::string_view path) { return path.substr(path.rfind('/') + 1); };
    const std::string_view exe = base(seed.victim->exe);
    const std::string_view called = base(std::string_view(seed.argv).substr(0, seed.argv.find('\0')));
    if (exe.starts_with(seed.comm) || called.starts_with(seed.comm)) return out;
    out += " (";
    append_printable(out, exe);
    out += ')';
    return out;
}

std::string percent(uint32_t hundredths) {
    return hundredths == unknown_hundredths ? "unknown" : fmt::format("{}.{:02} %", hundredths / 100, hundredths % 100);
}

bool same_program(const IncidentSeed& a, const IncidentSeed& b) {
    // A thread names itself as it likes; the executable is the program.
    if (a.victim && b.victim && !a.victim->exe.empty() && !b.victim->exe.empty()) return a.victim->exe == b.victim->exe;
    return !a.comm.empty() && a.comm == b.comm;
}

std::vector<const IncidentSeed*> crashes_like(const Digest& digest, const IncidentSeed& seed) {
    std::vector<const IncidentSeed*> out;
    for (const auto& other : digest.incidents)
        if (other.kind == IncidentKind::crash && other.has_event && other.cgroup == seed.cgroup &&
            (&other == &seed || same_program(other, seed)))
            out.push_back(&other);
    return out;
}

bool below(std::string_view path, std::string_view ancestor) {
    if (ancestor == "/") return !path.empty();
    return path.starts_with(ancestor) && (path.size() == ancestor.size() || path[ancestor.size()] == '/');
}

Evidence kernel_evidence(const KernelLine& line) {
    Evidence out{line.time_ns, fmt::format("kernel <{}> ", kmsg_level_name(line.level))};
    append_printable(out.text, line.text);
    return out;
}

void add_identity(const VerdictInput& in, IncidentReport& out) {
    const IncidentSeed& seed = in.seed;
    if (seed.pid == 0) return;
    Statement s{"who", {}, true, {}};
    const auto unknown = [](std::string_view what) { return fmt::format("{} unknown", what); };
    s.text = seed.argv.empty() ? unknown("command line") : "command line " + quoted_argv(seed.argv);
    if (seed.victim && !seed.victim->exe.empty()) s.text += ", executable " + printable(seed.victim->exe);
    if (seed.kind == IncidentKind::oom)
        s.text += seed.has_event ? fmt::format(", uid {}", seed.oom.victim_uid) : ", " + unknown("uid");
    else
        s.text +=
            seed.victim && seed.victim->uid_known ? fmt::format(", uid {}", seed.victim->uid) : ", " + unknown("uid");
    s.text += seed.cgroup.empty() ? ", " + unknown("cgroup") : ", cgroup " + printable(seed.cgroup);
    if (const auto container = container_of(seed.cgroup); !container.empty())
        s.text += fmt::format(" ({})", printable(container));
    const uint64_t start = seed.victim ? seed.victim->start_ns : 0;
    s.text +=
        start != 0 && start <= seed.time_ns ? ", age " + format_duration(seed.time_ns - start) : ", " + unknown("age");
    out.statements.push_back(std::move(s));

    Statement family{"ancestry", {}, true, {}};
    family.text = "started by ";
    if (seed.ancestry.empty()) {
        const bool none = seed.victim && seed.victim->parent_kind == Parent::none;
        family.text = none ? "it has no parent (init or a kernel thread)" : "its parent is not known";
        family.known = none;
    }
    for (size_t i = 0; i < seed.ancestry.size(); ++i) {
        const auto& a = seed.ancestry[i];
        family.text += fmt::format("{}{} {}", i == 0 ? "" : ", child of ", a.pid, printable(a.command));
        if (i + 1 == seed.ancestry.size() && a.parent == Parent::unknown && a.pid != 1)
            family.text += ", whose parent is not known";
    }
    out.statements.push_back(std::move(family));
}

void add_calls(const VerdictInput& in, IncidentReport& out) {
    if (in.seed.pid == 0) return;
    const LastCalls& calls = in.calls;
    Statement failed{"failed_before", {}, true, {}};
    if (calls.calls == 0) {
        failed.known = false;
        failed.text = in.digest.syscalls == 0
                          ? "unknown: no system calls are in this file"
                          : fmt::format("unknown: no system call of {} is in this file", who(in.seed));
        out.statements.push_back(std::move(failed));
        return;
    }
    failed.text = fmt::format("{} of its last {} system calls, in {}, failed",
                              calls.failed == 0 ? "none" : std::to_string(calls.failed), calls.calls,
                              format_duration(in.seed.time_ns - calls.from_ns));
    size_t shown = 0;
    for (const auto& f : calls.failures) {
        if (shown == 8) {
            failed.text += fmt::format(", {} other kinds", calls.failures.size() - shown);
            break;
        }
        failed.text += fmt::format("{}{} {}{}", shown++ == 0 ? ": " : ", ", f.syscall, f.error,
                                   f.count > 1 ? fmt::format(" ({} times)", f.count) : "");
        failed.evidence.push_back(f.last);
    }
    std::sort(failed.evidence.begin(), failed.evidence.end(),
              [](const Evidence& a, const Evidence& b) { return a.time_ns < b.time_ns; });
    out.statements.push_back(std::move(failed));

    Statement last{"last_calls", "its last system calls", true, calls.last};
    for (const auto& line : calls.unfinished) last.evidence.push_back(line);
    out.statements.push_back(std::move(last));
}

void add_kernel_log(const VerdictInput& in, IncidentReport& out, uint64_t before_ns, uint64_t after_ns, size_t limit) {
    Statement s{"kernel_log", {}, true, {}};
    size_t found = 0;
    for (const auto& line : in.digest.kernel) {
        if (line.time_ns + before_ns < in.seed.time_ns || line.time_ns > in.seed.last_ns + after_ns) continue;
        if (++found <= limit) s.evidence.push_back(kernel_evidence(line));
    }
    if (found == 0) {
        if (in.digest.kernel.empty()) return;
        s.text = "the kernel logged nothing then";
    } else {
        s.text = fmt::format("{} lines of the kernel log around it", found);
        if (found > limit) s.text += fmt::format(", the first {} of them here (replay --class kmsg shows all)", limit);
    }
    out.statements.push_back(std::move(s));
}

void add_machine(const VerdictInput& in, IncidentReport& out) {
    const auto& samples = in.digest.system_samples;
    const auto after = std::upper_bound(samples.begin(), samples.end(), in.seed.time_ns,
                                        [](uint64_t t, const auto& sample) { return t < sample.first; });
    Statement s{"machine", {}, true, {}};
    if (after == samples.begin()) {
        s.known = false;
        s.text = "unknown: no sample of the machine before it";
        out.statements.push_back(std::move(s));
        return;
    }
    const auto& [time_ns, m] = *std::prev(after);
    const auto bytes = [](uint64_t v) { return v == FR_UNKNOWN ? std::string("unknown") : format_bytes(v); };
    s.text = fmt::format(
        "{} before it: {} of {} available; anon {}, page cache {}, shmem {}, slab {}, page tables {}; swap free {} of "
        "{}; "
        "memory pressure {} some, {} full; load {}",
        format_duration(in.seed.time_ns - time_ns), bytes(m.mem_available), bytes(m.mem_total), bytes(m.anon),
        bytes(m.cached), bytes(m.shmem), bytes(m.slab), bytes(m.page_tables), bytes(m.swap_free), bytes(m.swap_total),
        percent(m.psi_memory_some_avg10), percent(m.psi_memory_full_avg10),
        m.load1 == unknown_hundredths ? "unknown" : fmt::format("{}.{:02}", m.load1 / 100, m.load1 % 100));
    out.statements.push_back(std::move(s));
}

void add_growth(const VerdictInput& in, IncidentReport& out, const std::string& cgroup) {
    static constexpr std::pair<uint64_t, std::string_view> spans[] = {
        {10 * second, "10 s"}, {60 * second, "1 min"}, {300 * second, "5 min"}};
    Statement s{"who_grew", {}, true, {}};
    const auto all = size_series(in);
    uint64_t longest = 0;  // a span that reaches no further back than the one before says nothing new
    for (const auto& [span, name] : spans) {
        const auto list = growers(in, all, cgroup, span);
        if (list.empty()) continue;
        const uint64_t reach = list.front().growth.to_ns - list.front().growth.from_ns;
        if (reach == longest) continue;
        longest = reach;
        if (!s.text.empty()) s.text += "; ";
        s.text += fmt::format("over {}: ", name);
        for (size_t i = 0; i < std::min<size_t>(list.size(), 3); ++i)
            s.text += (i == 0 ? "" : ", ") + describe(list[i]);
        const Grower& first = list.front();
        s.evidence.push_back(size_line(*first.series, first.growth.from_ns, first.growth.before));
        s.evidence.push_back(size_line(*first.series, first.growth.to_ns, first.growth.after));
    }
    if (s.text.empty()) {
        s.known = !in.digest.series.empty();
        if (!s.known)
            s.text = "unknown: no samples of processes are in this file";
        else if (!in.seed.finals.empty())
            s.text = "no process of which the sizes are known had grown between the samples and the kill";
        else
            s.text =
                "no sampled process grew between the samples before it (what grew within less than a sample's second "
                "is not seen)";
    }
    std::sort(s.evidence.begin(), s.evidence.end(),
              [](const Evidence& a, const Evidence& b) { return a.time_ns < b.time_ns; });
    s.evidence.erase(
        std::unique(s.evidence.begin(), s.evidence.end(),
                    [](const Evidence& a, const Evidence& b) { return a.time_ns == b.time_ns && a.text == b.text; }),
        s.evidence.end());
    out.statements.push_back(std::move(s));
}

}  // namespace flightrec::replay
