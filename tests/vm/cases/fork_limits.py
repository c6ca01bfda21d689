# SPDX-License-Identifier: Apache-2.0
"""Forks refused by each limit are told apart (threads, pids, user, cgroup, namespace), and mappings by theirs."""

MEMORY = 768
TIMEOUT = 240
GUEST = r"""
start_recorder --to "$SINK" --no-fork-trigger

# bomb NAME COMMAND…: runs it; /var/out/NAME is "PID CHILDREN ERRNO"
bomb() {
    local name=$1
    shift
    sh -c 'echo $$ >/var/out/'"$name"'; exec "$@"' sh "$@" >/var/out/"$name".text 2>&1
    echo "$(cat /var/out/"$name") $(cat /var/out/"$name".text)" >/var/out/"$name"
}

# The recorder looks at the limits once a second.
old=$(cat /proc/sys/kernel/threads-max)
echo $(($(cut -d/ -f2 /proc/loadavg | cut -d' ' -f1) + 40)) >/proc/sys/kernel/threads-max
cat /proc/sys/kernel/threads-max >/var/out/threads_max.limit
sleep 3
bomb threads_max fork_bomb --max 300 --hold 0
echo "$old" >/proc/sys/kernel/threads-max
sleep 3

old=$(cat /proc/sys/kernel/pid_max)
echo 450 >/proc/sys/kernel/pid_max
sleep 3
bomb pid_max fork_bomb --max 400 --hold 0
echo "$old" >/proc/sys/kernel/pid_max
sleep 3

mkdir -p /sys/fs/cgroup/crowd/small
echo +pids >/sys/fs/cgroup/crowd/cgroup.subtree_control
echo 15 >/sys/fs/cgroup/crowd/pids.max
bomb pids_cgroup sh -c 'echo $$ >/sys/fs/cgroup/crowd/small/cgroup.procs; exec fork_bomb --max 100 --hold 0'

bomb rlimit_nproc fork_bomb --max 100 --hold 0 --uid 65534 --nproc 20
bomb rlimit_as alloc_fail --kind mmap
bomb rlimit_data alloc_fail --kind brk

# The first child is the init of the new namespace; when it has gone, nobody can be born there any more.
bomb pidns_dead unshare -p sh -c 'short_lived --count 1 >/dev/null; short_lived --count 1'
stop_recorder
"""


def check(run):
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    events = run.events(window, "--class", "alloc_failure")
    told = {}
    for name in ("threads_max", "pid_max", "pids_cgroup", "pidns_dead", "rlimit_nproc"):
        text = run.out(name)
        found = [event for event in events if event["kind"] == "fork" and event["cause"] == name]
        run.expect(found, f"no fork failure by {name}; there are {[(e['cause'], e['comm']) for e in events]}; {text}")
        told[name] = found[0]
        pid = int(text.split()[0])
        run.expect(found[0]["pid"] == pid, f"{name}: recorded of process {found[0]['pid']}, not {pid}")
    for name in ("threads_max", "pid_max", "pids_cgroup", "rlimit_nproc"):
        run.expect("errno 11" in run.out(name), f"{name}: {run.out(name)}")
        run.expect(told[name]["errno"] == "EAGAIN", f"{name}: {told[name]}")
    run.expect(told["threads_max"]["limit"] == int(run.out("threads_max.limit")), f"{told['threads_max']}")
    run.expect(told["pid_max"]["limit"] == 450, f"{told['pid_max']}")
    pids = told["pids_cgroup"]
    run.expect((pids["limit"], pids["usage"], pids["cgroup"]) == (15, 15, "/crowd"), f"the limit of /crowd: {pids}")
    nproc = told["rlimit_nproc"]
    run.expect((nproc["limit"], nproc["usage"]) == (20, 20), f"RLIMIT_NPROC: {nproc}")
    # Mappings that were refused, with the limit that did it.
    for name, call, size, limit in (("rlimit_as", "mmap", 256 << 20, 64 << 20), ("rlimit_data", "brk", 64 << 20, 8 << 20)):
        pid = int(run.out(name).split()[0])
        found = [e for e in events if e["kind"] == "syscall" and e["pid"] == pid and e["syscall"] == call]
        run.expect(found and found[0]["cause"] == name, f"{name}: {found}")
        run.expect(found[0]["limit"] == limit and abs(found[0]["size"] - size) < 1 << 20, f"{name}: {found[0]}")
    run.expect(told["pidns_dead"]["errno"] == "ENOMEM", f"{told['pidns_dead']}")
    run.expect(len([e for e in events if e["kind"] == "fork"]) == 5, f"more failures than five: {events}")
