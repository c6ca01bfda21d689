// SPDX-License-Identifier: Apache-2.0
// File descriptors and working directories as the recorded system calls change them.
//
// Sources: open(2), dup(2), fcntl(2), close_range(2), pipe(2), socket(2), connect(2), accept(2), memfd_create(2).
// Names are those of /proc/PID/fd where there is one: a path, "anon_inode:[eventfd]"; sockets and pipes, whose inode no
// system call tells, are named by what made them.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "userspace/replay/fd_effects.h"
#include "userspace/replay/sockaddr_text.h"
#include "userspace/replay/state.h"

namespace flightrec::replay {
namespace {

struct Named {
    std::string_view syscall;
    FdEffect effect;
};
constexpr Named effects[] = {
    {"open", FdEffect::open},
    {"creat", FdEffect::open},
    {"openat", FdEffect::openat},
    {"openat2", FdEffect::openat},
    {"socket", FdEffect::socket},
    {"accept", FdEffect::accept},
    {"accept4", FdEffect::accept},
    {"connect", FdEffect::connect},
    {"bind", FdEffect::bind},
    {"dup", FdEffect::dup},
    {"dup2", FdEffect::dup_to},
    {"dup3", FdEffect::dup_to},
    {"fcntl", FdEffect::fcntl},
    {"close", FdEffect::close},
    {"close_range", FdEffect::close_range},
    {"pipe", FdEffect::pair_pipe},
    {"pipe2", FdEffect::pair_pipe},
    {"socketpair", FdEffect::pair_socket},
    {"memfd_create", FdEffect::memfd},
    {"eventfd", FdEffect::named},
    {"eventfd2", FdEffect::named},
    {"epoll_create", FdEffect::named},
    {"epoll_create1", FdEffect::named},
    {"signalfd", FdEffect::named},
    {"signalfd4", FdEffect::named},
    {"timerfd_create", FdEffect::named},
    {"inotify_init", FdEffect::named},
    {"inotify_init1", FdEffect::named},
    {"fanotify_init", FdEffect::named},
    {"userfaultfd", FdEffect::named},
    {"io_uring_setup", FdEffect::named},
    {"pidfd_open", FdEffect::named},
    {"perf_event_open", FdEffect::named},
    {"chdir", FdEffect::chdir},
    {"fchdir", FdEffect::fchdir},
};

// What /proc/PID/fd shows for descriptors of these calls.
std::string_view anonymous_name(std::string_view syscall) {
    if (syscall.starts_with("eventfd")) return "anon_inode:[eventfd]";
    if (syscall.starts_with("epoll_create")) return "anon_inode:[eventpoll]";
    if (syscall.starts_with("signalfd")) return "anon_inode:[signalfd]";
    if (syscall == "timerfd_create") return "anon_inode:[timerfd]";
    if (syscall.starts_with("inotify_init")) return "anon_inode:inotify";
    if (syscall == "fanotify_init") return "anon_inode:[fanotify]";
    if (syscall == "userfaultfd") return "anon_inode:[userfaultfd]";
    if (syscall == "io_uring_setup") return "anon_inode:[io_uring]";
    if (syscall == "pidfd_open") return "anon_inode:[pidfd]";
    return "anon_inode:[perf_event]";
}

std::string_view socket_kind(uint64_t domain, uint64_t type) {
    const uint64_t base = type & 0xf;
    switch (static_cast<uint32_t>(domain)) {
        case AF_UNIX: return base == SOCK_DGRAM ? "UNIX-DGRAM" : base == SOCK_SEQPACKET ? "UNIX-SEQPACKET" : "UNIX";
        case AF_INET: return base == SOCK_STREAM ? "TCP" : base == SOCK_DGRAM ? "UDP" : "RAW";
        case AF_INET6: return base == SOCK_STREAM ? "TCPv6" : base == SOCK_DGRAM ? "UDPv6" : "RAWv6";
        case AF_NETLINK: return "NETLINK";
        case AF_PACKET: return "PACKET";
        default: return "socket";
    }
}

// The kind of a socket's name, without the addresses added to it later: "TCP" of "TCP->10.0.0.1:443".
std::string_view kind_of(std::string_view name) {
    const auto end = name.find_first_of("[>");
    if (end == std::string_view::npos) return name;
    return name.substr(0, name[end] == '>' ? end - 1 : end);
}

bool absolute(std::string_view path) { return path.starts_with('/'); }

}  // namespace

void fill_fd_effects(schemas::Arch arch, std::array<uint8_t, schemas::kSyscallLimit>& table) {
    for (const auto& entry : effects)
        if (const auto* info = schemas::find_syscall(arch, entry.syscall))
            table[static_cast<size_t>(info->number(arch))] = static_cast<uint8_t>(entry.effect);
}

uint32_t ReplayState::intern(std::string_view name) {
    if (const auto it = name_index_.find(name); it != name_index_.end()) return it->second;
    if (name.empty() || names_.size() >= max_names) return 0;
    const auto index = static_cast<uint32_t>(names_.size());
    name_index_.emplace(names_.emplace_back(name), index);
    return index;
}

void ReplayState::set_fd(Process& process, uint64_t fd, uint32_t name, bool close_on_exec) {
    if (fd >= max_fd) return;
    auto& names = process.fds.names;
    if (fd >= names.size()) {
        if (name == 0) return;
        names.resize(fd + 1);
    }
    names[fd] = name == 0 ? 0 : name | (close_on_exec ? fd_close_on_exec : 0);
}

std::string_view ReplayState::fd_name(uint32_t pid, int64_t fd) const {
    const Process* process = find(pid);
    if (process == nullptr || fd < 0 || static_cast<uint64_t>(fd) >= process->fds.names.size()) return {};
    return names_[process->fds.names[static_cast<size_t>(fd)] & ~fd_close_on_exec];
}

// A path as the caller meant it. Without the directory it is relative to, it stays as given.
std::string ReplayState::resolve(const Process& process, int64_t dirfd, std::string_view path) const {
    if (absolute(path)) return std::string(path);
    std::string_view base = process.cwd;
    if (static_cast<int32_t>(dirfd) != AT_FDCWD) base = fd_name(process.pid, static_cast<int32_t>(dirfd));
    if (!absolute(base)) return std::string(path);
    while (path.starts_with("./")) path.remove_prefix(2);
    if (path.empty() || path == ".") return std::string(base);
    std::string out(base);
    if (out.back() != '/') out += '/';
    return out += path;
}

// Calls whose result, or memory, holds new descriptors.
void ReplayState::open_by_syscall(const flight::EventRef& event) {
    if (event.fixed_size < sizeof(fr_syscall) || event.bytes.size() < sizeof(fr_syscall)) return;
    const auto& call = *reinterpret_cast<const fr_syscall*>(event.bytes.data());
    if (call.nr >= effect_.size() || (call.event.flags & FR_EVENT_COMPAT) != 0) return;
    const uint8_t kind = effect_[call.nr];
    if (kind == 0 || call.result < 0) return;
    name_result(event, call, kind);
}

void ReplayState::name_result(const flight::EventRef& event, const fr_syscall& call, uint8_t kind) {
    Process& process = processes_[touch(call.event.pid)];
    const auto result = static_cast<uint64_t>(call.result);
    const auto text = [&](uint8_t blob_kind) {
        const auto blob = find_blob(event, blob_kind);
        return blob ? blob->text : std::string_view{};
    };
    const auto open = [&](int64_t dirfd, std::string_view path, uint64_t flags) {
        set_fd(process, result, path.empty() ? 0 : intern(resolve(process, dirfd, path)), (flags & O_CLOEXEC) != 0);
    };
    const auto pair = [&](uint8_t blob_kind, std::string_view name, uint64_t flags) {
        const auto bytes = text(blob_kind);
        int32_t fds[2];
        if (bytes.size() < sizeof fds) return;
        std::memcpy(fds, bytes.data(), sizeof fds);
        for (const int32_t fd : fds)
            if (fd >= 0) set_fd(process, static_cast<uint32_t>(fd), intern(name), (flags & O_CLOEXEC) != 0);
    };
    switch (static_cast<FdEffect>(kind)) {
        case FdEffect::open: open(AT_FDCWD, text(FR_BLOB_ARG0), call.args[1]); break;
        case FdEffect::openat: open(static_cast<int64_t>(call.args[0]), text(FR_BLOB_ARG0 + 1), call.args[2]); break;
        case FdEffect::socket:
            set_fd(process, result, intern(socket_kind(call.args[0], call.args[1])),
                   (call.args[1] & SOCK_CLOEXEC) != 0);
            break;
        case FdEffect::accept: {
            std::string name(kind_of(fd_name(process.pid, static_cast<int32_t>(call.args[0]))));
            const auto peer = sockaddr_text(text(FR_BLOB_SOCKADDR0 + 1));
            if (!name.empty() && !peer.empty()) name += "<-" + peer;
            set_fd(process, result, intern(name), (call.args[3] & SOCK_CLOEXEC) != 0);
            break;
        }
        case FdEffect::dup:
            set_fd(process, result, intern(fd_name(process.pid, static_cast<int32_t>(call.args[0]))), false);
            break;
        case FdEffect::fcntl:
            if (call.args[1] == F_DUPFD || call.args[1] == F_DUPFD_CLOEXEC)
                set_fd(process, result, intern(fd_name(process.pid, static_cast<int32_t>(call.args[0]))),
                       call.args[1] == F_DUPFD_CLOEXEC);
            break;
        case FdEffect::pair_pipe: pair(FR_BLOB_DATA0, "pipe", call.args[1]); break;
        case FdEffect::pair_socket:
            pair(FR_BLOB_DATA0 + 3, socket_kind(call.args[0], call.args[1]), call.args[1]);
            break;
        case FdEffect::memfd:
            set_fd(process, result, intern("/memfd:" + std::string(text(FR_BLOB_ARG0))), (call.args[1] & 1) != 0);
            break;
        case FdEffect::named: {
            const auto* info = schemas::find_syscall(arch_, call.nr);
            set_fd(process, result, intern(anonymous_name(info != nullptr ? info->name : "")), false);
            break;
        }
        default: break;
    }
}

// Calls that end or change a descriptor: looked at after the call was shown with its old name.
void ReplayState::close_by_syscall(const flight::EventRef& event) {
    if (event.fixed_size < sizeof(fr_syscall) || event.bytes.size() < sizeof(fr_syscall)) return;
    const auto& call = *reinterpret_cast<const fr_syscall*>(event.bytes.data());
    if (call.nr >= effect_.size() || (call.event.flags & FR_EVENT_COMPAT) != 0) return;
    const auto effect = static_cast<FdEffect>(effect_[call.nr]);
    if (effect == FdEffect::none) return;
    const bool connecting = effect == FdEffect::connect && call.result == -115;  // EINPROGRESS
    if (call.result < 0 && !connecting && effect != FdEffect::close) return;
    const ProcessIndex index = touch(call.event.pid);
    Process& process = processes_[index];
    const auto fd = static_cast<uint32_t>(call.args[0]);
    switch (effect) {
        case FdEffect::close: set_fd(process, fd, 0, false); break;
        case FdEffect::close_range:
            if ((call.args[2] & 4) != 0) break;  // CLOSE_RANGE_CLOEXEC
            for (uint64_t i = fd; i <= static_cast<uint32_t>(call.args[1]) && i < process.fds.names.size(); ++i)
                process.fds.names[i] = 0;
            break;
        case FdEffect::dup_to:
            if (call.args[0] != call.args[1])
                set_fd(process, static_cast<uint32_t>(call.args[1]),
                       intern(fd_name(process.pid, static_cast<int32_t>(fd))), (call.args[2] & O_CLOEXEC) != 0);
            break;
        case FdEffect::fcntl:
            if (call.args[1] == F_SETFD && fd < process.fds.names.size() && process.fds.names[fd] != 0)
                process.fds.names[fd] = (process.fds.names[fd] & ~fd_close_on_exec) |
                                        ((call.args[2] & FD_CLOEXEC) != 0 ? fd_close_on_exec : 0);
            break;
        case FdEffect::connect:
        case FdEffect::bind: {
            const auto blob = find_blob(event, FR_BLOB_SOCKADDR0 + 1);
            const auto address = blob ? sockaddr_text(blob->text) : std::string{};
            std::string name(kind_of(fd_name(process.pid, static_cast<int32_t>(fd))));
            if (name.empty() || address.empty()) break;
            name += effect == FdEffect::connect ? "->" + address : "[" + address + "]";
            const bool close_on_exec = (process.fds.names[fd] & fd_close_on_exec) != 0;
            set_fd(process, fd, intern(name), close_on_exec);
            break;
        }
        case FdEffect::chdir:
        case FdEffect::fchdir: change_directory(event, call); break;
        default: break;
    }
}

void ReplayState::change_directory(const flight::EventRef& event, const fr_syscall& call) {
    Process& process = processes_[touch(call.event.pid)];
    if (static_cast<FdEffect>(effect_[call.nr]) == FdEffect::fchdir) {
        process.cwd = fd_name(process.pid, static_cast<int32_t>(call.args[0]));
        return;
    }
    const auto path = find_blob(event, FR_BLOB_ARG0);
    if (!path || path->text.empty()) {
        process.cwd.clear();
        return;
    }
    std::string next = resolve(process, AT_FDCWD, path->text);
    process.cwd = absolute(next) ? std::move(next) : std::string{};
}

}  // namespace flightrec::replay
