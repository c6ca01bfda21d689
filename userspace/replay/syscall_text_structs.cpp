// SPDX-License-Identifier: Apache-2.0
// Structures that were captured, as strace writes them; layouts are those of 64-bit kernels (include/uapi/).
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>

#include "userspace/base/text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/syscall_text_parts.h"

namespace flightrec::replay::parts {

using schemas::ArgKind;

namespace {

// "{tv_sec=1, tv_nsec=0}" of the 16 bytes at `offset`.
bool put_time(std::string& out, std::string_view bytes, size_t offset, std::string_view fraction) {
    int64_t seconds = 0, part = 0;
    if (!read_at(bytes, offset, seconds) || !read_at(bytes, offset + 8, part)) return false;
    out += "{tv_sec=";
    put_number(out, seconds);
    out += ", ";
    out += fraction;
    out += '=';
    put_number(out, part);
    out += '}';
    return true;
}

// " /* 1970-01-01T00:00:01.5+0000 */" is not added: it depends on the time zone of the reader.
bool put_time_pair(std::string& out, std::string_view bytes, std::string_view fraction) {
    if (bytes.size() < 32) return false;
    out += '[';
    for (size_t at = 0; at < 32; at += 16) {
        if (at != 0) out += ", ";
        int64_t part = 0;
        const bool nanoseconds = fraction == "tv_nsec" && read_at(bytes, at + 8, part);
        if (nanoseconds && part == 0x3fffffff)
            out += "UTIME_NOW";
        else if (nanoseconds && part == 0x3ffffffe)
            out += "UTIME_OMIT";
        else if (!put_time(out, bytes, at, fraction))
            return false;
    }
    out += ']';
    return true;
}

bool put_interval(std::string& out, std::string_view bytes, std::string_view fraction) {
    if (bytes.size() < 32) return false;
    out += "{it_interval=";
    (void)put_time(out, bytes, 0, fraction);
    out += ", it_value=";
    (void)put_time(out, bytes, 16, fraction);
    out += '}';
    return true;
}

void put_limit(std::string& out, uint64_t value) {
    if (value == ~0ULL) {
        out += "RLIM64_INFINITY";
    } else if (value > 1024 && value % 1024 == 0) {
        put_number(out, value / 1024);
        out += "*1024";
    } else {
        put_number(out, value);
    }
}

bool put_rlimit(std::string& out, std::string_view bytes) {
    uint64_t soft = 0, hard = 0;
    if (!read_at(bytes, 0, soft) || !read_at(bytes, 8, hard)) return false;
    out += "{rlim_cur=";
    put_limit(out, soft);
    out += ", rlim_max=";
    put_limit(out, hard);
    out += '}';
    return true;
}

bool put_sigaction(std::string& out, std::string_view bytes) {
    uint64_t handler = 0, flags = 0, restorer = 0, mask = 0;
    if (!read_at(bytes, 0, handler) || !read_at(bytes, 8, flags) || !read_at(bytes, 16, restorer)) return false;
    if (!read_at(bytes, 24, mask)) return false;
    out += "{sa_handler=";
    if (handler == 0)
        out += "SIG_DFL";
    else if (handler == 1)
        out += "SIG_IGN";
    else
        put_hex(out, handler);
    out += ", sa_mask=";
    put_signal_set(out, mask);
    out += ", sa_flags=";
    append_flags(out, sets::sigaction_flags, flags);
    if ((flags & 0x4000000) != 0) {
        out += ", sa_restorer=";
        put_address(out, restorer);
    }
    out += '}';
    return true;
}

bool put_stack(std::string& out, std::string_view bytes) {
    uint64_t sp = 0, size = 0;
    uint32_t flags = 0;
    if (!read_at(bytes, 0, sp) || !read_at(bytes, 8, flags) || !read_at(bytes, 16, size)) return false;
    out += "{ss_sp=";
    put_address(out, sp);
    out += ", ss_flags=";
    append_flags(out, sets::sigaltstack_flags, flags);
    out += ", ss_size=";
    put_number(out, size);
    out += '}';
    return true;
}

bool put_epoll_event(std::string& out, std::string_view bytes, schemas::Arch arch) {
    uint32_t events = 0;
    uint64_t data = 0;  // packed on x86-64 only
    if (!read_at(bytes, 0, events) || !read_at(bytes, arch == schemas::Arch::x86_64 ? 4 : 8, data)) return false;
    out += "{events=";
    append_flags(out, sets::epoll_events, events);
    out += ", data={u32=";
    put_number(out, static_cast<uint32_t>(data));
    out += ", u64=";
    put_number(out, data);
    out += "}}";
    return true;
}

bool put_pollfds(std::string& out, const SyscallCall& call, unsigned index) {
    const std::string_view bytes = call.data(index)->text;
    const uint64_t count = call.arg(index + 1) & 0xffffffff;
    if (bytes.size() < 8 && count != 0) return false;
    out += '[';
    const uint64_t shown = std::min<uint64_t>({count, bytes.size() / 8, 32});
    for (uint64_t i = 0; i < shown; ++i) {
        int32_t fd = 0;
        uint16_t events = 0;
        if (!read_at(bytes, i * 8, fd) || !read_at(bytes, i * 8 + 4, events)) return false;
        out += i == 0 ? "{fd=" : ", {fd=";
        put_fd(out, call, fd);
        if (fd >= 0) {
            out += ", events=";
            append_flags(out, sets::poll_events, events);
        }
        out += '}';
    }
    if (shown < count) out += ", ...";
    out += ']';
    return true;
}

// struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
// cgroup.
bool put_clone_args(std::string& out, std::string_view bytes) {
    uint64_t f[11] = {};
    if (bytes.size() < 64) return false;
    std::memcpy(f, bytes.data(), std::min(bytes.size(), sizeof f));
    const auto field = [&](std::string_view name, uint64_t value) {
        out += ", ";
        out += name;
        out += '=';
        put_address(out, value);
    };
    out += "{flags=";
    append_flags(out, sets::clone3_flags, f[0]);
    if ((f[0] & 0x1000) != 0) field("pidfd", f[1]);
    if ((f[0] & 0x1200000) != 0) field("child_tid", f[2]);
    if ((f[0] & 0x100000) != 0) field("parent_tid", f[3]);
    out += ", exit_signal=";
    put_signal(out, f[4]);
    field("stack", f[5]);
    out += ", stack_size=";
    put_hex(out, f[6]);
    if ((f[0] & 0x80000) != 0) field("tls", f[7]);
    if (f[8] != 0 || f[9] != 0) {
        field("set_tid", f[8]);
        out += ", set_tid_size=";
        put_number(out, f[9]);
    }
    if ((f[0] & 0x200000000) != 0 || f[10] != 0) {
        out += ", cgroup=";
        put_number(out, f[10]);
    }
    out += '}';
    return true;
}

bool put_open_how(std::string& out, const SyscallCall& call, std::string_view bytes) {
    uint64_t flags = 0, mode = 0, resolve = 0;
    if (!read_at(bytes, 0, flags) || !read_at(bytes, 8, mode) || !read_at(bytes, 16, resolve)) return false;
    out += "{flags=";
    put_open_flags(out, call.arch, flags);
    if ((flags & 0x400040) != 0 || mode != 0) {
        out += ", mode=";
        put_mode(out, mode);
    }
    out += ", resolve=";
    append_flags(out, sets::resolve_flags, resolve);
    out += '}';
    return true;
}

bool put_sched_attr(std::string& out, std::string_view bytes) {
    uint32_t size = 0, policy = 0, priority = 0;
    uint64_t flags = 0, runtime = 0, deadline = 0, period = 0;
    int32_t nice = 0;
    if (!read_at(bytes, 0, size) || !read_at(bytes, 4, policy) || !read_at(bytes, 8, flags) ||
        !read_at(bytes, 16, nice) || !read_at(bytes, 20, priority) || !read_at(bytes, 24, runtime) ||
        !read_at(bytes, 32, deadline) || !read_at(bytes, 40, period))
        return false;
    fmt::format_to(std::back_inserter(out), "{{size={}, sched_policy=", size);
    append_choice(out, sets::sched_policy, policy);
    out += ", sched_flags=";
    append_flags(out, sets::sched_flags, flags);
    fmt::format_to(std::back_inserter(out),
                   ", sched_nice={}, sched_priority={}, sched_runtime={}, sched_deadline={}, sched_period={}}}", nice,
                   priority, runtime, deadline, period);
    return true;
}

// "[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]", wait(2).
bool put_wait_status(std::string& out, const SyscallCall& call, std::string_view bytes) {
    uint32_t status = 0;
    if (call.raw.result <= 0 || !read_at(bytes, 0, status)) return false;
    out += "[{";
    const uint32_t signal = status & 0x7f;
    if (status == 0xffff) {
        out += "WIFCONTINUED(s)";
    } else if (signal == 0) {
        out += "WIFEXITED(s) && WEXITSTATUS(s) == ";
        put_number(out, (status >> 8) & 0xff);
    } else if (signal == 0x7f) {
        out += "WIFSTOPPED(s) && WSTOPSIG(s) == ";
        const uint32_t stop = (status >> 8) & 0xff;
        put_signal(out, stop & 0x7f);
        if ((stop & 0x80) != 0) out += " | 0x80";
    } else {
        out += "WIFSIGNALED(s) && WTERMSIG(s) == ";
        put_signal(out, signal);
        if ((status & 0x80) != 0) out += " && WCOREDUMP(s)";
    }
    out += "}]";
    const uint32_t ptrace_event = status == 0xffff ? 0 : status >> 16;
    static constexpr std::string_view events[] = {"",     "FORK",       "VFORK", "CLONE",
                                                  "EXEC", "VFORK_DONE", "EXIT",  "SECCOMP"};
    if (ptrace_event != 0 && ptrace_event < std::size(events)) {
        out.pop_back();
        fmt::format_to(std::back_inserter(out), "] | PTRACE_EVENT_{} << 16", events[ptrace_event]);
    }
    return true;
}

template <class T>
bool put_boxed(std::string& out, std::string_view bytes) {
    T value{};
    if (!read_at(bytes, 0, value)) return false;
    out += '[';
    put_number(out, value);
    out += ']';
    return true;
}

bool put_fd_pair(std::string& out, const SyscallCall& call, std::string_view bytes) {
    int32_t fd[2];
    if (!read_at(bytes, 0, fd)) return false;
    out += '[';
    put_fd(out, call, fd[0]);
    out += ", ";
    put_fd(out, call, fd[1]);
    out += ']';
    return true;
}

// How long the value of a socket option is; the blob may hold less.
uint64_t socket_option_size(const SyscallCall& call, unsigned index, size_t captured) {
    if (call.kind(index) != ArgKind::sockopt_out) return call.arg(index + 1) & 0xffffffff;
    uint32_t size = 0;
    const auto& length = call.data(index + 1);
    return length && read_at(length->text, 0, size) ? size : captured;
}

void put_error_option(std::string& out, uint32_t error) {
    const std::string_view text = errno_name(static_cast<int>(error));
    out += '[';
    text.empty() ? put_number(out, error) : static_cast<void>(out += text);
    out += ']';
}

// An int mostly; SO_LINGER is two, SO_PEERCRED three of which two are recorded; all else as its bytes.
bool put_socket_option(std::string& out, const SyscallCall& call, unsigned index, std::string_view bytes) {
    const uint64_t level = call.arg(index - 2) & 0xffffffff, name = call.arg(index - 1) & 0xffffffff;
    const bool get = call.kind(index) == ArgKind::sockopt_out;
    const uint64_t size = socket_option_size(call, index, bytes.size());
    int32_t first = 0, second = 0;
    (void)read_at(bytes, 0, first);
    const bool two = read_at(bytes, 4, second);
    if (level == 1 && name == 13) {
        if (!two) return false;
        fmt::format_to(std::back_inserter(out), "{{l_onoff={}, l_linger={}}}", first, second);
        return true;
    }
    if (get && level == 1 && name == 17 && two) {
        fmt::format_to(std::back_inserter(out), "{{pid={}, uid={}, ...}}", first, second);
        return true;
    }
    if (size == sizeof first && bytes.size() >= size) {
        if (get && level == 1 && name == 4)  // SO_ERROR
            put_error_option(out, static_cast<uint32_t>(first));
        else
            fmt::format_to(std::back_inserter(out), "[{}]", first);
        return true;
    }
    if (!get && size < sizeof first && !(level == 1 && name == 25)) return false;  // but for SO_BINDTODEVICE
    if (bytes.empty() && size != 0) return false;
    put_quoted(out, bytes.substr(0, size), bytes.size() < size);
    return true;
}

// struct flock: short l_type, l_whence; loff_t l_start, l_len; pid_t l_pid.
bool put_flock(std::string& out, const SyscallCall& call, std::string_view bytes) {
    const uint64_t command = call.arg(1) & 0xffffffff;
    const bool get = command == 5 || command == 36;  // F_GETLK, F_OFD_GETLK: the kernel fills it
    if (get && (!call.returned || call.failed)) return false;
    int32_t pid = 0;
    uint16_t type = 0, whence = 0;
    int64_t start = 0, length = 0;
    if (!read_at(bytes, 0, type) || !read_at(bytes, 2, whence) || !read_at(bytes, 8, start) ||
        !read_at(bytes, 16, length))
        return false;
    out += "{l_type=";
    append_choice(out, sets::lock_type, type);
    out += ", l_whence=";
    append_choice(out, sets::whence, whence);
    fmt::format_to(std::back_inserter(out), ", l_start={}, l_len={}", start, length);
    if (get && read_at(bytes, 24, pid)) fmt::format_to(std::back_inserter(out), ", l_pid={}", pid);
    out += '}';
    return true;
}

bool put_utimbuf(std::string& out, std::string_view bytes) {
    int64_t access = 0, change = 0;
    if (!read_at(bytes, 0, access) || !read_at(bytes, 8, change)) return false;
    fmt::format_to(std::back_inserter(out), "{{actime={}, modtime={}}}", access, change);
    return true;
}

// The argument behind `index` that says how long a signal set is.
uint64_t sigset_size(const SyscallCall& call, unsigned index) {
    for (unsigned i = index + 1; i < call.nargs(); ++i)
        if (call.kind(i) == ArgKind::size) return call.arg(i);
    return 8;
}

bool put_input_struct(std::string& out, const SyscallCall& call, unsigned index, std::string_view bytes) {
    using enum ArgKind;
    switch (call.kind(index)) {
        case timespec_in:
        case timespec_inout:
        case futex_timeout: return put_time(out, bytes, 0, "tv_nsec");
        case timeval_in:
        case timeval_inout: return put_time(out, bytes, 0, "tv_usec");
        case timespec_pair_in: return put_time_pair(out, bytes, "tv_nsec");
        case timeval_pair_in: return put_time_pair(out, bytes, "tv_usec");
        case itimerspec_in: return put_interval(out, bytes, "tv_nsec");
        case itimerval_in: return put_interval(out, bytes, "tv_usec");
        case utimbuf_in: return put_utimbuf(out, bytes);
        case rlimit_in: return put_rlimit(out, bytes);
        case sigaction_in: return put_sigaction(out, bytes);
        case stack_in: return put_stack(out, bytes);
        case socklen_ptr:
            if (call.kind(index - 1) == sockaddr_out && call.arg(index - 1) == 0) return false;
            return put_boxed<int32_t>(out, bytes);
        case sched_param_in: return put_boxed<int32_t>(out, bytes);
        case sched_attr_in: return put_sched_attr(out, bytes);
        case epoll_event_in: return call.arg(1) != 2 && put_epoll_event(out, bytes, call.arch);  // not EPOLL_CTL_DEL
        case pollfds: return put_pollfds(out, call, index);
        case clone_args_in: return put_clone_args(out, bytes);
        case open_how_in: return put_open_how(out, call, bytes);
        case sockopt_in: return put_socket_option(out, call, index, bytes);
        case fcntl_arg: return put_flock(out, call, bytes);
        case sigset_in: {
            uint64_t mask = 0;
            if (sigset_size(call, index) != 8 || !read_at(bytes, 0, mask)) return false;
            put_signal_set(out, mask);
            return true;
        }
        default: return false;
    }
}

bool put_output_struct(std::string& out, const SyscallCall& call, unsigned index, std::string_view bytes) {
    using enum ArgKind;
    if (!call.returned || call.failed) return false;
    switch (call.kind(index)) {
        case timespec_out: return put_time(out, bytes, 0, "tv_nsec");
        case timeval_out: return put_time(out, bytes, 0, "tv_usec");
        case itimerspec_out: return put_interval(out, bytes, "tv_nsec");
        case itimerval_out: return put_interval(out, bytes, "tv_usec");
        case rlimit_out: return put_rlimit(out, bytes);
        case sigaction_out: return put_sigaction(out, bytes);
        case stack_out: return put_stack(out, bytes);
        case sched_param_out:
        case int_out: return put_boxed<int32_t>(out, bytes);
        case int64_out: return put_boxed<int64_t>(out, bytes);
        case fd_pair_out: return put_fd_pair(out, call, bytes);
        case wait_status_out: return put_wait_status(out, call, bytes);
        case sockopt_out: return put_socket_option(out, call, index, bytes);
        case sigset_out: {
            uint64_t mask = 0;
            if (!read_at(bytes, 0, mask)) return false;
            put_signal_set(out, mask);
            return true;
        }
        default: return false;
    }
}

// ---- socket addresses ---------------------------------------------------------------------------------------------

void put_unix(std::string& out, std::string_view path) {
    if (path.empty()) return;
    out += ", sun_path=";
    if (path.front() == '\0') {
        out += '@';
        put_quoted(out, path.substr(1), false);
    } else {
        put_quoted(out, path.substr(0, path.find('\0')), false);
    }
}

void put_inet(std::string& out, std::string_view bytes) {
    sockaddr_in in{};
    std::memcpy(&in, bytes.data(), std::min(sizeof in, bytes.size()));
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    fmt::format_to(std::back_inserter(out), ", sin_port=htons({}), sin_addr=inet_addr(\"{}\")", ntohs(in.sin_port),
                   text);
}

void put_inet6(std::string& out, std::string_view bytes) {
    sockaddr_in6 in{};
    std::memcpy(&in, bytes.data(), std::min(sizeof in, bytes.size()));
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    fmt::format_to(std::back_inserter(out),
                   ", sin6_port=htons({}), sin6_flowinfo=htonl({}), inet_pton(AF_INET6, \"{}\", &sin6_addr)",
                   ntohs(in.sin6_port), ntohl(in.sin6_flowinfo), text);
    if (bytes.size() >= sizeof in) fmt::format_to(std::back_inserter(out), ", sin6_scope_id={}", in.sin6_scope_id);
}

void put_packet(std::string& out, std::string_view bytes) {
    uint16_t protocol = 0;
    int32_t index = 0;
    (void)read_at(bytes, 2, protocol);
    (void)read_at(bytes, 4, index);
    out += ", sll_protocol=htons(";
    append_choice(out, sets::ethernet_protocol, ntohs(protocol));
    fmt::format_to(std::back_inserter(out), "), sll_ifindex={}", index);
}

}  // namespace

bool put_struct(std::string& out, const SyscallCall& call, unsigned index) {
    const bool by_size = call.kind(index) == ArgKind::sockopt_out && call.sockaddr(index).has_value();
    const auto& data = by_size ? call.sockaddr(index) : call.data(index);
    if (!data || call.arg(index) == 0) return false;
    const size_t before = out.size();
    if (put_input_struct(out, call, index, data->text) || put_output_struct(out, call, index, data->text)) return true;
    out.resize(before);
    return false;
}

bool put_sockaddr(std::string& out, const SyscallCall& call, unsigned index) {
    const auto& blob = call.sockaddr(index);
    if (!blob || call.arg(index) == 0) return false;
    if (call.kind(index) == ArgKind::sockaddr_out && (!call.returned || call.failed)) return false;
    const std::string_view bytes = blob->text;
    uint16_t family = 0;
    if (!read_at(bytes, 0, family)) return false;
    out += "{sa_family=";
    append_choice(out, sets::socket_domain, family);
    const std::string_view rest = bytes.substr(sizeof family);
    uint32_t a = 0, b = 0;
    if (family == AF_UNIX) {
        put_unix(out, rest);
    } else if (family == AF_INET && bytes.size() >= 8) {
        put_inet(out, bytes);
    } else if (family == AF_INET6 && bytes.size() >= 24) {
        put_inet6(out, bytes);
    } else if (family == AF_NETLINK && read_at(bytes, 4, a) && read_at(bytes, 8, b)) {
        fmt::format_to(std::back_inserter(out), ", nl_pid={}, nl_groups={}{:0{}x}", a, b == 0 ? "" : "0x", b,
                       b == 0 ? 8 : 6);
    } else if (family == AF_PACKET && bytes.size() >= 8) {
        put_packet(out, bytes);
    } else if (family == 40 && read_at(bytes, 4, a) && read_at(bytes, 8, b)) {  // AF_VSOCK
        fmt::format_to(std::back_inserter(out), ", svm_cid={:#x}, svm_port={:#x}", b, a);
        if (bytes.size() > 12)
            fmt::format_to(std::back_inserter(out), ", svm_flags={:x}", static_cast<uint8_t>(bytes[12]));
    } else if (!rest.empty()) {
        out += ", sa_data=";
        put_quoted(out, rest, false);
    }
    out += '}';
    return true;
}

}  // namespace flightrec::replay::parts
