#!/usr/bin/env python3
"""Whether the language models of std/ compute what transformers computes, of small
models that hold every way to be wrong (references/language_models/): from SafeTensors
and from the GGUF that `tl convert` makes of them; a prompt at once, in pieces and token
by token, and further tokens one by one."""

import pathlib
import re
import sys
import tempfile
import unittest

STORED = pathlib.Path(__file__).resolve().parent / "references" / "language_models"
sys.path.insert(0, str(STORED))

import numpy as np
from safetensors.numpy import load_file, save_file

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

DECODERS = [name for name in zoo.MODELS if name not in zoo.ENCODERS]


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

    def run_program(self, text, *flags):
        (self.folder / "program.tl").write_text(text)
        return tl_command.tl("run", *flags, "program.tl", cwd=self.folder)

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
                    error = closeness.relative_error(
                        np.stack(list(rows.values())),
                        LOGITS[name][[zoo.SEEN.index(after) for after in rows]])
                    self.assertLessEqual(error, bound, way)

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

    def test_longrope_turns_all_positions_anew_when_a_text_becomes_long(self):
        """Tokens are read one by one from below the border to above it."""
        name, border = "phi3_long", 16
        done = self.run_program(f"""
import std.generate
let m = load_model("{name}", layout: "gguf", dtype: float32)
let ids = {zoo.tokens(name)}
let cache = kv_cache(m, length: 40)
let at = read_on(m, ids[:{border - 2}], {border - 2}, cache)
for n in {border - 1}..{border + 6} {{
    at = read_on(m, ids[:n], 1, cache)
    print(float(max(abs(at - logits(m, ids[:n])[-1]))) < 1e-4)
}}
let short = kv_cache(m, length: 40)
forward(m, ids[:12], short)
forward(m, ids[12:18], short)
""")
        self.assertEqual(done.stdout, "true\n" * 7)
        self.assertEqual(
            done.stderr.splitlines()[0],
            "error: panic: the cache holds 12 positions of a text of at most 16; with 6 "
            "more all of it must be read again, into an empty cache")

    def test_safetensors_in_float32(self):
        self.check(str, "float32", 1e-5)
        self.check_positions(str, "float32", 1e-5)

    def test_safetensors_in_float16(self):
        self.check(str, "float16", 5e-3)
        self.check_positions(str, "float16", 5e-3)

    def test_gguf_in_float32(self):
        self.check(self.converted, "float32", 1e-5)
        self.check_positions(self.converted, "float32", 1e-5)

    def test_gguf_in_float16(self):
        self.check(self.converted, "float16", 5e-3)
        self.check_positions(self.converted, "float16", 5e-3)

    def test_none_of_its_tensors_is_missing_unnoticed(self):
        for name in zoo.MODELS:
            call = ("encode(m, [1, 2])" if name in zoo.ENCODERS else
                    "forward(m, [1, 2], kv_cache(m))")
            listed = self.run_program(
                f'for n in load_model("{name}", layout: "gguf") {{ print(n) }}\n')
            names = listed.stdout.split()
            self.assertEqual(len(names), len(zoo.MODELS[name]["tensors"]))
            for tensor in names:
                with self.subTest(name, tensor=tensor):
                    done = self.run_program(
                        "import std.language_model\n"
                        f'let m = load_model("{name}", layout: "gguf")\n'
                        f'm.remove("{tensor}")\n'
                        f"print({call})\n")
                    self.assertEqual(done.returncode, 66, done.stderr)
                    # Or of what it is a part, where nothing else of that is left.
                    part = tensor.rsplit(".", 1)[0]
                    self.assertRegex(done.stderr, (
                        rf"^error: '{name}' has no tensor "
                        rf"'({re.escape(tensor)}|{re.escape(part)})' among its "
                        rf"{len(names) - 1}(; nearest: .*)?\n"
                        rf"(note: at .*/std/\w+\.tl:\d+:\d+ in '\w+'\n)+"))

    def assert_panics(self, text, message):
        done = self.run_program("import std.language_model\n" + text)
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertTrue(done.stderr.startswith(f"error: panic: {message}\n"),
                        done.stderr)

    def test_an_architecture_without_a_page_is_named(self):
        zoo.write("llama", self.folder / "unknown")
        config = self.folder / "unknown" / "config.json"
        config.write_text(config.read_text().replace('"llama"', '"xyz"'))
        for call in ("forward(m, [1], kv_cache(m, length: 2))", "logits(m, [1])",
                     "encode(m, [1])", 'embed(m, "a")'):
            self.assert_panics(
                f'let m = load_model("unknown")\n{call}\n',
                "no page for architecture 'xyz': add std/xyz.tl and its line in "
                "std/language_model.tl")

    def test_a_model_that_does_not_say_what_it_is(self):
        self.assert_panics(
            "logits(model(), [1])\n",
            "the model does not say its architecture: GGUF says it, and config.json "
            "beside Hugging Face's weights")

    def test_the_names_of_hugging_face(self):
        for name in ("llama", "gemma3", "gpt2", "bert"):
            self.assert_panics(
                f'let m = load_model("{name}")\nencode(m, [1])\n',
                "the model has the names of Hugging Face; load_model(path, layout: "
                '"gguf") gives it those that std/ knows')

    def test_an_encoder_gives_no_logits(self):
        for call in ("forward(m, [1], kv_cache(m, length: 2))", "logits(m, [1])",
                     "hidden(m, [1], kv_cache(m, length: 2))"):
            self.assert_panics(
                f'let m = load_model("bert", layout: "gguf")\n{call}\n',
                "'bert' is an encoder, which gives no logits; see embed")

    def test_a_token_that_the_model_does_not_have(self):
        for name in ("llama", "bert"):
            call = "encode(m, ids)" if name == "bert" else "logits(m, ids)"
            for token in (200, -1):
                self.assert_panics(
                    f'let m = load_model("{name}", layout: "gguf")\n'
                    f"let ids = [1, {token}]\n{call}\n",
                    f"token {token} is not one of the 200 that the model has")

    def test_tokens_may_be_a_tensor(self):
        for name in DECODERS:
            done = self.run_program(f"""
import std.language_model
let m = load_model("{name}", layout: "gguf")
let ids = {zoo.tokens(name)[:5]}
let a = kv_cache(m, length: 8)
let b = kv_cache(m, length: 8)
assert_eq(forward(m, ids, a), forward(m, tensor(ids, dtype: "int32"), b))
let token = next_token(forward(m, ids[:1], a), seed: 3)
let c = a.copy()
assert_eq(forward(m, [int(token)], a), forward(m, token, c))
""")
            self.assertEqual(done.stderr, "", name)

    def test_a_tensor_that_is_no_tokens(self):
        for made, said in (("tensor([1.0, 2])", "float16 of shape [2]"),
                           ("zeros(1, 2, dtype: \"int32\")", "int32 of shape [1, 2]")):
            self.assert_panics(
                f'let m = load_model("llama", layout: "gguf")\n'
                f"forward(m, {made}, kv_cache(m))\n",
                f"a tensor of tokens is {said}; expected int32 of shape [n]")

    def scaled(self, name, scale):
        """What is added to the residual, times a power of two, which the norms take
        out again: a tied model gives its logits times that."""
        zoo.write(name, self.folder / f"{name}_scaled")
        weights = zoo.weights(name)
        for tensor in weights:
            if re.search("embed_tokens|o_proj|down_proj", tensor):
                weights[tensor] *= scale
        save_file({key: value.astype(np.float16) for key, value in weights.items()},
                  self.folder / f"{name}_scaled" / "model.safetensors")

    def test_gemma_adds_up_in_float32(self):
        self.scaled("gemma", 2.0 ** 15)
        done = self.run_program(
            'import std.language_model\nlet m = load_model("gemma_scaled", '
            f'layout: "gguf")\nlet ids = {zoo.tokens("gemma")[:zoo.PROMPT]}\n'
            'let out = model()\nout["logits"] = to(logits(m, ids)[-1], float32)\n'
            'print(max(abs(embedded(m, ids))) > 65504)\n'
            'save_model(out, "out.safetensors")\n', "--check-finite")
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"), done.stderr)
        got = load_file(self.folder / "out.safetensors")["logits"]
        expected = LOGITS["gemma"][zoo.SEEN.index(zoo.PROMPT)] * 2.0 ** 15
        self.assertLessEqual(closeness.relative_error(got, expected), 5e-3)

    def test_check_finite_names_where_float16_ends(self):
        self.scaled("llama_tied", 2.0 ** 14)
        done = self.run_program(
            'import std.language_model\nlet m = load_model("llama_tied_scaled", '
            f'layout: "gguf")\nprint(logits(m, {zoo.tokens("llama_tied")[:8]}))\n',
            "--check-finite")
        self.assertEqual((done.returncode, done.stdout), (65, ""))
        # Where the residual is added, which is done in the product's kernel.
        adding = [i for i, line in enumerate(
            (tl_command.ROOT / "std" / "llama.tl").read_text().splitlines(), 1)
            if "x + " in line]
        found = re.fullmatch(
            r"error: matmul made \d+ inf and 0 NaN of 256 values out of finite operands\n"
            r"note: computed at .*/std/llama\.tl:(\d+):\d+\n"
            r"note: at program\.tl:3:1\n", done.stderr)
        self.assertIsNotNone(found, done.stderr)
        self.assertIn(int(found[1]), adding)

    def test_what_is_stored_is_small(self):
        size = sum(path.stat().st_size for path in STORED.iterdir() if path.is_file())
        self.assertLess(size, 2_000_000)


if __name__ == "__main__":
    report.main()
