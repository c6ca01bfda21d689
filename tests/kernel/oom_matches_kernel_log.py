#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is recorded of an OOM kill by a control group's limit equals what the kernel wrote of it in its own log."""
import re
import signal
import subprocess
import unittest

import recording

LIMIT = 40 << 20
# mm/oom_kill.c, __oom_kill_process()
KILLED = re.compile(r"Killed process (?P<pid>\d+) \((?P<comm>.*?)\) total-vm:(?P<total_vm>\d+)kB, anon-rss:(?P<anon>\d+)kB, "
                    r"file-rss:(?P<file>\d+)kB, shmem-rss:(?P<shmem>\d+)kB, UID:(?P<uid>\d+) "
                    r"pgtables:(?P<page_tables>\d+)kB oom_score_adj:(?P<score>-?\d+)")


def killed_line(texts, pid):
    found = [match for match in map(KILLED.search, texts) if match and int(match["pid"]) == pid]
    return found[0] if found else None


def kernel_log(pid):
    """Lines of dmesg(1) on this process only."""
    lines = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True, errors="replace", check=True).stdout
    return [line for line in lines.splitlines() if f"Killed process {pid} (" in line]


class OomMatchesKernelLog(unittest.TestCase):
    def test_every_figure(self):
        with recording.Scope() as scope:
            with recording.Recorder(scope) as recorder, recording.Scope(memory=LIMIT, parent=scope) as small:
                hog = small.start([recording.workload("oom_hog"), "--kind", "anon", "--step", "2", "--sleep", "20"])
                self.assertEqual(hog.wait(timeout=60), -signal.SIGKILL)
                dump = recorder.wait_for_dump()
                recording.verify(dump)
                self.look_at(dump, hog.pid, small)
                incidents = recorder.status()["incidents"]
                recorder.stop()
                recording.verify(recorder.window)
        self.assertEqual((incidents["incidents"], incidents["dumps"], incidents["failed_dumps"]), (1, 1, 0))

    def look_at(self, dump, pid, small):
        events = recording.replay(dump, "--class", "oom_kill,kmsg,exit")
        kills = [e for e in events if e["class"] == "oom_kill"]
        self.assertEqual([e["victim_pid"] for e in kills], [pid])
        kill = kills[0]
        recorded = killed_line([e.get("text", "") for e in events if e["class"] == "kmsg"], pid)
        self.assertIsNotNone(recorded, "the kernel's line is not in the dump")
        witness = killed_line(kernel_log(pid), pid)
        self.assertIsNotNone(witness, "the kernel's line is not in dmesg")
        self.assertEqual(recorded.groupdict(), witness.groupdict())
        ours = {
            "pid": kill["victim_pid"], "comm": kill["victim_comm"], "total_vm": kill["victim_total_vm"] // 1024,
            "anon": kill["victim_anon"] // 1024, "file": kill["victim_file"] // 1024,
            "shmem": kill["victim_shmem"] // 1024, "uid": kill["victim_uid"],
            "page_tables": kill["victim_page_tables"] // 1024, "score": kill["victim_oom_score_adj"],
        }
        theirs = {name: text if name == "comm" else int(text) for name, text in witness.groupdict().items()}
        self.assertEqual(ours, theirs)
        self.assertEqual(kill["victim_rss"], kill["victim_anon"] + kill["victim_file"] + kill["victim_shmem"])
        self.assertLessEqual(kill["victim_anon"], LIMIT)
        self.assertGreater(kill["victim_anon"], LIMIT // 2)
        # No rlimit and no swap here: the cgroup of the victim is where it ran.
        self.assertEqual(kill["victim_cgroup"], small.relative)
        ends = [e for e in events if e["class"] == "exit" and e["pid"] == pid and e["process"]]
        self.assertEqual([e["signal"] for e in ends], ["SIGKILL"])

        text = recording.report(dump)
        verdict = text[text.index("VERDICT"):text.index("\n  When")]
        self.assertIn(f"oom_hog[{pid}]", verdict)
        self.assertIn("limit", verdict)
        self.assertIn("cgroup", verdict)


if __name__ == "__main__":
    recording.main()
