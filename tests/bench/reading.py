# SPDX-License-Identifier: Apache-2.0
"""Rows: reading a full 64 MiB window: verify, report, replay, filtered replay; and the rivals' readers."""
import os
import shutil
import subprocess
import tempfile
import time

import flight_file
import recorders as r
import workloads
from recorders import recording
from undone import needs


class Fill(workloads.Messaging):
    size = ("10", "4000")


def fill_window(folder):
    """A window that has wrapped, of a load whose calls hardly repeat; returns its path."""
    path = os.path.join(folder, "full.flight")
    with recording.Scope() as scope:
        with r.Flightrec(scope, []) as who:
            while True:
                with Fill(scope) as load:
                    load.run()
                if os.stat(who.recorder.window).st_blocks * 512 > 62 << 20:
                    break
            shutil.copy(who.recorder.dump(), path)
    return path


def timed(argv, **options):
    began = time.monotonic()
    done = subprocess.run(argv, stdout=options.get("stdout", subprocess.DEVNULL), stderr=subprocess.PIPE, check=False)
    took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{argv[0]}: {done.stderr.decode(errors='replace')[:200]}")
    return took, done.stdout


def rivals(results, folder):
    """perf script and trace-cmd report on what they recorded of a getppid loop, events/s."""
    for name, record, read in (
            ("perf script", ["perf", "record", "-e", r.Perf.events, "-o", "rival"], ["perf", "script", "-i", "rival"]),
            ("trace-cmd report", ["trace-cmd", "record", "-B", f"flightrec-bench-{os.getpid()}", "-e", "raw_syscalls",
                                  "-o", "rival"], ["trace-cmd", "report", "rival"])):
        if why := needs(record[0]):
            results.absent(name, why)
            continue
        with recording.Scope() as scope:
            load = scope.start([r.BENCH / "bench_load", "getppid", "0.3", "1"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
            recorder = subprocess.Popen(record + (["-p"] if record[0] == "perf" else ["-P"]) + [str(load.pid)],
                                        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
            time.sleep(0.7)
            load.communicate(b"x")
            r.end(recorder)
        began = time.monotonic()
        lines = subprocess.run(" ".join(read) + " | wc -l", shell=True, cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=True).stdout
        results.add("replay", name, [int(lines) / (time.monotonic() - began) / 1e6], "M events/s")
    results.absent("babeltrace2", "neither perf nor trace-cmd of Debian 12 writes its format (CTF)")


def measure(results, rounds):
    print("reading a full 64 MiB window")
    with tempfile.TemporaryDirectory(prefix="flightrec-bench-") as folder:
        path = fill_window(folder)
        events, size = flight_file.syscall_bytes(path)
        results.add("window", "flightrec, sched messaging", [size / events], "bytes/syscall", f"{events} system calls")
        few = max(3, rounds // 2)
        for what, argv in (("verify", ["verify", path]), ("report", ["report", path]),
                           ("replay --json", ["replay", path, "--json"]),
                           ("replay --class oom_kill", ["replay", path, "--class", "oom_kill"]),
                           ("replay, last second", ["replay", path, "--since", "-1s"])):
            try:
                took = [timed([recording.PROGRAM, *argv])[0] for _ in range(few)]
            except RuntimeError as error:
                results.absent(f"flightrec {what}", str(error))
                continue
            results.add("reading", f"flightrec {what}", took, "s",
                        f"{events / 1e6 / sorted(took)[len(took) // 2]:.2f} M system calls/s")
            if what == "report":
                results.goal("report on a full 64 MiB window, s", results.rows[-1]["median"], 2)
        rivals(results, folder)
