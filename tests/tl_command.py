"""Running the tl command from a test. TL in the environment names the binary;
without it, build/tl."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
TL = os.environ.get("TL") or str(ROOT / "build" / "tl")
# Far beyond what any test needs, under a sanitizer on a busy machine.
TIME_LIMIT = 300


def tl(*arguments, cwd=None, stdin=None, env=None):
    """Runs tl; the result has .returncode, .stdout and .stderr as text."""
    return subprocess.run(
        [TL, *map(str, arguments)], cwd=cwd, input=stdin or "",
        capture_output=True, text=True, errors="surrogateescape",
        timeout=TIME_LIMIT, env={**os.environ, **(env or {})})


def backends():
    """The backends this binary and machine have, from `tl version`."""
    version = tl("version")
    for line in version.stdout.splitlines():
        if line.startswith("backends:"):
            return line.removeprefix("backends:").replace(",", " ").split()
    raise RuntimeError(f"{TL} version names no backends: "
                       f"{version.stdout}{version.stderr}")


def same_lines(got, expected):
    """Whether two texts agree but for blanks at the ends of lines."""
    return ([line.rstrip() for line in got.splitlines()]
            == [line.rstrip() for line in expected.splitlines()])


def as_it_is_and_was_to_be(got, expected):
    return f"--- expected\n{expected.rstrip()}\n--- got\n{got.rstrip()}"
