#!/usr/bin/env python3
"""What is stored is what generate.py writes today."""

import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

import generate
import report


class Stored(unittest.TestCase):
    def test_rendered(self):
        stored = json.loads((HERE / "rendered.json").read_text())
        fresh = json.loads(generate.text())
        for key in fresh:
            with self.subTest(key):
                self.assertEqual(stored[key], fresh[key])

    def test_snippets_work(self):
        for snippet, answer in zip(generate.snippets(),
                                   generate.answers()["snippets"]):
            with self.subTest(snippet):
                self.assertIsInstance(answer, str)

    def test_what_is_stored_is_small(self):
        size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
        self.assertLess(size, 200_000)


if __name__ == "__main__":
    report.main()
