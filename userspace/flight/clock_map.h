// SPDX-License-Identifier: Apache-2.0
// Wall clock for boot times from pairs of both, through steps of the clock (flight-format.md, "Clock").
#pragma once

#include <cstdint>
#include <vector>

#include "userspace/base/clock.h"

namespace flightrec::flight {

class ClockMap {
  public:
    void add(uint64_t boot_ns, uint64_t realtime_ns);                             // in any order
    [[nodiscard]] const std::vector<ClockPair>& pairs() const { return pairs_; }  // by boot time
    // Wall clock of a boot time: that of the last pair at or before it, plus the difference. 0 without any pair.
    [[nodiscard]] uint64_t realtime_of(uint64_t boot_ns) const;
    // The last boot time at which the wall clock stood so; a time a step jumped over is the moment of the step.
    [[nodiscard]] uint64_t boot_of(uint64_t realtime_ns) const;
    // The first boot time at which the wall clock stood so or later: after a step back the same time comes twice.
    [[nodiscard]] uint64_t first_boot_of(uint64_t realtime_ns) const;

  private:
    std::vector<ClockPair> pairs_;
};

}  // namespace flightrec::flight
