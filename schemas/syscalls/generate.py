#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes syscalls_generated.h from syscalls.tbl.

    generate.py            writes the header
    generate.py --check    exits 1 when the header is not what the table gives
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE / "syscalls.tbl"
HEADER = HERE / "syscalls_generated.h"
KEYWORDS = {"int": "int_", "long": "long_"}


def parse(text):
    """Yields (name, x86_64, arm64, result, [(kind, name)], flags) of every line."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 4:
            sys.exit(f"{TABLE.name}:{number}: expected: name x86-64 arm64 return kind:argument …")
        name, x86, arm, result = words[:4]
        flags = {word for word in words[4:] if word.startswith("!")}
        if flags - {"!noreturn", "!enter"}:
            sys.exit(f"{TABLE.name}:{number}: unknown flag {sorted(flags)}")
        args = [tuple(word.split(":")) for word in words[4:] if not word.startswith("!")]
        if len(args) > 6 or any(len(arg) != 2 for arg in args):
            sys.exit(f"{TABLE.name}:{number}: up to six arguments, each as kind:name")
        yield name, *(-1 if text == "-" else int(text) for text in (x86, arm)), result, args, flags


def index(rows, column, limit):
    table = [-1] * limit
    for position, row in enumerate(rows):
        if row[column] >= 0:
            if table[row[column]] >= 0:
                sys.exit(f"{TABLE.name}: number {row[column]} is given twice")
            table[row[column]] = position
    return table


def wrap(numbers):
    lines = [numbers[i:i + 20] for i in range(0, len(numbers), 20)]
    return "\n".join("    " + " ".join(f"{n}," for n in line) for line in lines)


def generate(rows):
    limit = max(max(row[1], row[2]) for row in rows) + 1
    out = ["// SPDX-License-Identifier: Apache-2.0",
           "// The table of system calls as C++. Made from syscalls.tbl by generate.py: do not edit.",
           "// IWYU pragma: private, include \"schemas/syscalls/syscalls.h\"",
           "// clang-format off", "#pragma once", "",
           "namespace flightrec::schemas::detail {", "",
           f"inline constexpr unsigned kSyscallLimit = {limit};", "",
           "inline constexpr SyscallInfo kSyscalls[] = {"]
    for name, x86, arm, result, args, flags in rows:
        listed = ", ".join(f"{{ArgKind::{KEYWORDS.get(kind, kind)}, \"{arg}\"}}" for kind, arg in args)
        out.append(f"    {{\"{name}\", {x86}, {arm}, {len(args)}, ReturnKind::{KEYWORDS.get(result, result)}, "
                   f"{str('!noreturn' in flags).lower()}, {str('!enter' in flags).lower()}, {{{listed}}}}},")
    out += ["};", ""]
    for title, column in (("kIndexX86_64", 1), ("kIndexArm64", 2)):
        out += [f"inline constexpr short {title}[] = {{", wrap(index(rows, column, limit)), "};", ""]
    out += ["}  // namespace flightrec::schemas::detail", ""]
    return "\n".join(out)


def main():
    text = generate(list(parse(TABLE.read_text())))
    if sys.argv[1:] == ["--check"]:
        if HEADER.read_text() != text:
            sys.exit("schemas/syscalls/syscalls_generated.h is not what syscalls.tbl gives: run generate.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        HEADER.write_text(text)


if __name__ == "__main__":
    main()
