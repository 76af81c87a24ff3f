#!/usr/bin/env python3
"""`tl perplexity`: what it prints is what transformers' logits give of the bundled
model (references/language_models/perplexity.json), in the way of llama.cpp."""

import json
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

STORED = pathlib.Path(__file__).resolve().parent / "references" / "language_models"
sys.path.insert(0, str(STORED))

import report
import tl_command
import zoo

VERSES = tl_command.ROOT / "models" / "verses"
PRINTED = re.compile(r"((?:\[\d+\][\d.]+,?)+)\n"
                     r"perplexity +([\d.]+) \+/- ([\d.]+)\n"
                     r"tokens +(\d+) of (\d+), in (\d+) chunks of (\d+)\n"
                     r"time +[\d.]+ s, \d+ t/s\n")


class Perplexity(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        (self.folder / "text.txt").write_text(zoo.text())

    def run_it(self, model, *options, text="text.txt"):
        return tl_command.tl("perplexity", model, text, *options, cwd=self.folder)

    def assert_fails(self, done, status, message):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith(f"error: {message}\n"), done.stderr)

    def without_begin(self):
        """The bundled model, whose tokenizer puts nothing before a text."""
        copy = self.folder / "plain"
        shutil.copytree(VERSES, copy)
        file = copy / "tokenizer.json"
        tokenizer = json.loads(file.read_text())
        tokenizer["post_processor"] = None
        file.write_text(json.dumps(tokenizer))
        return copy

    def check(self, model_of, dtype, bound):
        for case in json.loads((STORED / "perplexity.json").read_text()):
            model = model_of(VERSES if case["begins"] else self.without_begin())
            with self.subTest(**case):
                done = self.run_it(model, "--context", case["context"], "--dtype", dtype)
                self.assertEqual(done.returncode, 0, done.stderr)
                printed = PRINTED.fullmatch(done.stdout)
                self.assertIsNotNone(printed, done.stdout)
                value, error = float(printed[2]), float(printed[3])
                self.assertAlmostEqual(value / case["perplexity"], 1, delta=bound)
                self.assertAlmostEqual(error / case["error"], 1, delta=bound)
                self.assertEqual([int(printed[i]) for i in (4, 5, 6, 7)],
                                 [case["counted"], case["tokens"],
                                  case["tokens"] // case["context"], case["context"]])
                running = re.findall(r"\[(\d+)\]([\d.]+)", printed[1])
                self.assertEqual([int(i) for i, _ in running],
                                 list(range(1, len(running) + 1)))
                self.assertEqual(float(running[-1][1]), value)

    def test_from_safetensors(self):
        self.check(lambda folder: folder, "float32", 2e-5)
        shutil.rmtree(self.folder / "plain")
        self.check(lambda folder: folder, "float16", 2e-3)

    def test_from_gguf(self):
        def converted(folder):
            path = self.folder / f"{folder.name}.gguf"
            done = tl_command.tl("convert", folder, path)
            self.assertEqual(done.returncode, 0, done.stderr)
            return path
        self.check(converted, "float32", 2e-5)

    def test_a_text_shorter_than_a_chunk(self):
        (self.folder / "text.txt").write_text("And God said")
        self.assert_fails(self.run_it(VERSES), 65,
                          "panic: perplexity: the text has 4 tokens; a chunk of the "
                          "context has 512")

    def test_a_context_that_the_model_does_not_have(self):
        self.assert_fails(self.run_it(VERSES, "--context", 513), 65,
                          "panic: perplexity: the context of 513 tokens is more than the "
                          "512 that the model was made for")

    def test_a_context_too_small(self):
        done = self.run_it(VERSES, "--context", 7)
        self.assertEqual(done.returncode, 64)
        self.assertIn("--context", done.stderr)

    def test_a_file_that_is_no_text(self):
        (self.folder / "text.txt").write_bytes(b"caf\xc3\xa9 caf\xe9")
        self.assert_fails(self.run_it(VERSES), 66, "text.txt: is not UTF-8 at byte 9")

    def test_a_file_that_is_not_there(self):
        self.assert_fails(self.run_it(VERSES, text="none.txt"), 66,
                          "none.txt: no such file or directory")
        self.assert_fails(self.run_it("none.gguf"), 66,
                          "none.gguf: no such file or directory")

    def test_an_encoder(self):
        zoo.write("bert", self.folder / "bert")
        self.assert_fails(self.run_it("bert", "--context", 64), 65,
                          "panic: 'bert' is an encoder, which gives no logits; see embed")


if __name__ == "__main__":
    report.main()
