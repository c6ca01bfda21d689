// SPDX-License-Identifier: Apache-2.0
// Names of kernel addresses, from /proc/kallsyms.
//
// Source of facts: Linux kernel/kallsyms.c: "ffffffff81000000 T _stext" and, for modules, a tab and "[name]"; every
// address is zero for a reader without CAP_SYSLOG or with kernel.kptr_restrict = 2.
// Threads: immutable after load(); any thread. Looking up does not allocate.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/result.h"

namespace flightrec::record {

class KernelSymbols {
  public:
    // Reads the functions (types t, T, w, W), sorted. Takes about 40 bytes a function, at most `most_bytes`;
    // modules loaded later are not known until load() is called again. Code::permission when the addresses are hidden,
    // Code::no_space when the table would be larger.
    static Result<KernelSymbols> load(const std::string& path, size_t most_bytes = 24u << 20);

    struct Symbol {
        std::string_view name;
        std::string_view module;  // empty: the kernel itself
        uint64_t offset = 0;      // of the address in the function
    };
    // False when no function begins at or below the address, or it lies 16 MiB or more past the last one.
    bool find(uint64_t address, Symbol& out) const;
    // Writes "name+0x12\n" or "name+0x12 [module]\n" for each address ("0xffff…\n" where it is not known), as many
    // whole lines as fit. This is FR_BLOB_KSTACK_TEXT.
    std::string_view describe(std::span<const uint64_t> addresses, std::span<char> out) const;

    [[nodiscard]] size_t size() const { return entries_.size(); }
    [[nodiscard]] size_t bytes() const;

  private:
    struct Entry {
        uint32_t offset;  // from base_
        uint32_t name;    // in names_: "name\0" or "name\tmodule\0"
    };
    std::vector<Entry> entries_;
    std::vector<char> names_;
    uint64_t base_ = 0;
};

}  // namespace flightrec::record
