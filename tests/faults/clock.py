# SPDX-License-Identifier: Apache-2.0
"""A wall clock stepped by a year, forth and back twice, and suspend: the order is right, every time is that of its clock.

A guest crashes a program in each of five eras: the true one, a year on, a year back, two years back, and true again, and then
(where the kernel can) sleeps for some seconds with a timer to wake it and crashes another. Every crash is an incident of its
own and arrives; events are in the order of the boot clock; each era's events carry its wall clock; the ledger balances;
what came before and after the sleep is there, and the boot clock has the sleep's length between them.
"""
from datetime import datetime, timezone

COUNT = 5
SHORT = 0
GUEST_RUN = True
YEAR = 365 * 86400

GUEST = r"""
start_recorder --to "$SINK" --tail 300ms --sample-period %(period)s
boot() { awk '{print $1}' /proc/uptime; }
era() {
    [ "$2" = 0 ] || date -s "@$(($(date +%%s) + $2))" >/dev/null
    sleep 0.%(pause)s
    echo "$(date +%%s) $(boot)" >/var/out/era.$1
    cp /workloads/segfault /tmp/era$1  # a name of its own: crashes of one program are one incident
    /tmp/era$1
    await_dumps $(($1 + 1))
}
era 0 0
era 1 %(year)s
era 2 -%(year)s
era 3 -%(year)s
era 4 %(year)s
cat /sys/power/state >/var/out/can
slept=no
if grep -qw %(how)s /sys/power/state && [ -e /sys/class/rtc/rtc0/wakealarm ]; then
    boot >/var/out/sleep.before
    cat /proc/sys/kernel/random/boot_id >/dev/null
    echo +%(sleep)s >/sys/class/rtc/rtc0/wakealarm && echo %(how)s >/sys/power/state && slept=yes
    boot >/var/out/sleep.after
    era 5 0
fi
echo $slept >/var/out/slept
stop_recorder
"""


def wall(event):
    return datetime.strptime(event["time"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()


def switch_off(run):
    """After S3, QEMU's second processor does not get to the end of a power off."""
    run.machine.wait_for("reboot: Power down", 240)
    run.machine.kill()


def run(fault):
    how, seconds = "mem", 4 + fault.seed % 3  # QEMU's clock chip does not wake a guest out of s2idle
    result = fault.guest(GUEST % {"year": YEAR, "how": how, "sleep": seconds, "pause": fault.random.randrange(1, 9),
                                  "period": ("1s", "10s")[fault.seed // 2 % 2]}, timeout=240, during=switch_off)
    slept = result.out("slept").strip() == "yes"
    eras = 6 if slept else 5
    window = result.state / "lib" / "flightrec" / "window.flight"
    result.flightrec("verify", window)
    events = result.events(window)
    stamps = [e["boot_ns"] for e in events]
    fault.expect(stamps == sorted(stamps), "events are not in the order of the boot clock")
    crashes = [e for e in events if e["class"] == "crash"]
    fault.expect([c["comm"] for c in crashes] == [f"era{n}" for n in range(eras)], "the crashes are not in order")
    fault.expect(len(crashes) == eras, f"{len(crashes)} crashes, not {eras}")
    worst = 0.0
    for number, crash in enumerate(crashes):
        said = int(result.out(f"era.{number}").split()[0])
        worst = max(worst, abs(wall(crash) - said))
        fault.expect(abs(wall(crash) - said) < 5, f"era {number}: {crash['time']}, but the clock said {said}")
    dumps = result.dumps()
    reports = [result.flightrec("report", dump) for dump in dumps]
    fault.expect(len(dumps) == eras, f"{len(dumps)} dumps, not {eras}: {[d.name for d in dumps]}")
    for number, (dump, report) in enumerate(zip(dumps, reports)):
        result.flightrec("verify", dump)
        pid = crashes[number]["pid"]
        fault.expect(f"{pid}" in report, f"dump {number} is not of process {pid}:\n{report}")
    fault.figure("worst s off", worst)
    if not slept:
        fault.note(f"no {how}: /sys/power/state has '{result.out('can').strip()}'")
        return
    before, after = (float(result.out(f"sleep.{name}")) for name in ("before", "after"))
    fault.expect(after - before > seconds - 2, f"it did not sleep: {before} to {after}")
    fault.expect(crashes[-1]["boot_ns"] / 1e9 > after, "the crash after the sleep is before it")
    fault.figure("slept s", after - before)
    fault.note(f"{how} for {after - before:.1f} s")
