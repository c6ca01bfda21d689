// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Signals that were sent, and deliveries that end a process. */
#include "blob.h"
#include "filter.h"
#include "kernel_differences.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define BIT(n) (1ull << (n))
/* signal(7), x86-64 and arm64 numbers. */
#define CORE_SIGNALS (BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) | BIT(24) | BIT(25) | BIT(31))
/* default action: ignore (SIGCHLD, SIGCONT, SIGURG, SIGWINCH) or stop (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU) */
#define HARMLESS_SIGNALS (BIT(17) | BIT(18) | BIT(23) | BIT(28) | BIT(19) | BIT(20) | BIT(21) | BIT(22))
/* sent in masses to programs that handle them: SIGALRM, SIGCHLD, SIGURG, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, rt */
#define CHATTY_SIGNALS (BIT(14) | BIT(17) | BIT(23) | BIT(26) | BIT(27) | BIT(28) | BIT(29) | ~(BIT(32) - 1))
#define FAULT_SIGNALS (BIT(4) | BIT(5) | BIT(7) | BIT(8) | BIT(11))

/* The part of siginfo_t both kernel and user space agree on (include/uapi/asm-generic/siginfo.h). */
struct siginfo_head {
    s32 signo, error, code, pad;
    union {
        struct {
            s32 pid;
            u32 uid;
        } sender;
        u64 address;
    };
};

static __always_inline bool read_info(u64 pointer, struct siginfo_head* info) {
    if (pointer < 3) return false; /* SEND_SIG_NOINFO 0, SEND_SIG_PRIV 1: include/linux/sched/signal.h */
    return bpf_probe_read_kernel(info, sizeof(*info), (void*)pointer) == 0;
}

#define SIGKILL 9
#define SEND_SIG_PRIV 1

/* For memory.bpf.c: an OOM kill is a SIGKILL by the kernel, then mark_victim. */
static __always_inline void note_kernel_kill(struct task_struct* sender, struct task_struct* target) {
    u32 tid = (u32)sender->pid, victim = (u32)target->tgid;
    bpf_map_update_elem(&kernel_kills, &tid, &victim, BPF_ANY);
}

/* include/trace/events/signal.h: TP_PROTO(int sig, struct kernel_siginfo *info, struct task_struct *task, int group,
 * int result) */
SEC("tp_btf/signal_generate")
int signal_tp(u64* ctx) {
    int sig = (int)ctx[0];
    struct task_struct* target = untrusted((void*)ctx[2]);
    if (sig < 1 || sig > 64) return 0;
    struct task_struct* sender = untrusted(current_task());
    if (sig == SIGKILL && ctx[1] == SEND_SIG_PRIV) note_kernel_kill(sender, target);
    if (!wanted(FR_CLASS_SIGNAL, target) && !wanted(FR_CLASS_SIGNAL, sender)) return 0;

    struct sighand_struct* sighand = target->sighand;
    struct k_sigaction* action =
        (void*)&sighand->action + (u64)((sig - 1) & 63) * bpf_core_type_size(struct k_sigaction);
    void* handler = BPF_CORE_READ(action, sa.sa_handler);
    u32 flags = handler == NULL ? FR_SIGNAL_DEFAULT : (u64)handler == 1 ? FR_SIGNAL_IGNORED : FR_SIGNAL_HANDLED;
    bool chatty = CHATTY_SIGNALS & BIT(sig & 63);
    if ((flags != FR_SIGNAL_DEFAULT && chatty) ||
        (flags == FR_SIGNAL_DEFAULT && (BIT(17) | BIT(23) | BIT(28)) & BIT(sig & 63))) {
        struct fr_ring_head* head = ring_of_this_cpu(&vital_ring);
        if (head) __sync_fetch_and_add(&head->skipped[FR_CLASS_SIGNAL], 1);
        return 0;
    }

    VITAL_BEGIN(struct fr_signal, e, FR_CLASS_SIGNAL);
    struct siginfo_head info = {};
    e->signal = sig;
    if (read_info(ctx[1], &info)) {
        e->code = info.code;
        /* si_code above 0: the kernel; 0 and below: kill, tgkill, sigqueue …, but timers and finished I/O speak for
         * nobody (SI_TIMER -2, SI_MESGQ -3, SI_ASYNCIO -4, SI_SIGIO -5: include/uapi/asm-generic/siginfo.h). */
        if (info.code > 0 || (info.code <= -2 && info.code >= -5)) flags |= FR_SIGNAL_FROM_KERNEL;
        if ((FAULT_SIGNALS & BIT(sig & 63)) && info.code > 0) e->address = info.address;
    } else if (ctx[1] == 1) {
        flags |= FR_SIGNAL_FROM_KERNEL;
        e->code = 0x80; /* SI_KERNEL */
    }
    if (!(flags & FR_SIGNAL_FROM_KERNEL)) e->sender_uid = sender->cred->uid.val;
    if (ctx[3]) flags |= FR_SIGNAL_GROUP;
    e->flags = flags;
    e->result = (u32)ctx[4];
    e->target_tid = (u32)target->pid;
    e->target_pid = (u32)target->tgid;
    read_comm(e->comm, sender);
    read_comm(e->target_comm, target);
    VITAL_COMMIT(e);
    return 0;
}

static __always_inline void fill_registers(struct fr_crash* e, struct task_struct* task) {
    struct pt_regs* regs = (void*)bpf_task_pt_regs((void*)task);
    if (!regs) return;
#if defined(__TARGET_ARCH_x86)
    e->ip = BPF_CORE_READ(regs, ip);
    e->sp = BPF_CORE_READ(regs, sp);
    e->bp = BPF_CORE_READ(regs, bp);
    e->regs[0] = BPF_CORE_READ(regs, ax);
    e->regs[1] = BPF_CORE_READ(regs, bx);
    e->regs[2] = BPF_CORE_READ(regs, cx);
    e->regs[3] = BPF_CORE_READ(regs, dx);
    e->regs[4] = BPF_CORE_READ(regs, si);
    e->regs[5] = BPF_CORE_READ(regs, di);
    e->regs[6] = e->bp;
    e->regs[7] = e->sp;
    e->regs[8] = BPF_CORE_READ(regs, r8);
    e->regs[9] = BPF_CORE_READ(regs, r9);
    e->regs[10] = BPF_CORE_READ(regs, r10);
    e->regs[11] = BPF_CORE_READ(regs, r11);
    e->regs[12] = BPF_CORE_READ(regs, r12);
    e->regs[13] = BPF_CORE_READ(regs, r13);
    e->regs[14] = BPF_CORE_READ(regs, r14);
    e->regs[15] = BPF_CORE_READ(regs, r15);
#else
    e->ip = BPF_CORE_READ(regs, pc);
    e->sp = BPF_CORE_READ(regs, sp);
    e->bp = BPF_CORE_READ(regs, regs[29]);
    bpf_core_read(e->regs, sizeof(e->regs), &regs->regs);
#endif
}

#define USER_FRAMES 64
#define STACK_BYTES 4096 /* the smallest page there is */

/* Whether the bytes before an address are those of a call: x86-64 E8 rel32, or FF /2 with its longer and shorter
 * operands (Intel SDM 2A, CALL); arm64 BL or BLR (Arm ARM C6.2). */
static __always_inline bool behind_call(u64 address) {
#if defined(__TARGET_ARCH_x86)
    u8 code[8] = {};
    if (bpf_probe_read_user(code + 1, 7, (void*)(address - 7))) return false;
    if (code[3] == 0xe8) return true;
    return (code[6] == 0xff && (code[7] & 0x38) == 0x10) || (code[5] == 0xff && (code[6] & 0x38) == 0x10) ||
           (code[4] == 0xff && (code[5] & 0x38) == 0x10) || (code[2] == 0xff && (code[3] & 0x38) == 0x10) ||
           (code[1] == 0xff && (code[2] & 0x38) == 0x10);
#else
    u32 code = 0;
    if (bpf_probe_read_user(&code, sizeof(code), (void*)(address - 4))) return false;
    return (code & 0xfc000000) == 0x94000000 || (code & 0xfffffc1f) == 0xd63f0000;
#endif
}

/* A frame-pointer walk begins with the caller's caller where the function itself has set up no frame: in a leaf, or
 * before its prologue. Where such a function returns to is at sp, or in the link register. */
static __always_inline void fill_caller(struct fr_crash* e, struct task_struct* task) {
#if defined(__TARGET_ARCH_x86)
    (void)task;
    bpf_probe_read_user(&e->caller, sizeof(e->caller), (void*)e->sp);
#else
    struct pt_regs* regs = (void*)bpf_task_pt_regs((void*)task);
    if (regs) e->caller = BPF_CORE_READ(regs, regs[30]);
#endif
    if (e->caller && behind_call(e->caller)) e->flags |= FR_CRASH_CALLER_CALLED;
}

/* For crash_modules.bpf.c. */
static __always_inline void remember_stack(void* ctx) {
    u32 tid = (u32)bpf_get_current_pid_tgid();
    struct crash_frames* frames = scratch_slot(FR_SCRATCH_STACK);
    if (!frames) return;
    long n = bpf_get_stack(ctx, frames->ip, sizeof(frames->ip), BPF_F_USER_STACK);
    if (n <= 0) return;
    frames->count = (u64)n / sizeof(u64);
    bpf_map_update_elem(&crash_stacks, &tid, frames, BPF_ANY);
}

/* The stack from sp upwards; it may end before STACK_BYTES do, and a read is whole or fails: then what is left of sp's
 * page, which is there. */
static __always_inline void blob_stack_bytes(struct draft* d, u64 sp) {
    u32 at = bounded(d->used);
    if (at + sizeof(struct fr_blob) + STACK_BYTES + 16 > DRAFT_LIMIT) return;
    void* to = d->base + at + sizeof(struct fr_blob);
    u32 length = STACK_BYTES;
    u8 flags = 0;
    if (bpf_probe_read_user(to, STACK_BYTES, (void*)sp)) {
        length = (STACK_BYTES - ((u32)sp & (STACK_BYTES - 1))) & (2 * STACK_BYTES - 1);
        if (length > STACK_BYTES) length = STACK_BYTES;
        if (bpf_probe_read_user(to, length, (void*)sp)) {
            length = 0;
            flags = FR_BLOB_FAULT;
        }
    }
    blob_pad(d, length);
    blob_close(d, FR_BLOB_STACK_BYTES, length, flags);
}

/* include/trace/events/signal.h: TP_PROTO(int sig, struct kernel_siginfo *info, struct k_sigaction *ka), called in
 * kernel/signal.c:get_signal() by the thread that takes the signal. A default action that ends the process follows. */
SEC("tp_btf/signal_deliver")
int crash_tp(u64* ctx) {
    int sig = (int)ctx[0];
    struct k_sigaction* action = (void*)ctx[2];
    if (sig < 1 || sig > 31) return 0;
    if (!(CORE_SIGNALS & BIT(sig & 63))) return 0;
    if (BPF_CORE_READ(action, sa.sa_handler) != NULL) return 0;
    struct task_struct* task = current_task();
    if (!wanted(FR_CLASS_CRASH, task)) return 0;
    struct fr_crash* e = scratch_slot(FR_SCRATCH_CRASH);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    struct siginfo_head info = {};
    e->signal = sig;
    e->dumps_core = 1;
    if (read_info(ctx[1], &info)) {
        e->code = info.code;
        if (info.code > 0)
            e->address = FAULT_SIGNALS & BIT(sig & 63) ? info.address : 0;
        else
            e->sender_pid = (u32)info.sender.pid;
    }
    e->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
    e->cgroup_id = task_cgroup_id(task);
    e->ppid = (u32)BPF_CORE_READ(task, real_parent, tgid);
    e->uid = BPF_CORE_READ(task, cred, uid.val);
    BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
    fill_registers(e, task);
    fill_caller(e, task);

    remember_stack(ctx);
    struct draft d = {.base = e, .used = sizeof(*e)};
    long n = bpf_get_stack(ctx, d.base + sizeof(*e) + sizeof(struct fr_blob), USER_FRAMES * sizeof(struct fr_frame),
                           BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
    if (n > 0) {
        u32 length = (u32)n & (2 * USER_FRAMES * sizeof(struct fr_frame) - 1);
        blob_pad(&d, length);
        blob_close(&d, FR_BLOB_USTACK, length, 0);
    }
    blob_stack_bytes(&d, e->sp);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_CRASH);
    ring_doorbell(FR_CLASS_CRASH, (u32)BPF_CORE_READ(task, tgid));
    return 0;
}
