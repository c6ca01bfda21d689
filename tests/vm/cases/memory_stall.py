# SPDX-License-Identifier: Apache-2.0
"""Processes that stall on memory (memory.high of their cgroup): pressure, tasks and cgroup, as the kernel's files say."""

import json
import re

KERNELS = ["cloud"]
GUEST = r"""
mkdir /sys/fs/cgroup/mill
echo $((24 << 20)) >/sys/fs/cgroup/mill/memory.high
start_recorder --to "$SINK"
for n in 1 2 3; do
    sh -c 'echo $$ >/sys/fs/cgroup/mill/cgroup.procs; exec oom_hog --step 2 --sleep 1 --limit 64' &
    echo $! >>/var/out/pids
done
sleep 22
cat /proc/pressure/memory >/var/out/pressure
cat /sys/fs/cgroup/mill/memory.pressure >/var/out/mill_pressure
cat /sys/fs/cgroup/mill/memory.events >/var/out/mill_events
flightrec dump --reason "it crawls" >/var/out/dump 2>&1 || fail "$(cat /var/out/dump)"
await_dumps 1
kill -9 $(cat /var/out/pids)
stop_recorder
"""


def pressure(text):
    """{("some", "avg10"): …} of a pressure file."""
    return {(line.split()[0], name): float(value) for line in text.splitlines()
            for name, value in re.findall(r"(\w+)=([0-9.]+)", line)}


def check(run):
    dump = run.dumps()[0]
    run.flightrec("verify", dump)
    pids = set(map(int, run.out("pids").split()))
    said, mill = pressure(run.out("pressure")), pressure(run.out("mill_pressure"))
    run.note(f"the machine {said}")
    run.note(f"/mill {mill}")
    run.expect(mill["full", "avg10"] > 20 and said["full", "avg10"] > 10, f"no stall: {said}, {mill}")
    events = run.events(dump, "--class", "system_sample,process_sample,alloc_failure")
    last = [e for e in events if e["class"] == "system_sample"][-1]
    for kind in ("some", "full"):
        told = last[f"psi_memory_{kind}_avg10"]
        run.expect(abs(told - said[kind, "avg10"]) < 15, f"memory {kind}: {told}, the kernel says {said}")
        total = last[f"psi_memory_{kind}_us"]
        # The sample may be some seconds older than what the guest read, or younger: the dump has a tail.
        run.expect(abs(total - said[kind, "total"]) < 5_000_000, f"{kind} total {total}, the kernel says {said}")
    waiting = [e for e in events if e["class"] == "process_sample" and e["pid"] in pids and e["state"] == "D"]
    run.expect({e["pid"] for e in waiting} == pids, f"in state D: {[(e['pid'], e.get('text')) for e in waiting]} of {pids}")
    run.expect(any("mem_cgroup" in (e.get("text") or "") for e in waiting), f"what they wait in: {waiting[-3:]}")
    hits = [e for e in events if e["class"] == "alloc_failure" and e["cause"] == "memory_cgroup_high"]
    counted = int(re.search(r"^high (\d+)", run.out("mill_events"), re.M)[1])
    run.expect(abs(sum(e["size"] for e in hits) - counted) < 150, f"hits {[e['size'] for e in hits]}, the kernel says {counted}")
    run.expect({(e.get("cgroup"), e["limit"]) for e in hits} == {("/mill", 24 << 20)}, f"hits: {hits[:2]}")
    told = json.loads(run.flightrec("report", dump, "--json"))
    stalls = [incident for incident in told["incidents"] if incident["kind"] == "stall"]
    run.expect(len(stalls) == 1 and stalls[0]["cause"] == "stall_memory", f"incidents: {told['incidents']}")
    text = json.dumps(stalls[0])
    run.expect(any(f"oom_hog[{pid}]" in text for pid in pids), f"the verdict names none of {pids}: {text}")
    run.expect("/mill" in text, f"the cgroup is not named: {text}")
    run.note(f"{stalls[0]['cause']}: {stalls[0]['verdict']}")
