# SPDX-License-Identifier: Apache-2.0
"""The network fails in every way: the dump waits, recording goes on, and it arrives once when the network is back.

Each run takes one failure (by the seed): a closed port, a receiver that swallows everything, resets in mid-transfer,
reads slowly, answers 500 or shows another certificate, a name that nobody resolves. An incident happens then. Half of
the runs restart the recorder meanwhile. Then the receiver is put right: every incident arrives, none under two names.
"""
import re
import time

import recording
from support import Nginx, Relay, wait_for

COUNT = 42
SHORT = 2

FAILURES = ("closed port", "black hole", "reset", "slow", "500", "wrong certificate", "no name")


def incidents(files):
    return [re.sub(r".*-([0-9a-f]{32}-\d+)\.flight", r"\1", path.name) for path in files]


def run(fault):
    failure = FAILURES[fault.seed % len(FAILURES)]
    restart = fault.seed // len(FAILURES) % 2 == 1
    with Nginx(fault.folder / "nginx") as receiver, Relay(receiver.world.https) as relay, recording.Scope() as scope:
        host = "127.0.0.1"
        options = ["--ca-file", receiver.certificate, "--debounce", "0s", "-v"]
        if failure == "wrong certificate":
            other = Nginx(fault.folder / "other")
            other.world._certificate()
            options[1] = fault.folder / "ca.pem"
            options[1].write_bytes(other.certificate.read_bytes())
        elif failure == "no name":
            host = "flightrec.invalid"
        elif failure == "500":
            (receiver.folder / "refuse").touch()
        else:
            relay.fail(failure)
        to = f"https://{host}:{relay.port}/in/"
        with recording.Recorder(scope, *options, to=to) as recorder:
            scope.run([recording.workload("segfault")])
            wait_for(lambda: recorder.status()["sinks"][0]["queued"] == 1, "the incident is not in the spool")
            # The recorder goes on: its answers come at once, and more incidents are taken.
            began = time.monotonic()
            recorder.status()
            answered = time.monotonic() - began
            done = recording.flightrec("dump", "--control", recorder.control, "--reason", "second")
            fault.expect(done.returncode == 0, f"a dump while the network is down: {done.stderr}")
            wait_for(lambda: recorder.status()["sinks"][0]["queued"] == 2, "the second incident is not in the spool")
            if failure != "slow":
                wait_for(lambda: recorder.status()["sinks"][0]["last_error"], "no error is told", 60)
                said = recorder.status()["sinks"][0]["last_error"]
                fault.note(f"{failure}{', restart' if restart else ''}: {said[:150]}")
            fault.expect(failure == "slow" or not receiver.dumps(), "a dump arrived through a network that is down")
            spool = sorted(recorder.spool.glob("*.flight"))
            fault.expect(failure == "slow" or len(spool) == 2, f"{len(spool)} dumps in the spool")
            for path in spool:
                recording.verify(path)
            # Put right.
            if failure == "wrong certificate":
                options[1].write_bytes(receiver.certificate.read_bytes())
            if failure == "no name":
                recorder.stop()
                recorder.to = f"https://127.0.0.1:{relay.port}/in/"
                recorder.start()
            elif restart:
                recorder.process.kill()
                recorder.process.wait()
                recorder.process.stdout.close()
                recorder.start()
            (receiver.folder / "refuse").unlink(missing_ok=True)
            relay.fail(None)
            began = time.monotonic()
            kicked = recording.flightrec("dump", "--control", recorder.control, "--reason", "third")
            fault.expect(kicked.returncode == 0, f"dump: {kicked.stderr}")
            expected = 3
            wait_for(lambda: len(receiver.dumps()) >= expected, "not everything arrived", 120)
            fault.figure("s to arrive", time.monotonic() - began)
            wait_for(lambda: recorder.status()["sinks"][0]["queued"] == 0, "something still waits")
            recorder.stop()
        names = incidents(receiver.dumps())
        fault.expect(len(set(names)) == len(names), f"one incident under two names: {names}")
        reasons = [len([p for p in receiver.dumps() if kind in p.name]) for kind in ("crash", "command")]
        fault.expect(reasons == [1, 2], f"crashes and requests that arrived: {reasons}")
        for path in receiver.dumps():
            recording.verify(path)
        fault.figure("status answered s", answered)
