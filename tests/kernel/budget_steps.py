#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A storm of system calls makes the recorder record less, step by step, each step an event; then it recovers."""
import os
import re
import subprocess
import time
import unittest

import recording


class BudgetSteps(unittest.TestCase):
    def wait_for_step(self, recorder, wanted, seconds):
        end = time.monotonic() + seconds
        seen = []
        while time.monotonic() < end:
            cost = recorder.status()["cost"]
            if not seen or seen[-1] != cost["step"]:
                seen.append(cost["step"])
            if cost["step"] in wanted:
                return cost
            time.sleep(0.02)
        self.fail(f"never in {wanted} within {seconds} s; steps seen: {seen}; {cost}")

    def storm(self, scope):
        """Until it is killed, one on every CPU: calls that succeed, calls that fail."""
        argv = ["sh", "-c", 'while :; do "$@" >/dev/null; done', "sh", recording.workload("syscall_loop"),
                "--count", "2000000", "--call"]
        return [scope.start(argv + [call], stdout=subprocess.DEVNULL)
                for call in ["getppid"] * max(1, os.cpu_count() - 1) + ["openat"]]

    def test_storm_and_recovery(self):
        with recording.Scope() as scope, recording.Recorder(scope, "--budget", "1%") as recorder:
            self.assertEqual(recorder.status()["cost"]["step"], "all")
            storm = self.storm(scope)
            try:
                self.wait_for_step(recorder, ("bursts", "between_bursts"), 60)
                # Bursts come again and again as long as it lasts.
                for _ in range(2):
                    self.wait_for_step(recorder, ("bursts",), 60)
                    self.wait_for_step(recorder, ("between_bursts",), 60)
                scope.run(["sh", "-c", "exit 7"])  # the vital track goes on
            finally:
                for process in storm:
                    process.kill()
                with open(scope.path + "/cgroup.procs", encoding="ascii") as file:
                    for pid in file.read().split():
                        os.kill(int(pid), 9)
                for process in storm:
                    process.wait()
            self.wait_for_step(recorder, ("all",), 150)
            scope.run(["sh", "-c", "cat /nonexistent/after-the-storm"])
            recorder.settle()
            dump = recorder.dump()
            recorder.stop()
            rows = recording.ledger(dump)
            recording.verify(recorder.window)
            text = recording.replay_text(recorder.window)
            report = recording.report(recorder.window)
            exits = recording.replay(recorder.window, "--class", "exit")
        # What was seen and left out by policy is in the ledger; that it balances, verify() has shown.
        self.assertGreater(rows["syscall"]["skipped"], 0)
        steps = re.findall(r"cost budget: recording (.+?) from here \(was: (.+?)\)", text)
        self.assertTrue(steps)
        for (_, was), (before, _) in zip(steps[1:], steps):
            self.assertEqual(was, before, "a step is missing in the replay")
        self.assertEqual(steps[-1][0], "every call")
        names = {now for now, _ in steps}
        self.assertIn("failed and slow calls in bursts", names)
        self.assertIn("no calls", names)
        self.assertIn("cost budget", report)
        self.assertRegex(text, r"pid \d+: \d+ calls left out")
        self.assertIn("after-the-storm", text)
        self.assertIn(7 << 8, [e.get("exit_code", 0) for e in exits] + [
            (e.get("status") or 0) << 8 for e in exits], exits[:3])

    def test_dumps_do_not_count(self):
        """Under load, one dump after the other: what they take is many times what the budget would bear."""
        paths = """if True:
            import base64, os, sys, time
            for i in range(int(sys.argv[1])):
                for _ in range(int(sys.argv[2])):
                    name = base64.b64encode(os.urandom(150), b"+-").decode()
                    os.access("/nonexistent/" + name, 0)
                time.sleep(0.01)
            """
        with recording.Scope() as scope, recording.Recorder(scope, "--budget", "1.5%", window_size="64M") as recorder:
            scope.run(["python3", "-c", paths, "2400", "40"])  # what does not compress
            self.wait_for_step(recorder, ("all",), 150)
            load = scope.start(["python3", "-c", paths, "100000000", "10"])
            try:
                recorder.settle(1)
                before = recorder.status()["cost"]
                dumps = [recorder.dump() for _ in range(20)]
                cost = recorder.status()["cost"]
                size = dumps[-1].stat().st_size
            finally:
                load.kill()
                load.wait()
            recorder.stop()
        took = {key: (cost[key] - before[key]) * 1e-9 for key in ("recorder_cpu_ns", "counted_cpu_ns")}
        self.assertGreater(size, 8 << 20)
        self.assertGreater(took["recorder_cpu_ns"] - took["counted_cpu_ns"], 2 * cost["budget_cpus"],
                           f"the dumps took too little to show anything: {took}")
        self.assertEqual((cost["step"], cost["changes"]), ("all", before["changes"]), cost)

    def test_normal_load_is_recorded_whole(self):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            scope.run(["python3", "-c", "import json"])
            recorder.settle(1.0)
            cost = recorder.status()["cost"]
            recorder.stop()
            rows = recording.ledger(recorder.window)
        self.assertEqual(cost["step"], "all")
        self.assertEqual(cost["changes"], 0)
        self.assertEqual(rows["syscall"]["skipped"], 0)

    def test_switched_off(self):
        with recording.Scope() as scope, recording.Recorder(scope, "--budget", "off") as recorder:
            scope.run([recording.workload("syscall_loop"), "--count", "3000000"])
            cost = recorder.status()["cost"]
            recorder.stop()
        self.assertEqual(cost["changes"], 0)
        self.assertEqual(cost["step"], "all")


if __name__ == "__main__":
    recording.main()
