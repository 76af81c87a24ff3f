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
REAL_BYTES = 16 << 10  # the headers of most
QUOTED_WORD = re.compile(r'"([^"\s({}\\]{2,24})["(]')
INCLUDE = re.compile(r"#include.*")


def words_of(*patterns):
    """The words in quotes in the files of src/ that are no tests."""
    files = [path for pattern in patterns for path in (ROOT / "src").glob(pattern)
             if not path.stem.endswith("_test")]
    texts = (INCLUDE.sub("", path.read_text()) for path in files)
    return sorted({word for text in texts for word in QUOTED_WORD.findall(text)})


def real(pattern, begin=b""):
    """What the public model files beside the project begin with, where they are."""
    for path in sorted((ROOT.parent / "shared/models").rglob(pattern)):
        with path.open("rb") as file:
            yield begin + file.read(REAL_BYTES)


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
    rows = re.findall(r'TL_DTYPE\((\w+), .*?, (\d+), (\d+), "(\w+)", -?\d+\)',
                      (ROOT / "src/tensor/dtype.def").read_text())
    for _, elements, size, dtype in rows:
        yield tensors(("a.weight", dtype, [2, int(elements)], 2 * int(size)))
    yield from real("*.safetensors")
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


def indexes():
    """Of the files of fuzz/index.cc, and of some that it may not name."""
    for files in ({"a": "a.safetensors", "b": "b.safetensors"},
                  {"secret": "../secret.safetensors"},
                  {"secret": "sub/../../secret.safetensors"},
                  {"c": "sub/c.safetensors", "d": "short.safetensors"},
                  {"a": "./a.safetensors", "x": "none.safetensors"}, {}):
        yield json.dumps({"metadata": {"total_size": 4 * len(files)},
                          "weight_map": files}, indent=2).encode()


def text(word):
    return struct.pack("<Q", len(word)) + word.encode()


def gguf(metadata, rows):
    """A GGUF file without its magic: of (key, kind, bytes), and of tensors of
    (name, dimensions, type, bytes)."""
    listed, data = b"", b""
    for name, dims, kind, size in rows:
        listed += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims,
                                           kind, len(data))
        data += bytes(i % 251 for i in range(size)) + bytes(-size % 32)
    head = struct.pack("<IQQ", 3, len(rows), len(metadata))
    for key, kind, value in metadata:
        head += text(key) + struct.pack("<I", kind) + value
    head += listed
    return head + bytes(-(len(head) + 4) % 32) + data


def ggufs():
    for content in real("*.gguf"):
        yield content.removeprefix(b"GGUF")
    rows = re.findall(r'TL_DTYPE\((\w+), .*?, (\d+), (\d+), "\w*", (\d+)\)',
                      (ROOT / "src/tensor/dtype.def").read_text())
    for _, elements, size, kind in rows:
        yield gguf([], [("a.weight", [int(elements), 2], int(kind), 2 * int(size))])
    yield gguf([], [])
    yield gguf([], [("a", [7], 97, 64), ("scalar", [], 0, 4), ("none", [0], 1, 0)])
    numbers = ((0, "<B", 1), (1, "<b", -1), (2, "<H", 1), (3, "<h", -1), (4, "<I", 1),
               (5, "<i", -1), (6, "<f", .1), (7, "<B", 1), (10, "<Q", 1), (11, "<q", -1),
               (12, "<d", .1))
    yield gguf([(f"k{kind}", kind, struct.pack(form, value))
                for kind, form, value in numbers], [])
    yield gguf([(f"a{kind}", 9, struct.pack("<IQ", kind, 1) + struct.pack(form, value))
                for kind, form, value in numbers], [])
    yield gguf([("t", 9, struct.pack("<IQ", 8, 2) + text("<s>") + text("\x01")),
                ("general.alignment", 4, struct.pack("<I", 64))], [])
    yield gguf([("split.no", 2, b"\0\0"), ("split.count", 2, b"\2\0"),
                ("split.tensors.count", 5, struct.pack("<i", 1))], [("a", [1], 0, 4)])
    for arch in ("llama", "gemma2"):
        yield gguf([("general.architecture", 8, text(arch)),
                    (f"{arch}.attention.head_count", 4, struct.pack("<I", 2)),
                    (f"{arch}.attention.head_count_kv", 9,
                     struct.pack("<IQII", 4, 2, 1, 1))],
                   [("token_embd.weight", [2, 2], 0, 16),
                    ("blk.0.attn_q.weight", [32, 4], 8, 136),
                    ("blk.0.attn_k.bias", [2], 0, 8),
                    ("blk.0.attn_norm.weight", [2], 0, 8)])


def adapters():
    """Of the model of fuzz/lora.cc, and what may stand beside them."""
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    embedding = "base_model.model.model.embed_tokens.lora_embedding_"
    yield tensors((f"{module}.lora_A.weight", "F32", [2, 4], 32),
                  (f"{module}.lora_B.weight", "BF16", [4, 2], 16))
    yield tensors((f"{module}.base_layer.weight", "F16", [4, 4], 32),
                  (f"{module}.lora_magnitude_vector", "F16", [4], 8))
    yield tensors((f"{embedding}A", "F16", [2, 3], 12), (f"{embedding}B", "F16", [4, 2], 16))
    name = "blk.0.attn_q.weight"
    yield b"GGUF" + gguf(
        [("general.type", 8, text("adapter")), ("adapter.type", 8, text("lora")),
         ("general.architecture", 8, text("llama")),
         ("adapter.lora.alpha", 6, struct.pack("<f", 2))],
        [(f"{name}.lora_a", [4, 2], 0, 32), (f"{name}.lora_b", [2, 4], 1, 16)])
    yield json.dumps({
        "peft_type": "LORA", "r": 2, "lora_alpha": 0.5, "use_rslora": True,
        "rank_pattern": {"^model\\.q_proj$": 3}, "alpha_pattern": {"q_proj": 2},
        "init_lora_weights": "gaussian", "layer_replication": [[0, 1]],
        "use_qalora": False, "arrow_config": {}, "target_parameters": None}).encode()


def coremls():
    """The small ones of tests/references/coreml/, what others wrote, and a text."""
    yield from real("*.mlmodel", b"f")
    yield from real("model.mil", b"c")
    folder = ROOT / "tests/references/coreml"
    for path in sorted(folder.glob("*.mlmodel")):
        yield b"f" + path.read_bytes()
    for path in sorted(folder.glob("*.mlpackage")):
        data = path / "Data/com.apple.CoreML"
        spec = (data / "model.mlmodel").read_bytes()
        weights = data / "weights/weight.bin"
        yield b"p" + struct.pack(">H", len(spec) & 0xffff) + spec + (
            weights.read_bytes() if weights.exists() else b"")
    yield b"c" + b"""program(1.0)
[info = dict<tensor<string, []>, tensor<string, []>>({{"a", "b"}})]
{
  func main<ios18>(tensor<fp16, [1, ?]> x, state<tensor<fp16, [2]>> s) {
    tensor<fp16, [2]> w = const()[name = string("w"), val = tensor<fp16, [2]>([0x1p+0, -inf])];
    tensor<uint2, [4]> q = const()[val = tensor<uint2, [4]>([0, 1, 2, 3])];
    tensor<fp32, [4]> d = constexpr_lut_to_dense(indices = q, lut = tensor<fp32, [1, 4, 1]>([[[1], [2], [3], [4]]]))[name = tensor<string, []>("d")];
    tensor<fp16, [2]> y = while_loop(loop_vars = (x, w))
        { bool go = less(x = x, y = x); } -> (go), { } -> (x, w);
    tensor<fp16, [2]> b = const()[val = tensor<fp16, [2]>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))];
  } -> (y);
}"""


def chat_templates():
    """Those of tests/references/chat_templates/, and one with its conversation."""
    folder = ROOT / "tests/references/chat_templates"
    for path in sorted(folder.glob("templates/*.jinja")):
        yield path.read_bytes()
    for snippet in (folder / "snippets.txt").read_text().split("\n----\n"):
        yield snippet.encode()
    yield b'{{ messages | tojson(indent=1) }}\0{"a": [1, {"b": null}]}'


TOKENS = {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "##b": 4, "<0x78>": 5, "\u2581": 6,
          "\u2581a": 7, "\u0120": 8}
MARK = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}


def tokenizers():
    """A tokenizer.json in one line, and a text."""
    bpe = {"type": "BPE", "vocab": TOKENS, "merges": ["a b", ["\u2581", "a"]],
           "unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True}
    charsmap = "BAAAAAAAAAA="  # a trie of one empty unit
    for parts in (
            {"model": bpe, "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "\u2581"}, {"type": "NFKC"},
                {"type": "Strip", "strip_left": True, "strip_right": False},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
             "decoder": {"type": "Sequence", "decoders": [
                 {"type": "Replace", "pattern": {"Regex": "\u2581+"}, "content": " "},
                 {"type": "ByteFallback"}, {"type": "Fuse"},
                 {"type": "Strip", "content": " ", "start": 1, "stop": 1}]}},
            {"model": dict(bpe, ignore_merges=True), "pre_tokenizer": {
                "type": "Sequence", "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": "\\p{L}+|[^\\S\\n]"},
                     "behavior": "MergedWithNext", "invert": True},
                    {"type": "Digits", "individual_digits": True},
                    {"type": "ByteLevel", "add_prefix_space": True}]},
             "decoder": {"type": "ByteLevel"}},
            {"model": {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                       "vocab": [[t, -i] for t, i in TOKENS.items()]},
             "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap},
             "pre_tokenizer": MARK, "decoder": MARK},
            {"model": {"type": "WordPiece", "vocab": TOKENS, "unk_token": "<unk>",
                       "max_input_chars_per_word": 9},
             "normalizer": {"type": "BertNormalizer", "lowercase": True},
             "pre_tokenizer": {"type": "BertPreTokenizer"},
             "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
             "post_processor": {"type": "BertProcessing", "sep": ["a", 1],
                                "cls": ["b", 2]}}):
        added = [{"id": 0, "content": "<unk>", "special": True, "lstrip": True},
                 {"id": 20, "content": "xy", "single_word": True, "normalized": True}]
        yield (json.dumps(dict(parts, added_tokens=added)).encode()
               + "\n ab xx<unk>\u00e9 xy 12 \u4f60\ufb01".encode() + b"\xe2\x82\0")


def grammars():
    for grammar, text in (
            ('root ::= "a\\n\\x41\\u00e9\\U0001F600\\"" | [a-cx-] [^\\]\\t] .', "a\nA\u00e9"),
            ('# c\nroot ::= (x | "b"\n)* y{2} y{1,3} y{2,} # d\nx ::= "x"?\ny ::= x "y"+',
             "bxxyyxyyyyyy"),
            ('root ::= v\nv ::= "[" (v ("," v)*)? "]" | [0-9\u4e00-\u9fff]+', "[[1],\u4e2d]"),
            ('root ::= "a" root "b" | "a" root | r "c"\nr ::= | "x" r', "aaab"),
            ('{"properties":{"a":{"type":["string","null"],"maxLength":2},"b":'
             '{"items":{"$ref":"#"},"minItems":1}},"required":["b"]}', '{"b":[{"b":'),
            ('{"anyOf":[{"enum":[1,"x"]},{"$ref":"#/$defs/d"}],"$defs":{"d":{"type":'
             '"number"}}}', "-1.5e1"),
            ("root ::= root", "")):
        yield grammar.encode() + b"\0" + text.encode()


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
    program_words = words_of("lang/*.def", "lang/*.cc", "ops/*.def")
    write(folder, "program", programs(), program_words)
    write(folder, "interpreter", programs(), program_words)
    format_words = words_of("format/*.cc", "tensor/*.def")
    write(folder, "safetensors", models(), format_words)
    write(folder, "gguf", ggufs(), format_words)
    write(folder, "coreml", coremls(), format_words)
    write(folder, "index", indexes(), words_of("format/shards.cc"))
    write(folder, "lora", adapters(), format_words)
    write(folder, "chat_template", chat_templates(), words_of("text/template*.cc"))
    write(folder, "grammar", grammars(), ["::=", "root", *words_of("text/json_schema*.cc")])
    write(folder, "tokenizer", tokenizers(), words_of("text/*.cc"))


if __name__ == "__main__":
    main()
