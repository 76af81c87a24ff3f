#!/usr/bin/env python3
"""Long runs: generating text, lines at the prompt, and loading, saving and letting go of
models leave memory flat; programs give the same bytes each time, with any number of
threads, and two at once do not disturb each other. `--minutes M` says how long memory is
watched; a third of a minute is enough to see a leak of a few bytes a round, and 20 are
the proof."""

import argparse
import collections
import concurrent.futures
import hashlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

import report
import terminal
import tl_command

ROOT = tl_command.ROOT
PROGRAMS = ROOT / "tests" / "long_run"
VERSES = ROOT / "models" / "verses"
SHARED = ROOT.parent / "shared" / "models"
MINUTES = 1 / 3
WATCHED = ["decode", "load", "prompt"]

# Before this share of the time is over, caches and the allocator's pools fill.
WARM_UP = 0.4
# The medians of what is measured in windows of this share are compared.
WINDOW = 0.15
GROWTH = 0.02
SAMPLES = 400  # of a run
HISTORY = 2000  # lines that the prompt remembers
RUNS = 100
THREADS = [1, 2, 8]


def resident(pid):
    """Bytes, counted by walking the pages: those in status lag behind."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) << 10 for line in lines
                    if line.startswith("Rss:"))


def held(pid):
    """What else a process could lose hold of: open files, mappings and threads."""
    with open(f"/proc/{pid}/maps") as maps:
        mappings = sum(1 for _ in maps)
    return {"open files": len(os.listdir(f"/proc/{pid}/fd")), "mappings": mappings,
            "threads": len(os.listdir(f"/proc/{pid}/task"))}


class Lockstep:
    """A program that answers each line of its input with a line; between two rounds
    nothing moves."""

    def __init__(self, *arguments):
        self.errors = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(
            [tl_command.TL, *map(str, arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.pid = self.child.pid

    def round(self):
        print(file=self.child.stdin, flush=True)
        answer = self.child.stdout.readline()
        if answer != "true\n":
            self.errors.seek(0)
            raise AssertionError(f"it answered {answer!r}: {self.errors.read()}")

    def close(self):
        self.errors.close()
        self.child.stdin.close()
        self.child.stdout.close()
        return self.child.wait()


class Prompt:
    """The prompt at a terminal, in a session whose history is full; a round is all
    lines of repl.txt."""

    def __init__(self, folder):
        history = folder / "tensorlogic" / "history"
        history.parent.mkdir()
        history.write_text("_HiStOrY_V2_\n"
                           + "".join(f"{n}\n" for n in range(HISTORY)))
        self.screen = terminal.Terminal("repl", env={"XDG_STATE_HOME": str(folder)})
        self.pid = self.screen.pid
        self.lines = (PROGRAMS / "repl.txt").read_text().splitlines()
        self.screen.wait_for("> ")

    def round(self):
        for line in self.lines:
            self.screen.type(line + "\r")
            self.screen.wait_for("\r\n... " if line.rstrip().endswith("(1 +") else "\r\n> ")
        self.screen.forget()

    def close(self):
        self.screen.type("\x04")
        return self.screen.close()


class Watch:
    """Goes round after round, and samples what the process holds in between."""

    def __init__(self, work, seconds):
        self.rounds = 0
        self.samples = []  # (share of the time, bytes)
        self.held = []
        began = time.monotonic()
        while (passed := (time.monotonic() - began) / seconds) < 1:
            work.round()
            self.rounds += 1
            if passed * SAMPLES >= len(self.samples):
                self.samples.append((passed, resident(work.pid)))
                self.held.append((passed, held(work.pid)))
        self.status = work.close()

    def median(self, begin, end):
        return statistics.median(
            value for at, value in self.samples if begin <= at < end)

    @property
    def first(self):
        return self.median(WARM_UP, WARM_UP + WINDOW)

    @property
    def last(self):
        return self.median(1 - WINDOW, 1)

    @property
    def peak(self):
        return max(value for _, value in self.samples)

    @property
    def growth(self):
        return self.last / self.first - 1

    def most_held(self, begin, end):
        among = [what for at, what in self.held if begin <= at < end]
        return {key: max(what[key] for what in among) for key in among[0]}

    def __str__(self):
        return (f"{self.rounds} rounds, {self.first / 1e6:.2f} MB after the warm-up, "
                f"{self.last / 1e6:.2f} MB at the end ({100 * self.growth:+.2f} %), "
                f"peak {self.peak / 1e6:.2f} MB")


def loaded_models():
    """One model of each format."""
    models = [VERSES / "model.safetensors", VERSES / "verses.q8_0.gguf",
              ROOT / "models" / "digits" / "digits.bf16.safetensors"]
    return models + [path for path in (SHARED / "coreml" / "MNIST.mlmodel",
                                       SHARED / "coreml" / "silero_vad.mlmodelc",
                                       SHARED / "gguf/split/dummy-00001-of-00002.gguf")
                     if path.exists()]


class Memory(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def test_it_stays_flat(self):
        starts = {
            "decode": lambda: Lockstep("run", PROGRAMS / "decode.tl", VERSES,
                                       VERSES / "verses.q8_0.gguf"),
            "load": lambda: Lockstep("run", PROGRAMS / "load.tl",
                                     self.scratch / "saved.safetensors",
                                     *loaded_models()),
            "prompt": lambda: Prompt(self.scratch),
        }
        works = {name: starts[name]() for name in WATCHED}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            watches = dict(zip(works, pool.map(
                lambda work: Watch(work, 60 * MINUTES), works.values())))
        for name, watch in watches.items():
            with self.subTest(name):
                print(f"{name}: {MINUTES:.3g} minutes, {watch}", flush=True)
                self.assertEqual(watch.status, 0)
                self.assertLess(watch.growth, GROWTH, str(watch))
                before = watch.most_held(WARM_UP, WARM_UP + WINDOW)
                for what, count in watch.most_held(1 - WINDOW, 1).items():
                    self.assertLessEqual(count, before[what], what)


class Repetition(unittest.TestCase):
    """Always two processes at once."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def two_at_once(self, work, count):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(work, range(count)))

    def test_a_program_gives_the_same_bytes_with_any_number_of_threads(self):
        def bytes_of(run):
            saved = self.scratch / f"{run}.gguf"
            done = tl_command.tl(
                "run", "--seed", 3, "--threads", THREADS[run % len(THREADS)],
                PROGRAMS / "same.tl", VERSES, VERSES / "verses.q8_0.gguf", saved)
            self.assertEqual(done.returncode, 0, done.stderr)
            written = saved.read_bytes()
            saved.unlink()
            return done.stdout, hashlib.sha256(written).hexdigest()

        got = collections.Counter(self.two_at_once(bytes_of, RUNS))
        print(f"repetition: {RUNS} runs with {', '.join(map(str, THREADS))} threads, two "
              f"at once: {len(got)} different", flush=True)
        self.assertEqual(len(got), 1, got)
        (output, _), = got
        self.assertGreater(len(output), 1000)

    def test_two_that_save_the_same_file_leave_one_of_the_two_whole(self):
        path = self.scratch / "saved.safetensors"
        program = self.scratch / "save.tl"
        program.write_text("let m = model()\n"
                           'm["w"] = full([400000], float(args()[1]))\n'
                           "save_model(m, args()[0])\n")
        whole = set()
        for value in (1, 2):
            tl_command.tl("run", program, path, value)
            whole.add(path.read_bytes())
        self.assertEqual(len(whole), 2)

        def save(run):
            done = tl_command.tl("run", program, path, 1 + run % 2)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            # Whatever is there is whole while the other is at work.
            self.assertIn(path.read_bytes(), whole)

        self.two_at_once(save, 40)
        self.assertEqual({file.name for file in self.scratch.iterdir()},
                         {"saved.safetensors", "save.tl"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--watch", choices=WATCHED, nargs="+", default=WATCHED)
    options, sys.argv[1:] = parser.parse_known_args()
    MINUTES, WATCHED = options.minutes, options.watch
    report.main()
