"""Lets TensorLogic compute on tensors of PyTorch: they go in as a SafeTensors file,
the results come back as another."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from safetensors.torch import load_file, save_file

from closeness import float16_ulps, relative_error
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
