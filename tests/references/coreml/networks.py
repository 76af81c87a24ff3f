"""Networks of layers that no converter of PyTorch makes any more, laid by hand, with
what NumPy and PyTorch make of them in float64. generate.py writes them and those of
networks_nd.py; MODELS at the end has them by name: the network, what it is asked and
the answers."""

from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
import numpy as np
import torch
from torch.nn import functional as F

import zoo


def drawn(name, *shape):
    return zoo.drawn(name, shape).double().numpy()


def t(x):
    return torch.tensor(np.ascontiguousarray(x))


def network(rows, inputs, described=None):
    """rows: a function that lays layers from the inputs to outputs of the names that
    it is given, and the answers, one for each name. `described`: of a network with
    the older mapping, the shapes of its inputs, [C] or [C, H, W]."""
    names, answers = [], {}
    for _, *expected in rows:
        mine = [f"y{len(answers) + i}" for i in range(len(expected))]
        answers |= dict(zip(mine, expected))
        names.append(mine)
    shapes = described or {name: x.shape for name, x in inputs.items()}
    builder = NeuralNetworkBuilder(
        [(name, datatypes.Array(*shape)) for name, shape in shapes.items()],
        [(name, None) for name in answers],
        disable_rank5_shape_mapping=described is None, use_float_arraytype=True)
    for (lay, *_), mine in zip(rows, names):
        lay(builder, *mine)
    return builder.spec, inputs, answers


def nested(network_of_layer):
    return NeuralNetworkBuilder(nn_spec=network_of_layer)


def along(points, x, axis):
    """Linear between the elements of x, at the points of an axis."""
    low = np.clip(np.floor(points).astype(int), 0, x.shape[axis] - 1)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    share = (points - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return (np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share)


def resized(x, height, width, mode):
    """The grids that NeuralNetwork.proto gives for each SamplingMode."""
    for axis, count in [(x.ndim - 2, height), (x.ndim - 1, width)]:
        size = x.shape[axis]
        if mode == "UPSAMPLE_MODE":
            start, end = 0, size - size / count
        elif mode == "ROI_ALIGN_MODE":
            spacing = max(1, size - 1) / count
            start, end = spacing / 2, spacing / 2 + (count - 1) * spacing
        else:
            start, end = 0, size - 1
        x = along(np.minimum(size - 1, np.linspace(start, end, count)), x, axis)
    return x


def cropped(x, boxes, height, width, mode):
    """Of x [C, H, W] boxes [top, left, bottom, right]."""
    def points(start, end, count):
        if mode != "ROI_ALIGN_MODE":
            return np.linspace(start, end, count)
        spacing = max(1, end - start) / count
        return np.minimum(start + spacing * (np.arange(count) + 0.5), end)

    return np.stack([
        along(points(left, right, width), along(points(top, bottom, height), x, 1), 2)
        for top, left, bottom, right in boxes])


def blocks(x, size):
    """[C, H, W] with blocks as the first channels."""
    c, h, w = x.shape
    x = x.reshape(c, h // size, size, w // size, size)
    return x.transpose(2, 4, 0, 1, 3).reshape(c * size * size, h // size, w // size)


def unblocked(x, size):
    c, h, w = x.shape
    x = x.reshape(size, size, c // size**2, h, w)
    return x.transpose(2, 3, 0, 4, 1).reshape(c // size**2, h * size, w * size)


def reductions(x):
    """Each mode of the older layer, over each choice of axes in turn."""
    sum_of_logs = np.log(x + 3)
    cases = [("sum", "CHW", x.sum()), ("avg", "HW", x.mean((1, 2))),
             ("prod", "C", x.prod(0)), ("logsum", "H", sum_of_logs.sum(1)),
             ("sumsquare", "W", (x**2).sum(2)), ("L1", "CHW", np.abs(x).sum()),
             ("L2", "HW", np.sqrt((x**2).sum((1, 2)))), ("max", "C", x.max(0)),
             ("min", "H", x.min(1)), ("argmax", "W", x.argmax(2))]
    return [(lambda b, y, m=mode, a=axis: b.add_reduce(y, "x", y, a, m, epsilon=3),
             np.asarray(answer)) for mode, axis, answer in cases]


def older():
    """Layers from when every tensor was [sequence, batch, C, H, W]."""
    x = drawn("older.x", 8, 4, 6)
    s, u = drawn("older.s", 5, 2, 6), drawn("older.u", 5, 2, 6)
    ids = np.array([3, 0, 6, 2]).reshape(4, 1, 1)
    table, shift = drawn("older.table", 3, 7), drawn("older.shift", 3)
    last = x.transpose(1, 2, 0)

    def crop_like(b, small, y):
        b.add_crop(small, 1, 2, 1, 0, None, ["x"], small)
        b.add_crop(y, 0, 0, 0, 0, [1, 3], ["x", small], y)

    def normal(v, axes, eps):
        return (v - v.mean(axes, keepdims=True)) / np.sqrt(
            v.var(axes, keepdims=True) + eps)

    dots = (s * u).sum(2)
    boxes = np.array([[0.5, 1, 2.5, 4.25], [1, 0.25, 3, 3], [0, 0, 1.5, 5]])
    wide = np.concatenate([np.zeros((3, 1)), 2 * boxes[:, [1, 0, 3, 2]]], 1)
    modes = ["STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE", "UPSAMPLE_MODE",
             "ROI_ALIGN_MODE"]
    edges = dict(left=1, right=2, top=3, bottom=0)
    pads = {"constant": dict(value=0.5, mode="constant"),
            "reflection": dict(mode="reflect"), "replication": dict(mode="replicate")}
    return network([
        (lambda b, y: b.add_permute(y, (0, 3, 1, 2), "x", y), x.transpose(2, 0, 1)),
        (lambda b, y: b.add_permute(y, (1, 0, 2, 3), "s", y), s.transpose(2, 1, 0)),
        (lambda b, y: b.add_reshape(y, "x", y, (4, 6, 8), 0), x.reshape(4, 6, 8)),
        (lambda b, y: b.add_reshape(y, "x", y, (16, 4, 3), 1),
         last.reshape(4, 3, 16).transpose(2, 0, 1)),
        (lambda b, y: b.add_reshape(y, "x", y, (2, 4, 4, 6), 1),
         last.reshape(2, 4, 6, 4).transpose(0, 3, 1, 2)),
        (lambda b, y: b.add_slice(y, "x", y, "channel", 1, 7, 2), x[1:7:2]),
        (lambda b, y: b.add_slice(y, "x", y, "height", 1, -1), x[:, 1:-1]),
        (lambda b, y: b.add_slice(y, "x", y, "width", 2, 6), x[:, :, 2:]),
        (lambda b, *y: b.add_split("split", "x", list(y)), x[:4], x[4:]),
        *[(lambda b, y, k=kind: b.add_padding(y, **edges, value=0.5, input_name="x",
                                              output_name=y, padding_type=k),
           F.pad(t(x)[None], (1, 2, 3, 0), **options).numpy())
          for kind, options in pads.items()],
        (lambda b, y: b.add_sequence_repeat(y, 3, "s", y), np.tile(s, (3, 1, 1))),
        (lambda b, y: b.add_reorganize_data(y, "x", y, "SPACE_TO_DEPTH", 2),
         blocks(x, 2)),
        (lambda b, y: b.add_reorganize_data(y, "x", y, "DEPTH_TO_SPACE", 2),
         unblocked(x, 2)),
        (lambda b, y: b.add_reorganize_data(y, "x", y, "PIXEL_SHUFFLE", 2),
         F.pixel_shuffle(t(x), 2).numpy()),
        (lambda b, y: b.add_embedding(y, table, shift, 7, 3, True, "ids", y),
         table.T[ids.reshape(4)] + shift),
        (lambda b, y: b.add_mvn(y, "x", y, True, True, 0.25),
         normal(x, (0, 1, 2), 0.25)),
        (lambda b, y: b.add_mvn(y, "x", y, False, True, 0), normal(x, (1, 2), 1e-6)),
        (lambda b, y: b.add_mvn(y, "x", y, False, False),
         x - x.mean((1, 2), keepdims=True)),
        (lambda b, y: b.add_l2_normalize(y, "s", y, 0.5),
         s / np.sqrt((s**2).sum(2, keepdims=True) + 0.5)),
        *reductions(x),
        (lambda b, y: b.add_elementwise(y, ["s", "u"], y, "DOT"), dots),
        (lambda b, y: b.add_elementwise(y, ["s", "u"], y, "COS"),
         dots / np.linalg.norm(s, axis=2) / np.linalg.norm(u, axis=2)),
        (crop_like, x[:, 1:, 1:-2], x[:, 1:4, 3:6]),
        *[(lambda b, y, m=mode: b.add_resize_bilinear(y, "x", y, 7, 4, m),
           resized(x, 7, 4, mode)) for mode in modes],
        (lambda b, y: b.add_crop_resize(y, ["x", "boxes"], y, 3, 4),
         cropped(x, boxes, 3, 4, "STRICT_ALIGN_ENDPOINTS_MODE")),
        (lambda b, y: b.add_crop_resize(
            y, ["x", "wide"], y, 2, 3, "ROI_ALIGN_MODE", False,
            "CORNERS_WIDTH_FIRST", 0.5), cropped(x, boxes, 2, 3, "ROI_ALIGN_MODE")),
        (lambda b, y: b.add_lrn(y, "x", y, 0.5, 0.75, 3, 2),
         F.local_response_norm(t(x)[None], 3, 0.5, 0.75, 2).numpy()),
        (lambda b, y: b.add_unary(y, "x", y, "rsqrt", shift=4, scale=1.5),
         1 / np.sqrt(1.5 * x + 4)),
    ], {"x": x, "s": s, "u": u, "ids": ids.astype(np.float32),
        "boxes": boxes[:, None], "wide": wide[:, None]},
        {"x": (8, 4, 6), "s": (6,), "u": (6,), "ids": (1,), "boxes": (4,),
         "wide": (5,)})


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def weights(name, gates, size, hidden):
    """Of the inputs, of the recursion, and the bias: one of each for a gate."""
    return [[drawn(f"{name}.{part}{i}", *shape) / 4 for i in range(gates)]
            for part, shape in [("x", (hidden, size)), ("h", (hidden, hidden)),
                                ("b", (hidden,))]]


def steps(x, state, step, back):
    """Every state in the order of the sequence, and the last one."""
    states = {}
    for i in reversed(range(len(x))) if back else range(len(x)):
        state = states[i] = step(x[i], state)
    return np.stack([states[i] for i in range(len(x))]), state


def gru_step(w, inner, outer):
    (xz, xr, xo), (hz, hr, ho), (bz, br, bo) = w

    def step(x, h):
        update = inner(x @ xz.T + h @ hz.T + bz)
        reset = inner(x @ xr.T + h @ hr.T + br)
        new = outer(x @ xo.T + (h * reset) @ ho.T + bo)
        return (1 - update) * new + update * h
    return step


def lstm_step(w, peep, clip):
    """With 1 added to the forget gate's bias; the state is h and c side by side."""
    x_part, h_part, bias = (dict(zip("ifoz", part)) for part in w)

    def step(x, state):
        h, c = np.split(state, 2, axis=1)
        gate = {k: x @ x_part[k].T + h @ h_part[k].T + bias[k] for k in "ifoz"}
        i = hard_sigmoid(gate["i"] + peep[0] * c)
        f = hard_sigmoid(gate["f"] + 1 + peep[1] * c)
        c = np.clip(c * f + i * np.tanh(gate["z"]), -clip, clip)
        h = np.tanh(c) * hard_sigmoid(gate["o"] + peep[2] * c)
        return np.concatenate([h, c], axis=1)
    return step


def recurrent():
    """GRU, plain and LSTM layers: all steps or the last, forward or back, with a state
    and without."""
    s, h = drawn("recurrent.s", 5, 2, 6), drawn("recurrent.h", 1, 2, 3)
    g, (wx, wh, wb) = weights("gru", 3, 6, 3), weights("plain", 1, 6, 3)
    zero = np.zeros((2, 3))
    long, peep = weights("long", 4, 6, 3), list(drawn("long.peep", 3, 3))

    def lstm(b, *y):
        b.add_unilstm(y[0], long[1], long[0], long[2], 3, 6, ["s"],
                      [y[0], "long_h", y[1]], inner_activation="SIGMOID_HARD",
                      peep=peep, output_all=True, forget_bias=True,
                      cell_clip_threshold=0.5)

    def gru(ins, outs, **options):
        return lambda b, *y: b.add_gru(y[0], g[1], g[0], g[2], 3, 6, ins,
                                       list(y[:outs]), **options)

    def plain(activation, **options):
        return lambda b, y: b.add_simple_rnn(
            y, wh[0], wx[0], wb[0], 3, 6, activation, ["s"], [y], **options)

    def plain_step(f):
        return lambda x, state: f(x @ wx[0].T + state @ wh[0].T + wb[0])

    hard = gru_step(g, hard_sigmoid, np.tanh)
    soft = gru_step(g, sigmoid, lambda x: 1.7159 * np.tanh(2 * x / 3))
    all_long, last_long = steps(s, np.zeros((2, 6)), lstm_step(long, peep, 0.5), False)
    tanh, relu = plain_step(np.tanh), plain_step(lambda x: np.maximum(x, 0))
    return network([
        (gru(["s"], 1), steps(s, zero, hard, False)[1]),
        (gru(["s", "h"], 2, output_all=True, reverse_input=True),
         *steps(s, h[0], hard, True)),
        (gru(["s"], 1, inner_activation="SIGMOID", activation="SCALED_TANH",
             output_all=True), steps(s, zero, soft, False)[0]),
        (plain("TANH"), steps(s, zero, tanh, False)[1]),
        (plain("RELU", output_all=True, reverse_input=True),
         steps(s, zero, relu, True)[0]),
        (lstm, all_long[:, :, :3], last_long[:, 3:]),
    ], {"s": s, "h": h}, {"s": (6,), "h": (3,)})


def control():
    """Loops that count, that wait for a condition and that are left; branches."""
    x = drawn("control.x", 3, 4)
    w = drawn("control.w", 4, 4) / 2
    count = np.array([3.0])

    def constant(b, name, value):
        b.add_load_constant_nd(name, name, np.array([float(value)]), [1])

    def counted(b, y):
        b.add_copy("copy_a", "x", "a")
        body = nested(b.add_loop("counted", input_name="count").loop.bodyNetwork)
        body.add_inner_product("a1", w, None, 4, 4, False, "a", "a1")
        body.add_activation("a2", "TANH", "a1", "a2")
        body.add_copy("a3", "a2", "a")
        b.add_copy(y, "a", y)

    # i = 1; while sum(b) < 40 and at most 20 times { b = b * 1.5 + i; i = i + 1 }
    def conditional(b, *y):
        b.add_unary("b0", "x", "b0", "abs")
        b.add_copy("copy_b", "b0", "b")
        constant(b, "one", 1)
        b.add_copy("copy_i", "one", "i")
        loop = b.add_loop("conditional", condition="go", max_iterations=20).loop
        test = nested(loop.conditionNetwork)
        test.add_reduce_sum("total", "b", "total", reduce_all=True)
        test.add_less_than("go", ["total"], "go", alpha=40)
        body = nested(loop.bodyNetwork)
        body.add_activation("b1", "LINEAR", "b", "b1", params=[1.5, 0])
        body.add_add_broadcastable("b2", ["b1", "i"], "b2")
        body.add_copy("b3", "b2", "b")
        body.add_elementwise("i1", ["i"], "i1", "ADD", alpha=1)
        body.add_copy("i2", "i1", "i")
        b.add_copy(y[0], "b", y[0])
        b.add_copy(y[1], "i", y[1])

    # k = 0; 9 times { k = k + 1; if k == 2 { continue }; if k > 5 { break };
    #                  c = c + k * x }
    def left(b, y):
        constant(b, "zero", 0)
        b.add_copy("copy_k", "zero", "k")
        b.add_copy("copy_c", "x", "c")
        body = nested(b.add_loop("left", max_iterations=9).loop.bodyNetwork)
        body.add_elementwise("k1", ["k"], "k1", "ADD", alpha=1)
        body.add_copy("k2", "k1", "k")
        body.add_equal("is_two", ["k"], "is_two", alpha=2)
        nested(body.add_branch("skip", "is_two").branch.ifBranch).add_loop_continue("on")
        body.add_greater_than("over", ["k"], "over", alpha=5)
        nested(body.add_branch("leave", "over").branch.ifBranch).add_loop_break("off")
        body.add_multiply_broadcastable("kx", ["x", "k"], "kx")
        body.add_add_broadcastable("c1", ["c", "kx"], "c1")
        body.add_copy("c2", "c1", "c")
        b.add_copy(y, "c", y)

    def branches(b, *y):
        b.add_reduce_max("top", "x", "top", reduce_all=True)
        for i, limit in enumerate([-3, 3]):
            b.add_greater_than(f"high{i}", ["top"], f"high{i}", alpha=limit)
            branch = b.add_branch(f"branch{i}", f"high{i}").branch
            nested(branch.ifBranch).add_unary(f"t{i}", "x", f"side{i}", "exp")
            nested(branch.elseBranch).add_unary(f"e{i}", "x", f"side{i}", "abs")
            b.add_copy(y[i], f"side{i}", y[i])

    a, b, i, c = x, np.abs(x), 1, x
    for _ in range(3):
        a = np.tanh(a @ w.T)
    while b.sum() < 40:
        b, i = b * 1.5 + i, i + 1
    for k in [1, 3, 4, 5]:
        c = c + k * x
    return network([
        (counted, a),
        (conditional, b, np.array([float(i)])),
        (left, c),
        (branches, np.exp(x), np.abs(x)),
    ], {"x": x, "count": count})


MODELS = {"older_f32": older, "recurrent_f32": recurrent, "control_f32": control}
