#!/usr/bin/env python3
"""The table of docs/en/gguf_quantization.md: what each file type costs and loses.

    $(python3 tests/python_env.py base) bench/quantization_errors.py [TL]

Sizes are of a Llama of 1.1 billion weights (22 layers, 2048 wide, 32 heads and 4 of K
and V, 5632 inside, vocabulary of 32,000), whose weights are zeros in a sparse file.
Errors are root mean square, in percent of the root mean square of the weights: of
normally distributed ones (1024 x 4096) and, where ../shared/models is there, of a
trained matrix.
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

TYPES = ["f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q5_1", "q5_0", "q4_k_m",
         "q4_k_s", "q4_1", "q4_0", "iq4_nl", "iq4_xs", "nvfp4", "q3_k_l", "q3_k_m",
         "q3_k_s", "q2_k", "q2_k_s"]
ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("TL_SHARED_MODELS", ROOT.parent / "shared/models"))
TRAINED = SHARED / "gguf" / "ktens-mnistmlp-64x512.gguf"


def llama_shapes():
    shapes = {"model.embed_tokens.weight": [32000, 2048], "model.norm.weight": [2048],
              "lm_head.weight": [32000, 2048]}
    for i in range(22):
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in {
            "self_attn.q_proj": [2048, 2048], "self_attn.k_proj": [256, 2048],
            "self_attn.v_proj": [256, 2048], "self_attn.o_proj": [2048, 2048],
            "mlp.gate_proj": [5632, 2048], "mlp.up_proj": [5632, 2048],
            "mlp.down_proj": [2048, 5632], "input_layernorm": [2048],
            "post_attention_layernorm": [2048]}.items()}
    return shapes


def write_zeros(path, shapes):
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + at)
    return at // 2


def main():
    tl = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/tl").resolve())
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)

        def convert(source, target, *options):
            subprocess.run([tl, "convert", folder / source, folder / target, *options],
                           check=True)

        weights = write_zeros(folder / "llama.safetensors", llama_shapes())
        kinds = {"normal": np.random.default_rng(1).standard_normal((1024, 4096))}
        if TRAINED.exists():
            tensors = {t.name: t for t in gguf.GGUFReader(TRAINED).tensors}
            kinds["trained"] = tensors["source.f32"].data.reshape(64, 512)
        for name, values in kinds.items():
            save_file({"w": values.astype(np.float32)}, folder / f"{name}.safetensors")
        print("| type | bits per weight | 1.1 billion weights |",
              " | ".join(f"error, {name}" for name in kinds), "|")
        print("|---|---|---|" + "---|" * len(kinds))
        for kind in TYPES:
            convert("llama.safetensors", "llama.gguf", "--type", kind)
            size = (folder / "llama.gguf").stat().st_size
            cells = [kind, f"{size * 8 / weights:.2f}", f"{size / 1e6:,.0f} MB"]
            for name, values in kinds.items():
                convert(f"{name}.safetensors", "w.gguf", "--type", kind)
                convert("w.gguf", "w.safetensors", "--type", "f32")
                back = load_file(folder / "w.safetensors")["w"].astype(np.float64)
                error = np.sqrt(np.mean((back - values) ** 2) / np.mean(values ** 2))
                cells.append(f"{100 * error:.3g} %")
            print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
