# SPDX-License-Identifier: Apache-2.0
"""Rows: what real programs lose while every one of their system calls is recorded.

Lost is CPU time: what the load takes for one request or run beside what it takes without a recorder, with the CPU time
of the recorder's own process on top. On a machine that has nothing else to do this is the throughput lost at saturation;
unlike throughput it does not change when other processes run. The throughput itself stands beside it.
"""
import pathlib
import subprocess

import recorders as r
import workloads
from recorders import recording


def cpu_seconds(scope):
    """CPU time of all processes of the scope, ended ones too (Documentation/admin-guide/cgroup-v2.rst, cpu.stat)."""
    for line in pathlib.Path(scope.path, "cpu.stat").read_text().splitlines():
        if line.startswith("usage_usec "):
            return int(line.split()[1]) * 1e-6
    raise RuntimeError("the kernel accounts no CPU time to control groups")


def one(workload, who):
    """(operations a second, CPU seconds of the load and of the recorder for one operation)"""
    with recording.Scope() as scope, workload(scope) as load, who(scope, load.pids()) as recorder:
        if load.repeats:
            load.run()  # the cost budget's first second is free, and caches are cold
        own = recorder.cpu_ns()
        before = cpu_seconds(scope)
        rate = load.run()
        took = cpu_seconds(scope) - before
        own = (recorder.cpu_ns() - own) * 1e-9
    return rate, took / load.operations, own / load.operations


def measure_one(results, rounds, workload):
    print(f"lost: {workload.name}")
    who_all = [r.Nothing, r.FloorBoth, r.Flightrec, r.FlightrecBudget, r.Ftrace, r.Perf]
    here = [w for w in who_all if not w.why_not()]
    runs = {w.name: [] for w in here}
    for _ in range(rounds):
        for who in list(here):
            try:
                runs[who.name].append(one(workload, who))
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                results.absent(f"{who.name}, {workload.name}", f"did not run: {error}")
                here.remove(who)
                del runs[who.name]
    bare = runs.pop("none")
    results.add(workload.name, "none", [rate for rate, _, _ in bare], "runs/s")
    results.add(workload.name, "none", [1 / cpu for _, cpu, _ in bare], "runs/CPU s")
    lost = {}
    for name, values in runs.items():
        pairs = list(zip(values, bare))
        lost[name] = results.add(workload.name, name, [100 * (1 - b[1] / (v[1] + v[2])) for v, b in pairs], "% lost",
                                 f"of the throughput {sorted(100 * (1 - v[0] / b[0]) for v, b in pairs)[len(pairs) // 2]:.1f} %")
        if any(v[2] for v in values):
            results.add(workload.name, name + ", its process", [100 * v[2] / (v[1] + v[2]) for v in values], "% of that CPU")
    floor = lost[r.FloorBoth.name]
    if floor > 0:
        results.goal(f"{workload.name}: lost / lost with empty programs", lost["flightrec"] / floor, 1.2)
    if lost.get("ftrace", 0) > 0:
        results.goal(f"{workload.name}: lost / lost with ftrace", lost["flightrec"] / lost["ftrace"], 0.75)
    limit = {"nginx": 5, "compiler": 1}.get(workload.name)
    if limit:
        results.goal(f"{workload.name}: % lost with the default budget", lost[r.FlightrecBudget.name], limit)


def measure(results, rounds):
    for workload in (workloads.Web, workloads.Redis, workloads.Compiler, workloads.Messaging):
        if why := workload.why_not():
            results.absent(workload.name, why)
        else:
            measure_one(results, rounds, workload)
