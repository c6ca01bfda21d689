# SPDX-License-Identifier: Apache-2.0
"""The disk is full or read-only, or a folder is gone: the dump arrives all the same, and nothing is corrupt.

Each run takes one failure (by the seed), on a small file system of its own: full after the start (the spool has room in
reserve for one dump, the next is kept in memory), the dump directory's disk full, the spool's folder removed. (Read-only: read_only.py, in a guest.) Dumps go to a receiver outside and, in one case, to the full directory, where
they must arrive once there is room again.
"""
import contextlib
import ctypes
import os
import shutil
import subprocess

import recording
from support import Nginx, wait_for

COUNT = 24
SHORT = 1

FAILURES = ("full", "dump directory full", "spool gone")


def mount(target, options, flags=0):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", flags, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount on {target}")


def fill(folder):
    with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


class OnDisk(recording.Recorder):
    """Its window and spool are on the small file system."""

    def argv(self):
        out = super().argv()
        for option, name in (("--window", "window.flight"), ("--spool", "spool")):
            out[out.index(option) + 1] = self.disk / name
        self.window, self.spool = self.disk / "window.flight", self.disk / "spool"
        return out


def run(fault):
    failure = FAILURES[fault.seed % len(FAILURES)]
    disk, other = fault.folder / "disk", fault.folder / "other"
    disk.mkdir()
    other.mkdir()
    mount(disk, "size=44m,mode=0700")
    mount(other, "size=2m,mode=0700")
    OnDisk.disk = disk
    try:
        with Nginx(fault.folder / "nginx") as receiver, recording.Scope() as scope:
            options = ["--ca-file", receiver.certificate, "--debounce", "0s"]
            if failure == "dump directory full":
                options += ["--to", other / "dumps"]
            with OnDisk(scope, *options, to=receiver.url, window_size="16M") as recorder:
                break_it(failure, disk, other, recorder)
                scope.run([recording.workload(fault.random.choice(["segfault", "abort"]))])
                receiver.wait_for(1)
                done = recording.flightrec("dump", "--control", recorder.control, "--reason", "again")
                fault.expect(done.returncode == 0, f"a second dump: {done.stderr}")
                receiver.wait_for(2)
                if failure == "dump directory full":
                    wait_for(lambda: "free" in "".join(s["last_error"] for s in recorder.status()["sinks"]),
                             f"no clear message: {recorder.stderr()}")
                    (other / "filler").unlink()
                    recording.flightrec("dump", "--control", recorder.control)
                    wait_for(lambda: len(list((other / "dumps").glob("*.flight"))) >= 3, "nothing came after it was freed")
                status = recorder.status()
                fault.expect(status["incidents"]["failed_dumps"] == 0, f"a dump failed: {recorder.stderr()}")
                repair(failure, disk)
                recorder.stop()
                said = [line for line in recorder.stderr().splitlines() if "warning" in line and "oom" not in line]
                fault.note(f"{failure}: {said[-1][:170] if said else 'nothing to say'}")
                recording.verify(recorder.window)
            for dump in receiver.dumps():
                recording.verify(dump)
    finally:
        for folder in (disk, other):
            subprocess.run(["umount", "-l", folder], check=False)


def break_it(failure, disk, other, recorder):
    if failure == "full":
        fill(disk)
    elif failure == "dump directory full":
        (other / "dumps").mkdir(mode=0o700, exist_ok=True)
        fill(other)
    elif failure == "spool gone":
        shutil.rmtree(disk / "spool")


def repair(failure, disk):
    if failure == "full":
        with contextlib.suppress(OSError):
            (disk / "filler").unlink()
