// SPDX-License-Identifier: Apache-2.0
// A folder that stands for /proc, /sys and cgroup mounts, a collector of events, and a count of allocations.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/flight/event_ref.h"
#include "userspace/record/emit.h"

namespace flightrec::record {

// A new folder under the temporary directory, removed at the end.
class FakeTree {
  public:
    FakeTree();
    FakeTree(const FakeTree&) = delete;
    FakeTree& operator=(const FakeTree&) = delete;
    ~FakeTree();
    [[nodiscard]] std::string path(const std::string& name = "") const {
        return root_ + (name.empty() ? "" : "/" + name);
    }
    void write(const std::string& name, std::string_view text) const;  // folders are made as needed
    void link(const std::string& name, const std::string& target) const;
    void remove(const std::string& name) const;
    // proc, sys, cgroup folders below this one.
    [[nodiscard]] SystemPaths paths() const;

    struct Process {
        uint32_t pid = 1;
        uint32_t ppid = 0;
        std::string comm = "init";
        char state = 'S';
        uint64_t flags = 0;
        uint32_t threads = 1;
        uint64_t start = 100;
        uint64_t rss_pages = 10;
        std::string cgroup = "/";
        std::string cmdline = std::string("init\0", 5);
        std::string status_more = {};
    };
    // Writes stat, status, cmdline, exe, cwd, cgroup, oom_score_adj of proc/PID.
    void add_process(const Process& process) const;
    // mountinfo, self/cgroup and an empty version 2 hierarchy at "cg2" (memory and pids there when `controllers`).
    void add_cgroup2(bool controllers) const;
    // Makes the cgroup's folder in cg2 with cgroup.procs.
    void add_cgroup(const std::string& cgroup, std::string_view procs) const;

  private:
    std::string root_;
};

// Keeps copies of what is emitted.
class Collector {
  public:
    Emit emit();
    [[nodiscard]] size_t size() const { return events_.size(); }
    [[nodiscard]] flight::EventRef ref(size_t i) const;
    template <class T>
    [[nodiscard]] T as(size_t i) const {
        return ref(i).as<T>();
    }
    [[nodiscard]] std::optional<std::string> blob(size_t i, uint8_t kind) const;
    [[nodiscard]] uint8_t blob_flags(size_t i, uint8_t kind) const;
    void clear() { events_.clear(); }

  private:
    std::vector<std::vector<uint64_t>> events_;  // 8-aligned
};

// Calls of operator new by this thread.
uint64_t allocations();

}  // namespace flightrec::record
