#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The samples of the machine, its processes and its control groups equal what /proc, statvfs(3) and the cgroup files say."""
import json
import mmap
import os
import pathlib
import re
import sys
import threading
import time
import unittest

import recording

ANON, SHARED, THREADS, FILES = 48 << 20, 8 << 20, 5, 23


def proc(name):
    return pathlib.Path("/proc", name).read_text()


def meminfo():
    values = {}
    for line in proc("meminfo").splitlines():
        words = line.replace(":", "").split()
        values[words[0]] = int(words[1]) * 1024
    names = {"mem_total": "MemTotal", "mem_free": "MemFree", "mem_available": "MemAvailable", "buffers": "Buffers",
             "cached": "Cached", "anon": "AnonPages", "shmem": "Shmem", "slab": "Slab", "slab_unreclaimable": "SUnreclaim",
             "page_tables": "PageTables", "kernel_stack": "KernelStack", "mlocked": "Mlocked", "dirty": "Dirty",
             "writeback": "Writeback", "swap_total": "SwapTotal", "swap_free": "SwapFree", "commit_limit": "CommitLimit",
             "committed": "Committed_AS", "mapped": "Mapped"}
    return {ours: values[theirs] for ours, theirs in names.items()}


def pressure():
    values = {}
    for what in ("cpu", "memory", "io"):
        path = pathlib.Path("/proc/pressure", what)
        for line in path.read_text().splitlines() if path.exists() else ():
            kind, *fields = line.split()
            total = dict(field.split("=") for field in fields)["total"]
            values[f"psi_{what}_{kind}_us"] = int(total)
    return {k: v for k, v in values.items() if k != "psi_cpu_full_us"}


def vmstat():
    values = {k: int(v) for k, v in (line.split() for line in proc("vmstat").splitlines())}
    out = {"pgfault": values["pgfault"], "pgmajfault": values["pgmajfault"], "swap_in": values["pswpin"],
           "swap_out": values["pswpout"], "oom_kills": values["oom_kill"]}
    out["alloc_stall"] = sum(v for k, v in values.items() if k.startswith("allocstall"))
    return out


def stat():
    lines = {line.split()[0]: line.split()[1:] for line in proc("stat").splitlines()}
    ticks = [int(t) * 1000 // os.sysconf("SC_CLK_TCK") for t in lines["cpu"][:8]]
    return {"forks": int(lines["processes"][0]), "cpu_user_ms": ticks[0] + ticks[1],
            "cpu_system_ms": ticks[2] + ticks[5] + ticks[6], "cpu_idle_ms": ticks[3], "cpu_iowait_ms": ticks[4],
            "cpu_steal_ms": ticks[7]}


def gauges():
    load = proc("loadavg").split()
    root = os.statvfs("/")
    files = proc("sys/fs/file-nr").split()
    processes = sum(1 for name in os.listdir("/proc") if name.isdigit())
    return {"load1": float(load[0]), "load5": float(load[1]), "load15": float(load[2]),
            "threads": int(load[3].split("/")[1]), "processes": processes, "files_open": int(files[0]),
            "disk_free": root.f_bavail * root.f_frsize, "inodes_free": root.f_favail}


def constants():
    root = os.statvfs("/")
    return {"threads_max": int(proc("sys/kernel/threads-max")), "pid_max": int(proc("sys/kernel/pid_max")),
            "files_max": int(proc("sys/fs/file-nr").split()[2]), "disk_total": root.f_blocks * root.f_frsize,
            "inodes_total": root.f_files}


def hold():
    """A process whose figures are known and stand still; prints what it is, then waits."""
    anon = mmap.mmap(-1, ANON, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    shared = mmap.mmap(-1, SHARED, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for block in (anon, shared):
        for at in range(0, len(block), 4096):
            block[at] = 1
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(FILES)]
    for _ in range(THREADS):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    print(json.dumps({"pid": os.getpid(), "files": len(files)}), flush=True)
    time.sleep(60)


def grow():
    """Takes 2 MiB twenty times a second; prints what it had at the beginning and has at the end."""
    def rss():
        return int(re.search(r"VmRSS:\s+(\d+)", proc("self/status"))[1]) * 1024

    kept, first = [], rss()
    for _ in range(60):
        kept.append(b"x" * (2 << 20))
        time.sleep(0.05)
    print(json.dumps({"pid": os.getpid(), "first": first, "last": rss()}), flush=True)
    time.sleep(1)


class SamplesMatchProc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with recording.Scope() as scope, recording.Recorder(scope, "--sample-period", "100ms") as recorder, \
                recording.Scope(memory=128 << 20, pids=50, parent=scope) as limited:
            cls.holder = limited.start(["/usr/bin/python3", os.path.abspath(__file__), "--hold"], stdout=-1)
            json.loads(cls.holder.stdout.readline())
            cls.blocked = scope.start([recording.workload("blocked"), "--hold", "60000"])
            # It may be in D for a moment, or not yet off its processor ("0"), before it waits for good.
            cls.wchan = "0"
            while cls.state_of(cls.blocked.pid) != "D" or cls.wchan == "0":
                time.sleep(0.01)
                cls.wchan = proc(f"{cls.blocked.pid}/wchan")
            cls.limited, cls.relative = dict(limited.limited), limited.relative
            grower = scope.run(["/usr/bin/python3", os.path.abspath(__file__), "--grow"])
            cls.grown = json.loads(grower.stdout)
            # The kernel sums some counters per CPU and brings them together every two seconds.
            time.sleep(3)
            cls.before = cls.snapshot(recorder)
            cls.began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            cls.own_before = cls.process()
            time.sleep(1.5)
            cls.ended = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            cls.after = cls.snapshot(recorder)
            cls.own_after = cls.process()
            # More file data than fits: the limit is hit, the page cache gives way, nobody is killed.
            recorder.settle()
            with open(recorder.folder / "big", "wb") as big:
                filler = limited.start(["/bin/dd", "if=/dev/zero", "bs=1M", "count=150"], stdout=big, stderr=-3)
                filler.wait(timeout=60)
            time.sleep(1.5)
            cls.hits = cls.failures()
            # More anonymous memory than fits, in a group that is made while recording: somebody is killed.
            with recording.Scope(memory=24 << 20, parent=scope) as deadly:
                deadly.run([recording.workload("oom_hog"), "--step", "1"])
                cls.deadly, cls.deadly_hits = deadly.relative, cls.failures(deadly)
                time.sleep(1.0)
            for child in (cls.holder, cls.blocked):
                child.kill()
            recorder.stop()
            recording.verify(recorder.window)
            cls.events = recording.replay(recorder.window, "--class",
                                          "system_sample,process_sample,cgroup_sample,alloc_failure,fd")
            cls.holder.stdout.close()
            cls.holder.wait()
            cls.blocked.wait()
        cls.during = [e for e in cls.events if cls.began <= e["boot_ns"] <= cls.ended]

    @staticmethod
    def state_of(pid):
        return proc(f"{pid}/stat").rpartition(")")[2].split()[0]

    @staticmethod
    def snapshot(recorder):
        window = os.statvfs(recorder.folder)
        return {"counters": {**vmstat(), **stat(), **pressure()}, "gauges": {**meminfo(), **gauges()},
                "window": {"window_disk_free": window.f_bavail * window.f_frsize,
                           "window_disk_total": window.f_blocks * window.f_frsize}}

    @classmethod
    def failures(cls, scope=None):
        folder = pathlib.Path(scope.limited["memory"] if scope else cls.limited["memory"])
        if (folder / "memory.failcnt").exists():
            return int((folder / "memory.failcnt").read_text())
        return dict(line.split() for line in (folder / "memory.events").read_text().splitlines())["max"]

    @classmethod
    def process(cls):
        pid = cls.holder.pid
        status = dict(line.split(":", 1) for line in proc(f"{pid}/status").splitlines())
        kib = {k: int(v.split()[0]) * 1024 for k, v in status.items() if k.startswith(("Vm", "Rss"))}
        return {"rss": kib["VmRSS"], "anon": kib["RssAnon"], "file": kib["RssFile"], "shmem": kib["RssShmem"],
                "swap": kib["VmSwap"], "page_tables": kib["VmPTE"], "total_vm": kib["VmSize"],
                "threads": int(status["Threads"]), "fds": len(os.listdir(f"/proc/{pid}/fd")),
                "state": status["State"].split()[0], "oom_score_adj": int(proc(f"{pid}/oom_score_adj"))}

    def system(self):
        found = [e for e in self.during if e["class"] == "system_sample"]
        self.assertGreater(len(found), 3)
        return found

    def test_counters_of_the_machine(self):
        for sample in self.system():
            for name, before in self.before["counters"].items():
                # steal and iowait of /proc/stat may step back a little
                slack = 50 if name in ("cpu_iowait_ms", "cpu_steal_ms", "cpu_idle_ms") else 0
                self.assertGreaterEqual(sample[name], before - slack, name)
                self.assertLessEqual(sample[name], self.after["counters"][name] + slack, name)

    def test_gauges_of_the_machine(self):
        """They move: each lies within what was seen before and after, or near it."""
        total = constants()["disk_total"]
        for name, before in self.before["gauges"].items():
            low, high = sorted((before, self.after["gauges"][name]))
            values = [sample[name] for sample in self.system()]
            slack = {"disk_free": total // 50, "load1": 2, "load5": 1, "load15": 1}.get(name, max(high // 2, 512 << 20))
            if name in ("mem_total", "swap_total"):
                slack = 0
            self.assertTrue(any(low - slack <= value <= high + slack for value in values), (name, low, high, values))

    def test_limits_of_the_machine(self):
        for sample in self.system():
            self.assertEqual({name: sample[name] for name in constants()}, constants())
            self.assertEqual(sample["window_disk_total"], self.after["window"]["window_disk_total"])
            self.assertGreaterEqual(sample["blocked"], 0)
            self.assertGreaterEqual(sample["running"], 1)
            for name in ("psi_cpu_some_avg10", "psi_memory_full_avg10", "psi_io_some_avg10"):
                self.assertGreaterEqual(sample[name], 0)

    def test_a_process(self):
        found = [e for e in self.during if e["class"] == "process_sample" and e["pid"] == self.holder.pid]
        self.assertGreater(len(found), 3)
        self.assertEqual(self.own_before, self.own_after, "the process was to stand still")
        for sample in found:
            self.assertEqual({name: sample[name] for name in self.own_before}, self.own_before)
            self.assertEqual(sample["rss"], sample["anon"] + sample["file"] + sample["shmem"])
        self.assertGreaterEqual(found[0]["anon"], ANON)
        self.assertGreaterEqual(found[0]["shmem"], SHARED)
        self.assertEqual(found[0]["threads"], THREADS + 1)
        first = [e for e in self.events if e["class"] == "process_sample" and e["pid"] == self.holder.pid]
        self.assertTrue(all(e["growth"] == 0 for e in found), "it does not grow any more")
        self.assertLess(first[0]["boot_ns"], self.began)

    def test_growth(self):
        found = [e for e in self.events if e["class"] == "process_sample" and e["pid"] == self.grown["pid"]]
        # The last one may have met it on its way out.
        while len(found) > 1 and found[-1]["rss"] < found[-2]["rss"]:
            found.pop()
        self.assertGreater(len(found), 10)
        grown = self.grown["last"] - self.grown["first"]
        self.assertGreater(found[-1]["rss"] - found[0]["rss"], grown * 3 // 4)
        # RSS in PID/stat, by which growth is told, may lag behind by some pages of each thread.
        self.assertLess(abs(sum(e["growth"] for e in found[1:]) - (found[-1]["rss"] - found[0]["rss"])), 8 << 20)
        self.assertLess(abs(found[-1]["rss"] - self.grown["last"]), 1 << 20)

    def test_a_task_that_waits_uninterruptibly(self):
        found = [e for e in self.during if e["class"] == "process_sample" and e["pid"] == self.blocked.pid]
        self.assertTrue(found)
        self.assertEqual({(e["state"], e["text"]) for e in found}, {("D", self.wchan)})

    def test_a_control_group(self):
        memory = [e for e in self.during if e["class"] == "cgroup_sample" and e["text"] == self.relative
                  and e["memory_current"] is not None]
        pids = [e for e in self.during if e["class"] == "cgroup_sample" and e["text"] == self.relative
                and e["pids_current"] is not None]
        self.assertTrue(memory and pids)
        for sample in memory:
            self.assertEqual(sample["memory_max"], 128 << 20)
            self.assertGreater(sample["memory_current"], ANON)
            self.assertGreaterEqual(sample["memory_peak"], sample["memory_current"])
            self.assertLess(sample["memory_peak"], 128 << 20)
            self.assertEqual((sample["memory_failures"], sample["oom_kills"]), (0, 0))
            self.assertLess(abs(sample["memory_anon"] - self.own_before["anon"]), 8 << 20)
        for sample in pids:
            self.assertEqual((sample["pids_max"], sample["pids_current"], sample["pids_failures"]), (50, THREADS + 1, 0))

    def test_a_limit_that_was_hit_without_a_kill(self):
        found = [e for e in self.events if e["class"] == "alloc_failure" and e["kind"] == "cgroup"
                 and e["cgroup"] != self.deadly]
        self.assertTrue(found)
        self.assertEqual({(e["cgroup"], e["limit"], e["cause"]) for e in found},
                         {(self.relative, 128 << 20, "memory_cgroup_max")})
        self.assertGreater(int(self.hits), 0)
        self.assertLessEqual(sum(e["size"] for e in found), int(self.hits))
        last = [e for e in self.events if e["class"] == "cgroup_sample" and e["text"] == self.relative
                and e["memory_current"] is not None][-1]
        self.assertEqual(last["memory_failures"], int(self.hits))


    def test_a_limit_that_was_hit_and_killed_for(self):
        found = [e for e in self.events if e["class"] == "alloc_failure" and e["kind"] == "cgroup"
                 and e["cgroup"] == self.deadly]
        self.assertEqual({(e["limit"], e["cause"]) for e in found}, {(24 << 20, "memory_cgroup_max")})
        self.assertEqual(sum(e["size"] for e in found), int(self.deadly_hits))


if __name__ == "__main__":
    if sys.argv[1:] == ["--grow"]:
        grow()
    elif sys.argv[1:] == ["--hold"]:
        hold()
    else:
        recording.main()
