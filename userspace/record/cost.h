// SPDX-License-Identifier: Apache-2.0
// Keeps recording within the cost budget: measures what the programs and the recorder take, asks the controller
// (budget.h), and changes what the programs record.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/clock.h"
#include "userspace/kernel/probes.h"
#include "userspace/record/budget.h"

namespace flightrec::record {

// What counts is the CPU time of the recorder's loop and of the thread that brings the window to the disk, samples
// included. Making and delivering a dump does not: it happens when something has failed, which is the moment whose
// system calls are wanted most.
//
// One thread, that of the recorder's loop. `probes` must outlive it.
class CostKeeper {
  public:
    CostKeeper(kernel::Probes& probes, double share, bool durations);

    // Measures and acts; cheap when called too early. A decision that changed something is to be recorded as a
    // FR_MARKER_POLICY event by the caller.
    std::optional<BudgetDecision> update(uint64_t now_ns);
    // CPU time of the thread that brings the window to the disk, ever: it counts, too.
    void flusher_took(uint64_t cpu_ns) { flusher_ns_ = cpu_ns; }
    // While one of these lives, what the calling thread does is part of a dump.
    class DumpTime {
      public:
        explicit DumpTime(CostKeeper& keeper) : keeper_(keeper), began_ns_(thread_cpu_ns()) {}
        ~DumpTime() { keeper_.dumps_ns_ += thread_cpu_ns() - began_ns_; }
        DumpTime(const DumpTime&) = delete;
        DumpTime& operator=(const DumpTime&) = delete;

      private:
        CostKeeper& keeper_;
        uint64_t began_ns_;
    };
    // How long the caller may wait until the next update().
    [[nodiscard]] uint64_t wake_ns() const { return budget_.enabled() ? budget_.wake_ns() : UINT64_MAX; }
    // Whether entries of calls are being recorded, and since when: others in the kernel's table are stale.
    [[nodiscard]] bool entries_valid() const { return budget_.step() == FR_POLICY_ALL || !probes_.can_detach(); }
    // Whose calls were counted instead of recorded since the last time, most first: "pid 812: 120345 calls left out,
    // …"; empty: nobody's. Valid until the next call.
    [[nodiscard]] std::string_view left_out();
    [[nodiscard]] nlohmann::json status() const;

  private:
    void learn(const kernel::RingReader::Timing& timing);
    void apply(const BudgetDecision& decision);
    [[nodiscard]] uint64_t counted_ns() const;  // CPU time of the recorder that is charged

    kernel::Probes& probes_;
    Budget budget_;
    CallCost cost_;
    uint64_t updated_ns_ = 0;
    kernel::RingReader::Timing learned_;  // up to here
    uint64_t steps_taken_ = 0;
    uint64_t flusher_ns_ = 0, dumps_ns_ = 0;
    struct Counted {
        uint32_t tid = 0;
        uint64_t skipped = 0;
    };
    struct Sum {
        uint32_t pid = 0;
        uint64_t calls = 0;
    };
    std::vector<Counted> counted_;  // by slot, as left_out() saw it last
    std::vector<Sum> sums_;
    std::string text_;
};

// The name of a step, as in --json and status: "all", "no_durations", "slow", "bursts", "between_bursts".
[[nodiscard]] const char* policy_name(uint32_t step);

}  // namespace flightrec::record
