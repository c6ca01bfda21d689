# SPDX-License-Identifier: Apache-2.0
"""A recorder that is stopped (SIGSTOP) for 30 s under load has the newest events afterwards, and its loss is exact.

A workload makes numbered calls, the only ones that are recorded. After SIGCONT every number is either in the window or counted as
overwritten, the missing ones are older than what was kept, and processes that ended meanwhile are known.
"""
import signal
import subprocess

import recording
from support import dead_or_asleep, numbers

COUNT = 5
SHORT = 1


def run(fault):
    with recording.Scope() as scope:
        with recording.Recorder(scope, "--syscalls", "lseek", "--syscall-ring", "256K", window_size="32M") as recorder:
            load = scope.start(["taskset", "-c", str(fault.random.randrange(2)), recording.workload("numbered_calls"),
                                "--rate", "8000"], stdout=subprocess.PIPE)
            recorder.settle(fault.random.uniform(0.7, 1.5))
            recorder.process.send_signal(signal.SIGSTOP)
            brief = [scope.start(["/bin/true"]) for _ in range(20)]
            for process in brief:
                process.wait()
            dead_or_asleep(4 if fault.short else 30)
            recorder.process.send_signal(signal.SIGCONT)
            recorder.settle(1.5)
            load.send_signal(signal.SIGTERM)
            last = int(load.communicate(timeout=30)[0].split()[1])
            recorder.settle(0.5)
            recorder.stop()
            row = recording.ledger(recorder.window)["syscall"]
            kept = numbers(recorder.window, "--pid", str(load.pid))
            ends = {e["pid"] for e in recording.replay(recorder.window, "--class", "exit")}
    missing = sorted(set(range(1, last + 1)) - set(kept))
    fault.expect(row["overwritten"] > 0, "nothing was overwritten: the stop was too short")
    fault.expect(len(missing) == row["overwritten"], f"{len(missing)} missing, {row['overwritten']} counted")
    fault.expect(kept[-1] == last, "the newest call is not there")
    fault.expect(not missing or missing[-1] - missing[0] + 1 == len(missing), "more than one hole")
    fault.expect(row["produced"] == row["stored"] + row["overwritten"] + row["torn"] + row["skipped"] + row["pending"],
                 "the ledger does not balance")
    fault.expect({p.pid for p in brief} <= ends, "a process that ended meanwhile is not known to have ended")
    fault.figure("missing", len(missing))
    fault.figure("of", last)
