# SPDX-License-Identifier: Apache-2.0
"""Rows: ns per system call, openat and close with their path, fork+exec+exit."""
import json
import subprocess

import recorders
from recorders import recording

CPU = "1"


def run_load(who, call, seconds, *more):
    """One process of tests/bench/load.cpp in a scope of its own, measured before, while and after `who` records it:
    the figures while, and `bare_wall_ns` and so on, the mean of before and after."""
    with recording.Scope() as scope:
        load = scope.start([recorders.BENCH / "bench_load", call, str(seconds), CPU, *more], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)

        def figures():
            load.stdin.write(b"x")
            load.stdin.flush()
            return json.loads(load.stdout.readline())

        try:
            figures()  # warms up
            before = figures()
            with who(scope, [load.pid]):
                during = figures()
            after = figures()
        finally:
            load.stdin.close()
            load.stdout.close()
            if load.poll() is None:
                load.kill()
            load.wait()
    return during | {f"bare_{key}": (before[key] + after[key]) / 2 for key in before}


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
    """Adds what it takes unrecorded, and what each one adds to that; {name: what it adds}."""
    results.add(row, "none", [f["bare_" + key] for values in figures.values() for f in values], unit)
    return {name: results.add(row, name, [v[key] - v["bare_" + key] for v in values], f"{unit} more")
            for name, values in figures.items() if values}


def ratio(results, over, what, who, base, limit):
    if who in over and base in over and over[base] > 0:
        results.goal(f"{what}: {who} / {base}", over[who] / over[base], limit)


def measure(results, rounds, seconds=0.3):
    r = recorders
    print("ns per system call (getppid)")
    over = overheads(results, "getppid", alternate(
        results, [r.FloorBoth, r.Flightrec, r.FloorExit, r.FlightrecNoDurations, r.Ftrace, r.Perf,
                  r.Bpftrace, r.Strace], "getppid", seconds, rounds), "ns")
    ratio(results, over, "with durations", "flightrec", "empty programs, enter+exit", 1.5)
    ratio(results, over, "with durations", "flightrec", "ftrace", 0.45)
    ratio(results, over, "without durations", "flightrec, no durations", "empty program, exit", 1.4)
    print("openat and close of an existing file, with its path (two calls)")
    over = overheads(results, "openat+close", alternate(
        results, [r.FloorBoth, r.Flightrec, r.Ftrace, r.FtraceStrings, r.PerfTrace], "open", seconds, rounds), "ns")
    ratio(results, over, "with path", "flightrec", "ftrace with strings", 0.5)
    ratio(results, over, "with path", "flightrec", "perf trace", 0.5)
    print("fork, exec and exit of a small static program")
    figures = alternate(results, [r.FloorBoth, r.Flightrec, r.FtraceTasks, r.Ftrace, r.PerfTasks], "fork",
                        2 * seconds, rounds, str(recorders.BENCH / "bench_nothing"))
    overheads(results, "fork+exec+exit", figures, "ns")
    share = {name: results.add("fork+exec+exit", name,
                               [100 * (v["wall_ns"] / v["bare_wall_ns"] - 1) for v in values], "% over none")
             for name, values in figures.items() if values}
    results.goal("fork+exec+exit over none, %", share["flightrec"], 3)
