// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Kernel log lines printed by tasks in scope. With a scope the recorder lets only these pass from /dev/kmsg. */
#include "blob.h"
#include "filter.h"
#include "ring.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* include/trace/events/printk.h: TP_PROTO(const char *text, size_t len), called in kernel/printk/printk.c when a line
 * is stored, in the context that printed it. */
SEC("tp_btf/console")
int kmsg_tp(u64* ctx) {
    struct fr_control* c = control_now();
    if (!c || (c->classes_off & (1ull << FR_CLASS_KMSG))) return 0;
    if (!task_in_scope(c, current_task())) return 0;
    struct fr_kmsg* e = scratch_slot(FR_SCRATCH_KMSG);
    if (!e) return 0;
    __builtin_memset(e, 0, sizeof(*e));
    e->level = 0xff;
    struct draft d = {.base = e, .used = sizeof(*e)};
    blob_bytes(&d, FR_BLOB_TEXT, (void*)ctx[0], ctx[1], 1024, FROM_KERNEL);
    e->event.flags = d.flags;
    vital_copy(&e->event, d.used, FR_CLASS_KMSG);
    return 0;
}
