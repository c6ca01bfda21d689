// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Out of memory: OOM kills with their context, and page allocations that failed. */
#include "blob.h"
#include "filter.h"
#include "flood.h"
#include "kernel_differences.h"
#include "path.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define KERNEL_FRAMES 48

static __always_inline void blob_kernel_stack(struct draft* d, void* ctx) {
    u32 at = bounded(d->used);
    if (at + KERNEL_FRAMES * 8 + 64 > DRAFT_LIMIT) return;
    long n = bpf_get_stack(ctx, d->base + at + sizeof(struct fr_blob), KERNEL_FRAMES * sizeof(u64), 0);
    if (n <= 0) return;
    u32 length = (u32)n & 1023;
    blob_pad(d, length);
    blob_close(d, FR_BLOB_KSTACK, length, 0);
}

/* mm/oom_kill.c: bool out_of_memory(struct oom_control *oc), for the machine and for memory cgroups: why somebody must
 * die. `oc` lives on the caller's stack until after mark_victim, when constraint and choice stand in it: only its
 * address is kept, by the tid of the invoker. (oom_kill_process() itself refuses probes on Debian's 6.1.) */
static __always_inline int remember_oom(u64 oc) {
    u32 tid = (u32)bpf_get_current_pid_tgid();
    bpf_map_update_elem(&oom_contexts, &tid, &oc, BPF_ANY);
    return 0;
}

SEC("fentry/out_of_memory")
int oom_context_fentry(u64* ctx) { return remember_oom(ctx[0]); }

SEC("kprobe/out_of_memory")
int oom_context_kprobe(struct pt_regs* ctx) {
#if defined(__TARGET_ARCH_x86)
    return remember_oom(ctx->di);
#else
    return remember_oom(ctx->regs[0]);
#endif
}

static __always_inline struct mem_cgroup* memory_cgroup_of(struct task_struct* task) {
    u32 index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
    struct css_set* set = BPF_CORE_READ(task, cgroups);
    struct cgroup_subsys_state* css = NULL;
    bpf_core_read(&css, sizeof(css), &set->subsys[index & 15]);
    return (void*)css; /* css is the first member: include/linux/memcontrol.h */
}

static __always_inline void fill_victim(struct fr_oom_kill* e, struct task_struct* victim) {
    struct mm_struct* mm = BPF_CORE_READ(victim, mm);
    e->victim_pid = (u32)BPF_CORE_READ(victim, tgid);
    e->victim_tid = (u32)BPF_CORE_READ(victim, pid);
    e->victim_ppid = (u32)BPF_CORE_READ(victim, real_parent, tgid);
    e->victim_uid = BPF_CORE_READ(victim, cred, uid.val);
    e->victim_start_ns = BPF_CORE_READ(victim, group_leader, start_boottime);
    e->victim_cgroup_id = task_cgroup_id(victim);
    e->victim_oom_score_adj = BPF_CORE_READ(victim, signal, oom_score_adj);
    BPF_CORE_READ_STR_INTO(&e->victim_comm, victim, comm);
    if (!mm) return;
    e->victim_anon = bytes_of_pages(mm_counter_pages(mm, FR_MM_ANON));
    e->victim_file = bytes_of_pages(mm_counter_pages(mm, FR_MM_FILE));
    e->victim_shmem = bytes_of_pages(mm_counter_pages(mm, FR_MM_SHMEM));
    e->victim_swap = bytes_of_pages(mm_counter_pages(mm, FR_MM_SWAP));
    e->victim_page_tables = (u64)BPF_CORE_READ(mm, pgtables_bytes.counter);
    e->victim_total_vm = bytes_of_pages(BPF_CORE_READ(mm, total_vm));
    e->victim_locked = bytes_of_pages(BPF_CORE_READ(mm, locked_vm));
}

#define MEMCG_DEPTH 32

/* Without out_of_memory(): mm/memcontrol.c:mem_cgroup_oom() marks the cgroup that ran out and all below it with
 * oom_lock while it kills. The topmost marked one above the victim is the domain; none: the cgroup limit is not the
 * cause. When two nested cgroups run out at once, the outer one is taken. */
static __always_inline struct mem_cgroup* marked_domain(struct mem_cgroup* memcg) {
    struct mem_cgroup* top = NULL;
    for (int i = 0; i < MEMCG_DEPTH && memcg; i++) {
        if (!BPF_CORE_READ(memcg, oom_lock)) break;
        top = memcg;
        memcg = (void*)BPF_CORE_READ(memcg, css.parent);
    }
    return top;
}

/* mm/memcontrol.c:mem_cgroup_get_oom_group(): the victim is not killed alone. */
static __always_inline bool in_oom_group(struct mem_cgroup* memcg, struct mem_cgroup* domain) {
    for (int i = 0; i < MEMCG_DEPTH && memcg; i++) {
        struct mem_cgroup* parent = (void*)BPF_CORE_READ(memcg, css.parent);
        if (!parent) return false; /* the root's setting means nothing */
        if (BPF_CORE_READ(memcg, oom_group)) return true;
        if (memcg == domain) return false;
        memcg = parent;
    }
    return false;
}

static __always_inline struct oom_control* oom_context(void) {
    u32 tid = (u32)bpf_get_current_pid_tgid();
    u64* address = bpf_map_lookup_elem(&oom_contexts, &tid);
    return address ? (void*)*address : NULL;
}

/* Why, and in which memory cgroup (NULL: the machine, or not known). */
static __always_inline struct mem_cgroup* fill_context(struct fr_oom_kill* e, struct task_struct* victim) {
    struct oom_control* oc = oom_context();
    struct mem_cgroup* own = victim ? memory_cgroup_of(victim) : NULL;
    struct mem_cgroup* memcg;
    if (oc) {
        memcg = BPF_CORE_READ(oc, memcg);
        e->gfp_mask = BPF_CORE_READ(oc, gfp_mask);
        e->order = BPF_CORE_READ(oc, order);
        e->total_pages = BPF_CORE_READ(oc, totalpages);
        e->score = BPF_CORE_READ(oc, chosen_points);
        e->constraint = BPF_CORE_READ(oc, constraint);
        e->flags |= FR_OOM_CONTEXT_KNOWN | FR_OOM_CONSTRAINT_KNOWN;
    } else {
        memcg = marked_domain(own);
        if (memcg) {
            e->constraint = FR_OOM_MEMCG;
            e->flags |= FR_OOM_CONSTRAINT_KNOWN;
        }
    }
    if (own) e->victim_memory_cgroup_id = BPF_CORE_READ(own, css.cgroup, kn, id);
    if (in_oom_group(own, memcg)) e->flags |= FR_OOM_GROUP;
    if (!memcg) return NULL;
    e->domain_cgroup_id = BPF_CORE_READ(memcg, css.cgroup, kn, id);
    e->domain_hierarchy = (u64)BPF_CORE_READ(memcg, css.cgroup, root, hierarchy_id);
    e->domain_limit = bytes_of_pages(BPF_CORE_READ(memcg, memory.max));
    e->domain_usage = bytes_of_pages((u64)BPF_CORE_READ(memcg, memory.usage.counter));
    e->domain_failures = BPF_CORE_READ(memcg, memory.failcnt);
    e->flags |= FR_OOM_DOMAIN_KNOWN;
    return memcg;
}

/* ---- the candidates: every process with memory in the domain, by the kernel's list of processes --------------- */

#define CANDIDATES 32 /* a power of two */
#define PROCESSES_MAX 16384

struct task_walk {
    struct fr_oom_candidate* list;
    struct task_struct *start, *task;
    u64 domain; /* id of its directory; 0: all */
    int level;
    u32 found, smallest;
    u64 smallest_rss;
    u32 complete;
};

static __always_inline bool in_domain(struct task_walk* w, struct task_struct* task) {
    if (!w->domain) return true;
    struct mem_cgroup* memcg = memory_cgroup_of(task);
    struct cgroup* cgroup = BPF_CORE_READ(memcg, css.cgroup);
    int level = w->level;
    /* One hierarchy only: ids of directories are unique in it. */
    return BPF_CORE_READ(cgroup, level) >= level && cgroup_ancestor_id(cgroup, level) == w->domain;
}

static __always_inline u64 candidate_rss(const struct fr_oom_candidate* c) { return c->anon + c->file + c->shmem; }

/* Which candidate is the smallest: the next larger one takes its place. A loop of its own: the verifier would follow
 * every order in which the sizes may come. */
static long smallest_step(u32 index, void* context) {
    struct task_walk* w = context;
    u32 place = index & (CANDIDATES - 1);
    u64 rss = candidate_rss(&w->list[place]);
    if (rss < w->smallest_rss) {
        w->smallest_rss = rss;
        w->smallest = place;
    }
    return 0;
}

static __always_inline void note_candidate(struct task_walk* w, struct task_struct* task, struct mm_struct* mm) {
    u64 anon = bytes_of_pages(mm_counter_pages(mm, FR_MM_ANON)),
        file = bytes_of_pages(mm_counter_pages(mm, FR_MM_FILE));
    u64 shmem = bytes_of_pages(mm_counter_pages(mm, FR_MM_SHMEM));
    u32 place = w->found++;
    if (place >= CANDIDATES) {
        if (anon + file + shmem <= w->smallest_rss) return;
        place = w->smallest;
    }
    if (place >= CANDIDATES) return;
    struct fr_oom_candidate* c = &w->list[place];
    c->anon = anon;
    c->file = file;
    c->shmem = shmem;
    c->swap = bytes_of_pages(mm_counter_pages(mm, FR_MM_SWAP));
    c->page_tables = (u64)BPF_CORE_READ(mm, pgtables_bytes.counter);
    c->pid = (u32)BPF_CORE_READ(task, tgid);
    c->uid = BPF_CORE_READ(task, cred, uid.val);
    c->oom_score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
    c->pad = 0;
    __builtin_memset(c->comm, 0, sizeof(c->comm));
    BPF_CORE_READ_STR_INTO(&c->comm, task, comm);
    if (w->found < CANDIDATES) return;
    w->smallest_rss = ~0ull;
    bpf_loop(CANDIDATES, smallest_step, w, 0);
}

static long candidate_step(u32 index, void* context) {
    struct task_walk* w = context;
    struct task_struct* task = w->task;
    struct mm_struct* mm = BPF_CORE_READ(task, mm);
    (void)index;
    if (mm && !(BPF_CORE_READ(task, flags) & 0x00200000 /* PF_KTHREAD */) && in_domain(w, task))
        note_candidate(w, task, mm);
    w->task = (void*)BPF_CORE_READ(task, tasks.next) - bpf_core_field_offset(struct task_struct, tasks);
    if (w->task != w->start) return 0;
    w->complete = 1;
    return 1;
}

static __always_inline void blob_candidates(struct draft* d, struct fr_oom_kill* e, struct mem_cgroup* domain) {
    u32 at = bounded(d->used);
    if (at + CANDIDATES * sizeof(struct fr_oom_candidate) + 16 > DRAFT_LIMIT) return;
    struct task_struct* start = BPF_CORE_READ(current_task(), group_leader);
    struct task_walk w = {
        .list = d->base + at + sizeof(struct fr_blob),
        .start = start,
        .task = start,
        .domain = BPF_CORE_READ(domain, css.cgroup, kn, id),
        .level = BPF_CORE_READ(domain, css.cgroup, level),
    };
    bpf_loop(PROCESSES_MAX, candidate_step, &w, 0);
    u32 n = w.found < CANDIDATES ? w.found : CANDIDATES;
    e->candidates = w.found;
    if (!w.complete) e->flags |= FR_OOM_CANDIDATES_CUT;
    u32 length = n * sizeof(struct fr_oom_candidate);
    blob_pad(d, length);
    blob_close(d, FR_BLOB_CANDIDATES, length, 0);
}

/* ---- the event ----------------------------------------------------------------------------------------------------
 */

/* mm/oom_kill.c:__oom_kill_process() sends SIGKILL to the victim (SEND_SIG_PRIV) and marks it then. Who is dying
 * already (task_will_free_mem()) is only marked, by out_of_memory() or oom_kill_process(), without a signal. */
static __always_inline bool was_killed(u32 victim) {
    u32 tid = (u32)bpf_get_current_pid_tgid();
    u32* killed = bpf_map_lookup_elem(&kernel_kills, &tid);
    if (!killed || *killed != victim) return false;
    bpf_map_delete_elem(&kernel_kills, &tid);
    return true;
}

static __always_inline int record_oom_kill(void* ctx, struct task_struct* victim, u32 pid) {
    struct task_struct* invoker = untrusted(current_task());
    if (!(victim && wanted(FR_CLASS_OOM_KILL, victim)) && !wanted(FR_CLASS_OOM_KILL, invoker)) return 0;
    struct fr_oom_kill* e = scratch_slot(FR_SCRATCH_OOM);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->victim_pid = e->victim_tid = pid;
    if (victim) fill_victim(e, victim);
    struct mem_cgroup* domain = fill_context(e, victim);
    struct fr_control* c = control_now();
    if (c && c->kills_are_seen && victim && !was_killed(e->victim_pid)) e->flags |= FR_OOM_MARKED;
    e->invoker_cgroup_id = task_cgroup_id(invoker);
    BPF_CORE_READ_STR_INTO(&e->comm, invoker, comm);
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_kernel_stack(&d, ctx);
    if (domain) blob_cgroup_path(&d, FR_BLOB_CGROUP, BPF_CORE_READ(domain, css.cgroup, kn));
    /* In a scope only what lies in it may be told. */
    if (scope_count == 0 || domain) blob_candidates(&d, e, domain);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_OOM_KILL);
    ring_doorbell(FR_CLASS_OOM_KILL, e->victim_pid);
    return 0;
}

/* include/trace/events/oom.h: mark_victim(struct task_struct *task, uid_t uid) from 6.8 and in the stable kernels that
 * took 72ba14deb40a; called in mm/oom_kill.c:__oom_kill_process() by the invoker, before the report line is printed. */
SEC("tp_btf/mark_victim")
int oom_kill_task_tp(u64* ctx) { return record_oom_kill(ctx, untrusted((void*)ctx[0]), 0); }

struct pid_search {
    struct task_struct *start, *task;
    int pid;
    u32 found;
};

static long pid_step(u32 index, void* context) {
    struct pid_search* s = context;
    (void)index;
    struct task_struct* task = s->task;
    if (BPF_CORE_READ(task, pid) == s->pid || BPF_CORE_READ(task, tgid) == s->pid) {
        s->found = 1;
        return 1;
    }
    s->task = (void*)BPF_CORE_READ(task, tasks.next) - bpf_core_field_offset(struct task_struct, tasks);
    return s->task == s->start;
}

/* mark_victim(int pid) before that. The pid is that of a thread of the victim that still has its memory; the victim is
 * what out_of_memory() chose, the invoker itself, or is looked for among the processes. */
SEC("tp_btf/mark_victim")
int oom_kill_pid_tp(u64* ctx) {
    int pid = (int)ctx[0];
    struct task_struct* current = untrusted(current_task());
    if (current->pid == pid) return record_oom_kill(ctx, current, (u32)pid);
    struct oom_control* oc = oom_context();
    if (oc) {
        struct task_struct* chosen = BPF_CORE_READ(oc, chosen);
        if (BPF_CORE_READ(chosen, pid) == pid) return record_oom_kill(ctx, chosen, (u32)pid);
    }
    struct pid_search s = {.start = BPF_CORE_READ(current, group_leader), .pid = pid};
    s.task = s.start;
    bpf_loop(PROCESSES_MAX, pid_step, &s, 0);
    return record_oom_kill(ctx, s.found ? s.task : NULL, (u32)pid);
}

/* ---- allocations that failed ------------------------------------------------------------------------------------ */

static __always_inline int record_alloc_failure(void* ctx, u32 kind, u32 gfp, int order, u64 size) {
    struct task_struct* task = untrusted(current_task());
    if (!wanted(FR_CLASS_ALLOC_FAILURE, task)) return 0;
    struct fr_alloc_failure* e = scratch_slot(FR_SCRATCH_ALLOC);
    u32 what = FLOOD_KERNEL | kind | (gfp & FR_GFP_NOWARN ? FLOOD_SILENT : 0);
    u64 left_out = 0;
    if (!e || !flood_admits(FR_CLASS_ALLOC_FAILURE, what, &left_out)) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->left_out = left_out;
    e->kind = kind;
    e->gfp_mask = gfp;
    e->order = order;
    e->node = (s32)bpf_get_numa_node_id(); /* of the CPU: where it was looked for first */
    e->size = order >= 0 ? bytes_of_pages(1ull << (order & 31)) : size;
    e->cgroup_id = task_cgroup_id(task);
    BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_kernel_stack(&d, ctx);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_ALLOC_FAILURE);
    return 0;
}

/* mm/page_alloc.c: void warn_alloc(gfp_t gfp_mask, nodemask_t *nodemask, const char *fmt, …): every allocation that
 * failed for good comes here, also those that asked for silence (__GFP_NOWARN); "order:%u" is the first variadic
 * argument of the page allocator's own call. */
SEC("kprobe/warn_alloc")
int alloc_failure_kprobe(struct pt_regs* ctx) {
#if defined(__TARGET_ARCH_x86)
    u64 gfp = ctx->di, format = ctx->dx, first = ctx->cx;
#else
    u64 gfp = ctx->regs[0], format = ctx->regs[2], first = ctx->regs[3];
#endif
    char text[24] = {};
    bpf_probe_read_kernel_str(text, sizeof(text), (void*)format);
    bool page = text[0] == 'p' && text[1] == 'a' && text[2] == 'g' && text[3] == 'e';
    /* "vmalloc error: size %lu, …": mm/vmalloc.c */
    bool vmalloc = text[0] == 'v' && text[15] == 's' && text[16] == 'i' && text[17] == 'z' && text[18] == 'e';
    return record_alloc_failure(ctx, page ? FR_ALLOC_PAGE : FR_ALLOC_VMALLOC, (u32)gfp, page ? (int)first : -1,
                                vmalloc ? first : 0);
}

/* include/trace/events/kmem.h: mm_page_alloc(struct page *page, unsigned int order, gfp_t gfp_flags, int migratetype):
 * fires for every allocation, with no page for one that failed. */
SEC("tp_btf/mm_page_alloc")
int alloc_failure_tp(u64* ctx) {
    if (ctx[0]) return 0;
    return record_alloc_failure(ctx, FR_ALLOC_PAGE, (u32)ctx[2], (int)ctx[1], 0);
}

/* mm/slub.c: static noinline void slab_out_of_memory(struct kmem_cache *s, gfp_t gfpflags, int nid): a slab cache found
 * no page; what it logs is rate limited, the call is not. */
SEC("kprobe/slab_out_of_memory")
int slab_failure_kprobe(struct pt_regs* ctx) {
#if defined(__TARGET_ARCH_x86)
    u64 cache = ctx->di, gfp = ctx->si;
#else
    u64 cache = ctx->regs[0], gfp = ctx->regs[1];
#endif
    u64 size = BPF_CORE_READ((struct kmem_cache*)cache, object_size);
    return record_alloc_failure(ctx, FR_ALLOC_SLAB, (u32)gfp, -1, size);
}
