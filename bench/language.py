#!/usr/bin/env python3
"""Scalar loops, calls and list code in TensorLogic beside the same in CPython.

    bench/language.py [--tl build/tl] [--python python3.11] [--rounds 7]

Each pair is two programs that print the same; both run in turn, whole processes
with their start, and the best of the rounds counts. Prints a table in Markdown.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

PAIRS = {
    "start: print(1)": ("print(1)", "print(1)"),
    "calls: fib(27)": ("""\
function fib(n) {
    if n < 2 { return n }
    return fib(n - 1) + fib(n - 2)
}
print(fib(27))
""", """\
def fib(n):
    if n < 2: return n
    return fib(n - 1) + fib(n - 2)
print(fib(27))
"""),
    "3 M loop steps": ("""\
let total = 0
for i in 0..3000000 {
    total = total + i % 7
}
print(total)
""", """\
total = 0
for i in range(3000000):
    total = total + i % 7
print(total)
"""),
    "3 M steps of while": ("""\
let n = 0
let x = 0.0
while n < 3000000 {
    n += 1
    x = x * 0.5 + 1.0
}
print(x)
""", """\
n = 0
x = 0.0
while n < 3000000:
    n += 1
    x = x * 0.5 + 1.0
print(x)
"""),
    "1 M push, index, walk": ("""\
let v = []
for i in 0..1000000 { v.push(i) }
let total = 0
for i in 0..1000000 { total += v[i] }
for x in v { total += x }
print(total)
""", """\
v = []
for i in range(1000000): v.append(i)
total = 0
for i in range(1000000): total += v[i]
for x in v: total += x
print(total)
"""),
    "sieve below 1 M": ("""\
function sieve(n) {
    let composite = []
    for i in 0..n { composite.push(false) }
    let count = 0
    for i in 2..n {
        if not composite[i] {
            count += 1
            for j in range(i * i, n, i) { composite[j] = true }
        }
    }
    return count
}
print(sieve(1000000))
""", """\
def sieve(n):
    composite = []
    for i in range(n): composite.append(False)
    count = 0
    for i in range(2, n):
        if not composite[i]:
            count += 1
            for j in range(i * i, n, i): composite[j] = True
    return count
print(sieve(1000000))
"""),
    "200 k string appends": ("""\
let s = ""
for i in 0..200000 { s += str(i % 10) }
print(len(s))
""", """\
s = ""
for i in range(200000): s += str(i % 10)
print(len(s))
"""),
}


def run(command):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, done.stdout


def measure(tl, python, programs, rounds):
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        outputs = []
        for i, command in enumerate((tl, python)):
            seconds, output = run([*command, programs[i]])
            best[i] = min(best[i], seconds)
            outputs.append(output)
        if outputs[0] != outputs[1]:
            sys.exit(f"{programs[0]} prints {outputs[0]!r}, "
                     f"CPython {outputs[1]!r}")
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tl", default=str(ROOT / "build" / "tl"))
    parser.add_argument("--python", default="python3.11")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print("| program | tl | CPython | times as fast |")
    print("|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in PAIRS.items():
            programs = []
            for suffix, text in zip(("tl", "py"), texts):
                program = pathlib.Path(folder, f"program.{suffix}")
                program.write_text(text)
                programs.append(str(program))
            mine, theirs = measure([options.tl, "run"], [options.python],
                                   programs, options.rounds)
            print(f"| {name} | {mine * 1e3:.1f} ms | {theirs * 1e3:.1f} ms "
                  f"| {theirs / mine:.1f} |")


if __name__ == "__main__":
    main()
