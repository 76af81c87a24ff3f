#!/usr/bin/env python3
"""Writes rendered.json: what Jinja, set up by Hugging Face's transformers, makes of
templates/ with conversations.json, and of the small ones in snippets.txt. Needs the
environment `full`."""

import datetime
import json
import pathlib

import jinja2
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).resolve().parent
NOW = datetime.datetime(2026, 3, 5, 14, 7, 9)
CONVERSATIONS = json.loads((HERE / "conversations.json").read_text())
# What snippets see.
SNIPPET = {"text": " Größe: 3 cm \n", "list": [3, 1, 2, 1], "name": "x",
           "map": {"b": 1, "a": [1, 2.5, None, True], "C": {"k": "v\"'\\\n"}},
           "rows": [{"n": "b", "v": 2, "on": True}, {"n": "A", "v": 1},
                    {"n": "c", "v": 2, "on": False, "in": {"deep": [7]}}],
           "empty": [], "nothing": None, "flag": True, "number": -7, "real": 2.0}


def snippets():
    """Separated by lines of `----`."""
    return (HERE / "snippets.txt").read_text().removesuffix("\n").split("\n----\n")


def rendered(template, **variables):
    try:
        compiled = chat_template_utils._compile_jinja_template(template)
        return compiled.render(
            strftime_now=lambda form: NOW.strftime(form), **variables)
    except Exception as error:
        # The template's own words, or only that Python could not go on.
        own = type(error) is jinja2.TemplateError
        return {"error": str(error)} if own else {"fails": type(error).__name__}


def answers():
    templates = {path.stem: path.read_text()
                 for path in sorted((HERE / "templates").glob("*.jinja"))}
    whole = {name: {title: rendered(template, messages=c["messages"],
                                    tools=c.get("tools"), documents=None,
                                    add_generation_prompt=c["add_generation_prompt"],
                                    bos_token="<s>", eos_token="</s>",
                                    **c.get("variables", {}))
                    for title, c in CONVERSATIONS.items()}
             for name, template in templates.items()}
    small = [rendered(snippet, messages=[], tools=None, documents=None,
                      add_generation_prompt=False, **SNIPPET)
             for snippet in snippets()]
    return {"templates": whole, "variables": SNIPPET, "snippets": small}


def text():
    return json.dumps(answers(), ensure_ascii=False, indent=0) + "\n"


if __name__ == "__main__":
    (HERE / "rendered.json").write_text(text())
