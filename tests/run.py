#!/usr/bin/env python3
"""Runs the test suites and adds up what they counted: the second half of ./test.

A suite is a function that yields a Result for each program it ran. A program that
crashes, that cannot be built, or whose exit status and count disagree is a
failure, whatever it counted.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

import python_env
import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fuzz"))
import fuzz

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
FUZZ_SECONDS = 20  # for each fuzz program

Result = collections.namedtuple("Result", "name passed failed skipped")


def run(*command, **env):
    """Runs a command with its output shown as it comes; returns (exit status, output)."""
    child = started(*command, **env)
    lines = []
    for line in child.stdout:
        lines.append(line)
        sys.stdout.write(line)
        sys.stdout.flush()
    return child.wait(), "".join(lines)


def started(*command, **env):
    return subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, **{key: str(value) for key, value in env.items()}})


def build(preset, *options, target="all"):
    """Configures and builds a preset with its tests; returns its folder, or None."""
    folder = ROOT / ("build" if preset == "release" else f"build-{preset}")
    cmake = ["cmake", "--preset", preset, "-DTL_BUILD_TESTS=ON", *options]
    if shutil.which("ccache"):
        cmake += [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache"
                  for language in ("CXX", "CUDA")]
    for command in (cmake, ["cmake", "--build", folder, "--target", target]):
        if run(*command)[0] != 0:
            return None
    return folder


def script(name, python=sys.executable, under=(), **env):
    """Runs a Python test script, under another command if one is named, and reads its
    closing line. What it says is shown in one piece, since others may run beside it."""
    child = started(*under, python, "-B", TESTS / name, **env)
    output = child.communicate()[0]
    status = child.returncode
    sys.stdout.write(output)
    sys.stdout.flush()
    found = report.SUMMARY.findall(output)
    label = " ".join([name, *(f"{key}={value}" for key, value in env.items())])
    if not found or (status != 0) != (int(found[-1][1]) > 0):
        print(f"FAILED {label}: exit status {status}")
        return Result(label, 0, 1, 0)
    return Result(label, *map(int, found[-1]))


def unit_tests(folder, under=(), **env):
    """Runs the test program of each room, under another command if one is named."""
    listing = subprocess.run(
        ["ctest", "--test-dir", folder, "--show-only=json-v1"],
        capture_output=True, text=True, check=True)
    for test in json.loads(listing.stdout)["tests"]:
        label = f"{folder.name}/tl_{test['name']}_test"
        with tempfile.TemporaryDirectory() as scratch:
            xml_file = pathlib.Path(scratch) / "result.xml"
            status, _ = run(*under, *test["command"], "--gtest_brief=1",
                            f"--gtest_output=xml:{xml_file}", **env)
            yield gtest_result(label, status, xml_file)


def gtest_result(label, status, xml_file):
    if not xml_file.exists():
        print(f"FAILED {label}: exit status {status}, no result written")
        return Result(label, 0, 1, 0)
    suites = xml.etree.ElementTree.parse(xml_file).getroot()
    total, failed, off = (int(suites.get(key, 0))
                          for key in ("tests", "failures", "disabled"))
    skipped = off + len(suites.findall(".//skipped"))
    if status != 0 and failed == 0:
        # The tests passed, then a sanitizer or a destructor objected.
        print(f"FAILED {label}: exit status {status}")
        failed, total = 1, total + 1
    return Result(label, total - failed - skipped, failed, skipped)


def cannot_build(preset):
    print(f"FAILED to build the preset {preset}")
    return Result(f"build {preset}", 0, 1, 0)


def tree_suite():
    for name in ("doors_test.py", "tree_test.py"):
        yield script(name)


def cuda_architecture():
    """What CUDA kernels are compiled for: the card that is here, else one kind, so
    that all of them are compiled at least once."""
    try:
        asked = subprocess.run(
            ["nvidia-smi", "--id=0", "--query-gpu=compute_cap",
             "--format=csv,noheader"], capture_output=True, text=True)
    except FileNotFoundError:
        return "90a-real"
    capability = asked.stdout.strip().replace(".", "")
    usable = capability.isdecimal() and int(capability) >= 75
    return f"{capability}-real" if usable else "90a-real"


def release_suite():
    folder = build("release", "-DTL_BUILD_BENCH=ON", "-DTL_CUDA=auto",
                   f"-DTL_CUDA_ARCHITECTURES={cuda_architecture()}")
    if not folder:
        yield cannot_build("release")
        return
    yield from unit_tests(folder)
    tl = folder / "tl"
    yield script("hardening_test.py", TL=tl)
    yield script("run_programs.py", TL=tl)
    yield script("install_test.py", BUILD=folder)
    yield script("crash_test.py", TL=tl)
    yield script("sandbox_test.py", TL=tl)
    yield script("long_run_test.py", TL=tl)
    yield script("interrupt_test.py", TL=tl)
    yield from command_tests(tl)


# Everything that is tested through the tl command, in each build.
COMMAND_TESTS = (
    "run_snippets.py", "references_test.py", "language_models_test.py", "embed_test.py",
    "lora_test.py", "sampling_test.py", "grammar_test.py", "tokenizers_test.py",
    "generate_test.py", "chat_test.py", "escapes_test.py", "perplexity_test.py",
    "bench_test.py", "coreml_weights_test.py", "coreml_predict_test.py",
    "coreml_operations_test.py")


def command_tests(tl, under=(), **env):
    yield from scripts([*COMMAND_TESTS, *interop_tests()], python_env.python_for("base"),
                       under, TL=tl, **env)


def interop_tests():
    return [path.relative_to(TESTS).as_posix()
            for path in sorted((TESTS / "interop").glob("*_test.py"))]


def scripts(names, python, under=(), **env):
    """Several at once: most of the time a script starts one short program after another."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda name: script(name, python, under, **env), names)


def asan_suite():
    # Clang here and GCC for the release, so that both compile every line.
    folder = build("asan", "-DCMAKE_CXX_COMPILER=clang++-16")
    if not folder:
        yield cannot_build("asan")
        return
    # A file that shrinks while it is mapped raises SIGBUS, which is ours to handle.
    strict = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:handle_sigbus=0",
              "UBSAN_OPTIONS": "print_stacktrace=1:handle_sigbus=0"}
    tl = folder / "tl"
    yield from unit_tests(folder, **strict)
    # The emulated GPU is in this build alone.
    yield script("run_programs.py", TL=tl, TL_EMULATED_GPU=1, **strict)
    for name in ("gpu_memory_test.py", "gpu_ahead_test.py"):
        yield script(name, python_env.python_for("base"), TL=tl, **strict)
    yield from command_tests(tl, **strict)


def tsan_suite():
    folder = build("tsan", "-DCMAKE_CXX_COMPILER=clang++-16")
    if not folder:
        yield cannot_build("tsan")
        return
    # Clang 16's ThreadSanitizer does not know the address space of kernels that
    # randomise more of it, such as Ubuntu 24.04's.
    fixed = ["setarch", "--addr-no-randomize"]
    allowed = subprocess.run([*fixed, "true"], capture_output=True).returncode == 0
    under = fixed if allowed else ()
    strict = {"TSAN_OPTIONS": "handle_sigbus=0"}
    yield from unit_tests(folder, under, **strict)
    yield script("run_programs.py", sys.executable, under, TL=folder / "tl", **strict)
    yield from command_tests(folder / "tl", under, **strict)


def fuzz_suite():
    folder = build("fuzz", target="tl_fuzz")
    if not folder:
        yield cannot_build("fuzz")
        return
    for name in fuzz.targets():
        yield fuzz_program(folder, name)


def fuzz_program(folder, name):
    """Runs a fuzz program for a while, and shows the input that it failed on."""
    # In memory, since the programs write a file for each input.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        scratch = pathlib.Path(scratch)
        running = fuzz.start(folder, name, scratch, FUZZ_SECONDS, "-seed=1",
                             "-verbosity=0")
        for line in running.stdout:
            sys.stdout.write(line)
        failed = int(running.wait() != 0)
        for path in scratch.glob("failed-*"):
            print(f"FAILED on this input: {path.read_bytes().hex()}")
    return Result(f"fuzz {name}", 1 - failed, failed, 0)


def full_suite():
    """With the PyTorch that PyPI has today: whether it still says what is stored,
    models of transformers, and the interop tests again."""
    python = python_env.python_for("full")
    tl = ROOT / "build" / "tl"
    yield script("references/regenerated_test.py", python)
    yield script("references/language_models/regenerated_test.py", python)
    yield script("references/sampling/regenerated_test.py", python)
    yield script("references/chat_templates/regenerated_test.py", python)
    yield script("references/coreml/regenerated_test.py",
                 python_env.python_for("coreml"))
    yield script("transformers_test.py", python, TL=tl)
    yield script("llama_cpp_test.py", python, TL=tl)
    yield from scripts(interop_tests(), python, TL=tl)


SUITES = {"tree": tree_suite, "release": release_suite, "asan": asan_suite,
          "tsan": tsan_suite, "fuzz": fuzz_suite, "full": full_suite}


def chosen_suites():
    parser = argparse.ArgumentParser(prog="./test", description="Runs the tests.")
    parser.add_argument("--fast", action="store_true",
                        help="the release build only, without sanitizers and fuzzing")
    parser.add_argument("--full", action="store_true",
                        help="also with a current PyTorch from PyPI (large)")
    parser.add_argument("suite", nargs="*",
                        help="only these: " + " ".join(SUITES))
    options = parser.parse_args()
    for name in options.suite:
        if name not in SUITES:
            parser.error(f"no suite '{name}'; there are {' '.join(SUITES)}")
    if options.suite:
        return options.suite
    names = ["tree", "release"]
    if not options.fast:
        names += ["asan", "tsan", "fuzz"]
    if options.full:
        names.append("full")
    return names


def main():
    os.chdir(ROOT)
    # A job in the background of a script is born deaf to Ctrl-C, and so would be
    # the programs whose handling of it is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = []
    for name in chosen_suites():
        started = time.monotonic()
        print(f"== {name}", flush=True)
        for result in SUITES[name]():
            results.append(result)
        print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
    print()
    for result in results:
        print("{1:6} passed {2:4} failed {3:4} skipped  {0}".format(*result))
    passed, failed, skipped = (sum(column) for column in zip(
        *(result[1:] for result in results)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
