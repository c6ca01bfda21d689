# SPDX-License-Identifier: Apache-2.0
"""Restarted with another version or configuration, the old window stays whole and the gap is told, and is true.

A workload makes numbered calls, of which every recorder records all. RESTARTS recorders follow each other on one window,
each with its version, options and way to end (stopped in order or killed) drawn by the seed; an odd one pins. The other
version is the same program with another number in it. After every restart the window before must stand beside the new
one byte for byte, and the new one's marker and report must say how that one ended, whether version and configuration are
others, which older window was given up, and how long nothing was recorded. Where no such time is told, every number is in
one of the two windows or counted in a ledger; where one is told, it is the time between the two recordings.
"""
import pathlib
import re
import shutil
import subprocess

import recording
from support import bpf_file_system, dead_or_asleep, numbers

COUNT = 12
SHORT = 1
RESTARTS = 8
OPTIONS = ((), ("--seal-after", "200ms"), ("--syscalls", "lseek,getppid"), ("--seal-after", "350ms"))


def other_version(fault, program):
    """A copy of the program that says it is another version: (path, its version, the other)."""
    told = subprocess.run([program, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[1]
    changed = ("8" if told[0] != "8" else "7") + told[1:]  # not the end: another string may share it
    copy = fault.folder / "flightrec"
    binary = pathlib.Path(program).read_bytes()
    for before in (b"flightrec ", b"\0"):  # not in the middle of another number
        binary = binary.replace(before + told.encode() + b"\0", before + changed.encode() + b"\0")
    copy.write_bytes(binary)
    copy.chmod(0o755)
    said = subprocess.run([copy, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[1]
    fault.expect(said == changed, f"the copy says it is {said}, not {changed}")
    return copy, told, changed


class Versioned(recording.Recorder):
    """A recorder whose program and options can be others after a restart."""

    program = recording.PROGRAM
    version = ""

    def argv(self):
        return [self.program, *super().argv()[1:]]


def marker_of(window):
    found = [e for e in recording.replay(window, "--class", "marker") if e["kind"] == "previous_end"]
    return found[-1] if found else None


def check_story(fault, said, wanted):
    """wanted: {text: whether it must be there}."""
    for text, there in wanted.items():
        fault.expect((text in said) == there, f'"{text}" is {"not " if there else ""}in: {said}')


def end(recorder, in_order):
    if in_order:
        recorder.stop()
        return
    recorder.process.kill()
    recorder.process.wait()
    recorder.process.stdout.close()


def last_event_ns(window):
    return max(e["boot_ns"] for e in recording.replay(window, "-v"))


def numbers_between(fault, old, new):
    """(missing numbers between the two windows, those that the new ledger counts as lost)."""
    before, after = numbers(old), numbers(new)
    fault.expect(before and after, "no numbered call in a window")
    fault.expect(before[-1] < after[0], f"{after[0]} is in the new window, {before[-1]} in the old one")
    row = recording.ledger(new).get("syscall", {})
    return after[0] - before[-1] - 1, row.get("overwritten", 0) + row.get("torn", 0)


def check_restart(fault, recorder, old, changed, given_up):
    """What the new window and its report say of the old one; whether a gap was told."""
    aside = pathlib.Path(f"{recorder.window}.previous")
    fault.expect(aside.read_bytes() == old.read_bytes(), "the old window is not what its recorder left")
    fault.expect(": intact" in recording.flightrec("verify", aside).stdout, "the old window is damaged")
    new = pathlib.Path(shutil.copy(recorder.window, fault.folder / "new.flight"))
    marker = marker_of(new)
    fault.expect(marker, "the new window does not tell of the old one")
    said = marker["text"]
    check_story(fault, said, {"ended in order": changed["in_order"], "the recorder was killed": not changed["in_order"],
                              "it was made by flightrec": changed["version"],
                              "the configuration is another": changed["options"], "was given up": given_up})
    report = " ".join(recording.report(new).split())
    fault.expect(" ".join(said.split()) in report, f'"{said}" is not in the report:\n{report}')
    told = re.search(r"nothing is recorded of the ([\d.]+) s", said)
    missing, lost = numbers_between(fault, old, new)
    if told is None:
        fault.expect(missing <= lost, f"no gap is told, {missing} calls are missing and {lost} counted")
        return False
    started = [e["boot_ns"] for e in recording.replay(new, "--class", "marker") if e["kind"] == "start"][0]
    real = (started - last_event_ns(old)) / 1e9
    fault.expect(abs(real - float(told.group(1))) < 0.15, f"{told.group(1)} s are told, it were {real:.2f}")
    fault.expect(missing > 0, "a gap is told, and no call is missing")
    return True


def run(fault):
    restarts = 3 if fault.short else RESTARTS
    copy, version, changed_version = other_version(fault, recording.PROGRAM)
    programs = {version: recording.PROGRAM, changed_version: copy}
    gaps = 0
    with bpf_file_system(fault.folder / "bpf") as pins, recording.Scope() as scope:
        def choose():
            pinned = ("--pin", "--pin-folder", pins / "flightrec") if fault.seed % 2 else ()
            options = fault.random.choice(OPTIONS)
            if "--syscalls" not in options:
                options = ("--syscalls", "lseek", *options)
            return fault.random.choice([version, version, changed_version]), (*options, *pinned)

        at_version, options = choose()
        with Versioned(scope, *options) as recorder:
            load = scope.start([recording.workload("numbered_calls"), "--rate", "500"], stdout=subprocess.PIPE)
            # The first was started with the program as it is.
            at_version = version
            for number in range(restarts):
                recorder.settle(fault.random.uniform(1, 2))
                in_order = fault.random.random() < 0.5
                end(recorder, in_order)
                old = pathlib.Path(shutil.copy(recorder.window, fault.folder / "old.flight"))
                dead_or_asleep(fault.random.uniform(0, 1))
                before = at_version, options
                if fault.random.random() < 0.75:
                    at_version, options = choose()
                recorder.program, recorder.options = programs[at_version], options
                recorder.start(120)
                recorder.settle(1.2)
                changed = {"in_order": in_order, "version": before[0] != at_version,
                           "options": list(map(str, before[1])) != list(map(str, options))}
                try:
                    gap = check_restart(fault, recorder, old, changed, number > 0)
                except AssertionError as error:
                    raise AssertionError(f"restart {number}, {before} then {at_version, options}: {error}") from error
                same = before == (at_version, options) and "--pin" in options
                fault.expect(not (same and gap), "the same recorder with pins did not go on where the last one ended")
                gaps += gap
            load.kill()
            load.communicate()
            recorder.stop()
    fault.figure("restarts", restarts)
    fault.figure("with a gap", gaps)
