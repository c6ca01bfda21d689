# SPDX-License-Identifier: Apache-2.0
"""fentry and kprobes refused: doctor says which and why, and the poorer variants record page failures, OOM and crash."""

import re

from harness.oom import killed_processes

KERNELS = ["cloud"]
EXTRA = ["/usr/bin/strace"]
TIMEOUT = 300
# What a seccomp filter or a hardened kernel does: perf_event_open (kprobes) and the trial load of fentry are refused.
GUEST = r"""
strace -o /tmp/calls -e trace=bpf flightrec doctor >/var/out/doctor_full
first=$(grep -n 'flightrec_try' /tmp/calls | head -n 1 | cut -d: -f1)
last=$(grep -n 'flightrec_try' /tmp/calls | tail -n 1 | cut -d: -f1)
[ -n "$first" ] || fail "no trial of fentry"
mkdir /tmp/bin
cat >/tmp/bin/flightrec <<END
#!/bin/sh
exec strace -D -f -qq -o /dev/null --seccomp-bpf -e trace=bpf,perf_event_open -e inject=perf_event_open:error=EACCES \
    -e inject=bpf:error=EPERM:when=$first..$last /usr/bin/flightrec "\$@"
END
chmod 755 /tmp/bin/flightrec
PATH=/tmp/bin:$PATH
flightrec doctor >/var/out/doctor
echo $? >/var/out/status
pages() { echo 100000 >/proc/sys/vm/nr_hugepages; echo 0 >/proc/sys/vm/nr_hugepages; }

mkdir -p /sys/fs/cgroup/shop /sys/fs/cgroup/box
echo $((32 << 20)) >/sys/fs/cgroup/shop/memory.max
start_recorder --to "$SINK"
pages
sh -c 'echo $$ >/sys/fs/cgroup/shop/cgroup.procs; exec oom_hog --step 4 --sleep 50'
segfault
sleep 2
stop_recorder
cp /var/lib/flightrec/window.flight /var/out/whole.flight

start_recorder --to "$SINK" --scope /sys/fs/cgroup/box
pages
sh -c 'echo $$ >/sys/fs/cgroup/box/cgroup.procs; echo $$ >/var/out/inside; echo 100000 >/proc/sys/vm/nr_hugepages; echo 0 >/proc/sys/vm/nr_hugepages'
sleep 2
stop_recorder
"""


def page_failures(run, file):
    return [e for e in run.events(file, "--class", "alloc_failure") if e["kind"] == "page" and e["order"] == 9]


def check(run):
    text = run.out("doctor")
    run.expect(run.out("status").strip() == "0", f"doctor failed:\n{text}")
    for refused in ("fentry exit_mm_release: the kernel refuses fentry and fexit programs: Operation not permitted",
                    "kprobe exit_mm_release: the kernel refuses to attach it: Permission denied",
                    "fentry out_of_memory: the kernel refuses fentry and fexit programs: Operation not permitted",
                    "kprobe out_of_memory: the kernel refuses to attach it: Permission denied",
                    "kprobe warn_alloc: the kernel refuses to attach it: Permission denied",
                    "kprobe slab_out_of_memory: the kernel refuses to attach it: Permission denied"):
        run.expect(f"- {refused}" in text, f"doctor does not say '{refused}':\n{text}")
    run.expect("+ tracepoint mm_page_alloc; loses: vmalloc failures" in text, f"mm_page_alloc is not taken:\n{text}")
    for missing in ("crash modules", "oom context", "slab allocation failures"):
        run.expect(re.search(f"^NO +{missing}", text, re.M), f"{missing} is not told as missing:\n{text}")

    whole = run.state / "out" / "whole.flight"
    run.flightrec("verify", whole)
    failed = page_failures(run, whole)
    run.expect(failed, "no failed allocation of a huge page")
    for event in failed:
        run.expect(event["size"] == 2 << 20 and "__GFP_NOWARN" in event["gfp"], f"{event}")
        run.expect("hugetlb" in " ".join(event["kernel_stack"]), f"stack: {event['kernel_stack']}")
    kill = killed_processes(run.dmesg)[0]
    found = run.events(whole, "--class", "oom_kill")
    run.expect([(e["victim_pid"], e["victim_anon"], e["domain_limit"], e["cgroup"], e["constraint"], e["context_known"])
                for e in found] == [(kill.pid, kill.anon, 32 << 20, "/shop", "CONSTRAINT_MEMCG", False)],
               f"recorded {found}, the kernel says {kill}")
    run.expect(len(run.events(whole, "--class", "crash")) == 1, "the crash")

    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    inside = page_failures(run, window)
    run.expect(inside, "in the scope: no failed allocation of a huge page")
    run.expect({e["pid"] for e in inside} == {int(run.out("inside"))}, f"of others: {inside}")
    run.note(f"{len(failed)} failures on the machine, {len(inside)} in the scope")
