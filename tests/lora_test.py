#!/usr/bin/env python3
"""LoRA adapters merged by apply_lora: those that PEFT saved (references/lora) against the
logits that PEFT computes with them, the same as llama.cpp's GGUF adapters, and the
numbers of single tensors against float64."""

import json
import pathlib
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parent
STORED = TESTS / "references" / "lora"
sys.path.insert(0, str(TESTS / "references" / "language_models"))

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

import closeness
import report
import tl_command
import zoo

LOGITS = load_file(STORED / "logits.safetensors")
MODELS = {"biases": "llama_biases", "qkv": "phi3", "conv1d": "gpt2", "norms": "gemma2"}
CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}

PROGRAM = """
import std.language_model
let base = load_model("{model}", layout: "{layout}", dtype: float32)
let m = apply_lora(base, "{adapter}")
"""
FORWARD = """
let out = model()
out["logits"] = forward(m, {ids}, kv_cache(m, length: 20))
save_model(out, "out.safetensors")
"""


def model_of(adapter):
    return MODELS.get(adapter, "llama")


def pairs(rows, heads):
    """What llama.cpp's conversion does to the rows of q and k."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def write_gguf(path, tensors, arch="llama", alpha=None, keys=None):
    """As convert_lora_to_gguf.py writes an adapter."""
    writer = gguf.GGUFWriter(path, arch)
    for key, value in {"general.type": "adapter", "adapter.type": "lora",
                       **(keys or {})}.items():
        writer.add_string(key, value)
    if alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    for name, values in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def to_gguf(adapter, path):
    """An adapter of PEFT as llama.cpp's, for the names of the `gguf` package."""
    config = zoo.MODELS[model_of(adapter)]["config"]
    arch = {"llama": gguf.MODEL_ARCH.LLAMA, "phi3": gguf.MODEL_ARCH.PHI3,
            "gpt2": gguf.MODEL_ARCH.GPT2}[config["model_type"]]
    names = gguf.get_tensor_name_map(arch, 2)
    tensors = {}
    for key, values in load_file(STORED / adapter / "adapter_model.safetensors").items():
        if ".base_layer." in key:
            continue
        module, kind = key.removeprefix("base_model.model.").split(".lora_")
        heads = {"q_proj": config.get("num_attention_heads"),
                 "k_proj": config.get("num_key_value_heads")}.get(module.split(".")[-1])
        if heads and kind == "B.weight":
            values = pairs(values, heads)
        name = names.get_name(module + ".weight", try_suffixes=(".weight",))
        tensors[f"{name}.lora_{kind[0].lower()}"] = values
    settings = json.loads((STORED / adapter / "adapter_config.json").read_text())
    write_gguf(path, tensors, gguf.MODEL_ARCH_NAMES[arch], settings["lora_alpha"])


class Scratch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)

    def tl(self, *words):
        done = tl_command.tl(*words, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def run_program(self, text):
        (self.folder / "program.tl").write_text(text)
        return tl_command.tl("run", "program.tl", cwd=self.folder)

    def good(self, text):
        done = self.run_program(text)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fault(self, text):
        """The message of the error that a program ends with."""
        done = self.run_program(text)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        for line in done.stderr.splitlines():
            if "error: " in line:
                return line.split("error: ", 1)[1]
        self.fail(done.stderr)


class WholeModels(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in {model_of(adapter) for adapter in LOGITS}:
            zoo.write(name, cls.folder / name)

    def converted(self, name):
        if not (self.folder / f"{name}.gguf").exists():
            self.tl("convert", name, f"{name}.gguf")
        return f"{name}.gguf"

    def check(self, adapter, program):
        ids = zoo.tokens(model_of(adapter))[:zoo.PROMPT]
        self.good(program + FORWARD.format(ids=ids))
        got = load_file(self.folder / "out.safetensors")["logits"]
        self.assertLessEqual(closeness.relative_error(got, LOGITS[adapter]), 2e-5)

    def test_the_logits_are_those_of_peft(self):
        for adapter in LOGITS:
            base = model_of(adapter)
            for model in (base, self.converted(base)):
                with self.subTest(adapter, model=model):
                    self.check(adapter, PROGRAM.format(
                        model=model, layout="gguf", adapter=STORED / adapter))

    def test_the_names_of_hugging_face_are_as_good(self):
        for adapter in LOGITS:
            base = model_of(adapter)
            for model in (base, self.converted(base)):
                with self.subTest(adapter, model=model):
                    merged = self.folder / "merged"
                    merged.mkdir(exist_ok=True)
                    (merged / "config.json").write_text(
                        json.dumps(zoo.MODELS[base]["config"]))
                    self.good(PROGRAM.format(model=model, layout="hf",
                                             adapter=STORED / adapter)
                              + 'save_model(m, "merged/model.safetensors")\n')
                    self.check(adapter, 'import std.language_model\nlet m = load_model('
                               '"merged", layout: "gguf", dtype: float32)\n')

    def test_adapters_of_llama_cpp_are_the_same(self):
        for adapter in ("plain", "output", "qkv", "conv1d"):
            to_gguf(adapter, self.folder / "adapter.gguf")
            base = model_of(adapter)
            for model in (base, self.converted(base)):
                with self.subTest(adapter, model=model):
                    self.check(adapter, PROGRAM.format(model=model, layout="gguf",
                                                       adapter="adapter.gguf"))


    def test_the_embedding(self):
        """Of which both kinds of adapters store the halves in another way."""
        random = np.random.default_rng()
        weight = zoo.weights("llama")["model.embed_tokens.weight"]
        a, b = (random.standard_normal(shape).astype(np.float32)
                for shape in ((3, weight.shape[0]), (weight.shape[1], 3)))
        expected = weight + 2.0 * (b.astype(np.float64) @ a).T
        module = "base_model.model.model.embed_tokens.lora_embedding_"
        (self.folder / "adapter").mkdir()
        save_file({module + "A": a, module + "B": b},
                  self.folder / "adapter" / "adapter_model.safetensors")
        (self.folder / "adapter" / "adapter_config.json").write_text(
            json.dumps({**CONFIG, "r": 3, "lora_alpha": 6}))
        write_gguf(self.folder / "adapter.gguf", {
            "token_embd.weight.lora_a": a.T, "token_embd.weight.lora_b": b}, alpha=6)
        for adapter in ("adapter", "adapter.gguf"):
            for model in ("llama", self.converted("llama")):
                with self.subTest(adapter, model=model):
                    self.good(PROGRAM.format(model=model, layout="gguf", adapter=adapter)
                              + 'save_model(m, "out.gguf")\n')
                    got = {t.name: t.data for t in
                           gguf.GGUFReader(self.folder / "out.gguf").tensors}
                    np.testing.assert_allclose(got["token_embd.weight"], expected,
                                               rtol=1e-5, atol=1e-5)


def bfloat16(values):
    """Rounded to the nearest, halves to even, as the bits of it and as float32."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return bits.astype(np.uint16), (bits << 16).astype(np.uint32).view(np.float32)


def write_raw(path, tensors):
    """SafeTensors of types that NumPy has not: their name, and the bits as an array."""
    header, data = {}, b""
    for name, (dtype, bits) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(bits.shape),
                        "data_offsets": [len(data), len(data) + bits.nbytes]}
        data += bits.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


class Tensors(Scratch):
    """A model of any kind, here of single matrices, and adapters of PEFT on it."""

    def setUp(self):
        self.random = np.random.default_rng()
        self.adapter = self.folder / "adapter"
        self.adapter.mkdir(exist_ok=True)
        (self.folder / "model.gguf").unlink(missing_ok=True)

    def normal(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)

    def write(self, tensors, config=None):
        """The adapter, its keys without what all of PEFT's begin with."""
        save_file({"base_model.model." + key: values for key, values in tensors.items()},
                  self.adapter / "adapter_model.safetensors")
        text = json.dumps({**CONFIG, **(config or {})})
        (self.adapter / "adapter_config.json").write_text(text)

    def merged(self, model="model.safetensors", options="", load="", out="out.safetensors"):
        self.good(f'let m = load_model("{model}"{load})\n'
                  f'save_model(apply_lora(m, "adapter"{options}), "{out}")\n'
                  'save_model(m, "unchanged.safetensors")\n')
        return self.folder / out

    def test_sums_are_rounded_once_to_the_type_of_the_weight(self):
        # More than what is in memory at once.
        w = self.normal(2900, 3001)
        a, b = self.normal(2, 3001), self.normal(2900, 2)
        self.write({"fc.lora_A.weight": a, "fc.lora_B.weight": b})
        delta = 1.5 * b.astype(np.float64) @ a
        for dtype in (np.float32, np.float16):
            stored = w.astype(dtype)
            save_file({"fc.weight": stored, "fc.bias": w[0]},
                      self.folder / "model.safetensors")
            got = load_file(self.merged(options=", scale: 0.75"))
            expected = stored + delta
            self.assertEqual(got["fc.weight"].dtype, dtype)
            # Half a place, and what the sum in float32 is away from the exact one.
            place = np.spacing(np.abs(expected).astype(dtype)).astype(np.float64)
            error = np.abs(got["fc.weight"] - expected) - 1e-6 * (1 + np.abs(delta))
            self.assertLessEqual((error / place).max(), 0.5)
            np.testing.assert_array_equal(got["fc.bias"], w[0])
            before = load_file(self.folder / "unchanged.safetensors")
            np.testing.assert_array_equal(before["fc.weight"], stored)

    def test_bfloat16_stays_bfloat16(self):
        bits, values = bfloat16(self.normal(40, 24))
        write_raw(self.folder / "model.safetensors", {"fc.weight": ("BF16", bits)})
        # Sums that float32 holds, so that there is one right answer.
        a = self.random.integers(-4, 5, (2, 24)).astype(np.float32)
        b = self.random.integers(-4, 5, (40, 2)).astype(np.float32) / 8
        self.write({"fc.lora_A.weight": a, "fc.lora_B.weight": b})
        data = self.merged().read_bytes()
        self.assertIn(b'"BF16"', data)
        exact = values.astype(np.float64) + 2 * (b.astype(np.float64) @ a)
        expected, _ = bfloat16(exact.astype(np.float32))
        np.testing.assert_array_equal(
            np.frombuffer(data[-2 * bits.size:], np.uint16).reshape(bits.shape), expected)

    def test_a_weight_that_another_tensor_scales_is_refused(self):
        one = np.full((4, 6), 0x38, np.uint8)
        write_raw(self.folder / "model.safetensors", {
            "fc.weight": ("F8_E4M3", one), "fc.weight_scale": ("F32", self.normal(1))})
        ones = {"lora_A.weight": np.ones((2, 6), np.float32),
                "lora_B.weight": np.ones((4, 2), np.float32)}
        self.write({f"fc.{key}": values for key, values in ones.items()})
        self.assertEqual(
            self.fault('apply_lora(load_model("model.safetensors"), "adapter")\n'),
            "'model.safetensors': tensor 'fc.weight' is F8_E4M3, scaled as a "
            "whole by 'fc.weight_scale'; no adapter can be merged with it")
        write_raw(self.folder / "model.safetensors", {"fc.weight": ("F8_E4M3", one)})
        got = load_file(self.merged())["fc.weight"]
        np.testing.assert_array_equal(got, np.full((4, 6), 5, np.float16))

    def test_a_packed_weight_becomes_one_of_the_models_type(self):
        w = {name: self.normal(64, 256) for name in ("changed", "other")}
        for kind in ("Q8_0", "Q4_0"):
            packed = {name: gguf.quantize(values, gguf.GGMLQuantizationType[kind])
                      for name, values in w.items()}
            writer = gguf.GGUFWriter(self.folder / "model.gguf", "any")
            for name, values in packed.items():
                writer.add_tensor(f"{name}.weight", values,
                                  raw_dtype=gguf.GGMLQuantizationType[kind])
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            a, b = self.normal(2, 256), self.normal(64, 2)
            write_gguf(self.folder / "adapter.gguf", {
                "changed.weight.lora_a": a, "changed.weight.lora_b": b}, "any", 6)
            exact = gguf.dequantize(packed["changed"], gguf.GGMLQuantizationType[kind])
            exact = exact + 3 * (b.astype(np.float64) @ a)
            for load, dtype in (("", np.float16), (", dtype: float32", np.float32)):
                self.good(f'let m = load_model("model.gguf"{load})\n'
                          'm["token_embd.weight"] = zeros(1, 1)\n'
                          'save_model(apply_lora(m, "adapter.gguf"), "out.gguf")\n')
                got = {t.name: t for t in
                       gguf.GGUFReader(self.folder / "out.gguf").tensors}
                changed = got["changed.weight"].data
                self.assertEqual(changed.dtype, dtype)
                place = np.spacing(np.abs(exact).astype(dtype)).astype(np.float64)
                error = np.abs(changed - exact) - 1e-6 * (1 + np.abs(exact))
                self.assertLessEqual((error / place).max(), 0.5)
                self.assertEqual(got["other.weight"].tensor_type.name, kind)
                np.testing.assert_array_equal(got["other.weight"].data, packed["other"])

    def test_the_matrices_of_experts_are_changed_each_by_its_own(self):
        w, a, b = self.normal(3, 8, 6), self.normal(3, 2, 6), self.normal(3, 8, 2)
        name = "blk.0.ffn_up_exps.weight"
        writer = gguf.GGUFWriter(self.folder / "model.gguf", "any")
        writer.add_tensor(name, w)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        # Without an alpha the product is taken as it is.
        write_gguf(self.folder / "adapter.gguf",
                   {name + ".lora_a": a, name + ".lora_b": b}, "any")
        self.good('save_model(apply_lora(load_model("model.gguf"), "adapter.gguf"), '
                  '"out.gguf")\n')
        got = gguf.GGUFReader(self.folder / "out.gguf").tensors[0].data
        np.testing.assert_allclose(got, w + b.astype(np.float64) @ a, rtol=1e-5,
                                   atol=1e-5)

    def test_weights_that_are_stored_as_in_times_out(self):
        w = self.normal(6, 9)
        save_file({"fc.weight": w}, self.folder / "model.safetensors")
        a, b = self.normal(2, 6), self.normal(9, 2)
        tensors = {"fc.lora_A.weight": a, "fc.lora_B.weight": b}
        self.write(tensors, {"fan_in_fan_out": True})
        got = load_file(self.merged())["fc.weight"]
        np.testing.assert_allclose(got, w + 2.0 * (b.astype(np.float64) @ a).T,
                                   rtol=1e-5, atol=1e-5)
        self.write(tensors)
        program = 'apply_lora(load_model("model.safetensors"), "adapter")\n'
        file = "'adapter/adapter_model.safetensors': "
        module = "'base_model.model.fc.lora_"
        self.assertEqual(
            self.fault(program), f"{file}{module}B.weight' [9, 2] and {module}A.weight' "
            "[2, 6] make [out, in] = [9, 6], but 'fc.weight' of 'model.safetensors' is "
            "[6, 9]")
        self.write({**tensors, "fc.lora_magnitude_vector": w[0]},
                   {"fan_in_fan_out": True, "use_dora": True})
        self.assertEqual(
            self.fault(program), f"{file}DoRA of 'fc', whose weight is [in, out], is "
            'merged only into a model that is loaded with layout: "gguf"')

    def test_one_expert_of_a_layer(self):
        w = self.normal(3, 8, 6)
        writer = gguf.GGUFWriter(self.folder / "model.gguf", "llama")
        writer.add_expert_count(3)
        writer.add_head_count(2)
        writer.add_head_count_kv(2)
        writer.add_tensor("token_embd.weight", self.normal(5, 6))
        writer.add_tensor("blk.0.ffn_gate_exps.weight", w)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        a, b = self.normal(2, 6), self.normal(8, 2)
        module = "model.layers.0.block_sparse_moe.experts.1.w1"
        self.write({f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b})
        self.assertEqual(
            self.fault('apply_lora(load_model("model.gguf"), "adapter")\n'),
            f"'adapter/adapter_model.safetensors': changes '{module}.weight', one expert "
            "of 'blk.0.ffn_gate_exps.weight', where all of a layer are; load the model "
            'with layout: "hf"')
        got = load_file(self.merged("model.gguf", load=', layout: "hf"'))
        np.testing.assert_allclose(got[f"{module}.weight"],
                                   w[1] + 2.0 * b.astype(np.float64) @ a, rtol=1e-5,
                                   atol=1e-5)
        np.testing.assert_array_equal(got[module.replace("1.w1", "2.w1.weight")], w[2])

    def test_two_adapters_one_after_the_other(self):
        w = self.normal(8, 6)
        save_file({"fc.weight": w}, self.folder / "model.safetensors")
        a, b = self.normal(2, 6), self.normal(8, 2)
        self.write({"fc.lora_A.weight": a, "fc.lora_B.weight": b})
        self.good('let m = load_model("model.safetensors")\n'
                  'let once = apply_lora(m, "adapter")\n'
                  'let undone = apply_lora(once, "adapter", scale: -1)\n'
                  'save_model(once, "once.safetensors")\n'
                  'save_model(undone, "undone.safetensors")\n')
        once, undone = (load_file(self.folder / f"{name}.safetensors")["fc.weight"]
                      for name in ("once", "undone"))
        np.testing.assert_allclose(once, w + 2.0 * b.astype(np.float64) @ a, rtol=1e-5,
                                   atol=1e-5)
        np.testing.assert_allclose(undone, w, rtol=1e-5, atol=1e-5)


    def test_a_sum_that_its_type_does_not_hold_is_an_error(self):
        save_file({"a.weight": np.ones((3, 2), np.float16),
                   "b.weight": np.full((3, 2), 60000, np.float16)},
                  self.folder / "model.safetensors")
        ones = {f"{name}.lora_{half}.weight": np.ones(shape, np.float32)
                for name in "ab" for half, shape in (("A", (2, 2)), ("B", (3, 2)))}
        ones["b.lora_B.weight"][1] = 2000
        self.write(ones)
        # What was merged before it is not in the model, which goes on as it was.
        done = tl_command.tl("repl", cwd=self.folder, stdin=(
            'let m = load_model("model.safetensors")\n'
            'let merged = apply_lora(m, "adapter")\n'
            'print(m["a.weight"][0], m["b.weight"][1])\n'))
        self.assertIn("error: tensor 'b.weight': merged, 2 of 6 values are NaN or beyond "
                      "65504, the most that F16 holds\n", done.stderr)
        self.assertIn("[1., 1.] [60000., 60000.]\n", done.stdout)

    def test_what_it_is_called_with(self):
        save_file({"part.weight": self.normal(3, 2)}, self.folder / "model.safetensors")
        self.write({"part.lora_A.weight": self.normal(2, 2),
                    "part.lora_B.weight": self.normal(3, 2)})
        load = 'let m = load_model("model.safetensors")\n'
        for call, message in [
                ('apply_lora(m, "")', "apply_lora: 'path' is ''; expected the name of a file"),
                ('apply_lora(m, "none")', "none: no such file or directory"),
                ('apply_lora(m, "adapter", scale: 1e308 * 10)',
                 "apply_lora: 'scale' is inf; expected a number"),
                ('apply_lora(m, "adapter", scale: "1")',
                 "apply_lora: 'scale' is a string; expected a float"),
                ('apply_lora(m.part, "adapter")',
                 "apply_lora: <model model.safetensors part 'part': SafeTensors, 1 "
                 "tensors> is a part of a model; a whole model is needed"),
                ('apply_lora(3, "adapter")',
                 "apply_lora: 'model' is an int; expected a model"),
        ]:
            with self.subTest(call):
                self.assertEqual(self.fault(load + call + "\n"), message)


if __name__ == "__main__":
    report.main()
