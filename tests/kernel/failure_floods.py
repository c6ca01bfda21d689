#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A process whose calls fail all the time does not push the history out: few are recorded, all are counted exactly."""
import ctypes
import errno
import os
import sys
import time
import unittest

import recording

MAPPINGS, EXECS = 200_000, 20_000
FAILED = ctypes.c_void_p(-1).value


def flood():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    for _ in range(MAPPINGS):
        if libc.mmap(None, 1 << 62, 1, 0x22, -1, 0) != FAILED:
            sys.exit(1)
    if ctypes.get_errno() != errno.ENOMEM:
        sys.exit(2)
    argv = (ctypes.c_char_p * 2)(b"nothing", None)
    for _ in range(EXECS):
        libc.execv(b"/nonexistent/program", argv)
    # The next one that is recorded says how many were not.
    time.sleep(1.2)
    libc.mmap(None, 1 << 62, 1, 0x22, -1, 0)
    libc.execv(b"/nonexistent/program", argv)


class Floods(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with recording.Scope() as scope, recording.Recorder(scope, "--syscalls", "none") as recorder:
            scope.run(["/bin/true", "before the flood"])
            began = time.monotonic()
            child = scope.start(["/usr/bin/python3", os.path.abspath(__file__), "--flood"])
            cls.code, cls.pid = child.wait(timeout=200), child.pid
            cls.took = time.monotonic() - began
            recorder.settle(1.0)
            cls.status = recorder.status()["ledger"]
            recorder.stop()
            cls.ledger = recording.ledger(recorder.window)
            cls.events = recording.replay(recorder.window, "--class", "exec,exec_failed,alloc_failure")

    def check(self, cls, calls, mine):
        """Recorded and left out are all there were; the ledger says the same."""
        self.assertEqual(self.code, 0)
        self.assertEqual(len(mine) + sum(e["left_out"] for e in mine), calls)
        others = [e for e in self.events if e["class"] == cls and e["pid"] != self.pid]
        line = self.status[cls]
        self.assertEqual(line["skipped"], sum(e["left_out"] for e in mine + others))
        self.assertEqual(line["produced"], len(mine) + len(others) + line["skipped"])
        # 100 in each second that was begun, and one more
        self.assertLessEqual(len(mine), 100 * (int(self.took) + 2) + 1)
        self.assertEqual(self.ledger[cls]["skipped"], line["skipped"])

    def test_mappings(self):
        self.check("alloc_failure", MAPPINGS + 1,
                   [e for e in self.events if e["class"] == "alloc_failure" and e["pid"] == self.pid])

    def test_execs(self):
        self.check("exec_failed", EXECS + 1,
                   [e for e in self.events if e["class"] == "exec_failed" and e["pid"] == self.pid])

    def test_what_came_before_is_still_there(self):
        self.assertTrue([e for e in self.events if e["class"] == "exec" and e["argv"][-1] == "before the flood"])


class SamePid(unittest.TestCase):
    def test_what_was_left_out_is_not_told_of_the_next_process_with_the_pid(self):
        with recording.Scope() as scope, recording.Recorder(scope, "--syscalls", "none") as recorder:
            done = scope.run([recording.workload("same_pid"), "--count", "5000"])
            recorder.settle(1.0)
            recorder.stop()
            events = recording.replay(recorder.window, "--class", "alloc_failure,exit")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        pid = int(done.stdout)
        ends = [e for e in events if e["class"] == "exit" and e["pid"] == pid]
        self.assertEqual(len(ends), 2, "two processes with one pid")
        mine = [e for e in events if e["class"] == "alloc_failure" and e["pid"] == pid]
        second = [e for e in mine if e["boot_ns"] > ends[0]["boot_ns"]]
        self.assertEqual([e["left_out"] for e in second], [0])
        self.assertLess(len(mine), 5000, "nothing was left out of the first: another test is needed")


if __name__ == "__main__":
    if sys.argv[1:] == ["--flood"]:
        flood()
    else:
        recording.main()
