#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares syscalls.tbl with the kernel headers: every call they number has that number here, on both architectures.

    check_numbers.py [--x86-64 unistd_64.h] [--generic unistd.h]

Calls that the table has and the headers lack are newer than the headers, or a failure when their number is lower than
the highest the headers know. Exits 1 with one line a difference; 77 (skipped) where no header can be read.
"""
import argparse
import pathlib
import re
import sys

import generate

# In asm-generic, but not on arm64 (arch/arm64/include/uapi/asm/unistd.h does not ask for them).
NOT_ON_ARM64 = {"arch_specific_syscall", "sync_file_range2"}
# Not in every header, though lower than its highest number: x86-64 filled a gap late (6.11, 6.18), and calls that were
# removed lose their line.
NOT_IN_EVERY_HEADER = {"uretprobe", "uprobe", "lookup_dcookie", "nfsservctl"}


def x86_64_numbers(text):
    return {name: int(number) for name, number in re.findall(r"#define\s+__NR_(\w+)\s+(\d+)", text)}


def generic_numbers(text):
    """__NR_x n, or __NR_x __NR3264_x with __NR3264_x n as a 64-bit kernel resolves it."""
    shared = dict(re.findall(r"#define\s+__NR3264_(\w+)\s+(\d+)", text))
    numbers = {name: int(number) for name, number in re.findall(r"#define\s+__NR_(\w+)\s+(\d+)", text)}
    part64 = re.search(r"#if __BITS_PER_LONG == 64 && !defined\(__SYSCALL_COMPAT\)(.*?)#else",
                       text[text.rfind("__NR_syscalls"):], re.S)
    for name, of in re.findall(r"#define\s+__NR_(\w+)\s+__NR3264_(\w+)", part64.group(1) if part64 else ""):
        if of in shared:
            numbers[name] = int(shared[of])
    # 32-bit only: numbers 403-423 and those under #if __BITS_PER_LONG == 32 end in _time64 or are named so.
    return {name: number for name, number in numbers.items()
            if not 403 <= number <= 423 and not (244 <= number <= 259) and name not in NOT_ON_ARM64 | {"syscalls"}}


def compare(what, known, table):
    lines = []
    for name, number in sorted(known.items(), key=lambda item: item[1]):
        if table.get(name) != number:
            lines.append(f"{what}: {name} is {number} in the header, {table.get(name, 'missing')} in syscalls.tbl")
    highest = max(known.values(), default=0)
    for name, number in table.items():
        if name not in known and number <= highest and name not in NOT_IN_EVERY_HEADER:
            lines.append(f"{what}: {name} ({number}) is not in the header")
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--x86-64", default="/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    parser.add_argument("--generic", default="/usr/include/asm-generic/unistd.h")
    args = parser.parse_args()
    rows = list(generate.parse(generate.TABLE.read_text()))
    lines, seen = [], 0
    for what, path, column, read in (("x86-64", args.x86_64, 1, x86_64_numbers), ("arm64", args.generic, 2, generic_numbers)):
        if not pathlib.Path(path).exists():
            continue
        known = read(pathlib.Path(path).read_text())
        seen += len(known)
        lines += compare(what, known, {row[0]: row[column] for row in rows if row[column] >= 0})
    if not seen:
        print("no kernel header to compare with")
        sys.exit(77)
    print("\n".join(lines) or f"{seen} numbers agree")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
