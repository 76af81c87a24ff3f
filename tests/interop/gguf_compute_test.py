#!/usr/bin/env python3
"""A trained Llama in packed types, computed on its packed weights, beside the
float64 arithmetic that shared models record for it."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file

import compute  # finds the modules beside this folder
import report
import tl_command

SHARED = pathlib.Path(os.environ.get(
    "TL_SHARED_MODELS", tl_command.ROOT.parent / "shared" / "models"))
MODELS = SHARED / "gguf" / "stories260K-quants"
PROMPT = [1, 403, 407, 261, 378]
TOKENS = 40  # enough for a sentence and a half

# No cache: every token computes all that went before.
PROGRAM = """
let m = load_model(args()[0])
let c = m.config

function block(x: Tensor, layer: Model) {
    let h = rms_norm(x, layer.attn_norm.weight, c.eps)
    let q = rope(heads(linear(h, layer.attn_q.weight), c.heads))
    let k = rope(heads(linear(h, layer.attn_k.weight), c.kv_heads))
    let v = heads(linear(h, layer.attn_v.weight), c.kv_heads)
    let mixed = join_heads(attention(q, k, v, causal: true))
    let y = x + linear(mixed, layer.attn_output.weight)
    let g = rms_norm(y, layer.ffn_norm.weight, c.eps)
    let gated = silu(linear(g, layer.ffn_gate.weight)) * linear(g, layer.ffn_up.weight)
    return y + linear(gated, layer.ffn_down.weight)
}

function logits(ids: list) -> Tensor {
    let x = embedding(m.token_embd.weight, tensor(ids))
    for l in 0..c.layers { x = block(x, m.blk[l]) }
    return linear(rms_norm(x[-1], m.output_norm.weight, c.eps), m.output.weight)
}

let ids = PROMPT
let out = model()
out["logits"] = logits(ids)
save_model(out, "out.safetensors")
while len(ids) < LENGTH { ids.push(int(argmax(logits(ids)))) }
print(ids)
"""


@unittest.skipUnless(MODELS.exists(), f"{MODELS} is not on this machine")
class Stories(unittest.TestCase):
    def setUp(self):
        self.expected = json.loads((MODELS / "EXPECTED.json").read_text())

    def tell(self, kind, *options):
        """The logits after the prompt, and the ids of a story."""
        with tempfile.TemporaryDirectory() as scratch:
            program = pathlib.Path(scratch) / "story.tl"
            program.write_text(PROGRAM.replace("PROMPT", str(PROMPT))
                               .replace("LENGTH", str(len(PROMPT) + TOKENS)))
            done = subprocess.run(
                [tl_command.TL, "run", *options, program,
                 MODELS / f"stories260K.{kind}.gguf"],
                cwd=scratch, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            logits = load_file(pathlib.Path(scratch) / "out.safetensors")["logits"]
        return logits.astype(np.float64), json.loads(done.stdout)

    def check(self, kind, tolerance, *options):
        logits, ids = self.tell(kind, *options)
        want = np.array(self.expected[kind]["last_prompt_logits"])
        self.assertLess(np.abs(logits - want).max(), tolerance)
        return ids

    def test_exact_products_give_the_logits_and_the_story(self):
        # Activations are float16 from layer to layer: a few of its steps at 10.
        for kind in ("Q8_0", "Q4_0"):
            with self.subTest(kind):
                ids = self.check(kind, 0.05, "--exact")
                story = self.expected[kind]["greedy_ids"]
                self.assertEqual(ids, story[:len(ids)])

    def test_int8_products_stay_near(self):
        # Rows of 64 elements have two scales each: the rounding of activations
        # shows more here than in any model of use.
        for kind in ("Q8_0", "Q4_0"):
            with self.subTest(kind):
                self.check(kind, 0.4)


if __name__ == "__main__":
    report.main()
