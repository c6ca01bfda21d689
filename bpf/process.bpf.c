// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Process lifecycle: exec, fork, exit, and changes of a thread's name. */
#include "blob.h"
#include "filter.h"
#include "kernel_differences.h"
#include "path.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ARGV_LIMIT 8192

static __always_inline void read_ns_pid(struct task_struct* task, u32* pidns, u32* ns_pid) {
    struct pid* pid = task->thread_pid;
    u32 level = pid->level;
    if (level == 0) {
        *ns_pid = (u32)pid->numbers[0].nr;
        *pidns = pid->numbers[0].ns->ns.inum;
        return;
    }
    pid = BPF_CORE_READ(task, thread_pid); /* untyped: 6.1 refuses an offset that is no constant to the other */
    struct upid* upid = (void*)&pid->numbers[0] + (u64)(level & 31) * bpf_core_type_size(struct upid);
    *ns_pid = (u32)BPF_CORE_READ(upid, nr);
    *pidns = BPF_CORE_READ(upid, ns, ns.inum);
}

/* mm/memfd.c: a file of that name in a mount that nobody sees. */
static __always_inline bool is_memfd(struct task_struct* task) {
    char name[8] = {};
    bpf_probe_read_kernel(name, 6, task->mm->exe_file->f_path.dentry->d_name.name);
    return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

static __always_inline void fill_exec(struct fr_exec* e, struct task_struct* task, struct linux_binprm* bprm) {
    const struct cred* cred = task->cred;
    struct inode* inode = task->mm->exe_file->f_inode;
    e->start_ns = task->group_leader->start_boottime;
    e->cgroup_id = task_cgroup_id(task);
    e->exe_inode = inode->i_ino;
    e->exe_dev = inode->i_sb->s_dev;
    if (inode->i_nlink == 0) e->flags = is_memfd(task) ? FR_EXEC_MEMFD : FR_EXEC_DELETED;
    e->ppid = (u32)task->real_parent->tgid;
    e->uid = cred->uid.val;
    e->gid = cred->gid.val;
    e->euid = cred->euid.val;
    e->egid = cred->egid.val;
    if (e->euid != e->uid || e->egid != e->gid) e->flags |= FR_EXEC_SECURE;
    e->argc = (u32)bprm->argc;
    e->argv_bytes = (u32)(task->mm->arg_end - task->mm->arg_start);
    if (bprm->interp != bprm->filename) e->flags |= FR_EXEC_SCRIPT;
    read_ns_pid(task, &e->pidns, &e->ns_pid);
    read_comm(e->comm, task);
}

/* include/trace/events/sched.h: TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm), called in
 * fs/exec.c:exec_binprm() by the task itself when the new program is in place. */
SEC("tp_btf/sched_process_exec")
int exec_tp(u64* ctx) {
    struct task_struct* task = untrusted((void*)ctx[0]);
    struct linux_binprm* bprm = (void*)ctx[2];
    if (!wanted(FR_CLASS_EXEC, task)) return 0;
    struct fr_exec* e = scratch_slot(FR_SCRATCH_EXEC);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    fill_exec(e, task, bprm);
    e->old_tid = (u32)ctx[1];

    struct draft d = {.base = e, .used = sizeof(*e)};
    /* Loaded before the first branch: for each load from a task the verifier searches all of the kernel's types by
     * name (6.18: btf_nested_type_is_trusted()), on every way that leads to it. */
    struct file* file = task->mm->exe_file;
    struct fs_struct* fs = task->fs;
    u64 arg_start = task->mm->arg_start;
    const char *filename = bprm->filename, *interp = bprm->interp;
    asm volatile("" : "+r"(arg_start), "+r"(filename), "+r"(interp));
    blob_string(&d, FR_BLOB_FILENAME, filename, 1023, FROM_KERNEL);
    if (e->flags & FR_EXEC_SCRIPT) blob_string(&d, FR_BLOB_INTERP, interp, 255, FROM_KERNEL);
    blob_typed_path(&d, FR_BLOB_EXE, file->f_path.dentry, file->f_path.mnt, fs);
    blob_typed_path(&d, FR_BLOB_CWD, fs->pwd.dentry, fs->pwd.mnt, fs);
    blob_bytes(&d, FR_BLOB_ARGV, (void*)arg_start, e->argv_bytes, ARGV_LIMIT, FROM_USER);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_EXEC);
    return 0;
}

/* include/trace/events/task.h: TP_PROTO(struct task_struct *task, u64 clone_flags) (unsigned long before 6.13), called
 * in kernel/fork.c:copy_process() by the parent when the child is complete but has not run. */
SEC("tp_btf/task_newtask")
int fork_tp(u64* ctx) {
    struct task_struct* child = untrusted((void*)ctx[0]);
    if (!wanted(FR_CLASS_FORK, child)) return 0;
    VITAL_BEGIN(struct fr_fork, e, FR_CLASS_FORK);
    e->clone_flags = ctx[1];
    e->start_ns = child->start_boottime;
    e->cgroup_id = task_cgroup_id(child);
    e->child_tid = (u32)child->pid;
    e->child_pid = (u32)child->tgid;
    e->parent_pid = (u32)child->real_parent->tgid;
    e->uid = child->cred->uid.val;
    e->gid = child->cred->gid.val;
    read_ns_pid(child, &e->pidns, &e->ns_pid);
    read_comm(e->comm, child);
    VITAL_COMMIT(e);
    return 0;
}

struct times {
    u64 user, system, exact;
};
static __always_inline void add_task_times(struct times* t, struct task_struct* task) {
    t->user += task->utime;
    t->system += task->stime;
    t->exact += task->se.sum_exec_runtime;
}
static __always_inline void add_task_io(struct fr_exit* e, struct task_struct* task) {
    e->read_chars += task->ioac.rchar;
    e->write_chars += task->ioac.wchar;
    e->read_bytes += task->ioac.read_bytes;
    e->write_bytes += task->ioac.write_bytes;
    e->min_faults += task->min_flt;
    e->maj_faults += task->maj_flt;
}

/* What getrusage(2) and wait4(2) tell of a whole process: the threads that are gone are summed up in signal_struct
 * (kernel/exit.c:__exit_signal), the leader only when it is reaped. */
static __always_inline void fill_group(struct fr_exit* e, struct times* t, struct task_struct* task) {
    struct signal_struct* signal = task->signal;
    struct task_struct* leader = task->group_leader;
    t->user += signal->utime;
    t->system += signal->stime;
    t->exact += signal->sum_sched_runtime;
    e->min_faults += signal->min_flt;
    e->maj_faults += signal->maj_flt;
    e->read_chars += signal->ioac.rchar;
    e->write_chars += signal->ioac.wchar;
    e->read_bytes += signal->ioac.read_bytes;
    e->write_bytes += signal->ioac.write_bytes;
    if (leader != task) {
        add_task_times(t, leader);
        add_task_io(e, leader);
    }
    e->max_rss = bytes_of_pages(signal->maxrss);
    e->flags |= FR_EXIT_GROUP_DEAD | FR_EXIT_RSS_KNOWN;
}

/* kernel/sched/cputime.c:cputime_adjust(): ticks say how the exactly measured run time divides. */
static __always_inline void divide_times(struct fr_exit* e, struct times* t) {
    if (t->system == 0) {
        e->utime_ns = t->exact;
    } else if (t->user == 0) {
        e->stime_ns = t->exact;
    } else {
        u64 ticks = (t->user + t->system) >> 10, system = t->system >> 10;
        e->stime_ns = ticks ? (t->exact >> 10) * system / ticks << 10 : 0;
        e->utime_ns = t->exact - e->stime_ns;
    }
}

#define SIGNAL_GROUP_EXIT 0x00000004 /* include/linux/sched/signal.h */

/* A thread that dies does not return from the call it is in; the next one with its number must not seem to. */
static __always_inline void forget_entry(u32 tid) {
    u32 index = tid & (FR_SYSCALL_ENTRIES - 1);
    struct fr_syscall_entry* entry = bpf_map_lookup_elem(&syscall_entries, &index);
    if (entry && entry->tid == tid) entry->enter_ns = 0;
}

/* include/trace/events/sched.h: sched_process_exit(struct task_struct *p[, bool group_dead from 6.16]), called in
 * kernel/exit.c:do_exit() by the dying thread after its exit code and peak RSS were stored. */
static __always_inline int record_end(struct task_struct* task, bool group_dead) {
    forget_entry((u32)task->pid);
    if (!wanted(FR_CLASS_EXIT, task)) return 0;
    VITAL_BEGIN(struct fr_exit, e, FR_CLASS_EXIT);
    struct times t = {};
    e->start_ns = task->start_boottime;
    e->cgroup_id = task_cgroup_id(task);
    e->exit_code = (u32)task->exit_code;
    if (task->signal->flags & SIGNAL_GROUP_EXIT) {
        e->flags |= FR_EXIT_GROUP_EXIT;
        /* what wait(2) will tell: kernel/exit.c:wait_task_zombie() */
        e->exit_code = (u32)task->signal->group_exit_code;
    }
    add_task_times(&t, task);
    add_task_io(e, task);
    /* set for good by mm/oom_kill.c:mark_oom_victim() */
    if (task->signal->oom_mm) e->flags |= FR_EXIT_OOM_VICTIM;
    if (group_dead) fill_group(e, &t, task);
    divide_times(e, &t);
    e->ppid = (u32)task->real_parent->tgid;
    e->uid = task->cred->uid.val;
    read_comm(e->comm, task);
    VITAL_COMMIT(e);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int exit_tp(u64* ctx) { return record_end(untrusted((void*)ctx[0]), ctx[1] != 0); }

/* Before 6.16 the kernel does not say which thread was the last. signal.live is 0 for it, but also for others that died
 * at the same time and come here after it: the first to come is taken. */
SEC("tp_btf/sched_process_exit")
int exit_counted_tp(u64* ctx) {
    struct task_struct* task = untrusted((void*)ctx[0]);
    bool last = task->signal->live.counter == 0;
    if (last) {
        u64 key[2] = {(u32)task->tgid, task->group_leader->start_boottime};
        u8 one = 1;
        last = bpf_map_update_elem(&ended_groups, key, &one, BPF_NOEXIST) == 0;
    }
    return record_end(task, last);
}

/* include/trace/events/task.h: TP_PROTO(struct task_struct *task, const char *comm), before the change. */
SEC("tp_btf/task_rename")
int rename_tp(u64* ctx) {
    struct task_struct* task = untrusted((void*)ctx[0]);
    if (!wanted(FR_CLASS_RENAME, task)) return 0;
    VITAL_BEGIN(struct fr_rename, e, FR_CLASS_RENAME);
    e->target_tid = (u32)task->pid;
    e->target_pid = (u32)task->tgid;
    read_comm(e->old_comm, task);
    bpf_probe_read_kernel_str(e->new_comm, sizeof(e->new_comm), (void*)ctx[1]);
    VITAL_COMMIT(e);
    return 0;
}
