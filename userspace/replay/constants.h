// SPDX-License-Identifier: Apache-2.0
// Names of the constants that system calls take: flags and choices, as strace spells them.
//
// Pure data and pure functions, thread safe. Sources: include/uapi/ and arch/*/include/uapi/ of Linux 6.1 with what
// was added up to 6.18. tests/unit/replay/syscall_constants_check.py compares each value with the headers of the
// machine, tests/unit/replay/syscall_differential.py each spelling with strace.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "schemas/syscalls/syscalls.h"

namespace flightrec::replay {

struct Constant {
    uint64_t value;
    std::string_view name;
};

struct ConstantSet {
    std::span<const Constant> list;
    std::string_view unknown;  // what strace says of a value without name: "O_???"; empty: it says nothing
    bool flags = false;        // bits to be joined with |, the longest names first; else one name a value
    uint8_t bits = 32;         // how much of the argument the kernel looks at
};

// The set of an argument kind; nullptr for kinds that are not a plain set of names.
[[nodiscard]] const ConstantSet* constants_of(schemas::ArgKind kind, schemas::Arch arch);

// "" for a value without name.
[[nodiscard]] std::string_view name_in(std::span<const Constant> list, uint64_t value);
// "SEEK_END", or "0x7 /* SEEK_??? */".
void append_choice(std::string& out, const ConstantSet& set, uint64_t value);
// "O_APPEND|O_CLOEXEC|0x4", "0", or "0x4 /* O_??? */" where no bit has a name.
void append_flags(std::string& out, const ConstantSet& set, uint64_t value);
// The one that fits the set.
void append_constant(std::string& out, const ConstantSet& set, uint64_t value);

// The options of a socket level, and the protocols of a domain; nullptr where none are known.
[[nodiscard]] const ConstantSet* socket_options(uint64_t level, bool get);
[[nodiscard]] const ConstantSet* socket_protocols(uint64_t domain);

// How the third argument of an ioctl() request is shown.
enum class IoctlForm : uint8_t { hex, address, number, none };
struct NamedIoctl {
    std::string_view name;  // "TCGETS"; "" for a request without name
    IoctlForm form = IoctlForm::hex;
};
[[nodiscard]] NamedIoctl find_ioctl(uint32_t request);

// Sets that are parts of an argument.
namespace sets {
extern const ConstantSet access_type, open_flags, open_flags_arm64, fd_flags, lock_type, seals, notify, capability,
    at_flags, statx_sync, mmap_type, mmap_flags, mmap_flags_arm64, mempolicy_mode, mempolicy_flags, socket_type,
    socket_flags, ethernet_protocol, fanotify_class, fanotify_init_flags, kexec_arch, kexec_flags, personality,
    personality_flags, swap_flags, ipc_get_flags, shm_get_flags, clone_flags, clone3_flags, seccomp_flags, quota_cmd,
    quota_type, ioprio_class, sigaction_flags, sigaltstack_flags, poll_events, epoll_events, resolve_flags,
    ptrace_options, regset, syslog_type, dumpable, seccomp_mode, cap_ambient, mce_kill, prctl_mm, speculation,
    speculation_control, tsc_mode, unalign, securebits, futex_op, futex_wake_op, futex_wake_compare, futex2_size,
    futex2_flags, sched_policy, sched_flags, memfd_flags, whence, membarrier_cmd, socket_domain, keyring;
}  // namespace sets

}  // namespace flightrec::replay
