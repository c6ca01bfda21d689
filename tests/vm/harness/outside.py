# SPDX-License-Identifier: Apache-2.0
"""The world outside the guest: a real nginx on loopback that takes files by HTTP PUT, plain and with TLS."""

import os
import socket
import subprocess
import time
from pathlib import Path

from .case import HarnessError
from .image import find_tool

CONFIGURATION = """\
daemon off;
worker_processes 1;
{user}
pid {dir}/nginx.pid;
error_log {dir}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log {dir}/access.log;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{https} ssl;
        ssl_certificate {dir}/server.pem;
        ssl_certificate_key {dir}/server.key;
        root {dir}/www;
        location /in/ {{
            if (-f {dir}/refuse) {{ return 500; }}
            dav_methods PUT DELETE;
            create_full_put_path on;
            autoindex on;
            dav_access user:rw group:r all:r;
        }}
        location /refuse/ {{ return 500; }}
    }}
}}
"""

# Where the guest sees it.
GUEST_ADDRESS = "10.0.2.100"
GUEST_HTTP = 8080
GUEST_HTTPS = 8443


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Outside:
    """Starts nginx in a folder of its own; `inbox` is what was PUT below /in/."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.inbox = folder / "www" / "in"
        self.http = free_port()
        self.https = free_port()
        self.process: subprocess.Popen | None = None

    def _certificate(self) -> None:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "3650", "-subj", "/CN=flightrec test", "-addext",
                        f"subjectAltName=IP:{GUEST_ADDRESS},IP:127.0.0.1,DNS:localhost",
                        "-keyout", str(self.folder / "server.key"), "-out", str(self.certificate)],
                       check=True, capture_output=True)

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    def start(self) -> None:
        self.inbox.mkdir(parents=True)
        self._certificate()
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(
            dir=self.folder, http=self.http, https=self.https,
            user="user root;" if os.geteuid() == 0 else ""))
        self.process = subprocess.Popen([find_tool("nginx"), "-p", str(self.folder), "-c", str(configuration),
                                         "-e", str(self.folder / "error.log")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.http), 0.2).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise HarnessError(f"nginx did not start; see {self.folder}/error.log")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def netdev(self) -> str:
        """QEMU's user network: nothing of this machine can be reached but the two forwards to nginx."""
        relay = find_tool("busybox")
        return (f"user,id=net0,restrict=on"
                f",guestfwd=tcp:{GUEST_ADDRESS}:{GUEST_HTTP}-cmd:{relay} nc 127.0.0.1 {self.http}"
                f",guestfwd=tcp:{GUEST_ADDRESS}:{GUEST_HTTPS}-cmd:{relay} nc 127.0.0.1 {self.https}")
