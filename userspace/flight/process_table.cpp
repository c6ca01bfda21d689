// SPDX-License-Identifier: Apache-2.0
// The process table: entries in one array, found by pid through chains, latest first.
#include "userspace/flight/process_table.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "userspace/flight/bytes.h"
#include "userspace/flight/table_memory.h"

namespace flightrec::flight {
namespace {

constexpr uint64_t tick_ns = 10'000'000;  // USER_HZ is 100 on x86-64 and arm64

void copy_comm(char (&to)[FR_COMM_LEN], const char (&from)[FR_COMM_LEN]) { std::memcpy(to, from, sizeof to); }

template <size_t N>
void copy_text(char (&to)[N], uint16_t& size, bool& cut, std::string_view text, bool was_cut) {
    size = static_cast<uint16_t>(std::min(text.size(), N));
    if (size > 0) std::memcpy(to, text.data(), size);
    cut = was_cut || size < text.size();
}

}  // namespace

std::string_view Process::comm() const { return {comm_bytes, strnlen(comm_bytes, sizeof comm_bytes)}; }

bool same_start(uint64_t a, uint64_t b) {
    if (a == b || a == 0 || b == 0) return true;
    return (a % tick_ns == 0 || b % tick_ns == 0) && a / tick_ns == b / tick_ns;
}

struct ProcessTable::Impl {
    struct Entry {
        Process process;
        uint32_t next = nil;                // of the same bucket, earlier ones behind; or of the free list
        uint32_t older = nil, newer = nil;  // list of the exited, by exit
        bool used = false;
    };
    Options options;
    std::unique_ptr<Entry[], FreeMemory> entries;  // left untouched until used
    std::vector<uint32_t> buckets;
    size_t touched = 0;  // entries that were ever used
    uint32_t free_list = nil;
    uint32_t oldest_exited = nil, newest_exited = nil;
    size_t count = 0, living = 0, exited = 0;
    uint64_t dropped = 0;
    mutable EventBuilder builder;

    [[nodiscard]] uint32_t& bucket(uint32_t pid) { return buckets[(pid * 0x9e3779b1u) & (buckets.size() - 1)]; }
    [[nodiscard]] uint32_t bucket(uint32_t pid) const { return buckets[(pid * 0x9e3779b1u) & (buckets.size() - 1)]; }
    [[nodiscard]] Process* latest(uint32_t pid) {
        for (uint32_t i = bucket(pid); i != nil; i = entries[i].next)
            if (entries[i].process.pid == pid) return &entries[i].process;
        return nullptr;
    }
    [[nodiscard]] uint32_t index_of(const Process* p) const {
        return static_cast<uint32_t>(reinterpret_cast<const Entry*>(p) - entries.get());
    }
    void unlink_exited(uint32_t i);
    void remove(uint32_t i);
    uint32_t take();
    Process* add(uint32_t pid);
    void end(Process& p, uint64_t time_ns, uint32_t code);
    Process* identify(uint32_t pid, uint64_t start_ns, uint64_t time_ns);

    void exec(const EventRef& event);
    void fork(const EventRef& event);
    void exit(const EventRef& event);
    void rename(const EventRef& event);
    void attach(const EventRef& event);
    void process(const EventRef& event);
    void write(const Process& p, uint64_t time_ns) const;
};

void ProcessTable::Impl::unlink_exited(uint32_t i) {
    Entry& e = entries[i];
    (e.older != nil ? entries[e.older].newer : oldest_exited) = e.newer;
    (e.newer != nil ? entries[e.newer].older : newest_exited) = e.older;
    e.older = e.newer = nil;
}

void ProcessTable::Impl::remove(uint32_t i) {
    Entry& e = entries[i];
    if (e.process.exited) {
        unlink_exited(i);
        --exited;
    } else {
        --living;
    }
    uint32_t* link = &bucket(e.process.pid);
    while (*link != i) link = &entries[*link].next;
    *link = e.next;
    e.used = false;
    e.next = free_list;
    free_list = i;
    --count;
}

// A free entry: a fresh one, else the longest exited one's, else a kernel thread's (they do little and all look alike).
uint32_t ProcessTable::Impl::take() {
    if (free_list == nil && touched < options.capacity) {
        new (&entries[touched]) Entry;
        return static_cast<uint32_t>(touched++);
    }
    if (free_list == nil && oldest_exited != nil) remove(oldest_exited);
    if (free_list == nil) {
        ++dropped;
        for (uint32_t i = 0; i < touched; ++i) {
            if (!entries[i].used || !entries[i].process.kernel_thread) continue;
            remove(i);
            break;
        }
    }
    const uint32_t i = free_list;
    if (i != nil) free_list = entries[i].next;
    return i;
}

// A new process in front of any earlier one of the same pid; nullptr (counted) when there is no room.
Process* ProcessTable::Impl::add(uint32_t pid) {
    const uint32_t i = take();
    if (i == nil) return nullptr;
    Entry& e = entries[i];
    e = Entry{};
    e.used = true;
    e.process.pid = pid;
    e.next = bucket(pid);
    bucket(pid) = i;
    ++count;
    ++living;
    return &e.process;
}

void ProcessTable::Impl::end(Process& p, uint64_t time_ns, uint32_t code) {
    if (p.exited) return;
    const uint32_t i = index_of(&p);
    if (options.exited_max == 0) return remove(i);
    if (exited >= options.exited_max) remove(oldest_exited);
    ++exited;
    p.exited = true;
    p.exit_ns = time_ns;
    p.exit_code = code;
    --living;
    Entry& e = entries[i];
    e.older = newest_exited;
    e.newer = nil;
    (newest_exited != nil ? entries[newest_exited].newer : oldest_exited) = i;
    newest_exited = i;
}

// The living process of this pid and start time. One of another start time has ended unseen. An event from before the
// end of an exited one (the recorder reads one CPU after another) is that one's, and wakes nobody up.
Process* ProcessTable::Impl::identify(uint32_t pid, uint64_t start_ns, uint64_t time_ns) {
    Process* p = latest(pid);
    if (p != nullptr && p->exited && time_ns <= p->exit_ns) return p;
    if (p != nullptr && !p->exited && same_start(p->start_ns, start_ns)) {
        if (p->start_ns == 0 || p->start_ns % tick_ns == 0) p->start_ns = start_ns != 0 ? start_ns : p->start_ns;
        return p;
    }
    if (p != nullptr && !p->exited) end(*p, time_ns, 0);
    p = add(pid);
    if (p != nullptr) p->start_ns = start_ns;
    return p;
}

void ProcessTable::Impl::exec(const EventRef& event) {
    const auto e = event.as<fr_exec>();
    Process* p = identify(e.event.pid, e.start_ns, e.event.time_ns);
    if (p == nullptr || e.event.time_ns < p->exec_ns) return;  // older than what is known, from another CPU's ring
    p->ppid = e.ppid;
    p->parent_known = true;
    p->uid = e.uid;
    p->gid = e.gid;
    p->cgroup_id = e.cgroup_id != 0 ? e.cgroup_id : p->cgroup_id;
    p->exec_ns = e.event.time_ns;
    p->pidns = e.pidns;
    p->ns_pid = e.ns_pid;
    p->threads = 1;
    p->inherited = p->kernel_thread = false;
    copy_comm(p->comm_bytes, e.comm);
    const auto argv = find_blob(event, FR_BLOB_ARGV);
    copy_text(p->argv_bytes, p->argv_size, p->argv_cut, argv ? argv->text : std::string_view{},
              argv && (argv->flags & FR_BLOB_CUT) != 0);
    const auto exe = find_blob(event, FR_BLOB_EXE);
    const auto name = find_blob(event, FR_BLOB_FILENAME);
    if (exe && (exe->flags & FR_BLOB_FAULT) == 0 && !exe->text.empty()) {
        // Leaf first; root first without allocating: component by component from the end.
        std::array<char, 4096> path;
        size_t length = 0;
        std::string_view rest = exe->text;
        while (!rest.empty() && rest.back() == '\0') rest.remove_suffix(1);
        while (!rest.empty() && length < path.size()) {
            const size_t nul = rest.rfind('\0');
            const std::string_view part = nul == std::string_view::npos ? rest : rest.substr(nul + 1);
            rest = nul == std::string_view::npos ? std::string_view{} : rest.substr(0, nul);
            path[length++] = '/';
            const size_t n = std::min(part.size(), path.size() - length);
            std::memcpy(path.data() + length, part.data(), n);
            length += n;
        }
        copy_text(p->exe_bytes, p->exe_size, p->exe_cut, {path.data(), length}, (exe->flags & FR_BLOB_CUT) != 0);
    } else {
        copy_text(p->exe_bytes, p->exe_size, p->exe_cut, name ? name->text : std::string_view{},
                  name && (name->flags & FR_BLOB_CUT) != 0);
    }
}

void ProcessTable::Impl::fork(const EventRef& event) {
    const auto f = event.as<fr_fork>();
    if (f.child_tid != f.child_pid) {  // a thread
        if (Process* p = latest(f.child_pid); p != nullptr && !p->exited) ++p->threads;
        return;
    }
    Process* p = identify(f.child_pid, f.start_ns, f.event.time_ns);
    if (p == nullptr) return;
    p->fork_ns = f.event.time_ns;
    p->ppid = f.parent_pid;
    p->parent_known = true;
    if (p->exec_ns != 0) return;  // what it executed was applied already, and is newer
    p->uid = f.uid;
    p->gid = f.gid;
    p->cgroup_id = f.cgroup_id;
    p->pidns = f.pidns;
    p->ns_pid = f.ns_pid;
    copy_comm(p->comm_bytes, f.comm);
    // It runs the caller's program until it executes one of its own.
    const Process* caller = latest(f.event.pid);
    if (caller == nullptr || caller == p) return;
    p->inherited = true;
    p->kernel_thread = caller->kernel_thread;
    p->oom_score_adj = caller->oom_score_adj;
    copy_text(p->argv_bytes, p->argv_size, p->argv_cut, caller->argv(), caller->argv_cut);
    copy_text(p->exe_bytes, p->exe_size, p->exe_cut, caller->exe(), caller->exe_cut);
}

void ProcessTable::Impl::exit(const EventRef& event) {
    const auto x = event.as<fr_exit>();
    Process* p = latest(x.event.pid);
    const bool group_dead = (x.flags & FR_EXIT_GROUP_DEAD) != 0;
    if (p == nullptr && group_dead && options.exited_max != 0) {  // its beginning may still be in another CPU's ring
        if ((p = add(x.event.pid)) == nullptr) return;
        p->ppid = x.ppid;
        p->parent_known = x.ppid != 0;
        p->uid = x.uid;
        p->cgroup_id = x.cgroup_id;
        copy_comm(p->comm_bytes, x.comm);
    }
    if (p == nullptr || p->exited) return;
    if (group_dead) {
        end(*p, x.event.time_ns, x.exit_code);
    } else if (p->threads > 1) {
        --p->threads;
    }
}

void ProcessTable::Impl::rename(const EventRef& event) {
    const auto r = event.as<fr_rename>();
    Process* p = latest(r.target_pid);
    if (p != nullptr && !p->exited && r.target_tid == r.target_pid) copy_comm(p->comm_bytes, r.new_comm);
}

void ProcessTable::Impl::attach(const EventRef& event) {
    const auto a = event.as<fr_cgroup_attach>();
    Process* p = latest(a.target_pid);
    if (a.hierarchy == 0 && p != nullptr && !p->exited && (a.whole_process != 0 || a.target_tid == a.target_pid))
        p->cgroup_id = a.cgroup_id;
}

void ProcessTable::Impl::process(const EventRef& event) {
    const auto r = event.as<fr_process>();
    Process* p = identify(r.event.pid, r.start_ns, r.event.time_ns);
    if (p == nullptr) return;
    p->ppid = r.ppid;
    p->parent_known = (r.flags & FR_PROCESS_PARENT_KNOWN) != 0;
    p->kernel_thread = (r.flags & FR_PROCESS_KERNEL_THREAD) != 0;
    p->zombie = (r.flags & FR_PROCESS_EXITED) != 0;
    p->before = (r.flags & FR_PROCESS_BEFORE) != 0;
    p->uid = r.uid;
    p->gid = r.gid;
    p->cgroup_id = r.cgroup_id != 0 ? r.cgroup_id : p->cgroup_id;
    p->exec_ns = r.exec_ns != 0 ? r.exec_ns : p->exec_ns;
    p->threads = std::max<uint32_t>(r.threads, 1);
    p->pidns = r.pidns;
    p->ns_pid = r.ns_pid;
    p->oom_score_adj = r.oom_score_adj;
    copy_comm(p->comm_bytes, r.comm);
    if (const auto argv = find_blob(event, FR_BLOB_ARGV))
        copy_text(p->argv_bytes, p->argv_size, p->argv_cut, argv->text, (argv->flags & FR_BLOB_CUT) != 0);
    if (const auto exe = find_blob(event, FR_BLOB_PATH))
        copy_text(p->exe_bytes, p->exe_size, p->exe_cut, exe->text, (exe->flags & FR_BLOB_CUT) != 0);
}

ProcessTable::ProcessTable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProcessTable::ProcessTable(ProcessTable&&) noexcept = default;
ProcessTable& ProcessTable::operator=(ProcessTable&&) noexcept = default;
ProcessTable::~ProcessTable() = default;

Result<ProcessTable> ProcessTable::make(const Options& options) {
    if (options.capacity < 16 || options.capacity > (1u << 24))
        return fail(Code::usage, "a process table holds 16 to 16777216 processes");
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    static_assert(std::is_trivially_destructible_v<Impl::Entry>);
    impl->entries.reset(static_cast<Impl::Entry*>(std::calloc(options.capacity, sizeof(Impl::Entry))));
    if (!impl->entries) return fail(Code::no_space, "not enough memory for the table");
    impl->buckets.assign(std::bit_ceil(options.capacity), nil);
    return ProcessTable(std::move(impl));
}

void ProcessTable::apply(const EventRef& event) {
    switch (event.head().cls) {
        case FR_CLASS_EXEC: return impl_->exec(event);
        case FR_CLASS_FORK: return impl_->fork(event);
        case FR_CLASS_EXIT: return impl_->exit(event);
        case FR_CLASS_RENAME: return impl_->rename(event);
        case FR_CLASS_CGROUP_ATTACH: return impl_->attach(event);
        case FR_CLASS_PROCESS: return impl_->process(event);
        default: return;
    }
}

const Process* ProcessTable::find(uint32_t pid) const { return impl_->latest(pid); }

const Process* ProcessTable::find_at(uint32_t pid, uint64_t start_ns) const {
    for (uint32_t i = impl_->bucket(pid); i != nil; i = impl_->entries[i].next) {
        const Process& p = impl_->entries[i].process;
        if (p.pid == pid && same_start(p.start_ns, start_ns)) return &p;
    }
    return nullptr;
}

const Process* ProcessTable::find_alive(uint32_t pid, uint64_t time_ns) const {
    for (uint32_t i = impl_->bucket(pid); i != nil; i = impl_->entries[i].next) {
        const Process& p = impl_->entries[i].process;
        const uint64_t began = p.start_ns != 0 ? p.start_ns : p.fork_ns;
        if (p.pid == pid && began <= time_ns && (!p.exited || time_ns <= p.exit_ns)) return &p;
    }
    return nullptr;
}

void ProcessTable::for_each(const std::function<void(const Process&)>& visit) const {
    for (size_t i = 0; i < impl_->touched; ++i)
        if (impl_->entries[i].used) visit(impl_->entries[i].process);
}

size_t ProcessTable::size() const { return impl_->count; }
size_t ProcessTable::alive() const { return impl_->living; }
uint64_t ProcessTable::dropped() const { return impl_->dropped; }

void ProcessTable::clear() {
    std::fill(impl_->buckets.begin(), impl_->buckets.end(), nil);
    impl_->touched = impl_->count = impl_->living = impl_->exited = 0;
    impl_->free_list = impl_->oldest_exited = impl_->newest_exited = nil;
    impl_->dropped = 0;
}

// The record of one process, in the builder.
void ProcessTable::Impl::write(const Process& p, uint64_t time_ns) const {
    auto& r = builder.begin<fr_process>(FR_CLASS_PROCESS);
    r.event.time_ns = time_ns;
    r.event.flags = FR_EVENT_SYNTHETIC;
    r.event.pid = r.event.tid = p.pid;
    r.start_ns = p.start_ns;
    r.cgroup_id = p.cgroup_id;
    r.exec_ns = p.exec_ns;
    r.ppid = p.ppid;
    r.uid = p.uid;
    r.gid = p.gid;
    const auto flag = [](bool on, fr_process_flag value) { return on ? static_cast<uint32_t>(value) : 0u; };
    r.flags = flag(p.parent_known, FR_PROCESS_PARENT_KNOWN) | flag(p.kernel_thread, FR_PROCESS_KERNEL_THREAD) |
              flag(p.zombie, FR_PROCESS_EXITED) | flag(p.before, FR_PROCESS_BEFORE);
    r.threads = p.threads;
    r.pidns = p.pidns;
    r.ns_pid = p.ns_pid;
    r.oom_score_adj = p.oom_score_adj;
    copy_comm(r.comm, p.comm_bytes);
    if (p.argv_size > 0) builder.blob(FR_BLOB_ARGV, p.argv(), cut_flag(p.argv_cut));
    if (p.exe_size > 0) builder.blob(FR_BLOB_PATH, p.exe(), cut_flag(p.exe_cut));
}

size_t ProcessTable::write_keyframe(EventBlockEncoder& encoder, uint64_t time_ns,
                                    const std::function<bool()>& full) const {
    size_t written = 0;
    for (size_t i = 0; i < impl_->touched; ++i) {
        const auto& e = impl_->entries[i];
        if (!e.used || e.process.exited) continue;
        impl_->write(e.process, time_ns);
        const auto record = impl_->builder.bytes();
        if (!encoder.add(record, 0) && (!full() || !encoder.add(record, 0))) break;
        ++written;
    }
    return written;
}

}  // namespace flightrec::flight
