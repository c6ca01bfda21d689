// SPDX-License-Identifier: Apache-2.0
// What an OOM kill's record gets from user space: the memory.stat of the cgroup that ran out, or /proc/meminfo.
//
// Source of facts: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. It is read when the recorder takes
// the kill from the ring, a moment after it: the victim may have given back some of its memory by then (the kernel's
// own report lines hold the figures of the moment itself, on 6.1 cut at 1 KiB). Threads: the recorder's. After make()
// nothing allocates.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "userspace/base/result.h"
#include "userspace/flight/event_ref.h"
#include "userspace/record/cgroups.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {

class MemoryStatReader {
  public:
    static Result<MemoryStatReader> make(const SystemPaths& paths, const CgroupLayout& layout);
    // Of the domain of an OOM kill, in `out`; nothing when the cgroup is gone or the domain is not known.
    [[nodiscard]] std::optional<std::string_view> read(const flight::EventRef& oom_kill, std::span<char> out) const;

  private:
    ProcDir proc_;
    CgroupLayout layout_;
};

}  // namespace flightrec::record
