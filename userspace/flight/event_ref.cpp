// SPDX-License-Identifier: Apache-2.0
// Names and sizes of the event classes.
#include "userspace/flight/event_ref.h"

#include <array>

namespace flightrec::flight {
namespace {

struct ClassInfo {
    std::string_view name;
    uint16_t fixed = 0;
};

constexpr auto make_classes() {
    std::array<ClassInfo, FR_CLASS_COUNT> c{};
    c[FR_CLASS_EXEC] = {"exec", sizeof(fr_exec)};
    c[FR_CLASS_EXEC_FAILED] = {"exec_failed", sizeof(fr_exec_failed)};
    c[FR_CLASS_FORK] = {"fork", sizeof(fr_fork)};
    c[FR_CLASS_EXIT] = {"exit", sizeof(fr_exit)};
    c[FR_CLASS_SIGNAL] = {"signal", sizeof(fr_signal)};
    c[FR_CLASS_CRASH] = {"crash", sizeof(fr_crash)};
    c[FR_CLASS_OOM_KILL] = {"oom_kill", sizeof(fr_oom_kill)};
    c[FR_CLASS_ALLOC_FAILURE] = {"alloc_failure", sizeof(fr_alloc_failure)};
    c[FR_CLASS_SYSCALL] = {"syscall", sizeof(fr_syscall)};
    c[FR_CLASS_SYSCALL_ENTER] = {"syscall_enter", sizeof(fr_syscall)};
    c[FR_CLASS_CGROUP] = {"cgroup", sizeof(fr_cgroup)};
    c[FR_CLASS_RENAME] = {"rename", sizeof(fr_rename)};
    c[FR_CLASS_CGROUP_ATTACH] = {"cgroup_attach", sizeof(fr_cgroup_attach)};
    c[FR_CLASS_KMSG] = {"kmsg", sizeof(fr_kmsg)};
    c[FR_CLASS_SYSTEM_SAMPLE] = {"system_sample", sizeof(fr_system_sample)};
    c[FR_CLASS_CGROUP_SAMPLE] = {"cgroup_sample", sizeof(fr_cgroup_sample)};
    c[FR_CLASS_PROCESS_SAMPLE] = {"process_sample", sizeof(fr_process_sample)};
    c[FR_CLASS_MARKER] = {"marker", sizeof(fr_marker)};
    c[FR_CLASS_LEDGER] = {"ledger", sizeof(fr_ledger)};
    c[FR_CLASS_PROCESS] = {"process", sizeof(fr_process)};
    c[FR_CLASS_FD] = {"fd", sizeof(fr_fd)};
    c[FR_CLASS_UNFINISHED] = {"unfinished", sizeof(fr_syscall)};
    c[FR_CLASS_MODULE] = {"module", sizeof(fr_module)};
    return c;
}
constexpr auto classes = make_classes();

}  // namespace

std::string_view class_name(uint8_t cls) {
    if (cls >= classes.size() || classes[cls].name.empty()) return "unknown";
    return classes[cls].name;
}

std::optional<uint8_t> class_of_name(std::string_view name) {
    if (name.empty()) return std::nullopt;
    for (size_t i = 0; i < classes.size(); ++i)
        if (classes[i].name == name) return static_cast<uint8_t>(i);
    return std::nullopt;
}

uint16_t fixed_size_of(uint8_t cls) { return cls < classes.size() ? classes[cls].fixed : uint16_t{0}; }

std::string path_from_components(std::string_view components) {
    // Leaf first; what follows the last NUL without one of its own was cut by the blob's end.
    std::string out;
    bool reached_root = true;
    while (!components.empty()) {
        const size_t end = components.find('\0');
        const std::string_view name = components.substr(0, end);
        components = end == std::string_view::npos ? std::string_view{} : components.substr(end + 1);
        if (name.empty()) {
            if (components.empty()) reached_root = false;
            continue;
        }
        out.insert(0, name);
        out.insert(0, 1, '/');
    }
    if (!reached_root) return "…" + out;
    return out.empty() ? "/" : out;
}

}  // namespace flightrec::flight
