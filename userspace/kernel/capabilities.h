// SPDX-License-Identifier: Apache-2.0
// What flightrec can record, and by which BPF programs, best first; what this kernel took of it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flightrec::kernel {

enum class Attach { tracepoint, fentry, fexit, kprobe, iterator };

// One way to obtain a capability. Static data.
struct Variant {
    std::string_view program;  // its name in bpf/
    Attach attach;
    std::string_view target;  // tracepoint, kernel function or what is iterated
    std::string_view loses;   // what is lost against the best variant; empty for the best
};

struct CapabilitySpec {
    std::string_view name;     // "exec", "oom kills", …
    std::string_view records;  // one line: what it gives
    std::string_view without;  // what is lost when no variant works
    bool all = false;          // true: the "variants" are all attached (parts of one capability)
    std::span<const Variant> variants;
};

// Every capability, in the order in which doctor prints them.
[[nodiscard]] std::span<const CapabilitySpec> capability_specs();

inline constexpr std::string_view not_needed = "not needed";

struct VariantReport {
    const Variant* variant = nullptr;
    bool taken = false;
    std::string refused;  // why not, or `not_needed`; empty when taken or after one that was
};

struct CapabilityReport {
    const CapabilitySpec* spec = nullptr;
    std::vector<VariantReport> variants;
    [[nodiscard]] bool available() const {
        for (const auto& v : variants)
            if (v.taken) return true;
        return false;
    }
};

// "tracepoint mm_page_alloc", "fentry oom_kill_process", …
[[nodiscard]] std::string describe(const Variant& variant);

}  // namespace flightrec::kernel
