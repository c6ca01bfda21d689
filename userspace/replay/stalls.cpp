// SPDX-License-Identifier: Apache-2.0
// Runs of samples that say the same.
#include "userspace/replay/stalls.h"

#include <algorithm>
#include <unordered_map>

#include "userspace/replay/event_text.h"

namespace flightrec::replay {
namespace {

constexpr uint64_t longest_gap_ns =
    3'500'000'000;  // between samples of one run: they come once a second, late at times

// Runs of at least `least` samples whose value is at or above a threshold.
void add_runs(std::vector<Stall>& out, const std::vector<std::pair<uint64_t, fr_system_sample>>& samples,
              uint32_t fr_system_sample::*value, uint32_t threshold, size_t least) {
    Stall run;
    size_t count = 0;
    const auto finish = [&] {
        if (count >= least) out.push_back(run);
        count = 0;
    };
    for (const auto& [time_ns, sample] : samples) {
        const uint32_t now = sample.*value;
        if (count != 0 && time_ns - run.to_ns > longest_gap_ns) finish();
        if (now == unknown_hundredths || now < threshold) {
            finish();
            continue;
        }
        if (count++ == 0) run.from_ns = time_ns;
        run.to_ns = time_ns;
    }
    finish();
}

}  // namespace

std::vector<LongWait> long_waits(const std::vector<WaitingTask>& tasks, uint64_t at_least_ns) {
    std::vector<LongWait> out;
    std::unordered_map<uint32_t, LongWait> open;
    const auto finish = [&](const LongWait& wait) {
        if (wait.samples > 1 && wait.to_ns - wait.from_ns >= at_least_ns) out.push_back(wait);
    };
    for (const auto& task : tasks) {
        LongWait& wait = open[task.pid];
        if (wait.samples != 0 && (task.time_ns - wait.to_ns > longest_gap_ns || wait.comm != task.comm)) {
            finish(wait);
            wait = {};
        }
        if (wait.samples++ == 0) {
            wait.pid = task.pid;
            wait.comm = task.comm;
            wait.from_ns = task.time_ns;
        }
        wait.to_ns = task.time_ns;
        if (!task.function.empty()) wait.function = task.function;
        wait.cgroup = task.cgroup;
    }
    for (const auto& [pid, wait] : open) finish(wait);
    std::sort(out.begin(), out.end(), [](const LongWait& a, const LongWait& b) {
        const uint64_t x = a.to_ns - a.from_ns;
        const uint64_t y = b.to_ns - b.from_ns;
        return x != y ? x > y : a.pid < b.pid;
    });
    return out;
}

std::vector<Stall> find_stalls(const std::vector<WaitingTask>& tasks,
                               const std::vector<std::pair<uint64_t, fr_system_sample>>& samples) {
    std::vector<Stall> found;
    for (const auto& wait : long_waits(tasks, stall_wait_ns)) found.push_back({wait.from_ns, wait.to_ns});
    add_runs(found, samples, &fr_system_sample::psi_memory_full_avg10, stall_memory_hundredths, 3);
    add_runs(found, samples, &fr_system_sample::psi_io_full_avg10, stall_io_hundredths, 10);
    std::sort(found.begin(), found.end(), [](const Stall& a, const Stall& b) { return a.from_ns < b.from_ns; });
    std::vector<Stall> out;
    for (const auto& stall : found) {
        if (!out.empty() && stall.from_ns <= out.back().to_ns + longest_gap_ns)
            out.back().to_ns = std::max(out.back().to_ns, stall.to_ns);
        else
            out.push_back(stall);
    }
    return out;
}

}  // namespace flightrec::replay
