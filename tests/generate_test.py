#!/usr/bin/env python3
"""`tl generate` with trained models: the text is the published one of a model that
nobody of this project made (skipped where ../shared/models is not there), and that
of transformers for the bundled one."""

import json
import pathlib
import shutil
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

import report
import tiny_chat
import tl_command

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT.parent / "shared" / "models" / "gguf"
STORIES = MODELS / "stories260K" / "stories260K.gguf"


def generate(*options):
    return tl_command.tl("generate", *options)


@unittest.skipUnless(STORIES.exists(), f"no {STORIES}")
class Stories(unittest.TestCase):
    def setUp(self):
        self.expected = json.loads(
            (STORIES.parent / "EXPECTED.json").read_text())

    def test_the_likeliest_text_is_the_published_one(self):
        done = generate(STORIES, "-p", "", "-n", 200, "--temperature", 0,
                        "--dtype", "float32")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(
            done.stdout.strip().startswith(self.expected["expected_text"].strip()[:600]),
            done.stdout)

    def test_packed_weights_give_the_text_of_exact_arithmetic(self):
        folder = MODELS / "stories260K-quants"
        expected = json.loads((folder / "EXPECTED.json").read_text())
        for name in ("Q8_0", "Q4_0"):
            for option in ("--exact", "--seed=0"):
                with self.subTest(name, option=option):
                    done = generate(folder / f"stories260K.{name}.gguf", "-p", "", "-n",
                                    len(expected[name]["greedy_ids"]),
                                    "--temperature", 0, option)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    text = expected[name]["greedy_text"].strip()
                    self.assertTrue(done.stdout.strip().startswith(text), done.stdout)

    def test_the_same_seed_gives_the_same_text(self):
        options = (STORIES, "-p", "Once upon a time", "-n", 60)
        first, second, other = (generate(*options, "--seed", seed).stdout
                                for seed in (3, 3, 4))
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)
        self.assertTrue(first.startswith("Once upon a time"), first)



class Bundled(unittest.TestCase):
    """The model of models/verses, and what transformers made of it."""
    FOLDER = ROOT / "models" / "verses"

    def check(self, model):
        expected = json.loads((self.FOLDER / "EXPECTED.json").read_text())
        done = generate(model, "-p", expected["prompt"], "-n", expected["max_tokens"],
                        "--temperature", 0, "--dtype", "float32")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, expected["text"] + "\n")

    def test_the_folder_gives_the_text_of_transformers(self):
        self.check(self.FOLDER)

    def test_rows_beyond_the_tokenizers_tokens_are_never_drawn(self):
        """Vocabularies are padded for speed; here with what would win each time."""
        with tempfile.TemporaryDirectory() as folder:
            padded = pathlib.Path(folder) / "padded"
            shutil.copytree(self.FOLDER, padded)
            (padded / "verses.q8_0.gguf").unlink()
            tensors = load_file(padded / "model.safetensors")
            rows = tensors["model.embed_tokens.weight"]
            tensors["model.embed_tokens.weight"] = np.concatenate([rows, 2 * rows[:64]])
            save_file(tensors, padded / "model.safetensors")
            config = json.loads((padded / "config.json").read_text())
            config["vocab_size"] += 64
            (padded / "config.json").write_text(json.dumps(config))
            self.check(padded)

    def test_its_gguf_gives_the_text_of_transformers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "verses.gguf"
            done = tl_command.tl("convert", self.FOLDER, path, "--type", "f16")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check(path)

    def test_a_text_obeys_a_grammar(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "g").write_text(
                'root ::= " " name " said" (" unto" name)? [.:]\n'
                'name ::= " "? ("God" | "Moses" | "the LORD")')
            (folder / "s").write_text(
                '{"properties": {"who": {"enum": ["God", "Moses"]},'
                ' "verse": {"type": "string", "maxLength": 30}},'
                ' "required": ["who", "verse"]}')
            for seed in range(5):
                options = (self.FOLDER, "-p", "And", "-n", 200, "--seed", seed)
                done = generate(*options, "--grammar", folder / "g")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertRegex(done.stdout,
                                 r"\AAnd  ?(God|Moses|the LORD) said"
                                 r"( unto ?(God|Moses|the LORD))?[.:]\n\Z")
                done = generate(*options, "--json-schema", folder / "s")
                self.assertEqual(done.returncode, 0, done.stderr)
                value = json.loads(done.stdout.removeprefix("And"))
                self.assertEqual(list(value), ["who", "verse"])
                self.assertIn(value["who"], ["God", "Moses"])
                self.assertLessEqual(len(value["verse"]), 30)
                done = generate(*options, "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout[:4], "And{")

    def test_each_text_begins_the_grammar_anew(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program.tl"
            program.write_text(
                "import std.generate\n"
                "let m = load_model(args()[0], layout: \"gguf\")\n"
                'let g = grammar(m.tokenizer, "root ::= [0-9]{3}")\n'
                'print(generate(m, "And", grammar: g), generate(m, "And", grammar: g,'
                ' max_tokens: 3, on_finish: fn(why) { print(why) }))\n')
            done = tl_command.tl("run", program, self.FOLDER)
        self.assertEqual(done.returncode, 0, done.stderr)
        # Nothing may follow, so three tokens, one for each digit, are enough.
        self.assertRegex(done.stdout, r"\Astop\n\d{3} \d{3}\n\Z")

    def test_one_form_at_a_time_and_files_that_are_there(self):
        done = generate(self.FOLDER, "-p", "a", "--json", "--grammar", "g")
        self.assertEqual(done.returncode, 64)
        self.assertIn("error: --grammar excludes --json\n", done.stderr)
        done = generate(self.FOLDER, "-p", "a", "--grammar", "missing.gbnf")
        self.assertEqual(done.returncode, 66)
        self.assertIn("missing.gbnf", done.stderr)

    def test_the_gguf_beside_it_is_what_convert_makes_of_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "verses.gguf"
            done = tl_command.tl("convert", self.FOLDER, path, "--type", "q8_0")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(path.read_bytes(),
                             (self.FOLDER / "verses.q8_0.gguf").read_bytes())


class Adapters(unittest.TestCase):
    """--lora is apply_lora of the language, which tests/lora_test.py holds to PEFT."""
    MODEL = ROOT / "models" / "verses"
    PROGRAM = """
import std.generate
let m = apply_lora(load_model("{}", layout: "gguf"), "{}", scale: 0.5)
print("And God said" + generate(m, "And God said", max_tokens: 8, temperature: 0.0))
"""

    def test_the_text_is_that_of_the_merged_model(self):
        with tempfile.TemporaryDirectory() as folder:
            adapter = pathlib.Path(folder)
            module = "base_model.model.model.layers.0.self_attn.v_proj"
            save_file({f"{module}.lora_A.weight": np.ones((1, 192), np.float32),
                       f"{module}.lora_B.weight": np.ones((64, 1), np.float32)},
                      adapter / "adapter_model.safetensors")
            (adapter / "adapter_config.json").write_text(
                '{"peft_type": "LORA", "r": 1, "lora_alpha": 1}')
            options = (self.MODEL, "-p", "And God said", "-n", 8, "--temperature", 0)
            merged = generate(*options, "--lora", adapter, "--lora-scale", 0.5)
            self.assertEqual(merged.returncode, 0, merged.stderr)
            program = tl_command.tl("-e", self.PROGRAM.format(self.MODEL, adapter))
            self.assertEqual(merged.stdout, program.stdout)
            self.assertNotEqual(merged.stdout, generate(*options).stdout)

    def test_a_scale_of_no_adapter(self):
        done = generate(self.MODEL, "-p", "And", "--lora-scale", 2)
        self.assertEqual(done.stderr, "error: --lora-scale requires --lora\n"
                         "note: tl generate --help shows how it is used\n")


class Limits(unittest.TestCase):
    """Of the bundled model: what is refused, and what ends a text."""
    VERSES = Bundled.FOLDER

    def check_error(self, status, error, *options):
        done = generate(self.VERSES, *options)
        self.assertEqual((done.returncode, done.stderr.splitlines()[0]),
                         (status, "error: " + error))

    def test_a_prompt_longer_than_the_context(self):
        self.check_error(65, "panic: the prompt has 9 tokens; the context holds 4",
                         "-p", "And it came to pass, and then", "--context", 4)

    def test_options_out_of_range(self):
        for option, value, error in [
                ("-n", -1, "Value -1 not in range 1 to 1073741824"),
                ("-n", 0, "Value 0 not in range 1 to 1073741824"),
                ("--context", 0, "Value 0 not in range 1 to 1073741824"),
                ("--temperature", -1,
                 "it is -1; expected 0 (the likeliest token) or more"),
                ("--temperature", "nan",
                 "it is nan; expected 0 (the likeliest token) or more"),
                ("--top-k", -1, "Value -1 not in range 0 to 1073741824"),
                ("--top-p", 1.5, "it is 1.5; expected a number from 0 to 1"),
                ("--min-p", -0.1, "it is -0.1; expected a number from 0 to 1"),
                ("--repetition-penalty", 0, "it is 0; expected a number above 0")]:
            name = {"-n": "--tokens"}.get(option, option)
            self.check_error(64, f"{name}: {error}", "-p", "And", option, value)

    def test_a_full_context_is_told(self):
        done = generate(self.VERSES, "-p", "And", "-n", 30, "--context", 8,
                        "--temperature", 0)
        whole = generate(self.VERSES, "-p", "And", "-n", 30, "--temperature", 0)
        self.assertEqual((done.returncode, done.stderr),
                         (0, "note: the context of 8 tokens is full\n"))
        self.assertTrue(whole.stdout.startswith(done.stdout.rstrip("\n")), done.stdout)
        self.assertEqual(whole.stderr, "")


class Function(unittest.TestCase):
    """std.generate in programs."""
    MODEL = f'import std.generate\nlet m = load_model("{Bundled.FOLDER}", layout: "gguf")\n'

    def run_program(self, text):
        return tl_command.tl("-e", self.MODEL + text)

    def check_error(self, arguments, error):
        done = self.run_program(f"generate(m, {arguments})")
        self.assertEqual((done.returncode, done.stderr.splitlines()[0]),
                         (65, "error: " + error))

    def test_arguments_out_of_range(self):
        self.check_error('"And", max_tokens: -1',
                         "panic: max_tokens is -1; expected 0 or more")
        self.check_error('"And", temperature: -1.0', "sampler: 'temperature' is -1; "
                         "expected a finite number, 0 (the largest logit) or more")
        self.check_error('"And", top_p: 1.5', "sampler: 'top_p' is 1.5; expected a "
                         "number from 0 to 1 (all)")
        self.check_error('"And it came to pass, and then", context: 4',
                         "panic: the prompt has 9 tokens; the context holds 4")

    def test_a_prompt_without_tokens(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder) / "model"
            tiny_chat.write(folder, says="Hi")
            tokenizer = json.loads((folder / "tokenizer.json").read_text())
            tokenizer["post_processor"] = None
            (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
            done = generate(folder, "-p", "")
        self.assertEqual(
            (done.returncode, done.stderr.splitlines()[0]),
            (65, "error: panic: the prompt has no tokens, and this model begins with "
             "none"))

    def test_the_reason_of_the_end(self):
        done = self.run_program("""
let why = fn(reason) { print("", reason) }
print(generate(m, "And", max_tokens: 3, on_finish: why) != "")
print(generate(m, "And", max_tokens: none, context: 8, on_finish: why) != "")
print(generate(m, "And", max_tokens: 0, on_finish: why) == "")
""")
        self.assertEqual((done.stdout, done.stderr),
                         (" length\ntrue\n context\ntrue\n length\ntrue\n", ""))

    def test_the_cache_holds_the_text_but_for_its_last_token(self):
        """Also where the model had read on before it was known that the text ends."""
        with tempfile.TemporaryDirectory() as folder:
            tiny_chat.write(pathlib.Path(folder) / "model", says="Hi")
            done = tl_command.tl("-e", f"""
import std.generate
let m = load_model("{folder}/model", layout: "gguf")
let ids = tokenize(m.tokenizer, "\\n")
for way in [[20, 9], [20, 2], [3, 9], [20, 0]] {{
    for temperature in [0.0, 1.0] {{
        let seen = ids
        let cache = kv_cache(m, length: way[0])
        let why = continue_ids(m, ids, cache, fn(id) {{ seen.push(id) }}, way[1], temperature)
        print(len(ids), len(seen), cache.pos, why)
        let fresh = kv_cache(m)
        forward(m, seen[:cache.pos], fresh)
        assert(max(abs(fresh.get_k(0) - cache.get_k(0))) < 0.1)
    }}
}}
""")
        self.assertEqual((done.stderr, done.stdout),
                         ("", "2 4 4 stop\n2 4 4 stop\n2 4 3 length\n2 4 3 length\n"
                              "2 3 3 context\n2 3 3 context\n2 2 2 length\n"
                              "2 2 2 length\n"))

    def test_logits_that_went_wrong_are_named(self):
        done = self.run_program("""
m.token_embd.weight = m.token_embd.weight / 0
generate(m, "And", on_token: fn(text) { print(text) })
""")
        self.assertEqual((done.returncode, done.stdout, done.stderr.splitlines()[0]),
                         (65, "", "error: sampler: logit 0 of 2048 is NaN"))

    def test_who_does_not_ask_for_the_reason_is_told_of_a_full_context(self):
        done = self.run_program('generate(m, "And", context: 8)')
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "", "note: the context of 8 tokens is full\n"))


if __name__ == "__main__":
    report.main()
