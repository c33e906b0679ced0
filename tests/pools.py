"""Pools and their gradients by their definitions: float64 loops over windows, for arrays with channels first."""

import itertools
import math

import numpy as np
from arrays import DTYPES, rounded

ALL_DTYPES = {**DTYPES, "int8": np.dtype(np.int8), "uint8": np.dtype(np.uint8), "int32": np.dtype(np.int32)}


def tupled(value, dims):
    """A size for every axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


def output_size(size, kernel, stride, pads, dilation, ceil):
    """How many windows there are along an axis, by trying one after another.

    Without ceil mode those that fit. With it as many as it takes to reach the end, but none that starts behind the
    input, even if it fits into the border there.
    """
    span, count, end = (kernel - 1) * dilation + 1, 0, size + pads[1]
    while True:
        start = count * stride - pads[0]
        reached = start - stride + span >= end
        if (reached or start >= size) if ceil else start + span > end:
            return count
        count += 1


class Window:
    """The taps of one output: positions in the plane, and which of the kernel's they are."""

    def __init__(self, out, kernel, stride, pads, dilation, sizes):
        self.out, self.taps, self.positions, self.counted = out, [], [], 0
        for tap in itertools.product(*map(range, kernel)):
            at = [o * s - p[0] + t * d for o, s, p, t, d in zip(out, stride, pads, tap, dilation, strict=True)]
            self.counted += all(a < size + p[1] for a, size, p in zip(at, sizes, pads, strict=True))
            if all(0 <= a < size for a, size in zip(at, sizes, strict=True)):
                self.taps.append(tap)
                self.positions.append(tuple(at))

    def of(self, x):
        """Its elements, (N, C, taps)."""
        return np.stack([x[(..., *at)] for at in self.positions], -1) if self.positions else x[..., :0].reshape(
            *x.shape[:2], -1)[..., :0]  # fmt: skip


def windows(sizes, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    """(output sizes, every window) on a plane."""
    dims = len(sizes)
    kernel = tupled(kernel, dims)
    stride, dilation = kernel if stride is None else tupled(stride, dims), tupled(dilation, dims)
    pads = [p if isinstance(p, (tuple, list)) else (p, p) for p in tupled(padding, dims)]
    outs = tuple(output_size(*given, ceil_mode) for given in zip(sizes, kernel, stride, pads, dilation, strict=True))
    found = [Window(out, kernel, stride, pads, dilation, sizes) for out in np.ndindex(*outs)]
    return outs, found


def max_pool(x, kernel, *options):
    """(values, indices): the first of equals, a NaN's if there is one; -1 for a window without elements."""
    sizes, lowest = x.shape[2:], -math.inf if x.dtype.kind not in "iu" else np.iinfo(x.dtype).min
    outs, found = windows(sizes, kernel, *options)
    y = np.full((*x.shape[:2], *outs), lowest, x.dtype)
    indices = np.full(y.shape, -1, np.int64)
    for window in found:
        for at in window.positions:
            value, place = x[(..., *at)], (..., *window.out)
            with np.errstate(invalid="ignore"):  # comparisons with NaN
                better = (value > y[place]) | (value != value) | (indices[place] < 0)
            y[place] = np.where(better, value, y[place])
            indices[place] = np.where(better, np.ravel_multi_index(at, sizes), indices[place])
    return y, indices


def _divisor(window, include_pad, divisor):
    return divisor if divisor is not None else window.counted if include_pad else max(1, len(window.taps))


def avg_pool(x, kernel, stride=None, padding=0, ceil_mode=False, include_pad=True, divisor=None, dilation=1):
    """Averages."""
    x = x.astype(np.float64)
    outs, found = windows(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    y = np.zeros((*x.shape[:2], *outs))
    for window in found:
        if window.taps:
            y[(..., *window.out)] = window.of(x).sum(-1) / _divisor(window, include_pad, divisor)
    return y


def lp_pool(x, norm, kernel, stride=None, ceil_mode=False, onnx=False):
    """Norms; partial windows as PyTorch has them, or ONNX."""
    x = x.astype(np.float64)
    outs, found = windows(x.shape[2:], kernel, stride, 0, 1, ceil_mode)
    taps = math.prod(tupled(kernel, x.ndim - 2))
    y = np.zeros((*x.shape[:2], *outs))
    with np.errstate(all="ignore"):
        for window in found:
            v = window.of(x)
            if math.isinf(norm):
                y[(..., *window.out)] = np.abs(v).max(-1)
                continue
            total = (np.abs(v) if onnx else v) ** norm
            share = 1 if onnx else taps / len(window.taps)
            y[(..., *window.out)] = (total.sum(-1) * share) ** (1 / norm)
    return y


def weighted_pool(x, weights, stride=None, padding=0):
    """Weighted sums."""
    x, weights = x.astype(np.float64), weights.astype(np.float64)
    outs, found = windows(x.shape[2:], weights.shape, stride, padding)
    y = np.zeros((*x.shape[:2], *outs))
    for window in found:
        for tap, at in zip(window.taps, window.positions, strict=True):
            y[(..., *window.out)] += weights[tap] * x[(..., *at)]
    return y


def max_gradient(dy, indices, sizes):
    """Every output's gradient goes to its maximum."""
    dx = np.zeros((*dy.shape[:2], math.prod(sizes)))
    for n, c in np.ndindex(*dy.shape[:2]):
        for value, at in zip(dy[n, c].astype(np.float64).flat, indices[n, c].flat, strict=True):
            if at >= 0:
                dx[n, c, at] += value
    return dx.reshape(*dy.shape[:2], *sizes)


def avg_gradient(dy, sizes, kernel, stride=None, padding=0, ceil_mode=False, include_pad=True, divisor=None,
                 dilation=1):  # fmt: skip
    """Every output's gradient goes to its window's elements in equal parts."""
    dx = np.zeros((*dy.shape[:2], *sizes))
    for window in windows(sizes, kernel, stride, padding, dilation, ceil_mode)[1]:
        for at in window.positions:
            dx[(..., *at)] += dy[(..., *window.out)].astype(np.float64) / _divisor(window, include_pad, divisor)
    return dx


def lp_gradient(dy, x, y, norm, kernel, stride=None, ceil_mode=False):
    """By the chain rule; 0 where y is, unless it is a plain sum."""
    dy, x, y = (a.astype(np.float64) for a in (dy, x, y))
    dx, taps = np.zeros(x.shape), math.prod(tupled(kernel, x.ndim - 2))
    with np.errstate(all="ignore"):
        for window in windows(x.shape[2:], kernel, stride, 0, 1, ceil_mode)[1]:
            place = (..., *window.out)
            slope = (
                np.where((y[place] != 0) | (norm == 1), dy[place] * y[place] ** (1 - norm), 0) * taps / len(window.taps)
            )
            for at in window.positions:
                dx[(..., *at)] += slope
        return dx * x ** (norm - 1)


def weighted_gradient(dy, sizes, weights, stride=None, padding=0):
    """Every output's gradient goes to its window's elements by their weights."""
    dx, weights = np.zeros((*dy.shape[:2], *sizes)), weights.astype(np.float64)
    for window in windows(sizes, weights.shape, stride, padding)[1]:
        for tap, at in zip(window.taps, window.positions, strict=True):
            dx[(..., *at)] += weights[tap] * dy[(..., *window.out)].astype(np.float64)
    return dx


def laid(x, layout):
    """An array with channels first, in the asked layout, contiguous."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout == "channels_last" else np.ascontiguousarray(x)


def assert_summed(y, exact, magnitude, roundings, err_msg=""):
    """Within so many roundings of terms whose absolute values sum to `magnitude`, and one to the result's type.

    The oracle's own roundings, which are those of float64, count as one more of each.
    """
    kind, expected = y.dtype, rounded(exact, y.dtype).astype(np.float64)
    computing = np.finfo(np.float64 if kind == np.float64 else np.float32).eps
    stored = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(kind.name) or np.finfo(kind).eps
    finite, y = np.isfinite(expected), y.astype(np.float64)
    np.testing.assert_array_equal(y[~finite], expected[~finite], err_msg=err_msg)
    bound = (roundings * computing * magnitude + stored * np.abs(expected) + 2.0**-24 * (kind == np.float16))[finite]
    wrong = np.abs(y - expected)[finite] / np.maximum(bound, np.finfo(np.float64).tiny)
    assert wrong.max(initial=0) <= 1, f"{err_msg}: {wrong.max()} of the bound"


def assert_close(y, expected, err_msg="", ulps=8):
    """Within a few roundings of the result's type, relative to an element and to the largest: sums may cancel."""
    kind = y.dtype
    expected = rounded(expected, kind)
    step = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(kind.name) or np.finfo(kind).eps
    expected = expected.astype(np.float64)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=1)
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=ulps * step, atol=ulps * step * largest / 8,
                               err_msg=err_msg)  # fmt: skip
