#!/usr/bin/env python3
"""What is stored is what generate.py writes today: models to the letter, logits but
for the order in which a processor adds (see ../regenerated_test.py)."""

import json
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

import numpy as np
from safetensors.numpy import load_file

import generate
import report


class Stored(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.fresh = pathlib.Path(scratch.name)
        generate.write(cls.fresh)

    def test_models(self):
        stored, fresh = (json.loads((folder / "models.json").read_text())
                         for folder in (HERE, self.fresh))
        self.assertEqual(stored, fresh)

    def test_perplexity(self):
        stored, fresh = (json.loads((folder / "perplexity.json").read_text())
                         for folder in (HERE, self.fresh))
        for one, other in zip(stored, fresh, strict=True):
            np.testing.assert_allclose(list(one.values()), list(other.values()),
                                       rtol=1e-5)

    def test_logits(self):
        stored, fresh = (load_file(folder / "logits.safetensors")
                         for folder in (HERE, self.fresh))
        self.assertEqual(stored.keys(), fresh.keys())
        for name, numbers in fresh.items():
            with self.subTest(name):
                np.testing.assert_allclose(stored[name], numbers, rtol=0,
                                           atol=1e-5 * np.abs(numbers).max())


if __name__ == "__main__":
    report.main()
