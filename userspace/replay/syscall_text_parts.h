// SPDX-License-Identifier: Apache-2.0
// What the files syscall_text*.cpp share; everything else includes syscall_text.h.
#pragma once

#include <charconv>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>

#include "userspace/replay/constants.h"
#include "userspace/replay/syscall_text.h"

namespace flightrec::replay::parts {

template <std::integral T>
void put_number(std::string& out, T value) {
    char digits[24];
    const char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}
// "0x1f"; "0" for zero.
void put_hex(std::string& out, uint64_t value);
// "0644", "000": at least three digits.
void put_mode(std::string& out, uint64_t value);
// "NULL" or hex.
void put_address(std::string& out, uint64_t value);
void put_quoted(std::string& out, std::string_view bytes, bool cut);
// "3", "3</etc/passwd>".
void put_fd(std::string& out, const SyscallCall& call, int fd);
void put_open_flags(std::string& out, schemas::Arch arch, uint64_t value);
// "CLONE_VM|SIGCHLD" of clone(), whose lowest byte is a signal.
void put_clone_flags(std::string& out, uint64_t value);
// "[INT TERM]", "~[KILL]".
void put_signal_set(std::string& out, uint64_t mask);
// "SIGINT", or the number.
void put_signal(std::string& out, uint64_t value);

// The structure argument `index` points to, from what was captured of it; false when it was not captured (or is
// not a structure, or was not written), so that its address is to be shown.
[[nodiscard]] bool put_struct(std::string& out, const SyscallCall& call, unsigned index);
[[nodiscard]] bool put_sockaddr(std::string& out, const SyscallCall& call, unsigned index);

// Reads a T at `offset`; false where the bytes end before.
template <class T>
[[nodiscard]] bool read_at(std::string_view bytes, size_t offset, T& value) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof value) return false;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return true;
}

}  // namespace flightrec::replay::parts
