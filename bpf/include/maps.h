/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Maps and load-time settings shared by all programs; defined once in maps.bpf.c. */
#ifndef FLIGHTREC_MAPS_H
#define FLIGHTREC_MAPS_H

#include "kernel_types.h"
#include "schemas/flightrec/event.h"
#include "schemas/flightrec/kernel_interface.h"

#ifdef FLIGHTREC_DEFINE_MAPS
#define FR_SHARED
#else
#define FR_SHARED extern
#endif

/* Rings: see event.h. Real sizes are set before loading; these satisfy the verifier's first look only. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(key_size, 4);
    __uint(value_size, 65536);
    __uint(max_entries, 1);
} vital_ring SEC(".maps");

FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(key_size, 4);
    __uint(value_size, 65536);
    __uint(max_entries, 1);
} syscall_ring SEC(".maps");

/* Entry of the system call each thread is in: struct fr_syscall_entry, by tid modulo the number of slots. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(key_size, 4);
    __uint(value_size, sizeof(struct fr_syscall_entry));
    __uint(max_entries, FR_SYSCALL_ENTRIES);
} syscall_entries SEC(".maps");

/* Threads by their kernel stack: struct fr_stack_task (syscall.bpf.c). */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, sizeof(struct fr_stack_task));
    __uint(max_entries, FR_STACK_TASKS);
} stack_tasks SEC(".maps");

/* Threads whose calls are not all recorded: struct fr_thread_calls, by tid modulo the number of slots. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(key_size, 4);
    __uint(value_size, sizeof(struct fr_thread_calls));
    __uint(max_entries, FR_SYSCALL_ENTRIES);
} thread_calls SEC(".maps");

/* What to do with each system call: struct fr_syscall_rule by number. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(key_size, 4);
    __uint(value_size, sizeof(struct fr_syscall_rule));
    __uint(max_entries, FR_SYSCALL_RULES);
} syscall_rules SEC(".maps");

/* Settings that change while recording: struct fr_control, one element. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(key_size, 4);
    __uint(value_size, sizeof(struct fr_control));
    __uint(max_entries, 1);
} control SEC(".maps");

/* Wakes the recorder for triggers; struct fr_doorbell. Losing one is harmless: the rings are polled too. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} doorbell SEC(".maps");

/* Records whose length is not known beforehand are put together here. One slot a CPU and program: a program never
 * nests in itself on one CPU (bpf_prog.active in the kernel's trampoline). */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, FR_SCRATCH_SIZE);
    __uint(max_entries, FR_SCRATCH_COUNT);
} scratch SEC(".maps");

/* Which of the scratch slots from FR_SCRATCH_FAILED on are in use on this CPU. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
    __uint(max_entries, FR_SCRATCH_FAILED_SLOTS);
} scratch_busy SEC(".maps");

/* Address of the struct oom_control that out_of_memory() was called with, by the tid of the invoker. */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(key_size, 4);
    __uint(value_size, 8);
    __uint(max_entries, 256);
} oom_contexts SEC(".maps");

/* Who was sent SIGKILL by the kernel last: tgid, by the tid of the sender (memory.bpf.c). */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(key_size, 4);
    __uint(value_size, 4);
    __uint(max_entries, 256);
} kernel_kills SEC(".maps");

/* Failures that come in floods, by process and kind (flood.h). */
struct flood {
    __u64 since_ns;
    __u64 told; /* since then */
    __u64 left_out;
};
struct flood_key {
    __u64 start_ns; /* of the process: its number is given out again */
    __u32 tgid;
    __u32 what;
};
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(key_size, sizeof(struct flood_key));
    __uint(value_size, sizeof(struct flood));
    __uint(max_entries, 1024);
} floods SEC(".maps");

/* Where a thread was when it crashed: the addresses of its stack, by its tid, until it ends (crash_modules.bpf.c). */
#define FR_CRASH_FRAMES 64
struct crash_frames {
    __u64 count;
    __u64 ip[FR_CRASH_FRAMES];
};
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(key_size, 4);
    __uint(value_size, sizeof(struct crash_frames));
    __uint(max_entries, 128);
} crash_stacks SEC(".maps");

/* Processes whose end was told: tgid and start time (before 6.16, process.bpf.c). */
FR_SHARED struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(key_size, 16);
    __uint(value_size, 1);
    __uint(max_entries, 1024);
} ended_groups SEC(".maps");

/* Known to the verifier as constants. */
FR_SHARED const volatile __u32 vital_ring_size; /* bytes, a power of two */
FR_SHARED const volatile __u32 syscall_ring_size;
FR_SHARED const volatile __u32 scope_count;                            /* 0: the whole machine */
FR_SHARED const volatile char scope_path[FR_SCOPE_MAX][FR_SCOPE_PATH]; /* from the hierarchy's root; empty: too long */
FR_SHARED const volatile __u32 scope_level[FR_SCOPE_MAX];
FR_SHARED const volatile __u32 string_limit;     /* bytes of a system call's string, at most FR_STRING_MAX */
FR_SHARED const volatile __u32 record_durations; /* 0: nothing is attached to sys_enter but what must be */
FR_SHARED const volatile __u32 page_shift;       /* of a page of this kernel: 12 for 4 KiB, 16 for 64 KiB */

FR_SHARED const volatile __u32 has_rdonly_cast; /* the kernel function of that name is there (6.2) */

#endif /* FLIGHTREC_MAPS_H */
