# SPDX-License-Identifier: Apache-2.0
"""What a flight file's bytes are spent on: walks segments and blocks (schemas/flight-format.md)."""
import mmap
import struct

SEGMENT_MAGIC, BLOCK_MAGIC = 0x544D474553544C46, 0x4B4C4246
SYSCALLS, KEYFRAME = 2, 3


def blocks(path):
    """(kind, events, stored bytes with header, raw bytes) of every block of a live window or a dump."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        (count,) = struct.unpack_from("<I", data, 52)
        offset, size = struct.unpack_from("<QQ", data, 64)
        place = offset
        for slot in range(count):
            (used,) = struct.unpack_from("<Q", data, place + 72) if place + 512 <= len(data) else (0,)
            magic, = struct.unpack_from("<Q", data, place)
            sequence, = struct.unpack_from("<Q", data, place + 24)
            at, end = place + 512, min(place + (used or size), len(data))
            while magic == SEGMENT_MAGIC and at + 80 <= end:
                head = struct.unpack_from("<IBBHIIII", data, at)
                owner, = struct.unpack_from("<Q", data, at + 24)
                if head[0] != BLOCK_MAGIC or owner != sequence:
                    break
                yield head[1], head[6], 80 + head[4], head[5]
                at += (80 + head[4] + 7) & ~7
            place = offset + (slot + 1) * size if not used else (place + used + 4095) & ~4095


def syscall_bytes(path):
    """(events, bytes) of the system call blocks."""
    rows = [(events, stored) for kind, events, stored, _ in blocks(path) if kind == SYSCALLS]
    return sum(r[0] for r in rows), sum(r[1] for r in rows)


def keyframe_bytes(path):
    rows = [(events, stored) for kind, events, stored, _ in blocks(path) if kind == KEYFRAME]
    return sum(r[0] for r in rows), sum(r[1] for r in rows)
