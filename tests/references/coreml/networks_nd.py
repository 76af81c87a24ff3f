"""More networks laid by hand: layers over tensors of any rank. See networks.py."""

import numpy as np
from torch.nn import functional as F

from networks import drawn, network, t


def volumes():
    """Convolution and pooling over depth, height and width; windows."""
    x, s = drawn("volumes.x", 1, 4, 5, 6, 7), drawn("volumes.s", 2, 11, 3)
    w = drawn("volumes.w", 6, 2, 2, 3, 3) / 4
    up = drawn("volumes.up", 3, 4, 2, 2, 3) / 4
    bias = drawn("volumes.b", 6)
    return network([
        (lambda b, y: b.add_convolution3d(
            y, 4, 6, 2, 3, 3, w, bias, True, groups=2, stride_width=2,
            dilation_height=2, padding_mode="custom", padding_front=1,
            padding_bottom=2, padding_left=1, input_name="x", output_name=y),
         F.conv3d(F.pad(t(x), (1, 0, 0, 2, 1, 0)), t(w), t(bias), (1, 1, 2),
                  dilation=(1, 2, 1), groups=2).numpy()),
        (lambda b, y: b.add_convolution3d(
            y, 4, 3, 2, 2, 3, up, None, False, stride_depth=2, stride_height=2,
            stride_width=1, is_deconv=True, padding_mode="valid", input_name="x",
            output_name=y),
         F.conv_transpose3d(t(x), t(up).transpose(0, 1), stride=(2, 2, 1)).numpy()),
        (lambda b, y: b.add_pooling3d(y, "x", y, "MAX", 2, 3, 2, 2, 1, 2),
         F.max_pool3d(t(x), (2, 3, 2), (2, 1, 2)).numpy()),
        (lambda b, y: b.add_pooling3d(
            y, "x", y, "AVERAGE", 3, 3, 3, 1, 1, 1, "same",
            average_pooling_count_excludes_padding=True),
         F.avg_pool3d(t(x), 3, 1, 1, count_include_pad=False).numpy()),
        (lambda b, y: b.add_global_pooling3d(y, "x", y, "MAX"),
         x.max((2, 3, 4), keepdims=True)),
        (lambda b, y: b.add_global_pooling3d(y, "x", y, "AVERAGE"),
         x.mean((2, 3, 4), keepdims=True)),
        (lambda b, y: b.add_sliding_windows(y, "s", y, 1, 4, 3),
         t(s).unfold(1, 4, 3).transpose(2, 3).numpy()),
    ], {"x": x, "s": s})


def indexed():
    """Slices, gathering and scattering, choices by condition."""
    x, v = drawn("indexed.x", 3, 4, 5), drawn("indexed.v", 2, 4, 5)
    u = drawn("indexed.u", 3, 4, 2)
    rows = np.array([2.0, -3])
    deep = np.array([[[3.0, 0], [0, 3], [1, 2], [2, 1]]] * 3)
    points = np.array([[0.0, 1], [2, -1]])
    begin, start = np.array([1.0, 0, -2]), np.array([1.0])
    whole = {"rows": rows.astype(int), "points": points.astype(int)}

    def slice_all(b, y):
        for name, numbers in [("ends", [3, 0, 0]), ("steps", [1, 2, -1]),
                              ("froms", [0, 1, 0]), ("tos", [0, 1, 1]),
                              ("ones", [1, 0, 0])]:
            b.add_load_constant_nd(name, name, np.array(numbers, float), [3])
        b.add_slice_dynamic(
            y, ["x", "begin", "ends", "steps", "froms", "tos", "ones"], y)

    def scattered(axis, index, updates, change=lambda old, new: new):
        y = x.copy()
        place = tuple([slice(None)] * axis) + (index,)
        y[place] = change(y[place], updates)
        return y

    gathered = np.take_along_axis(x, deep.astype(int), 2)
    written = x.copy()
    np.put_along_axis(written, deep.astype(int), u, 2)
    at = (whole["points"][:, 0], whole["points"][:, 1])
    by_point = x.copy()
    by_point[at] -= u[0, :2, :1] @ np.ones((1, 5))
    small = np.round(x[0])
    hot = np.where(np.arange(4) == whole["rows"][:, None], 2.5, -1)
    turned = x.copy()
    turned[0, :3], turned[2] = x[0, 2::-1], x[2, ::-1]
    # The second box lies on the first, the third apart from them.
    boxes = np.array([[[2.0, 2, 2, 2], [2.25, 2, 2, 2], [6, 6, 1, 1], [9, 9, 1, 1]]])
    scores = np.array([[[0.25, 0.5], [0.75, 0.25], [0.5, 0], [0.125, 0]]])
    best = [1, 2]
    empty = np.zeros((1, 1, 4))
    return network([
        (lambda b, y: b.add_reverse_sequence(y, ["x", "lengths"], y, 0, 1), turned),
        (lambda b, *y: b.add_nms(y[0], ["boxes", "scores"], list(y), 0.5, 0.25, 3),
         np.concatenate([boxes[:, best], empty], 1),
         np.concatenate([scores[:, best], empty[:, :, :2]], 1),
         np.array([[1, 2, -1]]), np.array([2])),
        (lambda b, y: b.add_slice_static(
            y, "x", y, [0, -3, 4], [2, 0, 0], [1, 2, -2], [0, 0, 0], [0, 1, 1],
            [0, 0, 0]), x[0:2, -3::2, 4::-2]),
        (lambda b, y: b.add_slice_dynamic(
            y, ["x", "begin"], y, [3, 0, 9], [1, 3, 1], [0, 0, 0], [0, 1, 0],
            [0, 0, 0]), x[1:3, 0::3, -2:9]),
        (slice_all, x[1, ::2, 3::-1]),
        (lambda b, y: b.add_slice_by_size(y, ["x", "start"], y, 1, 2), x[:, 1:3]),
        (lambda b, y: b.add_gather(y, ["x", "rows"], y, 1), x[:, whole["rows"]]),
        (lambda b, y: b.add_gather_along_axis(y, ["x", "deep"], y, -1), gathered),
        (lambda b, y: b.add_gather_nd(y, ["x", "points"], y), x[at]),
        (lambda b, y: b.add_scatter(y, ["x", "rows", "v"], y, 0),
         scattered(0, [2, 0], v)),
        (lambda b, y: b.add_scatter(y, ["x", "rows", "u2"], y, 1, "MUL"),
         scattered(1, [2, 1], u.transpose(0, 2, 1)[:, :, [0, 1, 2, 3, 0]],
                   np.multiply)),
        (lambda b, y: b.add_scatter_along_axis(y, ["x", "deep", "u"], y, 2), written),
        (lambda b, y: b.add_scatter_nd(y, ["x", "points", "u3"], y, "SUB"), by_point),
        (lambda b, y: b.add_one_hot(y, ["rows"], y, 4, -1, 2.5, -1.0), hot),
        (lambda b, y: (b.add_round("small", "plane", "small"),
                       b.add_where_nonzero(y, "small", y)), np.argwhere(small)),
        (lambda b, y: (b.add_greater_than("wide", ["x", "plane"], "wide"),
                       b.add_where_broadcastable(y, ["wide", "x", "plane"], y)),
         np.maximum(x, x[0])),
        (lambda b, y: b.add_matrix_band_part(y, "x", y, 1, 2),
         np.triu(np.tril(x, 2), -1)),
        (lambda b, y: b.add_lower_triangular(y, "x", y, -1), np.tril(x, -1)),
        (lambda b, y: b.add_upper_triangular(y, "x", y, 1), np.triu(x, 1)),
    ], {"x": x, "v": v, "u": u, "plane": x[0], "rows": rows, "deep": deep,
        "points": points, "begin": begin, "start": start,
        "u2": u.transpose(0, 2, 1)[:, :, [0, 1, 2, 3, 0]],
        "lengths": np.array([3.0, 0, 4]), "boxes": boxes, "scores": scores,
        "u3": u[0, :2, :1] @ np.ones((1, 5))})


def reduced():
    """Reductions and order along any axes, as later networks have them."""
    x = drawn("reduced.x", 3, 4, 5)
    above = np.abs(drawn("reduced.above", 3, 4, 5)) + 0.5
    exp = np.exp(x)
    kept = dict(axes=[-1], keepdims=True)
    order = np.argsort(x, 1)
    return network([
        (lambda b, y: b.add_reduce_sum(y, "x", y, [0, 2], False), x.sum((0, 2))),
        (lambda b, y: b.add_reduce_prod(y, "x", y, **kept), x.prod(2, keepdims=True)),
        (lambda b, y: b.add_reduce_mean(y, "x", y, reduce_all=True), x.mean()),
        (lambda b, y: b.add_reduce_max(y, "x", y, **kept), x.max(2, keepdims=True)),
        (lambda b, y: b.add_reduce_min(y, "x", y, [0], False), x.min(0)),
        (lambda b, y: b.add_reduce_l2(y, "x", y, [1], False), np.sqrt((x**2).sum(1))),
        (lambda b, y: b.add_reduce_l1(y, "x", y, [1], False), np.abs(x).sum(1)),
        (lambda b, y: b.add_reduce_sumsquare(y, "x", y, [1], False), (x**2).sum(1)),
        (lambda b, y: b.add_reduce_logsum(y, "above", y, [2], False),
         np.log(above.sum(2))),
        (lambda b, y: b.add_reduce_logsumexp(y, "x", y, [2], False),
         np.log(exp.sum(2))),
        (lambda b, y: b.add_argmax(y, "x", y, -2, False), x.argmax(1)),
        (lambda b, y: b.add_argmin(y, "x", y, 0), x.argmin(0)[None]),
        (lambda b, *y: b.add_topk(y[0], ["x"], list(y), 2, 1),
         np.take_along_axis(x, order, 1)[:, :-3:-1], order[:, :-3:-1]),
        (lambda b, *y: b.add_topk(y[0], ["x"], list(y), 3, 1, True),
         np.take_along_axis(x, order, 1)[:, :3], order[:, :3]),
        (lambda b, y: b.add_argsort(y, "x", y, 1, True), order[:, ::-1]),
        (lambda b, y: b.add_cumsum(y, ["x"], y, 1), x.cumsum(1)),
        (lambda b, y: b.add_cumsum(y, ["x"], y, -1, True, True),
         x[:, :, ::-1].cumsum(2)[:, :, ::-1] - x),
    ], {"x": x, "above": above})


def shaped():
    """Shapes that are known, computed or another tensor's; numbers that fill them;
    norms and functions beside."""
    x, small = drawn("shaped.x", 2, 3, 4), drawn("shaped.small", 3, 1)
    image, ids = drawn("shaped.image", 2, 3, 4, 5), np.array([[3.0], [0], [6], [2]])
    gamma, beta = drawn("shaped.gamma", 3, 4), drawn("shaped.beta", 3, 4)
    wide, shift = drawn("shaped.wide", 5, 7), drawn("shaped.shift", 5)
    channel = drawn("shaped.channel", 2, 3)
    w, bias = drawn("shaped.w", 4, 60), drawn("shaped.bias", 4)
    to, reps, ends = np.array([4.0, 6]), np.array([2.0, 1, 3]), np.array([5.0])
    all_but = dict(axis=(0, 2, 3), keepdims=True)
    mean, spread = image.mean(**all_but), image.var(**all_but)
    normal = (image - mean) / np.sqrt(spread + 0.25)
    over = [v.reshape(3, 1, 1) for v in channel]
    true = (x > 0.5) != (np.round(x) != 0)

    def over_batch(b, y):
        layer = b.add_batchnorm(y, 3, *channel, None, None, "image", y, True, True, 0.25)
        layer.batchnorm.instanceNormalization = False

    return network([
        (lambda b, y: b.add_reshape_like(y, ["x", "like"], y), x.reshape(6, 4)),
        (lambda b, y: b.add_reshape_dynamic(y, ["x", "to"], y), x.reshape(4, 6)),
        (lambda b, y: b.add_rank_preserving_reshape(y, "x", y, [0, 6, -1]),
         x.reshape(2, 6, 2)),
        (lambda b, y: b.add_flatten_to_2d(y, "x", y, -1), x.reshape(6, 4)),
        (lambda b, y: b.add_get_shape(y, "x", y), np.array([2.0, 3, 4])),
        (lambda b, y: b.add_tile(y, "x", y, [2, 3]), np.tile(x, (1, 2, 3))),
        (lambda b, y: b.add_tile(y, ["x", "reps"], y), np.tile(x, (2, 1, 3))),
        (lambda b, y: b.add_reverse(y, "x", y, [True, False, True]), x[::-1, :, ::-1]),
        (lambda b, y: b.add_constant_pad(y, ["x"], y, 0.5,
                                         pad_amounts=[0, 1, 2, 0, 1, 1]),
         np.pad(x, [(0, 1), (2, 0), (1, 1)], constant_values=0.5)),
        (lambda b, y: b.add_constant_pad(y, ["x"], y, -1.0, True, [0, 0, 5, 0, 0, 6]),
         np.pad(x, [(0, 0), (2, 0), (0, 2)], constant_values=-1)),
        (lambda b, y: b.add_fill_static(y, y, [2, 3], 1.25), np.full((2, 3), 1.25)),
        (lambda b, y: b.add_fill_dynamic(y, "to", y, 0.5), np.full((4, 6), 0.5)),
        (lambda b, y: b.add_fill_like(y, "x", y, -2.0), np.full_like(x, -2)),
        (lambda b, y: b.add_broadcast_to_static(y, "small", y, [2, 3, 4]),
         np.broadcast_to(small, (2, 3, 4))),
        (lambda b, y: b.add_broadcast_to_like(y, ["small", "x"], y),
         np.broadcast_to(small, (2, 3, 4))),
        (lambda b, y: (b.add_get_shape("size", "x", "size"),
                       b.add_broadcast_to_dynamic(y, ["small", "size"], y)),
         np.broadcast_to(small, (2, 3, 4))),
        (lambda b, y: b.add_range_static(y, y, [], 3.0, 0.5, 0.75),
         np.arange(0.5, 3, 0.75)),
        (lambda b, y: b.add_range_dynamic(y, ["ends"], y, 1, 2), np.arange(1.0, 5, 2)),
        (lambda b, y: b.add_embedding_nd(y, "ids", y, 7, 5, wide, shift),
         wide.T[ids[:, 0].astype(int)] + shift),
        (lambda b, y: b.add_inner_product(y, w, bias, 60, 4, True, "image", y),
         image.reshape(2, 60) @ w.T + bias),
        (lambda b, y: b.add_layer_normalization(y, "x", y, [3, 4], gamma, beta, 0.25),
         F.layer_norm(t(x), (3, 4), t(gamma), t(beta), 0.25).numpy()),
        (over_batch, normal * over[0] + over[1]),
        (lambda b, y: b.add_clamped_relu(y, "x", y, 0.25, 1.0),
         np.minimum(np.where(x >= 0, x, x / 4), 1)),
        (lambda b, y: (b.add_greater_than("high", ["x"], "high", alpha=0.5),
                       b.add_round("near", "x", "near"),
                       b.add_logical(y, ["high", "near"], y, "XOR")), true * 1.0),
        (lambda b, y: b.add_asinh(y, "x", y), np.arcsinh(x)),
        (lambda b, y: (b.add_unary("over_1", "x", "over_1", "abs", shift=4),
                       b.add_acosh(y, "over_1", y)), np.arccosh(np.abs(x + 4))),
        (lambda b, y: (b.add_activation("part", "LINEAR", "x", "part", [0.25, 0]),
                       b.add_atanh(y, "part", y)), np.arctanh(x / 4)),
    ], {"x": x, "small": small, "image": image, "ids": ids, "to": to, "reps": reps,
        "ends": ends, "like": np.zeros((6, 4))})


MODELS = {"volumes_f32": volumes, "indexed_f32": indexed, "reduced_f32": reduced,
          "shaped_f32": shaped}
