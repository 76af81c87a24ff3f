#!/usr/bin/env python3
"""Files to measure a GPU with: GGUF models of Llama's shape with random weights,
and SafeTensors files of such weights.

    bench/gpu_models.py FOLDER gguf 1.1B q4_0      FOLDER/1.1B-q4_0.gguf
    bench/gpu_models.py FOLDER safetensors BF16    FOLDER/BF16.safetensors

Blocks of packed types are random bytes with scales of an ordinary size: nothing is
quantised, which would take minutes. Needs NumPy, and for GGUF the package gguf.
"""

import json
import pathlib
import struct
import sys

import numpy as np

# layers, width, width of the gated half, heads, heads of keys, tokens
SIZES = {"1.1B": (22, 2048, 5632, 32, 4, 32000), "7B": (32, 4096, 11008, 32, 32, 32000)}
RANDOM = np.random.default_rng(1)
# How much of a tensor is random; it is repeated.
TILE = 32 << 20


def halves(count, scale=0.02):
    return (RANDOM.standard_normal(count, np.float32) * scale).astype(np.float16)


def random_blocks(gguf, kind, size):
    """`size` bytes of blocks whose values are not far from 0.02."""
    kinds = gguf.GGMLQuantizationType
    block = gguf.GGML_QUANT_SIZES[kind][1]
    count = min(size, TILE) // block
    if kind == kinds.F16:
        return np.resize(halves(count).view(np.uint8), size)
    scale = {kinds.Q8_0: 3e-4, kinds.Q4_0: 5e-3, kinds.Q4_K: 1.5e-4, kinds.Q6_K: 2e-5}[kind]
    blocks = RANDOM.integers(0, 256, (count, block), dtype=np.uint8)
    scales = (RANDOM.uniform(0.5, 1, (count, 1)) * scale).astype(np.float16)
    at = 208 if kind == kinds.Q6_K else 0
    blocks[:, at:at + 2] = scales.view(np.uint8)
    if kind == kinds.Q4_K:  # and the minima
        blocks[:, 2:4] = (scales * np.float16(7)).view(np.uint8)
    return np.resize(blocks.reshape(-1), size)


def type_of(gguf, kind, name, layer, layers):
    """What llama.cpp's mixtures give a tensor."""
    kinds = gguf.GGMLQuantizationType
    if kind != "q4_k_m":
        return {"f16": kinds.F16, "q8_0": kinds.Q8_0, "q4_0": kinds.Q4_0}[kind]
    some = (layer < layers // 8 or layer >= 7 * layers // 8
            or (layer - layers // 8) % 3 == 2)
    better = name == "output" or (name in ("attn_v", "ffn_down") and some)
    return kinds.Q6_K if better else kinds.Q4_K


def write_gguf(path, size, kind):
    import gguf
    layers, dim, ffn, heads, kv_heads, vocab = SIZES[size]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(dim)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(dim // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocab)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>"]
                          + [f"<0x{i:02X}>" for i in range(256)]
                          + [f"w{i}" for i in range(vocab - 259)])
    writer.add_token_scores([0.0] * vocab)
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (vocab - 259))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)

    def add(name, rows, columns, layer=0):
        chosen = type_of(gguf, kind, name.split(".")[-1], layer, layers)
        elements, block = gguf.GGML_QUANT_SIZES[chosen]
        data = random_blocks(gguf, chosen, rows * columns // elements * block)
        if chosen == gguf.GGMLQuantizationType.F16:
            writer.add_tensor(f"{name}.weight", data.view(np.float16).reshape(rows, columns))
        else:
            writer.add_tensor(f"{name}.weight", data.reshape(rows, -1), raw_dtype=chosen)

    kv = dim // heads * kv_heads
    add("token_embd", vocab, dim)
    for layer in range(layers):
        for name, rows, columns in (
                ("attn_q", dim, dim), ("attn_k", kv, dim), ("attn_v", kv, dim),
                ("attn_output", dim, dim), ("ffn_gate", ffn, dim),
                ("ffn_up", ffn, dim), ("ffn_down", dim, ffn)):
            add(f"blk.{layer}.{name}", rows, columns, layer)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(dim, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(dim, np.float32))
    add("output", vocab, dim)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_safetensors(path, dtype):
    """Matrices of 1.1 billion weights in all."""
    rows, columns, count = 5632, 2048, 96
    width = {"F16": 2, "BF16": 2, "F32": 4}[dtype]
    header, at = {}, 0
    for i in range(count):
        header[f"w{i}"] = {"dtype": dtype, "shape": [rows, columns],
                           "data_offsets": [at, at + rows * columns * width]}
        at += rows * columns * width
    numbers = RANDOM.standard_normal(rows * columns, np.float32) * np.float32(0.02)
    if dtype == "BF16":
        data = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    else:
        data = numbers.astype(np.float16 if dtype == "F16" else np.float32)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # as the library does: what follows is aligned
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _ in range(count):
            file.write(data.tobytes())


def main():
    folder, form, *what = sys.argv[1:]
    path = pathlib.Path(folder) / f"{'-'.join(what)}.{form}"
    (write_gguf if form == "gguf" else write_safetensors)(path, *what)
    print(path)


if __name__ == "__main__":
    main()
