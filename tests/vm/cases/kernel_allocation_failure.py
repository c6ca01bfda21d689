# SPDX-License-Identifier: Apache-2.0
"""Failed allocations of the kernel's own, vmalloc and slab, with size and stack; --alloc-trigger makes a dump of them."""

import re

MEMORY = 400
GUEST = r"""
start_recorder --to "$SINK" --alloc-trigger --tail 500ms --syscalls none --without signal
echo 67108864 >/proc/sys/fs/nr_open
alloc_fail --kind vmalloc >/var/out/vmalloc
await_dumps 1
# Somebody else may ask for memory first: then the OOM killer ends it before it has met with the failure.
for attempt in 1 2 3 4 5; do
    alloc_fail --kind slab
    dmesg | grep -q "SLUB: Unable to allocate memory" && break
done
sleep 2
stop_recorder
"""


def check(run):
    run.expect(run.out("vmalloc").startswith("errno 12 "), f"vmalloc: {run.out('vmalloc')}")
    told = run.out("record.log")
    run.expect("fexit kernel_clone" in told and "tracepoint sys_" not in told, f"attached to system calls that nobody wants: {told}")
    dump, window = run.dumps()[0], run.state / "lib" / "flightrec" / "window.flight"
    for file in (dump, window):
        run.flightrec("verify", file)
    said = re.search(r"alloc_fail: vmalloc error: size (\d+), exceeds total pages, mode:(0x[0-9a-f]+)", run.dmesg)
    run.expect(said, "the kernel does not tell of the vmalloc failure")
    found = [e for e in run.events(dump, "--class", "alloc_failure") if e["kind"] == "vmalloc"]
    run.expect(len(found) == 1, f"vmalloc failures: {found}")
    run.expect((found[0]["size"], found[0]["gfp_raw"], found[0]["comm"]) == (int(said[1]), said[2], "alloc_fail"),
               f"{found[0]}, the kernel says {said[0]}")
    run.expect(any("alloc_fdtable" in frame for frame in found[0]["kernel_stack"]), f"stack: {found[0]['kernel_stack']}")
    trigger = [e for e in run.events(dump, "--class", "marker") if e["kind"] == "trigger"]
    run.expect([e["trigger"] for e in trigger] == ["alloc_failure"], f"triggers: {trigger}")
    lines = [e["text"] for e in run.events(dump, "--class", "kmsg")]
    run.expect(any("vmalloc error: size" in text for text in lines), "the kernel's line is not in the dump")
    slab = [e for e in run.events(window, "--class", "alloc_failure") if e["kind"] == "slab"]
    run.expect(slab, "no slab failure")
    signals = [e for e in slab if any("__sigqueue_alloc" in frame for frame in e["kernel_stack"])]
    run.expect(signals, f"none of a queued signal: {slab}")
    said = re.search(r"SLUB: Unable to allocate memory on node -1, gfp=(0x[0-9a-f]+)\((\S+)\).*?cache: sigqueue[^,]*, object size: (\d+)",
                     run.dmesg, re.DOTALL)
    run.expect(said, "the kernel does not tell of the slab failure")
    run.expect({(e["size"], e["gfp_raw"], e["comm"]) for e in signals} == {(int(said[3]), said[1], "alloc_fail")},
               f"{signals}, the kernel says {said[0]}")
    run.note(f"{len(slab)} slab failures, {len(signals)} of queued signals")
