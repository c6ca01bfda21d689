# SPDX-License-Identifier: Apache-2.0
"""Rows: what a saturated web server loses, by short alternating segments of one server and one client that never stop.

The speed of a virtual machine wanders by 20 % within minutes: only segments seconds apart can be compared. Each pair is
none, candidate, candidate, none with the same nginx (CPU 0) and wrk (CPU 1) running; its figure is what the two in the
middle made less than the two outside. Medians over the pairs.
"""
import http.client
import pathlib
import re
import statistics
import subprocess
import time

import recorders as r
import workloads
from recorders import recording

SECONDS = 0.5  # a segment
PAUSE = 0.3
SETTLE_BUDGET = 3.0  # its bucket is full at first, and the first steps are taken


class Live(workloads.Web):
    """nginx and wrk, running until the end."""
    connections = 128

    def start(self):
        super().start()
        argv = ["taskset", "-c", "1", "wrk", "-t1", "-d3600s", f"-c{self.connections}", f"http://127.0.0.1:{self.port}/"]
        self.client = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        self.stack.callback(self.client.wait)
        self.stack.callback(self.client.kill)
        self.status = http.client.HTTPConnection("127.0.0.1", self.port)
        self.stack.callback(self.status.close)
        children = pathlib.Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text().split()
        self.worker = children[0]

    def now(self):
        """(s, requests ever, CPU seconds of the server's worker, of the client)"""
        self.status.request("GET", "/status")
        text = self.status.getresponse().read().decode()
        requests = int(re.search(r"requests\s+\d+ \d+ (\d+)", text).group(1))
        return time.monotonic(), requests, cpu_s(self.worker), cpu_s(self.client.pid)

    def segment(self, seconds):
        """(requests a second, CPU µs of the server for one, share of its CPU, the same of the client)"""
        before = self.now()
        time.sleep(seconds)
        after = self.now()
        took, made, server, client = (b - a for a, b in zip(before, after))
        return made / took, server / made * 1e6, server / took, client / took


def cpu_s(pid):
    return sum(int(task.read_text().split()[0])
               for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) * 1e-9


def lost(bare, with_it):
    """(% of the requests a second lost, % more CPU time of the server for one)"""
    rate = [statistics.mean(s[0] for s in side) for side in (bare, with_it)]
    cpu = [statistics.mean(s[1] for s in side) for side in (bare, with_it)]
    return 100 * (1 - rate[1] / rate[0]), 100 * (cpu[1] / cpu[0] - 1)


def pair(live, scope, who, settle, seconds):
    """none, candidate, candidate, none"""
    before = live.segment(seconds)
    with who(scope, live.pids()) as candidate:
        time.sleep(settle)
        own = candidate.cpu_ns()
        began = time.monotonic()
        with_it = [live.segment(seconds), live.segment(seconds)]
        own = (candidate.cpu_ns() - own) / (time.monotonic() - began) * 1e-7
    time.sleep(PAUSE)
    return (*lost([before, live.segment(seconds)], with_it), own)


def measure(results, rounds):
    print("what a saturated web server loses, in alternating segments")
    if Live.why_not():
        results.absent("nginx", Live.why_not())
        return
    here = {}
    for who in (r.FloorExit, r.FloorBoth, r.Flightrec, r.FlightrecBudget, r.Ftrace):
        if who.why_not():
            results.absent(who.name, who.why_not())
        else:
            here[who] = []
    with recording.Scope() as scope, Live(scope) as live:
        time.sleep(1)
        first = live.segment(SECONDS)
        for _ in range(rounds):
            for who, pairs in here.items():
                settle = SETTLE_BUDGET if who is r.FlightrecBudget else PAUSE
                pairs.append(pair(live, scope, who, settle, SECONDS))
    results.add("saturated nginx", "none", [first[0]], "requests/s", f"{100 * first[2]:.0f} % of its CPU")
    figures = {}
    for who, pairs in here.items():
        more, own = (statistics.median(p[i] for p in pairs) for i in (1, 2))
        note = f"{more:.1f} % more CPU a request; its own process {own:.1f} % of a CPU"
        figures[who] = results.add("saturated nginx", who.name, [p[0] for p in pairs], "% lost", note)
    floor, whole = figures[r.FloorBoth], figures[r.Flightrec]
    results.goal("saturated nginx: lost / lost with empty programs", whole / floor, 1.2)
    if r.Ftrace in figures:
        results.goal("saturated nginx: lost / lost with ftrace", whole / figures[r.Ftrace], 0.75)
    results.goal("saturated nginx, default budget, % lost", figures[r.FlightrecBudget], 5)
