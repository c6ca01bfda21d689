// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/samplers.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "userspace/base/clock.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {
namespace {

constexpr uint32_t kUnknown32 = UINT32_MAX;
constexpr uint64_t kStalledFactor = 5;  // on the budget of looking at processes

uint64_t ms_of_ticks(uint64_t ticks) { return ns_of_ticks(ticks) / 1'000'000u; }

// "0.27" to 27 hundredths.
uint32_t take_hundredths(std::string_view& s) {
    const auto whole = take_number(s);
    if (!whole) return kUnknown32;
    uint64_t hundredths = *whole * 100;
    if (s.starts_with('.')) {
        s.remove_prefix(1);
        const size_t before = s.size();
        const auto fraction = take_number(s);
        const size_t digits = before - s.size();
        if (fraction) hundredths += digits == 1 ? *fraction * 10 : digits == 2 ? *fraction : 0;
    }
    return narrow(hundredths);
}

struct Pressure {
    uint64_t total_us = FR_UNKNOWN;
    uint32_t avg10 = kUnknown32;
};
// One line ("some", "full") of a pressure file.
Pressure parse_pressure(std::string_view text, std::string_view kind) {
    Pressure out;
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        if (take_until(line, ' ') != kind) continue;
        if (size_t at = line.find("avg10="); at != std::string_view::npos) {
            std::string_view value = line.substr(at + 6);
            out.avg10 = take_hundredths(value);
        }
        if (size_t at = line.find("total="); at != std::string_view::npos) {
            std::string_view value = line.substr(at + 6);
            out.total_us = take_number(value).value_or(FR_UNKNOWN);
        }
    }
    return out;
}

}  // namespace

// ---- the machine -----------------------------------------------------------------------------------------------

struct SystemSampler::Impl {
    Fd root, proc, window;
    KeptFile meminfo, psi_cpu, psi_memory, psi_io, loadavg, stat, vmstat, file_nr, pid_max, threads_max;
    uint64_t other_links = 0;  // links of /proc that are not processes
    std::vector<char> text;
    flight::EventBuilder builder{};
    fr_system_sample last{};

    void read_meminfo(fr_system_sample& out);
    void read_pressure(fr_system_sample& out);
    void read_stat(fr_system_sample& out);
    void read_vmstat(fr_system_sample& out);
    void read_limits(fr_system_sample& out);
    void count_links();
};

void SystemSampler::Impl::read_meminfo(fr_system_sample& out) {
    struct Line {
        std::string_view key;
        __u64 fr_system_sample::*field;
    };
    using S = fr_system_sample;
    static constexpr std::array<Line, 19> lines{{
        {"MemTotal", &S::mem_total},
        {"MemFree", &S::mem_free},
        {"MemAvailable", &S::mem_available},
        {"Buffers", &S::buffers},
        {"Cached", &S::cached},
        {"AnonPages", &S::anon},
        {"Shmem", &S::shmem},
        {"Slab", &S::slab},
        {"SUnreclaim", &S::slab_unreclaimable},
        {"PageTables", &S::page_tables},
        {"KernelStack", &S::kernel_stack},
        {"Mlocked", &S::mlocked},
        {"Dirty", &S::dirty},
        {"Writeback", &S::writeback},
        {"SwapTotal", &S::swap_total},
        {"SwapFree", &S::swap_free},
        {"CommitLimit", &S::commit_limit},
        {"Committed_AS", &S::committed},
        {"Mapped", &S::mapped},
    }};
    for (const auto& line : lines) out.*line.field = FR_UNKNOWN;
    auto rest = meminfo.read(text).value_or("");
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        const std::string_view key = take_until(line, ':');
        for (const auto& known : lines)
            if (known.key == key)
                if (const auto kib = take_number(line)) out.*known.field = *kib * 1024;
    }
}

void SystemSampler::Impl::read_pressure(fr_system_sample& out) {
    const auto take = [&](const KeptFile& file, std::string_view kind, __u64& total, __u32& avg10) {
        const Pressure p = parse_pressure(file.read(text).value_or(""), kind);
        total = p.total_us;
        avg10 = p.avg10;
    };
    take(psi_cpu, "some", out.psi_cpu_some_us, out.psi_cpu_some_avg10);
    take(psi_memory, "some", out.psi_memory_some_us, out.psi_memory_some_avg10);
    take(psi_memory, "full", out.psi_memory_full_us, out.psi_memory_full_avg10);
    take(psi_io, "some", out.psi_io_some_us, out.psi_io_some_avg10);
    take(psi_io, "full", out.psi_io_full_us, out.psi_io_full_avg10);
}

void SystemSampler::Impl::read_stat(fr_system_sample& out) {
    out.cpu_user_ms = out.cpu_system_ms = out.cpu_iowait_ms = out.cpu_steal_ms = out.cpu_idle_ms = FR_UNKNOWN;
    out.forks = out.blocked = out.running = FR_UNKNOWN;
    auto rest = stat.read(text).value_or("");
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        const std::string_view key = take_until(line, ' ');
        if (key == "cpu") {  // user nice system idle iowait irq softirq steal
            std::array<uint64_t, 8> ticks{};
            for (auto& t : ticks) t = take_number(line).value_or(0);
            out.cpu_user_ms = ms_of_ticks(ticks[0] + ticks[1]);
            out.cpu_system_ms = ms_of_ticks(ticks[2] + ticks[5] + ticks[6]);
            out.cpu_idle_ms = ms_of_ticks(ticks[3]);
            out.cpu_iowait_ms = ms_of_ticks(ticks[4]);
            out.cpu_steal_ms = ms_of_ticks(ticks[7]);
        } else if (key == "processes") {
            out.forks = take_number(line).value_or(FR_UNKNOWN);
        } else if (key == "procs_running") {
            out.running = take_number(line).value_or(FR_UNKNOWN);
        } else if (key == "procs_blocked") {
            out.blocked = take_number(line).value_or(FR_UNKNOWN);
        }
    }
}

void SystemSampler::Impl::read_vmstat(fr_system_sample& out) {
    out.pgfault = out.pgmajfault = out.oom_kills = out.alloc_stall = out.swap_in = out.swap_out = FR_UNKNOWN;
    auto rest = vmstat.read(text).value_or("");
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        const std::string_view key = take_until(line, ' ');
        const uint64_t value = take_number(line).value_or(FR_UNKNOWN);
        if (key == "pgfault")
            out.pgfault = value;
        else if (key == "pgmajfault")
            out.pgmajfault = value;
        else if (key == "oom_kill")
            out.oom_kills = value;
        else if (key == "pswpin")
            out.swap_in = value;
        else if (key == "pswpout")
            out.swap_out = value;
        else if (key.starts_with("allocstall"))
            out.alloc_stall = value + (out.alloc_stall == FR_UNKNOWN ? 0 : out.alloc_stall);
    }
}

void SystemSampler::Impl::read_limits(fr_system_sample& out) {
    out.threads_max = threads_max.read_number();
    out.pid_max = pid_max.read_number();
    out.files_open = out.files_max = FR_UNKNOWN;
    if (auto line = file_nr.read(text)) {  // open, free (always 0), maximum
        out.files_open = take_number(*line).value_or(FR_UNKNOWN);
        take_number(*line);
        out.files_max = take_number(*line).value_or(FR_UNKNOWN);
    }
    out.threads = FR_UNKNOWN;
    out.load1 = out.load5 = out.load15 = kUnknown32;
    if (auto line = loadavg.read(text)) {  // 0.20 0.18 0.12 1/80 11206
        for (__u32* load : {&out.load1, &out.load5, &out.load15}) {
            *load = take_hundredths(*line);
            line->remove_prefix(std::min<size_t>(1, line->size()));
        }
        if (const size_t slash = line->find('/'); slash != std::string_view::npos) {
            line->remove_prefix(slash + 1);
            out.threads = take_number(*line).value_or(FR_UNKNOWN);
        }
    }
    struct stat st {};
    out.processes =
        ::fstat(proc.get(), &st) == 0 && st.st_nlink >= other_links ? st.st_nlink - other_links : FR_UNKNOWN;
    struct statvfs disk {};
    const bool have_disk = root.valid() && ::fstatvfs(root.get(), &disk) == 0;
    out.disk_free = have_disk ? uint64_t{disk.f_bavail} * disk.f_frsize : FR_UNKNOWN;
    out.disk_total = have_disk ? uint64_t{disk.f_blocks} * disk.f_frsize : FR_UNKNOWN;
    out.inodes_free = have_disk ? uint64_t{disk.f_favail} : FR_UNKNOWN;
    out.inodes_total = have_disk ? uint64_t{disk.f_files} : FR_UNKNOWN;
    const bool have_window = window.valid() && ::fstatvfs(window.get(), &disk) == 0;
    out.window_disk_free = have_window ? uint64_t{disk.f_bavail} * disk.f_frsize : FR_UNKNOWN;
    out.window_disk_total = have_window ? uint64_t{disk.f_blocks} * disk.f_frsize : FR_UNKNOWN;
}

// The link count of /proc is the number of its fixed directories plus that of all processes (Linux
// fs/proc/root.c, proc_root_getattr), so that processes can be counted with one fstat once the rest is known.
void SystemSampler::Impl::count_links() {
    for (int attempt = 0; attempt < 10; ++attempt) {
        struct stat before {
        }, after{};
        ::fstat(proc.get(), &before);
        DirReader reader(proc.get(), text);
        reader.rewind();
        uint64_t processes = 0;
        while (const auto entry = reader.next())
            if (entry->type == DT_DIR && entry->name[0] >= '0' && entry->name[0] <= '9') ++processes;
        ::fstat(proc.get(), &after);
        other_links = after.st_nlink >= processes ? after.st_nlink - processes : after.st_nlink;
        if (before.st_nlink == after.st_nlink) return;
    }
}

SystemSampler::SystemSampler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SystemSampler::SystemSampler(SystemSampler&&) noexcept = default;
SystemSampler& SystemSampler::operator=(SystemSampler&&) noexcept = default;
SystemSampler::~SystemSampler() = default;

Result<SystemSampler> SystemSampler::make(const SystemPaths& paths, const std::string& window) {
    auto impl = std::make_unique<Impl>();
    impl->proc.reset(::open(paths.proc.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!impl->proc.valid()) return fail_errno(errno, "cannot open " + paths.proc);
    impl->root.reset(::open(paths.root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!window.empty()) impl->window.reset(::open(window.c_str(), O_PATH | O_CLOEXEC));
    const auto open = [&](const char* name) { return KeptFile::open(impl->proc.get(), name); };
    impl->meminfo = open("meminfo");
    impl->psi_cpu = open("pressure/cpu");
    impl->psi_memory = open("pressure/memory");
    impl->psi_io = open("pressure/io");
    impl->loadavg = open("loadavg");
    impl->stat = open("stat");
    impl->vmstat = open("vmstat");
    impl->file_nr = open("sys/fs/file-nr");
    impl->pid_max = open("sys/kernel/pid_max");
    impl->threads_max = open("sys/kernel/threads-max");
    // stat is the longest (its lines of interrupts); it grows with CPUs that come online.
    impl->text.resize(64u << 10);
    while (impl->text.size() < (8u << 20)) {
        const auto text = impl->stat.read(impl->text);
        if (!text || text->size() * 2 < impl->text.size()) break;
        impl->text.resize(impl->text.size() * 2);
    }
    impl->count_links();
    return SystemSampler(std::move(impl));
}

void SystemSampler::sample(const Emit& emit) {
    auto& out = impl_->builder.begin<fr_system_sample>(FR_CLASS_SYSTEM_SAMPLE);
    out.event.time_ns = boot_ns();
    impl_->read_meminfo(out);
    impl_->read_pressure(out);
    impl_->read_stat(out);
    impl_->read_vmstat(out);
    impl_->read_limits(out);
    impl_->last = out;
    emit(impl_->builder.bytes());
}

const fr_system_sample& SystemSampler::last() const { return impl_->last; }

bool SystemSampler::stalled() const {
    const auto seen = [](uint32_t avg10) { return avg10 != kUnknown32 && avg10 > 0; };
    const auto& last = impl_->last;
    return seen(last.psi_memory_some_avg10) || seen(last.psi_io_some_avg10) ||
           (last.blocked != FR_UNKNOWN && last.blocked > 0);
}

// ---- processes -------------------------------------------------------------------------------------------------

namespace {

// What is remembered of a process between samples.
struct Seen {
    uint32_t pid = 0;    // 0: free
    uint32_t pass = 0;   // the pass that saw it last
    uint64_t start = 0;  // ticks: tells a reused pid
    uint64_t at_ns = 0;
    int64_t growth = 0;  // pages, between the last two looks
    int64_t rate = 0;    // the same per second
    uint32_t rss = 0;    // pages
    bool blocked = false;
};

// Fixed-size table of processes by pid: sets of eight, so that nothing ever moves.
class SeenTable {
  public:
    explicit SeenTable(uint32_t capacity) : sets_(std::max(1u, capacity / kWays)), entries_(size_t{sets_} * kWays) {}
    // The entry of pid, taken from the smallest process not seen lately when the set is full.
    Seen& at(uint32_t pid, uint32_t pass) {
        Seen* set = &entries_[size_t{pid % sets_} * kWays];
        Seen* victim = set;
        for (Seen* e = set; e != set + kWays; ++e) {
            if (e->pid == pid) return *e;
            if (worth(*e, pass) < worth(*victim, pass)) victim = e;
        }
        *victim = Seen{};
        victim->pid = pid;
        return *victim;
    }
    Seen* find(uint32_t pid) {
        Seen* set = &entries_[size_t{pid % sets_} * kWays];
        Seen* found = std::find_if(set, set + kWays, [&](const Seen& e) { return e.pid == pid; });
        return found == set + kWays ? nullptr : found;
    }
    std::vector<Seen>& entries() { return entries_; }

  private:
    static constexpr uint32_t kWays = 8;
    static uint64_t worth(const Seen& e, uint32_t pass) {
        if (e.pid == 0) return 0;
        return e.pass + 1 < pass ? 1 : uint64_t{2} + e.rss;
    }
    uint32_t sets_;
    std::vector<Seen> entries_;
};

struct Blocked {
    uint32_t pid = 0, tid = 0;
};

}  // namespace

struct ProcessSampler::Impl {
    ProcDir proc;
    ProcessList list;
    Scope scope;
    ProcessSamplerConfig config;
    SeenTable table;
    std::vector<Seen*> order;  // of the entries to choose from
    std::vector<Seen*> chosen;
    std::vector<Blocked> blocked;
    uint64_t page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    uint32_t pass = 1;
    uint32_t pass_processes = 0;
    uint64_t pass_began = 0;
    Stats stats{};
    flight::EventBuilder builder{};
    std::array<char, 32768> text{};
    alignas(8) std::array<char, 8192> entries{};

    TaskList tasks;
    uint64_t tick_ns = ns_of_ticks(1);
    bool listed = false;  // this sample is the task list's

    bool look(uint32_t pid, uint64_t now, bool every_thread);
    Seen& note(uint32_t pid, uint64_t start, uint64_t rss_pages, uint64_t now);
    bool look_at_all(uint64_t now);
    void look_at_threads(uint32_t pid);
    void look_at_known(uint64_t now, bool every_thread);
    bool look_at_some(uint64_t now, uint64_t cpu_began, bool stalled);
    void choose(uint64_t now);
    void emit_task(uint32_t pid, uint32_t tid, int64_t growth_pages, const Emit& emit);
    bool in_scope(uint32_t pid);
};

// One look at a process, at most once a sample. False when it is gone.
bool ProcessSampler::Impl::look(uint32_t pid, uint64_t now, bool every_thread) {
    if (Seen* known = table.find(pid); known != nullptr && known->at_ns == now) {
        known->pass = pass;
        return true;
    }
    std::array<char, 1024> line;
    const auto file = proc.read(pid, "stat", line);
    const auto stat = file ? parse_stat(*file) : std::nullopt;
    if (!stat) return false;
    Seen& seen = note(pid, stat->start, stat->rss, now);
    seen.blocked = stat->state == 'D';
    if (seen.blocked && blocked.size() < config.blocked) blocked.push_back({pid, pid});
    if (every_thread && stat->threads > 1) look_at_threads(pid);
    return true;
}

// What a look told; `start` in ticks.
Seen& ProcessSampler::Impl::note(uint32_t pid, uint64_t start, uint64_t rss_pages, uint64_t now) {
    Seen& seen = table.at(pid, pass);
    const uint32_t rss = narrow(rss_pages);
    if (seen.start == start && seen.at_ns != 0) {
        seen.growth = int64_t{rss} - int64_t{seen.rss};
        const auto ms = static_cast<int64_t>((now - seen.at_ns) / 1'000'000u);
        seen.rate = seen.growth * 1000 / std::max<int64_t>(ms, 1);
    } else {
        seen.growth = seen.rate = 0;
    }
    seen.start = start;
    seen.rss = rss;
    seen.at_ns = now;
    seen.pass = pass;
    return seen;
}

// All processes and blocked tasks by the kernel's list; false: it cannot be had.
bool ProcessSampler::Impl::look_at_all(uint64_t now) {
    if (!tasks) return false;
    const uint32_t before = pass_processes;
    listed = tasks([&](const fr_task_look& task) {
        if (task.tid == task.pid) {
            note(task.pid, task.start_ns / tick_ns, task.rss_pages, now).blocked = task.blocked != 0;
            ++pass_processes;
        }
        if (task.blocked != 0 && blocked.size() < config.blocked) blocked.push_back({task.pid, task.tid});
    });
    if (listed) return true;
    pass_processes = before;  // /proc's pass goes on where it was; the list is tried again at the next sample
    blocked.clear();
    return false;
}

void ProcessSampler::Impl::look_at_threads(uint32_t pid) {
    std::array<char, 64> name;
    *fmt::format_to_n(name.data(), name.size() - 1, "{}/task", pid).out = '\0';
    const Fd dir(::openat(proc.fd(), name.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir.valid()) return;
    DirReader reader(dir.get(), entries);
    std::array<char, 1024> line;
    for (int i = 0; i < 1024 && blocked.size() < config.blocked; ++i) {
        const auto entry = reader.next();
        if (!entry) return;
        std::string_view digits = entry->name;
        const auto tid = take_number(digits);
        if (!tid || *tid == pid) continue;
        *fmt::format_to_n(name.data(), name.size() - 1, "{}/stat", entry->name).out = '\0';
        const auto text_read = KeptFile::open(dir.get(), name.data()).read(line);
        const auto stat = text_read ? parse_stat(*text_read) : std::nullopt;
        if (stat && stat->state == 'D') blocked.push_back({pid, static_cast<uint32_t>(*tid)});
    }
}

// The entries that matter from the samples before: first the largest, the growing and the blocked.
void ProcessSampler::Impl::look_at_known(uint64_t now, bool every_thread) {
    for (Seen* seen : chosen) {
        const uint32_t pid = seen->pid;
        if (pid != 0 && !look(pid, now, every_thread)) *seen = Seen{};
    }
    for (Seen& seen : table.entries())
        if (seen.pid != 0 && seen.blocked && seen.at_ns != now)
            if (const uint32_t pid = seen.pid; !look(pid, now, every_thread)) seen = Seen{};
}

// The known ones, then some of the others, within the budget; true when that was the last of them.
bool ProcessSampler::Impl::look_at_some(uint64_t now, uint64_t cpu_began, bool stalled) {
    look_at_known(now, stalled);
    const uint64_t budget = config.budget_ns * (stalled ? kStalledFactor : 1);
    uint32_t until_check = 16;
    return list.walk([&](uint32_t pid) {
        if (look(pid, now, stalled)) ++pass_processes;
        if (--until_check != 0) return true;
        until_check = 16;
        return thread_cpu_ns() - cpu_began < budget;
    });
}

// The top by size, then the top by growth, each process once.
void ProcessSampler::Impl::choose(uint64_t now) {
    order.clear();
    chosen.clear();
    for (Seen& seen : table.entries())
        if (seen.pid != 0 && seen.rss != 0 && (listed ? seen.at_ns == now : seen.pass + 1 >= pass))
            order.push_back(&seen);
    const auto take = [&](auto larger) {
        const size_t n = std::min<size_t>(order.size(), config.top);
        std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(), larger);
        for (size_t i = 0; i < n; ++i)
            if (std::find(chosen.begin(), chosen.end(), order[i]) == chosen.end()) chosen.push_back(order[i]);
    };
    take([](const Seen* a, const Seen* b) { return a->rss > b->rss; });
    std::erase_if(order, [](const Seen* s) { return s->rate <= 0; });
    take([](const Seen* a, const Seen* b) { return a->rate > b->rate; });
}

bool ProcessSampler::Impl::in_scope(uint32_t pid) {
    if (scope.whole_machine()) return true;
    const auto file = proc.read(pid, "cgroup", text);
    const auto cgroup = file ? cgroup_v2_path(*file) : std::nullopt;
    return cgroup && scope.covers(*cgroup);
}

void ProcessSampler::Impl::emit_task(uint32_t pid, uint32_t tid, int64_t growth_pages, const Emit& emit) {
    if (!in_scope(pid)) return;
    std::array<char, 1024> line;
    std::array<char, 64> name;
    const auto file_of = [&](const char* file) {
        auto* end = tid == pid ? fmt::format_to_n(name.data(), name.size() - 1, "{}", file).out
                               : fmt::format_to_n(name.data(), name.size() - 1, "task/{}/{}", tid, file).out;
        *end = '\0';
        return name.data();
    };
    const auto stat_text = proc.read(pid, file_of("stat"), line);
    const auto stat = stat_text ? parse_stat(*stat_text) : std::nullopt;
    if (!stat) return;
    const auto status_text = proc.read(pid, "status", text);
    const auto status = status_text ? parse_status(*status_text).value_or(ProcStatus{}) : ProcStatus{};

    auto& out = builder.begin<fr_process_sample>(FR_CLASS_PROCESS_SAMPLE);
    out.event.time_ns = boot_ns();
    out.event.pid = pid;
    out.event.tid = tid;
    out.start_ns = ns_of_ticks(stat->start);
    out.rss = status.vm_rss != FR_UNKNOWN ? status.vm_rss : stat->rss * page;
    out.anon = status.rss_anon;
    out.file = status.rss_file;
    out.shmem = status.rss_shmem;
    out.swap = status.swap;
    out.page_tables = status.page_tables;
    out.total_vm = stat->vsize;
    out.growth = growth_pages * static_cast<int64_t>(page);
    out.utime_ms = ms_of_ticks(stat->utime);
    out.stime_ms = ms_of_ticks(stat->stime);
    out.min_faults = stat->min_faults;
    out.maj_faults = stat->maj_faults;
    out.threads = stat->threads;
    out.fds = proc.count_fds(pid, status.fd_size, entries);
    out.state = stat->state;
    stat->comm.copy(out.comm, sizeof out.comm - 1);
    if (auto adj = proc.read(pid, "oom_score_adj", text))
        out.oom_score_adj = static_cast<int32_t>(take_signed(*adj).value_or(0));
    if (stat->state == 'D')
        if (const auto wchan = proc.read(pid, file_of("wchan"), text); wchan && !wchan->empty() && *wchan != "0")
            builder.blob(FR_BLOB_TEXT, *wchan);
    emit(builder.bytes());
}

ProcessSampler::ProcessSampler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProcessSampler::ProcessSampler(ProcessSampler&&) noexcept = default;
ProcessSampler& ProcessSampler::operator=(ProcessSampler&&) noexcept = default;
ProcessSampler::~ProcessSampler() = default;

Result<ProcessSampler> ProcessSampler::make(const SystemPaths& paths, const CgroupLayout& layout, const Scope& scope,
                                            const ProcessSamplerConfig& config) {
    FR_ASSIGN(auto proc, ProcDir::open(paths.proc));
    FR_ASSIGN(auto list, ProcessList::make(paths, layout, scope));
    auto impl = std::make_unique<Impl>(Impl{.proc = std::move(proc),
                                            .list = std::move(list),
                                            .scope = scope,
                                            .config = config,
                                            .table = SeenTable(config.capacity),
                                            .order = {},
                                            .chosen = {},
                                            .blocked = {},
                                            .tasks = {}});
    impl->order.reserve(impl->table.entries().size());
    impl->chosen.reserve(size_t{config.top} * 2);
    impl->blocked.reserve(config.blocked);
    return ProcessSampler(std::move(impl));
}

void ProcessSampler::sample(const Emit& emit, bool stalled) {
    Impl& impl = *impl_;
    const uint64_t cpu_began = thread_cpu_ns();
    const uint64_t now = boot_ns();
    impl.blocked.clear();
    if (impl.pass_processes == 0) impl.pass_began = now;
    const bool complete = impl.look_at_all(now) || impl.look_at_some(now, cpu_began, stalled);
    impl.choose(now);
    for (const Seen* seen : impl.chosen) impl.emit_task(seen->pid, seen->pid, seen->growth, emit);
    for (const Blocked& task : impl.blocked) {
        const bool told = task.pid == task.tid && std::any_of(impl.chosen.begin(), impl.chosen.end(),
                                                              [&](const Seen* s) { return s->pid == task.pid; });
        if (!told) impl.emit_task(task.pid, task.tid, 0, emit);
    }
    if (complete) {
        ++impl.pass;
        impl.stats.passes += 1;
        impl.stats.last_pass_ns = boot_ns() - impl.pass_began;
        impl.stats.processes = impl.pass_processes;
        impl.pass_processes = 0;
    }
    impl.stats.last_cpu_ns = thread_cpu_ns() - cpu_began;
}
void ProcessSampler::use(TaskList tasks) { impl_->tasks = std::move(tasks); }

const ProcessSampler::Stats& ProcessSampler::stats() const { return impl_->stats; }

// ---- control groups ------------------------------------------------------------------------------------------

namespace {

// The files of one sampled cgroup, held open; names differ between the versions.
struct Tracked {
    uint64_t id = 0;  // 0: free
    uint64_t size = 0;
    uint16_t path_size = 0;
    std::array<char, 1024> path{};
    KeptFile current, max, high, peak, swap, swap_max, stat, events, failures, pids_current, pids_max, pids_events;
    uint64_t hits = FR_UNKNOWN, high_hits = FR_UNKNOWN;  // of the sample before
};

struct Candidate {
    uint64_t id = 0;
    uint64_t size = 0;
    uint32_t level = 0;
};

struct Hierarchy {
    CgroupMount mount;
    bool memory = false, pids = false;
    std::vector<Tracked> tracked;
    std::vector<Candidate> candidates;
    // Counters of cgroups that fell out of the largest, for when they come back.
    struct LeftOut {
        uint64_t id = 0, hits = 0, high_hits = 0;
    };
    std::vector<LeftOut> left_out;
    // The highest id of the first rescan, or of a cgroup whose counters had to be forgotten. kernfs gives ids in
    // ascending order (fs/kernfs/dir.c, idr_alloc_cyclic(), a generation above it), so that higher ones are of cgroups
    // that were made since and never sampled: all their hits are news.
    uint64_t newest_known = 0;
    bool scanned = false;

    [[nodiscard]] bool v2() const { return mount.hierarchy == 0; }
    void open(Tracked& t, const CgroupEntry& entry);
    void leave_out(Tracked& t);
    void forget_gone(const CgroupSamplerConfig& config);
    void rescan(const Scope& scope, const CgroupSamplerConfig& config);
};

// Its counters go on from where they were told last.
void Hierarchy::leave_out(Tracked& t) {
    if (left_out.size() < left_out.capacity())
        left_out.push_back({t.id, t.hits, t.high_hits});
    else
        newest_known = std::max(newest_known, t.id);
    t = Tracked{};
}

// Of cgroups that were removed nothing is to be kept; when not all were looked at, which ones that are is not known.
void Hierarchy::forget_gone(const CgroupSamplerConfig& config) {
    if (candidates.size() >= config.scan_limit) return;
    std::erase_if(left_out, [&](const LeftOut& l) {
        return std::none_of(candidates.begin(), candidates.end(), [&](const Candidate& c) { return c.id == l.id; });
    });
}

void Hierarchy::open(Tracked& t, const CgroupEntry& entry) {
    t.id = entry.id;
    const auto before =
        std::find_if(left_out.begin(), left_out.end(), [&](const LeftOut& l) { return l.id == entry.id; });
    if (before != left_out.end()) {
        t.hits = before->hits;
        t.high_hits = before->high_hits;
        *before = left_out.back();
        left_out.pop_back();
    } else if (scanned && entry.id > newest_known) {
        t.hits = t.high_hits = 0;
    }
    t.path_size = static_cast<uint16_t>(std::min(entry.path.size(), t.path.size()));
    entry.path.copy(t.path.data(), t.path_size);
    const auto file = [&](const char* v2_name, const char* v1_name) {
        return KeptFile::open(entry.fd, v2() ? v2_name : v1_name);
    };
    if (memory) {
        t.current = file("memory.current", "memory.usage_in_bytes");
        t.max = file("memory.max", "memory.limit_in_bytes");
        t.stat = file("memory.stat", "memory.stat");
        t.events = file("memory.events", "memory.oom_control");
        t.peak = file("memory.peak", "memory.max_usage_in_bytes");
        if (v2()) {
            t.high = KeptFile::open(entry.fd, "memory.high");
            t.swap = KeptFile::open(entry.fd, "memory.swap.current");
            t.swap_max = KeptFile::open(entry.fd, "memory.swap.max");
        } else
            t.failures = KeptFile::open(entry.fd, "memory.failcnt");
    }
    if (pids) {
        t.pids_current = KeptFile::open(entry.fd, "pids.current");
        t.pids_max = KeptFile::open(entry.fd, "pids.max");
        t.pids_events = KeptFile::open(entry.fd, "pids.events");
    }
}

// Finds the largest cgroups and gives the places of those that are gone or small to them.
void Hierarchy::rescan(const Scope& scope, const CgroupSamplerConfig& config) {
    candidates.clear();
    const char* size_file = !memory ? "pids.current" : v2() ? "memory.current" : "memory.usage_in_bytes";
    walk_cgroups(mount, scope, config.scan_limit, [&](const CgroupEntry& entry) {
        const uint64_t size = KeptFile::open(entry.fd, size_file).read_number();
        // The root of version 2 has no such file; a cgroup in use may have one and be empty.
        if (size != FR_UNKNOWN) candidates.push_back({entry.id, size, entry.level});
        return true;
    });
    const size_t n = std::min<size_t>(candidates.size(), config.limit);
    std::partial_sort(
        candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(n), candidates.end(),
        [](const Candidate& a, const Candidate& b) { return a.size != b.size ? a.size > b.size : a.level < b.level; });
    const std::span<const Candidate> wanted(candidates.data(), n);
    const auto is_wanted = [&](uint64_t id) {
        return std::any_of(wanted.begin(), wanted.end(), [&](const Candidate& c) { return c.id == id; });
    };
    for (Tracked& t : tracked)
        if (t.id != 0 && !is_wanted(t.id)) leave_out(t);
    forget_gone(config);
    walk_cgroups(mount, scope, config.scan_limit, [&](const CgroupEntry& entry) {
        if (!is_wanted(entry.id)) return true;
        const auto has = [&](uint64_t id) {
            return std::find_if(tracked.begin(), tracked.end(), [&](const Tracked& t) { return t.id == id; });
        };
        if (has(entry.id) == tracked.end())
            if (const auto place = has(0); place != tracked.end()) open(*place, entry);
        return true;
    });
    if (scanned) return;
    scanned = true;
    for (const Candidate& c : candidates) newest_known = std::max(newest_known, c.id);
}

}  // namespace

struct CgroupSampler::Impl {
    Scope scope;
    CgroupSamplerConfig config;
    std::vector<Hierarchy> hierarchies;
    uint32_t until_rescan = 0;
    flight::EventBuilder builder{};
    std::array<char, 16384> text{};

    // False when the cgroup is gone.
    bool emit_sample(const Hierarchy& hierarchy, Tracked& t, const Emit& emit);
    void emit_hits(const Hierarchy& hierarchy, const Tracked& t, const fr_cgroup_sample& sample, uint32_t cause,
                   uint64_t hits, const Emit& emit);
};

// A limit that was hit without a kill leaves nothing but a counter that went up.
void CgroupSampler::Impl::emit_hits(const Hierarchy& hierarchy, const Tracked& t, const fr_cgroup_sample& sample,
                                    uint32_t cause, uint64_t hits, const Emit& emit) {
    auto& out = builder.begin<fr_alloc_failure>(FR_CLASS_ALLOC_FAILURE);
    out.event.time_ns = sample.event.time_ns;
    out.event.flags = FR_EVENT_SYNTHETIC;
    out.kind = FR_ALLOC_CGROUP;
    out.cause = cause;
    out.size = hits;
    out.limit = cause == FR_MEMORY_CGROUP_HIGH ? sample.memory_high : sample.memory_max;
    out.usage = sample.memory_current;
    out.order = out.node = -1;
    out.limit_cgroup_id = t.id;
    if (hierarchy.v2()) out.cgroup_id = t.id;
    builder.blob(FR_BLOB_CGROUP, {t.path.data(), t.path_size});
    emit(builder.bytes());
}

bool CgroupSampler::Impl::emit_sample(const Hierarchy& hierarchy, Tracked& t, const Emit& emit) {
    auto& out = builder.begin<fr_cgroup_sample>(FR_CLASS_CGROUP_SAMPLE);
    out.event.time_ns = boot_ns();
    out.cgroup_id = t.id;
    out.hierarchy = hierarchy.mount.hierarchy;
    out.memory_current = t.current.read_number();
    out.memory_max = t.max.read_number();
    out.memory_swap = t.swap.read_number();
    out.memory_failures = t.failures.read_number();
    out.pids_current = t.pids_current.read_number();
    out.pids_max = t.pids_max.read_number();
    if (out.memory_current == FR_UNKNOWN && out.pids_current == FR_UNKNOWN) return false;
    if (out.memory_max != FR_UNKNOWN && out.memory_max >= FR_NO_LIMIT - 0xffff) out.memory_max = FR_NO_LIMIT;
    const auto events = t.events.read(text).value_or("");
    out.oom_kills = value_of(events, "oom_kill ").value_or(FR_UNKNOWN);
    if (hierarchy.v2()) out.memory_failures = value_of(events, "max ").value_or(FR_UNKNOWN);
    out.memory_high = t.high.read_number();
    out.memory_peak = t.peak.read_number();
    out.memory_swap_max = t.swap_max.read_number();
    out.memory_high_events = value_of(events, "high ").value_or(FR_UNKNOWN);
    out.memory_oom_events = value_of(events, "oom ").value_or(FR_UNKNOWN);
    out.memory_group_kills = value_of(events, "oom_group_kill ").value_or(FR_UNKNOWN);
    out.pids_failures = value_of(t.pids_events.read(text).value_or(""), "max ").value_or(FR_UNKNOWN);
    const auto stat = t.stat.read(text).value_or("");
    const bool v2 = hierarchy.v2();
    out.memory_anon = value_of(stat, v2 ? "anon " : "total_rss ").value_or(FR_UNKNOWN);
    out.memory_file = value_of(stat, v2 ? "file " : "total_cache ").value_or(FR_UNKNOWN);
    out.memory_slab = v2 ? value_of(stat, "slab ").value_or(FR_UNKNOWN) : FR_UNKNOWN;
    if (!v2) out.memory_swap = value_of(stat, "total_swap ").value_or(FR_UNKNOWN);
    builder.blob(FR_BLOB_TEXT, {t.path.data(), t.path_size});
    const fr_cgroup_sample sample = out;
    emit(builder.bytes());
    const auto moved = [&](uint64_t& before, uint64_t now, uint32_t cause) {
        const uint64_t was = std::exchange(before, now);
        if (was != FR_UNKNOWN && now != FR_UNKNOWN && now > was)
            emit_hits(hierarchy, t, sample, cause, now - was, emit);
    };
    moved(t.hits, sample.memory_failures, FR_MEMORY_CGROUP_MAX);
    moved(t.high_hits, sample.memory_high_events, FR_MEMORY_CGROUP_HIGH);
    return true;
}

CgroupSampler::CgroupSampler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CgroupSampler::CgroupSampler(CgroupSampler&&) noexcept = default;
CgroupSampler& CgroupSampler::operator=(CgroupSampler&&) noexcept = default;
CgroupSampler::~CgroupSampler() = default;

Result<CgroupSampler> CgroupSampler::make(const CgroupLayout& layout, const Scope& scope,
                                          const CgroupSamplerConfig& config) {
    if (config.limit == 0 || config.scan_limit < config.limit)
        return fail(Code::usage, "the limit of sampled cgroups must be at least 1 and at most the scan limit");
    auto impl = std::make_unique<Impl>(Impl{.scope = scope, .config = config, .hierarchies = {}});
    const auto add = [&](const CgroupMount& mount, bool memory, bool pids) {
        if (!mount.present()) return;
        Hierarchy h{.mount = mount,
                    .memory = memory,
                    .pids = pids,
                    .tracked = {},
                    .candidates = {},
                    .left_out = {},
                    .newest_known = 0,
                    .scanned = false};
        h.left_out.reserve(config.scan_limit);
        h.tracked.resize(config.limit);
        h.candidates.reserve(config.scan_limit);
        impl->hierarchies.push_back(std::move(h));
    };
    const bool together = layout.memory.present() && layout.memory.directory == layout.pids.directory;
    add(layout.memory, true, together);
    if (!together) add(layout.pids, false, true);
    return CgroupSampler(std::move(impl));
}

void CgroupSampler::sample(const Emit& emit) {
    if (impl_->until_rescan == 0) {
        for (auto& hierarchy : impl_->hierarchies) hierarchy.rescan(impl_->scope, impl_->config);
        impl_->until_rescan = std::max(1u, impl_->config.rescan_every);
    }
    --impl_->until_rescan;
    for (auto& hierarchy : impl_->hierarchies)
        for (Tracked& t : hierarchy.tracked)
            if (t.id != 0 && !impl_->emit_sample(hierarchy, t, emit)) t = Tracked{};
}

void CgroupSampler::rescan() { impl_->until_rescan = 0; }

void CgroupSampler::cgroup_made() {
    constexpr size_t few = 200;  // 3 ms a second for looking at them all
    size_t count = 0;
    for (const auto& hierarchy : impl_->hierarchies) count += hierarchy.candidates.size();
    if (count <= few) rescan();
}

uint32_t CgroupSampler::tracked() const {
    uint32_t count = 0;
    for (const auto& hierarchy : impl_->hierarchies)
        for (const auto& t : hierarchy.tracked) count += t.id != 0;
    return count;
}

uint32_t CgroupSampler::not_sampled() const {
    size_t count = 0;
    for (const auto& hierarchy : impl_->hierarchies)
        count += hierarchy.candidates.size() - std::min<size_t>(hierarchy.candidates.size(), impl_->config.limit);
    return static_cast<uint32_t>(count);
}

}  // namespace flightrec::record
