# SPDX-License-Identifier: Apache-2.0
"""The wall clock is set forward and back while recording: every event has the time that the clock showed then."""

from datetime import datetime, timezone

KERNELS = ["cloud"]
GUEST = r"""
date -s '2030-01-01 10:00:00'
start_recorder
mark() { date -u +%s >/var/out/$1; /bin/busybox true "$1"; }
mark before
sleep 1.5
date -s '2030-01-01 12:00:00'
sleep 1.5
mark forward
sleep 1
date -s '2030-01-01 09:59:58'
sleep 1.5
mark back
sleep 4
mark again
stop_recorder
"""


def check(run):
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)

    def execs(*options):
        found = {}
        for event in run.events(window, "--class", "exec", *options):
            if event["argv"][1:2] == ["true"]:
                moment = datetime.fromisoformat(event["time"][:19]).replace(tzinfo=timezone.utc)
                found[event["argv"][2]] = (moment.timestamp(), event["boot_ns"])
        return found

    marks = execs()
    run.expect(list(marks) == ["before", "forward", "back", "again"], f"marks: {marks}")
    for name, (recorded, _) in marks.items():
        shown = int(run.out(name))
        run.expect(0 <= recorded - shown <= 1, f"{name}: the clock showed {shown}, the flight says {recorded}")
    steps = [event for event in run.events(window, "--class", "marker") if event.get("kind") == "clock"]
    run.expect(len(steps) >= 3, f"{len(steps)} clock markers")
    # Across the step forward: a time it jumped over is the moment of the step.
    run.expect(list(execs("--since", "2030-01-01 11:00:00")) == ["forward", "back", "again"], "since 11:00")
    run.expect(list(execs("--until", "2030-01-01 11:00:00")) == ["before", "forward", "back", "again"], "until 11:00")
    # 10:00:01 came twice, before the steps and after: --since means the first, --until the last.
    run.expect(set(execs("--since", "2030-01-01 09:59:59")) >= {"before", "forward", "back", "again"}, "since 09:59:59")
    run.expect("forward" in execs("--until", "2030-01-01 10:00:01"), "until 10:00:01, which came again after the step back")
    run.note(f"{len(steps)} clock markers, marks at {[int(t) for t, _ in marks.values()]}")
