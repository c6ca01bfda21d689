// SPDX-License-Identifier: Apache-2.0
// Applying events to the state: processes, threads, cgroups. What system calls do to descriptors is in fd_state.cpp.
#include "userspace/replay/state.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "userspace/flight/process_table.h"
#include "userspace/replay/fd_effects.h"

namespace flightrec::replay {
namespace {

using flight::BlobWalk;
using flight::EventRef;

std::string_view comm_view(const char (&comm)[FR_COMM_LEN]) { return {comm, strnlen(comm, FR_COMM_LEN)}; }

}  // namespace

ReplayState::ReplayState(Arch arch, std::shared_ptr<const EarlyNames> early) : arch_(arch), early_(std::move(early)) {
    names_.emplace_back();
    fill_fd_effects(arch, effect_);
}

// One process makes many calls in a row.
const Process* ReplayState::find(uint32_t pid) const {
    if (last_ != nullptr && last_pid_ == pid) return last_;
    const auto it = current_.find(pid);
    if (it == current_.end()) return nullptr;
    last_pid_ = pid;
    last_index_ = it->second;
    last_ = &processes_[it->second];
    return last_;
}

ProcessIndex ReplayState::index_of(uint32_t pid) const { return find(pid) == nullptr ? no_process : last_index_; }

const Process* ReplayState::find(uint32_t pid, uint64_t start_ns) const {
    const Process* now = find(pid);
    if (start_ns == 0 || (now != nullptr && flight::same_start(now->start_ns, start_ns))) return now;
    const auto it = std::find_if(processes_.rbegin(), processes_.rend(), [&](const Process& p) {
        return p.pid == pid && flight::same_start(p.start_ns, start_ns);
    });
    return it == processes_.rend() ? nullptr : &*it;
}

std::string_view ReplayState::comm_of(uint32_t tid, uint32_t pid) const {
    if (const auto it = threads_.find(tid); it != threads_.end() && it->second.comm[0] != '\0')
        return {it->second.comm.data(), strnlen(it->second.comm.data(), FR_COMM_LEN)};
    const Process* process = find(pid);
    if (process != nullptr && !process->comm.empty()) return process->comm;
    if (early_ == nullptr) return {};
    const std::string_view name = early_->find(tid);
    return name.empty() ? early_->find(pid) : name;
}

std::string_view ReplayState::cgroup_path(uint64_t cgroup_id) const {
    const auto it = cgroups_.find(cgroup_id);
    return it == cgroups_.end() ? std::string_view{} : std::string_view(it->second);
}

std::string_view ReplayState::cgroup_of(const Process& process) const { return cgroup_path(process.cgroup_id); }

std::string ReplayState::command_line(const Process& process, size_t limit) {
    if (process.argv.empty()) return process.comm.empty() ? "(unknown command)" : "[" + process.comm + "]";
    std::string line = process.argv.substr(0, limit);
    while (!line.empty() && line.back() == '\0') line.pop_back();
    std::replace(line.begin(), line.end(), '\0', ' ');
    if (process.argv.size() > limit) line += "...";
    return line;
}

ProcessIndex ReplayState::add(uint32_t pid, uint64_t start_ns) {
    if (const auto it = current_.find(pid); it != current_.end()) processes_[it->second].ended = true;
    const auto index = static_cast<ProcessIndex>(processes_.size());
    Process& process = processes_.emplace_back();
    process.pid = pid;
    process.start_ns = start_ns;
    current_[pid] = index;
    last_ = nullptr;
    return index;
}

ProcessIndex ReplayState::touch(uint32_t pid) {
    const ProcessIndex known = index_of(pid);
    return known != no_process ? known : add(pid, 0);
}

// The life of pid that began at start_ns: the current one where that fits or its start was not told yet, else a new
// one.
ProcessIndex ReplayState::upsert(uint32_t pid, uint64_t start_ns) {
    const auto it = current_.find(pid);
    if (it == current_.end()) return add(pid, start_ns);
    Process& process = processes_[it->second];
    if (start_ns == 0) return it->second;
    const bool same = process.start_ns != 0 && flight::same_start(process.start_ns, start_ns);
    if (same) return it->second;
    if (process.start_ns != 0 || process.ended) return add(pid, start_ns);
    process.start_ns = start_ns;
    return it->second;
}

void ReplayState::set_thread(uint32_t tid, ProcessIndex index, const char (&comm)[FR_COMM_LEN]) {
    Thread& thread = threads_[tid];
    thread.process = index;
    std::memcpy(thread.comm.data(), comm, FR_COMM_LEN);
}

void ReplayState::name_cgroup(uint64_t id, std::string_view path) {
    if (id == 0 || path.empty()) return;
    std::string& known = cgroups_[id];
    if (known != path) known = path;
}

void ReplayState::begin(const EventRef& event) {
    if (event.head().cls != FR_CLASS_SYSCALL) ++told_;
    switch (event.head().cls) {
        case FR_CLASS_SYSCALL: open_by_syscall(event); break;
        case FR_CLASS_EXEC: apply_exec(event); break;
        case FR_CLASS_FORK: apply_fork(event); break;
        case FR_CLASS_PROCESS: apply_process(event); break;
        case FR_CLASS_PROCESS_SAMPLE: apply_sample(event); break;
        case FR_CLASS_FD: apply_fd(event); break;
        case FR_CLASS_CGROUP:
        case FR_CLASS_CGROUP_ATTACH:
        case FR_CLASS_CGROUP_SAMPLE: apply_cgroup(event); break;
        case FR_CLASS_RENAME: apply_rename(event); break;
        default: break;
    }
}

void ReplayState::end(const EventRef& event) {
    if (event.head().cls == FR_CLASS_SYSCALL)
        close_by_syscall(event);
    else if (event.head().cls == FR_CLASS_EXIT) {
        ++told_;
        apply_exit(event);
    }
}

void ReplayState::apply_exec(const EventRef& event) {
    const auto exec = event.as<fr_exec>();
    const ProcessIndex index = upsert(event.head().pid, exec.start_ns);
    Process& process = processes_[index];
    process.ppid = exec.ppid;
    if (process.parent_kind == Parent::unknown && exec.ppid != 0) {
        const ProcessIndex parent = touch(exec.ppid);
        processes_[index].parent = parent;
        processes_[index].parent_kind = Parent::known;
    }
    process.uid = exec.uid;
    process.gid = exec.gid;
    process.uid_known = true;
    process.cgroup_id = exec.cgroup_id;
    process.exec_ns = event.head().time_ns;
    process.comm = comm_view(exec.comm);
    process.argv.clear();
    BlobWalk walk(event.blob_bytes());
    while (const auto blob = walk.next()) {
        if (blob->kind == FR_BLOB_ARGV) process.argv = blob->text;
        if (blob->kind == FR_BLOB_EXE) process.exe = flight::path_from_components(blob->text);
        if (blob->kind == FR_BLOB_CWD) process.cwd = flight::path_from_components(blob->text);
        if (blob->kind == FR_BLOB_CGROUP) name_cgroup(exec.cgroup_id, flight::path_from_components(blob->text));
    }
    // execve leaves one thread, which takes the leader's tid, and closes what is close-on-exec.
    if (exec.old_tid != 0 && exec.old_tid != event.head().tid) threads_.erase(exec.old_tid);
    set_thread(event.head().pid, index, exec.comm);
    for (auto& name : process.fds.names)
        if ((name & fd_close_on_exec) != 0) name = 0;
}

void ReplayState::apply_fork(const EventRef& event) {
    const auto fork = event.as<fr_fork>();
    const bool thread = fork.child_pid != fork.child_tid;
    if (thread) {
        set_thread(fork.child_tid, touch(fork.child_pid), fork.comm);
        return;
    }
    const auto known = current_.find(fork.child_pid);
    const bool same = known != current_.end() && processes_[known->second].start_ns != 0 &&
                      flight::same_start(processes_[known->second].start_ns, fork.start_ns);
    const ProcessIndex parent = fork.parent_pid != 0 ? touch(fork.parent_pid) : no_process;
    const ProcessIndex index = same ? known->second : add(fork.child_pid, fork.start_ns);
    Process& child = processes_[index];
    child.ppid = fork.parent_pid;
    child.parent = parent;
    child.parent_kind = parent == no_process ? Parent::none : Parent::known;
    child.start_seen = true;
    child.uid = fork.uid;
    child.gid = fork.gid;
    child.uid_known = true;
    child.cgroup_id = fork.cgroup_id;
    child.threads = 1;
    if (child.comm.empty()) child.comm = comm_view(fork.comm);
    // A copy of whoever called fork: argv, directory and descriptors, until it says otherwise.
    if (!same && event.head().pid != 0) {
        const Process& maker = processes_[touch(event.head().pid)];
        Process& copy = processes_[index];
        copy.argv = maker.argv;
        copy.exe = maker.exe;
        copy.cwd = maker.cwd;
        copy.fds = maker.fds;
    }
    set_thread(fork.child_tid, index, fork.comm);
}

void ReplayState::apply_exit(const EventRef& event) {
    const auto exit = event.as<fr_exit>();
    threads_.erase(event.head().tid);
    if ((exit.flags & FR_EXIT_GROUP_DEAD) == 0) return;
    Process& process = processes_[touch(event.head().pid)];
    process.ended = true;
    process.exit_seen = true;
    process.end_ns = event.head().time_ns;
    process.exit_code = exit.exit_code;
    if (process.comm.empty()) process.comm = comm_view(exit.comm);
    if (process.cgroup_id == 0) process.cgroup_id = exit.cgroup_id;
    if (process.parent_kind == Parent::unknown) process.ppid = exit.ppid;
    process.fds.names.clear();
    process.fds.names.shrink_to_fit();
}

void ReplayState::apply_process(const EventRef& event) {
    const auto told = event.as<fr_process>();
    const ProcessIndex index = upsert(event.head().pid, told.start_ns);
    ProcessIndex parent = no_process;
    if ((told.flags & FR_PROCESS_PARENT_KNOWN) != 0 && told.ppid != 0) parent = touch(told.ppid);
    Process& process = processes_[index];
    if (process.ended) return;  // an older look at a process that this flight saw end
    process.ppid = told.ppid;
    if (process.parent_kind == Parent::unknown && (told.flags & FR_PROCESS_PARENT_KNOWN) != 0) {
        process.parent = parent;
        process.parent_kind = parent == no_process ? Parent::none : Parent::known;
    }
    process.uid = told.uid;
    process.gid = told.gid;
    process.uid_known = true;
    process.kernel_thread = (told.flags & FR_PROCESS_KERNEL_THREAD) != 0;
    process.before = (told.flags & FR_PROCESS_BEFORE) != 0;
    process.threads = told.threads;
    process.oom_score_adj = told.oom_score_adj;
    process.oom_score_adj_known = true;
    if (told.cgroup_id != 0) process.cgroup_id = told.cgroup_id;
    if (told.exec_ns != 0) process.exec_ns = told.exec_ns;
    process.comm = comm_view(told.comm);
    BlobWalk walk(event.blob_bytes());
    while (const auto blob = walk.next()) {
        if (blob->kind == FR_BLOB_ARGV) process.argv = blob->text;
        if (blob->kind == FR_BLOB_PATH) process.exe = blob->text;
        if (blob->kind == FR_BLOB_EXE) process.exe = flight::path_from_components(blob->text);
        if (blob->kind == FR_BLOB_CWD)
            process.cwd =
                blob->text.starts_with('/') ? std::string(blob->text) : flight::path_from_components(blob->text);
        if (blob->kind == FR_BLOB_CGROUP)
            name_cgroup(told.cgroup_id, blob->text.starts_with('/') ? std::string(blob->text)
                                                                    : flight::path_from_components(blob->text));
    }
    set_thread(process.pid, index, told.comm);
}

void ReplayState::apply_sample(const EventRef& event) {
    const auto sample = event.as<fr_process_sample>();
    Process& process = processes_[upsert(event.head().pid, sample.start_ns)];
    if (process.comm.empty()) process.comm = comm_view(sample.comm);
    process.threads = sample.threads;
    process.oom_score_adj = sample.oom_score_adj;
    process.oom_score_adj_known = true;
}

void ReplayState::apply_fd(const EventRef& event) {
    const auto fd = event.as<fr_fd>();
    Process& process = processes_[touch(event.head().pid)];
    if (const auto path = find_blob(event, FR_BLOB_PATH))
        set_fd(process, fd.fd, intern(path->text), (fd.flags & O_CLOEXEC) != 0);
}

void ReplayState::apply_cgroup(const EventRef& event) {
    const auto text = find_blob(event, FR_BLOB_TEXT);
    const std::string_view path = text ? text->text : std::string_view{};
    if (event.head().cls == FR_CLASS_CGROUP) {
        const auto cgroup = event.as<fr_cgroup>();
        if (cgroup.hierarchy == 0 || cgroups_.find(cgroup.cgroup_id) == cgroups_.end())
            name_cgroup(cgroup.cgroup_id, path);
    } else if (event.head().cls == FR_CLASS_CGROUP_SAMPLE) {
        const auto sample = event.as<fr_cgroup_sample>();
        if (cgroups_.find(sample.cgroup_id) == cgroups_.end()) name_cgroup(sample.cgroup_id, path);
    } else {
        const auto attach = event.as<fr_cgroup_attach>();
        if (attach.hierarchy == 0) {
            name_cgroup(attach.cgroup_id, path);
            processes_[touch(attach.target_pid)].cgroup_id = attach.cgroup_id;
        }
    }
}

void ReplayState::apply_rename(const EventRef& event) {
    const auto rename = event.as<fr_rename>();
    const ProcessIndex index = touch(rename.target_pid);
    set_thread(rename.target_tid, index, rename.new_comm);
    if (rename.target_tid == rename.target_pid) processes_[index].comm = comm_view(rename.new_comm);
}

}  // namespace flightrec::replay
