#!/usr/bin/env python3
"""What quantising costs, beside `gguf.quants.quantize` (NumPy) in the same run: from
memory to memory (build/bench_quantize), as NumPy does it, and by `tl convert`.

    $(python3 tests/python_env.py base) bench/quantize.py [TL] [--folder DIR] [--bytes N]

Makes a SafeTensors file of 2.2 GB of float16 in DIR (default: /dev/shm, so that no disk
is measured), converts it to each type and prints the bytes of float16 read per second,
for `tl convert` with start and writing included. NumPy quantises as much as it does in a few seconds, from
memory to memory, once before and once after; the ratio is to the better of the two.
"""

import argparse
import json
import pathlib
import statistics
import struct
import subprocess
import tempfile
import time

import gguf
import numpy as np

ROUNDS = 3
NUMPY_ROWS = 4096
COLUMNS = 4096
PACKAGE = ["q8_0", "q4_0", "q5_1"]
OTHERS = ["q4_k_m", "q6_k"]


def write_model(path, bytes_total):
    rows = bytes_total // (2 * COLUMNS) // 10
    bytes_each = rows * COLUMNS * 2
    header = {f"t{i}": {"dtype": "F16", "shape": [rows, COLUMNS],
                        "data_offsets": [i * bytes_each, (i + 1) * bytes_each]}
              for i in range(10)}
    text = json.dumps(header).encode()
    block = np.random.default_rng(1).standard_normal(1 << 22).astype(np.float16)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        left = 10 * bytes_each
        while left > 0:
            left -= out.write(block.tobytes()[:left])
    return 10 * bytes_each


def numpy_rate(name):
    kind = gguf.GGMLQuantizationType[name.upper()]
    x = np.random.default_rng(2).standard_normal((NUMPY_ROWS, COLUMNS))
    x = x.astype(np.float16)
    started = time.monotonic()
    gguf.quants.quantize(x, kind)
    return x.nbytes / (time.monotonic() - started)


def tl_rate(tl, source, target, name, bytes_total):
    times = []
    for _ in range(ROUNDS):
        target.unlink(missing_ok=True)
        started = time.monotonic()
        subprocess.run([tl, "convert", source, target, "--type", name], check=True)
        times.append(time.monotonic() - started)
    return bytes_total / statistics.median(times)


def memory_rate(tl, name):
    """Of the type alone: what bench_quantize, beside the command, prints."""
    done = subprocess.run([pathlib.Path(tl).resolve().parent / "bench_quantize",
                           name.upper()], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[1]) * 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tl", nargs="?", default="build/tl")
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--bytes", type=int, default=2_200_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = pathlib.Path(folder) / "m.safetensors"
        target = pathlib.Path(folder) / "m.gguf"
        total = write_model(source, options.bytes)
        for name in PACKAGE + OTHERS:
            before = numpy_rate(name) if name in PACKAGE else 0
            ours = tl_rate(options.tl, source, target, name, total)
            text = f"{name:8} tl convert {ours / 1e9:5.2f} GB/s of float16"
            if name in PACKAGE:
                alone = memory_rate(options.tl, name)
                theirs = max(before, numpy_rate(name))
                text += (f" ({ours / theirs:.0f} x NumPy)   in memory "
                         f"{alone / 1e9:5.2f} GB/s ({alone / theirs:.0f} x)   "
                         f"NumPy {theirs / 1e9:.3f} GB/s")
            print(text, flush=True)


if __name__ == "__main__":
    main()
