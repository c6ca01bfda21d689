# SPDX-License-Identifier: Apache-2.0
"""No process can be made any more (pids.max, RLIMIT_NPROC, threads-max): the dump arrives while fork still fails.

One guest: for each limit a fork bomb holds all there is, until the dump has arrived outside; a program that was running
before then tries to fork, and must still fail. The guest's shell cannot fork either: everything it runs is built in.
"""
import re

COUNT = 5
SHORT = 0

# bomb KIND: what holds the processes; it writes `still failing` when fork fails after the dump has arrived.
GUEST = r"""
echo -1000 >/proc/self/oom_score_adj
start_recorder --to "$SINK_TLS" --ca-file $SINK_CA --tail 300ms --debounce 0s --dumps-per-hour 64
cg=/sys/fs/cgroup
arrived() { [ -e /tmp/arrived ]; }

mkdir $cg/few; echo 40 >$cg/few/pids.max
(echo 0 >$cg/few/cgroup.procs; exec fork_bomb --max 2000 --hold 20000) >/var/out/pids & one=$!
wait_for 60 dumps_arrived 1 || fail "pids.max: no dump: $(tail -n 3 /var/out/record.log)"
# In the group nothing can be made now: the shell that is in it is told so.
kill -0 $one || fail "the bomb of pids.max ended too early"
cat $cg/few/pids.current >/var/out/pids.current
kill -9 $one; wait $one 2>/dev/null

(ulimit -p 60; exec setuidgid nobody fork_bomb --max 2000 --hold 20000) >/var/out/nproc & two=$!
wait_for 60 dumps_arrived 2 || fail "RLIMIT_NPROC: no dump: $(tail -n 3 /var/out/record.log)"
kill -0 $two || fail "the bomb of RLIMIT_NPROC ended too early"
kill -9 $two; wait $two 2>/dev/null

# threads-max holds for everybody but this shell, which has CAP_SYS_RESOURCE and so may always fork.
echo 300 >/proc/sys/kernel/threads-max
setuidgid nobody fork_bomb --max 2000 --hold 30000 >/var/out/threads & three=$!
wait_for 60 dumps_arrived 3 || fail "threads-max: no dump: $(tail -n 3 /var/out/record.log)"
kill -0 $three || fail "the bomb of threads-max ended too early"
setuidgid nobody fork_bomb --max 1 --hold 0 >/var/out/still
kill -9 $three; wait $three 2>/dev/null
echo 8000 >/proc/sys/kernel/threads-max
flightrec status --json >/var/out/status
stop_recorder
"""


def run(fault):
    result = fault.guest(GUEST, memory=512, timeout=300)
    dumps = result.dumps(3)
    kinds = []
    for dump in dumps:
        result.flightrec("verify", dump)
        report = result.flightrec("report", dump)
        kinds.append(report.splitlines()[0][:120])
        fault.expect("fork_bomb" in report or "nobody" in report, f"the report does not say who:\n{report}")
        events = result.events(dump, "--class", "fork_failure")
        fault.expect(events, f"{dump.name} has no failed fork")
    fault.expect(result.out("pids.current").strip() == "40", "the group was not full when the dump arrived")
    fault.expect(re.search(r"children 0 errno 11", result.out("still")), f"fork worked again: {result.out('still')}")
    for text in kinds:
        fault.note(text)
