#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with a command line, a file or the machine: one line that names it, and the documented exit code."""
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import recording

OK = 0
USAGE, NOT_FOUND, PERMISSION, UNSUPPORTED, DAMAGED, IO, NETWORK, BUSY, NO_SPACE = range(2, 11)


class BadInput(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="flightrec-bad-")))

    def check(self, done, code, *words):
        line = f"exit {done.returncode}: {done.stderr}"
        self.assertEqual(done.returncode, code, line)
        self.assertEqual(len(done.stderr.splitlines()), 1, line)
        self.assertTrue(done.stderr.startswith("flightrec: error: "), line)
        for word in words:
            self.assertRegex(done.stderr, word, line)

    def refused(self, code, words, *argv, **options):
        with self.subTest(argv=" ".join(map(str, argv))):
            self.check(recording.flightrec(*argv, **options), code, *words)


class CommandLine(BadInput):
    def test_words(self):
        for code, words, *argv in (
                (USAGE, ["--frobnicate", "--help"], "record", "--frobnicate"),
                (USAGE, ["frobnicate", "--help"], "frobnicate"),
                (USAGE, ["--help"],),
                (USAGE, ["FILE", "--help"], "replay"),
                (USAGE, ["extra"], "status", "extra"),
                (NOT_FOUND, ["/nonexistent/x.flight", "no such file"], "replay", "/nonexistent/x.flight"),
                (NOT_FOUND, ["no such file"], "report", "/nonexistent/x.flight"),
                (NOT_FOUND, ["no such file"], "verify", "/nonexistent/x.flight"),
                (NOT_FOUND, ["no recorder", "flightrec record"], "dump", "--control", "/nonexistent/control.sock"),
                (NOT_FOUND, ["no recorder", "flightrec record"], "status", "--control", "/nonexistent/control.sock")):
            self.refused(code, words, *argv)

    def test_files(self):
        empty = self.folder / "empty.flight"
        empty.touch()
        text = self.folder / "text.flight"
        text.write_text("this is no flight recording\n" * 1000)
        for command in ("replay", "report", "verify"):
            self.refused(DAMAGED, [re.escape(str(empty)), "empty"], command, empty)
            self.refused(DAMAGED, [re.escape(str(text)), "not a"], command, text)
            with self.subTest(command=command, file="folder"):
                done = recording.flightrec(command, self.folder)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


class Record(BadInput):
    def setUp(self):
        super().setUp()
        self.scope = self.enterContext(recording.Scope())

    def options(self, **changed):
        """Of a recorder that would start; changed: other values of them, or more options."""
        values = {"scope": self.scope.path, "window": self.folder / "window.flight", "window-size": "16M",
                  "to": self.folder / "dumps", "spool": self.folder / "spool",
                  "control": self.folder / "control.sock"}
        values.update({name.replace("_", "-"): value for name, value in changed.items()})
        return ["record", *(word for name, value in values.items() for word in ("--" + name, str(value)))]

    def test_options(self):
        missing = "/nonexistent/ca.pem"
        for code, words, changed in (
                (USAGE, ["window", "4"], {"window_size": "1K"}),
                (USAGE, ["--window-size", "lots", "64M"], {"window_size": "lots"}),
                (USAGE, ["--tail", "soon"], {"tail": "soon"}),
                (USAGE, ["absolute"], {"window": "window.flight"}),
                (USAGE, ["gopher"], {"to": "gopher://example.invalid/"}),
                (USAGE, ["nosuchcall"], {"syscalls": "nosuchcall"}),
                (USAGE, ["nosuchclass"], {"without": "nosuchclass"}),
                (USAGE, ["KEY=VALUE|label"], {"label": "nothing"}),
                (NOT_FOUND, ["/sys/fs/cgroup/.*nonexistent|nonexistent"], {"scope": self.scope.path + "/nonexistent"}),
                (NOT_FOUND, [missing], {"to": "https://127.0.0.1:1/", "ca_file": missing}),
                (NOT_FOUND, ["/nonexistent/token"], {"to": "https://127.0.0.1:1/", "token_file": "/nonexistent/token"})):
            self.refused(code, words, *self.options(**changed))
        self.assertFalse((self.folder / "control.sock").exists())

    def test_window_that_cannot_be_made(self):
        with self.subTest("in /proc"):
            done = recording.flightrec(*self.options(window="/proc/flightrec-window"))
            self.assertIn(done.returncode, (NOT_FOUND, PERMISSION, IO), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("/proc/flightrec-window", done.stderr)

    def test_not_root(self):
        program = self.folder / "flightrec"  # where anybody can run it
        shutil.copy(recording.PROGRAM, program)
        self.folder.chmod(0o755)
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program,
                               *self.options()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.check(done, PERMISSION, "root|CAP_")

    def mounted(self, mount, argv):
        """Runs the program in a mount namespace of its own, after a mount."""
        return subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", mount + ' && exec "$@"', "sh",
                               recording.PROGRAM, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    def test_disk_full(self):
        disk = self.folder / "disk"
        disk.mkdir()
        done = self.mounted(f"mount -t tmpfs -o size=8M none {disk}", self.options(window=disk / "window.flight"))
        self.check(done, NO_SPACE, re.escape(str(disk / "window.flight")))

    def test_read_only(self):
        disk = self.folder / "disk"
        disk.mkdir()
        done = self.mounted(f"mount -t tmpfs -o ro none {disk}", self.options(window=disk / "window.flight"))
        self.assertIn(done.returncode, (PERMISSION, IO), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(str(disk), done.stderr)

    def test_foreign_file_as_window_is_not_lost(self):
        mine = self.folder / "window.flight"
        mine.write_text("not a window, and dear to somebody\n")
        done = recording.flightrec(*self.options(run_for="500ms"))
        kept = [p for p in self.folder.iterdir() if p.is_file() and p.read_bytes().startswith(b"not a window")]
        self.assertTrue(kept, f"the file is gone; exit {done.returncode}: {done.stderr}")


class Running(BadInput):
    def setUp(self):
        super().setUp()
        self.scope = self.enterContext(recording.Scope())

    def test_refused_port_is_spooled(self):
        recorder = self.enterContext(recording.Recorder(self.scope, to="http://127.0.0.1:1/dumps/"))
        done = recording.flightrec("dump", "--control", recorder.control, "--reason", "nobody listens")
        self.assertEqual(done.returncode, 0, done.stderr)
        end = time.monotonic() + 15
        sink = {}
        while time.monotonic() < end and not sink.get("last_error"):
            sink = recorder.status()["sinks"][0]
            time.sleep(0.1)
        self.assertRegex(sink["last_error"], "(?i)refused|connect")
        self.assertEqual((sink["delivered"], sink["queued"]), (0, 1))
        self.assertIn("last error", recording.flightrec("status", "--control", recorder.control).stdout)
        self.assertTrue(any(p.suffix == ".flight" for p in recorder.spool.rglob("*")), "nothing is in the spool")
        recorder.stop()

    def test_sigusr1_makes_a_dump(self):
        recorder = self.enterContext(recording.Recorder(self.scope))
        recorder.process.send_signal(signal.SIGUSR1)
        recording.verify(recorder.wait_for_dump())
        recorder.stop()

    def test_a_second_recorder_is_told_who_has_the_window(self):
        recorder = self.enterContext(recording.Recorder(self.scope))
        argv = list(map(str, recorder.argv()))
        argv[argv.index("--control") + 1] += ".second"
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, BUSY, done.stderr)
        self.assertIn(f"another recorder (pid {recorder.process.pid}) writes {recorder.window}", done.stderr)
        recorder.stop()

    def test_classes_left_out_make_no_dumps(self):
        recorder = self.enterContext(recording.Recorder(self.scope, "--without", "crash"))
        self.assertIn("--without crash: no dump will be made for crash, as it is not recorded", recorder.stderr())
        self.scope.run([recording.workload("segfault")])
        recorder.settle()
        self.assertEqual(recorder.status()["incidents"]["incidents"], 0)
        recorder.stop()

    def test_damaged_files(self):
        recorder = self.enterContext(recording.Recorder(self.scope))
        self.scope.run([recording.workload("syscall_loop"), "--call", "mix", "--count", "2000"])
        recorder.settle()
        dump = recorder.dump()
        recorder.stop()
        whole = dump.read_bytes()
        events = len(recording.replay(dump))
        # The last blocks are cut off; then, in the head, all of them.
        for keep, some in ((len(whole) - 100, True), (len(whole) // 2, False)):
            short = self.folder / "short.flight"
            short.write_bytes(whole[:keep])
            done = recording.flightrec("replay", short, "--json")
            self.assertEqual(done.returncode, DAMAGED, done.stderr)
            self.assertIn(f"the file is cut: {keep} of {len(whole)} bytes are there", done.stderr)
            self.assertEqual(len(done.stdout.splitlines()) > 0, some)
            self.assertLess(len(done.stdout.splitlines()), events)
            self.assertEqual(recording.flightrec("verify", short).returncode, DAMAGED)
        self.refused(DAMAGED, ["cut|truncated|short|not a"], "verify", self.write("head.flight", whole[:100]))
        for words, *argv in ((["--errno|EFOO"], "--errno", "EFOO"), (["nosuchcall"], "--syscall", "nosuchcall"),
                             (["nosuchclass"], "--class", "nosuchclass"), (["someday"], "--since", "someday"),
                             (["fast"], "--slower-than", "fast"), (["abc"], "--pid", "abc"),
                             (["purple"], "--color", "purple"), (["999"], "--incident", "999")):
            with self.subTest(argv=argv):
                done = recording.flightrec("replay", dump, *argv)
                self.assertIn(done.returncode, (USAGE, NOT_FOUND), done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                for word in words:
                    self.assertRegex(done.stderr, word)

    def test_the_smallest_window_records(self):
        recorder = self.enterContext(recording.Recorder(self.scope, window_size="4M"))
        self.scope.run([recording.workload("syscall_loop"), "--call", "mix", "--count", "2000"])
        recorder.settle()
        dump = recorder.dump()
        recorder.stop()
        self.assertEqual(recording.flightrec("verify", dump).returncode, OK)

    def test_options_file(self):
        common = ["record", "--scope", self.scope.path, "--window", self.folder / "options.flight", "--spool",
                  self.folder / "options.spool", "--control", self.folder / "options.sock", "--run-for", "200ms"]
        whole = self.write("whole.conf", b'window-size = 8M  # small\nto = ["%s/a", "%s/b"]\nno-crash-trigger = true\n'
                           % (str(self.folder).encode(), str(self.folder).encode()))
        for name in ("a", "b"):
            (self.folder / name).mkdir()
        done = recording.flightrec(*common, "--config", whole)
        self.assertEqual(done.returncode, OK, done.stderr)
        self.assertIn("(7.6 MiB, the last ones", done.stdout)
        for name in ("a", "b"):
            self.assertIn(f"dumps go to directory {self.folder}/{name} ", done.stdout)
        # What the command line says is stronger.
        done = recording.flightrec(*common, "--config", whole, "--window-size", "16M")
        self.assertIn("(15.6 MiB, the last ones", done.stdout)
        for content, words in ((b"bogus = 1", "bogus is no option"), (b"[record]\nscope = 1", "sections are not known"),
                               (b"window-size = 64Q", "64Q: not a size"), (b"keep = many", 'keep: "many"'),
                               (b"quiet = 7", "quiet is a flag")):
            with self.subTest(content=content):
                self.refused(USAGE, [words], *common, "--config", self.write("bad.conf", content))
        self.refused(NOT_FOUND, ["options file"], *common, "--config", self.folder / "nonexistent.conf")

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path


if __name__ == "__main__":
    recording.main()
