# SPDX-License-Identifier: Apache-2.0
"""37,000 forks as fast as they go: every birth and every end is recorded, and the memory ceiling holds.
"""
import pathlib
import re

import recording

COUNT = 3
SHORT = 0


def run(fault):
    children = 37000
    with recording.Scope() as scope, recording.Recorder(scope, window_size="64M") as recorder:
        done = scope.run([recording.workload("short_lived"), "--count", str(children)])
        fault.expect(done.returncode == 0, done.stderr)
        recorder.settle(1)
        status = recorder.status()
        memory = pathlib.Path(f"/proc/{recorder.process.pid}/status").read_text()
        most = int(re.search(r"VmHWM:\s+(\d+)", memory).group(1)) * 1024
        recorder.stop()
        rows = recording.ledger(recorder.window)
    for name, least in (("fork", children), ("exit", children + 1)):
        row = rows[name]
        fault.expect(row["produced"] >= least, f"{name}: {row}")
        fault.expect(row["overwritten"] == row["torn"] == 0, f"{name}: {row}")
    fault.expect(most <= status["memory_ceiling"], f"{most} bytes resident, the ceiling is {status['memory_ceiling']}")
    fault.expect(status["reserve"]["grown"] == 0, "the heap grew")
    fault.figure("resident MiB", most / 2**20)
    fault.figure("ceiling MiB", status["memory_ceiling"] / 2**20)
