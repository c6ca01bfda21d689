# SPDX-License-Identifier: Apache-2.0
"""While the cost budget lets no system calls be recorded, failed execs, forks and mappings still are, each once."""

KERNELS = ["cloud", "rt"]
MEMORY = 768
TIMEOUT = 240
BETWEEN = 3  # FR_POLICY_NONE, schemas/flightrec/event.h
GUEST = r"""
start_recorder --to "$SINK" --budget 8% --no-fork-trigger
for cpu in 1 2; do
    sh -c 'while :; do syscall_loop --count 1000000 >/dev/null; done' &
    storms="$storms $!"
done
in_bursts() { flightrec status --json | grep -q between_bursts; }
wait_for 90 in_bursts || fail "the storm led to no bursts: $(flightrec status --json)"

i=0
while [ $i -lt 60 ]; do
    sh -c 'exec /nonexistent/program-'$i 2>/dev/null
    alloc_fail --kind mmap >/dev/null 2>&1
    alloc_fail --kind brk >/dev/null 2>&1
    [ $((i % 6)) = 0 ] && fork_bomb --max 100 --hold 0 --uid 65534 --nproc 12 >/dev/null 2>&1
    i=$((i + 1))
done
flightrec status --json >/var/out/status
kill $storms
stop_recorder
"""


def check(run):
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    steps = [(event["boot_ns"], event["new_step"]) for event in run.events(window, "--class", "marker")
             if event.get("kind") == "policy"]
    run.expect(BETWEEN in [step for _, step in steps], f"no bursts: {steps}")
    run.note(f"{sum(step == BETWEEN for _, step in steps)} times between bursts")

    def unseen(event):
        """Whether nothing was attached to the system call tracepoints when it happened."""
        before = [step for time, step in steps if time <= event["boot_ns"]]
        return before and before[-1] == BETWEEN

    execs = [e for e in run.events(window, "--class", "exec_failed") if "/nonexistent/program-" in e["filename"]]
    failures = run.events(window, "--class", "alloc_failure")
    told = {
        "exec": execs,
        "mmap": [e for e in failures if e["kind"] == "syscall" and e["syscall"] == "mmap"],
        "brk": [e for e in failures if e["kind"] == "syscall" and e["syscall"] == "brk"],
        "fork": [e for e in failures if e["kind"] == "fork"],
    }
    for kind, events in told.items():
        run.note(f"{kind}: {len(events)} told, {sum(map(bool, map(unseen, events)))} of them between bursts")
    run.expect(sorted(e["filename"] for e in execs) == sorted(f"/nonexistent/program-{i}" for i in range(60)),
               f"not each failed exec once: {[e['filename'] for e in execs]}")
    for kind, cause in (("mmap", "rlimit_as"), ("brk", "rlimit_data")):
        run.expect(len({e["pid"] for e in told[kind]}) == 60 == len(told[kind]), f"{kind}: {len(told[kind])} of 60")
        run.expect(all(e["cause"] == cause for e in told[kind]), f"{kind}: {told[kind][0]}")
    run.expect([e["cause"] for e in told["fork"]] == ["rlimit_nproc"] * 10, f"fork: {told['fork']}")
    for kind, events in told.items():
        run.expect(any(map(unseen, events)), f"{kind}: none of them between bursts, nothing is shown")
