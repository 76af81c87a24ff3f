#!/usr/bin/env python3
"""Runs every code block of README.md and docs/, as a reader would.

    tests/run_snippets.py [FILE.md ...]

A section is what stands under one `## ` heading (or before the first). Each is run
afresh, in an empty scratch folder, its blocks in the order they are written:

- ```tensorlogic (or ```tl) blocks of a section are one program: a block is run
  with the earlier ones before it. Blocks with nothing but blank lines or text
  between them are run together.
- ```python blocks likewise, with the interpreter that runs this script.
- ```sh blocks are run by `bash -eu`, with `tl` and that `python3` on the PATH.
- A ```text block right after a line that ends in `Output:` or `Salida:` is what the
  blocks just above it print last.

The scratch folder holds `path/to/model.safetensors` and `model.safetensors` (tensors
`layer.0.weight` [4, 3] and `layer.0.bias` [4]), `Llama-3.2-1B` (a tiny Llama, as
transformers saves one), and `models`, `examples` of the source tree. Comments on a
line of their own, unseen by the reader, say what a block needs:

    <!-- with: SLUG -->       the section also needs the blocks of section SLUG (its
                              heading as a link writes it), which are run first
    <!-- not run: REASON -->  the next block is skipped
    <!-- run python           the lines up to `-->` are a block that is run but not
    ...                       shown
    -->
"""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import report
import tl_command

ROOT = tl_command.ROOT
LANGUAGES = {"tensorlogic": "tl", "tl": "tl", "python": "python", "sh": "sh",
             "bash": "sh"}
TIME_LIMIT = 300


@dataclasses.dataclass
class Block:
    language: str
    text: str
    line: int
    not_run: str = ""
    output: str | None = None


@dataclasses.dataclass
class Section:
    slug: str
    blocks: list
    needs: list


def slug_of(heading):
    """A heading as the anchors of rendered Markdown write it."""
    kept = re.sub(r"[^\w\s-]", "", heading.strip().lower())
    return re.sub(r"\s", "-", kept)


def sections_of(text):
    """The sections of a document with their blocks."""
    section = Section("", [], [])
    sections = [section]
    lines = text.splitlines()
    number, previous, reason = 0, "", ""
    while number < len(lines):
        line = lines[number]
        number += 1
        fence = re.match(r"\s*(`{3,}|~{3,})\s*(\w*)", line)
        hidden = re.match(r"<!-- run (\w+)\s*$", line)
        if fence or hidden:
            end = re.compile(rf"\s*{re.escape(fence[1])}\s*$" if fence else r"-->\s*$")
            start = number
            while number < len(lines) and not end.match(lines[number]):
                number += 1
            body = "\n".join(lines[start:number]) + "\n"
            number += 1
            word = fence[2] if fence else hidden[1]
            if word in LANGUAGES:
                section.blocks.append(Block(LANGUAGES[word], body, start + 1, reason))
                reason = ""
            elif word in ("text", "") and re.search(r"(Output|Salida):\W*$", previous):
                section.blocks[-1].output = body
            previous = ""
            continue
        if line.startswith("## "):
            section = Section(slug_of(line[3:]), [], [])
            sections.append(section)
        elif match := re.match(r"<!-- with: ([\w-]+) -->", line):
            section.needs.append(match[1])
        elif match := re.match(r"<!-- not run: (.+?) -->", line):
            reason = match[1]
        if line.strip():
            previous = line
    return sections


def groups_of(blocks):
    """Neighbouring blocks of one language that are run together: up to a block
    of another language or one whose output is known."""
    groups = []
    for block in blocks:
        if (groups and groups[-1][-1].language == block.language
                and groups[-1][-1].output is None
                and not groups[-1][-1].not_run and not block.not_run):
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def make_scratch(folder):
    """The files that the documents speak of."""
    import numpy
    from safetensors.torch import save_file
    import tiny_llama
    import torch
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 4)
    tensors = {"layer.0.weight": layer.weight.detach(),
               "layer.0.bias": layer.bias.detach()}
    (folder / "path" / "to").mkdir(parents=True)
    for name in ("path/to/model.safetensors", "model.safetensors"):
        save_file(tensors, folder / name)
    make_gguf(folder / "path/to/model.gguf", layer.weight.detach().numpy())
    tiny_llama.write(folder / "Llama-3.2-1B", numpy.random.default_rng(0))
    for name in ("models", "examples"):
        os.symlink(ROOT / name, folder / name)
    tools = folder / ".bin"
    tools.mkdir()
    os.symlink(tl_command.TL, tools / "tl")
    os.symlink(sys.executable, tools / "python3")


def make_gguf(path, weight):
    import gguf
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_block_count(1)
    writer.add_tensor("blk.0.attn_q.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run_text(language, text, folder):
    file = folder / f".snippet.{language}"
    file.write_text(text)
    command = {"tl": [tl_command.TL, "run", file],
               "python": [sys.executable, file],
               "sh": ["bash", "-eu", file]}[language]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=TIME_LIMIT,
        env={**os.environ, "PATH": f"{folder / '.bin'}:{os.environ['PATH']}"})


class Reader:
    """Runs blocks in a scratch folder, each with the earlier ones before it."""

    def __init__(self, folder):
        self.folder = folder
        self.earlier = {"tl": "", "python": "", "sh": ""}

    def run(self, group):
        language = group[0].language
        text = self.earlier[language] + "\n".join(block.text for block in group)
        if language != "sh":
            self.earlier[language] = text + "\n"
        return run_text(language, text, self.folder)


def run_section(out, document, section, before):
    """Runs the blocks of a section, after those it needs."""
    def name(group):
        return f"{document}:{group[0].line} ({group[0].language})"

    with tempfile.TemporaryDirectory() as scratch:
        make_scratch(pathlib.Path(scratch))
        reader = Reader(pathlib.Path(scratch))
        for group in groups_of([block for block in before if not block.not_run]):
            done = reader.run(group)
            if done.returncode != 0:
                out.failed(name(group), f"needed by '{section.slug}': {done.stderr}")
                return
        for group in groups_of(section.blocks):
            if group[0].not_run:
                out.skipped(name(group), group[0].not_run)
                continue
            done = reader.run(group)
            why = fault_of(done, group[-1].output)
            if why:
                out.failed(name(group), why)
                return
            out.passed(len(group))


def fault_of(done, expected):
    """What is wrong with a finished run, or an empty text."""
    if done.returncode != 0:
        return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    if expected is not None and not ends_with(done.stdout, expected):
        return tl_command.as_it_is_and_was_to_be(done.stdout, expected)
    return ""


def ends_with(got, expected):
    lines = [line.rstrip() for line in got.splitlines()]
    wanted = [line.rstrip() for line in expected.splitlines()]
    return lines[len(lines) - len(wanted):] == wanted


def blocks_needed(section, sections, document):
    """The blocks of the sections that a section names, and of those they name."""
    by_slug = {s.slug: s for s in sections}
    blocks = []
    for slug in section.needs:
        if slug not in by_slug:
            raise ValueError(f"{document}: no section '{slug}' for '{section.slug}'; "
                             f"there are {', '.join(filter(None, by_slug))}")
        blocks += blocks_needed(by_slug[slug], sections, document)
        blocks += by_slug[slug].blocks
    return blocks


def main():
    out = report.Report()
    paths = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    paths = paths or [p for p in [ROOT / "README.md",
                                  *sorted((ROOT / "docs").rglob("*.md"))] if p.exists()]
    for path in paths:
        document = os.path.relpath(path, ROOT)
        sections = sections_of(path.read_text())
        for section in sections:
            try:
                run_section(out, document, section,
                            blocks_needed(section, sections, document))
            except (ValueError, subprocess.TimeoutExpired) as error:
                out.failed(document, error)
    sys.exit(out.finish())


if __name__ == "__main__":
    main()
