// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Control groups as they come, go and change name, and processes that move between them. */
#include "blob.h"
#include "filter.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline bool cgroup_wanted(u8 cls, struct cgroup* cgroup) {
    struct fr_control* c = control_now();
    if (!c || (c->classes_off & (1ull << cls))) return false;
    if (scope_count == 0) return true;
    /* A scope names cgroups of the version 2 hierarchy only; hierarchy id 0 is that one. */
    return BPF_CORE_READ(cgroup, root, hierarchy_id) == 0 && cgroup_in_scope(c, cgroup);
}

/* bpf_strncmp() (5.17) wants a constant address in read-only memory. */
#define SCOPE_RENEW(i) \
    if (i < scope_count && !bpf_strncmp(name, FR_SCOPE_PATH, (const char*)scope_path[i])) c->scope_cgroup[i] = id;

static __always_inline int record_cgroup(u32 op, struct cgroup* cgroup, const char* path) {
    if (!cgroup_wanted(FR_CLASS_CGROUP, cgroup)) return 0;
    struct fr_cgroup* e = scratch_slot(FR_SCRATCH_CGROUP);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->cgroup_id = BPF_CORE_READ(cgroup, kn, id);
    e->hierarchy = (u64)BPF_CORE_READ(cgroup, root, hierarchy_id);
    e->op = op;
    e->level = (u32)BPF_CORE_READ(cgroup, level);
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_string(&d, FR_BLOB_TEXT, path, 2047, FROM_KERNEL);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_CGROUP);
    return 0;
}

/* A cgroup of the scope that was removed and is made again has another id, and stays in the scope: from its first
 * process on, which a look from user space would come too late for. */
static __always_inline void renew_scope(struct cgroup* cgroup, const char* path) {
    struct fr_control* c = control_now();
    char* name = scratch_slot(FR_SCRATCH_CGROUP);
    if (scope_count == 0 || !c || !name || BPF_CORE_READ(cgroup, root, hierarchy_id) != 0) return;
    if (bpf_probe_read_kernel_str(name, FR_SCOPE_PATH, path) <= 1) return;
    u64 id = BPF_CORE_READ(cgroup, kn, id);
    SCOPE_RENEW(0)
    SCOPE_RENEW(1) SCOPE_RENEW(2) SCOPE_RENEW(3) SCOPE_RENEW(4) SCOPE_RENEW(5) SCOPE_RENEW(6) SCOPE_RENEW(7)
}

/* include/trace/events/cgroup.h: TP_PROTO(struct cgroup *cgrp, const char *path) */
SEC("tp_btf/cgroup_mkdir")
int cgroup_mkdir_tp(u64* ctx) {
    renew_scope((void*)ctx[0], (void*)ctx[1]);
    return record_cgroup(FR_CGROUP_MKDIR, (void*)ctx[0], (void*)ctx[1]);
}

SEC("tp_btf/cgroup_rmdir")
int cgroup_rmdir_tp(u64* ctx) { return record_cgroup(FR_CGROUP_RMDIR, (void*)ctx[0], (void*)ctx[1]); }

SEC("tp_btf/cgroup_rename")
int cgroup_rename_tp(u64* ctx) { return record_cgroup(FR_CGROUP_RENAME, (void*)ctx[0], (void*)ctx[1]); }

/* TP_PROTO(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup) */
SEC("tp_btf/cgroup_attach_task")
int cgroup_attach_tp(u64* ctx) {
    struct cgroup* cgroup = (void*)ctx[0];
    struct task_struct* task = (void*)ctx[2];
    if (!cgroup_wanted(FR_CLASS_CGROUP_ATTACH, cgroup)) return 0;
    struct fr_cgroup_attach* e = scratch_slot(FR_SCRATCH_CGROUP);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->cgroup_id = BPF_CORE_READ(cgroup, kn, id);
    e->hierarchy = (u64)BPF_CORE_READ(cgroup, root, hierarchy_id);
    e->target_tid = (u32)BPF_CORE_READ(task, pid);
    e->target_pid = (u32)BPF_CORE_READ(task, tgid);
    e->whole_process = ctx[3] != 0;
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_string(&d, FR_BLOB_TEXT, (void*)ctx[1], 2047, FROM_KERNEL);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_CGROUP_ATTACH);
    return 0;
}
