# SPDX-License-Identifier: Apache-2.0
"""Files leave the guest by HTTP PUT, plain and TLS, one after another and at once; nothing else is reachable."""

import hashlib

RECORDER = False
TIMEOUT = 120
EXTRA = ["/usr/bin/curl"]
GUEST = r"""
set -e
dd if=/dev/urandom of=/tmp/big bs=1M count=4 2>/dev/null
sha256sum /tmp/big | cut -d' ' -f1 >/var/out/sha256
curl -sS --fail -T /tmp/big "${SINK}big"
for i in $(seq 15); do echo "file $i" | curl -sS --fail -T - "${SINK}many/$i"; done
for i in $(seq 4); do curl -sS --fail -T /tmp/big "${SINK}parallel/$i" & done
wait
curl -sS --fail --cacert $SINK_CA -T /tmp/big "${SINK_TLS}secure"
# Everything but that address is closed.
curl -sS --max-time 2 http://10.0.2.2:22/ && fail "the host is reachable" || true
curl -sS --max-time 2 http://1.1.1.1/ && fail "the internet is reachable" || true
"""


def check(run):
    digest = run.out("sha256").strip()
    for name in ["big", "secure", *(f"parallel/{i}" for i in range(1, 5))]:
        path = run.inbox / name
        run.expect(path.exists(), f"{name} did not arrive")
        run.expect(hashlib.sha256(path.read_bytes()).hexdigest() == digest, f"{name} arrived damaged")
    for i in range(1, 16):
        run.expect((run.inbox / "many" / str(i)).read_text() == f"file {i}\n", f"file {i} is wrong")
