/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Adding blobs to a record that is being put together in a scratch slot. */
#ifndef FLIGHTREC_BLOB_H
#define FLIGHTREC_BLOB_H

#include "kernel_differences.h"
#include "maps.h"

/* A record under construction. `used` is always a multiple of 8 and below FR_EVENT_MAX. */
struct draft {
    void* base;
    u32 used;
    u8 flags; /* for the event's head */
};

#define DRAFT_LIMIT (FR_EVENT_MAX - 8)

/* Tells the verifier what `used` may be: scratch slots have 4 KiB of slack behind FR_EVENT_MAX. */
static __always_inline u32 bounded(u32 used) { return used & (FR_EVENT_MAX - 1) & ~7u; }

static __always_inline void blob_close(struct draft* d, u8 kind, u32 length, u8 blob_flags) {
    u32 at = bounded(d->used);
    struct fr_blob* head = d->base + at;
    head->len = (u16)length;
    head->kind = kind;
    head->flags = blob_flags;
    if (blob_flags & FR_BLOB_CUT) d->flags |= FR_EVENT_TRUNCATED;
    d->used = at + ((sizeof(*head) + length + 7) & ~7u);
}

/* Zeroes the padding behind `length` bytes of the blob that will stand at d->used. */
static __always_inline void blob_pad(struct draft* d, u32 length) {
    u32 end = (bounded(d->used) + sizeof(struct fr_blob) + length) & (2 * FR_EVENT_MAX - 1);
    if (end <= FR_SCRATCH_SIZE - 8) *(u64*)(d->base + end) = 0;
}

enum blob_source { FROM_USER, FROM_KERNEL };

/* A NUL-terminated string of at most `limit` bytes (a constant below 4096). */
static __always_inline void blob_string(struct draft* d, u8 kind, const void* address, u32 limit,
                                        enum blob_source source) {
    u32 at = bounded(d->used);
    if (at + sizeof(struct fr_blob) + limit + 16 > DRAFT_LIMIT) return;
    void* to = d->base + at + sizeof(struct fr_blob);
    long n = source == FROM_USER ? read_user_string(to, limit + 1, address)
                                 : bpf_probe_read_kernel_str(to, limit + 1, address);
    if (n <= 0) {
        blob_close(d, kind, 0, FR_BLOB_FAULT);
        return;
    }
    u32 length = ((u32)n - 1) & 4095;
    blob_pad(d, length);
    blob_close(d, kind, length, length >= limit ? FR_BLOB_CUT : 0);
}

/* `length` bytes of memory, at most `limit` (a constant power of two, at most 8192). */
static __always_inline void blob_bytes(struct draft* d, u8 kind, const void* address, u64 length, u32 limit,
                                       enum blob_source source) {
    u32 at = bounded(d->used);
    u8 flags = 0;
    if (length >= limit) {
        flags = length > limit ? FR_BLOB_CUT : 0;
        length = limit;
    }
    if (at + sizeof(struct fr_blob) + length + 16 > DRAFT_LIMIT) return;
    void* to = d->base + at + sizeof(struct fr_blob);
    u32 n = (u32)length & (2 * limit - 1);
    if (n > limit) n = limit;
    long error = source == FROM_USER ? bpf_probe_read_user(to, n, address) : bpf_probe_read_kernel(to, n, address);
    if (error) {
        blob_close(d, kind, 0, FR_BLOB_FAULT);
        return;
    }
    blob_pad(d, n);
    blob_close(d, kind, n, flags);
}

/* The strings of an argv, one a step of bpf_loop(). */
struct argv_walk {
    void* base;     /* of the record */
    u64 array;      /* address of the next pointer */
    u32 begin, end; /* offsets in the record */
    u32 complete;   /* the array's end was reached */
    u32 cut;        /* a string did not fit */
};

/* Adds the next string to a record of less than `record_size` bytes (a power of two); of all strings there are at most
 * `most` bytes, of each `string_max`, with its NUL. 1: that was all. */
static __always_inline long argv_next(struct argv_walk* w, u32 record_size, u32 most, u32 string_max) {
    u64 string = 0;
    if (bpf_probe_read_user(&string, sizeof(string), (void*)w->array)) return 1;
    if (!string) {
        w->complete = 1;
        return 1;
    }
    w->array += sizeof(string);
    u32 at = w->end & (record_size - 1);
    if (at - w->begin > most - string_max) return 1;
    long n = read_user_string(w->base + at, string_max, (void*)string);
    if (n <= 0) return 1;
    if (n == string_max) w->cut = 1;
    w->end = at + (u32)n;
    return 0;
}

#endif /* FLIGHTREC_BLOB_H */
