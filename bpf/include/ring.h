/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Taking a place in a ring and committing the record; the protocol is described in event.h, "rings". */
#ifndef FLIGHTREC_RING_H
#define FLIGHTREC_RING_H

#include "maps.h"

#define barrier() asm volatile("" ::: "memory")

/* Orders the stores before against the stores after it. x86 keeps stores in order (Intel SDM 3A, 8.2.2); the BPF
 * compiler must not move them. arm64 needs a barrier: an atomic that returns a value is a full one there. */
static __always_inline void store_barrier(struct fr_ring_head* head) {
#if defined(__TARGET_ARCH_x86)
    (void)head;
    barrier();
#else
    /* Without a use of the result clang emits the form that returns none, which orders nothing. */
    u64 before = __sync_fetch_and_add(&head->busy, 0);
    asm volatile("" ::"r"(before) : "memory");
#endif
}

static __always_inline struct fr_ring_head* ring_of_this_cpu(void* ring) {
    u32 cpu = bpf_get_smp_processor_id();
    return bpf_map_lookup_elem(ring, &cpu);
}

/* The record at `position`; the map's slack makes every constant offset below FR_EVENT_MAX valid. */
static __always_inline void* ring_record(struct fr_ring_head* head, u64 position, u32 ring_size) {
    return (void*)head + FR_RING_HEAD_SIZE + (position & (ring_size - 1));
}

static __always_inline void ring_doorbell(u32 cls, u32 pid) {
    struct fr_doorbell* bell = bpf_ringbuf_reserve(&doorbell, sizeof(*bell), 0);
    if (!bell) return;
    bell->cls = cls;
    bell->pid = pid;
    bpf_ringbuf_submit(bell, BPF_RB_FORCE_WAKEUP);
}

/* A writer has come to another quarter of its ring: what comes after a quiet time fills a ring sooner than the recorder
 * looks at it by itself. One bell that was not heard yet is enough. */
static __noinline int wake_recorder(void) {
    if (bpf_ringbuf_query(&doorbell, BPF_RB_AVAIL_DATA) == 0) ring_doorbell(FR_CLASS_NONE, 0);
    return 0;
}

struct vital_place {
    struct fr_ring_head* head;
    struct fr_event* record; /* NULL: no place */
    u64 position;
};

static __always_inline void write_filler(struct fr_ring_head* head, u64 position, u32 room, u32 ring_size) {
    struct fr_event* filler = ring_record(head, position, ring_size);
    if (room < sizeof(*filler)) return; /* the reader skips such a rest by itself */
    filler->size = (u16)room;
    filler->cls = FR_CLASS_NONE;
    store_barrier(head);
    filler->stamp = position + 1;
}

/* Takes `size` bytes (a multiple of 8, at most FR_EVENT_MAX) on this CPU's vital ring. Interrupts may nest, so the
 * place is taken with a compare-and-swap; it can only fail when something nests in between, each time. */
static __always_inline struct vital_place vital_take(u8 cls, u32 size) {
    struct vital_place place = {};
    struct fr_ring_head* head = ring_of_this_cpu(&vital_ring);
    if (!head) return place;
    place.head = head;
    for (int i = 0; i < 8; i++) {
        u64 old = *(volatile u64*)&head->reserved;
        u32 room = FR_RING_PAGE_VITAL - (u32)(old & (FR_RING_PAGE_VITAL - 1));
        u64 position = size > room ? old + room : old;
        if (__sync_val_compare_and_swap(&head->reserved, old, position + size) != old) continue;
        if (position != old) write_filler(head, old, room, vital_ring_size);
        if ((old ^ (position + size)) & (vital_ring_size / 4)) wake_recorder();
        place.record = ring_record(head, position, vital_ring_size);
        place.position = position;
        return place;
    }
    __sync_fetch_and_add(&head->failed[cls], 1);
    return place;
}

/* Fills the head of a record of this CPU. */
static __always_inline void fill_head(struct fr_event* event, struct fr_ring_head* head, u8 cls, u32 size, u8 flags) {
    event->time_ns = bpf_ktime_get_boot_ns();
    event->class_seq = (u32)__sync_fetch_and_add(&head->placed[cls], 1);
    event->size = (u16)size;
    event->cls = cls;
    event->flags = flags;
    *(u64*)&event->tid = bpf_get_current_pid_tgid(); /* low half tid, high half pid: as struct fr_event has them */
}

static __always_inline void vital_commit(struct vital_place* place) {
    store_barrier(place->head);
    *(volatile u64*)&place->record->stamp = place->position + 1;
}

/* Records a fixed-size event: declares `name`, a pointer to its zeroed place, or returns 0 from the program. */
#define VITAL_BEGIN(type, name, class_number)                                                           \
    struct vital_place name##_place = vital_take(class_number, sizeof(type));                           \
    type* name = (type*)name##_place.record;                                                            \
    if (!name) return 0;                                                                                \
    __builtin_memset((void*)name + sizeof(struct fr_event), 0, sizeof(type) - sizeof(struct fr_event)); \
    fill_head(&name->event, name##_place.head, class_number, sizeof(type), 0)
#define VITAL_COMMIT(name) vital_commit(&name##_place)

/* Copies a record that was put together in scratch; its head's cls and flags are set, the rest is filled here.
 * `size` must already be a multiple of 8; the mask is for the verifier. */
static __always_inline int vital_copy(struct fr_event* scratch_record, u32 size, u8 cls) {
    size &= 0x3ff8;
    struct vital_place place = vital_take(cls, size);
    if (!place.record) return 0;
    fill_head(scratch_record, place.head, cls, size, scratch_record->flags);
    scratch_record->stamp = 0;
    bpf_probe_read_kernel(place.record, size, scratch_record);
    vital_commit(&place);
    return 1;
}

static __always_inline void* scratch_slot(u32 slot) { return bpf_map_lookup_elem(&scratch, &slot); }

#endif /* FLIGHTREC_RING_H */
