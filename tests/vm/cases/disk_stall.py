# SPDX-License-Identifier: Apache-2.0
"""Tasks that wait for a slow disk: pressure and state D are sampled, and the report's verdict is a stall that names them."""

import json
import re

KERNELS = ["cloud"]
# A second disk of 64 KiB a second.
QEMU = ["-drive", "if=none,id=slow,driver=null-co,size=67108864,throttling.bps-total=65536",
        "-device", "virtio-blk-pci,drive=slow"]
GUEST = r"""
wait_for 20 test -b /dev/vdb || fail "no slow disk"
start_recorder --to "$SINK"
for n in 1 2 3; do
    dd if=/dev/vdb of=/dev/null bs=1M count=16 skip=$((n * 16 - 16)) 2>/dev/null &
    echo $! >>/var/out/pids
done
sleep 14
cat /proc/pressure/io >/var/out/pressure
flightrec dump --reason "it hangs" >/var/out/dump 2>&1 || fail "$(cat /var/out/dump)"
await_dumps 1
kill -9 $(cat /var/out/pids)
stop_recorder
"""


def check(run):
    dump = run.dumps()[0]
    run.flightrec("verify", dump)
    pids = set(map(int, run.out("pids").split()))
    samples = run.events(dump, "--class", "system_sample,process_sample")
    waiting = [e for e in samples if e["class"] == "process_sample" and e["pid"] in pids and e["state"] == "D"]
    run.expect({e["pid"] for e in waiting} == pids, f"in state D: {[(e['pid'], e['text']) for e in waiting]} of {pids}")
    run.expect(all(e.get("text") for e in waiting), f"what they wait in: {waiting}")
    last = [e for e in samples if e["class"] == "system_sample"][-1]
    said = float(re.search(r"some avg10=([0-9.]+)", run.out("pressure"))[1])
    run.expect(said > 10, f"the kernel says {said} % pressure: another test is needed")
    run.expect(abs(last["psi_io_some_avg10"] - said) < 30, f"pressure {last['psi_io_some_avg10']}, the kernel says {said}")
    told = json.loads(run.flightrec("report", dump, "--json"))
    stalls = [incident for incident in told["incidents"] if incident["kind"] == "stall"]
    run.expect(len(stalls) == 1 and "unknown" not in stalls[0]["cause"], f"incidents: {told['incidents']}")
    text = json.dumps(stalls[0])
    run.expect(any(f"dd[{pid}]" in text for pid in pids), f"the verdict names none of {pids}: {text}")
    run.note(f"{stalls[0]['cause']}: {stalls[0]['verdict']}")
