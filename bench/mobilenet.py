#!/usr/bin/env python3
"""A network of MobileNetV2's shape (224 x 224, one image, random weights) from its
CoreML package, beside PyTorch and ONNX Runtime with the same network in float32.

    $(tests/python_env.py runtimes) bench/mobilenet.py [--tl build/tl]

Two threads each. The runners take turns, a round of predictions each, so that all
meet the same machine; of each the median round counts. `tl` is a process that
predicts N times and one that predicts once: the difference is N - 1 predictions.
Prints a table in Markdown.
"""

import argparse
import logging
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
import warnings

THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(THREADS)
logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

import coremltools as ct
import numpy as np
import onnxruntime
from safetensors.numpy import load_file, save_file
import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Sandler et al. 2018, table 2: expansion, channels, repeats, first stride.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
          (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def conv(ins, outs, kernel, stride=1, groups=1):
    return [nn.Conv2d(ins, outs, kernel, stride, kernel // 2, groups=groups,
                      bias=False), nn.BatchNorm2d(outs)]


class Bottleneck(nn.Module):
    def __init__(self, ins, outs, stride, expansion):
        super().__init__()
        hidden = ins * expansion
        layers = []
        if expansion != 1:
            layers += [*conv(ins, hidden, 1), nn.ReLU6()]
        layers += [*conv(hidden, hidden, 3, stride, hidden), nn.ReLU6(),
                   *conv(hidden, outs, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and ins == outs

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


def mobilenet_v2():
    layers, channels = [*conv(3, 32, 3, 2), nn.ReLU6()], 32
    for expansion, outs, repeats, stride in STAGES:
        for i in range(repeats):
            layers.append(Bottleneck(channels, outs, stride if i == 0 else 1,
                                     expansion))
            channels = outs
    layers += [*conv(channels, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1),
               nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


def randomise(network):
    """Norms as training leaves them: far from the identity."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


class Tl:
    def __init__(self, tl, package, folder, dtype):
        self.tl, self.folder, self.dtype = tl, folder, dtype
        self.start = f"""
let m = load_model("{package}", dtype: {dtype})
let x = load_model("{folder}/x.safetensors", dtype: {dtype})["x"]
"""

    def run(self, text):
        script = self.folder / "bench.tl"
        script.write_text(self.start + text)
        begin = time.perf_counter()
        subprocess.run([self.tl, "run", "--threads", str(THREADS), script],
                       check=True)
        return time.perf_counter() - begin

    def answer(self):
        answer = self.folder / "y.safetensors"
        self.run(f"""let out = model()
out["y"] = m.predict(x)
save_model(out, "{answer}")""")
        return load_file(answer)["y"].astype(np.float32)

    def seconds(self, count):
        predict = """let total = 0.0
for i in 0..{} {{ total += float(m.predict(x)[0, 0]) }}"""
        return (self.run(predict.format(count + 1)) - self.run(predict.format(1)))


def timed(predict):
    def seconds(count):
        begin = time.perf_counter()
        for _ in range(count):
            predict()
        return time.perf_counter() - begin
    return seconds


def pytorch_runners(network, x):
    """Name to (seconds of N predictions, answer)."""
    frozen = torch.jit.freeze(torch.jit.trace(network, x))
    last = mobilenet_v2().eval()
    last.load_state_dict(network.state_dict())
    last.to(memory_format=torch.channels_last)
    x_last = x.contiguous(memory_format=torch.channels_last)
    return {
        f"PyTorch {torch.__version__}": (timed(lambda: network(x)), network(x)),
        "the same, frozen": (timed(lambda: frozen(x)), frozen(x)),
        "the same, channels last": (timed(lambda: last(x_last)), last(x_last)),
    }


def onnx_runner(network, x, folder):
    path = folder / "net.onnx"
    torch.onnx.export(network, (x,), path, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    # Spinning threads would take the cores from whoever is measured next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options,
                                           providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run():
        return session.run(None, {name: x.numpy()})[0]
    return {f"ONNX Runtime {onnxruntime.__version__}": (timed(run), run())}


def tl_runners(network, x, folder, tl):
    package = folder / "net.mlpackage"
    ct.convert(torch.jit.trace(network, x),
               inputs=[ct.TensorType(name="x", shape=x.shape)],
               compute_precision=ct.precision.FLOAT32,
               minimum_deployment_target=ct.target.iOS15).save(str(package))
    save_file({"x": x.numpy()}, folder / "x.safetensors")
    runners = {}
    for dtype in ("float32", "float16"):
        runner = Tl(tl, package, folder, dtype)
        runners[f"tl, {dtype}"] = (runner.seconds, runner.answer())
    return runners


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tl", default=ROOT / "build" / "tl")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    network = mobilenet_v2()
    randomise(network)
    network.eval()
    x = torch.randn(1, 3, 224, 224)
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = pathlib.Path(name)
        runners = {**tl_runners(network, x, folder, options.tl),
                   **pytorch_runners(network, x),
                   **onnx_runner(network, x, folder)}
        times = {name: [] for name in runners}
        for _ in range(options.rounds):
            for name, (seconds, _) in runners.items():
                times[name].append(seconds(options.count) / options.count)
        want = network(x).numpy()
    print("| | ms a prediction | least | distance to PyTorch |")
    print("|---|---:|---:|---:|")
    for name, rounds in times.items():
        answer = np.asarray(runners[name][1]).reshape(want.shape)
        away = np.linalg.norm(answer - want) / np.linalg.norm(want)
        print(f"| {name} | {1e3 * statistics.median(rounds):.1f} | "
              f"{1e3 * min(rounds):.1f} | {away:.1e} |")


main()
