#!/usr/bin/env python3
"""`tl run --sandbox`: a program reads what the command line names and nothing else,
and writes nothing. Once as it is, and once with a kernel that says it has no Landlock,
where tl's own checks stand alone; that the kernel's hold without them is asked by a
library that opens files behind tl's back (tests/sandbox/probe.c)."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "interop"))

from raw_file import raw_file, tensor
import report
import tl_command

ROOT = tl_command.ROOT
PROBE = ROOT / "tests" / "sandbox" / "probe.c"
CREATE_RULESET = 444  # on every processor
HAS_LANDLOCK = ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1) > 0
NO_LANDLOCK = ("warning: this kernel has no Landlock (function not implemented); the "
               "sandbox is kept by tl's own checks alone\n")
ONE = raw_file({"t": tensor("F32", [1], 0, 4)}, struct.pack("<f", 1.5))


def may_not_read(what):
    return (f"sandbox: may not read {what}; a sandboxed program reads only what is "
            "named on the command line")


def may_not_write(path):
    return f"sandbox: may not write {path}; a sandboxed program writes no files"


def without_landlock():
    """In the child, before it becomes tl: a kernel that does not know the call."""
    words = [(0x20, 0, 0, 0),                  # load the number of the call
             (0x15, 0, 1, CREATE_RULESET),     # is it this one?
             (0x06, 0, 0, 0x00050000 | 38),    # then ENOSYS
             (0x06, 0, 0, 0x7FFF0000)]         # else let it pass
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *w) for w in words))
    program = struct.pack("HxxxxxxP", len(words), ctypes.addressof(code))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError("no seccomp")


class Sandbox(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve() / "here"
        self.folder.mkdir()
        (self.folder.parent / "secret.txt").write_text("secret\n")
        (self.folder.parent / "secret.tl").write_text("print(\"secret\")\n")
        self.write("named.txt", "named\n")
        self.write("other.txt", "other\n")

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run_with(self, landlock, text, *arguments, words=()):
        self.write("p.tl", text)
        return subprocess.run(
            [tl_command.TL, "run", "--sandbox", *words, "p.tl", *map(str, arguments)],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=tl_command.TIME_LIMIT,
            preexec_fn=None if landlock else without_landlock)

    def each_way(self, text, *arguments, check):
        """Runs a program with Landlock and without."""
        for landlock in [True, False] if HAS_LANDLOCK else [False]:
            with self.subTest(landlock=landlock):
                done = self.run_with(landlock, text, *arguments)
                if not landlock:
                    self.assertTrue(done.stderr.startswith(NO_LANDLOCK), done.stderr)
                    done.stderr = done.stderr.removeprefix(NO_LANDLOCK)
                check(done)

    def gives(self, text, output, *arguments):
        def check(done):
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (0, output, ""))
        self.each_way(text, *arguments, check=check)

    def refuses(self, text, message, *arguments, note="note: at p.tl:1:1\n"):
        def check(done):
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (66, "", f"error: {message}\n{note}"))
        self.each_way(text, *arguments, check=check)

    def listing(self):
        return sorted(p.relative_to(self.folder).as_posix()
                      for p in self.folder.rglob("*"))

    def test_reads_the_files_and_folders_among_the_arguments(self):
        self.write("folder/deep/in.txt", "deep\n")
        self.gives('for a in args() { write(read_text(a)) }\n'
                   'write(read_text("folder/deep/in.txt"))', "named\ndeep\ndeep\n",
                   "named.txt", self.folder / "folder" / "deep" / "in.txt")
        self.gives('write(read_text("folder/deep/in.txt"))', "deep\n", "folder")

    def test_words_that_are_no_paths_are_words(self):
        long = "what is a very long question? " * 500
        self.gives("print(args() == [\"--x\", \"\", \"1\", args()[3]], len(args()[3]))",
                   f"true {len(long)}\n", "--x", "", "1", long)

    def test_a_link_among_the_arguments_is_what_it_leads_to(self):
        (self.folder / "link").symlink_to("../secret.txt")
        self.gives('write(read_text("link"), read_text("../secret.txt"))',
                   "secret\n secret\n", "link")

    def test_what_is_named_and_missing_is_missing(self):
        self.refuses('read_text("none.txt")', "none.txt: no such file or directory",
                     "none.txt")

    def test_every_built_in_that_reads_is_refused(self):
        self.write("m.safetensors", ONE)
        self.write("model/config.json", "{}")
        for path in ("other.txt", "m.safetensors", "/etc/passwd", "../secret.txt", ".",
                     "/", "/dev/zero"):
            for call in ("read_text", "load_model", "load_tokenizer"):
                with self.subTest(path=path, call=call):
                    self.refuses(f'{call}("{path}")', may_not_read(path), "named.txt")
        self.refuses('apply_lora(model(), "model")', may_not_read("model"))
        self.refuses('apply_lora(model(), "m.safetensors")',
                     may_not_read("m.safetensors"))

    def test_no_way_around_through_proc(self):
        for path in ("/proc/self/environ", "/proc/self/mem", "/proc/thread-self/maps"):
            def check(done):
                self.assertEqual(done.returncode, 66)
                self.assertRegex(
                    done.stderr, f"^error: sandbox: may not read {path}, which is "
                    r"/proc/\d+/\S+; a sandboxed program reads only what is named on "
                    r"the command line\nnote: at p.tl:1:1\n$")
            self.each_way(f'read_text("{path}")', check=check)
        self.refuses(f'read_text("/proc/self/root{self.folder}/other.txt")',
                     may_not_read(f"/proc/self/root{self.folder}/other.txt, which is "
                                  f"{self.folder}/other.txt"))

    def test_links_do_not_lead_out_of_a_folder(self):
        self.write("folder/in.txt", "in\n")
        (self.folder / "folder" / "link").symlink_to(self.folder.parent / "secret.txt")
        (self.folder / "folder" / "up").symlink_to("..")
        secret = self.folder.parent / "secret.txt"
        self.refuses('read_text("folder/link")',
                     may_not_read(f"folder/link, which is {secret}"), "folder")
        self.refuses('read_text("folder/up/other.txt")',
                     may_not_read("folder/up/other.txt, which is "
                                  f"{self.folder}/other.txt"), "folder")
        self.gives('write(read_text("folder/up/folder/in.txt"))', "in\n", "folder")

    def test_writes_nothing(self):
        self.write("m.safetensors", ONE)
        self.write("p.tl", "")
        before = self.listing()
        for path in ("out.safetensors", "named.txt", "no/out.gguf", "/dev/shm/tl_out",
                     "/dev/null", "/dev/stdout"):
            with self.subTest(path=path):
                self.refuses(f'write_text("{path}", "x")', may_not_write(path),
                             "named.txt", ".")
                self.refuses(f'save_model(model(), "{path}")', may_not_write(path),
                             "named.txt", ".")
        self.refuses('let m = load_model("m.safetensors"); save_model(m, '
                     '"m.safetensors")', may_not_write("m.safetensors"),
                     "m.safetensors", note="note: at p.tl:1:38\n")
        self.assertEqual(self.listing(), before)
        self.assertEqual((self.folder / "named.txt").read_text(), "named\n")

    def test_imports_what_lies_beside_the_program(self):
        self.write("lib/a.tl", 'import "b.tl"\nfn a() { b() + 1 }')
        self.write("lib/b.tl", "fn b() { 41 }")
        self.gives('import "lib/a.tl"\nimport std.llama\nprint(a())', "42\n")

    def test_imports_nothing_else(self):
        (self.folder / "link.tl").symlink_to(self.folder.parent / "secret.tl")
        self.write("notes.txt", "a secret")
        secret = self.folder.parent / "secret.tl"
        for path, found in (("../secret.tl", secret), (str(secret), secret),
                            ("link.tl", secret), ("notes.txt", "notes.txt"),
                            ("/etc/passwd", "/etc/passwd")):
            found = self.folder / found

            def check(done):
                self.assertEqual(done.returncode, 65)
                self.assertEqual(done.stderr.splitlines()[0],
                                 f"p.tl:1:8: error: {may_not_read(found)}")
                self.assertNotIn("secret\"", done.stderr.splitlines()[-1])
            self.each_way(f'import "{path}"', "named.txt", check=check)
        self.gives('import "../secret.tl"', "secret\n", "../secret.tl")

    def test_an_import_is_not_read_as_a_file_unless_it_is_imported(self):
        self.write("lib.tl", "x = 1")
        self.refuses('read_text("lib.tl")', may_not_read("lib.tl"))

    def test_what_belongs_to_a_named_model_is_read_with_it(self):
        verses = ROOT / "models" / "verses"
        for name in ("config.json", "generation_config.json", "tokenizer.json",
                     "model.safetensors"):
            self.write(f"verses/{name}", (verses / name).read_bytes())
        self.write("verses/private.txt", "x")
        program = ('let m = load_model(args()[0])\n'
                   'print(m.config.layers > 0, len(tokenize(m.tokenizer, "a b")) > 0)')
        self.gives(program, "true true\n", "verses/model.safetensors")
        self.gives(program, "true true\n", "verses")
        self.refuses('read_text("verses/private.txt")',
                     may_not_read("verses/private.txt"), "verses/model.safetensors")

    def test_a_language_model_writes_in_it(self):
        program = ('import std.generate\n'
                   'let m = load_model(args()[0], layout: "gguf")\n'
                   'print(len(generate(m, "I", max_tokens: 8, temperature: 0)) > 8)')
        for path in ("verses", "verses/model.safetensors"):
            self.gives(program, "true\n", ROOT / "models" / path)

    def test_a_named_index_brings_its_shards(self):
        self.write("s/a.safetensors", ONE)
        self.write("s/x.safetensors", ONE)
        self.write("s/model.safetensors.index.json",
                   json.dumps({"weight_map": {"t": "a.safetensors"}}))
        self.gives("print(load_model(args()[0]).names)", '["t"]\n',
                   "s/model.safetensors.index.json")
        self.refuses('load_model("s/x.safetensors")', may_not_read("s/x.safetensors"),
                     "s/model.safetensors.index.json")

    def test_a_model_in_the_hubs_cache_is_read_by_its_links(self):
        snapshot = "models--a--b/snapshots/0123"
        self.write("models--a--b/blobs/w", ONE)
        self.write("models--a--b/blobs/c", '{"num_hidden_layers": 7}')
        (self.folder / snapshot).mkdir(parents=True)
        for name, blob in (("model.safetensors", "w"), ("config.json", "c")):
            (self.folder / snapshot / name).symlink_to(f"../../blobs/{blob}")
        program = "let m = load_model(args()[0])\nprint(m.names, m.config.layers)"
        self.gives(program, '["t"] 7\n', snapshot)
        self.gives(program, '["t"] 7\n', f"{snapshot}/model.safetensors")

    def test_a_hostile_model_brings_no_links(self):
        self.write("m/model.safetensors", ONE)
        (self.folder / "m" / "tokenizer.json").symlink_to(
            self.folder.parent / "secret.txt")
        secret = self.folder.parent / "secret.txt"
        for argument in ("m/model.safetensors", "m"):
            self.refuses('let m = load_model(args()[0])\nprint(m.tokenizer)',
                         may_not_read(f"m/tokenizer.json, which is {secret}"),
                         argument, note="note: at p.tl:2:7\n")
            self.refuses('read_text("../secret.txt")', may_not_read("../secret.txt"),
                         argument)

    def test_a_pipe_is_read_where_it_is_named(self):
        self.write("p.tl", 'write(read_text("/dev/stdin"))')
        done = tl_command.tl("run", "--sandbox", "p.tl", "/dev/stdin", cwd=self.folder,
                             stdin="typed\n")
        self.assertEqual((done.returncode, done.stdout), (0, "typed\n"), done.stderr)
        done = tl_command.tl("run", "--sandbox", "/dev/stdin", cwd=self.folder,
                             stdin='print("from a pipe")')
        self.assertEqual((done.returncode, done.stdout), (0, "from a pipe\n"),
                         done.stderr)

    def test_input_comes_as_ever(self):
        self.write("p.tl", 'print(input("? "))')
        done = tl_command.tl("run", "--sandbox", "p.tl", cwd=self.folder, stdin="me\n")
        self.assertEqual((done.returncode, done.stdout), (0, "? me\n"), done.stderr)

    def test_no_gpu(self):
        done = tl_command.tl("run", "--sandbox", "--device", "gpu", "p.tl",
                             cwd=self.folder)
        self.assertEqual(
            (done.returncode, done.stderr),
            (64, "error: --sandbox computes on the CPU: the driver of a GPU opens files "
                 "and devices of its own; leave out --device gpu\n"))
        self.write("p.tl", "print(tensor([1.0], device: gpu))")
        done = tl_command.tl("run", "--sandbox", "p.tl", cwd=self.folder)
        warning = "warning: no GPU in the sandbox; computing on the CPU\n"
        self.assertEqual(done.returncode, 0)
        self.assertIn(warning, done.stderr)

    def test_a_missing_program_is_missing(self):
        done = tl_command.tl("run", "--sandbox", "none.tl", cwd=self.folder)
        self.assertEqual(done.returncode, 66)
        self.assertTrue(done.stderr.endswith(
            "error: none.tl: no such file or directory\n"), done.stderr)


@unittest.skipUnless(HAS_LANDLOCK, "this kernel has no Landlock")
class Kernel(unittest.TestCase):
    """What the kernel holds, whatever tl checks."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "p.tl").write_text(
            "let x = rand([600, 600])\nprint(sum(x @ x) > 0)\ninput(\"\")")

    def test_the_kernel_refuses_behind_tls_back(self):
        if not shutil.which("cc"):
            self.skipTest("needs a C compiler")
        if b"libasan" in subprocess.run(["ldd", tl_command.TL],
                                        capture_output=True).stdout:
            self.skipTest("a sanitizer wants to be the first library")
        library = self.folder / "probe.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", PROBE, "-o", library, "-ldl"],
                       check=True)
        target = self.folder / "target"
        target.write_text("#!/bin/sh\n")
        target.chmod(0o700)
        env = {"LD_PRELOAD": str(library), "TL_PROBE": str(target)}

        def probed(*words):
            done = tl_command.tl("run", *words, cwd=self.folder, env=env)
            return re.findall("^probe: (.*)$", done.stderr, re.M)
        denied = "Permission denied"
        self.assertEqual(probed("p.tl")[:2], ["read: given", "write: given"])
        self.assertEqual(
            probed("--sandbox", "p.tl"),
            [f"read: {denied}", f"write: {denied}", f"run: {denied}"])
        self.assertEqual(
            probed("--sandbox", "p.tl", target),
            ["read: given", f"write: {denied}", f"run: {denied}"])

    def test_every_thread_is_in_it(self):
        child = subprocess.Popen(
            [tl_command.TL, "run", "--sandbox", "--threads", "4", "p.tl"],
            cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.assertRegex(child.stdout.readline(), r"^(true|1)$")
            statuses = [(task / "status").read_text() for task in
                        pathlib.Path(f"/proc/{child.pid}/task").iterdir()]
            self.assertEqual(len(statuses), 4)
            for status in statuses:
                self.assertRegex(status, r"(?m)^NoNewPrivs:\s1$")
        finally:
            child.communicate("\n", timeout=tl_command.TIME_LIMIT)
        self.assertEqual(child.returncode, 0)


if __name__ == "__main__":
    report.main()
