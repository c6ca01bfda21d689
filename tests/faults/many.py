# SPDX-License-Identifier: Apache-2.0
"""10,000 processes at once in a deep control group, argv of 128 KiB, unprintable comm and argv: the ceiling holds.

All of them live when the recorder starts (by the seed) or come while it records; then dumps are asked for, one process crashes,
and programs with the longest argument that exec(2) takes run. Resident memory stays below the declared ceiling, the
heap does not grow, the ledger balances, the text has no control character and the JSON is valid UTF-8.
"""
import pathlib
import re
import subprocess

import recording

COUNT = 5
SHORT = 0
PROCESSES = 10000
LEVELS = 24
LONGEST = 131071  # MAX_ARG_STRLEN without its NUL, execve(2)


def nested(levels):
    scopes = [recording.Scope()]
    while len(scopes) < levels:
        scopes.append(recording.Scope(parent=scopes[-1]))
    return scopes


def resident(recorder):
    """(now, at most) in bytes."""
    text = pathlib.Path(f"/proc/{recorder.process.pid}/status").read_text()
    return [int(re.search(rf"{name}:\s+(\d+)", text).group(1)) * 1024 for name in ("VmRSS", "VmHWM")]


def crowd_of(scope):
    crowd = scope.start([recording.workload("fork_bomb"), "--max", str(PROCESSES), "--hold", "600000"],
                        stdout=subprocess.PIPE)
    said = crowd.stdout.readline().decode()
    if f"children {PROCESSES} errno 0" not in said:
        raise AssertionError(f"not so many processes: {said}")
    return crowd


def run(fault):
    scopes = nested(LEVELS)
    try:
        deep = scopes[-1]
        before = fault.seed % 2 == 0
        crowd = crowd_of(deep) if before else None
        with recording.Recorder(scopes[0], window_size="64M", ready=120) as recorder:
            at_start = resident(recorder)[0]
            crowd = crowd or crowd_of(deep)
            recorder.settle(3)  # some samples of all of them
            for _ in range(20):
                deep.run([recording.workload("argv_weird"), "--long", str(LONGEST - fault.random.randrange(64))])
            deep.run([recording.workload("segfault")])
            recorder.wait_for_dump(timeout=60)
            dump = recorder.dump("--reason", "many")
            status, (_, most) = recorder.status(), resident(recorder)
            crowd.kill()  # its children end with it
            crowd.wait()
            crowd.stdout.close()
            recorder.stop(within=60)
            rows = recording.ledger(recorder.window)
            look_at(fault, recorder.window, dump)
        fault.expect(most <= status["memory_ceiling"], f"{most} bytes resident, the ceiling is {status['memory_ceiling']}")
        fault.expect(status["reserve"]["grown"] == 0, f"the heap grew by {status['reserve']['grown']}")
        if not before:
            fault.expect(rows["fork"]["produced"] >= PROCESSES, f"fork: {rows['fork']}")
        for name in ("exec",) if before else ("fork", "exec"):
            fault.expect(rows[name]["overwritten"] == rows[name]["torn"] == 0, f"{name}: {rows[name]}")
        fault.figure("resident MiB", most / 2**20)
        fault.figure("at start MiB", at_start / 2**20)
        fault.figure("ceiling MiB", status["memory_ceiling"] / 2**20)
        fault.figure("heap in use MiB", status["reserve"]["in_use"] / 2**20)
    finally:
        for scope in reversed(scopes):
            scope.remove()


def look_at(fault, window, dump):
    for file in (window, dump):
        text = subprocess.run([recording.PROGRAM, "replay", file, "--color", "never", "--class", "exec,exit,crash"],
                              stdout=subprocess.PIPE, check=True, stdin=subprocess.DEVNULL).stdout
        bad = {byte for byte in text if byte < 0x20 and byte != 0x0a or byte == 0x7f}
        fault.expect(not bad, f"control characters in the text: {bad}")
        text.decode("utf-8")  # raises when it is not
        weird = [e for e in recording.replay(file, "--class", "exec") if (e.get("argv") or [""])[0] == "argv_weird"]
        fault.expect(len(weird) >= 20, f"{len(weird)} programs with odd arguments in {file}")
        deepest = max(e["cgroup"].count("/") for e in weird)
        fault.expect(deepest == LEVELS, f"the control group is named with {deepest} of {LEVELS} parts")
