# SPDX-License-Identifier: Apache-2.0
"""The guest boots with everything a recorder needs: BTF, cgroup controllers, tracefs, bpf, disk, workloads."""

KERNELS = ["cloud", "generic", "rt"]
RECORDER = False
TIMEOUT = 60
GUEST = r"""
set -e
uname -r >/var/out/release
cat /sys/fs/cgroup/cgroup.controllers >/var/out/controllers
cat /sys/fs/cgroup/cgroup.subtree_control >/var/out/subtree
test -r /sys/kernel/btf/vmlinux
test -d /sys/kernel/tracing/events
test -r /proc/pressure/memory
grep -q ' /sys/fs/bpf bpf ' /proc/mounts
grep -q ' /var ext4 ' /proc/mounts
segfault && fail "segfault lived" || echo "segfault ended with $?" >/var/out/segfault
"""


def check(run):
    run.expect("memory" in run.out("controllers").split(), "the memory controller is not there")
    run.expect("pids" in run.out("subtree").split(), "the pids controller is not enabled for children")
    run.expect(run.out("segfault").strip() == "segfault ended with 139", "the workload did not die of SIGSEGV")
    run.expect("segfault[" in run.dmesg, "the kernel did not report the segfault")
    run.note(f"kernel {run.out('release').strip()}")
