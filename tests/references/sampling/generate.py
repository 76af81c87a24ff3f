#!/usr/bin/env python3
"""Writes cases.json: rows of logits, and what the logits processors of Hugging
Face's transformers leave of them. Needs the environment `full`."""

import json
import pathlib

import torch
from transformers.generation import logits_process as hf

HERE = pathlib.Path(__file__).resolve().parent
COUNT = 64


def rows():
    """Rows of float32 with three decimals: usual, peaked, flat, and with ties."""
    generator = torch.Generator().manual_seed(11)
    normal = torch.randn(3, COUNT, generator=generator, dtype=torch.float64)
    ties = torch.randint(-3, 4, (COUNT,), generator=generator)
    usual, peaked, flat = normal * torch.tensor([[3.0], [8.0], [0.2]])
    return [[round(x, 3) for x in row.tolist()]
            for row in (usual, peaked, flat, ties.double())]


def cases():
    single = [{"temperature": t} for t in (0.5, 1.7)]
    single += [{"top_k": k} for k in (1, 5, 40, 64)]
    single += [{"top_p": p} for p in (0.0, 0.3, 0.9, 0.999)]
    single += [{"min_p": p} for p in (0.02, 0.3, 1.0)]
    single += [{"typical_p": p} for p in (0.05, 0.5, 0.95)]
    single += [{"repetition_penalty": r, "history": [3, 60, 3, 17]}
               for r in (0.8, 1.3)]
    single += [{"logit_bias": {"5": 4.5, "31": -2.0}}]
    together = [
        {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
        {"temperature": 1.5, "top_k": 20, "top_p": 0.8, "typical_p": 0.6},
        {"temperature": 0.6, "top_p": 0.9, "typical_p": 0.9, "min_p": 0.01,
         "repetition_penalty": 1.2, "history": [1, 2, 3, 4, 5, 6, 7],
         "logit_bias": {"1": 1.25}},
    ]
    return single + together


def processors(options):
    if "repetition_penalty" in options:
        yield hf.RepetitionPenaltyLogitsProcessor(options["repetition_penalty"])
    if "logit_bias" in options:
        yield hf.SequenceBiasLogitsProcessor(
            [[[int(token)], bias] for token, bias in options["logit_bias"].items()])
    for name, warper in [("temperature", hf.TemperatureLogitsWarper),
                         ("top_k", hf.TopKLogitsWarper),
                         ("top_p", hf.TopPLogitsWarper),
                         ("min_p", hf.MinPLogitsWarper),
                         ("typical_p", hf.TypicalLogitsWarper)]:
        if name in options:
            yield warper(options[name])


def answer(row, options):
    """The tokens that are left with their probabilities."""
    scores = torch.tensor([row], dtype=torch.float32)
    history = torch.tensor([options.get("history", [])], dtype=torch.int64)
    for processor in processors(options):
        scores = processor(history, scores)
    probabilities = scores.double().softmax(-1)[0]
    left = [i for i in range(COUNT) if scores[0, i] > -float("inf")]
    return {"tokens": left,
            "probabilities": [float(f"{probabilities[i]:.6g}") for i in left]}


def text():
    table = rows()
    # Which of equal logits top-p keeps is left to torch.sort, which is not stable.
    answers = [{"row": r, "options": options, **answer(row, options)}
               for options in cases() for r, row in enumerate(table)
               if not (r == 3 and "top_p" in options)]
    lines = ",\n".join(json.dumps(a, separators=(",", ":")) for a in answers)
    return (f'{{"rows": {json.dumps(table, separators=(",", ":"))},\n'
            f'"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    (HERE / "cases.json").write_text(text())
