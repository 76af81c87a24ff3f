#!/usr/bin/env python3
"""Writes inputs.safetensors and what PyTorch computes from them, outputs.safetensors,
for every row of table.py:

    $(tests/python_env.py full) tests/references/generate.py

Inputs are float16, so that both sides start from the same numbers; PyTorch computes
in float32.
"""

import pathlib
import zlib

import numpy as np
from safetensors.torch import save_file
import torch
from torch import nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import table

HERE = pathlib.Path(__file__).resolve().parent
MODULES = {
    "post": lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
    "pre": lambda: nn.TransformerEncoderLayer(
        32, 4, 64, batch_first=True, norm_first=True, activation="gelu"),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(
        vocab_size=53, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(
        vocab_size=53, n_positions=16, n_embd=32, n_layer=2, n_head=4,
        bos_token_id=None, eos_token_id=None)),
}


def drawn(name, shape):
    """Uniform in [-2, 2], in whole 1024ths: exact in float16, and the same on every
    machine. Each name is its own seed, so that a new input changes no other."""
    numbers = np.random.RandomState(zlib.crc32(name.encode())).randint(
        -2048, 2049, tuple(shape))
    return torch.tensor(numbers).float() / 1024


def with_weights(name, module):
    """The module with drawn weights, and these by name. The weights of norms are
    about 1, all others small; none is 0 or 1, which would hide a lost one."""
    weights = {}
    for key, parameter in module.named_parameters():
        small = drawn(f"{name}.{key}", parameter.shape) / 8
        is_norm = parameter.dim() == 1 and key.endswith("weight")
        parameter.data = (small + 1 if is_norm else small).half().float()
        weights[f"{name}.{key}"] = parameter.data
    return module.eval(), weights


def sdpa(q, k, v, **options):
    """Of [.., seq, heads, dim], as TensorLogic has them."""
    q, k, v = (t.transpose(-3, -2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, **options).transpose(-3, -2)


def write(folder):
    torch.set_num_threads(1)  # the order of sums is then no matter of the machine
    inputs = {name: drawn(name, shape) for name, shape in table.INPUTS.items()}
    inputs |= {name: torch.tensor(x) for name, x in table.SPECIAL.items()}
    names = {"torch": torch, "F": F, "sdpa": sdpa, **inputs}
    names |= {name: torch.tensor(ids) for name, ids in table.INDICES.items()}
    for name, make in MODULES.items():
        names[name], weights = with_weights(name, make())
        inputs |= weights
    with torch.no_grad():
        outputs = {name: eval(expression, names)
                   for name, _, expression in table.OPERATIONS + table.BLOCKS}
    save(inputs, torch.float16, folder / "inputs.safetensors")
    save(outputs, torch.float32, folder / "outputs.safetensors")


def save(tensors, dtype, path):
    save_file({name: t.to(dtype).contiguous() for name, t in tensors.items()}, path)


if __name__ == "__main__":
    write(HERE)
