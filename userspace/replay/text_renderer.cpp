// SPDX-License-Identifier: Apache-2.0
// The columns of a line: time, process, text.
#include "userspace/replay/text_renderer.h"

#include <charconv>
#include <cstring>

#include "userspace/base/clock.h"

namespace flightrec::replay {
namespace {

constexpr size_t who_width = 20;
constexpr size_t time_width = 11;

// Events that happened in no process, or whose text names it.
bool has_who(const flight::EventRef& event) {
    switch (event.head().cls) {
        case FR_CLASS_KMSG:
        case FR_CLASS_SYSTEM_SAMPLE:
        case FR_CLASS_CGROUP_SAMPLE:
        case FR_CLASS_MARKER:
        case FR_CLASS_LEDGER: return false;
        case FR_CLASS_CGROUP: return event.head().pid != 0;
        default: return true;
    }
}

// The comm the event itself tells, which no state can know better; "" where the class has none.
std::string_view own_comm(const flight::EventRef& event) {
    size_t offset = 0;
    switch (event.head().cls) {
        case FR_CLASS_EXIT: offset = offsetof(fr_exit, comm); break;
        case FR_CLASS_EXEC: offset = offsetof(fr_exec, comm); break;
        case FR_CLASS_EXEC_FAILED: offset = offsetof(fr_exec_failed, comm); break;
        case FR_CLASS_CRASH: offset = offsetof(fr_crash, comm); break;
        case FR_CLASS_OOM_KILL: offset = offsetof(fr_oom_kill, comm); break;
        case FR_CLASS_ALLOC_FAILURE: offset = offsetof(fr_alloc_failure, comm); break;
        case FR_CLASS_PROCESS: offset = offsetof(fr_process, comm); break;
        case FR_CLASS_PROCESS_SAMPLE: offset = offsetof(fr_process_sample, comm); break;
        default: return {};
    }
    if (event.fixed_size < offset + FR_COMM_LEN || event.bytes.size() < offset + FR_COMM_LEN) return {};
    const auto* text = reinterpret_cast<const char*>(event.bytes.data()) + offset;
    return {text, strnlen(text, FR_COMM_LEN)};
}

void append_number(std::string& out, uint64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}

void append_who(std::string& out, const flight::EventRef& event, const ReplayState& state, const Palette& paint) {
    const auto& head = event.head();
    const std::string_view comm = display_comm(event, state);
    out += paint.cyan;
    const size_t begin = out.size();
    append_printable(out, comm.empty() ? std::string_view("?") : comm);
    out += '[';
    append_number(out, head.pid);
    if (head.tid != head.pid) {
        out += '/';
        append_number(out, head.tid);
    }
    out += ']';
    const size_t width = out.size() - begin;
    out += paint.reset;
    out.append(width < who_width ? who_width - width + 1 : 1, ' ');
}

}  // namespace

void TimeColumn::append_utc(std::string& out, uint64_t time_ns, int decimals) {
    const uint64_t realtime = clock_.realtime_of(time_ns);
    if (realtime / 1'000'000'000u != second_) {
        second_ = realtime / 1'000'000'000u;
        const std::string whole = format_utc(realtime);
        std::memcpy(second_text_.data(), whole.data(), std::min(whole.size(), second_text_.size()));
    }
    out.append(second_text_.data(), second_text_.size());
    char digits[9];
    auto fraction = static_cast<uint32_t>(realtime % 1'000'000'000u);
    for (size_t i = 9; i-- > 0; fraction /= 10) digits[i] = static_cast<char>('0' + fraction % 10);
    out.append(digits, static_cast<size_t>(decimals));
    out += 'Z';
}

void TimeColumn::append(std::string& out, uint64_t time_ns) {
    const size_t begin = out.size();
    switch (style_) {
        case TimeStyle::relative: append_offset(out, time_ns, reference_ns_); break;
        case TimeStyle::utc: append_utc(out, time_ns, 6); return;
        case TimeStyle::boot: append_seconds(out, time_ns); break;
        case TimeStyle::delta:
            append_offset(out, time_ns, before_ns_ == 0 ? time_ns : before_ns_);
            before_ns_ = time_ns;
            break;
    }
    const size_t width = out.size() - begin;
    if (width < time_width) out.insert(begin, time_width - width, ' ');
}

void TextRenderer::append(std::string& out, const flight::EventRef& event, const ReplayState& state) {
    const Palette& paint = Palette::of(options_.color);
    out += paint.dim;
    time_.append(out, event.head().time_ns);
    out += paint.reset;
    out += ' ';
    if (event.head().cls == FR_CLASS_SYSCALL) {
        std::string& who = who_.of(event.head(), state);
        if (who.empty()) append_who(who, event, state, paint);
        out += who;
    } else if (has_who(event)) {
        append_who(out, event, state, paint);
    }
    append_event_text(out, event, state, options_);
    out += '\n';
}

std::string_view display_comm(const flight::EventRef& event, const ReplayState& state) {
    const std::string_view comm = own_comm(event);
    return comm.empty() ? state.comm_of(event.head().tid, event.head().pid) : comm;
}

bool hidden_in_text(const flight::EventRef& event) {
    switch (event.head().cls) {
        case FR_CLASS_PROCESS:
        case FR_CLASS_FD:
        case FR_CLASS_LEDGER:
        case FR_CLASS_MODULE:
        case FR_CLASS_CGROUP_SAMPLE:
        case FR_CLASS_PROCESS_SAMPLE: return true;
        case FR_CLASS_CGROUP: return event.as<fr_cgroup>().op == FR_CGROUP_EXISTS;
        default: return false;
    }
}

void cut_lines(std::string& out, size_t begin, size_t columns) {
    std::string cut;
    bool colored = false;
    size_t column = 0, last_at = 0, last_size = 0;  // of the last character that is seen
    for (size_t i = begin; i < out.size(); ++i) {
        const char c = out[i];
        if (c == '\n') {
            if (column > columns && colored) cut += "\x1b[0m";
            cut += c;
            column = 0;
            colored = false;
        } else if (c == '\x1b') {
            const size_t end = out.find('m', i);  // ours: nothing from the file has control characters
            if (end == std::string::npos) break;
            colored = true;
            if (column <= columns) cut.append(out, i, end - i + 1);
            i = end;
        } else if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) {  // the rest of a UTF-8 character
            if (column > columns) continue;
            cut += c;
            ++last_size;
        } else if (++column <= columns) {
            last_at = cut.size();
            last_size = 1;
            cut += c;
        } else if (column == columns + 1) {
            cut.replace(last_at, last_size, "\xe2\x80\xa6");
        }
    }
    out.resize(begin);
    out += cut;
}

}  // namespace flightrec::replay
