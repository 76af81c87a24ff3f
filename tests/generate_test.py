#!/usr/bin/env python3
"""`tl generate` with trained models: the text is the published one of a model that
nobody of this project made (skipped where ../shared/models is not there), and that
of transformers for the bundled one."""

import json
import pathlib
import tempfile
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


class Bundled(unittest.TestCase):
    """The model of models/verses, and what transformers made of it."""
    FOLDER = ROOT / "models" / "verses"

    def check(self, model):
        expected = json.loads((self.FOLDER / "EXPECTED.json").read_text())
        done = generate(model, "-p", expected["prompt"], "-n", expected["max_tokens"],
                        "--temperature", 0, "--dtype", "float32")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, expected["text"] + "\n")

    def test_the_folder_gives_the_text_of_transformers(self):
        self.check(self.FOLDER)

    def test_its_gguf_gives_the_text_of_transformers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "verses.gguf"
            done = tl_command.tl("convert", self.FOLDER, path, "--type", "f16")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check(path)

    def test_the_gguf_beside_it_is_what_convert_makes_of_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "verses.gguf"
            done = tl_command.tl("convert", self.FOLDER, path, "--type", "q8_0")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(path.read_bytes(),
                             (self.FOLDER / "verses.q8_0.gguf").read_bytes())


if __name__ == "__main__":
    report.main()
