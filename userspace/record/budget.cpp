// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/budget.h"

#include <algorithm>
#include <cmath>

#include "userspace/base/clock.h"

namespace flightrec::record {
namespace {

constexpr uint64_t patience_least = 2'000 * millisecond, patience_most = 60'000 * millisecond;
constexpr double margin = 0.7;        // of the budget that a richer step may be expected to take
constexpr double burst_begins = 0.5;  // of the bucket
constexpr double smooth_ns = 500.0 * millisecond;
constexpr double base_smooth_ns = 5'000.0 * millisecond;  // a sample a second must not look like a load
constexpr double base_most = 0.7;                         // of the budget
constexpr double settle_ns = 100.0 * millisecond;         // before a step is judged by what it spent
constexpr double recorded_share = 0.2;                    // of the calls that FR_POLICY_SLOW is expected to record

// From the richest to the poorest.
constexpr std::array<uint32_t, 4> ladder{FR_POLICY_ALL, FR_POLICY_NO_DURATIONS, FR_POLICY_SLOW, FR_POLICY_BURST};

size_t rung(uint32_t step) {
    if (step == FR_POLICY_NONE) step = FR_POLICY_BURST;
    return static_cast<size_t>(std::find(ladder.begin(), ladder.end(), step) - ladder.begin());
}

}  // namespace

Budget::Budget(const BudgetConfig& config) : config_(config), patience_ns_(patience_least) { bucket_ = capacity(); }

// In the kernel, for so many calls of which so many were recorded.
double Budget::kernel_ns(uint32_t step, double calls, double recorded) const {
    const bool enter = config_.durations && (step == FR_POLICY_ALL || !config_.can_detach);
    const double each = enter ? cost_.floor_both + cost_.enter : cost_.floor_exit;
    return calls * each + recorded * cost_.record + (calls - recorded) * cost_.skip;
}

double Budget::expected(uint32_t step) const {
    const bool whole = step == FR_POLICY_ALL || step == FR_POLICY_NO_DURATIONS;
    const double recorded = whole ? rate_ : rate_ * recorded_share_;
    return (kernel_ns(step, rate_, recorded) + recorded * recorder_per_call_) * 1e-9;
}

// What the recorder takes without any call (samples, dumps, the vital track) is charged too, but never so much that no
// calls at all could be recorded: the vital track does not degrade, and what it takes is no reason to go blind.
double Budget::charged_base() const { return std::min(base_, base_most * allowed()); }
double Budget::room() const { return allowed() - charged_base(); }

// Takes what was spent since the last time out of the bucket and learns from it.
void Budget::account(const BudgetInput& input) {
    const auto dt = static_cast<double>(input.now_ns - last_.now_ns);
    const auto calls = static_cast<double>(input.calls - last_.calls);
    const double recorded = std::min(calls, static_cast<double>(input.recorded - last_.recorded));
    const auto recorder = static_cast<double>(input.recorder_ns - last_.recorder_ns);
    if (step_ == FR_POLICY_NONE || calls < 1'000) learn_base(recorder / dt, dt);
    const double spent = kernel_ns(step_, calls, recorded) + std::max(0.0, recorder - (base_ - charged_base()) * dt);
    spent_since_ += spent;
    spent_ += spent;
    bucket_ = std::clamp(bucket_ + allowed() * dt - spent, -capacity(), capacity());
    const double weight = 1.0 - std::exp(-dt / smooth_ns);
    spending_ += weight * (spent / dt - spending_);
    if (step_ == FR_POLICY_NONE) return;
    // In a burst the past before it says little.
    const double quick = step_ == FR_POLICY_BURST ? std::max(weight, 0.3) : weight;
    rate_ += quick * (calls * 1e9 / dt - rate_);
    const bool whole = step_ == FR_POLICY_ALL || step_ == FR_POLICY_NO_DURATIONS;
    if (whole && calls > 20'000) {
        recorder_per_call_ += 0.2 * (std::clamp(recorder / calls, 20.0, 500.0) - recorder_per_call_);
    } else if (!whole && calls > 20'000) {
        recorded_share_ += 0.1 * (recorded / calls - recorded_share_);
    }
}

void Budget::learn_base(double cpus, double dt) {
    base_ += (1.0 - std::exp(-dt / base_smooth_ns)) * (std::min(cpus, 1.0) - base_);
}

uint32_t Budget::poorer() const {
    const size_t last = config_.can_detach ? ladder.size() - 1 : rung(FR_POLICY_SLOW);
    for (size_t i = rung(step_) + 1; i <= last; ++i)
        if (usable(ladder[i]) && (i == last || expected(ladder[i]) <= room())) return ladder[i];
    return ladder[last];
}

uint32_t Budget::richer() const {
    for (size_t i = rung(step_); i > 0; --i)
        if (usable(ladder[i - 1])) return ladder[i - 1];
    return step_;
}

// Without an entry program that could be detached the two richest steps are the same.
bool Budget::usable(uint32_t step) const {
    return step != FR_POLICY_NO_DURATIONS || (config_.durations && config_.can_detach);
}

uint32_t Budget::next_step(uint64_t now) {
    if (step_ == FR_POLICY_NONE) return bucket_ >= burst_begins * capacity() ? FR_POLICY_BURST : FR_POLICY_NONE;
    if (bucket_ <= 0) {
        calm_since_ns_ = 0;
        if (step_ == FR_POLICY_BURST) return FR_POLICY_NONE;
        // A step that was just taken repays what the one before it overspent, if it does so at all.
        const double since = static_cast<double>(now - changed_ns_);
        if (since < settle_ns || (spent_since_ <= allowed() * since && bucket_ > -capacity())) return step_;
        // It went up too early: wait longer the next time.
        if (risen_ns_ != 0 && now - risen_ns_ < 5 * patience_ns_)
            patience_ns_ = std::min(2 * patience_ns_, patience_most);
        else
            patience_ns_ = patience_least;
        return poorer();
    }
    if (step_ == FR_POLICY_ALL) return step_;
    if (expected(richer()) > margin * room()) {
        calm_since_ns_ = 0;
        return step_;
    }
    if (calm_since_ns_ == 0) calm_since_ns_ = now;
    if (now - calm_since_ns_ < patience_ns_ || bucket_ < burst_begins * capacity()) return step_;
    calm_since_ns_ = 0;
    risen_ns_ = now;
    return richer();
}

BudgetDecision Budget::update(const BudgetInput& input) {
    BudgetDecision d{step_, step_, false, spending_};  // step, old_step
    if (!enabled() || input.now_ns <= last_.now_ns) return d;
    if (begun_) account(input);
    begun_ = true;
    last_ = input;
    step_ = next_step(input.now_ns);
    d.changed = step_ != d.old_step;
    if (d.changed) {
        changed_ns_ = input.now_ns;
        spent_since_ = 0;
    }
    d.step = step_;
    d.cost = spending_;
    return d;
}

// A burst is over within milliseconds. In a storm the rings wake the recorder anyway.
uint64_t Budget::wake_ns() const {
    if (step_ == FR_POLICY_BURST) return 2 * millisecond;
    return step_ == FR_POLICY_ALL ? 100 * millisecond : 20 * millisecond;
}

}  // namespace flightrec::record
