# SPDX-License-Identifier: Apache-2.0
"""Global OOM of a real hog: the dump arrives outside and names what the kernel itself reported."""

from harness.oom import check_event, check_report, killed_processes

MEMORY = 512
TIMEOUT = 180
GUEST = r"""
start_recorder --to "$SINK" --label case=oom_global
oom_hog --step 8 --sleep 150
echo "hog ended with $?" >/var/out/hog
await_dumps 1
flightrec status >/var/out/status 2>&1 || fail "status: $(cat /var/out/status)"
stop_recorder
"""


def check(run):
    run.expect(run.out("hog").strip() == "hog ended with 137", f"the hog was not killed: {run.out('hog')}")
    kills = killed_processes(run.dmesg)
    run.expect(len(kills) == 1 and kills[0].comm == "oom_hog" and not kills[0].memcg, f"unexpected kills: {kills}")
    kill = kills[0]
    dump = run.dumps()[0]
    run.flightrec("verify", dump)
    events = run.events(dump, "--class", "oom_kill")
    run.expect(len(events) == 1, f"{len(events)} oom_kill events in the dump, not 1")
    check_event(run, events[0], kill)
    check_report(run, run.flightrec("report", dump), kill)
    # The window on the dead machine's disk is the same story.
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    run.expect(len(run.events(window, "--class", "oom_kill")) == 1, "the window has no oom_kill event")
    run.note(f"victim {kill.comm}[{kill.pid}] anon {kill.anon >> 20} MiB, dump {dump.stat().st_size >> 10} KiB")
