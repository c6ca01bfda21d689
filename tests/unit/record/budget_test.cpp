// SPDX-License-Identifier: Apache-2.0
// The cost budget, fed with measurements of machines that behave as told.
#include "userspace/record/budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace flightrec::record {
namespace {

constexpr uint64_t ms = 1'000'000;

// A machine that makes so many calls a second; what they truly cost by step is what the budget was told.
struct Machine {
    explicit Machine(const BudgetConfig& c) : config(c), budget(c) { budget.set_cost(cost); }

    // Runs for `seconds`; returns the share of a CPU, per CPU, that recording took.
    double run(double seconds, double calls_per_second) {
        const double end = at + seconds * 1e9;
        double spent = 0;
        const double began = at;
        while (at < end) {
            // A fast rate fills the rings, which wakes the recorder.
            const double dt = std::min(static_cast<double>(budget.wake_ns()), calls_per_second > 200'000 ? 5e6 : 1e8);
            at += dt;
            const uint32_t step = budget.step();
            const double made = step == FR_POLICY_NONE ? 0 : calls_per_second * dt * 1e-9;
            calls += made;
            const bool whole = step == FR_POLICY_ALL || step == FR_POLICY_NO_DURATIONS;
            const double kept = whole ? made : made * 0.05;
            recorded += kept;
            const double drained = kept * 80 + idle * dt;
            recorder += drained;
            const bool enter = step == FR_POLICY_ALL && config.durations;
            const double each = enter ? cost.floor_both + cost.enter : cost.floor_exit;
            spent += drained + made * each + kept * cost.record + (made - kept) * cost.skip;
            const auto whole_number = [](double v) { return static_cast<uint64_t>(v); };
            const auto d =
                budget.update({whole_number(at), whole_number(calls), whole_number(recorded), whole_number(recorder)});
            if (d.changed) steps.push_back(d.step);
            attached += d.exit_attached() ? dt : 0;
        }
        return spent / (at - began) / config.cpus;
    }

    BudgetConfig config;
    CallCost cost;
    Budget budget;
    double at = 1e9, calls = 0, recorded = 0, recorder = 0, attached = 0;
    double idle = 0.002;  // CPUs the recorder takes for samples
    std::vector<uint32_t> steps;
};

TEST(Budget, NormalLoadIsRecordedWhole) {
    Machine m({.cpus = 2});
    EXPECT_LT(m.run(60, 50'000), 0.03);
    EXPECT_TRUE(m.steps.empty());
    EXPECT_EQ(m.budget.step(), FR_POLICY_ALL);
}

TEST(Budget, AStormOfAnySizeStaysWithinItOnceTheFirstSecondIsOver) {
    for (const double rate : {800e3, 1e6, 3e6, 12e6}) {
        Machine m({.cpus = 2});
        m.run(2, rate);
        EXPECT_NEAR(m.run(30, rate), 0.03, 0.01) << rate;
    }
}

TEST(Budget, StepsComeInOrderAndTheRichestThatFitsIsKept) {
    // 2 CPUs, 60 ms a second: 415 ns a call whole, 270 without durations, 120 when failed and slow ones only.
    Machine durations({.cpus = 2});
    durations.run(30, 170'000);
    EXPECT_EQ(durations.budget.step(), FR_POLICY_NO_DURATIONS);
    Machine slow({.cpus = 2});
    slow.run(30, 260'000);
    EXPECT_EQ(slow.budget.step(), FR_POLICY_SLOW);
    Machine bursts({.cpus = 2});
    bursts.run(30, 1e6);
    EXPECT_TRUE(bursts.budget.step() == FR_POLICY_BURST || bursts.budget.step() == FR_POLICY_NONE);
}

TEST(Budget, BurstsTakeTheShareThatTheRateLeaves) {
    Machine m({.cpus = 2});
    m.run(5, 3e6);
    m.attached = 0;
    m.run(20, 3e6);
    // 3 million calls of 110 ns, of which 5 % are recorded: 0.36 CPUs while attached, of which 0.058 may be spent.
    EXPECT_NEAR(m.attached / 20e9, 0.16, 0.04);
}

TEST(Budget, RecoversWhenTheStormIsOver) {
    Machine m({.cpus = 2});
    m.run(20, 3e6);
    EXPECT_NE(m.budget.step(), FR_POLICY_ALL);
    m.run(20, 10'000);
    EXPECT_EQ(m.budget.step(), FR_POLICY_ALL);
    ASSERT_GE(m.steps.size(), 3u);
    EXPECT_EQ(m.steps[m.steps.size() - 1], FR_POLICY_ALL);
    EXPECT_EQ(m.steps[m.steps.size() - 2], FR_POLICY_NO_DURATIONS);
    EXPECT_EQ(m.steps[m.steps.size() - 3], FR_POLICY_SLOW);
}

TEST(Budget, AShortPeakChangesNothing) {
    Machine m({.cpus = 2});
    m.run(10, 20'000);
    m.run(0.06, 1.5e6);  // 39 ms of the 60 ms that the bucket holds
    m.run(10, 20'000);
    EXPECT_TRUE(m.steps.empty());
}

TEST(Budget, ALoadThatComesAndGoesDoesNotMakeItFlutter) {
    Machine m({.cpus = 2});
    for (int i = 0; i < 60; ++i) {
        m.run(3, 400'000);
        m.run(3, 1'000);
    }
    EXPECT_LT(m.steps.size(), 60u * 4u);
}

TEST(Budget, WithoutDetachingSlowCallsAreThePoorestStep) {
    Machine m({.cpus = 2, .can_detach = false});
    m.run(10, 5e6);
    EXPECT_EQ(m.budget.step(), FR_POLICY_SLOW);
}

TEST(Budget, WithoutAnEntryProgramTheStepOfDurationsIsLeftOut) {
    Machine m({.cpus = 2, .durations = false});
    m.run(5, 3e6);
    m.run(30, 1'000);
    for (const uint32_t step : m.steps) EXPECT_NE(step, FR_POLICY_NO_DURATIONS);
    EXPECT_EQ(m.budget.step(), FR_POLICY_ALL);
}

TEST(Budget, ARecorderThatTakesTheWholeBudgetByItselfDoesNotGoBlind) {
    Machine m({.share = 0.005, .cpus = 2});
    m.idle = 0.011;
    m.run(10, 2e6);
    m.attached = 0;
    m.run(20, 2e6);
    EXPECT_GT(m.attached, 0);
    m.run(60, 1'000);
    EXPECT_EQ(m.budget.step(), FR_POLICY_ALL);
}

TEST(Budget, NoneMeansNoLimit) {
    Machine m({.share = 0, .cpus = 2});
    m.run(10, 5e6);
    EXPECT_TRUE(m.steps.empty());
}

}  // namespace
}  // namespace flightrec::record
