# SPDX-License-Identifier: Apache-2.0
"""doctor lists this kernel's capabilities, and that recording is possible."""

KERNELS = ["cloud", "generic", "rt"]
TIMEOUT = 90
GUEST = r"""
flightrec doctor >/var/out/doctor 2>/var/out/doctor.err
echo $? >/var/out/status
"""


def check(run):
    text = run.out("doctor")
    run.expect(run.out("status").strip() == "0", f"doctor failed:\n{text}\n{run.out('doctor.err')}")
    for word in ("exec", "fork", "exit", "signal", "oom", "system calls"):
        run.expect(word in text.lower(), f"doctor says nothing of {word}:\n{text}")
