#!/usr/bin/env python3
"""What happens when the GPU's memory is small, on an emulated card whose memory the
test chooses (a build with -DTL_CUDA=emulate): errors with the numbers, a state that
stays usable, and --gpu-memory, which changes where weights are and no result."""

import pathlib
import re
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

import report
import tl_command

VERSES = tl_command.ROOT / "models" / "verses"
PACKED = VERSES / "verses.q8_0.gguf"


def tl(*arguments, memory=4 << 30, stdin=None, cwd=None):
    return tl_command.tl(*arguments, stdin=stdin, cwd=cwd, env={
        "TL_EMULATED_GPU": "1", "TL_EMULATED_GPU_MEMORY": str(memory)})


def generate(model, *options, memory=4 << 30):
    return tl("generate", model, "-p", "In the", "-n", 6, "--temperature", 0, *options,
              memory=memory)


class Scratch(unittest.TestCase):
    def setUp(self):
        if "emulated card" not in tl("version").stdout:
            self.skipTest("needs an emulated GPU")
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def model_as(self, dtype):
        for file in VERSES.glob("*.json"):
            (self.folder / file.name).write_bytes(file.read_bytes())
        save_file({name: weight.astype(dtype) for name, weight
                   in load_file(VERSES / "model.safetensors").items()},
                  self.folder / "model.safetensors")
        return self.folder


class OutOfMemory(Scratch):
    def test_the_error_says_what_is_needed_placed_and_free(self):
        done = tl("-e", "let x = ones([1024, 1024])\nprint(sum(x))\n"
                        "print(sum(ones([4096, 1024])))", memory=6 << 20)
        self.assertEqual((done.returncode, done.stdout), (70, "1048576.0\n"))
        self.assertRegex(
            done.stderr,
            r"^error: out of memory on the GPU: 8\.0 MiB more are needed, [\d.]+ \w+ are "
            r"placed by this program, [\d.]+ MiB of 6\.0 MiB are free\n")

    def test_a_limit_that_nothing_fits(self):
        (self.folder / "program.tl").write_text("print(sum(ones([4])))")
        done = tl("run", "--gpu-memory", "1", "program.tl", cwd=self.folder)
        self.assertEqual((done.returncode, done.stdout), (70, ""))
        self.assertRegex(
            done.stderr,
            r"^error: out of memory on the GPU: [\d.]+ \w+ more are needed, 0 bytes are "
            r"placed by this program, 1 byte of 1 byte are free, as --gpu-memory says\n")

    def test_a_session_goes_on(self):
        done = tl("repl", memory=6 << 20, stdin="let x = ones([1024, 1024])\n"
                  "print(sum(ones([4096, 1024])))\nprint(sum(x))\n")
        self.assertIn("out of memory on the GPU", done.stderr + done.stdout)
        self.assertIn("1048576.0", done.stdout)


class LargeModel(Scratch):
    def test_is_refused_before_much_of_it_is_copied(self):
        for model, needs in ((VERSES, "6.0"), (self.model_as(np.float32), "6.0"),
                             (PACKED, "3.2")):
            with self.subTest(model):
                done = generate(model, memory=3 << 20)
                self.assertEqual((done.returncode, done.stdout), (70, ""))
                self.assertRegex(
                    done.stderr.splitlines()[0],
                    f"^error: '{re.escape(str(model))}' needs {needs} MiB on the GPU, "
                    r"where [\d.]+ [KM]iB of 3\.0 MiB are free; with --gpu-memory SIZE what is "
                    "beyond SIZE stays in host memory, which is slower$")

    def test_can_be_looked_at(self):
        name = "model.layers.0.self_attn.q_proj.weight"
        weight = load_file(VERSES / "model.safetensors")[name]
        done = tl("-e", f'let m = load_model("{VERSES}")\n'
                        f'print(sum(to(m["{name}"], float32)))', memory=3 << 20)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertAlmostEqual(float(done.stdout), weight.astype(np.float64).sum(),
                               places=2)


class GpuMemory(Scratch):
    def test_results_are_the_same(self):
        for model in (VERSES, PACKED, self.model_as(np.float32)):
            whole = generate(model)
            self.assertEqual((whole.returncode, whole.stderr), (0, ""))
            for limit in ("5MB", "4M", "3.2e6"):
                with self.subTest(model=model, limit=limit):
                    done = generate(model, "--gpu-memory", limit)
                    self.assertEqual((done.returncode, done.stdout, done.stderr),
                                     (0, whole.stdout, ""))

    def test_what_a_token_takes_beside_its_model_is_little(self):
        done = generate(PACKED, "--gpu-memory", "800KB")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, generate(PACKED).stdout, ""))

    def test_runs_a_model_that_the_card_has_no_room_for(self):
        done = generate(VERSES, "--gpu-memory", "1GB", memory=3 << 20)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, generate(VERSES).stdout, ""))

    def test_is_not_passed(self):
        done = generate(VERSES, "--gpu-memory", "200KB")
        self.assertEqual((done.returncode, done.stdout), (70, ""))
        self.assertRegex(
            done.stderr,
            r"^error: out of memory on the GPU: [\d.]+ KiB more are needed, [\d.]+ \w+ are "
            r"placed by this program, [\d.]+ KiB of 195\.3 KiB are free, as --gpu-memory "
            r"says\n")

    def test_a_size_that_is_none(self):
        done = generate(VERSES, "--gpu-memory", "many")
        self.assertEqual((done.returncode, done.stderr),
                         (64, "error: --gpu-memory: 'many' is no size; write it as in "
                              "5GB or 300MB\n"))


class Copies(Scratch):
    def copied(self, *options):
        done = generate(VERSES, "--profile", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        last = done.stderr.splitlines()[-1]
        found = re.fullmatch(
            r"copied to the GPU: ([\d.]+) MB in [\d.]+ \w+, [\d.]+ GB/s", last)
        self.assertTrue(found, last)
        return float(found[1]) * 1e6

    def test_the_profile_says_what_was_copied(self):
        weights = sum(weight.nbytes for weight
                      in load_file(VERSES / "model.safetensors").values())
        whole = self.copied()
        self.assertAlmostEqual(whole, weights, delta=0.02 * weights)
        self.assertGreater(self.copied("--gpu-memory", "3MB"), 2 * whole)


class Conversions(Scratch):
    def test_what_they_lose_is_told_after_all_of_them(self):
        save_file({"a": np.array([1e6, 1, np.inf], np.float32),
                   "b": np.array([1e-9, 1e-9, 2], np.float32)},
                  self.folder / "m.safetensors")
        done = tl("-e", 'let m = load_model("m.safetensors")\nprint(m["a"] + m["b"])',
                  cwd=self.folder)
        self.assertEqual((done.returncode, done.stdout), (0, "[inf, 1., inf]\n"))
        self.assertEqual(
            done.stderr,
            "note: m.safetensors: 'a': 1 of 3 values exceed float16, became inf, 1 of 3 "
            "values are inf or NaN in the file; use dtype: float32; all counts: tl info "
            "--stats\n"
            "note: 1 more tensor lost values or holds inf or NaN; all counts: tl info "
            "--stats\n")


if __name__ == "__main__":
    report.main()
