/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What is told of system calls that failed to exec, to fork or to get memory, and by which limit they were refused. */
#ifndef FLIGHTREC_FAILURES_H
#define FLIGHTREC_FAILURES_H

#include "blob.h"
#include "filter.h"
#include "flood.h"
#include "kernel_differences.h"
#include "path.h"
#include "ring.h"

#define EAGAIN 11
#define ENOMEM 12
#define RLIMIT_DATA 2
#define RLIMIT_NPROC 6
#define RLIMIT_AS 9
#define CAP_SYS_ADMIN 21
#define CAP_SYS_RESOURCE 24
#define RESERVED_PIDS 300       /* include/linux/pid.h: not given out again once the numbers have wrapped */
#define PIDNS_ADDING (1u << 31) /* in pid_allocated, until the namespace's init has gone */
#define PIDNS_LEVELS 8

static __always_inline bool blame(struct fr_alloc_failure* e, u32 cause, u64 limit, u64 usage) {
    e->cause = cause;
    e->limit = limit;
    e->usage = usage;
    return true;
}

#define soft_limit(task, which) BPF_CORE_READ(task, signal, rlim[which].rlim_cur)

/* kernel/fork.c:copy_process() counts the new process before it compares; root and two capabilities are exempt. */
static __always_inline bool refused_by_nproc(struct fr_alloc_failure* e, struct task_struct* task) {
    const struct cred* cred = BPF_CORE_READ(task, real_cred);
    u64 limit = soft_limit(task, RLIMIT_NPROC);
    s64 count = user_processes(BPF_CORE_READ(cred, ucounts));
    if (count < 0 || limit >> 63 || (u64)count < limit) return false;
    if (BPF_CORE_READ(cred, user, uid.val) == 0) return false;
    bool initial = BPF_CORE_READ(cred, user_ns, level) == 0;
    if (initial && (effective_capabilities(cred) & (1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_RESOURCE))) return false;
    return blame(e, FR_FORK_RLIMIT_NPROC, limit, (u64)count);
}

/* threads-max: nr_threads is no symbol a program may ask for everywhere, but every thread has a number of the initial
 * pid namespace. The numbers that only dead groups and sessions hold make the count too large by those. */
static __always_inline bool refused_by_threads_max(struct fr_alloc_failure* e, struct task_struct* task) {
    struct fr_control* c = control_now();
    struct pid* pid = BPF_CORE_READ(task, thread_pid);
    u32 count = BPF_CORE_READ(pid, numbers[0].ns, pid_allocated) & ~PIDNS_ADDING;
    if (!c || !c->threads_max || count < c->threads_max) return false;
    return blame(e, FR_FORK_THREADS_MAX, c->threads_max, count);
}

/* kernel/pid.c:alloc_pid() takes a number in the task's pid namespace and in all above it. */
static __always_inline bool refused_by_pid_max(struct fr_alloc_failure* e, struct task_struct* task) {
    struct fr_control* c = control_now();
    struct pid* pid = BPF_CORE_READ(task, thread_pid);
    u32 level = BPF_CORE_READ(pid, level);
    for (u32 i = 0; i < PIDNS_LEVELS; i++) {
        if (i > level) break;
        struct upid* upid = (void*)&pid->numbers[0] + (u64)i * bpf_core_type_size(struct upid);
        struct pid_namespace* ns = BPF_CORE_READ(upid, ns);
        u32 max = pid_max_of(ns, c ? c->pid_max : 0);
        u32 count = BPF_CORE_READ(ns, pid_allocated) & ~PIDNS_ADDING;
        if (max > RESERVED_PIDS && count >= max - RESERVED_PIDS) return blame(e, FR_FORK_PID_MAX, max, count);
    }
    return false;
}

/* The pids cgroup that is full, if one is: kernel/cgroup/pids.c charges every ancestor. Returns its directory. */
static __always_inline struct kernfs_node* refused_by_pids_cgroup(struct fr_alloc_failure* e,
                                                                  struct task_struct* task) {
    u32 index = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
    struct css_set* set = BPF_CORE_READ(task, cgroups);
    struct cgroup_subsys_state* css = NULL;
    bpf_core_read(&css, sizeof(css), &set->subsys[index & 15]);
    for (int i = 0; i < 16 && css; i++) {
        struct pids_cgroup* pids = (void*)css;
        s64 count = BPF_CORE_READ(pids, counter.counter), limit = BPF_CORE_READ(pids, limit.counter);
        if (count >= limit) {
            blame(e, FR_FORK_PIDS_CGROUP, (u64)limit, (u64)count);
            e->limit_cgroup_id = BPF_CORE_READ(css, cgroup, kn, id);
            return BPF_CORE_READ(css, cgroup, kn);
        }
        css = BPF_CORE_READ(css, parent);
    }
    return NULL;
}

/* Which limit is reached; none: the cause stays unknown. In the order in which copy_process() asks, but for pid_max:
 * how many of the reserved numbers are in use is not known, so that it may look reached a little too early. */
static __always_inline struct kernfs_node* find_fork_limit(struct fr_alloc_failure* e, struct task_struct* task) {
    if (refused_by_nproc(e, task) || refused_by_threads_max(e, task)) return NULL;
    struct kernfs_node* full = refused_by_pids_cgroup(e, task);
    if (!full) refused_by_pid_max(e, task);
    return full;
}

/* mm/mmap.c:may_expand_vm(), do_mmap(), mm/vma.c:split_vma(): what a process may map at most. */
static __always_inline void find_memory_limit(struct fr_alloc_failure* e, struct task_struct* task) {
    struct fr_control* c = control_now();
    u64 address_space = soft_limit(task, RLIMIT_AS), data = soft_limit(task, RLIMIT_DATA);
    u64 total = bytes_of_pages(BPF_CORE_READ(task, mm, total_vm));
    u64 heap = bytes_of_pages(BPF_CORE_READ(task, mm, data_vm));
    u64 page = bytes_of_pages(1), pages = (e->size + page - 1) & ~(page - 1);
    u32 maps = (u32)BPF_CORE_READ(task, mm, map_count);
    if (!(address_space >> 62) && total + pages > address_space)
        blame(e, FR_MEMORY_RLIMIT_AS, address_space, total);
    else if (c && c->max_map_count && maps >= c->max_map_count)
        blame(e, FR_MEMORY_MAP_COUNT, c->max_map_count, maps);
    else if (!(data >> 62) && heap + pages > data)
        blame(e, FR_MEMORY_RLIMIT_DATA, data, heap);
}

static __always_inline u64 bytes_asked_for(const struct fr_syscall_entry* entry, s64 result, u32 kind) {
    if (kind == FR_SYSCALL_MEMORY) return entry->args[1];
    if (kind == FR_SYSCALL_REMAP) return entry->args[2] > entry->args[1] ? entry->args[2] - entry->args[1] : 0;
    if (kind == FR_SYSCALL_BRK) return entry->args[0] - (u64)result;
    return 0;
}

/* A failed call is told once: by the program of its own, where there is one, else at the tracepoint. */
static __always_inline struct fr_thread_calls* calls_of(u32 tid) {
    u32 index = tid & (FR_SYSCALL_ENTRIES - 1);
    return bpf_map_lookup_elem(&thread_calls, &index);
}

static __always_inline void failure_was_told(u32 tid, u32 nr) {
    struct fr_thread_calls* t = calls_of(tid);
    if (!t) return;
    t->told_tid = tid;
    t->told_nr = nr;
}

static __always_inline bool failure_is_told(u32 tid, u32 nr) {
    struct fr_thread_calls* t = calls_of(tid);
    if (!t || t->told_tid != tid || t->told_nr != nr) return false;
    t->told_tid = 0;
    return true;
}

static __noinline int record_failed_memory(struct fr_syscall_entry* entry, s64 result, u32 kind,
                                           struct fr_alloc_failure* e) {
    struct task_struct* task = untrusted(current_task());
    struct kernfs_node* full = NULL;
    if (!entry) return 0;
    u64 left_out = 0;
    if (!wanted(FR_CLASS_ALLOC_FAILURE, task)) return 0;
    if (!e || !flood_admits(FR_CLASS_ALLOC_FAILURE, entry->nr, &left_out)) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->left_out = left_out;
    e->kind = kind == FR_SYSCALL_FORKS ? FR_ALLOC_FORK : FR_ALLOC_SYSCALL;
    e->result = kind == FR_SYSCALL_BRK ? -ENOMEM : result;
    e->syscall = entry->nr;
    e->order = -1;
    e->node = -1;
    e->size = bytes_asked_for(entry, result, kind);
    e->cgroup_id = task_cgroup_id(task);
    if (kind == FR_SYSCALL_FORKS && result == -EAGAIN) {
        full = find_fork_limit(e, task);
    } else if (kind == FR_SYSCALL_FORKS) {
        u32 pids = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, pid_allocated);
        e->cause = pids & PIDNS_ADDING ? FR_FORK_MEMORY : FR_FORK_PIDNS_DEAD;
    } else if (kind != FR_SYSCALL_PLAIN) {
        find_memory_limit(e, task);
    }
    BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_cgroup_path(&d, FR_BLOB_CGROUP, full);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_ALLOC_FAILURE);
    ring_doorbell(FR_CLASS_ALLOC_FAILURE, (u32)BPF_CORE_READ(task, tgid));
    return 0;
}

#define FAILED_ARGV_STRINGS 256
#define FAILED_ARGV_STRING_MAX 1024
#define FAILED_ARGV_BYTES 8192

static long failed_argv_step(u32 index, void* context) {
    (void)index;
    return argv_next(context, FR_EVENT_MAX, FAILED_ARGV_BYTES, FAILED_ARGV_STRING_MAX);
}

/* The argv a failed exec was called with; it was not copied by the kernel, so that each string is read by itself. */
static __always_inline void blob_argv(struct draft* d, u64 array) {
    u32 at = bounded(d->used);
    if (at + sizeof(struct fr_blob) + FAILED_ARGV_BYTES + FAILED_ARGV_STRING_MAX > DRAFT_LIMIT) return;
    struct argv_walk w = {.base = d->base, .array = array, .begin = at + sizeof(struct fr_blob)};
    w.end = w.begin;
    bpf_loop(FAILED_ARGV_STRINGS, failed_argv_step, &w, 0);
    u32 length = (w.end - w.begin) & (FR_EVENT_MAX - 1);
    blob_pad(d, length);
    blob_close(d, FR_BLOB_ARGV, length, w.complete && !w.cut ? 0 : FR_BLOB_CUT);
}

static __noinline int record_failed_exec(struct fr_syscall_entry* entry, s64 result, struct fr_exec_failed* e) {
    struct task_struct* task = untrusted(current_task());
    if (!entry) return 0;
    u64 left_out = 0;
    if (!wanted(FR_CLASS_EXEC_FAILED, task)) return 0;
    if (!e || !flood_admits(FR_CLASS_EXEC_FAILED, FLOOD_EXEC | ((u32)-result & 0xfff), &left_out)) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->left_out = left_out;
    e->error = (s32)result;
    e->ppid = (u32)BPF_CORE_READ(task, real_parent, tgid);
    e->uid = BPF_CORE_READ(task, cred, uid.val);
    e->gid = BPF_CORE_READ(task, cred, gid.val);
    BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
    struct draft d = {.base = e, .used = sizeof(*e)};
    /* execve(path, argv, …), execveat(dirfd, path, argv, …): a directory's descriptor (or AT_FDCWD) is no address */
    bool at = entry->args[0] <= 0xffff || (s32)entry->args[0] == -100;
    blob_string(&d, FR_BLOB_FILENAME, (void*)(at ? entry->args[1] : entry->args[0]), 1023, FROM_USER);
    blob_argv(&d, at ? entry->args[2] : entry->args[1]);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_EXEC_FAILED);
    return 0;
}

#endif /* FLIGHTREC_FAILURES_H */
