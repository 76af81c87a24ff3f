#!/usr/bin/env python3
"""GGUF files that lie, in the ways that have broken other readers: refused with exit
status 66 and one line that names the file, in little memory, with nothing written."""

import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import raw_gguf as g
from raw_gguf import array, key, raw_gguf, tensor, text, u32, u64
import report
import tl_command

SHARED = pathlib.Path(os.environ.get(
    "TL_SHARED_MODELS", tl_command.ROOT.parent / "shared" / "models"))
DATA = bytes(32)
ONE = tensor("t", [8])
HUGE = 2 ** 64 - 1
# How much more memory a file that lies may take than one that does not.
MEMORY_SLACK_KB = 32 << 10
ADDRESS_STEP = 100 << 20


def with_keys(*keys):
    return raw_gguf(keys, [ONE], DATA)


def with_tensors(*tensors, data=DATA):
    return raw_gguf([], tensors, data)


REFUSED = [
    ("the magic alone", b"GGUF"),
    ("counts cut off", raw_gguf()[:20]),
    ("no version", raw_gguf(version=0)),
    ("a version to come", raw_gguf(version=4)),
    ("big-endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0)),
    ("2^64 - 1 keys", raw_gguf(key_count=HUGE)),
    ("2^64 - 1 tensors", raw_gguf(tensor_count=HUGE)),
    ("2^63 keys", raw_gguf(key_count=2 ** 63)),
    ("2^31 tensors", raw_gguf([], [ONE], DATA, tensor_count=2 ** 31)),
    # Times a record's size this wraps to little.
    ("a count of tensors that wraps", raw_gguf(tensor_count=2 ** 64 // 24 + 1)),
    ("a count of keys that wraps", raw_gguf(key_count=2 ** 64 // 16 + 1)),
    ("one key too many", raw_gguf([key("a", g.U8, b"\1")], key_count=2)),
    # Its length and the NUL behind it are 0 bytes.
    ("a key of 2^64 - 1 bytes", with_keys(text("a", HUGE) + u32(g.U8) + b"\1")),
    ("a key of 2^63 bytes", with_keys(text("a", 2 ** 63) + u32(g.U8) + b"\1")),
    ("a key of 2^30 bytes", with_keys(text("a", 2 ** 30) + u32(g.U8) + b"\1")),
    ("an empty key", with_keys(key("", g.U8, b"\1"))),
    ("a key twice", with_keys(*[key("a", g.U8, b"\1")] * 2)),
    ("a value of 2^64 - 1 bytes", with_keys(key("a", g.STRING, text("b", HUGE)))),
    ("a value of kind 13", with_keys(key("a", 13, u64(1)))),
    ("a value of kind 2^32 - 1", with_keys(key("a", 2 ** 32 - 1, u64(1)))),
    ("2^64 - 1 bytes in an array", with_keys(key("a", g.ARRAY, array(g.U8, HUGE)))),
    # Times 8 this is 0 and 8.
    ("2^61 u64 in an array", with_keys(key("a", g.ARRAY, array(g.U64, 2 ** 61)))),
    ("2^61 + 1 u64 in an array",
     with_keys(key("a", g.ARRAY, array(g.U64, 2 ** 61 + 1, u64(1))))),
    ("2^30 u64 in an array", with_keys(key("a", g.ARRAY, array(g.U64, 2 ** 30)))),
    ("2^60 strings in an array",
     with_keys(key("a", g.ARRAY, array(g.STRING, 2 ** 60, text("b"))))),
    ("2^30 strings in an array",
     with_keys(key("a", g.ARRAY, array(g.STRING, 2 ** 30, text("b"))))),
    ("a string of 2^64 - 1 bytes in an array",
     with_keys(key("a", g.ARRAY, array(g.STRING, 2, text("b") + text("", HUGE))))),
    ("an array of arrays",
     with_keys(key("a", g.ARRAY, array(g.ARRAY, 1, array(g.U8, 1, b"\1"))))),
    ("arrays nested 100,000 deep",
     with_keys(key("a", g.ARRAY, array(g.ARRAY, 1) * 100_000))),
    # 43 bytes.
    ("2^60 empty arrays in 43 bytes",
     raw_gguf([text("aaa") + u32(g.ARRAY) + u32(g.ARRAY) + b"\0\0\0\0"],
              alignment=1)[:43]),
    ("alignment 0", with_keys(key("general.alignment", g.U32, u32(0)))),
    ("alignment 3", with_keys(key("general.alignment", g.U32, u32(3)))),
    ("alignment 2^31", with_keys(key("general.alignment", g.U32, u32(2 ** 31)))),
    ("alignment 2^32 - 1", with_keys(key("general.alignment", g.U32, u32(2 ** 32 - 1)))),
    ("alignment as a u64", with_keys(key("general.alignment", g.U64, u64(2 ** 63)))),
    ("alignment as a string", with_keys(key("general.alignment", g.STRING, text("32")))),
    ("five dimensions", with_tensors(tensor("t", [8, 1, 1, 1, 1]))),
    ("2^32 - 1 dimensions",
     with_tensors(text("t") + u32(2 ** 32 - 1) + u64(8) + u32(0) + u64(0))),
    ("a dimension of 2^64 - 1", with_tensors(tensor("t", [HUGE]))),
    ("a dimension of 2^63", with_tensors(tensor("t", [2 ** 63]))),
    ("dimensions whose product is 0 in 64 bits",
     with_tensors(tensor("t", [2 ** 32, 2 ** 32]))),
    ("dimensions whose product is 8 in 64 bits",
     with_tensors(tensor("t", [2 ** 61 + 1, 8]))),
    ("elements that wrap in bytes", with_tensors(tensor("t", [2 ** 62 + 8]))),
    ("blocks that wrap in bytes",
     with_tensors(tensor("t", [2 ** 62], g.Q8_0_TYPE))),
    ("a row within a block", with_tensors(tensor("t", [31], g.Q4_0_TYPE))),
    # CVE-2026-7482: more than there is, to read what lies behind.
    ("a tensor larger than the file", with_tensors(tensor("t", [2 ** 20]))),
    ("a tensor one element too large", with_tensors(tensor("t", [9]))),
    ("all data missing", with_tensors(ONE, data=b"")),
    ("sizes whose sum wraps",
     with_tensors(tensor("a", [2 ** 60]), tensor("b", [2 ** 60], offset=2 ** 62),
                  tensor("c", [2 ** 60], offset=2 ** 63),
                  tensor("d", [8], offset=2 ** 63 + 2 ** 62))),
    ("a padding that wraps",
     with_tensors(tensor("a", [2 ** 63 - 1], 24), tensor("b", [8]))),
    ("an offset of 2^64 - 32", with_tensors(tensor("t", [8], offset=2 ** 64 - 32))),
    ("an offset of 2^63 - 32", with_tensors(tensor("t", [8], offset=2 ** 63 - 32))),
    ("an offset past the end", with_tensors(tensor("t", [8], offset=32))),
    ("an offset within a unit of alignment",
     with_tensors(tensor("t", [4], offset=4))),
    ("the same bytes twice", with_tensors(tensor("a", [8]), tensor("b", [8]))),
    ("an overlap", with_tensors(tensor("a", [16]), tensor("b", [8], offset=32),
                                data=DATA * 2)),
    ("a hole", with_tensors(tensor("a", [8]), tensor("b", [8], offset=64),
                            data=DATA * 3)),
    ("a tensor's name twice",
     with_tensors(ONE, tensor("t", [8], offset=32), data=DATA * 2)),
    ("a tensor's name of 64 bytes", with_tensors(tensor("t" * 64, [8]))),
    ("a tensor's name of 2^64 - 1 bytes",
     with_tensors(text("t", HUGE) + u32(1) + u64(8) + u32(0) + u64(0))),
    ("a zero byte in a tensor's name", with_tensors(tensor("t\0u", [8]))),
    ("65535 parts, none there",
     with_keys(key("split.count", g.U16, b"\xff\xff"), key("split.no", g.U16, b"\0\0"))),
    ("2^64 - 1 parts",
     with_keys(key("split.count", g.U64, u64(HUGE)), key("split.no", g.U16, b"\0\0"))),
]


def run(*words, folder):
    """The exit status, what was said, and the most memory that was used, in KB."""
    child = subprocess.Popen(
        [tl_command.TL, *words], cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with child.stdout, child.stderr:
        # Both are short, and the pipe holds them.
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said = child.stderr.read().decode(errors="replace")
    return child.returncode, said, used.ru_maxrss


class HostileGguf(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.path = self.folder / "m.gguf"
        self.path.write_bytes(with_tensors(ONE))
        # With that of this script, which a child begins with.
        self.memory = max(self.use(*words)[2] for words in self.commands())
        for out in self.folder.glob("out.*"):
            out.unlink()

    def commands(self):
        # A path that the checker does not know, so that the run opens it.
        program = 'print(load_model("m." + "gguf"))'
        yield "info", "m.gguf"
        yield "info", "--check", "m.gguf"
        yield "convert", "m.gguf", "out.safetensors"
        yield "convert", "m.gguf", "out.gguf", "--type", "q8_0"
        yield "-e", program

    def use(self, *words):
        return run(*words, folder=self.folder)

    def assert_refused(self, name):
        before = sorted(os.listdir(self.folder))
        for words in self.commands():
            with self.subTest(name, command=words):
                status, said, memory = self.use(*words)
                self.assertEqual(status, 66, said)
                errors = [line for line in said.splitlines() if "error: " in line]
                self.assertEqual(len(errors), 1, said)
                self.assertIn("m.gguf: ", errors[0])
                self.assertLess(len(errors[0]), 400)
                self.assertLess(memory, self.memory + MEMORY_SLACK_KB)
                self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_one_that_does_not_lie_is_read(self):
        for words in self.commands():
            with self.subTest(words):
                self.assertEqual(self.use(*words)[0], 0)
        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["m.gguf", "out.gguf", "out.safetensors"])

    def test_refused(self):
        for name, content in REFUSED:
            self.path.write_bytes(content)
            self.assert_refused(name)

    def test_an_alignment_of_2_to_the_31_is_not_written_again(self):
        # Without tensors it harms nobody, and as padding it would be 2 GB.
        self.path.write_bytes(
            raw_gguf([key("general.alignment", g.U32, u32(2 ** 31))]))
        status, said, memory = self.use("convert", "m.gguf", "out.gguf")
        self.assertEqual(status, 0, said)
        self.assertLess((self.folder / "out.gguf").stat().st_size, 1000)
        self.assertLess(memory, self.memory + MEMORY_SLACK_KB)

    def check_within(self, limit):
        """`tl info --check` with at most so many bytes of addresses."""
        return subprocess.run(
            [tl_command.TL, "info", "--check", "m.gguf"], cwd=self.folder,
            capture_output=True, text=True, errors="replace",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))

    def test_few_more_addresses_than_for_an_honest_file_are_enough(self):
        if {"ASAN_OPTIONS", "TSAN_OPTIONS"} & os.environ.keys():
            self.skipTest("a sanitizer keeps terabytes of addresses")
        # The libraries and the threads' stacks, which depend on the machine.
        limit = ADDRESS_STEP
        while self.check_within(limit).returncode != 0:
            limit += ADDRESS_STEP
            self.assertLess(limit, 1 << 40)
        for name, content in REFUSED:
            with self.subTest(name):
                self.path.write_bytes(content)
                done = self.check_within(limit + ADDRESS_STEP)
                self.assertEqual(done.returncode, 66, done.stderr)
                self.assertIn("m.gguf: ", done.stderr)

    def test_malformed_files_of_others(self):
        folder = SHARED / "malformed"
        if not folder.is_dir():
            self.skipTest(f"no folder {folder}")
        for path in sorted(folder.glob("*.gguf")):
            if "gguf-v1" in path.name:
                continue  # an old version, which is read
            self.path.write_bytes(path.read_bytes())
            self.assert_refused(path.name)

    def test_truncation_at_every_byte(self):
        whole = raw_gguf([key("a", g.STRING, text("b")),
                          key("c", g.ARRAY, array(g.U16, 2, bytes(4)))],
                         [tensor("t", [2, 4])], DATA)
        for size in range(1, len(whole)):
            with self.subTest(size=size):
                self.path.write_bytes(whole[:size])
                status, said, _ = self.use("info", "--check", "m.gguf")
                self.assertEqual(status, 66, said)


if __name__ == "__main__":
    report.main()
