// SPDX-License-Identifier: Apache-2.0
// Giving up rights that are no longer needed. What is given up never comes back.
#pragma once

#include <cstdint>
#include <span>

#include "userspace/base/result.h"

namespace flightrec {

// Reduces the calling thread's permitted, effective and inheritable capabilities to those of `keep` (bit n: capability
// n of linux/capability.h) that it has, and its bounding and ambient sets to nothing. capabilities(7): these belong to
// each thread alone.
Result<void> keep_capabilities(uint64_t keep);

// For the whole process, all threads: no new privileges by exec (prctl(2)), and a seccomp filter (seccomp(2)) that lets
// through what a running recorder does: files, sockets, time, memory, locks. Everything else fails with EPERM, above
// all fork, clone and execve, bpf, perf_event_open, ptrace, mount, module loading, set*id and the setting of clocks.
// Of bpf(2) only the commands given (enum bpf_cmd) go through: those that attach or read programs already loaded.
Result<void> confine_process(std::span<const uint32_t> bpf_commands = {});

}  // namespace flightrec
