#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that was loaded and then not attached: who is killed is still told as killed when signals are not seen."""
import os
import re
import subprocess
import tempfile
import unittest

import recording

# Attaching is refused by strace(1), which lets the call fail without making it (strace -e inject).
STRACE = ["strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=bpf"]
CAPABILITIES = ["exec", "fork", "exit", "rename", "signals"]  # attached in this order


def attachments(scope):
    """Numbers of the bpf(2) calls that attach, from 1, of a recorder that starts and stops."""
    with tempfile.NamedTemporaryFile("r") as calls, Traced(scope, STRACE + ["-o", calls.name]) as recorder:
        recorder.stop(within=60)
        lines = [line for line in calls if "bpf(" in line and "resumed" not in line]
    return [n for n, line in enumerate(lines, 1) if re.search(r"bpf\(BPF_(RAW_TRACEPOINT_OPEN|LINK_CREATE)", line)
            and " = -1 " not in line]


class Traced(recording.Recorder):
    def __init__(self, scope, tracer):
        self.tracer = tracer
        super().__init__(scope, ready=120)

    def argv(self):
        return [*self.tracer, *super().argv()]

    def stop(self, within=60.0):
        """The signal goes to the recorder, which ends the tracer."""
        children = recording.pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        os.kill(int(children.read_text().split()[0]), recording.signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        if code != 0:
            raise AssertionError(f"the recorder ended with {code}: {self.stderr()}")

    def remove(self):
        if self.process and self.process.poll() is None:  # the tracer alone would leave the recorder behind
            subprocess.run(["kill", "-KILL", *recording.pathlib.Path(
                f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()], check=False)
        super().remove()


class AttachRefused(unittest.TestCase):
    def test_an_oom_kill_without_the_program_of_signals_is_a_kill(self):
        with recording.Scope() as scope:
            calls = attachments(scope)
            refused = calls[len(CAPABILITIES) - 1]
            inject = STRACE + ["-o", "/dev/null", "-e", f"inject=bpf:error=EPERM:when={refused}"]
            with Traced(scope, inject) as recorder, recording.Scope(memory=48 << 20, parent=scope) as small:
                small.run([recording.workload("oom_hog"), "--step", "4", "--sleep", "50"])
                dump = recorder.wait_for_dump()
                recorder.stop()
                events = recording.replay(dump, "--class", "oom_kill,signal")
        self.assertEqual([e["class"] for e in events if e["class"] == "signal"], [])
        kills = [e for e in events if e["class"] == "oom_kill"]
        self.assertEqual([e["marked_only"] for e in kills], [False])


if __name__ == "__main__":
    recording.main()
