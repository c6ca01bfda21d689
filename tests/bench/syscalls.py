# SPDX-License-Identifier: Apache-2.0
"""Rows: ns per system call, openat and close with their path, fork+exec+exit."""
import json
import statistics
import subprocess

import recorders
from recorders import recording

CPU = "1"


def run_load(who, call, seconds, *more):
    """One run of tests/bench/load.cpp in a scope of its own while `who` records it."""
    with recording.Scope() as scope:
        load = scope.start([recorders.BENCH / "bench_load", call, str(seconds), CPU, *more], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
        try:
            with who(scope, [load.pid]):
                out, _ = load.communicate(b"x", timeout=120)
        finally:
            if load.poll() is None:
                load.kill()
            load.wait()
    return json.loads(out)


def alternate(results, who_all, call, seconds, rounds, *more):
    """{name: [figures of each round]}; each round runs everyone once."""
    here = []
    for who in who_all:
        why = who.why_not()
        if why:
            results.absent(who.name, why)
        else:
            here.append(who)
    figures = {who.name: [] for who in here}
    for _ in range(rounds):
        for who in list(here):
            try:
                figures[who.name].append(run_load(who, call, seconds, *more))
            except (RuntimeError, OSError, json.JSONDecodeError, subprocess.TimeoutExpired) as error:
                results.absent(who.name, f"did not run: {error}")
                here.remove(who)
                figures.pop(who.name)
    return figures


def overheads(results, row, figures, unit, key="wall_ns"):
    """Adds each one's median and its overhead over "none" of the same round; {name: overhead}."""
    bare = [f[key] for f in figures["none"]]
    results.add(row, "none", bare, unit)
    over = {}
    for name, values in figures.items():
        if name == "none" or not values:
            continue
        over[name] = results.add(row, name, [v[key] - b for v, b in zip(values, bare)], f"{unit} more")
    return over


def ratio(results, over, what, who, base, limit):
    if who in over and base in over and over[base] > 0:
        results.goal(f"{what}: {who} / {base}", over[who] / over[base], limit)


def measure(results, rounds, seconds=0.4):
    r = recorders
    print("ns per system call (getppid)")
    over = overheads(results, "getppid", alternate(
        results, [r.Nothing, r.FloorBoth, r.Flightrec, r.FloorExit, r.FlightrecNoDurations, r.Ftrace, r.Perf,
                  r.Bpftrace, r.Strace], "getppid", seconds, rounds), "ns")
    ratio(results, over, "with durations", "flightrec", "empty programs, enter+exit", 1.5)
    ratio(results, over, "with durations", "flightrec", "ftrace", 0.45)
    ratio(results, over, "without durations", "flightrec, no durations", "empty program, exit", 1.4)
    print("openat and close of an existing file, with its path (two calls)")
    over = overheads(results, "openat+close", alternate(
        results, [r.Nothing, r.FloorBoth, r.Flightrec, r.Ftrace, r.FtraceStrings, r.PerfTrace], "open", seconds, rounds), "ns")
    ratio(results, over, "with path", "flightrec", "ftrace with strings", 0.5)
    ratio(results, over, "with path", "flightrec", "perf trace", 0.5)
    print("fork, exec and exit of a small static program")
    figures = alternate(results, [r.Nothing, r.FloorBoth, r.Flightrec, r.FtraceTasks, r.Ftrace, r.PerfTasks], "fork",
                        2 * seconds, rounds, str(recorders.BENCH / "bench_nothing"))
    over = overheads(results, "fork+exec+exit", figures, "ns")
    bare = statistics.median(f["wall_ns"] for f in figures["none"])
    for name, value in over.items():
        results.add("fork+exec+exit", name, [100 * value / bare], "% over none")
    results.goal("fork+exec+exit over none, %", 100 * over["flightrec"] / bare, 3)
