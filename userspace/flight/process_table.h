// SPDX-License-Identifier: Apache-2.0
// The processes that exist, as events tell: what keyframes hold. The recorder keeps one to write keyframes from, replay
// one to say who is who. Bounded; all memory is taken by make(), nothing allocates afterwards (but for find's callers).
// One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/block.h"
#include "userspace/flight/event_builder.h"
#include "userspace/flight/event_ref.h"

namespace flightrec::flight {

struct Process {
    static constexpr size_t argv_max = 512, exe_max = 256;

    uint32_t pid = 0;
    uint32_t ppid = 0;          // as it was when last told; a process whose parent has died is not told of its new one
    bool parent_known = false;  // ppid 0 with this set: there is no parent (init, kthreadd)
    bool kernel_thread = false;
    bool before = false;  // was running before the recorder started
    bool exited = false;
    bool zombie = false;     // has ended and is not waited for (as /proc told)
    bool inherited = false;  // argv, exe and comm are the parent's: no exec of its own was seen
    bool argv_cut = false, exe_cut = false;
    uint32_t uid = 0, gid = 0;
    uint32_t threads = 1;
    uint32_t pidns = 0, ns_pid = 0;
    int32_t oom_score_adj = 0;
    uint32_t exit_code = 0;
    uint64_t start_ns = 0;  // with pid, its identity; 0: not known
    uint64_t exit_ns = 0;
    uint64_t exec_ns = 0;  // last exec seen, 0: none
    uint64_t fork_ns = 0;  // when it was seen to begin, 0: not seen
    uint64_t cgroup_id = 0;
    char comm_bytes[FR_COMM_LEN] = {};

    [[nodiscard]] std::string_view comm() const;
    [[nodiscard]] std::string_view argv() const { return {argv_bytes, argv_size}; }  // NUL-separated
    [[nodiscard]] std::string_view exe() const { return {exe_bytes, exe_size}; }     // empty: not known

    uint16_t argv_size = 0, exe_size = 0;
    char argv_bytes[argv_max];
    char exe_bytes[exe_max];
};

// Whether two start times are of one process: /proc/PID/stat gives them in clock ticks (10 ms), the kernel in ns, and 0
// is not known.
[[nodiscard]] bool same_start(uint64_t a, uint64_t b);

class ProcessTable {
  public:
    struct Options {
        size_t capacity = 16384;
        // So many exited processes stay as long as there is room, oldest out first. Replay keeps all. The recorder
        // applies the events of one CPU after another's, an exit perhaps before the fork: 0 would let the dead rise
        // again.
        size_t exited_max = 0;
    };
    static Result<ProcessTable> make(const Options& options);
    ProcessTable(ProcessTable&&) noexcept;
    ProcessTable& operator=(ProcessTable&&) noexcept;
    ~ProcessTable();

    // Takes EXEC, FORK, EXIT, RENAME, CGROUP_ATTACH (version 2) and PROCESS; any other class is ignored.
    void apply(const EventRef& event);

    // The latest process of this pid, exited or not; nullptr: not known. Valid until the next apply().
    [[nodiscard]] const Process* find(uint32_t pid) const;
    // The one that began at start_ns (see same_start).
    [[nodiscard]] const Process* find_at(uint32_t pid, uint64_t start_ns) const;
    // The one of this pid that was alive at a time (fork_ns or start_ns up to exit_ns), else nullptr.
    [[nodiscard]] const Process* find_alive(uint32_t pid, uint64_t time_ns) const;
    void for_each(const std::function<void(const Process&)>& visit) const;
    [[nodiscard]] size_t size() const;  // exited ones included
    [[nodiscard]] size_t alive() const;
    // Processes that found no place or had to go for others while they were alive.
    [[nodiscard]] uint64_t dropped() const;
    void clear();

    // Adds a PROCESS record for every living process. `full` is called when the encoder takes no more: it finishes and
    // appends the block and returns true to go on. Returns how many records were written.
    size_t write_keyframe(EventBlockEncoder& encoder, uint64_t time_ns, const std::function<bool()>& full) const;

  private:
    struct Impl;
    explicit ProcessTable(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::flight
