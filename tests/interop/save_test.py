#!/usr/bin/env python3
"""Killed while it saves, TensorLogic leaves the old file or the new one, whole."""

import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import compute  # finds the modules beside this folder
import safetensors.torch
import torch

import report
import tl_command

KILLS = 30
MEGABYTES = 64


class Killed(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.path = self.folder / "m.safetensors"
        self.old = torch.zeros(MEGABYTES << 19, dtype=torch.float16)
        self.new = torch.ones_like(self.old)
        safetensors.torch.save_file({"x": self.new}, self.folder / "new.safetensors")
        self.program = ('let m = load_model("m.safetensors")\n'
                        'm["x"] = load_model("new.safetensors")["x"]\n'
                        'save_model(m, "m.safetensors")')

    def start(self):
        return subprocess.Popen([tl_command.TL, "-e", self.program], cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def time_of_a_save(self):
        self.put_back()
        started = time.monotonic()
        _, stderr = self.start().communicate()
        self.assertTrue(self.is_all(1), stderr)
        return time.monotonic() - started

    def put_back(self):
        safetensors.torch.save_file({"x": self.old}, self.path)

    def is_all(self, value):
        x = safetensors.torch.load_file(self.path)["x"]
        return x.shape == self.old.shape and bool((x == value).all())

    def test_sigkill_leaves_one_file_whole(self):
        whole = self.time_of_a_save()
        outcomes = set()
        for number in range(KILLS):
            self.put_back()
            child = self.start()
            time.sleep(1.1 * whole * number / KILLS)
            child.kill()
            child.communicate()
            old, new = self.is_all(0), self.is_all(1)
            self.assertTrue(old or new, f"kill {number} left neither file")
            outcomes.add("old" if old else "new")
        self.assertIn("old", outcomes)

    def test_ctrl_c_leaves_nothing_behind(self):
        whole = self.time_of_a_save()
        names = sorted(p.name for p in self.folder.iterdir())
        for number in range(10):
            self.put_back()
            child = self.start()
            time.sleep(whole * number / 10)
            child.send_signal(signal.SIGINT)
            _, stderr = child.communicate(timeout=60)
            # Killed by the signal itself where it came before our handler.
            self.assertIn(child.returncode, (0, 130, -signal.SIGINT), stderr)
            self.assertEqual(sorted(p.name for p in self.folder.iterdir()), names)
            self.assertTrue(self.is_all(0) or self.is_all(1))


if __name__ == "__main__":
    report.main()
