#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is chosen is recorded and nothing else; files say where they come from; open files and unfinished calls are told."""
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import unittest

import recording


def first_line(path):
    return pathlib.Path(path).read_text().splitlines()[0]


def holder():
    """Holds some files open and waits in a read that never ends."""
    os.open("/etc/hostname", os.O_RDONLY | os.O_CLOEXEC)
    os.open("/dev/zero", os.O_RDWR)
    reader, _ = os.pipe()
    links = {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
             if os.path.islink(f"/proc/self/fd/{name}")}
    print(json.dumps({"pid": os.getpid(), "links": {k: v for k, v in links.items() if "/proc/" not in v},
                      "waits_in": reader}), flush=True)
    os.read(reader, 1)


class ChoiceAndIdentity(unittest.TestCase):
    def record(self, *options, argv=None):
        with recording.Scope() as scope, recording.Recorder(scope, *options) as recorder:
            scope.run(argv or ["/bin/sh", "-c", "cat /nonexistent/file; : >/dev/null; cat /etc/hostname; kill -0 $$"])
            recorder.settle()
            recorder.stop()
            recording.verify(recorder.window)
            self.told = recorder.out.decode()
            self.rows = recording.ledger(recorder.window)
            return recording.replay(recorder.window)

    def calls(self, events):
        return [e for e in events if e["class"] == "syscall" and e["result"] is not None]

    def test_all_calls(self):
        names = {e["syscall"] for e in self.calls(self.record())}
        self.assertLessEqual({"openat", "read", "write", "mmap", "close"}, names)

    def test_named_calls_only(self):
        calls = self.calls(self.record("--syscalls", "openat,close:failed"))
        self.assertEqual({e["syscall"] for e in calls}, {"openat"})
        self.assertIn(None, {e.get("errno") for e in calls})
        # The others were left out in the kernel: they never took room in a ring.
        self.assertGreater(self.rows["syscall"]["skipped"], 100)
        self.assertEqual(self.rows["syscall"]["stored"], len(calls))

    def test_failed_calls_only(self):
        calls = self.calls(self.record("--syscalls", "failed"))
        self.assertTrue(calls)
        self.assertNotIn(None, {e.get("errno") for e in calls})
        self.assertIn(("openat", "ENOENT"), {(e["syscall"], e["errno"]) for e in calls})

    def test_no_calls(self):
        events = self.record("--syscalls", "none")
        self.assertEqual(self.calls(events), [])
        # Nobody pays at the entry of calls of which none is recorded; at their return only where the kernel refuses fexit.
        self.assertNotIn("sys_enter", self.told)
        self.assertEqual("sys_exit" in self.told, "fexit" not in self.told)
        self.record()
        self.assertIn("sys_enter", self.told)
        self.assertTrue([e for e in events if e["class"] == "exec"])

    def test_cut_strings_are_flagged(self):
        """Where a path was longer than the limit both the argument and the event say so; nowhere else."""
        long = "/nonexistent/" + "long" * 20
        events = self.record("--string-limit", "32", argv=["/bin/cat", long, "/etc/hostname"])
        paths = {True: [], False: []}
        for e in self.calls(events):
            if e["syscall"] == "openat":
                paths[e.get("truncated", False)].append(e["strings"]["1"])
        self.assertIn(long[:32], paths[True])
        self.assertIn("/etc/hostname", paths[False])
        self.assertTrue(all(len(path) == 32 for path in paths[True]), paths)
        self.assertTrue(all(len(path) < 32 for path in paths[False]), paths)

    def test_a_name_that_is_none(self):
        done = recording.flightrec("record", "--syscalls", "openat,opennat")
        self.assertEqual(done.returncode, 2)
        self.assertIn("opennat", done.stderr)

    def test_classes_left_out(self):
        options = ["--without", "fork", "--without", "exit", "--without", "rename", "--without", "system_sample",
                   "--without", "process_sample", "--without", "fd"]
        classes = {e["class"] for e in self.record(*options)}
        self.assertTrue(classes.isdisjoint({"fork", "exit", "rename", "system_sample", "process_sample", "fd"}), classes)
        self.assertLessEqual({"exec", "syscall"}, classes)

    def test_open_files_and_calls_that_had_not_returned(self):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            process = scope.start(["/usr/bin/python3", os.path.abspath(__file__), "--hold"], stdout=subprocess.PIPE)
            told = json.loads(process.stdout.readline())
            # A recorder that starts now learns of the files from /proc alone.
            with recording.Recorder(scope) as late:
                late.settle(1)
                dump = late.dump("--reason", "open files")
                late.stop()
                window = late.window
                recording.verify(window)
                fds = {str(e["fd"]): e["path"] for e in recording.replay(window, "--class", "fd")
                       if e["pid"] == told["pid"]}
                known = [e for e in recording.replay(window, "--class", "process") if e["pid"] == told["pid"]]
            early = recorder.dump("--reason", "unfinished")
            waiting = [e for e in recording.replay(early, "--class", "unfinished") if e["pid"] == told["pid"]]
            process.kill()
            process.wait()
            process.stdout.close()
            recorder.stop()
        self.assertEqual(fds, told["links"])
        self.assertTrue(dump.name.endswith(".flight"))
        self.assertEqual(known[0]["argv"][-1], "--hold")
        self.assertEqual([(e["syscall"], e["args"][0]) for e in waiting][:1], [("read", hex(told["waits_in"]))])

    def test_identity(self):
        with recording.Scope() as scope, recording.Recorder(scope, "--label", "role=till", "--label", "rack=7 b",
                                                            "--instance-id", "i-0123") as recorder:
            recorder.stop()
            info = self.info_of(recorder.window)
        identity = info["identity"]
        self.assertEqual(identity["labels"], {"role": "till", "rack": "7 b"})
        self.assertEqual((identity["instance"]["id"], identity["instance"]["source"]), ("i-0123", "configuration"))
        self.assertEqual(identity["hostname"], platform.node())
        self.assertEqual(identity["boot_id"], first_line("/proc/sys/kernel/random/boot_id"))
        self.assertEqual(identity["kernel"]["release"], platform.release())
        self.assertEqual(identity["kernel"]["architecture"], platform.machine())
        # readelf(1) reads whole files only; the id stands in the notes behind the name "GNU".
        self.assertIn(b"GNU\0" + bytes.fromhex(identity["kernel"]["build_id"]), pathlib.Path("/sys/kernel/notes").read_bytes())
        release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
        self.assertEqual(identity["os"]["id"], release["ID"].strip('"'))
        self.assertEqual(identity["os"]["version_id"], release["VERSION_ID"].strip('"'))
        machine = pathlib.Path("/etc/machine-id")
        if machine.exists() and machine.read_text().strip():
            self.assertRegex(identity["machine_id"], r"^[0-9a-f]{32}$")
            self.assertNotEqual(identity["machine_id"], machine.read_text().strip(), "it is to be hashed")
        self.assertRegex(identity["recorder"]["config_hash"], r"^[0-9a-f]{16}$")
        version = recording.flightrec("--version").stdout
        self.assertIn(identity["recorder"]["version"], version)
        memory = re.search(r"MemTotal: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
        self.assertEqual(identity["memory_bytes"], int(memory[1]) * 1024)

    def info_of(self, window):
        """The first information slot of a flight (schemas/flight-format.md)."""
        with open(window, "rb") as file:
            raw = file.read(1 << 17)
        return json.JSONDecoder().raw_decode(raw[raw.index(b'{"'):].decode(errors="replace"))[0]


if __name__ == "__main__":
    if sys.argv[1:] == ["--hold"]:
        holder()
    else:
        recording.main()
