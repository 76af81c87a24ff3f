#!/usr/bin/env python3
"""Random programs compute what the same steps give in PyTorch.

Single operations are layers_test.py's subject; here it is what they do to each
other: views of views, assignments to what others share, fusion, buffers used again.
Program number N is always the same one, so a failure can be repeated.
"""

import itertools
import operator
import random
import unittest

import torch

from compute import compute
import report

PROGRAMS = 300
# Values outside are forgotten: they would take long, or lose digits.
MOST_ELEMENTS = 3000
LARGEST = 1e5
# Of float32, relative to the largest element.
TOLERANCE = 1e-5

ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Unfit(Exception):
    """A step that has no meaning for the values it drew."""


class Draft:
    """A program being written, and what its variables hold so far."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.inputs = {}
        self.values = {}
        self._names = (f"v{n}" for n in itertools.count())

    def input(self, tensor):
        name = next(self._names)
        self.inputs[name] = tensor
        self.values[name] = tensor.clone()
        self.lines.append(f'let {name} = m["{name}"]')

    def let(self, tensor, code):
        """Another variable; the results of PyTorch must not share memory."""
        if tensor.dim() == 0:
            raise Unfit
        name = next(self._names)
        self.values[name] = tensor.clone()
        self.lines.append(f"let {name} = {code}")

    def variable(self):
        name = self.random.choice(list(self.values))
        return name, self.values[name]

    def axis(self, x):
        return self.random.randrange(x.dim())

    def forget_extremes(self):
        for name, x in list(self.values.items()):
            if x.numel() > MOST_ELEMENTS or x.abs().max() > LARGEST:
                del self.values[name]

    def text(self):
        saved = [f'out["{name}"] = {name}' for name in self.values]
        return "\n".join(self.lines + saved)


def index_text(index):
    return ", ".join(":" if item == slice(None) else str(item) for item in index)


def one_of_an_axis(draft, x):
    """An index such as [:, 2, :]."""
    index = [slice(None)] * x.dim()
    axis = draft.axis(x)
    index[axis] = draft.random.randrange(x.shape[axis])
    return tuple(index)


def some_place(draft, x):
    """Any mixture of whole axes and single elements."""
    if draft.random.random() < 0.7:
        return one_of_an_axis(draft, x)
    return tuple(draft.random.choice([slice(None), draft.random.randrange(size)])
                 for size in x.shape)


# --- Steps: each adds a statement to a draft, or is Unfit ---

def arithmetic(draft):
    (a, x), (b, y) = draft.variable(), draft.variable()
    sign = draft.random.choice(list(ARITHMETIC))
    draft.let(ARITHMETIC[sign](x, y), f"{a} {sign} {b}")


def cut(draft):
    a, x = draft.variable()
    axis = draft.axis(x)
    begin = draft.random.randrange(x.shape[axis])
    end = draft.random.randint(begin + 1, x.shape[axis])
    step = draft.random.choice([1, 1, 2])
    text, index = [":"] * x.dim(), [slice(None)] * x.dim()
    text[axis] = f"{begin}:{end}:{step}"
    index[axis] = slice(begin, end, step)
    draft.let(x[tuple(index)], f"{a}[{', '.join(text)}]")


def transpose(draft):
    a, x = draft.variable()
    if x.dim() < 2:
        raise Unfit
    draft.let(x.transpose(-1, -2), f"{a}.transpose()")


def permute(draft):
    a, x = draft.variable()
    axes = list(range(x.dim()))
    draft.random.shuffle(axes)
    draft.let(x.permute(axes), f"{a}.permute({axes})")


def flatten(draft):
    a, x = draft.variable()
    draft.let(x.reshape(-1), f"{a}.reshape([-1])")


def unsqueeze(draft):
    a, x = draft.variable()
    if x.dim() > 3:
        raise Unfit
    axis = draft.random.randint(0, x.dim())
    draft.let(x.unsqueeze(axis), f"{a}.unsqueeze({axis})")


def flip(draft):
    a, x = draft.variable()
    axis = draft.axis(x)
    draft.let(x.flip(axis), f"flip({a}, {axis})")


def reduce(draft):
    a, x = draft.variable()
    name, function = draft.random.choice(
        [("sum", torch.sum), ("max", torch.amax), ("min", torch.amin)])
    axis, keep = draft.axis(x), draft.random.random() < 0.5
    draft.let(function(x, dim=axis, keepdim=keep),
              f"{a}.{name}(dim: {axis}, keepdim: {str(keep).lower()})")


def unary(draft):
    a, x = draft.variable()
    code, function = draft.random.choice(
        [("relu({})", torch.relu), ("abs({})", torch.abs), ("-{}", torch.neg)])
    draft.let(function(x), code.format(a))


def cumsum(draft):
    a, x = draft.variable()
    axis = draft.axis(x)
    draft.let(x.cumsum(axis), f"cumsum({a}, {axis})")


def where(draft):
    a, x = draft.variable()
    draft.let(torch.where(x > 0, x, torch.tensor(0.5)), f"where({a} > 0, {a}, 0.5)")


def product(draft):
    (a, x), (b, y) = draft.variable(), draft.variable()
    if x.dim() < 2:
        raise Unfit
    if y.dim() >= 2 and y.shape[-2] == x.shape[-1]:
        draft.let(x @ y, f"{a} @ {b}")
    else:
        draft.let(x @ x.transpose(-1, -2), f"{a} @ {a}.transpose()")


def concat(draft):
    (a, x), (b, y) = draft.variable(), draft.variable()
    axis = draft.axis(x)
    draft.let(torch.cat([x, y], axis), f"concat({a}, {b}, {axis})")


def select(draft):
    a, x = draft.variable()
    axis, count = draft.axis(x), draft.random.randint(1, 4)
    index = [draft.random.randrange(x.shape[axis]) for _ in range(count)]
    draft.let(x.index_select(axis, torch.tensor(index)),
              f"index_select({a}, {axis}, {index})")


def select_pairs(draft):
    a, x = draft.variable()
    if x.dim() < 2:
        raise Unfit
    count = draft.random.randint(1, 4)
    index = [slice(None)] * x.dim()
    for axis in draft.random.sample(range(x.dim()), 2):
        size = x.shape[axis]
        index[axis] = [draft.random.randrange(-size, size) for _ in range(count)]
    draft.let(x[tuple(index)], f"{a}[{index_text(index)}]")


def assign(draft):
    (a, x), (b, y) = draft.variable(), draft.variable()
    place, changed = some_place(draft, x), x.clone()
    if draft.random.random() < 0.3:
        b = f"{draft.random.randint(-9, 9)}.0"
        y = torch.tensor(float(b))
    if y.dim() > x[place].dim():
        raise Unfit
    changed[place] = y
    draft.values[a] = changed
    draft.lines.append(f"{a}[{index_text(place)}] = {b}")


def assign_from_itself(draft):
    a, x = draft.variable()
    to, source = some_place(draft, x), one_of_an_axis(draft, x)
    if x[source].dim() > x[to].dim():
        raise Unfit
    changed = x.clone()
    changed[to] = x[source] + 1
    draft.values[a] = changed
    draft.lines.append(f"{a}[{index_text(to)}] = {a}[{index_text(source)}] + 1")


def hold_or_let_go(draft):
    """Who else holds a value decides whether it may be changed in place."""
    a, x = draft.variable()
    way = draft.random.choice(["read", "let go", "share"])
    if way == "read":
        draft.lines.append(f"let sum_of_{a} = sum({a}) as float")
    elif way == "share":
        draft.let(x, a)
    elif len(draft.values) > 4:
        del draft.values[a]
        draft.lines.append(f"{a} = none")


STEPS = [arithmetic] * 3 + [assign] * 3 + [
    assign_from_itself, concat, cumsum, cut, flatten, flip, hold_or_let_go, permute,
    product, reduce, select, select_pairs, transpose, unary, unsqueeze, where]


def draft_program(seed):
    draft = Draft(seed)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(3):
        shape = [draft.random.randint(1, 5) for _ in range(draft.random.randint(1, 3))]
        draft.input(torch.randint(-8, 9, shape, generator=generator).float() / 4)
    for _ in range(draft.random.randint(5, 40)):
        try:
            draft.random.choice(STEPS)(draft)
        except (Unfit, RuntimeError, IndexError):  # PyTorch's word for unfit shapes
            continue
        draft.forget_extremes()
        if not draft.values:
            break
    return draft


def difference(got, expected):
    """How two results differ, or nothing."""
    if got.shape != expected.shape:
        return f"has shape {list(got.shape)}, not {list(expected.shape)}"
    scale = max(1.0, float(expected.abs().max()))
    if (got - expected).abs().max() <= TOLERANCE * scale:
        return ""
    return f"is\n{got}\nnot\n{expected}"


class RandomPrograms(unittest.TestCase):
    def check(self, seed):
        draft = draft_program(seed)
        program = draft.text()
        try:
            results = compute(program, draft.inputs, "float32")
        except AssertionError as error:
            self.fail(f"{error}\n{program}")
        for name, expected in draft.values.items():
            why = difference(results[name], expected)
            if why:
                self.fail(f"{name} {why}\n{program}")

    def test_programs(self):
        for seed in range(PROGRAMS):
            with self.subTest(seed=seed):
                self.check(seed)


if __name__ == "__main__":
    report.main()
