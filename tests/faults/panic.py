# SPDX-License-Identifier: Apache-2.0
"""Kernel panic (sysrq-c) and power loss: the next boot finds the window, says how it ended, and ships it.

Two boots of one guest on one disk. In the first a workload makes events until the kernel panics, or the power is taken
away (QEMU is killed), by the seed. The second boot must ship the first one's window as an incident of its own that
names the end, verifies, and holds vital events up to about a second before it. With a persistent-memory device (QEMU's
nvdimm, mounted with dax) the limit is 100 ms, with blocks sealed after 30 ms. With ramoops the last lines of the kernel log
are in pstore.
"""
import pathlib
import re
import shutil
import tempfile

COUNT = 12
SHORT = 0
GUEST_RUN = True

# Counts up, one process and one line on the console each: what the recording has to show.
# The init script has loaded the module, without a place to write to. In the middle of the memory: QEMU puts the initramfs at its
# end, over whatever was kept there.
RAMOOPS = """rmmod ramoops 2>/dev/null
insmod $(grep ramoops /etc/modules.order) mem_address=0x10000000 mem_size=0x100000 record_size=0x20000 || \\
    fail "no ramoops"
"""
FIRST = r"""
%(mount)s
%(ramoops)s
flightrec record --window %(window)s --window-size 16M %(options)s --to "$SINK_TLS" --ca-file $SINK_CA >/var/out/record.log 2>&1 &
wait_for 60 grep -q '^recording' /var/out/record.log || fail "not recording: $(cat /var/out/record.log)"
sync
i=0
while [ $i -lt %(rounds)s ]; do i=$((i + 1)); short_lived --count 1 --exec /bin/true >/dev/null; done &
sleep %(sleep)s
cut -d' ' -f1 /proc/uptime >/dev/ttyS0
# Three times in one write: a line of the kernel may garble one on the console. And as a line of the kernel's own, which a panic
# does not overtake, as it may what the terminal still holds.
end=$(cut -d' ' -f1 /proc/uptime)
printf '<end %%s>\n<end %%s>\n<end %%s>\n' $end $end $end >/dev/ttyS0
echo "<end $end>" >/dev/kmsg
%(end)s
sleep 100
"""
# Without struct pages for it there is no direct access to a raw device: a namespace of mode fsdax, as ndctl(1) makes it, with its
# pages in the device. The second boot finds it made.
FSDAX = r"""
bus=/sys/bus/nd
if ! [ -s $bus/devices/pfn0.1/namespace ] && ! grep -q pmem $bus/devices/pfn0.*/mode 2>/dev/null; then
    echo namespace0.0 >$bus/drivers/nd_pmem/unbind
    for pfn in $bus/devices/pfn0.*; do break; done
    echo pmem >$pfn/mode || fail "no mode: $(ls $bus/devices)"
    echo 2097152 >$pfn/align
    echo 6f1b0a52-7c1d-4a0e-9c52-0d5b5d1c0001 >$pfn/uuid
    echo namespace0.0 >$pfn/namespace || fail "no namespace"
    echo ${pfn##*/} >$bus/drivers/nd_pmem/bind || fail "cannot bind: $(dmesg | tail -n 5)"
fi
ls /dev/pmem* $bus/devices >/var/out/nd
mkdir -p /pm
pmem=$(echo /dev/pmem*)
mount -t ext4 -o dax=always $pmem /pm || { /usr/sbin/mke2fs -q -t ext4 -F -b 4096 $pmem >/var/out/mkfs 2>&1; mount -t ext4 -o dax=always $pmem /pm; } || fail "no direct access: $(dmesg | tail -n 5)"
grep /pm /proc/mounts >/var/out/pm
"""
SECOND = r"""
%(mount)s
%(ramoops)s
mkdir -p /sys/fs/pstore; mount -t pstore pstore /sys/fs/pstore 2>/dev/null
ls /sys/fs/pstore >/var/out/pstore
cat /sys/fs/pstore/* >/var/out/pstore.text 2>/dev/null
flightrec record --window %(window)s --window-size 16M --to "$SINK_TLS" --ca-file $SINK_CA >/var/out/record2.log 2>&1 &
recorder=$!
wait_for 60 grep -q '^recording' /var/out/record2.log || fail "not recording: $(cat /var/out/record2.log)"
await_dumps 1
stop_recorder
"""


def modes(fault):
    """Panic or power loss, and with persistent memory or a disk."""
    return fault.seed % 2 == 0, fault.seed // 2 % 2 == 1


def run(fault):
    # The guest's memory is a file, so that what ramoops keeps in it outlives QEMU, as it outlives a warm reset.
    # In memory: a disk under it would be the slowest part of the machine.
    shared = pathlib.Path(tempfile.mkdtemp(prefix="flightrec-fault-", dir="/dev/shm"))
    try:
        boot_twice(fault, shared, *modes(fault))
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def boot_twice(fault, shared, panic, pmem):
    ram = shared / "ram"
    settings = {"qemu": ["-object", f"memory-backend-file,id=ram0,size=512M,mem-path={ram},share=on",
                         "-machine", "memory-backend=ram0"], "modules": ["ramoops"]}
    ramoops = RAMOOPS
    window, mount = "/var/lib/flightrec/window.flight", ""
    if pmem:
        image = shared / "pmem"
        with open(image, "wb") as file:
            file.truncate(128 << 20)
        settings = {"qemu": ["-machine", "q35,nvdimm=on", "-m", "512,slots=2,maxmem=2G", "-object",
                             f"memory-backend-file,id=pm,share=on,mem-path={image},size=128M",
                             "-device", "nvdimm,id=nv,memdev=pm"],
                    "modules": ["nfit", "nd_pmem"], "extra": ["/usr/sbin/mke2fs"]}
        ramoops = ""
        window = "/pm/window.flight"
        mount = FSDAX
    values = {"window": window, "mount": mount, "ramoops": ramoops, "options": "--seal-after 30ms" if pmem else "",
              "rounds": 1000000, "sleep": f"{fault.random.uniform(4, 7):.2f}",
              "end": "echo c >/proc/sysrq-trigger" if panic else "echo 'now the power goes' >/dev/ttyS0"}

    def power(run):
        if not run.serials and not panic:
            run.machine.wait_for("now the power goes", 120)
            run.machine.kill()

    result = fault.guest([FIRST % values, SECOND % values], during=power, may_die=True, memory=512,
                         append="memmap=1M$0x10000000 sysrq_always_enabled", **settings)
    fault.expect("init: case ended with 0" in result.serial, f"the second boot failed: {result.serial[-1500:]}")
    if panic:
        fault.expect("Kernel panic" in result.serials[0], "no panic in the first boot")
    dump = result.dumps(1)[0]
    fault.expect(re.search(r"previous", dump.name), f"the incident is not the previous boot: {dump.name}")
    verified = result.flightrec("verify", dump, status=None)
    fault.expect(": intact" in verified, f"the window of the dead boot is damaged: {verified[:600]}")
    said = re.search(r"<end (\d+\.\d+)>", result.serials[0])
    fault.expect(said, "the first boot did not come to its end")
    end = float(said.group(1))
    vital = [e["boot_ns"] for e in result.events(dump, "--class", "fork,exec,exit")]
    fault.expect(vital, "no vital event in the window of the dead boot")
    missing = end - max(vital) / 1e9
    limit = 0.1 if pmem else 1.0
    fault.figure(f"s before the end{', pmem' if pmem else ''}", missing)
    report = result.flightrec("report", dump)
    if pmem:
        fault.expect("dax" in result.out("pm"), f"no direct access: {result.out('pm')}")
    fault.note(f"{'panic' if panic else 'power loss'}{', pmem' if pmem else ''}: last vital event {missing:.3f} s before "
               f"the end; {report.splitlines()[0][:100]}; pstore: {result.out('pstore').split()}")
    if panic and not pmem:
        lines = [e["text"] for e in result.events(dump, "--class", "kmsg")]
        fault.expect(any("Kernel panic" in line for line in lines), f"the panic is not in the dump; pstore has "
                                                                    f"{result.out('pstore.text')[-800:]}")
        fault.expect("Kernel panic" in report, f"the report does not name the panic:\n{report}")
    fault.expect(missing < limit, f"the last vital event is {missing:.2f} s before the end")
    fault.expect("broke off" in report or "previous" in report, f"the report does not say how it ended:\n{report}")
