#!/usr/bin/env python3
"""Text that obeys a grammar: whatever the logits, what sample_token draws with one
is a text that Python's `re` or `json` takes, and what a JSON Schema describes."""

import json
import pathlib
import re
import tempfile
import unittest

import report
import tl_command

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "models" / "verses"
JSON = r'''
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null")
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? ws "}"
array  ::= "[" ws (value ("," ws value)*)? ws "]"
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})){0,9} "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,2})?
ws     ::= [ \n]?
'''
# Random logits seldom end: these are from 0 to 8, and what closes gets 4 more.
PROGRAM = '''
let tok = load_tokenizer(args()[0])
let bias = {}
for id in tok.ends { bias[id] = 4 }
for id in tokenize(tok, args()[1], add_special: false) { bias[id] = 4 }
let begin = GRAMMAR
for seed in 0..int(args()[3]) {
    let g = copy(begin)
    let ids = []
    for i in 0..4000 {
        let id = sample_token(rand([tok.vocab_size], seed: 4000 * seed + i) * 8,
                              seed: i, temperature: 1 - seed % 2, top_k: 50 * (seed % 3),
                              logit_bias: bias, grammar: g)
        if tok.ends.contains(id) { break }
        ids.push(id)
    }
    assert(g.may_end())
    write(tok.detokenize(ids) + "\\u{0}")
}
'''


def texts(grammar, closing, count=60, make="grammar(tok, read_text(args()[2]))"):
    """What random logits give with the grammar."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "program.tl").write_text(PROGRAM.replace("GRAMMAR", make))
        (scratch / "grammar").write_text(grammar)
        done = tl_command.tl("run", scratch / "program.tl", FOLDER, closing,
                             scratch / "grammar", count)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
    drawn = done.stdout.split("\0")
    assert drawn.pop() == "" and len(drawn) == count, done.stdout
    return drawn


class Grammars(unittest.TestCase):
    def test_texts_match_the_regular_expression_of_the_same_meaning(self):
        rows = [
            ('root ::= [a-z]+ ("," " "? [a-z]+){2,4} | [0-9]{3}',
             r"[a-z]+(, ?[a-z]+){2,4}|[0-9]{3}"),
            (r'''root ::= ("And" | "The") (" " word)* "."
word ::= [^ .,;:\x00]{1,12}''',
             r"(And|The)( [^ .,;:\x00]{1,12})*\."),
            # Each takes three or four of the tokenizer's bytes.
            ("root ::= [€一-龥😀-😎]{1,5}", r"[€一-龥😀-😎]{1,5}"),
        ]
        for grammar, pattern in rows:
            with self.subTest(grammar):
                drawn = texts(grammar, ".")
                for text in drawn:
                    self.assertRegex(text, re.compile(rf"\A(?:{pattern})\Z"))
                self.assertGreater(len(set(drawn)), 20)

    def test_texts_are_json(self):
        drawn = texts(JSON, '"}],0')
        for text in drawn:
            self.assertIsInstance(json.loads(text), dict)
        self.assertGreater(len(set(drawn)), 20)
        self.assertGreater(max(map(len, drawn)), 50)

    def test_json_grammar_without_a_schema_is_of_objects(self):
        drawn = texts("", '"}],0', make="json_grammar(tok)")
        for text in drawn:
            self.assertIsInstance(json.loads(text), dict)
        self.assertGreater(len(set(drawn)), 20)

    def test_texts_are_what_a_json_schema_describes(self):
        drawn = texts(json.dumps(SCHEMA), '"}],0', 100,
                      make="json_grammar(tok, schema: read_text(args()[2]))")
        for text in drawn:
            value = json.loads(text, object_pairs_hook=in_order)
            self.assertTrue(obeys(value, SCHEMA), text)
            # As UTF-8, so without halves of pairs of surrogates.
            json.dumps(value, ensure_ascii=False).encode()
        self.assertGreater(len(set(drawn)), 50)


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A book",
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 2, "maxLength": 20},
        "year": {"type": ["integer", "null"]},
        "kind": {"enum": ["law", "po\u00e9sie", 7, None, {"a": [1.5]}]},
        "price": {"anyOf": [{"type": "number"}, {"const": "free"}]},
        "verses": {"type": "array", "items": {"$ref": "#/$defs/verse"},
                   "minItems": 1, "maxItems": 3},
        "sold": {"type": "boolean"},
    },
    "required": ["title", "kind", "verses"],
    "additionalProperties": False,
    "$defs": {"verse": {
        "properties": {"n": {"type": "integer"}, "text": {"maxLength": 9},
                       "next": {"$ref": "#/$defs/verse"}},
        "required": ["n"]}},
}
TYPES = {"object": dict, "array": list, "string": str, "integer": int,
         "number": (int, float), "boolean": bool, "null": type(None)}


def in_order(pairs):
    """A dict; a name that comes twice is no JSON for us."""
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def obeys(value, schema):
    """Whether JSON Schema lets the value be, as far as SCHEMA goes."""
    if "$ref" in schema:
        return obeys(value, SCHEMA["$defs"][schema["$ref"].split("/")[-1]])
    if "anyOf" in schema:
        return any(obeys(value, one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    names = schema.get("type", "object" if "properties" in schema else "string")
    names = [names] if isinstance(names, str) else names
    if not any(isinstance(value, TYPES[name])
               and (name == "boolean") == isinstance(value, bool) for name in names):
        return False
    if isinstance(value, dict):
        known = schema["properties"]
        return (list(value) == [name for name in known if name in value]
                and set(schema["required"]) <= set(value)
                and all(obeys(item, known[name]) for name, item in value.items()))
    if isinstance(value, list):
        return (schema["minItems"] <= len(value) <= schema["maxItems"]
                and all(obeys(item, schema["items"]) for item in value))
    if isinstance(value, str):
        return schema.get("minLength", 0) <= len(value) <= schema["maxLength"]
    return True


if __name__ == "__main__":
    report.main()
