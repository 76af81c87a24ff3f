#!/usr/bin/env python3
"""GGUF files that TensorLogic writes, read by the `gguf` package."""

import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import tempfile
import time
import unittest

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file, save_file

import compute  # finds the modules beside this folder
import report
import tiny_llama
import tl_command

SHARED = pathlib.Path(os.environ.get(
    "TL_SHARED_MODELS", tl_command.ROOT.parent / "shared" / "models"))

# Where the package quantises, the bytes must be its own.
PACKAGE = [Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0,
           Type.TQ1_0, Type.TQ2_0, Type.MXFP4]
FILE_TYPES = ["f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k",
              "q2_k_s", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s",
              "q5_k_m", "q6_k", "iq4_nl", "iq4_xs", "tq1_0", "tq2_0", "mxfp4", "nvfp4"]


def numbers(rng, rows, columns):
    """Rows of many kinds: wide and narrow, of one sign, sparse, of ties and zeros."""
    kinds = [
        rng.standard_normal((rows, columns)),
        rng.standard_normal((rows, columns)) * 10 ** rng.uniform(-6, 3, (rows, 1)),
        rng.uniform(0, 1, (rows, columns)),
        -rng.uniform(0, 1, (rows, columns)),
        np.round(rng.standard_normal((rows, columns)) * 4) / 2,
        np.zeros((rows, columns)),
        rng.standard_normal((rows, columns)) * (rng.uniform(0, 1, (rows, columns)) < .1),
        rng.integers(-7, 8, (rows, columns)),
    ]
    return np.concatenate(kinds).astype(np.float32) + np.float32(0)


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8).ravel()


class Files(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.rng = np.random.default_rng(3)

    def tl(self, *words, ok=True, **options):
        done = subprocess.run([tl_command.TL, *map(str, words)], cwd=self.folder,
                              capture_output=True, text=True, **options)
        if ok:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def read(self, name):
        return {t.name: t for t in gguf.GGUFReader(self.folder / name).tensors}


class Writing(Files):
    def test_the_bytes_are_those_of_the_package(self):
        x = numbers(self.rng, 40, 512)
        save_file({"x": x}, self.folder / "x.safetensors")
        for kind in PACKAGE:
            # A file type has other types for some tensors; "x" is none of them.
            name = kind.name.lower()
            if kind == Type.MXFP4:
                continue  # of experts only, below
            with self.subTest(name):
                self.tl("convert", "x.safetensors", "x.gguf", "--type", name)
                tensor = self.read("x.gguf")["x"]
                self.assertEqual(tensor.tensor_type, kind)
                expected = gguf.quants.quantize(x, kind)
                np.testing.assert_array_equal(bits(tensor.data), bits(expected))

    def test_experts_in_mxfp4(self):
        x = numbers(self.rng, 4, 256).reshape(2, -1, 256)
        save_file({"x": x}, self.folder / "x.safetensors")
        self.tl("convert", "x.safetensors", "x.gguf", "--type", "mxfp4")
        tensor = self.read("x.gguf")["x"]
        self.assertEqual(tensor.tensor_type, Type.MXFP4)
        np.testing.assert_array_equal(bits(tensor.data),
                                      bits(gguf.quants.quantize(x, Type.MXFP4)))

    def test_from_float16_as_from_float32(self):
        x = numbers(self.rng, 16, 256).astype(np.float16)
        save_file({"x": x}, self.folder / "half.safetensors")
        self.tl("convert", "half.safetensors", "x.gguf", "--type", "q8_0")
        np.testing.assert_array_equal(
            bits(self.read("x.gguf")["x"].data),
            bits(gguf.quants.quantize(x.astype(np.float32), Type.Q8_0)))

    def test_both_decode_every_type_to_the_same_bits(self):
        tensors = {f"blk.{i}.{name}.weight":
                   self.rng.standard_normal((32, 256)).astype(np.float32)
                   for i in range(8)
                   for name in ("attn_v", "ffn_down", "attn_output", "attn_q")}
        tensors["output.weight"] = numbers(self.rng, 2, 256)
        tensors["narrow.weight"] = self.rng.standard_normal((8, 96)).astype(np.float32)
        save_file(tensors, self.folder / "m.safetensors")
        for name in FILE_TYPES:
            with self.subTest(name):
                self.tl("convert", "m.safetensors", "m.gguf", "--type", name)
                self.tl("convert", "m.gguf", "back.safetensors", "--type", "f32")
                back = load_file(self.folder / "back.safetensors")
                found = self.read("m.gguf")
                self.assertEqual(set(found), set(tensors))
                for tensor in found.values():
                    theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                    np.testing.assert_array_equal(
                        bits(theirs.reshape(back[tensor.name].shape)),
                        bits(back[tensor.name]), tensor.name)

    def test_the_error_is_no_more_than_ggmls(self):
        path = SHARED / "gguf" / "ktens-mnistmlp-64x512.gguf"
        if not path.exists():
            self.skipTest(f"no {path}")
        theirs = {t.name: t for t in gguf.GGUFReader(path).tensors}
        source = theirs["source.f32"].data.reshape(64, 512)
        save_file({"x": source}, self.folder / "x.safetensors")
        kinds = {"q2_k": "q2_K", "q3_k_s": "q3_K", "q4_k_s": "q4_K", "q5_k_s": "q5_K",
                 "q6_k": "q6_K", "iq4_nl": "iq4_nl", "iq4_xs": "iq4_xs"}
        for file_type, name in kinds.items():
            self.tl("convert", "x.safetensors", "x.gguf", "--type", file_type)
            tensor = self.read("x.gguf")["x"]
            self.assertEqual(tensor.tensor_type, theirs[f"q.{name}"].tensor_type)
            ours = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            expected = theirs[f"dequant.{name}"].data

            def error(values):
                difference = values.reshape(64, 512).astype(np.float64) - source
                return np.sqrt(np.mean(difference ** 2))
            with self.subTest(name):
                self.assertLessEqual(error(ours), 1.02 * error(expected))

    def test_metadata_keep_their_kinds(self):
        writer = gguf.GGUFWriter(self.folder / "a.gguf", "llama")
        writer.add_uint8("x.u8", 200)
        writer.add_int64("x.i64", -1 << 40)
        writer.add_float32("x.f32", 0.1)
        writer.add_bool("x.bool", True)
        writer.add_array("x.texts", ["", "a", "\u00e9"])
        writer.add_array("x.numbers", [1.5, -0.0])
        writer.add_tensor("t", np.ones((2, 32), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        self.tl("convert", "a.gguf", "b.safetensors")
        self.tl("convert", "b.safetensors", "c.gguf")
        a, c = (gguf.GGUFReader(self.folder / name) for name in ("a.gguf", "c.gguf"))
        keys = [key for key in a.fields if not key.startswith("GGUF.")]
        self.assertEqual(set(keys), {k for k in c.fields if not k.startswith("GGUF.")})
        for key in keys:
            self.assertEqual(a.fields[key].types, c.fields[key].types, key)
            self.assertEqual(a.fields[key].contents(), c.fields[key].contents(), key)

    def test_split_files(self):
        tensors = {f"t{i}.weight": self.rng.standard_normal((64, 64)).astype(np.float32)
                   for i in range(6)}
        save_file(tensors, self.folder / "m.safetensors")
        self.tl("convert", "m.safetensors", "s.gguf", "--shard-size", "33KB")
        files = sorted(p.name for p in self.folder.glob("s-*.gguf"))
        self.assertEqual(files, [f"s-0000{i}-of-00003.gguf" for i in (1, 2, 3)])
        found = {}
        for number, name in enumerate(files):
            reader = gguf.GGUFReader(self.folder / name)
            self.assertEqual(reader.fields["split.no"].contents(), number)
            self.assertEqual(reader.fields["split.count"].contents(), 3)
            self.assertEqual(reader.fields["split.tensors.count"].contents(), 6)
            found |= {t.name: t.data for t in reader.tensors}
        for name, values in tensors.items():
            np.testing.assert_array_equal(found[name], values)
        self.tl("convert", files[0], "w.safetensors", "--shard-size", "33KB")
        shards = {}
        for path in self.folder.glob("w-*.safetensors"):
            shards |= load_file(path)
        for name, values in tensors.items():
            np.testing.assert_array_equal(shards[name], values)

    def test_nan_is_named_and_nothing_is_left(self):
        x = np.ones((4, 256), np.float32)
        x[2, 7] = np.nan
        save_file({"fine": np.ones((4, 256), np.float32), "x": x},
                  self.folder / "x.safetensors")
        done = self.tl("convert", "x.safetensors", "x.gguf", "--type", "q4_k", ok=False)
        self.assertEqual(done.returncode, 66)
        self.assertIn("tensor 'x': 1 of 1024 values are NaN or inf, which Q4_K cannot "
                      "hold", done.stderr)
        self.assertEqual(os.listdir(self.folder), ["x.safetensors"])

    def test_a_file_too_large_leaves_nothing(self):
        save_file({"x": np.ones((1024, 1024), np.float32)},
                  self.folder / "x.safetensors")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
            # The signal is what a full disk is not.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        done = self.tl("convert", "x.safetensors", "x.gguf", "--shard-size", "1MB",
                       ok=False, preexec_fn=limit)
        self.assertEqual(done.returncode, 66)
        self.assertIn("file too large", done.stderr.lower())
        self.assertEqual(os.listdir(self.folder), ["x.safetensors"])

    def test_a_full_disk_is_said_before_anything_is_written(self):
        free = os.statvfs(self.folder)
        if free.f_bavail * free.f_frsize > 1 << 40:
            self.skipTest("the disk is too large to ask for more than it has")
        # Zeros of a sparse file: a model larger than the disk.
        elements = (free.f_bavail * free.f_frsize // 2 + (1 << 30)) // 1024 * 1024
        header = ('{"x":{"dtype":"F16","shape":[%d,1024],"data_offsets":[0,%d]}}'
                  % (elements // 1024, elements * 2)).encode()
        with open(self.folder / "big.safetensors", "wb") as out:
            out.write(len(header).to_bytes(8, "little") + header)
            out.truncate(8 + len(header) + elements * 2)
        done = self.tl("convert", "big.safetensors", "x.gguf", "--type", "f32", ok=False)
        self.assertEqual(done.returncode, 66)
        self.assertTrue(re.search(r"x\.gguf: needs \d+ bytes, the disk has \d+ free",
                                  done.stderr), done.stderr)
        self.assertEqual(os.listdir(self.folder), ["big.safetensors"])

    def test_ctrl_c_leaves_nothing(self):
        save_file({"x": self.rng.standard_normal((8192, 2048)).astype(np.float32)},
                  self.folder / "x.safetensors")
        for delay in (0.05, 0.2):
            child = subprocess.Popen(
                [tl_command.TL, "convert", "x.safetensors", "x.gguf", "--type", "q2_k"],
                cwd=self.folder, stderr=subprocess.DEVNULL,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            time.sleep(delay)
            child.send_signal(signal.SIGINT)
            if child.wait() == 0:
                (self.folder / "x.gguf").unlink()
            self.assertEqual(os.listdir(self.folder), ["x.safetensors"])


def pairs(rows, heads):
    """What llama.cpp's conversion does to the rows of q and k."""
    parts = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return parts.swapaxes(1, 2).reshape(rows.shape)


class HuggingFace(Files):
    def make(self, **changes):
        self.source = self.folder / "hf"
        self.tensors, self.config = tiny_llama.write(self.source, self.rng, **changes)

    def test_a_llama_goes_there_and_back(self):
        self.make()
        self.tl("convert", "hf", "m.gguf")
        found = self.read("m.gguf")
        q = self.tensors["model.layers.1.self_attn.q_proj.weight"]
        k = self.tensors["model.layers.1.self_attn.k_proj.weight"]
        np.testing.assert_array_equal(found["blk.1.attn_q.weight"].data, pairs(q, 4))
        np.testing.assert_array_equal(found["blk.1.attn_k.weight"].data, pairs(k, 2))
        np.testing.assert_array_equal(
            found["blk.0.ffn_norm.weight"].data,
            self.tensors["model.layers.0.post_attention_layernorm.weight"]
            .astype(np.float32))
        fields = gguf.GGUFReader(self.folder / "m.gguf").fields
        for key, value in {"general.architecture": "llama", "llama.block_count": 2,
                           "llama.attention.head_count": 4,
                           "llama.attention.head_count_kv": 2,
                           "llama.rope.freq_base": 5000.0,
                           "llama.rope.dimension_count": 16}.items():
            self.assertEqual(fields[key].contents(), value, key)
        (self.folder / "back").mkdir()
        self.tl("convert", "m.gguf", "back/model.safetensors", "--layout", "hf")
        back = load_file(self.folder / "back" / "model.safetensors")
        self.assertEqual(set(back), set(self.tensors))
        for name, values in self.tensors.items():
            np.testing.assert_array_equal(back[name], values.astype(back[name].dtype))
        self.assertEqual(json.loads((self.folder / "back" / "config.json").read_text()),
                         self.config)

    def test_packed_weights_are_those_of_the_permuted_rows(self):
        self.make()
        self.tl("convert", "hf", "m.gguf", "--type", "q8_0")
        q = self.tensors["model.layers.0.self_attn.q_proj.weight"].astype(np.float32)
        np.testing.assert_array_equal(
            bits(self.read("m.gguf")["blk.0.attn_q.weight"].data),
            bits(gguf.quants.quantize(pairs(q, 4), Type.Q8_0)))
        (self.folder / "back").mkdir()
        self.tl("convert", "m.gguf", "back/model.safetensors", "--layout", "hf",
                "--type", "f32")
        back = load_file(self.folder / "back" / "model.safetensors")
        expected = gguf.quants.dequantize(gguf.quants.quantize(q, Type.Q8_0), Type.Q8_0)
        np.testing.assert_array_equal(back["model.layers.0.self_attn.q_proj.weight"],
                                      expected)

    def test_frequencies_of_llama_3(self):
        self.make(rope_scaling={"rope_type": "llama3", "factor": 8.0,
                                "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                "original_max_position_embeddings": 64})
        self.tl("convert", "hf", "m.gguf")
        found = self.read("m.gguf")["rope_freqs.weight"].data
        self.assertEqual(found.shape, (8,))
        expected = []
        for i in range(0, 16, 2):
            wave = 2 * np.pi * 5000.0 ** (i / 16)
            if wave < 64 / 4:
                expected.append(1)
            elif wave > 64:
                expected.append(8)
            else:
                smooth = (64 / wave - 1) / 3
                expected.append(1 / ((1 - smooth) / 8 + smooth))
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    def tokenizer(self, model, pre=None, normalizer=None):
        from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
        texts = ["the cat sat on the mat", "the dog ate the cat's hat"] * 8
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True)
                              if model == "llama" else models.BPE())
        if model == "llama":
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            special = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
            alphabet = []
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            special = ["<s>", "</s>"]
            alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
            vocab_size=290, special_tokens=special, initial_alphabet=alphabet))
        tokenizer.save(str(self.source / "tokenizer.json"))
        (self.source / "tokenizer_config.json").write_text(json.dumps(
            {"bos_token": "<s>", "eos_token": {"content": "</s>"},
             "add_bos_token": True, "chat_template": "{{ messages }}"}))
        return tokenizer

    def test_chat_templates_travel_both_ways(self):
        self.make()
        self.tokenizer("bytes")
        templates = [{"name": "default", "template": "{{ messages }}"},
                     {"name": "tool_use", "template": "tools: \"{{ tools }}\"\n"}]
        config = self.source / "tokenizer_config.json"
        named = {"bos_token": "<s>", "eos_token": {"content": "</s>"}}
        config.write_text(json.dumps(named | {"chat_template": templates}))
        self.tl("convert", "hf", "list.gguf")
        config.write_text(json.dumps(named))
        (self.source / "chat_template.jinja").write_text(templates[0]["template"])
        more = self.source / "additional_chat_templates"
        more.mkdir()
        (more / "tool_use.jinja").write_text(templates[1]["template"])
        self.tl("convert", "hf", "files.gguf")
        for name in ("list", "files"):
            with self.subTest(name):
                fields = gguf.GGUFReader(self.folder / f"{name}.gguf").fields
                got = {key: fields[key].contents() for key in fields
                       if key.startswith("tokenizer.chat_template")}
                self.assertEqual(got, {
                    "tokenizer.chat_template": templates[0]["template"],
                    "tokenizer.chat_template.tool_use": templates[1]["template"],
                    "tokenizer.chat_templates": ["tool_use"]})
                (self.folder / name).mkdir()
                self.tl("convert", f"{name}.gguf", f"{name}/model.safetensors",
                        "--layout", "hf")
                back = json.loads(
                    (self.folder / name / "tokenizer_config.json").read_text())
                self.assertEqual(back, {"bos_token": "<s>", "eos_token": "</s>",
                                        "chat_template": templates})

    def test_chat_templates_that_gguf_cannot_have(self):
        self.make()
        self.tokenizer("bytes")
        named = [{"name": name, "template": name} for name in ("tool_use", "tool-use")]
        no_text = ("'chat_template' of its tokenizer_config.json is neither a text nor a "
                   "list of {name, template}")
        for said, message in [
                (5, no_text), ([{"name": "default"}], no_text),
                (named, "two of its chat templates would be 'tool_use' in GGUF, which has "
                        "letters and digits only")]:
            with self.subTest(said=said):
                (self.source / "tokenizer_config.json").write_text(
                    json.dumps({"chat_template": said}))
                done = self.tl("convert", "hf", "no.gguf", ok=False)
                self.assertEqual(done.stderr, f"error: 'hf': {message}\n")

    def test_tokenizers_travel_both_ways(self):
        for model, name in (("llama", "llama"), ("bytes", "gpt2")):
            with self.subTest(name):
                if model != "llama":
                    self.folder = self.folder / "second"
                    self.folder.mkdir()
                self.make()
                tokenizer = self.tokenizer(model)
                self.tl("convert", "hf", "m.gguf")
                fields = gguf.GGUFReader(self.folder / "m.gguf").fields

                def get(key):
                    return fields[f"tokenizer.{key}"].contents()
                self.assertEqual(get("ggml.model"), name)
                tokens = get("ggml.tokens")
                self.assertEqual(len(tokens), 300)  # as many as the matrix has rows
                for token, number in tokenizer.get_vocab().items():
                    self.assertEqual(tokens[number], token)
                self.assertEqual(tokens[-1], "[PAD299]")
                self.assertEqual(tokens[get("ggml.bos_token_id")], "<s>")
                self.assertEqual(tokens[get("ggml.eos_token_id")], "</s>")
                self.assertEqual(get("chat_template"), "{{ messages }}")
                self.assertTrue(get("ggml.add_bos_token"))
                types = get("ggml.token_type")
                self.assertEqual(types[get("ggml.bos_token_id")], 3)
                if name == "gpt2":
                    self.assertEqual(get("ggml.pre"), "gpt-2")
                    merges = json.loads(tokenizer.to_str())["model"]["merges"]
                    self.assertEqual(get("ggml.merges"),
                                     [m if isinstance(m, str) else " ".join(m)
                                      for m in merges])
                (self.folder / "back").mkdir()
                self.tl("convert", "m.gguf", "back/model.safetensors", "--layout", "hf")
                self.assertEqual((self.folder / "back" / "tokenizer.json").read_bytes(),
                                 (self.source / "tokenizer.json").read_bytes())

    def test_an_unknown_family_is_named(self):
        self.make(model_type="rwkv")
        done = self.tl("convert", "hf", "m.gguf", "--layout", "gguf", ok=False)
        self.assertEqual(done.returncode, 66)
        self.assertIn("the layout of 'rwkv' in GGUF is not known here, only of llama, "
                      "mistral", done.stderr)
        done = self.tl("convert", "hf", "m.gguf")
        self.assertIn("note: m.gguf: the tensors keep their names, by which other "
                      "programs do not know them in GGUF: the layout of 'rwkv' in GGUF "
                      "is not known here, only of llama, mistral", done.stderr)
        self.assertIn("model.norm.weight", self.read("m.gguf"))
        self.assertEqual(self.tl("convert", "hf", "m.gguf", "--layout", "hf").stderr, "")

    def test_config_json_of_another_model_stays(self):
        self.make()
        self.tl("convert", "hf", "m.gguf")
        (self.folder / "config.json").write_text("{}")
        done = self.tl("convert", "m.gguf", "model.safetensors", "--layout", "hf",
                       ok=False)
        self.assertEqual(done.returncode, 66)
        self.assertIn("config.json: is there already", done.stderr)
        self.assertFalse((self.folder / "model.safetensors").exists())


if __name__ == "__main__":
    report.main()
