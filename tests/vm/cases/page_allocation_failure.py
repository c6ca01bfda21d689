# SPDX-License-Identifier: Apache-2.0
"""A page allocation that fails is recorded with order, gfp mask, node and kernel stack, also when the kernel keeps silent."""

MEMORY = 512
GUEST = r"""
start_recorder --to "$SINK"
# More huge pages than there is memory: the last ones cannot be had (mm/hugetlb.c, __GFP_NOWARN).
echo 100000 >/proc/sys/vm/nr_hugepages
cat /proc/sys/vm/nr_hugepages >/var/out/pages
echo 0 >/proc/sys/vm/nr_hugepages
sleep 1
stop_recorder
"""


def check(run):
    run.expect(0 < int(run.out("pages")) < 100000, f"{run.out('pages')} huge pages")
    window = run.state / "lib" / "flightrec" / "window.flight"
    run.flightrec("verify", window)
    failed = [e for e in run.events(window, "--class", "alloc_failure") if e["kind"] == "page" and e["order"] == 9]
    run.expect(failed, "no failed allocation of a huge page is recorded")
    for event in failed:
        run.expect(event["size"] == 2 << 20 and event["node"] == 0, f"size and node: {event}")
        run.expect("__GFP_COMP" in event["gfp"] and "__GFP_NOWARN" in event["gfp"], f"gfp: {event['gfp']}")
        stack = " ".join(event["kernel_stack"])
        run.expect("warn_alloc" in stack and "hugetlb" in stack, f"stack: {stack}")
    run.expect("page allocation failure" not in run.dmesg, "the kernel was not silent: another test is needed")
