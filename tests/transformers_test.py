#!/usr/bin/env python3
"""Models of Hugging Face's transformers, to GGUF and back. Part of ./test --full.

Each family is a small model of random weights that transformers made and saved. The
names in the .gguf are checked against the table of the `gguf` package, the order of
rows by a formula of NumPy, and the whole by transformers, which must compute the same
logits from the .gguf and from the folder that comes back.
"""

import os
import pathlib
import re
import tempfile
import unittest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

import report
import tl_command

SIZES = {"vocab_size": 160, "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 128}

# Of each family: its config, and the name of its architecture in GGUF.
FAMILIES = {
    "llama": (transformers.LlamaConfig(**SIZES, attention_bias=True), "llama"),
    "mistral": (transformers.MistralConfig(**SIZES), "llama"),
    "qwen2": (transformers.Qwen2Config(**SIZES), "qwen2"),
    "qwen3": (transformers.Qwen3Config(**SIZES, head_dim=32), "qwen3"),
    "gemma": (transformers.GemmaConfig(**SIZES, head_dim=32), "gemma"),
    "gemma2": (transformers.Gemma2Config(**SIZES, head_dim=32), "gemma2"),
    "gemma3_text": (transformers.Gemma3TextConfig(**SIZES, head_dim=32), "gemma3"),
    "phi3": (transformers.Phi3Config(**SIZES, pad_token_id=0), "phi3"),
    "gpt2": (transformers.GPT2Config(vocab_size=160, n_embd=64, n_layer=3, n_head=4,
                                     n_positions=128), "gpt2"),
    "mixtral": (transformers.MixtralConfig(**SIZES, num_local_experts=3), "llama"),
    "qwen2_moe": (transformers.Qwen2MoeConfig(
        **SIZES, num_experts=3, num_experts_per_tok=2, moe_intermediate_size=32,
        shared_expert_intermediate_size=48), "qwen2moe"),
    "qwen3_moe": (transformers.Qwen3MoeConfig(
        **SIZES, head_dim=32, num_experts=3, num_experts_per_tok=2,
        moe_intermediate_size=32, norm_topk_prob=True), "qwen3moe"),
}
PAIRED = ("llama", "mistral", "mixtral")
# What transformers does not read from a .gguf.
NOT_READ = ("gemma", "mistral", "mixtral")
NOT_READ_OF_GPT2 = ("vocab_size", "intermediate_size", "num_key_value_heads",
                    "max_position_embeddings")
TOKENS = torch.tensor([[1, 5, 9, 30, 2, 77, 159, 0]])


def make(config, dtype):
    """Random weights, none of them at the value that a fresh model has."""
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for values in model.parameters():
            values.add_(torch.randn(values.shape) * 0.2)
    return model.to(dtype)


def logits(model):
    with torch.no_grad():
        return model.eval()(TOKENS).logits


def logits_of(folder):
    return logits(transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32))


def pairs(rows, heads):
    """What llama.cpp's conversion does to the rows of q and k."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def stacked(tensors):
    """NumPy's arrays; those of all experts of a layer are one, named without number."""
    found = {}
    for name, tensor in tensors.items():
        found.setdefault(re.sub(r"\.experts\.\d+\.", ".experts.", name), {})[name] = (
            tensor.numpy())

    def number(name):
        return int(re.search(r"\.experts\.(\d+)\.", name).group(1))
    return {name: np.stack([parts[key] for key in sorted(parts, key=number)])
            if ".experts." in name else parts[name] for name, parts in found.items()}


class Travel(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def tl(self, *words):
        done = tl_command.tl(*words, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def there_and_back(self, family, dtype):
        """Leaves hf/, m.gguf and back/ in a new folder; returns the tensors of hf/."""
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
        make(FAMILIES[family][0], dtype).save_pretrained(self.folder / "hf")
        self.tl("convert", "hf", "m.gguf")
        (self.folder / "back").mkdir()
        self.tl("convert", "m.gguf", "back/model.safetensors", "--layout", "hf")
        return load_file(self.folder / "hf" / "model.safetensors")

    def check_gguf(self, family, tensors):
        """Names by the package's table, values by the formulas of llama.cpp."""
        config, architecture = FAMILIES[family]
        reader = gguf.GGUFReader(self.folder / "m.gguf")
        self.assertEqual(reader.fields["general.architecture"].contents(), architecture)
        found = {t.name: np.asarray(t.data) for t in reader.tensors}
        arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items()
                    if name == architecture)
        names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
        for name, values in stacked(tensors).items():
            theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
            heads = {"q_proj": config.num_attention_heads,
                     "k_proj": getattr(config, "num_key_value_heads", 0)}.get(
                         name.split(".")[-2])
            if heads and family in PAIRED:
                values = pairs(values, heads)
            if family.startswith("gemma") and "norm" in name:
                values = values + 1
            if name.endswith("shared_expert_gate.weight"):
                values = values[0]
            if family == "gpt2" and values.ndim == 2 and ".h." in name:
                values = values.T
            np.testing.assert_array_equal(found.pop(theirs), values, theirs)
        self.assertEqual(found, {})

    def check_back(self, tensors):
        back = load_file(self.folder / "back" / "model.safetensors")
        self.assertEqual(back.keys(), tensors.keys())
        for name, tensor in tensors.items():
            self.assertEqual(back[name].shape, tensor.shape, name)
            self.assertTrue(torch.equal(back[name].float(), tensor.float()), name)
        self.assertTrue(torch.equal(logits_of(self.folder / "back"),
                                    logits_of(self.folder / "hf")))

    def check_read_by_transformers(self, family):
        """Weights and sizes by what transformers knows of GGUF."""
        config = FAMILIES[family][0]
        theirs = transformers.AutoConfig.from_pretrained(self.folder,
                                                         gguf_file="m.gguf")
        for size in SIZES:
            if family == "gpt2" and size in NOT_READ_OF_GPT2:
                continue
            self.assertEqual(getattr(theirs, size), getattr(config, size), size)
        model = transformers.AutoModelForCausalLM.from_config(config)
        read = load_gguf_checkpoint(self.folder / "m.gguf", return_tensors=True,
                                    model_to_load=model)
        missing, unexpected = model.load_state_dict(read["tensors"], strict=False)
        self.assertEqual(unexpected, [])
        tied = ["lm_head.weight"] if config.tie_word_embeddings else []
        self.assertEqual(missing, tied)
        torch.testing.assert_close(logits(model), logits_of(self.folder / "hf"),
                                   rtol=1e-5, atol=1e-5)

    def test_weights_and_logits_come_back(self):
        for family in FAMILIES:
            # Gemma's norms are w + 1 in GGUF: that has too many digits for float32
            # but where w is of the type that Gemma is published in.
            dtypes = ([torch.bfloat16] if family.startswith("gemma")
                      else [torch.float32, torch.float16])
            for dtype in dtypes:
                with self.subTest(f"{family} {dtype}"):
                    self.check_back(self.there_and_back(family, dtype))

    def test_the_gguf_is_what_others_expect(self):
        for family in FAMILIES:
            with self.subTest(family):
                self.check_gguf(family, self.there_and_back(family, torch.float32))
                if family not in NOT_READ:
                    self.check_read_by_transformers(family)


if __name__ == "__main__":
    report.main()
