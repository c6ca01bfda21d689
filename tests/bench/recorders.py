# SPDX-License-Identifier: Apache-2.0
"""What is measured side by side: nothing, empty BPF programs, flightrec, and the recorders found on this machine.

Each is a context manager made with (scope, pids): it records the processes of the scope, or these pids and their
children, from enter to exit. `why_not()` says why it cannot run here, or None.
"""
import contextlib
import functools
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from undone import Undone

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kernel"))
import recording  # noqa: E402

BENCH = recording.BUILD / "tests" / "bench"


class Base(Undone):
    def __init__(self, scope, pids):
        super().__init__()
        self.scope, self.pids = scope, pids

    def cpu_ns(self):
        """CPU time so far of a process that records, if there is one."""
        return 0

    def each_pid(self, option):
        """["-p", "812", "-p", "813", …]"""
        return [word for pid in self.pids for word in (option, str(pid))]

    def launch(self, argv, says=None, wait=0.7):
        """Starts the recorder's program in a folder of its own, until the end; it records once it says so, or after
        a while."""
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="flightrec-bench-"))
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if says else subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=folder)
        if says:
            self.stack.callback(process.stdout.close)
        self.stack.callback(end, process)
        if says:
            await_line(process, says, argv[0])
        time.sleep(wait)
        if process.poll() is not None:
            raise RuntimeError(f"{self.name} ended at once")


class Nothing(Base):
    name = "none"


def end(process, how=signal.SIGINT, timeout=20):
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_line(process, wanted, what):
    while True:
        line = process.stdout.readline()
        if wanted in line:
            return
        if not line:
            raise RuntimeError(f"{what} did not start")


class Floor(Base):
    which = "both"

    def start(self):
        self.process = subprocess.Popen([BENCH / "bench_floor", self.which], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.stack.callback(self.stop)
        await_line(self.process, b"attached", "the floor")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class FloorBoth(Floor):
    name = "empty programs, enter+exit"


class FloorExit(Floor):
    name = "empty program, exit"
    which = "exit"


class Flightrec(Base):
    name = "flightrec"
    options = ("--budget", "off")
    window = "64M"

    def start(self):
        self.recorder = self.stack.enter_context(
            recording.Recorder(self.scope, "--syscall-ring", "2M", *self.options, window_size=self.window))
        self.stack.callback(self.recorder.stop, within=30)

    def cpu_ns(self):
        """CPU time of its threads so far."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.recorder.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total


class FlightrecNoDurations(Flightrec):
    name = "flightrec, no durations"
    options = ("--budget", "off", "--no-durations")


class FlightrecBudget(Flightrec):
    name = "flightrec, default budget"
    options = ("--budget", "3%")  # recording.Recorder switches it off unless it is given


@functools.cache
def tracefs():
    """A mount of tracefs of our own, removed at exit; None: not allowed."""
    folder = tempfile.mkdtemp(prefix="flightrec-bench-tracefs-")
    if subprocess.run(["mount", "-t", "tracefs", "none", folder], check=False, stderr=subprocess.DEVNULL).returncode:
        os.rmdir(folder)
        return None
    import atexit
    atexit.register(lambda: (subprocess.run(["umount", folder], check=False), os.rmdir(folder)))
    return pathlib.Path(folder)


class Ftrace(Base):
    """An instance of its own with an overwriting ring, limited to the pids and their children."""
    name = "ftrace"
    events = ("raw_syscalls/sys_enter", "raw_syscalls/sys_exit")

    @classmethod
    def why_not(cls):
        return None if tracefs() else "tracefs cannot be mounted"

    def write(self, name, text):
        (self.instance / name).write_text(text)

    def start(self):
        self.instance = tracefs() / "instances" / f"flightrec-bench-{os.getpid()}"
        self.instance.mkdir()
        self.stack.callback(self.instance.rmdir)
        self.write("buffer_size_kb", "2048")
        self.write("options/overwrite", "1")
        self.write("options/event-fork", "1")
        self.write("set_event_pid", " ".join(map(str, self.pids)))
        for event in self.events:
            self.write(f"events/{event}/enable", "1")
            self.stack.callback(self.write, f"events/{event}/enable", "0")

    def entries(self):
        """Events still in the rings, and those overwritten."""
        kept = lost = 0
        for stats in self.instance.glob("per_cpu/cpu*/stats"):
            for line in stats.read_text().splitlines():
                key, _, value = line.partition(":")
                kept += int(value) if key == "entries" else 0
                lost += int(value) if key == "overrun" else 0
        return kept, lost


class FtraceTasks(Ftrace):
    name = "ftrace, sched+task events"
    events = ("sched/sched_process_fork", "sched/sched_process_exec", "sched/sched_process_exit", "task/task_newtask",
              "task/task_rename", "signal/signal_generate")


class FtraceStrings(Ftrace):
    """ftrace with the path of openat: an event probe, which copies the string."""
    name = "ftrace with strings"
    events = ("flightrec_bench/openat_path", "syscalls/sys_exit_openat", "syscalls/sys_enter_close",
              "syscalls/sys_exit_close")
    probe = "e:flightrec_bench/openat_path syscalls.sys_enter_openat dfd=$dfd file=+0($filename):ustring flags=$flags"

    @classmethod
    def why_not(cls):
        if not tracefs():
            return "tracefs cannot be mounted"
        try:
            cls.define(cls.probe)
            cls.define("-:flightrec_bench/openat_path")
        except OSError as error:
            return f"the kernel refuses the event probe: {error.strerror}"
        return None

    @staticmethod
    def define(text):
        with open(tracefs() / "dynamic_events", "a", encoding="ascii") as file:
            file.write(text + "\n")

    def start(self):
        self.define(self.probe)
        self.stack.callback(self.define, "-:flightrec_bench/openat_path")
        super().start()


class Perf(Base):
    name = "perf record --overwrite"
    programs = ("perf",)
    events = "raw_syscalls:sys_enter,raw_syscalls:sys_exit"

    def start(self):
        self.launch(["perf", "record", "-e", self.events, "--overwrite", "-m", "512", "-p",
                     ",".join(map(str, self.pids)), "-o", "perf.data"])


class PerfTasks(Perf):
    name = "perf record --overwrite, sched+task events"
    events = "sched:sched_process_fork,sched:sched_process_exec,sched:sched_process_exit,task:task_newtask,task:task_rename"


class PerfTrace(Base):
    name = "perf trace"
    programs = ("perf",)

    def start(self):
        self.launch(["perf", "trace", "-p", ",".join(map(str, self.pids)), "-o", "/dev/null"], wait=1.0)


class Bpftrace(Base):
    """Counting only: it has no ring that overwrites."""
    name = "bpftrace, counting"
    programs = ("bpftrace",)

    def start(self):
        condition = " || ".join(f"pid == {pid}" for pid in self.pids)
        text = ("tracepoint:raw_syscalls:sys_enter /%s/ { @at[tid] = nsecs; } "
                "tracepoint:raw_syscalls:sys_exit /%s/ { @calls[args->id] = count(); @ns = sum(nsecs - @at[tid]); } "
                "BEGIN { printf(\"attached\\n\"); }" % (condition, condition))
        self.launch(["bpftrace", "-B", "none", "-e", text], says=b"attached", wait=0.3)


class Strace(Base):
    name = "strace"
    programs = ("strace",)

    def start(self):
        self.launch(["strace", "-f", "-T", "-o", "/dev/null", *self.each_pid("-p")], wait=0.3)
