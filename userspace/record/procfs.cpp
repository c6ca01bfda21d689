// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/procfs.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "userspace/base/clock.h"
#include "userspace/record/local_file.h"

namespace flightrec::record {
namespace {

constexpr uint32_t kCountedFds = 1024;

void skip_blanks(std::string_view& s) {
    const size_t n = s.find_first_not_of(" \t");
    s.remove_prefix(n == std::string_view::npos ? s.size() : n);
}

template <class T>
std::optional<T> take_integer(std::string_view& s) {
    std::string_view rest = s;
    skip_blanks(rest);
    T value{};
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc{}) return std::nullopt;
    s = rest.substr(static_cast<size_t>(end - rest.data()));
    return value;
}

// Reads a whole file from an open descriptor into the buffer; nothing on an error.
std::optional<std::string_view> read_all(int fd, std::span<char> buffer, bool* cut) {
    size_t have = 0;
    while (have < buffer.size()) {
        const ssize_t n = ::pread(fd, buffer.data() + have, buffer.size() - have, static_cast<off_t>(have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::nullopt;
        if (n == 0) break;
        have += static_cast<size_t>(n);
    }
    if (cut != nullptr) *cut = have == buffer.size();
    return std::string_view(buffer.data(), have);
}

// "PID/name" on the stack.
class PidPath {
  public:
    PidPath(uint32_t pid, const char* name) {
        *fmt::format_to_n(text_.data(), text_.size() - 1, "{}/{}", pid, name).out = '\0';
    }
    [[nodiscard]] const char* c_str() const { return text_.data(); }

  private:
    std::array<char, 64> text_;
};

std::optional<uint32_t> pid_of(std::string_view name) {
    uint32_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size() || pid == 0) return std::nullopt;
    return pid;
}

uint64_t bytes_of(std::optional<uint64_t> kib) { return kib ? *kib * 1024 : FR_UNKNOWN; }

}  // namespace

std::optional<uint64_t> take_number(std::string_view& s) { return take_integer<uint64_t>(s); }
std::optional<int64_t> take_signed(std::string_view& s) { return take_integer<int64_t>(s); }

std::string_view take_until(std::string_view& s, char end) {
    const size_t at = s.find(end);
    const std::string_view taken = s.substr(0, at);
    s = at == std::string_view::npos ? std::string_view{} : s.substr(at + 1);
    return taken;
}

std::optional<uint64_t> value_of(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        if (!line.starts_with(key)) continue;
        line.remove_prefix(key.size());
        return take_number(line);
    }
    return std::nullopt;
}

std::optional<ProcStat> parse_stat(std::string_view text) {
    // comm may hold anything, ')' and newlines too; what follows its last ')' does not (fs/proc/array.c).
    const size_t open = text.find('('), close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
    ProcStat out;
    std::string_view before = text.substr(0, open);
    const auto pid = take_number(before);
    out.comm = text.substr(open + 1, close - open - 1);
    text.remove_prefix(close + 1);
    skip_blanks(text);
    if (!pid || text.empty()) return std::nullopt;
    out.pid = narrow(*pid);
    out.state = text[0];
    text.remove_prefix(1);
    std::array<uint64_t, 25> field{};  // numbered as in proc(5), from 4
    for (size_t i = 4; i <= 24; ++i) {
        const auto value = take_signed(text);
        if (value)
            field[i] = static_cast<uint64_t>(*value);
        else if (const auto big = take_number(text))
            field[i] = *big;
        else
            return std::nullopt;
    }
    out.ppid = narrow(field[4]);
    out.flags = field[9];
    out.min_faults = field[10];
    out.maj_faults = field[12];
    out.utime = field[14];
    out.stime = field[15];
    out.threads = narrow(field[20]);
    out.start = field[22];
    out.vsize = field[23];
    out.rss = static_cast<int64_t>(field[24]) < 0 ? 0 : field[24];  // its counters are approximate
    return out;
}

std::optional<ProcStatus> parse_status(std::string_view text) {
    ProcStatus out;
    bool seen = false;
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        const std::string_view key = take_until(line, ':');
        const auto number = [&] { return take_number(line); };
        const auto into = [&](uint32_t& to) { to = narrow(number().value_or(0)); };
        if (key == "Pid")
            into(out.pid), seen = true;
        else if (key == "Tgid")
            into(out.tgid);
        else if (key == "PPid")
            into(out.ppid);
        else if (key == "Uid")
            into(out.uid), into(out.euid);
        else if (key == "Gid")
            into(out.gid), into(out.egid);
        else if (key == "FDSize")
            into(out.fd_size);
        else if (key == "Threads")
            into(out.threads);
        else if (key == "NSpid") {
            out.ns_depth = 0;
            while (const auto pid = number()) out.ns_pid = narrow(*pid), ++out.ns_depth;
        } else if (key == "VmSize")
            out.vm_size = bytes_of(number());
        else if (key == "VmLck")
            out.vm_locked = bytes_of(number());
        else if (key == "VmHWM")
            out.vm_peak_rss = bytes_of(number());
        else if (key == "VmRSS")
            out.vm_rss = bytes_of(number());
        else if (key == "RssAnon")
            out.rss_anon = bytes_of(number());
        else if (key == "RssFile")
            out.rss_file = bytes_of(number());
        else if (key == "RssShmem")
            out.rss_shmem = bytes_of(number());
        else if (key == "VmPTE")
            out.page_tables = bytes_of(number());
        else if (key == "VmSwap")
            out.swap = bytes_of(number());
    }
    if (!seen) return std::nullopt;
    return out;
}

std::optional<std::string_view> cgroup_v2_path(std::string_view text) {
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        if (!line.starts_with("0::")) continue;
        line.remove_prefix(3);
        if (line.ends_with(" (deleted)")) line.remove_suffix(10);
        return line;
    }
    return std::nullopt;
}

std::optional<std::string_view> cgroup_v1_path(std::string_view text, std::string_view controller) {
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        take_until(line, ':');
        std::string_view controllers = take_until(line, ':');
        while (!controllers.empty())
            if (take_until(controllers, ',') == controller) return line;
    }
    return std::nullopt;
}

uint64_t ns_of_ticks(uint64_t ticks) {
    static const auto per_second = static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
    return ticks / per_second * 1'000'000'000u + ticks % per_second * (1'000'000'000u / per_second);
}

// ---- directories and files -----------------------------------------------------------------------------------

std::optional<DirReader::Entry> DirReader::next() {
    // struct linux_dirent64 of getdents64(2): ino 8, offset 8, length 2, type 1, name.
    constexpr size_t kName = 19;
    for (;;) {
        if (at_ + kName >= have_) {
            const long n = ::syscall(SYS_getdents64, fd_, buffer_.data(), buffer_.size());
            if (n <= 0) return std::nullopt;
            at_ = 0;
            have_ = static_cast<size_t>(n);
        }
        uint16_t length = 0;
        std::memcpy(&length, buffer_.data() + at_ + 16, sizeof length);
        if (length <= kName || at_ + length > have_) return std::nullopt;
        const char* name = buffer_.data() + at_ + kName;
        const Entry entry{{name, ::strnlen(name, length - kName)}, static_cast<unsigned char>(buffer_[at_ + 18])};
        at_ += length;
        if (entry.name != "." && entry.name != "..") return entry;
    }
}

void DirReader::rewind() {
    ::lseek(fd_, 0, SEEK_SET);
    at_ = have_ = 0;
}

KeptFile KeptFile::open(int dir_fd, const char* path) {
    KeptFile file;
    file.fd_.reset(::openat(dir_fd, path, O_RDONLY | O_CLOEXEC));
    return file;
}

std::optional<std::string_view> KeptFile::read(std::span<char> buffer) const {
    if (!fd_.valid()) return std::nullopt;
    return read_all(fd_.get(), buffer, nullptr);
}

uint64_t KeptFile::read_number() const {
    std::array<char, 64> buffer;
    auto text = read(buffer);
    if (!text) return FR_UNKNOWN;
    if (text->starts_with("max")) return FR_NO_LIMIT;
    return take_number(*text).value_or(FR_UNKNOWN);
}

Result<ProcDir> ProcDir::open(const std::string& path) {
    ProcDir dir;
    dir.fd_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir.fd_.valid()) return fail_errno(errno, "cannot open " + path);
    return dir;
}

std::optional<std::string_view> ProcDir::read(uint32_t pid, const char* name, std::span<char> buffer, bool* cut) const {
    const Fd fd(::openat(fd_.get(), PidPath(pid, name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return std::nullopt;
    return read_all(fd.get(), buffer, cut);
}

std::optional<std::string_view> ProcDir::read_link(uint32_t pid, const char* name, std::span<char> buffer,
                                                   bool* cut) const {
    const ssize_t n = ::readlinkat(fd_.get(), PidPath(pid, name).c_str(), buffer.data(), buffer.size());
    if (n < 0) return std::nullopt;
    if (cut != nullptr) *cut = static_cast<size_t>(n) == buffer.size();
    return std::string_view(buffer.data(), static_cast<size_t>(n));
}

uint32_t ProcDir::count_fds(uint32_t pid, uint32_t fd_size, std::span<char> buffer) const {
    struct stat st {};
    const PidPath path(pid, "fd");
    if (::fstatat(fd_.get(), path.c_str(), &st, 0) != 0) return 0;
    if (st.st_size > 0) return narrow(static_cast<uint64_t>(st.st_size));
    const Fd fd(::openat(fd_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return 0;
    DirReader reader(fd.get(), buffer);
    uint32_t count = 0;
    while (count < kCountedFds && reader.next()) ++count;
    return count < kCountedFds ? count : std::max(count, fd_size);
}

// ---- lists of processes --------------------------------------------------------------------------------------

Result<ProcessList> ProcessList::make(const SystemPaths& paths, const CgroupLayout& layout, const Scope& scope) {
    if (!scope.whole_machine() && !layout.v2.present())
        return fail(Code::unsupported,
                    "a scope needs the cgroup version 2 hierarchy, which is not mounted: mount it "
                    "with \"mount -t cgroup2 none DIRECTORY\", or record without a scope");
    ProcessList list;
    list.proc_.reset(::open(paths.proc.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!list.proc_.valid()) return fail_errno(errno, "cannot open " + paths.proc);
    list.buffer_ = std::make_unique<std::array<char, 32768>>();
    list.reader_ = std::make_unique<DirReader>(list.proc_.get(), *list.buffer_);
    list.layout_ = layout;
    list.scope_ = scope;
    return list;
}

void ProcessList::restart() {
    reader_->rewind();
    done_ = 0;
    pending_ = 0;
}

bool ProcessList::walk(FunctionRef<bool(uint32_t pid)> visit) {
    if (!scope_.whole_machine()) return walk_scope(visit);
    while (const auto entry = reader_->next()) {
        const auto pid = pid_of(entry->name);
        if (pid && !visit(*pid)) return false;
    }
    reader_->rewind();
    return true;
}

bool ProcessList::walk_scope(FunctionRef<bool(uint32_t pid)> visit) {
    uint64_t at = 0;
    bool ended = false;
    const auto visit_line = [&](std::string_view line) {
        const auto pid = pid_of(line);
        if (!pid || at++ < done_) return true;
        done_ = at;
        return visit(*pid);
    };
    walk_cgroups(layout_.v2, scope_, SIZE_MAX, [&](const CgroupEntry& entry) {
        const Fd fd(::openat(entry.fd, "cgroup.procs", O_RDONLY | O_CLOEXEC));
        if (!fd.valid()) return true;
        size_t have = 0;
        while (!ended) {
            const ssize_t n = ::read(fd.get(), buffer_->data() + have, buffer_->size() - have);
            if (n <= 0) break;
            std::string_view text(buffer_->data(), have + static_cast<size_t>(n));
            while (!ended && text.find('\n') != std::string_view::npos) ended = !visit_line(take_until(text, '\n'));
            have = text.size();
            std::memmove(buffer_->data(), text.data(), have);
        }
        return !ended;
    });
    if (!ended) done_ = 0;
    return !ended;
}

// ---- the first look ------------------------------------------------------------------------------------------

struct ProcessScanner::Impl {
    ProcDir proc;
    ProcessList list;
    CgroupLayout layout;
    Scope scope;
    uint32_t own_pidns = 0;
    LocalFiles files{};
    flight::EventBuilder builder{};
    std::array<char, 32768> text{};
    std::array<char, 8192> argv{};
    std::array<char, 4096> path{}, components{};
    std::array<char, 4096> last_cgroup{};  // the path looked up last, as neighbours often share it
    size_t last_cgroup_size = SIZE_MAX;
    uint64_t last_cgroup_id = 0;

    uint64_t cgroup_id(std::string_view cgroup) {
        if (cgroup.size() > last_cgroup.size()) return cgroup_id_of(layout.v2, cgroup);
        if (cgroup != std::string_view(last_cgroup.data(), std::min(last_cgroup_size, last_cgroup.size())) ||
            last_cgroup_size == SIZE_MAX) {
            cgroup.copy(last_cgroup.data(), cgroup.size());
            last_cgroup_size = cgroup.size();
            last_cgroup_id = cgroup_id_of(layout.v2, cgroup);
        }
        return last_cgroup_id;
    }

    uint32_t pid_namespace(uint32_t pid) {
        std::array<char, 64> link;
        auto target = proc.read_link(pid, "ns/pid", link);
        if (!target || !target->starts_with("pid:[")) return 0;
        target->remove_prefix(5);
        return narrow(take_number(*target).value_or(0));
    }

    // The cgroup path in `path`, or nothing when the process is gone or out of scope.
    std::optional<std::string_view> allowed_cgroup(uint32_t pid) {
        const auto file = proc.read(pid, "cgroup", text);
        if (!file) return std::nullopt;
        const auto cgroup = cgroup_v2_path(*file);
        if (!cgroup) return scope.whole_machine() ? std::optional<std::string_view>("") : std::nullopt;
        if (!scope.covers(*cgroup) || cgroup->size() > path.size()) return std::nullopt;
        cgroup->copy(path.data(), cgroup->size());
        return std::string_view(path.data(), cgroup->size());
    }

    void add_path(uint32_t pid, const char* link, uint8_t kind) {
        bool cut = false;
        auto target = proc.read_link(pid, link, text, &cut);
        if (!target) return;
        uint8_t flags = cut ? FR_BLOB_CUT : 0;
        if (target->ends_with(" (deleted)")) {
            target->remove_suffix(10);
            flags |= FR_BLOB_DELETED;
        }
        if (kind == FR_BLOB_PATH) {
            builder.blob(kind, *target, flags);
        } else if (const auto leaf_first = components_of(*target, components)) {
            builder.blob(kind, *leaf_first, flags);
        }
    }

    bool emit_process(uint32_t pid, const Emit& emit, bool before);
    bool emit_module(uint32_t pid, std::string_view line, const Emit& emit);
};

bool ProcessScanner::Impl::emit_process(uint32_t pid, const Emit& emit, bool before) {
    const auto cgroup = allowed_cgroup(pid);
    if (!cgroup) return false;
    std::array<char, 1024> stat_text;
    const auto stat_file = proc.read(pid, "stat", stat_text);
    const auto stat = stat_file ? parse_stat(*stat_file) : std::nullopt;
    const auto status_file = proc.read(pid, "status", text);
    const auto status = status_file ? parse_status(*status_file) : std::nullopt;
    if (!stat || !status) return false;

    auto& event = builder.begin<fr_process>(FR_CLASS_PROCESS);
    event.event.time_ns = boot_ns();
    event.event.flags = FR_EVENT_SYNTHETIC;
    event.event.pid = event.event.tid = pid;
    event.start_ns = ns_of_ticks(stat->start);
    event.cgroup_id = cgroup_id(*cgroup);
    event.ppid = stat->ppid;
    event.uid = status->uid;
    event.gid = status->gid;
    event.flags = FR_PROCESS_PARENT_KNOWN;
    if (before) event.flags |= FR_PROCESS_BEFORE;
    if (stat->kernel_thread()) event.flags |= FR_PROCESS_KERNEL_THREAD;
    if (stat->state == 'Z' || stat->state == 'X') event.flags |= FR_PROCESS_EXITED;
    event.threads = stat->threads;
    event.ns_pid = status->ns_pid != 0 ? status->ns_pid : pid;
    event.pidns = status->ns_depth <= 1 ? own_pidns : pid_namespace(pid);
    if (auto adj = proc.read(pid, "oom_score_adj", text))
        event.oom_score_adj = static_cast<int32_t>(take_signed(*adj).value_or(0));
    stat->comm.copy(event.comm, sizeof event.comm - 1);

    if (!stat->kernel_thread()) {
        bool cut = false;
        if (const auto cmdline = proc.read(pid, "cmdline", argv, &cut))
            builder.blob(FR_BLOB_ARGV, *cmdline, cut ? FR_BLOB_CUT : 0);
        add_path(pid, "exe", FR_BLOB_PATH);
        add_path(pid, "cwd", FR_BLOB_CWD);
    }
    if (!cgroup->empty())
        if (const auto leaf_first = components_of(*cgroup, components)) builder.blob(FR_BLOB_CGROUP, *leaf_first);
    emit(builder.bytes());
    return true;
}

ProcessScanner::ProcessScanner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProcessScanner::ProcessScanner(ProcessScanner&&) noexcept = default;
ProcessScanner& ProcessScanner::operator=(ProcessScanner&&) noexcept = default;
ProcessScanner::~ProcessScanner() = default;

Result<ProcessScanner> ProcessScanner::make(const SystemPaths& paths, const CgroupLayout& layout, const Scope& scope) {
    FR_ASSIGN(auto proc, ProcDir::open(paths.proc));
    FR_ASSIGN(auto list, ProcessList::make(paths, layout, scope));
    auto impl = std::make_unique<Impl>(
        Impl{.proc = std::move(proc), .list = std::move(list), .layout = layout, .scope = scope});
    impl->files = LocalFiles::open(paths.proc);
    impl->own_pidns = impl->pid_namespace(static_cast<uint32_t>(::getpid()));
    return ProcessScanner(std::move(impl));
}

size_t ProcessScanner::scan(const Emit& emit, bool before) {
    size_t count = 0;
    impl_->last_cgroup_size = SIZE_MAX;
    impl_->list.restart();
    impl_->list.walk([&](uint32_t pid) {
        if (impl_->emit_process(pid, emit, before)) ++count;
        return true;
    });
    return count;
}

bool ProcessScanner::emit_process(uint32_t pid, const Emit& emit, bool before) {
    impl_->last_cgroup_size = SIZE_MAX;
    return impl_->emit_process(pid, emit, before);
}

uint32_t build_id_of_file(int fd, std::span<uint8_t> out) {
    Elf64_Ehdr elf{};
    if (::pread(fd, &elf, sizeof elf, 0) != static_cast<ssize_t>(sizeof elf)) return 0;
    if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64) return 0;
    if (elf.e_phentsize != sizeof(Elf64_Phdr)) return 0;
    for (unsigned i = 0; i < std::min<unsigned>(elf.e_phnum, 64); ++i) {
        Elf64_Phdr header{};
        const auto at = static_cast<off_t>(elf.e_phoff + i * sizeof header);
        if (::pread(fd, &header, sizeof header, at) != static_cast<ssize_t>(sizeof header)) return 0;
        if (header.p_type != PT_NOTE) continue;
        std::array<char, 1024> notes;
        const size_t size = std::min<size_t>(notes.size(), header.p_filesz);
        const ssize_t have = ::pread(fd, notes.data(), size, static_cast<off_t>(header.p_offset));
        std::string_view rest(notes.data(), have > 0 ? static_cast<size_t>(have) : 0);
        while (rest.size() >= sizeof(Elf64_Nhdr)) {
            Elf64_Nhdr note;
            std::memcpy(&note, rest.data(), sizeof note);
            const auto padded = [](size_t n) { return (n + 3) & ~size_t{3}; };
            const size_t name = padded(note.n_namesz), whole = sizeof note + name + padded(note.n_descsz);
            if (whole > rest.size()) break;
            if (note.n_type == NT_GNU_BUILD_ID && rest.substr(sizeof note, 4) == std::string_view("GNU\0", 4) &&
                note.n_descsz <= out.size()) {
                std::memcpy(out.data(), rest.data() + sizeof note + name, note.n_descsz);
                return note.n_descsz;
            }
            rest.remove_prefix(whole);
        }
    }
    return 0;
}

namespace {

std::optional<uint64_t> take_hex(std::string_view& s) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value, 16);
    if (error != std::errc{}) return std::nullopt;
    s.remove_prefix(static_cast<size_t>(end - s.data()));
    return value;
}

}  // namespace

// "55d0c6a00000-55d0c6a21000 r-xp 00002000 fd:01 1234   /usr/bin/cat" (fs/proc/task_mmu.c, show_map_vma).
bool ProcessScanner::Impl::emit_module(uint32_t pid, std::string_view line, const Emit& emit) {
    const auto start = take_hex(line);
    if (!start || !line.starts_with('-')) return false;
    line.remove_prefix(1);
    const auto end = take_hex(line);
    if (!end || line.size() < 7 || line[3] != 'x') return false;
    line.remove_prefix(6);
    const auto offset = take_hex(line);
    line.remove_prefix(std::min<size_t>(1, line.size()));
    const auto major = take_hex(line);
    line.remove_prefix(std::min<size_t>(1, line.size()));
    const auto minor = take_hex(line);
    const auto inode = take_number(line);
    const size_t name = line.find_first_not_of(' ');
    if (!offset || !major || !minor || !inode || name == std::string_view::npos) return false;
    line.remove_prefix(name);
    if (!line.starts_with('/')) return false;  // "[vdso]" is no file
    auto& event = builder.begin<fr_module>(FR_CLASS_MODULE);
    event.event.time_ns = boot_ns();
    event.event.flags = FR_EVENT_SYNTHETIC;
    event.event.pid = event.event.tid = pid;
    event.start = *start;
    event.end = *end;
    event.offset = *offset;
    event.inode = *inode;
    event.dev = static_cast<__u32>(*major << 20 | *minor);
    // By its name as the process sees it; map_files would be right for deleted files too, but wants a right that the
    // recorder gives up. It must be the mapped file: another one of that name may have come since.
    std::array<char, 4200> name_in_root{};
    line.copy(name_in_root.data(), name_in_root.size() - 1);
    const Fd root(::openat(proc.fd(), PidPath(pid, "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const Fd mounts(::openat(proc.fd(), PidPath(pid, "mountinfo").c_str(), O_RDONLY | O_CLOEXEC));
    const bool rooted = root.valid() && mounts.valid();
    const Fd file = rooted ? files.open_regular(name_in_root.data(), *inode, root.get(), mounts.get()) : Fd{};
    if (file.valid()) event.build_id_len = build_id_of_file(file.get(), event.build_id);
    uint8_t flags = 0;
    if (line.ends_with(" (deleted)")) {
        line.remove_suffix(10);
        flags = FR_BLOB_DELETED;
    }
    builder.blob(FR_BLOB_PATH, line, flags);
    emit(builder.bytes());
    return true;
}

size_t ProcessScanner::emit_modules(uint32_t pid, const Emit& emit, size_t limit) {
    Impl& impl = *impl_;
    if (!impl.allowed_cgroup(pid)) return 0;
    const Fd maps(::openat(impl.proc.fd(), PidPath(pid, "maps").c_str(), O_RDONLY | O_CLOEXEC));
    if (!maps.valid()) return 0;
    size_t have = 0, count = 0;
    while (count < limit) {
        const ssize_t n = ::read(maps.get(), impl.text.data() + have, impl.text.size() - have);
        if (n <= 0) break;
        std::string_view text(impl.text.data(), have + static_cast<size_t>(n));
        while (count < limit && text.find('\n') != std::string_view::npos)
            if (impl.emit_module(pid, take_until(text, '\n'), emit)) ++count;
        have = text.size() == impl.text.size() ? 0 : text.size();
        std::memmove(impl.text.data(), text.data(), have);
    }
    return count;
}

size_t ProcessScanner::emit_fds(uint32_t pid, const Emit& emit, size_t limit) {
    Impl& impl = *impl_;
    if (!impl.allowed_cgroup(pid)) return 0;
    const Fd dir(::openat(impl.proc.fd(), PidPath(pid, "fd").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir.valid()) return 0;
    const Fd info(::openat(impl.proc.fd(), PidPath(pid, "fdinfo").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    alignas(8) std::array<char, 4096> entries;
    DirReader reader(dir.get(), entries);
    size_t count = 0;
    while (auto entry = count < limit ? reader.next() : std::nullopt) {
        std::string_view name = entry->name;
        const auto number = take_number(name);
        const ssize_t n = ::readlinkat(dir.get(), entry->name.data(), impl.text.data(), impl.text.size());
        if (!number || n < 0) continue;
        auto& event = impl.builder.begin<fr_fd>(FR_CLASS_FD);
        event.event.time_ns = boot_ns();
        event.event.flags = FR_EVENT_SYNTHETIC;
        event.event.pid = event.event.tid = pid;
        event.fd = narrow(*number);
        const KeptFile flags = info.valid() ? KeptFile::open(info.get(), entry->name.data()) : KeptFile{};
        std::array<char, 512> flags_text;
        if (auto text = flags.read(flags_text))
            if (const size_t at = text->find("flags:"); at != std::string_view::npos) {
                text->remove_prefix(at + 6);
                skip_blanks(*text);
                std::from_chars(text->data(), text->data() + text->size(), event.flags, 8);
            }
        impl.builder.blob(FR_BLOB_PATH, {impl.text.data(), static_cast<size_t>(n)},
                          static_cast<size_t>(n) == impl.text.size() ? FR_BLOB_CUT : 0);
        emit(impl.builder.bytes());
        ++count;
    }
    return count;
}

}  // namespace flightrec::record
