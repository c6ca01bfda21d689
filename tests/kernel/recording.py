# SPDX-License-Identifier: Apache-2.0
"""What the kernel tests in Python share: a control group of the test's own, and a recorder of that group alone.

Scope makes the group (version 2, and beside it those of version 1 that hold a controller asked for), runs commands in
it and removes it. Recorder runs `flightrec record --scope …` in a temporary folder and reads what it made. Both are
context managers; a test that fails leaves neither processes nor groups behind. Needs root.
"""
import contextlib
import errno
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FLIGHTREC_BINARY_DIR", SOURCE / "build" / "main"))
PROGRAM = os.environ.get("FLIGHTREC_PROGRAM", str(BUILD / "userspace" / "cli" / "flightrec"))
WORKLOADS = pathlib.Path(os.environ.get("FLIGHTREC_WORKLOADS", BUILD / "tests" / "workloads"))
SKIPPED = 77  # exit code of a test that this machine cannot run (SKIP_RETURN_CODE)


def workload(name):
    """Path of a program of tests/workloads."""
    return str(WORKLOADS / name)


def cgroup_mounts():
    """{"v2": …, "memory": …, "pids": …}: mount points from /proc/self/mountinfo (proc(5)); the last two: version 1."""
    found = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point, (kind, _, options) = left.split()[4], right.split()
        if kind == "cgroup2":
            found.setdefault("v2", point)
        for controller in ("memory", "pids"):
            if kind == "cgroup" and controller in options.split(","):
                found.setdefault(controller, point)
    return found


class Scope:
    """A control group `flightrec-test-PID-N`; memory and pids are limits (bytes, processes), None for no limit."""

    made = 0

    def __init__(self, memory=None, pids=None, parent=None):
        mounts = cgroup_mounts()
        if "v2" not in mounts:
            sys.exit("no version 2 control group hierarchy is mounted (/proc/self/mountinfo)")
        Scope.made += 1
        above = parent.relative if parent else ""
        self.relative = f"{above}/flightrec-test-{os.getpid()}-{Scope.made}"
        self.path = mounts["v2"] + self.relative
        self.directories = []
        self.limited = {}
        for controller, limit in (("memory", memory), ("pids", pids)):
            if limit is not None and controller not in mounts:
                enable = pathlib.Path(mounts["v2"] + above, "cgroup.subtree_control")
                enable.write_text(f"+{controller}")
        self._make(self.path)
        self.joined = {self.path: None}  # in order, each once
        for controller, limit, v1, v2 in (("memory", memory, "memory.limit_in_bytes", "memory.max"),
                                          ("pids", pids, "pids.max", "pids.max")):
            if limit is None:
                continue
            directory = mounts[controller] + self.relative if controller in mounts else self.path
            self._make(directory)
            self.joined[directory] = None
            pathlib.Path(directory, v1 if controller in mounts else v2).write_text(str(limit))
            self.limited[controller] = directory

    def _make(self, directory):
        if directory in self.directories:
            return
        above = os.path.dirname(directory)
        if not os.path.isdir(above):  # a parent scope that has no limit is not in this hierarchy
            self._make(above)
        os.mkdir(directory)
        self.directories.append(directory)

    def enter(self):
        """Moves the calling process into the group; what subprocess calls between fork and exec."""
        for directory in self.joined:
            fd = os.open(directory + "/cgroup.procs", os.O_WRONLY)
            os.write(fd, b"0")
            os.close(fd)

    def start(self, argv, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(argv, preexec_fn=self.enter, **options)

    def run(self, argv, **options):
        """As subprocess.run; in the group from before its exec."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("timeout", 200)
        return subprocess.run(argv, preexec_fn=self.enter, check=False, **options)

    def remove(self):
        with contextlib.suppress(OSError):
            for pid in pathlib.Path(self.path, "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for directory in reversed(self.directories):
            for _ in range(400):
                try:
                    os.rmdir(directory)
                    break
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        break
                    time.sleep(0.01)
        self.directories = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def flightrec(*argv, timeout=60, **options):
    """Runs the program with these arguments; stdout and stderr as text."""
    return subprocess.run([PROGRAM, *map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False, text=True,
                          errors="surrogateescape", **options)


# Told of a window that its recorder writes at the same time: true, and no fault.
OVERTAKEN = re.compile(r"flightrec: warning: \d+ blocks were overwritten by the recorder while they were read\n")


def replay(file, *argv, live=False):
    """`flightrec replay --json`: its objects. live: the recorder may overwrite what is being read."""
    done = flightrec("replay", file, "--json", *argv)
    told = OVERTAKEN.sub("", done.stderr) if live else done.stderr
    nothing = "no event fits these options" in told  # an answer, too
    if done.returncode != 0 or (told and not nothing):
        raise AssertionError(f"replay {' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def replay_text(file, *argv):
    done = flightrec("replay", file, "--color", "never", *argv)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"replay {' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def report(file, *argv):
    done = flightrec("report", file, "--color", "never", *argv)
    if done.returncode != 0:
        raise AssertionError(f"report: exit {done.returncode}: {done.stderr}")
    return done.stdout


def verify(file):
    """`flightrec verify`: raises unless the file is intact and its ledger balances; returns the table."""
    done = flightrec("verify", file)
    if done.returncode != 0 or "the ledger balances" not in done.stdout:
        raise AssertionError(f"verify {file}: exit {done.returncode}: {done.stderr}\n{done.stdout}")
    return done.stdout


def ledger(file):
    """{class: {column: number}} of what verify prints; raises unless it balances."""
    lines = verify(file).splitlines()
    rows = {}
    for at, line in enumerate(lines):
        if not line.startswith("class "):
            continue
        columns = line.replace("|", " ").split()[1:]
        for row in lines[at + 1:]:
            words = row.replace("|", " ").split()
            if len(words) == len(columns) + 1:
                rows[words[0]] = dict(zip(columns, map(int, words[1:])))
    return rows


class Recorder:
    """A recorder of one scope, in a temporary folder that goes with it."""

    def __init__(self, scope, *options, window_size="16M", to=None, ready=30):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="flightrec-test-"))
        self.window = self.folder / "window.flight"
        self.dumps = self.folder / "dumps"
        self.spool = self.folder / "spool"
        self.control = self.folder / "control.sock"
        self.scope, self.options, self.window_size, self.to = scope, options, window_size, to
        self.process = None
        self.out = b""
        try:
            self.start(ready)
        except BaseException:
            self.remove()
            raise

    def argv(self):
        # Off but where a test is about it: on a busy machine the budget would rightly leave calls out that a test counts.
        budget = () if "--budget" in self.options else ("--budget", "off")
        return [PROGRAM, "record", "--scope", self.scope.path, "--window", self.window, "--window-size",
                self.window_size, "--to", self.to or self.dumps, "--spool", self.spool, "--control", self.control,
                "--tail", "300ms", *budget, *self.options]

    def start(self, ready=30):
        """Starts it and waits until it records."""
        self.errors = open(self.folder / "stderr", "ab")
        self.process = subprocess.Popen(list(map(str, self.argv())), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.errors)
        self.errors.close()
        self.out, end = b"", time.monotonic() + ready
        while b"\nrecording\n" not in b"\n" + self.out:
            if not select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                raise AssertionError(f"not recording after {ready} s: {self.stderr()}")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise AssertionError(f"the recorder ended with {self.process.wait()}: {self.stderr()}")
            self.out += more

    def stderr(self):
        return (self.folder / "stderr").read_text(errors="replace")

    def stop(self, within=5.0):
        """SIGTERM; it must end with 0, in time. Returns how long it took.

        What is promised is one second (stop_and_restart.py); a busy machine shall not fail every other test by it.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        took = time.monotonic() - began
        self.process.stdout.close()
        if code != 0:
            raise AssertionError(f"the recorder ended with {code}: {self.stderr()}")
        if took >= within:
            raise AssertionError(f"the recorder took {took:.2f} s to stop: {self.stderr()}")
        return took

    def dump(self, *argv):
        """Asks for a dump and returns its path once it is delivered."""
        before = set(self.files())
        done = flightrec("dump", "--control", self.control, *argv)
        if done.returncode != 0:
            raise AssertionError(f"dump: exit {done.returncode}: {done.stderr}")
        return self.wait_for_dump(before=before)

    def files(self):
        return sorted(self.dumps.glob("*.flight")) if self.dumps.is_dir() else []

    def wait_for_dump(self, before=(), timeout=15):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            new = [path for path in self.files() if path not in before]
            if new:
                return new[-1]
            time.sleep(0.05)
        raise AssertionError(f"no dump after {timeout} s: {self.stderr()}")

    def status(self):
        done = flightrec("status", "--control", self.control, "--json")
        if done.returncode != 0:
            raise AssertionError(f"status: exit {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def settle(self, seconds=0.4):
        """Time for the recorder to take what the kernel's rings hold."""
        time.sleep(seconds)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        if self.process and self.process.stdout:
            self.process.stdout.close()
        if os.environ.get("FLIGHTREC_TEST_KEEP"):
            print(f"kept {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def inode(path):
    """What the kernel calls the id of a control group."""
    return os.stat(path).st_ino


def build_id(executable):
    """The build id that readelf(1) finds."""
    notes = subprocess.run(["readelf", "-n", executable], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                           check=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)


def main():
    """What every test file ends with: runs its cases, root and the built program given."""
    if os.geteuid() != 0:
        print("needs root")
        sys.exit(SKIPPED)
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"{PROGRAM}: not built")
    unittest.main(verbosity=2)
