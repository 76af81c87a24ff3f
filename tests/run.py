#!/usr/bin/env python3
"""Runs the test suites and adds up what they counted: the second half of ./test.

A suite is a function that yields a Result for each program it ran. A program that
crashes, that cannot be built, or whose exit status and count disagree is a
failure, whatever it counted.
"""

import argparse
import collections
import concurrent.futures
import functools
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

Result = collections.namedtuple("Result", "name passed failed skipped seconds")


def started(*command, **env):
    return subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, **{key: str(value) for key, value in env.items()}})


def run(*command, **env):
    """Runs a command and shows its output in one piece, since others may run beside it;
    returns (exit status, output, seconds)."""
    began = time.monotonic()
    child = started(*command, **env)
    output = child.communicate()[0]
    sys.stdout.write(output)
    sys.stdout.flush()
    return child.returncode, output, time.monotonic() - began


def side_by_side(jobs):
    """Several jobs at once, as many as there are processors: most tests are one thread,
    or start one short program after another. Yields what they return, in order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda job: job(), jobs)


def build(preset, *options, target="all"):
    """Configures and builds a preset with its tests; returns its folder, or None."""
    folder = ROOT / ("build" if preset == "release" else f"build-{preset}")
    cmake = ["cmake", "--preset", preset, "-DTL_BUILD_TESTS=ON", *options]
    if shutil.which("ccache"):
        cmake += [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache"
                  for language in ("CXX", "CUDA")]
    for command in (cmake, ["cmake", "--build", folder, "--target", target]):
        child = started(*command)
        for line in child.stdout:  # it takes minutes: as it comes
            sys.stdout.write(line)
            sys.stdout.flush()
        if child.wait() != 0:
            return None
    return folder


def script(name, python=sys.executable, under=(), **env):
    """Runs a Python test script, under another command if one is named, and reads its
    closing line."""
    status, output, seconds = run(*under, python, "-B", TESTS / name, **env)
    found = report.SUMMARY.findall(output)
    label = " ".join([name, *(f"{key}={value}" for key, value in env.items())])
    if not found or (status != 0) != (int(found[-1][1]) > 0):
        print(f"FAILED {label}: exit status {status}")
        return Result(label, 0, 1, 0, seconds)
    return Result(label, *map(int, found[-1]), seconds)


def scripts(names, python=sys.executable, under=(), **env):
    """A job for each script."""
    return [functools.partial(script, name, python, under, **env) for name in names]


def unit_tests(folder, under=(), **env):
    """A job for each room's test program, under another command if one is named."""
    listing = subprocess.run(
        ["ctest", "--test-dir", folder, "--show-only=json-v1"],
        capture_output=True, text=True, check=True)
    # First those of the backends, which take longest.
    tests = sorted(json.loads(listing.stdout)["tests"],
                   key=lambda test: test["name"] not in ("cpu", "cuda"))
    return [functools.partial(unit_test, f"{folder.name}/tl_{test['name']}_test",
                              (*under, *test["command"]), **env) for test in tests]


def unit_test(label, command, **env):
    with tempfile.TemporaryDirectory() as scratch:
        xml_file = pathlib.Path(scratch) / "result.xml"
        status, _, seconds = run(*command, "--gtest_brief=1",
                                 f"--gtest_output=xml:{xml_file}", **env)
        return gtest_result(label, status, xml_file, seconds)


def gtest_result(label, status, xml_file, seconds):
    if not xml_file.exists():
        print(f"FAILED {label}: exit status {status}, no result written")
        return Result(label, 0, 1, 0, seconds)
    suites = xml.etree.ElementTree.parse(xml_file).getroot()
    total, failed, off = (int(suites.get(key, 0))
                          for key in ("tests", "failures", "disabled"))
    skipped = off + len(suites.findall(".//skipped"))
    if status != 0 and failed == 0:
        # The tests passed, then a sanitizer or a destructor objected.
        print(f"FAILED {label}: exit status {status}")
        failed, total = 1, total + 1
    return Result(label, total - failed - skipped, failed, skipped, seconds)


def cannot_build(preset):
    print(f"FAILED to build the preset {preset}")
    return Result(f"build {preset}", 0, 1, 0, 0)


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
    tl = folder / "tl"
    yield from side_by_side(unit_tests(folder))
    # These measure time and memory, or stop programs at some moment: alone.
    for job in (*scripts(("hardening_test.py", "run_programs.py"), TL=tl),
                *scripts(("install_test.py",), BUILD=folder),
                *scripts(("crash_test.py", "sandbox_test.py", "long_run_test.py",
                          "interrupt_test.py"), TL=tl)):
        yield job()
    yield from side_by_side(command_tests(tl))


# Everything that is tested through the tl command, in each build.
COMMAND_TESTS = (
    "run_snippets.py", "references_test.py", "language_models_test.py", "embed_test.py",
    "lora_test.py", "sampling_test.py", "grammar_test.py", "tokenizers_test.py",
    "generate_test.py", "chat_test.py", "escapes_test.py", "perplexity_test.py",
    "bench_test.py", "coreml_weights_test.py", "coreml_predict_test.py",
    "coreml_operations_test.py")


def command_tests(tl, under=(), **env):
    return scripts([*COMMAND_TESTS, *interop_tests()], python_env.python_for("base"),
                   under, TL=tl, **env)


def interop_tests():
    return [path.relative_to(TESTS).as_posix()
            for path in sorted((TESTS / "interop").glob("*_test.py"))]


def asan_suite():
    # Clang here and GCC for the release, so that both compile every line.
    folder = build("asan")
    if not folder:
        yield cannot_build("asan")
        return
    # A file that shrinks while it is mapped raises SIGBUS, which is ours to handle.
    strict = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:handle_sigbus=0",
              "UBSAN_OPTIONS": "print_stacktrace=1:handle_sigbus=0"}
    tl = folder / "tl"
    base = python_env.python_for("base")
    yield from side_by_side([
        *unit_tests(folder, **strict),
        # The emulated GPU is in this build alone.
        *step_list_tests(folder, **strict),
        *scripts(("run_programs.py",), TL=tl, TL_EMULATED_GPU=1, **strict),
        *scripts(("gpu_memory_test.py", "gpu_ahead_test.py"), base, TL=tl, **strict),
        *command_tests(tl, **strict)])


def step_list_tests(folder, **env):
    """Jobs for lists of steps on the emulated GPU, one block far ahead of the others."""
    command = (folder / "tl_cuda_test", "--gtest_filter=StepList*")
    return [functools.partial(unit_test, f"{folder.name}/StepList* {order} block ahead",
                              command, TL_EMULATED_ORDER=order, **env)
            for order in ("first", "last")]


def tsan_suite():
    folder = build("tsan")
    if not folder:
        yield cannot_build("tsan")
        return
    # Clang 16's ThreadSanitizer does not know the address space of kernels that
    # randomise more of it, such as Ubuntu 24.04's.
    fixed = ["setarch", "--addr-no-randomize"]
    allowed = subprocess.run([*fixed, "true"], capture_output=True).returncode == 0
    under = fixed if allowed else ()
    strict = {"TSAN_OPTIONS": "handle_sigbus=0"}
    tl = folder / "tl"
    yield from side_by_side([
        *unit_tests(folder, under, **strict),
        *scripts(("run_programs.py",), sys.executable, under, TL=tl, **strict),
        *command_tests(tl, under, **strict)])


def fuzz_suite():
    folder = build(fuzz.PRESET, target="tl_fuzz")
    if not folder:
        yield cannot_build(fuzz.PRESET)
        return
    yield from side_by_side(functools.partial(fuzz_program, folder, name)
                            for name in fuzz.targets())


def fuzz_program(folder, name):
    """Runs a fuzz program for a while, and shows the input that it failed on."""
    began = time.monotonic()
    # In memory, since the programs write a file for each input.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        scratch = pathlib.Path(scratch)
        running = fuzz.start(folder, name, scratch, FUZZ_SECONDS, "-seed=1",
                             "-verbosity=0")
        sys.stdout.write(running.communicate()[0])
        failed = int(running.returncode != 0)
        for path in scratch.glob("failed-*"):
            print(f"FAILED on this input: {path.read_bytes().hex()}")
    return Result(f"fuzz {name}", 1 - failed, failed, 0, time.monotonic() - began)


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
    yield from side_by_side(scripts(interop_tests(), python, TL=tl))


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
        print("{1:6} passed {2:4} failed {3:4} skipped {4:5.0f} s  {0}".format(*result))
    passed, failed, skipped = (sum(column) for column in zip(
        *(result[1:4] for result in results)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
