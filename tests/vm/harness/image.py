# SPDX-License-Identifier: Apache-2.0
"""Builds what a guest boots from: an initramfs (busybox, modules, programs with their libraries) and a disk."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from .case import HarnessError

# Modules a guest needs, if its kernel does not have them built in.
# ext4 asks for its checksum by an alias that modules.dep does not list.
MODULES = ["virtio_pci", "virtio_net", "virtio_blk", "crc32c_generic", "ext4"]
# Directories the guest's init mounts on or that programs expect.
DIRECTORIES = ["bin", "sbin", "proc", "sys", "dev", "run", "tmp", "var", "etc", "root", "case", "workloads",
               "usr/bin", "usr/sbin", "usr/lib", "mnt", "lib", "lib64"]


def module_order(kernel: Path, wanted: list[str]) -> list[str]:
    """Paths (within the modules folder) of the wanted modules, each after those it needs."""
    needs: dict[str, list[str]] = {}
    by_name: dict[str, str] = {}
    for line in (kernel / "modules" / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        by_name[re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_")] = path
    builtin = {os.path.basename(line).removesuffix(".ko").replace("-", "_")
               for line in (kernel / "modules" / "modules.builtin").read_text().splitlines()}
    order: list[str] = []

    def take(path: str) -> None:
        for other in needs[path]:
            take(other)
        if path not in order:
            order.append(path)

    for name in wanted:
        name = name.replace("-", "_")
        if name in by_name:
            take(by_name[name])
        elif name not in builtin:
            raise HarnessError(f"kernel {kernel} has no module {name}")
    return order


def libraries(program: Path) -> list[Path]:
    """The shared libraries of a program, the loader included; none for a static one."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    if "not found" in done.stdout:
        raise HarnessError(f"{program}: a shared library is missing:\n{done.stdout}")
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", done.stdout)]


class Tree:
    """A directory that becomes the guest's root."""

    def __init__(self, root: Path):
        self.root = root
        for name in DIRECTORIES:
            (root / name).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, source: Path, executable: bool = False) -> None:
        target = self.root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if executable or os.access(source, os.X_OK) else 0o644)

    def text(self, name: str, text: str, mode: int = 0o644) -> None:
        target = self.root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def program(self, source: Path, name: str, strip: bool = True) -> None:
        """A program and its libraries. Debug information stays outside: a guest's root is its memory."""
        self.file(name, source, executable=True)
        if strip:
            subprocess.run(["strip", "--strip-debug", str(self.root / name.lstrip("/"))], check=True)
        for library in libraries(source):
            if not (self.root / str(library).lstrip("/")).exists():
                self.file(str(library), library.resolve(), executable=True)

    def copy(self, path: Path) -> None:
        """A file or a folder of this machine at the same place; an ELF program brings its libraries."""
        if path.is_dir():
            shutil.copytree(path, self.root / str(path).lstrip("/"), symlinks=True, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("__pycache__"))
            return
        if not path.exists():
            raise HarnessError(f"EXTRA names {path}, which does not exist here")
        with path.open("rb") as file:
            elf = file.read(4) == b"\x7fELF"
        if elf:
            self.program(path.resolve(), str(path), strip=False)
        else:
            self.file(str(path), path)


def initramfs(tree: Tree, target: Path) -> None:
    """Packs the tree, uncompressed: an emulated machine reads faster than it unpacks."""
    console = tree.root / "dev" / "console"
    if not console.exists() and os.geteuid() == 0:
        os.mknod(console, 0o600 | stat.S_IFCHR, os.makedev(5, 1))
    names = subprocess.run(["find", ".", "-print0"], cwd=tree.root, capture_output=True, check=True).stdout
    with target.open("wb") as out:
        subprocess.run(["cpio", "-0", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=tree.root, input=names,
                       stdout=out, check=True)


def find_tool(name: str) -> str:
    for folder in [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin"]:
        if folder and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise HarnessError(f"{name} is not installed; run scripts/setup")


def make_disk(path: Path, mebibytes: int) -> None:
    with path.open("wb") as file:
        file.truncate(mebibytes << 20)
    subprocess.run([find_tool("mke2fs"), "-q", "-t", "ext4", "-F", "-E", "lazy_itable_init=0,nodiscard",
                    "-O", "^has_journal" if mebibytes < 8 else "has_journal", str(path)], check=True)


def read_disk(path: Path, target: Path) -> None:
    """Copies everything out of the disk; a journal that a dead guest left is replayed first."""
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run([find_tool("e2fsck"), "-p", str(path)], capture_output=True, check=False)
    subprocess.run([find_tool("debugfs"), "-R", f'rdump / "{target}"', str(path)], capture_output=True, check=True)
