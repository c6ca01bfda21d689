# SPDX-License-Identifier: Apache-2.0
"""Rows: start to recording, trigger to dump, memory under a flood of short processes."""
import pathlib
import time

import reading
import recorders as r
from recorders import recording


def status_kib(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def dump_times(who, rounds):
    """From asking for a dump to the file in the directory, in ms; the last file."""
    took = []
    for _ in range(rounds):
        time.sleep(0.5)
        before = set(who.recorder.files())
        began = time.monotonic()
        recording.flightrec("dump", "--control", who.recorder.control)
        while not set(who.recorder.files()) - before:
            time.sleep(0.002)
        took.append((time.monotonic() - began) * 1e3)
    return took, who.recorder.files()[-1]


def dumps(results, rounds, full):
    """Of a window that has gone round, or of one load."""
    with recording.Scope() as scope, r.Flightrec(scope, []) as who:
        reading.fill(who, scope, 44 if full else 0)
        took, last = dump_times(who, rounds)
        size = last.stat().st_size
    what = "trigger to dump in the directory" + (", full window" if full else "")
    results.add(what, "flightrec", took, "ms", f"{size >> 20} MiB, 200 ms of tail")
    results.goal(f"{what}, ms", results.rows[-1]["median"], 500)


def measure(results, rounds):
    print("start, dump, memory")
    starts = []
    for _ in range(rounds):
        with recording.Scope() as scope:
            began = time.monotonic()
            with r.Flightrec(scope, []):
                starts.append((time.monotonic() - began) * 1e3)
    results.add("start to recording", "flightrec", starts, "ms")
    results.goal("start to recording, ms", results.rows[-1]["median"], 300)
    for full in (False, True):
        dumps(results, rounds, full)
    with recording.Scope() as scope, r.Flightrec(scope, []) as who:
        pid = who.recorder.process.pid
        scope.run([recording.workload("short_lived"), "--count", "500"])
        time.sleep(0.5)
        before = status_kib(pid, "VmRSS")
        began = time.monotonic()
        scope.run([recording.workload("short_lived"), "--count", "37000"])
        took = time.monotonic() - began
        after, peak = status_kib(pid, "VmRSS"), status_kib(pid, "VmHWM")
        ceiling = who.recorder.status()["memory_ceiling"]
    results.add("memory", "resident before", [before / 1024], "MiB")
    results.add("memory", "after 37000 short processes", [after / 1024], "MiB", f"{took:.1f} s, peak {peak / 1024:.1f} MiB")
    results.add("memory", "declared ceiling", [ceiling / 2**20], "MiB")
    results.goal("memory: peak / ceiling", peak * 1024 / ceiling, 1)
