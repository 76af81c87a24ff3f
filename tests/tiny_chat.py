"""Small chat models in the folder of files that transformers saves: a byte-level
tokenizer whose special tokens are those of a chat, a template, and a Llama that says
what it is told to or what random weights make it say."""

import json

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

import tiny_llama

BOS, START, END, STOP = "<s>", "<|im_start|>", "<|im_end|>", "<stop>"
SPECIAL = [BOS, "</s>", START, END, STOP]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% endif %}")
VOCABULARY = 256 + len(SPECIAL)


def tokenizer():
    """A token for each byte and each of SPECIAL; it puts <s> before a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tok = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens(SPECIAL)
    tok.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tok.token_to_id(BOS))])
    return tok


def write_tokenizer(folder, template=TEMPLATE, **config):
    """`config` is more of tokenizer_config.json; a template of None is none."""
    folder.mkdir(parents=True, exist_ok=True)
    tok = tokenizer()
    tok.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS,
              "eos_token": "</s>"} | config
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tok


def follower(chain, dim=320):
    """A Llama without attention, whose likeliest next token is chain[last one]."""
    tensors, config = tiny_llama.make(np.random.default_rng(0), dim=dim, layers=1,
                                      vocabulary=VOCABULARY)
    for name in tensors:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            tensors[name] = np.zeros_like(tensors[name])
    tensors["model.norm.weight"] = np.ones(dim, np.float16)
    tensors["model.embed_tokens.weight"] = np.eye(VOCABULARY, dim, dtype=np.float16)
    head = np.zeros((VOCABULARY, dim), np.float16)
    for last, following in chain.items():
        head[following, last] = 10
    tensors["lm_head.weight"] = head
    return tensors, config


def write(folder, says=None, ends=None, context=512, template=TEMPLATE, **config):
    """Makes the folder. `says`: what it answers, each character once; its last token
    leads to <|im_end|>, or to its own first character if `says` is a list. Without
    it, weights are random. `ends` are the end tokens of generation_config.json."""
    tok = write_tokenizer(folder, template, **config)
    if says is None:
        tensors, model = tiny_llama.make(np.random.default_rng(5), vocabulary=VOCABULARY)
    else:
        endless = isinstance(says, list)
        ids = tok.encode("\n" + "".join(says), add_special_tokens=False).ids
        chain = dict(zip(ids, ids[1:]))
        chain[ids[-1]] = ids[1] if endless else tok.token_to_id(END)
        tensors, model = follower(chain)
    model["max_position_embeddings"] = context
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(model))
    ends = [END, "</s>"] if ends is None else ends
    (folder / "generation_config.json").write_text(json.dumps(
        {"eos_token_id": [tok.token_to_id(end) for end in ends]}))
    return tok
