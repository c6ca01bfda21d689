// SPDX-License-Identifier: Apache-2.0
// Dumps that somebody asked for, ends of recordings, shutdowns: nothing died of itself, so nothing is claimed; what the
// machine was doing then is shown instead.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/incidents.h"
#include "userspace/replay/names.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

constexpr uint64_t incidents_before_ns = 300 * second;
constexpr uint64_t sample_reach_ns = 5 * second;

std::string process_name(const Digest& digest, uint32_t pid) {
    std::string out;
    append_process_name(out, digest.state.comm_of(pid, pid), pid);
    return out;
}

// Classes that tell of failures and were switched off.
std::string failures_not_recorded(const FlightInfo& info) {
    std::string out;
    for (const char* name : {"crash", "oom_kill", "alloc_failure"})
        if (std::find(info.classes_off.begin(), info.classes_off.end(), name) != info.classes_off.end())
            out += (out.empty() ? "" : ", ") + std::string(name);
    return out;
}

// What had failed shortly before: often why somebody asked.
void add_incidents_before(const VerdictInput& in, IncidentReport& out) {
    Statement s{"incidents_before", {}, true, {}};
    const auto numbered = numbered_incidents(in.digest);
    size_t found = 0;
    for (size_t i = 0; i < numbered.size(); ++i) {
        const IncidentSeed& one = *numbered[i];
        if (&one == &in.seed || one.time_ns > in.seed.time_ns || one.time_ns + incidents_before_ns < in.seed.time_ns)
            continue;
        if (one.kind == IncidentKind::request || one.kind == IncidentKind::other) continue;
        ++found;
        s.evidence.push_back(one.line);
    }
    if (found == 0) {
        const std::string off = failures_not_recorded(in.digest.info);
        s.known = off.empty();
        s.text = off.empty() ? "nothing in this flight failed in the five minutes before it"
                             : "nothing that was recorded failed in the five minutes before it; not recorded: " + off;
    } else {
        s.text = fmt::format("{} incident{} in the five minutes before it", found, found == 1 ? "" : "s");
        if (s.evidence.size() > 5) s.evidence.erase(s.evidence.begin(), s.evidence.end() - 5);
    }
    out.statements.push_back(std::move(s));
}

template <class List, class Name>
std::string counted(const List& list, size_t most, Name&& name) {
    std::string out;
    for (size_t i = 0; i < std::min(list.size(), most); ++i)
        out += fmt::format("{}{} {}", i == 0 ? "" : ", ", name(list[i].first), list[i].second);
    if (list.size() > most) out += fmt::format(", {} more", list.size() - most);
    return out;
}

void add_activity(const VerdictInput& in, IncidentReport& out) {
    const CallActivity& a = in.activity;
    Statement s{"activity", {}, true, {}};
    if (a.calls == 0) {
        s.known = false;
        s.text = "no system call that returned before it is in this file";
        out.statements.push_back(std::move(s));
        return;
    }
    const auto plain = [](const std::string& name) { return name; };
    const uint64_t from = std::max(a.from_ns, std::min(in.digest.first_syscall_ns, a.to_ns));
    s.text = fmt::format("{} in the {} before it, {} failed: {}", a.calls, format_duration(a.to_ns - from),
                         a.failed == 0 ? "none" : std::to_string(a.failed), counted(a.by_name, 6, plain));
    s.text += "; made by " + counted(a.by_pid, 5, [&](uint32_t pid) { return process_name(in.digest, pid); });
    if (a.failed != 0) s.text += "; failures: " + counted(a.by_error, 6, plain);
    out.statements.push_back(std::move(s));
    if (a.slow.empty()) return;
    Statement slow{"slow_calls", "those that took longest (calls that are there to wait left out)", true, {}};
    for (const auto& call : a.slow)
        slow.evidence.push_back({call.time_ns, fmt::format("{} {} took {}", process_name(in.digest, call.pid),
                                                           call.syscall, format_duration(call.duration_ns))});
    out.statements.push_back(std::move(slow));
}

// Calls that had not returned when the dump was made, longest first.
void add_unfinished(const VerdictInput& in, IncidentReport& out) {
    std::vector<const OpenCall*> list;  // of this dump: later ones have their own
    std::set<uint32_t> seen;
    for (const auto& one : in.digest.unfinished)
        if (one.enter_ns != 0 && one.line.time_ns >= in.seed.time_ns && seen.insert(one.tid).second)
            list.push_back(&one);
    if (list.empty()) return;
    std::stable_sort(list.begin(), list.end(), [](const auto* a, const auto* b) { return a->enter_ns < b->enter_ns; });
    Statement s{"unfinished", fmt::format("{} calls had not returned, the oldest first", list.size()), true, {}};
    if (list.size() == 1) s.text = "one call had not returned";
    for (size_t i = 0; i < std::min<size_t>(list.size(), 8); ++i) s.evidence.push_back(list[i]->line);
    out.statements.push_back(std::move(s));
}

// The last sample of a series at or before the moment, if it is not old.
const Point* last_point(const std::vector<Point>& points, uint64_t time_ns) {
    const auto after = std::upper_bound(points.begin(), points.end(), time_ns,
                                        [](uint64_t t, const Point& p) { return t < p.time_ns; });
    if (after == points.begin() || std::prev(after)->time_ns + sample_reach_ns < time_ns) return nullptr;
    return &*std::prev(after);
}

void add_processes(const VerdictInput& in, IncidentReport& out) {
    std::vector<std::pair<const ProcessSeries*, uint64_t>> size, cpu;
    for (const auto& series : in.digest.series) {
        if (const Point* rss = last_point(series.rss, in.seed.time_ns)) size.emplace_back(&series, rss->value);
        const Point* now = last_point(series.cpu_ms, in.seed.time_ns);
        if (now == nullptr || now == series.cpu_ms.data()) continue;
        const Point* before = now - std::min<std::ptrdiff_t>(now - series.cpu_ms.data(), 5);
        if (now->value <= before->value) continue;
        cpu.emplace_back(&series, (now->value - before->value) * second / (now->time_ns - before->time_ns));
    }
    const auto largest_first = [](const auto& a, const auto& b) { return a.second > b.second; };
    std::stable_sort(size.begin(), size.end(), largest_first);
    std::stable_sort(cpu.begin(), cpu.end(), largest_first);
    const auto add = [&](std::string topic, const auto& list, auto&& value) {
        if (list.empty()) return;
        Statement s{std::move(topic), {}, true, {}};
        for (size_t i = 0; i < std::min<size_t>(list.size(), 5); ++i) {
            if (i != 0) s.text += ", ";
            append_process_name(s.text, list[i].first->comm, list[i].first->pid);
            s.text += " " + value(list[i].second);
        }
        out.statements.push_back(std::move(s));
    };
    add("largest", size, [](uint64_t rss) { return format_bytes(rss); });
    add("busiest", cpu,
        [](uint64_t ms_per_s) { return fmt::format("{}.{} % of a CPU", ms_per_s / 10, ms_per_s % 10); });
}

// Processes that no two samples saw, by program: a storm of them is in no other list.
void add_short_lived(const VerdictInput& in, IncidentReport& out) {
    std::map<std::string_view, std::pair<uint64_t, uint64_t>> by_comm;  // processes, ns of CPU time
    uint64_t all = 0;
    for (const auto& one : in.digest.short_lives) {
        if (one.time_ns > in.seed.time_ns || one.time_ns + sample_reach_ns < in.seed.time_ns) continue;
        auto& [processes, cpu_ns] = by_comm[one.comm];
        ++processes;
        cpu_ns += one.cpu_ns;
        all += one.cpu_ns;
    }
    if (all * 100 < sample_reach_ns) return;  // less than a hundredth of a CPU
    std::vector<std::pair<std::string_view, std::pair<uint64_t, uint64_t>>> list(by_comm.begin(), by_comm.end());
    std::stable_sort(list.begin(), list.end(),
                     [](const auto& a, const auto& b) { return a.second.second > b.second.second; });
    Statement s{"short_lived", {}, true, {}};
    s.text = fmt::format("processes that lived for less than {}, ended in the {} before it: ",
                         format_duration(Digest::short_life_ns), format_duration(sample_reach_ns));
    for (size_t i = 0; i < std::min<size_t>(list.size(), 5); ++i) {
        const uint64_t per_mille = list[i].second.second * 1000 / sample_reach_ns;
        s.text += fmt::format("{}{} {} {}.{} % of a CPU", i == 0 ? "" : ", ", list[i].second.first,
                              printable(list[i].first), per_mille / 10, per_mille % 10);
    }
    if (list.size() > 5) s.text += fmt::format(", {} more programs", list.size() - 5);
    out.statements.push_back(std::move(s));
}

std::string what_was_asked(const Trigger* trigger) {
    switch (trigger != nullptr ? trigger->kind : uint64_t{FR_TRIGGER_NONE}) {
        case FR_TRIGGER_COMMAND: return "this dump was asked for with 'flightrec dump'";
        case FR_TRIGGER_SIGNAL: return "this dump was asked for with SIGUSR1";
        case FR_TRIGGER_PREVIOUS_BOOT: return "the recording before ended without being stopped";
        case FR_TRIGGER_SHUTDOWN: return "the machine was being stopped";
        default: return "unknown: this version does not know what set off this dump";
    }
}

}  // namespace

void request_verdict(const VerdictInput& in, IncidentReport& out) {
    const Trigger* trigger = in.seed.trigger;
    out.cause = fmt::format("{}", trigger_name(trigger != nullptr ? trigger->kind : uint64_t{FR_TRIGGER_NONE}));
    out.verdict = what_was_asked(trigger);
    if (trigger != nullptr && !trigger->text.empty()) out.verdict += ": " + printable(trigger->text);
    const bool asked = in.seed.kind == IncidentKind::request;
    if (asked) out.verdict += "; it is not about a failure";
    out.statements.push_back({"why", "the trigger", true, {in.seed.line}});
    for (const auto& line : in.digest.previous)
        out.statements.push_back({"previous", "what the recorder noted about ends and shutdowns", true, {line}});
    add_incidents_before(in, out);
    add_machine(in, out);
    add_processes(in, out);
    add_short_lived(in, out);
    add_growth(in, out, {});
    add_activity(in, out);
    add_unfinished(in, out);
    add_kernel_log(in, out, 10 * second, 2 * second, 15);
}

}  // namespace flightrec::replay
