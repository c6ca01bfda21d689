// SPDX-License-Identifier: Apache-2.0
// Reading the vital track once and keeping what reports are made of.
#include "userspace/replay/digest.h"
#include "userspace/flight/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "userspace/replay/event_text.h"
#include "userspace/replay/json_renderer.h"
#include "userspace/replay/losses.h"
#include "userspace/replay/names.h"
#include "userspace/replay/oom_memory.h"

namespace flightrec::replay {
namespace {

using flight::EventRef;
using flight::find_blob;

constexpr uint64_t series_of_failures_ns = 10 * second;  // failures of one kind, closer than this, are one incident
constexpr int max_ancestors = 32;

class Gatherer {
  public:
    Gatherer(Digest& digest, const WallClock& clock, Symbolizer* symbols)
        : d_(digest), symbols_(symbols), json_(digest.timeline.reference_ns, clock, symbols) {}

    void event(const EventRef& event) {
        d_.state.begin(event);
        switch (event.head().cls) {
            case FR_CLASS_OOM_KILL: oom_kill(event); break;
            case FR_CLASS_CRASH: crash(event); break;
            case FR_CLASS_MODULE: module(event); break;
            case FR_CLASS_ALLOC_FAILURE: alloc_failure(event); break;
            case FR_CLASS_FORK: fork(event); break;
            case FR_CLASS_EXIT: exit(event); break;
            case FR_CLASS_SIGNAL: signal(event); break;
            case FR_CLASS_KMSG: kernel_line(event); break;
            case FR_CLASS_SYSTEM_SAMPLE: system_sample(event); break;
            case FR_CLASS_CGROUP_SAMPLE: cgroup_sample(event); break;
            case FR_CLASS_PROCESS_SAMPLE: process_sample(event); break;
            case FR_CLASS_MARKER: marker(event); break;
            case FR_CLASS_UNFINISHED:
                if (room(d_.unfinished))
                    d_.unfinished.push_back({event.as<fr_syscall>().enter_ns, event.head().tid, line_of(event)});
                break;
            case FR_CLASS_LEDGER: d_.ledger = event.as<fr_ledger>(); break;
            default: break;
        }
        d_.state.end(event);
    }
    void finish();

  private:
    Evidence line_of(const EventRef& event) {
        Evidence out{event.head().time_ns, {}};
        const auto comm = display_comm(event, d_.state);
        if (event.head().cls != FR_CLASS_KMSG && event.head().cls != FR_CLASS_MARKER && event.head().pid != 0) {
            append_process_name(out.text, comm, event.head().pid);
            out.text += ' ';
        }
        append_event_text(out.text, event, d_.state, {.stacks = false});
        return out;
    }
    std::vector<std::string> stack_of(const EventRef& event) {
        std::string text;
        append_event_text(text, event, d_.state, {.indent = "", .symbols = symbols_});
        std::vector<std::string> out;
        size_t at = text.find('\n');
        while (at != std::string::npos) {
            const size_t end = text.find('\n', at + 1);
            out.push_back(text.substr(at + 1, end == std::string::npos ? end : end - at - 1));
            at = end;
        }
        return out;
    }
    IncidentSeed* add_incident(IncidentKind kind, const EventRef& event);
    void describe_victim(IncidentSeed& seed, uint32_t pid, uint64_t start_ns);
    [[nodiscard]] std::string process_cgroup(uint32_t pid) const {
        const Process* process = d_.state.find(pid);
        return process != nullptr ? std::string(d_.state.cgroup_of(*process)) : std::string{};
    }
    void oom_kill(const EventRef& event);
    void final_sizes(IncidentSeed& seed);
    void crash(const EventRef& event);
    void module(const EventRef& event);
    void alloc_failure(const EventRef& event);
    void fork(const EventRef& event);
    void exit(const EventRef& event);
    void signal(const EventRef& event);
    void kernel_line(const EventRef& event);
    void system_sample(const EventRef& event);
    void cgroup_sample(const EventRef& event);
    void process_sample(const EventRef& event);
    void marker(const EventRef& event);
    void match_triggers();
    void add_stalls();
    template <class T>
    static bool room(const std::vector<T>& list) {
        return list.size() < Digest::max_notes;
    }
    void point(std::vector<Point>& list, uint64_t time_ns, uint64_t value) {
        if (value == FR_UNKNOWN || value == FR_NO_LIMIT || points_ >= Digest::max_points) return;
        ++points_;
        list.push_back({time_ns, value});
    }

    Digest& d_;
    Symbolizer* symbols_;
    JsonRenderer json_;
    size_t points_ = 0;
    std::unordered_map<uint32_t, std::vector<size_t>> series_by_pid_;
};

IncidentSeed* Gatherer::add_incident(IncidentKind kind, const EventRef& event) {
    if (d_.incidents.size() >= Digest::max_incidents) {
        ++d_.incidents_left_out;
        return nullptr;
    }
    IncidentSeed& seed = d_.incidents.emplace_back();
    seed.kind = kind;
    seed.time_ns = seed.last_ns = event.head().time_ns;
    seed.has_event = true;
    seed.line = line_of(event);
    seed.stack = stack_of(event);
    json_.append(seed.event_json, event, d_.state);
    seed.event_json.pop_back();  // its newline
    return &seed;
}

void Gatherer::describe_victim(IncidentSeed& seed, uint32_t pid, uint64_t start_ns) {
    seed.pid = pid;
    const Process* process = d_.state.find(pid, start_ns);
    if (process == nullptr) return;
    seed.victim = *process;
    if (seed.argv.empty()) seed.argv = process->argv;
    if (seed.comm.empty()) seed.comm = process->comm;
    if (seed.cgroup.empty()) seed.cgroup = d_.state.cgroup_of(*process);
    const Process* at = process;
    for (int i = 0; i < max_ancestors && at->parent != no_process; ++i) {
        at = &d_.state.process(at->parent);
        seed.ancestry.push_back({at->pid, ReplayState::command_line(*at, 100), at->parent_kind});
    }
}

void Gatherer::oom_kill(const EventRef& event) {
    if ((event.as<fr_oom_kill>().flags & FR_OOM_MARKED) != 0) return;  // was dying already: nobody was killed
    IncidentSeed* seed = add_incident(IncidentKind::oom, event);
    if (seed == nullptr) return;
    seed->oom = event.as<fr_oom_kill>();
    seed->comm = comm_text(seed->oom.victim_comm);
    if (const auto argv = find_blob(event, FR_BLOB_ARGV)) seed->argv = argv->text;
    seed->cgroup = d_.state.cgroup_path(seed->oom.victim_cgroup_id);
    if (const auto path = find_blob(event, FR_BLOB_CGROUP)) seed->domain = flight::path_from_components(path->text);
    if (seed->domain.empty()) seed->domain = d_.state.cgroup_path(seed->oom.domain_cgroup_id);
    describe_victim(*seed, seed->oom.victim_pid, seed->oom.victim_start_ns);
    if (const auto blob = find_blob(event, FR_BLOB_CANDIDATES)) seed->candidates = oom_candidates(blob->text);
    if (const auto blob = find_blob(event, FR_BLOB_MEMORY_STAT)) seed->memory_stat = blob->text;
    final_sizes(*seed);
}

void Gatherer::final_sizes(IncidentSeed& seed) {
    const auto add = [&](uint32_t pid, uint64_t start_ns, std::string_view comm, uint64_t rss) {
        FinalSize size{pid, start_ns, start_ns, rss, std::string(comm), no_process};
        if (const Process* process = d_.state.find(pid, start_ns); process != nullptr) {
            size.process = d_.state.index_of(pid);
            if (size.start_ns == 0) size.start_ns = process->start_ns;
            size.began_ns = std::max(size.start_ns, process->exec_ns);
        }
        seed.finals.push_back(std::move(size));
    };
    const auto& oom = seed.oom;
    add(oom.victim_pid, oom.victim_start_ns, seed.comm, oom.victim_anon + oom.victim_file + oom.victim_shmem);
    for (const auto& one : seed.candidates)
        if (one.pid != oom.victim_pid) add(one.pid, 0, comm_text(one.comm), rss_of(one));
}

void Gatherer::crash(const EventRef& event) {
    const auto crash = event.as<fr_crash>();
    if (crash.dumps_core == 0) return;  // ended by SIGTERM, SIGKILL, …: a death, not a crash
    IncidentSeed* seed = add_incident(IncidentKind::crash, event);
    if (seed == nullptr) return;
    seed->crash = crash;
    seed->comm = comm_text(crash.comm);
    seed->cgroup = d_.state.cgroup_path(crash.cgroup_id);
    describe_victim(*seed, event.head().pid, crash.start_ns);
}

void Gatherer::module(const EventRef& event) {
    for (auto it = d_.incidents.rbegin(); it != d_.incidents.rend(); ++it) {
        if (it->kind != IncidentKind::crash || it->pid != event.head().pid) continue;
        if (it->modules.size() < 512) {
            append_event_text(it->modules.emplace_back(), event, d_.state, {});
        }
        return;
    }
}

bool asked_for_silence(const fr_alloc_failure& alloc) {
    return alloc.kind != FR_ALLOC_FORK && alloc.kind != FR_ALLOC_SYSCALL && (alloc.gfp_mask & FR_GFP_NOWARN) != 0;
}

void Gatherer::alloc_failure(const EventRef& event) {
    const auto alloc = event.as<fr_alloc_failure>();
    if (alloc.kind == FR_ALLOC_CGROUP) {  // no incident: reclaim had to help, and else somebody was killed
        const auto path = find_blob(event, FR_BLOB_CGROUP);
        if (room(d_.limit_hits))
            d_.limit_hits.push_back({event.head().time_ns, path ? std::string(path->text) : std::string{},
                                     alloc.cause == FR_MEMORY_CGROUP_HIGH, alloc.size, alloc.limit, line_of(event)});
        return;
    }
    const auto kind = alloc.kind == FR_ALLOC_FORK ? IncidentKind::fork_failure : IncidentKind::alloc_failure;
    const uint64_t now = event.head().time_ns;
    for (auto it = d_.incidents.rbegin(); it != d_.incidents.rend(); ++it) {
        if (it->kind != kind || it->alloc.kind != alloc.kind || it->alloc.cause != alloc.cause ||
            asked_for_silence(it->alloc) != asked_for_silence(alloc) || it->alloc.cgroup_id != alloc.cgroup_id ||
            now - it->last_ns > series_of_failures_ns)
            continue;
        it->repeats += 1 + alloc.left_out;
        it->last_ns = now;
        return;
    }
    IncidentSeed* seed = add_incident(kind, event);
    if (seed == nullptr) return;
    seed->alloc = alloc;
    seed->comm = comm_text(alloc.comm);
    if (const auto path = find_blob(event, FR_BLOB_CGROUP)) seed->domain = flight::path_from_components(path->text);
    if (seed->domain.empty()) seed->domain = d_.state.cgroup_path(alloc.limit_cgroup_id);
    describe_victim(*seed, event.head().pid, 0);
}

void Gatherer::fork(const EventRef& event) {
    const auto fork = event.as<fr_fork>();
    if (d_.forks.size() < 50 * Digest::max_notes)
        d_.forks.push_back(
            {event.head().time_ns, d_.state.index_of(event.head().pid), fork.child_pid != fork.child_tid});
}

void Gatherer::exit(const EventRef& event) {
    const auto exit = event.as<fr_exit>();
    if ((exit.flags & FR_EXIT_GROUP_DEAD) == 0) return;
    const Process* process = d_.state.find(event.head().pid);
    const uint64_t start = process != nullptr && process->start_ns != 0 ? process->start_ns : exit.start_ns;
    const uint64_t now = event.head().time_ns;
    if (start != 0 && start <= now && now - start < Digest::short_life_ns &&
        d_.short_lives.size() < 10 * Digest::max_notes)
        d_.short_lives.push_back({now, exit.utime_ns + exit.stime_ns, std::string(comm_text(exit.comm))});
    if ((exit.exit_code & 0x7f) == 0 || !room(d_.deaths)) return;
    d_.deaths.push_back({event.head().time_ns, start, event.head().pid, exit.exit_code,
                         std::string(comm_text(exit.comm)), exit.cgroup_id, line_of(event)});
}

void Gatherer::signal(const EventRef& event) {
    const auto signal = event.as<fr_signal>();
    const bool fatal = signal.signal == 9 || (signal.flags & (FR_SIGNAL_HANDLED | FR_SIGNAL_IGNORED)) == 0;
    if (!fatal || signal.signal == 17 || signal.signal == 18 || signal.signal == 23 || signal.signal == 28) return;
    if (!room(d_.signals)) return;
    const bool kernel = (signal.flags & FR_SIGNAL_FROM_KERNEL) != 0;
    d_.signals.push_back({event.head().time_ns, signal.target_pid, kernel ? 0 : event.head().pid, signal.signal, kernel,
                          line_of(event)});
}

void Gatherer::kernel_line(const EventRef& event) {
    if (d_.kernel.size() >= 10 * Digest::max_notes) return;
    const auto text = find_blob(event, FR_BLOB_TEXT);
    d_.kernel.push_back(
        {event.head().time_ns, event.as<fr_kmsg>().level, text ? std::string(text->text) : std::string{}});
}

void Gatherer::system_sample(const EventRef& event) {
    const auto s = event.as<fr_system_sample>();
    const uint64_t now = event.head().time_ns;
    if (room(d_.system_samples)) d_.system_samples.emplace_back(now, s);
    const std::pair<const char*, uint64_t> fields[] = {
        {"available", s.mem_available},
        {"anon", s.anon},
        {"cached", s.cached},
        {"shmem", s.shmem},
        {"slab", s.slab},
        {"page tables", s.page_tables},
        {"locked", s.mlocked},
        {"kernel stacks", s.kernel_stack},
    };
    for (const auto& [name, value] : fields) point(d_.system[name], now, value);
}

void Gatherer::cgroup_sample(const EventRef& event) {
    const auto s = event.as<fr_cgroup_sample>();
    auto& fields = d_.cgroups[s.cgroup_id];
    const std::pair<const char*, uint64_t> list[] = {
        {"usage", s.memory_current}, {"anon", s.memory_anon},         {"file", s.memory_file},  {"slab", s.memory_slab},
        {"limit", s.memory_max},     {"failures", s.memory_failures}, {"pids", s.pids_current},
    };
    for (const auto& [name, value] : list) point(fields[name], event.head().time_ns, value);
}

void Gatherer::process_sample(const EventRef& event) {
    const auto s = event.as<fr_process_sample>();
    const uint32_t pid = event.head().pid;
    auto& own = series_by_pid_[pid];
    const auto known =
        std::find_if(own.rbegin(), own.rend(), [&](size_t i) { return d_.series[i].start_ns == s.start_ns; });
    size_t index = 0;
    if (known != own.rend()) {
        index = *known;
    } else {
        if (!room(d_.series)) return;
        index = d_.series.size();
        d_.series.push_back({pid, s.start_ns, std::string(comm_text(s.comm)), d_.state.index_of(pid), {}, {}});
        own.push_back(index);
    }
    point(d_.series[index].rss, event.head().time_ns, s.rss);
    point(d_.series[index].cpu_ms, event.head().time_ns, s.utime_ms + s.stime_ms);
    if (s.state != 'D' || !room(d_.waiting)) return;
    const auto function = find_blob(event, FR_BLOB_TEXT);
    d_.waiting.push_back({event.head().time_ns, pid, std::string(comm_text(s.comm)),
                          function ? std::string(function->text) : std::string{}, process_cgroup(pid)});
}

void Gatherer::marker(const EventRef& event) {
    const auto marker = event.as<fr_marker>();
    d_.stopped_in_order = marker.kind == FR_MARKER_STOP;
    switch (marker.kind) {
        case FR_MARKER_GAP:
            if (room(d_.gaps))
                d_.gaps.push_back({event.head().time_ns, marker.value[3], marker.value[2], marker.value[1], false});
            break;
        case FR_MARKER_POLICY:
        case FR_MARKER_RESTART:
            if (room(d_.policy)) d_.policy.push_back(line_of(event));
            break;
        case FR_MARKER_PREVIOUS_END:
            if (const auto told = find_blob(event, FR_BLOB_TEXT); told && room(d_.before))
                d_.before.push_back({event.head().time_ns, std::string(told->text)});
            [[fallthrough]];
        case FR_MARKER_SHUTDOWN:
            if (room(d_.previous)) d_.previous.push_back(line_of(event));
            break;
        default: break;
    }
}

IncidentKind kind_of_trigger(uint64_t trigger) {
    switch (trigger) {
        case FR_TRIGGER_OOM_KILL: return IncidentKind::oom;
        case FR_TRIGGER_CRASH: return IncidentKind::crash;
        case FR_TRIGGER_FORK_FAILURE: return IncidentKind::fork_failure;
        case FR_TRIGGER_ALLOC_FAILURE: return IncidentKind::alloc_failure;
        case FR_TRIGGER_STALL: return IncidentKind::stall;
        case FR_TRIGGER_COMMAND:
        case FR_TRIGGER_SIGNAL: return IncidentKind::request;
        default: return IncidentKind::other;
    }
}

// Every trigger belongs to its event; one whose event is not in the file becomes an incident of its own.
void Gatherer::match_triggers() {
    for (const Trigger& trigger : d_.timeline.triggers) {
        const IncidentKind kind = kind_of_trigger(trigger.kind);
        const bool series = kind == IncidentKind::fork_failure || kind == IncidentKind::alloc_failure;
        const auto match = std::find_if(d_.incidents.begin(), d_.incidents.end(), [&](const IncidentSeed& seed) {
            if (seed.kind != kind || seed.trigger != nullptr) return false;
            if (series) return trigger.time_ns >= seed.time_ns && trigger.time_ns <= seed.last_ns;
            return seed.time_ns == trigger.time_ns && (trigger.pid == 0 || seed.pid == trigger.pid);
        });
        if (match != d_.incidents.end()) {
            match->trigger = &trigger;
            continue;
        }
        IncidentSeed& seed = d_.incidents.emplace_back();
        seed.kind = kind;
        seed.time_ns = seed.last_ns = trigger.time_ns;
        seed.trigger = &trigger;
        seed.line.time_ns = trigger.time_ns;
        seed.line.text = fmt::format("trigger {}: {}{}", trigger.number, trigger_name(trigger.kind),
                                     trigger.pid != 0 ? fmt::format(", pid {}", trigger.pid) : "");
        if (!trigger.text.empty()) {
            seed.line.text += ": ";
            append_printable(seed.line.text, trigger.text);
        }
        describe_victim(seed, trigger.pid, 0);
    }
}

// Stalls that the samples show and that made no dump.
void Gatherer::add_stalls() {
    constexpr uint64_t near_ns = 30'000'000'000;
    for (const auto& stall : find_stalls(d_.waiting, d_.system_samples)) {
        const bool known = std::any_of(d_.incidents.begin(), d_.incidents.end(), [&](const IncidentSeed& seed) {
            return seed.kind == IncidentKind::stall && seed.time_ns + near_ns >= stall.from_ns &&
                   seed.time_ns <= stall.to_ns + near_ns;
        });
        if (known || d_.incidents.size() >= Digest::max_incidents) continue;
        IncidentSeed& seed = d_.incidents.emplace_back();
        seed.kind = IncidentKind::stall;
        seed.time_ns = stall.from_ns;
        seed.last_ns = stall.to_ns;
        seed.line = {stall.from_ns,
                     fmt::format("the samples show a stall of {}", format_duration(stall.to_ns - stall.from_ns))};
    }
}

void Gatherer::finish() {
    // Lone failures of allocations that nobody died of are no incident of their own; those of fork are. Nor are those
    // of a caller in the kernel that has another way to go on, as of a huge page in a page fault.
    std::erase_if(d_.incidents, [&](const IncidentSeed& seed) {
        return seed.kind == IncidentKind::alloc_failure &&
               (seed.alloc.kind == FR_ALLOC_SYSCALL || asked_for_silence(seed.alloc));
    });
    match_triggers();
    add_stalls();
    std::stable_sort(d_.incidents.begin(), d_.incidents.end(),
                     [](const IncidentSeed& a, const IncidentSeed& b) { return a.time_ns < b.time_ns; });
}

}  // namespace

Result<Digest> Digest::gather(const flight::FlightFile& file, Symbolizer* symbols) {
    Digest out;
    out.info = FlightInfo::parse(file.info_json());
    out.timeline = read_timeline(file);
    out.state = ReplayState(out.info.arch(), out.timeline.early);
    const FileClock clock(file);
    Gatherer gatherer(out, clock, symbols);
    flight::ReadOptions options;
    options.syscalls = false;
    auto reader = file.read(options);
    while (const auto event = reader.next()) {
        if (!reader.in_keyframe()) ++out.events;
        gatherer.event(*event);
    }
    gatherer.finish();
    reader.check_rest();
    out.damage = file.damage();
    out.damage.add(reader.damage());
    out.blocks_lost = reader.blocks_lost();
    for (const auto& part : missing_parts(file)) out.gaps.push_back({part.time_ns, 0, part.events, part.track, true});
    std::sort(out.gaps.begin(), out.gaps.end(), [](const Gap& a, const Gap& b) { return a.time_ns < b.time_ns; });
    out.evicted = evicted_events(file);
    for (const auto& segment : file.segments())
        for (const auto& block : segment.blocks) {
            if (segment.header.track != FR_TRACK_SYSCALL) continue;
            if (out.syscalls == 0) out.first_syscall_ns = block.header.first_ns;
            out.first_syscall_ns = std::min<uint64_t>(out.first_syscall_ns, block.header.first_ns);
            out.last_syscall_ns = std::max<uint64_t>(out.last_syscall_ns, block.header.last_ns);
            out.syscalls += block.header.events;
        }
    return out;
}

const ProcessSeries* Digest::series_of(uint32_t pid, uint64_t start_ns) const {
    const ProcessSeries* best = nullptr;
    for (const auto& one : series) {
        if (one.pid != pid) continue;
        const auto near = one.start_ns > start_ns ? one.start_ns - start_ns : start_ns - one.start_ns;
        if (start_ns == 0 || one.start_ns == 0 || near < 20'000'000) best = &one;
    }
    return best;
}

std::string container_of(std::string_view path) {
    const auto container = flight::container_of(path);
    const size_t service = path.rfind(".service");
    const bool unit = service != std::string_view::npos && (service + 8 == path.size() || path[service + 8] == '/') &&
                      (!container || path.data() + service > container->id.data());
    if (unit) {
        const size_t slash = path.rfind('/', service);
        const size_t from = slash == std::string_view::npos ? 0 : slash + 1;
        return "unit " + std::string(path.substr(from, service + 8 - from));
    }
    if (!container) return {};
    const bool hash = container->id.size() == 64;
    return fmt::format("container {} {}", container->runtime, hash ? container->id.substr(0, 12) : container->id);
}

}  // namespace flightrec::replay
