#!/usr/bin/env python3
"""Tokenizers give what others give: the libraries `tokenizers` and
`sentencepiece`, on texts made to be hard, and the published tokens of real
vocabularies. Tokenizers are trained here, on small texts with fixed seeds."""

import io
import json
import pathlib
import subprocess
import tempfile
import unicodedata
import unittest

import gguf
import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                        normalizers, pre_tokenizers, processors, trainers)

from hard_texts import ALL, hard_texts, corpus
import report
import tl_command

VOCABULARIES = tl_command.ROOT.parent / "shared" / "models" / "vocab"
MANY = 10000
SOME = 1500
GROUP = 100

END = "\n<<< the end of one of many texts >>>\n"


def run_tl(path, texts, add_special=True, parse_special=False, skip_special=False):
    """For each text its tokens, and the text that these are again."""
    flags = (f"{str(add_special).lower()}, "
             f"parse_special: {str(parse_special).lower()}")
    with tempfile.TemporaryDirectory() as scratch:
        calls = []
        # Many in a file, since a file for each takes longer than all else.
        for begin in range(0, len(texts), GROUP):
            group = texts[begin:begin + GROUP]
            file = pathlib.Path(scratch) / str(begin)
            file.write_bytes("".join(group).encode())
            calls.append(f'each("{file}", {[len(text) for text in group]})\n')
        program = pathlib.Path(scratch) / "program.tl"
        program.write_text(f"""
let tok = load_tokenizer("{path}")
function each(path, lengths) {{
    let texts = read_text(path)
    let begin = 0
    for length in lengths {{
        let ids = tokenize(tok, texts[begin:begin + length], {flags})
        print(ids)
        print(detokenize(tok, ids, {str(skip_special).lower()}) + {json.dumps(END)})
        begin += length
    }}
}}
{"".join(calls)}""")
        done = subprocess.run([tl_command.TL, "run", program], capture_output=True,
                              timeout=tl_command.TIME_LIMIT)
        assert done.returncode == 0, done.stderr.decode()
    results = []
    for part in done.stdout.decode().split(END + "\n")[:-1]:
        ids, text = part.split("\n", 1)
        results.append((json.loads(ids), text))
    assert len(results) == len(texts)
    return results


class Library(unittest.TestCase):
    """Against `tokenizers`, both ways."""

    def compare(self, tokenizer, count=SOME, seed=1):
        texts = hard_texts(count, seed)
        with tempfile.TemporaryDirectory() as scratch:
            path = f"{scratch}/tokenizer.json"
            tokenizer.save(path)
            # As it is read from the file.
            tokenizer = Tokenizer.from_file(path)
            for parse in (False, True):
                tokenizer.encode_special_tokens = not parse
                encoded = [e.ids for e in tokenizer.encode_batch(texts)]
                decoded = tokenizer.decode_batch(encoded, skip_special_tokens=parse)
                got = run_tl(path, texts, parse_special=parse, skip_special=parse)
                for text, ids, back, (our_ids, our_back) in zip(
                        texts, encoded, decoded, got):
                    self.assertEqual(our_ids, ids, repr(text))
                    self.assertEqual(our_back, back, (repr(text), ids))

    def bpe(self, pre, normalizer=None, decoder=None, special=("<s>", "</s>"),
            alphabet=None, size=900, trainer=None, **options):
        tokenizer = Tokenizer(models.BPE(**options))
        tokenizer.pre_tokenizer = pre
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.decoder = decoder or decoders.ByteLevel()
        if alphabet is None:
            alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.train_from_iterator(corpus(7), trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet,
            show_progress=False, **(trainer or {})))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>",
            special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")])
        return tokenizer

    def split_bpe(self, *steps, **options):
        return self.bpe(pre_tokenizers.Sequence([
            *steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
            **options)

    def test_byte_level_bpe(self):
        for prefix in (False, True):
            with self.subTest(prefix=prefix):
                self.compare(self.bpe(pre_tokenizers.ByteLevel(add_prefix_space=prefix)))

    PATTERNS = {
        "llama 3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
                   r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "gpt-4o": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
                  r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
                  r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
                  r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
                  r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "deepseek 3": r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
                      r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
                      r"\s*[\r\n]+|\s+(?!\S)|\s+",
        "odd": r"\w+$|^\s|\S\h+|[\d]{2,4}\b|[^\S\n]+|\p{Han}+|(?=x)|[\p{L}&&[^a-z]]+",
    }

    def test_byte_level_bpe_with_patterns(self):
        for name, pattern in self.PATTERNS.items():
            llama = name == "llama 3"
            with self.subTest(name):
                self.compare(self.split_bpe(
                    pre_tokenizers.Split(Regex(pattern), "isolated"),
                    normalizer=normalizers.NFC() if llama else None,
                    ignore_merges=llama), MANY if llama else SOME)

    # What tokenizer.json has for some names of tokenizer.ggml.pre.
    def named(self):
        split, sequence = pre_tokenizers.Split, pre_tokenizers.Sequence
        byte_level = pre_tokenizers.ByteLevel
        plain = byte_level(add_prefix_space=False, use_regex=False)
        words = byte_level(add_prefix_space=False, use_regex=True)
        qwen = self.PATTERNS["llama 3"].replace("{1,3}", "")
        yield "gpt-2", words
        yield "llama-bpe", sequence([
            split(Regex(self.PATTERNS["llama 3"]), "isolated"), plain])
        yield "qwen2", sequence([split(Regex(qwen), "isolated"), plain])
        yield "gpt-4o", sequence([
            split(Regex(self.PATTERNS["gpt-4o"]), "isolated"), plain])
        yield "deepseek-v3", sequence([
            split(Regex(r"\p{N}{1,3}"), "isolated"),
            split(Regex("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), "isolated"),
            split(Regex(self.PATTERNS["deepseek 3"]), "isolated"), plain])
        yield "starcoder", sequence([
            pre_tokenizers.Digits(individual_digits=True), words])
        yield "bloom", sequence([
            split(Regex(" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"),
                  "isolated"), plain])

    def test_names_of_gguf(self):
        texts = hard_texts(SOME, 8)
        for name, pre in self.named():
            tokenizer = self.bpe(pre, ignore_merges=name == "llama-bpe")
            parts = json.loads(tokenizer.to_str())
            vocabulary = sorted(parts["model"]["vocab"], key=parts["model"]["vocab"].get)
            special = [token["content"] for token in parts["added_tokens"]]
            with self.subTest(name), tempfile.TemporaryDirectory() as scratch:
                path = f"{scratch}/m.gguf"
                writer = gguf.GGUFWriter(path, "llama")
                writer.add_tokenizer_model("gpt2")
                writer.add_tokenizer_pre(name)
                writer.add_token_list(vocabulary)
                writer.add_token_types([
                    gguf.TokenType.CONTROL if token in special
                    else gguf.TokenType.NORMAL for token in vocabulary])
                writer.add_token_merges([" ".join(m) for m in parts["model"]["merges"]])
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.close()
                tokenizer.encode_special_tokens = True
                expected = [e.ids for e in
                            tokenizer.encode_batch(texts, add_special_tokens=False)]
                for text, ids, (ours, back) in zip(
                        texts, expected, run_tl(path, texts, add_special=False)):
                    self.assertEqual(ours, ids, repr(text))
                    whole = tokenizer.decode(ids, skip_special_tokens=False)
                    self.assertEqual(back, whole, repr(text))

    def test_behaviors_of_splits(self):
        for behavior in ("removed", "merged_with_previous", "merged_with_next",
                         "contiguous"):
            with self.subTest(behavior):
                self.compare(self.split_bpe(
                    pre_tokenizers.Split(Regex(r"\s|\d+"), behavior),
                    pre_tokenizers.Digits(individual_digits=behavior == "removed"),
                    pre_tokenizers.Punctuation(behavior)))
        with self.subTest("inverted"):
            self.compare(self.split_bpe(
                pre_tokenizers.Split(Regex(r"\w+"), "merged_with_next", invert=True),
                pre_tokenizers.Split("a", "isolated"),
                pre_tokenizers.CharDelimiterSplit("b")))

    def test_bpe_with_byte_fallback(self):
        trained = json.loads(self.bpe(
            pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
            decoder=decoders.Sequence([
                decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
            special=["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)],
            alphabet=[], size=700, unk_token="<unk>", byte_fallback=True,
            fuse_unk=True).to_str())
        trained["added_tokens"] = trained["added_tokens"][:3]
        trained["pre_tokenizer"] = None
        trained["normalizer"] = json.loads(normalizers.Sequence([
            normalizers.Prepend("\u2581"),
            normalizers.Replace(" ", "\u2581")]).__getstate__())
        with self.subTest("bytes"):
            self.compare(Tokenizer.from_str(json.dumps(trained)), MANY)
        trained["model"]["byte_fallback"] = False
        for fuse in (False, True):
            trained["model"]["fuse_unk"] = fuse
            with self.subTest("unknown", fuse=fuse):
                self.compare(Tokenizer.from_str(json.dumps(trained)))
        for scheme in ("first", "always", "never"):
            trained["normalizer"] = None
            trained["pre_tokenizer"] = trained["decoder"] = {
                "type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme,
                "split": True}
            with self.subTest("metaspace", scheme=scheme):
                self.compare(Tokenizer.from_str(json.dumps(trained)))

    def test_bpe_with_marks_of_words(self):
        special = ["<unk>", "<s>", "</s>"]
        with self.subTest("ends"):
            self.compare(self.bpe(
                pre_tokenizers.Whitespace(), decoder=decoders.BPEDecoder("</w>"),
                alphabet=[], special=special, unk_token="<unk>",
                end_of_word_suffix="</w>", trainer={"end_of_word_suffix": "</w>"},
                normalizer=normalizers.Sequence([
                    normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()])))
        with self.subTest("continued"):
            self.compare(self.bpe(
                pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece("##"),
                alphabet=[], special=special, unk_token="<unk>",
                continuing_subword_prefix="##",
                trainer={"continuing_subword_prefix": "##"},
                normalizer=normalizers.Sequence([
                    normalizers.NFKD(), normalizers.StripAccents()])))

    def test_added_tokens(self):
        tokenizer = self.bpe(pre_tokenizers.ByteLevel(add_prefix_space=False),
                             normalizer=normalizers.Lowercase())
        tokenizer.add_tokens([
            AddedToken("world", normalized=True),
            AddedToken("Hello", normalized=False, single_word=True),
            AddedToken("123", lstrip=True, rstrip=True, normalized=False),
            AddedToken("a", single_word=True, lstrip=True, normalized=True),
            AddedToken("\u4f60", rstrip=True, normalized=True)])
        tokenizer.add_special_tokens([AddedToken("[CLS]", lstrip=True),
                                      AddedToken("<s>x", special=True)])
        self.compare(tokenizer)

    def test_word_piece(self):
        for lower in (False, True):
            tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]",
                                                   max_input_chars_per_word=20))
            tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
            tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
            tokenizer.decoder = decoders.WordPiece()
            tokenizer.train_from_iterator(corpus(5), trainers.WordPieceTrainer(
                vocab_size=1500, show_progress=False,
                special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
            tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3),
                                                                 ("[CLS]", 2))
            with self.subTest(lower=lower):
                self.compare(tokenizer, MANY if lower else SOME)

    def test_unigram(self):
        for fallback in (False, True):
            self.unigram(fallback)

    def unigram(self, fallback):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([
            normalizers.Nmt(), normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " ")])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        special = ["<unk>", "<s>", "</s>"]
        data = [f"<0x{i:02X}>" for i in range(256)] if fallback else []
        tokenizer.train_from_iterator(corpus(3), trainers.UnigramTrainer(
            vocab_size=4000, special_tokens=special + data, unk_token="<unk>",
            show_progress=False))
        parts = json.loads(tokenizer.to_str())
        parts["model"]["byte_fallback"] = fallback
        parts["added_tokens"] = parts["added_tokens"][:3]
        if fallback:
            parts["decoder"] = {"type": "Sequence", "decoders": [
                {"type": "ByteFallback"}, parts["decoder"]]}
        tokenizer = Tokenizer.from_str(json.dumps(parts))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 2)])
        with self.subTest(fallback=fallback):
            self.compare(tokenizer, SOME if fallback else MANY)

    def test_whole_words(self):
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.WhitespaceSplit(), pre_tokenizers.FixedLength(5)])
        tokenizer.train_from_iterator(corpus(3), trainers.WordLevelTrainer(
            special_tokens=["<unk>"], show_progress=False))
        self.compare(tokenizer)


class EveryCharacter(unittest.TestCase):
    """What a step does to each character of Unicode 14: the tokens are bytes, and a
    mark stands before each piece."""

    STEPS = [
        ([normalizers.NFC()], []), ([normalizers.NFD()], []),
        ([normalizers.NFKC()], []), ([normalizers.NFKD()], []),
        ([normalizers.Lowercase(), normalizers.StripAccents()], []),
        ([normalizers.Nmt()], []), ([normalizers.BertNormalizer()], []),
        ([normalizers.BertNormalizer(lowercase=False)], []),
        ([], [pre_tokenizers.Whitespace()]), ([], [pre_tokenizers.WhitespaceSplit()]),
        ([], [pre_tokenizers.BertPreTokenizer()]),
        ([], [pre_tokenizers.Digits(individual_digits=True),
              pre_tokenizers.Punctuation()]),
    ] + [([], [pre_tokenizers.Split(Regex(pattern), "isolated")])
         for pattern in (r"\s+", r"\w", r"\d", r"\p{L}", r"\p{N}", r"\p{P}", r"\p{M}",
                         r"\p{S}", r"\p{Lu}", r"\p{Han}", r"\p{Hiragana}")]

    def texts(self):
        # Private characters are all the same.
        characters = [c for c in ALL if unicodedata.category(c) != "Co"] + ["\ue000"]
        for begin in range(0, len(characters), 200):
            yield "".join(f"a{c}" for c in characters[begin:begin + 200]) + "a"

    def test_every_character(self):
        alphabet = {c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}
        texts = list(self.texts())
        for normal, cuts in self.STEPS:
            tokenizer = Tokenizer(models.BPE(alphabet, []))
            tokenizer.normalizer = normalizers.Sequence(normal)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cuts + [
                pre_tokenizers.Metaspace(split=False),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
            tokenizer.decoder = decoders.ByteLevel()
            with self.subTest(str(normal + cuts)), \
                    tempfile.TemporaryDirectory() as scratch:
                tokenizer.save(f"{scratch}/tokenizer.json")
                expected = [e.ids for e in tokenizer.encode_batch(texts)]
                for text, ids, (ours, back) in zip(
                        texts, expected, run_tl(f"{scratch}/tokenizer.json", texts)):
                    self.assertEqual(back, tokenizer.decode(ids), repr(text))
                    self.assertEqual(ours, ids, repr(text))


def fields_of(message):
    """The fields of a protobuf message that are messages or bytes, by number."""
    def number(at):
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 0x7f) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at

    fields, at = {}, 0
    while at < len(message):
        key, at = number(at)
        kind = key & 7
        if kind == 2:
            size, at = number(at)
            fields[key >> 3] = message[at:at + size]
            at += size
        elif kind == 0:
            _, at = number(at)
        else:
            at += {1: 8, 5: 4}[kind]
    return fields


def charsmap_of(processor):
    """ModelProto.normalizer_spec.precompiled_charsmap"""
    return fields_of(fields_of(processor.serialized_model_proto())[3])[2]


class SentencePiece(unittest.TestCase):
    """Against `sentencepiece`, by way of a GGUF file."""

    def trained(self, **options):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([t.replace("\0", "").replace("\n", " ")
                                    for t in corpus(11)]),
            model_writer=model, num_threads=1, minloglevel=2, **options)
        return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())

    def write(self, path, kind, processor, **keys):
        writer = gguf.GGUFWriter(path, "llama")
        ids = range(processor.vocab_size())
        writer.add_tokenizer_model(kind)
        writer.add_token_list([processor.id_to_piece(i) for i in ids])
        writer.add_token_scores([processor.get_score(i) for i in ids])
        types = [gguf.TokenType.UNKNOWN if processor.is_unknown(i)
                 else gguf.TokenType.CONTROL if processor.is_control(i)
                 else gguf.TokenType.BYTE if processor.is_byte(i)
                 else gguf.TokenType.NORMAL for i in ids]
        writer.add_token_types(types)
        writer.add_bos_token_id(processor.bos_id())
        writer.add_eos_token_id(processor.eos_id())
        writer.add_unk_token_id(processor.unk_id())
        for key, value in keys.items():
            getattr(writer, f"add_{key}")(value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()

    def compare(self, kind, processor, texts, **keys):
        with tempfile.TemporaryDirectory() as scratch:
            path = f"{scratch}/m.gguf"
            self.write(path, kind, processor, **keys)
            got = run_tl(path, texts, add_special=False)
        for text, (ids, back) in zip(texts, got):
            expected = processor.encode(text)
            self.assertEqual(ids, expected, repr(text))
            if processor.unk_id() not in ids:
                self.assertEqual(back, processor.decode(expected), repr(text))

    def test_bpe(self):
        processor = self.trained(
            model_type="bpe", vocab_size=2500, byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False,
            character_coverage=0.98)
        self.compare("llama", processor, hard_texts(MANY, 5))

    def test_unigram(self):
        processor = self.trained(model_type="unigram", vocab_size=2200,
                                 normalization_rule_name="nmt_nfkc",
                                 character_coverage=0.99)
        charsmap = charsmap_of(processor)
        self.compare("t5", processor, hard_texts(MANY, 6),
                     precompiled_charsmap=charsmap, remove_extra_whitespaces=True,
                     add_space_prefix=True)


class Published(unittest.TestCase):
    """The tokens that others give for vocabularies of real models."""

    def test_vocabularies(self):
        files = sorted(VOCABULARIES.glob("*.gguf"))
        if not files:
            self.skipTest(f"there are no vocabularies in {VOCABULARIES}")
        for path in files:
            with self.subTest(path.name):
                texts = pathlib.Path(f"{path}.inp").read_bytes().decode()
                texts = texts.split("\n__ggml_vocab_test__\n")
                lines = pathlib.Path(f"{path}.out").read_text().split("\n")
                expected = [[int(word) for word in line.split()] for line in lines]
                got = run_tl(path, texts, add_special=False)
                self.assertEqual(len(expected[:len(texts)]), len(texts))
                for text, ids, (ours, _) in zip(texts, expected, got):
                    self.assertEqual(ours, ids, repr(text))


if __name__ == "__main__":
    report.main()
