# SPDX-License-Identifier: Apache-2.0
"""Rows: throughput lost by real programs while every one of their system calls is recorded."""
import json
import os
import subprocess

import recorders as r
import workloads
from recorders import recording


def one(workload, who):
    with recording.Scope() as scope, workload(scope) as load, who(scope, load.pids()) as recorder:
        figure = load.run()
        steps = recorder.recorder.status().get("cost", {}) if isinstance(recorder, r.Flightrec) else {}
    return figure, steps


def measure(results, rounds):
    for workload in (workloads.Web, workloads.Redis, workloads.Compiler, workloads.Messaging):
        if why := workload.why_not():
            results.absent(workload.name, why)
            continue
        print(f"throughput lost: {workload.name}")
        who_all = [r.Nothing, r.FloorBoth, r.Flightrec, r.FlightrecBudget, r.Ftrace, r.Perf]
        here = [w for w in who_all if not w.why_not()]
        figures = {w.name: [] for w in here}
        for _ in range(rounds):
            for who in list(here):
                try:
                    figures[who.name].append(one(workload, who)[0])
                except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                    results.absent(f"{who.name}, {workload.name}", f"did not run: {error}")
                    here.remove(who)
                    del figures[who.name]
        bare = figures["none"]
        results.add(workload.name, "none", bare, "runs/s")
        lost = {name: results.add(workload.name, name, [100 * (1 - v / b) for v, b in zip(values, bare)], "% lost")
                for name, values in figures.items() if name != "none"}
        floor = lost[r.FloorBoth.name]
        if floor > 0:
            results.goal(f"{workload.name}: lost / lost with empty programs", lost["flightrec"] / floor, 1.2)
        if lost.get("ftrace", 0) > 0:
            results.goal(f"{workload.name}: lost / lost with ftrace", lost["flightrec"] / lost["ftrace"], 0.75)
        limit = {"nginx": 5, "compiler": 1}.get(workload.name)
        if limit:
            results.goal(f"{workload.name}: % lost with the default budget", lost[r.FlightrecBudget.name], limit)
    storm(results, rounds)


def storm(results, rounds):
    """Both CPUs do nothing but system calls: what is lost with the default budget is the budget."""
    print("a storm of getppid on every CPU, the default budget")
    figures = {}
    for _ in range(max(3, rounds // 2)):
        for who in (r.Nothing, r.FlightrecBudget):
            with recording.Scope() as scope:
                loads = [scope.start([r.BENCH / "bench_load", "getppid", "10", str(cpu)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE) for cpu in range(os.cpu_count())]
                with who(scope, [p.pid for p in loads]):
                    for load in loads:
                        load.stdin.close()
                        load.stdin = None
                    made = sum(json.loads(load.communicate()[0])["operations"] for load in loads)
            figures.setdefault(who.name, []).append(made / 10)
    bare = figures["none"]
    results.add("storm", "none", bare, "calls/s")
    lost = results.add("storm", r.FlightrecBudget.name,
                       [100 * (1 - v / b) for v, b in zip(figures[r.FlightrecBudget.name], bare)], "% lost")
    results.goal("storm: distance from the budget of 3 %, in %", abs(lost - 3), 1)
