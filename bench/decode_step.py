#!/usr/bin/env python3
"""What one new token of a language model costs beside arithmetic.

    $(tests/python_env.py base) bench/decode_step.py [--tl build/tl] [--rounds 5]

Models of a Llama's shape and depth, so narrow that their kernels have little to do,
packed as Q8_0; a loop of std.llama's forward() on one thread. The time of the kernels,
which `--profile` adds up, is taken off: what is left is the interpreter, building and
finding the graph, memory and the way to the kernels. Prints a table in Markdown.
"""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import tiny_llama  # noqa: E402

WARM, STEPS = 50, 3000

PROGRAM = f"""\
import std.llama
let m = load_model(args()[0])
let cache = kv_cache(m, length: 64)
let sum = 0.0
function steps(count: int) {{
    for i in 0..count {{
        cache.truncate(i % 32)
        sum = sum + float(forward(m, [i % 250], cache)[0])
    }}
}}
steps({WARM})
let start = time()
steps({STEPS})
print(1e6 * (time() - start) / {STEPS}.0, sum)
"""

UNITS = {"us": 1, "ms": 1e3, "s": 1e6}


def run(tl, *arguments):
    return subprocess.run([tl, *arguments], check=True, text=True, capture_output=True)


def microseconds(tl, program, model):
    """Of a step: all of it, and its kernels."""
    words = ["run", "--threads", "1"]
    whole = float(run(tl, *words, program, model).stdout.split()[0])
    table = run(tl, *words, "--profile", program, model).stderr
    time, unit = re.search(r"([\d.,]+) (\w+) .* all steps", table).groups()
    return whole, float(time.replace(",", "")) * UNITS[unit] / (WARM + STEPS)


def measure(tl, folder, layers, rounds):
    tiny_llama.write(folder / f"hf{layers}", np.random.default_rng(1), layers=layers)
    model = folder / f"{layers}.gguf"
    run(tl, "convert", folder / f"hf{layers}", model, "--type", "Q8_0")
    program = folder / "steps.tl"
    program.write_text(PROGRAM)
    times = [microseconds(tl, program, model) for _ in range(rounds)]
    whole, kernels = (statistics.median(column) for column in zip(*times))
    print(f"| {layers} | {whole:.0f} us | {kernels:.0f} us | "
          f"{whole - kernels:.0f} us |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tl", default=str(ROOT / "build" / "tl"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| layers | a step | its kernels | the rest |\n|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for layers in (22, 32):
            measure(options.tl, pathlib.Path(folder), layers, options.rounds)


if __name__ == "__main__":
    main()
