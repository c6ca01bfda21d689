/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What is recorded at all: the scope (cgroups, version 2 hierarchy), the recorder itself, classes switched off. */
#ifndef FLIGHTREC_FILTER_H
#define FLIGHTREC_FILTER_H

#include "kernel_differences.h"
#include "maps.h"

static __always_inline u64 bytes_of_pages(u64 pages) { return pages << (page_shift & 63); }

/* Tasks that are arguments of BTF tracepoints, and the current one, are of a type the kernel knows: what hangs on them
 * is read by plain loads, which it catches when they fault (PROBE_MEM, kernel/bpf/verifier.c). BPF_CORE_READ() calls a
 * helper for every arrow, some 25 ns each. */

/* The same task, of which the verifier does not ask what of the things that hang on it may be trusted: it searches all
 * of the kernel's types by name, up to five times, for each pointer loaded from a task that is (6.18:
 * btf_nested_type_is_trusted()), a third of a millisecond each. bpf_rdonly_cast(): 6.2; before that nothing is
 * searched. */
extern void* bpf_rdonly_cast(const void* obj, u32 btf_id) __ksym __weak;
static __always_inline struct task_struct* untrusted(struct task_struct* task) {
    return has_rdonly_cast ? bpf_rdonly_cast(task, bpf_core_type_id_kernel(struct task_struct)) : task;
}

static __always_inline struct task_struct* current_task(void) { return (void*)bpf_get_current_task_btf(); }

static __always_inline void read_comm(char comm[FR_COMM_LEN], struct task_struct* task) {
    ((u64*)comm)[0] = *(u64*)&task->comm[0];
    ((u64*)comm)[1] = *(u64*)&task->comm[8];
}

static __always_inline struct fr_control* control_now(void) {
    u32 zero = 0;
    return bpf_map_lookup_elem(&control, &zero);
}

static __always_inline bool cgroup_in_scope(struct fr_control* c, struct cgroup* cgroup) {
    if (scope_count == 0) return true;
    if (!cgroup) return false;
    int level = BPF_CORE_READ(cgroup, level);
    for (u32 i = 0; i < FR_SCOPE_MAX; i++) {
        if (i >= scope_count) break;
        int wanted = (int)scope_level[i];
        if (wanted > level) continue;
        if (cgroup_ancestor_id(cgroup, wanted) == c->scope_cgroup[i]) return true;
    }
    return false;
}

static __always_inline u64 task_cgroup_id(struct task_struct* task) { return task->cgroups->dfl_cgrp->kn->id; }

static __always_inline bool task_in_scope(struct fr_control* c, struct task_struct* task) {
    if (scope_count == 0) return true;
    struct cgroup* cgroup = task->cgroups->dfl_cgrp;
    u64 id = cgroup->kn->id;
    for (u32 i = 0; i < FR_SCOPE_MAX; i++) {
        if (i >= scope_count) break;
        if (id == c->scope_cgroup[i]) return true;
    }
    return cgroup_in_scope(c, cgroup);
}

/* The same of the current task, cheaper: most tasks are in a scope's group itself, which a few loads tell; else the
 * helper looks the ancestor up. Where the hierarchy has fewer levels than asked for it returns 0, no cgroup's id. */
static __always_inline bool current_in_scope(struct fr_control* c, struct task_struct* task) {
    if (scope_count == 0) return true;
    u64 id = task->cgroups->dfl_cgrp->kn->id;
    for (u32 i = 0; i < FR_SCOPE_MAX; i++) {
        if (i >= scope_count) break;
        u64 scope = c->scope_cgroup[i];
        if (!scope) continue; /* removed: the helper's 0 must not be taken for it */
        if (id == scope) return true;
        if (bpf_get_current_ancestor_cgroup_id((int)scope_level[i]) == scope) return true;
    }
    return false;
}

/* True when events of this class about this task are to be recorded. */
static __always_inline bool wanted(u8 cls, struct task_struct* task) {
    struct fr_control* c = control_now();
    if (!c || (c->classes_off & (1ull << cls))) return false;
    if (task->tgid == (int)c->recorder_pid) return false;
    return task_in_scope(c, task);
}

#endif /* FLIGHTREC_FILTER_H */
