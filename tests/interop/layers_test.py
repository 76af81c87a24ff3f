#!/usr/bin/env python3
"""Operations, layers and whole blocks give what PyTorch gives.

PyTorch computes in float32 on inputs rounded to float16. A single operation may
differ by 2 units in the last place of float16, a block by 1e-2 of its length; with
`dtype: float32` both by 2e-5.
"""

import math
import unittest

import torch
from torch import nn
from torch.nn import functional as F

from compute import compute, float16_ulps, relative_error, rounded
import report


def seeded(**shapes):
    torch.manual_seed(len(shapes))
    return {name: torch.randn(*shape) for name, shape in shapes.items()}


def attention(q, k, v, causal=False):
    """Of [.., seq, heads, dim], key heads shared by groups of query heads."""
    q, k, v = (t.transpose(-3, -2) for t in (q, k, v))
    groups = q.shape[-3] // k.shape[-3]
    k, v = (t.repeat_interleave(groups, -3) for t in (k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        hidden = torch.ones(scores.shape[-2:]).tril() == 0
        scores = scores.masked_fill(hidden, -math.inf)
    return (scores.softmax(-1) @ v).transpose(-3, -2)


def rope(x, position, half):
    """Rotates the pairs of [seq, heads, dim]."""
    seq, _, dim = x.shape
    angle = (torch.arange(seq).float()[:, None] + position) * 10000.0 ** (
        -torch.arange(0, dim, 2).float() / dim)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b = x.chunk(2, -1) if half else (x[..., ::2], x[..., 1::2])
    turned = (a * cos - b * sin, a * sin + b * cos)
    return (torch.cat(turned, -1) if half
            else torch.stack(turned, -1).flatten(-2))


X = {"x": (5, 33)}
PAIR = {"a": (7, 33), "b": (7, 33)}
PRODUCT = {"x": (5, 64), "w": (64, 48)}
LINEAR = {"x": (5, 64), "w": (48, 64), "b": (48,)}
BATCHED = {"x": (3, 5, 16), "w": (3, 16, 9)}
NORM = {"x": (5, 64), "w": (64,), "b": (64,)}
HEADS = {"q": (6, 4, 16), "k": (6, 4, 16), "v": (6, 4, 16)}
GROUPED = {"q": (6, 4, 16), "k": (6, 2, 16), "v": (6, 2, 16)}

# name, the shapes of the inputs, the expression in TensorLogic, the one in PyTorch
OPERATIONS = [
    ("add", PAIR, 'm["a"] + m["b"]', lambda t: t["a"] + t["b"]),
    ("subtract", PAIR, 'm["a"] - m["b"]', lambda t: t["a"] - t["b"]),
    ("multiply", PAIR, 'm["a"] * m["b"]', lambda t: t["a"] * t["b"]),
    ("divide", PAIR, 'm["a"] / m["b"]', lambda t: t["a"] / t["b"]),
    ("broadcast", {"a": (7, 1, 5), "b": (3, 1)}, 'm["a"] * m["b"]',
     lambda t: t["a"] * t["b"]),
    ("scalar", X, 'm["x"] * 3',
     lambda t: t["x"] * 3),
    ("maximum", PAIR, 'maximum(m["a"], m["b"])',
     lambda t: torch.maximum(t["a"], t["b"])),
    ("where", PAIR, 'where(m["a"] > m["b"], m["a"], 0.5)',
     lambda t: torch.where(t["a"] > t["b"], t["a"], torch.tensor(0.5))),
    ("clamp", X, 'clamp(m["x"], -0.5, 0.5)', lambda t: t["x"].clamp(-0.5, 0.5)),
    ("exp", X, 'exp(m["x"])', lambda t: t["x"].exp()),
    ("log", X, 'log(abs(m["x"]))', lambda t: t["x"].abs().log()),
    ("sqrt", X, 'sqrt(abs(m["x"]))', lambda t: t["x"].abs().sqrt()),
    ("rsqrt", X, 'rsqrt(abs(m["x"]))', lambda t: t["x"].abs().rsqrt()),
    ("sin", X, 'sin(m["x"])', lambda t: t["x"].sin()),
    ("cos", X, 'cos(m["x"])', lambda t: t["x"].cos()),
    ("tanh", X, 'tanh(m["x"])', lambda t: t["x"].tanh()),
    ("erf", X, 'erf(m["x"])', lambda t: t["x"].erf()),
    ("relu", X, 'relu(m["x"])', lambda t: t["x"].relu()),
    ("sigmoid", X, 'sigmoid(m["x"])', lambda t: t["x"].sigmoid()),
    ("silu", X, 'silu(m["x"])', lambda t: F.silu(t["x"])),
    ("gelu", X, 'gelu(m["x"])', lambda t: F.gelu(t["x"])),
    ("gelu, tanh", X, 'gelu(m["x"], approx: "tanh")',
     lambda t: F.gelu(t["x"], approximate="tanh")),
    ("softplus", X, 'softplus(m["x"])', lambda t: F.softplus(t["x"])),
    ("sum", X, 'sum(m["x"], dim: 1)', lambda t: t["x"].sum(1)),
    ("mean, keepdim", X, 'mean(m["x"], dim: 0, keepdim: true)',
     lambda t: t["x"].mean(0, keepdim=True)),
    ("max", X, 'max(m["x"], dim: -1)', lambda t: t["x"].amax(-1)),
    ("min", X, 'min(m["x"], dim: 0)', lambda t: t["x"].amin(0)),
    ("prod", {"x": (5, 4)}, 'prod(m["x"], dim: 1)', lambda t: t["x"].prod(1)),
    ("var", X, 'var(m["x"], dim: 1)', lambda t: t["x"].var(1)),
    ("std, correction 0", X, 'std(m["x"], dim: 1, correction: 0)',
     lambda t: t["x"].std(1, unbiased=False)),
    ("norm", X, 'norm(m["x"], dim: 1)', lambda t: t["x"].norm(dim=1)),
    ("cumsum", X, 'cumsum(m["x"], dim: 1)', lambda t: t["x"].cumsum(1)),
    ("topk", X, 'topk(m["x"], 4, -1)[0]', lambda t: t["x"].topk(4, -1).values),
    ("sort", X, 'sort(m["x"])[0]', lambda t: t["x"].sort().values),
    ("x @ w", PRODUCT, 'm["x"] @ m["w"]', lambda t: t["x"] @ t["w"]),
    ("x @ w.T", LINEAR, 'm["x"] @ m["w"].T', lambda t: t["x"] @ t["w"].T),
    ("vector @ matrix", {"x": (64,), "w": (64, 48)}, 'm["x"] @ m["w"]',
     lambda t: t["x"] @ t["w"]),
    ("batched product", BATCHED, 'm["x"] @ m["w"]', lambda t: t["x"] @ t["w"]),
    ("product of one row", {"x": (1, 512), "w": (256, 512)}, 'm["x"] @ m["w"].T',
     lambda t: t["x"] @ t["w"].T),
    ("large product", {"x": (70, 300), "w": (300, 130)}, 'm["x"] @ m["w"]',
     lambda t: t["x"] @ t["w"]),
    ("batches by a matrix", {"x": (2, 5, 64), "w": (64, 48)}, 'm["x"] @ m["w"]',
     lambda t: t["x"] @ t["w"]),
    ("einsum", BATCHED, 'einsum("bij,bjk->bik", m["x"], m["w"])',
     lambda t: torch.einsum("bij,bjk->bik", t["x"], t["w"])),
    ("outer", {"a": (7,), "b": (9,)}, 'outer(m["a"], m["b"])',
     lambda t: torch.outer(t["a"], t["b"])),
    ("linear", LINEAR, 'linear(m["x"], m["w"], m["b"])',
     lambda t: F.linear(t["x"], t["w"], t["b"])),
    ("linear without bias", LINEAR, 'linear(m["x"], m["w"], none)',
     lambda t: F.linear(t["x"], t["w"])),
    ("softmax", X, 'softmax(m["x"])', lambda t: t["x"].softmax(-1)),
    ("log_softmax", X, 'log_softmax(m["x"])', lambda t: t["x"].log_softmax(-1)),
    ("layer_norm", NORM, 'layer_norm(m["x"], [64], m["w"], m["b"], 1e-5)',
     lambda t: F.layer_norm(t["x"], [64], t["w"], t["b"])),
    ("rms_norm", NORM, 'rms_norm(m["x"], m["w"])',
     lambda t: t["x"] * (t["x"].pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
     * t["w"]),
    ("batch_norm", {"x": (6, 5, 7), "w": (5,), "b": (5,), "mean": (5,), "var": (5,)},
     'batch_norm(m["x"], m["mean"], abs(m["var"]), m["w"], m["b"])',
     lambda t: F.batch_norm(t["x"], t["mean"], t["var"].abs(), t["w"], t["b"])),
    ("group_norm", {"x": (3, 6, 5), "w": (6,), "b": (6,)},
     'group_norm(m["x"], 2, m["w"], m["b"])',
     lambda t: F.group_norm(t["x"], 2, t["w"], t["b"])),
    ("embedding", {"table": (50, 16)}, 'embedding(m["table"], [3, 49, 0, 3])',
     lambda t: t["table"][[3, 49, 0, 3]]),
    ("attention", HEADS, 'attention(m["q"], m["k"], m["v"])',
     lambda t: attention(t["q"], t["k"], t["v"])),
    ("causal attention", HEADS, 'attention(m["q"], m["k"], m["v"], causal: true)',
     lambda t: attention(t["q"], t["k"], t["v"], causal=True)),
    ("grouped attention", GROUPED, 'attention(m["q"], m["k"], m["v"])',
     lambda t: attention(t["q"], t["k"], t["v"])),
    ("rope", {"x": (6, 4, 16)}, 'rope(m["x"], 3)',
     lambda t: rope(t["x"], 3, half=False)),
    ("rope, halves", {"x": (6, 4, 16)}, 'rope(m["x"], 3, style: "half")',
     lambda t: rope(t["x"], 3, half=True)),
    ("concat", PAIR, 'concat([m["a"], m["b"]], 1)',
     lambda t: torch.cat([t["a"], t["b"]], 1)),
    ("stack", PAIR, 'stack([m["a"], m["b"]], 1)',
     lambda t: torch.stack([t["a"], t["b"]], 1)),
    ("permute", {"x": (2, 3, 4)}, 'permute(m["x"], [2, 0, 1])',
     lambda t: t["x"].permute(2, 0, 1)),
    ("slice", X, 'm["x"][1:4, ::2]', lambda t: t["x"][1:4, ::2]),
    ("rows by index", X, 'm["x"][[4, 0, 4]]', lambda t: t["x"][[4, 0, 4]]),
    ("tril", {"x": (6, 6)}, 'tril(m["x"])', lambda t: t["x"].tril()),
    ("pad", X, 'pad(m["x"], [1, 2])', lambda t: F.pad(t["x"], [1, 2])),
    ("flip", X, 'flip(m["x"], [0])', lambda t: t["x"].flip([0])),
    ("repeat", X, 'repeat(m["x"], [2, 1])', lambda t: t["x"].repeat(2, 1)),
    ("cross_entropy", {"x": (4, 9)}, 'cross_entropy(m["x"], [1, 8, 0, 3])',
     lambda t: F.cross_entropy(t["x"], torch.tensor([1, 8, 0, 3]))),
    ("mse_loss", PAIR, 'mse_loss(m["a"], m["b"])',
     lambda t: F.mse_loss(t["a"], t["b"])),
]


class Operations(unittest.TestCase):
    def test_float16(self):
        for name, shapes, code, reference in OPERATIONS:
            with self.subTest(name):
                inputs = rounded(seeded(**shapes))
                got = compute(f'out["y"] = {code}', inputs)["y"]
                self.assertLessEqual(float16_ulps(got, reference(inputs)), 2)

    def test_float32(self):
        for name, shapes, code, reference in OPERATIONS:
            with self.subTest(name):
                inputs = seeded(**shapes)
                got = compute(f'out["y"] = {code}', inputs, "float32")["y"]
                self.assertEqual(got.dtype, torch.float32)
                self.assertLessEqual(relative_error(got, reference(inputs)), 2e-5)


MLP = '''
function mlp(x: Tensor, m: Model) -> Tensor {
    let h = relu(linear(x, m.net[0].weight, m.net[0].bias))
    h = gelu(linear(h, m.net[2].weight, m.net[2].bias))
    return softmax(linear(h, m.net[4].weight, m.net[4].bias))
}
out["y"] = mlp(m["x"], m)
'''

ENCODER = '''
function attend(x: Tensor, m: Model) -> Tensor {
    let qkv = split(linear(x, m.self_attn.in_proj_weight, m.self_attn.in_proj_bias), 64, -1)
    let a = attention(qkv[0].heads(4), qkv[1].heads(4), qkv[2].heads(4))
    return linear(a.join_heads(), m.self_attn.out_proj.weight, m.self_attn.out_proj.bias)
}
function feed(x: Tensor, m: Model) -> Tensor {
    return linear(gelu(linear(x, m.linear1.weight, m.linear1.bias)), m.linear2.weight, m.linear2.bias)
}
function norm1(x: Tensor, m: Model) -> Tensor { return layer_norm(x, [64], m.norm1.weight, m.norm1.bias, 1e-5) }
function norm2(x: Tensor, m: Model) -> Tensor { return layer_norm(x, [64], m.norm2.weight, m.norm2.bias, 1e-5) }
let x = m["x"]
'''
NORM_FIRST = ENCODER + '''
x = x + attend(norm1(x, m), m)
out["y"] = x + feed(norm2(x, m), m)
'''
NORM_LAST = ENCODER + '''
x = norm1(x + attend(x, m), m)
out["y"] = norm2(x + feed(x, m), m)
'''

LLAMA = '''
function block(x: Tensor, m: Model) -> Tensor {
    let h = rms_norm(x, m.attn_norm.weight, 1e-5)
    let q = rope(linear(h, m.wq.weight).heads(4), 0, style: "half")
    let k = rope(linear(h, m.wk.weight).heads(2), 0, style: "half")
    let v = linear(h, m.wv.weight).heads(2)
    x = x + linear(attention(q, k, v, causal: true).join_heads(), m.wo.weight)
    let g = rms_norm(x, m.ffn_norm.weight, 1e-5)
    return x + linear(silu(linear(g, m.gate.weight)) * linear(g, m.up.weight), m.down.weight)
}
out["y"] = block(m["x"], m)
'''


class RmsNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(size))

    def forward(self, x):
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt() * self.weight


class LlamaBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn_norm, self.ffn_norm = RmsNorm(64), RmsNorm(64)
        self.wq, self.wo = (nn.Linear(64, 64, bias=False) for _ in range(2))
        self.wk, self.wv = (nn.Linear(64, 32, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(64, 96, bias=False) for _ in range(2))
        self.down = nn.Linear(96, 64, bias=False)

    def forward(self, x):
        h = self.attn_norm(x)
        q, k, v = (w(h).unflatten(-1, (-1, 16)) for w in (self.wq, self.wk, self.wv))
        a = attention(rope(q, 0, True), rope(k, 0, True), v, causal=True)
        x = x + self.wo(a.flatten(-2))
        g = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(g)) * self.up(g))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64),
                                 nn.GELU(), nn.Linear(64, 10), nn.Softmax(-1))

    def forward(self, x):
        return self.net(x)


def encoder(norm_first):
    layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", dropout=0.0,
                                       batch_first=True, norm_first=norm_first)
    for parameter in layer.parameters():
        # Biases start at zero and norms at one, which would hide a lost one.
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return layer


BLOCKS = [
    ("MLP", MLP, Mlp, (9, 20)),
    ("transformer, norm first", NORM_FIRST, lambda: encoder(True), (2, 11, 64)),
    ("transformer, norm last", NORM_LAST, lambda: encoder(False), (2, 11, 64)),
    ("Llama block", LLAMA, LlamaBlock, (11, 64)),
]


class Blocks(unittest.TestCase):
    def check(self, dtype, bound):
        for name, code, make, shape in BLOCKS:
            with self.subTest(name):
                torch.manual_seed(1)
                module = make().train(False)
                inputs = {"x": torch.randn(*shape), **dict(module.named_parameters())}
                if dtype == "float16":
                    inputs = rounded(inputs)
                    module.load_state_dict(
                        {n: t for n, t in inputs.items() if n != "x"})
                with torch.no_grad():
                    reference = module(inputs["x"])
                got = compute(code, inputs, dtype)["y"]
                self.assertLessEqual(relative_error(got, reference), bound)

    def test_float16(self):
        self.check("float16", 1e-2)

    def test_float32(self):
        self.check("float32", 2e-5)


if __name__ == "__main__":
    report.main()
