# SPDX-License-Identifier: Apache-2.0
"""What several faults share: a real nginx on loopback with TLS, and a bpf file system of the test's own."""
import contextlib
import ctypes
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import recording
from harness import outside


class Nginx:
    """Takes files by HTTPS PUT below `url`. stop() and start() take it away and bring it back on the same port."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.world = outside.Outside(self.folder)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.world.https}/in/"

    @property
    def certificate(self):
        return self.world.certificate

    def dumps(self):
        return sorted(self.world.inbox.rglob("*.flight"), key=lambda path: path.stat().st_mtime_ns)

    def wait_for(self, number, timeout=60):
        end = time.monotonic() + timeout
        while len(self.dumps()) < number:
            if time.monotonic() > end:
                raise AssertionError(f"{len(self.dumps())} dumps arrived in {timeout} s, not {number}")
            time.sleep(0.05)
        return self.dumps()

    def __enter__(self):
        self.world.start()
        return self

    def __exit__(self, *_):
        self.world.stop()


@contextlib.contextmanager
def bpf_file_system(folder):
    """Mounts one on a new folder; what is pinned there ends with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = pathlib.Path(folder)
    folder.mkdir()
    if libc.mount(b"bpf", os.fsencode(folder), b"bpf", 0, b"mode=0700") != 0:
        raise OSError(ctypes.get_errno(), "cannot mount a bpf file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


class Relay:
    """Passes TCP connections on to a port of this machine, or fails in the way it was told last."""

    def __init__(self, target):
        self.target, self.failure = target, None
        self.listener = None
        self.port = outside.free_port()
        self.open = set()
        self._listen()

    def _listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(16)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def fail(self, failure):
        """None, "closed port", "black hole", "reset", "slow" or "500"; connections that are open are cut."""
        self.failure = failure
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if failure == "closed port":
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        elif self.listener is None:
            self._listen()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        failure = self.failure
        with contextlib.suppress(OSError):
            if failure == "black hole":
                while connection.recv(1):
                    time.sleep(0.5)
            else:
                self._pass(connection, failure)
        self.open.discard(connection)
        connection.close()

    def _pass(self, connection, failure):
        with socket.create_connection(("127.0.0.1", self.target)) as out:
            self.open.add(out)
            threading.Thread(target=self._back, args=(out, connection), daemon=True).start()
            passed = 0
            while True:
                data = connection.recv(2048 if failure == "slow" else 65536)
                if not data:
                    break
                if failure == "slow":
                    time.sleep(0.2)
                passed += len(data)
                if failure == "reset" and passed > 20000:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                out.sendall(data)
            self.open.discard(out)

    @staticmethod
    def _back(out, connection):
        with contextlib.suppress(OSError):
            while data := out.recv(65536):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.fail("closed port")


def numbers(window, *filters):
    """The numbers of numbered_calls that are in it: lseek(fd, N, SEEK_SET) = N, in order."""
    return [e["result"] for e in recording.replay(window, "--syscall", "lseek", *filters)
            if e["class"] == "syscall" and e["args"][2] == "0x0" and (e["result"] or 0) > 0]


def wait_for(condition, message, timeout=30):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(message)
        time.sleep(0.1)


def dead_or_asleep(seconds):
    """How long the recorder stays away: part of the fault, not a wait for anything."""
    time.sleep(seconds)
