// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The files mapped as code in a crashed process, with their addresses: those on its stack first, then all others.
 * Looked up on its way out, while its memory is still there (when the signal is delivered a spin lock is held, under
 * which mappings can be looked at once only). */
#include "blob.h"
#include "filter.h"
#include "flood.h"
#include "path.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MODULES_MAX 16           /* on the stack */
#define MAPPING_STEPS (1u << 18) /* at most two and a half a mapping, of which there may be 65530 as things come */
#define ALL_MODULES_MAX 512
#define VM_EXEC 4
#define FULL_LISTS 4                        /* in a crash loop so many lists … */
#define FULL_LISTS_PERIOD_NS 10000000000ull /* … in this time are whole, the others of the stack alone */

/* In a scratch slot, not on the stack: of what is read from a map the verifier knows nothing, and so has one state to
 * look at where it would have one for every value of `found` (half a million instructions in place of some thousands).
 */
struct module_walk {
    struct crash_frames frames;
    u64 start, end, pgoff; /* of the mapping found last */
    struct file* file;
    u32 found;
    u32 listed; /* of all mappings */
    u32 bytes;  /* recorded */
    u64 seen[MODULES_MAX];
    struct vma_walk vmas;
};

/* What the callbacks are given: they may have the stack only. */
struct module_walk_at {
    struct module_walk* walk;
    struct task_struct* task;
};

static __always_inline void note_mapping(struct module_walk* w, struct vm_area_struct* vma) {
    w->start = BPF_CORE_READ(vma, vm_start);
    w->end = BPF_CORE_READ(vma, vm_end);
    w->pgoff = BPF_CORE_READ(vma, vm_pgoff);
    w->file = BPF_CORE_READ(vma, vm_file);
}

static long take_vma(struct task_struct* task, struct vm_area_struct* vma, void* context) {
    (void)task;
    note_mapping(((struct module_walk_at*)context)->walk, vma);
    return 0;
}

static __always_inline bool seen_before(struct module_walk* w) {
    bool seen = false;
    for (u32 i = 0; i < MODULES_MAX; i++) seen |= w->seen[i] == w->start; /* unused ones are 0 */
    return seen;
}

static __always_inline void record_module(struct module_walk* w, struct task_struct* task) {
    struct fr_module* e = scratch_slot(FR_SCRATCH_MODULE);
    if (!e) return;
    __builtin_memset(e, 0, sizeof(*e));
    struct file* file = w->file;
    struct inode* inode = BPF_CORE_READ(file, f_inode);
    struct fs_struct* fs = BPF_CORE_READ(task, fs);
    e->start = w->start;
    e->end = w->end;
    e->offset = bytes_of_pages(w->pgoff);
    e->inode = BPF_CORE_READ(inode, i_ino);
    e->dev = BPF_CORE_READ(inode, i_sb, s_dev);
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_path(&d, FR_BLOB_EXE, &file->f_path, &fs->root);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_MODULE);
    w->bytes += d.used;
}

static long module_step(u32 index, void* context) {
    struct module_walk_at* at = context;
    struct module_walk* w = at->walk;
    if (index >= w->frames.count || w->found >= MODULES_MAX) return 1;
    u64 ip = w->frames.ip[index & (FR_CRASH_FRAMES - 1)];
    if (ip >= w->start && ip < w->end) return 0;
    if (bpf_find_vma((void*)at->task, ip, take_vma, at, 0)) return 0;
    if (!w->file || seen_before(w)) return 0;
    u32 place = w->found;
    if (place < MODULES_MAX) w->seen[place] = w->start;
    w->found = place + 1;
    record_module(w, at->task);
    return 0;
}

static long mapping_step(u32 index, void* context) {
    struct module_walk_at* at = context;
    struct module_walk* w = at->walk;
    struct vm_area_struct* vma = NULL;
    (void)index;
    bool last = vma_step(&w->vmas, &vma);
    if (!vma) return last;
    if (!(BPF_CORE_READ(vma, vm_flags) & VM_EXEC)) return last;
    note_mapping(w, vma);
    if (!w->file || seen_before(w)) return last;
    /* A process chooses its own paths: they must not push everything else out of the ring. */
    if (w->listed++ >= ALL_MODULES_MAX || w->bytes > vital_ring_size / 4) return 1;
    record_module(w, at->task);
    return last;
}

static __always_inline bool whole_list_admitted(void) {
    struct flood_key key = {.what = FR_CLASS_MODULE << 24};
    u64 left_out = 0;
    return admitted(&key, FULL_LISTS, FULL_LISTS_PERIOD_NS, &left_out);
}

static __always_inline void record_lists(struct crash_frames* frames, struct task_struct* task) {
    struct module_walk_at at = {.walk = scratch_slot(FR_SCRATCH_WALK), .task = task};
    if (!at.walk) return;
    __builtin_memset((void*)at.walk + sizeof(at.walk->frames), 0, sizeof(*at.walk) - sizeof(at.walk->frames));
    bpf_probe_read_kernel(&at.walk->frames, sizeof(at.walk->frames), frames);
    bpf_loop(FR_CRASH_FRAMES, module_step, &at, 0);
    if (!whole_list_admitted()) return;
    begin_vma_walk(&at.walk->vmas, BPF_CORE_READ(task, mm));
    bpf_loop(MAPPING_STEPS, mapping_step, &at, 0);
}

static __always_inline int record_modules(void) {
    u32 tid = (u32)bpf_get_current_pid_tgid();
    struct crash_frames* frames = bpf_map_lookup_elem(&crash_stacks, &tid);
    if (!frames) return 0;
    struct task_struct* task = current_task();
    if (wanted(FR_CLASS_MODULE, task)) record_lists(frames, task);
    bpf_map_delete_elem(&crash_stacks, &tid);
    return 0;
}

/* From 6.16 (4ad0e9c8d2c7, "exit: move and extend sched_process_exit() tracepoint") before the memory is given back. */
SEC("tp_btf/sched_process_exit")
int crash_modules_tp(u64* ctx) {
    (void)ctx;
    return record_modules();
}

/* kernel/fork.c: void exit_mm_release(struct task_struct *tsk, struct mm_struct *mm), the first thing exit_mm() does.
 */
SEC("fentry/exit_mm_release")
int crash_modules_fentry(u64* ctx) {
    (void)ctx;
    return record_modules();
}

SEC("kprobe/exit_mm_release")
int crash_modules_kprobe(struct pt_regs* ctx) {
    (void)ctx;
    return record_modules();
}
