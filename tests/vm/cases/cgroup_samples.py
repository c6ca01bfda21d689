# SPDX-License-Identifier: Apache-2.0
"""Samples of version 2 cgroups equal the cgroup's own files; every hit of a limit is told, with and without a kill."""

MEMORY = 768
DISK = 320
GUEST = r"""
mkdir -p /sys/fs/cgroup/outer/inner
echo "+memory +pids" >/sys/fs/cgroup/outer/cgroup.subtree_control
cd /sys/fs/cgroup/outer/inner
echo $((64 << 20)) >memory.max
echo $((40 << 20)) >memory.high
echo 30 >pids.max
cd /
start_recorder --to "$SINK" --sample-period 200ms
# More file data than fits: the page cache gives way, at memory.high here, at memory.max in the second one; in the third
# somebody is killed. Both are made while recording.
for name in tight deadly; do
    mkdir /sys/fs/cgroup/outer/$name
    echo $((32 << 20)) >/sys/fs/cgroup/outer/$name/memory.max
done
sh -c 'echo $$ >/sys/fs/cgroup/outer/tight/cgroup.procs; exec dd if=/dev/zero of=/var/tight bs=1M count=60' 2>/dev/null
rm /var/tight
sh -c 'echo $$ >/sys/fs/cgroup/outer/deadly/cgroup.procs; exec oom_hog --step 4 --sleep 20'
sh -c 'echo $$ >/sys/fs/cgroup/outer/inner/cgroup.procs; exec dd if=/dev/zero of=/var/big bs=1M count=90' 2>/dev/null
sh -c 'echo $$ >/sys/fs/cgroup/outer/inner/cgroup.procs; exec threads --threads 7 --end hold --hold 60000' &
sleep 6
for name in memory.current memory.peak memory.max memory.high memory.swap.max pids.current pids.max; do
    echo "$name $(cat /sys/fs/cgroup/outer/inner/$name)"
done >/var/out/files
sed 's/^/events./' /sys/fs/cgroup/outer/inner/memory.events >>/var/out/files
sed 's/^/stat./' /sys/fs/cgroup/outer/inner/memory.stat >>/var/out/files
cut -d' ' -f1 /proc/uptime >/var/out/when
for name in tight deadly; do
    sed "s/^/$name./" /sys/fs/cgroup/outer/$name/memory.events >>/var/out/files
done
sleep 1
stop_recorder
"""


def check(run):
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    files = dict(line.split(" ", 1) for line in run.out("files").splitlines())
    when = float(run.out("when")) * 1e9
    events = run.events(window, "--class", "cgroup_sample,alloc_failure")
    samples = [e for e in events if e["class"] == "cgroup_sample" and e["text"] == "/outer/inner"]
    run.expect(len(samples) > 10, f"{len(samples)} samples of the cgroup")
    sample = min(samples, key=lambda e: abs(e["boot_ns"] - when))
    names = {"memory_current": "memory.current", "memory_peak": "memory.peak", "memory_max": "memory.max",
             "memory_high": "memory.high", "memory_swap_max": "memory.swap.max", "pids_current": "pids.current",
             "pids_max": "pids.max", "memory_anon": "stat.anon", "memory_file": "stat.file", "memory_slab": "stat.slab",
             "memory_failures": "events.max", "memory_high_events": "events.high", "memory_oom_events": "events.oom",
             "oom_kills": "events.oom_kill", "memory_group_kills": "events.oom_group_kill"}
    for ours, theirs in names.items():
        if theirs not in files:  # memory.peak came with 5.19, oom_group_kill with 5.17
            run.expect(sample[ours] is None, f"{ours} is {sample[ours]} without a file")
            continue
        value = files[theirs].strip()
        wanted = value if value == "max" else int(value)
        slack = 1 << 20 if ours in ("memory_current", "memory_file", "memory_slab", "memory_anon") else 0
        near = sample[ours] == wanted or (slack and abs(sample[ours] - wanted) <= slack)
        run.expect(near, f"{ours} is {sample[ours]}, {theirs} says {value}")
    run.expect(sample["pids_current"] == 8, f"pids.current is {sample['pids_current']}")
    run.expect(sample["memory_high_events"] > 0, "memory.high was not exceeded: another test is needed")
    hits = [e for e in events if e["class"] == "alloc_failure" and e["kind"] == "cgroup"]
    run.expect(int(files["tight.max"]) > 0 and int(files["tight.oom_kill"]) == 0, f"the limit without a kill: {files}")
    run.expect(int(files["deadly.max"]) > 0 and int(files["deadly.oom_kill"]) == 1, f"the limit with a kill: {files}")
    for cgroup, cause, limit, theirs in (("/outer/inner", "memory_cgroup_high", 40 << 20, "events.high"),
                                         ("/outer/tight", "memory_cgroup_max", 32 << 20, "tight.max"),
                                         ("/outer/deadly", "memory_cgroup_max", 32 << 20, "deadly.max")):
        mine = [e for e in hits if (e["cgroup"], e["cause"]) == (cgroup, cause)]
        run.expect(mine and all(e["limit"] == limit for e in mine), f"{cgroup} at {cause}: {mine}")
        run.expect(sum(e["size"] for e in mine) == int(files[theirs]), f"{mine} add up to other than {files[theirs]}")
    run.note(f"at max {files['tight.max']} times without, {files['deadly.max']} times with a kill")
    run.note(f"{len(samples)} samples; high {files['events.high']}, max {files['events.max']} times")
