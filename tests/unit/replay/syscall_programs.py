#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs real programs twice, under syscall_trace_tool and under strace, and compares the two with strace_compare.py.

    syscall_programs.py --tracer syscall_trace_tool --compare strace_compare.py

Address space layout is fixed, so that both runs use the same addresses; what must differ between two runs (process
ids) is left out. Exits 1 on a difference, 77 (skipped) without strace 6.1 or where layout cannot be fixed.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

PROGRAMS = [["/bin/ls", "-la", "/etc"], ["/bin/cat", "/etc/passwd"], ["/usr/bin/id"], ["/bin/df"],
            ["/usr/bin/python3", "-c", "import json"], ["/usr/bin/gcc", "--version"], ["/usr/sbin/nginx", "-V"],
            ["/usr/bin/find", "/usr/include/linux", "-name", "a*"], ["/bin/cp", "/etc/passwd", "/nonexistent/file"]]
WORKLOAD = """
import ctypes, fcntl, mmap, os, resource, select, signal, socket, struct, time
listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); listener.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 5)); listener.listen(5)
for address in ('/tmp/no-such-socket', '\\0abstract'):
    try: socket.socket(socket.AF_UNIX).connect(address)
    except OSError: pass
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('::1', 9))
a, b = socket.socketpair(); a.send(b'q'); p = select.poll(); p.register(b, select.POLLIN); p.poll(10)
e = select.epoll(); e.register(b, select.EPOLLIN | select.EPOLLET); e.poll(0.01)
r, w = os.pipe(); os.dup2(r, 77); fcntl.fcntl(r, fcntl.F_SETFL, os.O_NONBLOCK); fcntl.fcntl(r, fcntl.F_GETFL)
signal.signal(signal.SIGUSR1, signal.SIG_IGN); signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGRTMIN])
signal.sigpending(); signal.setitimer(signal.ITIMER_REAL, 50, 0); signal.sigtimedwait([signal.SIGUSR2], 0.001)
name = 'quote"é\\n'; open(name, 'w').write('hello'); os.utime(name, (1, 2)); os.chmod(name, 0o4755); os.link(name, 'h')
os.rename(name, 'g'); os.symlink('a', 'i'); os.readlink('i'); os.unlink('i'); os.unlink('h'); os.truncate('g', 3)
os.mkfifo('p'); os.mkdir('d', 0o700); os.rmdir('d')
f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); os.posix_fallocate(f, 0, 10); os.lseek(f, 3, os.SEEK_SET)
os.pwrite(f, b'abc', 2); os.fsync(f); fcntl.lockf(f, fcntl.LOCK_EX); fcntl.flock(f, fcntl.LOCK_SH); os.ftruncate(f, 4096)
m = mmap.mmap(f, 4096); m.madvise(mmap.MADV_WILLNEED); m.flush(); m.close(); os.memfd_create('me', os.MFD_CLOEXEC)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.umask(0o27); os.getcwd(); os.uname(); os.getrandom(3)
for call in (lambda: os.getxattr('/etc', 'user.x'), lambda: os.execv('/nonexistent', ['a', 'b c'])):
    try: call()
    except OSError: pass
fcntl.ioctl(a, 0x541b, b'0000'); ctypes.CDLL(None).prctl(15, b'worker-thread-name')
"""
DIFFERENT_EACH_RUN = "getsockname,getpid,gettid,set_tid_address,getppid,clock_nanosleep"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tracer", required=True, type=pathlib.Path)
    parser.add_argument("--compare", required=True, type=pathlib.Path)
    args = parser.parse_args()
    try:
        version = subprocess.run(["strace", "--version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        version = ""
    if "version 6.1" not in version or subprocess.run(["setarch", "-R", "true"], capture_output=True).returncode:
        print("needs strace 6.1 and setarch -R")
        sys.exit(77)
    failed = 0
    environment = {"PATH": "/usr/bin:/usr/sbin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
    for program in [*PROGRAMS, ["/usr/bin/python3", "-c", WORKLOAD]]:
        if not os.access(program[0], os.X_OK):
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder)
            tracers = {"replay": [args.tracer.resolve(), out / "replay"], "decoded": ["strace", "-f", "-s", "4096", "-o", out / "decoded"],
                       "raw": ["strace", "-f", "-e", "raw=all", "-o", out / "raw"]}
            for what, tracer in tracers.items():
                work = out / "work"
                work.mkdir()
                subprocess.run(["setarch", "-R", *tracer, *program], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
                subprocess.run(["rm", "-r", work], check=True)
            for what, options in (("decoded", []), ("raw", ["--raw"])):
                ignore = DIFFERENT_EACH_RUN + (",execve" if options else "")  # strace finds programs on another stack
                print(f"{pathlib.Path(program[0]).name}, {what}: ", end="", flush=True)
                run = subprocess.run([sys.executable, args.compare, "--replay", out / "replay", "--strace", out / what,
                                      "--ignore", ignore, *options])
                failed += run.returncode != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
