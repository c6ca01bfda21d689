// SPDX-License-Identifier: Apache-2.0
// Which events of a flight are wanted.
//
// All given conditions must hold; of several values of one condition one is enough. An event concerns the thread it
// happened in and whoever it is about: the target of a signal, the child of a fork, the victim of an OOM kill. Losses
// (gaps, steps of the cost budget) pass every condition but the times, so that no selection hides them.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/flight/block_summary.h"
#include "userspace/flight/event_ref.h"
#include "userspace/replay/state.h"
#include "userspace/replay/timeline.h"

namespace flightrec::replay {

// The conditions as the user gave them; empty: not given.
struct FilterOptions {
    std::string since{}, until{};
    std::vector<uint32_t> pids{}, tids{}, trees{};
    // Of these a value that begins with '!' leaves out what it names; where there are only such, all others are wanted.
    std::vector<std::string> comms{};    // globs, fnmatch(3)
    std::vector<std::string> cgroups{};  // globs, or a path and all below it
    std::vector<std::string> classes{};  // names, and the groups samples, lifecycle, memory
    std::vector<std::string> syscalls{};
    bool failed = false;
    std::vector<std::string> errnos{};
    std::string slower_than{};
    std::string grep{};
};

class EventFilter {
  public:
    // Code::usage with the option's name for a value that makes no sense.
    static Result<EventFilter> make(const FilterOptions& options, const Timeline& timeline, const WallClock& clock,
                                    schemas::Arch arch);

    // state: as after begin(event). Not for times: the caller reads only [from_ns, to_ns]; in_time() for what it had to
    // read besides.
    [[nodiscard]] bool matches(const flight::EventRef& event, const ReplayState& state);
    [[nodiscard]] bool in_time(uint64_t time_ns) const { return time_ns >= from_ns_ && time_ns <= to_ns_; }
    [[nodiscard]] uint64_t from_ns() const { return from_ns_; }
    [[nodiscard]] uint64_t to_ns() const { return to_ns_; }
    // True when no system call can match: the syscall track need not be decoded.
    [[nodiscard]] bool no_syscalls() const { return by_class_ && !(*by_class_)[FR_CLASS_SYSCALL]; }
    // Whether a block's summary can tell that none of its calls match.
    [[nodiscard]] bool narrows_calls() const;
    // Who matches depends on more than pid and tid.
    [[nodiscard]] bool needs_vital_track() const { return !(comms_.empty() && cgroups_.empty() && trees_.empty()); }
    // False when no call of such a block matches, whoever made it.
    [[nodiscard]] bool may_match(const flight::BlockSummary& summary) const;
    // True when the user named this class.
    [[nodiscard]] bool names_class(uint8_t cls) const { return cls < FR_CLASS_COUNT && named_[cls]; }
    // False when every event passes but for the times.
    [[nodiscard]] bool selects() const { return selects_; }
    // The text the rendered event must hold; empty: any.
    [[nodiscard]] const std::string& grep() const { return grep_; }
    // A gap, or a step of the cost budget.
    [[nodiscard]] static bool is_loss(const flight::EventRef& event);

  private:
    friend class Concerned;  // block_choice.cpp: the conditions about processes, asked beforehand
    struct Subject {
        uint32_t pid = 0, tid = 0;
        std::string_view comm;  // as the event tells it; may be empty
    };
    struct Subjects {
        std::array<Subject, 3> who;
        size_t count = 0;
    };
    static Subjects subjects_of(const flight::EventRef& event);
    bool matches_result(const flight::EventRef& event) const;
    bool matches_who(const flight::EventRef& event, const ReplayState& state);
    static bool matches_comm(const std::vector<std::string>& globs, const Subjects& subjects, const ReplayState& state);
    static bool matches_cgroup(const std::vector<std::string>& wanted, const flight::EventRef& event,
                               const Subjects& subjects, const ReplayState& state);
    bool in_tree(uint32_t pid, const ReplayState& state);
    [[nodiscard]] bool comm_is_wanted(std::string_view comm) const;
    [[nodiscard]] bool cgroup_is_wanted(std::string_view path) const;
    [[nodiscard]] bool descends(const Process& process, const ReplayState& state) const;

    uint64_t from_ns_ = 0;
    uint64_t to_ns_ = std::numeric_limits<uint64_t>::max();
    std::optional<std::bitset<FR_CLASS_COUNT>> by_class_;
    std::bitset<FR_CLASS_COUNT> named_;
    std::optional<std::bitset<schemas::kSyscallLimit>> by_syscall_;
    std::bitset<schemas::kSyscallLimit> not_syscall_;
    bool selects_ = false;
    std::vector<uint32_t> pids_, tids_, trees_;
    std::vector<std::string> comms_, cgroups_, not_comms_, not_cgroups_;
    bool failed_ = false;
    std::vector<int> errnos_;
    std::optional<uint64_t> slower_than_ns_;
    std::string grep_;
    bool who_ = false;                 // any of pids_ … cgroups_
    std::vector<int8_t> tree_member_;  // by ProcessIndex: 0 not decided, 1 in, -1 out
};

}  // namespace flightrec::replay
