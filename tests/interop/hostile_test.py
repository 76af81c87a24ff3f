#!/usr/bin/env python3
"""SafeTensors files that lie: each is accepted, or refused with exit status 66 and a
message that names the file; nothing else ever happens."""

import concurrent.futures
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import tempfile
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from raw_file import raw_file, tensor
import report
import tl_command

ONE = tensor("F32", [1], 0, 4)
DATA = struct.pack("<f", 1.5)


def one(**change):
    """A header of one tensor 't', changed."""
    return {"t": {**ONE, **change}}


def text(value):
    return json.dumps(value, separators=(",", ":"))


def nested(depth):
    return '{"t":%s,"x":%s}' % (
        text(ONE)[:-1] + ',"more":' + "[" * depth + "]" * depth + "}", text(
            tensor("F32", [0], 4, 4)))


# name, header, data
ACCEPTED = [
    ("plain", one(), DATA),
    ("empty model", {}, b""),
    ("scalar", one(shape=[]), DATA),
    ("nine dimensions", one(shape=[1] * 9), DATA),
    ("complex", {"t": tensor("C64", [1], 0, 8)}, DATA * 2),
    ("empty name", {"": ONE}, DATA),
    ("NUL in a name", {"\0": ONE}, DATA),
    ("escapes in a name", '{"\\u0061\\n\\"\\\\":%s}' % text(ONE), DATA),
    ("fields in another order",
     '{"t":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}', DATA),
    ("metadata last", {**one(), "__metadata__": {"a": "b"}}, DATA),
    ("metadata empty", {"__metadata__": {}, **one()}, DATA),
    ("metadata null", {"__metadata__": None, **one()}, DATA),
    ("header order is not offset order",
     {"b": tensor("F32", [1], 4, 8), "a": ONE}, DATA * 2),
    ("an unknown field", one(more=1), DATA),
    ("an unknown type, not used",
     {**one(), "u": tensor("F128", [1], 4, 20)}, DATA * 5),
    ("an empty tensor at the start", {"e": tensor("F32", [0], 0, 0), **one()}, DATA),
    ("an empty tensor at the end", {**one(), "e": tensor("F32", [0, 3], 4, 4)}, DATA),
    ("an odd offset",
     {"b": tensor("U8", [1], 0, 1), "t": tensor("F32", [1], 1, 5)}, b"\1" + DATA),
    ("blanks around the header", "  \n" + text(one()) + " \t ", DATA),
    ("unknown field, nested 20 deep", nested(20), DATA),
    ("four 6-bit floats", {"t": tensor("F6_E2M3", [4], 0, 3)}, DATA[:3]),
    ("bare powers of two", {"t": tensor("F8_E8M0", [4], 0, 4)}, DATA),
]
REFUSED = [
    ("metadata number", {"__metadata__": {"a": 1}, **one()}, DATA),
    ("metadata null value", {"__metadata__": {"a": None}, **one()}, DATA),
    ("metadata a string", {"__metadata__": "a", **one()}, DATA),
    ("metadata twice",
     '{"__metadata__":{},"__metadata__":{},"t":%s}' % text(ONE), DATA),
    ("the same name twice", '{"t":%s,"t":%s}' % (text(ONE), text(ONE)), DATA),
    ("the same name twice, spelt differently",
     '{"a":%s,"\\u0061":%s}' % (text(ONE), text(ONE)), DATA),
    ("a field twice",
     '{"t":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', DATA),
    ("a tensor as an array", '{"t":["F32",[1],[0,4]]}', DATA),
    ("a tensor as a number", '{"t":1}', DATA),
    ("no dtype", '{"t":{"shape":[1],"data_offsets":[0,4]}}', DATA),
    ("no shape", '{"t":{"dtype":"F32","data_offsets":[0,4]}}', DATA),
    ("no offsets", '{"t":{"dtype":"F32","shape":[1]}}', DATA),
    ("dtype a number", one(dtype=1), DATA),
    ("one offset", one(data_offsets=[0]), DATA),
    ("three offsets", one(data_offsets=[0, 4, 4]), DATA),
    ("offsets null", one(data_offsets=None), DATA),
    ("shape null", one(shape=None), DATA),
    ("shape a string", one(shape="1"), DATA),
    ("shape of a string", one(shape=["1"]), DATA),
    ("negative dimension", one(shape=[-1]), DATA),
    ("negative zero dimension",
     '{"t":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}', b""),
    ("fractional dimension", one(shape=[1.0]), DATA),
    ("exponent dimension",
     '{"t":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}', DATA),
    ("leading zero dimension",
     '{"t":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}', DATA),
    ("a dimension beyond 64 bits", one(shape=[2 ** 64]), DATA),
    ("a product beyond 64 bits", one(shape=[2 ** 32, 2 ** 32]), DATA),
    ("a byte size that wraps", one(shape=[2 ** 62, 4, 2 ** 60]), DATA),
    ("offsets beyond 64 bits", one(data_offsets=[0, 2 ** 64 + 4]), DATA),
    ("an end that wraps", one(data_offsets=[2 ** 64 - 4, 2 ** 64 - 1]), DATA),
    ("end before begin", one(data_offsets=[4, 0]), DATA),
    ("a hole at the start", one(data_offsets=[4, 8]), DATA * 2),
    ("a hole between", {"a": ONE, "b": tensor("F32", [1], 8, 12)}, DATA * 3),
    ("an overlap", {"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [1], 4, 8)},
     DATA * 2),
    ("the same bytes twice", {"a": ONE, "b": ONE}, DATA),
    ("an empty tensor inside another",
     {"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [0], 4, 4)}, DATA * 2),
    ("an empty tensor past the end",
     {"a": ONE, "b": tensor("F32", [0], 64, 64)}, DATA),
    ("a shape larger than its bytes", one(shape=[2]), DATA),
    ("a shape smaller than its bytes", one(shape=[2]), DATA * 3),
    ("half a byte", {"t": tensor("F4", [3], 0, 2)}, b"\0\0"),
    ("bytes missing", one(), DATA[:3]),
    ("all bytes missing", one(), b""),
    ("bytes left over", one(), DATA + b"\0"),
    ("an empty model with bytes", {}, DATA),
    ("a header that is empty", "", b""),
    ("a header of blanks", "        ", b""),
    ("a header that is an array", "[]", b""),
    ("a header that is null", "null", b""),
    ("a header with a comma too many", text(one())[:-1] + ",}", DATA),
    ("a header with a comment", "{/**/" + text(one())[1:], DATA),
    ("a header after a byte order mark", "\ufeff" + text(one()), DATA),
    ("a header padded with NUL", text(one()) + "\0" * 8, DATA),
    ("text after the header", text(one()) + "x", DATA),
    ("a header cut short", text(one())[:-2], DATA),
    ("invalid UTF-8", b'{"\xff":' + text(ONE).encode() + b"}", DATA),
    ("a lone surrogate", '{"\\ud800":%s}' % text(ONE), DATA),
    ("a raw control character", '{"\n":%s}' % text(ONE), DATA),
    ("unknown field, nested 100,000 deep", nested(100_000), DATA),
    ("an unclosed bracket 1,000,000 deep", '{"a":' + "[" * 1_000_000, b""),
]

# Files that are something else: what the message is to say they are.
WRONG_FILES = [
    ("git-lfs pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
     "git-lfs"),
    ("HTML page", b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
    ("zip", b"PK\x03\x04" + bytes(60), "zip"),
    ("gzip", b"\x1f\x8b\x08" + bytes(60), "gzip"),
    ("pickle", b"\x80\x02}q\x00." + bytes(60), "pickle"),
    ("zeros", bytes(4096), "zero"),
    ("empty file", b"", "is empty"),
    ("seven bytes", b"1234567", "7 bytes"),
    ("text", b"hello, this is no model at all\n", ""),
    ("header longer than the file", struct.pack("<Q", 10_000) + b"{}", "10000"),
    ("header over the limit", struct.pack("<Q", 100_000_001) + b"{}", "100000001"),
    ("header length of all ones", b"\xff" * 8 + b"{}", ""),
]


class Hostile(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def outcome(self, content, name="m.safetensors"):
        path = self.folder / name
        path.write_bytes(content)
        return tl_command.tl("info", "--check", path)

    def assert_refused(self, done):
        self.assertEqual(done.returncode, 66, done.stdout + done.stderr)
        self.assertIn("error: ", done.stderr)
        self.assertIn("m.safetensors", done.stderr)

    def test_accepted(self):
        for name, header, data in ACCEPTED:
            with self.subTest(name):
                done = self.outcome(raw_file(header, data))
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_unpadded_header_is_accepted(self):
        done = self.outcome(raw_file(one(), DATA, padding=False))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_refused(self):
        for name, header, data in REFUSED:
            with self.subTest(name):
                self.assert_refused(self.outcome(raw_file(header, data)))

    def test_load_model_refuses_what_info_refuses(self):
        for name, header, data in REFUSED:
            with self.subTest(name):
                (self.folder / "m.safetensors").write_bytes(raw_file(header, data))
                # A path that the checker does not know, so that the run opens it.
                done = tl_command.tl("-e", 'load_model("m." + "safetensors")',
                                     cwd=self.folder)
                self.assert_refused(done)

    def test_other_files_are_named(self):
        for name, content, word in WRONG_FILES:
            with self.subTest(name):
                done = self.outcome(content)
                self.assert_refused(done)
                self.assertIn(word.lower(), done.stderr.lower().replace(",", ""))

    def test_a_pickle_is_refused_by_its_first_bytes_and_runs_nothing(self):
        class Hostile:
            def __reduce__(self):
                return os.mkdir, (str(sign),)
        sign = self.folder / "it ran"
        code = pickle.dumps(Hostile(), protocol=2)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as pt:
            pt.writestr("archive/data.pkl", code)
        said = {"pytorch_model.bin": "is a Python pickle, which can run code when it is "
                "read; save the model with safetensors.torch.save_file",
                "model.pt": "is a zip archive, as PyTorch's .pt and NumPy's .npz are; "
                "save the model with safetensors.torch.save_file"}
        for name, content in (("pytorch_model.bin", code),
                              ("model.pt", archive.getvalue())):
            with open(self.folder / name, "wb") as file:
                file.write(content)
                file.truncate(1 << 36)  # whoever read it all would not be back soon
            for words in (["info", name], ["convert", name, "out.gguf"],
                          ["-e", f'load_model("./" + "{name}")']):
                done = tl_command.tl(*words, cwd=self.folder)
                self.assertEqual(done.returncode, 66)
                self.assertEqual(done.stderr.splitlines()[0].removeprefix(
                    "error: ").removeprefix("./"), f"{name}: {said[name]}")
        done = tl_command.tl("info", ".", cwd=self.folder)
        self.assertEqual(done.stderr,
                         "error: .: holds no .safetensors or .gguf file\n")
        self.assertFalse(sign.exists())
        pickle.loads(code)
        self.assertTrue(sign.exists())  # so it would have

    def test_an_index_given_as_a_tensor_file(self):
        done = self.outcome(text({"weight_map": {"a": "b.safetensors"}}).encode())
        self.assertEqual(done.returncode, 66, done.stdout)
        self.assertIn("b.safetensors", done.stderr)

    def test_missing_bytes_say_both_sizes(self):
        whole = raw_file(one(shape=[16], data_offsets=[0, 64]), DATA * 16)
        done = self.outcome(whole[:-10])
        self.assert_refused(done)
        self.assertIn("has 54 data bytes, its tensors need 64", done.stderr)

    def test_a_folder_and_a_missing_file(self):
        for path in ("nowhere.safetensors", "."):
            with self.subTest(path):
                done = tl_command.tl("info", "--check", path, cwd=self.folder)
                self.assertEqual(done.returncode, 66)

    def statuses(self, contents):
        """The exit status for each content, several at a time."""
        def status(numbered):
            number, content = numbered
            return self.outcome(content, f"{number}.safetensors").returncode
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(status, enumerate(contents)))

    def small_file(self):
        return raw_file({"__metadata__": {"format": "pt"},
                         "a": tensor("F16", [2, 3], 0, 12),
                         "b": tensor("I64", [1], 12, 20)}, bytes(range(20)))

    def test_truncation_at_every_byte(self):
        whole = self.small_file()
        statuses = self.statuses(whole[:n] for n in range(len(whole)))
        self.assertEqual({n: s for n, s in enumerate(statuses) if s != 66}, {})

    def test_every_bit_of_the_header_flipped(self):
        whole = self.small_file()
        flips = range(8 * (len(whole) - 20))
        statuses = self.statuses(
            whole[:n // 8] + bytes([whole[n // 8] ^ 1 << n % 8]) + whole[n // 8 + 1:]
            for n in flips)
        self.assertEqual({n: s for n, s in enumerate(statuses) if s not in (0, 66)}, {})
        # A bit of the length, of a bracket or of a size has to be noticed.
        self.assertGreater(statuses.count(66), len(flips) // 2)


if __name__ == "__main__":
    report.main()
