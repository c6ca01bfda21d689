# SPDX-License-Identifier: Apache-2.0
"""What one run of a fault is given: its seed, a folder, the program, a guest of its own, and places for figures."""
import argparse
import importlib.util
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


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
