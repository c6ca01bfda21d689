# SPDX-License-Identifier: Apache-2.0
"""A NUMA node that runs out for a process bound to it, by memory policy and by cpuset: the constraint the kernel names."""

import json
import re

from harness.oom import check_event, killed_processes

KERNELS = ["cloud"]
MEMORY = 640
# Two nodes, one processor each; the second one is small.
QEMU = ["-object", "memory-backend-ram,id=m0,size=448M", "-object", "memory-backend-ram,id=m1,size=192M",
        "-numa", "node,nodeid=0,cpus=0,memdev=m0", "-numa", "node,nodeid=1,cpus=1,memdev=m1"]
GUEST = r"""
cat /sys/devices/system/node/online >/var/out/nodes
mkdir /sys/fs/cgroup/pen
echo 1 >/sys/fs/cgroup/pen/cpuset.mems || fail "no cpuset"
start_recorder --to "$SINK"
oom_hog --step 4 --sleep 50 --node 1
echo "ended with $?" >/var/out/policy
await_dumps 1
sh -c 'echo $$ >/sys/fs/cgroup/pen/cgroup.procs; exec oom_hog --step 4 --sleep 50'
echo "ended with $?" >/var/out/cpuset
sleep 3
stop_recorder
"""


def check(run):
    run.expect(run.out("nodes").strip() == "0-1", f"nodes: {run.out('nodes')}")
    for how in ("policy", "cpuset"):
        run.expect(run.out(how).strip() == "ended with 137", f"{how}: {run.out(how)}")
    said = re.findall(r"oom-kill:constraint=(\w+),nodemask=([^,]*),cpuset=([^,]*),mems_allowed=([^,]*).*?,pid=(\d+)",
                      run.dmesg)
    run.expect([line[0] for line in said] == ["CONSTRAINT_MEMORY_POLICY", "CONSTRAINT_CPUSET"], f"the kernel says {said}")
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    events = run.events(window, "--class", "oom_kill")
    run.expect([(e["constraint"], e["victim_pid"]) for e in events] == [(line[0], int(line[4])) for line in said],
               f"recorded: {[(e['constraint'], e['victim_pid']) for e in events]}, the kernel says {said}")
    for event, kill in zip(events, killed_processes(run.dmesg)):
        check_event(run, event, kill)
    # A huge page that could not be had shortly before is an incident of its own.
    verdicts = [i["verdict"] for i in json.loads(run.flightrec("report", window, "--json"))["incidents"]]
    for line, words in zip(said, ("memory policy", "cpuset")):
        run.expect(any(f"oom_hog[{line[4]}]" in v and f"that its {words} allows were exhausted" in v for v in verdicts),
                   f"no verdict says {words}: {verdicts}")
