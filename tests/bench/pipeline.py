# SPDX-License-Identifier: Apache-2.0
"""Rows: CPU time of draining and encoding per system call, bytes per system call in the window; codecs alone."""
import json
import os
import signal
import subprocess
import time

import flight_file
import recorders as r
import workloads
from recorders import recording
from undone import needs


def drain_cost(results, rounds, name, workload):
    """CPU time of the recorder's threads, less what it takes while nothing happens, per event stored."""
    per_event, sizes, lost = [], [], 0
    for _ in range(rounds):
        with recording.Scope() as scope, workload(scope) as load, r.Flightrec(scope, []) as who:
            time.sleep(0.5)
            cpu0, at0 = who.cpu_ns(), time.monotonic()
            time.sleep(1)
            idle = (who.cpu_ns() - cpu0) / (time.monotonic() - at0)
            cpu0, at0 = who.cpu_ns(), time.monotonic()
            before = who.recorder.status()["window"]["events"]
            load.run()
            time.sleep(0.3)
            status = who.recorder.status()
            took = who.cpu_ns() - cpu0 - idle * (time.monotonic() - at0)
            line = status["ledger"]["syscall"]
            lost += line["overwritten"] + line["torn"]
            per_event.append(took / (status["window"]["events"] - before))
            who.recorder.stop(within=30)
            who.stack.pop_all()  # it is stopped already
            events, size = flight_file.syscall_bytes(who.recorder.window)
            sizes.append(size / events)
            who.recorder.remove()
    results.add("drain+encode", f"flightrec, {name}", per_event, "CPU ns/event", f"{lost} events lost")
    results.goal(f"drain+encode, {name}, CPU ns per event", results.rows[-1]["median"], 60)
    results.add("window", f"flightrec, {name}", sizes, "bytes/syscall")
    limit = {"nginx": 2.2, "compiler": 4.0}.get(name)
    if limit:
        results.goal(f"bytes per system call, {name}", results.rows[-1]["median"], limit)


def rival_cost(results, rounds, name, argv):
    """CPU time of a recorder that streams to disk, per system call (two events)."""
    figures = []
    for _ in range(rounds):
        with recording.Scope() as scope:
            load = scope.start([r.BENCH / "bench_load", "getppid", "1", "1"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
            process = subprocess.Popen(argv(load.pid), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, cwd="/tmp")
            time.sleep(0.7)
            out, _ = load.communicate(b"x")
            os.kill(process.pid, signal.SIGINT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = status
        if usage.ru_utime + usage.ru_stime < 0.001:
            results.absent(name, "ended at once")
            return
        figures.append((usage.ru_utime + usage.ru_stime) * 1e9 / json.loads(out)["operations"])
    results.add("drain+encode", name, figures, "CPU ns/syscall")


def codecs(results):
    program = r.BENCH / "codec_bench"
    if not program.exists():
        results.absent("codec_bench", "Google Benchmark is not installed (libbenchmark-dev)")
        return
    out = subprocess.run([program, "--benchmark_format=json", "--benchmark_filter=/[01]$",
                          "--benchmark_repetitions=3"], stdout=subprocess.PIPE, check=True, text=True).stdout
    rows = {}
    for run in json.loads(out)["benchmarks"]:
        if run.get("run_type") == "iteration" and "ns/event" in run:
            rows.setdefault(run["name"], []).append(run["ns/event"] * 1e9)
    for name, values in rows.items():
        kind, trace = name.split("/")[0], "web" if ":0" in name or name.endswith("/0") else "compiler"
        results.add("codec", f"{kind}, {trace}", values, "ns/event")
        if kind == "decode":
            results.goal(f"decoded, {trace}, million events/s per core", 1e3 / results.rows[-1]["median"], 10, False)


class Loop(workloads.Started):
    name = "getppid"

    def argv(self):
        return [str(r.BENCH / "bench_load"), "getppid", "3", "1"]


def measure(results, rounds):
    print("drain and encode")
    few = max(1, rounds // 2)
    for workload in (Loop, workloads.Web, workloads.Compiler):
        if not workload.why_not():
            drain_cost(results, few, workload.name, workload)
    if not needs("perf"):
        rival_cost(results, few, "perf record", lambda pid: [
            "perf", "record", "-e", r.Perf.events, "-p", str(pid), "-o", "/tmp/flightrec-bench-perf.data"])
        os.unlink("/tmp/flightrec-bench-perf.data")
    if not needs("trace-cmd"):
        rival_cost(results, few, "trace-cmd record", lambda pid: [
            "trace-cmd", "record", "-B", f"flightrec-bench-{os.getpid()}", "-e", "raw_syscalls", "-P", str(pid),
            "-o", "/tmp/flightrec-bench-trace.dat"])
        os.unlink("/tmp/flightrec-bench-trace.dat")
    print("codecs alone")
    codecs(results)
