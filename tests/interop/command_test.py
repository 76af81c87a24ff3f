#!/usr/bin/env python3
"""What the tl command promises to a shell: exit statuses, what goes to which stream,
standard input, arguments, signals, and commands on model files."""

import json
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import compute  # finds the modules beside this folder
import safetensors.torch
import torch

import report
import tl_command

COMMANDS = ["run", "check", "test", "repl", "plan", "info", "diff", "fmt", "version"]


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def tl(self, *arguments, **options):
        return tl_command.tl(*arguments, cwd=self.folder, **options)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name

    def assert_run(self, done, status, stdout=""):
        self.assertEqual((done.returncode, done.stdout), (status, stdout), done.stderr)


class ExitStatus(Scratch):
    def test_success(self):
        self.assert_run(self.tl("-e", "print(1 + 1)"), 0, "2\n")

    def test_usage(self):
        for arguments in (["--no-such-flag"], ["run"], ["info"], ["diff", "one"],
                          ["run", "--threads", "none", "a.tl"], ["-e"]):
            with self.subTest(arguments):
                done = self.tl(*arguments)
                self.assertEqual((done.returncode, done.stdout), (64, ""), done.stderr)
                self.assertNotEqual(done.stderr, "")

    def test_what_is_missing_is_named(self):
        for missing, *arguments in [
                ("MODEL", "info"), ("MODEL", "bench"), ("MODEL", "chat"),
                ("MODEL", "generate", "-p", "hi"), ("MODEL", "perplexity"),
                ("FILE", "perplexity", "a.gguf")]:
            with self.subTest(arguments):
                done = self.tl(*arguments)
                self.assert_run(done, 64)
                self.assertEqual(
                    done.stderr, f"error: {missing} is required\n"
                    f"note: tl {arguments[0]} --help shows how it is used\n")

    def test_a_program_that_does_not_parse(self):
        done = self.tl("run", self.write("p.tl", "print(1)\nlet = 2\n"))
        self.assert_run(done, 65)
        self.assertIn("p.tl:2:5: error: ", done.stderr)

    def test_an_unknown_name_stops_before_the_first_line_runs(self):
        done = self.tl("run", self.write("p.tl", "print(1)\nprint(nme)\n"))
        self.assert_run(done, 65)
        self.assertIn("p.tl:2:7: error: ", done.stderr)

    def test_a_failed_assert(self):
        done = self.tl("-e", 'print(1)\nassert(1 > 2, "one is not above two")')
        self.assert_run(done, 65, "1\n")
        self.assertIn("one is not above two", done.stderr)

    def test_a_missing_program_and_a_missing_model(self):
        self.assert_run(self.tl("run", "none.tl"), 66)
        self.assert_run(self.tl("info", "none.safetensors"), 66)
        self.assert_run(self.tl("-e", 'load_model("none." + "safetensors")'), 66)

    def test_exit(self):
        self.assert_run(self.tl("-e", "print(1)\nexit(3)\nprint(2)"), 3, "1\n")

    def test_check_runs_nothing(self):
        good = self.write("good.tl", "print(1)\n")
        bad = self.write("bad.tl", "let x: = 1\n")
        self.assert_run(self.tl("check", good), 0)
        self.assertEqual(self.tl("check", bad).returncode, 65)

    def test_test_blocks(self):
        good = self.write("good.tl", 'test "adds" { assert_eq(1 + 1, 2) }\n')
        bad = self.write("bad.tl", 'test "adds" { assert_eq(1 + 1, 3) }\n'
                                   'test "again" { assert_eq(1, 1) }\n')
        self.assertEqual(self.tl("test", good).returncode, 0)
        done = self.tl("test", bad)
        self.assertEqual(done.returncode, 65)
        self.assertIn("adds", done.stdout + done.stderr)

    def test_tests_beside_a_main(self):
        path = self.write("p.tl", 'let n = 20\nprint("top")\n'
                                  'main { n += 1\n print("main")\n exit(3) }\n'
                                  'test "n is untouched" { assert_eq(n, 20) }\n')
        self.assert_run(self.tl("test", path), 0,
                        "top\nok      n is untouched\n1 passed, 0 failed\n")
        self.assert_run(self.tl("run", path), 3, "top\nmain\n")
        wrong = self.write("wrong.tl", "main { nme }\n")
        self.assert_run(self.tl("test", wrong), 65, "0 passed, 0 failed\n")


class Streams(Scratch):
    def test_the_program_on_standard_input(self):
        self.assert_run(self.tl(stdin="let x = 2\nprint(x * 3)\n"), 0, "6\n")

    def test_input_reads_lines(self):
        done = self.tl("-e", "print(input())\nprint(input())", stdin="one\ntwo\n")
        self.assert_run(done, 0, "one\ntwo\n")

    def test_arguments(self):
        file = self.write("p.tl", "print(args())\n")
        for command in (["run", file], [file]):
            done = self.tl(*command, "a", "--b", "c d")
            self.assertEqual(done.returncode, 0, done.stderr)
            for word in ("a", "--b", "c d"):
                self.assertIn(word, done.stdout)

    def test_warnings_go_to_standard_error(self):
        done = self.tl("-e", "1 + 1\nprint(2)")
        self.assert_run(done, 0, "2\n")
        self.assertIn("warning: ", done.stderr)

    def test_a_gpu_that_is_not_there_is_one_warning(self):
        if "cuda" in tl_command.backends():
            self.skipTest("there is one")
        program = ("let a = tensor([1.0], device: gpu)\n"
                   "let b = tensor([2.0], device: gpu)\nprint(a + b)")
        for options in ([], ["--device", "gpu"]):
            done = self.tl(*options, "-e", program)
            self.assert_run(done, 0, "[3.]\n")
            self.assertEqual(done.stderr,
                             "warning: no GPU here; computing on the CPU\n")

    def test_notes_on_lossy_loading_go_to_standard_error(self):
        safetensors.torch.save_file({"x": torch.tensor([1e6, 1.0])},
                                    self.folder / "m.safetensors")
        done = self.tl("-e", 'print(load_model("m.safetensors")["x"])')
        self.assert_run(done, 0, "[inf, 1.]\n")
        self.assertIn("note: ", done.stderr)
        self.assertIn("1 of 2 values exceed float16", done.stderr)

    def test_no_progress_bar_without_a_terminal(self):
        torch.manual_seed(0)
        safetensors.torch.save_file({"x": torch.randn(1 << 22)},
                                    self.folder / "m.safetensors")
        done = self.tl("-e", 'let m = load_model("m.safetensors")\n'
                             'm["x"] = m["x"] * 2\nsave_model(m, "n.safetensors")')
        self.assert_run(done, 0)
        self.assertEqual(done.stderr, "")

    def test_a_reader_that_goes_away(self):
        child = subprocess.Popen(
            f'"{tl_command.TL}" -e "for i in 0..1000000 {{ print(i) }}" | head -n 1',
            shell=True, cwd=self.folder, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        stdout, stderr = child.communicate(timeout=60)
        self.assertEqual(stdout, "0\n")
        self.assertNotIn("error", stderr)

    def test_a_full_disk_under_standard_output(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([tl_command.TL, "-e", "print(1)"], stdout=full,
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  text=True)
        self.assertEqual(done.returncode, 70, done.stderr)
        self.assertIn("standard output", done.stderr)


class Devices(Scratch):
    def test_version_says_what_there_is_to_compute_on(self):
        done = self.tl("version")
        self.assertRegex(done.stdout, r"\Atl \d+\.\d+\.\d+\nbackends: cpu( cuda)?\n"
                                      r"cpu: \w+\n(cuda: .+\n)?threads: [1-9]\d*\n\Z")
        self.assert_run(done, 0, done.stdout)
        self.assertEqual(done.stderr, "")
        if "cuda" in tl_command.backends():
            self.assertRegex(done.stdout, r"\ncuda: .+, \d+\.\d GiB; "
                                          r"(cuBLASLt|no cuBLASLt: .+)\n")
        elif "\ncuda: " in done.stdout:
            self.assertRegex(done.stdout, r"\ncuda: none: .+\n")

    def test_a_program_without_tensors_starts_without_cuda(self):
        def libraries(*arguments):
            done = self.tl(*arguments, env={"LD_DEBUG": "libs"})
            self.assertEqual(done.returncode, 0, done.stderr)
            names = re.findall(r"find library=(\S+)", done.stderr)
            self.assertIn("libc.so.6", names)
            return [n for n in names if re.match("lib(cuda|cublas|nv)", n)]

        model = tl_command.ROOT / "models" / "digits" / "digits.safetensors"
        for arguments in (["-e", "print(1 + 1)"], ["info", model]):
            self.assertEqual(libraries(*arguments), [])
        # That this test would see it.
        version = self.tl("version").stdout
        if "\ncuda: " in version and "EMULATED" not in version.upper():
            self.assertIn("libcuda.so.1", libraries("version"))


class Signals(Scratch):
    def test_ctrl_c(self):
        for program in ("loop { }", "let x = rand([64, 64])\nwhile true { x = x @ x }",
                        "input()"):
            with self.subTest(program):
                child = subprocess.Popen([tl_command.TL, "-e", program],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE)
                time.sleep(0.5)
                child.send_signal(signal.SIGINT)
                _, stderr = child.communicate(timeout=60)
                self.assertEqual(child.returncode, 130, stderr)


class Help(Scratch):
    def test_help_of_every_command(self):
        done = self.tl("--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        for command in COMMANDS:
            with self.subTest(command):
                self.assertIn(command, done.stdout)
                help_text = self.tl(command, "--help")
                self.assertEqual(help_text.returncode, 0, help_text.stderr)
                self.assertIn(command, help_text.stdout)

    def test_version(self):
        done = self.tl("version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")
        self.assertIn("cpu", tl_command.backends())


class Models(Scratch):
    def setUp(self):
        super().setUp()
        self.tensors = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(3).half(),
                        "ids": torch.arange(4)}
        safetensors.torch.save_file(self.tensors, self.folder / "a.safetensors",
                                    {"note": "hello"})

    def test_info(self):
        done = self.tl("info", "a.safetensors")
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("a.weight", "[2, 3]", "F32", "a.bias", "F16", "ids", "I64",
                     "hello"):
            self.assertIn(word, done.stdout)

    def test_info_json(self):
        done = self.tl("info", "--json", "a.safetensors")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = json.dumps(json.loads(done.stdout))
        for word in ("a.weight", "[2, 3]", "F32", "hello"):
            self.assertIn(word, text)

    def test_info_filter(self):
        done = self.tl("info", "--filter", "*.bias", "a.safetensors")
        self.assertIn("a.bias", done.stdout)
        self.assertNotIn("a.weight", done.stdout)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_info_filter_that_matches_nothing(self):
        done = self.tl("info", "--filter", "b.*", "a.safetensors")
        self.assertEqual((done.returncode, done.stderr),
                         (1, "note: no tensor matches 'b.*'\n"))
        self.assertNotIn("a.bias", done.stdout)

    def test_convert_to_what_there_is_not(self):
        for arguments, text in (
                (["a.safetensors", "a.onnx"],
                 "a.onnx: the ending says what to write: .safetensors or .gguf"),
                (["a.safetensors", "a.mlpackage"],
                 "a.mlpackage: CoreML models are read here and not written; the "
                 "ending says what to write: .safetensors or .gguf"),
                (["a.safetensors", "a.gguf", "--type", "q9"],
                 "there is no type 'q9'; known are f32, f16, bf16"),
                (["a.safetensors", "a.gguf", "--layout", "onnx"], "--layout"),
                (["a.safetensors", "a.gguf", "--shard-size", "many"],
                 "--shard-size: 'many' is no size; write it as in 5GB or 300MB"),
                (["a.safetensors"], "OUT")):
            with self.subTest(arguments):
                done = self.tl("convert", *arguments)
                self.assertEqual((done.returncode, done.stdout), (64, ""))
                self.assertIn(text, done.stderr)
        done = self.tl("convert", "a.safetensors", "b.safetensors", "--type", "q8_0")
        self.assertEqual(done.returncode, 66)
        self.assertIn("SafeTensors has no type 'q8_0'; it holds f32, f16 and bf16",
                      done.stderr)
        self.assertFalse((self.folder / "b.safetensors").exists())

    def test_info_stats(self):
        done = self.tl("info", "--stats", "a.safetensors")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_info_sha256(self):
        done = self.tl("info", "--sha256", "a.safetensors")
        sha = subprocess.run(["sha256sum", self.folder / "a.safetensors"],
                             capture_output=True, text=True, check=True)
        self.assertIn(sha.stdout.split()[0], done.stdout)

    def test_escapes_in_names_do_not_reach_the_terminal(self):
        safetensors.torch.save_file({"\x1b[31mred": torch.ones(1)},
                                    self.folder / "e.safetensors")
        done = self.tl("info", "e.safetensors")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)

    def test_diff(self):
        other = {**self.tensors, "a.weight": torch.full((2, 3), 1.25)}
        safetensors.torch.save_file(self.tensors, self.folder / "same.safetensors",
                                    {"note": "hello"})
        safetensors.torch.save_file(other, self.folder / "other.safetensors")
        self.assertEqual(self.tl("diff", "a.safetensors", "same.safetensors").returncode,
                         0)
        done = self.tl("diff", "a.safetensors", "other.safetensors")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("a.weight", done.stdout)
        self.assertIn("0.25", done.stdout)
        safetensors.torch.save_file(self.tensors, self.folder / "noted.safetensors")
        done = self.tl("diff", "a.safetensors", "noted.safetensors")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("'note'", done.stdout)
        self.assertEqual(self.tl("diff", "a.safetensors", "none").returncode, 66)


class Formatting(Scratch):
    def test_fmt_is_stable_and_keeps_comments(self):
        file = self.write("p.tl", "// a\nlet x=1+2 // b\nif x>2 {print( x )}\n")
        self.assertEqual(self.tl("fmt", file).returncode, 0)
        once = (self.folder / file).read_text()
        self.assertIn("// a", once)
        self.assertIn("// b", once)
        self.assertEqual(self.tl("fmt", file).returncode, 0)
        self.assertEqual((self.folder / file).read_text(), once)
        self.assert_run(self.tl("run", file), 0, "3\n")

    def test_plan_shows_steps_and_not_the_output(self):
        file = self.write("p.tl", "let x = ones([4, 4])\nprint(x @ x + 1)\n")
        done = self.tl("plan", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("matmul", done.stdout)
        self.assertNotIn("[5.", done.stdout)


class Threads(Scratch):
    def test_any_number_of_threads_gives_the_same_bits(self):
        program = ("let x = randn([130, 257], seed: 1)\nlet m = model()\n"
                   'm["p"] = x @ x.T\nm["s"] = softmax(x)\nm["m"] = mean(x, dim: 0)\n'
                   'm["n"] = rms_norm(x, ones([257]))\nsave_model(m, "out.safetensors")')
        contents = set()
        for threads in (1, 2, 3, 8):
            done = self.tl("--threads", str(threads), "-e", program)
            self.assert_run(done, 0)
            contents.add((self.folder / "out.safetensors").read_bytes())
        self.assertEqual(len(contents), 1)


class Repl(Scratch):
    def test_errors_keep_the_session(self):
        done = self.tl("repl", stdin="let x = 2\nprint(y)\nprint(x + 1)\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3", done.stdout)


if __name__ == "__main__":
    report.main()
