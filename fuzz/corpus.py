#!/usr/bin/env python3
"""Writes what the fuzz programs begin with: small inputs and the words to mix in.

    fuzz/corpus.py FOLDER

makes FOLDER/NAME/ and FOLDER/NAME.dict for each fuzz/NAME.cc. The words are those
in quotes in the sources, so a new one needs no list here.
"""

import json
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUOTED_WORD = re.compile(r'"([^"\s({}\\]{2,24})["(]')
INCLUDE = re.compile(r"#include.*")


def words_of(*patterns):
    """The words in quotes in the files of src/ that are no tests."""
    files = [path for pattern in patterns for path in (ROOT / "src").glob(pattern)
             if not path.stem.endswith("_test")]
    texts = (INCLUDE.sub("", path.read_text()) for path in files)
    return sorted({word for text in texts for word in QUOTED_WORD.findall(text)})


def programs():
    yield b"\n// first\r\n\tx = 1 // a\r\t\n       // b\n/* c */ y /* d\n */ = 2"
    for folder in ("tests/programs", "examples", "std"):
        for path in sorted((ROOT / folder).rglob("*.tl")):
            yield path.read_bytes()


def safetensors(header, data_bytes):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(range(data_bytes))


def tensors(*rows):
    """The bytes of a file of tensors (name, type, shape, bytes)."""
    header, end = {}, 0
    for name, dtype, shape, size in rows:
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [end, end + size]}
        end += size
    return safetensors(header, end)


def models():
    rows = re.findall(r'TL_DTYPE\((\w+), .*?, (\d+), (\d+), "(\w+)"\)',
                      (ROOT / "src/tensor/dtype.def").read_text())
    for _, elements, size, dtype in rows:
        yield tensors(("a.weight", dtype, [2, int(elements)], 2 * int(size)))
    yield tensors()
    yield tensors(("scalar", "F32", [], 4), ("empty", "F16", [0, 3], 0))
    yield tensors(("new", "F3", [5], 7), ("deep", "I8", [1] * 12, 1))
    yield tensors(("w.weight", "F8_E4M3", [2, 4], 8),
                  ("w.weight_scale_inv", "F32", [1, 1], 4))
    yield tensors(("w.weight", "F8_E5M2", [2, 32], 64), ("w.scale", "U8", [2, 1], 2))
    yield tensors(("l.qweight", "I32", [1, 2], 8), ("l.qzeros", "I32", [1], 4),
                  ("l.g_idx", "I32", [2], 8), ("l.scales", "F16", [2], 4))
    yield tensors(("e_blocks", "U8", [1, 16], 16), ("e_scales", "U8", [1, 1], 1))
    yield safetensors({"__metadata__": {"format": "pt", "ключ": "\n"},
                       "ü": {"dtype": "BOOL", "shape": [3],
                             "data_offsets": [0, 3]}}, 3)
    yield safetensors(b'  {"a":{"data_offsets":[0,0],"dtype":"F4","shape":[0]}} ', 0)
    yield json.dumps({"weight_map": {"a": "other.safetensors"}, "n_head": 4,
                      "hidden_size": 64, "model_type": "llama"}).encode()


def escaped(word):
    return "".join(chr(byte) if 32 < byte < 127 and byte not in b'"\\'
                   else f"\\x{byte:02x}" for byte in word.encode())


def write(folder, name, inputs, words):
    inputs_folder = folder / name
    inputs_folder.mkdir(parents=True)
    for number, content in enumerate(inputs):
        (inputs_folder / f"{number:03}").write_bytes(content)
    (folder / f"{name}.dict").write_text(
        "".join(f'"{escaped(word)}"\n' for word in words))


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: fuzz/corpus.py FOLDER")
    folder = pathlib.Path(sys.argv[1])
    write(folder, "program", programs(),
          words_of("lang/*.def", "lang/*.cc", "ops/*.def"))
    write(folder, "safetensors", models(), words_of("format/*.cc", "tensor/*.def"))


if __name__ == "__main__":
    main()
