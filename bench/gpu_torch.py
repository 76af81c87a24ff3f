#!/usr/bin/env python3
"""What PyTorch reaches on the same card, for bench/gpu.sh: products, loading and
a chain of elementwise operations.

    bench/gpu_torch.py [FILE.safetensors ...]
"""

import os
import sys
import time

import safetensors.torch
import torch

ROUNDS = 10


def seconds(run, launches=10):
    """Of the quickest round."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        for _ in range(launches):
            run()
        end.record()
        torch.cuda.synchronize()
        best = min(best, begin.elapsed_time(end) / launches / 1000)
    return best


def products():
    for n in (4096, 8192):
        a, b = (torch.randn(n, n, device="cuda", dtype=torch.float16) for _ in range(2))
        time_taken = seconds(lambda: a @ b)
        print(f"torch F16 {n} x {n} x {n}: {2e-12 * n ** 3 / time_taken:.1f} TFLOP/s")
    for n in (4096, 11008):
        matrices = [torch.randn(n, 4096, device="cuda", dtype=torch.float16) for _ in range(16)]
        x = torch.randn(1, 4096, device="cuda", dtype=torch.float16)

        def all_of_them():
            for matrix in matrices:
                x @ matrix.T
        time_taken = seconds(all_of_them, 3) / len(matrices)
        print(f"torch F16 1 x {n} x 4096: {n * 4096 * 2 / time_taken * 1e-9:.0f} GB/s")


def chain():
    a, b, c = (torch.randn(256 << 20, device="cuda", dtype=torch.float16) for _ in range(3))
    taken = seconds(lambda: torch.nn.functional.silu(a) * b + c, 2)
    print(f"torch silu(a) * b + c, 256 M halves: {8 * (256 << 20) / taken * 1e-9:.0f} GB/s "
          "of the bytes a fused kernel moves")


def load(path):
    torch.zeros(1, device="cuda")
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        tensors = safetensors.torch.load_file(path, device="cuda")
        tensors = {name: x.half() for name, x in tensors.items()}
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begin)
    size = os.path.getsize(path)
    print(f"torch load {os.path.basename(path)} as float16: {size / best * 1e-9:.1f} GB/s")


if __name__ == "__main__":
    print("torch", torch.__version__, torch.cuda.get_device_name())
    products()
    chain()
    for file in sys.argv[1:]:
        load(file)
