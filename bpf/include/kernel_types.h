/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The few kernel types the programs look into, declared by hand and relocated at load time (CO-RE), so that building
 * needs no BTF of any kernel. Only fields that are used are listed; order and padding mean nothing here.
 * What differs between kernel versions stands in kernel_differences.h.
 */
#ifndef FLIGHTREC_KERNEL_TYPES_H
#define FLIGHTREC_KERNEL_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
#ifndef __cplusplus
typedef _Bool bool;
#define true 1
#define false 0
#endif
#ifndef NULL
#define NULL ((void*)0)
#endif

#define FR_CORE __attribute__((preserve_access_index))

typedef struct {
    int counter;
} atomic_t;
typedef struct {
    s64 counter;
} atomic64_t;
typedef struct {
    long counter;
} atomic_long_t;

typedef struct {
    u32 val;
} FR_CORE kuid_t;
typedef struct {
    u32 val;
} FR_CORE kgid_t;

struct user_struct {
    kuid_t uid;
} FR_CORE;

struct user_namespace {
    int level;
} FR_CORE;

typedef struct { /* two __u32 until 6.2, one __u64 since: the same bytes */
    u64 val;
} kernel_cap_t;

struct ucounts;

struct cred {
    kuid_t uid;
    kgid_t gid;
    kuid_t euid;
    kgid_t egid;
    struct user_struct* user;
    struct user_namespace* user_ns;
    struct ucounts* ucounts;
} FR_CORE;

struct list_head {
    struct list_head *next, *prev;
} FR_CORE;

struct qstr {
    u32 len;
    const unsigned char* name;
} FR_CORE;

struct super_block {
    u32 s_dev;
    unsigned long s_magic;
} FR_CORE;

struct inode {
    unsigned long i_ino;
    unsigned int i_nlink;
    struct super_block* i_sb;
} FR_CORE;

struct dentry {
    struct dentry* d_parent;
    struct qstr d_name;
    struct inode* d_inode;
} FR_CORE;

struct vfsmount {
    struct dentry* mnt_root;
} FR_CORE;

struct mount {
    struct mount* mnt_parent;
    struct dentry* mnt_mountpoint;
    struct vfsmount mnt;
} FR_CORE;

struct path {
    struct vfsmount* mnt;
    struct dentry* dentry;
} FR_CORE;

struct file {
    struct path f_path;
    struct inode* f_inode;
} FR_CORE;

struct vm_area_struct {
    unsigned long vm_start;
    unsigned long vm_end;
    unsigned long vm_pgoff;
    unsigned long vm_flags;
    struct file* vm_file;
} FR_CORE;

struct fs_struct {
    struct path root;
    struct path pwd;
} FR_CORE;

struct kernfs_node {
    u64 id;
    const char* name;
} FR_CORE;

struct cgroup;

struct cgroup_subsys_state {
    struct cgroup* cgroup;
    struct cgroup_subsys_state* parent;
} FR_CORE;

struct cgroup_root {
    int hierarchy_id;
} FR_CORE;

struct cgroup {
    int level;
    struct kernfs_node* kn;
    struct cgroup_root* root;
} FR_CORE;

struct css_set {
    struct cgroup_subsys_state* subsys[16];
    struct cgroup* dfl_cgrp;
} FR_CORE;

enum cgroup_subsys_id {
    memory_cgrp_id = 4,
    pids_cgrp_id = 11,
};

struct page_counter {
    atomic_long_t usage;
    unsigned long max;
    unsigned long failcnt;
    struct page_counter* parent;
} FR_CORE;

struct mem_cgroup {
    struct cgroup_subsys_state css;
    struct page_counter memory;
    bool oom_group;
    bool oom_lock;
} FR_CORE;

struct pids_cgroup {
    struct cgroup_subsys_state css;
    atomic64_t counter;
    atomic64_t limit;
} FR_CORE;

struct kmem_cache {
    unsigned int object_size;
} FR_CORE;

enum oom_constraint {
    CONSTRAINT_NONE = 0,
};

struct oom_control {
    struct mem_cgroup* memcg;
    u32 gfp_mask;
    int order;
    unsigned long totalpages;
    struct task_struct* chosen;
    long chosen_points;
    enum oom_constraint constraint;
} FR_CORE;

struct task_io_accounting {
    u64 rchar;
    u64 wchar;
    u64 read_bytes;
    u64 write_bytes;
} FR_CORE;

struct rlimit {
    unsigned long rlim_cur;
    unsigned long rlim_max;
} FR_CORE;

struct signal_struct {
    atomic_t live;
    int group_exit_code;
    unsigned int flags;
    u64 utime;
    u64 stime;
    unsigned long long sum_sched_runtime;
    unsigned long min_flt;
    unsigned long maj_flt;
    unsigned long maxrss;
    struct task_io_accounting ioac;
    struct rlimit rlim[16];
    short oom_score_adj;
    struct mm_struct* oom_mm;
} FR_CORE;

struct sigaction {
    void* sa_handler;
} FR_CORE;

struct k_sigaction {
    struct sigaction sa;
} FR_CORE;

struct sighand_struct {
    struct k_sigaction action[64];
} FR_CORE;

struct kernel_siginfo {
    int si_signo;
    int si_errno;
    int si_code;
} FR_CORE;

struct mm_struct {
    atomic_long_t pgtables_bytes;
    unsigned long total_vm;
    unsigned long data_vm;
    unsigned long locked_vm;
    int map_count;
    unsigned long arg_start;
    unsigned long arg_end;
    struct file* exe_file;
} FR_CORE;

struct ns_common {
    unsigned int inum;
} FR_CORE;

struct pid_namespace {
    struct ns_common ns;
    unsigned int pid_allocated;
} FR_CORE;

struct nsproxy {
    struct pid_namespace* pid_ns_for_children;
} FR_CORE;

struct upid {
    int nr;
    struct pid_namespace* ns;
} FR_CORE;

struct pid {
    unsigned int level;
    struct upid numbers[];
} FR_CORE;

struct sched_entity {
    u64 sum_exec_runtime;
} FR_CORE;

struct thread_info {
    u32 status;
    unsigned long flags;
} FR_CORE;

struct task_struct {
    void* stack;
    struct thread_info thread_info;
    unsigned int __state;
    unsigned int flags;
    struct sched_entity se;
    struct mm_struct* mm;
    int exit_code;
    int pid;
    int tgid;
    struct task_struct* real_parent;
    struct task_struct* group_leader;
    struct pid* thread_pid;
    u64 utime;
    u64 stime;
    u64 start_boottime;
    unsigned long nvcsw;
    unsigned long min_flt;
    unsigned long maj_flt;
    const struct cred* real_cred;
    const struct cred* cred;
    char comm[16];
    struct fs_struct* fs;
    struct signal_struct* signal;
    struct sighand_struct* sighand;
    struct task_io_accounting ioac;
    struct css_set* cgroups;
    struct list_head tasks;
    struct nsproxy* nsproxy;
} FR_CORE;

struct seq_file;

struct bpf_iter_meta {
    struct seq_file* seq;
} FR_CORE;

struct bpf_iter__task {
    struct bpf_iter_meta* meta;
    struct task_struct* task;
} FR_CORE;

struct linux_binprm {
    struct file* file;
    const char* filename;
    const char* interp;
    int argc;
} FR_CORE;

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
} FR_CORE;
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
    u64 regs[31];
    u64 sp;
    u64 pc;
    u64 pstate;
    u64 orig_x0;
    s32 syscallno;
} FR_CORE;
#else
#error "flightrec knows x86-64 and arm64"
#endif

#endif /* FLIGHTREC_KERNEL_TYPES_H */
