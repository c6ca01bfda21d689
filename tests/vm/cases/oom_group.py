# SPDX-License-Identifier: Apache-2.0
"""A cgroup that is killed as a whole: every member, the candidates, memory.stat, the kernel's lines in their place."""

import re
from dataclasses import replace

from harness.oom import check_event, killed_processes

MEMORY = 768
THREADS = 6
GUEST = r"""
mkdir -p /sys/fs/cgroup/shop/till
echo +memory >/sys/fs/cgroup/shop/cgroup.subtree_control
echo $((48 << 20)) >/sys/fs/cgroup/shop/memory.max
echo 1 >/sys/fs/cgroup/shop/till/memory.oom.group
start_recorder --to "$SINK"
inside() { sh -c 'echo $$ >/sys/fs/cgroup/shop/till/cgroup.procs; exec "$@"' sh "$@"; }
inside threads --threads 6 --end hold --hold 60000 &
sleep 2
inside oom_hog --step 4 --sleep 100
cat /sys/fs/cgroup/shop/memory.events >/var/out/events
tr ' ' '\n' </sys/fs/cgroup/shop/memory.stat | grep -v '^[0-9]' >/var/out/stat_names
await_dumps 1
stop_recorder
"""


def check(run):
    kills = killed_processes(run.dmesg)
    run.expect({kill.comm for kill in kills} == {"oom_hog", "threads"}, f"unexpected kills: {kills}")
    dump = run.dumps()[0]
    run.flightrec("verify", dump)
    events = run.events(dump, "--class", "oom_kill,kmsg,exit")
    # The kernel's line has the thread whose memory it looked at: not the main one where that was gone already, and then
    # a line, and an event, of its own.
    found = {event["victim_tid"]: event for event in events if event["class"] == "oom_kill"}
    run.expect(set(found) == {kill.pid for kill in kills}, f"recorded: {set(found)}, the kernel killed {kills}")
    for kill in kills:
        event = found[kill.pid]
        # The chosen victim is the one thread that runs all this; those of the other run on the other processor.
        check_event(run, event, replace(kill, pid=event["victim_pid"]), cached_threads=THREADS + 1 if kill.comm == "threads" else 0)
        run.expect(event["group"], f"not told as a kill of a group: {event}")
        run.expect(event["cgroup"] == "/shop", f"the domain is {event['cgroup']}")
        run.expect(event["domain_limit"] == 48 << 20, f"its limit is {event['domain_limit']}")
        run.expect(event["victim_cgroup"] == "/shop/till", f"the victim's cgroup is {event['victim_cgroup']}")
        run.expect(event["context_known"] and event["constraint"] == "CONSTRAINT_MEMCG", f"constraint: {event}")
        run.expect(event["kernel_stack"], "no kernel stack")
    hog = next(found[kill.pid] for kill in kills if kill.comm == "oom_hog")
    run.expect({c["comm"] for c in hog["candidates"]} == {"oom_hog", "threads"}, f"candidates: {hog['candidates']}")
    run.expect(hog["candidates"][0]["comm"] == "oom_hog", "the largest candidate does not stand first")
    run.expect(set(run.out("stat_names").split()) == set(hog["memory_stat"]), "memory.stat is not whole")
    invoked = re.search(r"(\S+) invoked oom-killer: gfp_mask=(0x[0-9a-f]+)\((\S+)\), order=(\d+), oom_score_adj=(-?\d+)",
                        run.dmesg)
    run.expect((hog["gfp_raw"], hog["gfp"], hog["order"]) == (invoked[2], f"{invoked[2]}({invoked[3]})", int(invoked[4])),
               f"gfp mask and order: {hog['gfp_raw']} {hog['gfp']} {hog['order']}, the kernel says {invoked[0]}")
    # One end of each process, whatever the number of its threads; all of them victims.
    for kill in kills:
        ends = [e for e in events if e["class"] == "exit" and e["pid"] == found[kill.pid]["victim_pid"]]
        run.expect(len([e for e in ends if e["process"]]) == 1, f"{kill.comm}: ends of the process: {ends}")
        run.expect(all(e["oom_victim"] for e in ends), f"{kill.comm}: not marked as a victim: {ends}")
        run.expect(len(ends) == (THREADS + 1 if kill.comm == "threads" else 1), f"{kill.comm}: {len(ends)} ends")
    # The kernel's lines stand where they were printed.
    lines = [e for e in events if e["class"] == "kmsg"]
    begin = next(e for e in lines if "invoked oom-killer" in e["text"])
    end = next(e for e in lines if f"Killed process {hog['victim_pid']} (" in e["text"])
    run.expect(begin["boot_ns"] < hog["boot_ns"] < end["boot_ns"],
               f"report {begin['boot_ns']} … {end['boot_ns']}, kill {hog['boot_ns']}")
    stamp = re.search(r"\[ *(\d+)\.(\d+)\][^\n]*Killed process %d " % hog["victim_pid"], run.dmesg)
    run.expect(end["stamp_ns"] // 1000 == int(stamp[1]) * 1_000_000 + int(stamp[2]), f"stamp {end['stamp_ns']}")
    run.note(f"the line's own clock is {(end['boot_ns'] - end['stamp_ns']) / 1e6:.1f} ms behind boot time")
