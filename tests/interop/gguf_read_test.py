#!/usr/bin/env python3
"""GGUF files that the `gguf` package writes, read by TensorLogic."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Kind
from safetensors.numpy import load_file

import compute  # finds the modules beside this folder
import report
import tl_command

SHARED = pathlib.Path(os.environ.get(
    "TL_SHARED_MODELS", tl_command.ROOT.parent / "shared" / "models"))

# What the package can pack; the others of its types are read from shared models.
PACKED = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.TQ1_0,
          Type.TQ2_0, Type.MXFP4]
# Plain types that both sides know, and what NumPy calls them.
PLAIN = [np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64]

NUMBERS = {
    Kind.UINT8: [0, 200], Kind.INT8: [-128, 127], Kind.UINT16: [0, 65535],
    Kind.INT16: [-32768, 5], Kind.UINT32: [0, 4294967295],
    Kind.INT32: [-2147483648, 3], Kind.UINT64: [0, 2 ** 63 - 1],
    Kind.INT64: [-2 ** 63, 2 ** 63 - 1], Kind.BOOL: [True, False],
    Kind.FLOAT64: [0.1, -1e300],
    # Read as the shortest decimals that they are.
    Kind.FLOAT32: [0.5, 1e-05],
}


class Files(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.rng = np.random.default_rng(5)

    def tl(self, *words):
        done = subprocess.run([tl_command.TL, *map(str, words)], cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def info(self, name):
        return json.loads(self.tl("info", "--json", name))

    def run_program(self, text):
        done = compute.run_program(text, self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def writer(self, name="m.gguf", arch="llama", **options):
        return gguf.GGUFWriter(self.folder / name, arch, **options)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Tensors(Files):
    def values_of(self, name):
        """The numbers that `tl` computes with, as float32."""
        self.run_program(f'let m = load_model("{name}", dtype: float32)\n'
                         "let out = model()\n"
                         "for name in m { out[name] = m[name] + 0 }\n"
                         'save_model(out, "out.safetensors")\n')
        return load_file(self.folder / "out.safetensors")

    def test_packed_types_have_the_values_of_the_package(self):
        writer, expected = self.writer(), {}
        for kind in PACKED:
            x = self.rng.standard_normal((3, 512), np.float32)
            packed = gguf.quants.quantize(x, kind)
            writer.add_tensor(kind.name, packed, raw_dtype=kind)
            expected[kind.name] = gguf.quants.dequantize(packed, kind)
        finish(writer)
        got = self.values_of("m.gguf")
        self.assertEqual(sorted(got), sorted(expected))
        for name, values in expected.items():
            np.testing.assert_array_equal(got[name], values, name)

    def test_plain_types_have_their_bits(self):
        writer, expected = self.writer(), {}
        for kind in PLAIN:
            x = (self.rng.standard_normal((3, 4, 5)) * 50).astype(kind)
            writer.add_tensor(x.dtype.name, x)
            expected[x.dtype.name] = x
        finish(writer)
        whole = (self.folder / "m.gguf").read_bytes()
        for tensor in self.info("m.gguf")["tensors"]:
            x = expected[tensor["name"]]
            self.assertEqual(tensor["shape"], list(x.shape))
            stored = whole[tensor["offset"]:tensor["offset"] + tensor["bytes"]]
            self.assertEqual(stored, x.tobytes())

    def test_every_alignment(self):
        for alignment in (8, 32, 256, 4096):
            with self.subTest(alignment):
                writer = self.writer()
                writer.add_custom_alignment(alignment)
                x = self.rng.standard_normal((2, 3), np.float32)
                for name in "ab":
                    writer.add_tensor(name, x)
                finish(writer)
                self.assertTrue((self.values_of("m.gguf")["b"] == x).all())

    def test_big_endian_is_named(self):
        finish(self.writer(endianess=gguf.GGUFEndian.BIG))
        done = tl_command.tl("info", self.folder / "m.gguf")
        self.assertEqual(done.returncode, 66)
        self.assertEqual(
            done.stderr, f"error: {self.folder}/m.gguf: is a big-endian GGUF file "
            "(version 3); only little-endian ones can be read\n")

    def test_split_files(self):
        writer = self.writer(split_max_tensors=2)
        x = {name: self.rng.standard_normal((2, 3), np.float32) for name in "abcde"}
        for name, values in x.items():
            writer.add_tensor(name, values)
        finish(writer)
        self.assertEqual(len(list(self.folder.glob("*.gguf"))), 3)
        for path in ("m-00001-of-00003.gguf", "."):
            got = self.values_of(path)
            for name, values in x.items():
                self.assertTrue((got[name] == values).all())


class Metadata(Files):
    def test_every_kind(self):
        writer, expected = self.writer(), {"general.architecture": "llama"}
        for kind, values in NUMBERS.items():
            for i, value in enumerate(values):
                key = f"{kind.name}.{i}"
                writer.add_key_value(key, value, kind)
                expected[key] = value
            writer.add_key_value(f"{kind.name}.array", values, Kind.ARRAY, kind)
            expected[f"{kind.name}.array"] = values
        texts = ["", "<s>", "a\"b\\\n", "żółw 🐢", "▁the"]
        writer.add_string("text", texts[2])
        writer.add_array("texts", texts)
        expected.update({"text": texts[2], "texts": texts})
        finish(writer)
        metadata = self.info("m.gguf")["metadata"]
        self.assertEqual(list(metadata), list(expected))
        self.assertEqual(metadata, expected)
        for key, value in expected.items():
            self.assertEqual(type(metadata[key]), type(value), key)

    def test_the_language_gives_numbers_texts_and_lists(self):
        writer = self.writer()
        writer.add_token_list(["<unk>", "<s>", "a"])
        writer.add_token_scores([0.0, -0.5, 0.1])
        writer.add_bool("flag", True)
        writer.add_float32("eps", 1e-5)
        writer.add_uint64("large", 2 ** 64 - 1)
        finish(writer)
        text = self.run_program(
            'm = load_model("m.gguf")\n'
            'print(m.metadata["tokenizer.ggml.tokens"])\n'
            'print(m.metadata["tokenizer.ggml.scores"])\n'
            'print(m.metadata["flag"], m.metadata["eps"], len(m.metadata))\n'
            'print("none" in m.metadata, m.config.vocab)\n'
            'print([m.metadata["large"]])\n')
        self.assertEqual(text, '["<unk>", "<s>", "a"]\n[0.0, -0.5, 0.1]\n'
                               "true 1e-05 6\nfalse 3\n"
                               '["18446744073709551615"]\n')


class Layouts(Files):
    """Against the package's own way there: llama.cpp's permutation, undone."""

    @staticmethod
    def permuted(x, heads):
        return (x.reshape(heads, 2, len(x) // heads // 2, *x.shape[1:])
                .swapaxes(1, 2).reshape(x.shape))

    def hf(self):
        self.run_program('let m = load_model("m.gguf", layout: "hf")\n'
                         'save_model(m, "hf.safetensors")\n')
        return load_file(self.folder / "hf.safetensors")

    def test_llama_is_what_it_was_before_it_was_permuted(self):
        writer = self.writer()
        writer.add_head_count(4)
        writer.add_head_count_kv(2)
        q, k = (self.rng.standard_normal((rows, 32), np.float32) for rows in (32, 16))
        bias = self.rng.standard_normal(16, np.float32)
        writer.add_tensor("blk.3.attn_q.weight", self.permuted(q, 4))
        writer.add_tensor("blk.3.attn_k.weight", self.permuted(k, 2))
        writer.add_tensor("blk.3.attn_k.bias", self.permuted(bias, 2))
        finish(writer)
        got = self.hf()
        attention = "model.layers.3.self_attn."
        self.assertEqual(len(got), 3)
        np.testing.assert_array_equal(got[attention + "q_proj.weight"], q)
        np.testing.assert_array_equal(got[attention + "k_proj.weight"], k)
        np.testing.assert_array_equal(got[attention + "k_proj.bias"], bias)

    def test_gemma_loses_the_one_of_its_norms(self):
        writer = self.writer(arch="gemma2")
        writer.add_head_count(4)
        norm = (np.arange(8) / 4).astype(np.float32)
        writer.add_tensor("blk.0.post_ffw_norm.weight", norm + 1)
        finish(writer)
        np.testing.assert_array_equal(
            self.hf()["model.layers.0.post_feedforward_layernorm.weight"], norm)


@unittest.skipUnless(SHARED.exists(), f"{SHARED} is not on this machine")
class Shared(Files):
    def test_real_files_have_what_the_package_reads(self):
        for path in sorted(SHARED.glob("gguf/*/*.gguf")):
            if "-of-" in path.name:
                continue
            with self.subTest(path.name):
                reader = gguf.GGUFReader(path)
                ours = self.info(path)
                self.assertEqual(
                    [(t["name"], t["shape"], t["type"]) for t in ours["tensors"]],
                    [(t.name, t.shape.tolist()[::-1], t.tensor_type.name)
                     for t in reader.tensors])
                self.assertEqual([t["offset"] for t in ours["tensors"]],
                                 [t.data_offset for t in reader.tensors])
                for key, value in ours["metadata"].items():
                    theirs = reader.fields[key].contents()
                    if reader.fields[key].types[-1] == Kind.FLOAT32:
                        value, theirs = (np.float32(x).tolist()
                                         for x in (value, theirs))
                    self.assertEqual(value, theirs, key)


if __name__ == "__main__":
    report.main()
