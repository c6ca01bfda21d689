#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every line of JSON made of a real recording validates against schemas/json, whatever bytes its strings hold."""
import json
import subprocess
import sys
import unittest

try:
    import jsonschema
except ImportError:
    print("needs python3-jsonschema")
    sys.exit(77)

import recording


def validator(name):
    schema = json.loads((recording.SOURCE / "schemas" / "json" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class JsonSchema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with recording.Scope() as scope, recording.Scope(memory=24 << 20, pids=30, parent=scope) as small:
            cls.recorder = recording.Recorder(scope)
            cls.addClassCleanup(cls.recorder.remove)
            work = cls.recorder.folder / "work"
            work.mkdir()
            scope.run([recording.workload("argv_weird")])
            scope.run([recording.workload("syscall_families")], cwd=work)
            scope.run([recording.workload("segfault")])
            scope.run([recording.workload("crash_loop"), "--count", "3"])
            scope.run(["sh", "-c", "/nonexistent/program; exit 3"])
            small.run([recording.workload("fork_bomb"), "--max", "100"])
            small.run([recording.workload("oom_hog"), "--step", "1"])
            blocked = scope.start(["sleep", "60"])
            cls.dump = cls.recorder.dump()
            blocked.kill()
            blocked.wait()
            cls.recorder.settle()
            cls.recorder.stop()

    def validate(self, name, *argv):
        checks = validator(name)
        done = subprocess.run([recording.PROGRAM, *map(str, argv)], stdout=subprocess.PIPE, check=True)
        lines = done.stdout.decode("utf-8", errors="strict").splitlines()  # JSON is UTF-8 (RFC 8259)
        self.assertGreater(len(lines), 0)
        for line in lines:
            self.assertTrue(all(c >= " " for c in line), line)
            for error in checks.iter_errors(json.loads(line)):
                self.fail(f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}\n{line[:500]}")
        return [json.loads(line) for line in lines]

    def test_events(self):
        for file in (self.dump, self.recorder.window):
            events = self.validate("event", "replay", file, "--json", "-v")
            self.assertGreaterEqual({e["class"] for e in events},
                                    {"exec", "exec_failed", "fork", "exit", "signal", "crash", "syscall", "oom_kill",
                                     "alloc_failure", "marker", "ledger", "process", "system_sample"})

    def test_reports_trees_statistics_and_verification(self):
        for file in (self.dump, self.recorder.window):
            self.validate("report", "report", file, "--json")
            self.validate("tree", "tree", file, "--json", "--ended", "--kernel-threads")
            self.validate("stats", "replay", file, "--json", "--stats")
            self.validate("verify", "verify", file, "--json")

    def test_strange_strings(self):
        """argv_weird: control characters, quotes, bytes that are no UTF-8; and its comm."""
        execs = [e for e in self.validate("event", "replay", self.dump, "--json", "--class", "exec")
                 if e["argv"] and e["argv"][0] == "argv_weird"]
        self.assertEqual(execs[0]["argv"][1:6], ["", "esc \x1b[31mred", "quote \"double\" 'single' \\",
                                                 "line\nbreak\ttab", "bad \\xff\\xfe utf-8 \\xc3"])
        self.assertEqual(execs[0]["argv"][6], "ümlaut ✈")
        renamed = self.validate("event", "replay", self.dump, "--json", "--class", "rename")
        self.assertIn('we\x1b[31m"ird\\xff\n', [e["new_comm"] for e in renamed])
        for argv in (("replay", self.dump, "-v"), ("report", self.dump), ("tree", self.dump, "--ended")):
            done = subprocess.run([recording.PROGRAM, *argv, "--color", "never"], stdout=subprocess.PIPE, check=True)
            text = done.stdout.decode("utf-8", errors="strict")
            strange = {c for c in text if (c < " " and c != "\n") or "\x7f" <= c <= "\x9f"}
            self.assertEqual(strange, set(), argv)
            if argv[0] != "report":
                self.assertIn("\\33[31mred", text)


if __name__ == "__main__":
    recording.main()
