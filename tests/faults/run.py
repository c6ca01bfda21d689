#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fault suite: every file of tests/faults/ named on the command line (or all), as often as asked, and a table.

A fault file has a docstring (its first line: what must hold), COUNT (runs of the whole suite), optionally SHORT (runs of
the short subset that ctest takes; 0: not in it), optionally GUEST_RUN (True: it needs a guest kernel) and run(fault),
which does it once and raises AssertionError when the promise is broken. `fault` is a Fault (fault.py). Run N of a suite has
seed SEED + N, so that `--seed S --count 1` repeats it.

Every run is a process of its own, with a time limit, so that one that hangs or breaks the runner does not end the suite.
With --results a suite that was interrupted goes on where it was; --table prints the table of one or more such files.
"""
import argparse
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "kernel"), str(ROOT / "tests" / "vm")]

import table  # noqa: E402  (after the path)
from fault import Fault, Skip, load  # noqa: E402

SKIPPED = 77
NO_FAULT = ("run.py", "support.py", "fault.py", "table.py")
LIMIT = 1200  # seconds for one run


def all_faults():
    return sorted(path for path in HERE.glob("*.py") if path.name not in NO_FAULT)


def first_line(module):
    return (module.__doc__ or "").strip().split("\n")[0]


def version():
    done = subprocess.run([os.environ["FLIGHTREC_PROGRAM"], "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["?"])[0]


def run_here(path, seed, options):
    """Does it once in this process; returns its result."""
    name = path.stem
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"flightrec-fault-{name}-"))
    fault = Fault(name, seed, options.short, options.kernel, folder, options.keep)
    result = {"fault": name, "seed": seed, "kernel": options.kernel, "version": version(), "held": False, "skipped": "",
              "error": ""}
    began = time.monotonic()
    try:
        load(path).run(fault)
        result["held"] = True
    except (Skip, unittest.SkipTest) as why:
        result["skipped"] = str(why)
    except Exception as error:  # whatever it was, the other faults still run
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        where = " <- ".join(f"{pathlib.Path(f.filename).name}:{f.lineno}"
                            for f in reversed(traceback.extract_tb(error.__traceback__)[-3:]))
        result["error"] = f"{where}: {error or type(error).__name__}"
    result.update(seconds=round(time.monotonic() - began, 1), figures=fault.figures, notes=fault.notes)
    if options.keep or not (result["held"] or result["skipped"]):
        print(f"  kept {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def run_apart(path, seed, options, through):
    """Does it once in a process of its own; returns its result, whatever becomes of that process."""
    with tempfile.NamedTemporaryFile(prefix="flightrec-result-") as file:
        argv = [*shlex.split(through), sys.executable, str(HERE / "run.py"), path.stem, "--seed", str(seed), "--one",
                file.name, "--kernel", options.kernel]
        argv += ["--short"] * options.short + ["--keep"] * options.keep
        began = time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            ended = f"ended with {child.wait(LIMIT)}"
        except subprocess.TimeoutExpired:
            ended = f"did not end in {LIMIT} s"
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)  # what it left behind
            except ProcessLookupError:
                pass
            child.wait()
        text = pathlib.Path(file.name).read_text(encoding="utf-8")
    if text:
        return json.loads(text)
    return {"fault": path.stem, "seed": seed, "kernel": options.kernel, "version": version(), "held": False, "skipped": "",
            "error": f"the run {ended} and gave no result", "seconds": round(time.monotonic() - began, 1), "figures": {},
            "notes": []}


def tell(result):
    for note in result["notes"]:
        print(f"  {note}")
    if result["skipped"]:
        print(f"  skipped: {result['skipped']}")
    elif not result["held"]:
        print(f"  {result['fault']} with seed {result['seed']} FAILED: {result['error']}")
    sys.stdout.flush()


def run_fault(path, options, done):
    """All runs of one fault; returns their results, those of `done` taken over."""
    module = load(path)
    count = options.count or (getattr(module, "SHORT", 0) if options.short else module.COUNT)
    through = options.guest_through if getattr(module, "GUEST_RUN", False) else options.through
    print(f"{path.stem}: {first_line(module)}", flush=True)
    results = []
    for seed in range(options.seed, options.seed + count):
        before = done.get((path.stem, seed, options.kernel))
        if before and before["held"]:
            results.append(before)
            continue
        result = run_apart(path, seed, options, through)
        tell(result)
        results.append(result)
        if options.results:
            table.append(options.results, result)
        if result["skipped"]:
            break
        if count > 9 and len(results) % 10 == 0:
            print(f"  {len(results)} of {count}, {sum(not r['held'] for r in results)} failed", flush=True)
    return results


def prepare(names):
    """What guests need, where it is not there: a suite that was asked for as a whole should not skip for want of it."""
    modules = [load(all_faults_by_name()[name]) for name in names]
    if not any(getattr(module, "GUEST_RUN", False) for module in modules):
        return
    for script, *arguments in (("fetch-kernel", "cloud"), ("make-guest-image",)):
        if subprocess.run([ROOT / "scripts" / script, *arguments], check=False).returncode != 0:
            print(f"faults: scripts/{script} failed; what needs it will be skipped", file=sys.stderr)


def all_faults_by_name():
    return {path.stem: path for path in all_faults()}


def parse():
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="a file of tests/faults without .py (default: all)")
    parser.add_argument("--list", action="store_true", help="list the faults")
    parser.add_argument("--plain", action="store_true", help="with --list: NAME;SHORT, for CMake")
    parser.add_argument("--count", type=int, help="runs of each (default: its own)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count up (default 1)")
    parser.add_argument("--short", action="store_true", help="as often as the short subset does")
    parser.add_argument("--where", choices=("guest", "here"), help="only the faults that need a guest, or the others")
    parser.add_argument("--kernel", default="cloud", help="of guests: cloud, generic or rt (default cloud)")
    parser.add_argument("--build", type=pathlib.Path, help="build folder (default: build/release)")
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    parser.add_argument("--results", type=pathlib.Path, help="append every result to this file, and do not repeat what "
                                                             "held in it")
    parser.add_argument("--table", type=pathlib.Path, nargs="+", metavar="RESULTS",
                        help="run nothing; the table of these files")
    parser.add_argument("--through", default="", help="run each through this command (nice, flock, …)")
    parser.add_argument("--guest-through", help="the same for those that need a guest (default: as --through)")
    parser.add_argument("--one", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.guest_through is None:
        options.guest_through = options.through
    return options


def list_faults(plain):
    for path in all_faults():
        module = load(path)
        short = getattr(module, "SHORT", 0)
        print(f"{path.stem};{short}" if plain else f"{path.stem:26} {short:3} / {module.COUNT:<5} {first_line(module)}")
    return 0


def chosen(options):
    known = all_faults_by_name()
    for name in options.name:
        if name not in known:
            sys.exit(f"faults: no fault '{name}'; --list shows them")
    names = options.name or list(known)
    if options.where:
        names = [n for n in names if getattr(load(known[n]), "GUEST_RUN", False) == (options.where == "guest")]
    return {name: known[name] for name in names}


def environment(build):
    build = (build or ROOT / "build" / "release").resolve()
    os.environ.setdefault("FLIGHTREC_BINARY_DIR", str(build))
    os.environ.setdefault("FLIGHTREC_PROGRAM", str(build / "userspace" / "cli" / "flightrec"))
    os.environ.setdefault("FLIGHTREC_WORKLOADS", str(build / "tests" / "workloads"))


def main():
    options = parse()
    if options.list:
        return list_faults(options.plain)
    faults = chosen(options)
    if options.table:
        print(table.table(faults, [r for r in table.read(options.table) if r["fault"] in faults]))
        return 0
    environment(options.build)
    if os.geteuid() != 0:
        print("faults: needs root")
        return SKIPPED
    if not os.access(os.environ["FLIGHTREC_PROGRAM"], os.X_OK):
        print(f"faults: {os.environ['FLIGHTREC_PROGRAM']} is not built", file=sys.stderr)
        return 2
    if options.one:
        table.append(options.one, run_here(next(iter(faults.values())), options.seed, options))
        return 0
    if not options.name and not options.short:
        prepare(faults)
    done = {(r["fault"], r["seed"], r["kernel"]): r for r in table.read([options.results] if options.results else [])}
    results = [result for path in faults.values() for result in run_fault(path, options, done)]
    print("\n" + table.table(faults, results))
    if all(r["skipped"] for r in results):
        return SKIPPED
    return 1 if any(not r["held"] and not r["skipped"] for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
