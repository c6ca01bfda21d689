# SPDX-License-Identifier: Apache-2.0
"""What a case file says, and what its check() is given."""

import importlib.util
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


class HarnessError(Exception):
    """The harness itself could not do its work: a missing tool, kernel or program."""


@dataclass
class Case:
    """One file of cases/. All names but GUEST and check have a default."""

    name: str
    shows: str  # first line of the docstring
    guest: list[str]  # GUEST: the script (or one a boot) that runs in the guest, busybox sh
    check: object  # check(run): the expectations, outside
    during: object  # during(run): runs outside while the guest runs
    kernels: list[str]  # KERNELS
    memory: int  # MEMORY, MiB
    cpus: int  # CPUS
    timeout: int  # TIMEOUT, seconds, one boot
    disk: int  # DISK, MiB
    append: str  # APPEND: kernel command line
    modules: list[str]  # MODULES: more kernel modules to load
    extra: list[str]  # EXTRA: files or folders of this machine to take along
    qemu: list[str]  # QEMU: more arguments
    needs_recorder: bool  # RECORDER: the case needs the flightrec program
    may_die: bool  # MAY_DIE: the guest need not reach its orderly end


def load(path: Path) -> Case:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def value(name, default):
        return getattr(module, name, default)

    for name in ("GUEST", "check"):
        if not hasattr(module, name):
            raise HarnessError(f"{path}: has no {name}")
    guest = module.GUEST if isinstance(module.GUEST, list) else [module.GUEST]
    return Case(name=path.stem, shows=(module.__doc__ or "").strip().split("\n")[0], guest=guest, check=module.check,
                during=value("during", None), kernels=value("KERNELS", ["cloud"]), memory=value("MEMORY", 512),
                cpus=value("CPUS", 2), timeout=value("TIMEOUT", 180), disk=value("DISK", 128),
                append=value("APPEND", ""), modules=value("MODULES", []), extra=value("EXTRA", []),
                qemu=value("QEMU", []), needs_recorder=value("RECORDER", True), may_die=value("MAY_DIE", False))


@dataclass
class Run:
    """What check(run) looks at. Paths are on this machine."""

    case: Case
    kernel: str
    folder: Path
    inbox: Path  # what arrived at nginx below /in/
    state: Path  # the guest's /var, read back from its disk
    binary: Path | None
    machine: object = None
    serials: list[str] = field(default_factory=list)  # one text a boot
    notes: list[str] = field(default_factory=list)

    # ---- what came out ----

    @property
    def serial(self) -> str:
        return self.serials[-1]

    def out(self, name: str) -> str:
        """Text of /var/out/NAME of the guest."""
        path = self.state / "out" / name
        self.expect(path.exists(), f"the guest wrote no /var/out/{name}")
        return path.read_text(errors="replace")

    @property
    def dmesg(self) -> str:
        """The guest's kernel log, without level prefixes."""
        return re.sub(r"^<\d+>", "", self.out("dmesg"), flags=re.M)

    def dumps(self, at_least: int = 1) -> list[Path]:
        """The .flight files that arrived outside, oldest first."""
        found = sorted(self.inbox.rglob("*.flight"), key=lambda path: path.stat().st_mtime_ns)
        names = [str(path.relative_to(self.inbox)) for path in self.inbox.rglob("*") if path.is_file()]
        self.expect(len(found) >= at_least, f"{len(found)} dumps arrived, not {at_least}; there is: {names}")
        return found

    # ---- asking flightrec, outside the guest ----

    def flightrec(self, *arguments, status: int | None = 0) -> str:
        """Runs flightrec here; returns its standard output. status None: any."""
        command = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)
        if status is not None and done.returncode != status:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}, not {status}:\n"
                                 f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def events(self, dump: Path, *filters) -> list[dict]:
        """`flightrec replay --json` with filters, one dictionary an event."""
        events = [json.loads(line) for line in self.flightrec("replay", dump, "--json", *filters).splitlines() if line]
        # Gaps and other limits of the record are always told, whatever class is asked for.
        return [event for event in events if event["class"] != "marker" or "--class" not in filters or "marker" in filters]

    # ---- saying what must hold ----

    def expect(self, condition, message: str) -> None:
        if not condition:
            raise AssertionError(message)

    def note(self, text: str) -> None:
        """A line for the summary."""
        self.notes.append(text)
