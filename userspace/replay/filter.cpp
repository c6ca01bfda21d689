// SPDX-License-Identifier: Apache-2.0
// Deciding whether an event is wanted, cheapest conditions first.
#include "userspace/replay/filter.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "userspace/base/nearest.h"
#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/names.h"

namespace flightrec::replay {
namespace {

using flight::EventRef;

bool is_call(uint8_t cls) {
    return cls == FR_CLASS_SYSCALL || cls == FR_CLASS_SYSCALL_ENTER || cls == FR_CLASS_UNFINISHED;
}

// The values without and with a '!' before them.
struct Split {
    std::vector<std::string> wanted, unwanted;
    explicit Split(const std::vector<std::string>& values) {
        for (const auto& value : values) {
            if (value.starts_with('!'))
                unwanted.push_back(value.substr(1));
            else
                wanted.push_back(value);
        }
    }
};

using Classes = std::bitset<FR_CLASS_COUNT>;

Result<Classes> parse_classes(const std::vector<std::string>& names) {
    Classes out;
    for (const auto& name : names) {
        if (name == "samples" || name == "sample") {
            for (const auto cls : {FR_CLASS_SYSTEM_SAMPLE, FR_CLASS_CGROUP_SAMPLE, FR_CLASS_PROCESS_SAMPLE})
                out.set(cls);
        } else if (name == "lifecycle") {
            for (const auto cls : {FR_CLASS_EXEC, FR_CLASS_EXEC_FAILED, FR_CLASS_FORK, FR_CLASS_EXIT}) out.set(cls);
        } else if (name == "memory") {
            for (const auto cls : {FR_CLASS_OOM_KILL, FR_CLASS_ALLOC_FAILURE}) out.set(cls);
        } else if (const auto cls = flight::class_of_name(name)) {
            out.set(*cls);
        } else {
            std::vector<std::string_view> known;
            for (uint8_t i = 1; i < FR_CLASS_COUNT; ++i)
                if (const auto known_name = flight::class_name(i); flight::class_of_name(known_name))
                    known.push_back(known_name);
            std::string list;
            for (const auto one : known) list += fmt::format("{}, ", one);
            for (const std::string_view group : {"samples", "lifecycle", "memory"}) known.push_back(group);
            return fail(Code::usage, fmt::format("--class: there is no class \"{}\"; there are {}and the groups "
                                                 "samples, lifecycle, memory{}",
                                                 printable(name), list, did_you_mean(name, known)));
        }
    }
    // One call is one thing to the user, however many records it took.
    if (out[FR_CLASS_SYSCALL]) {
        out.set(FR_CLASS_SYSCALL_ENTER);
        out.set(FR_CLASS_UNFINISHED);
    }
    return out;
}

Result<std::bitset<schemas::kSyscallLimit>> parse_syscalls(const std::vector<std::string>& names, schemas::Arch arch) {
    std::bitset<schemas::kSyscallLimit> out;
    for (const auto& name : names) {
        const auto* info = schemas::find_syscall(arch, std::string_view(name));
        if (info == nullptr) {
            std::vector<std::string_view> known;
            for (const auto& one : schemas::all_syscalls())
                if (one.number(arch) >= 0) known.push_back(one.name);
            return fail(Code::usage, fmt::format("--syscall: {} has no system call \"{}\"{}",
                                                 arch == schemas::Arch::arm64 ? "arm64" : "x86-64", printable(name),
                                                 did_you_mean(name, known)));
        }
        out.set(static_cast<size_t>(info->number(arch)));
    }
    return out;
}

Result<int> parse_errno(const std::string& name) {
    const int error = errno_of_name(name);
    if (error != 0) return error;
    std::vector<std::string_view> known;
    for (int i = 1; i < 134; ++i) known.push_back(errno_name(i));
    return fail(Code::usage,
                fmt::format("--errno: \"{}\" is no error name{}", printable(name), did_you_mean(name, known)));
}

bool any_glob_matches(const std::vector<std::string>& globs, std::string_view text) {
    if (text.empty()) return false;
    const std::string name(text);
    return std::any_of(globs.begin(), globs.end(),
                       [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

// PATH as cgroup.procs' folder has it below the mount point of the hierarchy, where it is given with that.
std::string path_in_hierarchy(const std::string& path) {
    static constexpr std::string_view mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    for (const auto mount : mounts) {
        if (!path.starts_with(mount)) continue;
        std::string rest = path.substr(mount.size());
        if (rest.empty()) return "/";
        if (rest.front() == '/') return rest;
    }
    return path;
}

// A glob over the whole path, or a path and all below it.
bool any_path_matches(const std::vector<std::string>& wanted_paths, std::string_view path) {
    if (path.empty()) return false;
    const std::string name(path);
    for (const auto& wanted : wanted_paths) {
        if (wanted.find_first_of("*?[") != std::string::npos) {
            if (fnmatch(wanted.c_str(), name.c_str(), 0) == 0) return true;
            continue;
        }
        std::string_view prefix = wanted;
        while (prefix.size() > 1 && prefix.ends_with('/')) prefix.remove_suffix(1);
        if (prefix == "/" || (path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/')))
            return true;
    }
    return false;
}

}  // namespace

Result<EventFilter> EventFilter::make(const FilterOptions& options, const Timeline& timeline, const WallClock& clock,
                                      schemas::Arch arch) {
    EventFilter out;
    if (!options.since.empty()) {
        FR_ASSIGN(out.from_ns_, parse_moment("--since", options.since, timeline, clock));
    }
    if (!options.until.empty()) {
        FR_ASSIGN(out.to_ns_, parse_moment("--until", options.until, timeline, clock));
    }
    if (out.from_ns_ > out.to_ns_) return fail(Code::usage, "--since is later than --until");
    if (!options.classes.empty()) {
        const Split names(options.classes);
        FR_ASSIGN(out.named_, parse_classes(names.wanted));
        FR_ASSIGN(const Classes unwanted, parse_classes(names.unwanted));
        out.by_class_ = (names.wanted.empty() ? ~Classes{} : out.named_) & ~unwanted;
    }
    if (!options.syscalls.empty()) {
        const Split names(options.syscalls);
        FR_ASSIGN(out.not_syscall_, parse_syscalls(names.unwanted, arch));
        if (!names.wanted.empty()) {
            FR_ASSIGN(out.by_syscall_, parse_syscalls(names.wanted, arch));
        }
    }
    for (const auto& name : options.errnos) {
        FR_ASSIGN(const int error, parse_errno(name));
        out.errnos_.push_back(error);
    }
    if (!options.slower_than.empty()) {
        int64_t ns = 0;
        // Not "50" either: who writes that of a system call hardly means seconds.
        const bool has_unit =
            options.slower_than == "0" || std::isalpha(static_cast<unsigned char>(options.slower_than.back())) != 0;
        if (!has_unit || !parse_duration(options.slower_than, ns) || ns < 0)
            return fail(Code::usage, fmt::format("--slower-than: \"{}\" is no duration; write 10ms, 250us or 1.5s",
                                                 printable(options.slower_than)));
        out.slower_than_ns_ = static_cast<uint64_t>(ns);
    }
    out.pids_ = options.pids;
    out.tids_ = options.tids;
    out.trees_ = options.trees;
    Split comms(options.comms);
    out.comms_ = std::move(comms.wanted);
    out.not_comms_ = std::move(comms.unwanted);
    Split cgroups(options.cgroups);
    for (auto* paths : {&cgroups.wanted, &cgroups.unwanted})
        for (auto& path : *paths) path = path_in_hierarchy(path);
    out.cgroups_ = std::move(cgroups.wanted);
    out.not_cgroups_ = std::move(cgroups.unwanted);
    out.failed_ = options.failed;
    out.grep_ = options.grep;
    out.who_ = !(out.pids_.empty() && out.tids_.empty() && out.trees_.empty() && options.comms.empty() &&
                 options.cgroups.empty());
    out.selects_ = out.who_ || out.by_class_ || !options.syscalls.empty() || out.failed_ || !out.errnos_.empty() ||
                   out.slower_than_ns_ || !out.grep_.empty() || !options.since.empty() || !options.until.empty();
    return out;
}

bool EventFilter::narrows_calls() const {
    return by_syscall_ || failed_ || !errnos_.empty() || slower_than_ns_ || !pids_.empty() || !tids_.empty() ||
           needs_vital_track();
}

bool EventFilter::may_match(const flight::BlockSummary& summary) const {
    if (by_syscall_ && std::none_of(summary.numbers.begin(), summary.numbers.end(),
                                    [&](uint32_t nr) { return nr < by_syscall_->size() && (*by_syscall_)[nr]; }))
        return false;
    if (failed_ && summary.errors.empty()) return false;
    if (!errnos_.empty() &&
        std::none_of(errnos_.begin(), errnos_.end(), [&](int error) { return summary.has_error(error); }))
        return false;
    return !slower_than_ns_ || summary.longest_ns >= *slower_than_ns_ ||
           (summary.flags & FR_SUMMARY_DURATION_UNKNOWN) != 0;
}

bool EventFilter::comm_is_wanted(std::string_view comm) const { return any_glob_matches(comms_, comm); }
bool EventFilter::cgroup_is_wanted(std::string_view path) const { return any_path_matches(cgroups_, path); }

bool EventFilter::is_loss(const EventRef& event) {
    if (event.head().cls != FR_CLASS_MARKER) return false;
    const auto kind = event.as<fr_marker>().kind;
    return kind == FR_MARKER_GAP || kind == FR_MARKER_POLICY;
}

bool EventFilter::matches(const EventRef& event, const ReplayState& state) {
    const uint8_t cls = event.head().cls;
    if (cls == FR_CLASS_MARKER && is_loss(event)) return true;
    if (by_class_ && (cls >= FR_CLASS_COUNT || !(*by_class_)[cls])) return false;
    if (by_syscall_) {
        if (!is_call(cls) || (event.head().flags & FR_EVENT_COMPAT) != 0) return false;
        const uint32_t nr = event.as<fr_syscall>().nr;
        if (nr >= by_syscall_->size() || !(*by_syscall_)[nr]) return false;
    }
    if (not_syscall_.any() && is_call(cls) && (event.head().flags & FR_EVENT_COMPAT) == 0) {
        const uint32_t nr = event.as<fr_syscall>().nr;
        if (nr < not_syscall_.size() && not_syscall_[nr]) return false;
    }
    if ((failed_ || slower_than_ns_ || !errnos_.empty()) && !matches_result(event)) return false;
    return !who_ || matches_who(event, state);
}

bool EventFilter::matches_result(const EventRef& event) const {
    int64_t result = 0;
    std::optional<uint64_t> duration;
    switch (event.head().cls) {
        case FR_CLASS_SYSCALL: {
            const auto call = event.as<fr_syscall>();
            result = call.result;
            if ((event.head().flags & FR_EVENT_NO_ENTRY) == 0 && call.enter_ns <= event.head().time_ns)
                duration = event.head().time_ns - call.enter_ns;
            break;
        }
        case FR_CLASS_UNFINISHED: {
            const auto call = event.as<fr_syscall>();
            if (call.enter_ns != 0 && call.enter_ns <= event.head().time_ns)
                duration = event.head().time_ns - call.enter_ns;
            break;
        }
        case FR_CLASS_EXEC_FAILED: result = event.as<fr_exec_failed>().error; break;
        case FR_CLASS_ALLOC_FAILURE: {
            const auto alloc = event.as<fr_alloc_failure>();
            result = alloc.result < 0 ? alloc.result : -12;
            break;
        }
        default: return false;
    }
    const bool error = result < 0 && result > -4096;
    if ((failed_ || !errnos_.empty()) && !error) return false;
    if (!errnos_.empty() && std::find(errnos_.begin(), errnos_.end(), static_cast<int>(-result)) == errnos_.end())
        return false;
    return !slower_than_ns_ || (duration && *duration >= *slower_than_ns_);
}

EventFilter::Subjects EventFilter::subjects_of(const EventRef& event) {
    Subjects out;
    // The views below point into the record, whose fixed part may be shorter than this build's: then they stay empty.
    const auto comm_at = [&](size_t offset) -> std::string_view {
        if (event.fixed_size < offset + FR_COMM_LEN || event.bytes.size() < offset + FR_COMM_LEN) return {};
        const auto* text = reinterpret_cast<const char*>(event.bytes.data()) + offset;
        return {text, strnlen(text, FR_COMM_LEN)};
    };
    const auto add = [&](uint32_t pid, uint32_t tid, std::string_view comm = {}) {
        if (out.count < out.who.size()) out.who[out.count++] = {pid, tid, comm};
    };
    const auto& head = event.head();
    switch (head.cls) {
        case FR_CLASS_EXEC: add(head.pid, head.tid, comm_at(offsetof(fr_exec, comm))); break;
        case FR_CLASS_EXIT: add(head.pid, head.tid, comm_at(offsetof(fr_exit, comm))); break;
        case FR_CLASS_CRASH: add(head.pid, head.tid, comm_at(offsetof(fr_crash, comm))); break;
        case FR_CLASS_PROCESS: add(head.pid, head.pid, comm_at(offsetof(fr_process, comm))); break;
        case FR_CLASS_PROCESS_SAMPLE: add(head.pid, head.pid, comm_at(offsetof(fr_process_sample, comm))); break;
        case FR_CLASS_FORK: {
            const auto fork = event.as<fr_fork>();
            add(head.pid, head.tid);
            add(fork.child_pid, fork.child_tid, comm_at(offsetof(fr_fork, comm)));
            break;
        }
        case FR_CLASS_SIGNAL: {
            const auto signal = event.as<fr_signal>();
            if ((signal.flags & FR_SIGNAL_FROM_KERNEL) == 0)
                add(head.pid, head.tid, comm_at(offsetof(fr_signal, comm)));
            add(signal.target_pid, signal.target_tid, comm_at(offsetof(fr_signal, target_comm)));
            break;
        }
        case FR_CLASS_OOM_KILL: {
            const auto oom = event.as<fr_oom_kill>();
            add(oom.victim_pid, oom.victim_tid, comm_at(offsetof(fr_oom_kill, victim_comm)));
            add(head.pid, head.tid, comm_at(offsetof(fr_oom_kill, comm)));
            break;
        }
        case FR_CLASS_RENAME: {
            const auto rename = event.as<fr_rename>();
            add(rename.target_pid, rename.target_tid, comm_at(offsetof(fr_rename, new_comm)));
            add(rename.target_pid, rename.target_tid, comm_at(offsetof(fr_rename, old_comm)));
            break;
        }
        case FR_CLASS_CGROUP_ATTACH: {
            const auto attach = event.as<fr_cgroup_attach>();
            add(attach.target_pid, attach.target_tid);
            add(head.pid, head.tid);
            break;
        }
        case FR_CLASS_MARKER: {
            const auto marker = event.as<fr_marker>();
            if (marker.kind == FR_MARKER_TRIGGER && marker.value[1] != 0)
                add(static_cast<uint32_t>(marker.value[1]), static_cast<uint32_t>(marker.value[1]));
            break;
        }
        case FR_CLASS_KMSG:
        case FR_CLASS_SYSTEM_SAMPLE:
        case FR_CLASS_CGROUP_SAMPLE:
        case FR_CLASS_LEDGER: break;
        default: add(head.pid, head.tid); break;
    }
    return out;
}

bool EventFilter::matches_who(const EventRef& event, const ReplayState& state) {
    const Subjects subjects = subjects_of(event);
    const auto any = [&](auto&& test) {
        return std::any_of(subjects.who.begin(), subjects.who.begin() + static_cast<std::ptrdiff_t>(subjects.count),
                           test);
    };
    const auto holds = [](const std::vector<uint32_t>& list, uint32_t id) {
        return std::find(list.begin(), list.end(), id) != list.end();
    };
    if (!pids_.empty() && !any([&](const Subject& s) { return holds(pids_, s.pid); })) return false;
    if (!tids_.empty() && !any([&](const Subject& s) { return holds(tids_, s.tid); })) return false;
    if (!trees_.empty() && !any([&](const Subject& s) { return in_tree(s.pid, state); })) return false;
    if (!comms_.empty() && !matches_comm(comms_, subjects, state)) return false;
    if (!not_comms_.empty() && matches_comm(not_comms_, subjects, state)) return false;
    if (!not_cgroups_.empty() && matches_cgroup(not_cgroups_, event, subjects, state)) return false;
    return cgroups_.empty() || matches_cgroup(cgroups_, event, subjects, state);
}

bool EventFilter::matches_comm(const std::vector<std::string>& globs, const Subjects& subjects,
                               const ReplayState& state) {
    for (size_t i = 0; i < subjects.count; ++i) {
        const Subject& s = subjects.who[i];
        if (any_glob_matches(globs, s.comm) || any_glob_matches(globs, state.comm_of(s.tid, s.pid))) return true;
        const Process* process = state.find(s.pid);
        if (process != nullptr && any_glob_matches(globs, process->comm)) return true;
    }
    return false;
}

bool EventFilter::matches_cgroup(const std::vector<std::string>& wanted, const EventRef& event,
                                 const Subjects& subjects, const ReplayState& state) {
    const auto path_matches = [&](std::string_view path) { return any_path_matches(wanted, path); };
    const auto text = [&] {
        const auto blob = flight::find_blob(event, FR_BLOB_TEXT);
        return blob ? blob->text : std::string_view{};
    };
    switch (event.head().cls) {
        case FR_CLASS_CGROUP: return path_matches(text());
        case FR_CLASS_CGROUP_SAMPLE:
            return path_matches(text()) || path_matches(state.cgroup_path(event.as<fr_cgroup_sample>().cgroup_id));
        case FR_CLASS_CGROUP_ATTACH:
            if (path_matches(text())) return true;
            break;
        case FR_CLASS_OOM_KILL:
            if (path_matches(state.cgroup_path(event.as<fr_oom_kill>().domain_cgroup_id))) return true;
            if (path_matches(state.cgroup_path(event.as<fr_oom_kill>().victim_cgroup_id))) return true;
            break;
        default: break;
    }
    for (size_t i = 0; i < subjects.count; ++i) {
        const Process* process = state.find(subjects.who[i].pid);
        if (process != nullptr && path_matches(state.cgroup_of(*process))) return true;
    }
    return false;
}

// The same for one life, with all that the whole flight tells of its parents.
bool EventFilter::descends(const Process& process, const ReplayState& state) const {
    const Process* at = &process;
    for (int depth = 0; depth < 4096; ++depth) {
        if (std::find(trees_.begin(), trees_.end(), at->pid) != trees_.end()) return true;
        if (at->parent == no_process) return false;
        at = &state.process(at->parent);
    }
    return false;
}

// Whether the life of pid that goes on now descends from one of the wanted pids (any life of it).
bool EventFilter::in_tree(uint32_t pid, const ReplayState& state) {
    const auto is_root = [&](uint32_t id) { return std::find(trees_.begin(), trees_.end(), id) != trees_.end(); };
    if (is_root(pid)) return true;
    ProcessIndex index = state.index_of(pid);
    if (index == no_process) return false;
    tree_member_.resize(state.processes().size(), 0);
    if (tree_member_[index] != 0) return tree_member_[index] > 0;
    const ProcessIndex start = index;
    bool in = false;
    bool decided = true;
    for (int depth = 0; depth < 4096; ++depth) {
        const Process& process = state.process(index);
        if (is_root(process.pid)) {
            in = true;
            break;
        }
        if (process.parent == no_process) {
            decided = process.parent_kind != Parent::unknown;  // it may still be told
            break;
        }
        index = process.parent;
        if (tree_member_[index] != 0) {
            in = tree_member_[index] > 0;
            break;
        }
    }
    if (decided) tree_member_[start] = in ? 1 : -1;
    return in;
}

}  // namespace flightrec::replay
