// SPDX-License-Identifier: Apache-2.0
// Reading the kernel's OOM lines.
#include "userspace/replay/kernel_oom_report.h"

#include <charconv>

namespace flightrec::replay {
namespace {

// The number after the first `key` in text; nullopt when there is none.
template <class T>
std::optional<T> number_after(std::string_view text, std::string_view key, int base = 10) {
    const auto at = text.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at + key.size());
    T value{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (ec != std::errc{}) return std::nullopt;
    return value;
}

uint64_t kib_after(std::string_view text, std::string_view key) {
    const auto kib = number_after<uint64_t>(text, key);
    return kib && *kib < (uint64_t{1} << 53) ? *kib * 1024 : 0;
}

// "key=value," of the constraint line.
std::string field(std::string_view text, std::string_view key) {
    const auto at = text.find(key);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + key.size());
    return std::string(text.substr(0, text.find(',')));
}

}  // namespace

std::optional<KilledLine> parse_killed_line(std::string_view text) {
    const auto at = text.find("Killed process ");
    if (at == std::string_view::npos) return std::nullopt;
    KilledLine out;
    out.cgroup = text.substr(0, at).find("emory cgroup") != std::string_view::npos;
    const auto pid = number_after<uint32_t>(text, "Killed process ");
    // A comm may hold any byte, ")" too: the last one before the sizes ends it.
    const auto sizes = text.rfind(" total-vm:");
    const auto open = text.find('(', at);
    if (!pid || sizes == std::string_view::npos || open == std::string_view::npos || open >= sizes) return std::nullopt;
    const auto close = text.rfind(')', sizes);
    if (close == std::string_view::npos || close < open) return std::nullopt;
    out.pid = *pid;
    out.comm = text.substr(open + 1, close - open - 1);
    const auto rest = text.substr(sizes);
    out.total_vm = kib_after(rest, "total-vm:");
    out.anon = kib_after(rest, "anon-rss:");
    out.file = kib_after(rest, "file-rss:");
    out.shmem = kib_after(rest, "shmem-rss:");
    if (const auto kib = number_after<uint64_t>(rest, "pgtables:"); kib && *kib < (uint64_t{1} << 53))
        out.page_tables = *kib * 1024;
    out.uid = number_after<uint32_t>(rest, "UID:");
    out.oom_score_adj = number_after<int32_t>(rest, "oom_score_adj:");
    return out;
}

std::optional<InvokedLine> parse_invoked_line(std::string_view text) {
    const auto at = text.find(" invoked oom-killer: ");
    if (at == std::string_view::npos) return std::nullopt;
    const auto gfp = number_after<uint32_t>(text.substr(at), "gfp_mask=0x", 16);
    const auto order = number_after<int32_t>(text.substr(at), "order=");
    if (!gfp || !order) return std::nullopt;
    return InvokedLine{std::string(text.substr(0, at)), *gfp, *order};
}

std::optional<ConstraintLine> parse_constraint_line(std::string_view text) {
    const auto at = text.find("oom-kill:constraint=");
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at);
    const auto pid_at = text.rfind(",pid=");
    if (pid_at == std::string_view::npos) return std::nullopt;
    const auto pid = number_after<uint32_t>(text.substr(pid_at), ",pid=");
    if (!pid) return std::nullopt;
    return ConstraintLine{field(text, "constraint="), field(text, "oom_memcg="), field(text, "task_memcg="), *pid};
}

std::optional<UsageLine> parse_usage_line(std::string_view text) {
    if (!text.starts_with("memory: usage ")) return std::nullopt;
    UsageLine out;
    out.usage = kib_after(text, "usage ");
    out.limit = kib_after(text, "limit ");
    out.failures = number_after<uint64_t>(text, "failcnt ").value_or(0);
    return out;
}

bool is_oom_line(std::string_view text) {
    for (const std::string_view part :
         {" invoked oom-killer: ", "oom-kill:constraint=", "Killed process ", "memory: usage ", "swap: usage ",
          "kmem: usage ", "Memory cgroup stats for ", "oom_reaper: reaped process", "Out of memory", "Tasks in ",
          "Out of memory and no killable processes", "system is deadlocked on memory"})
        if (text.find(part) != std::string_view::npos) return true;
    return false;
}

}  // namespace flightrec::replay
