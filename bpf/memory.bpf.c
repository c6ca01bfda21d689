// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Out of memory: OOM kills with their context, and page allocations that failed. */
#include "blob.h"
#include "filter.h"
#include "kernel_differences.h"
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
    e->victim_anon = mm_counter_pages(mm, FR_MM_ANON) * 4096;
    e->victim_file = mm_counter_pages(mm, FR_MM_FILE) * 4096;
    e->victim_shmem = mm_counter_pages(mm, FR_MM_SHMEM) * 4096;
    e->victim_swap = mm_counter_pages(mm, FR_MM_SWAP) * 4096;
    e->victim_page_tables = (u64)BPF_CORE_READ(mm, pgtables_bytes.counter);
    e->victim_total_vm = BPF_CORE_READ(mm, total_vm) * 4096;
    e->victim_locked = BPF_CORE_READ(mm, locked_vm) * 4096;
}

static __always_inline void fill_context(struct fr_oom_kill* e) {
    u32 tid = (u32)bpf_get_current_pid_tgid();
    u64* address = bpf_map_lookup_elem(&oom_contexts, &tid);
    if (!address) return;
    struct oom_control* oc = (void*)*address;
    struct mem_cgroup* memcg = BPF_CORE_READ(oc, memcg);
    e->gfp_mask = BPF_CORE_READ(oc, gfp_mask);
    e->order = BPF_CORE_READ(oc, order);
    e->total_pages = BPF_CORE_READ(oc, totalpages);
    e->score = BPF_CORE_READ(oc, chosen_points);
    e->constraint = BPF_CORE_READ(oc, constraint);
    e->flags |= FR_OOM_CONTEXT_KNOWN;
    if (!memcg) return;
    e->domain_cgroup_id = BPF_CORE_READ(memcg, css.cgroup, kn, id);
    e->domain_limit = BPF_CORE_READ(memcg, memory.max) * 4096;
    e->domain_usage = (u64)BPF_CORE_READ(memcg, memory.usage.counter) * 4096;
    e->domain_failures = BPF_CORE_READ(memcg, memory.failcnt);
    e->flags |= FR_OOM_DOMAIN_KNOWN;
}

static __always_inline int record_oom_kill(void* ctx, struct task_struct* victim) {
    struct task_struct* invoker = current_task();
    if (!wanted(FR_CLASS_OOM_KILL, victim) && !wanted(FR_CLASS_OOM_KILL, invoker)) return 0;
    struct fr_oom_kill* e = scratch_slot(FR_SCRATCH_OOM);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    fill_victim(e, victim);
    fill_context(e);
    BPF_CORE_READ_STR_INTO(&e->comm, invoker, comm);
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_kernel_stack(&d, ctx);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_OOM_KILL);
    ring_doorbell(FR_CLASS_OOM_KILL, e->victim_pid);
    return 0;
}

/* include/trace/events/oom.h: mark_victim(struct task_struct *task, uid_t uid) from 6.8 and in the stable kernels that
 * took 72ba14deb40a; called in mm/oom_kill.c:__oom_kill_process() by the invoker, before the report line is printed. */
SEC("tp_btf/mark_victim")
int oom_kill_task_tp(u64* ctx) { return record_oom_kill(ctx, (void*)ctx[0]); }

/* mark_victim(int pid) before that: the task must be found; the invoker's own is at hand, another's is not. */
SEC("tp_btf/mark_victim")
int oom_kill_pid_tp(u64* ctx) {
    int pid = (int)ctx[0];
    struct task_struct* current = current_task();
    if (current->pid == pid || current->tgid == pid) return record_oom_kill(ctx, current);
    if (!wanted(FR_CLASS_OOM_KILL, current)) return 0;
    VITAL_BEGIN(struct fr_oom_kill, e, FR_CLASS_OOM_KILL);
    e->victim_pid = e->victim_tid = (u32)pid;
    fill_context(e);
    BPF_CORE_READ_STR_INTO(&e->comm, current, comm);
    VITAL_COMMIT(e);
    ring_doorbell(FR_CLASS_OOM_KILL, (u32)pid);
    return 0;
}

static __always_inline int record_alloc_failure(void* ctx, u32 kind, u32 gfp, int order) {
    struct task_struct* task = current_task();
    if (!wanted(FR_CLASS_ALLOC_FAILURE, task)) return 0;
    struct fr_alloc_failure* e = scratch_slot(FR_SCRATCH_ALLOC);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->kind = kind;
    e->gfp_mask = gfp;
    e->order = order;
    e->node = -1;
    if (order >= 0) e->size = 4096ull << (order & 31);
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
    return record_alloc_failure(ctx, page ? FR_ALLOC_PAGE : FR_ALLOC_VMALLOC, (u32)gfp, page ? (int)first : -1);
}

/* include/trace/events/kmem.h: mm_page_alloc(struct page *page, unsigned int order, gfp_t gfp_flags, int migratetype):
 * fires for every allocation, with no page for one that failed. */
SEC("tp_btf/mm_page_alloc")
int alloc_failure_tp(u64* ctx) {
    if (ctx[0]) return 0;
    return record_alloc_failure(ctx, FR_ALLOC_PAGE, (u32)ctx[2], (int)ctx[1]);
}
