#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures flightrec beside the floor (empty BPF programs) and every rival found here: table on stdout, JSON beside.

Runs alternate: each round runs every candidate once, so that a slow minute hits all. Medians; the spread is half the
distance of the quartiles. Needs root. Only processes that this program starts are recorded (a control group of their
own, or by pid); empty programs and tracepoints cost everyone on the machine while they are attached.
"""
import argparse
import importlib
import os
import sys

sys.dont_write_bytecode = True
GROUPS = ("syscalls", "pipeline", "throughput", "saturated", "budget", "reading", "starting", "growth")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(GROUPS), help=f"groups, with commas: {','.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", default="bench.json", help="the JSON file (default bench.json)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: needs root: run it with sudo")
    import table
    results = table.Results()
    try:
        for group in arguments.only.split(","):
            if group not in GROUPS:
                sys.exit(f"bench: no group {group}: choose from {', '.join(GROUPS)}")
            importlib.import_module(group).measure(results, arguments.rounds)
    finally:
        results.write(arguments.out)


if __name__ == "__main__":
    main()
