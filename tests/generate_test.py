#!/usr/bin/env python3
"""`tl generate` with trained models that nobody of this project made: the text is
the published one. Skipped where ../shared/models is not there."""

import json
import pathlib
import unittest

import report
import tl_command

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT.parent / "shared" / "models" / "gguf"
STORIES = MODELS / "stories260K" / "stories260K.gguf"


def generate(*options):
    return tl_command.tl("generate", *options)


@unittest.skipUnless(STORIES.exists(), f"no {STORIES}")
class Stories(unittest.TestCase):
    def setUp(self):
        self.expected = json.loads(
            (STORIES.parent / "EXPECTED.json").read_text())

    def test_the_likeliest_text_is_the_published_one(self):
        done = generate(STORIES, "-p", "", "-n", 200, "--temperature", 0,
                        "--dtype", "float32")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(
            done.stdout.strip().startswith(self.expected["expected_text"].strip()[:600]),
            done.stdout)

    def test_the_same_seed_gives_the_same_text(self):
        options = (STORIES, "-p", "Once upon a time", "-n", 60)
        first, second, other = (generate(*options, "--seed", seed).stdout
                                for seed in (3, 3, 4))
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)
        self.assertTrue(first.startswith("Once upon a time"), first)

    def test_a_prompt_longer_than_the_context_is_an_error(self):
        done = generate(STORIES, "-p", "Once upon a time there was a girl",
                        "--context", 4)
        self.assertEqual(done.returncode, 65)
        self.assertIn("tokens; the context holds 4", done.stderr)


if __name__ == "__main__":
    report.main()
