# SPDX-License-Identifier: Apache-2.0
"""Rows: how cost grows with CPUs, with processes, with the length of strings, with the window."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

import flight_file
import reading
import recorders as r
import starting
from recorders import recording


def both_cpus(results, rounds, who):
    """ns per getppid on one CPU, and on all at once."""
    for cpus in (1, os.cpu_count()):
        figures = []
        for _ in range(rounds):
            with recording.Scope() as scope:
                loads = [scope.start([r.BENCH / "bench_load", "getppid", "0.5", str(cpu)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE) for cpu in range(cpus)]
                with who(scope, [load.pid for load in loads]):
                    for load in loads:
                        load.stdin.close()
                        load.stdin = None
                    figures += [json.loads(load.communicate()[0])["cpu_ns"] for load in loads]
        results.add(f"getppid on {cpus} CPUs at once", who.name, figures, "CPU ns")


def processes(results, count):
    """Start, sample and keyframe with many processes in the scope."""
    with recording.Scope() as scope:
        sleepers = scope.start([r.BENCH / "bench_load", "sleepers", str(count), "0"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
        try:
            sleepers.stdout.readline()
            began = time.monotonic()
            with r.Flightrec(scope, []) as who:
                started = time.monotonic() - began
                time.sleep(1)
                cpu, at = who.cpu_ns(), time.monotonic()
                time.sleep(3)
                idle = (who.cpu_ns() - cpu) / (time.monotonic() - at) / 1e7
                dump = who.recorder.dump()
                events, size = flight_file.keyframe_bytes(dump)
        finally:
            sleepers.stdin.close()
            sleepers.wait()
    results.add(f"{count} processes", "start to recording", [started * 1e3], "ms")
    results.add(f"{count} processes", "recorder idle", [idle], "% of a CPU")
    results.add(f"{count} processes", "keyframes in a dump", [size / 1024], "KiB", f"{events} records")


def strings(results, rounds):
    """openat and close of a file whose path has so many bytes."""
    with tempfile.TemporaryDirectory(prefix="f-") as folder:
        for length in (16, 64, 250):
            path = pathlib.Path(folder, "x" * (length - len(folder) - 1))
            path.touch()
            plain, recorded = [], []
            for _ in range(rounds):
                for who, figures in ((r.Base, plain), (r.Flightrec, recorded)):
                    with recording.Scope() as scope:
                        load = scope.start([r.BENCH / "bench_load", "open", "0.5", "1", path], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE)
                        with who(scope, [load.pid]):
                            load.stdin.close()
                            load.stdin = None
                            figures.append(json.loads(load.communicate()[0])["cpu_ns"])
            added = [b - a for a, b in zip(plain, recorded)]
            results.add(f"openat+close, path of {length} bytes", "flightrec adds", added, "CPU ns")


def windows(results, rounds):
    """Memory, dump and report of a window that has gone round."""
    for size in (16, 64, 128):
        class Sized(r.Flightrec):
            window = f"{size}M"

        with recording.Scope() as scope, Sized(scope, []) as who:
            reading.fill(who, scope, size * 2 // 3)
            resident = starting.status_kib(who.recorder.process.pid, "VmRSS") / 1024
            took, dump = starting.dump_times(who, rounds)
            report = [reading.cpu_seconds([recording.PROGRAM, "report", dump]) * 1e3 for _ in range(rounds)]
            held = dump.stat().st_size >> 20
        results.add(f"window of {size} MiB", "resident", [resident], "MiB")
        results.add(f"window of {size} MiB", "trigger to dump", took, "ms", f"{held} MiB")
        results.add(f"window of {size} MiB", "report", report, "CPU ms")


def measure(results, rounds):
    print("growth")
    for who in (r.FloorBoth, r.Flightrec):
        both_cpus(results, max(3, rounds // 2), who)
    for count in (100, 1000, 10000):
        processes(results, count)
    strings(results, max(3, rounds // 2))
    windows(results, max(3, rounds // 2))
