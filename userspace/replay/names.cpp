// SPDX-License-Identifier: Apache-2.0
// Tables of names; see the header for their sources.
#include "userspace/replay/names.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <iterator>
#include <span>

#include "schemas/flightrec/event.h"
#include "userspace/replay/constants.h"

namespace flightrec::replay {
namespace {

struct Named {
    int64_t value;
    std::string_view name;
    std::string_view meaning;
};

constexpr Named any_codes[] = {
    {0, "SI_USER", "sent by a process"},
    {0x80, "SI_KERNEL", "sent by the kernel"},
    {-1, "SI_QUEUE", "sent by a process with sigqueue"},
    {-2, "SI_TIMER", "a timer expired"},
    {-3, "SI_MESGQ", "message queue"},
    {-4, "SI_ASYNCIO", "asynchronous I/O"},
    {-5, "SI_SIGIO", "queued SIGIO"},
    {-6, "SI_TKILL", "sent by a thread with tkill or tgkill"},
    {-7, "SI_DETHREAD", "sent by execve to the other threads"},
    {-60, "SI_ASYNCNL", ""},
};
constexpr Named segv_codes[] = {
    {1, "SEGV_MAPERR", "address not mapped"},
    {2, "SEGV_ACCERR", "no permission for the mapped address"},
    {3, "SEGV_BNDERR", "bounds check failed"},
    {4, "SEGV_PKUERR", "refused by a memory protection key"},
    {5, "SEGV_ACCADI", ""},
    {6, "SEGV_ADIDERR", ""},
    {7, "SEGV_ADIPERR", ""},
    {8, "SEGV_MTEAERR", "asynchronous memory tag error"},
    {9, "SEGV_MTESERR", "memory tag error"},
    {10, "SEGV_CPERR", "control protection fault"},
};
constexpr Named bus_codes[] = {
    {1, "BUS_ADRALN", "address not aligned"},
    {2, "BUS_ADRERR", "no memory behind the address (a mapped file was shortened)"},
    {3, "BUS_OBJERR", "hardware error of the object"},
    {4, "BUS_MCEERR_AR", "hardware memory error"},
    {5, "BUS_MCEERR_AO", "hardware memory error"},
};
constexpr Named ill_codes[] = {
    {1, "ILL_ILLOPC", "illegal opcode"},     {2, "ILL_ILLOPN", "illegal operand"},
    {3, "ILL_ILLADR", "illegal addressing"}, {4, "ILL_ILLTRP", "illegal trap"},
    {5, "ILL_PRVOPC", "privileged opcode"},  {6, "ILL_PRVREG", "privileged register"},
    {7, "ILL_COPROC", "coprocessor error"},  {8, "ILL_BADSTK", "bad stack"},
};
constexpr Named fpe_codes[] = {
    {1, "FPE_INTDIV", "integer division by zero"},
    {2, "FPE_INTOVF", "integer overflow"},
    {3, "FPE_FLTDIV", "floating point division by zero"},
    {4, "FPE_FLTOVF", "floating point overflow"},
    {5, "FPE_FLTUND", "floating point underflow"},
    {6, "FPE_FLTRES", "floating point inexact result"},
    {7, "FPE_FLTINV", "invalid floating point operation"},
    {8, "FPE_FLTSUB", "subscript out of range"},
    {14, "FPE_FLTUNK", ""},
    {15, "FPE_CONDTRAP", ""},
};
constexpr Named trap_codes[] = {
    {1, "TRAP_BRKPT", "breakpoint"},
    {2, "TRAP_TRACE", "trace trap"},
    {3, "TRAP_BRANCH", ""},
    {4, "TRAP_HWBKPT", "hardware breakpoint"},
    {5, "TRAP_UNK", ""},
    {6, "TRAP_PERF", "perf event"},
};
constexpr Named chld_codes[] = {
    {1, "CLD_EXITED", "child exited"},   {2, "CLD_KILLED", "child was killed"},
    {3, "CLD_DUMPED", "child crashed"},  {4, "CLD_TRAPPED", ""},
    {5, "CLD_STOPPED", "child stopped"}, {6, "CLD_CONTINUED", "child continued"},
};
constexpr Named poll_codes[] = {
    {1, "POLL_IN", ""},  {2, "POLL_OUT", ""}, {3, "POLL_MSG", ""},
    {4, "POLL_ERR", ""}, {5, "POLL_PRI", ""}, {6, "POLL_HUP", ""},
};
constexpr Named sys_codes[] = {
    {1, "SYS_SECCOMP", "refused by a seccomp filter"},
    {2, "SYS_USER_DISPATCH", "syscall user dispatch"},
};

std::span<const Named> codes_of(int signal) {
    switch (signal) {
        case SIGSEGV: return segv_codes;
        case SIGBUS: return bus_codes;
        case SIGILL: return ill_codes;
        case SIGFPE: return fpe_codes;
        case SIGTRAP: return trap_codes;
        case SIGCHLD: return chld_codes;
        case SIGIO: return poll_codes;
        case SIGSYS: return sys_codes;
        default: return {};
    }
}

const Named* find(std::span<const Named> table, int64_t value) {
    for (const auto& entry : table)
        if (entry.value == value) return &entry;
    return nullptr;
}

const Named* code_entry(int signal, int code) {
    if (const auto* own = find(codes_of(signal), code)) return own;
    return find(any_codes, code);
}

// In the order of the kernel's __def_gfpflag_names: the first whose bits are all set is taken.
constexpr Constant gfp_bits[] = {
    {0x1c24ca, "GFP_TRANSHUGE"},
    {0x1c20ca, "GFP_TRANSHUGE_LIGHT"},
    {0x100cca, "GFP_HIGHUSER_MOVABLE"},
    {0x100cc2, "GFP_HIGHUSER"},
    {0x100cc0, "GFP_USER"},
    {0x400cc0, "GFP_KERNEL_ACCOUNT"},
    {0xcc0, "GFP_KERNEL"},
    {0xc40, "GFP_NOFS"},
    {0x820, "GFP_ATOMIC"},
    {0xc00, "GFP_NOIO"},
    {0x800, "GFP_NOWAIT"},
    {0x1, "GFP_DMA"},
    {0x4, "GFP_DMA32"},
    {0x2, "__GFP_HIGHMEM"},
    {0x8, "__GFP_MOVABLE"},
    {0x10, "__GFP_RECLAIMABLE"},
    {0x20, "__GFP_HIGH"},
    {0x40, "__GFP_IO"},
    {0x80, "__GFP_FS"},
    {0x100, "__GFP_ZERO"},
    {0x400, "__GFP_DIRECT_RECLAIM"},
    {0x1000, "__GFP_WRITE"},
    {0x2000, "__GFP_NOWARN"},
    {0x4000, "__GFP_RETRY_MAYFAIL"},
    {0x8000, "__GFP_NOFAIL"},
    {0x10000, "__GFP_NORETRY"},
    {0x20000, "__GFP_MEMALLOC"},
    {0x40000, "__GFP_COMP"},
    {0x80000, "__GFP_NOMEMALLOC"},
    {0x100000, "__GFP_HARDWALL"},
    {0x200000, "__GFP_THISNODE"},
    {0x400000, "__GFP_ACCOUNT"},
    {0x800000, "__GFP_ZEROTAGS"},
};

// The kernel's bits, not strace's names of the arguments (constants.h): musl sets CLONE_DETACHED, strace knows it not.
constexpr Constant clone_bits[] = {
    {0x80, "CLONE_NEWTIME"},
    {0x100, "CLONE_VM"},
    {0x200, "CLONE_FS"},
    {0x400, "CLONE_FILES"},
    {0x800, "CLONE_SIGHAND"},
    {0x1000, "CLONE_PIDFD"},
    {0x2000, "CLONE_PTRACE"},
    {0x4000, "CLONE_VFORK"},
    {0x8000, "CLONE_PARENT"},
    {0x10000, "CLONE_THREAD"},
    {0x20000, "CLONE_NEWNS"},
    {0x40000, "CLONE_SYSVSEM"},
    {0x80000, "CLONE_SETTLS"},
    {0x100000, "CLONE_PARENT_SETTID"},
    {0x200000, "CLONE_CHILD_CLEARTID"},
    {0x400000, "CLONE_DETACHED"},
    {0x800000, "CLONE_UNTRACED"},
    {0x1000000, "CLONE_CHILD_SETTID"},
    {0x2000000, "CLONE_NEWCGROUP"},
    {0x4000000, "CLONE_NEWUTS"},
    {0x8000000, "CLONE_NEWIPC"},
    {0x10000000, "CLONE_NEWUSER"},
    {0x20000000, "CLONE_NEWPID"},
    {0x40000000, "CLONE_NEWNET"},
    {0x80000000, "CLONE_IO"},
    {0x100000000, "CLONE_CLEAR_SIGHAND"},
    {0x200000000, "CLONE_INTO_CGROUP"},
};

void append_bits(std::string& out, uint64_t value, std::span<const Constant> table) {
    const size_t begin = out.size();
    for (const auto& bit : table) {
        if ((value & bit.value) != bit.value) continue;
        if (out.size() != begin) out += '|';
        out += bit.name;
        value &= ~bit.value;
    }
    if (value == 0 && out.size() != begin) return;
    if (out.size() != begin) out += '|';
    fmt::format_to(std::back_inserter(out), "{}{:x}", value == 0 ? "" : "0x", value);
}

template <size_t N>
std::string_view at(const std::array<std::string_view, N>& table, uint64_t index, std::string_view other = "unknown") {
    return index < N ? table[index] : other;
}

}  // namespace

std::string_view errno_name(int error) {
    const char* name = strerrorname_np(error);
    // glibc names the aliases of these two differently from strace and errno(3) readers' habit.
    if (error == 11) return "EAGAIN";
    if (error == 95) return "EOPNOTSUPP";
    if (name != nullptr && error > 0) return name;
    switch (error) {  // the kernel's own, which leak to user space where a signal interrupted the call
        case 512: return "ERESTARTSYS";
        case 513: return "ERESTARTNOINTR";
        case 514: return "ERESTARTNOHAND";
        case 516: return "ERESTART_RESTARTBLOCK";
        default: return {};
    }
}

int errno_of_name(std::string_view name) {
    if (name.empty()) return 0;
    int number = 0;
    const auto [end, ec] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (ec == std::errc{} && end == name.data() + name.size()) return number > 0 && number < 4096 ? number : 0;
    std::string upper(name);
    for (auto& c : upper)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (upper == "EWOULDBLOCK") return 11;
    if (upper == "ENOTSUP") return 95;
    if (upper == "EDEADLOCK") return 35;
    for (int i = 1; i < 520; ++i)
        if (errno_name(i) == upper) return i;
    return 0;
}

std::string_view errno_text(int error) {
    switch (error) {
        case 512: return "To be restarted if SA_RESTART is set";
        case 513: return "To be restarted";
        case 514: return "To be restarted if no handler";
        case 516: return "Interrupted by signal";
        default: break;
    }
    const char* text = error > 0 ? strerrordesc_np(error) : nullptr;
    return text != nullptr ? text : std::string_view{};
}

void append_signal(std::string& out, int signal) {
    const char* name = signal > 0 && signal < 32 ? sigabbrev_np(signal) : nullptr;
    if (signal == 29) name = "IO";  // as strace and signal(7) know it; the C library says POLL
    if (name != nullptr)
        fmt::format_to(std::back_inserter(out), "SIG{}", name);
    else if (signal == 32)
        out += "SIGRTMIN";
    else if (signal > 32 && signal <= 64)
        fmt::format_to(std::back_inserter(out), "SIGRT_{}", signal - 32);
    else
        fmt::format_to(std::back_inserter(out), "{}", signal);
}

void append_signal_code(std::string& out, int signal, int code) {
    if (const auto* entry = code_entry(signal, code))
        out += entry->name;
    else
        fmt::format_to(std::back_inserter(out), "{}", code);
}

std::string signal_name(int signal) {
    std::string out;
    append_signal(out, signal);
    return out;
}

std::string signal_code_name(int signal, int code) {
    std::string out;
    append_signal_code(out, signal, code);
    return out;
}

std::string_view signal_code_meaning(int signal, int code) {
    const auto* entry = code_entry(signal, code);
    return entry != nullptr ? entry->meaning : std::string_view{};
}

void append_gfp(std::string& out, uint32_t mask) {
    fmt::format_to(std::back_inserter(out), "0x{:x}(", mask);
    append_bits(out, mask, gfp_bits);
    out += ')';
}

void append_clone_flags(std::string& out, uint64_t flags) { append_bits(out, flags, clone_bits); }

std::string_view kmsg_level_name(uint32_t level) {
    static constexpr std::array<std::string_view, 8> names{"emerg",   "alert",  "crit", "err",
                                                           "warning", "notice", "info", "debug"};
    return at(names, level);
}

std::string_view trigger_name(uint64_t trigger) {
    static constexpr std::array<std::string_view, 10> names{
        "none",          "oom_kill",     "crash",         "command",  "signal",
        "alloc_failure", "fork_failure", "previous_boot", "shutdown", "stall"};
    return at(names, trigger);
}

std::string_view marker_name(uint32_t kind) {
    static constexpr std::array<std::string_view, 13> names{"unknown",  "start",  "stop", "trigger", "gap",
                                                            "clock",    "policy", "dump", "restart", "previous_end",
                                                            "shutdown", "user",   "scope"};
    return at(names, kind);
}

std::string_view oom_constraint_name(uint32_t value) {
    static constexpr std::array<std::string_view, 4> names{"CONSTRAINT_NONE", "CONSTRAINT_CPUSET",
                                                           "CONSTRAINT_MEMORY_POLICY", "CONSTRAINT_MEMCG"};
    return at(names, value);
}

std::string_view alloc_kind_name(uint32_t kind) {
    static constexpr std::array<std::string_view, 8> names{"unknown",   "page",    "syscall", "fork",
                                                           "page_warn", "vmalloc", "slab",    "cgroup"};
    return at(names, kind);
}

std::string_view fork_cause_name(uint32_t cause) {
    static constexpr std::array<std::string_view, 12> names{
        "unknown",    "pids_cgroup", "rlimit_nproc", "threads_max", "pid_max",           "memory",
        "pidns_dead", "rlimit_as",   "map_count",    "rlimit_data", "memory_cgroup_max", "memory_cgroup_high"};
    return at(names, cause);
}

std::string_view cgroup_op_name(uint32_t op) {
    static constexpr std::array<std::string_view, 4> names{"exists", "mkdir", "rmdir", "rename"};
    return at(names, op);
}

std::string_view signal_result_name(uint32_t result) {
    static constexpr std::array<std::string_view, 5> names{"delivered", "ignored", "already_pending", "overflow",
                                                           "lost_info"};
    return at(names, result);
}

std::string_view track_name(uint64_t track) {
    static constexpr std::array<std::string_view, 2> names{"vital", "syscalls"};
    return at(names, track);
}

std::string_view blob_name(uint8_t kind) {
    switch (kind) {
        case FR_BLOB_FILENAME: return "filename";
        case FR_BLOB_INTERP: return "interpreter";
        case FR_BLOB_ARGV: return "argv";
        case FR_BLOB_EXE: return "exe";
        case FR_BLOB_CWD: return "cwd";
        case FR_BLOB_CGROUP: return "cgroup";
        case FR_BLOB_KSTACK: return "kernel_stack_addresses";
        case FR_BLOB_USTACK: return "user_stack";
        case FR_BLOB_TEXT: return "text";
        case FR_BLOB_KSTACK_TEXT: return "kernel_stack";
        case FR_BLOB_STACK_BYTES: return "stack_bytes";
        case FR_BLOB_MEMORY_STAT: return "memory_stat";
        case FR_BLOB_CANDIDATES: return "candidates";
        case FR_BLOB_PATH: return "path";
        default: return {};
    }
}

}  // namespace flightrec::replay
