# SPDX-License-Identifier: Apache-2.0
"""No file can be opened any more (file-max, held by an unprivileged hog): the dump arrives outside all the same.

The recorder has dropped CAP_SYS_ADMIN, so the limit holds for it too; it keeps descriptors of its own to give up.
"""
import re

COUNT = 5
SHORT = 0
GUEST_RUN = True

GUEST = r"""
start_recorder --to "$SINK_TLS" --ca-file $SINK_CA --tail 300ms --debounce 0s
sleep 1
used=$(cut -f1 /proc/sys/fs/file-nr)
echo $((used + 200)) >/proc/sys/fs/file-max
(ulimit -n 100000; exec fd_hog --uid 65534 --hold 60000) >/var/out/hog & hog=$!
wait_for 30 grep -q full /var/out/hog || fail "the hog did not get to the limit: $(cat /var/out/hog)"
segfault
wait_for 60 dumps_arrived 1 || fail "no dump: $(tail -n 5 /var/out/record.log)"
cat /proc/sys/fs/file-nr >/var/out/file-nr
kill -0 $hog || fail "the hog ended too early"
fd_hog --uid 65534 --hold 0 >/var/out/still
kill -9 $hog
echo 100000 >/proc/sys/fs/file-max
stop_recorder
"""


def run(fault):
    result = fault.guest(GUEST, memory=512, timeout=240)
    dump = result.dumps(1)[0]
    result.flightrec("verify", dump)
    fault.expect(result.events(dump, "--class", "crash"), "no crash in the dump")
    fault.expect(result.out("still") == "full 0 errno 23\n", f"files could be opened again: {result.out('still')}")
    lines = [line for line in result.out("record.log").splitlines() if "waits in the spool" in line]
    fault.figure("failed attempts", len(lines))
    fault.note(re.sub(r"\s+", " ", result.out("file-nr")))
