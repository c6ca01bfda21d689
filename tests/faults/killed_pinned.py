# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at random moments with --pin: every window is readable, every call is in one window or in one ledger, once.

A workload makes numbered calls without pause, the only calls that are recorded, and children. The recorder is killed
KILLS times, after a random time each (also while it starts), and started again. Every window must verify. No number may
be in two windows, and as many must be in none as the ledgers count as overwritten: with an even seed the ring is so small
that it wraps between two recorders, with an odd one hardly ever.
"""
import pathlib
import shutil
import signal
import subprocess
import time

import recording
from support import bpf_file_system, numbers

COUNT = 40
SHORT = 1
KILLS = 25


def rows_of(fault, window):
    """The ledger; nothing for a window whose recorder was killed before its first block."""
    done = recording.flightrec("verify", window)
    fault.expect(": intact" in done.stdout, f"{window} is damaged: {done.stdout} {done.stderr}")
    return {} if "no ledger in it" in done.stdout else recording.ledger(window)


def missing_of(found, last):
    return sorted(set(range(1, last + 1)) - set(found))


def keep(window, copy, windows):
    """Once each: a recorder that was killed early left its predecessor's window, or had just set it aside."""
    if not window.exists():
        return
    shutil.copy(window, copy)
    if windows and windows[-1].read_bytes()[:4096] == copy.read_bytes()[:4096]:
        windows.pop().unlink()
    windows.append(copy)


def start_killed(fault, recorder, after):
    """Starts the recorder and kills it so many seconds later, in whatever state it is then."""
    with open(recorder.folder / "stderr", "ab") as errors:
        process = subprocess.Popen(list(map(str, recorder.argv())), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=errors)
    time.sleep(after)
    fault.expect(process.poll() is None, f"the recorder ended by itself: {recorder.stderr()}")
    process.kill()
    process.wait()


def windows_of(fault):
    """Makes them: (windows, last number, children)."""
    kills = 6 if fault.short else KILLS
    windows = []
    with bpf_file_system(fault.folder / "bpf") as pins, recording.Scope() as scope:
        options = ("--pin", "--pin-folder", pins / "flightrec", "--no-crash-trigger", "--syscalls", "lseek",
                   "--syscall-ring", "2M" if fault.seed % 2 else "128K")
        with recording.Recorder(scope, *options) as recorder:
            load = scope.start([recording.workload("numbered_calls"), "--rate", "4000", "--fork", "200", "--nap", "1000"],
                               stdout=subprocess.PIPE)
            recorder.settle(0.5)
            recorder.process.kill()
            recorder.process.wait()
            recorder.process.stdout.close()
            for number in range(kills):
                keep(recorder.window, fault.folder / f"{number}.flight", windows)
                start_killed(fault, recorder, fault.random.uniform(0, 1.2))
            keep(recorder.window, fault.folder / "last.flight", windows)
            recorder.start(120)
            recorder.settle(1.0)
            load.send_signal(signal.SIGTERM)
            out, _ = load.communicate(timeout=30)
            recorder.settle(0.5)
            recorder.stop()
            windows.append(pathlib.Path(shutil.copy(recorder.window, fault.folder / "end.flight")))
    fault.figure("kills", kills + 1)
    return windows, int(out.split()[1]), int(out.split()[3])


def run(fault):
    windows, last, children = windows_of(fault)
    found, overwritten, exits = [], 0, set()
    for window in windows:
        row = rows_of(fault, window).get("syscall", {})
        fault.expect(row.get("evicted", 0) == 0, f"{window.name} was too small")
        if "there are no events" in recording.flightrec("replay", window).stderr:  # killed before its first block
            continue
        overwritten += row.get("overwritten", 0) + row.get("torn", 0)
        found += numbers(window)
        exits |= {(e["pid"], e["start_ns"]) for e in recording.replay(window, "--class", "exit")
                  if e["comm"] == "numbered_calls"}
    missing = missing_of(found, last)
    fault.expect(len(missing) == overwritten, f"{len(missing)} of {last} calls are missing ({missing[:5]} …), the ledgers "
                                              f"count {overwritten} as overwritten or torn")
    fault.expect(len(found) == len(set(found)), f"{len(found) - len(set(found))} calls are in two windows")
    # SIGTERM may come between a child's birth and its count.
    fault.expect(len(exits) - children in (1, 2), f"{len(exits)} of {children + 1} exits were recorded")
    fault.figure("calls", last)
    fault.figure("missing", len(missing))
