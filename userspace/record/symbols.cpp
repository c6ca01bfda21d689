// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/symbols.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "userspace/base/handle.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {
namespace {

constexpr uint64_t kPastLast = 16u << 20;

struct Line {
    uint64_t address = 0;
    std::string_view name, module;
};

// A function's line; nothing for data and for what is not of the form.
std::optional<Line> parse_line(std::string_view line) {
    Line out;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out.address, 16);
    if (error != std::errc{}) return std::nullopt;
    line.remove_prefix(static_cast<size_t>(end - line.data()));
    if (line.size() < 4 || line[0] != ' ' || line[2] != ' ') return std::nullopt;
    if (std::string_view("tTwW").find(line[1]) == std::string_view::npos) return std::nullopt;
    line.remove_prefix(3);
    out.name = take_until(line, '\t');
    if (line.starts_with('[') && line.ends_with(']')) out.module = line.substr(1, line.size() - 2);
    if (out.name.empty()) return std::nullopt;
    return out;
}

struct Found {
    uint64_t address;
    uint32_t name;
};

// Calls take for each line of the file.
template <class Take>
Result<void> for_each_line(const std::string& path, Take take) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return fail_errno(errno, "cannot open " + path);
    const auto buffer = std::make_unique<std::array<char, 65536>>();
    size_t have = 0;
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer->data() + have, buffer->size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "cannot read " + path);
        if (n == 0) return {};
        std::string_view text(buffer->data(), have + static_cast<size_t>(n));
        while (text.find('\n') != std::string_view::npos) FR_TRY(take(take_until(text, '\n')));
        have = text.size() == buffer->size() ? 0 : text.size();
        std::memmove(buffer->data(), text.data(), have);
    }
}

}  // namespace

Result<KernelSymbols> KernelSymbols::load(const std::string& path, size_t most_bytes) {
    KernelSymbols out;
    std::vector<Found> found;
    uint64_t hidden = 0;
    FR_TRY(for_each_line(path, [&](std::string_view text) -> Result<void> {
        const auto line = parse_line(text);
        if (!line) return {};
        if (line->address == 0) {
            ++hidden;
            return {};
        }
        found.push_back({line->address, static_cast<uint32_t>(out.names_.size())});
        out.names_.insert(out.names_.end(), line->name.begin(), line->name.end());
        if (!line->module.empty()) {
            out.names_.push_back('\t');
            out.names_.insert(out.names_.end(), line->module.begin(), line->module.end());
        }
        out.names_.push_back('\0');
        if (out.names_.size() + found.size() * sizeof(Entry) > most_bytes)
            return fail(Code::no_space, fmt::format("{} has more functions than fit in {} bytes", path, most_bytes));
        return {};
    }));
    if (found.empty() && hidden != 0)
        return fail(Code::permission, path +
                                          " hides the addresses: CAP_SYSLOG and kernel.kptr_restrict below 2 are "
                                          "needed; kernel stacks are recorded without names");
    if (found.empty()) return fail(Code::unsupported, path + " lists no functions");
    std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.address < b.address; });
    out.base_ = found.front().address;
    // All kernel text lies within 2 GiB (x86-64 and arm64 code models); what does not is left out.
    out.entries_.reserve(found.size());
    for (const Found& f : found)
        if (f.address - out.base_ <= UINT32_MAX)
            out.entries_.push_back({static_cast<uint32_t>(f.address - out.base_), f.name});
    out.names_.shrink_to_fit();
    return out;
}

bool KernelSymbols::find(uint64_t address, Symbol& out) const {
    if (entries_.empty() || address < base_ || address - base_ >= entries_.back().offset + kPastLast) return false;
    const uint64_t offset = address - base_;
    auto after = std::upper_bound(entries_.begin(), entries_.end(), offset,
                                  [](uint64_t value, const Entry& e) { return value < e.offset; });
    auto entry = after - 1;
    // Of several names of one address the first of the file, as the kernel itself prints.
    while (entry != entries_.begin() && (entry - 1)->offset == entry->offset) --entry;
    std::string_view text(names_.data() + entry->name);
    out.name = take_until(text, '\t');
    out.module = text;
    out.offset = offset - entry->offset;
    return true;
}

std::string_view KernelSymbols::describe(std::span<const uint64_t> addresses, std::span<char> out) const {
    size_t size = 0;
    for (const uint64_t address : addresses) {
        Symbol symbol;
        std::array<char, 512> line;
        auto written = fmt::format_to_n(line.data(), 0, "");
        if (!find(address, symbol))
            written = fmt::format_to_n(line.data(), line.size(), "{:#x}\n", address);
        else if (symbol.module.empty())
            written = fmt::format_to_n(line.data(), line.size(), "{}+{:#x}\n", symbol.name, symbol.offset);
        else
            written = fmt::format_to_n(line.data(), line.size(), "{}+{:#x} [{}]\n", symbol.name, symbol.offset,
                                       symbol.module);
        if (written.size > line.size() || size + written.size > out.size()) break;
        std::memcpy(out.data() + size, line.data(), written.size);
        size += written.size;
    }
    return {out.data(), size};
}

size_t KernelSymbols::bytes() const { return entries_.capacity() * sizeof(Entry) + names_.capacity(); }

}  // namespace flightrec::record
