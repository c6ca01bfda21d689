#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real failures, each in a control group of its own, and what the report says of them."""
import json
import pathlib
import subprocess
import time
import unittest

import recording


def report(file):
    done = recording.flightrec("report", file, "--json")
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def said(incident, topic):
    return "".join(s["text"] for s in incident["statements"] if s["topic"] == topic)


class Verdicts(unittest.TestCase):
    def test_crash_loop(self):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            done = scope.run([recording.workload("crash_loop"), "--count", "6", "--sleep", "50", "--signal", "6"])
            self.assertEqual(done.stdout, b"attempts 6 died 6\n")
            recorder.wait_for_dump()
            recorder.settle()
            recorder.stop()
            told = report(recorder.window)
            self.assertEqual(len(told["incidents"]), 1, [i["verdict"] for i in told["incidents"]])
            incident, = told["incidents"]
            self.assertEqual(incident["cause"], "crash_loop")
            self.assertIn("crashed 6 times within", incident["verdict"])
            self.assertIn("(crash_loop) crashed with SIGABRT", incident["verdict"])
            loop = said(incident, "crash_loop")
            self.assertIn("of 6 of this program", loop)
            self.assertIn("the command line changed (6 different ones)", loop)
            self.assertIn("always at the same place", loop)
            statement = next(s for s in incident["statements"] if s["topic"] == "crash_loop")
            self.assertEqual(len(statement["evidence"]), 6)
            for number, line in enumerate(statement["evidence"]):
                self.assertIn(f'"--attempt", "{number}"', line["text"])
            self.assertEqual(told["deaths"], [])

    def test_process_limit(self):
        with recording.Scope(pids=30) as scope, recording.Recorder(scope) as recorder:
            # Goes on forking when it is refused, as a service does that does not look at the error.
            done = scope.run([recording.workload("fork_bomb"), "--hold", "600", "--again", "10"])
            self.assertEqual(done.stdout, b"children 29 errno 11 (Resource temporarily unavailable)\n")
            recorder.settle()
            recorder.stop()
            refused = pathlib.Path(scope.limited["pids"], "pids.events").read_text()
            told = report(recorder.window)
            found = [i for i in told["incidents"] if i["kind"] == "fork_failure"]
            self.assertEqual(len(found), 1, [i["verdict"] for i in told["incidents"]])
            incident = found[0]
            self.assertEqual(incident["cause"], "fork_pids_cgroup")
            self.assertEqual(incident["repeats"], int(refused.split()[1]))
            self.assertIn("pids limit of 30 (30 in use)", incident["verdict"])
            self.assertIn(scope.relative, incident["verdict"])
            maker = incident["victim"]["pid"]
            self.assertIn(f"fork_bomb[{maker}] 29", said(incident, "who_spawned"))

    def test_stall_of_a_task(self):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            task = scope.start([recording.workload("blocked"), "--hold", "16000"])
            task.wait(timeout=60)
            recorder.settle()
            recorder.stop()
            samples = [e for e in recording.replay(recorder.window, "--class", "process_sample")
                       if e["pid"] == task.pid and e["state"] == "D"]
            told = report(recorder.window)
            stalls = [i for i in told["incidents"] if i["kind"] == "stall"]
            seconds = (samples[-1]["boot_ns"] - samples[0]["boot_ns"]) / 1e9 if samples else 0
            self.assertGreaterEqual(seconds, 10, "the samples did not see the task")
            self.assertEqual(len(stalls), 1, told)
            self.assertIn(stalls[0]["cause"], ("stall_tasks", "stall_memory", "stall_io", "stall_cpu"))
            self.assertIn(f"blocked[{task.pid}] of {scope.relative} for ", stalls[0]["verdict"])
            self.assertNotIn("unknown", stalls[0]["cause"])

    def test_nothing_failed(self):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            scope.run(["true"])
            recorder.settle()
            recorder.stop()
            self.assertIn("VERDICT: unknown", recording.report(recorder.window))
            self.assertEqual(report(recorder.window)["incidents"], [])

    def test_two_incidents_in_one_window_are_told_apart(self):
        """An OOM kill in one group, then a crash in another."""
        with recording.Scope() as scope, recording.Scope(memory=24 << 20, parent=scope) as small, \
                recording.Recorder(scope) as recorder:
            small.run([recording.workload("oom_hog"), "--step", "1", "--sleep", "20"])
            time.sleep(0.2)
            scope.run([recording.workload("segfault")])
            recorder.settle()
            recorder.stop()
            told = report(recorder.window)
            self.assertEqual([i["kind"] for i in told["incidents"]], ["oom", "crash"])
            oom, crash = told["incidents"]
            self.assertEqual(oom["cause"], "oom_cgroup")
            self.assertIn("at its limit of 24.0 MiB", oom["verdict"])
            self.assertEqual((oom["linked"], crash["linked"]), ([], []))
            self.assertEqual(crash["cause"], "crash")


if __name__ == "__main__":
    recording.main()
