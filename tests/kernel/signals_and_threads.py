#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who sent which signal to whom; threads and processes told apart from their start to their end; who lives too briefly."""
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import unittest

import recording


def driver():
    """Sends signals in known ways and prints what it did."""
    def target(handled=()):
        pid = os.fork()
        if pid == 0:
            for number in handled:
                signal.signal(number, lambda *_: None)
            os.write(ready[1], b"x")
            while True:
                signal.pause()
        os.read(ready[0], 1)
        return pid

    ready = os.pipe()
    for name, number, handled in (("fatal", signal.SIGTERM, ()), ("handled", signal.SIGUSR1, (signal.SIGUSR1,)),
                                  ("killed", signal.SIGKILL, ())):
        pid = target(handled)
        os.kill(pid, number)
        if name == "handled":
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        print(json.dumps({"what": name, "sender": os.getpid(), "target": pid, "signal": number.name}))
    pid = target()
    child = os.fork()
    if child == 0:
        os.kill(pid, signal.SIGHUP)
        os._exit(0)
    os.waitpid(child, 0)
    os.waitpid(pid, 0)
    print(json.dumps({"what": "by child", "sender": child, "target": pid, "signal": "SIGHUP"}))
    child = os.fork()
    if child == 0:  # a timer that nobody handles
        signal.alarm(1)
        time.sleep(30)
        os._exit(0)
    os.waitpid(child, 0)
    print(json.dumps({"what": "timer", "sender": None, "target": child, "signal": "SIGALRM"}))
    child = os.fork()
    if child == 0:
        ctypes.string_at(0x77)
    os.waitpid(child, 0)
    print(json.dumps({"what": "fault", "sender": None, "target": child, "signal": "SIGSEGV", "address": 0x77}))


class SignalsAndThreads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.groups = {}
        with recording.Scope() as scope, recording.Recorder(scope, "--no-crash-trigger") as recorder:
            done = scope.run(["/usr/bin/python3", os.path.abspath(__file__), "--driver"])
            if done.returncode != 0:
                raise AssertionError(done.stderr.decode(errors="replace"))
            for end in ("exit", "kill", "each"):
                process = scope.start([recording.workload("threads"), "--threads", "12", "--end", end],
                                      stdout=subprocess.DEVNULL)
                cls.groups[end] = (process.pid, process.wait(timeout=30))
            short = scope.run([recording.workload("short_lived"), "--count", "200"])
            cls.short = short.returncode
            recorder.settle()
            recorder.stop()
            recording.verify(recorder.window)
            cls.events = recording.replay(recorder.window, "--class", "signal,fork,exit,exec")
        cls.told = {fact["what"]: fact for fact in map(json.loads, done.stdout.splitlines())}

    def signal_of(self, what):
        told = self.told[what]
        found = [e for e in self.events if e["class"] == "signal" and e["target_pid"] == told["target"]
                 and e["signal"] == told["signal"]]
        self.assertEqual(len(found), 1, (told, found))
        return told, found[0]

    def test_sent_by_a_process(self):
        for what in ("fatal", "handled", "killed", "by child"):
            told, event = self.signal_of(what)
            self.assertEqual((event["pid"], event["from_kernel"], event["code"]), (told["sender"], False, "SI_USER"), what)
            self.assertEqual((event["sender_uid"], event["result"]), (0, "delivered"))
            self.assertEqual(event["disposition"], "handled" if what == "handled" else "default", what)

    def test_sent_by_the_kernel(self):
        _, event = self.signal_of("timer")
        self.assertTrue(event["from_kernel"])
        told, event = self.signal_of("fault")
        self.assertTrue(event["from_kernel"])
        self.assertEqual((int(event["address"], 16), event["code"]), (told["address"], "SEGV_MAPERR"))

    def test_each_process_ends_once(self):
        for end, (pid, status) in self.groups.items():
            ends = [e for e in self.events if e["class"] == "exit" and e["pid"] == pid]
            self.assertEqual(len(ends), 13, end)
            self.assertEqual(len({e["tid"] for e in ends}), 13)
            last = [e for e in ends if e["process"]]
            self.assertEqual(len(last), 1, (end, ends))
            self.assertEqual(last[0]["signal"], "SIGKILL" if end == "kill" else None)
            self.assertEqual(status, -9 if end == "kill" else 5)
            # Threads that end by themselves are no end of the group.
            alone = [e for e in ends if not e["group_exit"]]
            self.assertEqual(len(alone), 12 if end == "each" else 0, end)

    def test_threads_are_no_processes(self):
        for pid, _ in self.groups.values():
            made = [e for e in self.events if e["class"] == "fork" and e["child_pid"] == pid]
            # The process itself was made outside the scope, and moved into it before its exec.
            self.assertEqual([e["thread"] for e in made], [True] * 12)

    def test_processes_of_less_than_a_millisecond(self):
        self.assertEqual(self.short, 0)
        execs = [e for e in self.events if e["class"] == "exec" and e["comm"] == "short_lived"]
        parent = execs[0]["pid"]
        children = {e["child_pid"]: e for e in self.events if e["class"] == "fork" and e["parent_pid"] == parent}
        self.assertEqual(len(children), 200)
        lives = {}
        for event in self.events:
            if event["class"] == "exit" and event["pid"] in children and event["process"]:
                lives[event["pid"]] = event["boot_ns"] - children[event["pid"]]["start_ns"]
        self.assertEqual(set(lives), set(children))
        self.assertLess(min(lives.values()), 1_000_000)


if __name__ == "__main__":
    if sys.argv[1:] == ["--driver"]:
        driver()
    else:
        recording.main()
