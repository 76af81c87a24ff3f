#!/usr/bin/env python3
"""Whether the language models of std/ compute what transformers computes, of small
models that hold every way to be wrong (references/language_models/): from SafeTensors
and from the GGUF that `tl convert` makes of them; a prompt at once, in pieces and token
by token, and further tokens one by one."""

import pathlib
import sys
import tempfile
import unittest

STORED = pathlib.Path(__file__).resolve().parent / "references" / "language_models"
sys.path.insert(0, str(STORED))

import numpy as np
from safetensors.numpy import load_file

import closeness
import report
import tl_command
import zoo

LOGITS = load_file(STORED / "logits.safetensors")

PROGRAM = """
import std.language_model
let m = load_model("{path}", layout: "gguf", dtype: {dtype})
let ids = {ids}
let out = model()

function run(way: string, pieces: list) {{
    let cache = kv_cache(m, length: len(ids))
    let at = 0
    for n in pieces {{
        let x = forward(m, ids[at:at + n], cache)
        at = at + n
        if at in {seen} {{ out[format("{{}}.{{}}", way, at)] = to(x, float32) }}
    }}
}}

"""

# What each position of the prompt is in the end, and the vectors made of it.
POSITIONS = """
import std.language_model
let m = load_model("{path}", layout: "gguf", dtype: {dtype})
let out = model()
let ids = {ids}
out["hidden"] = encode(m, ids)
for pooling in ["mean", "cls", "last"] {{
    out[pooling] = text_vector(m, ids, pooling: pooling)
}}
out["default"] = text_vector(m, ids)
{more}
save_model(out, "out.safetensors")
"""

# A model of each page, whose tensors are taken away one by one.
DECODERS = [name for name in zoo.MODELS if name not in zoo.ENCODERS]
PAGES = ["llama", "llama_biases", "mistral", "qwen2", "qwen3", "gemma", "gemma2",
         "gemma3", "phi3", "gpt2", "bert"]


class LanguageModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        for name in zoo.MODELS:
            zoo.write(name, cls.folder / name)

    def tl(self, *words):
        done = tl_command.tl(*words, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def run_program(self, text):
        (self.folder / "program.tl").write_text(text)
        return tl_command.tl("run", "program.tl", cwd=self.folder)

    def ways(self, name):
        ones = [1] * zoo.STEPS
        ways = {"whole": [zoo.PROMPT, *ones],
                "pieces": [*zoo.CHUNKS_OF.get(name, zoo.CHUNKS), *ones]}
        if name not in zoo.CHUNKS_OF:
            ways["ones"] = [1] * zoo.PROMPT + ones
        return ways

    def computed(self, name, path, dtype):
        """Of each way, the logits by how many tokens they come after."""
        ways = self.ways(name)
        text = PROGRAM.format(path=path, dtype=dtype, ids=zoo.tokens(name),
                              seen=zoo.SEEN)
        text += "".join(f'run("{way}", {pieces})\n' for way, pieces in ways.items())
        done = self.run_program(text + 'save_model(out, "out.safetensors")\n')
        self.assertEqual(done.returncode, 0, done.stderr)
        found = {way: {} for way in ways}
        for key, values in load_file(self.folder / "out.safetensors").items():
            way, after = key.split(".")
            found[way][int(after)] = values
        return found

    def check(self, path_of, dtype, bound):
        for name in DECODERS:
            with self.subTest(name, dtype=dtype):
                for way, rows in self.computed(name, path_of(name), dtype).items():
                    self.assertGreater(len(rows), zoo.STEPS)
                    for after, got in rows.items():
                        expected = LOGITS[name][zoo.SEEN.index(after)]
                        error = closeness.relative_error(got, expected)
                        self.assertLessEqual(error, bound, f"{way}, after {after}")

    def check_positions(self, path_of, dtype, bound):
        for name in zoo.MODELS:
            with self.subTest(name, dtype=dtype):
                encoder = name in zoo.ENCODERS
                done = self.run_program(POSITIONS.format(
                    path=path_of(name), dtype=dtype, ids=zoo.tokens(name)[:zoo.PROMPT],
                    more="" if encoder else 'out["logits"] = logits(m, ids)'))
                self.assertEqual(done.returncode, 0, done.stderr)
                got = load_file(self.folder / "out.safetensors")
                for key, expected in self.expected_positions(name).items():
                    error = closeness.relative_error(got.pop(key), expected)
                    self.assertLessEqual(error, bound, key)
                if not encoder:
                    first = zoo.CHUNKS_OF.get(name, [1])[0]
                    rows = [at for at in zoo.SEEN if first <= at <= zoo.PROMPT]
                    error = closeness.relative_error(
                        got.pop("logits")[[at - 1 for at in rows]],
                        LOGITS[name][[zoo.SEEN.index(at) for at in rows]])
                    self.assertLessEqual(error, bound)
                self.assertEqual(got, {})

    def expected_positions(self, name):
        x = LOGITS[f"{name}.hidden"].astype(np.float64)
        made = {"mean": x.mean(axis=0), "cls": x[0], "last": x[-1]}
        made["default"] = made["mean" if name in zoo.ENCODERS else "last"]
        return {"hidden": x, **{key: v / np.linalg.norm(v) for key, v in made.items()}}

    def converted(self, name):
        if not (self.folder / f"{name}.gguf").exists():
            self.tl("convert", name, f"{name}.gguf")
        return f"{name}.gguf"

    def test_safetensors_in_float32(self):
        self.check(str, "float32", 1e-5)
        self.check_positions(str, "float32", 1e-5)

    def test_safetensors_in_float16(self):
        self.check(str, "float16", 7e-3)
        self.check_positions(str, "float16", 7e-3)

    def test_gguf_in_float32(self):
        self.check(self.converted, "float32", 1e-5)
        self.check_positions(self.converted, "float32", 1e-5)

    def test_gguf_in_float16(self):
        self.check(self.converted, "float16", 7e-3)
        self.check_positions(self.converted, "float16", 7e-3)

    def test_none_of_its_tensors_is_missing_unnoticed(self):
        for name in PAGES:
            page, call = (("bert", "encode(m, [1, 2])") if name in zoo.ENCODERS else
                          ("language_model", "forward(m, [1, 2], kv_cache(m))"))
            listed = self.run_program(
                f'for n in load_model("{name}", layout: "gguf") {{ print(n) }}\n')
            names = listed.stdout.split()
            self.assertEqual(len(names), len(zoo.MODELS[name]["tensors"]))
            for tensor in names:
                with self.subTest(name, tensor=tensor):
                    done = self.run_program(
                        f"import std.{page}\n"
                        f'let m = load_model("{name}", layout: "gguf")\n'
                        f'm.remove("{tensor}")\n'
                        f"print({call})\n")
                    self.assertNotEqual(done.returncode, 0)
                    kind = tensor.rsplit(".", 1)[1]
                    without = "" if kind == "weight" else f".{kind}"
                    self.assertIn(tensor.rsplit(".", 1)[0].split(".")[-1], done.stderr)
                    self.assertIn(without, done.stderr)

    def test_an_architecture_without_a_page_is_named(self):
        zoo.write("llama", self.folder / "unknown")
        config = self.folder / "unknown" / "config.json"
        config.write_text(config.read_text().replace('"llama"', '"xyz"'))
        done = self.run_program(
            'import std.language_model\nlet m = load_model("unknown")\n'
            "forward(m, [1], kv_cache(m, length: 2))\n")
        self.assertEqual(done.returncode, 65)
        self.assertIn("error: panic: no page for architecture 'xyz': add std/xyz.tl and "
                      "its line in std/language_model.tl\n", done.stderr)

    def test_an_encoder_gives_no_logits(self):
        done = self.run_program(
            'import std.language_model\nlet m = load_model("bert", layout: "gguf")\n'
            "forward(m, [1], kv_cache(m, length: 2))\n")
        self.assertEqual(done.returncode, 65)
        self.assertIn("error: panic: 'bert' is an encoder, which gives no logits; see "
                      "embed\n", done.stderr)

    def test_what_is_stored_is_small(self):
        size = sum(path.stat().st_size for path in STORED.iterdir() if path.is_file())
        self.assertLess(size, 2_000_000)


if __name__ == "__main__":
    report.main()
