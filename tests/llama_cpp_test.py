#!/usr/bin/env python3
"""llama.cpp beside tl: GGUF files that tl wrote, read by the program that most
people run them with. Both give the same tokens for a text and go on with the
same one."""

import ctypes
import pathlib
import tempfile
import unittest

import llama_cpp

import report
import tl_command

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "models" / "verses"
PROMPTS = ["And God said", "In the beginning", "And it came to pass in those days",
           "Blessed are they", "The LORD"]

# Kept, since llama.cpp calls it whenever it has something to say.
QUIET = llama_cpp.llama_log_callback(lambda *_: None)


class Bundled(unittest.TestCase):
    def setUp(self):
        llama_cpp.llama_log_set(QUIET, ctypes.c_void_p())

    def check(self, path, new):
        model = llama_cpp.Llama(str(path), n_ctx=256, n_threads=2, verbose=False)
        for prompt in PROMPTS:
            with self.subTest(prompt=prompt):
                theirs = model.create_completion(
                    prompt, max_tokens=new, temperature=0, repeat_penalty=1.0)
                ours = tl_command.tl("generate", path, "-p", prompt, "-n", new,
                                     "--temperature", 0)
                self.assertEqual(ours.returncode, 0, ours.stderr)
                self.assertEqual(ours.stdout,
                                 prompt + theirs["choices"][0]["text"] + "\n")

    def test_float16_goes_on_with_the_same_text(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "verses.gguf"
            done = tl_command.tl("convert", FOLDER, path, "--type", "f16")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check(path, 48)

    def test_eight_bits_go_on_with_the_same_text(self):
        # Both round what they multiply to eight bits too, each its own way: in
        # longer texts two words that are as likely change places.
        self.check(FOLDER / "verses.q8_0.gguf", 32)


if __name__ == "__main__":
    report.main()
