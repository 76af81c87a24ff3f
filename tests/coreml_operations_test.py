#!/usr/bin/env python3
"""Operations of CoreML programs whose results no other program can give: random
numbers, what a model keeps between predictions, and forms that coremltools does not
write. All others are in coreml_predict_test.py."""

import pathlib
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file

import report
import tl_command

STORED = pathlib.Path(__file__).resolve().parent / "references" / "coreml"


def saved(model, statements, *options):
    """The tensors that statements put into `out`, by name; `m` is the model."""
    with tempfile.TemporaryDirectory() as scratch:
        program = pathlib.Path(scratch) / "program.tl"
        program.write_text(f"""
let m = load_model("{model}", dtype: float32)
let out = model()
{statements}
save_model(out, "{scratch}/out.safetensors")
""")
        done = tl_command.tl("run", *options, program)
        assert done.returncode == 0, done.stderr
        return load_file(pathlib.Path(scratch) / "out.safetensors")


class RandomNumbers(unittest.TestCase):
    """5000 of each: bounds are five standard deviations of what is estimated."""

    MODEL = STORED / "random.mlpackage"
    ASK = """
for round in range(2) {
    let y = m.predict(tensor([[0.0, 0.6931, 1.6094, -6.9078],
                              [1.0986, 0.0, 0.0, 1.0986]]))
    for name in y { out[name + "." + str(round)] = y[name] }
}
"""

    @classmethod
    def setUpClass(cls):
        cls.drawn = saved(cls.MODEL, cls.ASK, "--seed", "1")

    def of(self, output):
        return self.drawn[f"y{output}.0"].astype(np.float64)

    def test_uniform(self):
        y = self.of(0)
        self.assertEqual(y.shape, (100, 50))
        self.assertGreaterEqual(y.min(), -1)
        self.assertLessEqual(y.max(), 3)
        self.assertAlmostEqual(y.mean(), 1, delta=5 * (4 / 12 ** 0.5) / 5000 ** 0.5)
        shares = np.histogram(y, 8, (-1, 3))[0] / 5000
        np.testing.assert_allclose(shares, 1 / 8, atol=5 * (7 / 64 / 5000) ** 0.5)

    def test_normal(self):
        y = self.of(1)
        self.assertAlmostEqual(y.mean(), 2, delta=5 * 0.5 / 5000 ** 0.5)
        self.assertAlmostEqual(y.std(), 0.5, delta=5 * 0.5 / 10000 ** 0.5)
        self.assertAlmostEqual(np.mean(abs(y - 2) < 0.5), 0.6827,
                               delta=5 * (0.22 / 5000) ** 0.5)

    def test_bernoulli(self):
        y = self.of(2)
        self.assertEqual(set(y.ravel()), {0, 1})
        self.assertAlmostEqual(y.mean(), 0.3, delta=5 * (0.21 / 5000) ** 0.5)

    def test_categorical_of_logits_and_of_probabilities(self):
        weights = np.array([[1, 2, 5, 0.001], [3, 1, 1, 3]])
        for output in (3, 4):
            y = self.of(output)
            self.assertEqual(y.shape, (2, 5000))
            for row, expected in zip(y, weights / weights.sum(1, keepdims=True)):
                shares = np.bincount(row.astype(int), minlength=4) / 5000
                self.assertEqual(len(shares), 4)
                np.testing.assert_allclose(
                    shares, expected, atol=5 * (0.25 / 5000) ** 0.5)

    def test_a_seed_gives_the_same_numbers_in_every_prediction(self):
        for output in range(5):
            np.testing.assert_array_equal(self.drawn[f"y{output}.0"],
                                          self.drawn[f"y{output}.1"])

    def test_without_a_seed_they_come_from_the_generator_of_the_language(self):
        self.assertFalse(np.array_equal(self.drawn["y5.0"], self.drawn["y5.1"]))
        again = saved(self.MODEL, self.ASK, "--seed", "1")
        other = saved(self.MODEL, self.ASK, "--seed", "2")
        np.testing.assert_array_equal(self.drawn["y5.1"], again["y5.1"])
        self.assertFalse(np.array_equal(self.drawn["y5.1"], other["y5.1"]))


class States(unittest.TestCase):
    """counter: the sum of all inputs so far, and the sum before the last one."""

    MODEL = STORED / "counter.mlpackage"

    def test_a_state_begins_at_zero_and_lives_as_long_as_the_loaded_model(self):
        y = saved(self.MODEL, f"""
let other = load_model("{self.MODEL}", dtype: float32)
for i in range(3) {{
    let y = m.predict(full([2, 3], 2.0 ** i))
    out["sum" + str(i)] = y["y0"]
    out["before" + str(i)] = y["y1"]
}}
let y = other.predict(ones([2, 3]))
out["other"] = y["y0"]
""")
        self.assertEqual([float(y[f"sum{i}"][1, 2]) for i in range(3)], [1, 3, 7])
        self.assertEqual([float(y[f"before{i}"][1, 2]) for i in range(3)], [0, 1, 3])
        np.testing.assert_array_equal(y["other"], np.ones((2, 3)))

    def test_it_changes_though_nobody_looks_at_the_results(self):
        y = saved(self.MODEL, """
for i in range(1000) { m.predict(ones([2, 3])) }
let y = m.predict(ones([2, 3]))
out["sum"] = y["y0"]
""")
        np.testing.assert_array_equal(y["sum"], np.full((2, 3), 1001))


class Texts(unittest.TestCase):
    """Programs in the text of compiled models."""

    def test_padding_that_reads_forth_and_back(self):
        x = np.arange(6, dtype=np.float32).reshape(2, 3)
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder) / "m.mlmodelc"
            model.mkdir()
            (model / "model.mil").write_text("""program(1.0)
{
    func main<ios17>(tensor<fp32, [2, 3]> x) {
            tensor<fp32, [8, 8]> y = pad(x = x, mode = string("symmetric"),
                pad = tensor<int32, [4]>([5, 1, 1, 4]))[name = string("y")];
        } -> (y);
}""")
            y = saved(model, 'out["y"] = m.predict(arange(6).reshape(2, 3))')["y"]
        np.testing.assert_array_equal(
            y, np.pad(x, ((5, 1), (1, 4)), mode="symmetric"))


if __name__ == "__main__":
    report.main()
