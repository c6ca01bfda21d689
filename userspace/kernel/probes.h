// SPDX-License-Identifier: Apache-2.0
// The BPF programs: loading, choosing variants, attaching; access to the rings and settings. The only folder that
// includes libbpf.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "schemas/flightrec/event.h"
#include "schemas/flightrec/kernel_interface.h"
#include "userspace/base/result.h"
#include "userspace/kernel/capabilities.h"
#include "userspace/kernel/ring_reader.h"

namespace flightrec::kernel {

// A cgroup of the version 2 hierarchy whose processes, and those of its descendants, are recorded.
struct ScopeCgroup {
    uint64_t id = 0;     // inode number of its directory
    uint32_t level = 0;  // 0: the root
    // From the hierarchy's root, "/a/b": by it the programs know the cgroup again when it is removed and made anew
    // (paths of FR_SCOPE_PATH bytes and more they do not).
    std::string path;
};

struct ProbeOptions {
    uint32_t vital_ring = 512u << 10;     // bytes per CPU, a power of two, 128 KiB … 2 MiB
    uint32_t syscall_ring = 1024u << 10;  // the same
    std::vector<ScopeCgroup> scope;       // at most FR_SCOPE_MAX; empty: the whole machine
    uint32_t string_limit = 256;          // bytes, at most FR_STRING_MAX
    uint64_t classes_off = 0;             // bit n: class n is not produced
    bool syscalls = true;                 // false: nothing is attached to system calls at all
    bool durations = true;                // false: sys_enter is left alone; entry times are unknown
    // By number; missing ones: recorded without strings. All FR_RULE_NONE: sys_enter is left alone, and sys_exit, too,
    // where failures are seen at the functions themselves (but those of 32-bit programs).
    std::vector<fr_syscall_rule> rules;
    bool attach = true;  // false: load only (doctor's dry run uses an empty scope instead)
    std::string pins;    // folder in bpffs for maps and links; empty: they end with the process
    // Payload hash of the last block of each track in the window that the last recorder left, 0: none (pins.h,
    // resolve).
    std::array<uint64_t, FR_TRACK_COUNT> last_blocks{};
};

// What a system call costs with empty programs attached, in ns: of this machine, measured when they were attached with
// calls of the recorder itself, which the programs leave at once.
struct SyscallFloor {
    double exit = 0;  // sys_exit alone
    double both = 0;  // and sys_enter
};

// Loaded and attached programs. Detaches and unloads when destroyed. One thread, but doorbell_fd() may be polled by it.
class Probes {
  public:
    // Errors: permission (not root or a capability missing), unsupported (no BTF, no BPF; says what is missing),
    // no_space. A capability that no variant of works for is no error, but its report says why; when nothing at all
    // could be attached, that is Code::unsupported.
    static Result<Probes> load(const ProbeOptions& options);
    Probes(Probes&&) noexcept;
    Probes& operator=(Probes&&) noexcept;
    ~Probes();

    [[nodiscard]] const std::vector<CapabilityReport>& report() const;
    [[nodiscard]] RingReader& vital();
    [[nodiscard]] RingReader& syscalls();
    [[nodiscard]] int doorbell_fd() const;  // readable when a trigger's event was recorded
    // Empties the doorbell; calls nothing when it was not rung.
    void drain_doorbell(void (*rung)(void*, const fr_doorbell&), void* context);
    // Every process in scope, and every blocked thread, by the task iterator; false: there is none, or it failed
    // midway. A process that starts or ends meanwhile may be seen or not. Never allocates.
    [[nodiscard]] bool each_task(void (*look)(void*, const fr_task_look&), void* context) const;
    [[nodiscard]] fr_control& control();  // shared with the programs: plain stores
    [[nodiscard]] std::span<fr_syscall_rule> rules();
    [[nodiscard]] std::span<const fr_syscall_entry> entries() const;  // calls that have not returned
    [[nodiscard]] std::span<const fr_thread_calls> thread_calls() const;
    [[nodiscard]] uint64_t memory() const;  // bytes of kernel memory in maps
    // The programs walk from tasks by bpf_rdonly_cast(). Without it (before 6.2, where nothing is lost by that) the
    // kernel's verifier searches all of its types for every pointer, and a start takes some 100 ms longer.
    [[nodiscard]] bool casts() const;
    [[nodiscard]] uint32_t cpus() const;         // possible ones: as many rings
    [[nodiscard]] uint32_t online_cpus() const;  // when the programs were loaded
    // Attaches and detaches the programs of system calls while all others go on; the entry is attached only with the
    // exit. Entries seen before a detachment do not count afterwards. Code::unsupported where they are not there or
    // pinned.
    Result<void> attach_syscalls(bool enter, bool exit);
    [[nodiscard]] bool can_detach() const;  // attach_syscalls() works
    [[nodiscard]] SyscallFloor floor() const;
    // How often each attached program was not run because it was running on that CPU already (interrupts), as of now:
    // what happened then was not looked at. Of the class that the program records (FR_CLASS_NONE: none, or events that
    // only rarely come of a run). Source: recursion_misses of /proc/self/fdinfo (kernel/bpf/syscall.c, 5.12);
    // tracepoint programs count them from 6.2, kprobes from 6.7. Nothing where an earlier recorder's programs run on.
    struct Misses {
        std::string_view program;
        uint8_t cls = FR_CLASS_NONE;
        uint64_t count = 0;
    };
    [[nodiscard]] std::span<const Misses> misses() const;  // until the next call
    // Stops producing; the rings stay readable. With pins kept: the programs go on, and only this process leaves.
    void detach();

    // ---- with ProbeOptions::pins (pins.h) ----
    // What was found: "continues …", "… of another version or configuration: started anew"; empty without pins.
    [[nodiscard]] const std::string& pins_found() const;
    [[nodiscard]] bool continues() const;         // the programs of an earlier recorder, from its cursors
    [[nodiscard]] uint64_t stored_until() const;  // boot time at which the earlier one saved its cursors; 0: none
    // Pins everything, so that it outlives this process. What is called last of the start. Nothing without pins.
    Result<void> keep();
    // prepare(): a block of the track (its payload's hash) is about to be stored, with everything handed out so far; a
    // vital one ends with a ledger of what totals(…, true) of both rings told. stored(): it was. The next recorder goes
    // on behind it, whenever this one is killed. They make no system call.
    void prepare(uint8_t track, uint64_t block);
    void stored(uint8_t track);

  private:
    struct Impl;
    explicit Probes(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::kernel
