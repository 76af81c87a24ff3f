#!/usr/bin/env python3
"""What whole commands cost: time and resident memory of `tl` on large files.

    bench/commands.py [TL] [--folder DIR] [--bytes N]

Makes a SafeTensors file of 2.2 GB (F16, 200 tensors) and one header of 100,000
tensors in DIR (a temporary folder), and prints medians beside the figures to reach.
`save_model` stands beside `cp --reflink=never --sparse=never` and fsync, alternating,
because a disk's speed varies by the minute.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import struct
import subprocess
import tempfile
import time

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


def measure(command):
    """Median seconds and the largest resident size in bytes."""
    seconds, resident = [], 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        assert status == 0, command
        resident = max(resident, usage.ru_maxrss * 1024)
    return statistics.median(seconds), resident


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
    """`tl`'s save beside cp, each round's ratio; what loading costs is in it."""
    program = folder / "save.tl"
    program.write_text(f'save_model(load_model("{model}"), "{folder}/saved.safetensors")\n')
    ratios, rates = [], []
    for _ in range(ROUNDS):
        for name in ("saved.safetensors", "copied.safetensors"):
            (folder / name).unlink(missing_ok=True)
        os.sync()
        cp = timed(lambda: copy_and_sync(model, folder / "copied.safetensors"))
        os.sync()
        save = timed(lambda: subprocess.run([tl, "run", program], check=True))
        ratios.append(cp / save)
        rates.append(os.path.getsize(model) / save)
    return statistics.median(ratios), statistics.median(rates)


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
        nothing, _ = measure(["/bin/true"])
        row("`/bin/true`, what starting a process costs", f"{nothing * 1e3:.1f} ms", "-")
        seconds, resident = measure([tl, "-e", "print(1)"])
        row("`tl -e 'print(1)'`", f"{seconds * 1e3:.1f} ms, {resident / 1e6:.1f} MB",
            "10 ms, 20 MB")
        inner = ('let t = time()\nlet m = load_model("%s")\nlet s = m["layers.7.weight"].shape\n'
                 'assert(time() - t < 10)\nwrite_text("%s/seconds", str(time() - t))'
                 % (model, folder))
        seconds, resident = measure([tl, "-e", inner])
        inside = float((folder / "seconds").read_text())
        row("`load_model` of 2.2 GB and a shape", f"{inside * 1e3:.2f} ms (process "
            f"{seconds * 1e3:.1f} ms), {resident / 1e6:.1f} MB", "5 ms, 25 MB")
        seconds, _ = measure([tl, "info", many])
        row("`tl info`, 100,000 tensors", f"{seconds * 1e3:.0f} ms", "150 ms")
        ratio, rate = save_ratio(tl, model, folder)
        row("`save_model` of 2.2 GB beside cp + fsync",
            f"{100 * ratio:.0f} %, {rate / 1e9:.2f} GB/s", "90 %")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
