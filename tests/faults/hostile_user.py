# SPDX-License-Identifier: Apache-2.0
"""A hostile local user gets nothing: not the socket, not the window, no dump; links and path parts lead nowhere.

As `nobody`: the control socket, the window, the spool and the dump directory must refuse. A dump directory that others
may write to, or that is a link, is refused at start. A link under the name of a dump is replaced and not followed, and a
label with ../ stays one part of the path at the receiver.
"""
import os
import socket
import subprocess
import sys

import recording
from support import Nginx, wait_for

COUNT = 3
SHORT = 1
NOBODY = 65534

TRY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
done = []
for path in sys.argv[2:]:
    for name, how in (("read", os.O_RDONLY), ("write", os.O_WRONLY)):
        try:
            os.close(os.open(path, how)); done.append(f"{name} {path}")
        except OSError:
            pass
    try:
        os.listdir(path); done.append(f"list {path}")
    except OSError:
        pass
try:
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'{"v":1,"cmd":"dump"}\\n')
    answer = s.recv(4096)
    if b'"ok":true' in answer: done.append(f"control {answer}")
except OSError:
    pass
print("\\n".join(done))
"""


def refused(fault, recorder_argv, option, value, why):
    argv = list(map(str, recorder_argv))
    argv[argv.index(option) + 1] = str(value)
    for other in ("--window", "--spool", "--control"):
        if other != option:
            argv[argv.index(other) + 1] += ".second"
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    fault.expect(done.returncode in (2, 4, 7) and len(done.stderr.splitlines()) == 1, f"{why}: {done.returncode} {done.stderr}")


def run(fault):
    with Nginx(fault.folder / "nginx") as receiver, recording.Scope() as scope:
        evil = "../../../" + "x" * fault.random.randrange(1, 40) + "/..%2f\n"
        target = f"https://127.0.0.1:{receiver.world.https}/in/{{label.place}}/{{host}}/{{name}}"
        options = ["--ca-file", receiver.certificate, "--label", f"place={evil.strip()}", "--debounce", "0s", "--to", target]
        os.chmod(fault.folder, 0o711)
        with recording.Recorder(scope, *options) as recorder:
            os.chmod(recorder.folder, 0o711)
            dump = recorder.dump()
            for path in (recorder.window, dump, recorder.dumps, recorder.spool, recorder.control):
                fault.expect(path.stat().st_mode & 0o077 == 0, f"{path} has mode {path.stat().st_mode:o}")
            done = subprocess.run([sys.executable, "-c", TRY, recorder.control, recorder.window, dump, recorder.dumps,
                                   recorder.spool], capture_output=True, text=True, timeout=30, check=True)
            fault.expect(done.stdout.strip() == "", f"nobody could: {done.stdout}")
            # At the receiver: below /in/, and nowhere else.
            arrived = receiver.wait_for(1)
            fault.expect(arrived[0].resolve().is_relative_to(receiver.world.inbox), f"it went to {arrived[0]}")
            # A socket that somebody else may reach is told who asks.
            os.chmod(recorder.control, 0o666)
            os.chmod(recorder.control.parent, 0o711)
            done = subprocess.run([sys.executable, "-c", TRY, recorder.control], capture_output=True, text=True,
                                  timeout=30, check=True)
            fault.expect(done.stdout.strip() == "", f"nobody was served: {done.stdout}")
            wait_for(lambda: "user 65534" in recorder.stderr(), f"the refusal is not logged: {recorder.stderr()}")
            # Links under the names that the next dump will use.
            victim = fault.folder / "victim"
            victim.write_text("precious")
            for number in range(2, 6):
                for suffix in ("", ".part"):
                    (recorder.dumps / (dump.name.replace("-1.flight", f"-{number}.flight") + suffix)).symlink_to(victim)
            done = recording.flightrec("dump", "--control", recorder.control)
            fault.expect(done.returncode == 0, done.stderr)
            wait_for(lambda: [p for p in recorder.dumps.glob("*-2.flight") if not p.is_symlink()], "no second dump")
            fault.expect(victim.read_text() == "precious", "a link was followed")
            # Folders that others can change.
            loose, link = recorder.folder / "loose", recorder.folder / "link"
            loose.mkdir()
            os.chmod(loose, 0o777)
            link.symlink_to(recorder.dumps)
            for option in ("--to", "--spool"):
                refused(fault, recorder.argv(), option, loose, f"{option} may be written by others")
                refused(fault, recorder.argv(), option, link, f"{option} is a link")
            recorder.stop()
