// SPDX-License-Identifier: Apache-2.0
// What each system call does to the caller's file descriptors and working directory. Pure tables.
#pragma once

#include <array>
#include <cstdint>

#include "schemas/syscalls/syscalls.h"

namespace flightrec::replay {

enum class FdEffect : uint8_t {
    none,
    open,    // open, creat: result names argument 0
    openat,  // openat, openat2: result names argument 1, relative to argument 0
    socket,
    accept,  // result: a connection of socket argument 0, peer in SOCKADDR1
    connect,
    bind,
    dup,     // dup: result is argument 0
    dup_to,  // dup2, dup3: argument 1 becomes argument 0
    fcntl,   // F_DUPFD, F_DUPFD_CLOEXEC, F_SETFD
    close,
    close_range,
    pair_pipe,    // pipe, pipe2: DATA0 holds both
    pair_socket,  // socketpair: DATA3
    memfd,
    named,  // result is an object without a path: anon_inode:[eventfd], …
    chdir,
    fchdir,
};

inline constexpr uint32_t fd_close_on_exec = 1u << 31;  // in FdTable::names

// By number, for one architecture.
void fill_fd_effects(schemas::Arch arch, std::array<uint8_t, schemas::kSyscallLimit>& table);

}  // namespace flightrec::replay
