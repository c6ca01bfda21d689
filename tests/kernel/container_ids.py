#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processes in cgroups named as docker, containerd, CRI-O, podman and kubelet name them are told with their container."""
import hashlib
import os
import unittest

import recording

POD = "8d4c9b1e_2f3a_4b5c_8d7e_0123456789ab"


def identity(word):
    return hashlib.sha256(word.encode()).hexdigest()


# What the runtime calls its cgroup, below the scope of the test; with the runtime and the name the id is made of.
LAYOUTS = {
    "docker, cgroupfs": ("docker/{id}", "docker"),
    "docker, systemd": ("system.slice/docker-{id}.scope", "docker"),
    "containerd, systemd": (f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}.slice/"
                            "cri-containerd-{id}.scope", "containerd"),
    "containerd, cgroupfs": (f"kubepods/besteffort/pod{POD}" "/{id}", "kubernetes"),
    "containerd, mixed": (f"kubepods-burstable-pod{POD}.slice:cri-containerd:" "{id}", "containerd"),
    "CRI-O": (f"kubepods.slice/kubepods-pod{POD}.slice/" "crio-{id}.scope", "crio"),
    "podman": ("machine.slice/libpod-{id}.scope", "podman"),
    "podman, below": ("user.slice/libpod-{id}.scope/container", "podman"),
    "nerdctl": ("system.slice/nerdctl-{id}.scope", "containerd"),
}


class ContainerIds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with recording.Scope() as scope, recording.Recorder(scope) as recorder:
            made = []
            try:
                for what, (layout, _) in LAYOUTS.items():
                    cls.run_in(scope, layout.format(id=identity(what)), what, made)
                cls.run_in(scope, "system.slice/web.service", "no container", made)
                recorder.settle()
                recorder.stop()
            finally:
                for directory in reversed(made):
                    os.rmdir(directory)
            cls.events = recording.replay(recorder.window, "--class", "exec,exit,crash")
            cls.text = recording.replay_text(recorder.window, "--class", "exec")
            cls.report = recording.report(recorder.window)

    @staticmethod
    def run_in(scope, relative, what, made):
        directory = scope.path
        for part in relative.split("/"):
            directory = os.path.join(directory, part)
            if not os.path.isdir(directory):
                os.mkdir(directory)
                made.append(directory)
        # The shell moves itself; what it becomes is in the container from its exec on.
        script = 'echo $$ >"$1/cgroup.procs"; exec "$3" --depth 1 "$2"'
        scope.run(["/bin/sh", "-c", script, "sh", directory, what, recording.workload("segfault")])

    def of(self, cls, what):
        pid = next(e["pid"] for e in self.events if e["class"] == "exec" and e["argv"][1:] == ["--depth", "1", what])
        return [e for e in self.events if e["class"] == cls and e["pid"] == pid][-1]

    def test_each_runtime(self):
        for what, (_, runtime) in LAYOUTS.items():
            for cls in ("exec", "crash", "exit"):
                self.assertEqual(self.of(cls, what).get("container"), {"runtime": runtime, "id": identity(what)}, what)
            line = next(line for line in self.text.splitlines() if f'"--depth", "1", "{what}"]' in line)
            self.assertIn(f"({runtime} {identity(what)[:12]})", line)

    def test_what_is_no_container(self):
        self.assertNotIn("container", self.of("exec", "no container"))


if __name__ == "__main__":
    recording.main()
