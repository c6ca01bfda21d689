// SPDX-License-Identifier: Apache-2.0
// The table of capabilities and their variants.
#include "userspace/kernel/capabilities.h"

#include <array>

namespace flightrec::kernel {
namespace {

constexpr std::array exec_variants{Variant{"exec_tp", Attach::tracepoint, "sched_process_exec", ""}};
constexpr std::array fork_variants{Variant{"fork_tp", Attach::tracepoint, "task_newtask", ""}};
constexpr std::array exit_variants{
    Variant{"exit_tp", Attach::tracepoint, "sched_process_exit", ""},
    Variant{"exit_counted_tp", Attach::tracepoint, "sched_process_exit",
            "CPU time of threads that die in the same moment as the last one"},
};
constexpr std::array rename_variants{Variant{"rename_tp", Attach::tracepoint, "task_rename", ""}};
constexpr std::array signal_variants{Variant{"signal_tp", Attach::tracepoint, "signal_generate", ""}};
constexpr std::array crash_variants{Variant{"crash_tp", Attach::tracepoint, "signal_deliver", ""}};
constexpr std::array module_variants{
    Variant{"crash_modules_tp", Attach::tracepoint, "sched_process_exit", ""},
    Variant{"crash_modules_fentry", Attach::fentry, "exit_mm_release", ""},
    Variant{"crash_modules_kprobe", Attach::kprobe, "exit_mm_release", "a little time"},
};
constexpr std::array oom_variants{
    Variant{"oom_kill_task_tp", Attach::tracepoint, "mark_victim", ""},
    Variant{"oom_kill_pid_tp", Attach::tracepoint, "mark_victim",
            "memory of a victim whose main thread has ended and whose last one is not the invoker"},
};
constexpr std::array oom_context_variants{
    Variant{"oom_context_fentry", Attach::fentry, "out_of_memory", ""},
    Variant{"oom_context_kprobe", Attach::kprobe, "out_of_memory", "a little time"},
};
constexpr std::array alloc_variants{
    Variant{"alloc_failure_kprobe", Attach::kprobe, "warn_alloc", ""},
    Variant{"alloc_failure_tp", Attach::tracepoint, "mm_page_alloc",
            "vmalloc failures; a little time at every page allocation"},
};
constexpr std::array slab_variants{Variant{"slab_failure_kprobe", Attach::kprobe, "slab_out_of_memory", ""}};
constexpr std::array syscall_variants{
    Variant{"sys_exit_tp", Attach::tracepoint, "sys_exit", ""},
    Variant{"sys_enter_tp", Attach::tracepoint, "sys_enter", ""},
    Variant{"sleep_tp", Attach::tracepoint, "suspend_resume", ""},
};
#if defined(__aarch64__)
#define FR_SYSCALL_FUNCTION(name) "__arm64_sys_" name
#else
#define FR_SYSCALL_FUNCTION(name) "__x64_sys_" name
#endif
constexpr std::array failed_call_variants{
    Variant{"failed_execve", Attach::fexit, FR_SYSCALL_FUNCTION("execve"), ""},
    Variant{"failed_execveat", Attach::fexit, FR_SYSCALL_FUNCTION("execveat"), ""},
    Variant{"failed_fork", Attach::fexit, "kernel_clone", ""},
    Variant{"failed_mmap", Attach::fexit, FR_SYSCALL_FUNCTION("mmap"), ""},
    Variant{"failed_mprotect", Attach::fexit, FR_SYSCALL_FUNCTION("mprotect"), ""},
    Variant{"failed_mremap", Attach::fexit, FR_SYSCALL_FUNCTION("mremap"), ""},
    Variant{"failed_brk", Attach::fexit, FR_SYSCALL_FUNCTION("brk"), ""},
};
#undef FR_SYSCALL_FUNCTION
constexpr std::array cgroup_variants{
    Variant{"cgroup_mkdir_tp", Attach::tracepoint, "cgroup_mkdir", ""},
    Variant{"cgroup_rmdir_tp", Attach::tracepoint, "cgroup_rmdir", ""},
    Variant{"cgroup_rename_tp", Attach::tracepoint, "cgroup_rename", ""},
    Variant{"cgroup_attach_tp", Attach::tracepoint, "cgroup_attach_task", ""},
};
constexpr std::array task_variants{Variant{"tasks_iter", Attach::iterator, "task", ""}};
constexpr std::array kmsg_variants{Variant{"kmsg_tp", Attach::tracepoint, "console", ""}};

constexpr std::array specs{
    CapabilitySpec{"exec", "program starts: path, argv, cwd, parent, uid, cgroup", "who started what", false,
                   exec_variants},
    CapabilitySpec{"fork", "new processes and threads", "the process tree", false, fork_variants},
    CapabilitySpec{"exit", "exits: code or signal, CPU time, peak RSS, I/O", "how processes ended", false,
                   exit_variants},
    CapabilitySpec{"rename", "changes of a thread's name", "names set by programs themselves", false, rename_variants},
    CapabilitySpec{"signals", "who sent which signal to whom", "who killed whom", false, signal_variants},
    CapabilitySpec{"crashes", "fatal signals: registers, user stack with build ids", "where programs crashed", false,
                   crash_variants},
    CapabilitySpec{"crash modules", "files mapped as code in a crashed process, with their addresses",
                   "modules of processes that do not stay to dump core", false, module_variants},
    CapabilitySpec{"oom kills", "victim with its memory, invoker, kernel stack",
                   "OOM kills but for their lines in the kernel log", false, oom_variants},
    CapabilitySpec{"oom context", "constraint, gfp mask, order, the memory cgroup that ran out with limit and usage",
                   "gfp mask, order and score, but for the kernel log's report lines; whether cpusets or a memory "
                   "policy ran out",
                   false, oom_context_variants},
    CapabilitySpec{"page allocation failures", "order, gfp mask, kernel stack",
                   "failed page allocations that the kernel log does not tell", false, alloc_variants},
    CapabilitySpec{"slab allocation failures", "object size, gfp mask, kernel stack",
                   "slab failures but for the page allocation failure behind each", false, slab_variants},
    CapabilitySpec{"system calls", "number, arguments, strings, result, duration; failed execs, forks and ENOMEM",
                   "all system calls", true, syscall_variants},
    CapabilitySpec{"failed calls", "failed execs, forks and mappings also while system calls are not recorded",
                   "those while the cost budget lets no system calls be recorded: between its bursts", true,
                   failed_call_variants},
    CapabilitySpec{"control groups", "cgroups made, removed, renamed; processes moved", "names of short-lived cgroups",
                   true, cgroup_variants},
    CapabilitySpec{"kernel log origin", "when each line was printed, and which ones by tasks in scope",
                   "exact times of lines (else within some ms); the kernel log while recording with a scope", false,
                   kmsg_variants},
    CapabilitySpec{"task list", "size and state of every process, every second",
                   "some processes a second on machines with more than several hundred: /proc is read instead", false,
                   task_variants},
};

}  // namespace

std::span<const CapabilitySpec> capability_specs() { return specs; }

std::string describe(const Variant& variant) {
    static constexpr std::array names{"tracepoint ", "fentry ", "fexit ", "kprobe ", "iterator "};
    return names[static_cast<size_t>(variant.attach)] + std::string(variant.target);
}

}  // namespace flightrec::kernel
