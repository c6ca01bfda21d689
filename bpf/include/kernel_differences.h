/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Everything in which kernels differ, with the version it concerns. Nothing else in bpf/ asks for a version. */
#ifndef FLIGHTREC_KERNEL_DIFFERENCES_H
#define FLIGHTREC_KERNEL_DIFFERENCES_H

#include "kernel_types.h"

enum fr_mm_counter { /* include/linux/mm_types_task.h, same in all kernels of interest */
                     FR_MM_FILE = 0,
                     FR_MM_ANON = 1,
                     FR_MM_SWAP = 2,
                     FR_MM_SHMEM = 3,
};

/* Until 6.1: struct mm_rss_stat { atomic_long_t count[4]; } rss_stat. From 6.2 (f1a7941243c1, "mm: convert mm's rss
 * stats into percpu_counter"): struct percpu_counter rss_stat[4]. The kernel's OOM report reads only the central
 * count of the per-CPU counter (get_mm_counter), and so do we: the figures are the report's own. */
struct mm_rss_stat___until_6_1 {
    atomic_long_t count[4];
} FR_CORE;
struct mm_struct___until_6_1 {
    struct mm_rss_stat___until_6_1 rss_stat;
} FR_CORE;
struct percpu_counter {
    s64 count;
} FR_CORE;
struct mm_struct___from_6_2 {
    struct percpu_counter rss_stat[4];
} FR_CORE;

static __always_inline u64 mm_counter_pages(struct mm_struct* mm, enum fr_mm_counter which) {
    s64 value = 0;
    struct mm_struct___until_6_1* old = (void*)mm;
    if (bpf_core_field_exists(old->rss_stat.count)) {
        value = BPF_CORE_READ(old, rss_stat.count[which].counter);
    } else {
        /* not rss_stat[which]: an index that is no constant would be scaled by the size of our own declaration */
        struct mm_struct___from_6_2* now = (void*)mm;
        struct percpu_counter* counter = (void*)&now->rss_stat + (u64)which * bpf_core_type_size(struct percpu_counter);
        value = BPF_CORE_READ(counter, count);
    }
    return value < 0 ? 0 : (u64)value;
}

/* From 6.15 (741c10b096bc, "kernfs: Use RCU to access kernfs_node::parent") the field is called __parent. */
struct kernfs_node___until_6_14 {
    struct kernfs_node* parent;
} FR_CORE;
struct kernfs_node___from_6_15 {
    struct kernfs_node* __parent;
} FR_CORE;

static __always_inline struct kernfs_node* kernfs_parent(struct kernfs_node* kn) {
    struct kernfs_node___from_6_15* now = (void*)kn;
    if (bpf_core_field_exists(now->__parent)) return BPF_CORE_READ(now, __parent);
    struct kernfs_node___until_6_14* old = (void*)kn;
    return BPF_CORE_READ(old, parent);
}

/* Until 5.19 the counts of limited resources stood in ucounts.ucount, since 6.0 (de399236e240, "ucounts: Split rlimit
 * and ucount values and max values") in ucounts.rlimit. */
enum rlimit_type___from_6_0 { UCOUNT_RLIMIT_NPROC___from_6_0 };
enum ucount_type___until_5_19 { UCOUNT_RLIMIT_NPROC___until_5_19 };
struct ucounts___from_6_0 {
    atomic_long_t rlimit[4];
} FR_CORE;
struct ucounts___until_5_19 {
    atomic_long_t ucount[16];
} FR_CORE;

/* Processes (threads) of the user, as RLIMIT_NPROC counts them; -1: not known. */
static __always_inline s64 user_processes(struct ucounts* ucounts) {
    s64 count = -1;
    u64 index;
    void* counters;
    if (bpf_core_enum_value_exists(enum rlimit_type___from_6_0, UCOUNT_RLIMIT_NPROC___from_6_0)) {
        index = bpf_core_enum_value(enum rlimit_type___from_6_0, UCOUNT_RLIMIT_NPROC___from_6_0);
        counters = &((struct ucounts___from_6_0*)ucounts)->rlimit;
    } else if (bpf_core_enum_value_exists(enum ucount_type___until_5_19, UCOUNT_RLIMIT_NPROC___until_5_19)) {
        index = bpf_core_enum_value(enum ucount_type___until_5_19, UCOUNT_RLIMIT_NPROC___until_5_19);
        counters = &((struct ucounts___until_5_19*)ucounts)->ucount;
    } else {
        return -1;
    }
    bpf_probe_read_kernel(&count, sizeof(count), counters + index * sizeof(count));
    return count;
}

/* Until 6.0 a cgroup knew the ids of its ancestors only; since 6.1 (7f203bc89eb6, "cgroup: Replace
 * cgroup->ancestor_ids[] with ->ancestors[]") themselves. `level` must not be deeper than the cgroup's own. */
struct cgroup___until_6_0 {
    u64 ancestor_ids[1];
} FR_CORE;
struct cgroup___from_6_1 {
    struct cgroup* ancestors[1];
} FR_CORE;

static __always_inline u64 cgroup_ancestor_id(struct cgroup* cgroup, int level) {
    u64 at = (u64)level * sizeof(u64), id = 0;
    struct cgroup___from_6_1* now = (void*)cgroup;
    if (bpf_core_field_exists(now->ancestors)) {
        struct cgroup* ancestor = NULL;
        asm volatile("" : "+r"(now));
        bpf_probe_read_kernel(&ancestor, sizeof(ancestor), (void*)&now->ancestors + at);
        return BPF_CORE_READ(ancestor, kn, id);
    }
    struct cgroup___until_6_0* old = (void*)cgroup;
    asm volatile(""
                 : "+r"(old)); /* the offset, which is none on other kernels, must not be computed before the branch */
    bpf_probe_read_kernel(&id, sizeof(id), (void*)&old->ancestor_ids + at);
    return id;
}

/* From 6.14 (7863dcc72d0f, "pid: allow pid_max to be set per pid namespace") each pid namespace has its own. */
struct pid_namespace___from_6_14 {
    int pid_max;
} FR_CORE;

static __always_inline u32 pid_max_of(struct pid_namespace* ns, u32 of_the_machine) {
    struct pid_namespace___from_6_14* now = (void*)ns;
    if (bpf_core_field_exists(now->pid_max)) return (u32)BPF_CORE_READ(now, pid_max);
    return of_the_machine;
}

/* The effective capabilities: struct { __u32 cap[2]; } until 6.2, __u64 since; little endian, so the same bytes. */
struct cred___capabilities {
    kernel_cap_t cap_effective;
} FR_CORE;

static __always_inline u64 effective_capabilities(const struct cred* cred) {
    u64 caps = 0;
    bpf_probe_read_kernel(&caps, sizeof(caps),
                          (void*)cred + bpf_core_field_offset(struct cred___capabilities, cap_effective));
    return caps;
}

/* x86: task_struct.thread_info.status & TS_COMPAT while in a 32-bit system call (arch/x86/include/asm/thread_info.h).
 * arm64: TIF_32BIT in thread_info.flags (bit 22). */
static __always_inline bool in_compat_syscall(struct task_struct* task) {
#if defined(__TARGET_ARCH_x86)
    return task->thread_info.status & 2;
#else
    return task->thread_info.flags & (1ul << 22);
#endif
}

static __always_inline void copy_syscall_args(u64 args[6], struct pt_regs* regs) {
#if defined(__TARGET_ARCH_x86)
    args[0] = regs->di;
    args[1] = regs->si;
    args[2] = regs->dx;
    args[3] = regs->r10;
    args[4] = regs->r8;
    args[5] = regs->r9;
#else
    args[0] = regs->orig_x0;
    args[1] = regs->regs[1];
    args[2] = regs->regs[2];
    args[3] = regs->regs[3];
    args[4] = regs->regs[4];
    args[5] = regs->regs[5];
#endif
}

static __always_inline u32 syscall_number(struct pt_regs* regs) {
#if defined(__TARGET_ARCH_x86)
    return (u32)regs->orig_ax;
#else
    return (u32)regs->syscallno;
#endif
}

/* bpf_probe_read_user_str() with the length it promises. On 6.1 it gives 0 for an empty string, whose NUL
 * strncpy_from_user_nofault() (mm/maccess.c) counts for longer ones only; on 6.18 it gives 1. The NUL is copied by
 * both. */
static __always_inline long read_user_string(void* to, u32 size, const void* from) {
    long n = bpf_probe_read_user_str(to, size, from);
    return n == 0 ? 1 : n;
}

/* The mappings of a process: until 6.0 a list; from 6.1 (d4af56c5c7c6, "mm: start tracking VMAs with maple tree") a
 * maple tree, include/linux/maple_tree.h: an entry of an inner node is the address of another, 256 bytes aligned, with
 * its type in bits 3 to 6; slot i holds what lies up to pivot i, the last one in use up to the node's own end (its
 * pivot is 0 or not there). */
struct vm_area_struct___until_6_0 {
    struct vm_area_struct* vm_next;
} FR_CORE;
struct mm_struct___until_6_0 {
    struct vm_area_struct* mmap;
} FR_CORE;
struct maple_tree {
    void* ma_root;
} FR_CORE;
struct mm_struct___from_6_1 {
    struct maple_tree mm_mt;
} FR_CORE;
struct maple_range_64 {
    unsigned long pivot[15];
    void* slot[16];
} FR_CORE;
struct maple_arange_64 {
    unsigned long pivot[9];
    void* slot[10];
} FR_CORE;

#define MAPLE_LEAF_64 1
#define MAPLE_RANGE_64 2
#define MAPLE_ARANGE_64 3

struct vma_walk {
    struct mm_struct* mm;
    u64 next;       /* address from which on to look; list: the next mapping */
    u64 entry, max; /* tree: the node where the walk is (0: at the root), and the last address of it */
};

static __always_inline void begin_vma_walk(struct vma_walk* w, struct mm_struct* mm) {
    struct mm_struct___until_6_0* old = (void*)mm;
    w->mm = mm;
    w->entry = w->max = 0;
    w->next = bpf_core_field_exists(old->mmap) ? (u64)BPF_CORE_READ(old, mmap) : 0;
}

/* Which slot of a node holds `next`: how many pivots lie before it, by pages of 4 KiB or more; one that is 0, not in
 * use, lies behind all. Without a branch: the verifier would follow every way through the tree. */
static __always_inline u64 maple_slot(const u64 pivot[16], u64 next) {
    u64 slot = 0;
    for (int k = 0; k < 15; k++) {
        u64 difference = ((pivot[k] - 1) >> 12) - (next >> 12);
        asm volatile("" : "+r"(difference)); /* the compiler would make a comparison of it */
        slot += difference >> 63;
    }
    return slot & 15;
}

/* One node down; at a leaf the mapping found, if one is there. The walk stays in a leaf until the end of that, so that
 * a step is a range (a mapping or what is free between two) but for the way down, once a leaf. True: the end. */
static __always_inline bool maple_step(struct vma_walk* w, struct vm_area_struct** vma) {
    struct mm_struct___from_6_1* mm = (void*)w->mm;
    u64 pivot[16] = {};
    if (!w->entry) {
        w->entry = (u64)BPF_CORE_READ(mm, mm_mt.ma_root);
        w->max = ~0ull;
        if ((w->entry & 3) != 2) return true;
    }
    u32 type = w->entry >> 3 & 15;
    bool inner = type == MAPLE_ARANGE_64;
    struct maple_range_64* range = (void*)(w->entry & ~255ull);
    struct maple_arange_64* arange = (void*)range;
    if (type < MAPLE_LEAF_64 || type > MAPLE_ARANGE_64) return true;
    if (bpf_probe_read_kernel(pivot, inner ? 72 : 120, inner ? (void*)&arange->pivot : (void*)&range->pivot))
        return true;
    u64 slot = maple_slot(pivot, w->next), end = pivot[slot], child = 0;
    if (end - 1 >= w->max) end = w->max; /* 0: not in use */
    void* slots = inner ? (void*)&arange->slot : (void*)&range->slot;
    if (bpf_probe_read_kernel(&child, sizeof(child), slots + slot * 8)) return true;
    if (type != MAPLE_LEAF_64) {
        w->entry = child;
        w->max = end;
        return child <= 4096;
    }
    if (child > 4096) *vma = (void*)child;
    if (end == w->max) w->entry = 0;
    w->next = end + 1;
    return w->next == 0;
}

/* A step of the walk: `vma` is the next mapping, or stays NULL: not yet. True: it was the last. Without the kernel's
 * locks: other threads may change mappings meanwhile. */
static __always_inline bool vma_step(struct vma_walk* w, struct vm_area_struct** vma) {
    struct mm_struct___until_6_0* old = (void*)w->mm;
    if (!bpf_core_field_exists(old->mmap)) return maple_step(w, vma);
    struct vm_area_struct___until_6_0* next = (void*)w->next;
    *vma = (void*)next;
    if (!next) return true;
    w->next = (u64)BPF_CORE_READ(next, vm_next);
    return false;
}

#endif /* FLIGHTREC_KERNEL_DIFFERENCES_H */
