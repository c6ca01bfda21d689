# SPDX-License-Identifier: Apache-2.0
"""Global OOM: the dump arrives outside by HTTPS, complete and with the right verdict, and the recorder lives.

Each run boots one guest of 256 MB or 1 GB and lets one kind of hog (by the seed) eat all of its memory. The recorder's
shell is protected, the hog is not. A hog that forks is killed child by child until the dump has arrived. Forty sleeping
bystanders may be killed too: page tables are freed long after their owner's death, and a kernel that finds nobody to
kill meanwhile panics ("System is deadlocked on memory"), with or without a recorder.
"""
import re

from harness.oom import killed_processes

COUNT = 100
SHORT = 0
GUEST_RUN = True

# name: (256 MB, 1 GB) commands. Steps are large enough for an emulated machine to get there in seconds.
HOGS = {
    "one big": "oom_hog --kind anon --step {step} --sleep 20",
    "many small": "oom_hog --kind fork --step 4 --sleep 10",
    "fork and grow": "oom_hog --kind fork --step {step} --sleep 20",
    "tmpfs filler": "oom_hog --kind tmpfs --dir /mnt --step {step} --sleep 10",
    "mlocked": "oom_hog --kind mlock --step {step} --sleep 20",
    "page tables": "oom_hog --kind pagetable --step 2 --sleep 20",
}

GUEST = r"""
echo -1000 >/proc/self/oom_score_adj
mount -t tmpfs -o size=100%% tmpfs /mnt
start_recorder --to "$SINK_TLS" --ca-file $SINK_CA --label hog=test --tail 500ms
grep -E 'VmLck|VmRSS|VmHWM|Threads' /proc/$recorder/status >/var/out/before
cut -d' ' -f10,12 /proc/$recorder/stat >/var/out/faults_before
for i in $(seq 40); do (echo 0 >/proc/self/oom_score_adj; exec sleep 1000) & done
(echo 1000 >/proc/self/oom_score_adj; exec %(hog)s) >/var/out/hog 2>&1 &
hog=$!
%(extra)s
wait_for 150 dumps_arrived 1 || echo "no dump arrived" >/var/out/lost
kill -KILL $hog 2>/dev/null
cut -d' ' -f10,12 /proc/$recorder/stat >/var/out/faults_after
rm -f /mnt/*
kill -0 $recorder || fail "the recorder is gone"
wait_for 20 sh -c 'flightrec status --json >/var/out/status 2>/dev/null' || fail "no status"
stop_recorder
[ ! -e /var/out/lost ] || fail "no dump arrived: $(tail -n 5 /var/out/record.log)"
"""

# Files are not freed by a kill. With them alone the kernel ends as "System is deadlocked on memory": there must be a
# process whose death frees something.
AFTER_FILLER = """
sleep 2
(echo 1000 >/proc/self/oom_score_adj; exec oom_hog --kind anon --step 4 --sleep 50) &
"""


def run(fault):
    names = list(HOGS)
    hog = names[fault.seed % len(names)]
    memory = (256, 1024)[fault.seed // len(names) % 2]
    step = 8 if memory == 256 else 32
    command = HOGS[hog].format(step=step)
    extra = ""
    if hog == "tmpfs filler":
        command += f" --limit {40 if memory == 256 else memory * 7 // 10}"
        extra = AFTER_FILLER
    result = fault.guest(GUEST % {"hog": command, "extra": extra}, memory=memory, timeout=300)
    # The guest's ring of kernel lines may have lost the first ones, and its console may have garbled one: each is a
    # witness of its own.
    told = killed_processes(result.dmesg) + killed_processes(result.serial)
    kills = list({kill.pid: kill for kill in reversed(told)}.values())
    fault.expect(kills, "the kernel killed nobody")
    fault.expect(not [k for k in kills if k.comm.startswith(("flightrec", "fr-"))], f"the recorder was killed: {kills}")
    dumps = result.dumps()
    ids = [re.sub(r".*-([0-9a-f]{32}-\d+)\.flight", r"\1", path.name) for path in dumps]
    fault.expect(len(set(ids)) == len(ids), f"one incident came twice: {ids}")
    dump = dumps[0]
    result.flightrec("verify", dump)
    events = result.events(dump, "--class", "oom_kill")
    fault.expect(events, "no oom_kill event in the dump")
    first = next((k for k in kills if k.pid == events[0]["victim_pid"]), None)
    fault.expect(first, f"the kernel did not kill {events[0]['victim_pid']}: {kills}")
    report = result.flightrec("report", dump)
    fault.expect(str(first.pid) in report and first.comm in report, f"the report does not name {first}:\n{report}")
    before, after = (list(map(int, result.out(name).split())) for name in ("faults_before", "faults_after"))
    made = int(re.search(r"dump of .* made in (\d+) ms", result.out("record.log")).group(1))
    fault.figure("minor faults", after[0] - before[0])
    fault.figure("major faults", after[1] - before[1])
    fault.figure("dump ms", made)
    fault.figure("kills", len(kills))
    locked = re.search(r"VmLck:\s+(\d+)", result.out("before"))
    fault.figure("locked MiB", int(locked.group(1)) // 1024)
    fault.note(f"{hog}, {memory} MiB: {len(kills)} kills, {len(dumps)} dumps, first made in {made} ms, "
               f"faults {after[0] - before[0]} minor {after[1] - before[1]} major")
