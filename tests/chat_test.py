#!/usr/bin/env python3
"""Conversations: the chat templates of a tokenizer, wherever its files keep them,
`apply_chat_template` of the language, std.chat, and `tl chat` with lines from a pipe
and at a terminal."""

import json
import pathlib
import tempfile
import unittest

import report
import terminal
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


class Ends(Folder):
    """Which tokens end an answer."""

    def ends(self, **files):
        tok = tiny_chat.write_tokenizer(self.folder / "tok")
        for name, content in files.items():
            (self.folder / "tok" / f"{name}.json").write_text(json.dumps(content))
        shown = self.output('let tok = load_tokenizer("tok")\n'
                            "for id in tok.ends { print(tok.token(id)) }")
        return tok, shown.split()

    def test_the_list_of_generation_config(self):
        tok = tiny_chat.tokenizer()
        ids = [tok.token_to_id(t) for t in ("<stop>", "</s>")]
        self.assertEqual(self.ends(generation_config={"eos_token_id": ids})[1],
                         ["</s>", "<stop>", "<|im_end|>"])

    def test_the_usual_end_of_a_turn_where_no_file_names_it(self):
        self.assertEqual(self.ends()[1], ["</s>", "<|im_end|>"])


class Conversations(Folder):
    """std.chat with a model whose answer is known, and with a random one."""
    START = """import std.chat
let m = load_model("model", layout: "gguf", dtype: float32)
"""
    SYSTEM = 'system: "Be kind."'

    def model(self, **how):
        self.tok = tiny_chat.write(self.folder / "model", **how)

    def tokens(self, *messages):
        """How many tokens tiny_chat.TEMPLATE makes of these roles and contents."""
        text = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n"
                       for role, content in messages)
        return len(self.tok.encode(text + "<|im_start|>assistant\n").ids)

    def test_an_answer_ends_where_the_model_ends_it(self):
        self.model(says="Hi, you!")
        self.assertEqual(
            self.output(self.START + """
print(chat(m, [{"role": "user", "content": "Hello"}], temperature: 0.0,
           on_token: fn(t) { write(t + "|") }, on_finish: fn(why) { print("", why) }))
"""), "H|i|,| |y|o|u|!| stop\nHi, you!\n")

    def test_max_tokens_ends_it_too(self):
        self.model(says="Hi, you!")
        self.assertEqual(
            self.output(self.START + """
print(chat(m, [{"role": "user", "content": "Hello"}], temperature: 0.0, max_tokens: 2,
           on_finish: fn(why) { print(why) }))
"""), "length\nHi\n")

    def test_the_token_that_begins_a_text_is_there_once(self):
        for template in (tiny_chat.TEMPLATE, tiny_chat.TEMPLATE[len("{{ bos_token }}"):]):
            self.model(says="Hi", template=template)
            self.assertEqual(
                self.output(self.START + """
let ids = chat_ids(m.tokenizer, [{"role": "user", "content": "a"}])
print(m.tokenizer.token(ids[0]), m.tokenizer.token(ids[1]), len(ids))
"""), f"<s> <|im_start|> {self.tokens(('user', 'a'))}\n")

    def test_a_special_token_in_a_question_is_that_token(self):
        self.model(says="Hi")
        expected = self.tok.encode("<|im_start|>user\na<|im_end|>b<|im_end|>\n"
                                   "<|im_start|>assistant\n").ids
        self.assertEqual(expected.count(self.tok.token_to_id("<|im_end|>")), 2)
        self.assertEqual(self.output(self.START + """
print(chat_ids(m.tokenizer, [{"role": "user", "content": "a<|im_end|>b"}]))
"""), f"{expected}\n")

    def test_a_turn_reads_only_what_is_new(self):
        self.model(says="Hi, you!")
        out = self.output(self.START + f"""
let talk = conversation(m, {self.SYSTEM}, temperature: 0.0)
print(talk.say("Hello"), talk.usage())
print(talk.say("Again?"), talk.usage())
""")
        first = [("system", "Be kind."), ("user", "Hello")]
        second = first + [("assistant", "Hi, you!"), ("user", "Again?")]
        read = self.tokens(*first)
        usage = ("Hi, you! {{\"forgotten_messages\": 0, \"prompt_tokens\": {}, "
                 "\"cached_tokens\": {}, \"completion_tokens\": 8, "
                 "\"finish_reason\": \"stop\"}}\n")
        self.assertEqual(out, usage.format(read, 0) +
                         usage.format(self.tokens(*second), read + 8))

    def test_what_was_read_before_changes_no_answer(self):
        self.model()
        out = self.output(self.START + """
let talk = conversation(m, max_tokens: 12, temperature: 0.0)
let same = 0
for question in ["Hello", "And then?", "Thanks."] {
    let asked = talk.messages()
    asked.push({"role": "user", "content": question})
    let answer = talk.say(question)
    if answer == chat(m, asked, max_tokens: 12, temperature: 0.0) { same += 1 }
    print(talk.usage()["cached_tokens"] > 0, len(answer) > 0)
}
print(same)
""")
        self.assertEqual(out, "false true\ntrue true\ntrue true\n3\n")

    def test_each_answer_obeys_the_grammar(self):
        # After "Hi" the model would say a comma.
        self.model(says="Hi, you!")
        self.assertEqual(
            self.output(self.START + """
let g = grammar(m.tokenizer, "root ::= \\"Hi\\" \\"!\\"")
print(chat(m, [{"role": "user", "content": "a"}], temperature: 0.0, grammar: g))
let talk = conversation(m, temperature: 0.0, grammar: g)
print(talk.say("a"), talk.say("b"))
"""), "Hi!\nHi! Hi!\n")

    def test_the_oldest_questions_are_forgotten_when_the_context_is_full(self):
        self.model(says="Hi, you!", context=144)
        out = self.output(self.START + f"""
let talk = conversation(m, {self.SYSTEM}, temperature: 0.0)
for question in ["first", "second", "third"] {{
    talk.say(question)
    let usage = talk.usage()
    print(usage["forgotten_messages"], usage["prompt_tokens"], usage["finish_reason"])
}}
for message in talk.messages() {{ print(message["role"], message["content"]) }}
""")
        system = ("system", "Be kind.")
        turn = [[("user", q), ("assistant", "Hi, you!")]
                for q in ("first", "second", "third")]
        prompts = [self.tokens(system, *turn[0][:1]),
                   self.tokens(system, *turn[0], *turn[1][:1]),
                   self.tokens(system, *turn[1], *turn[2][:1])]
        self.assertLessEqual(prompts[1], 108)  # a quarter is free
        self.assertGreater(self.tokens(system, *turn[0], *turn[1], *turn[2][:1]), 108)
        self.assertEqual(
            out, "".join(f"{forgot} {n} stop\n"
                         for forgot, n in zip((0, 0, 2), prompts)) +
            "system Be kind.\nuser second\nassistant Hi, you!\n"
            "user third\nassistant Hi, you!\n")

    def test_a_question_that_does_not_fit_is_not_asked(self):
        self.model(says="Hi, you!", context=64)
        out = self.output(self.START + """
let talk = conversation(m, temperature: 0.0)
print(talk.ask("x" * 100))
print(talk.messages(), talk.say("short"))
""")
        n = self.tokens(("user", "x" * 100))
        self.assertEqual(out, f"the question has {n} tokens with what is around it; the "
                         "context holds 64\n[] Hi, you!\n")

    def test_a_question_without_any_answer_is_taken_back(self):
        self.model(says="Hi, you!")
        out = self.output(self.START + """
let talk = conversation(m, temperature: 0.0)
talk.ask("one")
talk.ask("two")
print(talk.answer(), talk.messages())
""")
        self.assertEqual(out, 'Hi, you! [{"role": "user", "content": "two"}, '
                         '{"role": "assistant", "content": "Hi, you!"}]\n')

    def test_an_answer_that_failed_has_no_reason_of_its_end(self):
        self.model(says="Hi, you!")
        done = tl_command.tl("repl", cwd=self.folder, stdin=self.START + """
let talk = conversation(m, temperature: 0.0)
talk.say("Hello", on_token: fn(t) { panic("full") })
print(talk.usage()["finish_reason"], talk.usage()["completion_tokens"])
talk.say("Hello")
print(talk.usage()["finish_reason"])
""")
        self.assertEqual((done.stdout, done.stderr.splitlines()[0]),
                         ('none 1\n"Hi, you!"\nstop\n', "error: panic: full"))

    def test_nothing_was_asked(self):
        self.model(says="Hi")
        self.assertEqual(self.error(self.START + "conversation(m).answer()"),
                         "error: panic: nothing was asked")

    def test_its_own_tests(self):
        done = tl_command.tl("test", tl_command.ROOT / "std" / "chat.tl")
        self.assertEqual(done.stdout.splitlines()[-1], "2 passed, 0 failed", done.stderr)

    def test_an_interrupted_answer_stays_as_far_as_it_came(self):
        self.model(says=list("abcdefgh"), context=4096)
        (self.folder / "program.tl").write_text(self.START.replace(
            '"model"', f'"{self.folder}/model"') + """
let talk = conversation(m, temperature: 0.0, max_tokens: 4000)
talk.ask("go")
let said = ""
print(interruptible(fn() { talk.answer(fn(t) { said += t; write(t) }) }))
let first = talk.usage()
// One token may have been on its way when Ctrl-C came: counted, or in the answer.
print(first["finish_reason"], (first["completion_tokens"] - len(said)) in [0, 1])
talk.ask("on")
let kept = talk.messages()[1]["content"]
print(kept[:len(said)] == said, (len(kept) - len(said)) in [0, 1], len(talk.messages()))
interruptible(fn() { talk.answer(fn(t) { exit(0) }) })
""")
        screen = terminal.Terminal("run", self.folder / "program.tl")
        screen.wait_for("abcdefghabc")
        screen.type("\x03")
        screen.wait_for("false")
        self.assertEqual(screen.close(), 0, screen.seen)
        self.assertTrue(screen.seen.endswith("false\r\nnone true\r\ntrue true 3\r\n"),
                        screen.seen)


class Command(Folder):
    """`tl chat`."""

    def chat(self, *options, lines="", **how):
        tiny_chat.write(self.folder / "model", **how)
        return tl_command.tl("chat", "model", "--temperature", 0, *options,
                             cwd=self.folder, stdin=lines)

    def terminal(self, *options, **how):
        tiny_chat.write(self.folder / "model", **how)
        return terminal.Terminal(
            "chat", self.folder / "model", "--temperature", 0, *options,
            env={"XDG_STATE_HOME": str(self.folder)})

    def check(self, done, status, out, error):
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (status, out, error))

    def test_each_line_of_a_pipe_is_answered(self):
        self.check(self.chat(lines="Hello\n\nand \\\nmore\n", says="Hi, you!"),
                   0, "Hi, you!\nHi, you!\n", "")

    def test_each_answer_obeys_a_grammar(self):
        (self.folder / "g").write_text('root ::= "Hi" "!"')
        self.check(self.chat("--grammar", "g", lines="a\nb\n", says="Hi, you!"),
                   0, "Hi!\nHi!\n", "")
        (self.folder / "s").write_text('{"enum": ["you", "Hi"]}')
        self.check(self.chat("--json-schema", "s", lines="a\n", says="Hi, you!"),
                   0, '"Hi"\n', "")

    def test_a_gguf_model(self):
        tiny_chat.write(self.folder / "model", says="Hi, you!")
        done = tl_command.tl("convert", "model", "model.gguf", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = tl_command.tl("chat", "model.gguf", "--temperature", 0, cwd=self.folder,
                             stdin="Hello\n")
        self.check(done, 0, "Hi, you!\n", "")

    def test_no_line_is_no_question(self):
        self.check(self.chat(says="Hi"), 0, "", "")

    def test_the_system_text_is_said_first(self):
        template = ("{{ raise_exception(messages[0].role + ': ' + messages[0].content "
                    "+ '; ' + messages[1].content) }}")
        done = self.chat("--system", "Be kind.", lines="Hello\n", says="Hi",
                         template=template)
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr.splitlines()[0]),
            (66, "", "error: chat template:1:19: system: Be kind.; Hello"))

    def test_a_model_without_a_template(self):
        self.check(self.chat(says="Hi", template=None), 66, "",
                   "error: model has no chat template, which says how a conversation "
                   "is written; tl generate continues a text\n")

    def test_a_full_context_is_told(self):
        note = "note: the context of 64 tokens is full"
        done = self.chat(lines="one\ntwo\n", says=list("abcdefgh"), context=64)
        answer = done.stdout.splitlines()[0]
        self.assertTrue(("abcdefgh" * 8).startswith(answer) and answer, done.stdout)
        self.check(done, 0, f"{answer}\n{answer}\n",
                   f"{note}, so the answer ends here\n"
                   f"{note}; its 2 oldest messages are forgotten\n"
                   f"{note}, so the answer ends here\n")

    def test_a_question_longer_than_the_context(self):
        done = self.chat("--context", 48, lines="x" * 48 + "\nHello\n", says="Hi, you!")
        self.check(done, 65, "Hi, you!\n", "error: the question has 68 tokens with what "
                   "is around it; the context holds 48\n")

    def test_at_a_terminal(self):
        screen = self.terminal(says="Hi, you!")
        self.assertEqual(screen.wait_for("> "), "Ctrl-C stops an answer, Ctrl-D ends\r\n")
        screen.type("Hello\r")
        self.assertEqual(screen.wait_for("> "), "Hello\r\nHi, you!\r\n")
        screen.type("one \\\r")
        screen.wait_for("... ")
        screen.type("two\r")
        self.assertEqual(screen.wait_for("> "), "two\r\nHi, you!\r\n")
        screen.type("three \\\r")
        screen.wait_for("... ")
        screen.type("\x04")
        self.assertEqual(screen.wait_for("> "), "^D\r\nHi, you!\r\n")
        screen.type("\x04")
        self.assertEqual(screen.close(), 0)
        self.assertEqual((self.folder / "tensorlogic" / "chat_history").read_text(),
                         "_HiStOrY_V2_\nHello\none\\040\\134\ntwo\n"
                         "three\\040\\134\n")

    def test_ctrl_c_clears_a_line(self):
        screen = self.terminal(says="Hi, you!")
        screen.wait_for("> ")
        screen.type("Hel")
        screen.wait_for("Hel")
        screen.type("\x03")
        screen.wait_for("> ")
        screen.type("a \\\r")
        screen.wait_for("... ")
        screen.type("\x03")
        screen.wait_for("> ")
        screen.type("Hello\r")
        self.assertEqual(screen.wait_for("> "), "Hello\r\nHi, you!\r\n")
        screen.type("\x04")
        self.assertEqual(screen.close(), 0)

    def test_an_answer_comes_as_it_is_made_and_ctrl_c_stops_it(self):
        screen = self.terminal(says=list("abcdefgh"), context=4096)
        for _ in range(2):
            screen.wait_for("> ")
            screen.type("Hello\r")
            screen.wait_for("abcdefghabc")
            screen.type("\x03")
            screen.wait_for("\r\ninterrupted\r\n")
        screen.wait_for("> ")
        screen.type("\x04")
        self.assertEqual(screen.close(), 0)


if __name__ == "__main__":
    report.main()
