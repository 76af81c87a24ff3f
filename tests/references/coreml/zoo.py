"""Small PyTorch modules, what they are converted with, and inputs that are the same
on every machine. generate.py makes CoreML models of them; the rows are at the end."""

import zlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def drawn(name, shape):
    """Uniform in [-2, 2], in whole 1024ths: exact in float16. Each name is its own
    seed, so that a new model changes no other."""
    numbers = np.random.RandomState(zlib.crc32(name.encode())).randint(
        -2048, 2049, tuple(shape))
    return torch.tensor(numbers).float() / 1024


def codes(name, shape, low, high):
    """Whole numbers from low to high, both there in every row."""
    numbers = np.random.RandomState(zlib.crc32(name.encode())).randint(
        low, high + 1, tuple(shape))
    rows = numbers.reshape(shape[0], -1)
    rows[:, 0], rows[:, 1] = low, high
    return torch.tensor(numbers).float()


def with_weights(name, module):
    """Drawn weights of moderate size; none is 0 or 1, which would hide a lost one.
    Variances are positive."""
    tensors = dict(module.named_parameters()) | {
        key: buffer for key, buffer in module.named_buffers()
        if buffer.is_floating_point() and "running" in key}
    for key, tensor in tensors.items():
        small = drawn(f"{name}.{key}", tensor.shape) / 8
        around_1 = tensor.dim() == 1 and key.endswith(("weight", "running_var"))
        tensor.data = (small + 1 if around_1 else small).half().float()
    return module.eval()


class Lambda(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def mlp():
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(),
                         nn.Linear(16, 5), nn.Softmax(dim=-1))


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(12 * 3 * 3, 6))


def padding():
    def run(m, x):
        a = m.same(x) + m.valid(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        b = m.valid(F.pad(x, (1, 1, 1, 1), mode="replicate"))
        c = m.valid(F.pad(x, (2, 0, 0, 2), value=0.5))
        d = m.uneven(x)[:, :, :9, :11]
        return a, b, c, d
    return Lambda(run, same=nn.Conv2d(3, 4, 3, padding="same"),
                  valid=nn.Conv2d(3, 4, 3),
                  uneven=nn.Conv2d(3, 4, (3, 5), stride=(2, 1), padding=(2, 1)))


def depthwise():
    """An inverted residual block, as MobileNetV2 has them."""
    def run(m, x):
        return x + m.project(m.depth(m.expand(x)))
    return Lambda(
        run,
        expand=nn.Sequential(nn.Conv2d(6, 12, 1, bias=False), nn.BatchNorm2d(12),
                             nn.ReLU6()),
        depth=nn.Sequential(nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
                            nn.BatchNorm2d(12), nn.ReLU6()),
        project=nn.Sequential(nn.Conv2d(12, 6, 1, bias=False), nn.BatchNorm2d(6)))


def residual():
    """The stem and a block of ResNet, then its head."""
    def run(m, x):
        x = m.stem(x)
        x = F.relu(m.block(x) + m.shortcut(x))
        return m.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
    return Lambda(
        run,
        stem=nn.Sequential(nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False),
                           nn.BatchNorm2d(8), nn.ReLU(),
                           nn.MaxPool2d(3, stride=2, padding=1)),
        block=nn.Sequential(nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False),
                            nn.BatchNorm2d(12), nn.ReLU(),
                            nn.Conv2d(12, 12, 3, padding=1, bias=False),
                            nn.BatchNorm2d(12)),
        shortcut=nn.Sequential(nn.Conv2d(8, 12, 1, stride=2, bias=False),
                               nn.BatchNorm2d(12)),
        head=nn.Linear(12, 7))


def convolutions():
    """1d, 2d grouped and dilated, transposed."""
    def run(m, x, s):
        return (m.one(s), m.dilated(x), m.grouped(x), m.up(x), m.up1(s),
                m.depth_up(x))
    return Lambda(
        run, one=nn.Conv1d(4, 6, 5, stride=2, padding=2),
        dilated=nn.Conv2d(4, 6, 3, dilation=2, padding=2),
        grouped=nn.Conv2d(4, 8, 3, groups=2),
        up=nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, output_padding=1),
        up1=nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1),
        depth_up=nn.ConvTranspose2d(4, 4, 2, stride=2, groups=4))


def pooling():
    def run(m, x, s):
        return (F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 2, ceil_mode=True),
                F.avg_pool2d(x, 3, 2, 1),
                F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
                F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1),
                F.max_pool1d(s, 3, 2), F.avg_pool1d(s, 4))
    return Lambda(run)


def recurrent(kind, **options):
    def run(m, x):
        output, state = m.rnn(x)
        state = state if isinstance(state, tuple) else (state,)
        return (output, *state)
    return Lambda(run, rnn=kind(6, 8, batch_first=True, **options))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, mask=None):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, self.heads, -1).permute(
            2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(x.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(),
                                 nn.Linear(2 * width, width))

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


def bert():
    def run(m, ids, mask):
        x = m.words(ids) + m.places(torch.arange(ids.shape[1]))
        bias = (1.0 - mask.float())[:, None, None, :] * -10000.0
        for block in m.blocks:
            x = block(x, bias)
        return m.norm(x), torch.tanh(m.pooler(x[:, 0]))
    return Lambda(run, words=nn.Embedding(31, 16), places=nn.Embedding(9, 16),
                  blocks=nn.ModuleList([Block(16, 4), Block(16, 4)]),
                  norm=nn.LayerNorm(16), pooler=nn.Linear(16, 16))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.first = nn.Parameter(torch.zeros(1, 1, 16))
        self.places = nn.Parameter(torch.zeros(1, 10, 16))
        self.block = Block(16, 2)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], dim=1)
        return self.head(self.block(x + self.places)[:, 0])


def unet():
    def run(m, x):
        one = F.relu(m.down1(x))
        two = F.relu(m.down2(F.max_pool2d(one, 2)))
        three = F.relu(m.down3(F.max_pool2d(two, 2)))
        up = F.interpolate(three, scale_factor=2, mode="bilinear",
                           align_corners=False)
        two = F.relu(m.up2(torch.cat([up, two], 1)))
        up = F.interpolate(two, scale_factor=2, mode="nearest")
        one = F.relu(m.up1(torch.cat([up, one], 1)))
        big = F.interpolate(one, size=(24, 20), mode="bilinear",
                            align_corners=True)
        return torch.sigmoid(m.last(one)), big
    return Lambda(run, down1=nn.Conv2d(2, 4, 3, padding=1),
                  down2=nn.Conv2d(4, 6, 3, padding=1),
                  down3=nn.Conv2d(6, 8, 3, padding=1),
                  up2=nn.Conv2d(14, 6, 3, padding=1),
                  up1=nn.Conv2d(10, 4, 3, padding=1), last=nn.Conv2d(4, 1, 1))


def activations():
    def run(m, x):
        return (F.elu(x), F.leaky_relu(x, 0.1), F.hardswish(x), F.hardsigmoid(x),
                F.silu(x), F.softplus(x), F.gelu(x), F.gelu(x, approximate="tanh"),
                m.prelu(x), F.softsign(x), torch.erf(x), F.log_softmax(x, dim=1),
                torch.clamp(x, -0.5, 1), F.mish(x))
    return Lambda(run, prelu=nn.PReLU(4))


def norms():
    def run(m, x):
        return m.batch(x), m.instance(x), m.group(x), m.layer(x), F.normalize(x)
    return Lambda(run, batch=nn.BatchNorm2d(6),
                  instance=nn.InstanceNorm2d(6, affine=True),
                  group=nn.GroupNorm(3, 6), layer=nn.LayerNorm((5, 7)))


def layout():
    def run(m, x, ids):
        a, b, c = torch.split(x, [1, 2, 3], dim=1)
        return (x[:, 1:5:2, ::2], torch.cat([b, c], 1), torch.stack([x, x + 1], 2),
                x.index_select(1, ids), torch.gather(x, 2, x.argsort(-1)[:, :, :3]),
                x.permute(2, 0, 1), torch.where(x > 0, x, x * 0.5),
                torch.cumsum(x, 2), x.unsqueeze(1).expand(2, 3, 6, 7), a.squeeze(1),
                torch.flip(x, [2]), x.reshape(2, 3, 14), torch.tril(x[0]),
                x.repeat(1, 2, 1), F.pixel_shuffle(x.reshape(2, 6, 7, 1)[:, :4], 2))
    return Lambda(run)


def reductions():
    def run(m, x):
        top, where = torch.topk(x, 3, dim=2)
        return (x.sum(1), x.mean((1, 2)), x.amax(2), x.amin(1, keepdim=True),
                x.argmax(1), top, where, x.std(2), x.var(2, unbiased=False),
                torch.logsumexp(x, 1), torch.norm(x, dim=2))
    return Lambda(run)


def arithmetic():
    def run(m, x, y):
        positive = x.abs() + 0.5
        return (x + y, x - y, x * y, x / positive, positive ** 1.5,
                torch.sqrt(positive), torch.rsqrt(positive), torch.log(positive),
                torch.exp(x), torch.sin(x), torch.cos(y), torch.floor(x * 3),
                torch.ceil(y * 3), torch.round(x * 3), torch.sign(x),
                torch.maximum(x, y), torch.minimum(x, y), torch.reciprocal(positive),
                x @ y.transpose(1, 2), torch.einsum("bij,bkj->bik", x, y),
                (x > y).float(), torch.tan(x / 2), torch.atan(x),
                x // positive, torch.remainder(x, positive))
    return Lambda(run)


class Loop(nn.Module):
    """Loops and branches that depend on the input."""

    def __init__(self):
        super().__init__()
        self.step = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        i = torch.zeros([1], dtype=torch.int32)
        while bool(i < count):
            x = torch.tanh(self.step(x))
            i = i + 1
        if bool(x.sum() > 0):
            x = x * 2
        else:
            x = x - 1
        return x


class Exact(nn.Module):
    """Weights that compression does not change: `of` gives those of a layer."""

    def __init__(self, of):
        super().__init__()
        self.conv = nn.Conv2d(4, 32, 3, padding=1)
        self.linear = nn.Linear(32, 32)
        self.of = of

    def forward(self, x):
        return self.linear(F.relu(self.conv(x)).mean((2, 3)))


def exact(of):
    module = with_weights("exact", Exact(of))
    for name, layer in [("conv", module.conv), ("linear", module.linear)]:
        layer.weight.data = of(f"exact.{name}", layer.weight.shape)
        layer.bias.data = of(f"exact.{name}.bias", (1, 32))[0]
    return module


def table16(name, shape):
    """16 values in even steps, the same in every row."""
    return (codes(name, shape, 0, 15) * 2 - 15) / 64


def int8(name, shape):
    return codes(name, shape, -127, 127) / 1024


def int4(name, shape):
    """Every 32 columns, and every row, reach -7 and 7 sixteenths."""
    numbers = codes(name, shape, -7, 7).reshape(shape[0], -1)
    numbers[:, 0::32], numbers[:, 1::32] = -7, 7
    return numbers.reshape(shape) / 16


def sparse(of):
    """Every other number is 0."""
    def make(name, shape):
        numbers = of(name, shape).reshape(-1)
        numbers[0::2] = 0
        return numbers.reshape(shape)
    return make


def floats(name, shape):
    return drawn(name, shape) / 8


IMAGE = (1, 3, 14, 14)
PLANES, SIGNAL = (1, 4, 9, 10), (1, 4, 17)
TOKENS = (2, 6, 7)
# name: module, shapes of the inputs. A shape that is a list holds whole numbers
# from 0 to below its last item.
MODULES = {
    "mlp": (mlp, {"x": (3, 12)}),
    "cnn": (cnn, {"x": IMAGE}),
    "classifier": (lambda: nn.Sequential(cnn(), nn.Softmax(dim=1)),
                   {"image": [*IMAGE, 256]}),
    "padding": (padding, {"x": (1, 3, 9, 11)}),
    "depthwise": (depthwise, {"x": (1, 6, 8, 9)}),
    "residual": (residual, {"x": (1, 3, 33, 31)}),
    "convolutions": (convolutions, {"x": PLANES, "s": SIGNAL}),
    "pooling": (pooling, {"x": PLANES, "s": SIGNAL}),
    "gru": (lambda: recurrent(nn.GRU), {"x": (2, 5, 6)}),
    "lstm": (lambda: recurrent(nn.LSTM), {"x": (2, 5, 6)}),
    "lstm2": (lambda: recurrent(nn.LSTM, num_layers=2, bidirectional=True),
              {"x": (2, 5, 6)}),
    "rnn": (lambda: recurrent(nn.RNN), {"x": (2, 5, 6)}),
    "attention": (lambda: Attention(16, 4), {"x": (2, 7, 16)}),
    "bert": (bert, {"ids": [2, 9, 31], "mask": [2, 9, 2]}),
    "vit": (Vit, {"x": (1, 3, 12, 12)}),
    "unet": (unet, {"x": (1, 2, 16, 12)}),
    "activations": (activations, {"x": (2, 4, 3, 5)}),
    "norms": (norms, {"x": (2, 6, 5, 7)}),
    "layout": (layout, {"x": TOKENS, "ids": [2, 6]}),
    "reductions": (reductions, {"x": TOKENS}),
    "arithmetic": (arithmetic, {"x": TOKENS, "y": TOKENS}),
    "loop": (Loop, {"x": (2, 4), "count": [1, 4]}),
    "table16": (lambda: exact(table16), {"x": PLANES}),
    "int8": (lambda: exact(int8), {"x": PLANES}),
    "int4": (lambda: exact(int4), {"x": PLANES}),
    "sparse": (lambda: exact(sparse(floats)), {"x": PLANES}),
    "sparse_table": (lambda: exact(sparse(table16)), {"x": PLANES}),
    "sparse_int8": (lambda: exact(sparse(int8)), {"x": PLANES}),
}
