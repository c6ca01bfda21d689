// SPDX-License-Identifier: Apache-2.0
// The samples taken every second: the machine, its control groups, its largest and fastest growing processes and
// the tasks that wait uninterruptibly.
//
// Source of facts: proc(5), Documentation/accounting/psi.rst, Documentation/admin-guide/cgroup-v2.rst and
// cgroup-v1/memory.rst. Units as in schemas/flightrec/event.h; what cannot be read is FR_UNKNOWN (32-bit fields:
// UINT32_MAX).
// Threads: each sampler belongs to the recorder's thread. After make() nothing allocates and nothing forks. Files
// with one instance are held open; of processes they are opened one at a time.
// In a scope nothing of a process or cgroup outside it gets into an event; machine-wide numbers do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "schemas/flightrec/kernel_interface.h"
#include "userspace/base/result.h"
#include "userspace/record/cgroups.h"
#include "userspace/record/emit.h"
#include "userspace/record/function_ref.h"

namespace flightrec::record {

// One fr_system_sample of the whole machine.
class SystemSampler {
  public:
    // Fails only when the proc root cannot be opened: files that are not there give FR_UNKNOWN.
    // `window`: the file whose file system's free space is told too; empty: not known.
    static Result<SystemSampler> make(const SystemPaths& paths, const std::string& window = {});
    SystemSampler(SystemSampler&&) noexcept;
    SystemSampler& operator=(SystemSampler&&) noexcept;
    ~SystemSampler();

    void sample(const Emit& emit);
    // The sample taken last.
    [[nodiscard]] const fr_system_sample& last() const;
    // Tasks are blocked or memory or IO pressure was seen in the last ten seconds: worth looking at every thread.
    [[nodiscard]] bool stalled() const;

  private:
    struct Impl;
    explicit SystemSampler(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

struct ProcessSamplerConfig {
    uint32_t top = 15;                // processes by resident set, and as many by growth
    uint32_t blocked = 64;            // tasks in state D, at most
    uint64_t budget_ns = 10'000'000;  // CPU time a sample may spend on looking at processes (1 % of a second)
    uint32_t capacity = 32768;        // processes whose last size is remembered (40 bytes each)
};

// fr_process_sample of the largest processes, of those that grow fastest and of every task found in state D.
//
// With a task list (use(); the kernel's own iterator) a sample sees every process and every blocked task: 0.5 µs each.
// Without, it looks at the processes that were large, grew or were blocked before, then goes through the others for as
// long as its budget lasts and goes on from there in the next one. A look is one open, read and close of PID/stat
// (13 µs measured on a small virtual machine under load), so the default budget sees some 700 processes a sample:
// up to that many are all seen every time, 10,000 take a dozen samples (three when stalled). `growth` is since the
// process was looked at before; a process seen for the first time has none.
// When then `stalled` (SystemSampler::stalled) the threads of a process are looked at too, for those in state D, and
// the budget is five times as large; else only leaders are seen.
class ProcessSampler {
  public:
    static Result<ProcessSampler> make(const SystemPaths& paths, const CgroupLayout& layout, const Scope& scope,
                                       const ProcessSamplerConfig& config = {});
    ProcessSampler(ProcessSampler&&) noexcept;
    ProcessSampler& operator=(ProcessSampler&&) noexcept;
    ~ProcessSampler();

    // Calls its argument for every process in scope and every blocked task; false: it could not, /proc is read this
    // time.
    using TaskList = std::function<bool(FunctionRef<void(const fr_task_look&)>)>;
    void use(TaskList tasks);
    void sample(const Emit& emit, bool stalled = false);

    struct Stats {
        uint64_t passes = 0;        // over all processes
        uint64_t last_pass_ns = 0;  // wall time of the last complete one
        uint32_t processes = 0;     // seen by it
        uint64_t last_cpu_ns = 0;   // of the last sample
    };
    [[nodiscard]] const Stats& stats() const;

  private:
    struct Impl;
    explicit ProcessSampler(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

struct CgroupSamplerConfig {
    uint32_t limit = 64;         // cgroups sampled in each hierarchy; up to eleven descriptors each
    uint32_t rescan_every = 10;  // samples between two looks at the whole tree
    uint32_t scan_limit = 2000;  // cgroups looked at to find the largest
};

// A cgroup whose memory limit (max, high) was hit since the sample before gives an fr_alloc_failure (FR_ALLOC_CGROUP)
// too, whether or not somebody was killed. fr_cgroup_sample of the largest cgroups (by memory.current; by pids.current
// where the hierarchy has pids alone). In the version 1 layout memory and pids are hierarchies of their own and give
// records of their own. Of a cgroup made after the first rescan all hits are told, of an
// older one those since it was sampled first. A cgroup that is made between two rescans is sampled after the next one;
// rescan() brings it forward.
class CgroupSampler {
  public:
    static Result<CgroupSampler> make(const CgroupLayout& layout, const Scope& scope,
                                      const CgroupSamplerConfig& config = {});
    CgroupSampler(CgroupSampler&&) noexcept;
    CgroupSampler& operator=(CgroupSampler&&) noexcept;
    ~CgroupSampler();

    void sample(const Emit& emit);
    void rescan();                               // the next sample looks at the whole tree first
    void cgroup_made();                          // the same, where there are not so many that this costs too much
    [[nodiscard]] uint32_t tracked() const;      // cgroups sampled now
    [[nodiscard]] uint32_t not_sampled() const;  // seen by the last rescan, but above the limit

  private:
    struct Impl;
    explicit CgroupSampler(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::record
