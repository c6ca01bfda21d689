// SPDX-License-Identifier: Apache-2.0
// The cost budget: from what recording costs to what is recorded of system calls.
//
// A bucket holds CPU time. It fills at the budget's rate (a share of every CPU) up to one second's worth, and what
// recording cost is taken out: the calls that were seen, times what one costs in the kernel, and the CPU time of the
// recorder itself. Empty: the richest step that would fit is taken. When no step that stays attached fits, the programs
// of system calls are attached for bursts only, as long as the bucket lasts. The way back: a richer step must have
// fitted, with a margin, for a while; the while grows when it turns out wrong. Steps and reasons: docs/performance.md.
//
// Pure: knows no kernel and no clock but what it is told. One thread.
#pragma once

#include <array>
#include <cstdint>

#include "schemas/flightrec/event.h"

namespace flightrec::record {

// What a system call costs in the kernel, in ns, as measured last: the machine's tracepoints with empty programs, and
// what the programs take beside that.
struct CallCost {
    double floor_exit = 80, floor_both = 150;
    double enter = 75;    // the entry program
    double record = 110;  // the exit program when it records
    double skip = 30;     // and when it does not
};

struct BudgetConfig {
    double share = 0.03;  // of each CPU; 0: no budget
    uint32_t cpus = 1;
    bool durations = true;   // false: the entry program is not there, FR_POLICY_ALL is without durations
    bool can_detach = true;  // false: FR_POLICY_SLOW is the poorest step
};

struct BudgetInput {
    uint64_t now_ns = 0;
    uint64_t calls = 0;        // system calls the programs saw, ever
    uint64_t recorded = 0;     // of them
    uint64_t recorder_ns = 0;  // CPU time of the recorder, ever
};

struct BudgetDecision {
    uint32_t step = FR_POLICY_ALL;  // enum fr_policy_step; NONE between bursts
    uint32_t old_step = FR_POLICY_ALL;
    bool changed = false;
    double cost = 0;  // CPUs, over the last measurements

    [[nodiscard]] bool exit_attached() const { return step != FR_POLICY_NONE; }
    [[nodiscard]] bool enter_attached() const { return step == FR_POLICY_ALL; }
};

class Budget {
  public:
    explicit Budget(const BudgetConfig& config);

    // To be called at least every wake_ns(). What it answers is to be done at once.
    BudgetDecision update(const BudgetInput& input);
    void set_cost(const CallCost& cost) { cost_ = cost; }
    [[nodiscard]] uint64_t wake_ns() const;
    [[nodiscard]] uint32_t step() const { return step_; }
    [[nodiscard]] double cost() const { return spending_; }          // CPUs, smoothed over about a second
    [[nodiscard]] double calls_per_second() const { return rate_; }  // while attached, smoothed
    [[nodiscard]] double spent_ns() const { return spent_; }         // ever
    [[nodiscard]] double allowed_cpus() const { return allowed(); }
    [[nodiscard]] bool enabled() const { return config_.share > 0; }

  private:
    [[nodiscard]] double allowed() const { return config_.share * config_.cpus; }  // CPUs
    [[nodiscard]] double capacity() const { return allowed() * 1e9; }              // ns of CPU time
    [[nodiscard]] double kernel_ns(uint32_t step, double calls, double recorded) const;
    [[nodiscard]] double expected(uint32_t step) const;  // CPUs at the present rate
    [[nodiscard]] double charged_base() const;           // CPUs
    [[nodiscard]] double room() const;                   // CPUs left for system calls
    void account(const BudgetInput& input);
    void learn_base(double cpus, double dt);
    [[nodiscard]] uint32_t poorer() const;
    [[nodiscard]] uint32_t richer() const;
    [[nodiscard]] bool usable(uint32_t step) const;
    [[nodiscard]] uint32_t next_step(uint64_t now);

    BudgetConfig config_;
    CallCost cost_;
    uint32_t step_ = FR_POLICY_ALL;
    BudgetInput last_;
    bool begun_ = false;
    double bucket_ = 0;
    double rate_ = 0, spending_ = 0;  // smoothed
    double spent_ = 0;
    double recorder_per_call_ = 80;  // ns of the recorder's CPU time for one recorded call, learned in FR_POLICY_ALL
    double recorded_share_ = 0.2;    // of the calls in FR_POLICY_SLOW and bursts, learned there
    double base_ = 0;                // CPUs the recorder takes beside that
    uint64_t changed_ns_ = 0;        // when the step was taken, and what was spent in it
    double spent_since_ = 0;
    uint64_t calm_since_ns_ = 0;  // a richer step would have fitted since then; 0: it would not
    uint64_t patience_ns_;        // how long it must
    uint64_t risen_ns_ = 0;       // when it last went up
};

}  // namespace flightrec::record
