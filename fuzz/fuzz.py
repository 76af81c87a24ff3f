#!/usr/bin/env python3
"""Runs a fuzz program, for ./test and for fuzz/run.sh.

    fuzz/run.sh TARGET SECONDS [--build FOLDER]

goes on from the inputs of the last time, which are kept outside the tree, and writes
how many were tried into fuzz/LEDGER.md. An input that fails is made small and put into
fuzz/found/TARGET/, from where ./test tries it again for ever.
"""

import argparse
import datetime
import fcntl
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

FUZZ = pathlib.Path(__file__).resolve().parent
ROOT = FUZZ.parent
LEDGER = FUZZ / "LEDGER.md"
PRESET = "asan"  # the build whose programs these are
FOUND = FUZZ / "found"  # inputs of which one failed once: tried in each run
KEPT = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"),
                    "tensorlogic", "fuzz")
# Of one input, with the sanitizers: the programs themselves promise less
# (fuzz/promises.h), which only an input that never ends escapes.
LIMITS = ("-timeout=100", "-max_len=16384", "-rss_limit_mb=2048",
          # By the clock: promises.h measures the time that the processor gave.
          "-report_slow_units=1000")
ROW = re.compile(r"^\| (\w+) \| ([\d,]+) \| ([\d.]+) \| (\d+) \| (\S+) \|$", re.M)
RULE = "|---|---|---|---|---|\n"


def targets():
    return sorted(path.stem for path in FUZZ.glob("*.cc")
                  if "LLVMFuzzerTestOneInput" in path.read_text())


def start(folder, name, scratch, seconds, *options, corpus=None):
    """Starts a fuzz program on its seeds, the inputs found before and a corpus."""
    seeds = scratch / "seeds"
    subprocess.run([sys.executable, "-B", FUZZ / "corpus.py", seeds], check=True)
    inputs = [corpus] if corpus else []
    inputs += [path for path in (seeds / name, FOUND / name) if path.exists()]
    return subprocess.Popen(
        # Entropic scheduling takes half of the time where an input covers much.
        [folder / f"tl_fuzz_{name}", *LIMITS, *options, "-print_funcs=0", "-entropic=0",
         f"-max_total_time={seconds}", f"-dict={seeds / name}.dict",
         f"-artifact_prefix={scratch}/failed-", *inputs],
        env={**os.environ, "TMPDIR": str(scratch)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def small(folder, name, path):
    """The bytes of a failing input, made as small as a minute allows."""
    made = path.with_suffix(".small")
    subprocess.run([folder / f"tl_fuzz_{name}", "-minimize_crash=1", *LIMITS,
                    "-max_total_time=60", f"-exact_artifact_path={made}", path],
                   capture_output=True)
    return (made if made.exists() else path).read_bytes()


def ledger():
    """{target: [executions, hours, found, last run]}"""
    return {name: [int(count.replace(",", "")), float(hours), int(found), day]
            for name, count, hours, found, day in ROW.findall(LEDGER.read_text())}


def enter(name, executions, seconds, found):
    """Adds a run to the target's row of the ledger."""
    with LEDGER.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another target may end now
        rows = ledger()
        row = rows.setdefault(name, [0, 0, 0, ""])
        row[:] = [row[0] + executions, row[1] + seconds / 3600, row[2] + found,
                  datetime.date.today()]
        text = file.read()
        table = "".join(f"| {target} | {count:,} | {hours:.2f} | {faults} | {day} |\n"
                        for target, (count, hours, faults, day) in sorted(rows.items()))
        file.seek(0)
        file.write(text[:text.index(RULE) + len(RULE)] + table)
        file.truncate()


def keep_failures(folder, name, scratch):
    """Puts inputs that failed among those that are tried for ever; returns how many."""
    failures = list(scratch.glob("failed-*"))
    for path in failures:
        content = small(folder, name, path)
        kept = FOUND / name / hashlib.sha256(content).hexdigest()[:12]
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(content)
        print(f"FAILED on {kept.relative_to(ROOT)}")
    return len(failures)


def build():
    for command in (["cmake", "--preset", PRESET],
                    ["cmake", "--build", "--preset", PRESET, "--target", "tl_fuzz"]):
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return ROOT / f"build-{PRESET}"


def main():
    parser = argparse.ArgumentParser(prog="fuzz/run.sh")
    parser.add_argument("target", choices=targets())
    parser.add_argument("seconds", type=int)
    parser.add_argument("--build", type=pathlib.Path, metavar="FOLDER",
                        help="where the fuzz programs are built already")
    options = parser.parse_args()
    folder = options.build or build()
    corpus = KEPT / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    # In memory, since the programs write a file for each input.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        scratch = pathlib.Path(scratch)
        running = start(folder, options.target, scratch, options.seconds,
                        "-print_final_stats=1", corpus=corpus)
        executions = 0
        for line in running.stdout:
            sys.stdout.write(line)
            if tried := re.match(r"(?:#|stat::number_of_executed_units:\s*)(\d+)", line):
                executions = int(tried[1])
        status = running.wait()
        found = keep_failures(folder, options.target, scratch)
    enter(options.target, executions, time.monotonic() - began, found)
    # The documents say how many they are.
    subprocess.run([ROOT / "tools" / "reliability_report"], check=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
