# SPDX-License-Identifier: Apache-2.0
"""OOM of a memory cgroup: the victim, its cgroup and the limit that it hit."""

from harness.oom import check_event, check_report, killed_processes

MEMORY = 768
GUEST = r"""
mkdir -p /sys/fs/cgroup/shop/till
echo +memory >/sys/fs/cgroup/shop/cgroup.subtree_control
echo $((64 << 20)) >/sys/fs/cgroup/shop/till/memory.max
start_recorder --to "$SINK"
sh -c 'echo $$ >/sys/fs/cgroup/shop/till/cgroup.procs; exec oom_hog --step 4 --sleep 100'
echo "hog ended with $?" >/var/out/hog
cat /sys/fs/cgroup/shop/till/memory.events >/var/out/events
await_dumps 1
stop_recorder
"""


def check(run):
    run.expect(run.out("hog").strip() == "hog ended with 137", f"the hog was not killed: {run.out('hog')}")
    run.expect("oom_kill 1" in run.out("events"), "the cgroup counted no kill")
    kills = killed_processes(run.dmesg)
    run.expect(len(kills) == 1 and kills[0].memcg, f"unexpected kills: {kills}")
    dump = run.dumps()[0]
    run.flightrec("verify", dump)
    events = run.events(dump, "--class", "oom_kill")
    run.expect(len(events) == 1, f"{len(events)} oom_kill events, not 1")
    check_event(run, events[0], kills[0])
    report = run.flightrec("report", dump)
    check_report(run, report, kills[0])
    run.expect("/shop/till" in report, f"the report does not name the cgroup /shop/till:\n{report}")
