# SPDX-License-Identifier: Apache-2.0
"""A segmentation fault: the crash triggers a dump with signal, fault address and exit."""

GUEST = r"""
start_recorder --to "$SINK"
segfault --address 0x1234 --depth 2 --delay 500
echo "ended with $?" >/var/out/segfault
await_dumps 1
stop_recorder
"""


def check(run):
    run.expect(run.out("segfault").strip() == "ended with 139", "the workload did not die of SIGSEGV")
    dump = run.dumps()[0]
    run.flightrec("verify", dump)
    crashes = run.events(dump, "--class", "crash")
    run.expect(len(crashes) == 1, f"{len(crashes)} crash events, not 1")
    crash = crashes[0]
    run.expect(crash["comm"] == "segfault", f"comm is {crash['comm']}")
    run.expect(f"segfault[{crash['pid']}]" in run.dmesg, "the kernel reported another pid")
    address = crash["address"]
    run.expect((int(address, 0) if isinstance(address, str) else address) == 0x1234, f"address is {address}")
    # The program is static and maps nothing else that is executable but the kernel's own page.
    modules = [event for event in run.events(dump, "--class", "module") if event["pid"] == crash["pid"]]
    own = [event for event in modules if event["path"].endswith("/segfault")]
    # Told by the kernel, and again by the recorder when it reads /proc/PID/maps before the process is gone (then perhaps without a build id).
    run.expect(len({(event["start"], event["end"]) for event in own}) == 1, f"modules: {modules}")
    run.expect(int(own[0]["start"], 16) <= int(crash["ip"], 16) < int(own[0]["end"], 16), f"ip {crash['ip']}: {own}")
    run.expect(len(own[0]["build_id"]) == 40, f"build id: {own}")
    frames = {frame.get("build_id") for frame in crash["user_stack"]}
    run.expect(own[0]["build_id"] in frames, f"the stack's build ids are {frames}")
    exits = [event for event in run.events(dump, "--class", "exit") if event["pid"] == crash["pid"]]
    run.expect(len(exits) == 1, f"{len(exits)} exits of the crashed process, not 1")
    execs = [event for event in run.events(dump, "--class", "exec") if event["pid"] == crash["pid"]]
    run.expect(len(execs) == 1, f"{len(execs)} execs of the crashed process, not 1")
    report = run.flightrec("report", dump)
    run.expect("SIGSEGV" in report and str(crash["pid"]) in report, f"the report does not tell the crash:\n{report}")
