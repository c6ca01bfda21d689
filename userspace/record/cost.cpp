// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/cost.h"

#include <fmt/format.h>
#include <cmath>

#include <algorithm>
#include <iterator>

#include "userspace/base/clock.h"
#include "userspace/base/log.h"

namespace flightrec::record {
namespace {

constexpr uint32_t slow_us = 10'000;
// From a program's begin to its clock reading: task, scope, map slots; about so much on every machine tried.
constexpr double way_in_ns = 20;

uint64_t process_cpu_ns() { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

BudgetConfig config_of(const kernel::Probes& probes, double share, bool durations) {
    BudgetConfig config;
    config.share = share;
    config.cpus = std::max(1u, probes.online_cpus());
    config.durations = durations;
    config.can_detach = probes.can_detach();
    return config;
}

}  // namespace

const char* policy_name(uint32_t step) {
    switch (step) {
        case FR_POLICY_ALL: return "all";
        case FR_POLICY_NO_DURATIONS: return "no_durations";
        case FR_POLICY_SLOW: return "slow";
        case FR_POLICY_BURST: return "bursts";
        case FR_POLICY_NONE: return "between_bursts";
        default: return "?";
    }
}

CostKeeper::CostKeeper(kernel::Probes& probes, double share, bool durations)
    : probes_(probes), budget_(config_of(probes, share, durations)) {
    const kernel::SyscallFloor floor = probes.floor();
    if (floor.exit > 0) cost_.floor_exit = floor.exit;
    cost_.floor_both = std::max({floor.both, cost_.floor_exit, 1.0});
    budget_.set_cost(cost_);
    probes.control().slower_than_us = slow_us;
    probes.control().syscall_mode = FR_MODE_FULL;  // pinned programs may have been left in another
    counted_.resize(probes.thread_calls().size());
    sums_.reserve(counted_.size());
    text_.reserve(512);
}

// The programs time one record in 256, from its clock reading to its end: with the clock reading at the end this is all
// but the way to the first one. The entry program is a clock reading and that way.
void CostKeeper::learn(const kernel::RingReader::Timing& t) {
    const auto timed = static_cast<double>(t.timed - learned_.timed);
    if (timed < 16) return;
    const double record = static_cast<double>(t.timed_ns - learned_.timed_ns) / timed;
    const double clock = static_cast<double>(t.clock_ns - learned_.clock_ns) / timed;
    learned_ = t;
    // A record that was interrupted says nothing about records.
    cost_.record += 0.2 * (std::min(record, 2'000.0) + way_in_ns - cost_.record);
    cost_.enter += 0.2 * (std::min(clock, 500.0) + way_in_ns - cost_.enter);
    budget_.set_cost(cost_);
}

void CostKeeper::apply(const BudgetDecision& d) {
    fr_control& control = probes_.control();
    const bool poor = d.step == FR_POLICY_SLOW || d.step == FR_POLICY_BURST || d.step == FR_POLICY_NONE;
    control.syscall_mode = poor ? FR_MODE_SLOW : FR_MODE_FULL;
    ++steps_taken_;
    if (!probes_.can_detach()) return;
    if (const auto done = probes_.attach_syscalls(d.enter_attached(), d.exit_attached()); !done)
        log::warning("cost budget: {}", done.error().message);
}

uint64_t CostKeeper::counted_ns() const { return thread_cpu_ns() - dumps_ns_ + flusher_ns_; }

std::string_view CostKeeper::left_out() {
    constexpr size_t named = 5;
    sums_.clear();
    text_.clear();
    const auto threads = probes_.thread_calls();
    for (size_t i = 0; i < threads.size(); ++i) {
        const fr_thread_calls t = threads[i];  // the kernel may write it meanwhile
        Counted& before = counted_[i];
        const uint64_t calls =
            t.tid == before.tid && t.skipped >= before.skipped ? t.skipped - before.skipped : t.skipped;
        if (calls > 0) sums_.push_back({t.pid, calls});
        before = {t.tid, t.skipped};
    }
    std::sort(sums_.begin(), sums_.end(), [](const Sum& a, const Sum& b) { return a.pid < b.pid; });
    size_t processes = 0;
    for (const Sum& s : sums_) {
        if (processes > 0 && sums_[processes - 1].pid == s.pid)
            sums_[processes - 1].calls += s.calls;
        else
            sums_[processes++] = s;
    }
    sums_.resize(processes);
    std::sort(sums_.begin(), sums_.end(), [](const Sum& a, const Sum& b) { return a.calls > b.calls; });
    for (size_t i = 0; i < std::min(processes, named); ++i)
        fmt::format_to(std::back_inserter(text_), "{}pid {}: {} calls left out", i ? ", " : "", sums_[i].pid,
                       sums_[i].calls);
    if (processes > named) fmt::format_to(std::back_inserter(text_), ", and {} processes more", processes - named);
    return text_;
}

std::optional<BudgetDecision> CostKeeper::update(uint64_t now) {
    if (!budget_.enabled() || now - updated_ns_ < std::min<uint64_t>(budget_.wake_ns(), 10 * millisecond)) return {};
    updated_ns_ = now;
    const kernel::RingReader::Timing timing = probes_.syscalls().timing(FR_CLASS_SYSCALL);
    learn(timing);
    const BudgetDecision d = budget_.update({now, timing.placed + timing.skipped, timing.placed, counted_ns()});
    if (!d.changed) return {};
    apply(d);
    return d;
}

nlohmann::json CostKeeper::status() const {
    return {{"budget_cpus", budget_.allowed_cpus()},
            {"cost_cpus", budget_.cost()},
            {"spent_ns", budget_.spent_ns()},
            {"step", policy_name(budget_.step())},
            {"changes", steps_taken_},
            {"calls_per_second", std::round(budget_.calls_per_second())},
            {"ns_per_call",
             {{"floor_exit", cost_.floor_exit},
              {"floor_both", cost_.floor_both},
              {"enter", cost_.enter},
              {"record", cost_.record},
              {"skip", cost_.skip}}},
            {"counted_cpu_ns", counted_ns()},
            {"recorder_cpu_ns", process_cpu_ns()}};
}

}  // namespace flightrec::record
