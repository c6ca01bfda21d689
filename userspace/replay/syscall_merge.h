// SPDX-License-Identifier: Apache-2.0
// Joins the two records of a system call that was recorded at entry and at return, so that each call is shown once.
//
// SYSCALL_ENTER is recorded of calls that may never return (exit, exit_group) or that change the memory their
// arguments point to (execve, pselect6, …). The joined event is at the return's time, with the return's result and
// with the arguments and strings of the entry; what only the return has (structures the kernel wrote) is added. One
// thread. Holds at most one entry a thread.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "schemas/syscalls/syscalls.h"
#include "userspace/flight/event_ref.h"

namespace flightrec::replay {

class SyscallMerge {
  public:
    explicit SyscallMerge(schemas::Arch arch) : arch_(arch) {}

    // True when nothing is held back and this class never is: the caller may then show the event without feed().
    [[nodiscard]] bool passes(const flight::EventRef& event) const {
        return held_.empty() && event.head().cls != FR_CLASS_SYSCALL_ENTER;
    }

    // Calls show(EventRef) for every event that is to be shown now: none for an entry that is held back; first an
    // entry whose return will not come any more, then the event itself, joined where it has an entry. What show gets
    // is valid during the call.
    template <class Show>
    void feed(const flight::EventRef& event, Show&& show) {
        if (passes(event)) return show(event);
        const Step step = take(event);
        if (step.abandoned.bytes.data() != nullptr) show(step.abandoned);
        if (step.event.bytes.data() != nullptr) show(step.event);
    }
    // Calls show for every entry still held, oldest first: calls that had not returned at the end.
    template <class Show>
    void finish(Show&& show) {
        for (const auto& event : rest()) show(event);
        held_.clear();
    }

  private:
    struct Step {
        flight::EventRef abandoned;  // bytes empty: none
        flight::EventRef event;
    };
    struct Held {
        std::vector<std::byte> bytes;  // the record, 8-aligned as operator new aligns
        uint16_t cpu = 0;
        uint16_t fixed_size = 0;
    };
    Step take(const flight::EventRef& event);
    flight::EventRef join(const Held& entry, const flight::EventRef& back);
    std::vector<flight::EventRef> rest() const;
    [[nodiscard]] static flight::EventRef view(const Held& held);

    schemas::Arch arch_;
    std::unordered_map<uint32_t, Held> held_;  // by tid
    Held abandoned_;
    std::vector<std::byte> joined_;
};

}  // namespace flightrec::replay
