# SPDX-License-Identifier: Apache-2.0
"""Real programs as load, each in the scope, each with one figure of how fast it was: higher is better."""
import contextlib
import pathlib
import re
import socket
import subprocess
import tempfile
import time

from undone import Undone

NGINX = """worker_processes 1; worker_cpu_affinity 01; daemon off; user root; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 512; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000; open_file_cache off;
client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
scgi_temp_path {folder}/s; server {{ listen 127.0.0.1:{port}; root {folder}; location = /status {{ stub_status; }} }} }}
"""
SOURCE = "#include <algorithm>\n#include <iostream>\n#include <map>\n#include <string>\n#include <vector>\n" \
         "int main() { std::map<std::string, int> m; std::cout << m.size() << std::endl; }\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("the server does not answer")


class Workload(Undone):
    """start() prepares; pids() are those to record; run() returns the figure."""
    server = None
    operations = 1  # that run() made
    repeats = False  # run() may be called again

    def __init__(self, scope):
        super().__init__()
        self.scope = scope
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="flightrec-bench-")))

    def pids(self):
        return [int(p) for p in pathlib.Path(self.scope.path, "cgroup.procs").read_text().split()]

    def serve(self, argv, port):
        self.port = port
        self.server = self.scope.start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(self.end)
        wait_for_port(port, self.server)

    def end(self):
        self.server.terminate()
        self.server.wait(10)


class Web(Workload):
    """nginx, one worker, saturated by wrk on the other CPU; requests a second."""
    name = "nginx"
    seconds = 2
    repeats = True
    programs = ("nginx", "wrk")

    def start(self):
        port = free_port()
        (self.folder / "index.html").write_text("x" * 612)
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, port=port))
        self.folder.chmod(0o755)
        self.serve(["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")], port)

    def run(self):
        return self.requests("-c32")

    def requests(self, *options):
        out = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-d{self.seconds}s", *options,
                              f"http://127.0.0.1:{self.port}/"], stdout=subprocess.PIPE, check=True, text=True).stdout
        self.operations = int(re.search(r"(\d+) requests in", out).group(1))
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


class WebPaced(Web):
    """The same at a moderate rate: each of 20 connections waits 10 ms between two requests."""
    name = "nginx at a moderate rate"

    def run(self):
        (self.folder / "paced.lua").write_text("function delay() return 10 end\n")
        return self.requests("-c20", "-s", str(self.folder / "paced.lua"))


class Redis(Workload):
    """redis-server and redis-benchmark GET; requests a second."""
    name = "redis"
    operations = 120000
    repeats = True
    programs = ("redis-server", "redis-benchmark", "taskset")

    def start(self):
        port = free_port()
        self.serve(["taskset", "-c", "0", "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                    "--dir", str(self.folder)], port)

    def run(self):
        out = subprocess.run(["taskset", "-c", "1", "redis-benchmark", "-p", str(self.port), "-t", "get", "-n", str(self.operations),
                              "-c", "32", "--csv"], stdout=subprocess.PIPE, check=True, text=True).stdout
        return float(out.splitlines()[-1].split(",")[1].strip('"'))


class Started(Workload):
    """A command that begins when it is told to, so that recorders can be attached to its pid before."""

    def start(self):
        self.process = self.scope.start(["sh", "-c", 'read x; exec "$@"', "sh", *self.argv()], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder)
        self.stack.callback(self.process.wait)

    def run(self):
        began = time.monotonic()
        self.out, _ = self.process.communicate(b"\n", timeout=120)
        took = time.monotonic() - began
        if self.process.returncode:
            raise RuntimeError(f"{self.name} failed")
        return 1 / took


class Compiler(Started):
    """g++ of a file with the usual headers; runs a second."""
    name = "compiler"
    programs = ("g++-12",)

    def argv(self):
        (self.folder / "a.cpp").write_text(SOURCE)
        return ["sh", "-c", "for i in 1 2; do g++-12 -c a.cpp -o a$i.o; done"]


class Messaging(Started):
    name = "perf bench sched messaging"
    size = ("4", "500")
    programs = ("perf",)

    def argv(self):
        return ["perf", "bench", "sched", "messaging", "-g", self.size[0], "-l", self.size[1]]

    def run(self):
        super().run()
        return 1 / float(re.search(r"Total time:\s+([\d.]+)", self.out.decode()).group(1))

