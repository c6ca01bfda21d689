# SPDX-License-Identifier: Apache-2.0
"""Rows: what a storm of system calls on every CPU loses under a cost budget; whether a normal load is recorded whole."""
import contextlib
import mmap
import os
import statistics
import struct
import tempfile
import time

import recorders as r
import workloads
from recorders import recording

CALM = 4.0  # seconds without a recorder, between two settings
SETTLE = 3.0  # a bucket is full at first, and the first steps are taken
MEASURE = 10.0
BINS = 65536  # milliseconds that load.cpp keeps


class BudgetOf(r.Flightrec):
    def __init__(self, scope, share):
        super().__init__(scope, [])
        self.options = ("--budget", share)


class Storm:
    """getppid without an end on every CPU, in the scope."""

    def __init__(self, scope, stack):
        self.bins = []
        for cpu in range(os.cpu_count()):
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="flightrec-bench-"))
            file.truncate(16 * BINS)
            memory = stack.enter_context(contextlib.closing(mmap.mmap(file.fileno(), 16 * BINS)))
            self.bins.append(memory)
            process = scope.start([r.BENCH / "bench_load", "storm", file.name, str(cpu)])
            stack.callback(process.wait)
            stack.callback(process.kill)

    def watch(self, seconds):
        """(calls a second of CPU time, share of them in % that was lost) over so long."""
        begin = time.monotonic_ns() // 1_000_000
        time.sleep(seconds)
        end = time.monotonic_ns() // 1_000_000 - 1
        calls, cpu, lost = 0, 0, []
        for memory in self.bins:
            made = [struct.unpack_from("<qq", memory, 16 * (at % BINS)) for at in range(begin, end)]
            calls += sum(bin[0] for bin in made)
            cpu += sum(bin[1] for bin in made)
            lost += dips(made)
        return calls / cpu * 1e9, 100 * statistics.mean(lost)


def dips(made, window=250):
    """What each quarter of a second made less than at the speed of its undisturbed milliseconds.

    The speed of a virtual machine wanders by several percent within seconds: only what lies close together can be
    compared to 1 %. Most milliseconds lie between bursts, so that their median is the undisturbed speed of then; it is
    counted in CPU time, so that other processes do not matter.
    """
    for at in range(0, len(made) - window + 1, window):
        part = [(calls, cpu) for calls, cpu in made[at:at + window] if cpu > 300_000]
        if len(part) > window // 4:
            speed = statistics.median(calls / cpu for calls, cpu in part)
            yield 1 - sum(calls for calls, _ in part) / sum(cpu for _, cpu in part) / speed


def with_budget(scope, storm, share):
    """(calls a second, share lost in %, the recorder's own CPU time, what it believes: in % of every CPU, steps a second)"""
    with BudgetOf(scope, share) as who:
        time.sleep(SETTLE)
        began, cpu, before = time.monotonic(), who.cpu_ns(), who.recorder.status()["cost"]
        rate, lost = storm.watch(MEASURE)
        after, took = who.recorder.status()["cost"], time.monotonic() - began
        cpu = who.cpu_ns() - cpu
    percent = took * 1e7 * os.cpu_count()
    return (rate, lost, cpu / percent, (after["spent_ns"] - before["spent_ns"]) / percent,
            (after["changes"] - before["changes"]) / took)


def storm(results, rounds):
    print("a storm of getppid on every CPU")
    shares = ("1%", "3%", "5%")
    found = {share: [] for share in shares}
    calm, off, still = [], [], []
    with recording.Scope() as scope, contextlib.ExitStack() as stack:
        load = Storm(scope, stack)
        time.sleep(0.5)
        for number in range(rounds):
            for share in shares:
                bare, noise = load.watch(CALM)
                calm.append(bare)
                still.append(noise)
                _, lost, own, told, steps = with_budget(scope, load, share)
                found[share].append((lost - noise + own, own, told, steps))
                time.sleep(0.3)
            if number < 3:
                off.append(100 * (1 - with_budget(scope, load, "off")[0] / load.watch(CALM)[0]))
    results.add("storm", "none", calm, "calls/CPU s")
    results.add("storm", "none, milliseconds below the median", still, "% lost")
    results.add("storm", "budget off, in the kernel alone", off, "% lost")
    for share in shares:
        lost, own, told, steps = zip(*found[share])
        results.add("storm", f"budget {share}", lost, "% lost", f"{statistics.median(steps):.1f} steps a second")
        results.add("storm", f"budget {share}, the recorder's CPU time in that", own, "% of every CPU")
        results.add("storm", f"budget {share}, by its own account", told, "% of every CPU")
        results.goal(f"storm, budget {share}: distance from it in %",
                     abs(statistics.median(lost) - float(share.rstrip("%"))), 1)


def normal(results, rounds, workload):
    """System calls that were left out by the default budget."""
    skipped, calls, steps = [], [], 0
    for _ in range(rounds):
        with recording.Scope() as scope, workload(scope) as load, r.FlightrecBudget(scope, load.pids()) as who:
            load.run()
            time.sleep(0.5)
            status = who.recorder.status()
            line = status["ledger"]["syscall"]
            skipped.append(line["skipped"] + line["overwritten"] + line["torn"])
            calls.append(line["produced"])
            steps += status["cost"]["changes"]
    results.add(workload.name, "flightrec, default budget", skipped, "calls left out",
                f"of {statistics.median(calls):,.0f}, {steps} steps in all runs")
    results.goal(f"{workload.name}: calls left out by the default budget", max(skipped), 0)


def measure(results, rounds):
    storm(results, rounds)
    print("a normal load under the default budget")
    for workload in (workloads.WebPaced, workloads.Compiler):
        if why := workload.why_not():
            results.absent(workload.name, why)
        else:
            normal(results, rounds, workload)
