#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A segmentation fault is recorded whole: signal, code, address, instruction, stack with build ids, the exit."""
import signal
import subprocess
import tempfile
import unittest

import recording


def loaded(executable):
    """[(first address, past the last)] of what a static executable maps, from readelf(1)."""
    headers = subprocess.run(["readelf", "-lW", executable], stdout=subprocess.PIPE, text=True, check=True).stdout
    ranges = []
    for line in headers.splitlines():
        words = line.split()
        if words[:1] == ["LOAD"]:
            ranges.append((int(words[2], 16), int(words[2], 16) + int(words[5], 16)))
    return ranges


class CrashRecorded(unittest.TestCase):
    def crash(self, *options):
        program = recording.workload("segfault")
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            done = scope.run([program, *options])
            self.assertEqual(done.returncode, -signal.SIGSEGV)
            dump = recorder.wait_for_dump()
            self.events = recording.replay(dump)
            self.report = recording.report(dump)
            recording.verify(dump)
            recorder.stop()
            recording.verify(recorder.window)
        found = [e for e in self.events if e["class"] == "crash"]
        self.assertEqual(len(found), 1)
        return program, found[0]

    def test_null_pointer(self):
        program, crash = self.crash("--depth", "3")
        self.assertEqual((crash["signal_number"], crash["signal"], crash["code"]), (11, "SIGSEGV", "SEGV_MAPERR"))
        self.assertEqual(crash["address"], "0x0")
        self.assertEqual(crash["comm"], "segfault")
        ip = int(crash["ip"], 16)
        self.assertTrue(any(first <= ip < past for first, past in loaded(program)), crash["ip"])
        own = [frame for frame in crash["user_stack"] if frame.get("build_id") == recording.build_id(program)]
        self.assertGreaterEqual(len(own), 3, crash["user_stack"])
        self.assert_functions(program, own[:4])
        exits = [e for e in self.events if e["class"] == "exit" and e["pid"] == crash["pid"]]
        self.assertEqual([(e["signal"], e["wait_status"] & 0x7f) for e in exits], [("SIGSEGV", 11)])
        sent = [e for e in self.events if e["class"] == "signal" and e["target_pid"] == crash["pid"]]
        self.assertEqual([(e["signal"], e["from_kernel"]) for e in sent], [("SIGSEGV", True)])
        verdict = next(line for line in self.report.splitlines() if line.startswith("VERDICT"))
        self.assertIn(f"segfault[{crash['pid']}]", verdict)
        self.assertIn("SIGSEGV", verdict)

    @staticmethod
    def functions(program, frames):
        """The functions in which addr2line(1) sees the frames."""
        # An offset is into the file; a static executable's address is that plus (address - offset) of its segment.
        text = subprocess.run(["readelf", "-lW", program], stdout=subprocess.PIPE, text=True, check=True).stdout
        segments = [w for w in map(str.split, text.splitlines()) if w[:1] == ["LOAD"]]
        addresses = []
        for place, frame in enumerate(frames):
            offset = int(frame["offset"], 16)
            segment = next(w for w in segments if int(w[1], 16) <= offset < int(w[1], 16) + int(w[4], 16))
            # A return address stands behind its call.
            addresses.append(hex(int(segment[2], 16) + offset - int(segment[1], 16) - (1 if place else 0)))
        return subprocess.run(["addr2line", "-f", "-e", program, *addresses], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.splitlines()[::2]

    def assert_functions(self, program, frames):
        """The stack is right, not merely long."""
        names = self.functions(program, frames)
        self.assertEqual(names[0], "crash_here")
        # A leaf that sets up no frame hides its caller from a walk along frame pointers: one level may be left out.
        chain = iter(["crash_here", "level_1", "level_2", "level_3", "main"])
        self.assertTrue(all(name in chain for name in names), names)

    def test_caller_of_a_leaf_without_a_frame(self):
        """The walk along frame pointers leaves it out; it is what the function returns to."""
        program, crash = self.crash("--leaf")
        modules = [e for e in self.events if e["class"] == "module" and e["pid"] == crash["pid"]]
        self.assertTrue(crash["caller_called"])
        caller = int(crash["caller"], 16)
        module = next(e for e in modules if int(e["start"], 16) <= caller < int(e["end"], 16))
        own = [{"offset": hex(int(address, 16) - int(module["start"], 16) + int(module["offset"], 16))}
               for address in (crash["ip"], crash["caller"])]
        self.assertEqual(self.functions(program, own), ["crash_leaf", "call_leaf"])
        walked = [frame for frame in crash["user_stack"] if frame.get("build_id") == recording.build_id(program)]
        self.assertEqual(self.functions(program, walked[:2]), ["crash_leaf", "above_leaf"])

    def test_address_of_the_access(self):
        _, crash = self.crash("--address", str(0xdead0000), "--write")
        self.assertEqual(int(crash["address"], 16), 0xdead0000)
        self.assertIn("0xdead0000", self.report)

    def test_a_stack_that_ends_soon_is_kept(self):
        """Without environment little stands above main(), how little is random: mostly less than is read of a stack."""
        with recording.Scope() as scope, recording.Recorder(scope, "--no-crash-trigger") as recorder:
            for _ in range(16):
                done = scope.run([recording.workload("segfault"), "--depth", "1"], env={})
                self.assertEqual(done.returncode, -signal.SIGSEGV)
            recorder.settle()
            recorder.stop()
            crashes = recording.replay(recorder.window, "--class", "crash")
        self.assertEqual(len(crashes), 16)
        short = 0
        for crash in crashes:
            self.assertNotIn("stack_bytes_unreadable", crash)
            stack = bytes.fromhex(crash["stack_bytes"])
            self.assertGreater(len(stack), 0)
            if len(stack) < 4096:
                short += 1
                self.assertEqual((int(crash["sp"], 16) + len(stack)) % 4096, 0)
        self.assertGreater(short, 0)

    def test_modules_of_a_dynamic_program(self):
        """Every file mapped as code with its place, against the program's own /proc/self/maps and readelf(1)."""
        script = ("import ctypes, decimal, json, ssl, sys; sys.stdout.write(open('/proc/self/maps').read()); sys.stdout.flush(); "
                  "ctypes.string_at(0x77)")
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            done = scope.run(["/usr/bin/python3", "-c", script])
            self.assertEqual(done.returncode, -signal.SIGSEGV)
            dump = recorder.wait_for_dump()
            events = recording.replay(dump, "--class", "crash,module")
            recorder.stop()
        crash = next(e for e in events if e["class"] == "crash")
        modules = {(e["start"], e["end"], e["offset"], e["path"]): e for e in events if e["class"] == "module"}
        self.assertTrue(modules, "no module is recorded")
        maps = {}
        for line in done.stdout.decode().splitlines():
            words = line.split()
            if len(words) < 6 or "x" not in words[1]:
                continue
            start, end = words[0].split("-")
            maps[(hex(int(start, 16)), hex(int(end, 16)), hex(int(words[2], 16)), words[5])] = int(words[4])
        self.assertEqual(set(modules), {place for place in maps if place[3].startswith("/")})
        self.assertGreater(len(modules), 8)
        for place, module in modules.items():
            self.assertIn(place, maps)
            self.assertEqual((module["inode"], module["pid"]), (maps[place], crash["pid"]))
            if place[3].startswith("/"):
                self.assertEqual(module["build_id"], recording.build_id(place[3]), place)
        ip = int(crash["ip"], 16)
        self.assertTrue(any(int(start, 16) <= ip < int(end, 16) for start, end, _, _ in modules), "where it crashed")
        known = {module["build_id"] for module in modules.values()}
        on_stack = {frame["build_id"] for frame in crash["user_stack"] if "build_id" in frame}
        self.assertLessEqual(on_stack, known, "every file on the stack is told")

    def test_every_module_among_sixty_thousand_mappings(self):
        with tempfile.TemporaryDirectory(prefix="fr-") as folder, recording.Scope() as scope, \
                recording.Recorder(scope, "--no-crash-trigger") as recorder:
            done = scope.run([recording.workload("mappings"), "--folder", folder])
            self.assertEqual((done.returncode, done.stderr), (-signal.SIGSEGV, b""))
            recorder.settle(1.0)
            recorder.stop()
            recording.verify(recorder.window)
            events = recording.replay(recorder.window, "--class", "module")
        mapped = {(words[0], words[5]) for words in map(str.split, done.stdout.decode().splitlines())}
        self.assertEqual(len(mapped), 501)
        # Those that the kernel side told: the recorder also reads /proc/PID/maps, when it is in time.
        told = {(f"{int(e['start'], 16):08x}-{int(e['end'], 16):08x}", e["path"]) for e in events if e["cpu"] is not None}
        self.assertEqual(told, mapped)


if __name__ == "__main__":
    recording.main()
