#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A scope's cgroup that is removed and made again under its path is recorded on, from its first process; said at once."""
import os
import time
import unittest

import recording


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


class ScopeMadeAgain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with recording.Scope() as above, recording.Scope(parent=above) as scope, recording.Recorder(scope) as recorder:
            # Outside, and nearer to the root than the scope: where its level is asked for, the kernel answers 0.
            bystander = above.start(["/bin/sh", "-c", "while :; do sleep 0.05; done"])

            def run(word):
                if scope.run(["/bin/echo", word]).returncode != 0:
                    raise AssertionError(word)

            cls.path, cls.ids = scope.relative, [recording.inode(scope.path)]
            run("first")
            # A supervisor that starts its service anew: gone and there again before anybody has looked.
            os.rmdir(scope.path)
            os.mkdir(scope.path)
            run("second, at once")
            cls.ids.append(recording.inode(scope.path))
            wait_for(lambda: recorder.stderr().count("was made again") == 1)
            # One that stays away for a while; below it a group of its own.
            os.rmdir(scope.path)
            wait_for(lambda: recorder.stderr().count("was removed") >= 1)
            time.sleep(1.5)
            if recorder.stderr().count("was made again") != 1:
                raise AssertionError("said to be there again while it was not: " + recorder.stderr())
            os.mkdir(scope.path)
            cls.ids.append(recording.inode(scope.path))
            run("third, later")
            with recording.Scope(parent=scope) as below:
                below.run(["/bin/echo", "fourth, below"])
            wait_for(lambda: recorder.stderr().count("was made again") == 2)
            recorder.settle(1.5)
            bystander.kill()
            bystander.wait()
            recorder.stop()
            recording.verify(recorder.window)
            cls.said = recorder.stderr()
            cls.events = recording.replay(recorder.window)
            cls.text = recording.replay_text(recorder.window, "--class", "marker")

    def test_every_process_is_recorded(self):
        words = [e["argv"][1] for e in self.events if e["class"] == "exec" and e["argv"][0] == "/bin/echo"]
        self.assertEqual(words, ["first", "second, at once", "third, later", "fourth, below"])
        for word in words:
            pid = next(e["pid"] for e in self.events if e["class"] == "exec" and e["argv"][-1] == word)
            calls = [e["syscall"] for e in self.events if e["class"] == "syscall" and e["pid"] == pid]
            self.assertIn("write", calls, word)

    def test_nothing_outside_is_recorded_while_it_is_gone(self):
        self.assertEqual([e for e in self.events if e.get("comm") in ("sleep", "sh")], [])

    def test_it_is_said_and_recorded(self):
        markers = [e for e in self.events if e["class"] == "marker" and e["kind"] == "scope"]
        again = [e["cgroup_id"] for e in markers if e["made_again"]]
        self.assertEqual(again, self.ids[1:])
        self.assertTrue(all(e["text"] == self.path for e in markers), markers)
        self.assertIn(f"the scope {self.path} was made again: recording goes on", self.said)
        self.assertIn(f"the scope was made again: {self.path}", self.text)

    def test_its_samples_go_on(self):
        last = [e["cgroup_id"] for e in self.events if e["class"] == "exec" and e["cgroup"] == self.path]
        self.assertEqual(last[-1], self.ids[-1])


if __name__ == "__main__":
    recording.main()
