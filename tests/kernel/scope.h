// SPDX-License-Identifier: Apache-2.0
// Scope: a control group of a test's own, in which commands run and are recorded; gone when the test ends.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/handle.h"
#include "userspace/base/result.h"

namespace flightrec::test {

// Where this machine has its control group hierarchies, from /proc/self/mountinfo (proc(5)).
struct CgroupMounts {
    std::string v2;         // always: the recorder's scope is a version 2 group
    std::string v1_memory;  // empty: no such version 1 hierarchy
    std::string v1_pids;
};
Result<CgroupMounts> find_cgroup_mounts();

struct ScopeOptions {
    std::string name = "scope";                   // shows in the path, for the reader of a recording
    std::optional<std::uint64_t> memory_bytes{};  // memory.max, or memory.limit_in_bytes of version 1
    std::optional<std::uint64_t> pids{};          // pids.max of either version
};

// A process that was started in a scope. Owned by the test; it must be waited for exactly once.
struct Started {
    pid_t pid = -1;
    Fd out;  // memory files that take its standard output and error
    Fd err;
};

struct Finished {
    pid_t pid = -1;
    int status = 0;   // as wait(2) gives it
    rusage usage{};   // wait4(2): the witness for what the recorder says
    std::string out;  // standard output
    std::string err;  // standard error
};

// Move-only; used by one thread. Needs root.
class Scope {
  public:
    // Makes a group "flightrec-NAME-PID-N" below the root of the version 2 hierarchy, and beside it in the version 1
    // hierarchies of memory and pids where those controllers live there. A limit that no hierarchy can set is an
    // error (unsupported), never silently left out.
    static Result<Scope> make(const ScopeOptions& options = {});
    // The same, one level further down. On a pure version 2 machine this scope may then hold no processes itself
    // ("no internal processes", cgroups(7)), so make children before anything runs.
    [[nodiscard]] Result<Scope> child(const ScopeOptions& options);

    Scope(Scope&&) noexcept;
    Scope& operator=(Scope&&) noexcept;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    // Kills what still runs in it (only there) and removes the groups.
    ~Scope();

    // The version 2 directory: what `flightrec record --scope` takes.
    [[nodiscard]] const std::string& path() const { return v2_; }
    // The same below the hierarchy's root: what /proc/PID/cgroup shows after "0::".
    [[nodiscard]] const std::string& relative_path() const { return relative_; }
    // The kernel's id of the group: inode number of the directory.
    [[nodiscard]] std::uint64_t id() const { return id_; }
    // The directory whose memory.* (or pids.*) files hold its limit and counts; version 1 or 2.
    [[nodiscard]] const std::string& memory_path() const { return memory_; }
    [[nodiscard]] const std::string& pids_path() const { return pids_; }
    // Text of a file of one of those directories, without its final newline.
    static Result<std::string> read(const std::string& directory, const std::string& file);

    // Starts a command (argv[0] looked up in PATH) that is in the scope before its exec. The fork itself is still
    // outside. extra_env: "NAME=value".
    [[nodiscard]] Result<Started> start(const std::vector<std::string>& argv,
                                        const std::vector<std::string>& extra_env = {}) const;
    // Waits for it. Also usable after the scope is gone.
    static Result<Finished> wait(Started started);
    // start and wait.
    [[nodiscard]] Result<Finished> run(const std::vector<std::string>& argv,
                                       const std::vector<std::string>& extra_env = {}) const;
    // Moves a process into the scope; 0: the caller.
    [[nodiscard]] Result<void> enter(pid_t pid) const;

  private:
    Scope() = default;
    static Result<Scope> make_below(const CgroupMounts& mounts, const std::string& parent, const ScopeOptions& options);
    void remove();

    CgroupMounts mounts_;
    std::string v2_;
    std::string relative_;
    std::string memory_;
    std::string pids_;
    std::vector<std::string> directories_;  // all it made, one a hierarchy
    std::uint64_t id_ = 0;
};

}  // namespace flightrec::test
