#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fault suite: every file of tests/faults/ named on the command line (or all), as often as asked, and a table.

A fault file has a docstring (its first line: what must hold), COUNT (runs of the whole suite), optionally SHORT (runs of
the short subset that ctest takes; 0: not in it) and run(fault), which does it once and raises AssertionError when the
promise is broken. `fault` is a Fault: its seed, a random generator from that seed, a folder that goes away, the program
and workloads, guest() for a machine of its own, and figure() for the table. run N of a suite has seed SEED + N, so that
`--seed S --count 1` repeats it.
"""
import argparse
import importlib.util
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import time
import traceback
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "kernel"), str(ROOT / "tests" / "vm")]
SKIPPED = 77


class Skip(Exception):
    """This machine cannot do it; the text says why."""


class Fault:
    """What one run of a fault is given."""

    def __init__(self, name, seed, short, kernel, folder, keep):
        self.name, self.seed, self.short, self.kernel, self.folder, self.keep = name, seed, short, kernel, folder, keep
        self.random = random.Random(f"{name} {seed}")
        self.figures = {}
        self.notes = []

    @property
    def program(self):
        import recording
        return recording.PROGRAM

    def figure(self, name, value):
        """A number for the table; over all runs it shows the median and the largest."""
        self.figures[name] = float(value)

    def note(self, text):
        self.notes.append(text)

    def expect(self, condition, message):
        if not condition:
            raise AssertionError(message)

    def guest(self, scripts, check=None, during=None, **settings):
        """Boots a guest once for each script (tests/vm: busybox sh) on one disk; returns its Run for looking at."""
        import recording
        runner = load(ROOT / "tests" / "vm" / "run.py", "vm_run")
        from harness.case import Case
        case = Case(name=self.name, shows="", guest=[scripts] if isinstance(scripts, str) else list(scripts),
                    check=check or (lambda run: None), during=during, kernels=[self.kernel],
                    memory=settings.pop("memory", 512), cpus=settings.pop("cpus", 2),
                    timeout=settings.pop("timeout", 240), disk=settings.pop("disk", 128),
                    append=settings.pop("append", ""), modules=settings.pop("modules", []),
                    extra=settings.pop("extra", []), qemu=settings.pop("qemu", []), needs_recorder=True,
                    may_die=settings.pop("may_die", False))
        if settings:
            raise TypeError(f"unknown settings {settings}")
        options = argparse.Namespace(binary=pathlib.Path(recording.PROGRAM), workloads=recording.WORKLOADS)
        if not (runner.kernels_folder() / self.kernel / "vmlinuz").exists():
            raise Skip(f"no guest kernel: scripts/fetch-kernel {self.kernel}")
        folder = self.folder / "guest"
        folder.mkdir()
        try:
            return runner.run_case(case, self.kernel, options, folder)
        except AssertionError as error:
            runner.report_failure(error, folder)
            raise
        finally:
            for name in ("initramfs", "disk.img"):
                (folder / name).unlink(missing_ok=True)


def load(path, name=None):
    spec = importlib.util.spec_from_file_location(name or path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def all_faults():
    return sorted(path for path in HERE.glob("*.py") if path.name not in ("run.py", "support.py"))


def first_line(module):
    return (module.__doc__ or "").strip().split("\n")[0]


class Row:
    """One line of the table."""

    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped, self.seconds = name, 0, [], "", 0.0
        self.figures = {}

    def text(self):
        if self.skipped:
            return f"{self.name:26} skipped: {self.skipped}"
        out = f"{self.name:26} {self.passed:5} of {self.passed + len(self.failed):<5} {self.seconds:8.1f} s"
        for name, values in self.figures.items():
            out += f"  {name} {statistics.median(values):g}"
            if len(values) > 1:
                out += f" (worst {max(values):g})"
        if self.failed:
            out += "  FAILED with --seed " + ", ".join(map(str, self.failed[:8]))
        return out


def run_once(module, name, seed, options, row):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"flightrec-fault-{name}-"))
    fault = Fault(name, seed, options.short, options.kernel, folder, options.keep)
    began = time.monotonic()
    good = False
    try:
        module.run(fault)
        good = True
        row.passed += 1
    except (Skip, unittest.SkipTest) as why:
        row.skipped = str(why)
        good = True
    except Exception as error:  # whatever it was, the other faults still run
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        else:
            where = traceback.extract_tb(error.__traceback__)
            print(f"  {' <- '.join(f'{pathlib.Path(f.filename).name}:{f.lineno}' for f in reversed(where[-3:]))}")
        print(f"  {name} with seed {seed}: {error}")
        row.failed.append(seed)
    row.seconds += time.monotonic() - began
    for key, value in fault.figures.items():
        row.figures.setdefault(key, []).append(value)
    for note in fault.notes:
        print(f"  {note}")
    if good and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"  kept {folder}")
    sys.stdout.flush()


def run_fault(path, options):
    module = load(path)
    row = Row(path.stem)
    count = options.count or (getattr(module, "SHORT", 0) if options.short else module.COUNT)
    print(f"{path.stem}: {first_line(module)}")
    for number in range(count):
        run_once(module, path.stem, options.seed + number, options, row)
        if row.skipped:
            break
        if count > 9 and (number + 1) % 10 == 0:
            print(f"  {number + 1} of {count}, {len(row.failed)} failed", flush=True)
    return row


def parse():
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="a file of tests/faults without .py (default: all)")
    parser.add_argument("--list", action="store_true", help="list the faults")
    parser.add_argument("--plain", action="store_true", help="with --list: NAME;SHORT, for CMake")
    parser.add_argument("--count", type=int, help="runs of each (default: its own)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count up (default 1)")
    parser.add_argument("--short", action="store_true", help="as often as the short subset does")
    parser.add_argument("--kernel", default="cloud", help="of guests: cloud, generic or rt (default cloud)")
    parser.add_argument("--build", type=pathlib.Path, help="build folder (default: build/release)")
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    return parser.parse_args()


def main():
    options = parse()
    if options.list:
        for path in all_faults():
            module = load(path)
            short = getattr(module, "SHORT", 0)
            print(f"{path.stem};{short}" if options.plain else
                  f"{path.stem:26} {short:3} / {module.COUNT:<5} {first_line(module)}")
        return 0
    build = options.build or ROOT / "build" / "release"
    os.environ.setdefault("FLIGHTREC_BINARY_DIR", str(build))
    os.environ.setdefault("FLIGHTREC_PROGRAM", str(build / "userspace" / "cli" / "flightrec"))
    os.environ.setdefault("FLIGHTREC_WORKLOADS", str(build / "tests" / "workloads"))
    if os.geteuid() != 0:
        print("faults: needs root")
        return SKIPPED
    if not os.access(os.environ["FLIGHTREC_PROGRAM"], os.X_OK):
        print(f"faults: {os.environ['FLIGHTREC_PROGRAM']} is not built", file=sys.stderr)
        return 2
    known = {path.stem: path for path in all_faults()}
    for name in options.name:
        if name not in known:
            print(f"faults: no fault '{name}'; --list shows them", file=sys.stderr)
            return 2
    rows = [run_fault(known[name], options) for name in options.name or known]
    print(f"\n{'fault':26} {'held':>14} {'time':>10}  figures: median (worst)")
    for row in rows:
        print(row.text())
    failed = sum(len(row.failed) for row in rows)
    print(f"{sum(row.passed for row in rows)} held, {failed} failed")
    if all(row.skipped for row in rows):
        return SKIPPED
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
