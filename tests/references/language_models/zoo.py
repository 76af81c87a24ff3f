"""Small language models that hold every way in which a page of std/ must be right:
their config.json as transformers writes it and the shapes of their tensors, stored,
and their weights, made of a seed. Needs NumPy only.
"""

import json
import pathlib
import zlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MODELS = json.loads((HERE / "models.json").read_text()) if (
    HERE / "models.json").exists() else {}
# Of these the whole of what comes out after the prompt is stored, not logits.
ENCODERS = ["bert"]
PROMPT, STEPS = 20, 64

# Where a prompt may be cut. LongRoPE turns all of a text by the factors that its
# length asks for, so the first piece must be as long as the whole in that.
CHUNKS = [7, 8, 5]
CHUNKS_OF = {"phi3_long": [17, 3]}
# After so many positions the logits are stored: at the ends of those pieces, and of
# the prompt and each further step.
SEEN = [1, 7, 15, *range(PROMPT, PROMPT + STEPS + 1)]


# Tokens of a chunk, and whether what begins a text begins every chunk.
PERPLEXITIES = [(512, True), (101, True), (64, False)]


def text():
    """One that a model of English knows a little, with words that none knows."""
    known = json.loads((HERE.parent.parent.parent / "models" / "verses" /
                        "EXPECTED.json").read_text())["text"]
    random = np.random.default_rng(5)
    words = known.split()
    return " ".join(str(random.choice(words)) if i % 7 else f"{known[:60]} \u00e9\u4e16{i}"
                    for i in range(250)) + "\n"


def tokens(name):
    vocabulary = MODELS[name]["config"]["vocab_size"]
    random = np.random.default_rng(zlib.crc32(name.encode()))
    return [int(i) for i in random.integers(1, vocabulary, PROMPT + STEPS)]


def weights(name):
    """All float16 numbers, so that computing in float16 rounds none of them."""
    return {tensor: _filled(f"{name} {tensor}", shape)
            for tensor, shape in MODELS[name]["tensors"].items()}


def _filled(name, shape):
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.standard_normal(shape)
    kind = name.split(".")[-1]
    if len(shape) == 1:
        values = 0.3 * values
        # Gemma's norms are stored without the one.
        if kind == "weight" and not name.startswith("gemma"):
            values += 1
    elif any(word in name for word in ("embed", "wte", "wpe", "lm_head")):
        values *= 0.4
    else:
        values *= 1.3 / np.sqrt(shape[0] if "c_" in name else shape[1])
    return values.astype(np.float16).astype(np.float32)


def write(name, folder):
    """The model as transformers saves it."""
    from safetensors.numpy import save_file
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights(name), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(MODELS[name]["config"]))
