// SPDX-License-Identifier: Apache-2.0
// Calls as a whole: name, list of arguments, result. Single arguments are in syscall_text_args.cpp.
#include "userspace/replay/syscall_text.h"

#include <fmt/format.h>

#include <iterator>

#include "userspace/base/text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/syscall_text_parts.h"

namespace flightrec::replay {

using namespace parts;
using schemas::ArgKind;
using schemas::ReturnKind;

SyscallCall::SyscallCall(const flight::EventRef& event, const SyscallOptions& options)
    : raw(event.as<fr_syscall>()),
      arch(options.arch),
      string_limit(options.string_limit),
      fd_name_(options.fd_name),
      blobs_(event.blob_bytes()) {
    compat = (raw.event.flags & FR_EVENT_COMPAT) != 0;
    if (!compat) info = schemas::find_syscall(arch, raw.nr);
    returned = raw.event.cls == FR_CLASS_SYSCALL;
    failed = returned && raw.result < 0 && raw.result >= -4095;
}

void append_syscall_name(std::string& out, const SyscallCall& call) {
    if (call.info != nullptr) {
        out += call.info->name;
        return;
    }
    fmt::format_to(std::back_inserter(out), "{}syscall_{:#x}", call.compat ? "compat_" : "", call.raw.nr);
}

void append_syscall_args(std::string& out, const SyscallCall& call) {
    const ShownArgs shown = shown_args(call);
    for (unsigned i = 0; i < shown.count; ++i) {
        if (i != 0) out += ", ";
        append_syscall_arg(out, call, shown.index[i]);
    }
}

namespace {

// "-1 ENOENT (No such file or directory)", "? ERESTARTSYS (…)"
void put_error(std::string& out, int error) {
    const std::string_view name = errno_name(error);
    if (name.empty()) {
        fmt::format_to(std::back_inserter(out), "-1 (errno {})", error);
        return;
    }
    out += error >= 512 ? "? " : "-1 ";
    out += name;
    out += " (";
    out += errno_text(error);
    out += ')';
}

// What F_GETFD, F_GETFL, … return.
void put_fcntl_result(std::string& out, const SyscallCall& call) {
    const auto result = static_cast<uint64_t>(call.raw.result);
    const auto with = [&](std::string_view label, auto&& put) {
        put_hex(out, result);
        if (result == 0 && label == "flags " && call.arg(1) == 1) return;
        out += " (";
        out += label;
        put();
        out += ')';
    };
    switch (call.arg(1)) {
        case 1: return with("flags ", [&] { append_flags(out, sets::fd_flags, result); });
        case 3: return with("flags ", [&] { put_open_flags(out, call.arch, result); });
        case 0x401: return with("", [&] { append_choice(out, sets::lock_type, result); });
        case 0x40a: return with("seals ", [&] { append_flags(out, sets::seals, result); });
        case 0:
        case 0x406: return put_fd(out, call, static_cast<int>(result));
        case 11:
            put_number(out, result);
            if (result == 0) return;
            out += " (";
            put_signal(out, result);
            out += ')';
            return;
        default: put_number(out, call.raw.result);
    }
}

void put_prctl_result(std::string& out, const SyscallCall& call) {
    const auto result = static_cast<uint64_t>(call.raw.result);
    const auto named = [&](const ConstantSet& set) {
        put_hex(out, result);
        out += " (";
        append_constant(out, set, result);
        out += ')';
    };
    switch (call.arg(0)) {
        case 3: return named(sets::dumpable);
        case 21: return named(sets::seccomp_mode);
        case 27: return named(sets::securebits);
        case 52: return named(sets::speculation_control);
        default: put_number(out, call.raw.result);
    }
}

// The one structure of poll() that strace shows after the result: what happened on which descriptor.
void put_poll_result(std::string& out, const SyscallCall& call) {
    put_number(out, call.raw.result);
    if (call.raw.result == 0) {
        out += " (Timeout)";
        return;
    }
    if (call.kind(0) != ArgKind::pollfds || !call.data(0)) return;
    const std::string_view bytes = call.data(0)->text;
    const uint64_t count = call.arg(1) & 0xffffffff;
    if (bytes.size() < count * 8) return;  // not all of them were captured
    out += " ([";
    bool first = true;
    for (size_t at = 0; at < count * 8; at += 8) {
        int32_t fd = 0;
        uint16_t events = 0;
        if (!read_at(bytes, at, fd) || !read_at(bytes, at + 6, events) || events == 0) continue;
        out += first ? "{fd=" : ", {fd=";
        first = false;
        put_fd(out, call, fd);
        out += ", revents=";
        append_flags(out, sets::poll_events, events);
        out += '}';
    }
    out += "])";
}

bool bpf_returns_fd(uint64_t command) {
    switch (command) {
        case 0:
        case 5:
        case 7:
        case 13:
        case 14:
        case 17:
        case 18:
        case 19:
        case 28:
        case 30:
        case 32:
        case 33:
        case 36: return true;
        default: return false;
    }
}

void put_ioprio_result(std::string& out, uint64_t value) {
    put_hex(out, value);
    out += " (IOPRIO_PRIO_VALUE(";
    append_choice(out, sets::ioprio_class, value >> 13);
    out += ", ";
    put_number(out, value & 0x1fff);
    out += "))";
}

// Values that strace explains in brackets behind the number.
void put_explained_result(std::string& out, const SyscallCall& call) {
    const auto result = static_cast<uint64_t>(call.raw.result);
    switch (call.info->result) {
        case ReturnKind::fcntl: return put_fcntl_result(out, call);
        case ReturnKind::prctl: return put_prctl_result(out, call);
        case ReturnKind::poll: return put_poll_result(out, call);
        case ReturnKind::ioprio: return put_ioprio_result(out, result);
        case ReturnKind::bpf:
            return bpf_returns_fd(call.arg(0)) ? put_fd(out, call, static_cast<int>(result))
                                               : put_number(out, call.raw.result);
        case ReturnKind::signal:
            put_number(out, call.raw.result);
            if (result == 0) return;
            out += " (";
            put_signal(out, result);
            break;
        case ReturnKind::sched_policy:
            put_hex(out, result);
            out += " (";
            append_choice(out, sets::sched_policy, result & 0xff);
            if ((result & 0x40000000) != 0) out += "|SCHED_RESET_ON_FORK";
            break;
        case ReturnKind::personality:
            put_hex(out, result);
            out += " (";
            append_choice(out, sets::personality, result & 0xff);
            if ((result & ~0xffULL) != 0) {
                out += '|';
                append_flags(out, sets::personality_flags, result & ~0xffULL);
            }
            break;
        default: put_number(out, call.raw.result); return;
    }
    out += ')';
}

}  // namespace

void append_syscall_result(std::string& out, const SyscallCall& call) {
    if (!call.returned) {
        if (call.info != nullptr && call.info->may_not_return) out += '?';
        return;
    }
    if (call.failed) return put_error(out, static_cast<int>(-call.raw.result));
    const auto result = static_cast<uint64_t>(call.raw.result);
    switch (call.info == nullptr ? ReturnKind::int_ : call.info->result) {
        case ReturnKind::fd: return put_fd(out, call, static_cast<int>(result));
        case ReturnKind::pointer:
        case ReturnKind::hex: return put_hex(out, result);
        case ReturnKind::mode: return put_mode(out, result);
        case ReturnKind::clock: return put_number(out, result);
        case ReturnKind::none: out += '?'; return;
        case ReturnKind::int_:
        case ReturnKind::size: return put_number(out, call.raw.result);
        default: return put_explained_result(out, call);
    }
}

void append_syscall(std::string& out, const SyscallCall& call) {
    append_syscall_name(out, call);
    out += '(';
    append_syscall_args(out, call);
    const bool never = call.info != nullptr && call.info->may_not_return;
    if (call.returned || never) {
        out += ") = ";
        append_syscall_result(out, call);
        return;
    }
    const auto& event = call.raw.event;
    if (event.cls == FR_CLASS_UNFINISHED && call.raw.enter_ns != 0 && event.time_ns >= call.raw.enter_ns) {
        const double seconds = static_cast<double>(event.time_ns - call.raw.enter_ns) / 1e9;
        fmt::format_to(std::back_inserter(out), ") <unfinished ...> for {:.{}f} s", seconds, seconds < 1 ? 6 : 1);
        return;
    }
    out += ") <unfinished ...>";
}

void append_syscall_fields(JsonLine& json, const SyscallCall& call) {
    json.key("syscall").rendered([&](std::string& out) { append_syscall_name(out, call); });
    json.number("nr", call.raw.nr);
    json.key("args").open('[');
    for (unsigned i = 0; i < call.nargs(); ++i) json.hex(call.arg(i));
    json.close(']');
    json.key("text").open('[');
    const ShownArgs shown = shown_args(call);
    for (unsigned i = 0; i < shown.count; ++i)
        json.rendered([&](std::string& out) { append_syscall_arg(out, call, shown.index[i]); });
    json.close(']');
    json.key("result");
    if (!call.returned) return json.null();
    if (!call.failed) return json.number(call.raw.result);
    json.number(-1);
    const int error = static_cast<int>(-call.raw.result);
    const std::string_view name = errno_name(error);
    json.key("errno");
    if (name.empty())
        json.number(error);
    else
        json.text(name);
}

}  // namespace flightrec::replay
