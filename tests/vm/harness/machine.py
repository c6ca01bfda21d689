# SPDX-License-Identifier: Apache-2.0
"""One guest: QEMU with full emulation (never hardware virtualisation), a serial log, one disk, one network card."""

import re
import subprocess
import time
from pathlib import Path

from .case import HarnessError
from .image import find_tool

# One thread emulates all processors in turn. With a thread for each (thread=multi), QEMU 7.2 now and then keeps the
# translation of a breakpoint that the guest's kernel has already taken back: both processors then run into it for ever
# (soft lockup at a static key, just after a tracepoint was switched). docs/testing.md has how it was found.
ACCELERATOR = "tcg,thread=single"
APPEND = "console=ttyS0 loglevel=4 panic=1 log_buf_len=4M net.ifnames=0 random.trust_cpu=on mitigations=off"


class Machine:
    def __init__(self, kernel: Path, initramfs: Path, disk: Path, serial: Path, netdev: str, memory: int, cpus: int,
                 append: str = "", qemu: list[str] | None = None):
        self.serial = serial
        self.command = [
            find_tool("qemu-system-x86_64"), "-accel", ACCELERATOR, "-machine", "q35", "-cpu", "max",
            "-smp", str(cpus), "-m", str(memory), "-nodefaults", "-no-reboot", "-display", "none",
            "-serial", f"file:{serial}", "-monitor", "none",
            "-kernel", str(kernel / "vmlinuz"), "-initrd", str(initramfs), "-append", f"{APPEND} {append}".strip(),
            "-netdev", netdev, "-device", "virtio-net-pci,netdev=net0,romfile=",
            "-drive", f"file={disk},format=raw,if=none,id=state,cache=writethrough",
            "-device", "virtio-blk-pci,drive=state",
            *(qemu or []),
        ]
        self.process: subprocess.Popen | None = None
        self.killed = False
        self.errors = serial.with_suffix(".qemu")

    def start(self) -> None:
        self.serial.write_bytes(b"")
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)

    def wait(self, timeout: float) -> bool:
        """False when the guest had not ended in time (and was then stopped)."""
        assert self.process
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        if self.process.returncode != 0 and not self.killed:
            raise HarnessError(f"qemu ended with {self.process.returncode}: {self.errors.read_text()}")
        return True

    def kill(self) -> None:
        """Power loss: nothing is flushed."""
        if self.process and self.process.poll() is None:
            self.killed = True
            self.process.kill()
            self.process.wait()

    def text(self) -> str:
        return clean(self.serial.read_bytes())

    def wait_for(self, pattern: str, timeout: float = 60) -> str:
        """Waits until the serial log has a line that matches; returns the match."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = re.search(pattern, self.text())
            if found:
                return found.group(0)
            if self.process and self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the serial log never had {pattern!r}")


def clean(raw: bytes) -> str:
    """The serial log as text: no terminal sequences, no carriage returns."""
    text = raw.decode("utf-8", "replace").replace("\r", "")
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|c|\][^\x07]*\x07)", "", text)
