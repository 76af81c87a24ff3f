#!/usr/bin/env python3
"""What PyTorch saves, TensorLogic loads with the right values; what TensorLogic
saves, PyTorch loads with the same bits."""

import json
import pathlib
import tempfile
import unittest

from compute import compute, run_program
import numpy as np
import safetensors
import safetensors.numpy
import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from raw_file import raw_file, tensor
import report
import tl_command

# Where a conversion can go wrong: ties, the largest, the smallest, both zeros.
AWKWARD = [0.0, -0.0, 1.0, -1.5, 0.1, 65504.0, 65519.0, 65520.0, -65536.0, 1e30,
           2.0 ** -24, 2.0 ** -25, 2.0 ** -25 * (1 + 2.0 ** -23), 2.0 ** -14,
           6.0975552e-5, 2049.0, 2051.0, float("inf"), -float("inf"), float("nan")]
# Where rounding by way of float32 gives the wrong float16.
TWICE_ROUNDED = [(1 + 2.0 ** -11 + 2.0 ** -40, 0x3C01),
                 (1 + 3 * 2.0 ** -11 - 2.0 ** -40, 0x3C01),
                 (65520 - 2.0 ** -20, 0x7BFF),
                 (2.0 ** -25 * (1 + 2.0 ** -30), 0x0001)]

# The checker may see from the file's header what the run would meet.
CHECKED_OR_RUN = (65, 66)


def bits(t):
    """A tensor's bytes, whatever its type; bfloat16 is none of NumPy's."""
    if t.dtype == torch.bfloat16:
        t = t.view(torch.int16)
    return t.contiguous().numpy().tobytes()


def assert_same_file(test, path, tensors):
    got = load_file(path)
    test.assertEqual(sorted(got), sorted(tensors))
    for name, t in tensors.items():
        test.assertEqual((got[name].dtype, got[name].shape), (t.dtype, t.shape), name)
        test.assertEqual(bits(got[name]), bits(t), name)


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def succeeds(self, text):
        done = run_program(text, self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def fails(self, text, *words, statuses=(66,)):
        done = run_program(text, self.folder)
        self.assertIn(done.returncode, statuses, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)


class Conversion(Scratch):
    def check(self, source):
        # A product by one is an operation: its result is float16, not the bytes
        # that the file holds.
        got = compute('out["x"] = m["x"] * 1', {"x": source})["x"]
        self.assertEqual(got.dtype, torch.float16)
        with np.errstate(over="ignore"):
            expected = torch.from_numpy(
                source.to(torch.float64).numpy().astype(np.float16))
        finite = ~expected.isnan()
        self.assertTrue(got[~finite].isnan().all())
        self.assertEqual(bits(got[finite]), bits(expected[finite]))

    def test_f64(self):
        self.check(torch.tensor(AWKWARD, dtype=torch.float64))

    def test_f64_is_rounded_once(self):
        source = torch.tensor([x for x, _ in TWICE_ROUNDED], dtype=torch.float64)
        got = compute('out["x"] = m["x"] * 1', {"x": source})["x"]
        self.assertEqual(got.view(torch.int16).tolist(), [y for _, y in TWICE_ROUNDED])

    def test_f32(self):
        self.check(torch.tensor(AWKWARD))

    def test_f16_all_codes(self):
        codes = np.arange(65536, dtype=np.uint16).view(np.float16)
        self.check(torch.from_numpy(codes.copy()))

    def test_bf16_all_codes(self):
        codes = torch.arange(-32768, 32768, dtype=torch.int32).to(torch.int16)
        self.check(codes.view(torch.bfloat16))

    def test_f32_of_every_length(self):
        torch.manual_seed(0)
        for n in (1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 65, 1000, 4097):
            with self.subTest(n):
                self.check(torch.randn(n))

    def test_float32_keeps_f32_and_bf16(self):
        for dtype in (torch.float32, torch.bfloat16):
            with self.subTest(dtype):
                source = torch.tensor(AWKWARD[:-1]).to(dtype)
                got = compute('out["x"] = m["x"] * 1', {"x": source}, "float32")["x"]
                self.assertEqual(bits(got), bits(source.float()))

    def check_codes(self, dtype, expected):
        (self.folder / "in.safetensors").write_bytes(
            raw_file({"x": tensor(dtype, [256], 0, 256)}, bytes(range(256))))
        self.succeeds('let m = load_model("in.safetensors")\nlet out = model()\n'
                      'out["x"] = m["x"] * 1\nsave_model(out, "out.safetensors")')
        got = load_file(self.folder / "out.safetensors")["x"].numpy()
        nan = np.isnan(expected)
        self.assertTrue((np.isnan(got) == nan).all())
        self.assertEqual(got[~nan].tobytes(), expected[~nan].tobytes())

    def test_f8_e5m2_all_codes(self):
        self.check_codes("F8_E5M2",
                         (np.arange(256, dtype=np.uint16) << 8).view(np.float16))

    def test_f8_e4m3_all_codes(self):
        self.check_codes("F8_E4M3", small_float(4, 3, 7, nan={0x7F, 0xFF}))

    def test_f8_fnuz_all_codes(self):
        for dtype, exponent, bias in (("F8_E4M3FNUZ", 4, 8), ("F8_E5M2FNUZ", 5, 16)):
            with self.subTest(dtype):
                self.check_codes(
                    dtype, small_float(exponent, 7 - exponent, bias, nan={0x80}))


def small_float(exponent_bits, mantissa_bits, bias, nan):
    """The values of the 256 codes of an eight-bit float without infinities."""
    values = []
    for code in range(256):
        mantissa = (code & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
        exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1)
        value = (1 + mantissa) * 2.0 ** (exponent - bias) if exponent else (
            mantissa * 2.0 ** (1 - bias))
        values.append(float("nan") if code in nan else
                      -value if code & 0x80 else value)
    return np.array(values, dtype=np.float16)


class RoundTrip(Scratch):
    def setUp(self):
        super().setUp()
        torch.manual_seed(0)
        self.tensors = {
            "a.f64": torch.randn(3, 5, dtype=torch.float64),
            "b.f32": torch.tensor(AWKWARD),
            "c.f16": torch.randn(4, 4).half(),
            "d.bf16": torch.randn(7).bfloat16(),
            "e.scalar": torch.tensor(2.5),
            "f.empty": torch.zeros(3, 0, 2),
            "ids": torch.arange(-5, 5),
            "mask": torch.tensor([True, False, True]),
            "bytes": torch.arange(256, dtype=torch.uint8),
            "ünï \"q\" \\ \n": torch.ones(2),
        }

    def test_untouched_tensors_keep_their_bits(self):
        save_file(self.tensors, self.folder / "in.safetensors")
        self.succeeds('save_model(load_model("in.safetensors"), "out.safetensors")')
        assert_same_file(self, self.folder / "out.safetensors", self.tensors)

    def test_the_file_is_the_one_that_pytorch_writes(self):
        save_file(self.tensors, self.folder / "in.safetensors", {"format": "pt"})
        self.succeeds('save_model(load_model("in.safetensors"), "out.safetensors")')
        self.assertEqual((self.folder / "out.safetensors").read_bytes(),
                         (self.folder / "in.safetensors").read_bytes())

    def test_metadata_is_kept_and_names_pytorch(self):
        save_file({"x": torch.ones(2)}, self.folder / "in.safetensors",
                  {"author": "Ada", "note": "ä\n"})
        self.succeeds('save_model(load_model("in.safetensors"), "out.safetensors")')
        with safetensors.safe_open(self.folder / "out.safetensors", "pt") as file:
            self.assertEqual(file.metadata(),
                             {"author": "Ada", "note": "ä\n", "format": "pt"})

    def test_changed_added_and_removed_tensors(self):
        save_file(self.tensors, self.folder / "in.safetensors")
        self.succeeds('let m = load_model("in.safetensors")\n'
                      'm["c.f16"] = m["c.f16"] * 2\n'
                      'm["new"] = tensor<float32>([[1.5, 2.5]])\n'
                      'm.remove("ids")\n'
                      'save_model(m, "out.safetensors")')
        expected = dict(self.tensors)
        expected["c.f16"] = expected["c.f16"] * 2
        expected["new"] = torch.tensor([[1.5, 2.5]])
        del expected["ids"]
        assert_same_file(self, self.folder / "out.safetensors", expected)

    def test_saving_over_the_file_just_loaded(self):
        path = self.folder / "in.safetensors"
        save_file(self.tensors, path)
        self.succeeds('let m = load_model("in.safetensors")\n'
                      'm["c.f16"] = m["c.f16"] + 1\n'
                      'save_model(m, "in.safetensors")\n'
                      'print(m["a.f64"].shape, m["e.scalar"])')
        assert_same_file(self, path,
                         {**self.tensors, "c.f16": self.tensors["c.f16"] + 1})
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()),
                         ["in.safetensors", "program.tl"])

    def test_transposed_results_are_saved_in_row_order(self):
        w = torch.randn(3, 5).half()
        got = compute('out["t"] = m["w"].T\nout["s"] = m["w"][1:, ::2]', {"w": w})
        self.assertEqual(bits(got["t"]), bits(w.t()))
        self.assertEqual(bits(got["s"]), bits(w[1:, ::2]))

    def test_numpy_reads_what_we_write(self):
        save_file({"x": torch.randn(4, 3)}, self.folder / "in.safetensors")
        self.succeeds('let m = load_model("in.safetensors")\nlet out = model()\n'
                      'out["y"] = m["x"] * 2\nsave_model(out, "out.safetensors")')
        got = safetensors.numpy.load_file(self.folder / "out.safetensors")["y"]
        self.assertEqual(got.dtype, np.float16)

    def test_an_empty_model(self):
        self.succeeds('save_model(model(), "out.safetensors")')
        self.assertEqual(load_file(self.folder / "out.safetensors"), {})

    def test_a_failed_save_leaves_nothing(self):
        self.fails('save_model(model(), "nowhere/out.safetensors")', "nowhere")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["program.tl"])


class Sources(Scratch):
    """The shapes in which PyTorch's users keep their models."""

    def sum_of(self, path, name):
        text = f'let m = load_model("{path}")\nprint(sum(m["{name}"]))'
        return float(self.succeeds(text).stdout)

    def test_non_contiguous_sources(self):
        w = torch.arange(12.0).reshape(3, 4)
        save_file({"w": w.t().contiguous()}, self.folder / "pt.safetensors")
        safetensors.numpy.save_file({"w": np.ascontiguousarray(w.numpy().T)},
                                    self.folder / "np.safetensors")
        for file in ("pt.safetensors", "np.safetensors"):
            with self.subTest(file):
                done = self.succeeds(f'let w = load_model("{file}")["w"]\n'
                                     'print(w.shape, w[1, 0], w[1, 2])')
                self.assertEqual(done.stdout, "[4, 3] 1.0 9.0\n")

    def test_tied_weights(self):
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = nn.Embedding(5, 3)
                self.head = nn.Linear(3, 5, bias=False)
                self.head.weight = self.embed.weight

        torch.manual_seed(0)
        source, copy = Tied(), Tied()
        save_model(source, self.folder / "in.safetensors")
        self.succeeds('save_model(load_model("in.safetensors"), "out.safetensors")')
        load_model(copy, self.folder / "out.safetensors")
        self.assertTrue(torch.equal(copy.head.weight, source.head.weight))
        self.assertIs(copy.head.weight, copy.embed.weight)

    def test_integer_buffers_do_not_stop_a_model(self):
        norm = nn.BatchNorm1d(4)
        norm(torch.randn(8, 4))
        save_file(norm.state_dict(), self.folder / "in.safetensors")
        mean = self.sum_of("in.safetensors", "running_mean")
        self.assertAlmostEqual(mean, float(norm.running_mean.half().float().sum()),
                               places=5)
        self.fails('let m = load_model("in.safetensors")\n'
                   'print(m["num_batches_tracked"])', "'num_batches_tracked'", "I64",
                   statuses=CHECKED_OR_RUN)

    def shards(self, **change):
        a, b = {"a": torch.full((2, 2), 1.5)}, {"b": torch.full((3,), 2.0)}
        save_file(a, self.folder / "model-00001-of-00002.safetensors", {"format": "pt"})
        save_file(b, self.folder / "model-00002-of-00002.safetensors", {"format": "pt"})
        names = {"a": "model-00001-of-00002.safetensors",
                 "b": "model-00002-of-00002.safetensors", **change}
        (self.folder / "model.safetensors.index.json").write_text(json.dumps(
            {"metadata": {"total_size": 28}, "weight_map": names}, indent=2))
        return {**a, **b}

    def test_shards_by_folder_and_by_index(self):
        tensors = self.shards()
        for path in (".", "model.safetensors.index.json"):
            with self.subTest(path):
                self.assertEqual(self.sum_of(path, "a"), 6)
                self.assertEqual(self.sum_of(path, "b"), 6)
                self.succeeds(f'save_model(load_model("{path}"), "whole.safetensors")')
                assert_same_file(self, self.folder / "whole.safetensors", tensors)

    def test_a_folder_with_one_file(self):
        save_file({"x": torch.ones(3)}, self.folder / "model.safetensors")
        self.assertEqual(self.sum_of(".", "x"), 3)

    def test_a_missing_shard(self):
        self.shards()
        (self.folder / "model-00002-of-00002.safetensors").unlink()
        self.fails('load_model(".")', "model-00002-of-00002.safetensors")

    def test_a_tensor_that_its_shard_lacks(self):
        self.shards(c="model-00001-of-00002.safetensors")
        self.fails('load_model(".")', "'c'", "model-00001-of-00002.safetensors")

    def test_a_shard_name_that_leaves_the_folder(self):
        self.shards(b="../model-00002-of-00002.safetensors")
        self.fails('load_model(".")', "../model-00002-of-00002.safetensors")

    def test_a_scale_beside_the_weight_is_applied_or_refused(self):
        (self.folder / "in.safetensors").write_bytes(raw_file(
            {"w.weight_scale": tensor("F32", [], 0, 4),
             "w.weight": tensor("F8_E4M3", [2, 2], 4, 8)},
            np.float32(0.5).tobytes() + bytes([0x38] * 4)))  # 0x38 is 1.0
        done = run_program('print(sum(load_model("in.safetensors")["w.weight"]))',
                           self.folder)
        if done.returncode == 0:
            self.assertEqual(done.stdout, "2.0\n")
        else:
            self.assertEqual(done.returncode, 66)
            self.assertIn("w.weight_scale", done.stderr)

    def test_a_missing_name_offers_the_nearest(self):
        save_file({"layer.0.weight": torch.ones(2), "layer.0.bias": torch.ones(2)},
                  self.folder / "in.safetensors")
        self.fails('let name = "layer.0.wieght"\n'
                   'print(load_model("in.safetensors").get_tensor(name))',
                   "'layer.0.wieght'", "'layer.0.weight'", "in.safetensors",
                   statuses=CHECKED_OR_RUN)


class Digits(Scratch):
    def test_the_bundled_models_are_as_right_as_in_pytorch(self):
        digits = tl_command.ROOT / "models" / "digits"
        expected = json.loads((digits / "EXPECTED.json").read_text())
        program = (tl_command.ROOT / "examples" / "digits.tl").read_text()
        (self.folder / "models").symlink_to(digits.parent)
        for file, correct in expected["correct"].items():
            with self.subTest(file):
                self.assertGreaterEqual(correct / expected["held_out"], 0.97)
                self.assertIn("digits/digits.safetensors", program)
                done = self.succeeds(
                    program.replace("digits/digits.safetensors", f"digits/{file}"))
                self.assertTrue(done.stdout.startswith(
                    f"{correct} of {expected['held_out']} scans read correctly"),
                    done.stdout)


if __name__ == "__main__":
    report.main()
