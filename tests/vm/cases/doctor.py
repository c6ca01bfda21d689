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
    # Debian's kernels offer everything: each capability has a program, and those that this project's other kernel lacks
    # are taken by their best variant.
    missing = [line for line in text.splitlines() if line.startswith("NO")]
    run.expect(not missing, f"not available: {missing}")
    run.expect("start: no bpf_rdonly_cast" in text, f"the cast is of 6.2, and not missed here:\n{text}")
    for way in ("fentry out_of_memory", "fentry exit_mm_release", "kprobe warn_alloc", "kprobe slab_out_of_memory"):
        run.expect(f"+ {way}" in text, f"{way} is not taken:\n{text}")
