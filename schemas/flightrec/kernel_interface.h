/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0 */
/* What the recorder and its BPF programs tell each other beside the events: settings, rules, the doorbell. Not part of
 * the file format; both sides always come from one build, or meet through pinned maps that carry FR_KERNEL_ABI. */
#ifndef FLIGHTREC_KERNEL_INTERFACE_H
#define FLIGHTREC_KERNEL_INTERFACE_H

#include "event.h"

#define FR_KERNEL_ABI 3u

#define FR_SCOPE_MAX 8u
#define FR_SCOPE_PATH \
    256u /* bytes of a scope's path with its NUL; one that is longer is not found again when it is made anew */
#define FR_STRING_MAX 512u
#define FR_SYSCALL_RULES 1024u
#define FR_SYSCALL_ENTRIES 16384u /* slots by tid; a power of two */
#define FR_STACK_TASKS 4096u      /* a power of two */

#define FR_GFP_NOWARN 0x2000u /* ___GFP_NOWARN of gfp_mask: include/linux/gfp_types.h, the same from 5.17 to 6.18 */

/* Scratch slots, one a program that needs one. */
enum fr_scratch_slot {
    FR_SCRATCH_EXEC = 0,
    FR_SCRATCH_KMSG = 1,
    FR_SCRATCH_CGROUP = 2,
    FR_SCRATCH_SYSCALL = 3,
    FR_SCRATCH_OOM = 4,
    FR_SCRATCH_CRASH = 5,
    FR_SCRATCH_ALLOC = 6,
    FR_SCRATCH_WALK = 7,
    FR_SCRATCH_MODULE = 8,
    FR_SCRATCH_STACK = 9,
    FR_SCRATCH_FAILED = 10, /* FR_SCRATCH_FAILED_SLOTS of them */
    FR_SCRATCH_COUNT = 12,
};
#define FR_SCRATCH_FAILED_SLOTS 2u
#define FR_SCRATCH_SIZE (FR_EVENT_MAX + 4096u)

/* 64 bytes: one cache line, so that threads on different CPUs never share one. */
struct fr_syscall_entry {
    __u64 enter_ns; /* 0: not in a system call, or its entry was not seen */
    __u32 tid;
    __u32 nr;
    __u64 args[6];
};

/* What is known of a thread while its calls are not all recorded; by tid modulo FR_SYSCALL_ENTRIES. */
struct fr_thread_calls {
    __u32 tid;
    __u32 pid;
    __u64 switches; /* voluntary ones, when it last returned from a call: more of them next time, and it slept */
    __u64 skipped;  /* calls that were not recorded */
    __u32 told_tid; /* whose failed call was told last by a program of its own (failed_calls.bpf.c), and which */
    __u32 told_nr;
};

/* Whose registers stand at an address: they end a thread's kernel stack. By that address modulo FR_STACK_TASKS. */
struct fr_stack_task {
    __u64 regs;
    __u64 task;   /* address of its struct task_struct */
    __u64 offset; /* of the registers in the stack: the same for all threads of a kernel */
    __u64 pad;
};

enum fr_rule_action {
    FR_RULE_ALL = 0,    /* record every call */
    FR_RULE_NONE = 1,   /* record none */
    FR_RULE_FAILED = 2, /* record those that return an error */
};

enum fr_capture_type {
    FR_CAPTURE_NONE = 0,
    FR_CAPTURE_STRING = 1,          /* NUL-terminated, to ARGn */
    FR_CAPTURE_STRING_COUNTED = 2,  /* length in argument length_arg, to ARGn */
    FR_CAPTURE_STRING_RESULT = 3,   /* length is the result, to ARGn */
    FR_CAPTURE_ARGV = 4,            /* NULL-ended array of strings, each with its NUL, to ARGn; at entry only */
    FR_CAPTURE_DATA = 5,            /* size bytes, to DATAn */
    FR_CAPTURE_DATA_COUNTED = 6,    /* size times argument length_arg, at most max, to DATAn */
    FR_CAPTURE_SOCKADDR = 7,        /* length in argument length_arg, at most max, to SOCKADDRn */
    FR_CAPTURE_SOCKADDR_BY_PTR = 8, /* length in the __u32 at argument length_arg, at most max, to SOCKADDRn */
};

enum fr_capture_flag {
    FR_CAPTURE_ON_SUCCESS = 1 << 0,  /* only when the call did not fail */
    FR_CAPTURE_AT_ENTRY = 1 << 1,    /* in the SYSCALL_ENTER record only */
    FR_CAPTURE_CONDITIONAL = 1 << 2, /* only when the rule's condition holds */
};

struct fr_capture {
    __u8 type; /* enum fr_capture_type */
    __u8 arg;
    __u8 length_arg;
    __u8 size;
    __u8 max;
    __u8 flags; /* enum fr_capture_flag */
    __u8 pad[2];
};

#define FR_CAPTURES_MAX 5

struct fr_syscall_rule { /* one cache line */
    __u8 action;         /* enum fr_rule_action */
    __u8 kind;           /* enum fr_syscall_kind */
    __u8 at_entry;       /* also record it when it is entered: it may not return, or replaces the memory it points to */
    __u8 captures;       /* how many of capture[] count */
    __u8 condition_arg;  /* bit (args[condition_arg] & condition_mask) of condition_values must be set */
    __u8 pad[3];
    __u64 condition_mask;
    __u64 condition_values;
    struct fr_capture capture[FR_CAPTURES_MAX];
};

enum fr_syscall_kind {
    FR_SYSCALL_PLAIN = 0,
    FR_SYSCALL_FORKS = 1,  /* fork, vfork, clone, clone3: EAGAIN and ENOMEM are fork failures */
    FR_SYSCALL_EXECS = 2,  /* execve, execveat: an error is a failed exec */
    FR_SYSCALL_MEMORY = 3, /* mmap, mprotect, munmap, madvise, mlock: argument 1 is the size */
    FR_SYSCALL_BRK = 4,    /* brk: returns the old end of the heap when it fails */
    FR_SYSCALL_REMAP = 5,  /* mremap: from argument 1 to argument 2 bytes */
};

/* Which events are wanted, one bit a class: switched off classes are not produced at all. */
struct fr_control {
    __u32 abi;            /* FR_KERNEL_ABI */
    __u32 recorder_pid;   /* the recorder itself is not recorded */
    __u64 classes_off;    /* bit n: class n is off */
    __u32 syscall_mode;   /* enum fr_syscall_mode */
    __u32 slower_than_us; /* FR_MODE_SLOW: calls slower than that are recorded too */
    /* /proc/sys/kernel and vm, looked at by the recorder once a second; 0: not known */
    __u32 threads_max;
    __u32 pid_max;
    __u32 max_map_count;
    __u32 kills_are_seen;             /* 1: signal_generate is attached, so that who is sent SIGKILL is noted */
    __u64 entries_since_ns;           /* entries seen before are stale: the programs were detached meanwhile */
    __u64 scope_cgroup[FR_SCOPE_MAX]; /* ids; the programs put in that of a cgroup of the scope that is made again */
    __u32 never_slept; /* the machine, since it booted: CLOCK_MONOTONIC and CLOCK_BOOTTIME are the same */
    __u32 pad[3];
};

enum fr_syscall_mode { /* what is recorded of system calls, from full to poorest */
                       FR_MODE_FULL = 0,
                       FR_MODE_SLOW = 1, /* failed calls, slow ones and those that slept; the rest counted as skipped */
                       FR_MODE_FAILED = 2, /* failed calls only */
                       FR_MODE_OFF = 3,
};

struct fr_doorbell {
    __u32 cls;
    __u32 pid;
};

/* What the task iterator tells of a process, or of a thread that is blocked (bpf/tasks.bpf.c). */
struct fr_task_look {
    __u32 tid;
    __u32 pid;
    __u64 start_ns;  /* of the thread, on the boot time axis */
    __u64 rss_pages; /* of the process; 0 for other threads than its first */
    __u32 blocked;   /* waits uninterruptibly: state D */
    __u32 pad;
};

FR_ASSERT_SIZE(struct fr_task_look, 32);
FR_ASSERT_SIZE(struct fr_syscall_entry, 64);
FR_ASSERT_SIZE(struct fr_stack_task, 32);
FR_ASSERT_SIZE(struct fr_thread_calls, 32);
FR_ASSERT_SIZE(struct fr_capture, 8);
FR_ASSERT_SIZE(struct fr_syscall_rule, 64);
FR_ASSERT_SIZE(struct fr_control, 128);
FR_ASSERT_SIZE(struct fr_doorbell, 8);

#endif /* FLIGHTREC_KERNEL_INTERFACE_H */
