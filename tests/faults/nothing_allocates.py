# SPDX-License-Identifier: Apache-2.0
"""From the trigger to the delivered dump the recorder asks the kernel for no memory, and makes no process or thread.

strace follows every thread of a recorder that ships by HTTPS, over a crash and several dumps by request. Between the
trigger's signal and the end: no brk, mmap, mremap, clone, fork or execve; nothing that the recorder's own filter of
system calls refuses; no thread has a capability beyond the two that are promised.
"""
import os
import pathlib
import re
import signal
import subprocess
import time

import recording
from support import Nginx

COUNT = 20
SHORT = 1

MEMORY = "brk|mmap|mremap|mlock2?|clone3?|fork|vfork|execve|execveat"


def tasks(pid):
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir()):
        yield task.name, (task / "comm").read_text().strip(), (task / "status").read_text()


def check_rights(fault, pid):
    allowed = 1 << 19 | 1 << 2  # CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH
    for tid, comm, status in tasks(pid):
        effective, permitted = (int(re.search(rf"{name}:\s+(\w+)", status).group(1), 16) for name in ("CapEff", "CapPrm"))
        most = allowed if tid == str(pid) else 0
        fault.expect(effective & ~most == 0 and permitted & ~most == 0, f"{comm} still has capabilities {permitted:x}")
        fault.expect("Seccomp:\t2" in status, f"{comm} has no filter of system calls")
        fault.expect("NoNewPrivs:\t1" in status, f"{comm} may gain privileges")


def run(fault):
    log = fault.folder / "strace"
    with Nginx(fault.folder / "nginx") as receiver, recording.Scope() as scope:
        recorder = recording.Recorder(scope, "--ca-file", receiver.certificate, "--debounce", "0s", to=receiver.url,
                                      window_size="16M")
        with recorder:
            pid = recorder.process.pid
            check_rights(fault, pid)
            limit = re.search(r"Max open files\s+(\d+)", pathlib.Path(f"/proc/{pid}/limits").read_text()).group(1)
            fault.expect(int(limit) >= 4096, f"only {limit} file descriptors are allowed")
            protected = pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == "-1000\n"
            fault.expect(protected or "cannot set oom_score_adj" in recorder.stderr(), "oom_score_adj without a warning")
            threads, end = len(list(tasks(pid))), time.monotonic() + 20
            tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", log, "-p", str(pid)], stdin=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            try:
                while log.stat().st_size == 0 if log.exists() else True:
                    fault.expect(time.monotonic() < end, "strace does not follow")
                    time.sleep(0.05)
                before = recorder.status()["reserve"]
                victim = recording.workload(fault.random.choice(["segfault", "abort"]))
                scope.run([victim], timeout=60)
                receiver.wait_for(1)
                for number in range(2, 4):
                    os.kill(pid, signal.SIGUSR1)
                    receiver.wait_for(number)
                after = recorder.status()["reserve"]
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.wait(30)
            fault.expect(len(list(tasks(pid))) == threads, "the number of threads changed")
            recorder.stop()
        for dump in receiver.dumps():
            recording.verify(dump)
    calls = log.read_text(errors="replace").splitlines()
    asked = [line for line in calls if re.search(rf"\s(?:{MEMORY})\(", line)]
    fault.expect(not asked, f"{len(asked)} calls for memory or processes: {asked[:5]}")
    refused = [line for line in calls if "= -1 EPERM" in line]
    fault.expect(not refused, f"refused by the recorder's own filter: {refused[:5]}")
    fault.expect(after["grown"] == 0, f"the heap grew by {after['grown']}")
    fault.expect(after["major_faults"] == before["major_faults"], "a page had to be read from disk")
    fault.figure("system calls", len(calls))
    fault.figure("heap MiB", after["heap"] / 2**20)
    fault.figure("in use MiB", after["in_use"] / 2**20)
    fault.figure("minor faults", after["minor_faults"] - before["minor_faults"])
