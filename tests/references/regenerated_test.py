#!/usr/bin/env python3
"""What is stored is what generate.py writes today: each entry, inputs to the bit,
outputs but for the order in which a processor adds.

That order is worth some 1e-6 of an entry's largest number. The bound, 1e-5 of it,
is a fiftieth of the last place of float16 that tl's results are measured in.
"""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
from safetensors.numpy import load_file

import generate
import report


class Stored(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as scratch:
            generate.write(pathlib.Path(scratch))
            cls.fresh = {name: load_file(f"{scratch}/{name}.safetensors")
                         for name in ("inputs", "outputs")}

    def check(self, which, bound):
        stored, fresh = load_file(HERE / f"{which}.safetensors"), self.fresh[which]
        for name in sorted(stored.keys() | fresh.keys()):
            with self.subTest(name):
                if name not in stored:
                    self.fail("not stored: run generate.py")
                if name not in fresh:
                    self.fail("stored, but no longer written: run generate.py")
                self.compare(stored[name], fresh[name], bound)

    def compare(self, stored, fresh, bound):
        self.assertEqual((stored.dtype, stored.shape), (fresh.dtype, fresh.shape))
        finite = np.isfinite(fresh)
        scale = np.abs(fresh[finite]).max(initial=0)
        np.testing.assert_allclose(stored, fresh, rtol=0, atol=bound * scale)

    def test_inputs(self):
        self.check("inputs", 0)

    def test_outputs(self):
        self.check("outputs", 1e-5)


if __name__ == "__main__":
    report.main()
