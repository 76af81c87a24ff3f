#!/usr/bin/env python3
"""Writes the CoreML models of zoo.py, operations.py and networks*.py, what they are
asked, and what PyTorch and NumPy answer:

    $(tests/python_env.py coreml) tests/references/coreml/generate.py

    NAME.mlpackage, NAME.mlmodel   as coremltools converts and compresses them
    inputs.safetensors             NAME.INPUT, by the names of the model's features
    outputs.safetensors            NAME.OUTPUT, float32 or int32
    weights.safetensors            NAME.TENSOR of the compressed ones, as coremltools
                                   itself decompresses them

PyTorch computes in float32, from weights that are exact in float16; what is
compressed is so without loss.
"""

import contextlib
import json
import logging
import pathlib
import shutil
import sys
import warnings
import zlib

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

import coremltools as ct
import coremltools.optimize as cto
import numpy as np
from safetensors.numpy import save_file
import torch

import networks
import networks_nd
import operations
import zoo

HERE = pathlib.Path(__file__).resolve().parent
F16, F32 = ct.precision.FLOAT16, ct.precision.FLOAT32
IOS15, IOS16, IOS17, IOS18 = (ct.target.iOS15, ct.target.iOS16, ct.target.iOS17,
                              ct.target.iOS18)


def input_of(model, name, shape):
    seed = f"{model}.{name}"
    if not isinstance(shape, list):
        return zoo.drawn(seed, shape)
    *shape, limit = shape
    random = np.random.RandomState(zlib.crc32(seed.encode()))
    return torch.tensor(random.randint(0, limit, shape)).int()


def features(inputs, image, flexible):
    """How the inputs are described. An image is scaled, and its colours are
    shifted; a flexible one may have 1 to 64 rows."""
    if image:
        (name, x), = inputs.items()
        return [ct.ImageType(name=name, shape=tuple(x.shape), **image)]
    return [ct.TensorType(
        name=name,
        shape=(ct.RangeDim(1, 64, default=x.shape[0]) if flexible else x.shape[0],
               *x.shape[1:]),
        dtype=np.int32 if x.dtype == torch.int32 else np.float32)
        for name, x in inputs.items()]


def shown(image, x):
    """What the network sees of an image."""
    bias = torch.tensor(image["bias"]).reshape(1, -1, 1, 1)
    return x.float() * image["scale"] + bias


def convert(module, inputs, form, image=None, flexible=False, long=False, **options):
    example = tuple(inputs.values())
    if image:
        example = (shown(image, example[0]),)
    elif long:
        example = tuple(x.long() if x.dtype == torch.int32 else x for x in example)
    if isinstance(module, zoo.Loop):
        traced = torch.jit.script(module)
    else:
        traced = torch.jit.trace(module, example, check_trace=False)
    with torch.no_grad():
        answers = module(*example)
    answers = answers if isinstance(answers, tuple) else (answers,)
    names = [f"y{i}" for i in range(len(answers))]
    if "classifier_config" not in options:
        options["outputs"] = [ct.TensorType(name=name) for name in names]
    if form == "mlprogram":
        options["skip_model_load"] = True
    model = ct.convert(traced, convert_to=form,
                       inputs=features(inputs, image, flexible), **options)
    return model, dict(zip(names, answers))


def palettize(model, joint=False, **options):
    return cto.coreml.palettize_weights(model, cto.coreml.OptimizationConfig(
        cto.coreml.OpPalettizerConfig(weight_threshold=64, **options)),
        joint_compression=joint)


def quantize(model, joint=False, **options):
    return cto.coreml.linear_quantize_weights(model, cto.coreml.OptimizationConfig(
        cto.coreml.OpLinearQuantizerConfig(weight_threshold=64, **options)),
        joint_compression=joint)


def prune(model):
    return cto.coreml.prune_weights(model, cto.coreml.OptimizationConfig(
        cto.coreml.OpThresholdPrunerConfig(threshold=1e-5,
                                           minimum_sparsity_percentile=0.1,
                                           weight_threshold=64)))


def quantize_network(model, bits, mode):
    with contextlib.redirect_stdout(sys.stderr):
        return ct.models.neural_network.quantization_utils.quantize_weights(
            model, bits, mode)


def program(module, precision=F16, target=IOS15, compress=None, **options):
    return {"module": module, "form": "mlprogram", "compress": compress,
            "options": {"compute_precision": precision,
                        "minimum_deployment_target": target, **options}}


def network(module, compress=None, **options):
    return {"module": module, "form": "neuralnetwork", "compress": compress,
            "options": options}


def classifier():
    """One probability for each label; y0 is what PyTorch gives for them."""
    labels = ct.ClassifierConfig(["ant", "bee", "cat", "dog", "elk", "fox"])
    image = {"scale": 1 / 64, "bias": [-2.0, -1.75, -1.5], "color_layout": "RGB"}
    return {"image": image, "classifier_config": labels}


EVERY = ["mlp", "cnn", "padding", "depthwise", "residual", "convolutions", "pooling",
         "gru", "lstm", "lstm2", "rnn", "attention", "bert", "vit", "unet",
         "activations", "norms", "reductions", "arithmetic", "loop"]
MODELS = {
    **{f"{name}_f16": program(name) for name in EVERY},
    **{f"{name}_f32": program(name, F32) for name in
       ["mlp", "cnn", "residual", "convolutions", "lstm2", "gru", "bert", "unet"]},
    **{f"{name}_ios17": program(name, target=IOS17) for name in
       ["bert", "reductions"]},
    "layout_f16": program("layout", long=True),
    "layout_ios17": program("layout", target=IOS17, long=True),
    "mlp_flexible": program("mlp", flexible=True),
    "bert_flexible": program("bert", flexible=True),
    "classifier_f16": program("classifier", **classifier()),
    "classifier_nn": network("classifier", **classifier()),
    "attention_ios18": program("attention", target=IOS18),
    "vit_ios18": program("vit", target=IOS18),
    "table4_ios16": program("table16", target=IOS16, compress=lambda m: palettize(
        m, mode="uniform", nbits=4)),
    "table4_ios18": program("table16", target=IOS18, compress=lambda m: palettize(
        m, mode="uniform", nbits=4, granularity="per_grouped_channel",
        group_size=8)),
    "int8_ios16": program("int8", target=IOS16, compress=lambda m: quantize(
        m, mode="linear_symmetric")),
    "int8_ios18": program("int8", target=IOS18, compress=lambda m: quantize(
        m, mode="linear_symmetric")),
    "uint8_ios16": program("table16", target=IOS16, compress=lambda m: quantize(
        m, mode="linear")),
    "int4_ios18": program("int4", target=IOS18, compress=lambda m: quantize(
        m, mode="linear_symmetric", dtype="int4", granularity="per_block",
        block_size=32)),
    "sparse_ios16": program("sparse", target=IOS16, compress=prune),
    "sparse_ios18": program("sparse", target=IOS18, compress=prune),
    "sparse_table_ios18": program("sparse_table", target=IOS18, compress=lambda m: palettize(
        prune(m), joint=True, mode="uniform", nbits=4)),
    "sparse_int8_ios18": program("sparse_int8", target=IOS18, compress=lambda m: quantize(
        prune(m), joint=True, mode="linear_symmetric")),
    **{f"{name}_nn": network(name) for name in
       ["mlp", "cnn", "depthwise", "residual", "lstm", "lstm2", "gru", "unet",
        "activations", "arithmetic", "pooling", "convolutions"]},
    "cnn_nn_f16": network("cnn", lambda m: quantize_network(m, 16, "linear")),
    "int8_nn": network("int8", lambda m: quantize_network(
        m, 8, "linear_symmetric")),
    "table4_nn": network("table16", lambda m: quantize_network(
        m, 4, "linear_lut")),
}


def save(model, path):
    """With the same identifiers each time."""
    if path.suffix == ".mlmodel":
        path.write_bytes(model.get_spec().SerializeToString(deterministic=True))
        return
    shutil.rmtree(path, ignore_errors=True)
    model.save(str(path))
    spec = path / "Data/com.apple.CoreML/model.mlmodel"
    message = ct.proto.Model_pb2.Model.FromString(spec.read_bytes())
    spec.write_bytes(message.SerializeToString(deterministic=True))
    manifest = json.loads((path / "Manifest.json").read_text())
    items = sorted(manifest["itemInfoEntries"].items(), key=lambda x: x[1]["path"])
    fixed = {old: f"00000000-0000-0000-0000-{i:012}" for i, (old, _) in
             enumerate(items)}
    manifest["itemInfoEntries"] = {fixed[old]: item for old, item in items}
    manifest["rootModelIdentifier"] = fixed[manifest["rootModelIdentifier"]]
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=1,
                                                   sort_keys=True) + "\n")


def decompressed(model):
    """The results of constexpr operations by name, as coremltools has them."""
    found = {}
    for operation in model._mil_program.functions["main"].operations:
        if operation.op_type.startswith("constexpr_"):
            value = operation.materialized_val_inference()
            if not isinstance(value, tuple):
                found[operation.name] = np.ascontiguousarray(value)
    return found


def plain(tensor):
    array = np.asarray(tensor)
    whole = array.dtype.kind in "iub"
    return np.ascontiguousarray(array.astype(np.int32 if whole else np.float32))


def write(folder, only=None):
    torch.set_num_threads(1)
    inputs, outputs, weights = {}, {}, {}
    for name, row in MODELS.items():
        if only and name not in only:
            continue
        make, shapes = zoo.MODULES[row["module"]]
        module = make()
        if not isinstance(module, zoo.Exact):
            module = zoo.with_weights(row["module"], module)
        given = {key: input_of(row["module"], key, shape)
                 for key, shape in shapes.items()}
        try:
            model, answers = convert(module, given, row["form"], **row["options"])
            if row["compress"]:
                model = row["compress"](model)
        except Exception as error:
            raise RuntimeError(f"{name}: {error}") from error
        is_program = row["form"] == "mlprogram"
        save(model, folder / f"{name}.{'mlpackage' if is_program else 'mlmodel'}")
        inputs |= {f"{name}.{key}": plain(x) for key, x in given.items()}
        outputs |= {f"{name}.{key}": plain(x) for key, x in answers.items()}
        if row["compress"] and is_program:
            weights |= {f"{name}.{key}": x for key, x in decompressed(model).items()}
    for name, make in (networks.MODELS | networks_nd.MODELS).items():
        if only and name not in only:
            continue
        spec, given, answers = make()
        (folder / f"{name}.mlmodel").write_bytes(
            spec.SerializeToString(deterministic=True))
        inputs |= {f"{name}.{key}": plain(x) for key, x in given.items()}
        outputs |= {f"{name}.{key}": plain(x) for key, x in answers.items()}
    for name, program in operations.PROGRAMS.items():
        if only and name not in only:
            continue
        save(program.convert(), folder / f"{name}.mlpackage")
        inputs |= {f"{name}.{key}": plain(x) for key, x in program.inputs.items()}
        outputs |= {f"{name}.{key}": plain(y)
                    for key, y in program.expected().items()}
    save_file(inputs, folder / "inputs.safetensors")
    save_file(outputs, folder / "outputs.safetensors")
    save_file(weights, folder / "weights.safetensors")


if __name__ == "__main__":
    write(HERE, set(sys.argv[1:]))
