#!/usr/bin/env python3
"""What a GPU computes while the program waits for it, on an emulated card (a build
with -DTL_CUDA=emulate)."""

import pathlib
import re
import tempfile
import unittest

import report
import tl_command

VERSES = tl_command.ROOT / "models" / "verses"

PROGRAM = """
let x = randn(32, 32, seed: 1)
let a = sum(x)
let b = exp(x)
print(float(a) == float(a))
"""

TEXT = f"""
import std.generate
let m = load_model("{VERSES}", layout: "gguf")
for options in [[0.0, 0], [0.7, 40], [0.7, 0]] {{
    let ids = tokenize(m.tokenizer, "And it came")
    let cache = kv_cache(m, length: 12)
    let seen = []
    let why = continue_ids(m, ids, cache, fn(id) {{ seen.push(id) }}, 20, options[0],
                           options[1])
    print(seen, cache.pos, why)
}}
"""


def tl(*arguments, cwd=None):
    return tl_command.tl(*arguments, cwd=cwd, env={"TL_EMULATED_GPU": "1"})


def run(program, *options):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "program.tl").write_text(program)
        return tl("run", *options, "program.tl", cwd=folder)


class Ahead(unittest.TestCase):
    def setUp(self):
        if "emulated card" not in tl("version").stdout:
            self.skipTest("needs an emulated GPU")

    def steps(self, *options):
        done = run(PROGRAM, "--profile", *options)
        self.assertEqual((done.returncode, done.stdout), (0, "true\n"), done.stderr)
        return re.findall(r"  (\w+)  float16\[", done.stderr)

    def test_what_is_pending_is_handed_over_before_a_result_is_waited_for(self):
        self.assertIn("exp", self.steps("--device", "gpu"))

    def test_what_nobody_reads_is_not_computed_by_the_cpu(self):
        self.assertEqual(sorted(self.steps("--device", "cpu")), ["randn", "sum"])

    def test_nor_where_memory_is_limited(self):
        self.assertNotIn("exp", self.steps("--device", "gpu", "--gpu-memory", "1MB"))

    def test_texts_and_caches_are_those_of_the_cpu(self):
        cpu, gpu = (run(TEXT, "--device", device) for device in ("cpu", "gpu"))
        self.assertEqual(cpu.stdout.count("12 context\n"), 3, cpu)
        self.assertEqual((gpu.stdout, gpu.stderr), (cpu.stdout, cpu.stderr))


if __name__ == "__main__":
    report.main()
