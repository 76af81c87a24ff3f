#!/usr/bin/env python3
"""Files at the edge of what SafeTensors and GGUF allow: each is read, or refused with
this message. Of SafeTensors the official reader says so first, where we follow it."""

import json
import pathlib
import struct
import sys
import tempfile
import unittest

import safetensors

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import raw_gguf as g
from raw_gguf import array, key, raw_gguf, tensor, text, u32, u64
import report
import tl_command

READ = None  # in place of a message
T = '"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
DATA = b"\0\0\x80\x3f"


def st(header, data=DATA):
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header)) + header + data


def one(name="t", dtype='"F32"', shape="[1]", offsets="[0,4]", more=""):
    """The header of one tensor, of which a part may be anything."""
    return (f'{{"{name}":{{"dtype":{dtype},"shape":{shape},'
            f'"data_offsets":{offsets}{more}}}}}')


def two(first, second, shape="[1]"):
    return (f'{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{first}}},'
            f'"b":{{"dtype":"F32","shape":[1],"data_offsets":{second}}}}}')


def padded(size):
    """A header of so many bytes."""
    return ("{" + T + "}").ljust(size)


# (what it is, the file, whether the official reader takes it, what we say)
SAFETENSORS = [
    ("plain", st("{" + T + "}"), True, READ),
    ("a scalar", st(one(shape="[]")), True, READ),
    ("nine dimensions", st(one(shape="[1,1,1,1,1,1,1,1,1]")), True, READ),
    ("complex numbers", st(one(dtype='"C64"', offsets="[0,8]"), DATA * 2), True, READ),
    ("an empty name", st(one(name="")), True, READ),
    ("a name of one NUL", st(one(name="\\u0000")), True, READ),
    ("escapes in a name", st(one(name="\\u00fc\\n\\\"")), True, READ),
    ("fields in another order",
     st('{"t":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}'), True, READ),
    ("metadata first", st('{"__metadata__":{"a":"b"},' + T + "}"), True, READ),
    ("metadata last", st("{" + T + ',"__metadata__":{"a":"b"}}'), True, READ),
    ("tensors in another order than their data",
     st(two("[4,8]", "[0,4]"), DATA * 2), True, READ),
    ("metadata without entries", st('{"__metadata__":{},' + T + "}"), True, READ),
    ("metadata of null, as MLX writes", st('{"__metadata__":null,' + T + "}"), True, READ),
    ("a number in metadata", st('{"__metadata__":{"a":1},' + T + "}"), False,
     "JSON at byte 29: '__metadata__': 'a' is not a text"),
    ("null in metadata", st('{"__metadata__":{"a":null},' + T + "}"), False,
     "JSON at byte 29: '__metadata__': 'a' is not a text"),
    ("metadata of a text", st('{"__metadata__":"a",' + T + "}"), False,
     "JSON at byte 24: '__metadata__' is no object"),
    ("metadata twice",
     st('{"__metadata__":{},"__metadata__":{},' + T + "}"), False,
     "JSON at byte 42: '__metadata__' is there twice"),
    ("a key twice in metadata",
     st('{"__metadata__":{"a":"b","a":"c"},' + T + "}"), True,
     "JSON at byte 40: '__metadata__': 'a' is there twice"),
    ("a name twice", st("{" + T + "," + T + "}"), True,
     "two tensors are called 't'"),
    ("a name twice, once with an escape",
     st("{" + T + "," + T.replace('"t"', '"\\u0074"') + "}"), True,
     "two tensors are called 't'"),
    ("a field twice", st(one(more=',"dtype":"F32"')), False,
     "JSON at byte 69: 'dtype' is there twice"),
    ("a field that nobody knows", st(one(more=',"new":[1,{"a":2}]')), True, READ),
    ("a tensor of a list", st('{"t":["F32",[1],[0,4]]}'), True,
     "tensor 't': is described by something other than an object"),
    ("no type", st('{"t":{"shape":[1],"data_offsets":[0,4]}}'), False,
     "tensor 't': has no dtype"),
    ("no shape", st('{"t":{"dtype":"F32","data_offsets":[0,4]}}'), False,
     "tensor 't': has no shape"),
    ("no offsets", st('{"t":{"dtype":"F32","shape":[1]}}'), False,
     "tensor 't': has no data_offsets"),
    ("a type that nobody knows", st(one(dtype='"F99"')), False, READ),
    ("a type in small letters", st(one(dtype='"f32"')), False, READ),
    ("one offset", st(one(offsets="[0]")), False,
     "tensor 't': data_offsets has length 1, not 2"),
    ("three offsets", st(one(offsets="[0,4,4]")), False,
     "tensor 't': data_offsets has length 3, not 2"),
    *((f"a shape of {shape}", st(one(shape=shape)), False,
       "tensor 't': shape is not a list") for shape in ("null", '"1"')),
    *((f"a shape of [{size}]", st(one(shape=f"[{size}]")), False,
       f"tensor 't': shape has '{size}' where a whole number below 2^63 is needed")
      for size in ("-1", "-0", "1.0", "1e0", "01", "18446744073709551616")),
    ("an end before its begin", st(one(offsets="[4,0]")), False,
     "tensor 't': data_offsets end at 0, before they begin at 4"),
    ("a hole at the start", st(one(offsets="[4,8]"), DATA * 2), False,
     "tensor 't' begins at data byte 4; bytes 0 to 3 belong to no tensor"),
    ("a hole between", st(two("[0,4]", "[8,12]"), DATA * 3), False,
     "tensor 'b' begins at data byte 8; bytes 4 to 7 belong to no tensor"),
    ("an overlap", st(two("[0,8]", "[4,8]", "[2]"), DATA * 2), False,
     "tensor 'b' begins at data byte 4, inside tensor 'a', which ends at 8"),
    ("the same bytes twice", st(two("[0,4]", "[0,4]")), False,
     "tensor 'b' begins at data byte 0, inside tensor 'a', which ends at 4"),
    ("nothing at the start", st(two("[0,0]", "[0,4]", "[0]")), True, READ),
    ("nothing at the end", st(two("[4,4]", "[0,4]", "[0]")), True, READ),
    ("nothing inside another", st(two("[2,2]", "[0,4]", "[0]")), False,
     "tensor 'a' begins at data byte 2, inside tensor 'b', which ends at 4"),
    ("nothing past the end", st(two("[9,9]", "[0,4]", "[0]")), False,
     "tensor 'a' begins at data byte 9; bytes 4 to 8 belong to no tensor"),
    ("a zero after sizes that do not fit",
     st(one(shape="[18446744073709551615,18446744073709551615,0]", offsets="[0,0]"),
        b""), False,
     "tensor 't': shape has '18446744073709551615' where a whole number below 2^63 "
     "is needed"),
    ("a zero before sizes that do not fit",
     st(one(shape="[0,18446744073709551615,18446744073709551615]", offsets="[0,0]"),
        b""), True,
     "tensor 't': shape has '18446744073709551615' where a whole number below 2^63 "
     "is needed"),
    ("numbers at an odd place",
     st('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        '"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}', b"\1" + DATA), True, READ),
    ("a header of odd length", st(padded(len(T) + 3)), True, READ),
    ("zeros behind the header's text", st("{" + T + "}\0\0"), False,
     "JSON does not end with the bracket that it began with"),
    ("something behind the header's text", st("{" + T + "}x"), False,
     "JSON does not end with the bracket that it began with"),
    ("a byte order mark", st(b"\xef\xbb\xbf{" + T.encode() + b"}"), False,
     "JSON at byte 8 has a value of the wrong kind"),
    ("a comment", st("{" + T + "/**/}"), False,
     "JSON after byte 41 is not well formed"),
    ("a comma too many", st("{" + T + ",}"), False,
     "JSON after byte 41 is not well formed"),
    ("blanks before", st("  {" + T + "}"), True, READ),
    ("blanks behind", st("{" + T + "}  "), True, READ),
    ("an empty header", st("", b""), False,
     "begins with 8 zero bytes; a download or a save was interrupted"),
    ("a header of blanks", st("   ", b""), False,
     "JSON is empty"),
    ("a header of a list", st("[]", b""), False,
     "JSON at byte 8 has a value of the wrong kind"),
    ("a header of null", st("null", b""), False,
     "JSON at byte 8 has a value of the wrong kind"),
    ("no tensors", st("{}", b""), True, READ),
    ("no tensors, and data", st("{}"), False,
     "has 4 data bytes, its tensors need only 0"),
    ("a byte too many", st("{" + T + "}", DATA + b"\0"), False,
     "has 5 data bytes, its tensors need only 4"),
    ("a byte missing", st("{" + T + "}", DATA[:3]), False,
     "has 3 data bytes, its tensors need 4; the file is incomplete"),
    ("half a character", st(one(name="\\ud800")), False,
     "JSON at byte 18 has a string that is no text"),
    ("a control character", st(one(name="\n")), False,
     "JSON has a control character inside a string"),
    ("an unknown field nested 100 deep",
     st(one(more=',"x":' + "[" * 100 + "]" * 100)), True, READ),
    ("an unknown field nested 127 deep",
     st(one(more=',"x":' + "[" * 127 + "]" * 127)), False,
     "JSON at byte 186 is nested too deeply"),
    ("a header of 100,000,000 bytes", lambda: st(padded(100_000_000)), True, READ),
    ("a header of 100,000,001 bytes", lambda: st(padded(100_000_001)), False,
     "is no SafeTensors file: its header would have 100000001 bytes, at most "
     "100000000 are allowed"),
]

GDATA = bytes(32)
ONE = tensor("t", [8])


def keys(*some, **more):
    return raw_gguf(some, [ONE], GDATA, **more)


def tensors(*some, data=GDATA, **more):
    return raw_gguf([], some, data, **more)


# (what it is, the file, what we say)
GGUF = [
    ("version 3, empty", raw_gguf(), READ),
    ("version 2, empty", raw_gguf(version=2), READ),
    ("version 0", raw_gguf(version=0),
     "has GGUF version 0; versions 1 to 3 can be read"),
    ("version 4", raw_gguf(version=4),
     "has GGUF version 4; versions 1 to 3 can be read"),
    ("a version the other way round", raw_gguf(version=3 << 24),
     "is a big-endian GGUF file (version 3); only little-endian ones can be read"),
    ("a negative count of tensors", raw_gguf(tensor_count=2 ** 64 - 1),
     "is to have 18446744073709551615 tensors, but the 16 bytes that follow hold at "
     "most 0"),
    ("a negative count of keys", raw_gguf(key_count=2 ** 64 - 1),
     "is to have 18446744073709551615 keys of metadata, but the 8 bytes that follow "
     "hold at most 0"),
    ("more tensors than the file has room for", raw_gguf(tensor_count=100),
     "is to have 100 tensors, but the 16 bytes that follow hold at most 0"),
    ("more keys than the file has room for", raw_gguf(key_count=100),
     "is to have 100 keys of metadata, but the 8 bytes that follow hold at most 0"),
    ("a truth value of 2", keys(key("a", g.BOOL, b"\2")), READ),
    ("a truth value of 255", keys(key("a", g.BOOL, b"\xff")), READ),
    ("an empty text", keys(key("a", g.STRING, text(""))), READ),
    ("a text that is no UTF-8", keys(key("a", g.STRING, u64(1) + b"\xff")), READ),
    ("a NUL in a text", keys(key("a", g.STRING, text("b\0c"))), READ),
    ("an empty list", keys(key("a", g.ARRAY, array(g.U8, 0))), READ),
    ("a key in capitals", keys(key("A.B", g.U8, b"\1")), READ),
    ("a value of type 13", keys(key("a", 13, u64(1))),
     "metadata 'a' has a value of the unknown kind 13"),
    ("a list of lists",
     keys(key("a", g.ARRAY, array(g.ARRAY, 1, array(g.U8, 1, b"\1")))),
     "metadata 'a' is an array of arrays, which is not supported"),
    ("a text longer than the rest", keys(key("a", g.STRING, text("b", 1000))),
     "byte 45: text of metadata needs 1000 bytes, 83 left"),
    ("a text of 2^30 + 1 bytes", keys(key("a", g.STRING, text("b", 2 ** 30 + 1))),
     "byte 45: text of metadata has 1073741825 bytes, at most 1073741824 are read"),
    ("a list of 2^30 + 1", keys(key("a", g.ARRAY, array(g.U8, 2 ** 30 + 1))),
     "metadata 'a' is an array of 1073741825 items, at most 1073741824 are read"),
    ("an empty key", keys(key("", g.U8, b"\1")),
     "byte 24: a key of metadata is empty"),
    ("a key twice", keys(*[key("a", g.U8, b"\1")] * 2),
     "metadata 'a' is there twice"),
    *((f"an alignment of {n}", keys(key("general.alignment", g.U32, u32(n))),
       f"metadata 'general.alignment' is {n}, must be a power of two")
      for n in (0, 3, 24)),
    *((f"an alignment of {n}",
       keys(key("general.alignment", g.U32, u32(n)), alignment=n), READ)
      for n in (1, 2, 4)),
    ("an alignment of another type", keys(key("general.alignment", g.U64, u64(32))),
     "metadata 'general.alignment' is of kind u64, must be u32"),
    *((f"an alignment of 2^{n} in a small file",
       keys(key("general.alignment", g.U32, u32(2 ** n))),
       f"has 128 bytes, its tensors are to begin at byte {2 ** n}; the file is incomplete")
      for n in (30, 31)),
    ("no dimensions", tensors(tensor("t", [])), READ),
    ("five dimensions", tensors(tensor("t", [8, 1, 1, 1, 1])),
     "tensor 't': has 5 dimensions, at most 4 are allowed"),
    ("a dimension of 0", tensors(tensor("t", [8, 0])), READ),
    ("a negative dimension", tensors(tensor("t", [2 ** 64 - 8])),
     "tensor 't': has a dimension of -8"),
    ("rows of half a block", tensors(tensor("t", [48], g.Q8_0_TYPE), data=bytes(96)),
     "tensor 't': rows of 48 elements are no whole blocks of Q8_0, which have 32"),
    ("a hole", tensors(ONE, tensor("u", [8], offset=64), data=GDATA * 3),
     "tensor 'u': begins at data byte 64; the tensors before it end at 32"),
    ("an overlap", tensors(tensor("t", [16]), tensor("u", [8], offset=32),
                           data=GDATA * 2),
     "tensor 'u': begins at data byte 32; the tensors before it end at 64"),
    ("tensors in another order than their data",
     tensors(tensor("t", [8], offset=32), tensor("u", [8]), data=GDATA * 2),
     "tensor 't': begins at data byte 32; the tensors before it end at 0"),
    ("a tensor off its alignment", tensors(tensor("t", [4], offset=4)),
     "tensor 't': begins at data byte 4; the tensors before it end at 0"),
    ("data that does not begin with the first",
     tensors(tensor("t", [8], offset=32), data=GDATA * 2),
     "tensor 't': begins at data byte 32; the tensors before it end at 0"),
    ("a name twice", tensors(ONE, tensor("t", [8], offset=32), data=GDATA * 2),
     "two tensors are called 't'"),
    ("a NUL in a name", tensors(tensor("t\0u", [8])),
     "byte 24: a tensor's name has a zero byte: 't\\x00u'"),
    ("an empty name", tensors(tensor("", [8])), READ),
    ("a name of 63 bytes", tensors(tensor("t" * 63, [8])), READ),
    ("a name of 64 bytes", tensors(tensor("t" * 64, [8])),
     "byte 24: a tensor's name has 64 bytes, at most 63 are allowed"),
    *((f"type {kind}", tensors(tensor("t", [8], kind)), READ)
      for kind in (4, 5, 31, 32, 33, 36, 37, 38, 43, 255, 2 ** 32 - 1)),
    ("bytes behind the last tensor", tensors(ONE, data=GDATA + b"more"), READ),
    ("a last tensor without padding", tensors(tensor("t", [2]), data=bytes(8)), READ),
    ("less data than the tensor has", tensors(tensor("t", [9])),
     "has 96 bytes, its tensors need 100; the file is incomplete from tensor 't' on"),
    ("a size of 2^64", tensors(tensor("t", [2 ** 32, 2 ** 32])),
     "tensor 't': shape [4294967296, 4294967296] has 2^63 elements or more"),
    ("a padded size of 2^64", tensors(tensor("t", [2 ** 62 - 1]), ONE),
     "tensor 't': F32 [4611686018427387903] needs 2^63 bytes or more"),
    ("2^62 numbers of 4 bytes", tensors(tensor("t", [2 ** 62])),
     "tensor 't': F32 [4611686018427387904] needs 2^63 bytes or more"),
    ("2^63 - 1 numbers", tensors(tensor("t", [2 ** 63 - 1])),
     "tensor 't': F32 [9223372036854775807] needs 2^63 bytes or more"),
]


class AcceptReject(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def check(self, name, content, said):
        """With every byte looked at: no row lies in what is never read."""
        (self.folder / name).write_bytes(content)
        done = tl_command.tl("info", "--check", name, cwd=self.folder)
        if said is READ:
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        else:
            self.assertEqual((done.returncode, done.stderr),
                             (66, f"error: {name}: {said}\n"))

    def test_safetensors(self):
        for what, content, official, said in SAFETENSORS:
            with self.subTest(what):
                content = content() if callable(content) else content
                self.assertEqual(self.official(content), official)
                self.check("m.safetensors", content, said)

    @staticmethod
    def official(content):
        try:
            safetensors.deserialize(content)
        except safetensors.SafetensorError:
            return False
        return True

    def test_gguf(self):
        for what, content, said in GGUF:
            with self.subTest(what):
                self.check("m.gguf", content, said)


if __name__ == "__main__":
    report.main()
