// SPDX-License-Identifier: Apache-2.0
// Single arguments, by their kind; and which arguments a call shows.
#include <fmt/format.h>

#include <iterator>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/syscall_text_parts.h"

namespace flightrec::replay {

using schemas::ArgKind;

namespace parts {

void put_hex(std::string& out, uint64_t value) {
    if (value != 0) out += "0x";
    char digits[16];
    const char* end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}

void put_mode(std::string& out, uint64_t value) { fmt::format_to(std::back_inserter(out), "0{:02o}", value); }

void put_address(std::string& out, uint64_t value) {
    if (value == 0)
        out += "NULL";
    else
        put_hex(out, value);
}

void put_quoted(std::string& out, std::string_view bytes, bool cut) {
    out += '"';
    append_escaped(out, bytes);
    out += cut ? "\"..." : "\"";
}

void put_fd(std::string& out, const SyscallCall& call, int fd) {
    put_number(out, fd);
    const std::string_view name = call.fd_name(fd);
    if (name.empty()) return;
    out += '<';
    append_printable(out, name);
    out += '>';
}

void put_open_flags(std::string& out, schemas::Arch arch, uint64_t value) {
    append_choice(out, sets::access_type, value & 3);
    const uint64_t rest = value & 0xfffffffc;
    if (rest == 0) return;
    const ConstantSet& set = arch == schemas::Arch::arm64 ? sets::open_flags_arm64 : sets::open_flags;
    out += '|';
    const size_t before = out.size();
    append_flags(out, set, rest);
    // The access type counts as a name: bits without one stand as a bare number.
    if (const size_t comment = out.find(" /*", before); comment != std::string::npos) out.resize(comment);
}

void put_clone_flags(std::string& out, uint64_t value) {
    const uint64_t flags = value & ~0xffULL, signal = value & 0xff;
    if (flags != 0 || signal == 0) append_flags(out, sets::clone_flags, flags);
    if (signal == 0) return;
    if (flags != 0) out += '|';
    put_signal(out, signal);
}

void put_signal(std::string& out, uint64_t value) {
    const auto number = static_cast<int>(static_cast<uint32_t>(value));
    if (number == 32)
        out += "SIGRTMIN";
    else if (number > 32 && number <= 64)
        fmt::format_to(std::back_inserter(out), "SIGRT_{}", number - 32);
    else if (number > 0 && number < 32)
        number == 29 ? static_cast<void>(out += "SIGIO") : append_signal(out, number);
    else
        put_number(out, number);
}

void put_signal_set(std::string& out, uint64_t mask) {
    const bool inverted = __builtin_popcountll(mask) >= 64 * 2 / 3;
    if (inverted) {
        mask = ~mask;
        out += '~';
    }
    out += '[';
    bool first = true;
    for (unsigned number = 1; number <= 64; ++number) {
        if ((mask >> (number - 1) & 1) == 0) continue;
        if (!first) out += ' ';
        first = false;
        const size_t before = out.size();
        put_signal(out, number);
        out.erase(before, 3);  // SIG
    }
    out += ']';
}

}  // namespace parts

using namespace parts;

namespace {

constexpr uint64_t kCreates = 0x400040;  // O_CREAT, __O_TMPFILE

// At most `limit` bytes of it, 0: all.
void put_limited(std::string& out, std::string_view bytes, size_t limit, bool cut) {
    const bool shorter = limit != 0 && bytes.size() > limit;
    put_quoted(out, shorter ? bytes.substr(0, limit) : bytes, cut || shorter);
}

void put_string(std::string& out, const SyscallCall& call, unsigned i) {
    const auto& text = call.string(i);
    if (!text || call.arg(i) == 0) return put_address(out, call.arg(i));
    std::string_view bytes = text->text;
    // getcwd() counts the NUL among the bytes it returns, readlink() has none.
    if (call.kind(i) == ArgKind::path_out && bytes.ends_with('\0')) bytes.remove_suffix(1);
    // Paths are shown in full, as strace does.
    const bool path = call.kind(i) == ArgKind::path_in || call.kind(i) == ArgKind::path_out;
    put_limited(out, bytes, path ? 0 : call.string_limit, (text->flags & FR_BLOB_CUT) != 0);
}

// `["python3", "-c", "import json"]` of NUL-ended strings.
void put_argv(std::string& out, const SyscallCall& call, unsigned i) {
    const auto& blob = call.string(i);
    if (!blob || call.arg(i) == 0) return put_address(out, call.arg(i));
    std::string_view rest = blob->text;
    const bool cut = (blob->flags & FR_BLOB_CUT) != 0;
    out += '[';
    while (!rest.empty()) {
        const size_t end = rest.find('\0');
        put_limited(out, rest.substr(0, end), call.string_limit, end == std::string_view::npos && cut);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        if (!rest.empty()) out += ", ";
    }
    if (cut) out += ", ...";
    out += ']';
}

void put_dirfd(std::string& out, const SyscallCall& call, unsigned i) {
    const auto fd = static_cast<int>(call.arg(i));
    if (fd != -100) return put_fd(out, call, fd);
    out += "AT_FDCWD";
    const std::string_view name = call.fd_name(fd);
    if (name.empty()) return;
    out += '<';
    append_printable(out, name);
    out += '>';
}

void put_device(std::string& out, uint64_t value) {
    const uint64_t major = (value >> 8) & 0xfff, minor = (value & 0xff) | ((value >> 12) & 0xfff00);
    out += "makedev(";
    put_hex(out, major);
    out += ", ";
    put_hex(out, minor);
    out += ')';
}

// mknod(): the type by name, then the permissions.
void put_file_mode(std::string& out, uint64_t mode) {
    static constexpr Constant types[] = {{0140000, "S_IFSOCK"}, {0120000, "S_IFLNK"}, {0100000, "S_IFREG"},
                                         {0060000, "S_IFBLK"},  {0040000, "S_IFDIR"}, {0020000, "S_IFCHR"},
                                         {0010000, "S_IFIFO"}};
    static constexpr Constant bits[] = {{04000, "S_ISUID|"}, {02000, "S_ISGID|"}, {01000, "S_ISVTX|"}};
    const std::string_view type = name_in(types, mode & 0170000);
    mode &= 0xffff;
    if (type.empty() && (mode & 0170000) != 0) return put_mode(out, mode);
    out += type;
    if (!type.empty()) out += '|';
    for (const Constant& bit : bits)
        if ((mode & bit.value) != 0) out += bit.name;
    put_mode(out, mode & 0777);
}

// A signed int; the upper half of the register is none of the kernel's business.
void put_int(std::string& out, uint64_t value) { put_number(out, static_cast<int32_t>(static_cast<uint32_t>(value))); }

// A user or group: unsigned, but for the -1 that means "leave it".
void put_id(std::string& out, uint64_t value) {
    const auto id = static_cast<uint32_t>(value);
    if (id == 0xffffffff)
        out += "-1";
    else
        put_number(out, id);
}

bool put_plain(std::string& out, ArgKind kind, uint64_t value) {
    using enum ArgKind;
    switch (kind) {
        case int32:
        case pid: put_int(out, value); return true;
        case uid:
        case gid: put_id(out, value); return true;
        case uint32: put_number(out, static_cast<uint32_t>(value)); return true;
        case long_:
        case offset: put_number(out, static_cast<int64_t>(value)); return true;
        case ulong:
        case uint64:
        case size: put_number(out, value); return true;
        case hex32: put_hex(out, value & 0xffffffff); return true;
        case hex64:
        case offset_hex: put_hex(out, value); return true;
        case mode:
        case umask:
        case mode_if_creat: put_mode(out, value & 0xffff); return true;
        case device: put_device(out, value & 0xffffffff); return true;
        case device_if_node: put_device(out, value & 0xffffffff); return true;
        case signal: put_signal(out, value); return true;
        case file_mode: put_file_mode(out, value); return true;
        default: return false;
    }
}

// A choice in the low bits, flags above: "MAP_PRIVATE|MAP_ANONYMOUS".
void put_choice_and_flags(std::string& out, const ConstantSet& choice, const ConstantSet& flags, uint64_t value,
                          uint64_t low) {
    append_choice(out, choice, value & low);
    if ((value & ~low) == 0) return;
    out += '|';
    append_flags(out, flags, value & ~low);
}

void put_huge_size(std::string& out, std::string_view shift, uint64_t value) {
    put_number(out, value >> 26 & 63);
    out += "<<";
    out += shift;
}

void put_mmap_flags(std::string& out, schemas::Arch arch, uint64_t value) {
    const ConstantSet& set = arch == schemas::Arch::arm64 ? sets::mmap_flags_arm64 : sets::mmap_flags;
    const uint64_t size = value & 0xfc000000;
    put_choice_and_flags(out, sets::mmap_type, set, value & 0xffffffff & ~size, 15);
    if (size == 0) return;
    out += '|';
    put_huge_size(out, "MAP_HUGE_SHIFT", size);
}

void put_memfd_flags(std::string& out, uint64_t value) {
    const uint64_t size = value & 0xfc000000, flags = value & 0xffffffff & ~size;
    if (flags != 0 || size == 0) append_flags(out, sets::memfd_flags, flags);
    if (size == 0) return;
    if (flags != 0) out += '|';
    put_huge_size(out, "MFD_HUGE_SHIFT", size);
}

// msgget(), semget(), shmget(): flags, then permissions.
void put_ipc_get_flags(std::string& out, const ConstantSet& set, uint64_t value, bool huge) {
    const uint64_t size = huge ? value & 0xfc000000 : 0;
    const uint64_t flags = value & 0xfffffe00 & ~size;
    if (flags != 0) {
        append_flags(out, set, flags);
        out += '|';
    }
    if (size != 0) {
        put_huge_size(out, "SHM_HUGE_SHIFT", size);
        out += '|';
    }
    put_mode(out, value & 0777);
}

void put_socket_type(std::string& out, uint64_t value) {
    value &= 0xffffffff;
    const std::string_view type = name_in(sets::socket_type.list, value & 15);
    if (type.empty()) return append_flags(out, sets::socket_flags, value);
    out += type;
    if ((value & ~15ULL) == 0) return;
    out += '|';
    append_flags(out, sets::socket_flags, value & ~15ULL);
}

void put_socket_protocol(std::string& out, const SyscallCall& call, unsigned i) {
    const uint64_t domain = call.arg(0) & 0xffffffff, value = call.arg(i) & 0xffffffff;
    if (call.nargs() == 4) return put_number(out, call.arg(i));  // socketpair
    if (domain == 17) {                                          // AF_PACKET
        out += "htons(";
        append_choice(out, sets::ethernet_protocol, (value & 0xff) << 8 | (value >> 8 & 0xff));
        out += ')';
        return;
    }
    if (const ConstantSet* set = socket_protocols(domain))
        append_choice(out, *set, value);
    else
        put_number(out, call.arg(i));
}

void put_socket_option_name(std::string& out, const SyscallCall& call, unsigned i) {
    const uint64_t level = call.arg(i - 1) & 0xffffffff;
    if (call.kind(i + 1) == ArgKind::sockopt_out) {
        const ConstantSet* set = socket_options(level, true);
        if (set != nullptr && !name_in(set->list, call.arg(i) & 0xffffffff).empty())
            return append_choice(out, *set, call.arg(i));
    }
    if (const ConstantSet* set = socket_options(level, false))
        append_choice(out, *set, call.arg(i));
    else
        put_int(out, call.arg(i));
}

// Commands of the System V calls, with the bit that old libraries add.
void put_ipc_command(std::string& out, ArgKind kind, schemas::Arch arch, uint64_t value) {
    const ConstantSet* set = constants_of(kind, arch);
    if ((value & 0x100) != 0) {
        out += "IPC_64|";
        value &= ~0x100ULL;
    }
    append_choice(out, *set, value);
}

void put_futex_op(std::string& out, uint64_t value) {
    const uint64_t op = value & 0xffffffff, command = op & ~0x180ULL;
    const std::string_view name = name_in(sets::futex_op.list, op & ~0x100ULL);
    const bool realtime = (op & 0x100) != 0;
    if (!name.empty() && !realtime) {
        out += name;
    } else if (!name.empty() && (command == 0 || command == 9 || command == 11 || command == 13)) {
        out += name;
        out += "|FUTEX_CLOCK_REALTIME";
    } else if (op == 0x82) {
        out += "FUTEX_FD|FUTEX_PRIVATE_FLAG";
    } else {
        append_choice(out, sets::futex_op, op);
    }
}

// FUTEX_WAKE_OP: operation and comparison in one number, futex(2).
void put_futex_wake_op(std::string& out, uint64_t value) {
    const uint64_t op = value >> 28 & 15, argument = value >> 12 & 0xfff, compare = value >> 24 & 15;
    const auto shifted = [&](const ConstantSet& set, uint64_t number, std::string_view shift) {
        const std::string_view name = name_in(set.list, number);
        if (!name.empty())
            fmt::format_to(std::back_inserter(out), "{}<<{}", name, shift);
        else
            fmt::format_to(std::back_inserter(out), "{:#x}<<{} /* {} */", number, shift, set.unknown);
    };
    if ((op & 8) != 0) out += "FUTEX_OP_OPARG_SHIFT<<28|";
    shifted(sets::futex_wake_op, op & 7, "28");
    out += '|';
    put_hex(out, argument);
    out += "<<12|";
    shifted(sets::futex_wake_compare, compare, "24");
    out += '|';
    put_hex(out, value & 0xfff);
}

void put_futex_arg(std::string& out, const SyscallCall& call, unsigned i) {
    const uint64_t command = call.arg(1) & 0x7f, value = call.arg(i);
    switch (call.kind(i)) {
        case ArgKind::futex_val: put_number(out, static_cast<uint32_t>(value)); return;
        case ArgKind::futex_timeout:
            if (command == 3 || command == 4 || command == 5 || command == 12)
                put_number(out, static_cast<uint32_t>(value));
            else if (!put_struct(out, call, i))
                put_address(out, value);
            return;
        case ArgKind::futex_uaddr2: put_address(out, value); return;
        default: break;
    }
    const uint64_t mask = value & 0xffffffff;
    if (command == 5)
        put_futex_wake_op(out, mask);
    else if (command == 9 || command == 10)
        mask == 0xffffffff ? static_cast<void>(out += "FUTEX_BITSET_MATCH_ANY") : put_hex(out, mask);
    else if (command == 4 || command == 12)
        put_number(out, mask);
    else
        put_hex(out, mask);
}

void put_ioctl_command(std::string& out, uint64_t value) {
    const auto request = static_cast<uint32_t>(value);
    const std::string_view name = find_ioctl(request).name;
    if (!name.empty()) {
        out += name;
        return;
    }
    static constexpr std::string_view directions[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"};
    out += "_IOC(";
    out += directions[request >> 30];
    for (const uint32_t part : {request >> 8 & 0xff, request & 0xff, request >> 16 & 0x3fff}) {
        out += ", ";
        put_hex(out, part);
    }
    out += ')';
}

void put_ioctl_arg(std::string& out, const SyscallCall& call, unsigned i) {
    static constexpr std::string_view flow[] = {"TCOOFF", "TCOON", "TCIOFF", "TCION"};
    static constexpr std::string_view flush[] = {"TCIFLUSH", "TCOFLUSH", "TCIOFLUSH"};
    const auto request = static_cast<uint32_t>(call.arg(1));
    const uint64_t value = call.arg(i);
    if (request == 0x540a && value < std::size(flow)) {
        out += flow[value];
    } else if (request == 0x540b && value < std::size(flush)) {
        out += flush[value];
    } else {
        switch (find_ioctl(request).form) {
            case IoctlForm::number: return put_int(out, value);
            case IoctlForm::address: return put_address(out, value);
            default: put_hex(out, value);
        }
    }
}

void put_fcntl_arg(std::string& out, const SyscallCall& call, unsigned i) {
    const uint64_t command = call.arg(1) & 0xffffffff, value = call.arg(i);
    switch (command) {
        case 0:
        case 0x406:
        case 0x407: put_number(out, static_cast<int64_t>(value)); return;
        case 8: put_int(out, value); return;
        case 2: append_flags(out, sets::fd_flags, value); return;
        case 4: put_open_flags(out, call.arch, value); return;
        case 10: put_signal(out, value); return;
        case 0x400: append_choice(out, sets::lock_type, value); return;
        case 0x402: append_flags(out, sets::notify, value); return;
        case 0x409: append_flags(out, sets::seals, value); return;
        case 5:
        case 6:
        case 7:
        case 15:
        case 16:
        case 36:
        case 37:
        case 38:
            if (!put_struct(out, call, i)) put_address(out, value);
            return;
        default: put_hex(out, value);
    }
}

void put_capability(std::string& out, uint64_t value) { append_choice(out, sets::capability, value); }

// PR_SET_NAME looks at 15 bytes.
void put_thread_name(std::string& out, const SyscallCall& call, unsigned i) {
    const auto& name = call.string(i);
    if (!name || name->text.size() <= 15) return put_string(out, call, i);
    put_quoted(out, name->text.substr(0, 15), true);
}

// The codes of arch_prctl() whose argument is the address of a result.
bool arch_prctl_gives(uint64_t code) {
    return code == 0x1003 || code == 0x1004 || code == 0x1021 || code == 0x1022 || code == 0x1024;
}

// Where the second argument of prctl() is the address of a result.
bool prctl_takes_address(uint64_t option) {
    return option == 2 || option == 5 || option == 9 || option == 11 || option == 16 || option == 19 || option == 25 ||
           option == 37 || option == 40;
}

// prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr, size, name): the name is not recorded, that there is none is known.
void put_vma_arg(std::string& out, const SyscallCall& call, unsigned i) {
    const uint64_t value = call.arg(i);
    if (i == 3) return put_number(out, value);
    if (i != 1) return put_address(out, value);
    if (value == 0)
        out += "PR_SET_VMA_ANON_NAME";
    else
        put_hex(out, value);
}

void put_prctl_arg(std::string& out, const SyscallCall& call, unsigned i) {
    constexpr uint64_t set_vma = 0x53564d41;
    if ((call.arg(0) & 0xffffffff) == set_vma) return put_vma_arg(out, call, i);
    const uint64_t value = call.arg(i);
    if (i == 1) switch (call.arg(0) & 0xffffffff) {
            case 1: return put_signal(out, value);
            case 4: return append_choice(out, sets::dumpable, value);
            case 6: return append_flags(out, sets::unalign, value);
            case 8:
            case 10:
            case 12:
            case 14:
            case 20:
            case 29:
            case 36:
            case 38:
            case 41:
            case 57: return put_number(out, value);
            case 15: return put_thread_name(out, call, i);
            case 22: return append_choice(out, sets::seccomp_mode, value);
            case 23:
            case 24: return put_capability(out, value);
            case 26: return append_choice(out, sets::tsc_mode, value);
            case 28: return append_flags(out, sets::securebits, value);
            case 33: return append_choice(out, sets::mce_kill, value);
            case 35: return append_choice(out, sets::prctl_mm, value);
            case 47: return append_choice(out, sets::cap_ambient, value);
            case 52:
            case 53: return append_choice(out, sets::speculation, value);
            case 0x59616d61:
                return value == ~0ULL ? static_cast<void>(out += "PR_SET_PTRACER_ANY") : put_number(out, value);
            case 30: return put_number(out, value);
            default: break;
        }
    if (i == 2 && (call.arg(0) & 0xffffffff) == 47 && call.arg(1) >= 1 && call.arg(1) <= 3)
        return put_capability(out, value);
    if (i == 2 && (call.arg(0) & 0xffffffff) == 53) return append_flags(out, sets::speculation_control, value);
    if (i == 1 && prctl_takes_address(call.arg(0) & 0xffffffff)) return put_address(out, value);
    put_hex(out, value);
}

void put_ptrace_arg(std::string& out, const SyscallCall& call, unsigned i) {
    const uint64_t request = call.arg(0), value = call.arg(i);
    if (call.kind(i) == ArgKind::ptrace_addr) {
        if (request == 0x4204 || request == 0x4205) return append_choice(out, sets::regset, value);
        if (request >= 0x420a && request <= 0x420e) return put_number(out, value);
        return put_address(out, value);
    }
    switch (request) {
        case 7:
        case 9:
        case 17:
        case 24:
        case 31:
        case 32:
        case 33: return put_signal(out, value);
        case 21:
        case 0x4200:
        case 0x4206: return append_flags(out, sets::ptrace_options, value);
        default: put_address(out, value);
    }
}

// By operation: which arguments there are and how they read (keyctl(2)). k: keyring, i: int, d: uint32, u: ulong,
// p: address, x: hex.
std::string_view keyctl_form(uint64_t operation) {
    static constexpr std::string_view forms[] = {"ki",   "p",    "kpu",  "k",    "kdd",  "kx",  "kpu",  "k",
                                                 "kk",   "kk",   "kppk", "kpu",  "kpuk", "kdk", "i",    "kd",
                                                 "k",    "kpu",  "",     "kddk", "kpuk", "k",   "dk",   "ppup",
                                                 "kppp", "pppp", "pppp", "pppp", "pppp", "kpp", "kkkx", "pu"};
    return operation < std::size(forms) ? forms[operation] : "xxxx";
}

void put_keyring(std::string& out, uint64_t value) {
    const std::string_view name = name_in(sets::keyring.list, value & 0xffffffff);
    if (name.empty())
        put_int(out, value);
    else
        out += name;
}

void put_keyctl_arg(std::string& out, const SyscallCall& call, unsigned i) {
    const uint64_t value = call.arg(i);
    switch (keyctl_form(call.arg(0) & 0xffffffff)[i - 1]) {
        case 'p': return put_address(out, value);
        case 'k': return put_keyring(out, value);
        case 'i': return put_int(out, value);
        case 'd': return put_number(out, static_cast<uint32_t>(value));
        case 'u': return put_number(out, value);
        default: return put_hex(out, value);
    }
}

void put_quota_cmd(std::string& out, uint64_t value) {
    const uint64_t command = value & 0xffffffff;
    out += "QCMD(";
    append_choice(out, sets::quota_cmd, command >> 8);
    out += ", ";
    append_choice(out, sets::quota_type, command & 0xff);
    out += ')';
}

void put_statx_flags(std::string& out, uint64_t value) {
    value &= 0xffffffff;
    const uint64_t sync = value & 0x6000;
    if (sync == 0x6000)
        out += "AT_STATX_FORCE_SYNC|AT_STATX_DONT_SYNC";
    else
        append_choice(out, sets::statx_sync, sync);
    if ((value & ~0x6000ULL) == 0) return;
    out += '|';
    const size_t before = out.size();
    append_flags(out, sets::at_flags, value & ~0x6000ULL);
    if (const size_t comment = out.find(" /*", before); comment != std::string::npos) out.resize(comment);
}

void put_swap_flags(std::string& out, uint64_t value) {
    const uint64_t flags = value & 0xffff8000;
    if (flags != 0) {
        append_flags(out, sets::swap_flags, flags);
        out += '|';
    }
    put_number(out, value & 0x7fff);
}

void put_personality(std::string& out, uint64_t value) {
    value &= 0xffffffff;
    if (value == 0xffffffff) return put_hex(out, value);
    put_choice_and_flags(out, sets::personality, sets::personality_flags, value, 0xff);
}

void put_ioprio(std::string& out, uint64_t value) {
    value &= 0xffffffff;
    out += "IOPRIO_PRIO_VALUE(";
    append_choice(out, sets::ioprio_class, value >> 13);
    out += ", ";
    put_number(out, value & 0x1fff);
    out += ')';
}

void put_mempolicy(std::string& out, uint64_t value) {
    const uint64_t flags = value & 0xe000;
    const std::string_view mode = name_in(sets::mempolicy_mode.list, value & ~0xe000ULL);
    if (mode.empty()) {
        append_flags(out, sets::mempolicy_flags, value);
        return;
    }
    out += mode;
    if (flags == 0) return;
    out += '|';
    append_flags(out, sets::mempolicy_flags, flags);
}

void put_syslog_type(std::string& out, uint64_t value) {
    put_int(out, value);
    const std::string_view name = name_in(sets::syslog_type.list, value & 0xffffffff);
    out += " /* ";
    out += name.empty() ? sets::syslog_type.unknown : name;
    out += " */";
}

void put_mount_flags(std::string& out, const ConstantSet& set, uint64_t value) {
    if ((value & 0xffff0000) == 0xc0ed0000) {
        out += "MS_MGC_VAL";
        value &= ~0xffff0000ULL;
        if (value == 0) return;
        out += '|';
    }
    append_flags(out, set, value);
}

// The two kinds of mount() that change one, not make one: type and data are not looked at.
bool mount_ignores_type(uint64_t flags) {
    if ((flags & 0xffff0000) == 0xc0ed0000) flags &= 0xffff;
    return (flags & (0x20 | 0x1000 | 0x2000 | 0x20000 | 0x40000 | 0x80000 | 0x100000)) != 0;
}

void put_futex2_flags(std::string& out, uint64_t value) {
    value &= 0xffffffff;
    put_choice_and_flags(out, sets::futex2_size, sets::futex2_flags, value, 3);
}

void put_fanotify_init(std::string& out, uint64_t value) {
    value &= 0xffffffff;
    append_choice(out, sets::fanotify_class, value & 12);
    if ((value & ~12ULL) == 0) return;
    out += '|';
    append_flags(out, sets::fanotify_init_flags, value & ~12ULL);
}

void put_kexec_flags(std::string& out, uint64_t value) {
    append_choice(out, sets::kexec_arch, value & 0xffff0000);
    if ((value & ~0xffff0000ULL) == 0) return;
    out += '|';
    append_flags(out, sets::kexec_flags, value & ~0xffff0000ULL);
}

void put_seccomp_flags(std::string& out, const SyscallCall& call, unsigned i) {
    if (call.arg(0) == 1)
        append_flags(out, sets::seccomp_flags, call.arg(i));
    else
        put_hex(out, call.arg(i) & 0xffffffff);
}

// Flags and choices that are more than one set of names.
bool put_composed(std::string& out, const SyscallCall& call, unsigned i) {
    using enum ArgKind;
    const uint64_t value = call.arg(i);
    switch (call.kind(i)) {
        case open_flags:
        case fanotify_event_flags: put_open_flags(out, call.arch, value); return true;
        case mmap_flags: put_mmap_flags(out, call.arch, value); return true;
        case memfd_flags: put_memfd_flags(out, value); return true;
        case ipcget_flags: put_ipc_get_flags(out, sets::ipc_get_flags, value, false); return true;
        case shmget_flags: put_ipc_get_flags(out, sets::shm_get_flags, value, true); return true;
        case ipc_key:
            (value & 0xffffffff) == 0 ? static_cast<void>(out += "IPC_PRIVATE") : put_hex(out, value & 0xffffffff);
            return true;
        case msgctl_cmd:
        case semctl_cmd:
        case shmctl_cmd: put_ipc_command(out, call.kind(i), call.arch, value); return true;
        case socket_type: put_socket_type(out, value); return true;
        case socket_protocol: put_socket_protocol(out, call, i); return true;
        case sockopt_name: put_socket_option_name(out, call, i); return true;
        case clone_flags: put_clone_flags(out, value); return true;
        case futex_op: put_futex_op(out, value); return true;
        case futex_val:
        case futex_timeout:
        case futex_uaddr2:
        case futex_val3: put_futex_arg(out, call, i); return true;
        case ioctl_cmd: put_ioctl_command(out, value); return true;
        case fcntl_arg: put_fcntl_arg(out, call, i); return true;
        case prctl_arg: put_prctl_arg(out, call, i); return true;
        case ptrace_addr:
        case ptrace_data: put_ptrace_arg(out, call, i); return true;
        case keyctl_arg: put_keyctl_arg(out, call, i); return true;
        case keyring: put_keyring(out, value); return true;
        case quota_cmd: put_quota_cmd(out, value); return true;
        case statx_flags: put_statx_flags(out, value); return true;
        case swap_flags: put_swap_flags(out, value); return true;
        case personality: put_personality(out, value); return true;
        case ioprio: put_ioprio(out, value); return true;
        case mempolicy: put_mempolicy(out, i == 0 ? value & 0xffffffff : value); return true;  // set_mempolicy: an int
        case syslog_type: put_syslog_type(out, value); return true;
        case mount_flags: put_mount_flags(out, *constants_of(mount_flags, call.arch), value); return true;
        case futex2_flags: put_futex2_flags(out, value); return true;
        case fanotify_init_flags: put_fanotify_init(out, value); return true;
        case kexec_flags: put_kexec_flags(out, value); return true;
        case seccomp_flags: put_seccomp_flags(out, call, i); return true;
        case rseq_flags: put_hex(out, value); return true;
        default: return false;
    }
}

// Arguments that are a string in some calls of a kind and not in others.
bool put_string_or_not(std::string& out, const SyscallCall& call, unsigned i) {
    using enum ArgKind;
    const bool mount = call.kind(4) == mount_data;
    switch (call.kind(i)) {
        case string_in:
            if (mount && mount_ignores_type(call.arg(3)))
                put_address(out, call.arg(i));
            else if (call.kind(1) == fsconfig_cmd && (call.arg(1) & 0xffffffff) > 5)
                put_address(out, call.arg(i));
            else
                put_string(out, call, i);
            return true;
        case mount_data:
            if (mount_ignores_type(call.arg(3)) && (call.arg(3) & 0x20) == 0)
                put_address(out, call.arg(i));
            else
                put_string(out, call, i);
            return true;
        case path_in:
        case mq_name:
        case string_counted:
        case fsconfig_value: put_string(out, call, i); return true;
        case path_out:
            if (call.returned && !call.failed)
                put_string(out, call, i);
            else
                put_address(out, call.arg(i));
            return true;
        case argv: put_argv(out, call, i); return true;
        default: return false;
    }
}

// ---- which arguments are shown ------------------------------------------------------------------------------------

// How many arguments of prctl() mean something, prctl(2).
unsigned prctl_count(uint64_t option) {
    switch (option & 0xffffffff) {
        case 3:
        case 7:
        case 13:
        case 21:
        case 27:
        case 30:
        case 31:
        case 32:
        case 46:
        case 51:
        case 64: return 1;
        case 1:
        case 2:
        case 4:
        case 5:
        case 6:
        case 8:
        case 9:
        case 10:
        case 11:
        case 12:
        case 14:
        case 15:
        case 16:
        case 19:
        case 20:
        case 23:
        case 24:
        case 25:
        case 26:
        case 28:
        case 29:
        case 36:
        case 37:
        case 40:
        case 45:
        case 50:
        case 52:
        case 63:
        case 0x59616d61: return 2;
        case 22:
        case 53: return 3;
        default: return 5;
    }
}

bool shows_fcntl_arg(uint64_t command) {
    switch (command & 0xffffffff) {
        case 1:
        case 3:
        case 9:
        case 11:
        case 0x401:
        case 0x408:
        case 0x40a: return false;
        default: return true;
    }
}

// Bit n: argument n of futex() is shown, futex(2).
unsigned futex_shown(uint64_t op) {
    switch (op & 0x7f) {
        case 0: return 0b001111;
        case 1:
        case 2: return 0b000111;
        case 3: return 0b011111;
        case 4:
        case 5:
        case 12: return 0b111111;
        case 6:
        case 13: return 0b001011;
        case 7:
        case 8: return 0b000011;
        case 9: return 0b101111;
        case 10: return 0b100111;
        case 11: return 0b011111;
        default: return 0b111111;
    }
}

// Bit n as above, of ptrace(2).
unsigned ptrace_shown(uint64_t request) {
    switch (request) {
        case 0: return 0b0001;
        case 8:
        case 16:
        case 0x4207:
        case 0x4208: return 0b0011;
        case 12:
        case 13:
        case 14:
        case 15: return 0b1011;
        default: return 0b1111;
    }
}

unsigned quota_shown(uint64_t command) {
    switch ((command & 0xffffffff) >> 8) {
        case 0x800001:
        case 0x800003:
        case 0x5807: return 0b0011;
        case 0x800004:
        case 0x800005:
        case 0x800006:
        case 0x5801:
        case 0x5802:
        case 0x5805:
        case 0x5806:
        case 0x5808: return 0b1011;
        default: return 0b1111;
    }
}

bool syslog_shows_buffer(uint64_t type) {
    type &= 0xffffffff;
    return (type >= 2 && type <= 4) || type == 8 || type > 10;
}

bool is_shown(const SyscallCall& call, unsigned i) {
    using enum ArgKind;
    switch (call.kind(i)) {
        case unused: return false;
        case mode_if_creat: return (call.arg(i - 1) & (call.kind(0) == mq_name ? 0x40 : kCreates)) != 0;
        case mq_attr_if_creat: return (call.arg(i - 2) & 0x40) != 0;
        case device_if_node: return (call.arg(i - 1) & 0170000) == 0020000 || (call.arg(i - 1) & 0170000) == 0060000;
        case mremap_addr: return (call.arg(i - 1) & 3) == 3;
        case fcntl_arg: return shows_fcntl_arg(call.arg(1));
        case ioctl_arg: return find_ioctl(static_cast<uint32_t>(call.arg(1))).form != IoctlForm::none;
        case prctl_arg: return i < prctl_count(call.arg(0));
        case futex_val:
        case futex_timeout:
        case futex_uaddr2:
        case futex_val3: return (futex_shown(call.arg(1)) >> i & 1) != 0;
        case pid: return call.kind(0) != ptrace_request || call.arg(0) != 0;
        case ptrace_addr:
        case ptrace_data: return (ptrace_shown(call.arg(0)) >> i & 1) != 0;
        case keyctl_arg: return i <= keyctl_form(call.arg(0) & 0xffffffff).size();
        case quota_id: return (quota_shown(call.arg(i - 2)) >> 2 & 1) != 0;
        case kcmp_index: return (call.arg(2) & 0xffffffff) == 0 || (call.arg(2) & 0xffffffff) >= 7;
        case reboot_arg: return (call.arg(2) & 0xffffffff) == 0xa1b2c3d4;
        case arch_prctl_arg: return call.arg(0) != 0x1011;
        case buffer_out: return call.kind(0) != syslog_type || syslog_shows_buffer(call.arg(0));
        case int32:
            if (call.kind(0) == syslog_type) return syslog_shows_buffer(call.arg(0));
            return call.kind(0) != membarrier_cmd || (call.arg(1) & 1) != 0;
        case pointer: return call.kind(0) != quota_cmd || (quota_shown(call.arg(0)) >> 3 & 1) != 0;
        default: return true;
    }
}

// clone() shows stack before flags and names each; what the flags do not ask for is left out.
ShownArgs clone_shown(const SyscallCall& call) {
    ShownArgs out;
    const uint64_t flags = call.arg(0);
    const bool x86 = call.arch == schemas::Arch::x86_64;
    const auto show = [&](unsigned i) { out.index[out.count++] = static_cast<uint8_t>(i); };
    show(1);
    show(0);
    if ((flags & 0x101000) != 0) show(2);
    if ((flags & 0x80000) != 0) show(x86 ? 4 : 3);
    if ((flags & 0x1200000) != 0) show(x86 ? 3 : 4);
    return out;
}

bool put_clone_arg(std::string& out, const SyscallCall& call, unsigned i) {
    if (call.kind(0) != ArgKind::clone_flags) return false;
    const bool x86 = call.arch == schemas::Arch::x86_64;
    if (i == 0) {
        out += "flags=";
        put_clone_flags(out, call.arg(0));
        return true;
    }
    out += i == 1 ? "child_stack=" : i == 2 ? "parent_tid=" : (i == 4) == x86 ? "tls=" : "child_tidptr=";
    put_address(out, call.arg(i));
    return true;
}

}  // namespace

ShownArgs shown_args(const SyscallCall& call) {
    if (call.kind(0) == ArgKind::clone_flags) return clone_shown(call);
    ShownArgs out;
    for (unsigned i = 0; i < call.nargs(); ++i)
        if (is_shown(call, i)) out.index[out.count++] = static_cast<uint8_t>(i);
    return out;
}

void append_syscall_arg(std::string& out, const SyscallCall& call, unsigned index) {
    const ArgKind kind = call.kind(index);
    const uint64_t value = call.arg(index);
    if (call.info == nullptr) return put_hex(out, value);
    if (put_clone_arg(out, call, index)) return;
    if (put_plain(out, kind, value) || put_string_or_not(out, call, index) || put_composed(out, call, index)) return;
    if (const ConstantSet* set = constants_of(kind, call.arch)) return append_constant(out, *set, value);
    switch (kind) {
        case ArgKind::fd: return put_fd(out, call, static_cast<int>(value));
        case ArgKind::fanotify_dirfd:
            if (static_cast<int32_t>(value) == -1) {
                out += "FAN_NOFD";
                return;
            }
            return put_dirfd(out, call, index);
        case ArgKind::dirfd: return put_dirfd(out, call, index);
        case ArgKind::sockopt_in:
            if (value != 0 && call.arg(index + 1) == 0) {
                out += "\"\"";
                return;
            }
            if (!put_struct(out, call, index)) put_address(out, value);
            return;
        case ArgKind::buffer_in:  // contents are never recorded; that there are none is known
            if (value != 0 && call.kind(index + 1) == ArgKind::size && call.arg(index + 1) == 0) {
                out += "\"\"";
                return;
            }
            return put_address(out, value);
        case ArgKind::sockaddr_in:
        case ArgKind::sockaddr_out:
            if (!put_sockaddr(out, call, index)) put_address(out, value);
            return;
        case ArgKind::ioctl_arg: return put_ioctl_arg(out, call, index);
        case ArgKind::arch_prctl_arg:
            return arch_prctl_gives(call.arg(0)) ? put_address(out, value) : put_hex(out, value);
        case ArgKind::quota_id: return put_id(out, value);
        case ArgKind::fsconfig_aux:
        case ArgKind::waitid_id: return put_int(out, value);
        case ArgKind::kcmp_index:  // the second of KCMP_EPOLL_TFD is a structure
            return call.arg(2) == 7 && index == 4 ? put_address(out, value) : put_int(out, value);
        case ArgKind::semctl_arg: return put_address(out, value);
        default:
            if (!put_struct(out, call, index)) put_address(out, value);
    }
}

}  // namespace flightrec::replay
