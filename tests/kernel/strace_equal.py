#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every system call that `strace -f` prints of a real program is in the replay, with the same arguments and result."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

import recording

COMPARE = str(pathlib.Path(__file__).resolve().parent / "strace_compare.py")
SHELL = """ls -la / | sort | head; cat /etc/passwd >/dev/null; (exit 3); cat /nonexistent; f=$(mktemp -d);
ln -s "$f" "$f/link"; echo a b >"$f/file"; mv "$f/file" "$f/other"; chmod 600 "$f/other"; grep -c a <"$f/other";
rm -r "$f"; sleep 0.05 & wait; kill -TERM $$"""


class StraceEqual(unittest.TestCase):
    def compare(self, command, raw):
        options = ["-e", "raw=all"] if raw else ["-s", "256"]
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            work = recorder.folder / "work"
            work.mkdir()
            trace = recorder.folder / "strace.txt"
            # strace would itself be recorded; the program it starts is, by a shell's one write, in the scope.
            enter = f'echo 0 >"{scope.path}/cgroup.procs" && exec "$@"'
            done = subprocess.run(["strace", "-f", "-o", trace, *options, "sh", "-c", enter, "sh", *command],
                                  cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=60, check=False)
            recorder.settle()
            recorder.stop()
            recording.verify(recorder.window)
            # What the shell called before it was in the scope is in strace's file alone: up to its exec.
            lines = trace.read_text(errors="surrogateescape").splitlines(keepends=True)
            execs = [at for at, line in enumerate(lines) if " execve(" in line]
            trace.write_text("".join(lines[execs[1]:]), errors="surrogateescape")
            calls = recorder.folder / "replay.jsonl"
            with open(calls, "wb") as out:
                subprocess.run([recording.PROGRAM, "replay", recorder.window, "--json", "--class",
                                "syscall,syscall_enter"], stdout=out, check=True)
            answer = subprocess.run([sys.executable, COMPARE, "--replay", calls, "--strace", trace,
                                     *(["--raw"] if raw else [])], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    text=True, errors="replace", check=False)
            if os.environ.get("FLIGHTREC_TEST_KEEP"):
                print(answer.stdout)
            self.assertEqual(answer.returncode, 0, answer.stdout)
            return done, answer.stdout

    def test_python_raw(self):
        done, answer = self.compare(["/usr/bin/python3", "-c", "import json"], raw=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(int(re.search(r"(\d+) calls,", answer).group(1)), 300, answer)

    def test_python_decoded(self):
        done, _ = self.compare(["/usr/bin/python3", "-c", "import json"], raw=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_shell_raw(self):
        self.compare(["sh", "-c", SHELL], raw=True)

    def test_shell_decoded(self):
        done, _ = self.compare(["sh", "-c", SHELL], raw=False)
        self.assertIn(b"nonexistent", done.stderr)

    def test_families_raw(self):
        """Some 700 calls of the file, process, memory, network, signal, poll, futex, timer and IPC families."""
        done, answer = self.compare([recording.workload("syscall_families")], raw=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(int(re.search(r"(\d+) calls,", answer).group(1)), 600, answer)

    def test_families_decoded(self):
        done, answer = self.compare([recording.workload("syscall_families")], raw=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(int(re.search(r"(\d+) calls,", answer).group(1)), 600, answer)


if __name__ == "__main__":
    recording.main()
