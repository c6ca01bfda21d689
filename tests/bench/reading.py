# SPDX-License-Identifier: Apache-2.0
"""Rows: reading what was recorded. A web server's calls beside the rivals' readers of the same workload, whole and
filtered, in calls read a second of CPU time; then a full 64 MiB window."""
import os
import re
import shutil
import subprocess
import tempfile
import time

import flight_file
import recorders as r
import workloads
from recorders import recording
from undone import needs


class Served(workloads.Web):
    seconds = 8


class Fill(workloads.Messaging):
    size = ("10", "4000")


def cpu_seconds(argv, folder=None):
    """CPU time of a program that writes to nowhere."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{argv[0]}: {errors.read(200).decode(errors='replace')}")
    return used.ru_utime + used.ru_stime


def count(argv, folder, wanted):
    """Lines of its output with this in them."""
    with subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        return sum(wanted in line for line in process.stdout)


def record_ours(folder):
    """A dump of the web server's calls; its path, and the pid of its first process, which hardly makes any."""
    path = os.path.join(folder, "web.flight")
    with recording.Scope() as scope, r.Flightrec(scope, []) as who, Served(scope) as load:
        load.run()
        shutil.copy(who.recorder.dump(), path)
        return path, load.server.pid


# Who; how it is told the pids; how it records; its readers, of which the first prints every call; what stands in the
# line of a call that returned.
RIVALS = (
    ("perf", "-p", ["perf", "record", "-m", "8M", "-o", "perf.data", "-e", r.Perf.events],
     {"text": ["perf", "script", "-i", "perf.data"],
      "json": ["perf", "data", "convert", "--force", "-i", "perf.data", "--to-json", "perf.json"],
      "one process": ["perf", "script", "-i", "perf.data", "--pid", "1"]}, b"sys_exit"),
    ("perf trace", "-p", ["perf", "trace", "record", "-m", "8M", "-o", "trace.data"],
     {"text": ["perf", "trace", "-o", "/dev/stdout", "-i", "trace.data"]}, b"= "),
    ("trace-cmd", "-P", ["trace-cmd", "record", "-B", f"flightrec-bench-{os.getpid()}", "-b", "32768", "-o", "trace.dat", "-e",
                         "raw_syscalls"],
     {"text": ["trace-cmd", "report", "trace.dat"],
      "one process": ["trace-cmd", "report", "-F", "raw_syscalls:common_pid==1", "trace.dat"]}, b"sys_exit"),
)


def record_rival(folder, pid_option, argv):
    with recording.Scope() as scope, Served(scope) as load:
        pids = load.pids()
        told = ["-p", ",".join(map(str, pids))] if pid_option == "-p" else [w for p in pids for w in ("-P", str(p))]
        if argv[1] == "trace":  # what follows goes to perf record
            argv = argv[:3] + told + argv[3:]
            told = []
        with tempfile.TemporaryFile() as errors:
            recorder = subprocess.Popen(argv + told, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=errors)
            try:
                time.sleep(1)  # until it records
                if recorder.poll() is not None:
                    errors.seek(0)
                    raise RuntimeError(" ".join(errors.read(200).decode(errors="replace").split()))
                load.run()
            finally:
                r.end(recorder, timeout=60)


def candidates(results, folder):
    """(row, who, calls, argv) of everything to be measured."""
    path, rare = record_ours(folder)
    calls, size = flight_file.syscall_bytes(path)
    results.add("web server", "flightrec", [size / calls], "bytes/call", f"{calls} calls")
    out = [(row, "flightrec " + " ".join(argv[:1] + argv[2:]), calls, [recording.PROGRAM, *argv]) for row, argv in (
        ("text", ["replay", path]), ("json", ["replay", path, "--json"]), ("verify", ["verify", path]),
        ("report", ["report", path]), ("one process", ["replay", path, "--pid", str(rare)]),
        ("failed calls", ["replay", path, "--failed"]), ("slow calls", ["replay", path, "--slower-than", "20ms"]),
        ("last second", ["replay", path, "--since", "-1s"]), ("counts", ["replay", path, "--stats"]))]
    stats = subprocess.run([recording.PROGRAM, "replay", path, "--stats", "--pid", str(rare)], stdout=subprocess.PIPE,
                           check=True, text=True).stdout
    if read := re.search(r"(\d+) of (\d+) blocks", stats):
        results.add("one process", "flightrec, blocks of system calls read", [int(read[1])], "blocks", f"of {read[2]}")
    for who, pid_option, argv, readers, wanted in RIVALS:
        if why := needs(argv[0]):
            results.absent(who, why)
            continue
        try:
            record_rival(folder, pid_option, argv)
        except RuntimeError as error:
            results.absent(who, f"it does not record here: {error}")
            continue
        calls = count(readers["text"], folder, wanted)
        if not calls:
            results.absent(who, "nothing in what it recorded")
            continue
        out += [(row, " ".join(w for w in read if not w.endswith(("data", "dat"))), calls, read)
                for row, read in readers.items()]
    results.absent("babeltrace2", "nobody here writes its format of system calls: LTTng's tracer is kernel modules, and perf and "
                                  "trace-cmd of Debian 12 are built without CTF")
    return out


def beside_rivals(results, rounds):
    print("reading a web server's calls, M calls/s of CPU time (of the whole recording, also where a filter shows few)")
    with tempfile.TemporaryDirectory(prefix="flightrec-bench-") as folder:
        todo = candidates(results, folder)
        took = [[] for _ in todo]
        for _ in range(rounds):
            for (_, who, calls, argv), rates in zip(todo, took):
                try:
                    rates.append(calls / 1e6 / cpu_seconds(argv, folder))
                except RuntimeError as error:
                    results.absent(who, str(error))
        ours = {}
        for (row, who, calls, _), rates in zip(todo, took):
            if not rates:
                continue
            note = ""
            if row in ours:
                note = f"flightrec: {ours[row] / (sorted(rates)[len(rates) // 2]):.1f} times as fast"
            median = results.add(row, who, rates, "M calls/s", note)
            ours.setdefault(row, median)
        results.goal("verified (decoded, counted) a core, M calls/s", ours["verify"], 10, at_most=False)


def fill(who, scope, mebibytes):
    """Runs the load until the window holds so much of system calls, at least once."""
    while True:
        with Fill(scope) as load:
            load.run()
        if flight_file.syscall_bytes(who.recorder.window)[1] >> 20 >= mebibytes:
            return


def fill_window(folder):
    """A window that has wrapped, of a load whose calls hardly repeat; returns its path."""
    path = os.path.join(folder, "full.flight")
    with recording.Scope() as scope, r.Flightrec(scope, []) as who:
        fill(who, scope, 44)
        shutil.copy(who.recorder.dump(), path)
    return path


def full_window(results, rounds):
    print("reading a full 64 MiB window, s of CPU time")
    with tempfile.TemporaryDirectory(prefix="flightrec-bench-") as folder:
        path = fill_window(folder)
        events, size = flight_file.syscall_bytes(path)
        results.add("window", "flightrec, sched messaging", [size / events], "bytes/call", f"{events} system calls")
        for argv in (["verify", path], ["report", path], ["replay", path, "--class", "oom_kill"],
                     ["replay", path, "--since", "-1s"], ["replay", path, "--pid", "1"]):
            took = [cpu_seconds([recording.PROGRAM, *argv]) for _ in range(rounds)]
            what = " ".join(argv[:1] + argv[2:])
            median = results.add("full window", f"flightrec {what}", took, "s",
                                 f"{events / 1e6 / sorted(took)[len(took) // 2]:.2f} M calls/s")
            if what == "report":
                results.goal("report on a full 64 MiB window, s", median, 2)


def measure(results, rounds):
    few = max(3, rounds // 2)
    beside_rivals(results, few)
    full_window(results, few)
