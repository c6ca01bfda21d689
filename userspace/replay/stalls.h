// SPDX-License-Identifier: Apache-2.0
// Finding stalls in samples: tasks that sleep uninterruptibly for long, and pressure that stays high. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "schemas/flightrec/event.h"

namespace flightrec::replay {

struct WaitingTask {  // state D in a sample
    uint64_t time_ns = 0;
    uint32_t pid = 0;
    std::string comm, function;  // function: the kernel function it slept in; "" not known
    std::string cgroup;          // path; "" not known
};

// A task found in state D by every sample of a while. It may have run between two samples: samples are all there is.
struct LongWait {
    uint32_t pid = 0;
    std::string comm, function;  // of its last sample that told one
    std::string cgroup;
    uint64_t from_ns = 0, to_ns = 0;
    size_t samples = 0;
};

struct Stall {
    uint64_t from_ns = 0, to_ns = 0;
};

inline constexpr uint64_t stall_wait_ns = 10'000'000'000;  // a task in state D for so long is a stall
inline constexpr uint32_t stall_memory_hundredths = 2000;  // memory "full" avg10 of 20 %, in three samples running
inline constexpr uint32_t stall_io_hundredths = 9000;      // io "full" avg10 of 90 %, in ten samples running

// Of at least `at_least_ns`, longest first. tasks: in time order.
[[nodiscard]] std::vector<LongWait> long_waits(const std::vector<WaitingTask>& tasks, uint64_t at_least_ns);

// By time, overlapping ones joined.
[[nodiscard]] std::vector<Stall> find_stalls(const std::vector<WaitingTask>& tasks,
                                             const std::vector<std::pair<uint64_t, fr_system_sample>>& samples);

}  // namespace flightrec::replay
