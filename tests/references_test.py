#!/usr/bin/env python3
"""What tl computes from the stored inputs is what a current PyTorch computed once
(references/). A single operation may differ by 2 units in the last place of float16,
a block by 1e-2 of its length; with `dtype: float32` both by 2e-5."""

import pathlib
import tempfile
import unittest

from safetensors.numpy import load_file

from closeness import float16_ulps, relative_error
from references import table
import report
import tl_command

STORED = pathlib.Path(__file__).resolve().parent / "references"
OUTPUTS = load_file(STORED / "outputs.safetensors")
PROGRAM = "\n".join([
    f'let m = load_model("{STORED}/inputs.safetensors", dtype: DTYPE)',
    *(f'let {name} = m["{name}"]' for name in [*table.INPUTS, *table.SPECIAL]),
    *(f"let {name} = {indices}" for name, indices in table.INDICES.items()),
    "let out = model()",
    'out["y"] = EXPRESSION',
    "save_model(out, args()[0])\n",
])
# Not for single operations, since what is imported hides built-ins of its name.
IMPORTS = "\n".join([
    "import std.transformer",
    f'import "{STORED}/llama.tl"',
    f'import "{STORED}/gpt2.tl"\n',
])


def computed(text):
    with tempfile.TemporaryDirectory() as scratch:
        program = pathlib.Path(scratch) / "program.tl"
        program.write_text(text)
        out = pathlib.Path(scratch) / "out.safetensors"
        done = tl_command.tl("run", program, out)
        assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
        return load_file(out)["y"]


class References(unittest.TestCase):
    def test_operations(self):
        self.check(table.OPERATIONS, PROGRAM, "float16", float16_ulps, 2)
        self.check(table.OPERATIONS, PROGRAM, "float32", relative_error, 2e-5)

    def test_blocks(self):
        program = IMPORTS + PROGRAM
        self.check(table.BLOCKS, program, "float16", relative_error, 1e-2)
        self.check(table.BLOCKS, program, "float32", relative_error, 2e-5)

    def check(self, rows, program, dtype, distance, bound):
        for name, expression, _ in rows:
            with self.subTest(name, dtype=dtype):
                if name not in OUTPUTS:
                    self.fail("not stored: run references/generate.py")
                got = computed(program.replace("DTYPE", dtype)
                               .replace("EXPRESSION", expression))
                self.assertLessEqual(distance(got, OUTPUTS[name]), bound)

    def test_every_stored_output_has_its_row(self):
        names = [name for name, _, _ in table.OPERATIONS + table.BLOCKS]
        self.assertEqual(sorted(names), sorted(OUTPUTS))

    def test_what_is_stored_is_small(self):
        size = sum(path.stat().st_size for path in STORED.glob("*.safetensors"))
        self.assertLess(size, 2_000_000)


if __name__ == "__main__":
    report.main()
