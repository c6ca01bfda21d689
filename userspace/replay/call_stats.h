// SPDX-License-Identifier: Apache-2.0
// Counting instead of showing: events by class, system calls by name with errors and time, as `strace -c` does.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "schemas/syscalls/syscalls.h"
#include "userspace/flight/event_ref.h"
#include "userspace/flight/reader.h"
#include "userspace/replay/json_line.h"

namespace flightrec::replay {

class CallStats {
  public:
    void add(const flight::EventRef& event);
    // Two tables, the most expensive call first.
    void append_text(std::string& out, schemas::Arch arch, const flight::BlockCounts& blocks) const;
    // One object; schemas/json/stats.schema.json.
    void append_json(std::string& out, schemas::Arch arch, const flight::BlockCounts& blocks) const;

  private:
    struct Call {
        uint32_t nr = 0;
        uint64_t calls = 0, errors = 0;
        uint64_t timed = 0;     // calls whose duration is known
        uint64_t total_ns = 0;  // of those
        uint64_t longest_ns = 0;
    };
    [[nodiscard]] std::vector<Call> sorted() const;

    std::array<uint64_t, FR_CLASS_COUNT> by_class_{};
    std::array<Call, schemas::kSyscallLimit> calls_{};
    uint64_t other_calls_ = 0;  // numbers of no table, 32-bit calls
};

}  // namespace flightrec::replay
