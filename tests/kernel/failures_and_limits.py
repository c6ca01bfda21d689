#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Failed forks, mappings and execs are told with the limit that refused them, also where no system call is recorded."""
import ctypes
import errno
import json
import mmap
import os
import pathlib
import resource
import sys
import time
import unittest

import recording

NOBODY = 65534
PIDS = 12
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.mremap.restype = ctypes.c_void_p
LIBC.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
LIBC.sbrk.restype = ctypes.c_void_p
LIBC.sbrk.argtypes = [ctypes.c_long]
FAILED = ctypes.c_void_p(-1).value


def say(**facts):
    print(json.dumps({"pid": os.getpid(), **facts}), flush=True)


def in_child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    os.waitpid(pid, 0)


def map_anonymous(size):
    return LIBC.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def total_vm():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * 4096


def fork_until_refused():
    children, error = [], None
    while len(children) < 100:
        try:
            pid = os.fork()
        except OSError as failure:
            error = failure.errno
            break
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    return len(children), error


def limited_user():
    """As a user whose processes are limited: RLIMIT_NPROC counts all of that user's, here and elsewhere."""
    resource.setrlimit(resource.RLIMIT_NPROC, (8, 8))
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    made, error = fork_until_refused()
    say(what="nproc", made=made, errno=error, limit=8)


def limited_cgroup():
    made, error = fork_until_refused()
    say(what="pids", made=made, errno=error, limit=PIDS)


def limited_memory():
    size = 1 << 30
    resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
    before = total_vm()
    failed = map_anonymous(size) == FAILED
    say(what="mmap", errno=ctypes.get_errno() if failed else 0, size=size, limit=512 << 20, usage=before)
    small = map_anonymous(1 << 20)
    before = total_vm()
    failed = LIBC.mremap(small, 1 << 20, size, 1) == FAILED
    say(what="mremap", errno=ctypes.get_errno() if failed else 0, size=size - (1 << 20), limit=512 << 20, usage=before)
    failed = LIBC.sbrk(size) == FAILED
    say(what="brk", errno=ctypes.get_errno() if failed else 0, size=size, limit=512 << 20, usage=before)


def limited_data():
    resource.setrlimit(resource.RLIMIT_DATA, (128 << 20, 128 << 20))
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    failed = map_anonymous(512 << 20) == FAILED
    say(what="data", errno=ctypes.get_errno() if failed else 0, size=512 << 20, limit=128 << 20,
        usage=(int(status["VmData"].split()[0]) + int(status["VmStk"].split()[0])) * 1024)


def too_many_maps():
    """Pages side by side with different rights cannot share a mapping."""
    limit = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    failed, at = False, 0
    while not failed and at < limit + 100:
        rights = mmap.PROT_READ if at % 2 else mmap.PROT_READ | mmap.PROT_WRITE
        failed = LIBC.mmap(None, 4096, rights, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0) == FAILED
        at += 1
    os.write(1, b"%d %d\n" % (os.getpid(), ctypes.get_errno() if failed else 0))


def failed_execs():
    long = ["/nonexistent/a", *[f"argument {n} " + "x" * 90 for n in range(60)]]
    for what, argv in (("exec", long), ("exec_raw", ["/etc/passwd", b"\xff\n\"", ""])):
        try:
            os.execv(argv[0], argv)
        except OSError as failure:
            say(what=what, errno=failure.errno, argv=[os.fsdecode(a) for a in argv])
    folder = os.open("/usr", os.O_RDONLY)
    try:
        os.execve(folder, ["by descriptor"], {})
    except OSError as failure:
        say(what="exec_fd", errno=failure.errno, argv=["by descriptor"])
    array = (ctypes.c_char_p * 3)(b"at", b"cwd", None)
    LIBC.syscall(322, -100, b"not-there", array, None, 0)  # execveat(AT_FDCWD, …), x86-64
    say(what="exec_at", errno=ctypes.get_errno(), argv=["at", "cwd"], filename="not-there")


def unusual_execs():
    fd = os.memfd_create("hidden")
    os.write(fd, pathlib.Path("/bin/true").read_bytes())

    def memfd():
        say(what="memfd")
        os.execve(fd, ["from memory"], {})

    copy = pathlib.Path(f"/tmp/flightrec-deleted-{os.getpid()}")
    copy.write_bytes(pathlib.Path("/bin/true").read_bytes())
    copy.chmod(0o755)
    kept = os.open(copy, os.O_RDONLY)
    copy.unlink()

    def deleted():
        say(what="deleted")
        os.execve(kept, ["deleted"], {})

    script = pathlib.Path(f"/tmp/flightrec-script-{os.getpid()}")
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)

    def interpreted():
        os.chdir("/usr/share")
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        say(what="script", script=str(script), cgroup=pathlib.Path("/proc/self/cgroup").read_text(),
            pidns=os.stat("/proc/self/ns/pid").st_ino)
        os.execv(script, [str(script), "x"])

    in_child(memfd)
    in_child(deleted)
    in_child(interpreted)
    script.unlink()


def driver():
    for work in (limited_user, limited_memory, limited_data, failed_execs):
        in_child(work)
    unusual_execs()


class FailuresAndLimits(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        script = os.path.abspath(__file__)
        with recording.Scope() as scope:
            with recording.Recorder(scope, *cls.options) as recorder, recording.Scope(pids=PIDS, parent=scope) as small:
                done = scope.run(["/usr/bin/python3", script, "--driver"])
                full = small.run(["/usr/bin/python3", script, "--forks"])
                maps = scope.run(["/usr/bin/python3", script, "--maps"])
                for run in (done, full, maps):
                    if run.returncode != 0:
                        raise AssertionError(run.stderr.decode(errors="replace"))
                recorder.settle()
                recorder.stop()
                recording.verify(recorder.window)
                cls.events = recording.replay(recorder.window)
            cls.small = small.relative
        lines = done.stdout.splitlines() + full.stdout.splitlines()
        cls.maps = tuple(map(int, maps.stdout.split()))
        cls.told = {fact["what"]: fact for fact in map(json.loads, lines)}

    def failures(self, what):
        """What is recorded of the process that told this."""
        pid = self.told[what]["pid"]
        return [e for e in self.events if e["class"] == "alloc_failure" and e["pid"] == pid]

    def test_rlimit_nproc(self):
        told = self.told["nproc"]
        self.assertEqual(told["errno"], errno.EAGAIN)
        self.assertEqual([(e["kind"], e["cause"], e["errno"], e["limit"]) for e in self.failures("nproc")],
                         [("fork", "rlimit_nproc", "EAGAIN", told["limit"])])
        # This one, its children, and what else runs as the same user on this machine.
        self.assertGreaterEqual(self.failures("nproc")[0]["usage"], told["made"] + 1)

    def test_pids_cgroup(self):
        told = self.told["pids"]
        self.assertEqual(told["errno"], errno.EAGAIN)
        found = self.failures("pids")
        self.assertEqual([(e["kind"], e["cause"], e["errno"], e["limit"], e["usage"], e["cgroup"]) for e in found],
                         [("fork", "pids_cgroup", "EAGAIN", PIDS, told["made"] + 1, self.small)])

    def test_address_space(self):
        for what, call in (("mmap", "mmap"), ("mremap", "mremap"), ("brk", "brk")):
            told = self.told[what]
            self.assertEqual(told["errno"], errno.ENOMEM, what)
            found = [e for e in self.failures(what) if e["syscall"] == call and e["size"] >= 1 << 28]
            self.assertTrue(found, what)
            for event in found:
                self.assertEqual((event["kind"], event["cause"], event["errno"], event["limit"]),
                                 ("syscall", "rlimit_as", "ENOMEM", told["limit"]), what)
                self.assertLess(abs(event["size"] - told["size"]), 1 << 20, what)
                self.assertLess(abs(event["usage"] - told["usage"]), 4 << 20, what)

    def test_data(self):
        told = self.told["data"]
        self.assertEqual(told["errno"], errno.ENOMEM)
        found = [e for e in self.failures("data") if e["size"] == told["size"]]
        self.assertEqual([(e["syscall"], e["cause"], e["limit"]) for e in found], [("mmap", "rlimit_data", told["limit"])])
        self.assertLess(abs(found[0]["usage"] - told["usage"]), 4 << 20)

    def test_mappings(self):
        pid, error = self.maps
        self.assertEqual(error, errno.ENOMEM)
        limit = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
        found = [e for e in self.events if e["class"] == "alloc_failure" and e["pid"] == pid]
        self.assertTrue(found)
        self.assertEqual({(e["cause"], e["limit"]) for e in found if e["syscall"] == "mmap"}, {("map_count", limit)})
        self.assertGreaterEqual(found[0]["usage"], limit)

    def test_failed_execs_have_their_arguments(self):
        for what in ("exec", "exec_raw", "exec_fd", "exec_at"):
            told = self.told[what]
            found = [e for e in self.events if e["class"] == "exec_failed" and e["argv"][:1] == told["argv"][:1]]
            self.assertEqual(len(found), 1, what)
            self.assertEqual(found[0]["errno"], errno.errorcode[told["errno"]], what)
            self.assertEqual(found[0]["pid"], told["pid"])
            if what != "exec_raw":
                self.assertEqual(found[0]["argv"], told["argv"])
            self.assertNotIn("argv_cut", found[0])
        self.assertEqual([e["filename"] for e in self.events if e["class"] == "exec_failed" and e["argv"] == ["at", "cwd"]],
                         ["not-there"])

    def exec_of(self, what):
        found = [e for e in self.events if e["class"] == "exec" and e["pid"] == self.told[what]["pid"]]
        return found[-1]

    def test_executables_without_a_name(self):
        memory, deleted = self.exec_of("memfd"), self.exec_of("deleted")
        self.assertEqual((memory["memfd"], memory["deleted"]), (True, False))
        self.assertEqual((deleted["memfd"], deleted["deleted"]), (False, True))
        self.assertEqual(memory["exe"], "/memfd:hidden")

    def test_scripts_and_where_they_run(self):
        event, told = self.exec_of("script"), self.told["script"]
        self.assertEqual((event["filename"], event["interpreter"]), (told["script"], "/bin/sh"))
        self.assertEqual(event["argv"], ["/bin/sh", told["script"], "x"])
        self.assertEqual(event["exe"], os.path.realpath("/bin/sh"))
        self.assertEqual((event["cwd"], event["uid"], event["gid"]), ("/usr/share", NOBODY, NOBODY))
        own = next(line[3:] for line in told["cgroup"].splitlines() if line.startswith("0::"))
        self.assertEqual(event["cgroup"], own)
        self.assertEqual(event["pid_namespace"], told["pidns"])


class AlsoWithoutSystemCalls(FailuresAndLimits):
    options = ("--syscalls", "none")

    def test_no_system_call_is_recorded(self):
        self.assertEqual([e for e in self.events if e["class"] == "syscall"], [])


class AlsoWithTheClassOff(FailuresAndLimits):
    options = ("--without", "syscall")

    def test_no_system_call_is_recorded(self):
        self.assertEqual([e for e in self.events if e["class"] == "syscall"], [])


if __name__ == "__main__":
    if sys.argv[1:] == ["--driver"]:
        driver()
    elif sys.argv[1:] == ["--maps"]:
        too_many_maps()
    elif sys.argv[1:] == ["--forks"]:
        limited_cgroup()
    else:
        recording.main()
