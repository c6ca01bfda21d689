#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is recorded of an OOM kill by a control group's limit equals what the kernel wrote of it in its own log."""
import pathlib
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


# mm/memcontrol.c, mem_cgroup_print_oom_meminfo() and mm/oom_kill.c, dump_task()
USAGE = re.compile(r"memory: usage (?P<usage>\d+)kB, limit (?P<limit>\d+)kB, failcnt (?P<failures>\d+)")
TASK = re.compile(r"\[ *(?P<pid>\d+)\] +(?P<uid>\d+) +\d+ +\d+ +(?P<rss>\d+) +(?P<anon>\d+) +(?P<file>\d+) +(?P<shmem>\d+) +"
                  r"(?P<page_tables>\d+) +(?P<swap>\d+) +(?P<score>-?\d+) (?P<comm>.*)")
STAT = re.compile(r"\b([a-z_]+) (\d+)$")


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
                idle = small.start(["/bin/sleep", "60"])
                hog = small.start([recording.workload("oom_hog"), "--kind", "anon", "--step", "2", "--sleep", "20"])
                self.assertEqual(hog.wait(timeout=60), -signal.SIGKILL)
                dump = recorder.wait_for_dump()
                recording.verify(dump)
                self.look_at(dump, hog.pid, small)
                self.look_at_domain(dump, hog.pid, idle.pid, small)
                self.look_at_times(dump, hog.pid)
                idle.kill()
                idle.wait()
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
        self.assertEqual([(e["signal"], e["oom_victim"]) for e in ends], [("SIGKILL", True)])

        text = recording.report(dump)
        verdict = text[text.index("VERDICT"):text.index("\n  When")]
        self.assertIn(f"oom_hog[{pid}]", verdict)
        self.assertIn("limit", verdict)
        self.assertIn("cgroup", verdict)

    def report_lines(self, dump, pid):
        """The kernel's report of this kill, as the dump has it and in its order."""
        lines = [e for e in recording.replay(dump, "--class", "kmsg")]
        last = next(at for at, e in enumerate(lines) if f"Killed process {pid} (" in e["text"])
        first = max(at for at, e in enumerate(lines[:last]) if "invoked oom-killer" in e["text"])
        return lines[first:last + 1]

    def look_at_domain(self, dump, pid, idle, small):
        """The cgroup that ran out and the processes in it: against the kernel's report."""
        kill = recording.replay(dump, "--class", "oom_kill")[0]
        texts = [e["text"] for e in self.report_lines(dump, pid)]
        usage = {k: int(v) for k, v in next(filter(None, map(USAGE.search, texts))).groupdict().items()}
        self.assertTrue(kill["domain_known"])
        self.assertEqual((kill["constraint"], kill["cgroup"]), ("CONSTRAINT_MEMCG", small.relative))
        self.assertEqual(kill["domain_limit"], LIMIT)
        self.assertEqual((kill["domain_limit"], kill["domain_usage"], kill["domain_failures"]),
                         (usage["limit"] * 1024, usage["usage"] * 1024, usage["failures"]))
        self.assertEqual(kill["domain_cgroup_id"], recording.inode(small.limited["memory"]))
        self.assertEqual(kill["invoker_cgroup"], small.relative)
        tasks = {int(m["pid"]): m for m in filter(None, map(TASK.search, texts))}
        self.assertEqual(set(tasks), {pid, idle})
        self.assertEqual(kill["candidates_total"], 2)
        self.assertTrue(kill["candidates_complete"])
        self.assertEqual([c["pid"] for c in kill["candidates"]], [pid, idle], "largest first")
        for ours in kill["candidates"]:
            theirs = tasks[ours["pid"]]
            self.assertEqual((ours["anon"] // 4096, ours["file"] // 4096, ours["shmem"] // 4096, ours["swap"] // 4096),
                             tuple(int(theirs[k]) for k in ("anon", "file", "shmem", "swap")), ours)
            self.assertEqual((ours["uid"], ours["oom_score_adj"], ours["comm"], ours["page_tables"]),
                             (int(theirs["uid"]), int(theirs["score"]), theirs["comm"], int(theirs["page_tables"])))
        # memory.stat is read a moment after the kill: its names are those of the file, its figures at most the limit's.
        stat = pathlib.Path(small.limited["memory"], "memory.stat").read_text()
        names = {line.split()[0] for line in stat.splitlines()}
        self.assertEqual(set(kill["memory_stat"]), names)
        self.assertLess(abs(kill["memory_stat_ns"] - kill["boot_ns"]), 2_000_000_000)
        # The kernel's own copy of it, of the moment itself, stands in its report lines.
        told = dict(filter(None, (m and m.groups() for m in map(STAT.search, texts))))
        self.assertGreater(int(told.get("anon") or told["rss"]), LIMIT // 2)  # version 2, version 1
        self.assertLessEqual(set(told) - {"failcnt"}, names)

    def look_at_times(self, dump, pid):
        """Lines stand where they were printed, among the events, and keep the stamp that dmesg(1) shows."""
        kill = recording.replay(dump, "--class", "oom_kill")[0]
        lines = self.report_lines(dump, pid)
        times = [e["boot_ns"] for e in lines]
        self.assertEqual(times, sorted(times))
        self.assertEqual([e["seq"] for e in lines], sorted(e["seq"] for e in lines))
        self.assertLess(times[0], kill["boot_ns"], "the report begins before the victim is marked")
        self.assertLess(kill["boot_ns"], times[-1], "the line of the kill is printed after it")
        ends = [e["boot_ns"] for e in recording.replay(dump, "--class", "exit") if e["pid"] == pid]
        self.assertLess(times[0], min(ends))
        stamp = re.match(r"\[ *(\d+)\.(\d{6})\]", kernel_log(pid)[-1])
        self.assertEqual(lines[-1]["stamp_ns"] // 1000, int(stamp[1]) * 1_000_000 + int(stamp[2]))


if __name__ == "__main__":
    recording.main()
