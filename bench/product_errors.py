#!/usr/bin/env python3
"""The table of docs/numerics.md: how far products on packed weights are from float64.

    $(python3 tests/python_env.py base) bench/product_errors.py [TL]

x [32, 4096] and w [1024, 4096] are normally distributed, w is packed to each type, and
the reference is float64 arithmetic on the float32 values of x and of what the `gguf`
package unpacks. Errors are root mean square, in percent of the root mean square of the
products: with one row of x and with 32 they are the same, so one is given.
"""

import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

TYPES = ["f16", "q8_0", "q6_k", "q5_k", "q5_0", "q4_k", "q4_0", "iq4_nl",
         "q3_k", "q2_k"]
PROGRAM = """
let x = load_model("x.safetensors", dtype: float32)["x"]
let w = load_model("w.gguf", dtype: float32)["w"]
let out = model()
out["exact"] = linear(x, w, exact: true)
out["int8"] = linear(x, w)
save_model(out, "y.safetensors")
"""


def relative(got, want):
    return 100 * np.sqrt(np.mean((got - want) ** 2) / np.mean(want ** 2))


def main():
    tl = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/tl").resolve())
    rng = np.random.default_rng(7)
    x = rng.standard_normal((32, 4096)).astype(np.float32)
    w = rng.standard_normal((1024, 4096)).astype(np.float32)
    print("| type | exact | int8 |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        save_file({"x": x}, folder / "x.safetensors")
        save_file({"w": w}, folder / "w.safetensors")
        (folder / "product.tl").write_text(PROGRAM)
        for name in TYPES:
            for command in (["convert", "w.safetensors", "w.gguf", "--type", name],
                            ["run", "product.tl"]):
                subprocess.run([tl, *command], cwd=folder, check=True)
            tensor = gguf.GGUFReader(folder / "w.gguf").tensors[0]
            unpacked = gguf.dequantize(tensor.data, tensor.tensor_type)
            want = x.astype(np.float64) @ unpacked.astype(np.float64).T
            got = load_file(folder / "y.safetensors")
            print(f"| {tensor.tensor_type.name} | {relative(got['exact'], want):.5f} % "
                  f"| {relative(got['int8'], want):.3f} % |")


if __name__ == "__main__":
    main()
