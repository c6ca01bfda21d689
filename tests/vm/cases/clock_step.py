# SPDX-License-Identifier: Apache-2.0
"""Steps of the wall clock are recorded as they happen, and times before and after them are told by the clock of then."""

GUEST = r"""
start_recorder --to "$SINK" --sample-period 10s
boot() { awk '{print $1}' /proc/uptime; }
sleep 2
echo "$(date +%s) $(boot)" >/var/out/before
short_lived --count 1
date -s "@$(($(date +%s) + 3600))" >/dev/null
echo "$(date +%s) $(boot)" >/var/out/ahead
short_lived --count 1
sleep 1
date -s "@$(($(date +%s) - 7200))" >/dev/null
echo "$(date +%s) $(boot)" >/var/out/behind
short_lived --count 1
sleep 2
stop_recorder
"""


def check(run):
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    events = run.events(window)
    steps = [e for e in events if e["class"] == "marker" and e["kind"] == "clock" and e["step_ns"] != 0]
    large = [e for e in steps if abs(e["step_ns"]) > 1_000_000_000]
    run.expect(len(large) == 2, f"{len(large)} steps, not 2: {steps}")
    # date(1) sets whole seconds: the step is up to a second off the difference that was asked for.
    for event, wanted in zip(large, (3600, -7200)):
        run.expect(abs(event["step_ns"] / 1e9 - wanted) < 2, f"a step of {event['step_ns']} ns, not {wanted} s")
    # Each is noticed when it happens, not with the next sample ten seconds later.
    for event, name in zip(large, ("ahead", "behind")):
        boot = float(run.out(name).split()[1])
        run.expect(abs(event["boot_ns"] / 1e9 - boot) < 2, f"noticed at {event['boot_ns']}, it was {boot}")
    # Wall-clock times of events are those of the clock that ran then.
    from datetime import datetime, timezone
    execs = [e for e in events if e["class"] == "exec" and e["argv"][0].endswith("short_lived")]
    run.expect(len(execs) >= 3, f"{len(execs)} starts of short_lived")
    for event, name in zip(execs[:3], ("before", "ahead", "behind")):
        wall = datetime.strptime(event["time"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
        seconds = int(run.out(name).split()[0])
        run.expect(abs(wall - seconds) < 3, f"{name}: {event['time']}, but the clock said {seconds}")
