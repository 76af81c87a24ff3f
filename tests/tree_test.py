#!/usr/bin/env python3
"""What the source tree may not hold: files too long to read, marks of unfinished
work, leftovers, generated files and paths of one person's machine."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGEST = 600
# A file may be longer with a reason, given here.
LONGER = {
    "src/interp/vm_loop.cc": "the machine's one inner loop, a short case per opcode",
}

TEXT = {".h", ".cc", ".cu", ".cuh", ".def", ".py", ".tl", ".md", ".txt", ".cmake",
        ".json", ".sh", ""}
# Read by searching rather than from top to bottom.
NO_LIMIT = {".md", ".json", ".txt"}
LEFTOVER = re.compile(r"\.(bak|orig|rej|swp|pyc|o|a|so|log|tmp)$|~$|(^|/)build[^/]*/")
# Spelt so that this file does not find itself.
MARK = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}~])/(?:ho" "me|ro" "ot|wo" r"rk)/\w+")


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True,
                             capture_output=True, text=True)
    return [name for name in listing.stdout.split("\0")
            if name and (ROOT / name).is_file()]


def text_files():
    for name in tracked_files():
        if pathlib.PurePath(name).suffix in TEXT:
            try:
                yield name, (ROOT / name).read_text()
            except UnicodeDecodeError:
                pass  # a binary without a suffix


def lines_matching(pattern):
    return [f"{name}:{number}: {line.strip()}"
            for name, text in text_files()
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)]


class Tree(unittest.TestCase):
    def test_no_file_is_too_long_to_read(self):
        faults = []
        for name, text in text_files():
            lines = text.count("\n")
            if (lines > LONGEST and name not in LONGER
                    and pathlib.PurePath(name).suffix not in NO_LIMIT):
                faults.append(f"{name}: {lines} lines, at most {LONGEST}")
        self.assertEqual(faults, [])

    def test_no_mark_of_unfinished_work(self):
        self.assertEqual(lines_matching(MARK), [])

    def test_no_leftover_or_generated_file(self):
        self.assertEqual([n for n in tracked_files() if LEFTOVER.search(n)], [])

    def test_no_path_of_one_machine(self):
        self.assertEqual(lines_matching(MACHINE_PATH), [])

    def test_headers_begin_with_what_they_own(self):
        faults = [name for name, text in text_files()
                  if name.startswith("src/") and name.endswith((".h", ".cuh"))
                  and not text.startswith("//")]
        self.assertEqual(faults, [])

    def test_the_figures_of_reliability_are_those_of_the_records(self):
        def check(root):
            done = subprocess.run([ROOT / "tools" / "reliability_report", "--check",
                                   "--root", root], capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr

        self.assertEqual(check(ROOT), (0, ""))
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            for name in ("fuzz/LEDGER.md", "tests/reliability", "docs"):
                source, copy = ROOT / name, scratch / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
            ledger = scratch / "fuzz" / "LEDGER.md"
            ledger.write_text(ledger.read_text() + "| more | 1 | 1.00 | 0 | today |\n")
            self.assertEqual(check(scratch), (1, "".join(
                f"docs/{language}/reliability.md: its figures are not those of the "
                "records; tools/reliability_report writes them\n"
                for language in ("en", "es"))))

    def test_scripts_can_be_run(self):
        faults = [name for name, text in text_files()
                  if text.startswith("#!") and not (ROOT / name).stat().st_mode & 0o100]
        self.assertEqual(faults, [])


if __name__ == "__main__":
    report.main()
