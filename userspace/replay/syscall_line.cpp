// SPDX-License-Identifier: Apache-2.0
// System calls as lines and JSON fields, from their decoded pieces and the state.
#include "userspace/replay/syscall_line.h"

#include <algorithm>

#include "userspace/base/text.h"
#include "userspace/replay/syscall_text.h"

namespace flightrec::replay {
namespace {

using flight::EventRef;

// Names of descriptors out of the state, made safe for a terminal. Two pointers: std::function keeps them in itself.
FdName fd_names(const ReplayState& state, std::string& scratch) {
    return [&state, &scratch](uint32_t pid, int fd) -> std::string_view {
        const auto name = state.fd_name(pid, fd);
        if (is_plain(name)) return name;
        scratch = printable(name);
        return scratch;
    };
}

// Duration of a call that returned, where its entry was seen.
bool duration_of(const fr_syscall& call, uint64_t& ns) {
    if (call.event.cls == FR_CLASS_SYSCALL_ENTER || (call.event.flags & FR_EVENT_NO_ENTRY) != 0 || call.enter_ns == 0 ||
        call.enter_ns > call.event.time_ns)
        return false;
    ns = call.event.time_ns - call.enter_ns;
    return true;
}

}  // namespace

void append_syscall_line(std::string& out, const EventRef& event, const ReplayState& state,
                         const TextOptions& options) {
    std::string scratch;
    const FdName names = options.fd_names ? fd_names(state, scratch) : FdName{};
    const SyscallCall call(event, {.arch = state.arch(), .fd_name = &names, .string_limit = options.string_limit});
    if (!call.returned) {
        append_syscall(out, call);
        return;
    }
    const Palette& paint = Palette::of(options.color);
    append_syscall_name(out, call);
    out += '(';
    append_syscall_args(out, call);
    out += ") = ";
    if (call.failed) out += paint.yellow;
    append_syscall_result(out, call);
    if (call.failed) out += paint.reset;
    uint64_t duration = 0;
    if (!duration_of(call.raw, duration)) return;
    out += " <";
    append_seconds(out, duration);
    out += '>';
}

void append_syscall_json(JsonLine& json, const EventRef& event, const ReplayState& state) {
    std::string scratch;
    const FdName names = fd_names(state, scratch);
    const SyscallCall call(event, {.arch = state.arch(), .fd_name = &names});
    append_syscall_fields(json, call);
    if (call.compat) json.boolean("compat", true);
    bool any = false;
    static constexpr std::string_view keys[6] = {"0", "1", "2", "3", "4", "5"};
    for (unsigned i = 0; i < 6; ++i) {
        if (!call.string(i)) continue;
        if (!any) json.key("strings").open();
        any = true;
        json.text(keys[i], call.string(i)->text);
    }
    if (any) json.close();
    json.key("enter_ns");
    if (call.raw.enter_ns != 0)
        json.number(call.raw.enter_ns);
    else
        json.null();
    json.key("duration_ns");
    if (uint64_t duration = 0; duration_of(call.raw, duration))
        json.number(duration);
    else
        json.null();
}

}  // namespace flightrec::replay
