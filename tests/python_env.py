"""The Python environments of the tests, kept outside the source tree.

    python3 tests/python_env.py base     prints the interpreter of `base`

`base` stands on the distribution's PyTorch and NumPy and adds the pinned
packages of requirements-base.txt; `full` is a current PyTorch from PyPI with what
requirements-full.txt names, `coreml` the one that coremltools was tested with. An
environment is made once for each content of its requirements.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SYSTEM_PYTHON = "/usr/bin/python3"


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "tensorlogic"


def python_for(name):
    """The interpreter of environment `name`, made if it is not there yet."""
    requirements = HERE / f"requirements-{name}.txt"
    text = requirements.read_bytes() + SYSTEM_PYTHON.encode()
    folder = cache_folder() / f"{name}-{hashlib.sha256(text).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if complete.exists():
        return str(python)
    print(f"making the Python environment {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    options = ["--system-site-packages"] if name == "base" else []
    _run(SYSTEM_PYTHON, "-m", "venv", *options, folder)
    pip = [python, "-m", "pip", "install", "--quiet",
           "--disable-pip-version-check"]
    _run(*pip, "--requirement", requirements)
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
        # A distribution without python3-torch.
        _run(*pip, "torch", "numpy<2")
    complete.touch()
    return str(python)


def _run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    print(python_for(sys.argv[1]))
