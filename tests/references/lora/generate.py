#!/usr/bin/env python3
"""Writes LoRA adapters as PEFT saves them, of models of ../language_models/zoo.py and
with random weights, and the logits that the models have with them. PEFT is in none of
the environments; with it and what it needs in a folder of their own:

    python=$(python3 tests/python_env.py full)
    $python -m pip install --no-deps --target FOLDER peft==0.21.2 accelerate==1.15.0 psutil
    PYTHONPATH=FOLDER $python tests/references/lora/generate.py
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "language_models"))

import peft
import torch
import transformers
from safetensors.numpy import save_file

import zoo

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LINEAR = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]

# Of each adapter: the model, and what PEFT is told.
ADAPTERS = {
    "plain": ("llama", {"r": 4, "lora_alpha": 10, "target_modules": LINEAR}),
    "patterns": ("llama", {
        "r": 2, "lora_alpha": 3, "target_modules": LINEAR, "use_rslora": True,
        "rank_pattern": {"k_proj": 5, "layers.1.self_attn.q_proj": 3},
        "alpha_pattern": {"o_proj": 7, "layers.0.mlp.up_proj": 1}}),
    "dora": ("llama", {"r": 3, "lora_alpha": 6, "target_modules": LINEAR,
                       "use_dora": True}),
    "embedding": ("llama", {"r": 4, "lora_alpha": 4,
                            "target_modules": ["embed_tokens", "v_proj"],
                            "modules_to_save": ["lm_head", "norm"]}),
    "output": ("llama", {"r": 4, "lora_alpha": 4, "target_modules": ["lm_head"]}),
    "biases": ("llama_biases", {"r": 2, "lora_alpha": 5, "target_modules": ATTENTION,
                                "bias": "all", "lora_bias": True}),
    "qkv": ("phi3", {"r": 4, "lora_alpha": 8,
                     "target_modules": ["qkv_proj", "gate_up_proj", "o_proj"]}),
    "conv1d": ("gpt2", {"r": 4, "lora_alpha": 8, "fan_in_fan_out": True,
                        "target_modules": ["c_attn", "c_proj", "c_fc"]}),
    "norms": ("gemma2", {"r": 2, "lora_alpha": 4, "target_modules": ATTENTION,
                         "modules_to_save": ["input_layernorm"]}),
}


def randomise(model):
    """No matrix is the zero that an adapter begins with."""
    with torch.no_grad():
        for name, values in model.named_parameters():
            if values.requires_grad:
                noise = torch.randn(values.shape) * 0.3
                # A length of a row stays one.
                values.copy_(values * (1 + noise.abs()) if "magnitude" in name
                             else values + noise)


def write(folder):
    logits = {}
    for number, (name, (base, options)) in enumerate(ADAPTERS.items()):
        with tempfile.TemporaryDirectory() as scratch:
            path = pathlib.Path(scratch) / base
            zoo.write(base, path)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                path, dtype=torch.float32)
        torch.manual_seed(number)
        model = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM",
                                                           **options))
        randomise(model)
        model.save_pretrained(folder / name)
        (folder / name / "README.md").unlink(missing_ok=True)
        config = folder / name / "adapter_config.json"
        settings = json.loads(config.read_text())
        settings["base_model_name_or_path"] = base
        config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
        with torch.no_grad():
            found = model.eval()(torch.tensor([zoo.tokens(base)[:zoo.PROMPT]])).logits
        logits[name] = found[0, -1].numpy().copy()
    save_file(logits, folder / "logits.safetensors")


if __name__ == "__main__":
    for old in HERE.glob("*/adapter_model.safetensors"):
        shutil.rmtree(old.parent)
    write(HERE)
