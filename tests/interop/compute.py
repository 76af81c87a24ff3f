"""Lets TensorLogic compute on tensors of PyTorch: they go in as a SafeTensors file,
the results come back as another."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import tl_command


def compute(code, tensors, dtype="float16"):
    """Runs `code`, in which `m` is a model of `tensors` loaded as `dtype` and `out`
    the model to fill; returns what it was filled with."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        save_file({name: t.detach().contiguous() for name, t in tensors.items()},
                  folder / "in.safetensors")
        done = run_program(
            f'let m = load_model("in.safetensors", dtype: {dtype})\n'
            f"let out = model()\n{code}\n"
            'save_model(out, "out.safetensors")\n', folder)
        assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
        assert done.stdout == "", done.stdout
        return load_file(folder / "out.safetensors")


def run_program(text, folder, *arguments):
    """Runs a program in a folder; the finished run."""
    file = pathlib.Path(folder) / "program.tl"
    file.write_text(text)
    return tl_command.tl("run", file, *arguments, cwd=folder)


def rounded(tensors):
    """What float16 keeps of tensors, as float32: the language's inputs."""
    return {name: t.detach().half().float() for name, t in tensors.items()}


def float16_ulps(got, reference):
    """The largest distance in units of the last place of float16. Sums that cancel
    are forgiven what float32 loses on numbers of the result's scale."""
    reference = reference.detach().double().numpy()
    got = got.double().numpy()
    assert got.shape == reference.shape, f"shape {got.shape}, not {reference.shape}"
    finite = np.isfinite(reference)
    assert (np.isfinite(got) == finite).all(), "inf or NaN where PyTorch has none"
    reference, got = reference[finite], got[finite]
    if not reference.size:
        return 0.0
    ulp = np.spacing(np.abs(reference).astype(np.float16)).astype(np.float64)
    noise = 1e-6 * np.abs(reference).max()
    return float((np.maximum(np.abs(got - reference) - noise, 0) / ulp).max())


def relative_error(got, reference):
    """The length of the difference over the length of the reference."""
    reference = reference.detach().double()
    assert got.shape == reference.shape, f"shape {got.shape}, not {reference.shape}"
    return float((got.double() - reference).norm() / reference.norm())
