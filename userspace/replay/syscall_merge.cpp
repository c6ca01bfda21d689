// SPDX-License-Identifier: Apache-2.0
// Holding back entries of system calls until their return is seen.
#include "userspace/replay/syscall_merge.h"

#include <algorithm>
#include <cstring>

namespace flightrec::replay {
namespace {

using flight::EventRef;

// A kind of blob that both records may hold; what stands in the entry was the caller's.
bool has_blob(const EventRef& event, uint8_t kind) { return flight::find_blob(event, kind).has_value(); }

}  // namespace

EventRef SyscallMerge::view(const Held& held) { return {held.bytes, held.cpu, held.fixed_size}; }

SyscallMerge::Step SyscallMerge::take(const EventRef& event) {
    Step step;
    const auto& head = event.head();
    if (head.cls == FR_CLASS_EXEC) {
        // execve from a thread that is not the leader: it goes on under the leader's tid.
        const auto exec = event.as<fr_exec>();
        if (exec.old_tid != 0 && exec.old_tid != head.tid)
            if (auto node = held_.extract(exec.old_tid)) {
                node.key() = head.tid;
                held_.erase(head.tid);
                held_.insert(std::move(node));
            }
        step.event = event;
        return step;
    }
    const bool call =
        head.cls == FR_CLASS_SYSCALL || head.cls == FR_CLASS_SYSCALL_ENTER || head.cls == FR_CLASS_UNFINISHED;
    if (!call && head.cls != FR_CLASS_EXIT) {
        step.event = event;
        return step;
    }
    const auto it = held_.find(head.tid);
    if (it != held_.end()) {
        const auto entry = view(it->second).as<fr_syscall>();
        const bool same = call && head.cls != FR_CLASS_SYSCALL_ENTER && event.as<fr_syscall>().nr == entry.nr;
        abandoned_ = std::move(it->second);
        held_.erase(it);
        if (same) {
            step.event = join(abandoned_, event);
            return step;
        }
        step.abandoned = view(abandoned_);
    }
    step.event = event;
    if (head.cls != FR_CLASS_SYSCALL_ENTER) return step;
    const auto* info = schemas::find_syscall(arch_, event.as<fr_syscall>().nr);
    if (info != nullptr && info->may_not_return) return step;  // it is shown as it is: no return will come
    held_[head.tid] = Held{{event.bytes.begin(), event.bytes.end()}, event.cpu, event.fixed_size};
    step.event = {};
    return step;
}

EventRef SyscallMerge::join(const Held& entry, const EventRef& back) {
    const EventRef first = view(entry);
    fr_syscall call = first.as<fr_syscall>();
    const fr_syscall result = back.as<fr_syscall>();
    call.event.cls = result.event.cls;
    call.event.flags = static_cast<uint8_t>((call.event.flags | result.event.flags) & ~FR_EVENT_NO_ENTRY);
    call.event.time_ns = result.event.time_ns;
    call.event.pid = result.event.pid;
    call.result = result.result;
    if (call.enter_ns == 0) call.enter_ns = result.enter_ns != 0 ? result.enter_ns : first.head().time_ns;
    joined_.assign(sizeof call, std::byte{0});
    const auto blobs = first.blob_bytes();
    joined_.insert(joined_.end(), blobs.begin(), blobs.end());
    flight::BlobWalk walk(back.blob_bytes());
    while (const auto blob = walk.next()) {
        if (has_blob(first, blob->kind)) continue;
        const size_t whole = (sizeof(fr_blob) + blob->text.size() + FR_EVENT_ALIGN - 1) & ~size_t{FR_EVENT_ALIGN - 1};
        const auto* begin = reinterpret_cast<const std::byte*>(blob->text.data()) - sizeof(fr_blob);
        if (joined_.size() + whole > FR_EVENT_MAX) break;
        joined_.insert(joined_.end(), begin, begin + whole);
    }
    call.event.size = static_cast<uint16_t>(joined_.size());
    std::memcpy(joined_.data(), &call, sizeof call);
    return {joined_, back.cpu, sizeof(fr_syscall)};
}

std::vector<EventRef> SyscallMerge::rest() const {
    std::vector<EventRef> out;
    out.reserve(held_.size());
    for (const auto& [tid, held] : held_) out.push_back(view(held));
    std::sort(out.begin(), out.end(),
              [](const EventRef& a, const EventRef& b) { return a.head().time_ns < b.head().time_ns; });
    return out;
}

}  // namespace flightrec::replay
