// SPDX-License-Identifier: Apache-2.0
// The state of the machine at a moment of a flight: processes, threads, cgroups and open files, built by applying
// events in time order to the keyframe they follow.
//
// Value types, no rendering. One thread. Grows with what the file names (processes and distinct file names), never with
// the number of system calls; limits below. Nothing is guessed: what no event told is empty, and "the parent is not
// known" differs from "there is no parent".
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "schemas/syscalls/syscalls.h"
#include "userspace/flight/event_ref.h"
#include "userspace/replay/early_names.h"

namespace flightrec::replay {

using schemas::Arch;

enum class Parent : uint8_t {
    unknown,  // nobody told
    none,     // pid 1, kernel threads' root
    known,
};

using ProcessIndex = uint32_t;
inline constexpr ProcessIndex no_process = std::numeric_limits<ProcessIndex>::max();

// Open files of one process. A name is an index into the state's names; 0 is "not known".
struct FdTable {
    std::vector<uint32_t> names;  // by fd; the top bit: close-on-exec
};

// One life of a pid: from fork (or first sight) to exit.
struct Process {
    uint32_t pid = 0;
    uint32_t ppid = 0;                 // as it was when last told; the kernel re-parents orphans
    uint64_t start_ns = 0;             // CLOCK_BOOTTIME; 0: not told. With pid: identity across pid reuse
    ProcessIndex parent = no_process;  // who made it, or whose child it was when first told; never changes after
    Parent parent_kind = Parent::unknown;
    bool kernel_thread = false;
    bool before = false;      // was running before the recording began
    bool start_seen = false;  // its fork is in the flight
    bool ended = false;       // its exit is in the flight, or its pid was taken by another
    bool exit_seen = false;
    uint32_t uid = 0, gid = 0;
    bool uid_known = false;
    uint32_t threads = 0;
    int32_t oom_score_adj = 0;
    bool oom_score_adj_known = false;
    uint64_t cgroup_id = 0;
    uint64_t exec_ns = 0;  // last exec; 0: not seen
    uint64_t end_ns = 0;
    uint32_t exit_code = 0;  // as wait(2)
    std::string comm;
    std::string argv;  // NUL-separated
    std::string exe;
    std::string cwd;
    FdTable fds;
};

struct Thread {
    ProcessIndex process = no_process;
    std::array<char, FR_COMM_LEN> comm{};
};

class ReplayState {
  public:
    static constexpr size_t max_names = 1u << 20;  // distinct file names kept; later ones are "not known"
    static constexpr uint32_t max_fd = 65536;      // descriptors above are not named

    // early: names for threads that nothing has named yet, kept; nullptr: they have none.
    explicit ReplayState(Arch arch = schemas::host_arch(), std::shared_ptr<const EarlyNames> early = nullptr);

    // Call begin() before an event is looked at and end() after: begin() learns what the event makes known (a new
    // process, an opened file), end() forgets what it ends (a closed file, an exited thread).
    void begin(const flight::EventRef& event);
    void end(const flight::EventRef& event);

    [[nodiscard]] Arch arch() const { return arch_; }
    // Changes whenever comm_of() may give another answer than before.
    [[nodiscard]] uint64_t names_version() const { return told_; }
    // The life of this pid that is going on now, or the last one; nullptr when nothing was told about it.
    [[nodiscard]] const Process* find(uint32_t pid) const;
    [[nodiscard]] ProcessIndex index_of(uint32_t pid) const;
    // A certain life, nullptr when there is none; start_ns 0 takes the current one.
    [[nodiscard]] const Process* find(uint32_t pid, uint64_t start_ns) const;
    [[nodiscard]] const Process& process(ProcessIndex index) const { return processes_[index]; }
    // All lives, in the order they became known.
    [[nodiscard]] const std::deque<Process>& processes() const { return processes_; }
    // The comm of a thread, else of its process, else "".
    [[nodiscard]] std::string_view comm_of(uint32_t tid, uint32_t pid) const;
    // Path of a cgroup; "" when not told.
    [[nodiscard]] std::string_view cgroup_path(uint64_t cgroup_id) const;
    // The cgroup of a process; "" when not told.
    [[nodiscard]] std::string_view cgroup_of(const Process& process) const;
    // What a descriptor stands for ("/etc/passwd", "TCP->10.0.0.1:443"); "" when not known.
    [[nodiscard]] std::string_view fd_name(uint32_t pid, int64_t fd) const;
    // argv of a process joined with blanks as far as known, else its comm in brackets: for one-line mentions.
    [[nodiscard]] static std::string command_line(const Process& process, size_t limit = 200);

  private:
    ProcessIndex touch(uint32_t pid);
    ProcessIndex upsert(uint32_t pid, uint64_t start_ns);
    ProcessIndex add(uint32_t pid, uint64_t start_ns);
    void set_thread(uint32_t tid, ProcessIndex index, const char (&comm)[FR_COMM_LEN]);
    void name_cgroup(uint64_t id, std::string_view path);
    uint32_t intern(std::string_view name);
    static void set_fd(Process& process, uint64_t fd, uint32_t name, bool close_on_exec);

    void apply_exec(const flight::EventRef& event);
    void apply_fork(const flight::EventRef& event);
    void apply_exit(const flight::EventRef& event);
    void apply_process(const flight::EventRef& event);
    void apply_sample(const flight::EventRef& event);
    void apply_fd(const flight::EventRef& event);
    void apply_cgroup(const flight::EventRef& event);
    void apply_rename(const flight::EventRef& event);
    void open_by_syscall(const flight::EventRef& event);
    void close_by_syscall(const flight::EventRef& event);
    void change_directory(const flight::EventRef& event, const fr_syscall& call);
    void name_result(const flight::EventRef& event, const fr_syscall& call, uint8_t kind);
    [[nodiscard]] std::string resolve(const Process& process, int64_t dirfd, std::string_view path) const;

    Arch arch_;
    std::shared_ptr<const EarlyNames> early_;
    std::array<uint8_t, schemas::kSyscallLimit> effect_{};  // by system call number: what it does to descriptors
    std::deque<Process> processes_;
    std::unordered_map<uint32_t, ProcessIndex> current_;  // by pid
    mutable uint32_t last_pid_ = 0;                       // that find() was asked for and knew; 0: none
    mutable ProcessIndex last_index_ = no_process;
    mutable const Process* last_ = nullptr;
    uint64_t told_ = 0;                             // events but system calls
    std::unordered_map<uint32_t, Thread> threads_;  // by tid
    std::unordered_map<uint64_t, std::string> cgroups_;
    std::deque<std::string> names_;  // [0] is ""
    std::unordered_map<std::string_view, uint32_t> name_index_;
};

}  // namespace flightrec::replay
