#!/usr/bin/env python3
"""What whole commands cost: time and resident memory of `tl` on large files.

    bench/commands.py [TL] [--folder DIR] [--bytes N]

Makes a SafeTensors file of 2.2 GB (F16, 200 tensors) and one header of 100,000
tensors and a sparse GGUF in DIR (a temporary folder), and prints medians beside the figures to reach.
`save_model` stands beside `cp --reflink=never --sparse=never` and fsync, alternating,
because a disk's speed varies by the minute.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import tempfile
import time

import coreml_files

ROUNDS = 7


def write_model(path, count, bytes_each):
    elements = bytes_each // 2
    header, at = {}, 0
    for i in range(count):
        header[f"layers.{i}.weight"] = {"dtype": "F16", "shape": [elements],
                                        "data_offsets": [at, at + 2 * elements]}
        at += 2 * elements
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        block = os.urandom(1 << 20)
        # Random bytes with the top exponent bit cleared are finite numbers.
        block = bytes(b & 0xBF if i % 2 else b for i, b in enumerate(block))
        left = at
        while left > 0:
            out.write(block[:min(left, len(block))])
            left -= len(block)


def write_gguf(path, bytes_total):
    """A sparse Q4_0 model of that size with a vocabulary of 32,000 tokens."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    def array(kind, items):
        return struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)

    tokens = [f"token{i}" for i in range(32_000)]
    values = {
        "general.architecture": struct.pack("<I", 8) + text("llama"),
        "tokenizer.ggml.tokens": array(8, [text(token) for token in tokens]),
        "tokenizer.ggml.scores": array(6, [struct.pack("<f", -i) for i in range(32_000)]),
        "tokenizer.ggml.token_type": array(5, [struct.pack("<i", 1)] * 32_000),
    }
    rows = bytes_total // 200 // (4096 // 32 * 18)
    bytes_each = rows * 4096 // 32 * 18
    padded = -(-bytes_each // 32) * 32
    with open(path, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, 200, len(values)))
        for key, value in values.items():
            out.write(text(key) + value)
        for i in range(200):
            out.write(text(f"blk.{i}.weight") + struct.pack("<IQQIQ", 2, 4096, rows, 2,
                                                            i * padded))
        out.truncate(-(-out.tell() // 32) * 32 + 200 * padded)


def measure(command):
    """Median seconds of a command."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def resident(tl, program, folder):
    """The most memory that a run of the program had resident, by its own account:
    what the parent is told includes the parent's, from before the exec."""
    status = folder / "status"
    subprocess.run([tl, "-e", f'{program}\nwrite_text("{status}", '
                    'read_text("/proc/self/status"))'],
                   stdout=subprocess.DEVNULL, check=True)
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(peak[1]) * 1024


def copy_and_sync(source, target):
    subprocess.run(["cp", "--reflink=never", "--sparse=never", source, target], check=True)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def timed(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def save_ratio(tl, model, folder):
    """`tl`'s save beside cp: the best of each, since what else the machine does only
    adds time. What loading costs is in it. They take turns at being first: the first
    to use memory that the host has to find pays for it."""
    program = folder / "save.tl"
    program.write_text(f'save_model(load_model("{model}"), "{folder}/saved.safetensors")\n')
    actions = {
        "copied": lambda: copy_and_sync(model, folder / "copied.safetensors"),
        "saved": lambda: subprocess.run([tl, "run", program], check=True),
    }
    best = dict.fromkeys(actions, float("inf"))
    for turn in range(ROUNDS):
        for name in sorted(actions, reverse=turn % 2 == 1):
            (folder / f"{name}.safetensors").unlink(missing_ok=True)
            os.sync()
            best[name] = min(best[name], timed(actions[name]))
    return best["copied"] / best["saved"], os.path.getsize(model) / best["saved"]


def row(work, got, reach):
    print(f"| {work} | {got} | {reach} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tl", nargs="?", default="build/tl")
    parser.add_argument("--folder")
    parser.add_argument("--bytes", type=int, default=2_200_000_000)
    options = parser.parse_args()
    tl = str(pathlib.Path(options.tl).resolve())
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        model, many = folder / "model.safetensors", folder / "many.safetensors"
        write_model(model, 200, options.bytes // 200)
        write_model(many, 100_000, 16)

        print("| work | got | reach |\n|---|---|---|")
        nothing = measure(["/bin/true"])
        row("`/bin/true`, what starting a process costs", f"{nothing * 1e3:.1f} ms", "-")
        seconds = measure([tl, "-e", "print(1)"])
        memory = resident(tl, "print(1)", folder)
        row("`tl -e 'print(1)'`", f"{seconds * 1e3:.1f} ms, {memory / 1e6:.1f} MB",
            "10 ms, 20 MB")
        inner = ('let t = time()\nlet m = load_model("%s")\nlet s = m["layers.7.weight"].shape\n'
                 'assert(time() - t < 10)\nwrite_text("%s/seconds", str(time() - t))'
                 % (model, folder))
        seconds = measure([tl, "-e", inner])
        memory = resident(tl, inner, folder)
        inside = float((folder / "seconds").read_text())
        row("`load_model` of 2.2 GB and a shape", f"{inside * 1e3:.2f} ms (process "
            f"{seconds * 1e3:.1f} ms), {memory / 1e6:.1f} MB", "5 ms, 25 MB")
        gguf = folder / "model.gguf"
        write_gguf(gguf, 640_000_000)
        shape = f'print(load_model("{gguf}")["blk.7.weight"].shape)'
        seconds = measure([tl, "-e", shape])
        memory = resident(tl, shape, folder)
        row("a shape of a 640 MB Q4_0 GGUF, 32,000 tokens",
            f"{seconds * 1e3:.1f} ms, {memory / 1e6:.1f} MB", "15 ms, 40 MB")
        seconds = measure([tl, "info", many])
        row("`tl info`, 100,000 tensors", f"{seconds * 1e3:.0f} ms", "150 ms")
        package, network = folder / "m.mlpackage", folder / "m.mlmodel"
        coreml_files.write_package(package, 50)
        coreml_files.write_network(network, 25)
        for path, what, reach in [(package, "package", "20 ms"),
                                  (network, "`.mlmodel`", "-")]:
            inner = (f'let t = time()\nlet m = load_model("{path}")\n'
                     f'write_text("{folder}/seconds", str(time() - t))')
            seconds = measure([tl, "-e", inner])
            inside = float((folder / "seconds").read_text())
            row(f"`load_model` of a CoreML {what} of 105 MB",
                f"{inside * 1e3:.2f} ms (process {seconds * 1e3:.1f} ms)", reach)
        ratio, rate = save_ratio(tl, model, folder)
        row("`save_model` of 2.2 GB beside cp + fsync",
            f"{100 * ratio:.0f} %, {rate / 1e9:.2f} GB/s", "90 %")


if __name__ == "__main__":
    main()
