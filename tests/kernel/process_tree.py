#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`flightrec tree` at a moment is what /proc said then: who is whose child, with its command line."""
import json
import pathlib
import subprocess
import time
import unittest

import recording

# Three generations; the middle one of the second branch ends and leaves its child behind.
SHELL = r"""
sh -c 'sleep 60 & sleep 61 & wait' branch-one &
(sh -c 'sleep 62 & sleep 63 &' branch-two; exit 4) &
sh -c 'sleep 64 & exec python3 -c "import time, sys; time.sleep(65)" "an  argument" "$(printf "weird\377\001")"' &
echo started
wait
"""


def proc_snapshot(scope):
    """{pid: (ppid, argv)} of what is in the group; retried until no process came or went meanwhile."""
    def pids():
        return sorted(map(int, pathlib.Path(scope.path, "cgroup.procs").read_text().split()))

    while True:
        before, found = pids(), {}
        try:
            for pid in before:
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
                argv = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
                found[pid] = (int(stat[stat.rindex(")") + 2:].split()[1]), argv)
        except FileNotFoundError:
            continue
        if pids() == before:
            return found


def tree(file, *options):
    done = recording.flightrec("tree", file, "--json", *options)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(argument):
    """As JSON has bytes: UTF-8 where it is, \\xNN where not."""
    return argument.decode("utf-8", errors="backslashreplace")


class ProcessTree(unittest.TestCase):
    def compare(self, file, snapshot, at, options=()):
        listed = {p["pid"]: p for p in tree(file, "--at", f"@{at:.9f}", *options)}
        alive = {pid for pid, p in listed.items() if not p["ended"]}
        self.assertEqual(set(snapshot) - alive, set(), "missing")
        for pid, (ppid, argv) in snapshot.items():
            process = listed[pid]
            self.assertEqual(process["argv"], [shown(a) for a in argv], pid)
            self.assertEqual(process["parent"], "known", process)
            if not process["parent_ended"]:  # else the kernel gave it another parent
                self.assertEqual(process["parent_pid"], ppid, process)
        return listed

    def await_shape(self, scope):
        """Until branch two's shells are gone and the last exec has happened."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            argvs = [argv for _, argv in proc_snapshot(scope).values()]
            commands = [b" ".join(argv) for argv in argvs]
            if not any(argv[-1:] == [b"branch-two"] for argv in argvs) and any(c.startswith(b"python3") for c in commands) and \
                    sum(c.startswith(b"sleep") for c in commands) == 5:
                return
            time.sleep(0.05)
        raise AssertionError(f"the processes did not come: {proc_snapshot(scope)}")

    def test_as_proc_says(self):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            shell = scope.start(["sh", "-c", SHELL], stdout=subprocess.PIPE)
            self.assertEqual(shell.stdout.readline(), b"started\n")
            self.await_shape(scope)
            time.sleep(0.05)
            at, snapshot = time.clock_gettime(time.CLOCK_BOOTTIME), proc_snapshot(scope)
            scope.run([recording.workload("short_lived"), "--count", "20"])
            dump = recorder.dump()
            for pid in snapshot:
                subprocess.run(["kill", "-KILL", str(pid)], check=False, stderr=subprocess.DEVNULL)
            shell.wait()
            shell.stdout.close()
            recorder.settle()
            recorder.stop()
            for file in (dump, recorder.window):
                listed = self.compare(file, snapshot, at)
                orphans = [p for p in listed.values() if not p["ended"] and p["parent_ended"]]
                self.assertEqual(sorted(p["argv"][1] for p in orphans), ["62", "63"])
                # Those that lived for less than a millisecond are in it with --ended, each with its parent.
                ended = tree(file, "--ended")
                maker = next(p["pid"] for p in ended if p["comm"] == "short_lived" and p["parent_pid"] not in
                             [q["pid"] for q in ended if q["comm"] == "short_lived"])
                self.assertGreaterEqual(sum(p["parent_pid"] == maker and p["ended"] for p in ended), 20)
                text = recording.flightrec("tree", file, "--at", f"@{at:.9f}").stdout
                self.assertRegex(text, r"[├└]─sleep\[\d+\] sleep 60")
                self.assertIn("weird\\377\\1", text)
                self.assertNotIn("\x01", text)

    def test_after_wrap_around(self):
        """What was known at the oldest segment's start is all that tells of the old processes: the keyframe."""
        with recording.Scope() as scope, recording.Recorder(scope, "--vital-share", "0.05") as recorder:
            shell = scope.start(["sh", "-c", SHELL], stdout=subprocess.PIPE)
            self.assertEqual(shell.stdout.readline(), b"started\n")
            self.await_shape(scope)
            old = proc_snapshot(scope)

            def forks_of_the_beginning():
                forks = recording.replay(recorder.window, "--class", "fork", live=True)
                return [e for e in forks if e["child_pid"] in old]

            end = time.monotonic() + 100
            while not forks_of_the_beginning() and time.monotonic() < end:  # not yet in the window
                time.sleep(0.1)
            while forks_of_the_beginning() and time.monotonic() < end:
                scope.run([recording.workload("short_lived"), "--count", "2000"])
            self.assertEqual(forks_of_the_beginning(), [], "the window did not wrap around")
            at, snapshot = time.clock_gettime(time.CLOCK_BOOTTIME), proc_snapshot(scope)
            recorder.settle()
            recorder.stop()
            listed = {p["pid"]: p for p in tree(recorder.window, "--at", f"@{at:.9f}")}
            for pid, (ppid, argv) in snapshot.items():
                self.assertIn(pid, listed)
                self.assertEqual(listed[pid]["argv"], [shown(a) for a in argv])
                self.assertFalse(listed[pid]["start_seen"])
                if not listed[pid]["parent_ended"] and ppid in snapshot:
                    self.assertEqual(listed[pid]["parent_pid"], ppid)
            shell.kill()
            shell.wait()
            shell.stdout.close()


if __name__ == "__main__":
    recording.main()
