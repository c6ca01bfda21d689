# SPDX-License-Identifier: Apache-2.0
"""OOM in control groups: alone, nested, with group kill, and with the recorder itself in the group or in a tight one.

One guest: each scene makes a group with a limit, lets a hog die in it, and waits for its dump outside. In the scene
`inside` recorder and hog share a group with memory.oom.group; in `tight` the recorder's own group has little more than
it needs; in `too tight` it is told so and refuses to start.
"""
import re

from harness.oom import killed_processes

COUNT = 5
SHORT = 0
GUEST_RUN = True

GUEST = r"""
echo -1000 >/proc/self/oom_score_adj
cg=/sys/fs/cgroup
# group NAME LIMIT: a control group below the last one, or at the top.
group() { mkdir -p $cg/$1; echo $2 >$cg/$1/memory.max; echo 0 >$cg/$1/memory.swap.max 2>/dev/null; }
hog_in() { g=$1; shift; (echo 0 >/proc/self/oom_score_adj; echo 0 >$cg/$g/cgroup.procs; exec oom_hog --step 4 --sleep 10 "$@"); }
record_in() {
    g=$1; shift
    (echo 0 >$cg/$g/cgroup.procs; exec flightrec record --window /var/lib/flightrec/window.flight --window-size 16M \
        --to "$SINK_TLS" --ca-file $SINK_CA --tail 300ms --debounce 0s --dumps-per-hour 64 "$@") >/var/out/record-$g.log 2>&1 &
    recorder=$!
    wait_for 60 grep -q '^recording' /var/out/record-$g.log || fail "not recording in $g: $(cat /var/out/record-$g.log)"
}

mkdir $cg/own; record_in own
group one 40M; hog_in one; await_dumps 1
mkdir $cg/outer $cg/outer/inner; echo +memory >$cg/outer/cgroup.subtree_control; echo 40M >$cg/outer/memory.max
echo 100M >$cg/outer/inner/memory.max
hog_in outer/inner; await_dumps 2
group together 40M; echo 1 >$cg/together/memory.oom.group
(echo 0 >/proc/self/oom_score_adj; echo 0 >$cg/together/cgroup.procs; exec sleep 1000) & bystander=$!
hog_in together; await_dumps 3
wait $bystander; echo "bystander ended with $?" >/var/out/bystander
stop_recorder

group inside 200M; echo 1 >$cg/inside/memory.oom.group
record_in inside; hog_in inside; await_dumps 4
kill -0 $recorder || fail "the group kill took the recorder"
stop_recorder

group tight %(tight)sM
record_in tight; hog_in one; await_dumps 5
cat $cg/tight/memory.peak $cg/tight/memory.events >/var/out/tight 2>/dev/null || cat $cg/tight/memory.events >/var/out/tight
stop_recorder

group small 30M
(echo 0 >$cg/small/cgroup.procs; exec flightrec record --window /var/lib/flightrec/window.flight --window-size 16M) \
    >/var/out/refusal 2>&1
echo "ended with $?" >>/var/out/refusal
"""


def run(fault):
    result = fault.guest(GUEST % {"tight": fault.random.randrange(110, 130)}, memory=1024, timeout=300)
    kills = killed_processes(result.dmesg)
    fault.expect(not [k for k in kills if k.comm.startswith(("flightrec", "fr-"))], f"the recorder was killed: {kills}")
    dumps = result.dumps(5)
    names = [re.sub(r".*-([0-9a-f]{32}-\d+)\.flight", r"\1", path.name) for path in dumps]
    fault.expect(len(set(names)) == len(names) == 5, f"dumps: {names}")
    for dump in dumps:
        result.flightrec("verify", dump)
        events = result.events(dump, "--class", "oom_kill")
        fault.expect(events, f"{dump} has no oom_kill event")
        fault.expect(all(e["memcg"] if "memcg" in e else True for e in events), "a group's kill is not told as one")
        fault.expect("oom_hog" in result.flightrec("report", dump), "the report does not name the victim")
    fault.expect(result.out("bystander") == "bystander ended with 137\n", "the group was not killed as a whole")
    refusal = result.out("refusal")
    fault.expect(refusal.endswith("ended with 10\n") and len(refusal.splitlines()) == 2 and "/small" in refusal,
                 f"in a group that is too small: {refusal}")
    peak = re.match(r"(\d+)$", result.out("tight"), re.M)
    if peak:
        fault.figure("recorder MiB", int(peak.group(1)) / 2**20)
    fault.figure("kills", len(kills))
