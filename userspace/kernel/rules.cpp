// SPDX-License-Identifier: Apache-2.0
#include "userspace/kernel/rules.h"

#include <fmt/format.h>

#include "schemas/syscalls/syscalls.h"

namespace flightrec::kernel {
namespace {

using schemas::CaptureType;

uint8_t kind_of(std::string_view name) {
    if (name == "fork" || name == "vfork" || name == "clone" || name == "clone3") return FR_SYSCALL_FORKS;
    if (name == "execve" || name == "execveat") return FR_SYSCALL_EXECS;
    if (name == "brk") return FR_SYSCALL_BRK;
    if (name == "mremap") return FR_SYSCALL_REMAP;
    for (const std::string_view memory : {"mmap", "mprotect", "pkey_mprotect", "munmap", "madvise", "mlock", "mlock2"})
        if (name == memory) return FR_SYSCALL_MEMORY;
    return FR_SYSCALL_PLAIN;
}

constexpr uint8_t capture_type(CaptureType type) {
    switch (type) {
        case CaptureType::string: return FR_CAPTURE_STRING;
        case CaptureType::string_counted: return FR_CAPTURE_STRING_COUNTED;
        case CaptureType::string_result: return FR_CAPTURE_STRING_RESULT;
        case CaptureType::argv: return FR_CAPTURE_ARGV;
        case CaptureType::data: return FR_CAPTURE_DATA;
        case CaptureType::data_counted: return FR_CAPTURE_DATA_COUNTED;
        case CaptureType::sockaddr: return FR_CAPTURE_SOCKADDR;
        case CaptureType::sockaddr_by_ptr: return FR_CAPTURE_SOCKADDR_BY_PTR;
        case CaptureType::none: break;
    }
    return FR_CAPTURE_NONE;
}

fr_syscall_rule rule_of(const schemas::SyscallInfo& info, bool captures) {
    fr_syscall_rule rule{};
    rule.kind = kind_of(info.name);
    rule.at_entry = info.may_not_return || info.strings_at_entry;
    if (!captures && !info.strings_at_entry) return rule;
    const schemas::SyscallCapture wanted = schemas::capture_of(info, schemas::host_arch());
    rule.condition_arg = wanted.condition.arg;
    rule.condition_mask = wanted.condition.and_mask;
    rule.condition_values = wanted.condition.values;
    for (uint8_t i = 0; i < info.nargs && rule.captures < FR_CAPTURES_MAX; ++i) {
        const schemas::ArgCapture& a = wanted.args[i];
        if (a.type == CaptureType::none || (a.at_entry && !rule.at_entry)) continue;
        fr_capture& c = rule.capture[rule.captures++];
        c.type = capture_type(a.type);
        c.arg = i;
        c.length_arg = a.length_arg;
        c.size = a.size;
        c.max = a.max;
        c.flags =
            static_cast<uint8_t>((a.on_success ? FR_CAPTURE_ON_SUCCESS : 0) | (a.at_entry ? FR_CAPTURE_AT_ENTRY : 0) |
                                 (a.conditional ? FR_CAPTURE_CONDITIONAL : 0));
    }
    return rule;
}

// Sets the actions for a list of names; everything else is switched off.
Result<void> choose_names(std::string_view list, std::vector<fr_syscall_rule>& rules) {
    for (fr_syscall_rule& rule : rules) rule.action = FR_RULE_NONE;
    while (!list.empty()) {
        std::string_view name = list.substr(0, list.find(','));
        list.remove_prefix(name.size() < list.size() ? name.size() + 1 : list.size());
        uint8_t action = FR_RULE_ALL;
        if (name.ends_with(":failed")) {
            action = FR_RULE_FAILED;
            name.remove_suffix(7);
        }
        const auto* info = schemas::find_syscall(schemas::host_arch(), name);
        if (!info)
            return fail(Code::usage, fmt::format("'{}' is no system call of this machine: give all, failed, none or "
                                                 "names with commas, as in openat,connect",
                                                 name));
        rules[static_cast<size_t>(info->number(schemas::host_arch()))].action = action;
    }
    return {};
}

}  // namespace

Result<std::vector<fr_syscall_rule>> make_rules(std::string_view choice, bool captures) {
    std::vector<fr_syscall_rule> rules(FR_SYSCALL_RULES);
    for (uint32_t nr = 0; nr < FR_SYSCALL_RULES; ++nr)
        if (const auto* info = schemas::find_syscall(schemas::host_arch(), nr)) rules[nr] = rule_of(*info, captures);
    if (choice == "all" || choice.empty()) return rules;
    if (choice == "failed" || choice == "none") {
        for (fr_syscall_rule& rule : rules) rule.action = choice == "none" ? FR_RULE_NONE : FR_RULE_FAILED;
        return rules;
    }
    FR_TRY(choose_names(choice, rules));
    return rules;
}

const std::array<uint8_t, FR_SYSCALL_RULES>& argument_counts() {
    static const auto counts = [] {
        std::array<uint8_t, FR_SYSCALL_RULES> out;
        out.fill(6);
        for (uint32_t nr = 0; nr < FR_SYSCALL_RULES; ++nr)
            if (const auto* info = schemas::find_syscall(schemas::host_arch(), nr)) out[nr] = info->nargs;
        return out;
    }();
    return counts;
}

}  // namespace flightrec::kernel
