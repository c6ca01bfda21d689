#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A recorder that is stopped too long loses the oldest events of the flood, keeps the newest, and knows how many."""
import re
import signal
import time
import unittest

import recording

BATCH = 50000


class RingOverrunIsExact(unittest.TestCase):
    def test_stopped_recorder(self):
        with recording.Scope() as scope, recording.Recorder(scope, "--syscall-ring", "512K") as recorder:
            scope.run([recording.workload("syscall_loop"), "--count", "10"])
            recorder.settle()
            recorder.process.send_signal(signal.SIGSTOP)
            began, made, pids = time.monotonic(), 0, []
            while time.monotonic() < began + 5:
                loop = scope.start([recording.workload("syscall_loop"), "--count", str(BATCH)], stdout=-1)
                out, _ = loop.communicate(timeout=60)
                made += int(out.split()[1])
                pids.append(loop.pid)
            recorder.process.send_signal(signal.SIGCONT)
            recorder.settle(1.5)
            dump = recorder.dump("--reason", "overrun")
            recorder.stop()
            rows = recording.ledger(dump)
            recording.verify(recorder.window)
            text = recording.replay_text(dump)
            events = recording.replay(dump, "--class", "syscall,exit,fork,exec")
        row = rows["syscall"]
        self.assertGreater(row["overwritten"], 0)
        # Every call that the loops made was counted, also those that nobody will ever see.
        self.assertGreaterEqual(row["produced"], made)
        self.assertLess(row["produced"], made + 200 * (len(pids) + 2))
        self.assertEqual(row["produced"], row["stored"] + row["overwritten"] + row["torn"] + row["skipped"] + row["pending"])
        seen = [e for e in events if e["class"] == "syscall"]
        # Calls that never return (exit_group) have an entry only, of class syscall_enter.
        self.assertEqual(len([e for e in seen if e["result"] is not None]), row["found"])
        # The newest are there: the last loop up to its end, without a hole in its last thousand calls.
        last = [e for e in seen if e["pid"] == pids[-1]]
        self.assertGreater(len(last), 1000)
        self.assertIn("exit_group", [e["syscall"] for e in last[-3:]] + [""])
        gap = max(b["boot_ns"] - a["boot_ns"] for a, b in zip(last[-1000:], last[-999:]))
        self.assertLess(gap, 1_000_000_000)
        # The other track did not suffer from the flood: every loop's end is known.
        ends = {e["pid"] for e in events if e["class"] == "exit"}
        self.assertTrue(set(pids) <= ends, "a flood of system calls evicted lifecycle events")
        # The reader sees where the gaps are, and how much is missing there: in all what the ledger says, the few entries
        # without return (syscall_enter) included.
        gaps = [int(n) for n in re.findall(r"=== (\d+) events of cpu \d+ \(syscalls track\) were overwritten", text)]
        self.assertTrue(gaps, "no gap is shown in the replay")
        entries = rows["syscall_enter"]["overwritten"]
        self.assertLess(entries, 10 * len(pids))
        self.assertEqual(sum(gaps), row["overwritten"] + entries)


if __name__ == "__main__":
    recording.main()
