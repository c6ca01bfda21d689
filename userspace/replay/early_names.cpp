// SPDX-License-Identifier: Apache-2.0
// Taking the first name of each thread that is not one it has just been given.
#include "userspace/replay/early_names.h"

#include <cstring>

namespace flightrec::replay {

using flight::EventRef;

namespace {

std::string_view comm_at(const EventRef& event, size_t offset) {
    if (event.fixed_size < offset + FR_COMM_LEN || event.bytes.size() < offset + FR_COMM_LEN) return {};
    const auto* text = reinterpret_cast<const char*>(event.bytes.data()) + offset;
    return {text, strnlen(text, FR_COMM_LEN)};
}

}  // namespace

void EarlyNames::told(uint32_t tid, std::string_view comm) {
    if (tid == 0 || told_.size() >= max_names || !told_.insert(tid).second) return;
    if (!comm.empty()) names_.emplace(tid, comm);
}

void EarlyNames::learn(const EventRef& event) {
    const auto& head = event.head();
    switch (head.cls) {
        case FR_CLASS_FORK: told(event.as<fr_fork>().child_tid, {}); break;  // the state knows it from here on
        case FR_CLASS_EXEC: told(head.tid, {}); break;                       // a new name
        case FR_CLASS_RENAME:
            told(event.as<fr_rename>().target_tid, comm_at(event, offsetof(fr_rename, old_comm)));
            break;
        case FR_CLASS_EXEC_FAILED: told(head.tid, comm_at(event, offsetof(fr_exec_failed, comm))); break;
        case FR_CLASS_EXIT: told(head.tid, comm_at(event, offsetof(fr_exit, comm))); break;
        case FR_CLASS_CRASH: told(head.tid, comm_at(event, offsetof(fr_crash, comm))); break;
        case FR_CLASS_ALLOC_FAILURE: told(head.tid, comm_at(event, offsetof(fr_alloc_failure, comm))); break;
        case FR_CLASS_OOM_KILL:
            told(event.as<fr_oom_kill>().victim_tid, comm_at(event, offsetof(fr_oom_kill, victim_comm)));
            told(head.tid, comm_at(event, offsetof(fr_oom_kill, comm)));
            break;
        case FR_CLASS_PROCESS_SAMPLE: told(head.pid, comm_at(event, offsetof(fr_process_sample, comm))); break;
        case FR_CLASS_SIGNAL: {
            const auto signal = event.as<fr_signal>();
            if ((signal.flags & FR_SIGNAL_FROM_KERNEL) == 0) told(head.tid, comm_at(event, offsetof(fr_signal, comm)));
            told(signal.target_tid, comm_at(event, offsetof(fr_signal, target_comm)));
            break;
        }
        default: break;
    }
}

}  // namespace flightrec::replay
