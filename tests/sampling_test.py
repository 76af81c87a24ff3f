#!/usr/bin/env python3
"""The sampling functions of the language against what Hugging Face's transformers
left of the same rows (references/sampling): which logits are cut, that the others
stay as they are, and how often sample_token draws each token."""

import json
import pathlib
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

import report
import tl_command

STORED = json.loads((pathlib.Path(__file__).resolve().parent /
                     "references/sampling/cases.json").read_text())
ROWS = np.array(STORED["rows"], np.float32)
FILTERS = ("temperature", "top_k", "top_p", "min_p", "typical_p")
DRAWS = 4000


def run(program, inputs):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        save_file(inputs, scratch / "in.safetensors")
        (scratch / "program.tl").write_text(program)
        done = tl_command.tl("run", scratch / "program.tl",
                             scratch / "in.safetensors", scratch / "out.safetensors")
        assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
        return load_file(scratch / "out.safetensors")


def program(lines):
    return "\n".join(["let m = load_model(args()[0], dtype: float32)",
                      'let x = m["x"]', "let out = model()", *lines,
                      "save_model(out, args()[1])\n"])


class Filters(unittest.TestCase):
    def test_what_is_cut(self):
        cases = {}  # a call of one function, and what it leaves of each row
        for case in STORED["cases"]:
            options = case["options"]
            if len(options) == 1 and next(iter(options)) in FILTERS:
                [(name, value)] = options.items()
                cases.setdefault((name, value), {})[case["row"]] = case["tokens"]
        self.assertEqual(len(cases), 16)
        lines = [f'out["{name} {value}"] = {name}(x, {value})'
                 for name, value in cases]
        got = run(program(lines), {"x": ROWS})
        for (name, value), rows in cases.items():
            expected = np.full_like(ROWS, -np.inf)
            for row, tokens in rows.items():
                expected[row, tokens] = ROWS[row, tokens]
            if name == "temperature":
                expected /= np.float32(value)
            with self.subTest(name, value=value):
                result = got[f"{name} {value}"]
                self.assertEqual(result.dtype, np.float32)
                known = list(rows)
                np.testing.assert_allclose(result[known], expected[known],
                                           rtol=1e-6)

    def test_float16_stays_float16(self):
        got = run(program(['out["y"] = top_p(x.half(), 0.9)']), {"x": ROWS})["y"]
        self.assertEqual(got.dtype, np.float16)
        left = np.isfinite(got)
        self.assertTrue(0 < left.sum() < got.size)
        np.testing.assert_array_equal(got[left], ROWS.astype(np.float16)[left])


class Draws(unittest.TestCase):
    def test_sample_token_draws_by_probability(self):
        together = [c for c in STORED["cases"] if "top_p" in c["options"]
                    and len(c["options"]) > 2]
        self.assertEqual(len(together), 9)
        lines = ["let tokens = []"]
        for number, case in enumerate(together):
            options = dict(case["options"])
            arguments = "".join(f", {name}: {value}"
                                for name, value in options.items()
                                if name != "logit_bias")
            if "logit_bias" in options:
                pairs = ", ".join(f"{token}: {bias}" for token, bias
                                  in options["logit_bias"].items())
                arguments += f", logit_bias: {{{pairs}}}"
            lines += ["tokens.clear()", f'for i in 0..{DRAWS} {{',
                      f'  tokens.push(sample_token(x[{case["row"]}]{arguments},'
                      f" seed: i))", "}",
                      f'out["{number}"] = tensor(tokens, float32)']
        got = run(program(lines), {"x": ROWS})
        for number, case in enumerate(together):
            with self.subTest(case["options"], row=case["row"]):
                self.check_frequencies(got[str(number)].astype(int), case)

    def check_frequencies(self, drawn, case):
        counts = np.bincount(drawn, minlength=ROWS.shape[1])
        self.assertEqual(counts[case["tokens"]].sum(), DRAWS)
        expected = DRAWS * np.array(case["probabilities"])
        # One in 10,000 goes beyond four deviations of chi-square; seeds are fixed.
        chi = ((counts[case["tokens"]] - expected) ** 2 / expected).sum()
        degrees = len(expected) - 1
        self.assertLess(chi, degrees + 4 * np.sqrt(2 * degrees) + 1e-9)


if __name__ == "__main__":
    report.main()
