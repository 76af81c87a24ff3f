#!/usr/bin/env python3
"""Runs the programs of tests/programs/ and of examples/ on every backend.

    tests/run_programs.py [FILE.tl ...]

tests/programs/<area>/<behaviour>.tl says in comments what is to happen:

    // expect: LINE               the next line of standard output; a program's
                                  output is compared whole
    // expect nothing             it runs and prints nothing
    // expect warning: TEXT       standard error has `warning: ...TEXT`
    // expect error: TEXT         the checker stops it: exit 65, standard error
                                  has `error: TEXT`, nothing was printed
    // expect runtime error: TEXT `error: TEXT` after the expected output, exit 65
                                  or 66
    // expect exit: N             exit status N
    // args: ...                  arguments of the program
    // flags: ...                 flags of the command, before the file
    // command: test              another command than `run`
    // stdin: LINE                a line of standard input

A program that expects nothing is a failure. It runs in an empty folder where
`models` is the models/ of the source tree and `beside` the program's own folder.
Files in a folder called `imported` are for others to import.

Each examples/NAME.tl runs in the same way, from a copy of the top of the tree, and
must print examples/NAME.expected.
"""

import concurrent.futures
import os
import pathlib
import re
import shlex
import sys
import tempfile

import report
import tl_command

ROOT = tl_command.ROOT
PROGRAMS = ROOT / "tests" / "programs"
EXAMPLES = ROOT / "examples"
COMMENT = re.compile(
    r"//\s*(expect nothing|expect(?: [a-z]+)*|args|flags|command|stdin)(?::(.*))?$",
    re.M)
DIRECTIVES = {"expect", "expect nothing", "expect warning", "expect error",
              "expect runtime error", "expect exit", "args", "flags", "command",
              "stdin"}


class Expectation:
    """What the comments of one program ask for."""

    def __init__(self, text):
        found = {name: [] for name in DIRECTIVES}
        for match in COMMENT.finditer(text):
            name, rest = match.group(1), match.group(2)
            if name not in found:
                raise ValueError(f"unknown comment '// {name}:'")
            found[name].append((rest or "").removeprefix(" "))
        if not any(found[name] for name in DIRECTIVES if name.startswith("expect")):
            raise ValueError("it has no '// expect' comment")
        for name in ("expect error", "expect runtime error", "expect warning"):
            if "" in found[name]:
                raise ValueError(f"'// {name}:' says no text")
        self.output = "".join(line + "\n" for line in found["expect"])
        self.errors = found["expect error"]
        self.runtime_errors = found["expect runtime error"]
        self.warnings = found["expect warning"]
        self.args = shlex.split(" ".join(found["args"]))
        self.flags = shlex.split(" ".join(found["flags"]))
        self.command = (found["command"] or ["run"])[0].strip()
        self.stdin = "".join(line + "\n" for line in found["stdin"])
        if found["expect exit"]:
            self.exits = {int(found["expect exit"][0])}
        elif self.errors:
            self.exits = {65}
        else:
            self.exits = {65, 66} if self.runtime_errors else {0}

    def faults(self, done):
        """What is wrong with a finished run, one text each."""
        if done.returncode not in self.exits:
            wanted = " or ".join(map(str, sorted(self.exits)))
            yield f"exit status {done.returncode}, expected {wanted}"
        if not tl_command.same_lines(done.stdout, self.output):
            yield tl_command.as_it_is_and_was_to_be(done.stdout, self.output)
        for text in self.errors + self.runtime_errors:
            if f"error: {text}" not in done.stderr:
                yield f"standard error has no 'error: {text}'"
        for text in self.warnings:
            if not re.search("warning: .*" + re.escape(text), done.stderr):
                yield f"standard error has no warning '{text}'"


# What --device calls the backends.
DEVICES = {"cpu": "cpu", "cuda": "gpu"}


def run_program(path, backend):
    """The faults of one program on one backend, as one text."""
    expected = Expectation(path.read_text())
    with tempfile.TemporaryDirectory() as scratch:
        os.symlink(ROOT / "models", pathlib.Path(scratch) / "models")
        os.symlink(path.parent, pathlib.Path(scratch) / "beside")
        done = tl_command.tl(
            expected.command, "--device", DEVICES[backend], *expected.flags, path,
            *expected.args, cwd=scratch, stdin=expected.stdin)
    faults = list(expected.faults(done))
    return "\n".join(faults + [done.stderr] if faults else [])


def run_example(path, backend):
    expected = path.with_suffix(".expected").read_text()
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("models", "examples"):
            os.symlink(ROOT / name, pathlib.Path(scratch) / name)
        done = tl_command.tl("run", "--device", DEVICES[backend],
                             f"examples/{path.name}",
                             cwd=scratch)
    if done.returncode != 0:
        return f"exit status {done.returncode}\n{done.stderr}"
    if not tl_command.same_lines(done.stdout, expected):
        return tl_command.as_it_is_and_was_to_be(done.stdout, expected)
    return ""


def check(out, path, backend):
    name = f"{path.relative_to(ROOT)} on {backend}"
    run = run_example if path.parent == EXAMPLES else run_program
    try:
        why = run(path, backend)
    except Exception as error:  # a time-out, a bad comment, a missing .expected
        why = f"{type(error).__name__}: {error}"
    if why:
        out.failed(name, why)
    else:
        out.passed()


def main():
    out = report.Report()
    paths = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    paths = paths or sorted(PROGRAMS.rglob("*.tl")) + sorted(EXAMPLES.glob("*.tl"))
    paths = [p for p in paths if "imported" not in p.parts]
    backends = tl_command.backends()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in paths:
            for backend in backends:
                pool.submit(check, out, path, backend)
    sys.exit(out.finish())


if __name__ == "__main__":
    main()
