#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stopping takes less than a second; a restart keeps the old window; a killed recorder leaves a readable one."""
import shutil
import signal
import subprocess
import unittest

import recording


class StopAndRestart(unittest.TestCase):
    def setUp(self):
        self.scope = self.enterContext(recording.Scope())
        self.recorder = self.enterContext(recording.Recorder(self.scope))

    def work(self, word):
        done = self.scope.run(["/bin/echo", word])
        self.assertEqual(done.returncode, 0)
        self.recorder.settle()

    def execs(self, window):
        return [e["argv"][-1] for e in recording.replay(window, "--class", "exec") if e["comm"] == "echo"]

    def test_stops_in_under_a_second(self):
        self.work("one")
        self.assertLess(self.recorder.stop(), 1.0)
        recording.verify(self.recorder.window)
        self.assertEqual(self.execs(self.recorder.window), ["one"])
        self.assertFalse(self.recorder.control.exists(), "the control socket was left behind")

    def test_interrupt_stops_too(self):
        self.recorder.process.send_signal(signal.SIGINT)
        self.assertEqual(self.recorder.process.wait(timeout=10), 0)
        recording.verify(self.recorder.window)

    def test_stops_in_time_while_busy(self):
        loop = self.scope.start([recording.workload("syscall_loop"), "--count", "100000000"],
                                stdout=subprocess.DEVNULL)
        self.recorder.settle(1)
        try:
            # The loop takes a processor of its own from the recorder: a second is promised where one is left.
            self.recorder.stop()
        finally:
            loop.kill()
            loop.wait()
        recording.verify(self.recorder.window)

    def test_restart_sets_the_old_window_aside(self):
        self.work("before")
        self.recorder.stop()
        old = self.recorder.window.read_bytes()
        self.recorder.start()
        previous = [p for p in self.recorder.folder.iterdir() if "previous" in p.name]
        self.assertEqual(len(previous), 1)
        self.assertTrue(previous[0].read_bytes() == old)
        self.work("after")
        self.recorder.stop()
        self.assertEqual(self.execs(previous[0]), ["before"])
        self.assertEqual(self.execs(self.recorder.window), ["after"])
        recording.verify(previous[0])
        recording.verify(self.recorder.window)

    def test_killed_recorder_leaves_a_readable_window(self):
        self.work("last words")
        self.recorder.settle(1.5)  # the time within which what was recorded must have reached the window
        self.recorder.process.kill()
        self.recorder.process.wait()
        self.recorder.process.stdout.close()
        recording.verify(self.recorder.window)
        self.assertEqual(self.execs(self.recorder.window), ["last words"])
        copy = self.recorder.folder / "copied.flight"
        shutil.copy(self.recorder.window, copy)
        recording.verify(copy)
        self.recorder.start()  # nothing that the dead one left is in the way
        self.work("again")
        self.recorder.stop()
        self.assertEqual(self.execs(self.recorder.window), ["again"])
        previous = next(p for p in self.recorder.folder.iterdir() if "previous" in p.name)
        self.assertEqual(self.execs(previous), ["last words"])

    def second(self, **changed):
        argv = list(map(str, self.recorder.argv()))
        for option, value in changed.items():
            argv[argv.index("--" + option) + 1] = str(value)
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=30, check=False)
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def test_second_recorder_is_refused_and_the_first_goes_on(self):
        self.work("first")
        folder = self.recorder.folder
        # Each of the three alone is enough.
        self.assertIn(str(self.recorder.window), self.second(control=folder / "other.sock", spool=folder / "other"))
        self.assertIn(str(self.recorder.control), self.second(window=folder / "other.flight", spool=folder / "other"))
        self.assertIn("another recorder", self.second())
        self.assertIn(str(self.recorder.spool), self.second(window=folder / "other.flight",
                                                            control=folder / "other.sock"))
        self.assertIsNone(self.recorder.process.poll())
        self.assertEqual(self.recorder.status()["pid"], self.recorder.process.pid)
        self.work("second")
        self.recorder.stop()
        recording.verify(self.recorder.window)
        self.assertEqual(self.execs(self.recorder.window), ["first", "second"])


if __name__ == "__main__":
    recording.main()
