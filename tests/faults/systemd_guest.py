# SPDX-License-Identifier: Apache-2.0
"""A Debian 12 guest with systemd and the unit of packaging/: faults are shipped, and so is a dump before it stops.

Two boots of one disk. In the first a program crashes and the whole guest runs out of memory; then `systemctl reboot`. The
second finds the first one's window, which ended in order, and ends with `systemctl poweroff`. Each end ships a dump that
names it, before the network is gone. The unit is the one that is installed; systemd's own rating of it is asked for.
Image: scripts/make-guest-image.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess

import recording
from harness import image, outside
from harness.case import Case, Run
from harness.machine import Machine

COUNT = 3
SHORT = 0
GUEST_RUN = True
EXPOSURE = 2.5

INIT = r"""#!/bin/busybox ash
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "$module" || echo "init: cannot load $module"; done </etc/modules.order
mkdir -p /new
mount -t ext4 /dev/vda /new || echo "init: no disk"
mount --move /dev /new/dev
umount /proc /sys
exec switch_root /new /sbin/init
"""

GUEST = r"""#!/case/busybox ash
exec >/dev/ttyS0 2>&1
. /case/environment
PATH=/bin:/usr/bin:/sbin:/usr/sbin:/workloads
out=/var/out; mkdir -p $out; boot=$(($(cat $out/boot 2>/dev/null || echo 0) + 1)); echo $boot >$out/boot
fail() { echo "guest: $*"; systemctl status flightrec --no-pager -l; journalctl -b --no-pager -u flightrec | tail -n 40; sync; systemctl poweroff --force --force; exit 1; }
arrived() { [ "$(/case/busybox wget -q -O - "$SINK" | grep -c '\.flight"')" -ge "$1" ]; }
await() { i=0; until arrived $1; do i=$((i + 1)); [ $i -lt 300 ] || fail "fewer than $1 dumps arrived"; sleep 0.3; done; }
i=0; until systemctl is-active -q flightrec; do i=$((i + 1)); [ $i -lt 300 ] || fail "not recording"; sleep 0.3; done
pid=$(systemctl show -p MainPID --value flightrec)
grep -E 'Cap|Seccomp|NoNew' /proc/$pid/status >$out/rights.$boot
cat /proc/$pid/oom_score_adj >$out/oom.$boot
journalctl -b --no-pager -u flightrec -o cat >$out/journal.$boot
if [ $boot = 1 ]; then
    systemd-analyze security --no-pager flightrec.service >$out/security
    segfault
    await 1
    oom_hog --kind anon --step 16
    await 2
    [ "$(systemctl show -p MainPID --value flightrec)" = $pid ] || fail "the recorder was killed"
    flightrec status --json >$out/status
    journalctl -b --no-pager -u flightrec -o cat >$out/journal.faults
    echo "guest: reboot"
    systemctl --no-block reboot
else
    flightrec replay /var/lib/flightrec/window.flight --json --class marker >$out/markers
    echo "guest: poweroff"
    systemctl --no-block poweroff
fi
"""

CASE_UNIT = """[Unit]
After=flightrec.service network-online.target
Wants=network-online.target
[Service]
ExecStart=/case/busybox ash /case/guest.sh
OOMPolicy=continue
[Install]
WantedBy=multi-user.target
"""


def tar():
    from fault import ROOT
    return pathlib.Path(os.environ.get("FLIGHTREC_GUEST_IMAGE", ROOT / "build" / "guest-image" / "debian12.tar"))


def enable(root, unit, target="multi-user.target"):
    folder = root / "etc/systemd/system" / f"{target}.wants"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / unit
    link.unlink(missing_ok=True)
    os.symlink(f"/lib/systemd/system/{unit}", link)


def make_disk(fault, world, disk):
    from fault import ROOT
    root = fault.folder / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xpf", tar()], check=True)
    shutil.copy(recording.PROGRAM, root / "usr/bin/flightrec")
    subprocess.run(["strip", "--strip-debug", root / "usr/bin/flightrec"], check=True)
    shutil.copy(ROOT / "packaging" / "flightrec.service", root / "lib/systemd/system/flightrec.service")
    (root / "case").mkdir()
    shutil.copy(image.find_tool("busybox"), root / "case/busybox")
    (root / "workloads").mkdir()
    for name in ("segfault", "oom_hog"):
        shutil.copy(recording.workload(name), root / "workloads" / name)
    base = f"{outside.GUEST_ADDRESS}:{outside.GUEST_HTTP}"
    secure = f"{outside.GUEST_ADDRESS}:{outside.GUEST_HTTPS}"
    texts = {"etc/fstab": "/dev/vda / ext4 rw 0 0\n", "etc/hostname": "guest\n",
             "etc/systemd/network/10-wired.network":
                 "[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n",
             "etc/default/flightrec": f"FLIGHTREC_OPTIONS=\"--to https://{secure}/in/ --ca-file /etc/flightrec.pem "
                                      f"--window-size 16M --tail 300ms --budget off\"\n",
             "etc/flightrec.pem": world.certificate.read_text(),
             "etc/systemd/journald.conf": "[Journal]\nStorage=persistent\n",
             "lib/systemd/system/case.service": CASE_UNIT, "case/guest.sh": GUEST,
             "case/environment": f"SINK=http://{base}/in/\n"}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    enable(root, "systemd-networkd.service")
    enable(root, "systemd-networkd-wait-online.service", "network-online.target")
    enable(root, "flightrec.service")
    enable(root, "case.service")
    with open(disk, "wb") as file:
        file.truncate(1200 << 20)
    subprocess.run([image.find_tool("mke2fs"), "-q", "-t", "ext4", "-F", "-d", root, disk], check=True)
    shutil.rmtree(root)


def make_initramfs(fault, kernel, target):
    tree = image.Tree(fault.folder / "early")
    tree.file("/bin/busybox", pathlib.Path(image.find_tool("busybox")), executable=True)
    os.symlink("busybox", tree.root / "bin" / "sh")
    tree.text("/init", INIT, 0o755)
    order = image.module_order(kernel, image.MODULES)
    for module in order:
        tree.file(f"/lib/modules/{module}", kernel / "modules" / module)
    tree.text("/etc/modules.order", "".join(f"/lib/modules/{module}\n" for module in order))
    image.initramfs(tree, target)
    shutil.rmtree(tree.root)


def boot(fault, run, kernel, world, disk, number):
    serial = fault.folder / f"serial{number}.log"
    machine = Machine(kernel, fault.folder / "initramfs", disk, serial, world.netdev(), 512, 2, "systemd.show_status=0")
    machine.start()
    try:
        in_time = machine.wait(240)
    finally:
        machine.kill()
        run.serials.append(machine.text())
    fault.expect(in_time, f"boot {number} did not end:\n{run.serial[-2500:]}")
    fault.expect("guest: reboot" in run.serial or "guest: poweroff" in run.serial,
                 f"boot {number} failed:\n{run.serial[-4000:]}")


def run(fault):
    import fault as suite
    runner = suite.load(suite.ROOT / "tests" / "vm" / "run.py", "vm_run")
    kernel = runner.kernels_folder() / fault.kernel
    if not tar().exists():
        raise suite.Skip("no guest image: scripts/make-guest-image")
    if not (kernel / "vmlinuz").exists():
        raise suite.Skip(f"no guest kernel: scripts/fetch-kernel {fault.kernel}")
    world = outside.Outside(fault.folder / "outside")
    world.folder.mkdir()
    world.start()
    try:
        disk = fault.folder / "disk.img"
        make_disk(fault, world, disk)
        make_initramfs(fault, kernel, fault.folder / "initramfs")
        case = Case(name=fault.name, shows="", guest=[], check=lambda r: None, during=None, kernels=[fault.kernel],
                    memory=512, cpus=2, timeout=420, disk=0, append="", modules=[], extra=[], qemu=[],
                    needs_recorder=True, may_die=False)
        guest = Run(case, fault.kernel, fault.folder, world.inbox, fault.folder / "state",
                    pathlib.Path(recording.PROGRAM))
        for number in (1, 2):
            boot(fault, guest, kernel, world, disk, number)
        read_back(disk, guest.state)
        check(fault, guest)
    finally:
        world.stop()
        for name in ("disk.img", "initramfs"):
            (fault.folder / name).unlink(missing_ok=True)


def read_back(disk, target):
    target.mkdir()
    subprocess.run([image.find_tool("e2fsck"), "-p", disk], capture_output=True, check=False)
    for folder in ("/var/out", "/var/lib/flightrec"):
        subprocess.run([image.find_tool("debugfs"), "-R", f'rdump "{folder}" "{target}"', disk], capture_output=True,
                       check=True)


def check(fault, guest):
    reasons = {}
    for dump in guest.dumps(4):
        guest.flightrec("verify", dump)
        reason = re.match(r"\d+T\d+Z-(.*)-[0-9a-f]{32}-\d+\.flight", dump.name).group(1)
        reasons.setdefault(reason, []).append(guest.flightrec("report", dump))
    fault.expect({"crash", "oom-kill", "shutdown"} <= set(reasons), f"there are dumps for {sorted(reasons)} only")
    # Names of the kernel's functions, although ProtectKernelTunables hides /proc/kallsyms.
    kills = [e for dump in guest.dumps() for e in guest.events(dump, "--class", "oom_kill", "-v")]
    stack = json.dumps(kills[0])
    fault.expect("out_of_memory" in stack, f"the kernel stack of the OOM kill has no names: {stack[:600]}")
    fault.expect("oom_hog" in reasons["oom-kill"][0], "the OOM kill's report does not name the hog")
    ends = reasons["shutdown"]
    fault.expect(len(ends) == 2 and "the machine was being stopped: reboot" in ends[0]
                 and "the machine was being stopped: poweroff" in ends[1], f"the ends are not told apart:\n{ends}")
    fault.expect("previous-boot" not in reasons, "an orderly stop was taken for a failure")
    fault.expect("when the machine was stopped: reboot" in guest.out("markers"),
                 f"the second boot did not find how the first ended: {guest.out('markers')}")
    fault.expect(guest.out("oom.1").strip() == "-1000", "oom_score_adj is not -1000")
    journal = guest.out("journal.faults")
    warnings = [line for line in journal.splitlines() if "warning" in line]
    fault.expect(not warnings, f"the unit does without something it needs: {warnings}")
    exposure = float(re.search(r"exposure level for flightrec.service: ([\d.]+)", guest.out("security")).group(1))
    fault.figure("exposure", exposure)
    fault.expect(exposure <= EXPOSURE, f"systemd-analyze security: {exposure}")
    fault.note(" ".join(re.findall(r"(?:CapEff|CapBnd|Seccomp):\s*\w+", guest.out("rights.1"))))
