#!/usr/bin/env python3
"""The tensors that tl reads from the CoreML models of references/coreml/ are those
that coremltools reads: compressed ones as it decompresses them, to the bit."""

import pathlib
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file

import report
import tl_command

STORED = pathlib.Path(__file__).resolve().parent / "references" / "coreml"
MODELS = sorted([*STORED.glob("*.mlpackage"), *STORED.glob("*.mlmodel")])


def converted(model, scratch):
    path = pathlib.Path(scratch) / "out.safetensors"
    done = tl_command.tl("convert", model, path)
    assert done.returncode == 0, done.stderr
    return load_file(path)


class Weights(unittest.TestCase):
    def test_compressed_weights_are_those_of_coremltools(self):
        expected = load_file(STORED / "weights.safetensors")
        self.assertGreater(len(expected), 15)
        tensors = {}
        with tempfile.TemporaryDirectory() as scratch:
            for key, numbers in expected.items():
                model, name = key.split(".", 1)
                with self.subTest(key):
                    if model not in tensors:
                        tensors[model] = converted(
                            STORED / f"{model}.mlpackage", scratch)
                    got = tensors[model][name]
                    self.assertEqual(got.dtype, numbers.dtype)
                    np.testing.assert_array_equal(got, numbers)

    def test_every_model_is_read_whole(self):
        self.assertGreater(len(MODELS), 60)
        for model in MODELS:
            with self.subTest(model.name):
                done = tl_command.tl("info", "--check", model)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("nothing is wrong", done.stdout)

    def test_quantised_layers_have_the_numbers_they_were_made_of(self):
        # What is compressed in zoo.py loses nothing, whichever way it is stored.
        with tempfile.TemporaryDirectory() as scratch:
            for network, program, what in [
                    ("int8_nn.mlmodel", "int8_ios16.mlpackage", "_quantized"),
                    ("table4_nn.mlmodel", "table4_ios16.mlpackage", "_palettized")]:
                layers = converted(STORED / network, scratch)
                constants = converted(STORED / program, scratch)
                for layer, constant in [("input.1", "conv"),
                                        ("linear_0", "linear")]:
                    with self.subTest(network, layer=layer):
                        got = layers[f"{layer}.weights"]
                        self.assertEqual(got.dtype, np.float32)
                        expected = constants[f"{constant}_weight_to_fp16{what}"]
                        np.testing.assert_allclose(got, expected, rtol=1e-3,
                                                   atol=1e-4)

    def test_layers_that_are_stored_as_float16_stay_so(self):
        with tempfile.TemporaryDirectory() as scratch:
            half = converted(STORED / "cnn_nn_f16.mlmodel", scratch)
            full = converted(STORED / "cnn_nn.mlmodel", scratch)
        self.assertEqual(half.keys(), full.keys())
        for name, numbers in half.items():
            with self.subTest(name):
                self.assertEqual(numbers.dtype, np.float16)
                np.testing.assert_array_equal(
                    numbers, full[name].astype(np.float16))


if __name__ == "__main__":
    report.main()
