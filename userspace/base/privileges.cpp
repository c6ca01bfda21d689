// SPDX-License-Identifier: Apache-2.0
// Capabilities and seccomp by their system calls: neither needs a library.
#include "userspace/base/privileges.h"

#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <vector>

namespace flightrec {
namespace {

#if defined(__x86_64__)
constexpr uint32_t this_arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t this_arch = AUDIT_ARCH_AARCH64;
#endif

constexpr auto allowed = std::to_array<int>({
    // files
    __NR_read, __NR_write, __NR_readv, __NR_writev, __NR_pread64, __NR_pwrite64, __NR_preadv, __NR_pwritev, __NR_openat,
        __NR_openat2, __NR_close, __NR_lseek, __NR_fstat, __NR_newfstatat, __NR_statx, __NR_faccessat, __NR_faccessat2,
        __NR_getdents64, __NR_readlinkat, __NR_renameat, __NR_renameat2, __NR_unlinkat, __NR_linkat, __NR_mkdirat,
        __NR_fchmod, __NR_fchmodat, __NR_ftruncate, __NR_fallocate, __NR_fsync, __NR_fdatasync, __NR_sync_file_range,
        __NR_flock, __NR_fcntl, __NR_fstatfs, __NR_statfs, __NR_utimensat, __NR_getcwd, __NR_umask, __NR_ioctl,
        __NR_dup, __NR_dup3, __NR_sendfile, __NR_copy_file_range, __NR_fadvise64,
        // waiting
        __NR_ppoll, __NR_pselect6, __NR_epoll_create1, __NR_epoll_ctl, __NR_epoll_pwait, __NR_eventfd2,
        __NR_timerfd_create, __NR_timerfd_settime, __NR_timerfd_gettime, __NR_signalfd4, __NR_pipe2, __NR_nanosleep,
        __NR_clock_nanosleep, __NR_futex, __NR_sched_yield, __NR_restart_syscall,
        // network
        __NR_socket, __NR_socketpair, __NR_connect, __NR_bind, __NR_listen, __NR_accept, __NR_accept4, __NR_sendto,
        __NR_recvfrom, __NR_sendmsg, __NR_recvmsg, __NR_sendmmsg, __NR_recvmmsg, __NR_shutdown, __NR_getsockname,
        __NR_getpeername, __NR_setsockopt, __NR_getsockopt,
        // memory
        __NR_brk, __NR_mmap, __NR_munmap, __NR_mremap, __NR_mprotect, __NR_madvise, __NR_msync, __NR_memfd_create,
        __NR_open_by_handle_at, __NR_mlock, __NR_munlock,
        // about itself
        __NR_getpid, __NR_gettid, __NR_getppid, __NR_getuid, __NR_geteuid, __NR_getgid, __NR_getegid, __NR_getrusage,
        __NR_getrandom, __NR_clock_gettime, __NR_clock_getres, __NR_gettimeofday, __NR_times, __NR_uname, __NR_sysinfo,
        __NR_prlimit64, __NR_sched_getaffinity, __NR_getcpu, __NR_getpriority, __NR_setpriority, __NR_prctl,
        __NR_capget,
        // signals and the end
        __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_rt_sigtimedwait, __NR_sigaltstack, __NR_tgkill,
        __NR_exit, __NR_exit_group, __NR_set_robust_list, __NR_rseq, __NR_membarrier,
#if defined(__x86_64__)  // older forms that arm64 never had
        __NR_open, __NR_stat, __NR_lstat, __NR_access, __NR_readlink, __NR_rename, __NR_unlink, __NR_link, __NR_mkdir,
        __NR_chmod, __NR_poll, __NR_select, __NR_epoll_wait, __NR_pipe, __NR_dup2, __NR_time, __NR_getrlimit,
        __NR_arch_prctl, __NR_rmdir,
#endif
});

Result<void> set_capabilities(uint64_t keep) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (syscall(SYS_capget, &header, data.data()) != 0) return fail_errno(errno, "cannot read the capabilities");
    for (size_t half = 0; half < data.size(); ++half) {
        const auto mask = static_cast<uint32_t>(keep >> (32 * half));
        data[half].permitted &= mask;
        data[half].effective = data[half].permitted;
        data[half].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data.data()) != 0) return fail_errno(errno, "cannot drop capabilities");
    return {};
}

}  // namespace

Result<void> keep_capabilities(uint64_t keep) {
    // The bounding set can only be reduced with CAP_SETPCAP; without it no_new_privs does as much.
    for (int cap = 0; cap <= CAP_LAST_CAP; ++cap) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return set_capabilities(keep);
}

Result<void> confine_process(std::span<const uint32_t> bpf_commands) {
    std::vector<sock_filter> code;
    const auto load = [&](size_t offset) {
        code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
    };
    const auto answer = [&](uint32_t value) { code.push_back(BPF_STMT(BPF_RET | BPF_K, value)); };
    constexpr uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
    load(offsetof(seccomp_data, arch));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, this_arch, 1, 0));
    answer(refused);
    load(offsetof(seccomp_data, nr));
    for (const int nr : allowed) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(nr), 0, 1));
        answer(SECCOMP_RET_ALLOW);
    }
    if (!bpf_commands.empty()) {
        const auto behind = static_cast<uint8_t>(1 + 2 * bpf_commands.size());
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(__NR_bpf), 0, behind));
        load(offsetof(seccomp_data, args));  // the low half of the first argument: both machines are little endian
        for (const uint32_t command : bpf_commands) {
            code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, command, 0, 1));
            answer(SECCOMP_RET_ALLOW);
        }
    }
    answer(refused);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot set no_new_privs");
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    const long thread = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (thread < 0) return fail_errno(errno, "the kernel refuses the system call filter");
    if (thread > 0) return fail(Code::internal, "a thread could not be given the system call filter");
    return {};
}

}  // namespace flightrec
