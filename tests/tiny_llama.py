"""A Llama of random numbers in the folder of files that transformers saves."""

import json

import numpy as np
from safetensors.numpy import save_file


def make(rng, heads=4, kv_heads=2, dim=64, inside=96, vocabulary=300, layers=2):
    head = dim // heads
    layer = {"input_layernorm": (dim,), "post_attention_layernorm": (dim,),
             "self_attn.q_proj": (heads * head, dim),
             "self_attn.k_proj": (kv_heads * head, dim),
             "self_attn.v_proj": (kv_heads * head, dim),
             "self_attn.o_proj": (dim, heads * head), "mlp.gate_proj": (inside, dim),
             "mlp.up_proj": (inside, dim), "mlp.down_proj": (dim, inside)}
    shapes = {"model.embed_tokens.weight": (vocabulary, dim),
              "model.norm.weight": (dim,), "lm_head.weight": (vocabulary, dim)}
    for i in range(layers):
        shapes |= {f"model.layers.{i}.{name}.weight": shape
                   for name, shape in layer.items()}
    config = {"model_type": "llama", "num_hidden_layers": layers, "hidden_size": dim,
              "intermediate_size": inside, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads, "vocab_size": vocabulary,
              "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
              "rope_theta": 5000.0, "tie_word_embeddings": False}
    tensors = {name: rng.standard_normal(shape).astype(np.float16)
               for name, shape in shapes.items()}
    return tensors, config


def write(folder, rng, layers=2, **changes):
    """Makes the folder; `changes` are to config.json. Returns tensors and config."""
    tensors, config = make(rng, layers=layers)
    config |= changes
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return tensors, config
