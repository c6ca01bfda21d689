// SPDX-License-Identifier: Apache-2.0
// Counting system calls and classes, and the tables of them.
#include "userspace/replay/call_stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace flightrec::replay {
namespace {

std::string call_name(schemas::Arch arch, uint32_t nr) {
    const auto* info = schemas::find_syscall(arch, nr);
    return info != nullptr ? std::string(info->name) : fmt::format("syscall_{}", nr);
}

}  // namespace

void CallStats::add(const flight::EventRef& event) {
    const auto& head = event.head();
    uint8_t cls = head.cls;
    if (cls == FR_CLASS_SYSCALL_ENTER || cls == FR_CLASS_UNFINISHED) cls = FR_CLASS_SYSCALL;
    ++by_class_[cls % FR_CLASS_COUNT];
    if (cls != FR_CLASS_SYSCALL) return;
    const auto call = event.as<fr_syscall>();
    if (call.nr >= calls_.size() || (head.flags & FR_EVENT_COMPAT) != 0) {
        ++other_calls_;
        return;
    }
    Call& sum = calls_[call.nr];
    sum.nr = call.nr;
    ++sum.calls;
    if (head.cls != FR_CLASS_SYSCALL) return;
    if (call.result < 0 && call.result > -4096) ++sum.errors;
    if ((head.flags & FR_EVENT_NO_ENTRY) != 0 || call.enter_ns == 0 || call.enter_ns > head.time_ns) return;
    const uint64_t duration = head.time_ns - call.enter_ns;
    ++sum.timed;
    sum.total_ns += duration;
    sum.longest_ns = std::max(sum.longest_ns, duration);
}

std::vector<CallStats::Call> CallStats::sorted() const {
    std::vector<Call> out;
    std::copy_if(calls_.begin(), calls_.end(), std::back_inserter(out), [](const Call& c) { return c.calls != 0; });
    std::sort(out.begin(), out.end(), [](const Call& a, const Call& b) {
        return a.total_ns != b.total_ns ? a.total_ns > b.total_ns : a.calls > b.calls;
    });
    return out;
}

void CallStats::append_text(std::string& out, schemas::Arch arch, const flight::BlockCounts& blocks) const {
    auto it = std::back_inserter(out);
    fmt::format_to(it, "{:>12} {:>10} {:>10} {:>10} {:>8}  {}\n", "seconds", "us/call", "longest us", "calls", "errors",
                   "syscall");
    Call sum;
    for (const Call& c : sorted()) {
        fmt::format_to(it, "{:>12.6f} {:>10.1f} {:>10.1f} {:>10} {:>8}  {}\n", static_cast<double>(c.total_ns) / 1e9,
                       c.timed == 0 ? 0.0 : static_cast<double>(c.total_ns) / 1e3 / static_cast<double>(c.timed),
                       static_cast<double>(c.longest_ns) / 1e3, c.calls, c.errors == 0 ? "" : std::to_string(c.errors),
                       call_name(arch, c.nr));
        sum.total_ns += c.total_ns;
        sum.calls += c.calls;
        sum.errors += c.errors;
    }
    fmt::format_to(it, "{:>12.6f} {:>10} {:>10} {:>10} {:>8}  total\n", static_cast<double>(sum.total_ns) / 1e9, "", "",
                   sum.calls, sum.errors);
    if (other_calls_ != 0) fmt::format_to(it, "{} calls of other tables (32-bit) are not in it\n", other_calls_);
    out += '\n';
    for (uint8_t cls = 1; cls < FR_CLASS_COUNT; ++cls)
        if (by_class_[cls] != 0) fmt::format_to(it, "{:>12}  {}\n", by_class_[cls], flight::class_name(cls));
    if (blocks.left_out != 0)
        fmt::format_to(it, "\n{} of {} blocks of system calls were read: the others hold nothing of this\n",
                       blocks.read, blocks.read + blocks.left_out);
}

void CallStats::append_json(std::string& out, schemas::Arch arch, const flight::BlockCounts& blocks) const {
    JsonLine json(out);
    json.open();
    json.key("classes").open();
    for (uint8_t cls = 1; cls < FR_CLASS_COUNT; ++cls)
        if (by_class_[cls] != 0) json.number(flight::class_name(cls), by_class_[cls]);
    json.close();
    json.key("syscalls").open('[');
    for (const Call& c : sorted()) {
        json.open();
        json.text("syscall", call_name(arch, c.nr));
        json.number("calls", c.calls);
        json.number("errors", c.errors);
        json.number("timed", c.timed);
        json.number("total_ns", c.total_ns);
        json.number("longest_ns", c.longest_ns);
        json.close();
    }
    json.close(']');
    json.number("other_calls", other_calls_);
    json.key("call_blocks").open();
    json.number("read", blocks.read);
    json.number("left_out", blocks.left_out);
    json.close();
    json.close();
    out += '\n';
}

}  // namespace flightrec::replay
