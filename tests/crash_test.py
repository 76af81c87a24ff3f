#!/usr/bin/env python3
"""Writing a model is killed, or fails, at every call by which it changes files, and
killed at random moments: the old file or the new one is there, whole, and the next
save leaves nothing else. `--kills N` says how many random moments each writer gets."""

import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import report
import tl_command

SHIM = tl_command.ROOT / "tests" / "crash" / "fault.c"
KILLS = 40
# Enough for several writes: pieces of less than 64 KiB are gathered.
ELEMENTS = 400_000

PROGRAM = """let m = model()
m["a"] = full([{elements}], {value})
m["b"] = full([7], {value})
save_model(m, "{path}")
"""

CACHE = """let c = kv_cache(1, length: {length})
c.append(0, ones({length}, 2, 500), ones({length}, 2, 500))
c.save("cache.safetensors")
"""

# Of each writer: the words that write the new file over the old, and its name.
WRITERS = {
    "save_model": (["run", "save.tl"], "out.safetensors"),
    "save_model, GGUF": (["run", "save_gguf.tl"], "out.gguf"),
    "convert": (["convert", "source.safetensors", "out.gguf"], "out.gguf"),
    "convert, other types": (["convert", "--type", "f32", "source.safetensors",
                              "out.safetensors"], "out.safetensors"),
    "save of a cache": (["run", "save_cache.tl"], "cache.safetensors"),
}

# Those of several files, which replace none, and the files of each. The first opens
# the model.
SHARDS = {
    "convert to shards": (
        ["convert", "source.safetensors", "s.safetensors", "--shard-size", "500KB"],
        ["s.safetensors.index.json", "s-00001-of-00002.safetensors",
         "s-00002-of-00002.safetensors"]),
    "convert to GGUF shards": (
        ["convert", "source.safetensors", "s.gguf", "--shard-size", "500KB"],
        ["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"]),
}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


class Crashes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("cc"):
            raise unittest.SkipTest("needs a C compiler")
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = pathlib.Path(scratch.name)
        cls.shim = cls.scratch / "fault.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", SHIM, "-o", cls.shim, "-ldl"],
                       check=True)
        if b"libasan" in subprocess.run(["ldd", tl_command.TL],
                                        capture_output=True).stdout:
            raise unittest.SkipTest("a sanitizer wants to be the first library")

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=self.scratch)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.write("save.tl", PROGRAM.format(elements=ELEMENTS, value=2,
                                             path="out.safetensors"))
        self.write("save_gguf.tl", PROGRAM.format(elements=ELEMENTS, value=2,
                                                  path="out.gguf"))
        self.write("source.tl", PROGRAM.format(elements=ELEMENTS, value=3,
                                               path="source.safetensors"))
        self.tl("run", "source.tl")
        self.write("save_cache.tl", CACHE.format(length=400))
        self.old = {}
        for name, program in (
                ("out.safetensors", PROGRAM.format(elements=5, value=1,
                                                   path="out.safetensors")),
                ("out.gguf", PROGRAM.format(elements=5, value=1, path="out.gguf")),
                ("cache.safetensors", CACHE.format(length=1))):
            self.write("old.tl", program)
            self.tl("run", "old.tl")
            self.old[name] = (self.folder / name).read_bytes()
        self.names = {path.name for path in self.folder.iterdir()}

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def tl(self, *words):
        done = tl_command.tl(*words, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def faulty(self, words, fault, nameless=True):
        """Runs tl with a fault."""
        env = {"LD_PRELOAD": str(self.shim), "TL_FAULT": fault}
        if not nameless:
            env["TL_NO_TMPFILE"] = "1"
        return tl_command.tl(*words, cwd=self.folder, env=env)

    def new_of(self, words, name, nameless):
        """The new file's digest, and how many calls make it."""
        count = self.scratch / "count"
        done = self.faulty(words, f"count {count}", nameless)
        self.assertEqual(done.returncode, 0, done.stderr)
        return digest(self.folder / name), int(count.read_text())

    def restore(self, name):
        (self.folder / name).write_bytes(self.old[name])

    def left_over(self):
        return {path.name for path in self.folder.iterdir()} - self.names

    def check_whole(self, name, new, where):
        old = hashlib.sha256(self.old[name]).hexdigest()
        self.assertIn(digest(self.folder / name), (old, new), where)

    def each_writer(self, check):
        """With files that have no name, and without."""
        for who, (words, name) in WRITERS.items():
            for nameless in (True, False):
                with self.subTest(writer=who, nameless=nameless):
                    self.restore(name)
                    new, calls = self.new_of(words, name, nameless)
                    self.assertGreater(calls, 4)
                    check(words, name, nameless, new, calls)

    def check_next_save(self, words, name, nameless, new, where):
        self.faulty(words, "none 0", nameless)
        self.assertEqual(digest(self.folder / name), new, where)
        self.assertEqual(self.left_over(), set(), where)

    def test_killed_at_every_call(self):
        def check(words, name, nameless, new, calls):
            for call in range(1, calls + 1):
                self.restore(name)
                done = self.faulty(words, f"kill {call}", nameless)
                self.assertEqual(done.returncode, -signal.SIGKILL, call)
                self.check_whole(name, new, f"call {call} of {calls}")
                self.assertLessEqual(len(self.left_over()), 1)
                self.check_next_save(words, name, nameless, new, call)
        self.each_writer(check)

    def test_a_full_disk_and_a_broken_one_at_every_call(self):
        def check(words, name, nameless, new, calls):
            for fault, said in (("ENOSPC", "no space left on device"),
                                ("EIO", "input/output error")):
                for call in range(1, calls + 1):
                    self.restore(name)
                    done = self.faulty(words, f"{fault} {call}", nameless)
                    where = f"{fault} at call {call} of {calls}: {done.stderr}"
                    self.check_whole(name, new, where)
                    if done.returncode == 0:  # there was another way
                        self.assertEqual(digest(self.folder / name), new, where)
                    else:
                        self.assertIn(said, done.stderr, where)
                        self.assertIn(name, done.stderr, where)
                    self.check_next_save(words, name, nameless, new, where)
        self.each_writer(check)

    def test_writes_that_write_half(self):
        def check(words, name, nameless, new, calls):
            for call in range(1, calls + 1):
                self.restore(name)
                done = self.faulty(words, f"short {call}", nameless)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(digest(self.folder / name), new, call)
        self.each_writer(check)

    def test_killed_at_random_moments(self):
        def check(words, name, nameless, new, calls):
            replaced = 0
            for _ in self.kills(words, nameless, lambda: self.restore(name)):
                self.check_whole(name, new, "at random")
                replaced += digest(self.folder / name) == new
            self.check_next_save(words, name, nameless, new, "after kills")
            if KILLS > 100:
                print(f"{words[0]} {name}, nameless {nameless}: {KILLS} kills, "
                      f"{replaced} of them after the file was replaced")
        self.each_writer(check)

    def digests(self, names):
        return {name: digest(self.folder / name) for name in names
                if (self.folder / name).exists()}

    def each_of_several(self, check):
        for who, (words, names) in SHARDS.items():
            for nameless in (True, False):
                with self.subTest(writer=who, nameless=nameless):
                    self.remove(names)
                    count = self.scratch / "count"
                    self.faulty(words, f"count {count}", nameless)
                    new = self.digests(names)
                    self.assertEqual(list(new), names)
                    again = self.faulty(words, "none 0", nameless)
                    self.assertEqual(again.returncode, 66)
                    self.assertIn("is there already", again.stderr)
                    check(words, nameless, new, int(count.read_text()))
                    self.remove(names)
                    self.faulty(words, "none 0", nameless)
                    self.assertEqual(self.digests(names), new)
                    self.remove(names)
                    self.assertEqual(self.left_over(), set())

    def remove(self, names):
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def check_several(self, new, where):
        """Each that is there is whole, and it takes all of them to be a model."""
        there = self.digests(new)
        self.assertLessEqual(there.items(), new.items(), where)
        loads = tl_command.tl("info", list(new)[0], cwd=self.folder)
        self.assertEqual(loads.returncode == 0, there == new, where)
        return there

    def test_several_files_killed_or_failing_at_every_call(self):
        def check(words, nameless, new, calls):
            for call in range(1, calls + 1):
                for fault in ("kill", "ENOSPC", "EIO"):
                    self.remove(new)
                    done = self.faulty(words, f"{fault} {call}", nameless)
                    where = f"{fault} at call {call}: {done.stderr}"
                    there = self.check_several(new, where)
                    if fault != "kill" and done.returncode != 0:
                        self.assertIn(there, ({}, new), where)
        self.each_of_several(check)

    def test_several_files_killed_at_random_moments(self):
        def check(words, nameless, new, calls):
            complete = 0
            for _ in self.kills(words, nameless, lambda: self.remove(new)):
                complete += self.check_several(new, "at random") == new
            if KILLS > 100:
                print(f"{' '.join(words)}, nameless {nameless}: {KILLS} kills, "
                      f"{complete} of them after all files were there")
        self.each_of_several(check)

    def kills(self, words, nameless, prepare):
        """Kills it at random moments of its time, each after `prepare`."""
        chance = random.Random(5)
        prepare()
        began = time.monotonic()
        self.faulty(words, "none 0", nameless)
        lasts = time.monotonic() - began
        for _ in range(KILLS):
            prepare()
            yield self.kill_after(chance.uniform(0, 1.2 * lasts), words, nameless)

    def kill_after(self, seconds, words, nameless):
        env = {**os.environ, "LD_PRELOAD": str(self.shim)}
        env.update({} if nameless else {"TL_NO_TMPFILE": "1"})
        running = subprocess.Popen(
            [tl_command.TL, *words], cwd=self.folder, env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        running.kill()
        running.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=KILLS)
    options, sys.argv[1:] = parser.parse_known_args()
    KILLS = options.kills
    report.main()
