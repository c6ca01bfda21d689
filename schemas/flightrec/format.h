/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0 */
/* Constants and structures of the `.flight` format; flight-format.md is the specification, this its numbers. */
#ifndef FLIGHTREC_FORMAT_H
#define FLIGHTREC_FORMAT_H

#include "event.h"

#define FR_FILE_MAGIC "FLIGHTR\x1a"
#define FR_FORMAT_VERSION 1u
#define FR_INFO_MAGIC 0x4f464e4954484c46ull    /* "FLHTINFO" */
#define FR_SEGMENT_MAGIC 0x544d474553544c46ull /* "FLTSEGMT" */
#define FR_BLOCK_MAGIC 0x4b4c4246u             /* "FBLK" */

#define FR_PAGE 4096u
#define FR_FILE_HEADER_SIZE 4096u
#define FR_INFO_SLOT_SIZE 65536u
#define FR_SEGMENT_HEADER_SIZE 512u
#define FR_BLOCK_HEADER_SIZE 80u
#define FR_BLOCK_ALIGN 8u

/* Limits a reader enforces before it allocates. */
#define FR_BLOCK_RAW_MAX (16u << 20)     /* of a payload after decompression */
#define FR_BLOCK_DECODED_MAX (64u << 20) /* of the records of one block, as event.h lays them out */
#define FR_SEGMENT_SIZE_MIN (64u << 10)
#define FR_SEGMENT_SIZE_MAX (64u << 20)
#define FR_WINDOW_SIZE_MIN (4u << 20)
#define FR_SUMMARY_MAX 8192u /* of the content of a summary's frame */

#define FR_SUMMARY_MAGIC 0x184d2a5bu /* of the skippable zstd frame that a summary stands in (RFC 8878, 3.1.2) */
#define FR_SUMMARY_VERSION 1u

enum fr_file_kind {
    FR_FILE_WINDOW = 1,
    FR_FILE_DUMP = 2,
};

enum fr_block_kind {
    FR_BLOCK_EVENTS = 1,   /* records as event.h lays them out, by CPU runs */
    FR_BLOCK_SYSCALLS = 2, /* SYSCALL records in columns */
    FR_BLOCK_KEYFRAME = 3, /* records: CGROUP EXISTS, PROCESS, FD: the state at the start of the segment */
};

enum fr_codec {
    FR_CODEC_NONE = 0,
    FR_CODEC_ZSTD = 1,
};

/* Flags of a summary: what its lists do not tell. */
#define FR_SUMMARY_ENTRIES (1u << 0)          /* some record is SYSCALL_ENTER */
#define FR_SUMMARY_DURATION_UNKNOWN (1u << 1) /* some other record has no entry time */

struct fr_file_header {
    char magic[8];
    __u32 version;
    __u32 header_size;
    __u8 recording_id[16]; /* of the window; a dump carries its window's */
    __u8 file_id[16];      /* of this file */
    __u32 kind;            /* enum fr_file_kind */
    __u32 segment_count;   /* dump: how many segments follow, window: slots */
    __u64 file_size;       /* dump: exact */
    __u64 data_offset;     /* of the first segment */
    __u64 segment_size;    /* window: the slot size; dump: the largest a segment can be */
    __u64 info_offset[2];
    __u32 info_slot_size;
    __u32 vital_slots;    /* window: slots [0, vital_slots) are the vital track's, the rest the syscall track's */
    __u16 fixed_size[64]; /* by class: bytes of the fixed part, 0: class unknown to the writer */
    __u64 created_realtime_ns;
    __u64 hash; /* XXH3-64 of the header with this field 0 */
};

struct fr_info_header {
    __u64 magic;
    __u64 generation; /* the higher valid one counts */
    __u32 size;       /* bytes of JSON that follow */
    __u32 pad;
    __u64 hash; /* XXH3-64 of this header with hash 0, then the JSON */
};

struct fr_segment_header {
    __u64 magic;
    __u8 recording_id[16];
    __u64 sequence;       /* over all tracks of the recording, from 1 */
    __u64 track_sequence; /* within the track, from 0 */
    __u32 track;
    __u32 header_size;
    __u64 boot_ns; /* clock pair taken when the segment was begun */
    __u64 realtime_ns;
    __u64 segment_size;
    __u64 used;                          /* dump: bytes in the file, header included; window: 0 (walk the blocks) */
    __u64 stored_before[FR_CLASS_COUNT]; /* events of each class the recording had stored before this segment */
    __u64 reserved[21];
    __u64 hash; /* XXH3-64 of the header with `used` and this field 0 */
};

struct fr_block_header {
    __u32 magic;
    __u8 kind;  /* enum fr_block_kind */
    __u8 codec; /* enum fr_codec */
    __u16 header_size;
    __u32 stored_size; /* of the payload as it stands */
    __u32 raw_size;    /* after decompression */
    __u32 events;
    __u32 index; /* within the segment, from 0 */
    __u64 segment_sequence;
    __u64 first_ns; /* smallest and largest event time in it */
    __u64 last_ns;
    __u64 first_enter_ns; /* smallest entry time of a syscall in it, else first_ns */
    __u64 offset;         /* of this header within the segment */
    __u64 payload_hash;   /* XXH3-64 of the stored payload */
    __u64 hash; /* XXH3-64 of the header with this field 0: a header can be trusted before its payload is read */
};

FR_ASSERT_SIZE(struct fr_file_header, 248);
FR_ASSERT_SIZE(struct fr_info_header, 32);
FR_ASSERT_SIZE(struct fr_segment_header, 512);
FR_ASSERT_SIZE(struct fr_block_header, 80);

#endif /* FLIGHTREC_FORMAT_H */
