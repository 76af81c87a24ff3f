#!/usr/bin/env python3
"""Trains the small language model of this folder, on a GPU in a few minutes:

    sudo apt-get install bible-kjv
    bible -f gen1:1-rev22:21 > kjv.txt
    python3 models/verses/train.py kjv.txt models/verses

The text is the King James Version, of 1611 and in the public domain, as Debian's
package bible-kjv-text has it. Needs PyTorch, transformers and tokenizers. Every
fortieth chapter is held out; the weights with the least loss on those are kept:
2.88 nats a token.
"""

import argparse
import itertools
import math
import pathlib
import re

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BEGIN, END = "<|begin|>", "<|end|>"
VOCABULARY, CONTEXT = 2048, 256
STEPS, BATCH, PEAK, HELD_OUT = 700, 64, 2e-3, 40


def chapters(path):
    """The chapters, a verse in each line, without the numbers."""
    verses = (re.match(r"(\d?[A-Za-z]+\d+):\d+ (.*)", line).groups()
              for line in path.read_text().splitlines() if line.strip())
    return ["\n".join(text for _, text in group)
            for _, group in itertools.groupby(verses, key=lambda verse: verse[0])]


def make_tokenizer(texts):
    """Byte-level BPE, split as GPT-2 does; a text begins with BEGIN."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN,
                                   eos_token=END)


def make_model(tokenizer):
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=192, intermediate_size=512,
        num_hidden_layers=7, num_attention_heads=6, num_key_value_heads=2,
        max_position_embeddings=2 * CONTEXT, attention_dropout=0.1,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id))


def encoded(tokenizer, texts):
    ids = [id for text in texts for id in tokenizer.encode(text + END)]
    return torch.tensor(ids)


def rate(step):
    warm = min(1, step / 100)
    return PEAK * warm * (0.05 + 0.95 * (1 + math.cos(math.pi * step / STEPS)) / 2)


@torch.no_grad()
def loss_on(model, ids, device):
    rows = ids[:len(ids) // CONTEXT * CONTEXT].view(-1, CONTEXT).to(device)
    losses = [model(input_ids=part, labels=part).loss.item()
              for part in rows.split(BATCH)]
    return sum(losses) / len(losses)


def train(model, ids, held, device):
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95),
                                  weight_decay=0.3)
    best, kept = math.inf, None
    for step in range(STEPS + 1):
        if step % 100 == 0:
            model.eval()
            loss = loss_on(model, held, device)
            model.train()
            if loss < best:
                best = loss
                kept = {k: v.clone() for k, v in model.state_dict().items()}
            print(f"step {step}: held out {loss:.4f}", flush=True)
        starts = torch.randint(len(ids) - CONTEXT, (BATCH,))
        rows = torch.stack([ids[s:s + CONTEXT] for s in starts]).to(device)
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = model(input_ids=rows, labels=rows).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.load_state_dict(kept)
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    torch.manual_seed(1611)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts = chapters(options.text)
    held = texts[::HELD_OUT]
    texts = [text for i, text in enumerate(texts) if i % HELD_OUT]
    tokenizer = make_tokenizer(texts)
    model = make_model(tokenizer).to(device)
    ids = encoded(tokenizer, texts)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, "
          f"{len(ids):,} tokens")
    best = train(model, ids, encoded(tokenizer, held), device)
    print(f"kept: {best:.4f}")
    model.half().save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)
    model.float().eval()
    start = tokenizer("In the beginning", return_tensors="pt").to(device)
    start.pop("token_type_ids", None)
    print(tokenizer.decode(model.generate(**start, max_new_tokens=80,
                                          do_sample=False)[0]))


if __name__ == "__main__":
    main()
