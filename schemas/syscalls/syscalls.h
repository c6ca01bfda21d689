// SPDX-License-Identifier: Apache-2.0
// The system calls of Linux on x86-64 and arm64: numbers, names, kinds of arguments, and what of them to capture.
//
// The table itself is syscalls.tbl; generate.py makes syscalls_generated.h from it (a test fails when that is not
// fresh). Read by userspace/kernel, to tell the BPF programs which strings and structures to capture, and by
// userspace/replay, to decode. Depends on nothing. All functions are constexpr, never fail and hold no state.
//
// Source of facts: the kernel's syscall tables and SYSCALL_DEFINE lines, section 2 of the Linux manual pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace flightrec::schemas {

enum class Arch : uint8_t { x86_64, arm64 };

// The machine this was built for.
constexpr Arch host_arch() {
#if defined(__aarch64__)
    return Arch::arm64;
#else
    return Arch::x86_64;
#endif
}

// What an argument is. Where a comment says "next" or "previous", that argument of the same call is meant.
// clang-format off
enum class ArgKind : uint8_t {
    none,
    // Numbers. int32 and uint32: the upper half of the register is not part of the argument.
    int32, uint32, long_, ulong, uint64, hex32, hex64, size, offset, offset_hex, pid, uid, gid, device,
    unused,  // a register that has no meaning on 64-bit machines: not shown
    // Addresses of which only the number is recorded.
    pointer, buffer_in, buffer_out, struct_in, struct_out, envp, fd_set, sigset_pack_in, loff_inout,
    // Strings.
    path_in, string_in, mq_name,  // NUL-terminated, read by the kernel
    string_counted,               // next: its length
    path_out,                     // written by the kernel; the call returns its length
    argv,                         // array of pointers to strings, NULL last
    mount_data, fsconfig_value,   // a string or something else, by file system or command
    // Structures of fixed size, see capture_of(). _in: read by the kernel; _out: written, valid on success only;
    // _inout: read, then overwritten, so that only a capture at entry shows what the caller gave.
    timespec_in, timespec_inout, timespec_left, timespec_out, timespec_pair_in, timeval_in, timeval_inout, timeval_out,
    timeval_pair_in, utimbuf_in, itimerspec_in, itimerspec_out, itimerval_in, itimerval_out, rlimit_in, rlimit_out,
    sigaction_in, sigaction_out, sigset_in, sigset_out, stack_in, stack_out, sched_param_in, sched_param_out,
    sched_attr_in, int_out, int64_out, fd_pair_out, wait_status_out, epoll_event_in,
    pollfds,               // next: how many
    clone_args_in,         // next: size
    open_how_in,           // next: size
    sockaddr_in,           // next: length
    sockaddr_out,          // next: address of the length
    sockopt_in,            // next: length
    sockopt_out,           // next: address of the length
    socklen_ptr,
    // File descriptors.
    fd, dirfd, fanotify_dirfd,
    // Sets of flags, and choices by name (userspace/replay/constants.h holds the names).
    open_flags, fd_flags, mode, file_mode, access_mode, at_flags, at_flags_access, at_flags_unlink,
    at_flags_handle, statx_flags,
    statx_mask, rename_flags, xattr_flags, mount_flags, umount_flags, swap_flags, whence, flock_op, fallocate_mode,
    fadvise, sync_file_range_flags, splice_flags, rwf_flags, close_range_flags, inotify_mask, inotify_init_flags,
    fanotify_init_flags, fanotify_event_flags, fanotify_mark_flags, fanotify_mask, open_tree_flags, move_mount_flags,
    fsopen_flags, fsconfig_cmd, fsmount_flags, mount_attrs, fspick_flags, mount_setattr_flags, quota_cmd, ioprio_which,
    ioprio, umask, memfd_flags, memfd_secret_flags, userfaultfd_flags,
    mmap_prot, mmap_flags, mremap_flags, msync_flags, madvice, mlockall_flags, mlock2_flags, mempolicy, mbind_flags, move_pages_flags,
    get_mempolicy_flags, membarrier_cmd, membarrier_flags, pkey_rights, shadow_stack_flags,
    clone_flags, unshare_flags, setns_flags, wait_options, waitid_which, waitid_id, ptrace_request, personality,
    priority_which, sched_policy, rlimit_resource, rusage_who, arch_prctl_code, prctl_op, kcmp_type, seccomp_op,
    seccomp_flags, rseq_flags, pidfd_open_flags, keyring, keyctl_op, landlock_create_flags, landlock_rule_type, lsm_attr,
    signal, sigmask_how, signalfd_flags, itimer_which, clock_id, timer_flags, timerfd_flags, timerfd_settime_flags,
    socket_domain, socket_type, socket_protocol, socket_flags, msg_flags, shutdown_how, sockopt_level, sockopt_name,
    futex_op, futex2_flags, epoll_op, epoll_create_flags, eventfd_flags, io_uring_enter_flags, io_uring_register_op,
    ipc_key, ipcget_flags, shmget_flags, shmat_flags, shmctl_cmd, semctl_cmd, msgctl_cmd, ipc_msg_flags,
    syslog_type, reboot_magic1, reboot_magic2, reboot_cmd, delete_module_flags, finit_module_flags, kexec_flags,
    kexec_file_flags, perf_flags, getrandom_flags, bpf_cmd, fcntl_cmd, ioctl_cmd,
    // Arguments whose meaning, or existence, hangs on another argument of the call.
    mode_if_creat, mq_attr_if_creat, device_if_node, mremap_addr, fcntl_arg, ioctl_arg, prctl_arg, arch_prctl_arg,
    ptrace_addr, ptrace_data, futex_val, futex_timeout, futex_uaddr2, futex_val3, fsconfig_aux, quota_id, semctl_arg,
    kcmp_index, keyctl_arg, reboot_arg,
};
// clang-format on

// What a call gives back when it does not fail.
enum class ReturnKind : uint8_t {
    int_,
    size,
    fd,
    pointer,
    hex,
    none,
    mode,
    clock,
    signal,
    poll,
    fcntl,
    prctl,
    personality,
    sched_policy,
    ioprio,
    bpf,
};

struct ArgInfo {
    ArgKind kind = ArgKind::none;
    std::string_view name;
};

struct SyscallInfo {
    std::string_view name;
    int16_t number_x86_64 = -1;  // -1: not there
    int16_t number_arm64 = -1;
    uint8_t nargs = 0;
    ReturnKind result = ReturnKind::int_;
    bool may_not_return = false;    // exit, exit_group
    bool strings_at_entry = false;  // execve, execveat: the caller's memory is gone at return
    ArgInfo args[6];

    [[nodiscard]] constexpr int number(Arch arch) const { return arch == Arch::x86_64 ? number_x86_64 : number_arm64; }
};

}  // namespace flightrec::schemas

#include "schemas/syscalls/syscalls_generated.h"

namespace flightrec::schemas {

// All calls, in the order of syscalls.tbl.
constexpr std::span<const SyscallInfo> all_syscalls() { return detail::kSyscalls; }

// One more than the highest number known of either architecture.
inline constexpr uint32_t kSyscallLimit = detail::kSyscallLimit;

// The call of that number; nullptr where there is none.
constexpr const SyscallInfo* find_syscall(Arch arch, uint32_t number) {
    if (number >= kSyscallLimit) return nullptr;
    const int16_t index = arch == Arch::x86_64 ? detail::kIndexX86_64[number] : detail::kIndexArm64[number];
    return index < 0 ? nullptr : &detail::kSyscalls[index];
}

// The call of that name ("openat"); nullptr where the architecture has none.
constexpr const SyscallInfo* find_syscall(Arch arch, std::string_view name) {
    for (const SyscallInfo& info : detail::kSyscalls)
        if (info.name == name && info.number(arch) >= 0) return &info;
    return nullptr;
}

// ---- what to capture ----------------------------------------------------------------------------------------------

enum class CaptureType : uint8_t {
    none,
    string,          // NUL-terminated, to blob FR_BLOB_ARG0 + n, without its NUL
    string_counted,  // as many bytes as argument `length_arg` says, to FR_BLOB_ARG0 + n
    string_result,   // as many bytes as the call returned, to FR_BLOB_ARG0 + n, less one NUL at the end if there is one
    argv,            // the strings of a NULL-ended array of pointers, each with its NUL, to FR_BLOB_ARG0 + n
    data,            // `size` bytes, to FR_BLOB_DATA0 + n
    data_counted,    // `size` × argument `length_arg` bytes, at most `max` (cut: FR_BLOB_CUT), to FR_BLOB_DATA0 + n
    sockaddr,        // as many bytes as argument `length_arg` says, at most `max`, to FR_BLOB_SOCKADDR0 + n
    sockaddr_by_ptr  // as many as the __u32 that argument `length_arg` points to says, to FR_BLOB_SOCKADDR0 + n;
                     // of sockopt_out, too
};

struct ArgCapture {
    CaptureType type = CaptureType::none;
    uint8_t length_arg = 0;
    uint8_t size = 0;
    uint8_t max = 0;
    bool on_success = false;   // written by the kernel: only when the call returned no error
    bool at_entry = false;     // overwritten by the call: what is read at return is not what was given
    bool conditional = false;  // only where SyscallCapture::condition holds
};

// Holds when bit (args[arg] & and_mask) of `values` is set; false for values of 64 and above.
struct CaptureCondition {
    uint8_t arg = 0;
    uint64_t and_mask = 0;
    uint64_t values = 0;

    [[nodiscard]] constexpr bool holds(uint64_t value) const {
        return (value & and_mask) < 64 && ((values >> (value & and_mask)) & 1) != 0;
    }
};

struct SyscallCapture {
    ArgCapture args[6];
    CaptureCondition condition;  // of the arguments marked `conditional`
};

namespace detail {

constexpr ArgCapture data(uint8_t size) { return {.type = CaptureType::data, .size = size, .max = size}; }
constexpr ArgCapture data_out(uint8_t size) {
    return {.type = CaptureType::data, .size = size, .max = size, .on_success = true};
}
constexpr ArgCapture data_at_entry(uint8_t size) {
    return {.type = CaptureType::data, .size = size, .max = size, .at_entry = true};
}
constexpr ArgCapture counted(uint8_t next, uint8_t size, uint8_t max) {
    return {.type = CaptureType::data_counted, .length_arg = next, .size = size, .max = max};
}

// Structures; sizes are those of 64-bit kernels.
constexpr ArgCapture struct_capture(ArgKind kind, uint8_t next, Arch arch) {
    using enum ArgKind;
    switch (kind) {
        case timespec_in:
        case timeval_in:
        case utimbuf_in:
        case rlimit_in: return data(16);
        case timespec_pair_in:
        case timeval_pair_in:
        case itimerspec_in:
        case itimerval_in: return data(32);
        case timespec_inout:
        case timeval_inout: return data_at_entry(16);
        case timespec_out:
        case timeval_out:
        case rlimit_out: return data_out(16);
        case itimerspec_out:
        case itimerval_out: return data_out(32);
        case sigaction_in: return data(32);
        case sigaction_out: return data_out(32);
        case sigset_in: return data(8);
        case sigset_out:
        case int64_out:
        case fd_pair_out: return data_out(8);
        case stack_in: return data(24);
        case stack_out: return data_out(24);
        case sched_param_out:
        case int_out:
        case wait_status_out: return data_out(4);
        case sched_param_in:
        case socklen_ptr: return data(4);
        case sched_attr_in: return data(48);
        case epoll_event_in: return data(arch == Arch::x86_64 ? 12 : 16);
        case pollfds: return counted(next, 8, 128);
        case clone_args_in: return counted(next, 1, 88);
        case open_how_in: return counted(next, 1, 24);
        case sockopt_in: {
            ArgCapture capture = counted(next, 1, 8);  // not more: keys are set as socket options, too
            capture.conditional = true;
            return capture;
        }
        case sockopt_out:  // as long as the kernel says it is
            return {.type = CaptureType::sockaddr_by_ptr, .length_arg = next, .max = 8, .on_success = true};
        default: return {};
    }
}

}  // namespace detail

// What to capture of argument `index` of a kind.
constexpr ArgCapture capture_of(ArgKind kind, uint8_t index, Arch arch) {
    using enum ArgKind;
    const auto next = static_cast<uint8_t>(index + 1);
    switch (kind) {
        case path_in:
        case string_in:
        case mq_name:
        case mount_data: return {.type = CaptureType::string};
        case fsconfig_value: return {.type = CaptureType::string, .conditional = true};
        case prctl_arg:  // PR_SET_NAME only
            if (index != 1) return {};
            return {.type = CaptureType::string, .conditional = true};
        case futex_timeout: return {.type = CaptureType::data, .size = 16, .max = 16, .conditional = true};
        case fcntl_arg: return {.type = CaptureType::data, .size = 32, .max = 32, .conditional = true};  // struct flock
        case string_counted: return {.type = CaptureType::string_counted, .length_arg = next};
        case path_out: return {.type = CaptureType::string_result, .on_success = true};
        case argv: return {.type = CaptureType::argv, .at_entry = true};
        case sockaddr_in: return {.type = CaptureType::sockaddr, .length_arg = next, .max = 128};
        case sockaddr_out:
            return {.type = CaptureType::sockaddr_by_ptr, .length_arg = next, .max = 128, .on_success = true};
        default: return detail::struct_capture(kind, next, arch);
    }
}

constexpr SyscallCapture capture_of(const SyscallInfo& info, Arch arch) {
    SyscallCapture out;
    for (uint8_t i = 0; i < info.nargs; ++i) {
        const ArgKind kind = info.args[i].kind;
        out.args[i] = capture_of(kind, i, arch);
        if (info.strings_at_entry && out.args[i].type != CaptureType::none) out.args[i].at_entry = true;
        if (kind == ArgKind::prctl_arg) out.condition = {0, ~0ULL, 1ULL << 15};  // PR_SET_NAME
        // F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms
        if (kind == ArgKind::fcntl_arg) out.condition = {1, ~0ULL, 0x70000000e0};
        // Any level but SOL_ALG (279), SOL_TLS (282) and SOL_SCTP (132), whose options hold keys
        if (kind == ArgKind::sockopt_in) out.condition = {1, 0x3f, ~(1ULL << 23 | 1ULL << 26 | 1ULL << 4)};
        if (kind == ArgKind::fsconfig_value)
            out.condition = {1, ~0ULL, 0x1a};  // FSCONFIG_SET_STRING, _PATH, _PATH_EMPTY
        // FUTEX_WAIT 0, LOCK_PI 6, WAIT_BITSET 9, WAIT_REQUEUE_PI 11, LOCK_PI2 13; less PRIVATE and CLOCK_REALTIME
        if (kind == ArgKind::futex_timeout) out.condition = {1, 0x7f, 0x2a41};
    }
    return out;
}

// Bit n: argument n is a NUL-terminated string to capture, whatever the other arguments are.
constexpr uint8_t string_mask(const SyscallInfo& info) {
    uint8_t mask = 0;
    for (uint8_t i = 0; i < info.nargs; ++i) {
        const ArgCapture capture = capture_of(info.args[i].kind, i, Arch::x86_64);
        if (capture.type == CaptureType::string && !capture.conditional) mask = static_cast<uint8_t>(mask | (1U << i));
    }
    return mask;
}

}  // namespace flightrec::schemas
