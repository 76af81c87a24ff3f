#!/usr/bin/env python3
"""What strangers wrote never works a terminal: names and texts of model files, names
of files, and what models write are shown with their control characters escaped,
whatever command shows them; only what a program prints by itself, and what goes into
a pipe or a file, keeps its bytes."""

import os
import pathlib
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "interop"))

from raw_file import raw_file, tensor
import report
import terminal
import tiny_chat
import tl_command

# Red, a bell, "clear the screen" in one character of eight bits, and text that runs
# from right to left.
EVIL = "\x1b[31mred\x07\u009b2J\u202eevil"
SHOWN = r"\x1b[31mred\x07\x9b2J\u{202e}evil"
RAW = ["\x1b", "\x07", "\u009b", "\u202e"]
# What a terminal takes as its new title; each character once, as tiny_chat says it.
TITLE = "\x1b]0;owned\x07\u009b"
TITLE_SHOWN = r"\x1b]0;owned\x07\x9b"


class Scratch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "m.safetensors").write_bytes(raw_file(
            {"__metadata__": {EVIL: EVIL}, EVIL: tensor("F32", [1], 0, 4),
             "i" + EVIL: tensor("I64", [1], 4, 12)}, struct.pack("<fq", 1e30, 3)))
        (self.folder / "n.safetensors").write_bytes(raw_file(
            {"__metadata__": {EVIL: "x"}, EVIL + "2": tensor("F32", [1], 0, 4)},
            struct.pack("<f", 1)))
        self.write(f"{EVIL}.safetensors", "0123456789")
        self.write(f"{EVIL}.tl", "x = y\n")
        self.write(f"fine{EVIL}.tl", "x  =  1\nprint(rand([3, 3]) @ rand([3, 3]))\n"
                   'test "a\\u{1b}b" { assert(false, "c\\u{1b}d") }\n')

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def plain(self, *words, says=None, stdin=None):
        """Runs tl: nothing of EVIL is in what it shows; `says` is."""
        done = tl_command.tl(*words, cwd=self.folder, stdin=stdin)
        shown = done.stdout + done.stderr
        for raw in RAW:
            self.assertNotIn(raw, shown, words)
        if says is not None:
            self.assertIn(says, shown, words)
        return done


class Names(Scratch):
    def test_of_tensors_and_metadata(self):
        model = "m.safetensors"
        for option in ([], ["--stats"], ["--sha256"], ["--check"]):
            self.plain("info", *option, model, says=SHOWN)
        self.plain("info", "--json", model)
        self.plain("diff", model, "n.safetensors", says=SHOWN)
        self.plain("convert", model, "out.gguf")
        self.plain("info", "out.gguf", says=SHOWN)

    def test_in_messages_about_models(self):
        load = 'let m = load_model("m.safetensors")\n'
        for text in ("m[m.names[1]]", "print(m[m.names[0]])",
                     "load_model(m.names[0])", "save_model(m, m.names[0])",
                     "panic(m.names[0])", "assert(false, m.names[0])",
                     "int(m.names[0])", "read_text(m.names[0])"):
            with self.subTest(text=text):
                done = self.plain("-e", load + text)
                self.assertIn(r"\x1b[31mred", done.stderr)
        self.plain("-e", load + 'assert_eq(m.names[0], "x")',
                   says=r"\u{1b}[31mred\u{7}\u{9b}2J\u{202e}evil")
        done = self.plain("-e", 'load_model("m.safetensors", strict: true)')
        self.assertEqual(
            done.stderr, f"error: m.safetensors: '{SHOWN}': 1 of 1 value exceed "
            "float16, became inf; use dtype: float32\nnote: at -e:1:1\n")

    def test_of_files(self):
        evil = f"{EVIL}.safetensors"
        missing = f"none{EVIL}"
        for words in (["info", evil], ["info", "--check", evil],
                      ["convert", evil, "x.gguf"], ["diff", evil, evil],
                      ["info", missing], ["run", missing], ["check", missing],
                      ["test", missing], ["plan", missing], ["fmt", missing], [missing],
                      ["generate", missing, "-p", "x"], ["chat", missing],
                      ["bench", missing], ["perplexity", evil, missing],
                      ["run", "--sandbox", missing]):
            with self.subTest(words=words):
                done = self.plain(*words, says=SHOWN)
                self.assertEqual(done.returncode, 66)
        (self.folder / f"good{EVIL}.safetensors").write_bytes(
            (self.folder / "m.safetensors").read_bytes())
        for option in ([], ["--sha256"], ["--check"]):
            self.plain("info", *option, f"good{EVIL}.safetensors", says=SHOWN)

    def test_of_programs(self):
        for command in ("run", "check", "test", "fmt", "plan"):
            with self.subTest(command=command):
                self.plain(command, f"{EVIL}.tl",
                           says=None if command == "fmt" else f"{SHOWN}.tl:1:5: error")
        fine = f"fine{EVIL}.tl"
        self.plain("plan", fine, says=f"fine{SHOWN}.tl:2")
        self.plain("run", "--profile", fine)
        self.plain("fmt", "--check", fine, says=f"fine{SHOWN}.tl\n")
        self.plain("test", fine, says=r"FAILED  a\x1bb: assertion failed: c\x1bd")

    def test_on_the_command_line(self):
        for words in (["run", f"--x{EVIL}"], ["run", "--device", EVIL, "x.tl"],
                      ["info", "m.safetensors", EVIL], ["convert", "--type", EVIL,
                                                        "m.safetensors", "o.gguf"],
                      ["run", "--gpu-memory", EVIL, "x.tl"]):
            with self.subTest(words=words):
                done = self.plain(*words, says=SHOWN)
                self.assertEqual(done.returncode, 64)

    def test_in_the_prompts_answers(self):
        self.plain("repl", stdin='let m = load_model("m.safetensors")\nm\nm.names\n'
                   'm.names[0]\nm.metadata\nm.nope\n{m.names[0]: 1}\n')


class Terminals(Scratch):
    def screen(self, *words):
        (self.folder / "state").mkdir(exist_ok=True)
        here = os.getcwd()
        os.chdir(self.folder)
        try:
            return terminal.Terminal(
                *words, env={"XDG_STATE_HOME": str(self.folder / "state")})
        finally:
            os.chdir(here)

    def model(self, **more):
        tiny_chat.write(self.folder / "model", says=TITLE, **more)
        return self.folder / "model"

    def test_what_a_model_writes(self):
        model = self.model()
        screen = self.screen("generate", model, "-p", "\n", "--temperature", "0", "-n",
                             "20")
        self.assertEqual(screen.close(), 0, screen.seen)
        self.assertIn(TITLE_SHOWN, screen.seen)
        self.assertNotIn("\x1b]", screen.seen)
        screen = self.screen("chat", model, "--temperature", "0")
        screen.wait_for("> ")
        screen.type("hi\r")
        screen.wait_for(TITLE_SHOWN)
        screen.wait_for("> ")
        screen.type("\x04")
        self.assertEqual(screen.close(), 0, screen.seen)
        self.assertNotIn("\x1b]", screen.seen)

    def test_what_a_model_writes_into_a_pipe_keeps_its_bytes(self):
        done = tl_command.tl("generate", self.model(), "-p", "\n", "--temperature", "0",
                             "-n", "20")
        self.assertIn(TITLE, done.stdout)

    def test_what_a_template_says(self):
        model = self.model(template="{{ raise_exception('" + EVIL + "') }}")
        done = self.plain("chat", model, stdin="hi\n")
        self.assertIn(r"\x1b[31mred", done.stderr)

    def test_a_program_in_a_sandbox(self):
        self.write("p.tl", 'print("\\u{1b}]0;x\\u{7}")\neprint("\\u{1b}]0;y")')
        screen = self.screen("run", "--sandbox", "p.tl")
        self.assertEqual(screen.close(), 0, screen.seen)
        self.assertIn(r"\x1b]0;x\x07", screen.seen)
        self.assertIn(r"\x1b]0;y", screen.seen)
        self.assertNotIn("\x1b", screen.seen)
        # Not in one, it is the program's own affair.
        screen = self.screen("run", "p.tl")
        self.assertEqual(screen.close(), 0, screen.seen)
        self.assertIn("\x1b]0;x\x07", screen.seen)

    def test_completions(self):
        self.write("s\x1b]0;a", "")
        self.write("s\x1b]0;b", "")
        screen = self.screen("repl")
        screen.wait_for("> ")
        screen.type('read_text("s\t\t')
        screen.wait_for(r"s\x1b]0;a")
        screen.type("\x03")
        screen.wait_for("\r\n> ")
        screen.type("\x04")
        self.assertEqual(screen.close(), 0, screen.seen)
        self.assertNotIn("\x1b]0;a", screen.seen)


if __name__ == "__main__":
    report.main()
