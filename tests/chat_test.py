#!/usr/bin/env python3
"""Conversations: the chat templates of a tokenizer, wherever its files keep them,
`apply_chat_template` of the language, and std.chat."""

import json
import pathlib
import tempfile
import unittest

import report
import tiny_chat
import tl_command

STORED = pathlib.Path(__file__).resolve().parent / "references" / "chat_templates"


def literal(value):
    """JSON as the language writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}"
                               for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


class Folder(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def run_program(self, text):
        (self.folder / "program.tl").write_text(text)
        return tl_command.tl("run", "program.tl", cwd=self.folder)

    def output(self, text):
        done = self.run_program(text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def error(self, text):
        """The first line of what a failing program says."""
        done = self.run_program(text)
        self.assertIn(done.returncode, (65, 66), done.stdout)
        return done.stderr.splitlines()[0]


class Templates(Folder):
    LOAD = 'let tok = load_tokenizer("tok")\n'
    HI = '[{"role": "user", "content": "Hi"}]'

    def tokenizer(self, *arguments, **config):
        return tiny_chat.write_tokenizer(self.folder / "tok", *arguments, **config)

    def test_texts_are_those_of_transformers(self):
        conversations = json.loads((STORED / "conversations.json").read_text())
        stored = json.loads((STORED / "rendered.json").read_text())["templates"]
        program, expected = 'let all = ""\n', []
        for name, answers in stored.items():
            text = (STORED / "templates" / f"{name}.jinja").read_text()
            if "strftime_now" in text:
                continue  # the C++ test stops the clock
            tiny_chat.write_tokenizer(self.folder / name, text)
            program += f'let {name} = load_tokenizer("{name}")\n'
            for title, answer in answers.items():
                if not isinstance(answer, str):
                    continue
                c = conversations[title]
                program += (
                    f"all += apply_chat_template({name}, {literal(c['messages'])}, "
                    f"{literal(c['add_generation_prompt'])}, "
                    f"tools: {literal(c.get('tools'))}, "
                    f"variables: {literal(c.get('variables'))})\n")
                expected.append(answer)
        self.assertGreater(len(expected), 40)
        self.output(program + 'write_text("all.txt", all)')
        self.assertEqual((self.folder / "all.txt").read_bytes().decode(),
                         "".join(expected))

    def test_a_tokenizer_shows_its_template(self):
        self.tokenizer("{{ messages[0].content }}!")
        self.assertEqual(self.output(self.LOAD + "print(tok.chat_template)"),
                         "{{ messages[0].content }}!\n")
        self.tokenizer(None)
        self.assertEqual(self.output(self.LOAD + "print(tok.chat_template)"), "none\n")

    def test_a_file_of_its_own_comes_before_the_configuration(self):
        self.tokenizer("configured")
        (self.folder / "tok" / "chat_template.jinja").write_text("of a file")
        more = self.folder / "tok" / "additional_chat_templates"
        more.mkdir()
        (more / "short.jinja").write_text("{# #}short")
        self.assertEqual(
            self.output(self.LOAD + f"print(apply_chat_template(tok, {self.HI}))\n"
                        f'print(apply_chat_template(tok, {self.HI}, '
                        'chat_template: "short"))'),
            "of a file\nshort\n")

    NAMED = [{"name": "default", "template": "usual"},
             {"name": "tool_use", "template": "with tools"},
             {"name": "rag", "template": "with documents"}]

    def check_named(self):
        self.assertEqual(
            self.output(
                self.LOAD + f"let hi = {self.HI}\n"
                "print(apply_chat_template(tok, hi))\n"
                "print(apply_chat_template(tok, hi, tools: []))\n"
                'print(apply_chat_template(tok, hi, chat_template: "rag"))\n'
                'print(apply_chat_template(tok, hi, chat_template: "{{ 1 }}"))\n'),
            "usual\nwith tools\nwith documents\n1\n")

    def test_several_templates_have_names(self):
        self.tokenizer(self.NAMED)
        self.check_named()

    def test_gguf_keeps_templates_by_name(self):
        from gguf import GGUFWriter
        writer = GGUFWriter(self.folder / "tok", "llama")
        writer.add_tokenizer_model("llama")
        writer.add_token_list(["<unk>", "<s>", "</s>", "a"])
        writer.add_token_scores([0.0] * 4)
        writer.add_token_types([2, 3, 3, 1])
        writer.add_chat_template(self.NAMED)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        self.check_named()
        self.assertEqual(
            self.output(self.LOAD + f"print(apply_chat_template(tok, {self.HI}, "
                        'chat_template: "{{ bos_token }}{{ eos_token }}"))'),
            "<s></s>\n")

    def test_special_tokens_are_those_of_the_configuration(self):
        self.tokenizer("{{ bos_token }}|{{ pad_token }}|{{ cls_token }}",
                       pad_token={"content": "<stop>"})
        self.assertEqual(self.output(self.LOAD + f"print(apply_chat_template(tok, {self.HI}))"),
                         "<s>|<stop>|\n")

    def check_errors(self, *cases):
        for arguments, error in cases:
            self.assertEqual(
                self.error(self.LOAD + f"apply_chat_template({arguments})"),
                "error: " + error)

    def test_a_tokenizer_without_a_template(self):
        self.tokenizer(None)
        self.check_errors(
            (f"tok, {self.HI}", "tok/tokenizer.json has no chat template; "
             "chat_template: can give one"),
            (f'tok, {self.HI}, chat_template: "rag"',
             "tok/tokenizer.json has no chat template 'rag'; there is none"))

    def test_names_without_a_default(self):
        self.tokenizer(self.NAMED[1:])
        self.check_errors(
            (f"tok, {self.HI}", "tok/tokenizer.json has no default chat template; "
             "chat_template: can name one of 'tool_use', 'rag'"),
            (f'tok, {self.HI}, chat_template: "default"',
             "tok/tokenizer.json has no chat template 'default'; "
             "there is 'tool_use', 'rag'"))

    def test_messages_that_are_none(self):
        self.tokenizer()
        says = "apply_chat_template: "
        one = "a map with 'role' and 'content'"
        self.check_errors(
            ("tok, []", f"{says}'messages' is an empty list; expected a list of at "
             "least one map with 'role' and 'content'"),
            ('tok, [{"role": "user", "content": "Hi"}, "x"]',
             f"{says}messages[1] is a string; expected {one}"),
            ('tok, [{"content": "x"}]', f"{says}messages[0] has no 'role'"),
            ('tok, [{"role": 3}]',
             f"{says}the 'role' of messages[0] is an int; expected a string"),
            ('tok, [{"role": "user", "content": [zeros(2)]}]',
             f"{says}'messages[0].content[0]' is float16[2], which a template "
             "cannot read"),
            (f"tok, {self.HI}, variables: [1]",
             f"{says}'variables' is a list; expected a map"))

    def test_what_nests_too_deeply(self):
        self.tokenizer()
        deep = "let x = 1\nfor i in 0..{} {{ x = [x] }}\n"
        call = 'apply_chat_template(tok, [{"role": "user", "content": "a", "x": x}])'
        self.output(self.LOAD + deep.format(97) + call)
        self.assertEqual(
            self.error(self.LOAD + deep.format(98) + call),
            "error: apply_chat_template: 'messages[0].x" + "[0]" * 98 +
            "' nests deeper than 100")

    def test_errors_of_a_template(self):
        self.tokenizer("{% if messages %}")
        self.check_errors((f"tok, {self.HI}", "chat template:1:18: expected "
                           "'{% endif %}', but the template ends"))
        self.tokenizer("{{ raise_exception('Roles must alternate') }}")
        self.check_errors((f"tok, {self.HI}",
                           "chat template:1:19: Roles must alternate"))


if __name__ == "__main__":
    report.main()
