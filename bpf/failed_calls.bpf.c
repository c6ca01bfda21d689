// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Failed execs, forks and mappings at the functions themselves, where the kernel takes trampolines: these are seen
 * while nothing is attached to the system call tracepoints (cost budget, docs/performance.md), and no other call pays
 * for it. While the tracepoints' program is attached, it leaves to these programs what they have told.
 */
#include "failures.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#if defined(__TARGET_ARCH_x86)
#define SYSCALL_RETURNS(name) SEC("fexit/__x64_sys_" #name)
#else
#define SYSCALL_RETURNS(name) SEC("fexit/__arm64_sys_" #name)
#endif

/* Trampolines keep a task on its CPU, but let another one run there in between: slots are taken and given back. */
static __always_inline void* take_scratch(u32** taken) {
    for (u32 i = 0; i < FR_SCRATCH_FAILED_SLOTS; i++) {
        u32 index = i;
        u32* busy = bpf_map_lookup_elem(&scratch_busy, &index);
        if (!busy || __sync_val_compare_and_swap(busy, 0, 1) != 0) continue;
        *taken = busy;
        return scratch_slot(FR_SCRATCH_FAILED + i);
    }
    return NULL;
}

static __always_inline void no_scratch(u8 cls) {
    struct fr_ring_head* head = ring_of_this_cpu(&vital_ring);
    if (head) __sync_fetch_and_add(&head->failed[cls], 1);
}

static __always_inline bool is_failure(u32 kind, u64 first_argument, s64 result) {
    if (kind == FR_SYSCALL_BRK) return (u64)result < first_argument;
    if (kind == FR_SYSCALL_EXECS) return result < 0;
    return result == -ENOMEM || (result == -EAGAIN && kind == FR_SYSCALL_FORKS);
}

/* `kind` is a constant of each program: the verifier looks at its part only. */
static __always_inline int failed_call(struct task_struct* task, struct pt_regs* regs, u32 kind, s64 result) {
    struct fr_syscall_entry call = {};
    if (in_compat_syscall(task)) return 0;
    copy_syscall_args(call.args, regs);
    if (!is_failure(kind, call.args[0], result)) return 0;
    call.nr = syscall_number(regs);
    u32* busy = NULL;
    u8 cls = kind == FR_SYSCALL_EXECS ? FR_CLASS_EXEC_FAILED : FR_CLASS_ALLOC_FAILURE;
    if (!wanted(cls, task)) return 0;
    void* scratch = take_scratch(&busy);
    if (!busy) {
        no_scratch(cls);
        return 0;
    }
    if (kind == FR_SYSCALL_EXECS)
        record_failed_exec(&call, result, scratch);
    else
        record_failed_memory(&call, result, kind, scratch);
    *(volatile u32*)busy = 0;
    failure_was_told((u32)task->pid, call.nr);
    return 0;
}

/* The wrappers of include/linux/syscalls.h: long __x64_sys_NAME(const struct pt_regs *regs) */
#define FAILED_CALL(name, kind) \
    SYSCALL_RETURNS(name)       \
    int failed_##name(u64* ctx) { return failed_call(current_task(), (struct pt_regs*)ctx[0], kind, (s64)ctx[1]); }

FAILED_CALL(execve, FR_SYSCALL_EXECS)
FAILED_CALL(execveat, FR_SYSCALL_EXECS)
FAILED_CALL(mmap, FR_SYSCALL_MEMORY)
FAILED_CALL(mprotect, FR_SYSCALL_MEMORY)
FAILED_CALL(mremap, FR_SYSCALL_REMAP)
FAILED_CALL(brk, FR_SYSCALL_BRK)

/* kernel/fork.c: pid_t kernel_clone(struct kernel_clone_args *args), of fork, vfork, clone and clone3, and of the
 * kernel's own threads, which have no memory. */
SEC("fexit/kernel_clone")
int failed_fork(u64* ctx) {
    struct task_struct* task = current_task();
    if ((s32)ctx[1] >= 0 || !task->mm) return 0;
    struct pt_regs* regs = (struct pt_regs*)bpf_task_pt_regs((void*)task);
    return regs ? failed_call(task, regs, FR_SYSCALL_FORKS, (s32)ctx[1]) : 0;
}
