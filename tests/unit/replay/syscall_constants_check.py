#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares every constant that the decoder names with the C headers of this machine (x86-64).

    syscall_constants_check.py [--compiler gcc] constants.cpp constants_socket.cpp

For each header a C file is compiled that asserts, for every name the header defines as a macro, that the value is ours.
Exits 1 with one line a difference, 77 (skipped) on another architecture. Names that no header has are counted: they
are enum members, or newer than the headers.
"""
import argparse
import concurrent.futures
import pathlib
import platform
import re
import subprocess
import sys

HEADERS = """
fcntl.h sys/mman.h sys/socket.h netinet/in.h netinet/tcp.h linux/netlink.h sys/epoll.h sys/eventfd.h sys/timerfd.h
sys/signalfd.h sys/inotify.h sys/fanotify.h sys/wait.h sys/mount.h sys/resource.h sys/swap.h sys/ioctl.h poll.h
termios.h signal.h sched.h time.h sys/stat.h linux/stat.h linux/openat2.h linux/sched.h linux/futex.h linux/prctl.h
asm/prctl.h linux/seccomp.h linux/bpf.h linux/keyctl.h linux/membarrier.h linux/mempolicy.h linux/memfd.h
linux/random.h linux/close_range.h linux/io_uring.h linux/landlock.h linux/personality.h linux/reboot.h linux/kexec.h
linux/quota.h linux/ptrace.h linux/module.h linux/falloc.h linux/fs.h linux/xattr.h linux/perf_event.h
linux/userfaultfd.h sys/ipc.h sys/shm.h sys/sem.h sys/msg.h linux/sockios.h linux/if_tun.h linux/loop.h linux/rtc.h
linux/fcntl.h linux/mman.h linux/mount.h linux/in.h linux/in6.h linux/tcp.h linux/udp.h asm/socket.h linux/capability.h
linux/if_ether.h linux/if_packet.h linux/vm_sockets.h linux/if_alg.h linux/tls.h linux/kd.h linux/vt.h linux/hdreg.h
linux/watchdog.h linux/fb.h linux/nsfs.h linux/blkzoned.h linux/btrfs.h linux/kvm.h linux/vhost.h linux/elf.h
linux/wait.h linux/eventpoll.h linux/rseq.h linux/securebits.h linux/can/raw.h linux/sctp.h linux/dccp.h linux/xfs_fs.h
""".split()

# The C library's view of a name differs from the system call's.
LIBRARY = {
    "O_LARGEFILE": "0 in the C library on 64-bit machines",
    "__O_TMPFILE": "with O_DIRECTORY in the C library", "O_ACCMODE": "", "F_GETLK64": "the C library's own numbers", "F_SETLK64": "", "F_SETLKW64": "",
    "RUSAGE_CHILDREN": "sign", "RUSAGE_BOTH": "sign",
}
EXTRA = "#define _GNU_SOURCE\n#include <sys/types.h>\n"


def constants(text):
    """(name, value) of every entry, but for tables of the other architecture and for texts that are no single name."""
    for table, body in re.findall(r"constexpr \w+ (k\w+)\[\] = \{(.*?)\};", text, re.S):
        if "Arm64" in table:
            continue
        for value, name in re.findall(r'\{(\w+),\s*"(\w+)"', body):
            yield name, int(value, 0)


def check(compiler, header, names):
    """(names the header defines, lines of difference); None when the header cannot be compiled alone."""
    source = EXTRA + f"#include <{header}>\n"
    for name, value in names:
        source += (f"#ifdef {name}\n_Static_assert(((unsigned long long)({name}) & 0xffffffff) == ({value:#x}ull & "
                   f"0xffffffff) || (unsigned long long)({name}) == {value:#x}ull, \"{name} {value:#x}\");\n#endif\n")
    defined = subprocess.run([compiler, "-E", "-dM", "-"], input=EXTRA + f"#include <{header}>\n", capture_output=True,
                             text=True)
    if defined.returncode:
        return None
    known = set(re.findall(r"#define (\w+)", defined.stdout)) & {name for name, _ in names}
    run = subprocess.run([compiler, "-x", "c", "-w", "-fmax-errors=0", "-fsyntax-only", "-"], input=source,
                         capture_output=True, text=True)
    return known, re.findall(r'static assertion failed: "([^"]*)"', run.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    if platform.machine() != "x86_64":
        sys.exit(77)
    names = sorted({pair for file in args.files for pair in constants(file.read_text())})
    names = [pair for pair in names if pair[0] not in LIBRARY]
    seen, wrong = set(), {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda header: (header, check(args.compiler, header, names)), HEADERS)
        for header, result in results:
            if result is None:
                continue
            seen |= result[0]
            for line in result[1]:
                wrong.setdefault(line, header)
    for line, header in sorted(wrong.items()):
        print(f"{line} is another value in <{header}>")
    print(f"{len(seen)} of {len({name for name, _ in names})} names were found in headers")
    if len(seen) < 800:
        print("too few: are the kernel headers (linux-libc-dev) installed?")
        sys.exit(1)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
