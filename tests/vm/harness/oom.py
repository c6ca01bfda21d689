# SPDX-License-Identifier: Apache-2.0
"""The kernel's own report of an OOM kill, and what of it a recording must repeat."""

import re
from dataclasses import dataclass


@dataclass
class Killed:
    """The kernel's line "Killed process PID (COMM) total-vm:…kB, anon-rss:…kB, …"; sizes in bytes."""

    pid: int
    comm: str
    total_vm: int
    anon: int
    file: int
    shmem: int
    uid: int
    page_tables: int
    oom_score_adj: int
    invoker: str  # comm of "COMM invoked oom-killer", empty when that line is not there
    invoker_pid: int | None
    memcg: bool


def killed_processes(dmesg: str) -> list[Killed]:
    kills = []
    invoker, invoker_pid = "", None
    for line in dmesg.splitlines():
        found = re.search(r"\] (.{1,15}) invoked oom-killer:", line)
        if found:
            invoker, invoker_pid = found.group(1), None
        found = re.search(r"CPU: \d+ PID: (\d+) Comm: ", line)
        if found and invoker and invoker_pid is None:
            invoker_pid = int(found.group(1))
        found = re.search(
            r"Killed process (\d+) \((.*)\) total-vm:(\d+)kB, anon-rss:(\d+)kB, file-rss:(\d+)kB, shmem-rss:(\d+)kB, "
            r"UID:(\d+) pgtables:(\d+)kB oom_score_adj:(-?\d+)", line)
        if found:
            pid, comm, *numbers = found.groups()
            vm, anon, file, shmem, uid, tables, adj = map(int, numbers)
            kills.append(Killed(int(pid), comm, vm * 1024, anon * 1024, file * 1024, shmem * 1024, uid, tables * 1024,
                                adj, invoker, invoker_pid, "Memory cgroup out of memory" in line))
    return kills


def check_report(run, text, kill):
    """The report's text names the victim and the kernel's figures."""
    run.expect(str(kill.pid) in text, f"the report does not name the victim's pid {kill.pid}:\n{text}")
    run.expect(kill.comm in text, f"the report does not name the victim {kill.comm}:\n{text}")
    run.expect(kill.invoker in text, f"the report does not name the invoker {kill.invoker}:\n{text}")


# Linux 6.1 mm/memory.c, SPLIT_RSS_COUNTING (until 6.2): every thread counts the pages it faults in by itself and adds
# them to its process's counts after TASK_RSS_EVENTS_THRESH (64) page faults, or when it ends. A fault adds one
# anonymous page, and up to 16 of a file (fault_around_bytes, 64 KiB).
CACHED_FAULTS = 66
CACHED_PAGES = {"victim_anon": CACHED_FAULTS, "victim_file": 16 * CACHED_FAULTS, "victim_shmem": 16 * CACHED_FAULTS}


def check_event(run, event, kill, cached_threads=0):
    """The recorded event equals the kernel's line, field by field.

    `cached_threads`: so many threads of the victim may have ended, on other processors, between the event and the
    line, for which the kernel reads the counters anew: pages they had counted by themselves are in the line only.
    """
    wanted = {"victim_pid": kill.pid, "victim_comm": kill.comm, "victim_anon": kill.anon, "victim_file": kill.file,
              "victim_shmem": kill.shmem, "victim_total_vm": kill.total_vm, "victim_page_tables": kill.page_tables,
              "victim_uid": kill.uid, "victim_oom_score_adj": kill.oom_score_adj}
    if kill.invoker_pid:
        wanted["pid"] = kill.invoker_pid
    for name, value in wanted.items():
        run.expect(name in event, f"the event has no {name}: {event}")
        apart = CACHED_PAGES.get(name, 0) * cached_threads * 4096
        same = abs(event[name] - value) <= apart if apart else event[name] == value
        run.expect(same, f"{name} is {event[name]}, the kernel says {value}")
