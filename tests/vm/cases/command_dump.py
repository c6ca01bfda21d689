# SPDX-License-Identifier: Apache-2.0
"""`flightrec dump` ships the window on demand, with the reason given; recording goes on."""

GUEST = r"""
start_recorder --to "$SINK" --label shelf=7
syscall_loop --call mix --count 500
flightrec dump --reason "asked by the test" >/var/out/dump 2>&1 || fail "dump: $(cat /var/out/dump)"
await_dumps 1
short_lived --count 20
flightrec dump --reason "once more" >/var/out/dump2 2>&1 || fail "dump: $(cat /var/out/dump2)"
await_dumps 2
stop_recorder
"""


def check(run):
    first, second = run.dumps(2)[:2]
    for dump in (first, second):
        run.flightrec("verify", dump)
    run.expect("asked by the test" in run.flightrec("report", first), "the report does not give the reason")
    calls = run.events(first, "--class", "syscall", "--comm", "syscall_loop")
    names = [event.get("name", event.get("syscall")) for event in calls]
    run.expect(names.count("getppid") == 500, f"{names.count('getppid')} getppid calls, not 500")
    # The second dump is of the same recording and has what happened after the first.
    run.expect(len([event for event in run.events(second, "--class", "exit")
                    if event.get("comm") == "short_lived"]) == 21, "not all 21 exits are in the second dump")
