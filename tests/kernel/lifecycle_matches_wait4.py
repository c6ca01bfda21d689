#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is recorded of processes equals what wait4(2) told their parent; arguments are whole, or cut and marked so."""
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import unittest

import recording

SHORT = "a" * (8192 - len("/bin/true") - 2)  # with the program's name and both NULs: 8 KiB
LONG = "b" * (128 * 1024 - 1)  # the longest single argument that Linux takes: MAX_ARG_STRLEN with its NUL
RAW = b"line\nbreak \"quote\" 'single' \\ esc \x1b[31m c1 \xc2\x9b31m bell \x07 del \x7f bad \xff\xfe \xc3"


def child(what):
    """What one child does; it never returns."""
    kind, value = what
    if kind == "exit":
        os._exit(value)
    if kind == "signal":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(value, signal.SIG_DFL) if value not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), value)
        time.sleep(10)
    if kind == "memory":
        block = bytearray(value)
        block[::4096] = b"x" * len(block[::4096])
        os._exit(0)
    if kind == "cpu":
        end = time.process_time() + value
        while time.process_time() < end:
            os.getppid()
        os._exit(0)
    if kind == "chain":  # a child's child that runs a program
        if os.fork() == 0:
            os.execv("/bin/true", ["true", "chain"])
        os.wait()
        os._exit(7)
    try:
        os.execv(value[0], value)
    except OSError:
        os._exit(111)


def driver():
    """Runs in the scope: makes the children one by one and prints what wait4 says of each, as JSON lines."""
    plan = [("exit", code) for code in range(256)]
    plan += [("signal", int(number)) for number in (1, 2, 3, 6, 8, 9, 10, 12, 13, 14, 15, 24, 34, 64)]
    plan += [("memory", 16 << 20), ("memory", 64 << 20), ("cpu", 0.2), ("chain", None)]
    plan += [("exec", ["/bin/true", SHORT]), ("exec", ["/bin/true", LONG]), ("exec", ["/bin/true", "", RAW, ""]),
             ("exec", ["/nonexistent/flightrec-program", "x"])]
    for what in plan:
        pid = os.fork()
        if pid == 0:
            child(what)
        _, status, usage = os.wait4(pid, 0)
        print(json.dumps({
            "kind": what[0], "value": what[1] if isinstance(what[1], (int, float)) else None, "pid": pid,
            "parent": os.getpid(), "status": status, "max_rss": usage.ru_maxrss * 1024, "minor": usage.ru_minflt,
            "major": usage.ru_majflt, "cpu": usage.ru_utime + usage.ru_stime}))


class LifecycleMatchesWait4(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with recording.Scope() as scope, recording.Recorder(scope, "--no-crash-trigger") as recorder:
            done = scope.run(["/usr/bin/python3", os.path.abspath(__file__), "--driver"])
            if done.returncode != 0:
                raise AssertionError(done.stderr.decode(errors="replace"))
            recorder.settle()
            recorder.stop()
            recording.verify(recorder.window)
            cls.events = recording.replay(recorder.window)
            for options in ((), ("--verbose",), ("--json",)):
                raw = subprocess.run([recording.PROGRAM, "replay", str(recorder.window), *options],
                                     stdout=subprocess.PIPE, check=True).stdout
                setattr(cls, "json_bytes" if options == ("--json",) else "verbose" if options else "text", raw)
        cls.children = [json.loads(line) for line in done.stdout.splitlines()]
        cls.exits = {}
        for event in cls.events:
            if event["class"] == "exit" and event["process"]:
                cls.exits.setdefault(event["pid"], []).append(event)

    def one_exit(self, told):
        self.assertEqual(len(self.exits.get(told["pid"], [])), 1, told)
        return self.exits[told["pid"]][0]

    def of(self, kind):
        return [told for told in self.children if told["kind"] == kind]

    def test_wait_status(self):
        self.assertEqual(len(self.of("exit")), 256)
        for told in self.children:
            event = self.one_exit(told)
            self.assertEqual(event["wait_status"], told["status"], told)
            if os.WIFEXITED(told["status"]):
                self.assertEqual((event["status"], event["signal"]), (os.WEXITSTATUS(told["status"]), None))
            else:
                number = os.WTERMSIG(told["status"])
                self.assertIsNone(event["status"])
                name = signal.Signals(number).name if number < 32 else event["signal"]
                self.assertEqual(event["signal"], name)
                self.assertEqual(event["core_dumped"], os.WCOREDUMP(told["status"]))

    def test_resources(self):
        for told in self.children:
            event = self.one_exit(told)
            if told["kind"] == "chain":  # wait4 adds what the child itself waited for
                continue
            self.assertEqual(event["max_rss"], told["max_rss"], told)
            self.assertEqual((event["minor_faults"], event["major_faults"]), (told["minor"], told["major"]), told)
            self.assertAlmostEqual((event["user_ns"] + event["system_ns"]) / 1e9, told["cpu"], delta=0.02, msg=told)
        biggest = self.one_exit(self.of("memory")[1])
        self.assertGreater(biggest["max_rss"], 64 << 20)

    def test_family(self):
        forks = {e["child_pid"]: e for e in self.events if e["class"] == "fork" and not e["thread"]}
        for told in self.children:
            self.assertEqual(self.one_exit(told)["ppid"], told["parent"])
            self.assertEqual(forks[told["pid"]]["parent_pid"], told["parent"])
        middle = self.of("chain")[0]["pid"]
        last = [fork["child_pid"] for fork in forks.values() if fork["parent_pid"] == middle]
        self.assertEqual(len(last), 1)
        execs = [e for e in self.events if e["class"] == "exec" and e["pid"] == last[0]]
        self.assertEqual([(e["argv"], e["filename"], e["ppid"]) for e in execs], [(["true", "chain"], "/bin/true", middle)])
        order = [e["class"] for e in self.events if e["pid"] == last[0] or e.get("child_pid") == last[0]]
        order = [name for name in order if name in ("fork", "exec", "exit")]
        self.assertEqual(order, ["fork", "exec", "exit"])

    def exec_of(self, place):
        pid = self.of("exec")[place]["pid"]
        found = [e for e in self.events if e["class"] == "exec" and e["pid"] == pid]
        self.assertEqual(len(found), 1)
        return found[0]

    def test_arguments_of_8_kib_are_whole(self):
        event = self.exec_of(0)
        self.assertTrue(event["argv"] == ["/bin/true", SHORT])  # assertEqual takes minutes to show how they differ
        self.assertEqual((event["argc"], event["argv_bytes"]), (2, len("/bin/true") + len(SHORT) + 2))
        self.assertNotIn("argv_cut", event)

    def test_arguments_of_128_kib_are_cut_and_say_so(self):
        event = self.exec_of(1)
        self.assertTrue(event.get("argv_cut"))
        self.assertEqual((event["argc"], event["argv_bytes"]), (2, len("/bin/true") + len(LONG) + 2))
        self.assertEqual(event["argv"][0], "/bin/true")
        self.assertGreaterEqual(len(event["argv"][1]), 4096)
        self.assertEqual(set(event["argv"][1]), {"b"})

    def test_empty_arguments_are_kept(self):
        event = self.exec_of(2)
        self.assertEqual((event["argc"], len(event["argv"])), (4, 4))
        self.assertEqual((event["argv"][1], event["argv"][3]), ("", ""))
        self.assertIn("line\nbreak \"quote\" 'single'", event["argv"][2])

    def test_no_control_character_reaches_the_terminal(self):
        for name in ("text", "verbose", "json_bytes"):
            raw = getattr(self, name)
            text = raw.decode("utf-8")  # valid, or this raises
            bad = [text[max(0, m.start() - 40):m.end()] for m in re.finditer("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)]
            self.assertEqual(bad[:3], [], name)
            self.assertIn("quote", text)
        for line in self.json_bytes.splitlines():
            json.loads(line)

    def test_failed_exec(self):
        pid = self.of("exec")[3]["pid"]
        found = [e for e in self.events if e["class"] == "exec_failed" and e["pid"] == pid]
        self.assertEqual([(e["errno"], e["result"], e["filename"]) for e in found],
                         [("ENOENT", -2, "/nonexistent/flightrec-program")])
        # The arguments stand in the call that failed.
        calls = [e for e in self.events if e["class"] == "syscall" and e["pid"] == pid and e["syscall"] == "execve"]
        self.assertEqual([(e["errno"], e["text"][1]) for e in calls],
                         [("ENOENT", '["/nonexistent/flightrec-program", "x"]')])


if __name__ == "__main__":
    if sys.argv[1:] == ["--driver"]:
        driver()
    else:
        recording.main()
