#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs guest cases: boots a Debian kernel under emulation, runs the case's script in it, checks what came out."""

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from harness import image, outside  # noqa: E402
from harness.case import Case, HarnessError, Run, load  # noqa: E402
from harness.machine import Machine  # noqa: E402


def kernels_folder() -> Path:
    return Path(os.environ.get("FLIGHTREC_KERNELS", ROOT / "build" / "kernels"))


def kernel_path(flavour: str) -> Path:
    path = kernels_folder() / flavour
    if not (path / "vmlinuz").exists():
        raise HarnessError(f"kernel '{flavour}' is not in {kernels_folder()}; run scripts/fetch-kernel {flavour}")
    return path


def find_default(name: str) -> Path | None:
    """The newest program of that name in a build folder."""
    found = [path for path in (ROOT / "build").glob(f"*/**/{name}") if path.is_file() and os.access(path, os.X_OK)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def all_cases() -> list[Path]:
    return sorted((HERE / "cases").glob("*.py"))


def build_image(case: Case, kernel: Path, binary: Path | None, workloads: Path | None, world: outside.Outside,
                script: str, folder: Path) -> Path:
    tree = image.Tree(folder / "root")
    tree.file("/bin/busybox", Path(image.find_tool("busybox")), executable=True)
    os.symlink("busybox", tree.root / "bin" / "sh")
    tree.file("/init", HERE / "guest" / "init", executable=True)
    for name, text in {"passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
                       "group": "root:x:0:\nnogroup:x:65534:\n", "hosts": "127.0.0.1 localhost guest\n",
                       "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
                       "machine-id": "0123456789abcdef0123456789abcdef\n",
                       "os-release": 'ID=flightrec-guest\nVERSION_ID=1\nPRETTY_NAME="flightrec test guest"\n'}.items():
        tree.text(f"/etc/{name}", text)
    order = image.module_order(kernel, image.MODULES + case.modules)
    for module in order:
        tree.file(f"/lib/modules/{module}", kernel / "modules" / module)
    tree.text("/etc/modules.order", "".join(f"/lib/modules/{module}\n" for module in order))
    if binary:
        tree.program(binary, "/usr/bin/flightrec")
    for program in sorted(workloads.iterdir()) if workloads else []:
        if program.is_file() and os.access(program, os.X_OK):
            tree.program(program, f"/workloads/{program.name}")
    for extra in case.extra:
        tree.copy(Path(extra))
    base = f"{outside.GUEST_ADDRESS}:{outside.GUEST_HTTP}"
    secure = f"{outside.GUEST_ADDRESS}:{outside.GUEST_HTTPS}"
    tree.file("/etc/flightrec/outside.pem", world.certificate)
    tree.text("/case/environment", f"export SINK=http://{base}/in/ SINK_TLS=https://{secure}/in/ "
                                   f"SINK_CA=/etc/flightrec/outside.pem OUTSIDE={base}\n")
    tree.file("/case/lib.sh", HERE / "guest" / "lib.sh")
    tree.text("/case/guest.sh", ". /case/lib.sh\n" + script)
    target = folder / "initramfs"
    image.initramfs(tree, target)
    shutil.rmtree(tree.root)
    return target


def boot(run: Run, kernel: Path, initramfs: Path, disk: Path, world: outside.Outside, number: int) -> None:
    case = run.case
    machine = Machine(kernel, initramfs, disk, run.folder / f"serial{number or ''}.log", world.netdev(), case.memory,
                      case.cpus, case.append, case.qemu)
    run.machine = machine
    machine.start()
    try:
        if case.during:
            case.during(run)
        in_time = machine.wait(case.timeout)
    finally:
        machine.kill()
        run.serials.append(machine.text())
    if not in_time:
        raise AssertionError(f"the guest did not end within {case.timeout} s")
    if not case.may_die and "init: case ended with" not in run.serial:
        raise AssertionError("the guest died before the case ended")
    if not case.may_die and "init: case ended with 0" not in run.serial:
        raise AssertionError("the guest's script failed")


def run_case(case: Case, flavour: str, options: argparse.Namespace, folder: Path) -> Run:
    kernel = kernel_path(flavour)
    binary = options.binary or (find_default("flightrec") if case.needs_recorder else None)
    if case.needs_recorder and not (binary and binary.exists()):
        raise HarnessError("no flightrec program; build it or name it with --binary")
    workloads = options.workloads or (lambda hog: hog.parent if hog else None)(find_default("oom_hog"))
    world = outside.Outside(folder / "outside")
    world.folder.mkdir()
    run = Run(case, flavour, folder, world.inbox, folder / "state", binary)
    disk = folder / "disk.img"
    image.make_disk(disk, case.disk)
    try:
        world.start()
        for number, script in enumerate(case.guest):
            initramfs = build_image(case, kernel, binary if case.needs_recorder else None, workloads, world, script,
                                    folder)
            boot(run, kernel, initramfs, disk, world, number)
            shutil.rmtree(run.state, ignore_errors=True)
            image.read_disk(disk, run.state)
        case.check(run)
    except AssertionError as error:
        error.run = run  # type: ignore[attr-defined]
        raise
    finally:
        world.stop()
    return run


def report_failure(error: AssertionError, folder: Path) -> None:
    run = getattr(error, "run", None)
    for number, text in enumerate(run.serials if run else []):
        print(f"---- serial log, boot {number} (last 200 lines) ----")
        print("\n".join(text.splitlines()[-200:]))
    access = folder / "outside" / "access.log"
    if access.exists() and access.stat().st_size:
        print("---- requests nginx saw ----\n" + access.read_text(errors="replace"))
    where = traceback.extract_tb(error.__traceback__)
    line = next((frame for frame in reversed(where) if "/cases/" in frame.filename), where[-1])
    print("---- failed ----")
    print(f"{Path(line.filename).name}:{line.lineno}: {error or line.line}")


def run_one(path: Path, flavour: str, options: argparse.Namespace) -> bool:
    case = load(path)
    base = options.out or Path(tempfile.mkdtemp(prefix="flightrec-vm."))
    folder = base / f"{case.name}.{flavour}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.monotonic()
    passed = False
    try:
        run = run_case(case, flavour, options, folder)
        for note in run.notes:
            print(f"  {note}")
        passed = True
    except AssertionError as error:
        report_failure(error, folder)
    for name in ("initramfs", "disk.img"):
        (folder / name).unlink(missing_ok=True)
    kept = "" if passed and not options.keep else f" (files in {folder})"
    print(f"{'ok' if passed else 'FAILED'}  {case.name} on {flavour}, {time.monotonic() - begun:.1f} s{kept}")
    if passed and not options.keep:
        shutil.rmtree(folder if options.out else base)
    return passed


def list_cases(plain: bool) -> None:
    for path in all_cases():
        case = load(path)
        if plain:
            boots = len(case.guest)
            for flavour in case.kernels:
                print(f"{case.name};{flavour};{case.timeout * boots + 60};{int(case.needs_recorder)}")
        else:
            print(f"{case.name:24} {','.join(case.kernels):20} {case.memory:5} MiB  {case.shows}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", help="name of a file in cases/, without .py; or a path")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("--plain", action="store_true", help="with --list: NAME;KERNEL;TIMEOUT;NEEDS_RECORDER, for CMake")
    parser.add_argument("--kernel", help="cloud, generic, rt: a folder of build/kernels (default: the case's own list)")
    parser.add_argument("--binary", type=Path, help="the flightrec program (default: the newest in build/)")
    parser.add_argument("--workloads", type=Path, help="folder of the workloads (default: the newest in build/)")
    parser.add_argument("--out", type=Path, help="folder for logs and what came out (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep that folder also after success")
    options = parser.parse_args()
    if not options.list and not options.case:
        parser.error("name a case, or --list")
    return options


def main() -> int:
    options = parse()
    if options.list:
        list_cases(options.plain)
        return 0
    passed = True
    try:
        for name in options.case:
            path = Path(name) if name.endswith(".py") else HERE / "cases" / f"{name}.py"
            if not path.exists():
                raise HarnessError(f"no case '{name}'; see --list")
            for flavour in [options.kernel] if options.kernel else load(path).kernels:
                passed = run_one(path, flavour, options) and passed
    except HarnessError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
