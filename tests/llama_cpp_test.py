#!/usr/bin/env python3
"""llama.cpp beside tl: GGUF files that tl wrote, read by the program that most
people run them with. Both give the same tokens for a text and go on with the
same one, and a grammar allows the same tokens in both."""

import ctypes
import json
import pathlib
import tempfile
import unittest

import llama_cpp

import report
import tl_command

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "models" / "verses"
PROMPTS = ["And God said", "In the beginning", "And it came to pass in those days",
           "Blessed are they", "The LORD"]

# Kept, since llama.cpp calls it whenever it has something to say.
QUIET = llama_cpp.llama_log_callback(lambda *_: None)


class Bundled(unittest.TestCase):
    def setUp(self):
        llama_cpp.llama_log_set(QUIET, ctypes.c_void_p())

    def check(self, path, new):
        model = llama_cpp.Llama(str(path), n_ctx=256, n_threads=2, verbose=False)
        for prompt in PROMPTS:
            with self.subTest(prompt=prompt):
                theirs = model.create_completion(
                    prompt, max_tokens=new, temperature=0, repeat_penalty=1.0)
                ours = tl_command.tl("generate", path, "-p", prompt, "-n", new,
                                     "--temperature", 0)
                self.assertEqual(ours.returncode, 0, ours.stderr)
                self.assertEqual(ours.stdout,
                                 prompt + theirs["choices"][0]["text"] + "\n")

    def test_float16_goes_on_with_the_same_text(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "verses.gguf"
            done = tl_command.tl("convert", FOLDER, path, "--type", "f16")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check(path, 48)

    def test_eight_bits_go_on_with_the_same_text(self):
        # Both round what they multiply to eight bits too, each its own way: in
        # longer texts two words that are as likely change places.
        self.check(FOLDER / "verses.q8_0.gguf", 32)


JSON = r"""
root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}  # as in llama.cpp's json.gbnf
"""
GRAMMARS = [
    (JSON, ['{"a": [1, -2.5e3, true, null], "b\\n": {"\u00e9\u20ac": "\\u00e9"}} ',
            '{\n\t"k":"in the beginning God created the heaven"}']),
    ('root ::= ("And" | "The" | "In the") (" " [a-z]+){2,4} [.!]?',
     ["And god said let.", "In the beginning was!"]),
    ("root ::= .* [0-9]{2,} [^a-z]?", ["God \u4e2d\u00e9 12", "777A"]),
    ('root ::= x | "\\x41\\u00e9" y\nx ::= ("b" x)? "c"\n'
     "y ::= [\u4e00-\u9fff-]+ y?",
     ["bbbc", "A\u00e9\u4e2d\u6587-"]),
    ('root ::= expr\nexpr ::= term ([-+*/] term)*\nterm ::= num | "(" expr ")"\n'
     "num ::= [0-9]+ ", ["(1+22)*((3))/4-5"]),
]
ALLOWED = """
let tok = load_tokenizer(args()[0])
let g = grammar(tok, read_text(args()[1]))
for i in 2..len(args()) {
    print(g.allowed())
    g.push(int(args()[i]))
}
print(g.allowed())
"""


class Grammars(unittest.TestCase):
    def test_each_allows_what_the_other_does(self):
        llama_cpp.llama_log_set(QUIET, ctypes.c_void_p())
        path = FOLDER / "verses.q8_0.gguf"
        model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
        # llama.cpp lets the text of <|begin|> be written, begins characters with
        # bytes that begin none, and never writes NUL.
        apart = {model.token_bos()}
        for token in range(model.n_vocab()):
            if any(byte == 0 or byte > 0xF4 for byte in model.detokenize([token])):
                apart.add(token)
        self.assertEqual(len(apart), 13)
        compared = 0
        for grammar, texts in GRAMMARS:
            for text in texts:
                with self.subTest(grammar=grammar, text=text):
                    ids = model.tokenize(text.encode(), add_bos=False)
                    theirs = allowed_by_llama_cpp(model, grammar, ids)
                    ours = allowed_by_tl(path, grammar, ids)
                    self.assertEqual(len(ours), len(theirs))
                    for step, (a, b) in enumerate(zip(ours, theirs)):
                        differ = sorted((set(a) ^ set(b)) - apart)
                        self.assertEqual(differ, [], f"before {ids[step:]}")
                    compared += len(ids)
        self.assertGreater(compared, 100)


def allowed_by_llama_cpp(model, grammar, ids):
    """The tokens that may come before each of `ids`, and behind them."""
    vocab = llama_cpp.llama_model_get_vocab(model.model)
    sampler = llama_cpp.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
    size = model.n_vocab()
    steps = []
    for token in [*ids, None]:
        data = (llama_cpp.llama_token_data * size)()
        for i in range(size):
            data[i].id, data[i].logit = i, 0.0
        array = llama_cpp.llama_token_data_array(data, size, -1, False)
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
        steps.append([i for i in range(size) if data[i].logit == 0.0])
        if token is not None:
            llama_cpp.llama_sampler_accept(sampler, token)
    llama_cpp.llama_sampler_free(sampler)
    return steps


def allowed_by_tl(path, grammar, ids):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "program.tl").write_text(ALLOWED)
        (scratch / "grammar").write_text(grammar)
        done = tl_command.tl("run", scratch / "program.tl", path,
                             scratch / "grammar", *ids)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    report.main()
