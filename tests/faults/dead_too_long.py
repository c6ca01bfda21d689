# SPDX-License-Identifier: Apache-2.0
"""With --pin, a recorder that is dead while the ring wraps: the next one has the newest, and counts the missing exactly.

A workload makes numbered calls and nothing else; the recorder is killed, and stays away until the ring of the workload's
CPU has been overwritten at least once. Every number must be in one of the two windows or counted in the second ledger as
overwritten, and the replay must show the gap.
"""
import re
import shutil
import signal
import subprocess

import recording
from support import bpf_file_system, dead_or_asleep, numbers

COUNT = 20
SHORT = 1


def run(fault):
    with bpf_file_system(fault.folder / "bpf") as pins, recording.Scope() as scope:
        options = ("--pin", "--pin-folder", pins / "flightrec", "--syscall-ring", "256K")
        with recording.Recorder(scope, *options) as recorder:
            cpu = fault.random.randrange(2)
            load = scope.start(["taskset", "-c", str(cpu), recording.workload("numbered_calls"), "--rate", "8000"],
                               stdout=subprocess.PIPE)
            recorder.settle(fault.random.uniform(1.2, 2))
            recorder.process.kill()
            recorder.process.wait()
            recorder.process.stdout.close()
            first = shutil.copy(recorder.window, fault.folder / "first.flight")
            dead_or_asleep(fault.random.uniform(2, 4))
            recorder.start()
            recorder.settle(1)
            load.send_signal(signal.SIGTERM)
            last = int(load.communicate(timeout=30)[0].split()[1])
            recorder.settle(0.5)
            recorder.stop()
            row = recording.ledger(recorder.window)["syscall"]
            before, after = numbers(first), numbers(recorder.window)
            text = recording.replay_text(recorder.window)
    fault.expect(row["overwritten"] > 0, "the ring did not wrap")
    missing = set(range(1, last + 1)) - set(before) - set(after)
    fault.expect(len(missing) == row["overwritten"],
                 f"{len(missing)} calls are missing, the ledger counts {row['overwritten']}")
    fault.expect(after[-1] == last and max(missing) < min(after), "the newest are not what was kept")
    fault.expect(len(set(before) & set(after)) == 0, "calls are in both windows")
    gaps = sum(int(n) for n in re.findall(r"=== (\d+) events of cpu \d+ \(syscalls track\) were overwritten", text))
    fault.expect(gaps == row["overwritten"], f"the replay shows gaps of {gaps}, the ledger counts {row['overwritten']}")
    fault.figure("overwritten", row["overwritten"])
