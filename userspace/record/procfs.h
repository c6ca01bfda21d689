// SPDX-License-Identifier: Apache-2.0
// Reading /proc without allocating: parsers for its files, directories and files kept open, and the first look at
// every process that runs.
//
// Source of facts: proc(5); Linux fs/proc/array.c (stat, status), fs/proc/base.c, Documentation/filesystems/proc.rst.
// Threads: each object belongs to one thread. Parsers are pure. Nothing here throws; after make() nothing allocates.
// Process ids are those of the pid namespace that the proc mount shows: the recorder runs in the initial one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "userspace/base/handle.h"
#include "userspace/base/result.h"
#include "userspace/flight/event_builder.h"
#include "userspace/record/cgroups.h"
#include "userspace/record/emit.h"
#include "userspace/record/function_ref.h"

namespace flightrec::record {

// The value, or the largest that fits.
inline uint32_t narrow(uint64_t value) { return static_cast<uint32_t>(value < UINT32_MAX ? value : UINT32_MAX); }

// ---- text ----------------------------------------------------------------------------------------------------

// Takes a decimal number off the front, leading blanks skipped; nothing (and s unchanged) when there is none or it
// does not fit in 64 bits.
std::optional<uint64_t> take_number(std::string_view& s);
std::optional<int64_t> take_signed(std::string_view& s);
// Takes the text up to the next `end` (which is dropped) off the front, or all that is left.
std::string_view take_until(std::string_view& s, char end);
// The number after the line-starting `key`: value_of("MemFree:   12 kB\n", "MemFree:") is 12.
std::optional<uint64_t> value_of(std::string_view text, std::string_view key);

// ---- /proc/PID -----------------------------------------------------------------------------------------------

// /proc/PID/stat and /proc/PID/task/TID/stat. Times are clock ticks (sysconf(_SC_CLK_TCK)), rss is pages.
struct ProcStat {
    uint32_t pid = 0;
    uint32_t ppid = 0;
    char state = 0;         // R S D Z T t X I
    std::string_view comm;  // within the parsed text; any bytes, at most 15 of a user process
    uint64_t flags = 0;     // PF_* of the kernel's sched.h
    uint64_t min_faults = 0, maj_faults = 0;
    uint64_t utime = 0, stime = 0;
    uint32_t threads = 0;
    uint64_t start = 0;  // ticks after boot (boot time axis), rounded down
    uint64_t vsize = 0;  // bytes
    uint64_t rss = 0;    // pages
    [[nodiscard]] bool kernel_thread() const { return (flags & 0x00200000u) != 0; }  // PF_KTHREAD
};
// Nothing when the text is not of that form (cut, empty, a process that is going away).
std::optional<ProcStat> parse_stat(std::string_view text);

// /proc/PID/status. Sizes are bytes, FR_UNKNOWN where the file has no such line (kernel threads, zombies).
struct ProcStatus {
    uint32_t tgid = 0, pid = 0, ppid = 0;
    uint32_t uid = 0, gid = 0;  // real
    uint32_t euid = 0, egid = 0;
    uint32_t ns_pid = 0;    // in the innermost pid namespace
    uint32_t ns_depth = 1;  // how many pid namespaces, seen from this one
    uint32_t threads = 0;
    uint32_t fd_size = 0;  // slots of the descriptor table: an upper bound of the open ones
    uint64_t vm_size = FR_UNKNOWN, vm_locked = FR_UNKNOWN, vm_peak_rss = FR_UNKNOWN, vm_rss = FR_UNKNOWN;
    uint64_t rss_anon = FR_UNKNOWN, rss_file = FR_UNKNOWN, rss_shmem = FR_UNKNOWN;
    uint64_t page_tables = FR_UNKNOWN, swap = FR_UNKNOWN;
};
std::optional<ProcStatus> parse_status(std::string_view text);

// The version 2 line "0::/path" of /proc/PID/cgroup, without " (deleted)"; nothing where there is none.
std::optional<std::string_view> cgroup_v2_path(std::string_view text);
// The path in the version 1 hierarchy that has `controller` ("memory", "pids").
std::optional<std::string_view> cgroup_v1_path(std::string_view text, std::string_view controller);

// Nanoseconds on the boot time axis of `ticks` after boot.
uint64_t ns_of_ticks(uint64_t ticks);

// The GNU build id of an open ELF file (elf(5)), in `out`; returns its length, 0 when it has none.
uint32_t build_id_of_file(int fd, std::span<uint8_t> out);

// ---- directories and files -----------------------------------------------------------------------------------

// The entries of an open directory, getdents64(2), from a buffer of the caller's. Does not own the descriptor.
class DirReader {
  public:
    DirReader(int fd, std::span<char> buffer) : fd_(fd), buffer_(buffer) {}
    struct Entry {
        std::string_view name;   // valid until the next call
        unsigned char type = 0;  // DT_*
    };
    std::optional<Entry> next();  // never "." or ".."
    void rewind();

  private:
    int fd_;
    std::span<char> buffer_;
    size_t at_ = 0, have_ = 0;
};

// A file that is kept open and read again from its start (proc, sysfs and cgroup files give fresh text).
class KeptFile {
  public:
    KeptFile() = default;
    // An absent file gives a KeptFile that always reads as nothing.
    static KeptFile open(int dir_fd, const char* path);
    [[nodiscard]] bool valid() const { return fd_.valid(); }
    // Text in `buffer`; nothing when it cannot be read. Text longer than the buffer is cut.
    [[nodiscard]] std::optional<std::string_view> read(std::span<char> buffer) const;
    // The one number of a file like cgroup's memory.current; "max" is FR_NO_LIMIT, unreadable FR_UNKNOWN.
    [[nodiscard]] uint64_t read_number() const;

  private:
    Fd fd_;
};

// /proc held open.
class ProcDir {
  public:
    static Result<ProcDir> open(const std::string& path);
    [[nodiscard]] int fd() const { return fd_.get(); }
    // The text of PID/name ("stat", "task/12/stat"); *cut is set when it is longer than the buffer.
    [[nodiscard]] std::optional<std::string_view> read(uint32_t pid, const char* name, std::span<char> buffer,
                                                       bool* cut = nullptr) const;
    [[nodiscard]] std::optional<std::string_view> read_link(uint32_t pid, const char* name, std::span<char> buffer,
                                                            bool* cut = nullptr) const;
    // Open descriptors of a process: exact from Linux 6.2 on (st_size of PID/fd); before, counted up to 1,024 and
    // above that the size of the descriptor table (an upper bound). 0 when it cannot be seen.
    [[nodiscard]] uint32_t count_fds(uint32_t pid, uint32_t fd_size, std::span<char> buffer) const;

  private:
    Fd fd_;
};

// Walks the process ids that may be looked at: all of /proc or, in a scope, what cgroup.procs lists below it
// (nothing outside the scope is opened). Keeps its place between calls.
class ProcessList {
  public:
    static Result<ProcessList> make(const SystemPaths& paths, const CgroupLayout& layout, const Scope& scope);
    // Calls visit for each id until it returns false, then remembers the place. True when the list's end was
    // reached; the next call starts anew.
    bool walk(FunctionRef<bool(uint32_t pid)> visit);
    void restart();

  private:
    bool walk_scope(FunctionRef<bool(uint32_t pid)> visit);
    Fd proc_;
    std::unique_ptr<std::array<char, 32768>> buffer_;
    std::unique_ptr<DirReader> reader_;
    CgroupLayout layout_;
    Scope scope_;
    uint64_t done_ = 0;  // scope: ids already visited in this pass
    uint32_t pending_ = 0;
};

// ---- the first look ------------------------------------------------------------------------------------------

// Emits FR_CLASS_PROCESS records (and FR_CLASS_FD) of processes that run now.
// Not promised: a process that starts or ends during a scan may be seen or not; its facts are read one after the
// other and may straddle an exec. start_ns is the kernel's start time rounded down to a clock tick (10 ms): compare
// with a probe's start time accordingly.
class ProcessScanner {
  public:
    static Result<ProcessScanner> make(const SystemPaths& paths, const CgroupLayout& layout, const Scope& scope);
    ProcessScanner(ProcessScanner&&) noexcept;
    ProcessScanner& operator=(ProcessScanner&&) noexcept;
    ~ProcessScanner();

    // Every process in scope; `before` sets FR_PROCESS_BEFORE. Returns how many were emitted.
    size_t scan(const Emit& emit, bool before = true);
    // One process; false when it is gone or out of scope.
    bool emit_process(uint32_t pid, const Emit& emit, bool before = true);
    // Its open descriptors, at most `limit`; returns how many were emitted.
    size_t emit_fds(uint32_t pid, const Emit& emit, size_t limit = 1024);
    // What is mapped executable in it, one FR_CLASS_MODULE a mapping of a file, with the file's build id; at most
    // `limit`. 0: it is gone already. A process that dumps core stays long enough, others mostly do not.
    size_t emit_modules(uint32_t pid, const Emit& emit, size_t limit = 512);

  private:
    struct Impl;
    explicit ProcessScanner(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::record
