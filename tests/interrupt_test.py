#!/usr/bin/env python3
"""Ctrl-C at random moments of all that takes time: it ends within 200 ms with status 130,
or goes back to the prompt; the terminal is as it was; the file that was being written is
the old one or the new one, and nothing lies beside it. `--moments N` says how many
moments each kind of work gets.

200 ms are those of the processor: what the program still did after Ctrl-C, on one thread.
How long it took by the clock is printed, and depends on what else the machine does."""

import argparse
import hashlib
import os
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import time
import unittest

import report
import terminal
import tl_command

VERSES = tl_command.ROOT / "models" / "verses"
MOMENTS = 3
LIMIT = 0.2
LATEST = 1.0  # seconds after the start
TICK = 1 / os.sysconf("SC_CLK_TCK")

# Programs that have more to do than anybody waits for.
ENDLESS = {
    "decode": """import std.generate
let m = load_model("{verses}", layout: "gguf")
loop {{ generate(m, "And", max_tokens: 100, context: 128) }}
""",
    "load": """loop {{
    let m = load_model("big.safetensors")
    print(sum(m["a"].float()))
}}
""",
    "save": """let m = load_model("big.safetensors")
loop {{ save_model(m, "out.safetensors") }}
""",
    "matrix product": """let x = rand(3000, 3000)
print(sum(x @ x @ x @ x @ x @ x @ x @ x))
loop {{ }}
""",
    "recursion": "fn fib(n) {{ if n < 2 {{ n }} else {{ fib(n - 1) + fib(n - 2) }} }}\n"
                 "print(fib(60))\n",
    "tokenizer": """let m = load_model("{verses}")
let text = "And God said, Let there be light. " * 200000
loop {{ print(len(tokenize(m.tokenizer, text))) }}
""",
    "sort": "let x = rand(8000000)\nloop {{ print(sum(sort(x))) }}\n",
    "input": "loop {{ input(\"? \") }}\n",
}
SOURCE = """let m = model()
m["a"] = rand(4096, 4096, seed: 1)
m["b"] = rand(512, seed: 2)
save_model(m, "big.safetensors")
m["b"] = zeros(512)
save_model(m, "out.safetensors")
save_model(m, "out.gguf")
"""


def processor_time(pid):
    """Seconds that a living process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Interrupted:
    """A command at a terminal, and Ctrl-C some seconds after its start."""

    def __init__(self, words, folder, after):
        self.screen = terminal.Terminal(*words, folder=folder)
        modes = self.screen.modes()
        end = time.monotonic() + after
        while self.screen.read_for(end - time.monotonic()):
            pass
        before = processor_time(self.screen.pid)
        began = time.monotonic()
        self.screen.type("\x03")
        self.status, usage = self.screen.end()
        self.seconds = time.monotonic() - began
        self.worked = usage.ru_utime + usage.ru_stime - before
        self.restored = self.screen.modes() == modes
        os.close(self.screen.screen)


class Moments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        (cls.folder / "source.tl").write_text(SOURCE)
        done = tl_command.tl("run", "source.tl", cwd=cls.folder)
        assert done.returncode == 0, done.stderr
        (cls.folder / "huge.tl").write_text("".join(
            f"let a{n} = [{n}, {n} + 1].push({n})\n" for n in range(60000)) + "loop { }\n")
        cls.chance = random.Random(7)

    def check(self, name, words, new=None, ends=False):
        """`new`: the names of files that are replaced, and what may become of them.
        `ends`: that it may be over before Ctrl-C."""
        names = set(os.listdir(self.folder))
        old = {path: digest(self.folder / path) for path in new or {}}
        runs = []
        for _ in range(MOMENTS):
            run = Interrupted(words, self.folder, self.chance.uniform(0, LATEST))
            runs.append(run)
            with self.subTest(name):
                self.assertTrue(run.restored, "the terminal was left changed")
                # Before main() the system ends it.
                statuses = [130, -signal.SIGINT, *([0] if ends else [])]
                self.assertIn(run.status, statuses, run.screen.seen[-500:])
                self.assertLess(run.worked, LIMIT)
                self.assertEqual(set(os.listdir(self.folder)), names)
                for path, digests in (new or {}).items():
                    self.assertIn(digest(self.folder / path), {old[path], *digests})
        took = sorted(run.seconds for run in runs)
        print(f"{name}: {len(runs)} moments; by the clock median "
              f"{1000 * statistics.median(took):.0f} ms, longest {1000 * took[-1]:.0f} ms; "
              f"processor at most {1000 * max(run.worked for run in runs):.0f} ms",
              flush=True)

    def program(self, name, **how):
        file = self.folder / "program.tl"
        file.write_text(ENDLESS[name].format(verses=VERSES))
        self.check(name, ["run", "--threads", 1, file], **how)

    def test_programs(self):
        for name in ENDLESS:
            if name != "save":
                self.program(name)

    def test_saving(self):
        self.program("save", new={
            "out.safetensors": {digest(self.folder / "big.safetensors")}})

    def test_converting(self):
        words = ["convert", "--threads", 1, "--type", "q6_k", "big.safetensors"]
        done = tl_command.tl(*words, "whole.gguf", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check("convert", [*words, "out.gguf"], ends=True,
                   new={"out.gguf": {digest(self.folder / "whole.gguf")}})

    def test_checking_a_long_program(self):
        self.check("check", ["check", "huge.tl", "huge.tl"], ends=True)
        self.check("run a long program", ["run", "huge.tl"])


class Prompt(unittest.TestCase):
    """The prompt at a terminal, and the one of tl chat."""
    # What is typed, and what is shown before Ctrl-C is; none of it ends by itself.
    ENTRIES = [("loop { }\r", "loop { }\r\n"),
               ("sum(x @ x @ x @ x @ x @ x)\r", "x)\r\n"),
               ("fn f(n) { if n > 0 { f(n - 1) + f(n - 1) } else { 1 } }; f(99)\r", "99)\r\n"),
               ("let y = 1 + \r", "... "), ("\"half a line", "half a line"),
               ("\r", "\r\n> ")]

    def start(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.screen = terminal.Terminal(
            "repl", "--threads", 1, env={"XDG_STATE_HOME": folder.name})
        self.before = self.screen.modes()
        self.screen.wait_for("> ")

    def enter(self, line):
        self.screen.type(line + "\r")
        return self.screen.wait_for("\r\n> ")

    def test_ctrl_c_goes_back_to_the_prompt_and_loses_nothing(self):
        chance = random.Random(8)
        self.start()
        self.enter("let kept = 41")
        worst = 0
        self.enter("let x = rand(3000, 3000, seed: 1)")
        for typed, shown in self.ENTRIES * MOMENTS:
            self.screen.type(typed)
            self.screen.wait_for(shown)
            time.sleep(chance.uniform(0, 0.3))
            before = processor_time(self.screen.pid)
            self.screen.type("\x03")
            self.screen.wait_for("\r\n> ")
            worst = max(worst, processor_time(self.screen.pid) - before)
            self.assertEqual(self.enter("kept + 1"), "kept + 1\r\n42")
            self.screen.forget()
        print(f"prompt: {MOMENTS * len(self.ENTRIES)} moments; processor at most "
              f"{1000 * worst:.0f} ms", flush=True)
        self.assertLess(worst, LIMIT)
        self.screen.type("\x04")
        self.check_end([0])

    def check_end(self, statuses):
        self.assertIn(self.screen.end()[0], statuses)
        self.assertEqual(self.screen.modes(), self.before)
        os.close(self.screen.screen)

    def test_signals_at_the_prompt_leave_the_terminal_as_it_was(self):
        chance = random.Random(9)
        # Of many Ctrl-C one may come before the last one was looked at.
        for signals, statuses in (([signal.SIGINT] * 20, [0, 130]),
                                  ([signal.SIGTERM], [-signal.SIGTERM]),
                                  ([signal.SIGHUP], [-signal.SIGHUP])):
            for _ in range(MOMENTS):
                self.start()
                self.screen.type("1 +")
                self.screen.wait_for("1 +")
                self.assertNotEqual(self.screen.modes(), self.before)
                for number in signals:
                    os.kill(self.screen.pid, number)
                    time.sleep(chance.choice([0, 5e-5, 2e-4]))
                if 0 in statuses:
                    self.leave()
                self.check_end(statuses)

    def test_ctrl_d_typed_during_work_does_not_change_what_the_next_one_does(self):
        self.start()
        self.screen.type("sum(rand(4000, 4000) @ rand(4000, 4000)) > 0\r")
        self.screen.wait_for("> 0\r\n")
        self.screen.type("\x04")
        self.screen.wait_for("1\r\n> ")
        self.screen.type("\x04")
        self.check_end([0])

    def leave(self):
        """By Ctrl-D, again where it came before the line was given up."""
        gone = os.WEXITED | os.WNOHANG | os.WNOWAIT
        end = time.monotonic() + tl_command.TIME_LIMIT
        while os.waitid(os.P_PID, self.screen.pid, gone) is None:
            self.assertLess(time.monotonic(), end, "Ctrl-D does not end the prompt")
            try:
                self.screen.type("\x04")
            except OSError:  # the other end is closed
                return
            self.screen.read_for(0.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=MOMENTS)
    options, sys.argv[1:] = parser.parse_known_args()
    MOMENTS = options.moments
    report.main()
