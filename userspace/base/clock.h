// SPDX-License-Identifier: Apache-2.0
// The clocks, clock_gettime(2). All in nanoseconds; any thread.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

namespace flightrec {

inline constexpr uint64_t second = 1'000'000'000;
inline constexpr uint64_t millisecond = 1'000'000;

inline uint64_t clock_ns(clockid_t id) {
    timespec ts{};
    clock_gettime(id, &ts);
    return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(ts.tv_nsec);
}
inline uint64_t boot_ns() { return clock_ns(CLOCK_BOOTTIME); }      // what events carry
inline uint64_t realtime_ns() { return clock_ns(CLOCK_REALTIME); }  // wall clock, may step
inline uint64_t thread_cpu_ns() { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

// A moment on both clocks.
struct ClockPair {
    uint64_t boot = 0;
    uint64_t realtime = 0;
};
// Reads both as close together as it can: the realtime reading lies between two boot readings, of which the
// narrowest of three tries is taken.
ClockPair clock_pair();

// "2026-11-23T11:10:02.123456789Z", RFC 3339, always UTC.
std::string format_utc(uint64_t realtime_ns);

}  // namespace flightrec
