// SPDX-License-Identifier: Apache-2.0
// From the conditions to processes, from processes and summaries to blocks.
#include "userspace/replay/block_choice.h"

#include <algorithm>
#include <unordered_map>

#include "userspace/replay/event_source.h"
#include "userspace/replay/fd_effects.h"

namespace flightrec::replay {
namespace {

using flight::BlockInfo;
using flight::BlockSummary;
using flight::EventRef;

constexpr uint64_t always = std::numeric_limits<uint64_t>::max();

struct Fork {
    uint32_t child, maker;
    uint64_t time_ns;
};

struct Summed {
    BlockInfo block;
    BlockSummary summary;
};

std::vector<Summed> summaries_of(const flight::FlightFile& file, uint64_t from_ns, uint64_t to_ns) {
    std::vector<Summed> out;
    for (const auto& segment : file.segments()) {
        if (segment.header.track != FR_TRACK_SYSCALL) continue;
        for (const auto& block : segment.blocks) {
            if (block.header.last_ns < from_ns || block.header.first_ns > to_ns) continue;
            if (auto summary = file.summary(block)) out.push_back({block, std::move(*summary)});
        }
    }
    return out;
}

// Up to when the calls of each process change what is shown: its own for ever, those of whoever forked it until then.
using Until = std::unordered_map<uint32_t, uint64_t>;

void add_makers(Until& until, const std::vector<Fork>& forks) {
    std::unordered_map<uint32_t, std::vector<const Fork*>> by_child;
    for (const Fork& fork : forks) by_child[fork.child].push_back(&fork);
    std::vector<uint32_t> open;
    for (const auto& [pid, time] : until) open.push_back(pid);
    while (!open.empty()) {
        const uint32_t child = open.back();
        open.pop_back();
        const auto found = by_child.find(child);
        if (found == by_child.end()) continue;
        const uint64_t limit = until[child];
        for (const Fork* fork : found->second) {
            if (fork->time_ns > limit) continue;
            uint64_t& known = until[fork->maker];  // 0: new
            if (known >= fork->time_ns) continue;
            known = fork->time_ns;
            open.push_back(fork->maker);
        }
    }
}

}  // namespace

// Who may match the conditions about processes at any moment: all of the flight's vital events are asked.
class Concerned {
  public:
    Concerned(const EventFilter& filter, const Timeline& timeline) : filter_(filter), timeline_(timeline) {}

    // Reads the vital track: names, cgroups and descent come from there, and who forked whom.
    void read(const flight::FlightFile& file, schemas::Arch arch) {
        ReplayState state(arch, timeline_.early);
        const bool by_state = !(filter_.comms_.empty() && filter_.cgroups_.empty() && filter_.trees_.empty());
        EventSource source(file, 0, filter_.to_ns(), {}, false);
        while (const auto event = source.next()) {
            if (event->head().cls == FR_CLASS_FORK) {
                const auto fork = event->as<fr_fork>();
                if (fork.child_pid == fork.child_tid)
                    forks.push_back({fork.child_pid, event->head().pid, event->head().time_ns});
            }
            if (!by_state) continue;
            state.begin(*event);
            learn(*event, state);
            state.end(*event);
        }
        if (!by_state) return;
        for (const Process& process : state.processes()) {
            if (filter_.descends(process, state)) in_tree_.insert(process.pid);
            if (filter_.cgroup_is_wanted(state.cgroup_of(process))) cgroup_ids_.insert(process.cgroup_id);
        }
        for (const auto& [pid, cgroup] : was_in_)
            if (cgroup_ids_.contains(cgroup)) in_cgroup_.insert(pid);
        if (timeline_.early != nullptr)
            timeline_.early->for_each([&](uint32_t tid, std::string_view name) {
                if (filter_.comm_is_wanted(name)) named_.insert(tid);
            });
    }

    [[nodiscard]] bool has(const BlockSummary::Thread& thread) const {
        const auto given = [](const std::vector<uint32_t>& list, uint32_t id) {
            return list.empty() || std::find(list.begin(), list.end(), id) != list.end();
        };
        return given(filter_.pids_, thread.pid) && given(filter_.tids_, thread.tid) &&
               (filter_.comms_.empty() || named_.contains(thread.pid) || named_.contains(thread.tid)) &&
               (filter_.cgroups_.empty() || in_cgroup_.contains(thread.pid)) &&
               (filter_.trees_.empty() || in_tree_.contains(thread.pid) || given(filter_.trees_, thread.pid));
    }

    std::vector<Fork> forks;

  private:
    void learn(const EventRef& event, const ReplayState& state) {
        const auto subjects = EventFilter::subjects_of(event);
        for (size_t i = 0; i < subjects.count; ++i) {
            const auto& who = subjects.who[i];
            const Process* process = state.find(who.pid);
            if (!filter_.comms_.empty() &&
                (filter_.comm_is_wanted(who.comm) || filter_.comm_is_wanted(state.comm_of(who.tid, who.pid)) ||
                 (process != nullptr && filter_.comm_is_wanted(process->comm)))) {
                named_.insert(who.pid);
                named_.insert(who.tid);
            }
            if (filter_.cgroups_.empty() || process == nullptr || process->cgroup_id == 0) continue;
            was_in_.emplace(who.pid, process->cgroup_id);
            if (filter_.cgroup_is_wanted(state.cgroup_of(*process))) cgroup_ids_.insert(process->cgroup_id);
        }
        if (filter_.cgroups_.empty()) return;
        uint64_t id = 0;
        if (event.head().cls == FR_CLASS_CGROUP) id = event.as<fr_cgroup>().cgroup_id;
        if (event.head().cls == FR_CLASS_CGROUP_ATTACH) id = event.as<fr_cgroup_attach>().cgroup_id;
        if (event.head().cls == FR_CLASS_CGROUP_SAMPLE) id = event.as<fr_cgroup_sample>().cgroup_id;
        if (id != 0 && filter_.cgroup_is_wanted(state.cgroup_path(id))) cgroup_ids_.insert(id);
    }

    struct PairHash {
        size_t operator()(const std::pair<uint32_t, uint64_t>& p) const {
            return (p.first * 0x9e3779b97f4a7c15u) ^ p.second;
        }
    };
    const EventFilter& filter_;
    const Timeline& timeline_;
    std::unordered_set<uint32_t> named_, in_cgroup_, in_tree_;
    std::unordered_set<uint64_t> cgroup_ids_;                             // that had a wanted path at any time
    std::unordered_set<std::pair<uint32_t, uint64_t>, PairHash> was_in_;  // pid, cgroup
};

BlockChoice BlockChoice::make(const flight::FlightFile& file, const EventFilter& filter, schemas::Arch arch,
                              const Timeline& timeline, bool names) {
    BlockChoice out;
    if (filter.no_syscalls() || !filter.narrows_calls()) return out;
    const auto blocks = summaries_of(file, filter.from_ns(), filter.to_ns());
    if (blocks.empty()) return out;
    Concerned concerned(filter, timeline);
    if (filter.needs_vital_track() || names) concerned.read(file, arch);
    Until until;
    std::vector<bool> needed(blocks.size());
    uint64_t last_ns = 0;  // of a block with anything that may match: what comes later changes nothing that is shown
    for (size_t i = 0; i < blocks.size(); ++i) {
        const auto& [block, summary] = blocks[i];
        const bool may_match = filter.may_match(summary);
        for (const auto& thread : summary.threads) {
            if (!may_match || !concerned.has(thread)) continue;
            needed[i] = true;
            until.emplace(thread.pid, always);
        }
        if (needed[i]) last_ns = std::max<uint64_t>(last_ns, block.header.last_ns);
    }
    if (names) add_makers(until, concerned.forks);
    std::array<uint8_t, schemas::kSyscallLimit> effect{};
    fill_fd_effects(arch, effect);
    for (size_t i = 0; i < blocks.size(); ++i) {
        const auto& [block, summary] = blocks[i];
        const bool changes = std::any_of(summary.numbers.begin(), summary.numbers.end(), [&](uint32_t nr) {
            return nr < effect.size() && effect[nr] != static_cast<uint8_t>(FdEffect::none);
        });
        // An entry alone is kept until its return, which may match.
        const bool entries = (summary.flags & FR_SUMMARY_ENTRIES) != 0;
        if (!needed[i] && ((names && changes) || entries) && block.header.first_ns <= last_ns)
            needed[i] = std::any_of(summary.threads.begin(), summary.threads.end(), [&](const auto& thread) {
                const auto found = until.find(thread.pid);
                return found != until.end() && block.header.first_ns <= found->second;
            });
        if (!needed[i]) out.without_.insert(block.file_offset);
    }
    return out;
}

}  // namespace flightrec::replay
