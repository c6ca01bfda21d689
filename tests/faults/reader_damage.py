# SPDX-License-Identifier: Apache-2.0
"""A real dump, cut and with bits flipped: no crash, no hang, bounded memory, the damage told, and the rest still read.

`flightrec verify`, `replay` and `report` on a dump of this kernel, cut at a random byte or with one random bit flipped, half of
them in the file's header. The unit tests do every byte and every bit of a small file in one process
(tests/unit/flight/damage_test.cpp).
"""
import resource
import subprocess

import recording

COUNT = 5
SHORT = 1


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def run(fault):
    with recording.Scope() as scope, recording.Recorder(scope) as recorder:
        scope.run([recording.workload("short_lived"), "--count", "20", "--exec", "/bin/true"])
        recorder.settle()
        data = recorder.dump().read_bytes()
        recorder.stop()
    file = fault.folder / "damaged.flight"
    told = 0
    rounds = 40 if fault.short else 200
    for number in range(rounds):
        damaged = bytearray(data)
        if number % 2 == 0:
            del damaged[fault.random.randrange(len(damaged)):]
        else:
            at = fault.random.choice([fault.random.randrange(512), fault.random.randrange(len(damaged))])
            damaged[at] ^= 1 << fault.random.randrange(8)
        file.write_bytes(damaged)
        for command in ("verify", "replay", "report"):
            done = subprocess.run([recording.PROGRAM, command, file], capture_output=True, preexec_fn=limited, timeout=60,
                                  check=False)
            fault.expect(done.returncode in (0, 2, 5, 6), f"{command}: exit {done.returncode}: {done.stderr[-500:]}")
            told += command == "verify" and done.returncode != 0
    fault.expect(told > rounds * 0.5, f"only {told} of {rounds} were noticed")
    fault.figure("noticed of 100", told * 100 / rounds)
