// SPDX-License-Identifier: Apache-2.0
// Names of the kernel's numbers: errno, signals, si_code, gfp bits, and of the numbers in event.h.
//
// Every function is pure and thread safe. Sources: <errno.h>, signal(7), sigaction(2), include/linux/gfp_types.h and
// include/trace/events/mmflags.h of Linux (bits 0-23 are the same from 5.4 to 6.18).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flightrec::replay {

// "ENOENT" for 2; "" for a number that has no name.
[[nodiscard]] std::string_view errno_name(int error);
// 2 for "ENOENT", "enoent" or "2"; 0 for no such name.
[[nodiscard]] int errno_of_name(std::string_view name);
// "No such file or directory"; "" for a number that has no name.
[[nodiscard]] std::string_view errno_text(int error);

// "SIGSEGV"; "SIGRT_5" as strace writes real-time signals; the number for anything else.
void append_signal(std::string& out, int signal);
// "SEGV_MAPERR", "SI_USER", …; the number for a code without a name.
void append_signal_code(std::string& out, int signal, int code);
[[nodiscard]] std::string signal_name(int signal);
[[nodiscard]] std::string signal_code_name(int signal, int code);
// What the signal and code say in words: "address not mapped", "" when there is nothing to add.
[[nodiscard]] std::string_view signal_code_meaning(int signal, int code);

// "0xcc0(GFP_KERNEL)", as the kernel's own OOM report writes it.
void append_gfp(std::string& out, uint32_t mask);
// "CLONE_VM|CLONE_FS|0x…"; "0" for none.
void append_clone_flags(std::string& out, uint64_t flags);
// "err", "warning", … of a kernel log level.
[[nodiscard]] std::string_view kmsg_level_name(uint32_t level);
[[nodiscard]] std::string_view trigger_name(uint64_t trigger);       // enum fr_trigger: "oom_kill", …
[[nodiscard]] std::string_view marker_name(uint32_t kind);           // enum fr_marker_kind: "trigger", "gap", …
[[nodiscard]] std::string_view oom_constraint_name(uint32_t value);  // "CONSTRAINT_MEMCG", as the kernel log has it
[[nodiscard]] std::string_view alloc_kind_name(uint32_t kind);       // enum fr_alloc_kind: "page", "syscall", …
[[nodiscard]] std::string_view fork_cause_name(uint32_t cause);      // enum fr_fork_cause
[[nodiscard]] std::string_view cgroup_op_name(uint32_t op);
[[nodiscard]] std::string_view signal_result_name(uint32_t result);
[[nodiscard]] std::string_view track_name(uint64_t track);
[[nodiscard]] std::string_view blob_name(uint8_t kind);  // "argv", "cwd", …; "" for a kind this build does not know

}  // namespace flightrec::replay
