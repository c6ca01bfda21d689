# SPDX-License-Identifier: Apache-2.0
"""A crash loop, up to 50 a second: dumps are limited and grouped, and every crash is counted.
"""
import subprocess

import recording

COUNT = 3
SHORT = 0


def run(fault):
    crashes = fault.random.randrange(200, 500)
    with recording.Scope() as scope, recording.Recorder(scope, "--debounce", "3s", "--dumps-per-hour-same", "3") as recorder:
        done = scope.run([recording.workload("crash_loop"), "--count", str(crashes), "--sleep", "18"])
        fault.expect(done.returncode == 0, done.stderr)
        recorder.settle(1.5)
        counts = recorder.status()["incidents"]
        last = recorder.dump("--reason", "count them")
        recorder.stop()
        dumps = recorder.files()
        recording.verify(recorder.window)
        for dump in dumps:
            recording.verify(dump)
        crashed = len(recording.replay(last, "--class", "crash")) or len(
            [e for e in recording.replay(last, "--class", "exit") if e["signal"]])
        report = recording.report(last)
    fault.expect(counts["triggers"] == crashes, f"{crashes} crashes, {counts}")
    fault.expect(counts["incidents"] + counts["folded"] + counts["suppressed"] == counts["triggers"], f"{counts}")
    fault.expect(len(dumps) <= 4, f"{len(dumps)} dumps for {crashes} crashes of one kind")
    fault.expect(crashed == crashes, f"{crashed} of {crashes} crashes are in the window")
    fault.expect("crash_loop" in report, "the report does not name the program")
    fault.figure("crashes", crashes)
    fault.figure("dumps", len(dumps))
