// SPDX-License-Identifier: Apache-2.0
// The verdict on a stall: how long the machine waited for what (PSI), and which tasks slept in the kernel where.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

constexpr uint64_t look_back_ns = 30 * second;

struct Pressure {
    std::string_view what;
    uint32_t hundredths;
};

void add_pressure(const VerdictInput& in, IncidentReport& out) {
    Statement s{"why", {}, true, {}};
    Pressure worst{"", 0};
    for (const auto& [time_ns, m] : in.digest.system_samples) {
        if (time_ns + look_back_ns < in.seed.time_ns || time_ns > in.seed.time_ns + second) continue;
        for (const Pressure p : {Pressure{"memory", m.psi_memory_full_avg10}, Pressure{"io", m.psi_io_full_avg10},
                                 Pressure{"cpu", m.psi_cpu_some_avg10}})
            if (p.hundredths > worst.hundredths) worst = p;
        s.evidence.push_back(
            {time_ns, fmt::format("pressure cpu {}.{:02} % some, memory {}.{:02} % full, io {}.{:02} % "
                                  "full; {} tasks blocked",
                                  m.psi_cpu_some_avg10 / 100, m.psi_cpu_some_avg10 % 100, m.psi_memory_full_avg10 / 100,
                                  m.psi_memory_full_avg10 % 100, m.psi_io_full_avg10 / 100, m.psi_io_full_avg10 % 100,
                                  m.blocked == FR_UNKNOWN ? 0 : m.blocked)});
    }
    if (s.evidence.size() > 10) s.evidence.erase(s.evidence.begin(), s.evidence.end() - 10);
    if (worst.hundredths == 0) {
        s.known = false;
        s.text = "what it waited for is unknown: no sample of pressure before it, or none above zero";
        out.cause = "stall_unknown";
        out.verdict = "the machine stalled; what it waited for is unknown";
    } else {
        s.text = fmt::format("most pressure was on {}: {}.{:02} % of ten seconds", worst.what, worst.hundredths / 100,
                             worst.hundredths % 100);
        out.cause = fmt::format("stall_{}", worst.what);
        out.verdict = fmt::format("the machine stalled on {}: {}.{:02} % of ten seconds were lost to it", worst.what,
                                  worst.hundredths / 100, worst.hundredths % 100);
    }
    out.statements.push_back(std::move(s));
}

}  // namespace

void stall_verdict(const VerdictInput& in, IncidentReport& out) {
    add_pressure(in, out);
    Statement s{"waiting", {}, true, {}};
    std::map<std::string, uint64_t> by_function;
    for (const auto& task : in.digest.waiting) {
        if (task.time_ns + look_back_ns < in.seed.time_ns || task.time_ns > in.seed.time_ns + second) continue;
        ++by_function[task.function.empty() ? "an unknown function" : printable(task.function)];
        Evidence line{task.time_ns, {}};
        append_process_name(line.text, task.comm, task.pid);
        line.text += " state D in ";
        append_printable(line.text, task.function.empty() ? "?" : std::string_view(task.function));
        s.evidence.push_back(std::move(line));
    }
    if (by_function.empty()) {
        s.known = false;
        s.text = "no task in uninterruptible sleep is in the samples before it";
    } else {
        std::vector<std::pair<std::string, uint64_t>> sorted(by_function.begin(), by_function.end());
        std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
        s.text = "tasks in uninterruptible sleep waited in ";
        for (size_t i = 0; i < std::min<size_t>(sorted.size(), 5); ++i)
            s.text += fmt::format("{}{} ({} samples)", i == 0 ? "" : ", ", sorted[i].first, sorted[i].second);
    }
    if (s.evidence.size() > 20) s.evidence.erase(s.evidence.begin(), s.evidence.end() - 20);
    out.statements.push_back(std::move(s));
    add_growth(in, out, {});
    add_machine(in, out);
    add_kernel_log(in, out, look_back_ns, 2 * second, 30);
}

}  // namespace flightrec::replay
