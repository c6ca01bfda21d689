#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A crash's stack gets the names and lines that addr2line(1) gives; with another build at that path it gets none."""
import pathlib
import shutil
import signal
import subprocess
import unittest

import recording

CHAIN = ["crash_here", "level_1", "level_2", "level_3", "main"]


def address_of(program, offset):
    """A file offset as a virtual address, through the program headers that readelf(1) prints."""
    text = subprocess.run(["readelf", "-lW", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    segments = [words for words in map(str.split, text.splitlines()) if words[:1] == ["LOAD"]]
    segment = next(w for w in segments if int(w[1], 16) <= offset < int(w[1], 16) + int(w[4], 16))
    return int(segment[2], 16) + offset - int(segment[1], 16)


def addr2line(program, frames):
    """[(function, source:line)] of these frames; a return address stands behind its call."""
    addresses = [hex(address_of(program, int(frame["offset"], 16)) - (1 if at else 0)) for at, frame in enumerate(frames)]
    lines = subprocess.run(["addr2line", "-f", "-e", program, *addresses], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.splitlines()
    return [(name, line.split(" (discriminator")[0]) for name, line in zip(lines[::2], lines[1::2])]


class CrashSymbols(unittest.TestCase):
    def assert_as_addr2line(self, program, own):
        """addr2line puts the directory of the compilation in front of a relative name, gdb and we do not."""
        for frame, (function, line) in zip(own, addr2line(str(program), own), strict=True):
            self.assertEqual(frame["function"], function)
            self.assertTrue(line.endswith(f"{frame['source']}:{frame['line']}"), (frame, line))

    def setUp(self):
        self.scope = recording.Scope()
        self.addCleanup(self.scope.remove)
        self.recorder = recording.Recorder(self.scope)
        self.addCleanup(self.recorder.remove)
        self.program = self.recorder.folder / "crasher"
        shutil.copy(recording.workload("segfault"), self.program)
        done = self.scope.run([str(self.program), "--depth", "3"])
        self.assertEqual(done.returncode, -signal.SIGSEGV)
        self.dump = self.recorder.wait_for_dump()
        self.id = recording.build_id(str(self.program))

    def stack(self, *options):
        crash, = recording.replay(self.dump, "--class", "crash", *options)
        return [frame for frame in crash["user_stack"] if frame.get("build_id") == self.id]

    def assert_no_names(self, frames):
        self.assertGreaterEqual(len(frames), 3)
        for frame in frames:
            self.assertNotIn("function", frame)
            self.assertNotIn("source", frame)
            self.assertIn("offset", frame)

    def test_names_and_lines(self):
        frames = self.stack()
        own = [frame for frame in frames if frame.get("function") in CHAIN]
        self.assertGreaterEqual(len(own), 3, frames)
        self.assert_as_addr2line(self.program, own)
        self.assertEqual(own[0]["function"], "crash_here")
        text = recording.replay_text(self.dump, "--class", "crash")
        self.assertRegex(text, r"#0 crash_here\+0x[0-9a-f]+ at \S*segfault\.cpp:\d+ in " + str(self.program))
        self.assertIn("crash_here+0x", recording.report(self.dump))
        self.assert_no_names(self.stack("--no-symbols"))

    def test_another_build_at_that_path(self):
        shutil.copy(recording.workload("abort"), self.program)
        self.assertNotEqual(recording.build_id(str(self.program)), self.id)
        self.assert_no_names(self.stack())
        text = recording.replay_text(self.dump, "--class", "crash")
        self.assertIn(f"#0 {self.id}+0x", text)
        self.assertNotIn("crash_here", text)
        self.assertNotIn("crash_here", recording.report(self.dump))

    def test_found_below_a_directory(self):
        elsewhere = self.recorder.folder / "symbols" / "deep"
        elsewhere.mkdir(parents=True)
        self.program.rename(elsewhere / "renamed")
        self.assert_no_names(self.stack())
        self.assertEqual(self.stack("--debug-dir", elsewhere.parent)[0]["function"], "crash_here")

    def test_stripped_with_a_debug_file_by_build_id(self):
        folder = pathlib.Path(self.recorder.folder, "debug")
        debug = folder / ".build-id" / self.id[:2] / (self.id[2:] + ".debug")
        debug.parent.mkdir(parents=True)
        whole = self.recorder.folder / "whole"
        shutil.copy(self.program, whole)
        subprocess.run(["objcopy", "--only-keep-debug", self.program, debug], check=True)
        subprocess.run(["strip", "--strip-all", self.program], check=True)
        self.assert_no_names(self.stack())
        own = [f for f in self.stack("--debug-dir", folder) if f.get("function") in CHAIN]
        self.assertGreaterEqual(len(own), 3)
        self.assert_as_addr2line(whole, own)

    def test_a_device_or_pipe_at_that_path_is_not_opened(self):
        self.program.unlink()
        subprocess.run(["mkfifo", self.program], check=True)
        self.assert_no_names(self.stack())


if __name__ == "__main__":
    recording.main()
