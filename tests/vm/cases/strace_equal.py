# SPDX-License-Identifier: Apache-2.0
"""Every system call that strace prints of a program that makes some 700 of many families is in the replay, decoded alike."""

import subprocess
import sys
from pathlib import Path

EXTRA = ["/usr/bin/strace"]
COMPARE = Path(__file__).resolve().parents[2] / "kernel" / "strace_compare.py"
GUEST = r"""
start_recorder
mkdir /tmp/work && cd /tmp/work
strace -f -s 256 -o /var/out/decoded.txt syscall_families || fail "strace ended with $?"
rm -rf /tmp/work/*
strace -f -e raw=all -o /var/out/raw.txt syscall_families || fail "strace ended with $?"
cd /
sleep 1
stop_recorder
"""


def check(run):
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    calls = run.folder / "calls.jsonl"
    calls.write_text(run.flightrec("replay", window, "--json", "--class", "syscall,syscall_enter"))
    for name, options in (("decoded", []), ("raw", ["--raw"])):
        done = subprocess.run([sys.executable, str(COMPARE), "--replay", str(calls), "--strace",
                               str(run.state / "out" / f"{name}.txt"), *options], stdout=subprocess.PIPE, text=True,
                              errors="replace", check=False)
        run.expect(done.returncode == 0, f"{name}:\n{done.stdout[-6000:]}")
        count = int(done.stdout.split("threads, ")[1].split(" calls")[0].split(", ")[-1])
        run.expect(count > 600, f"only {count} calls were compared")
        run.note(f"{name}: {done.stdout.strip().splitlines()[-1]}")
