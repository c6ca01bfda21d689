// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Every process in scope with its size, and every task that waits uninterruptibly: what the recorder asks for once a
 * second. Reading that from /proc takes some fifty times as long. */
#include "filter.h"
#include "kernel_differences.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* include/linux/sched.h; state D is TASK_UNINTERRUPTIBLE that is not idle (fs/proc/array.c:get_task_state()) */
#define TASK_UNINTERRUPTIBLE 0x002
#define TASK_NOLOAD 0x400

/* kernel/bpf/task_iter.c: called for every task, and once more at the end without one. */
SEC("iter/task")
int tasks_iter(struct bpf_iter__task* ctx) {
    struct task_struct* task = ctx->task;
    if (!task) return 0;
    task = untrusted(task);
    u32 state = task->__state;
    bool blocked = (state & TASK_UNINTERRUPTIBLE) && !(state & TASK_NOLOAD);
    bool leader = task->pid == task->tgid;
    struct fr_control* c = control_now();
    if ((!leader && !blocked) || !c || !task_in_scope(c, task)) return 0;
    struct fr_task_look look = {
        .tid = (u32)task->pid,
        .pid = (u32)task->tgid,
        .start_ns = task->start_boottime,
        .blocked = blocked,
    };
    struct mm_struct* mm = task->mm;
    if (leader && mm)
        look.rss_pages =
            mm_counter_pages(mm, FR_MM_ANON) + mm_counter_pages(mm, FR_MM_FILE) + mm_counter_pages(mm, FR_MM_SHMEM);
    bpf_seq_write(ctx->meta->seq, &look, sizeof(look));
    return 0;
}
