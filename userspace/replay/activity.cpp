// SPDX-License-Identifier: Apache-2.0
// Counting the system calls of a span of time, without their state.
#include "userspace/replay/activity.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "userspace/replay/names.h"

namespace flightrec::replay {
namespace {

constexpr uint64_t slow_ns = 100'000'000;
constexpr size_t slow_max = 5;

// Calls whose long duration says nothing: they wait for something to happen.
bool waits(std::string_view name) {
    static constexpr std::string_view names[] = {"epoll_wait",   "epoll_pwait",     "epoll_pwait2",  "poll",
                                                 "ppoll",        "select",          "pselect6",      "futex",
                                                 "nanosleep",    "pause",           "rt_sigsuspend", "wait4",
                                                 "waitid",       "accept",          "accept4",       "clock_nanosleep",
                                                 "semop",        "semtimedop",      "msgrcv",        "mq_timedreceive",
                                                 "io_getevents", "rt_sigtimedwait", "futex_wait",    "futex_waitv",
                                                 "recvfrom",     "recvmsg",         "read"};
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

template <class Key>
std::vector<std::pair<Key, uint64_t>> ranked(std::vector<std::pair<Key, uint64_t>> list) {
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    return list;
}

}  // namespace

CallActivity read_activity(const flight::FlightFile& file, uint64_t from_ns, uint64_t to_ns, schemas::Arch arch) {
    CallActivity out;
    out.from_ns = from_ns;
    out.to_ns = to_ns;
    flight::ReadOptions options;
    options.from_ns = from_ns;
    options.to_ns = to_ns;
    options.vital = false;
    options.keyframes = false;
    std::map<uint32_t, uint64_t> names, pids;
    std::map<std::pair<uint32_t, int64_t>, uint64_t> errors;
    const auto name_of = [&](uint32_t nr) {
        const auto* info = schemas::find_syscall(arch, nr);
        return info != nullptr ? std::string(info->name) : fmt::format("syscall_{}", nr);
    };
    auto reader = file.read(options);
    while (const auto event = reader.next()) {
        if (event->head().cls != FR_CLASS_SYSCALL) continue;
        const auto call = event->as<fr_syscall>();
        ++out.calls;
        ++names[call.nr];
        ++pids[event->head().pid];
        if (call.result < 0 && call.result > -4096) {
            ++out.failed;
            ++errors[{call.nr, call.result}];
        }
        const bool timed = (event->head().flags & FR_EVENT_NO_ENTRY) == 0 && call.enter_ns <= event->head().time_ns;
        const uint64_t took = timed ? event->head().time_ns - call.enter_ns : 0;
        if (took < slow_ns || (out.slow.size() == slow_max && took <= out.slow.back().duration_ns)) continue;
        std::string name = name_of(call.nr);
        if (waits(name)) continue;
        out.slow.push_back({event->head().time_ns, took, event->head().pid, std::move(name)});
        std::sort(out.slow.begin(), out.slow.end(),
                  [](const auto& a, const auto& b) { return a.duration_ns > b.duration_ns; });
        if (out.slow.size() > slow_max) out.slow.pop_back();
    }
    for (const auto& [nr, count] : names) out.by_name.emplace_back(name_of(nr), count);
    for (const auto& [key, count] : errors) {
        std::string error(errno_name(static_cast<int>(-key.second)));
        if (error.empty()) error = fmt::format("error {}", -key.second);
        out.by_error.emplace_back(name_of(key.first) + " " + error, count);
    }
    out.by_name = ranked(std::move(out.by_name));
    out.by_error = ranked(std::move(out.by_error));
    out.by_pid = ranked(std::vector<std::pair<uint32_t, uint64_t>>(pids.begin(), pids.end()));
    return out;
}

}  // namespace flightrec::replay
