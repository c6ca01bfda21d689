#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fuzzes the named targets (or all) one after the other with libFuzzer, or AFL++, under ASan and UBSan, and prints a table.

Each gets SECONDS of processor time, not of the clock: a fuzzer that has to wait for others is not cut short. It starts
from tests/fuzz/corpus/TARGET and what earlier runs found (WORK/corpus, kept). An input that crashes, hangs or takes too
much memory is kept in WORK/findings if it does so again when it is run alone. Exit code 0: no finding; 1: findings;
2: it could not be run.
--minimise adds what earlier runs found to tests/fuzz/corpus, if it is small and reaches code that nothing there does.
"""
import argparse
import contextlib
import fcntl
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
TARGETS = {"reader": 131072, "block": 16384, "spool": 4096, "control": 2048}  # and the longest input in bytes
HANG_SECONDS = 10  # of processor time, for one input: of sanitized code, so some hundred times what is allowed to a reader
MEMORY_MIB = 2048
ENOUGH = 3  # findings of one target to look at again
KEPT_INPUT = 16384  # bytes: the largest input that --minimise adds
ENVIRONMENT = {"UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
               "ASAN_OPTIONS": "abort_on_error=1:symbolize=0:detect_leaks=0:allocator_may_return_null=0"}


def stats():
    """(pid, the fields of /proc/PID/stat behind the name) of every process that still is there."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                yield int(name), pathlib.Path("/proc", name, "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                pass


def processor_seconds(session):
    """Of all processes of a session, with the children they have waited for."""
    ticks = sum(sum(map(int, fields[11:15])) for _, fields in stats() if int(fields[3]) == session)
    return ticks / os.sysconf("SC_CLK_TCK")


def members(session):
    return [pid for pid, fields in stats() if int(fields[3]) == session]


def stand_back(pid):
    """Gives the fuzzer's session our own nice value: with autogroup on (sched(7)) that of a process counts within its
    session only, and a new one competes with all others at 0."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc", str(pid), "autogroup").write_text(str(os.nice(0)))


class Target:
    """One target with one engine: where its program, its corpus and its findings are."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.engine = "AFL++" if options.afl else "libFuzzer"
        folder = options.build / "tests" / "fuzz"
        self.program = folder / f"{'afl' if options.afl else 'fuzz'}_{name}"
        self.alone = folder / f"fuzz_{name}"
        self.work = options.work / name
        self.corpus, self.findings = self.work / "corpus", self.work / "findings"
        self.artifacts = self.work / f"artifacts-{self.engine}"
        self.log = self.work / f"{self.engine}.log"
        self.seconds = 0.0
        self.executions = self.coverage_before = self.coverage = self.new_inputs = 0
        self.found = []
        for path in (self.corpus, self.findings, self.artifacts):
            path.mkdir(parents=True, exist_ok=True)

    def build(self):
        names = {self.program.name, self.alone.name}
        done = subprocess.run(["cmake", "--build", self.options.build, "-j", str(self.options.jobs), "--target", *names],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"fuzz: cannot build {names}:\n{done.stdout[-3000:]}")

    def run(self):
        left = self.options.seconds
        self.coverage_before = self.reached()
        before = self.inputs()
        while left > 0:
            spent = self.once(left)
            self.seconds += spent
            left -= max(spent, 1)
            self.collect()
            if self.found:
                break
        self.new_inputs = len(self.inputs() - before)
        self.coverage = self.reached()

    def inputs(self):
        return {path.name for path in self.corpus.iterdir()}

    def once(self, seconds):
        """Until that much processor time is spent, or it ended by itself; returns the time spent."""
        with open(self.log, "w") as log:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.work,
                                       env={**os.environ, **self.environment()}, start_new_session=True)
            stand_back(process.pid)
        spent, stop = 0.0, None
        while process.poll() is None:
            self.write_pids(members(process.pid))
            spent = max(spent, processor_seconds(process.pid))
            if spent >= seconds and stop is None:
                process.send_signal(signal.SIGINT)
                stop = spent
            if stop is not None and spent > stop + 30:
                process.kill()
            time.sleep(0.5)
        for pid in members(process.pid):
            os.kill(pid, signal.SIGKILL)
        self.write_pids([])
        self.count()
        return spent

    def write_pids(self, pids):
        """What runs now, among what another run of this script has put there."""
        if not self.options.pid_file:
            return
        with open(self.options.pid_file, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            others = [p for p in file.read().split()
                      if p not in self.options.mine and pathlib.Path(f"/proc/{p}").exists()]
            self.options.mine = set(map(str, pids))
            file.truncate(0)
            file.write("".join(f"{p}\n" for p in [*others, *map(str, pids)]))

    def alone_with(self, *arguments, **settings):
        """Runs the libFuzzer program; its status and what it said last."""
        with open(self.work / f"alone-{self.engine}.log", "w+", errors="replace") as log:
            process = subprocess.Popen([self.alone, *arguments], env={**os.environ, **ENVIRONMENT}, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True, **settings)
            while process.poll() is None:
                self.write_pids(members(process.pid))
                time.sleep(0.2)
            self.write_pids([])
            log.seek(0)
            return process.returncode, log.read()

    def environment(self):
        if not self.options.afl:
            return ENVIRONMENT
        return {**ENVIRONMENT, "AFL_NO_UI": "1", "AFL_SKIP_CPUFREQ": "1", "AFL_NO_AFFINITY": "1", "AFL_AUTORESUME": "1",
                "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_FORKSRV_INIT_TMOUT": "600000", "AFL_HANG_TMOUT": "10000",
                "AFL_IGNORE_PROBLEMS": "1", "AFL_CMPLOG_ONLY_NEW": "1"}

    def command(self):
        longest = TARGETS[self.name]
        if not self.options.afl:
            # The clock's limit is no finding by itself, as a fuzzer may be stopped or wait long: collect() looks again.
            return [self.program, f"-artifact_prefix={self.artifacts}/", f"-rss_limit_mb={MEMORY_MIB}", "-timeout=30",
                    f"-max_len={longest}", "-print_final_stats=1", "-report_slow_units=60", "-use_value_profile=1",
                    self.corpus, CORPUS / self.name]
        seeds = self.work / "afl-seeds"
        shutil.rmtree(seeds, ignore_errors=True)
        seeds.mkdir()
        for folder in (CORPUS / self.name, self.corpus):
            for path in folder.iterdir():
                if path.stat().st_size <= longest:
                    shutil.copy(path, seeds / path.name)
        shutil.rmtree(self.work / "afl", ignore_errors=True)
        return ["afl-fuzz", "-i", seeds, "-o", self.work / "afl", "-m", "none", "-t", "5000+", "-G", str(longest), "--",
                self.program]

    def count(self):
        text = self.log.read_text(errors="replace")
        if not self.options.afl:
            steps = re.findall(r"^#(\d+)\s", text, re.M) + re.findall(r"number_of_executed_units: (\d+)", text)
            self.executions += int(steps[-1]) if steps else 0
            return
        stats = self.work / "afl" / "default" / "fuzzer_stats"
        if not stats.exists():
            sys.exit(f"fuzz: afl-fuzz did not start: {text[-2000:]}")
        self.executions += int(re.search(r"execs_done\s*:\s*(\d+)", stats.read_text()).group(1))
        # What AFL++ keeps goes into the common corpus if it reaches code that the rest does not.
        self.alone_with("-merge=1", self.corpus, self.work / "afl" / "default" / "queue")

    def collect(self):
        places = [self.artifacts]
        if self.options.afl:
            places = [self.work / "afl" / "default" / name for name in ("crashes", "hangs")]
        for place in places:
            for path in sorted(place.iterdir()) if place.is_dir() else []:
                if path.name.startswith(("README", "slow-unit")) or len(self.found) >= ENOUGH:
                    continue
                if self.fails_alone(path):
                    self.found.append(shutil.copy(path, self.findings / path.name.replace(",", "_").replace(":", "")))
                if not self.options.afl:
                    path.unlink()

    def fails_alone(self, path):
        limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (HANG_SECONDS, HANG_SECONDS + 1))
        return self.alone_with(f"-rss_limit_mb={MEMORY_MIB}", path, preexec_fn=limit)[0] != 0

    def reached(self):
        """Edges of the program that the corpus reaches."""
        found = re.findall(r" cov: (\d+)", self.alone_with("-runs=0", self.corpus, CORPUS / self.name)[1])
        return int(found[-1]) if found else 0

    def minimise(self):
        """Adds to the tree what reaches new code; returns how many inputs."""
        small = self.work / "small"
        shutil.rmtree(small, ignore_errors=True)
        small.mkdir()
        for path in sorted(self.corpus.iterdir()):
            with contextlib.suppress(FileNotFoundError):  # a fuzzer may be replacing it by a shorter one
                if path.stat().st_size <= KEPT_INPUT:
                    shutil.copy(path, small / path.name)
        before = len(list((CORPUS / self.name).iterdir()))
        status, said = self.alone_with("-set_cover_merge=1", CORPUS / self.name, small)
        if status != 0:
            sys.exit(f"fuzz: cannot minimise {self.name}:\n{said[-2000:]}")
        shutil.rmtree(small)
        return len(list((CORPUS / self.name).iterdir())) - before


def parse():
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="of processor time for each target (default 60)")
    parser.add_argument("--afl", action="store_true", help="with AFL++ in place of libFuzzer")
    parser.add_argument("--minimise", action="store_true", help="only add what was found to tests/fuzz/corpus")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "fuzz", help="build folder (default build/fuzz)")
    parser.add_argument("--no-build", action="store_true", help="take the programs that are there")
    parser.add_argument("--work", type=pathlib.Path, help="corpora and findings (default BUILD/work)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of the build")
    parser.add_argument("--pid-file", type=pathlib.Path, help="keep the running fuzzers' process ids in it, one a line")
    options = parser.parse_args()
    options.work = (options.work or options.build / "work").resolve()
    options.mine = set()
    for name in options.target:
        if name not in TARGETS:
            parser.error(f"no target '{name}'; there are {', '.join(TARGETS)}")
    if options.afl and shutil.which("afl-fuzz") is None:
        parser.error("no afl-fuzz in the path: apt-get install afl++")
    return options


def configure(options):
    if (options.build / "build.ninja").exists():
        return
    done = subprocess.run(["cmake", "--preset", "fuzz", "-B", options.build], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"fuzz: cannot configure {options.build}:\n{done.stdout[-3000:]}")


def main():
    options = parse()
    targets = [Target(name, options) for name in options.target or TARGETS]
    if not options.no_build:
        configure(options)
        for target in targets:
            target.build()
    if options.minimise:
        for target in targets:
            print(f"{target.name}: {target.minimise()} inputs added")
        return 0
    for target in targets:
        target.run()
    print(f"{'target':10} {'engine':10} {'processor':>10} {'executions':>13} {'edges':>7} {'new':>6} {'inputs':>7} {'findings':>9}")
    for t in targets:
        print(f"{t.name:10} {t.engine:10} {t.seconds:8.0f} s {t.executions:13,} {t.coverage:7} {t.coverage - t.coverage_before:6} "
              f"{t.new_inputs:7} {len(t.found):9}")
    for target in targets:
        for path in target.found:
            print(f"finding: {path}   again: {target.alone} {path}")
    return 1 if any(target.found for target in targets) else 0


if __name__ == "__main__":
    sys.exit(main())
