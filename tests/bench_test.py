#!/usr/bin/env python3
"""`tl bench` counts the weights that are read, not those of the file, and refuses more
tokens than the model was made for."""

import pathlib
import re
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

import report
import tl_command

VERSES = tl_command.ROOT / "models" / "verses"


class Bench(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def assert_reads(self, expected, model, *options):
        """Bytes a token, as the printed speeds give them, within their digits."""
        done = tl_command.tl("bench", model, "-p", 4, "-n", 4, "-r", 1, *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rate = float(re.search(r"4 new tokens +([\d.]+) t/s", done.stdout)[1])
        speed = float(re.search(r"weights +([\d.]+) GB/s", done.stdout)[1])
        rounding = (0.006e9 + expected * 0.006) / rate
        self.assertAlmostEqual(speed * 1e9 / rate, expected, delta=rounding)
        self.assertLess(rounding, expected * 0.2, "too slow to tell")

    def weights(self):
        return load_file(VERSES / "model.safetensors")

    def test_unpacked_weights_have_the_type_of_the_model(self):
        elements = sum(weight.size for weight in self.weights().values())
        for stored in (np.float16, np.float32):
            folder = self.folder / stored.__name__
            folder.mkdir()
            for file in VERSES.glob("*.json"):
                (folder / file.name).write_bytes(file.read_bytes())
            save_file({name: weight.astype(stored)
                       for name, weight in self.weights().items()},
                      folder / "model.safetensors")
            with self.subTest(stored):
                self.assert_reads(elements * 2, folder)
                self.assert_reads(elements * 4, folder, "--dtype", "float32")

    def test_packed_weights_stay_as_they_are_stored(self):
        matrices = [w.size for w in self.weights().values() if w.ndim == 2]
        vectors = [w.size for w in self.weights().values() if w.ndim == 1]
        for dtype, size in (("float16", 2), ("float32", 4)):
            with self.subTest(dtype):
                self.assert_reads(sum(matrices) // 32 * 34 + sum(vectors) * size,
                                  VERSES / "verses.q8_0.gguf", "--dtype", dtype)

    def test_more_tokens_than_the_model_was_made_for(self):
        done = tl_command.tl("bench", VERSES, "-p", 500, "-n", 13)
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr.splitlines()[0]),
            (65, "", "error: panic: bench: a prompt of 500 and 13 new tokens are 513, "
             "more than the 512 that the model was made for"))


if __name__ == "__main__":
    report.main()
