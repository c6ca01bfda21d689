// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * All system calls. At entry the arguments and the time go into a slot of the thread's own; at exit the record is
 * written in place in the ring. The hot path takes no lock, uses no atomic and shares no cache line with another CPU.
 */
#include "blob.h"
#include "failures.h"
#include "filter.h"
#include "kernel_differences.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline struct fr_syscall_entry* entry_slot(u32 tid) {
    u32 index = tid & (FR_SYSCALL_ENTRIES - 1);
    return bpf_map_lookup_elem(&syscall_entries, &index);
}

static __always_inline struct fr_syscall_rule* rule_of(u32 nr) {
    u32 index = nr & (FR_SYSCALL_RULES - 1);
    return bpf_map_lookup_elem(&syscall_rules, &index);
}

/* ---- the thread, without asking the kernel for it: a helper call is 12 ns where returns are guarded ------------ */

#define STACK_ALIGN_BITS 14    /* the smallest stack: 16 KiB */
#define STACK_OFFSET_MAX 65536 /* registers elsewhere than in the thread's own stack tell nothing of it */

static __noinline int learn_task(struct fr_stack_task* known, u64 regs) {
    struct task_struct* task = current_task();
    if (!known) return 0;
    u64 offset = regs - (u64)task->stack;
    if (offset >= STACK_OFFSET_MAX) return 0;
    known->task = (u64)task;
    known->offset = offset;
    *(volatile u64*)&known->regs = regs;
    return 0;
}

/* The thread whose registers these are, which is the current one. A slot may be stale, or half of two writers: the
 * thread it names must have its stack just below these registers. That of one that has died is NULL before its stack
 * is given to another (kernel/fork.c:free_thread_stack()); memory that is no thread's any more reads as anything,
 * but not as this stack's address. */
static __always_inline struct task_struct* task_of(struct pt_regs* regs) {
    if (!has_rdonly_cast) return current_task();
    u64 address = (u64)regs;
    asm volatile("" : "+r"(address)); /* the compiler must not put what was loaded in place of `regs` */
    u32 index = (u32)address;         /* its lower half is a number to the verifier: a pointer may not be shifted */
    asm volatile("" : "+w"(index));
    index = index >> STACK_ALIGN_BITS & (FR_STACK_TASKS - 1);
    struct fr_stack_task* known = bpf_map_lookup_elem(&stack_tasks, &index);
    if (!known) return untrusted(current_task());
    u64 owner = *(volatile u64*)&known->regs;
    if (owner == address) {
        struct task_struct* task = untrusted((void*)known->task);
        if (owner - (u64)task->stack == known->offset) return task;
    }
    learn_task(known, address);
    return untrusted(current_task());
}

/* ---- the clock -------------------------------------------------------------------------------------------------- */

/* Boot time, which every other event is stamped with. Until the machine first sleeps the monotonic clock is the same
 * (kernel/time/timekeeping.c:ktime_get_boot_fast_ns() adds how long it slept), by one nested call less. */
static __always_inline u64 call_time(struct fr_control* c) {
    return c->never_slept ? bpf_ktime_get_ns() : bpf_ktime_get_boot_ns();
}

/* include/trace/events/power.h: TP_PROTO(const char *action, int val, bool start): before processes are frozen, and at
 * each step from there on. */
SEC("tp_btf/suspend_resume")
int sleep_tp(u64* ctx) {
    struct fr_control* c = control_now();
    (void)ctx;
    if (c) *(volatile u32*)&c->never_slept = 0;
    return 0;
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
    if ((place->position & (syscall_ring_size / 4 - 1)) == 0) wake_recorder();
}

/* ---- blobs of a syscall record: written straight into the ring, which has slack behind its end --------------- */

/* Argument number `which`; the mask is for the verifier, which must not be optimised away: hence the barrier. */
static __always_inline u64 argument(struct fr_syscall* record, u32 which) {
    asm volatile("" : "+r"(which));
    return *(u64*)((void*)record->args + (which & 7) * 8);
}

/* Closes the blob at `at` whose `length` bytes (FAULT: none) stand behind its head; returns where the next begins. */
static __always_inline u32 close_blob(void* record, u32 at, u8 kind, u32 length, u8 flags) {
    struct fr_blob* blob = record + at;
    blob->kind = kind;
    blob->len = (u16)length;
    blob->flags = flags;
    if (flags & FR_BLOB_CUT) ((struct fr_event*)record)->flags |= FR_EVENT_TRUNCATED;
    *(u64*)(record + at + sizeof(*blob) + length) = 0; /* padding */
    return at + ((sizeof(*blob) + length + 7) & ~7u);
}

static __always_inline u32 add_string(void* record, u32 used, u8 kind, u64 address) {
    u32 at = used & (FR_SYSCALL_EVENT_MAX - 1) & ~7u;
    u32 limit = string_limit;
    long n = read_user_string(record + at + sizeof(struct fr_blob), limit + 1, (void*)address);
    if (n <= 0) return close_blob(record, at, kind, 0, FR_BLOB_FAULT);
    u32 length = ((u32)n - 1) & (2 * FR_STRING_MAX - 1);
    return close_blob(record, at, kind, length, length >= limit ? FR_BLOB_CUT : 0);
}

static __always_inline u32 add_bytes(void* record, u32 used, u8 kind, u64 address, u64 length, u32 limit) {
    u32 at = used & (FR_SYSCALL_EVENT_MAX - 1) & ~7u;
    u8 flags = 0;
    if (length > limit) {
        length = limit;
        flags = FR_BLOB_CUT;
    }
    u32 n = (u32)length & (2 * FR_STRING_MAX - 1);
    if (!address || bpf_probe_read_user(record + at + sizeof(struct fr_blob), n, (void*)address))
        return close_blob(record, at, kind, 0, FR_BLOB_FAULT);
    return close_blob(record, at, kind, n, flags);
}

#define ARGV_STRINGS 64
#define ARGV_BYTES 1200

static long argv_step(u32 index, void* context) {
    (void)index;
    return argv_next(context, FR_SYSCALL_EVENT_MAX, ARGV_BYTES, FR_STRING_MAX);
}

static __always_inline u32 add_argv(void* record, u32 used, u8 kind, u64 array) {
    u32 at = used & (FR_SYSCALL_EVENT_MAX - 1) & ~7u;
    struct argv_walk w = {.base = record, .array = array, .begin = at + sizeof(struct fr_blob)};
    w.end = w.begin;
    bpf_loop(ARGV_STRINGS, argv_step, &w, 0);
    u32 length = (w.end - w.begin) & (FR_SYSCALL_EVENT_MAX - 1);
    return close_blob(record, at, kind, length, w.complete && !w.cut ? 0 : FR_BLOB_CUT);
}

static __always_inline bool condition_holds(struct fr_syscall* record, struct fr_syscall_rule* rule) {
    u64 value = argument(record, rule->condition_arg) & rule->condition_mask;
    return value < 64 && (rule->condition_values >> value & 1);
}

static __always_inline u32 add_capture(struct fr_syscall* record, struct fr_capture* c, u32 used) {
    u64 address = argument(record, c->arg), length = 0;
    u32 limit = c->max;
    u8 kind = c->arg;
    if (!address) return used;
    switch (c->type) {
        case FR_CAPTURE_STRING: return add_string(record, used, kind + FR_BLOB_ARG0, address);
        case FR_CAPTURE_STRING_COUNTED:
            kind += FR_BLOB_ARG0;
            length = argument(record, c->length_arg);
            limit = string_limit;
            break;
        case FR_CAPTURE_STRING_RESULT:
            kind += FR_BLOB_ARG0;
            length = (u64)record->result;
            limit = string_limit;
            if (length) { /* getcwd(2) counts the NUL, readlink(2) writes none */
                char last = 1;
                bpf_probe_read_user(&last, 1, (void*)(address + length - 1));
                if (!last) length--;
            }
            break;
        case FR_CAPTURE_DATA:
            kind += FR_BLOB_DATA0;
            length = limit = c->size;
            break;
        case FR_CAPTURE_DATA_COUNTED:
            kind += FR_BLOB_DATA0;
            length = (argument(record, c->length_arg) & 0xffffffff) * c->size;
            break;
        case FR_CAPTURE_SOCKADDR:
            kind += FR_BLOB_SOCKADDR0;
            length = argument(record, c->length_arg) & 0xffffffff;
            break;
        case FR_CAPTURE_SOCKADDR_BY_PTR: {
            u32 n = 0;
            bpf_probe_read_user(&n, sizeof(n), (void*)argument(record, c->length_arg));
            kind += FR_BLOB_SOCKADDR0;
            length = n;
            break;
        }
        default: return used;
    }
    return add_bytes(record, used, kind, address, length, limit);
}

/* What the rule wants of the memory that arguments point to. */
static __always_inline u32 add_blobs(struct fr_syscall* record, struct fr_syscall_rule* rule) {
    u32 used = sizeof(*record);
    bool failed = record->result < 0 && record->result >= -4095;
    for (u32 i = 0; i < FR_CAPTURES_MAX; i++) {
        if (i >= rule->captures) break;
        struct fr_capture* c = &rule->capture[i];
        if (c->flags & FR_CAPTURE_AT_ENTRY) continue;
        if ((c->flags & FR_CAPTURE_ON_SUCCESS) && failed) continue;
        if ((c->flags & FR_CAPTURE_CONDITIONAL) && !condition_holds(record, rule)) continue;
        if (used > FR_SYSCALL_EVENT_MAX - FR_STRING_MAX - 24) break;
        /* Through the map, of whose contents the verifier knows nothing: one state to look at, whatever the way here.
         */
        *(volatile u16*)&record->event.size = (u16)add_capture(record, c, used);
        used = *(volatile u16*)&record->event.size;
    }
    return used;
}

/* The same of a call that is being entered: strings and argv that will be gone when it returns. */
static __always_inline u32 add_entry_blobs(struct fr_syscall* record, struct fr_syscall_rule* rule) {
    u32 used = sizeof(*record);
    for (u32 i = 0; i < 3; i++) {
        if (i >= rule->captures) break;
        struct fr_capture* c = &rule->capture[i];
        u64 address = argument(record, c->arg);
        if (!address) continue;
        if (c->type == FR_CAPTURE_STRING) used = add_string(record, used, c->arg + FR_BLOB_ARG0, address);
        if (c->type == FR_CAPTURE_ARGV && used < 600) used = add_argv(record, used, c->arg + FR_BLOB_ARG0, address);
    }
    return used;
}

static __always_inline void fill_record(struct fr_syscall* r, u8 cls, u8 flags, u64 now, u32 tid, u32 pid) {
    r->event.time_ns = now;
    r->event.cls = cls;
    r->event.flags = flags;
    r->event.tid = tid;
    r->event.pid = pid;
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
    u64 pid_tgid = bpf_get_current_pid_tgid();
    fill_record(r, FR_CLASS_SYSCALL_ENTER, 0, entry->enter_ns, (u32)pid_tgid, (u32)(pid_tgid >> 32));
    r->enter_ns = entry->enter_ns;
    r->result = 0;
    r->nr = entry->nr;
    __builtin_memcpy(r->args, entry->args, sizeof(r->args));
    u32 size = rule->captures ? add_entry_blobs(r, rule) : sizeof(*r);
    syscall_commit(&place, FR_CLASS_SYSCALL_ENTER, size);
    return 0;
}

/* include/trace/events/syscalls.h: TP_PROTO(struct pt_regs *regs, long id) */
SEC("tp_btf/sys_enter")
int sys_enter_tp(u64* ctx) {
    struct pt_regs* regs = (void*)ctx[0];
    u32 nr = (u32)ctx[1];
    struct task_struct* task = task_of(regs);
    struct fr_control* c = control_now();
    if (!c || (u32)task->tgid == c->recorder_pid) return 0;
    if (!current_in_scope(c, task)) return 0;
    u32 tid = (u32)task->pid;
    struct fr_syscall_entry* entry = entry_slot(tid);
    if (!entry) return 0;
    entry->tid = tid;
    entry->nr = nr;
    copy_syscall_args(entry->args, regs);
    entry->enter_ns = call_time(c);
    struct fr_syscall_rule* rule = rule_of(nr);
    if (rule && rule->at_entry && !in_compat_syscall(task) && rule->action != FR_RULE_NONE &&
        c->syscall_mode != FR_MODE_OFF)
        record_entry(entry, rule);
    return 0;
}

/* ---- exit ------------------------------------------------------------------------------------------------------- */

static __always_inline void record_failure(struct fr_syscall_entry* entry, struct fr_syscall_rule* rule, s64 result) {
    bool memory = result == -ENOMEM || (result == -EAGAIN && rule->kind == FR_SYSCALL_FORKS);
    if (rule->kind != FR_SYSCALL_EXECS && rule->kind != FR_SYSCALL_BRK && !memory) return;
    if (failure_is_told(entry->tid, entry->nr)) return;
    if (rule->kind == FR_SYSCALL_EXECS)
        record_failed_exec(entry, result, scratch_slot(FR_SCRATCH_SYSCALL));
    else
        record_failed_memory(entry, result, rule->kind, scratch_slot(FR_SCRATCH_SYSCALL));
}

/* Whether a call that did not fail was slow, or its thread slept in it; else it is counted. A thread gives the CPU up
 * of its own accord in a system call or a page fault only, so its count of voluntary switches tells without a clock. */
static __always_inline bool slow(struct fr_control* c, struct task_struct* task, u32 tid, u64 duration) {
    u32 index = tid & (FR_SYSCALL_ENTRIES - 1);
    struct fr_thread_calls* t = bpf_map_lookup_elem(&thread_calls, &index);
    if (!t) return false;
    u64 switches = task->nvcsw;
    bool slept = t->switches != switches;
    t->switches = switches;
    if (t->tid != tid) {
        t->tid = tid;
        t->pid = (u32)task->tgid;
        t->skipped = 0;
        slept = false;
    }
    if (slept || duration > (u64)c->slower_than_us * 1000) return true;
    t->skipped++;
    return false;
}

static __always_inline bool recorded(struct fr_control* c, struct fr_syscall_rule* rule, struct task_struct* task,
                                     bool failed, u64 duration) {
    if (rule->action == FR_RULE_NONE || (rule->action == FR_RULE_FAILED && !failed)) return false;
    if (c->syscall_mode == FR_MODE_FULL) return true;
    if (c->syscall_mode == FR_MODE_OFF) return false;
    if (failed) return true;
    return c->syscall_mode == FR_MODE_SLOW && slow(c, task, (u32)task->pid, duration);
}

/* A call whose entry was not seen: the programs were attached in between, another thread took the slot, or entries are
 * not recorded at all. */
static __always_inline void adopt_exit(struct fr_syscall_entry* entry, u32 tid, struct pt_regs* regs) {
    entry->tid = tid;
    entry->nr = syscall_number(regs);
    copy_syscall_args(entry->args, regs);
    entry->enter_ns = 0;
}

/* The slot may hold the entry of a thread that died in a call and had the same number, or of the leader whose number
 * execve gave to this thread: then the system call is another. -1: sigreturn restored the registers
 * (arch/x86/kernel/signal_64.c sets orig_ax so). */
static __always_inline bool entry_fits(struct fr_syscall_entry* entry, u32 tid, u32 nr) {
    return entry->tid == tid && (entry->nr == nr || nr == (u32)-1);
}

static __always_inline int skip_exit(struct fr_syscall_entry* entry) {
    struct fr_ring_head* head = ring_of_this_cpu(&syscall_ring);
    if (head) head->skipped[FR_CLASS_SYSCALL]++;
    entry->enter_ns = 0;
    return 0;
}

/* What a record costs is measured while it runs: the recorder's cost budget lives on it. */
static __noinline int time_record(u64 began) {
    struct fr_ring_head* head = ring_of_this_cpu(&syscall_ring);
    struct fr_control* c = control_now();
    if (!head || !c) return 0;
    u64 end = call_time(c);
    u64 again = call_time(c);
    head->timed++;
    head->timed_ns += end - began;
    head->clock_ns += again - end;
    return 0;
}

static __always_inline int record_exit(struct fr_syscall_entry* entry, struct fr_syscall_rule* rule, u8 flags, u64 now,
                                       s64 result, u32 pid) {
    struct syscall_place place;
    if (!syscall_take(&place, FR_CLASS_SYSCALL)) return 0;
    bool blobs = rule->captures && !(flags & FR_EVENT_COMPAT);
    syscall_fit(&place, blobs ? FR_SYSCALL_EVENT_MAX : sizeof(struct fr_syscall));
    struct fr_syscall* r = place.record;
    fill_record(r, FR_CLASS_SYSCALL, flags, now, entry->tid, pid);
    r->enter_ns = entry->enter_ns;
    r->result = result;
    r->nr = entry->nr;
    __builtin_memcpy(r->args, entry->args, sizeof(r->args));
    entry->enter_ns = 0;
    u32 size = sizeof(*r);
    if (blobs) size = add_blobs(r, rule);
    syscall_commit(&place, FR_CLASS_SYSCALL, size);
    if ((place.head->placed[FR_CLASS_SYSCALL] & 255) == 0) time_record(now);
    return 0;
}

/* include/trace/events/syscalls.h: TP_PROTO(struct pt_regs *regs, long ret) */
SEC("tp_btf/sys_exit")
int sys_exit_tp(u64* ctx) {
    struct pt_regs* regs = (void*)ctx[0];
    s64 result = (s64)ctx[1];
    struct task_struct* task = task_of(regs);
    u32 tid = (u32)task->pid;
    struct fr_syscall_entry* entry = entry_slot(tid);
    struct fr_control* c = control_now();
    if (!entry || !c) return 0;
    u8 flags = 0;
    u64 now = 0;
    if (record_durations && entry_fits(entry, tid, syscall_number(regs)) && entry->enter_ns > c->entries_since_ns) {
        now = call_time(c);
    } else {
        if ((u32)task->tgid == c->recorder_pid || !current_in_scope(c, task)) return 0;
        adopt_exit(entry, tid, regs);
        flags = FR_EVENT_NO_ENTRY;
    }
    struct fr_syscall_rule* rule = rule_of(entry->nr);
    if (!rule) return 0;
    if (in_compat_syscall(task)) flags |= FR_EVENT_COMPAT;
    bool failed = result < 0 && result >= -4095;
    bool no_heap = rule->kind == FR_SYSCALL_BRK && (u64)result < entry->args[0];
    if ((failed || no_heap) && !(flags & FR_EVENT_COMPAT)) record_failure(entry, rule, result);
    if (!recorded(c, rule, task, failed, now ? now - entry->enter_ns : 0)) return skip_exit(entry);
    if (!now) now = call_time(c);
    return record_exit(entry, rule, flags, now, result, (u32)task->tgid);
}
