// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * All system calls. At entry the arguments and the time go into a slot of the thread's own; at exit the record is
 * written in place in the ring. The hot path takes no lock, uses no atomic and shares no cache line with another CPU.
 */
#include "blob.h"
#include "filter.h"
#include "kernel_differences.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define EAGAIN 11
#define ENOMEM 12

static __always_inline struct fr_syscall_entry* entry_slot(u32 tid) {
    u32 index = tid & (FR_SYSCALL_ENTRIES - 1);
    return bpf_map_lookup_elem(&syscall_entries, &index);
}

static __always_inline struct fr_syscall_rule* rule_of(u32 nr) {
    u32 index = nr & (FR_SYSCALL_RULES - 1);
    return bpf_map_lookup_elem(&syscall_rules, &index);
}

/* ---- the ring of the syscall track: one writer a CPU, never nested ------------------------------------------ */

struct syscall_place {
    struct fr_ring_head* head;
    struct fr_syscall* record;
    u64 position;
};

/* Room for the longest record. `busy` guards against a kernel that lets the programs be preempted. */
static __always_inline bool syscall_take(struct syscall_place* place, u8 cls) {
    struct fr_ring_head* head = ring_of_this_cpu(&syscall_ring);
    if (!head) return false;
    if (head->busy) {
        head->failed[cls]++;
        return false;
    }
    head->busy = 1;
    place->head = head;
    place->position = head->reserved;
    place->record = ring_record(head, place->position, syscall_ring_size);
    return true;
}

/* Publishes `size` bytes; skips to the next page first when the record does not fit this one: then the record is
 * moved, which happens once in some forty records. */
static __always_inline void syscall_commit(struct syscall_place* place, u8 cls, u32 size) {
    struct fr_ring_head* head = place->head;
    place->record->event.size = (u16)size;
    place->record->event.class_seq = (u32)head->placed[cls]++;
    place->record->event.stamp = place->position + 1;
    store_barrier(head);
    *(volatile u64*)&head->reserved = place->position + size;
    barrier();
    head->busy = 0;
}

/* Moves on to the next page when fewer than `size` bytes are left on this one. */
static __always_inline void syscall_fit(struct syscall_place* place, u32 size) {
    u32 room = FR_RING_PAGE_SYSCALL - (u32)(place->position & (FR_RING_PAGE_SYSCALL - 1));
    if (size <= room) return;
    write_filler(place->head, place->position, room, syscall_ring_size);
    place->position += room;
    place->record = ring_record(place->head, place->position, syscall_ring_size);
}

/* ---- blobs of a syscall record: written straight into the ring, which has slack behind its end --------------- */

static __always_inline u32 add_string(void* record, u32 used, u8 kind, u64 address) {
    u32 at = used & (FR_SYSCALL_EVENT_MAX - 1) & ~7u;
    u32 limit = string_limit;
    struct fr_blob* blob = record + at;
    void* to = record + at + sizeof(*blob);
    long n = bpf_probe_read_user_str(to, limit + 1, (void*)address);
    blob->kind = kind;
    if (n <= 0) {
        blob->len = 0;
        blob->flags = FR_BLOB_FAULT;
        *(u32*)to = 0;
        return at + 8;
    }
    u32 length = ((u32)n - 1) & (2 * FR_STRING_MAX - 1);
    blob->len = (u16)length;
    blob->flags = length >= limit ? FR_BLOB_CUT : 0;
    *(u64*)(to + length) = 0;
    return at + ((sizeof(*blob) + length + 7) & ~7u);
}

static __always_inline u32 add_bytes(void* record, u32 used, u8 kind, u64 address, u32 length) {
    u32 at = used & (FR_SYSCALL_EVENT_MAX - 1) & ~7u;
    struct fr_blob* blob = record + at;
    void* to = record + at + sizeof(*blob);
    blob->kind = kind;
    length &= 127;
    if (!address || length == 0 || bpf_probe_read_user(to, length, (void*)address)) {
        blob->len = 0;
        blob->flags = FR_BLOB_FAULT;
        *(u32*)to = 0;
        return at + 8;
    }
    blob->len = (u16)length;
    blob->flags = 0;
    *(u64*)(to + length) = 0;
    return at + ((sizeof(*blob) + length + 7) & ~7u);
}

/* Argument number `which`; the mask is for the verifier, which must not be optimised away: hence the barrier. */
static __always_inline u64 argument(struct fr_syscall* record, u32 which) {
    asm volatile("" : "+r"(which));
    return *(u64*)((void*)record->args + (which & 7) * 8);
}

/* Strings (at most three of them), a socket address, a small structure. */
static __always_inline u32 add_blobs(struct fr_syscall* record, struct fr_syscall_rule* rule) {
    u32 used = sizeof(*record);
    u32 strings = rule->strings, count = 0;
    for (int i = 0; i < 6; i++) {
        if (!(strings & (1u << i)) || !record->args[i]) continue;
        if (count++ >= 3) break;
        used = add_string(record, used, (u8)(FR_BLOB_ARG0 + i), record->args[i]);
    }
    u32 which = rule->sockaddr;
    if (which) {
        u64 length = argument(record, which);
        if (length > 110) length = 110; /* sizeof(struct sockaddr_un) */
        used = add_bytes(record, used, (u8)(FR_BLOB_SOCKADDR0 + which - 1), argument(record, which - 1), (u32)length);
    }
    which = rule->data;
    if (which)
        used = add_bytes(record, used, (u8)(FR_BLOB_DATA0 + which - 1), argument(record, which - 1), rule->data_size);
    return used;
}

static __always_inline void fill_record(struct fr_syscall* r, u8 cls, u8 flags, u64 now, u64 pid_tgid) {
    r->event.time_ns = now;
    r->event.cls = cls;
    r->event.flags = flags;
    *(u64*)&r->event.tid = pid_tgid;
    r->pad = 0;
}

/* ---- entry ----------------------------------------------------------------------------------------------------- */

/* A call that may not return, or whose strings will be gone when it does. */
static __noinline int record_entry(struct fr_syscall_entry* entry, struct fr_syscall_rule* rule) {
    struct syscall_place place;
    if (!entry || !rule) return 0;
    if (!syscall_take(&place, FR_CLASS_SYSCALL_ENTER)) return 0;
    syscall_fit(&place, FR_SYSCALL_EVENT_MAX);
    struct fr_syscall* r = place.record;
    fill_record(r, FR_CLASS_SYSCALL_ENTER, 0, entry->enter_ns, bpf_get_current_pid_tgid());
    r->enter_ns = entry->enter_ns;
    r->result = 0;
    r->nr = entry->nr;
    __builtin_memcpy(r->args, entry->args, sizeof(r->args));
    u32 size = rule->strings ? add_blobs(r, rule) : sizeof(*r);
    syscall_commit(&place, FR_CLASS_SYSCALL_ENTER, size);
    return 0;
}

/* include/trace/events/syscalls.h: TP_PROTO(struct pt_regs *regs, long id) */
SEC("tp_btf/sys_enter")
int sys_enter_tp(u64* ctx) {
    struct pt_regs* regs = (void*)ctx[0];
    u64 pid_tgid = bpf_get_current_pid_tgid();
    struct fr_control* c = control_now();
    if (!c || (u32)(pid_tgid >> 32) == c->recorder_pid) return 0;
    struct task_struct* task = current_task();
    if (scope_count && !cgroup_in_scope(task_cgroup(task))) return 0;
    struct fr_syscall_entry* entry = entry_slot((u32)pid_tgid);
    if (!entry) return 0;
    entry->tid = (u32)pid_tgid;
    entry->nr = (u32)ctx[1];
    copy_syscall_args(entry->args, regs);
    entry->enter_ns = bpf_ktime_get_boot_ns();
    struct fr_syscall_rule* rule = rule_of((u32)ctx[1]);
    if (rule && rule->at_entry && !in_compat_syscall(task) && rule->action != FR_RULE_NONE && c->syscall_mode != FR_MODE_OFF)
        record_entry(entry, rule);
    return 0;
}

/* ---- exit ------------------------------------------------------------------------------------------------------- */

/* The pids cgroup that is full, if one is: kernel/cgroup/pids.c charges every ancestor. */
static __always_inline void find_pids_limit(struct fr_alloc_failure* e, struct task_struct* task) {
    u32 index = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
    struct css_set* set = BPF_CORE_READ(task, cgroups);
    struct cgroup_subsys_state* css = NULL;
    bpf_core_read(&css, sizeof(css), &set->subsys[index & 15]);
    for (int i = 0; i < 16 && css; i++) {
        struct pids_cgroup* pids = (void*)css;
        s64 count = BPF_CORE_READ(pids, counter.counter), limit = BPF_CORE_READ(pids, limit.counter);
        if (count >= limit) {
            e->cause = FR_FORK_PIDS_CGROUP;
            e->limit = (u64)limit;
            e->usage = (u64)count;
            e->limit_cgroup_id = BPF_CORE_READ(css, cgroup, kn, id);
            return;
        }
        css = BPF_CORE_READ(css, parent);
    }
}

static __noinline int record_failed_memory(struct fr_syscall_entry* entry, s64 result, u32 kind) {
    struct task_struct* task = current_task();
    if (!entry) return 0;
    if (!wanted(FR_CLASS_ALLOC_FAILURE, task)) return 0;
    VITAL_BEGIN(struct fr_alloc_failure, e, FR_CLASS_ALLOC_FAILURE);
    e->kind = kind == FR_SYSCALL_FORKS ? FR_ALLOC_FORK : FR_ALLOC_SYSCALL;
    e->result = result;
    e->syscall = entry->nr;
    e->order = -1;
    e->node = -1;
    e->size = kind == FR_SYSCALL_MEMORY ? entry->args[1] : 0;
    e->cgroup_id = task_cgroup_id(task);
    if (kind == FR_SYSCALL_FORKS) {
        e->cause = result == -ENOMEM ? FR_FORK_MEMORY : FR_FORK_UNKNOWN;
        if (result == -EAGAIN) find_pids_limit(e, task);
    }
    BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
    VITAL_COMMIT(e);
    ring_doorbell(FR_CLASS_ALLOC_FAILURE, (u32)BPF_CORE_READ(task, tgid));
    return 0;
}

static __noinline int record_failed_exec(struct fr_syscall_entry* entry, s64 result) {
    struct task_struct* task = current_task();
    if (!entry) return 0;
    if (!wanted(FR_CLASS_EXEC_FAILED, task)) return 0;
    struct fr_exec_failed* e = scratch_slot(FR_SCRATCH_SYSCALL);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->error = (s32)result;
    e->ppid = (u32)BPF_CORE_READ(task, real_parent, tgid);
    e->uid = BPF_CORE_READ(task, cred, uid.val);
    e->gid = BPF_CORE_READ(task, cred, gid.val);
    BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
    struct draft d = {.base = e, .used = sizeof(*e)};
    /* execve(path, …), execveat(dirfd, path, …): the path is the argument that is an address */
    u64 path = entry->args[0] > 0xffff ? entry->args[0] : entry->args[1];
    blob_string(&d, FR_BLOB_FILENAME, (void*)path, 1023, FROM_USER);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_EXEC_FAILED);
    return 0;
}

static __always_inline void record_failure(struct fr_syscall_entry* entry, struct fr_syscall_rule* rule, s64 result) {
    if (rule->kind == FR_SYSCALL_EXECS)
        record_failed_exec(entry, result);
    else if (result == -ENOMEM || (result == -EAGAIN && rule->kind == FR_SYSCALL_FORKS))
        record_failed_memory(entry, result, rule->kind);
}

static __always_inline bool recorded(struct fr_control* c, struct fr_syscall_rule* rule, s64 result, u64 duration) {
    bool failed = result < 0 && result >= -4095;
    if (rule->action == FR_RULE_NONE || (rule->action == FR_RULE_FAILED && !failed)) return false;
    if (c->syscall_mode == FR_MODE_FULL) return true;
    if (c->syscall_mode == FR_MODE_OFF) return false;
    if (failed) return true;
    return c->syscall_mode == FR_MODE_SLOW && duration >= (u64)c->slower_than_us * 1000;
}

/* An exit whose entry was not seen: the programs were attached in between, or another thread took the slot. */
static __noinline int adopt_exit(struct fr_syscall_entry* entry, struct pt_regs* regs) {
    struct task_struct* task = current_task();
    u64 pid_tgid = bpf_get_current_pid_tgid();
    struct fr_control* c = control_now();
    if (!entry || !c || (u32)(pid_tgid >> 32) == c->recorder_pid) return 0;
    if (scope_count && !cgroup_in_scope(task_cgroup(task))) return 0;
    entry->tid = (u32)pid_tgid;
    entry->nr = syscall_number(regs);
    copy_syscall_args(entry->args, regs);
    entry->enter_ns = 0;
    return 1;
}

/* include/trace/events/syscalls.h: TP_PROTO(struct pt_regs *regs, long ret) */
SEC("tp_btf/sys_exit")
int sys_exit_tp(u64* ctx) {
    struct pt_regs* regs = (void*)ctx[0];
    s64 result = (s64)ctx[1];
    u64 pid_tgid = bpf_get_current_pid_tgid();
    struct fr_syscall_entry* entry = entry_slot((u32)pid_tgid);
    if (!entry) return 0;
    u8 flags = 0;
    if (entry->tid != (u32)pid_tgid || entry->enter_ns == 0) {
        if (!adopt_exit(entry, regs)) return 0;
        flags = FR_EVENT_NO_ENTRY;
    }
    struct fr_control* c = control_now();
    struct fr_syscall_rule* rule = rule_of(entry->nr);
    if (!c || !rule) return 0;
    if (in_compat_syscall(current_task())) flags |= FR_EVENT_COMPAT;
    if (result < 0 && result >= -4095 && !(flags & FR_EVENT_COMPAT)) record_failure(entry, rule, result);

    struct syscall_place place;
    u64 now = bpf_ktime_get_boot_ns();
    u64 enter_ns = entry->enter_ns;
    if (!recorded(c, rule, result, enter_ns ? now - enter_ns : 0)) {
        struct fr_ring_head* head = ring_of_this_cpu(&syscall_ring);
        if (head) head->skipped[FR_CLASS_SYSCALL]++;
        entry->enter_ns = 0;
        return 0;
    }
    if (!syscall_take(&place, FR_CLASS_SYSCALL)) return 0;
    bool blobs = *(u64*)rule & 0xffffff00 && !(flags & FR_EVENT_COMPAT); /* strings, sockaddr, data */
    syscall_fit(&place, blobs ? FR_SYSCALL_EVENT_MAX : sizeof(struct fr_syscall));
    struct fr_syscall* r = place.record;
    fill_record(r, FR_CLASS_SYSCALL, flags, now, pid_tgid);
    r->enter_ns = enter_ns;
    r->result = result;
    r->nr = entry->nr;
    __builtin_memcpy(r->args, entry->args, sizeof(r->args));
    entry->enter_ns = 0;
    u32 size = sizeof(*r);
    if (blobs) size = add_blobs(r, rule);
    syscall_commit(&place, FR_CLASS_SYSCALL, size);
    return 0;
}
