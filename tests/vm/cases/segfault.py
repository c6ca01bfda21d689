# SPDX-License-Identifier: Apache-2.0
"""A segmentation fault: a dump with signal, address and exit. All modules of dynamic programs, and among 60,000 mappings."""

EXTRA = ["/usr/bin/sleep"]
GUEST = r"""
start_recorder --to "$SINK"
segfault --address 0x1234 --depth 2 --delay 500
echo "ended with $?" >/var/out/segfault
await_dumps 1
/usr/bin/sleep 100 &
wait_for 20 grep -q "libc.so.6" /proc/$!/maps || fail "sleep does not run"
sleep 1
cat /proc/$!/maps >/var/out/maps
echo $! >/var/out/pid
kill -SEGV $!
wait $!
mkdir /tmp/m
mappings --folder /tmp/m >/var/out/code
echo "ended with $?" >/var/out/mappings
sleep 2
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
    # The kernel's list of a dynamic program's files, walked in its memory, against /proc/PID/maps.
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    told = {(e["start"], e["end"], e["offset"], e["path"])
            for e in run.events(window, "--class", "module") if e["pid"] == int(run.out("pid"))}
    mapped = set()
    for words in map(str.split, run.out("maps").splitlines()):
        if len(words) > 5 and words[5].startswith("/") and "x" in words[1]:
            start, end = words[0].split("-")
            mapped.add((hex(int(start, 16)), hex(int(end, 16)), hex(int(words[2], 16)), words[5]))
    run.expect(len(mapped) == 3, f"mapped as code: {mapped}")
    run.expect(told == mapped, f"told: {told}, mapped: {mapped}")
    run.expect(run.out("mappings").strip() == "ended with 139", f"mappings: {run.out('mappings')}")
    mapped = {(words[0], words[5]) for words in map(str.split, run.out("code").splitlines())}
    run.expect(len(mapped) == 501, f"{len(mapped)} files mapped as code")
    pid = next(e["pid"] for e in run.events(window, "--class", "crash") if e["comm"] == "mappings")
    # Those of the kernel side: the recorder may read /proc/PID/maps, too.
    told = {(f"{int(e['start'], 16):08x}-{int(e['end'], 16):08x}", e["path"])
            for e in run.events(window, "--class", "module") if e["pid"] == pid and e["cpu"] is not None}
    run.expect(told == mapped, f"of {len(mapped)} modules {len(told & mapped)} are told, {len(told - mapped)} others")
