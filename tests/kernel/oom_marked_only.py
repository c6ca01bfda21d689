#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A process that is dying already when memory runs out is marked by the OOM killer, not killed: told apart, no dump."""
import unittest

import recording

LIMIT = 48 << 20


class MarkedOnly(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder, \
                recording.Scope(memory=LIMIT, parent=scope) as small:
            cls.done = small.run([recording.workload("dying"), "--held", "30", "--takes", "25"])
            recorder.settle(1.0)
            cls.dumps = recorder.files()
            recorder.stop()
            recording.verify(recorder.window)
            cls.events = recording.replay(recorder.window, "--class", "oom_kill,kmsg,exit,signal")
            cls.text = recording.replay_text(recorder.window, "--class", "oom_kill")
            cls.report = recording.report(recorder.window)
            cls.relative = small.relative
        cls.dying = int(cls.done.stdout.split()[1])

    def test_nobody_is_killed(self):
        self.assertEqual((self.done.returncode, self.done.stdout.split()[2:]), (0, [b"ended", b"0"]))
        self.assertEqual([e for e in self.events if e["class"] == "kmsg" and "Killed process" in e["text"]], [])
        self.assertEqual([e for e in self.events if e["class"] == "signal" and e["target_pid"] == self.dying
                          and e["signal"] == "SIGKILL" and e["to_process"]], [])

    def test_it_is_told_as_marked(self):
        found = [e for e in self.events if e["class"] == "oom_kill"]
        self.assertEqual([(e["victim_pid"], e["marked_only"], e["victim_cgroup"]) for e in found],
                         [(self.dying, True, self.relative)])
        self.assertGreater(found[0]["victim_anon"], 29 << 20)
        self.assertIn("not killed", self.text)
        self.assertNotIn("OOM kill of", self.text)

    def test_no_incident_is_made_of_it(self):
        self.assertEqual(self.dumps, [])
        self.assertNotIn("killed by the OOM killer", self.report)


if __name__ == "__main__":
    recording.main()
