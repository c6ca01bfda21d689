// SPDX-License-Identifier: Apache-2.0
// Making a report: the digest, the victim's system calls, a verdict for each incident, and what cannot be known.
#include "userspace/replay/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <tuple>

#include "userspace/base/clock.h"
#include "userspace/base/text.h"
#include "userspace/replay/event_source.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/incidents.h"
#include "userspace/replay/names.h"
#include "userspace/replay/symbols.h"
#include "userspace/replay/syscall_merge.h"
#include "userspace/replay/text_renderer.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

using flight::EventRef;

constexpr uint64_t calls_look_back_ns = 30 * second;
constexpr uint64_t activity_ns = 10 * second;   // before a dump that was asked for
constexpr uint64_t calls_read_max = 4'000'000;  // system calls counted for one incident
constexpr size_t unfinished_shown_max = 20;
constexpr uint64_t calls_shown_max = 300'000;  // read again, with the state, to show the last ones

// From when on calls are read: half a minute before, less where so many happened that reading them would take long.
uint64_t calls_from(const flight::FlightFile& file, uint64_t time_ns, uint64_t most,
                    uint64_t look_back_ns = calls_look_back_ns) {
    const uint64_t earliest = time_ns > look_back_ns ? time_ns - look_back_ns : 0;
    std::vector<std::pair<uint64_t, uint64_t>> blocks;  // first_ns, events
    for (const auto& segment : file.segments())
        for (const auto& block : segment.blocks)
            if (segment.header.track == FR_TRACK_SYSCALL && block.header.first_ns <= time_ns &&
                block.header.last_ns >= earliest)
                blocks.emplace_back(block.header.first_ns, block.header.events);
    std::sort(blocks.rbegin(), blocks.rend());
    uint64_t sum = 0;
    for (const auto& [first_ns, events] : blocks) {
        sum += events;
        if (sum > most) return std::max(first_ns, earliest);
    }
    return earliest;
}

// Reads them twice: first all are counted, undecoded; then the last ones are shown, with the state they need.
class CallReader {
  public:
    CallReader(const flight::FlightFile& file, const IncidentSeed& seed, size_t last, const Digest& digest)
        : file_(file), seed_(seed), last_(last), arch_(digest.info.arch()), early_(digest.timeline.early) {}

    LastCalls read() {
        out_.from_ns = calls_from(file_, seed_.time_ns, calls_read_max);
        count_all();
        const uint64_t first_shown = times_.empty() ? seed_.time_ns : times_[oldest_];
        show_last(std::max(out_.from_ns, calls_from(file_, first_shown, calls_shown_max)));
        for (auto& [key, failures] : failures_) out_.failures.push_back(std::move(failures));
        std::sort(out_.failures.begin(), out_.failures.end(),
                  [](const auto& a, const auto& b) { return a.count > b.count; });
        if (first_ns_ > out_.from_ns) out_.from_ns = first_ns_;
        return std::move(out_);
    }

  private:
    // A little after: the call it died in may be recorded as unfinished at the dump.
    [[nodiscard]] uint64_t until() const { return seed_.last_ns + 10 * second; }
    [[nodiscard]] bool is_its(const EventRef& event) const {
        const auto& head = event.head();
        const bool call =
            head.cls == FR_CLASS_SYSCALL || head.cls == FR_CLASS_SYSCALL_ENTER || head.cls == FR_CLASS_UNFINISHED;
        return call && head.pid == seed_.pid && (head.time_ns <= seed_.last_ns || head.cls == FR_CLASS_UNFINISHED);
    }
    void count_all() {
        SyscallMerge merge(arch_);
        flight::ReadOptions options;
        options.from_ns = out_.from_ns;
        options.to_ns = seed_.last_ns;
        options.vital = false;
        options.keyframes = false;
        auto reader = file_.read(options);
        const auto take = [this](const EventRef& event) { count(event); };
        while (const auto event = reader.next())
            if (is_its(*event)) merge.feed(*event, take);
        merge.finish(take);
    }
    void count(const EventRef& event) {
        if (event.head().cls == FR_CLASS_UNFINISHED) return;  // show() has it
        const auto call = event.as<fr_syscall>();
        if (first_ns_ == 0) first_ns_ = event.head().time_ns;
        ++out_.calls;
        if (times_.size() < last_) {
            times_.push_back(event.head().time_ns);
        } else if (last_ != 0) {
            times_[oldest_] = event.head().time_ns;
            oldest_ = (oldest_ + 1) % last_;
        }
        if (call.result >= 0 || call.result <= -4096) return;
        ++out_.failed;
        auto& failures = failures_[{call.nr, call.result}];
        if (failures.count++ == 0) {
            const auto* info = schemas::find_syscall(arch_, call.nr);
            failures.syscall = info != nullptr ? std::string(info->name) : fmt::format("syscall_{}", call.nr);
            failures.error = errno_name(static_cast<int>(-call.result));
            if (failures.error.empty()) failures.error = fmt::format("error {}", -call.result);
        }
        failures.last.time_ns = event.head().time_ns;
        failures.record.assign(event.bytes.begin(), event.bytes.end());
        failures.cpu = event.cpu;
        failures.fixed_size = event.fixed_size;
    }
    void show_last(uint64_t from_ns) {
        ReplayState state(arch_, early_);
        SyscallMerge merge(arch_);
        EventSource source(file_, from_ns, until(), {}, true);
        const auto take = [&](const EventRef& event) {
            state.begin(event);
            if (is_its(event)) show(event, state);
            state.end(event);
        };
        while (const auto event = source.next()) merge.feed(*event, take);
        merge.finish(take);
        out_.last.assign(lines_.begin(), lines_.end());
        for (auto& [key, text] : unfinished_)
            if (out_.unfinished.size() < unfinished_shown_max) out_.unfinished.push_back(std::move(text));
        // Failures from before what was read again: without the names of their descriptors.
        for (auto& [key, failures] : failures_) {
            if (!failures.last.text.empty()) continue;
            failures.last = line({failures.record, failures.cpu, failures.fixed_size}, state, false);
        }
    }
    Evidence line(const EventRef& event, const ReplayState& state, bool fd_names) {
        Evidence out{event.head().time_ns, {}};
        append_process_name(out.text, display_comm(event, state), event.head().pid);
        out.text += ' ';
        append_event_text(out.text, event, state, {.fd_names = fd_names});
        return out;
    }
    void show(const EventRef& event, const ReplayState& state) {
        const auto& head = event.head();
        const auto call = event.as<fr_syscall>();
        if (head.cls == FR_CLASS_UNFINISHED) {
            unfinished_.insert_or_assign({head.tid, call.enter_ns, call.nr}, line(event, state, true));
            return;
        }
        // Each keyframe and dump tells a call that lasts again, until the thread returns.
        while (head.cls == FR_CLASS_SYSCALL) {
            const auto older = unfinished_.lower_bound({head.tid, 0, 0});
            if (older == unfinished_.end() || std::get<0>(older->first) != head.tid ||
                std::get<1>(older->first) > head.time_ns)
                break;
            unfinished_.erase(older);
        }
        const auto failed = failures_.find({call.nr, call.result});
        if (failed != failures_.end() && failed->second.last.time_ns == head.time_ns)
            failed->second.last = line(event, state, true);
        if (times_.empty() || head.time_ns < times_[oldest_]) return;
        lines_.push_back(line(event, state, true));
        if (lines_.size() > last_) lines_.pop_front();
    }

    const flight::FlightFile& file_;
    const IncidentSeed& seed_;
    size_t last_;
    schemas::Arch arch_;
    std::shared_ptr<const EarlyNames> early_;
    LastCalls out_;
    std::vector<uint64_t> times_;  // of the last calls, a ring
    size_t oldest_ = 0;
    std::deque<Evidence> lines_;
    std::map<std::tuple<uint32_t, uint64_t, uint32_t>, Evidence> unfinished_;  // by thread, entry, number
    struct Failures : LastCalls::Failures {
        std::vector<std::byte> record;  // of the last one
        uint16_t cpu = 0, fixed_size = 0;
    };
    std::map<std::pair<uint32_t, int64_t>, Failures> failures_;
    uint64_t first_ns_ = 0;
};

void judge(const VerdictInput& in, IncidentReport& out) {
    switch (in.seed.kind) {
        case IncidentKind::oom: return oom_verdict(in, out);
        case IncidentKind::crash: return crash_verdict(in, out);
        case IncidentKind::fork_failure:
        case IncidentKind::alloc_failure: return limit_verdict(in, out);
        case IncidentKind::stall: return stall_verdict(in, out);
        case IncidentKind::request:
        case IncidentKind::other: return request_verdict(in, out);
    }
}

void add_limit(Report& report, std::string topic, std::string text, std::vector<Evidence> evidence = {}) {
    report.limits.push_back({std::move(topic), std::move(text), true, std::move(evidence)});
}

// What stands instead of events.
std::string why_empty(const flight::FlightFile& file) {
    std::string out;
    const auto& items = file.damage().items;
    for (size_t i = 0; i < std::min<size_t>(items.size(), 3); ++i)
        out += (out.empty() ? "" : "; ") + printable(items[i].what);
    if (!out.empty()) return out;
    return file.live() ? "its recorder has stored none yet" : "its recorder had stored none when it ended";
}

void add_window_limits(Report& report, const flight::FlightFile& file) {
    const Digest& d = report.digest;
    if (d.events + d.syscalls == 0) {
        add_limit(report, "empty", "there are no events in this file: " + why_empty(file));
        return;
    }
    std::string text = fmt::format("it begins {} and ends {}; what happened outside is not known",
                                   format_utc(file.realtime_of(d.timeline.first_ns)),
                                   format_utc(file.realtime_of(d.timeline.last_ns)));
    if (d.evicted[FR_TRACK_VITAL] != 0)
        text += fmt::format("; {} earlier events had left the window", d.evicted[FR_TRACK_VITAL]);
    add_limit(report, "span", std::move(text));
    if (d.syscalls == 0)
        add_limit(report, "syscalls", "no system calls are in it");
    else if (d.first_syscall_ns > d.timeline.first_ns + second || d.evicted[FR_TRACK_SYSCALL] != 0)
        add_limit(report, "syscalls",
                  fmt::format("system calls are in it from {} on{}", format_utc(file.realtime_of(d.first_syscall_ns)),
                              d.evicted[FR_TRACK_SYSCALL] == 0
                                  ? std::string{}
                                  : fmt::format("; {} earlier ones had left the window", d.evicted[FR_TRACK_SYSCALL])));
}

void add_loss_limits(Report& report) {
    const Digest& d = report.digest;
    std::array<uint64_t, FR_TRACK_COUNT> overwritten{}, missing{};
    std::vector<Evidence> lines;
    for (const auto& gap : d.gaps) {
        (gap.in_file ? missing : overwritten)[gap.track % FR_TRACK_COUNT] += gap.events;
        if (lines.size() < 5)
            lines.push_back({gap.time_ns, fmt::format("{} events of the {} track {}", gap.events, track_name(gap.track),
                                                      gap.in_file ? "are missing from the file"
                                                                  : "were overwritten before they were read")});
    }
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track) {
        if (overwritten[track] != 0)
            add_limit(
                report, "gaps",
                fmt::format("{} events of the {} track were overwritten in the kernel's ring before they were read",
                            overwritten[track], track_name(track)),
                lines);
        if (missing[track] != 0)
            add_limit(report, "missing",
                      fmt::format("{} events of the {} track are missing between others of the file", missing[track],
                                  track_name(track)),
                      lines);
    }
    if (d.damage.count != 0)
        add_limit(report, "damage",
                  fmt::format("the file is damaged in {} place{} (flightrec verify lists them)", d.damage.count,
                              d.damage.count == 1 ? "" : "s"));
    if (d.blocks_lost != 0)
        add_limit(report, "blocks_lost",
                  fmt::format("{} blocks were overwritten by the running recorder while this was read", d.blocks_lost));
    if (!d.policy.empty())
        add_limit(report, "policy", "the recorder lowered what it recorded, or was restarted, within this flight",
                  d.policy);
    uint64_t skipped = 0;
    uint64_t torn = 0;
    if (d.ledger)
        for (const auto& line : d.ledger->line) {
            skipped += line.skipped;
            torn += line.torn;
        }
    if (skipped != 0)
        add_limit(report, "skipped",
                  fmt::format("{} event{} left out by policy or filter", skipped, skipped == 1 ? " was" : "s were"));
    if (torn != 0)
        add_limit(report, "torn",
                  fmt::format("{} event{} lost as {} written", torn, torn == 1 ? " was" : "s were",
                              torn == 1 ? "it was" : "they were"));
    if (!d.ledger)
        add_limit(report, "ledger", "there is no ledger in this file: whether events were lost cannot be told");
    if (report.incidents_left_out != 0)
        add_limit(report, "incidents",
                  fmt::format("{} further incidents are not described", report.incidents_left_out));
}

// What the recording before this one leaves open: how it ended, and what nothing is recorded of in between.
void add_before(Report& report) {
    const auto& incidents = report.incidents;
    const bool told = std::any_of(incidents.begin(), incidents.end(), [&](const IncidentReport& one) {
        return one.in_full && std::any_of(one.statements.begin(), one.statements.end(),
                                          [](const Statement& s) { return s.topic == "previous"; });
    });
    if (told) return;
    for (const auto& line : report.digest.before) add_limit(report, "before", printable(line.text));
}

void add_recorder_limits(Report& report) {
    const Digest& d = report.digest;
    const auto joined = [](const std::vector<std::string>& list) {
        std::string out;
        for (const auto& item : list) out += (out.empty() ? "" : ", ") + printable(item);
        return out;
    };
    const auto names = [](const std::vector<std::string>& list, const char* what) {
        return std::any_of(list.begin(), list.end(), [&](const auto& i) { return i.find(what) != std::string::npos; });
    };
    if (!d.info.scope.empty()) add_limit(report, "scope", "only these cgroups were recorded: " + joined(d.info.scope));
    if (!d.info.syscalls.empty() && d.info.syscalls != "all")
        add_limit(report, "syscall_filter", "not every system call was recorded, but: " + printable(d.info.syscalls));
    if (!d.info.classes_off.empty()) add_limit(report, "classes_off", "switched off: " + joined(d.info.classes_off));
    if (!d.info.missing.empty())
        add_limit(report, "capabilities",
                  "this kernel or the recorder's rights did not allow: " + joined(d.info.missing));
    for (const auto& loss : d.info.losses)
        add_limit(report, "variants", "poorer on this kernel, what is lost: " + printable(loss));
    if (d.series.empty()) add_limit(report, "samples", "no samples of processes: who grew cannot be told");
    if (d.kernel.empty())
        add_limit(report, "kernel_log",
                  names(d.info.classes_off, "kmsg") || names(d.info.missing, "kmsg")
                      ? "no kernel log: its own reports cannot be compared"
                      : "no line of the kernel log in this file: its own reports cannot be compared");
}

// Which of the numbered incidents to describe: the leading one, those with a dump, then the latest.
std::vector<size_t> choose(const std::vector<const IncidentSeed*>& incidents, size_t lead, size_t most) {
    std::vector<size_t> out(incidents.size());
    std::iota(out.begin(), out.end(), size_t{1});
    if (out.size() <= most) return out;
    std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) {
        if ((a == lead) != (b == lead)) return a == lead;
        const bool dumped_a = incidents[a - 1]->trigger != nullptr;
        const bool dumped_b = incidents[b - 1]->trigger != nullptr;
        return dumped_a != dumped_b ? dumped_a : a > b;
    });
    out.resize(most);
    std::sort(out.begin(), out.end());
    return out;
}

// A window that nobody writes any more and that has no last word of its recorder.
void add_ending(Report& report, const flight::FlightFile& file) {
    const Digest& d = report.digest;
    if (file.header().kind != FR_FILE_WINDOW || file.live() || d.stopped_in_order || d.events + d.syscalls == 0) return;
    const uint64_t last = d.timeline.last_ns;
    Statement s{"ending", {}, true, {}};
    const KernelLine* panic = nullptr;
    for (const auto& line : d.kernel)
        if (line.text.find("Kernel panic") != std::string::npos) panic = &line;
    s.text = fmt::format("the recording broke off at {}, without being stopped: ", format_utc(file.realtime_of(last)));
    if (panic != nullptr) {
        s.text += "the kernel panicked";
        s.evidence.push_back(kernel_evidence(*panic));
    } else {
        s.text += "the recorder was killed, or the machine died (panic, power, reset); this file does not tell which";
    }
    s.known = panic != nullptr;
    for (const auto& line : d.previous)
        if (line.time_ns + 60 * second > last) s.evidence.push_back(line);
    const size_t lines = std::min<size_t>(d.kernel.size(), 3);
    for (size_t i = d.kernel.size() - lines; i < d.kernel.size(); ++i)
        if (&d.kernel[i] != panic && d.kernel[i].time_ns + 10 * second > last)
            s.evidence.push_back(kernel_evidence(d.kernel[i]));
    report.ending = std::move(s);
}

const SentSignal* sender_of(const Digest& d, const Death& death, int32_t signal) {
    const SentSignal* sent = nullptr;
    for (const auto& one : d.signals)
        if (one.target_pid == death.pid && one.signal == signal && one.time_ns <= death.time_ns &&
            one.time_ns + 60 * second > death.time_ns)
            sent = &one;
    return sent;
}

// Deaths by a signal that belong to no incident, with who sent it where that is known; those that are alike as one.
void add_deaths(Report& report) {
    constexpr size_t shown = 20, pids_shown = 5, evidence_of = 3;  // groups; of each: pids, deaths with their evidence
    struct Group {
        std::string comm, by;  // "was ended by SIGKILL, sent by systemd[1]" without the verb
        std::vector<uint32_t> pids;
        std::vector<Evidence> evidence;
    };
    const Digest& d = report.digest;
    std::vector<Group> groups;
    uint64_t left_out = 0;
    for (const auto& death : d.deaths) {
        const bool known = std::any_of(d.incidents.begin(), d.incidents.end(), [&](const IncidentSeed& seed) {
            return seed.pid == death.pid && seed.time_ns <= death.time_ns;
        });
        if (known) continue;
        const auto signal = static_cast<int32_t>(death.exit_code & 0x7f);
        const SentSignal* sent = sender_of(d, death, signal);
        std::string by = "ended by " + std::string(signal_name(signal));
        if (sent == nullptr) {
            by += "; who sent it is unknown";
        } else if (sent->from_kernel) {
            by += ", sent by the kernel";
        } else {
            by += ", sent by ";
            append_process_name(by, d.state.comm_of(sent->sender_pid, sent->sender_pid), sent->sender_pid);
        }
        auto group = std::find_if(groups.begin(), groups.end(),
                                  [&](const Group& g) { return g.comm == death.comm && g.by == by; });
        if (group == groups.end()) {
            if (groups.size() >= shown) {
                ++left_out;
                continue;
            }
            group = groups.insert(groups.end(), Group{death.comm, std::move(by), {}, {}});
        }
        group->pids.push_back(death.pid);
        if (group->pids.size() > evidence_of) continue;
        if (sent != nullptr) group->evidence.push_back(sent->line);
        group->evidence.push_back(death.line);
    }
    for (auto& group : groups) {
        Statement s{"death", {}, true, std::move(group.evidence)};
        if (group.pids.size() == 1) {
            append_process_name(s.text, group.comm, group.pids.front());
            s.text += " was " + group.by;
        } else {
            s.text = fmt::format("{} processes named {} were {} (", group.pids.size(), printable(group.comm), group.by);
            for (size_t i = 0; i < std::min(group.pids.size(), pids_shown); ++i)
                s.text += fmt::format("{}{}", i == 0 ? "" : ", ", group.pids[i]);
            s.text += group.pids.size() > pids_shown ? ", …)" : ")";
        }
        report.deaths.push_back(std::move(s));
    }
    if (left_out != 0)
        add_limit(report, "deaths", fmt::format("{} further deaths by signals are not listed", left_out));
}

// Why two incidents have to do with each other; "" when nothing in the flight says so.
std::string_view relation(const IncidentSeed& a, const IncidentSeed& b) {
    const uint64_t apart = a.time_ns > b.time_ns ? a.time_ns - b.time_ns : b.time_ns - a.time_ns;
    const auto descends = [](const IncidentSeed& child, const IncidentSeed& parent) {
        return std::any_of(child.ancestry.begin(), child.ancestry.end(),
                           [&](const Ancestor& one) { return one.pid == parent.pid; });
    };
    if (a.pid != 0 && a.pid == b.pid && a.comm == b.comm) return "the same process";
    if (a.pid != 0 && b.pid != 0 && same_program(a, b) && a.cgroup == b.cgroup)
        return "the same program in the same cgroup";
    if (apart > 60 * second) return {};
    if (a.pid != 0 && b.pid != 0 && descends(a, b)) return "its ancestor, within a minute";
    if (a.pid != 0 && b.pid != 0 && descends(b, a)) return "a descendant of it, within a minute";
    const bool place = !a.cgroup.empty() && a.cgroup != "/";
    if (place && a.cgroup == b.cgroup) return "the same cgroup, within a minute";
    if (place && !b.domain.empty() && below(a.cgroup, b.domain)) return "in the cgroup that ran out, within a minute";
    return {};
}

void link(std::vector<IncidentReport>& incidents) {
    for (auto& a : incidents)
        for (const auto& b : incidents) {
            if (a.number == b.number) continue;
            const std::string_view reason = relation(*a.seed, *b.seed);
            if (reason.empty()) continue;
            a.linked.push_back(b.number);
            a.link_reasons.emplace_back(reason);
        }
}

}  // namespace

Result<Report> make_report(const flight::FlightFile& file, const ReportOptions& options) {
    Report report;
    const auto symbols =
        options.symbols ? std::make_unique<Symbolizer>(file, Symbolizer::Options{options.debug_directories}) : nullptr;
    FR_ASSIGN(report.digest, Digest::gather(file, symbols.get()));
    const auto incidents = numbered_incidents(report.digest);
    report.lead = leading_incident(report.digest, incidents);
    std::vector<size_t> chosen;
    if (options.incident) {
        if (*options.incident == 0 || *options.incident > incidents.size())
            return std::unexpected(no_such_incident(*options.incident, incidents.size()));
        report.lead = *options.incident;
        chosen = {report.lead};
    } else {
        chosen = choose(incidents, report.lead, options.max_incidents);
        report.incidents_left_out = incidents.size() - chosen.size() + report.digest.incidents_left_out;
    }
    for (const size_t number : chosen) {
        IncidentReport& incident = report.incidents.emplace_back();
        const IncidentSeed* seed = incident.seed = incidents[number - 1];
        incident.number = number;
        incident.in_full = options.all || number == report.lead;
        LastCalls calls;
        if (incident.in_full && seed->pid != 0 && report.digest.syscalls != 0 && seed->kind != IncidentKind::request)
            calls = CallReader(file, *seed, options.last_calls, report.digest).read();
        CallActivity activity;
        if (incident.in_full && (seed->kind == IncidentKind::request || seed->kind == IncidentKind::other))
            activity = read_activity(file, calls_from(file, seed->time_ns, calls_read_max, activity_ns), seed->time_ns,
                                     report.digest.info.arch());
        judge({report.digest, *seed, calls, activity}, incident);
    }
    link(report.incidents);
    add_deaths(report);
    add_ending(report, file);
    add_window_limits(report, file);
    add_before(report);
    add_loss_limits(report);
    add_recorder_limits(report);
    return report;
}

}  // namespace flightrec::replay
