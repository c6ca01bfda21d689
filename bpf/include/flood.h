/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Failures that come in floods: some of each process and kind are recorded, the others counted. */
#ifndef FLIGHTREC_FLOOD_H
#define FLIGHTREC_FLOOD_H

#include "filter.h"
#include "maps.h"
#include "ring.h"

/* Kinds: a system call's number, or one of these with what follows it. */
#define FLOOD_EXEC 0x10000            /* | errno */
#define FLOOD_KERNEL 0x20000          /* | enum fr_alloc_kind, | FLOOD_SILENT */
#define FLOOD_SILENT 0x100            /* __GFP_NOWARN */
#define FLOOD_TOLD 100                /* failures of one kind and process that are recorded … */
#define FLOOD_PERIOD_NS 1000000000ull /* … in this time; the others are counted, as skipped in the ledger too */

/* Whether one more of a kind is admitted, of which there may be `most` in `period_ns`; `left_out`: how many were not
 * since the last one that was. Several at once may count past each other: a few more are admitted then. */
static __always_inline bool admitted(struct flood_key* key, u64 most, u64 period_ns, u64* left_out) {
    u64 now = bpf_ktime_get_boot_ns();
    struct flood* f = bpf_map_lookup_elem(&floods, key);
    if (!f) {
        struct flood first = {.since_ns = now, .told = 1};
        bpf_map_update_elem(&floods, key, &first, BPF_ANY);
        return true;
    }
    if (now - f->since_ns > period_ns) {
        f->since_ns = now;
        f->told = 0;
    }
    if (f->told < most) {
        f->told++;
        *left_out = f->left_out;
        f->left_out = 0;
        return true;
    }
    __sync_fetch_and_add(&f->left_out, 1);
    return false;
}

/* Whether one more failure of this kind of the current process is to be recorded; none is lost from the ledger. */
static __always_inline bool flood_admits(u8 cls, u32 what, u64* left_out) {
    struct task_struct* task = current_task();
    struct flood_key key = {.start_ns = task->group_leader->start_boottime, .tgid = (u32)task->tgid, .what = what};
    if (admitted(&key, FLOOD_TOLD, FLOOD_PERIOD_NS, left_out)) return true;
    struct fr_ring_head* head = ring_of_this_cpu(&vital_ring);
    if (head) __sync_fetch_and_add(&head->skipped[cls], 1);
    return false;
}

#endif /* FLIGHTREC_FLOOD_H */
