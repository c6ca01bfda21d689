// SPDX-License-Identifier: Apache-2.0
// From the system call table (schemas/syscalls) and the user's choice to the rules the BPF programs follow.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "schemas/flightrec/kernel_interface.h"
#include "userspace/base/result.h"

namespace flightrec::kernel {

// `choice`: "all", "failed", "none", or names with commas ("openat,connect"); a name may end in ":failed".
// Code::usage names the first name that is no system call of this machine. With captures false no string, address
// or structure is read from user memory but paths of exec.
Result<std::vector<fr_syscall_rule>> make_rules(std::string_view choice, bool captures = true);

// How many arguments each system call has, by number; 6 where the table does not know it.
[[nodiscard]] const std::array<uint8_t, FR_SYSCALL_RULES>& argument_counts();

}  // namespace flightrec::kernel
