/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0 */
/*
 * The events: one C header read by the BPF programs (clang, target bpf), by the recorder and by every reader.
 *
 * An event is one record: `struct fr_event`, then the rest of the fixed part of its class, then any number of
 * blobs (strings, stacks). A record is a multiple of 8 bytes and never longer than FR_EVENT_MAX.
 *
 *   +----------------+---------------------------+--------+--------+
 *   | fr_event  32 B | fixed part of the class   | blob   | blob … |
 *   +----------------+---------------------------+--------+--------+
 *
 * The same bytes stand in the kernel ring and, decoded, in a `.flight` file. A file says how long the fixed part
 * of every class was when it was written (flight-format.md, "File header"), so a fixed part may only ever grow at
 * its end; a reader copies what is there and takes the rest as zero. Numbers of classes, kinds and flags are
 * never reused. Every change of this file is a line in schemas/CHANGES.md.
 *
 * Byte order is little endian (x86-64 and arm64 as Linux runs them). Times are CLOCK_BOOTTIME in nanoseconds
 * unless a name says otherwise. Sizes are bytes unless a name says pages. All process ids are those of the
 * initial pid namespace: `pid` is the process (the kernel's tgid), `tid` the thread (the kernel's pid).
 * Zero means "not known" where zero is not a value; a FR_*_KNOWN flag tells where it is.
 */
#ifndef FLIGHTREC_EVENT_H
#define FLIGHTREC_EVENT_H

#ifdef __bpf__
/* The BPF side has declared __u8 … __s64 itself (bpf/include/kernel_types.h). */
#else
#include <linux/types.h>
#endif

#define FR_SCHEMA_VERSION 1

#define FR_COMM_LEN 16
#define FR_EVENT_ALIGN 8
/* Longest record of each track: a ring page (below) holds at least one. */
#define FR_EVENT_MAX 16384
#define FR_SYSCALL_EVENT_MAX 2048

/* ---- tracks ---------------------------------------------------------------------------------------------- */

enum fr_track {
    FR_TRACK_VITAL = 0,
    FR_TRACK_SYSCALL = 1,
    FR_TRACK_COUNT = 2,
};

/* ---- classes --------------------------------------------------------------------------------------------- */

enum fr_class {
    FR_CLASS_NONE = 0,            /* filler in a ring, never in a file */
    FR_CLASS_EXEC = 1,            /* fr_exec: a successful execve */
    FR_CLASS_EXEC_FAILED = 2,     /* fr_exec_failed */
    FR_CLASS_FORK = 3,            /* fr_fork: a new process or thread */
    FR_CLASS_EXIT = 4,            /* fr_exit: a thread, the last of which ends the process */
    FR_CLASS_SIGNAL = 5,          /* fr_signal: a signal was sent */
    FR_CLASS_CRASH = 6,           /* fr_crash: a signal whose default action ends the process was delivered */
    FR_CLASS_OOM_KILL = 7,        /* fr_oom_kill */
    FR_CLASS_ALLOC_FAILURE = 8,   /* fr_alloc_failure */
    FR_CLASS_SYSCALL = 9,         /* fr_syscall: a system call that returned (track: syscalls) */
    FR_CLASS_SYSCALL_ENTER = 10,  /* fr_syscall: one that may not return: exit, execve, … (track: syscalls) */
    FR_CLASS_CGROUP = 11,         /* fr_cgroup: made, removed, renamed, or known to exist */
    FR_CLASS_RENAME = 12,         /* fr_rename: a thread changed its comm */
    FR_CLASS_CGROUP_ATTACH = 13,  /* fr_cgroup_attach: a process moved to another cgroup */
    FR_CLASS_KMSG = 14,           /* fr_kmsg: one line of the kernel log */
    FR_CLASS_SYSTEM_SAMPLE = 15,  /* fr_system_sample */
    FR_CLASS_CGROUP_SAMPLE = 16,  /* fr_cgroup_sample */
    FR_CLASS_PROCESS_SAMPLE = 17, /* fr_process_sample */
    FR_CLASS_MARKER = 18,         /* fr_marker: what the recorder itself did */
    FR_CLASS_LEDGER = 19,         /* fr_ledger */
    FR_CLASS_PROCESS = 20,        /* fr_process: a process that exists (keyframes, and the first look at /proc) */
    FR_CLASS_FD = 21,             /* fr_fd: an open file descriptor (keyframes) */
    FR_CLASS_UNFINISHED = 22,     /* fr_syscall: a system call that had not returned when the dump was made */
    FR_CLASS_MODULE = 23,         /* fr_module: a mapped file of a crashed process */
    FR_CLASS_COUNT = 32,          /* room in every table indexed by class */
};

/* ---- the head of every event ----------------------------------------------------------------------------- */

enum fr_event_flag {
    FR_EVENT_TRUNCATED = 1 << 0, /* a blob was cut; the blob's own flag says which */
    FR_EVENT_COMPAT = 1 << 1,    /* a 32-bit system call on a 64-bit kernel: numbers are of the other table */
    FR_EVENT_NO_ENTRY = 1 << 2,  /* syscall: entry was not seen; entry time and duration are unknown */
    FR_EVENT_SYNTHETIC = 1 << 3, /* made by the recorder from /proc, not by a probe */
};

struct fr_event {
    __u64 stamp;     /* in a ring: position of the record + 1, written last; 0 in files */
    __u64 time_ns;   /* when it happened; of a syscall: when it returned */
    __u32 class_seq; /* how many events of this class this CPU had placed before it, modulo 2^32; 0 in files */
    __u16 size;      /* of the whole record, a multiple of 8 */
    __u8 cls;        /* enum fr_class */
    __u8 flags;      /* enum fr_event_flag */
    __u32 tid;       /* the thread it happened in (current), 0: none or an interrupt in the idle task */
    __u32 pid;       /* its process */
};

/* ---- blobs ----------------------------------------------------------------------------------------------- */

enum fr_blob_kind {
    FR_BLOB_NONE = 0,
    FR_BLOB_ARG0 = 1, /* …ARG5 = 6: the string a syscall's argument points to, without its NUL */
    FR_BLOB_ARG5 = 6,
    FR_BLOB_FILENAME = 7,     /* exec: the name as given by the caller */
    FR_BLOB_INTERP = 8,       /* exec: the program that was loaded if it is not FILENAME (a script's interpreter) */
    FR_BLOB_ARGV = 9,         /* NUL-separated, as in /proc/PID/cmdline */
    FR_BLOB_EXE = 10,         /* path of the executable, components leaf first, each NUL-ended (see below) */
    FR_BLOB_CWD = 11,         /* path of the working directory, same form */
    FR_BLOB_CGROUP = 12,      /* path of the cgroup (version 2 hierarchy), same form */
    FR_BLOB_KSTACK = 13,      /* __u64 kernel addresses, innermost first */
    FR_BLOB_USTACK = 14,      /* struct fr_frame[], innermost first */
    FR_BLOB_TEXT = 15,        /* the text of a kmsg line, marker, cgroup path, … */
    FR_BLOB_KSTACK_TEXT = 16, /* the recorder's symbols for KSTACK: "name+0x12\n"… */
    FR_BLOB_STACK_BYTES = 17, /* user stack memory from sp upwards */
    FR_BLOB_PATH = 18,        /* an ordinary path, root first (from user space) */
    FR_BLOB_MEMORY_STAT = 19, /* oom kill: the domain's memory.stat, or /proc/meminfo when the machine ran out */
    FR_BLOB_CANDIDATES = 20,  /* oom kill: struct fr_oom_candidate[], largest first */
    FR_BLOB_SOCKADDR0 = 32,   /* …SOCKADDR0+5: the raw struct sockaddr argument n points to */
    FR_BLOB_DATA0 = 40, /* …DATA0+5: a fixed-size input structure argument n points to (timespec, pollfd, …) */
};

enum fr_blob_flag {
    FR_BLOB_CUT = 1 << 0,     /* there was more than what stands here */
    FR_BLOB_FAULT = 1 << 1,   /* the memory could not be read; len is 0 */
    FR_BLOB_DELETED = 1 << 2, /* path: the file has no name any more */
};

/* Followed by len bytes and zero padding to a multiple of 8 (head included).
 * "Components leaf first": "ls\0bin\0usr\0" is /usr/bin/ls. A path that ends with an empty component stopped
 * before the root was reached. */
struct fr_blob {
    __u16 len;
    __u8 kind;
    __u8 flags;
};

struct fr_frame { /* same layout as the kernel's struct bpf_stack_build_id */
    __s32 status; /* 0 none, 1 build id + file offset, 2 plain address */
    __u8 build_id[20];
    __u64 offset_or_ip;
};

/* ---- process lifecycle ----------------------------------------------------------------------------------- */

enum fr_exec_flag {
    FR_EXEC_SCRIPT = 1 << 0,  /* interp differs from filename */
    FR_EXEC_MEMFD = 1 << 1,   /* the executable is a memfd */
    FR_EXEC_DELETED = 1 << 2, /* the executable has no link left */
    FR_EXEC_SECURE = 1 << 3,  /* set-uid, set-gid or file capabilities took effect (AT_SECURE) */
};

struct fr_exec {
    struct fr_event event;
    __u64 start_ns;  /* of the process: with pid, its identity across pid reuse */
    __u64 cgroup_id; /* version 2 hierarchy; inode number of the directory */
    __u64 exe_inode;
    __u32 exe_dev; /* kernel dev_t: major << 20 | minor */
    __u32 flags;   /* enum fr_exec_flag */
    __u32 ppid;
    __u32 uid, gid; /* real, as the initial user namespace numbers them */
    __u32 euid, egid;
    __u32 argc;
    __u32 argv_bytes; /* length of argv before any cut */
    __u32 old_tid;    /* the thread that called execve, when not the leader */
    __u32 pidns;      /* inode number of the pid namespace */
    __u32 ns_pid;     /* pid in that namespace */
    char comm[FR_COMM_LEN];
    /* blobs: FILENAME, INTERP, ARGV, EXE, CWD, CGROUP */
};

struct fr_exec_failed {
    struct fr_event event;
    __s32 error; /* negative errno */
    __u32 ppid;
    __u32 uid, gid;
    char comm[FR_COMM_LEN];
    __u64 left_out; /* failures like it, of this process, that were not recorded since the last one that was */
    /* blobs: FILENAME, ARGV */
};

struct fr_fork {
    struct fr_event event; /* pid, tid: who called fork or clone */
    __u64 clone_flags;     /* CLONE_* of <linux/sched.h>, without the exit signal */
    __u64 start_ns;        /* of the child */
    __u64 cgroup_id;       /* of the child */
    __u32 child_tid;
    __u32 child_pid;  /* equal to pid for a thread */
    __u32 parent_pid; /* the child's parent; not pid where CLONE_PARENT was given */
    __u32 uid, gid;
    __u32 pidns;
    __u32 ns_pid;
    __u32 pad;
    char comm[FR_COMM_LEN];
};

enum fr_exit_flag {
    FR_EXIT_GROUP_DEAD = 1 << 0, /* last thread: the process is gone */
    FR_EXIT_GROUP_EXIT = 1 << 1, /* exit_group() or a fatal signal, not this thread alone */
    FR_EXIT_OOM_VICTIM = 1 << 2,
    FR_EXIT_RSS_KNOWN = 1 << 3,
};

struct fr_exit {
    struct fr_event event;
    __u64 start_ns; /* of the thread */
    __u64 cgroup_id;
    __u64 utime_ns; /* GROUP_DEAD: of the whole process; else of this thread */
    __u64 stime_ns;
    __u64 max_rss; /* peak resident set of the process */
    __u64 min_faults;
    __u64 maj_faults;
    __u64 read_chars, write_chars; /* bytes passed through read and write calls */
    __u64 read_bytes, write_bytes; /* bytes that went to storage */
    __u32 exit_code;               /* as wait(2) gives it: status << 8 | signal, bit 7 set when a core was dumped */
    __u32 flags;                   /* enum fr_exit_flag */
    __u32 ppid;
    __u32 uid;
    char comm[FR_COMM_LEN];
};

/* ---- signals --------------------------------------------------------------------------------------------- */

enum fr_signal_flag {
    FR_SIGNAL_FROM_KERNEL = 1 << 0,
    FR_SIGNAL_GROUP = 1 << 1,   /* to the process, not one thread */
    FR_SIGNAL_DEFAULT = 1 << 2, /* the target had the default action */
    FR_SIGNAL_HANDLED = 1 << 3, /* the target had a handler */
    FR_SIGNAL_IGNORED = 1 << 4,
};

struct fr_signal {
    struct fr_event event; /* pid, tid: who was running: the sender, unless FROM_KERNEL */
    __u64 address;         /* fault address, SIGSEGV SIGBUS SIGILL SIGFPE SIGTRAP only */
    __s32 signal;
    __s32 code; /* si_code */
    __u32 target_tid;
    __u32 target_pid;
    __u32 sender_uid;
    __u32 flags;  /* enum fr_signal_flag */
    __u32 result; /* 0 delivered, 1 ignored, 2 already pending, 3 overflow, 4 lost info */
    __u32 pad;
    char comm[FR_COMM_LEN];
    char target_comm[FR_COMM_LEN];
};

enum fr_crash_flag {
    FR_CRASH_CALLER_CALLED = 1 << 0, /* `caller` stands behind a call instruction */
};

struct fr_crash {
    struct fr_event event; /* the thread that dies */
    __u64 start_ns;        /* of the process */
    __u64 cgroup_id;
    __u64 address;
    __u64 ip, sp, bp;
    __s32 signal;
    __s32 code;
    __u32 dumps_core; /* 1: the signal's default action is to dump core (signal(7)) */
    __u32 ppid;
    __u32 sender_pid; /* si_pid where si_code says a process sent it */
    __u32 uid;
    char comm[FR_COMM_LEN];
    __u64 regs[16]; /* x86-64: ax bx cx dx si di bp sp r8…r15; arm64: x0…x15 */
    /* The word at sp (x86-64) or the link register (arm64): where a function returns to that has set up no frame (yet),
     * whose caller USTACK leaves out. 0: not readable. In any other function it may be anything. */
    __u64 caller;
    __u32 flags; /* enum fr_crash_flag */
    __u32 pad;
    /* blobs: USTACK, STACK_BYTES */
};

struct fr_module {
    struct fr_event event; /* the crashed process */
    __u64 start, end;      /* addresses */
    __u64 offset;          /* in the file */
    __u64 inode;
    __u32 dev;
    __u32 build_id_len;
    __u8 build_id[24];
    /* blobs: PATH */
};

/* ---- memory ---------------------------------------------------------------------------------------------- */

enum fr_oom_constraint { /* same values as the kernel's enum oom_constraint */
                         FR_OOM_NONE = 0,
                         FR_OOM_CPUSET = 1,
                         FR_OOM_MEMORY_POLICY = 2,
                         FR_OOM_MEMCG = 3,
};

enum fr_oom_flag {
    FR_OOM_CONTEXT_KNOWN = 1 << 0,    /* constraint, gfp_mask, order, total_pages, score were seen by the probe */
    FR_OOM_DOMAIN_KNOWN = 1 << 1,     /* domain_* */
    FR_OOM_GROUP = 1 << 2,            /* killed as a member of a memory.oom.group */
    FR_OOM_CONSTRAINT_KNOWN = 1 << 3, /* constraint alone, from the marks the kernel sets on a cgroup that ran out */
    FR_OOM_CANDIDATES_CUT = 1 << 4,   /* not every process could be looked at */
    FR_OOM_MARKED = 1 << 5, /* not killed: it was dying already, and only got at the memory reserves to end sooner */
};

/* A process that could have been chosen: it has memory and lies in the domain. Bytes. */
struct fr_oom_candidate {
    __u64 anon, file, shmem, swap;
    __u64 page_tables;
    __u32 pid;
    __u32 uid;
    __s32 oom_score_adj;
    __u32 pad;
    char comm[FR_COMM_LEN];
};

struct fr_oom_kill {
    struct fr_event event; /* pid, tid: the invoker, whose allocation failed */
    __u64 victim_start_ns;
    __u64 victim_cgroup_id;
    __u64 victim_anon, victim_file, victim_shmem, victim_swap; /* bytes */
    __u64 victim_page_tables;                                  /* bytes */
    __u64 victim_total_vm;                                     /* bytes */
    __u64 victim_locked;                                       /* bytes */
    __u64 domain_cgroup_id;                                    /* the memory cgroup that ran out, 0: the machine */
    __u64 domain_limit, domain_usage;                          /* bytes, of that cgroup */
    __u64 domain_failures;                                     /* its fail count */
    __u64 total_pages;                                         /* pages the domain may use (struct oom_control) */
    __s64 score;                                               /* the victim's badness, pages */
    __u32 gfp_mask;
    __s32 order;
    __u32 constraint; /* enum fr_oom_constraint */
    __u32 flags;      /* enum fr_oom_flag */
    __u32 victim_pid;
    __u32 victim_tid;
    __u32 victim_uid;
    __u32 victim_ppid;
    __s32 victim_oom_score_adj;
    __u32 pad;
    char comm[FR_COMM_LEN]; /* invoker */
    char victim_comm[FR_COMM_LEN];
    __u64 invoker_cgroup_id;
    __u64 victim_memory_cgroup_id; /* in the hierarchy of the memory controller, which may be of version 1 */
    __u64 domain_hierarchy;        /* 0: version 2; else the id of the version 1 hierarchy of domain_cgroup_id */
    __u64 memory_stat_ns;          /* when MEMORY_STAT was read; the victim may have given memory back by then */
    __u32 candidates;              /* how many there were; the largest stand in CANDIDATES */
    __u32 pad2;
    /* blobs: KSTACK, KSTACK_TEXT, CGROUP (the domain's), CANDIDATES, MEMORY_STAT, ARGV (the victim's, from the process
     * table) */
};

enum fr_alloc_kind {
    FR_ALLOC_PAGE = 1,      /* the page allocator returned nothing */
    FR_ALLOC_SYSCALL = 2,   /* a system call returned ENOMEM */
    FR_ALLOC_FORK = 3,      /* fork, vfork or clone returned EAGAIN or ENOMEM */
    FR_ALLOC_PAGE_WARN = 4, /* warn_alloc(): a failure the kernel logs */
    FR_ALLOC_VMALLOC = 5,
    FR_ALLOC_SLAB = 6,
    FR_ALLOC_CGROUP = 7, /* a memory cgroup hit a limit, whether or not somebody was killed for it; synthetic, from its
                            counters: size: how often since the sample before, limit and usage: the cgroup's, CGROUP:
                            its path, cause: MEMORY_CGROUP_MAX or _HIGH */
};

enum fr_fork_cause { /* of FR_ALLOC_FORK and FR_ALLOC_SYSCALL: the limit that refused */
                     FR_FORK_UNKNOWN = 0,
                     FR_FORK_PIDS_CGROUP = 1,
                     FR_FORK_RLIMIT_NPROC = 2,
                     FR_FORK_THREADS_MAX = 3,
                     FR_FORK_PID_MAX = 4,
                     FR_FORK_MEMORY = 5,
                     FR_FORK_PIDNS_DEAD = 6,     /* the init of the pid namespace is gone: ENOMEM */
                     FR_MEMORY_RLIMIT_AS = 7,    /* limit, usage: bytes of address space */
                     FR_MEMORY_MAP_COUNT = 8,    /* vm.max_map_count; limit, usage: mappings */
                     FR_MEMORY_RLIMIT_DATA = 9,  /* limit, usage: bytes */
                     FR_MEMORY_CGROUP_MAX = 10,  /* memory.max, or memory.limit_in_bytes */
                     FR_MEMORY_CGROUP_HIGH = 11, /* memory.high */
};

#define FR_GFP_NOWARN 0x2000u /* in gfp_mask: ___GFP_NOWARN, include/linux/gfp_types.h, the same from 5.17 to 6.18 */

struct fr_alloc_failure {
    struct fr_event event;
    __u64 cgroup_id;
    __u64 size;   /* bytes asked for, 0: not known */
    __s64 result; /* of the system call */
    __u64 limit;  /* the limit that refused, where known */
    __u64 usage;
    __u32 kind; /* enum fr_alloc_kind */
    __u32 gfp_mask;
    __s32 order;
    __s32 node;
    __u32 syscall;         /* number, FR_ALLOC_SYSCALL and FR_ALLOC_FORK */
    __u32 cause;           /* enum fr_fork_cause */
    __u64 limit_cgroup_id; /* PIDS_CGROUP: which */
    char comm[FR_COMM_LEN];
    __u64 left_out; /* failures like it, of this process, that were not recorded since the last one that was */
    /* blobs: KSTACK, KSTACK_TEXT, CGROUP (PIDS_CGROUP: the path of limit_cgroup_id, in its own hierarchy) */
};

/* ---- system calls ---------------------------------------------------------------------------------------- */

struct fr_syscall {
    struct fr_event event;
    __u64 enter_ns; /* 0 with FR_EVENT_NO_ENTRY */
    __s64 result;   /* negative errno on failure; of SYSCALL_ENTER and UNFINISHED: 0 */
    __u32 nr;       /* number in the table of the machine's architecture */
    __u32 pad;
    __u64 args[6];
    /* blobs: ARGn, SOCKADDRn, DATAn */
};

/* ---- control groups, names --------------------------------------------------------------------------------- */

enum fr_cgroup_op {
    FR_CGROUP_EXISTS = 0, /* keyframe or first look */
    FR_CGROUP_MKDIR = 1,
    FR_CGROUP_RMDIR = 2,
    FR_CGROUP_RENAME = 3,
};

struct fr_cgroup {
    struct fr_event event;
    __u64 cgroup_id;
    __u64 hierarchy; /* 0: version 2; else the id of a version 1 hierarchy */
    __u32 op;        /* enum fr_cgroup_op */
    __u32 level;
    /* blobs: TEXT, the path from the root of the hierarchy */
};

struct fr_cgroup_attach {
    struct fr_event event;
    __u64 cgroup_id; /* destination */
    __u64 hierarchy;
    __u32 target_tid, target_pid;
    __u32 whole_process;
    __u32 pad;
    /* blobs: TEXT, the destination's path */
};

struct fr_rename {
    struct fr_event event;
    __u32 target_tid, target_pid;
    char old_comm[FR_COMM_LEN];
    char new_comm[FR_COMM_LEN];
};

/* ---- state, for keyframes ----------------------------------------------------------------------------------- */

enum fr_process_flag {
    FR_PROCESS_PARENT_KNOWN = 1 << 0,
    FR_PROCESS_KERNEL_THREAD = 1 << 1,
    FR_PROCESS_EXITED = 1 << 2, /* a zombie */
    FR_PROCESS_BEFORE = 1 << 3, /* was running before the recorder started */
};

struct fr_process {
    struct fr_event event; /* time_ns: when this was known */
    __u64 start_ns;
    __u64 cgroup_id;
    __u64 exec_ns; /* last exec, 0: not seen */
    __u32 ppid;
    __u32 uid, gid;
    __u32 flags; /* enum fr_process_flag */
    __u32 threads;
    __u32 pidns, ns_pid;
    __s32 oom_score_adj;
    char comm[FR_COMM_LEN];
    /* blobs: ARGV, PATH (executable), CWD as PATH is not repeated; CGROUP where known */
};

struct fr_fd {
    struct fr_event event; /* pid: whose */
    __u32 fd;
    __u32 flags; /* O_CLOEXEC … */
    /* blobs: PATH ("/etc/passwd", "socket:[123]", "TCP 127.0.0.1:80->…", "pipe:[5]") */
};

/* ---- samples -------------------------------------------------------------------------------------------------- */

/* A value that could not be read is FR_UNKNOWN. */
#define FR_UNKNOWN (~0ULL)
/* memory_max, pids_max: no limit is set ("max"). */
#define FR_NO_LIMIT 0x7ffffffffffff000ULL

struct fr_system_sample {
    struct fr_event event;
    /* bytes, /proc/meminfo */
    __u64 mem_total, mem_free, mem_available, buffers, cached, anon, shmem, slab, slab_unreclaimable, page_tables;
    __u64 kernel_stack, mlocked, dirty, writeback, swap_total, swap_free, commit_limit, committed, mapped;
    /* /proc/pressure: total stall time in µs since boot, and avg10 in hundredths of a percent */
    __u64 psi_cpu_some_us, psi_memory_some_us, psi_memory_full_us, psi_io_some_us, psi_io_full_us;
    __u32 psi_cpu_some_avg10, psi_memory_some_avg10, psi_memory_full_avg10, psi_io_some_avg10, psi_io_full_avg10;
    __u32 load1; /* hundredths */
    __u64 processes, threads, threads_max, pid_max, running, blocked;
    __u64 files_open, files_max;
    __u64 disk_free, disk_total;                                                /* bytes, of the root file system */
    __u64 forks;                                                                /* since boot */
    __u64 pgfault, pgmajfault, oom_kills, alloc_stall, swap_in, swap_out;       /* /proc/vmstat, since boot */
    __u64 cpu_user_ms, cpu_system_ms, cpu_iowait_ms, cpu_steal_ms, cpu_idle_ms; /* /proc/stat, since boot */
    __u32 load5, load15;                                                        /* hundredths */
    __u64 inodes_free, inodes_total;                                            /* of the root file system */
    __u64 window_disk_free, window_disk_total; /* bytes, of the file system that holds the window */
};

struct fr_cgroup_sample {
    struct fr_event event;
    __u64 cgroup_id;
    __u64 hierarchy; /* 0: version 2 */
    __u64 memory_current, memory_max, memory_swap, memory_anon, memory_file, memory_slab;
    __u64 memory_failures; /* memory.events max, or memory.failcnt */
    __u64 oom_kills;
    __u64 pids_current, pids_max, pids_failures;
    __u64 memory_high, memory_high_events; /* version 2: memory.high, and how often it was exceeded */
    __u64 memory_oom_events;               /* memory.events oom: an allocation was about to fail */
    __u64 memory_group_kills;              /* memory.events oom_group_kill */
    __u64 memory_peak;                     /* memory.peak, memory.max_usage_in_bytes */
    __u64 memory_swap_max;
    /* blobs: TEXT, the path */
};

struct fr_process_sample {
    struct fr_event event; /* pid: whose */
    __u64 start_ns;
    __u64 rss, anon, file, shmem, swap, page_tables, total_vm; /* bytes */
    __s64 growth;                                              /* of rss since the sample before, bytes */
    __u64 utime_ms, stime_ms;
    __u64 min_faults, maj_faults;
    __u32 threads, fds;
    __s32 oom_score_adj;
    char state; /* R S D Z T … as in /proc/PID/stat */
    char pad[3];
    char comm[FR_COMM_LEN];
    /* blobs: TEXT, the kernel function it waits in (state D) */
};

struct fr_kmsg {
    struct fr_event event; /* time_ns: when it was printed, on the boot time axis */
    __u64 seq;
    __u32 level; /* 0 emerg … 7 debug; 0xff unknown */
    __u32 facility;
    __u64 stamp_ns; /* the line's own stamp, on the kernel's own clock (local_clock): what dmesg prints */
    /* blobs: TEXT */
};

/* ---- what the recorder did ---------------------------------------------------------------------------------- */

enum fr_marker_kind {
    FR_MARKER_START = 1,   /* recording began: value[0] pid of the recorder */
    FR_MARKER_STOP = 2,    /* recording ended in order: value[0] signal */
    FR_MARKER_TRIGGER = 3, /* an incident: value[0] enum fr_trigger, [1] pid, [2] incident number, [3] suppressed */
    FR_MARKER_GAP = 4,   /* events of a CPU were overwritten before they were read: value[0] cpu, [1] track, [2] count,
                            [3] since ns */
    FR_MARKER_CLOCK = 5, /* wall clock: value[0] realtime ns at time_ns, [1] step in ns (signed) */
    FR_MARKER_POLICY =
        6, /* the cost budget moved: value[0] old, [1] new enum fr_policy_step, [2] cost in 1/10000 of a CPU */
    FR_MARKER_DUMP = 7,         /* a dump was made: value[0] incident, [1] bytes, [2] ns it took */
    FR_MARKER_RESTART = 8,      /* the recorder took over pinned maps: value[0] ns without a reader */
    FR_MARKER_PREVIOUS_END = 9, /* how the boot or recording before ended: TEXT */
    FR_MARKER_SHUTDOWN = 10,    /* the machine is being stopped in order: TEXT */
    FR_MARKER_USER = 11,        /* a note by an operator: value[0] pid, TEXT */
    FR_MARKER_SCOPE = 12,       /* a cgroup of the scope was removed (value[0] 0) or made again (1): [1] its id, TEXT */
};

enum fr_policy_step { /* of FR_MARKER_POLICY: what is recorded of system calls */
                      FR_POLICY_ALL = 0,
                      FR_POLICY_SLOW = 1,   /* failed calls, and those that were slow or slept; no durations */
                      FR_POLICY_FAILED = 2, /* failed calls only */
                      FR_POLICY_NONE = 3,   /* nothing: the programs are detached until the next burst */
                      FR_POLICY_NO_DURATIONS = 4,
                      FR_POLICY_BURST = 5, /* as SLOW, for moments whose share keeps to the budget; NONE in between */
};

enum fr_trigger {
    FR_TRIGGER_NONE = 0,
    FR_TRIGGER_OOM_KILL = 1,
    FR_TRIGGER_CRASH = 2,
    FR_TRIGGER_COMMAND = 3,
    FR_TRIGGER_SIGNAL = 4,
    FR_TRIGGER_ALLOC_FAILURE = 5,
    FR_TRIGGER_FORK_FAILURE = 6,
    FR_TRIGGER_PREVIOUS_BOOT = 7,
    FR_TRIGGER_SHUTDOWN = 8,
    FR_TRIGGER_STALL = 9,
};

struct fr_marker {
    struct fr_event event;
    __u32 kind; /* enum fr_marker_kind */
    __u32 pad;
    __u64 value[4];
    /* blobs: TEXT */
};

/* Counts since the recording began. For every class, at the moment of the record:
 *   produced = stored + overwritten + torn + skipped + pending
 * `produced` is the kernel's own count (or, for events user space makes, the recorder's); `pending` were still in
 * the ring. What is in a file is stored less what its oldest segment says came before it (flight-format.md). */
struct fr_ledger_line {
    __u64 produced;
    __u64 stored;
    __u64 overwritten;
    __u64 torn;
    __u64 skipped;
    __u64 pending;
};

/* Up to where `stored` counts in one track: every block of earlier segments, and the first `blocks` of segment
 * `segment_sequence` (flight-format.md, "Ledger"). 0, 0: nothing was stored yet. */
struct fr_ledger_position {
    __u64 segment_sequence;
    __u64 blocks;
};

struct fr_ledger {
    struct fr_event event;
    __u64 lines; /* FR_CLASS_COUNT when written */
    struct fr_ledger_line line[FR_CLASS_COUNT];
    /* The vital track is counted to the end of the block that holds this record, its position is where that track
     * stood before. */
    struct fr_ledger_position position[FR_TRACK_COUNT];
};

/* ---- rings ---------------------------------------------------------------------------------------------------- */

/*
 * One BPF array map per track, BPF_F_MMAPABLE, one element per possible CPU:
 *
 *   +-------------------+----------------------------------------+-----------+
 *   | fr_ring_head 4 KiB | data: size bytes, a power of two       | slack     |
 *   +-------------------+----------------------------------------+-----------+
 *
 * Positions count bytes since the ring was made and never wrap (64 bits). A record at position p stands at
 * data[p & (size - 1)]. Records never cross a ring page (FR_RING_PAGE bytes of that track); what is left of a page
 * is skipped: a record of class NONE where its head fits. The slack is never read: it exists for the verifier.
 *
 * Writer, vital track (may be nested by interrupts): takes [p, p + n) by moving `reserved` on, fills the record,
 * writes stamp = p + 1 last. Writer, syscall track (never nested): fills the record, writes the stamp, then moves
 * `reserved` on. A writer of the syscall track is therefore at most two ring pages ahead of `reserved`.
 * Reader: reads `reserved`, copies what lies below it, reads `reserved` again: what lies below
 * reserved + ahead - size (ahead: 0 on the vital track, two pages on the syscall track) may have been overwritten
 * while it was copied and is given up. A record without its stamp is not finished yet.
 */
#define FR_RING_PAGE_VITAL 32768u
#define FR_RING_PAGE_SYSCALL 32768u
#define FR_RING_HEAD_SIZE 4096u

struct fr_ring_head {
    __u64 reserved;                /* position of the next record */
    __u64 busy;                    /* writer's recursion guard, syscall track */
    __u64 placed[FR_CLASS_COUNT];  /* events of each class that took a place in the ring; class_seq counts these */
    __u64 skipped[FR_CLASS_COUNT]; /* not recorded by policy or by a filter of the class */
    __u64 failed[FR_CLASS_COUNT];  /* found no place (nested too deep); the ledger counts them as torn */
    /* produced = placed + skipped + failed */
    __u64 timed;    /* syscall track: one record in 256 is timed, from its clock reading to its end */
    __u64 timed_ns; /* their sum, a clock reading each included */
    __u64 clock_ns; /* of as many clock readings */
};

#ifdef __cplusplus
#define FR_ASSERT_SIZE(type, n) static_assert(sizeof(type) == (n) && (n) % 8 == 0, #type)
#else
#define FR_ASSERT_SIZE(type, n) _Static_assert(sizeof(type) == (n) && (n) % 8 == 0, #type)
#endif

FR_ASSERT_SIZE(struct fr_event, 32);
FR_ASSERT_SIZE(struct fr_frame, 32);
FR_ASSERT_SIZE(struct fr_exec, 120);
FR_ASSERT_SIZE(struct fr_exec_failed, 72);
FR_ASSERT_SIZE(struct fr_fork, 104);
FR_ASSERT_SIZE(struct fr_exit, 152);
FR_ASSERT_SIZE(struct fr_signal, 104);
FR_ASSERT_SIZE(struct fr_crash, 264);
FR_ASSERT_SIZE(struct fr_module, 96);
FR_ASSERT_SIZE(struct fr_oom_kill, 264);
FR_ASSERT_SIZE(struct fr_oom_candidate, 72);
FR_ASSERT_SIZE(struct fr_alloc_failure, 128);
FR_ASSERT_SIZE(struct fr_syscall, 104);
FR_ASSERT_SIZE(struct fr_cgroup, 56);
FR_ASSERT_SIZE(struct fr_cgroup_attach, 64);
FR_ASSERT_SIZE(struct fr_rename, 72);
FR_ASSERT_SIZE(struct fr_process, 104);
FR_ASSERT_SIZE(struct fr_fd, 40);
FR_ASSERT_SIZE(struct fr_system_sample, 464);
FR_ASSERT_SIZE(struct fr_cgroup_sample, 184);
FR_ASSERT_SIZE(struct fr_process_sample, 168);
FR_ASSERT_SIZE(struct fr_kmsg, 56);
FR_ASSERT_SIZE(struct fr_marker, 72);
FR_ASSERT_SIZE(struct fr_ledger, 40 + 48 * FR_CLASS_COUNT + 16 * FR_TRACK_COUNT);

#endif /* FLIGHTREC_EVENT_H */
