#!/usr/bin/env python3
"""What is stored is what generate.py writes today, but for the last digits of
probabilities, which depend on the order in which a processor adds."""

import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

import generate
import report


class Stored(unittest.TestCase):
    def test_cases(self):
        stored = json.loads((HERE / "cases.json").read_text())
        fresh = json.loads(generate.text())
        self.assertEqual(stored["rows"], fresh["rows"])
        self.assertEqual(len(stored["cases"]), len(fresh["cases"]))
        for a, b in zip(stored["cases"], fresh["cases"]):
            with self.subTest(b["options"], row=b["row"]):
                for key in ("row", "options", "tokens"):
                    self.assertEqual(a[key], b[key])
                for p, q in zip(a["probabilities"], b["probabilities"]):
                    self.assertAlmostEqual(p, q, delta=1e-5 * q)

    def test_what_is_stored_is_small(self):
        self.assertLess((HERE / "cases.json").stat().st_size, 100_000)


if __name__ == "__main__":
    report.main()
