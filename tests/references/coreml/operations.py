"""CoreML programs of single operations, written with coremltools' own builder, and
what NumPy in float64 or PyTorch makes of their inputs. What coremltools does not say
is taken from the formulas in the documentation of its operations."""

import warnings
import zlib

import coremltools as ct
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types
import numpy as np
import torch
from torch.nn import functional as F

IOS15, IOS16, IOS17, IOS18 = (ct.target.iOS15, ct.target.iOS16, ct.target.iOS17,
                              ct.target.iOS18)


def drawn(name, *shape):
    """Uniform in [-2, 2], in whole 1024ths: exact in float16."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return (random.randint(-2048, 2049, shape) / 1024).astype(np.float32)


def chosen(name, below, *shape):
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return random.randint(0, below, shape).astype(np.int32)


class Program:
    """Inputs, a function that builds the outputs y0, y1, .. from them, and answers."""

    def __init__(self, target, build, answers, states=None, **inputs):
        self.target, self.build, self.answers = target, build, answers
        self.inputs, self.states = inputs, states or {}

    def convert(self):
        specs = [mb.StateTensorSpec(shape, types.fp16)
                 for shape in self.states.values()]
        specs += [mb.TensorSpec(x.shape, types.int32 if x.dtype == np.int32
                                else types.fp32) for x in self.inputs.values()]
        names = [*self.states, *self.inputs]

        def body(*values):
            made = self.build(**dict(zip(names, values)))
            return tuple(mb.identity(x=y, name=f"y{i}") for i, y in enumerate(made))

        # The builder reads the names of the inputs from the function.
        scope = {"body": body}
        exec(f"def program({', '.join(names)}): return body({', '.join(names)})", scope)
        program = mb.program(input_specs=specs, opset_version=self.target)(
            scope["program"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ct.convert(program, convert_to="mlprogram", skip_model_load=True,
                              minimum_deployment_target=self.target,
                              compute_precision=ct.precision.FLOAT32)

    def expected(self):
        answers = self.answers(**self.inputs)
        return {f"y{i}": np.ascontiguousarray(y) for i, y in enumerate(answers)}


# ---- points of images

def sampled(x, at, mode="bilinear", padding="constant", value=0.0,
            coordinates="normalized_minus_one_to_one", align=True):
    return mb.resample(x=x, coordinates=at, sampling_mode=mode, padding_mode=padding,
                       padding_value=value, coordinates_mode=coordinates,
                       align_corners=align)


def build_sampling(x, at, pixels):
    matrix = mb.slice_by_size(x=mb.reshape(x=at, shape=[-1]), begin=[0], size=[12])
    return (
        sampled(x, at),
        sampled(x, at, padding="border", align=False),
        sampled(x, at, padding="reflection"),
        sampled(x, at, padding="symmetric", align=False),
        sampled(x, at, "nearest"),
        sampled(x, at, "nearest", "reflection"),
        sampled(x, at, coordinates="normalized_zero_to_one", align=False),
        sampled(x, pixels, coordinates="unnormalized", value=1.5),
        mb.affine(x=x, transform_matrix=mb.reshape(x=matrix, shape=[2, 6]),
                  output_height=4, output_width=3, sampling_mode="bilinear",
                  padding_mode="constant", padding_value=0.0,
                  coordinates_mode="normalized_minus_one_to_one", align_corners=True),
        mb.affine(x=x, transform_matrix=np.float32([[.5, .25, .125, -.25, 1, 0]]),
                  output_height=1, output_width=5, sampling_mode="bilinear",
                  padding_mode="constant", padding_value=0.0,
                  coordinates_mode="normalized_minus_one_to_one", align_corners=True))


def at_pixels(image, points, beside):
    """Bilinear, with a number beside the image."""
    channels, height, width = image.shape
    out = np.zeros((channels, *points.shape[:2]))
    for i, j in np.ndindex(*points.shape[:2]):
        x, y = points[i, j].astype(np.float64)
        for dy, dx in np.ndindex(2, 2):
            row, column = int(np.floor(y)) + dy, int(np.floor(x)) + dx
            share = (1 - abs(y - row)) * (1 - abs(x - column))
            inside = 0 <= row < height and 0 <= column < width
            out[:, i, j] += share * (image[:, row, column] if inside else beside)
    return out


def answer_sampling(x, at, pixels):
    image, points = torch.tensor(x).double(), torch.tensor(at).double()

    def grid(mode="bilinear", padding="zeros", align=True, points=points):
        return F.grid_sample(image, points, mode, padding, align_corners=align).numpy()

    def affine(matrix, height, width):
        theta = torch.tensor(matrix).double().reshape(-1, 2, 3)
        theta = theta.expand(len(x), 2, 3)
        return grid(points=F.affine_grid(theta, [*x.shape[:2], height, width],
                                         align_corners=True))

    return (grid(), grid(padding="border", align=False), grid(padding="reflection"),
            grid(padding="reflection", align=False), grid("nearest"),
            grid("nearest", "reflection"), grid(align=False, points=2 * points - 1),
            np.stack([at_pixels(*pair, 1.5) for pair in zip(x, pixels)]),
            affine(at.reshape(-1)[:12], 4, 3),
            affine(np.float32([.5, .25, .125, -.25, 1, 0]), 1, 5))


# ---- boxes of images

SAMPLINGS = ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS",
             "UNALIGN_CORNERS"]


def grid_points(begin, end, count, sampling):
    """As the documentation of resize_bilinear has them, for an input that begins at
    `begin` and ends at `end`."""
    size, i = end - begin + 1, np.arange(count)
    if sampling == "STRICT_ALIGN_CORNERS" or (sampling == "ALIGN_CORNERS" and count > 1):
        at = i * (size - 1) / max(count - 1, 1)
    elif sampling == "ALIGN_CORNERS":
        at = np.array([(size - 1) / 2])
    elif sampling == "DEFAULT":
        at = i * size / count
    elif sampling == "OFFSET_CORNERS":
        step = max(1, size - 1) / count
        at = 0.5 * step + i * step
    else:
        at = (i + 0.5) * size / count - 0.5
    return begin + np.minimum(size - 1, np.maximum(0, at))


def cropped(image, box, height, width, sampling, beside=0.0):
    """Box [top, left, bottom, right] in pixels."""
    ys = grid_points(box[0], box[2], height, sampling)
    xs = grid_points(box[1], box[3], width, sampling)
    points = np.stack(np.meshgrid(xs, ys), axis=-1)
    edge = np.clip(points, 0, [image.shape[2] - 1, image.shape[1] - 1])
    out = at_pixels(image.astype(np.float64), edge, 0.0)
    out[:, np.any(points != edge, axis=-1)] = beside
    return out


BOXES = np.float32([[0.5, 1, 3, 4.25], [1, 0, 2, 5], [-1, 2, 3, 7]])
MIDDLES = np.float32([[3, 2, 2.5, 1.5], [2, 1, 1, 2]])


def build_boxes(x):
    roi = BOXES.reshape(3, 1, 4, 1, 1)
    # The image that each is of stands in front.
    with_image = np.concatenate([np.float32([[1], [0], [1]]), BOXES / 8], axis=1)
    return tuple(
        mb.crop_resize(x=x, roi=roi, target_height=3, target_width=4, sampling_mode=mode)
        for mode in SAMPLINGS) + (
        mb.crop_resize(x=x, roi=with_image.reshape(3, 1, 5, 1, 1), target_height=1,
                       target_width=2, normalized_coordinates=True,
                       sampling_mode="ALIGN_CORNERS", pad_value=np.float32(7)),
        mb.crop_resize(x=x, roi=MIDDLES.reshape(2, 1, 4, 1, 1), target_height=2,
                       target_width=2, spatial_scale=0.5, sampling_mode="OFFSET_CORNERS",
                       box_coordinate_mode="CENTER_SIZE_WIDTH_FIRST"))


def answer_boxes(x):
    height, width = x.shape[2] - 1, x.shape[3] - 1
    normal = BOXES / 8 * np.float32([height, width, height, width])
    corners = [0.5 * np.array([y - h / 2, x0 - w / 2, y + h / 2, x0 + w / 2])
               for x0, y, w, h in MIDDLES]
    return [np.stack([[cropped(image, box, 3, 4, mode) for image in x] for box in BOXES])
            for mode in SAMPLINGS] + [
        np.stack([[cropped(x[i], box, 1, 2, "ALIGN_CORNERS", 7)]
                  for i, box in zip((1, 0, 1), normal)]),
        np.stack([[cropped(image, box, 2, 2, "OFFSET_CORNERS") for image in x]
                  for box in corners])]


def build_resizing(x, n):
    def resize(shape, axes, mode="LINEAR", sampling="DEFAULT", x=x):
        return mb.resize(x=x, shape=np.int32(shape), resized_dims=np.uint32(axes),
                         interpolation_mode=mode, sampling_mode=sampling)
    turned = BOXES[:2, [1, 0, 3, 2]]
    return (resize([9, 0], 2, sampling="UNALIGN_CORNERS"),
            resize([1, 3, 4], 2, "NEAREST_NEIGHBOR"),
            resize([8, 13], 2, "NEAREST_NEIGHBOR", "UNALIGN_CORNERS"),
            resize([2, 7, 5, 8], 3, sampling="STRICT_ALIGN_CORNERS"),
            resize([11], 1, sampling="UNALIGN_CORNERS"),
            resize([4], 1, "NEAREST_NEIGHBOR", x=n),
            mb.crop_resize(x=x, boxes=turned, target_height=2, target_width=3,
                           box_coordinate_mode="CORNERS_WIDTH_FIRST"),
            mb.crop_resize(x=x, boxes=BOXES, box_indices=np.int32([1, 1, 0]),
                           target_height=2, target_width=3, pad_value=np.float32(-1),
                           sampling_mode="UNALIGN_CORNERS"))


def answer_resizing(x, n):
    image = torch.tensor(x).double()
    width = x.shape[3]
    flat = image.reshape(1, -1, width)
    return (F.interpolate(image, (9, width), mode="bilinear").numpy(),
            F.interpolate(image, (3, 4), mode="nearest").numpy(),
            F.interpolate(image, (8, 13), mode="nearest-exact").numpy(),
            F.interpolate(image[:, None], (7, 5, 8), mode="trilinear",
                          align_corners=True)[:, 0].numpy(),
            F.interpolate(flat, 11, mode="linear").reshape(*x.shape[:3], 11).numpy(),
            n[:, np.arange(4) * n.shape[1] // 4],
            np.stack([cropped(x[i], BOXES[i], 2, 3, "DEFAULT") for i in (0, 1)]),
            np.stack([cropped(x[i], box, 2, 3, "UNALIGN_CORNERS", -1)
                      for i, box in zip((1, 1, 0), BOXES)]))


# ---- suppression

def kept(boxes, scores, overlap, score, per_class, most):
    """Boxes [n, 4] as middle and size: the indices of those that stay."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    best, of = scores.max(1), scores.argmax(1)
    left = [i for i in np.argsort(-best, kind="stable") if best[i] >= score]
    found = []
    while left and len(found) < most:
        one, *left = left
        found.append(one)
        common = np.prod(np.clip(np.minimum(high[one], high) -
                                 np.maximum(low[one], low), 0, None), axis=1)
        area = np.prod(boxes[:, 2:], axis=1)
        share = common / (area + area[one] - common)
        left = [i for i in left
                if share[i] <= overlap or (per_class and of[i] != of[one])]
    return found or [int(best.argmax())]


def suppressed(boxes, scores, overlap, score, per_class, most):
    found = [kept(b, s, overlap, score, per_class, most) for b, s in zip(
        boxes.astype(np.float64), scores.astype(np.float64))]
    out = [np.zeros((len(boxes), most, 4)),
           np.zeros((len(boxes), most, scores.shape[2])),
           np.full((len(boxes), most), -1, np.int32),
           np.int32([len(one) for one in found])]
    for i, one in enumerate(found):
        out[0][i, :len(one)], out[1][i, :len(one)] = boxes[i, one], scores[i, one]
        out[2][i, :len(one)] = one
    return out


def suppress(boxes, scores, overlap, per_class, most, **score):
    return mb.non_maximum_suppression(
        boxes=boxes, scores=scores, iou_threshold=np.float32(overlap),
        max_boxes=most, per_class_suppression=per_class, **score)


def crowd(count):
    boxes = drawn("crowd", 2, count, 4)
    boxes[..., 2:] = abs(boxes[..., 2:]) + 0.5
    return {"boxes": boxes, "scores": drawn("crowd.scores", 2, count, 3)}


def build_suppression(boxes, scores):
    return (*suppress(boxes, scores, 0.25, False, 9, score_threshold=np.float32(0.5)),
            *suppress(boxes, scores, 0.125, True, 16, score_threshold=np.float32(-1)),
            suppress(boxes, scores, 0.5, False, 2, score_threshold=np.float32(9))[2])


def answer_suppression(boxes, scores):
    return (*suppressed(boxes, scores, 0.25, 0.5, False, 9),
            *suppressed(boxes, scores, 0.125, -1, True, 16),
            suppressed(boxes, scores, 0.5, 9, False, 2)[2])


def build_suppression_17(boxes, scores):
    return (*suppress(boxes, scores, 0.125, False, 20), *suppress(
        boxes, scores, 0.25, True, 5))


def answer_suppression_17(boxes, scores):
    boxes, scores = boxes.swapaxes(1, 2), scores.swapaxes(1, 2)
    answers = []
    for overlap, per_class, most in ((0.125, False, 20), (0.25, True, 5)):
        b, s, index, _ = suppressed(boxes, scores, overlap, -np.inf, per_class, most)
        answers += [b.swapaxes(1, 2), s.swapaxes(1, 2), index]
    return answers


# ---- places that are written several times

COMBINE = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
           "max": np.maximum, "min": np.minimum}
ROWS, ALONG = np.int32([2, 0, 2, -1, 2]), chosen("along", 3, 5, 4)
PLACES = np.int32([[[1, 0], [0, 3]], [[1, 0], [-1, -4]]])


def combined(mode, x, index, updates):
    x = x.astype(np.float64).copy()
    COMBINE[mode].at(x, index, updates.astype(np.float64))
    return x


def build_scatter(x, n, rows, along, places):
    return tuple(mb.scatter(data=x, indices=ROWS, updates=rows, axis=0, mode=mode)
                 for mode in COMBINE) + (
        mb.scatter(data=mb.transpose(x=x, perm=[1, 0]), indices=ROWS[:3], axis=1,
                   updates=mb.slice_by_size(x=mb.transpose(x=rows, perm=[1, 0]),
                                            begin=[0, 0], size=[4, 3]), mode="update"),
        mb.scatter_along_axis(data=x, indices=ALONG, updates=along, axis=0, mode="mul"),
        mb.scatter_nd(data=x, indices=PLACES, updates=places, mode="sub"),
        mb.scatter_nd(data=n, indices=PLACES[..., :1], updates=np.full(
            (2, 2, 4), 3, np.int32), mode="mul"))


def answer_scatter(x, n, rows, along, places):
    last = x.T.copy()
    last[:, [2, 0]] = rows[[2, 1]].T
    columns = np.broadcast_to(np.arange(4), ALONG.shape)
    return [combined(mode, x, ROWS, rows) for mode in COMBINE] + [
        last, combined("mul", x, (ALONG, columns), along),
        combined("sub", x, (PLACES[..., 0], PLACES[..., 1]), places),
        combined("mul", n, PLACES[..., 0], np.full((2, 2, 4), 3))]


def build_scatter_along(x, along, lengths):
    def scatter(mode):
        return mb.scatter_along_axis(data=x, indices=ALONG.T[:, :2], axis=1, mode=mode,
                                     updates=along)
    return tuple(scatter(mode) for mode in ("add", "sub", "div", "max", "min")) + (
        mb.reverse_sequence(x=x, lengths=np.int32([3, 0, 2, 1]), seq_axis=1,
                            batch_axis=0),
        mb.reverse_sequence(x=mb.reshape(x=x, shape=[2, 2, 3]), lengths=lengths,
                            seq_axis=0, batch_axis=2))


def answer_scatter_along(x, along, lengths):
    rows = np.broadcast_to(np.arange(4)[:, None], (4, 2))
    first, second = x.copy(), x.reshape(2, 2, 3).copy()
    for row, length in enumerate([3, 0, 2, 1]):
        first[row, :length] = x[row, :length][::-1]
    for i, length in enumerate(lengths):
        second[:length, :, i] = x.reshape(2, 2, 3)[:length, :, i][::-1]
    return [combined(mode, x, (rows, ALONG.T[:, :2]), along)
            for mode in ("add", "sub", "div", "max", "min")] + [first, second]


# ---- what predictions do not share, or do

def build_random(logits):
    shape, seed = np.int32([100, 50]), {"seed": np.int32(7)}
    return (mb.random_uniform(shape=shape, low=np.float32(-1), high=np.float32(3), **seed),
            mb.random_normal(shape=shape, mean=np.float32(2), stddev=np.float32(0.5),
                             **seed),
            mb.random_bernoulli(shape=shape, prob=np.float32(0.3), **seed),
            mb.random_categorical(x=logits, size=5000, **seed),
            mb.random_categorical(x=mb.exp(x=logits), mode="probs", size=5000, **seed),
            mb.random_uniform(shape=shape))


def build_counter(total, last, x):
    """The sum of everything so far, and the sum before it."""
    before = mb.read_state(input=total)
    after = mb.coreml_update_state(
        state=total, value=mb.add(x=before, y=mb.cast(x=x, dtype="fp16")))
    mb.coreml_update_state(state=last, value=before)
    return (mb.cast(x=after, dtype="fp32"),
            mb.cast(x=mb.read_state(input=last), dtype="fp32"))


IMAGES = drawn("images", 2, 3, 5, 6)
PROGRAMS = {
    "sampling_f32": Program(IOS16, build_sampling, answer_sampling, x=IMAGES,
                            at=drawn("points", 2, 3, 4, 2),
                            pixels=3 * drawn("pixels", 2, 2, 3, 2)),
    "boxes_f32": Program(IOS16, build_boxes, answer_boxes, x=IMAGES),
    "resizing_f32": Program(IOS17, build_resizing, answer_resizing, x=IMAGES,
                            n=chosen("whole", 99, 3, 7)),
    "suppression_f32": Program(IOS15, build_suppression, answer_suppression,
                               **crowd(20)),
    "suppression_ios17_f32": Program(
        IOS17, build_suppression_17, answer_suppression_17,
        **{key: x.swapaxes(1, 2).copy() for key, x in crowd(12).items()}),
    "scatter_f32": Program(IOS15, build_scatter, answer_scatter,
                           x=drawn("scatter", 3, 4), n=chosen("whole", 99, 3, 4),
                           rows=drawn("rows", 5, 4), along=drawn("along", 5, 4),
                           places=drawn("places", 2, 2)),
    "scatter_along_f32": Program(IOS15, build_scatter_along, answer_scatter_along,
                                 x=drawn("scatter", 4, 3), along=drawn("along", 4, 2),
                                 lengths=np.int32([2, 1, 0])),
    # Without answers: what they give depends on a generator, and on the past.
    "random": Program(IOS15, build_random, lambda **_: (),
                      logits=np.log(np.float32([[1, 2, 5, 0.001], [3, 1, 1, 3]]))),
    "counter": Program(IOS18, build_counter, lambda **_: (),
                       {"total": (2, 3), "last": (2, 3)}, x=drawn("count", 2, 3)),
}
