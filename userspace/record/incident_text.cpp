// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/incident_text.h"

#include <fmt/format.h>

#include <cstring>

#include "userspace/base/text.h"

namespace flightrec::record {
namespace {

template <size_t N>
std::string text_of(const std::array<char, N>& bytes) {
    return printable({bytes.data(), strnlen(bytes.data(), N)});
}

std::string describe_oom(const TriggerFacts& f) {
    const uint64_t resident = f.anon + f.file + f.shmem;
    std::string out =
        fmt::format("OOM kill of {} (pid {}, {} resident)", text_of(f.comm), f.pid, format_bytes(resident));
    if (f.constraint == FR_OOM_MEMCG)
        out += fmt::format(" in a memory cgroup limited to {}", format_bytes(f.domain_limit));
    if (f.invoker_pid && f.invoker_pid != f.pid)
        out += fmt::format(", when {} (pid {}) asked for memory", text_of(f.invoker_comm), f.invoker_pid);
    return out;
}

std::string describe_fork_failure(const TriggerFacts& f) {
    static constexpr const char* causes[] = {"",
                                             ": the limit of a pids cgroup",
                                             ": RLIMIT_NPROC",
                                             ": threads-max",
                                             ": pid_max",
                                             ": no memory",
                                             ": the init of its pid namespace is gone"};
    return fmt::format("{} (pid {}) cannot make processes{}", text_of(f.comm), f.pid,
                       f.cause < std::size(causes) ? causes[f.cause] : "");
}

}  // namespace

std::string describe_incident(const Incident& incident) {
    const TriggerFacts& f = incident.facts;
    std::string out;
    switch (f.reason) {
        case FR_TRIGGER_OOM_KILL: out = describe_oom(f); break;
        case FR_TRIGGER_CRASH: {
            const char* name = sigabbrev_np(f.signal);
            out = fmt::format("crash of {} (pid {}) with SIG{}", text_of(f.comm), f.pid, name ? name : "?");
            break;
        }
        case FR_TRIGGER_FORK_FAILURE: out = describe_fork_failure(f); break;
        case FR_TRIGGER_COMMAND: out = "requested by the command line"; break;
        case FR_TRIGGER_SHUTDOWN: out = "the machine is being stopped"; break;
        case FR_TRIGGER_SIGNAL: out = fmt::format("requested by a signal from pid {}", f.pid); break;
        default: out = trigger_name(f.reason); break;
    }
    if (f.text[0]) out += ": " + text_of(f.text);
    if (incident.folded) out += fmt::format(" (and {} more until it was dumped)", incident.folded);
    return out;
}

}  // namespace flightrec::record
