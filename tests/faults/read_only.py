# SPDX-License-Identifier: Apache-2.0
"""Every file system turns read-only under the recorder (sysrq-u, as after a disk error), /tmp is gone: dumps still arrive.

One guest. Neither spool nor window can be written to the disk any more; the dump is kept in memory until it is
delivered, and the log says so.
"""
COUNT = 5
SHORT = 0
GUEST_RUN = True

GUEST = r"""
start_recorder --to "$SINK_TLS" --ca-file $SINK_CA --tail 300ms --debounce 0s
umount -l /tmp; rmdir /tmp 2>/dev/null
log=/run/log; tail -f /var/out/record.log >$log 2>&1 &
sleep 1
echo u >/proc/sysrq-trigger
wait_for 20 grep -q ' /var ext4 ro' /proc/mounts || fail "not read-only: $(cat /proc/mounts)"
touch /var/x 2>/dev/null && fail "/var can be written"
segfault
wait_for 60 dumps_arrived 1 || fail "no dump: $(cat $log)"
flightrec dump --reason second || fail "no second dump"
wait_for 60 dumps_arrived 2 || fail "no second dump: $(cat $log)"
kill -0 $recorder || fail "the recorder is gone"
kill -TERM $recorder; wait $recorder; echo "recorder ended with $?" >/dev/ttyS0
mount -o remount,rw /var
"""


def run(fault):
    result = fault.guest(GUEST, memory=512, append="sysrq_always_enabled")
    fault.expect("recorder ended with 0" in result.serial, "the recorder did not end in order")
    for dump in result.dumps(2):
        result.flightrec("verify", dump)
    fault.expect(result.events(result.dumps(2)[0], "--class", "crash"), "no crash in the dump")
