// SPDX-License-Identifier: Apache-2.0
// What the verdicts share: each fills one incident's report from the digest and the victim's last system calls.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "userspace/replay/activity.h"
#include "userspace/replay/report.h"

namespace flightrec::replay {

// System calls of the process that died, up to its death.
struct LastCalls {
    struct Failures {
        std::string syscall, error;  // "openat", "ENOENT"
        uint64_t count = 0;
        Evidence last;
    };
    uint64_t from_ns = 0;  // calls were read from here on
    uint64_t calls = 0, failed = 0;
    std::vector<Failures> failures;  // most frequent first
    std::vector<Evidence> last;      // oldest first
    std::vector<Evidence> unfinished;
};

struct VerdictInput {
    const Digest& digest;
    const IncidentSeed& seed;
    const LastCalls& calls;
    const CallActivity& activity;  // of dumps that were asked for; else empty
};

// One file each. They set verdict and cause and add statements.
void oom_verdict(const VerdictInput& in, IncidentReport& out);
void crash_verdict(const VerdictInput& in, IncidentReport& out);
void limit_verdict(const VerdictInput& in, IncidentReport& out);  // fork failures and failed allocations
void stall_verdict(const VerdictInput& in, IncidentReport& out);
void request_verdict(const VerdictInput& in, IncidentReport& out);  // dumps that were asked for, and all others

// ---- statements several verdicts make
// -------------------------------------------------------------------------------- Full argv, uid, cgroup, container,
// age, ancestry of the victim.
void add_identity(const VerdictInput& in, IncidentReport& out);
// Failing and last system calls.
void add_calls(const VerdictInput& in, IncidentReport& out);
// Lines of the kernel log around the incident.
void add_kernel_log(const VerdictInput& in, IncidentReport& out, uint64_t before_ns, uint64_t after_ns, size_t limit);
// Memory and pressure of the machine in the last sample before it.
void add_machine(const VerdictInput& in, IncidentReport& out);
// Processes that grew over 10 s, 1 min and 5 min. cgroup: only those in it or below; empty: all.
void add_growth(const VerdictInput& in, IncidentReport& out, const std::string& cgroup);

// The same executable; where that is not known of both, the same comm.
[[nodiscard]] bool same_program(const IncidentSeed& a, const IncidentSeed& b);
// Crashes of the same program in the same cgroup, in time order, this one included.
[[nodiscard]] std::vector<const IncidentSeed*> crashes_like(const Digest& digest, const IncidentSeed& seed);
// From so many on they are one incident, a crash loop.
inline constexpr size_t crash_loop_from = 3;

// "12.34 %", "unknown".
[[nodiscard]] std::string percent(uint32_t hundredths);
// "python3[812]", with the program's name behind it where the process has another: "worker[812] (nginx)"; printable.
[[nodiscard]] std::string who(const IncidentSeed& seed);
// The evidence line of a kernel log line.
[[nodiscard]] Evidence kernel_evidence(const KernelLine& line);
[[nodiscard]] bool below(std::string_view path, std::string_view ancestor);

}  // namespace flightrec::replay
