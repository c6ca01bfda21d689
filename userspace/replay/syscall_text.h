// SPDX-License-Identifier: Apache-2.0
// A recorded system call as text, spelled as strace 6.1 spells it, and the same pieces for JSON.
//
//     SyscallCall call(event, {.arch = file_arch, .fd_name = &names});
//     append_syscall(line, call);   // openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
//
// A SyscallCall borrows the record and the fd name callback: it lives no longer than they do. Nothing here allocates
// but for the growth of the caller's string; no state, so any thread may use it. Nothing fails: what was not recorded
// (contents of buffers, structures the kernel wrote, strings that could not be read) is shown as the address that was
// passed, a number without name as the number. What comes from the record is escaped: the text is printable ASCII,
// but for the file names that `fd_name` gives.
//
// Differences from strace, all because contents are not recorded: buffers, struct stat and the like are addresses;
// after a string that was cut stands "..."; names the kernel got after 6.1 are known.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "schemas/syscalls/syscalls.h"
#include "userspace/flight/event_ref.h"
#include "userspace/replay/json_line.h"

namespace flightrec::replay {

// What a file descriptor of a process stands for: "/etc/passwd", "socket:[81]"; "" when not known.
using FdName = std::function<std::string_view(uint32_t pid, int fd)>;

struct SyscallOptions {
    schemas::Arch arch = schemas::host_arch();  // of the machine that was recorded
    const FdName* fd_name = nullptr;            // where given: read(3</etc/passwd>, …)
    size_t string_limit = 0;                    // bytes shown of a string that is no path, as strace -s; 0: all
};

// One call, its record taken apart. Of class SYSCALL, SYSCALL_ENTER or UNFINISHED.
class SyscallCall {
  public:
    SyscallCall(const flight::EventRef& event, const SyscallOptions& options);

    const schemas::SyscallInfo* info = nullptr;  // nullptr: a number without name, or a 32-bit call
    fr_syscall raw{};
    schemas::Arch arch{};
    bool compat = false;    // a 32-bit call on a 64-bit kernel: raw.nr is of another table
    bool returned = false;  // class SYSCALL
    bool failed = false;    // returned, with an errno or a restart code of the kernel
    size_t string_limit = 0;

    [[nodiscard]] uint64_t arg(unsigned i) const { return raw.args[i]; }
    [[nodiscard]] schemas::ArgKind kind(unsigned i) const {
        return info != nullptr && i < info->nargs ? info->args[i].kind : schemas::ArgKind::none;
    }
    [[nodiscard]] unsigned nargs() const { return info != nullptr ? info->nargs : 6; }
    // Blobs that were captured and could be read; nullopt for none.
    [[nodiscard]] std::optional<flight::Blob> string(unsigned i) const { return find(FR_BLOB_ARG0 + i); }
    [[nodiscard]] std::optional<flight::Blob> sockaddr(unsigned i) const { return find(FR_BLOB_SOCKADDR0 + i); }
    [[nodiscard]] std::optional<flight::Blob> data(unsigned i) const { return find(FR_BLOB_DATA0 + i); }
    // "/etc/passwd" for a descriptor, "" when not known or not asked for.
    [[nodiscard]] std::string_view fd_name(int fd) const {
        return fd_name_ == nullptr || !*fd_name_ ? std::string_view{} : (*fd_name_)(raw.event.pid, fd);
    }

  private:
    // Most calls have none: looking again costs less than a table to fill.
    [[nodiscard]] std::optional<flight::Blob> find(unsigned kind) const {
        flight::BlobWalk walk(blobs_);
        while (auto blob = walk.next())
            if (blob->kind == kind && (blob->flags & FR_BLOB_FAULT) == 0) return blob;
        return std::nullopt;
    }
    const FdName* fd_name_;
    std::span<const std::byte> blobs_;
};

// The arguments as strace shows them: which, in what order. Some calls hide arguments that mean nothing, clone shows
// them in another order.
struct alignas(8) ShownArgs {
    std::array<uint8_t, 6> index{};
    uint8_t count = 0;
};
[[nodiscard]] ShownArgs shown_args(const SyscallCall& call);

// "openat"; "syscall_0x1f4" for a number without name, "compat_syscall_0x5" for a 32-bit call.
void append_syscall_name(std::string& out, const SyscallCall& call);
// One argument of shown_args(): `O_RDONLY|O_CLOEXEC`.
void append_syscall_arg(std::string& out, const SyscallCall& call, unsigned index);
// `AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC`
void append_syscall_args(std::string& out, const SyscallCall& call);
// `3`, `-1 ENOENT (No such file or directory)`, `?`, `0x8002 (flags O_RDWR|O_LARGEFILE)`; of a call that has not
// returned `?` where it never will, else nothing.
void append_syscall_result(std::string& out, const SyscallCall& call);
// `name(args) = result`; `name(args) <unfinished ...> for 3.2 s` for a call that had not returned when the dump was
// made, `name(args) <unfinished ...>` for an entry alone.
void append_syscall(std::string& out, const SyscallCall& call);

// The fields syscall, nr, args (numbers as "0x…"), text (the shown arguments), result (a number, or null for a call
// that has not returned; -1 on failure) and errno (on failure only) of the object that is open in `json`.
void append_syscall_fields(JsonLine& json, const SyscallCall& call);

}  // namespace flightrec::replay
