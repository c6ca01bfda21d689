#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Among 3,000 processes, one that begins to grow is in the next sample: the kernel's task iterator tells all of them."""
import json
import time
import unittest

import recording

CROWD = 3000


class ManyProcesses(unittest.TestCase):
    def test_growth_is_seen_at_once(self):
        with recording.Scope() as scope:
            crowd = scope.start([recording.workload("fork_bomb"), "--max", str(CROWD), "--hold", "60000"],
                                stdout=recording.subprocess.PIPE)
            self.assertIn(f"children {CROWD} errno 0", crowd.stdout.readline().decode())
            with recording.Recorder(scope) as recorder:
                doctor = json.loads(recording.flightrec("doctor", "--json").stdout)
                if not any(c["capability"] == "task list" and c["available"] for c in doctor["capabilities"]):
                    self.skipTest("this kernel has no task iterator")
                time.sleep(2.5)
                # 200 MiB in steps of 10 every 100 ms
                began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                hog = scope.start([recording.workload("oom_hog"), "--step", "10", "--sleep", "100"])
                time.sleep(2.5)
                hog.kill()
                hog.wait()
                recorder.stop(within=30)
                samples = [e for e in recording.replay(recorder.window, "--class", "process_sample", "-v")
                           if e["class"] == "process_sample" and e["boot_ns"] > began]
            crowd.kill()
            crowd.stdout.close()
            crowd.wait()
        grown = [e for e in samples if e["pid"] == hog.pid]
        # Samples are taken every second: two at least in 2.5 s, one of which shows growth.
        self.assertGreaterEqual(len(grown), 2, f"the hog is in {len(grown)} of {len(samples)} samples")
        self.assertTrue(any(e["growth"] > 20 << 20 for e in grown), grown)


if __name__ == "__main__":
    recording.main()
