"""precision="strict" against PyTorch: on any kind of problem its errors are at most twice PyTorch's own."""

import math
import os

import numpy as np
import pytest
from arrays import layout_of

import fastconv as fc
from fastconv.bench import accuracy
from fastconv.problem.conv import conv2d_problem

torch = pytest.importorskip("torch")
COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "40"))
LAYOUTS = ("channels_first", "channels_last")
OUTPUTS = 10_000  # at least, so that their errors are a statistic
MOST_PRODUCTS = 4e8  # of a whole problem
KINDS = ("point", "three", "five", "seven", "rectangle", "large", "depthwise", "large_depthwise", "grouped", "vector",
         "dense")  # fmt: skip
DATA = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "post-ReLU": lambda rng, shape: np.maximum(rng.normal(size=shape), 0),
    "uniform": lambda rng, shape: rng.random(shape),  # sums that grow all the way
}


def between(rng, low, high):
    """A whole number, log-uniform."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


def draw(rng, kind):
    """x's shape, the weight's and options; few sizes of images and outputs, as each has register tiles of its own."""
    c, k, groups, size = between(rng, 1, 2048), int(rng.choice([1, 3, 16, 48])), 1, int(rng.choice([9, 20]))
    stride, dilation = (int(rng.choice([1, 1, 2])) for _ in range(2))
    square = {"point": 1, "three": 3, "five": 5, "seven": 7, "vector": 1}
    r = s = square.get(kind, int(rng.choice([3, 5, 7])))
    if kind == "rectangle":
        r, s = rng.integers(1, 9, 2).tolist()
    elif kind.startswith("large"):
        r, s, c, stride, dilation = between(rng, 4, 40), between(rng, 4, 40), between(rng, 1, 64), 1, 1
    if kind.endswith("depthwise"):
        groups = c = min(c, 128)
        k = c * int(rng.choice([1, 1, 2]))
    elif kind == "grouped":
        groups = int(rng.choice([2, 4, 16]))
        c, k = groups * between(rng, 2, 256), groups * k
    h, w = (max(size, (taps - 1) * dilation + 1) for taps in (r, s))
    padding = (int(rng.choice([0, r // 2])), s // 2)
    if kind == "vector":
        h = w = 1
    elif kind == "dense":  # the kernel covers the image
        r, s, c = int(rng.integers(1, 9)), int(rng.integers(2, 9)), min(c, 512)
        h, w = r, s
    if kind in ("vector", "dense"):
        k, padding, stride, dilation = int(rng.choice([48, 2000])), 0, 1, 1
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    shape = (k, c // groups, r, s)
    problem = conv2d_problem((1, c, h, w), shape, dtype="float32", **options)
    return (-(-OUTPUTS // (k * problem.oh * problem.ow)), c, h, w), shape, options


def theirs(x, w, options, layout="channels_first"):
    """PyTorch's result in its memory format for a layout, channels first."""
    kind = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    x, w = (torch.from_numpy(a).contiguous(memory_format=kind) for a in (x, w))
    with torch.inference_mode():
        return torch.nn.functional.conv2d(x, w, **options).numpy()


def exact(x, w, options):
    """Float64 terms of the result: float64's own, or for float64 those of short pieces of both operands."""
    if x.dtype == np.float32:
        return [theirs(x.astype(np.float64), w.astype(np.float64), options)]
    bits = int(53 - math.log2(w[0].size)) // 2
    highs, lows = accuracy.slices(x, bits), accuracy.slices(w, bits)
    return [theirs(highs[i], lows[total - i], options) for total in range(3) for i in range(total + 1)]


def errors(y, terms):
    """The root of the mean square, and the largest."""
    error = y.astype(np.float64)
    for term in terms:
        error = error - term
    return np.array([np.sqrt(np.square(error).mean()), np.abs(error).max()])


def ours(rng, x, w, options, layout):
    """Our result, channels first, of a function or a layer, by "auto" or another algorithm; and which."""
    options = {**options, "layout": layout, "precision": "strict"}
    x = layout_of(x, layout)
    plan = fc.explain("conv2d", x.shape, w.shape, dtype=x.dtype.name, **options)
    algorithm = str(rng.choice(["auto", *(c.name for c in plan.candidates if c.reason is None)]))
    if rng.random() < 0.5:
        y = fc.Conv2d(w, algorithm=algorithm, **options)(x)
    else:
        y = fc.conv2d(x, w, algorithm=algorithm, **options)
    return y.transpose(0, 3, 1, 2) if layout == "channels_last" else y, algorithm


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_at_most_twice_those_of_pytorch(rng, kind, dtype):
    """The root of the mean square against PyTorch's better memory format, the largest error against the same format.

    The largest were 1.80 times PyTorch's of 2202 results in float64, 1.81 times of 4738 in float32 (AVX-512). Largest
    errors of a few products hang on how many results are near the next power of two, so they are not compared.
    """
    done = 0
    while done < -(-COUNT // len(KINDS)):
        x_shape, w_shape, options = draw(rng, kind)
        if math.prod(x_shape) // x_shape[1] * math.prod(w_shape) > MOST_PRODUCTS / (1 if dtype == "float32" else 5):
            continue
        data = DATA[str(rng.choice(list(DATA)))]
        x = data(rng, x_shape).astype(dtype)
        w = (rng.random if data is DATA["uniform"] else rng.normal)(size=w_shape).astype(dtype)
        terms = exact(x, w, options)
        peer = np.array([errors(theirs(x, w, options, layout), terms) for layout in LAYOUTS])
        for layout, same in zip(LAYOUTS, peer[:, 1], strict=True):
            y, algorithm = ours(rng, x, w, options, layout)
            found = errors(y, terms)
            message = f"{x_shape} {w_shape} {options} {layout} {algorithm}: {found} against {peer.tolist()}"
            assert found[0] <= 2 * peer[:, 0].min(), message
            assert w[0].size < 32 or found[1] <= 2 * same, message
        done += 1
