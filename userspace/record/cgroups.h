// SPDX-License-Identifier: Apache-2.0
// Control groups: where they are mounted (version 1 and 2), paths and ids, the scope.
//
// Source of facts: cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/; Linux kernel/cgroup/cgroup.c
// (the id of a version 2 cgroup is the inode number of its directory; open_by_handle_at(2) finds it by that id).
// Threads: values, and free functions usable from any thread. Unless said otherwise nothing allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/event_builder.h"
#include "userspace/record/emit.h"
#include "userspace/record/function_ref.h"

namespace flightrec::record {

// A mounted hierarchy. Paths of cgroups are those of /proc/PID/cgroup: from the root of the reader's namespace.
struct CgroupMount {
    std::string directory;   // where it is mounted; empty: not mounted
    std::string root = "/";  // which cgroup stands at `directory` (mountinfo's fourth field)
    uint64_t hierarchy = 0;  // 0: version 2, else the version 1 hierarchy's number in /proc/cgroups
    [[nodiscard]] bool present() const { return !directory.empty(); }
    // Writes the directory of a cgroup path, NUL-ended, to `out`; false when it is outside the mount or too long.
    bool directory_of(std::string_view path, std::span<char> out) const;
};

struct CgroupLayout {
    CgroupMount v2;
    CgroupMount memory;  // where memory.* files are: the version 1 hierarchy, or a copy of v2
    CgroupMount pids;
};
// Reads self/mountinfo, self/cgroup and cgroup.controllers. Allocates. Absent hierarchies are left empty.
Result<CgroupLayout> find_cgroups(const SystemPaths& paths);

// What may be looked at: everything, or some cgroups and all below them. In version 1 hierarchies a scope covers the
// cgroups of the same paths, as systemd's hybrid layout names them.
class Scope {
  public:
    Scope() = default;  // the whole machine
    // Paths from the root of the version 2 hierarchy: "/a/b". Code::usage for one that is relative or holds "..".
    static Result<Scope> make(std::vector<std::string> paths);
    [[nodiscard]] bool whole_machine() const { return paths_.empty(); }
    [[nodiscard]] bool covers(std::string_view cgroup_path) const;
    [[nodiscard]] const std::vector<std::string>& paths() const { return paths_; }

  private:
    std::vector<std::string> paths_;
};

// Id of a cgroup: the inode number of its directory; 0 when it does not exist.
uint64_t cgroup_id_of(const CgroupMount& mount, std::string_view path);
// Path of a version 2 cgroup by id, in `out`; nothing when it is gone or may not be opened (needs
// CAP_DAC_READ_SEARCH, else the tree is searched, at most 100,000 directories).
std::optional<std::string_view> cgroup_path_of(const CgroupMount& mount, uint64_t id, std::span<char> out);

struct CgroupEntry {
    std::string_view path;       // of the cgroup
    std::string_view directory;  // where it is, NUL-ended
    int fd = -1;                 // its directory, open during the call
    uint64_t id = 0;
    uint32_t level = 0;  // 0: the root of the hierarchy
};
// Parents first, within the scope; at most `limit` cgroups, 32 levels below where it starts. visit returns false to
// end the walk. Returns how many were visited.
size_t walk_cgroups(const CgroupMount& mount, const Scope& scope, size_t limit,
                    FunctionRef<bool(const CgroupEntry&)> visit);

// Emits FR_CLASS_CGROUP EXISTS records of the hierarchy. Returns how many.
size_t emit_cgroups(const CgroupMount& mount, const Scope& scope, size_t limit, flight::EventBuilder& builder,
                    const Emit& emit);

// Writes "/a/b" as "b\0a\0", the form of FR_BLOB_CGROUP; nothing when it does not fit. "/" is empty.
std::optional<std::string_view> components_of(std::string_view path, std::span<char> out);

}  // namespace flightrec::record
