#!/usr/bin/env python3
"""The doors between the rooms of src/ are those that CMakeLists.txt opens.

`tl_room(graph NEEDS ops tensor base)` is permission for src/graph/ to include
headers of those rooms and of its own; this test reads those lines and every
#include. NARROW below holds the arrows that cover one header only.
"""

import pathlib
import re
import unittest

import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
SOURCES = {".h", ".cc", ".cu", ".cuh", ".def"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)

# Highway's own headers are written with quotes: its macros include them again.
THIRD_PARTY = {"hwy"}
# A backend knows how it is called and what for, not who plans the calls.
CALLS = {"exec/backend.h", "exec/matmul_problem.h", "exec/window_problem.h", "exec/region.h"}
NARROW = {("kernel_tests", "exec"): {"exec/backend.h"},
          ("cpu", "exec"): CALLS, ("cuda", "exec"): CALLS}

# Not a room: tests that are compiled into those of each backend.
KERNEL_TESTS = "kernel_tests"


def rooms():
    """Room → the rooms it may include."""
    text = re.sub(r"#.*", "", (ROOT / "CMakeLists.txt").read_text())
    doors = {}
    for body in re.findall(r"\btl_room\(([^)]*)\)", text):
        words = body.split()
        needs = words[words.index("NEEDS") + 1:] if "NEEDS" in words else []
        if "LIBS" in needs:
            needs = needs[:needs.index("LIBS")]
        doors[words[0]] = set(needs)
    doors[KERNEL_TESTS] = doors["cpu"]
    return doors


def source_files():
    return sorted(p for p in SRC.rglob("*") if p.suffix in SOURCES)


def why_closed(doors, room, header, is_test):
    """Why `room` (a test of it, or not) may not include `header`; empty if it may."""
    target = header.split("/")[0]
    if target in THIRD_PARTY:
        return ""
    if "/" not in header or not (SRC / target).is_dir():
        return "an include is rooted at src/"
    if target == room or (target == KERNEL_TESTS and is_test):
        return ""
    if target not in doors[room]:
        return f"CMakeLists.txt has no door from {room} to {target}"
    allowed = NARROW.get((room, target))
    if allowed and header not in allowed:
        return f"{room} may include only {', '.join(sorted(allowed))} of {target}"
    return ""


class Doors(unittest.TestCase):
    def test_every_room_is_declared(self):
        folders = {p.name for p in SRC.iterdir()
                   if p.is_dir() and any(p.iterdir())}
        self.assertEqual(sorted(folders - set(rooms())), [])

    def test_the_doors_make_no_circle(self):
        doors = dict(rooms())
        while doors:
            free = [room for room, needs in doors.items()
                    if not needs & set(doors)]
            self.assertTrue(free, f"a circle among {sorted(doors)}")
            for room in free:
                del doors[room]

    def test_no_include_through_a_wall(self):
        doors = rooms()
        faults = []
        for path in source_files():
            room = path.relative_to(SRC).parts[0]
            for header in INCLUDE.findall(path.read_text()):
                why = why_closed(doors, room, header, "_test" in path.stem)
                if why:
                    faults.append(f"{path.relative_to(ROOT)}: {header}: {why}")
        self.assertEqual(faults, [])

    def test_only_backends_asks_what_was_compiled_in(self):
        macro = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\bTL_(?:WITH|HAVE)_\w+",
                           re.M)
        faults = [str(path.relative_to(ROOT)) for path in source_files()
                  if path.relative_to(SRC).parts[0] != "backends"
                  and macro.search(path.read_text())]
        self.assertEqual(faults, [])


if __name__ == "__main__":
    report.main()
