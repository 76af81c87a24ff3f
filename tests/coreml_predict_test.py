#!/usr/bin/env python3
"""m.predict() of the models in references/coreml/ gives what PyTorch gave for the
module that they were converted from, or NumPy for networks laid by hand."""

import gzip
import json
import pathlib
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

import closeness
import report
import tl_command

STORED = pathlib.Path(__file__).resolve().parent / "references" / "coreml"
# Random numbers and states have no answer of their own: coreml_operations_test.py.
MODELS = sorted(path for path in [*STORED.glob("*.mlpackage"),
                                  *STORED.glob("*.mlmodel")]
                if path.stem not in ("random", "counter"))
# Of the length of the result: float16 arithmetic, and float32.
HALF, SINGLE = 1e-2, 1e-4
# It takes ceil(3 y), which the rounding of 3 y to float16 may change by 1.
STEPS = ("arithmetic_f16", "arithmetic_nn")


def entries(tensors, model):
    """The tensors of one model, by their names behind the model's."""
    return {key.removeprefix(f"{model}."): tensor
            for key, tensor in tensors.items() if key.startswith(f"{model}.")}


def literal(tensor):
    """A tensor as TensorLogic writes it; floats to the last bit of float32."""
    if tensor.dtype.kind == "i":
        return f"tensor({tensor.tolist()}, dtype: int32)"
    return f"tensor({tensor.astype(np.float64).tolist()}, dtype: float32)"


def predictions(path, inputs, dtype, scratch):
    """What tl makes of the inputs: arrays in the order of the model's outputs."""
    out = pathlib.Path(scratch) / "out.safetensors"
    given = ", ".join(f"{name}: {literal(x)}" for name, x in inputs.items())
    program = f"""
let m = load_model({str(path)!r}, dtype: {dtype})
let result = m.predict({given})
let out = model()
let outputs = m.outputs
for i in range(len(outputs)) {{
    let y = result
    if len(outputs) > 1 {{ y = result[outputs[i]["name"]] }}
    if type(y) == "map" {{
        let numbers = []
        for key in y {{ numbers.push(y[key]) }}
        y = tensor(numbers, dtype: float32)
    }}
    if type(y) == "tensor" {{ out["y" + str(i)] = y * 1.0 }}
}}
save_model(out, {str(out)!r})
""".replace("'", '"')
    source = pathlib.Path(scratch) / "predict.tl"
    source.write_text(program)
    done = tl_command.tl("run", source)
    assert done.returncode == 0, done.stderr
    return [y for _, y in sorted(load_file(out).items())]


class Predictions(unittest.TestCase):
    def check(self, path, dtype, bound):
        model = path.name.removesuffix(path.suffix)
        expected = [y for _, y in sorted(
            entries(load_file(STORED / "outputs.safetensors"), model).items())]
        self.assertGreater(len(expected), 0)
        inputs = entries(load_file(STORED / "inputs.safetensors"), model)
        with tempfile.TemporaryDirectory() as scratch:
            got = predictions(path, inputs, dtype, scratch)
        self.assertEqual(len(got), len(expected))
        for y, reference in zip(got, expected):
            error = closeness.relative_error(
                y.reshape(reference.shape), reference)
            self.assertLess(error, bound)

    def test_models_give_what_the_reference_gave(self):
        self.assertGreater(len(MODELS), 60)
        for path in MODELS:
            with self.subTest(path.name):
                exact = path.stem in STEPS
                self.check(path, "float32" if exact else "float16", HALF)

    def test_programs_in_float32_give_it_to_four_digits(self):
        for path in [p for p in MODELS if p.stem.endswith("_f32")]:
            with self.subTest(path.name):
                self.check(path, "float32", SINGLE)


SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "models" / "coreml"
DIGITS = SHARED.parent / "mnist"


def printed(program):
    """What a program prints, and what it says on standard error."""
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch) / "program.tl"
        source.write_text(program)
        done = tl_command.tl("run", source, cwd=scratch)
    return done.stdout, done.stderr.splitlines()


@unittest.skipUnless(SHARED.is_dir(), f"{SHARED} is not there")
class RealModels(unittest.TestCase):
    def test_a_compiled_program_multiplies(self):
        out, _ = printed(f"""
let m = load_model("{SHARED}/add_model.mlmodelc")
let x = arange(10).reshape(1, 10)
print(m.predict(x: x, y: x))
""")
        self.assertEqual(
            out, "[[ 0.,  1.,  4.,  9., 16., 25., 36., 49., 64., 81.]]\n")

    def test_a_network_reads_digits(self):
        count = 300
        raw = gzip.open(DIGITS / "t10k-images-idx3-ubyte.gz").read()
        labels = gzip.open(DIGITS / "t10k-labels-idx1-ubyte.gz").read()[8:]
        images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
        known = json.loads((DIGITS / "EXPECTED.json").read_text())
        wrong = known["coreml/MNIST.mlmodel"]["wrong_indices_first20"]
        with tempfile.TemporaryDirectory() as scratch:
            path = pathlib.Path(scratch) / "digits.safetensors"
            save_file({"x": images[:count].astype(np.float32)}, path)
            out, errors = printed(f"""
let m = load_model("{SHARED}/MNIST.mlmodel")
let x = load_model("{path}").x
for i in range({count}) {{ print(int(m.predict(x[i]).argmax())) }}
""")
        self.assertEqual(errors, [])
        read = [int(line) for line in out.split()]
        self.assertEqual([i for i in range(count) if read[i] != labels[i]],
                         [i for i in wrong if i < count])

    def test_a_voice_detector_tells_a_voice_from_noise(self):
        out, _ = printed(f"""
let m = load_model("{SHARED}/silero_vad.mlmodelc")
let t = arange(512, dtype: float32) / 16000.0
let voice = 0.0 * t
for k in range(1, 9) {{ voice = voice + sin(t * 6.2832 * 140.0 * k) / k }}
print(m.predict((voice * 0.2).reshape(1, 512)))
print(m.predict(randn(1, 512, seed: 3) * 0.1))
""")
        voice, noise = (float(line.strip("[]")) for line in out.splitlines())
        self.assertAlmostEqual(voice, 0.93, delta=0.01)
        self.assertAlmostEqual(noise, 0.01, delta=0.005)


class Refusals(unittest.TestCase):
    MODEL = STORED / "mlp_f16.mlpackage"

    def refused(self, call, model=MODEL):
        _, errors = printed(f'let m = load_model("{model}")\n{call}\n')
        return errors[0]

    def test_an_input_of_another_shape(self):
        self.assertEqual(
            self.refused("m.predict(ones([2, 3]))"),
            "error: predict: input 'x' has shape [2, 3]; the model takes "
            "float32 [3, 12]")

    def test_an_input_that_is_not_there(self):
        self.assertEqual(
            self.refused("m.predict(y: ones([3, 12]))"),
            "error: predict: the model has no input 'y'; its inputs are: x")

    def test_an_input_that_is_missing(self):
        self.assertEqual(
            self.refused("m.predict()"),
            "error: predict: input 'x' is missing; the model takes "
            "float32 [3, 12]")

    def test_several_values_without_names(self):
        self.assertEqual(
            self.refused("m.predict(1, 2)"),
            "error: predict: 2 values without a name for 1 input; its form is "
            "predict(x: ...)")

    def test_a_model_of_another_format(self):
        model = STORED / "inputs.safetensors"
        self.assertEqual(
            self.refused("m.predict(1)", model),
            f"error: predict: '{model}' is not a CoreML model that can be run; "
            "a program of its own computes with its tensors")


if __name__ == "__main__":
    report.main()
