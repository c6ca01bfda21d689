# SPDX-License-Identifier: Apache-2.0
"""Collects what is measured, prints the table, writes the JSON."""
import json
import os
import platform
import statistics


def spread(values):
    """Half the distance of the quartiles, in percent of the median."""
    if len(values) < 3 or not statistics.median(values):
        return 0.0
    quartiles = statistics.quantiles(values, n=4)
    return 100 * (quartiles[2] - quartiles[0]) / 2 / abs(statistics.median(values))


class Results:
    def __init__(self):
        self.rows, self.missing, self.goals = [], {}, []

    def add(self, row, who, values, unit, note=""):
        """One measured figure: `values` of the single runs."""
        entry = {"row": row, "who": who, "median": statistics.median(values), "spread_percent": round(spread(values), 1),
                 "unit": unit, "runs": [round(v, 4) for v in values], "note": note}
        self.rows.append(entry)
        print(f"  {row:<34} {who:<42} {entry['median']:>14,.2f} {unit:<16} ± {entry['spread_percent']:>4.1f} %  {note}",
              flush=True)
        return entry["median"]

    def absent(self, who, why):
        if who not in self.missing:
            self.missing[who] = why
            print(f"  missing: {who}: {why}", flush=True)

    def goal(self, what, value, limit, at_most=True):
        met = value <= limit if at_most else value >= limit
        self.goals.append({"goal": what, "value": round(value, 4), "limit": limit, "at_most": at_most, "met": met})
        print(f"  {'MET ' if met else 'MISS'} {what}: {value:.3g} ({'at most' if at_most else 'at least'} {limit:g})",
              flush=True)

    def write(self, path):
        cpu = "?"
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    cpu = line.partition(":")[2].strip()
        document = {"machine": {"cpu": cpu, "cpus": os.cpu_count(), "kernel": platform.release()},
                    "results": self.rows, "goals": self.goals, "missing": self.missing}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        print(f"\n{sum(g['met'] for g in self.goals)} of {len(self.goals)} goals met; written to {path}")
