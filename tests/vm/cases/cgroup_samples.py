# SPDX-License-Identifier: Apache-2.0
"""Samples of version 2 cgroups equal the cgroup's own files; limits that are hit without a kill are told."""

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
# More file data than fits: the page cache gives way.
sh -c 'echo $$ >/sys/fs/cgroup/outer/inner/cgroup.procs; exec dd if=/dev/zero of=/var/big bs=1M count=90' 2>/dev/null
sh -c 'echo $$ >/sys/fs/cgroup/outer/inner/cgroup.procs; exec threads --threads 7 --end hold --hold 60000' &
sleep 6
for name in memory.current memory.peak memory.max memory.high memory.swap.max pids.current pids.max; do
    echo "$name $(cat /sys/fs/cgroup/outer/inner/$name)"
done >/var/out/files
sed 's/^/events./' /sys/fs/cgroup/outer/inner/memory.events >>/var/out/files
sed 's/^/stat./' /sys/fs/cgroup/outer/inner/memory.stat >>/var/out/files
cut -d' ' -f1 /proc/uptime >/var/out/when
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
    hits = [e for e in events if e["class"] == "alloc_failure" and e["kind"] == "cgroup" and e["cgroup"] == "/outer/inner"]
    run.expect(sum(e["size"] for e in hits) <= int(files["events.max"]), f"hits: {hits}")
    run.note(f"{len(samples)} samples; high {files['events.high']}, max {files['events.max']} times")
