#!/usr/bin/env python3
"""Vectors of texts: those of small models are made of what transformers computes
(references/language_models/), by the tokenizer and the pooling that the model's files
ask for; those of real static models are the published ones."""

import json
import pathlib
import sys
import tempfile
import unittest

STORED = pathlib.Path(__file__).resolve().parent / "references" / "language_models"
sys.path.insert(0, str(STORED))

import gguf
import numpy as np
from safetensors.numpy import load_file
from tokenizers import (Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

from hard_texts import corpus, hard_texts
import closeness
import report
import tl_command
import tokenizers_test
import zoo

LOGITS = load_file(STORED / "logits.safetensors")
REAL = tl_command.ROOT.parent / "shared" / "models" / "safetensors"


def words_for(name):
    """A tokenizer, and a text that becomes the tokens whose vectors are stored."""
    ids = zoo.tokens(name)[:zoo.PROMPT]
    size = zoo.MODELS[name]["config"]["vocab_size"]
    text = {i: f"w{i}" for i in range(size)}
    text |= {0: "[UNK]", ids[0]: "[CLS]", ids[-1]: "[SEP]"}
    assert ids[0] not in ids[1:] and ids[-1] not in ids[:-1] and 0 not in ids
    tokenizer = Tokenizer(models.WordPiece(
        {word: i for i, word in text.items()}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", ids[-1]), ("[CLS]", ids[0]))
    words = " ".join(text[i] for i in ids[1:-1])
    assert tokenizer.encode(words).ids == ids
    return tokenizer, words


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def tl(self, *words):
        done = tl_command.tl(*words, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def run_program(self, text):
        (self.folder / "program.tl").write_text("import std.language_model\n" + text)
        return tl_command.tl("run", "program.tl", cwd=self.folder)

    def assert_fails(self, text, message, status=65):
        done = self.run_program(text)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(f"error: {message}\n", done.stderr)

    def beside(self, name, **files):
        """Writes the folder of a model with JSON files in it."""
        zoo.write(name, self.folder / "hf")
        for path, content in files.items():
            target = self.folder / "hf" / path.replace("__", "/")
            target = target.with_suffix(".json")
            target.parent.mkdir(exist_ok=True)
            target.write_text(json.dumps(content))

    def embedded(self, path, texts, options=""):
        done = self.run_program(
            f'let m = load_model("{path}", layout: "gguf", dtype: float32)\n'
            f'let out = model()\nout["v"] = embed(m, {json.dumps(texts)}{options})\n'
            'save_model(out, "out.safetensors")\n')
        self.assertEqual(done.returncode, 0, done.stderr)
        return load_file(self.folder / "out.safetensors")["v"]


def expected(name, pooling):
    x = LOGITS[f"{name}.hidden"].astype(np.float64)
    v = {"mean": x.mean(axis=0), "cls": x[0], "last": x[-1]}[pooling]
    return v / np.linalg.norm(v)


def modes(**chosen):
    """1_Pooling/config.json of sentence-transformers."""
    names = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens",
             "weightedmean_tokens", "lasttoken"]
    return {"word_embedding_dimension": 32, "include_prompt": True,
            **{f"pooling_mode_{name}": chosen.get(name, False) for name in names}}


def mode(*names):
    """The same of its later versions."""
    return {"embedding_dimension": 32, "include_prompt": True,
            "pooling_mode": names[0] if len(names) == 1 else list(names)}


MODULES = [{"idx": i, "name": str(i), "path": path,
            "type": f"sentence_transformers.models.{kind}"}
           for i, (path, kind) in enumerate(
               [("", "Transformer"), ("1_Pooling", "Pooling"),
                ("2_Normalize", "Normalize")])]


class Small(Scratch):
    def check(self, name, pooling, options="", **files):
        tokenizer, words = words_for(name)
        self.beside(name, **files)
        tokenizer.save(str(self.folder / "hf" / "tokenizer.json"))
        self.tl("convert", "hf", "m.gguf")
        for path in ("hf", "m.gguf"):
            with self.subTest(path):
                got = self.embedded(path, [words, "w1", words], options)
                self.assertEqual(got.shape, (3, 32))
                np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, rtol=1e-6)
                for row in (0, 2):
                    error = closeness.relative_error(got[row], expected(name, pooling))
                    self.assertLessEqual(error, 1e-5)
                np.testing.assert_array_equal(self.embedded(path, words, options),
                                              got[:1])

    def test_an_encoder_is_pooled_by_mean(self):
        self.check("bert", "mean")

    def test_another_model_by_its_last_token(self):
        self.check("qwen3", "last")

    def test_the_files_of_sentence_transformers_say_how(self):
        for name, mode, pooling in [("bert", "cls_token", "cls"),
                                    ("bert", "mean_tokens", "mean"),
                                    ("bert", "lasttoken", "last"),
                                    ("qwen3", "mean_tokens", "mean")]:
            with self.subTest(name, mode=mode):
                self.check(name, pooling, modules=MODULES,
                           **{"1_Pooling__config": modes(**{mode: True})})

    def test_their_later_files_name_the_mode(self):
        for name, word, pooling in [("bert", "cls", "cls"), ("bert", "lasttoken", "last"),
                                    ("qwen3", "mean", "mean")]:
            with self.subTest(name, mode=word):
                self.check(name, pooling, modules=MODULES,
                           **{"1_Pooling__config": mode(word)})

    def test_a_mode_that_is_not_said_is_the_mean(self):
        for config in ({"embedding_dimension": 32}, modes()):
            self.check("qwen3", "mean", **{"1_Pooling__config": config})

    def test_modules_json_says_where_the_pooling_is(self):
        elsewhere = [MODULES[0], MODULES[1] | {"path": "pool"}, MODULES[2]]
        self.check("bert", "cls", modules=elsewhere,
                   **{"pool__config": mode("cls"), "1_Pooling__config": mode("max")})

    def test_the_program_may_say_it(self):
        self.check("bert", "cls", ', pooling: "cls"')

    def test_gguf_has_a_number_for_it(self):
        self.check("bert", "cls", **{"1_Pooling__config": modes(cls_token=True)})
        fields = gguf.GGUFReader(self.folder / "m.gguf").fields
        self.assertEqual(fields["bert.pooling_type"].contents(), 2)
        (self.folder / "back").mkdir()
        self.tl("convert", "m.gguf", "back/model.safetensors", "--layout", "hf")
        for path in ("m.gguf", "back"):
            self.assertEqual(self.tl(
                "-e", f'print(load_model("{path}").config.pooling)'), "cls\n")


class Refused(Scratch):
    def model(self, **files):
        self.beside("bert", **files)
        words_for("bert")[0].save(str(self.folder / "hf" / "tokenizer.json"))
        return 'let m = load_model("hf", layout: "gguf")\n'

    def test_another_pooling(self):
        self.assert_fails(
            self.model() + 'embed(m, "w1", pooling: "max")\n',
            'panic: embed: the pooling is "max"; known are "mean", "cls" and "last"')
        load = self.model(**{"1_Pooling__config": modes(max_tokens=True,
                                                        mean_tokens=True)})
        message = ("'hf': its vectors are made by 'mean+max', which GGUF cannot say; "
                   "known are mean, cls and last")
        self.assert_fails(load, message, 66)
        self.assertEqual(
            tl_command.tl("convert", "hf", "m.gguf", cwd=self.folder).stderr,
            f"error: {message}\n")

    def test_a_pooling_that_lies_elsewhere(self):
        (self.folder / "secret").mkdir()
        (self.folder / "secret" / "config.json").write_text("{}")
        for path, said in (
                ("../secret", "is not the name of a file within the model"),
                (f"{self.folder}/secret", "is not the name of a file within the model"),
                ("pool", "leads out of the model")):
            modules = [MODULES[0], MODULES[1] | {"path": path}, MODULES[2]]
            load = self.model(modules=modules)
            link = self.folder / "hf" / "pool"
            if not link.is_symlink():
                link.symlink_to("../secret")
            self.assert_fails(load, f"'hf': '{path}/config.json' {said}", 66)

    def test_several_modes(self):
        load = self.model(**{"1_Pooling__config": mode("cls", "mean")})
        self.assert_fails(load, "'hf': its vectors are made by 'cls+mean', which GGUF "
                          "cannot say; known are mean, cls and last", 66)

    def test_an_unknown_mode(self):
        for said in ("none", "last", None, ["mean", 3]):
            load = self.model(**{"1_Pooling__config": mode("mean") |
                                 {"pooling_mode": said}})
            wrong = json.dumps(3 if isinstance(said, list) else said)
            self.assert_fails(
                load, f"'hf': its 1_Pooling/config.json says \"pooling_mode\": {wrong}; "
                "known are mean, cls, lasttoken, max, mean_sqrt_len_tokens, weightedmean",
                66)

    def test_layers_after_the_pooling(self):
        dense = {"idx": 2, "name": "2", "path": "2_Dense",
                 "type": "sentence_transformers.models.Dense"}
        load = self.model(modules=[*MODULES, dense], **{
            "1_Pooling__config": modes(mean_tokens=True)})
        self.assert_fails(
            load, "'hf': its vectors are made by 'mean+Dense', which GGUF cannot say; "
            "known are mean, cls and last", 66)

    def test_a_file_that_is_no_json(self):
        load = self.model()
        (self.folder / "hf" / "modules.json").write_text("[")
        self.assert_fails(load, "'hf': its modules.json is not JSON",
                          66)

    def test_a_text_that_is_too_long(self):
        load = self.model()
        self.assert_fails(
            load + 'embed(m, ["w1", "w2 " * 130])\n',
            "panic: embed: the text has 132 tokens; the model reads 128")

    def test_a_tokenizer_of_another_model(self):
        tokenizer = Tokenizer(models.WordPiece(
            {f"w{i}": i for i in range(300)}, unk_token="w0"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        (self.folder / "text.txt").write_text("w250 " * 10)
        for name in ("bert", "llama"):
            zoo.write(name, self.folder / name)
            tokenizer.save(str(self.folder / name / "tokenizer.json"))
        message = ("error: panic: the text has token 250, 'w250': the tokenizer has 300 "
                   "tokens, the model 200\n")
        for words in (
                ["generate", "llama", "-p", "w1 w250"],
                ["perplexity", "llama", "text.txt", "--context", "8"],
                ["-e", 'import std.language_model\n'
                       'embed(load_model("bert", layout: "gguf"), ["w1", "w250"])'],
                ["-e", 'import std.language_model\n'
                       'embed(load_model("llama", layout: "gguf"), "w250")']):
            with self.subTest(str(words)):
                done = tl_command.tl(*words, cwd=self.folder)
                self.assertEqual(done.returncode, 65)
                self.assertTrue(done.stderr.startswith(message), done.stderr)

    def test_what_cannot_write_text(self):
        self.model()
        zoo.write("llama", self.folder / "llama")
        for model, message, status in (
                ("hf", "panic: 'bert' is an encoder, which gives no logits; see embed", 65),
                ("llama", "'llama' has no tokenizer: there is no tokenizer.json beside it",
                 66)):
            done = tl_command.tl("generate", model, "-p", "w1", cwd=self.folder)
            self.assertEqual(done.returncode, status)
            self.assertTrue(done.stderr.startswith(f"error: {message}\n"), done.stderr)

    def test_no_texts_and_no_tokens(self):
        load = self.model()
        self.assert_fails(load + "embed(m, [])\n", "panic: embed: no texts")
        self.assert_fails(load + "text_vector(m, [])\n",
                          "panic: embed: the text has no tokens")


class Converted(Scratch):
    """The tokenizers of BERT, in a folder and in the GGUF made of it."""

    def trained(self, **options):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(**options)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        # With U+2581 GGUF says that a word begins.
        texts = [text.replace("\u2581", "_") for text in corpus(5)]
        tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(
            vocab_size=190, limit_alphabet=60, show_progress=False,
            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
        return tokenizer

    def check(self, tokenizer, around):
        self.beside("bert", tokenizer_config={
            "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]",
            "unk_token": "[UNK]", "mask_token": {"content": "[MASK]"}})
        tokenizer.save(str(self.folder / "hf" / "tokenizer.json"))
        self.tl("convert", "hf", "m.gguf")
        tokenizer.encode_special_tokens = True
        texts = hard_texts(1000, 3)
        ids = [e.ids for e in tokenizer.encode_batch(texts)]
        for path in ("hf", "m.gguf"):
            got = [i for i, _ in tokenizers_test.run_tl(self.folder / path, texts)]
            for text, one, other in zip(texts, got, ids):
                self.assertEqual(one, other, f"{path}: {text!r}")
        fields = gguf.GGUFReader(self.folder / "m.gguf").fields
        get = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
        self.assertEqual(get("model"), "bert")
        self.assertEqual([get("unknown_token_id"), get("padding_token_id"),
                          get("mask_token_id")], [1, 0, 4])
        self.assertEqual([get("add_bos_token"), get("add_sep_token")], [around, around])
        if around:
            self.assertEqual([get("bos_token_id"), get("cls_token_id"),
                              get("seperator_token_id")], [2, 2, 3])
        # As llama.cpp's conversion writes them.
        words = {i: word for word, i in tokenizer.get_vocab().items()}
        for i, (token, kind) in enumerate(zip(get("tokens"), get("token_type"))):
            expected = (f"[PAD{i}]" if i not in words else words[i] if kind == 3
                        or kind == 2 else words[i][2:] if words[i].startswith("##")
                        else "\u2581" + words[i])
            self.assertEqual(token, expected)
        return fields

    def test_case_and_accents(self):
        around = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        for options in ({"lowercase": True}, {"lowercase": False},
                        {"lowercase": True, "strip_accents": False},
                        {"lowercase": False, "strip_accents": True}):
            with self.subTest(**options):
                tokenizer = self.trained(**options)
                tokenizer.post_processor = around
                fields = self.check(tokenizer, True)
                key = "tokenizer.ggml.normalizer."
                self.assertEqual(fields[key + "lowercase"].contents(),
                                 options["lowercase"])
                self.assertEqual(fields[key + "strip_accents"].contents(),
                                 options.get("strip_accents", options["lowercase"]))

    def test_nothing_around_texts(self):
        self.check(self.trained(), False)

    def test_added_tokens(self):
        tokenizer = self.trained()
        tokenizer.add_tokens(["tensorlogic", "two words"])
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        self.check(tokenizer, True)
        text = "a tensorlogic b two words c"
        for path in ("hf", "m.gguf"):
            (ids, _), = tokenizers_test.run_tl(self.folder / path, [text])
            self.assertEqual(ids, tokenizer.encode(text).ids)

    def test_what_gguf_cannot_say(self):
        def refused(tokenizer, why):
            self.beside("bert")
            tokenizer.save(str(self.folder / "hf" / "tokenizer.json"))
            done = tl_command.tl("convert", "hf", "m.gguf", cwd=self.folder)
            self.assertEqual(done.stderr, (
                "error: 'hf': its tokenizer.json cannot be written as GGUF: "
                f"{why}; the layout 'hf' keeps names and needs no tokenizer\n"))
        tokenizer = self.trained(handle_chinese_chars=False)
        refused(tokenizer, "it does not cut texts as BERT does")
        tokenizer = self.trained()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] [MASK] $A [SEP]",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)])
        refused(tokenizer, "it puts other tokens around texts than BERT does")
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A", special_tokens=[("[CLS]", 101)])
        refused(tokenizer, "it puts other tokens around texts than BERT does")
        tokenizer = Tokenizer.from_str(self.trained().to_str().replace(
            '"##a":', '"##\u2581a":'))
        refused(tokenizer, "its token '##\u2581a' would begin a word")
        tokenizer = Tokenizer.from_str(self.trained().to_str().replace(
            '"max_input_chars_per_word":100', '"max_input_chars_per_word":20'))
        refused(tokenizer, "its longest word has 20 characters, not 100")


@unittest.skipUnless(REAL.exists(), "no ../shared/models")
class Real(Scratch):
    def test_static_models(self):
        for name, bound in (("model2vec-f32", 1e-5), ("model2vec-f16", 2e-3)):
            with self.subTest(name):
                done = self.run_program(
                    f'let m = load_model("{REAL / name}", dtype: float32)\n'
                    'let out = model()\n'
                    'out["v"] = embed(m, ["hello world", "hello \u4e16 world \u2603"])\n'
                    'save_model(out, "out.safetensors")\n')
                self.assertEqual(done.returncode, 0, done.stderr)
                got = load_file(self.folder / "out.safetensors")["v"]
                published = json.loads((REAL / "embeddings_short.json").read_text())
                np.testing.assert_allclose(got[:1], published, rtol=0, atol=bound)
                self.assertAlmostEqual(float(np.linalg.norm(got[1])), 1, places=3)


if __name__ == "__main__":
    report.main()
