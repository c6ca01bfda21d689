// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/memory_stat.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "userspace/base/handle.h"

namespace flightrec::record {
namespace {

// "b\0a\0" as "/a/b"; nothing when it does not fit.
std::optional<std::string_view> path_of_components(std::string_view leaf_first, std::span<char> out) {
    size_t at = out.size();
    while (!leaf_first.empty()) {
        const std::string_view name = take_until(leaf_first, '\0');
        if (name.empty() || name.size() + 1 > at) return std::nullopt;
        at -= name.size();
        name.copy(out.data() + at, name.size());
        out[--at] = '/';
    }
    return std::string_view(out.data() + at, out.size() - at);
}

}  // namespace

Result<MemoryStatReader> MemoryStatReader::make(const SystemPaths& paths, const CgroupLayout& layout) {
    MemoryStatReader out;
    FR_ASSIGN(out.proc_, ProcDir::open(paths.proc));
    out.layout_ = layout;
    return out;
}

std::optional<std::string_view> MemoryStatReader::read(const flight::EventRef& oom_kill, std::span<char> out) const {
    const auto oom = oom_kill.as<fr_oom_kill>();
    if ((oom.flags & FR_OOM_DOMAIN_KNOWN) == 0) {
        // The machine ran out only where the probe saw that no cgroup did.
        if ((oom.flags & FR_OOM_CONTEXT_KNOWN) == 0) return std::nullopt;
        return KeptFile::open(proc_.fd(), "meminfo").read(out);
    }
    const auto blob = flight::find_blob(oom_kill, FR_BLOB_CGROUP);
    const CgroupMount& mount = oom.domain_hierarchy == 0 ? layout_.v2 : layout_.memory;
    if (!blob || !mount.present() || mount.hierarchy != oom.domain_hierarchy) return std::nullopt;
    std::array<char, 4096> path;
    std::array<char, 4352> directory;
    const auto cgroup = path_of_components(blob->text, path);
    if (!cgroup || !mount.directory_of(cgroup->empty() ? "/" : *cgroup, directory)) return std::nullopt;
    const Fd fd(::open(directory.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return std::nullopt;
    return KeptFile::open(fd.get(), "memory.stat").read(out);
}

}  // namespace flightrec::record
