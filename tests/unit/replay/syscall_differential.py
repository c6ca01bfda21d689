#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the decoder with strace over every call, every flag and choice, and structures filled by chance.

    syscall_differential.py --caller syscall_caller --decoder syscall_decode_tool --constants constants.cpp … [--seed N]

syscall_caller makes the calls under strace while a seccomp filter answers them, so that nothing happens; the decoder
gets the same calls. Exits 1 with the first differences; 77 (skipped) without strace 6.1, whose names these are.
"""
import argparse
import collections
import pathlib
import platform
import random
import re
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "kernel"))
import strace_compare  # noqa: E402
from strace_compare import generate  # noqa: E402

MEMORY = 0x20000000
SUCCEED = 0x600d0000
WRAP = 2**64 - 1
# Not calls that these tools can make: they need the process as it is, or kill it.
LEFT_OUT = {"rt_sigreturn", "uretprobe", "uprobe", "exit", "exit_group", "restart_syscall"}
# Numbers and addresses: a few values each suffice.
PLAIN = set("int32 uint32 long ulong uint64 hex32 hex64 size offset offset_hex pid uid gid pointer buffer_in buffer_out "
            "path_in string_in mq_name path_out fd dirfd device mode umask".split())
# Names that strace 6.1 does not have yet, as they came with later kernels.
LATER = re.compile(
    "RWF_(NOAPPEND|ATOMIC|DONTCACHE)|STATX_(MNT_ID_UNIQUE|SUBVOL|WRITE_ATOMIC|DIO_READ_ALIGN)|MOVE_MOUNT_BENEATH|"
    "_CREATE_EXCL|MAP_DROPPABLE|MADV_GUARD|GET_REGISTRATIONS|SCHED_EXT|_ERRATA|RULE_NET_PORT|SOL_(MPTCP|MCTP|SMC|VSOCK)|"
    r"IORING_ENTER_(ABS|EXT_ARG_REG|NO_IO)|IORING_\w+(SYNC_CANCEL|ALLOC_RANGE|STATUS|NAPI|CLOCK|CLONE_BUF|MSG_RING|ZCRX|"
    "RESIZE|MEM_REG)|KEXEC_(UPDATE|CRASH)|BPF_(TOKEN|PROG_STREAM)|AT_HANDLE|MFD_(NOEXEC|EXEC)|PIDFD_THREAD|MPOL_WEIGHTED|"
    "PR_(SET|GET)_(MDWE|MEMORY_MERGE)|PR_RISCV|PR_PPC|SHADOW|PR_TIMER|PR_FUTEX|PR_GET_AUXV|ARCH_(GET_U|ENABLE|GET_MAX|"
    "FORCE|SHSTK)|PTRACE_SET_SYSCALL|PTRACE_GET_SYSCALL_USER|F_SEAL_EXEC|SCM_TS|SO_(PASSPIDFD|PEERPIDFD|DEVMEM|RCVPRI|"
    "PASSR|INQ)|F_(GET|SET)_(FILE_)?RW_HINT|F_DUPFD_QUERY|F_CREATED|LOCK_PI2\\w*\\|FUTEX_CLOCK")
# Where strace explains a number further than we do: (call, what its argument looks like).
EXPLAINED = re.compile(r"/\* |^QCMD|^PTRACE|^8\*|LOGLEVEL|KEY_REQKEY|KEYCTL_MOVE|KEY_\w+_|PR_SYS_DISPATCH|PR_PAC|PR_MTE|"
                       r"PR_FP_MODE|PR_SCHED|PIDTYPE|AF_UNSPEC|LED_|IDE_|PERF_IOC|TCOOFF|TCIFLUSH|^!PR|BUSSTATE|KD_|K_RAW|KVM_CAP")


class Harness:
    def __init__(self, caller, decoder, folder):
        self.caller, self.decoder, self.folder = caller, decoder, pathlib.Path(folder)

    def run(self, calls, memory=b"\0" * 65536):
        """[(line of strace, line of ours)] of each call."""
        files = [self.folder / name for name in ("calls", "memory", "strace")]
        files[0].write_bytes(b"".join(struct.pack("<7Q", *[v & WRAP for v in call]) for call in calls))
        files[1].write_bytes(memory)
        subprocess.run(["strace", "-s", "4096", "-o", files[2], self.caller, files[0], files[1]], check=True)
        lines = files[2].read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("seccomp(SECCOMP_SET_MODE_FILTER"))
        ours = subprocess.run([self.decoder, files[0], files[1]], check=True, capture_output=True, text=True)
        theirs, ours = lines[start + 1:-2], ours.stdout.splitlines()
        if not len(theirs) == len(ours) == len(calls):
            sys.exit(f"{len(calls)} calls, {len(theirs)} lines of strace, {len(ours)} of ours; last: {theirs[-1:]}")
        return list(zip(theirs, ours))


def same(name, kinds, theirs, ours):
    if re.sub(r"\)\s+= ", ") = ", theirs) == ours or LATER.search(ours):
        return True
    (a,), (b,) = strace_compare.parse_strace([theirs]), strace_compare.parse_strace([ours])
    if (a.name, a.result, a.errno) != (b.name, b.result, b.errno):
        return False
    if len(a.args) != len(b.args):
        return name in ("prctl", "kcmp")  # shows unused arguments for values that no program passes
    for i, kind in enumerate(strace_compare.shown_kinds(name, kinds, len(a.args))):
        x, y = a.args[i], b.args[i]
        if strace_compare.compare_arg(name, kind or "", x, y) is None or EXPLAINED.search(x):
            continue
        address = re.fullmatch(r"0x[0-9a-f]+|NULL|0", y)
        if kind in strace_compare.ADDRESS_ONLY | {"struct_in", "struct_out", "sockopt_in"} and address:
            continue
        if strace_compare.WRITTEN.search(kind or "") and address:
            continue
        if (name, kind) in strace_compare.STRACE_ADDRESS and re.fullmatch(r"0x[0-9a-f]+", x):
            continue
        if kind == "string_in" and name == "kexec_file_load":  # its length is another argument
            continue
        if kind == "ioctl_cmd" and y.startswith("_IOC("):  # the tables hold the common requests
            continue
        if kind in ("ipcget_flags",):  # strace leaves out a |
            continue
        return False
    return True


# ---- every value ---------------------------------------------------------------------------------------------------


def known_values(files):
    text = "".join(file.read_text() for file in files)
    return {int(value, 0) for value in re.findall(r'\{(\w+),\s*"\w+"', text)}


def sweep(harness, rows, constants):
    small = sorted(set(range(0, 70)) | {1 << i for i in range(32)} | {2**32 - 1, WRAP, 2**32 - 5})
    bits = {1 << i for i in range(64)} | set(range(0, 300)) | {2**32 - 1, WRAP, WRAP - 1, 2**32 - 5}
    big = {value for value in constants if value > 300 and value & (value - 1)}
    named = sorted(bits | {v for v in big if v < 0x10000 or v > 0x50000000 and v < 0x60000000} | {0xfee1dead, 672274793})
    for name, number, _, _, args, _ in rows:
        for i, (kind, _) in enumerate(args):
            values = sorted(bits | big) if kind == "ioctl_cmd" else small if kind in PLAIN else named
            calls = []
            for value in values:
                call = [number] + [0] * 6
                call[1 + i] = value
                calls.append(call)
            yield name, args, harness.run(calls)


# ---- structures ----------------------------------------------------------------------------------------------------


class Filler:
    """Bytes for what an argument points to, by its kind."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, limit=40):
        return bytes(self.random.choice(b"abc/0189\"\\\n\t\x01\x7f\xc3\xa9xyz%'") for _ in range(self.random.randrange(limit))) + b"\0"

    def sockaddr(self):
        r, p = self.random, struct.pack
        return r.choice([
            p("<H", 1) + b"/run/sock\0", p("<H", 1) + b"\0abs\x01tract", p("<H", 1), p("<H", 0) + r.randbytes(14),
            p("<HHI8x", 2, r.randrange(65536), r.randrange(2**32)),
            p("<HHI16sI", 10, r.randrange(65536), r.choice([0, 5]), r.randbytes(16), r.choice([0, 2])),
            p("<HHII", 16, 0, r.randrange(9999), r.choice([0, 1, 0xff00])),
            p("<HHII4x", 40, 0, r.randrange(9999), 3)])

    def of(self, kind):
        r, p = self.random, struct.pack
        seconds = lambda: r.choice([0, 1, 5, 999999999, -1, 2**31, r.randrange(2**40)])  # noqa: E731
        mask = lambda: r.choice([0, 2, WRAP, 1 << 40, 0x10004000, WRAP ^ 0x100, r.randrange(2**64)])  # noqa: E731
        makers = {
            ("path_in", "string_in", "mq_name", "mount_data", "fsconfig_value", "prctl_arg", "string_counted"): self.text,
            ("timespec_in", "timespec_inout", "timespec_out", "futex_timeout"): lambda: p("<qq", seconds(), r.randrange(10**9)),
            ("timeval_in", "timeval_inout", "timeval_out"): lambda: p("<qq", seconds(), r.randrange(10**6)),
            ("timespec_pair_in",): lambda: p("<qqqq", 0, r.choice([0x3fffffff, 0x3ffffffe]), 0, r.choice([0x3fffffff, 0])),
            ("itimerspec_in", "itimerspec_out", "itimerval_in", "itimerval_out"):
                lambda: p("<qqqq", 1, r.randrange(10**6), abs(seconds()), r.randrange(10**6)),
            ("rlimit_in", "rlimit_out"): lambda: p("<QQ", r.choice([0, 1024, WRAP, 8192 * 1024, 5]), r.choice([WRAP, 1024, 4096])),
            ("sigaction_in", "sigaction_out"): lambda: p("<QQQQ", r.choice([0, 1, 0x55551234]),
                                                         r.choice([0, 0x14000000, 0x4000004, 0xc4000000]), 0x7f00, mask()),
            ("sigset_in", "sigset_out"): lambda: p("<Q", mask()),
            ("stack_in", "stack_out"): lambda: p("<QI4xQ", r.choice([0, 0x7000]), r.choice([0, 1, 2, 0x80000000, 7]), 8192),
            ("sched_param_in", "sched_param_out"): lambda: p("<i", r.randrange(100)),
            ("sched_attr_in",): lambda: p("<IIQiIQQQ", 48, r.randrange(7), r.choice([0, 1, 7]), -5, 3, 100, 200, 300),
            ("epoll_event_in",): lambda: p("<IQ", r.choice([1, 0x2005, 0x80000001, 0]), r.randrange(2**40)),
            ("pollfds",): lambda: b"".join(p("<iHH", r.choice([-1, 0, 3, 77]), r.choice([1, 4, 5, 0, 0x43, 0x2000]), 0)
                                           for _ in range(16)),
            ("clone_args_in",): lambda: p("<11Q", r.choice([0, 0x3d0f00, 0x100000000, 0x1200000, 0x4100]), 1 << 16, 2 << 16,
                                          3 << 16, r.choice([0, 17]), r.choice([0, 0x7f00]), r.choice([0, 0x1000]), 5, 0, 0, 0),
            ("open_how_in",): lambda: p("<QQQ", r.choice([0, 0x80000, 0x80241]), r.choice([0, 0o644]), r.choice([0, 1, 8, 0x24])),
            ("sockopt_in", "sockopt_out"): lambda: p("<ii24x", r.choice([0, 1, 65536]), 3),
            ("sockaddr_in", "sockaddr_out"): self.sockaddr,
            ("int_out", "wait_status_out"): lambda: p("<i", r.choice([0, 256, 9, 0x137f, 139, 0xffff])),
            ("fd_pair_out",): lambda: p("<ii", 3, 4),
        }
        for kinds, make in makers.items():
            if kind in kinds:
                return make()
        return None

    # The argument behind one of these is its length, or the address of its length.
    lengths = {"sockaddr_in": len, "sockopt_in": lambda b: 4, "pollfds": lambda b: 16, "clone_args_in": lambda b: 88,
               "open_how_in": lambda b: 24, "string_counted": lambda b: len(b) - 1}
    by_address = {"sockaddr_out": len, "sockopt_out": lambda b: 4}

    def call(self, number, args, base):
        r, call, memory, i = self.random, [number] + [0] * 6, {}, 0
        choices = {"futex_op": [0, 9, 128, 137, 6, 0x189], "fcntl_cmd": [6, 7, 37, 38], "prctl_op": [15],
                   "fsconfig_cmd": [1, 3], "epoll_op": [1, 2, 3], "open_flags": [0, 0x80000, 0x241, 0x410002],
                   "mode": [0o644, 0, 0o4755], "mode_if_creat": [0o644, 0, 0o4755], "dirfd": [3, 2**32 - 100],
                   "fd": [0, 3, 77], "int32": [0, 3], "pid": [0, 5], "uid": [0, 2**32 - 1]}
        sigsets = any(kind.startswith(("sigset_", "sigaction_")) for kind, _ in args)
        while i < len(args):
            kind, at = args[i][0], base + i * 512
            content = self.of(kind)
            if content is not None:
                memory[at] = content
                call[1 + i] = at
                if kind in self.lengths:
                    call[2 + i] = self.lengths[kind](content)
                    i += 1
                elif kind in self.by_address:
                    memory[at + 256] = struct.pack("<i", self.by_address[kind](content))
                    call[2 + i] = at + 256
                    i += 1
            elif kind == "fcntl_arg":
                memory[at] = struct.pack("<HH4xqqi", r.randrange(3), r.randrange(3), r.randrange(100), r.randrange(100), 5)
                call[1 + i] = at
            elif kind == "sockopt_level":
                call[1 + i], call[2 + i] = r.choice([(1, 2), (6, 1), (41, 26), (1, 8)])
                i += 1
            elif kind == "size" and sigsets:
                call[1 + i] = 8
            elif kind in choices:
                call[1 + i] = r.choice(choices[kind])
            i += 1
        if len(args) < 6 and r.random() < 0.5:
            call[6] = SUCCEED
        return call, memory


def structures(harness, rows, seed, count):
    filler = Filler(seed)
    memory, calls, chosen = bytearray(4096 * (count + 2)), [], []
    for n in range(count):
        row = filler.random.choice(rows)
        call, pieces = filler.call(row[1], row[4], MEMORY + 4096 * n)
        for at, content in pieces.items():
            memory[at - MEMORY:at - MEMORY + len(content)] = content
        calls.append(call)
        chosen.append(row)
    for row, pair in zip(chosen, harness.run(calls, bytes(memory))):
        yield row[0], row[4], [pair]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--caller", required=True)
    parser.add_argument("--decoder", required=True)
    parser.add_argument("--constants", required=True, nargs="+", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--structures", type=int, default=4000)
    args = parser.parse_args()
    try:
        version = subprocess.run(["strace", "--version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        version = ""
    if platform.machine() != "x86_64" or "version 6.1" not in version:
        print("needs strace 6.1 on x86-64")
        sys.exit(77)
    rows = [row for row in generate.parse(generate.TABLE.read_text()) if 0 <= row[1] <= 450 and row[0] not in LEFT_OUT]
    total, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(args.caller, args.decoder, folder)
        for source in (sweep(harness, rows, known_values(args.constants)),
                       structures(harness, rows, args.seed, args.structures)):
            for name, arguments, pairs in source:
                kinds = [kind for kind, _ in arguments if kind != "unused"]
                total += len(pairs)
                wrong += [pair for pair in pairs if not same(name, kinds, *pair)]
    shown = collections.Counter()
    for theirs, ours in wrong:
        name = ours.partition("(")[0]
        shown[name] += 1
        if shown[name] > 2:
            continue
        print(f"strace {strace_compare.shortened(theirs)}\nours   {strace_compare.shortened(ours)}")
    print(f"{total} calls, {len(wrong)} differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
