# SPDX-License-Identifier: Apache-2.0
"""No process can be made any more (pids.max, RLIMIT_NPROC, threads-max): the dump arrives while fork still fails.

One guest: for each limit a fork bomb of its own name holds all there is, until the dump that names it has arrived outside, and
tries to fork again ten times a second meanwhile: none may succeed before the dump is there.
"""
COUNT = 5
SHORT = 0
GUEST_RUN = True

GUEST = r"""
echo -1000 >/proc/self/oom_score_adj
start_recorder --to "$SINK_TLS" --ca-file $SINK_CA --tail 300ms --dumps-per-hour 64
cg=/sys/fs/cgroup
for name in pids nproc threads; do cp /workloads/fork_bomb /bin/bomb_$name; done

mkdir $cg/few; echo 40 >$cg/few/pids.max
(echo 0 >$cg/few/cgroup.procs; exec bomb_pids --max 2000 --hold 40000 --again 100) >/var/out/pids & one=$!
wait_for 60 dumps_arrived 1 || fail "pids.max: no dump: $(tail -n 3 /var/out/record.log)"
# In the group nothing can be made now: the shell that is in it is told so.
kill -0 $one || fail "the bomb of pids.max ended too early"
cat $cg/few/pids.current >/var/out/pids.current
kill -9 $one; wait $one 2>/dev/null

(exec bomb_nproc --nproc 60 --uid 65534 --max 2000 --hold 40000 --again 100) >/var/out/nproc & two=$!
wait_for 60 dumps_arrived 2 || fail "RLIMIT_NPROC: no dump: $(tail -n 3 /var/out/record.log)"
kill -0 $two || fail "the bomb of RLIMIT_NPROC ended too early"
kill -9 $two; wait $two 2>/dev/null

# threads-max holds for everybody, this shell too: it can do nothing but wait until the bomb has ended.
echo 300 >/proc/sys/kernel/threads-max
bomb_threads --uid 65534 --max 2000 --hold 20000 --again 100 >/var/out/threads & three=$!
wait $three
dumps_arrived 3 || fail "threads-max: no dump while fork failed: $(tail -n 3 /var/out/record.log)"
echo 8000 >/proc/sys/kernel/threads-max
flightrec status --json >/var/out/status
stop_recorder
"""


def run(fault):
    result = fault.guest(GUEST, memory=512, timeout=300)
    kinds = []
    for dump, name in zip(result.dumps(3), ("pids", "nproc", "threads")):
        result.flightrec("verify", dump)
        report = result.flightrec("report", dump)
        verdicts = [line for line in report.splitlines() if "VERDICT" in line]
        fault.expect(verdicts and f"bomb_{name}" in verdicts[-1], f"the report does not say who:\n{report}")
        failures = [e for e in result.events(dump, "--class", "alloc_failure")
                    if e["kind"] == "fork" and e["comm"] == f"bomb_{name}"]
        fault.expect(failures, f"{dump.name} has no failed fork")
        kinds.append(verdicts[-1][:120])
        fault.expect("errno 11" in result.out(name), f"{name}: no failure: {result.out(name)}")
        fault.expect("forks again" not in result.out(name), f"{name}: fork worked before the dump had arrived")
    fault.expect(result.out("pids.current").strip() == "40", "the group was not full when the dump arrived")
    for text in kinds:
        fault.note(text)
