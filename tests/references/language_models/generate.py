#!/usr/bin/env python3
"""Writes what transformers computes of the models of zoo.py, in float32: the logits
after the prompt's pieces and after each further token, which find their keys and
values cached, and what each position of the prompt is in the end ("NAME.hidden", of
encoders that alone); and the perplexity of the bundled model on a text. Run with the environment `full`:

    $(python3 tests/python_env.py full) tests/references/language_models/generate.py
"""

import json
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from tokenizers import Tokenizer

import zoo

SIZES = {"vocab_size": 200, "hidden_size": 32, "intermediate_size": 48,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 128}
WITH_HEADS = {**SIZES, "head_dim": 12}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1000.0, "factor": 4.0,
          "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 24}
YARN = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0,
        "original_max_position_embeddings": 16, "beta_fast": 8.0, "beta_slow": 1.0}
LONG = {"rope_type": "longrope", "rope_theta": 1000.0,
        "short_factor": [1.0, 1.25, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.5, 7.0]}

CONFIGS = {
    "llama": transformers.LlamaConfig(**SIZES),
    "llama_tied": transformers.LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama_biases": transformers.LlamaConfig(**SIZES, attention_bias=True),
    "llama_mlp_biases": transformers.LlamaConfig(**SIZES, mlp_bias=True),
    "llama3": transformers.LlamaConfig(**SIZES, rope_parameters=LLAMA3),
    "llama_linear": transformers.LlamaConfig(
        **SIZES, rope_parameters={"rope_type": "linear", "rope_theta": 1000.0,
                                  "factor": 2.5}),
    "llama_yarn": transformers.LlamaConfig(**SIZES, rope_parameters=YARN),
    "mistral": transformers.MistralConfig(**WITH_HEADS, sliding_window=6),
    "mistral_whole": transformers.MistralConfig(**SIZES, sliding_window=None),
    "qwen2": transformers.Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen2_window": transformers.Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=5, max_window_layers=1),
    "qwen3": transformers.Qwen3Config(**WITH_HEADS),
    "gemma": transformers.GemmaConfig(**WITH_HEADS, rms_norm_eps=1e-5),
    "gemma2": transformers.Gemma2Config(
        **WITH_HEADS, sliding_window=5, query_pre_attn_scalar=20,
        attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
    "gemma3": transformers.Gemma3TextConfig(
        **{**WITH_HEADS, "num_hidden_layers": 3}, sliding_window=5,
        query_pre_attn_scalar=20, sliding_window_pattern=3,
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            "full_attention": {"rope_type": "linear", "rope_theta": 10000.0,
                               "factor": 2.0}}),
    "phi3": transformers.Phi3Config(
        **SIZES, pad_token_id=0, sliding_window=6,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0,
                         "partial_rotary_factor": 0.5}),
    "phi3_long": transformers.Phi3Config(
        **SIZES, pad_token_id=0, original_max_position_embeddings=16,
        rope_parameters=LONG),
    "phi3_short": transformers.Phi3Config(
        **SIZES, pad_token_id=0, original_max_position_embeddings=96,
        rope_parameters=LONG),
    "gpt2": transformers.GPT2Config(vocab_size=200, n_embd=32, n_layer=2, n_head=4,
                                    n_positions=128),
    "bert": transformers.BertConfig(
        **{key: size for key, size in SIZES.items() if key != "num_key_value_heads"}),
}


def made(name):
    if name in zoo.ENCODERS:
        return transformers.AutoModel.from_config(CONFIGS[name], add_pooling_layer=False)
    return transformers.AutoModelForCausalLM.from_config(
        CONFIGS[name], attn_implementation="eager")


def described(name):
    """What zoo.py stores: config.json, and the shapes of model.safetensors."""
    config, model = CONFIGS[name], made(name)
    tied = config.tie_word_embeddings
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()
              if not (tied and name == "lm_head.weight")}
    written = config.to_dict()
    written.pop("transformers_version")
    return {"config": {**written, "architectures": [type(model).__name__]},
            "tensors": shapes}


def loaded(name):
    model = made(name).eval()
    found = model.load_state_dict(
        {key: torch.from_numpy(value) for key, value in zoo.weights(name).items()},
        strict=False)
    assert not found.unexpected_keys, found
    assert found.missing_keys in ([], ["lm_head.weight"]), found
    model.tie_weights()
    return model


def hidden(name):
    """[prompt, dim]"""
    model = loaded(name)
    ids = torch.tensor([zoo.tokens(name)[:zoo.PROMPT]])
    with torch.no_grad():
        return model.base_model(ids).last_hidden_state[0].numpy()


def logits(name):
    """[positions seen, vocab]"""
    model = loaded(name)
    ids = torch.tensor([zoo.tokens(name)])
    rows = []
    with torch.no_grad():
        for count in [n for n in zoo.SEEN if n < zoo.PROMPT]:
            rows.append(model(ids[:, :count]).logits[0, -1])
        cached = model(ids[:, :zoo.PROMPT], use_cache=True)
        rows.append(cached.logits[0, -1])
        for at in range(zoo.PROMPT, zoo.PROMPT + zoo.STEPS):
            cached = model(ids[:, at:at + 1], use_cache=True,
                           cache=cached.past_key_values)
            rows.append(cached.logits[0, -1])
    result = torch.stack(rows).numpy()
    assert result.std() >= 1, f"{name}: logits of deviation {result.std()}"
    return result


def perplexity(context, begins):
    """Of zoo.text(), as llama.cpp measures: the second half of each chunk counts."""
    folder = zoo.HERE.parent.parent.parent / "models" / "verses"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(zoo.text(), add_special_tokens=begins).ids
    model = transformers.AutoModelForCausalLM.from_pretrained(folder,
                                                              dtype=torch.float32)
    losses = []
    for at in range(0, len(ids) - context + 1, context):
        chunk = torch.tensor(ids[at:at + context])
        if begins:
            chunk[0] = tokenizer.token_to_id("<|begin|>")
        with torch.no_grad():
            scores = model(chunk[None]).logits[0].double()
        first = context // 2
        losses.append(torch.nn.functional.cross_entropy(
            scores[first:-1], chunk[first + 1:], reduction="none"))
    losses = torch.cat(losses)
    value = losses.mean().exp().item()
    error = (losses.var(correction=0) / (len(losses) - 1)).sqrt().item()
    return {"context": context, "begins": begins, "perplexity": value,
            "error": value * error, "counted": len(losses), "tokens": len(ids)}


def write(folder):
    folder = pathlib.Path(folder)
    zoo.MODELS = {name: described(name) for name in CONFIGS}
    (folder / "models.json").write_text(json.dumps(zoo.MODELS, indent=1) + "\n")
    (folder / "perplexity.json").write_text(json.dumps(
        [perplexity(*case) for case in zoo.PERPLEXITIES], indent=1) + "\n")
    stored = {f"{name}.hidden": hidden(name) for name in CONFIGS}
    stored |= {name: logits(name) for name in CONFIGS if name not in zoo.ENCODERS}
    save_file(stored, folder / "logits.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write(zoo.HERE)
