#!/usr/bin/env python3
"""What is stored is what generate.py writes today: models, inputs and weights to the
bit, outputs but for the order in which a processor adds (see ../regenerated_test.py)."""

import pathlib
import re
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

import numpy as np
from safetensors.numpy import load_file

import generate
import report

MODEL_FILES = ("*.mlmodel", "*.mlpackage/**/*")


def files_of(folder):
    return {str(path.relative_to(folder)): path
            for pattern in MODEL_FILES for path in sorted(folder.glob(pattern))
            if path.is_file()}


def undated(path):
    """The bytes but for the day of the conversion, which coremltools writes."""
    return re.sub(rb"(conversion_date..)\d{4}-\d\d-\d\d", rb"\1day", path.read_bytes(),
                  flags=re.S)


class Stored(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.fresh = pathlib.Path(cls.scratch.name)
        generate.write(cls.fresh)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def test_models(self):
        stored, fresh = files_of(HERE), files_of(self.fresh)
        self.assertEqual(stored.keys(), fresh.keys())
        for name, path in fresh.items():
            with self.subTest(name):
                self.assertEqual(undated(stored[name]), undated(path))

    def test_numbers(self):
        for which, bound in [("inputs", 0), ("weights", 0), ("outputs", 1e-5)]:
            stored = load_file(HERE / f"{which}.safetensors")
            fresh = load_file(self.fresh / f"{which}.safetensors")
            self.assertEqual(stored.keys(), fresh.keys())
            for name, numbers in fresh.items():
                with self.subTest(name):
                    self.assertEqual(stored[name].dtype, numbers.dtype)
                    scale = np.abs(numbers).max(initial=0)
                    np.testing.assert_allclose(stored[name], numbers, rtol=0,
                                               atol=bound * scale)

    def test_what_is_stored_is_small(self):
        size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
        self.assertLess(size, 2_000_000)


if __name__ == "__main__":
    report.main()
