"""The oracle: convolution and its gradients from their definition, in float64, never fast and never clever.

Tests only.
"""

import itertools
import math

import numpy as np


def source_index(i, size, mode):
    """The input index at position i of the continued axis, or None for a zero."""
    if 0 <= i < size:
        return i
    if mode == "zeros":
        return None
    if mode == "replicate":
        return min(max(i, 0), size - 1)
    if mode == "circular":
        return i % size
    return -i if i < 0 else 2 * (size - 1) - i  # reflect


def resolve_padding(padding, sizes, kernel, stride, dilation):
    """(before, after) for each axis, from any form."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if isinstance(padding, str):
        pairs = []
        for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
            out = -(-size // s)
            total = max(0, (out - 1) * s + (k - 1) * d + 1 - size)
            small, large = total // 2, total - total // 2
            pairs.append((large, small) if padding == "same_lower" else (small, large))
        return pairs
    if isinstance(padding, int):
        return [(padding, padding)] * len(sizes)
    return [(p, p) if isinstance(p, int) else tuple(p) for p in padding]


def activate(y, activation):
    """The activation's definition, element by element."""
    if activation is None:
        return y
    name, slope = activation if isinstance(activation, tuple) else (activation, 0.01)
    with np.errstate(all="ignore"):
        if name == "relu":
            return np.where(y < 0, 0.0, y)
        if name == "relu6":
            return np.where(y < 0, 0.0, np.where(y > 6, 6.0, y))
        if name == "leaky_relu":
            return np.where(y < 0, y * slope, y)
        if name == "sigmoid":
            return 1 / (1 + np.exp(-y))
        if name == "tanh":
            return np.tanh(y)
        if name == "silu":
            return y / (1 + np.exp(-y))
        if name == "hardswish":
            return y * activate(y + 3, "relu6") / 6
        assert name == "gelu"
        return y * np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)), otypes=[float])(y)


def each(value, axes):
    """One int for each of some axes."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def output_sizes(sizes, kernel, stride, padding, dilation):
    """How many windows fit on each axis."""
    stride, dilation = each(stride, len(sizes)), each(dilation, len(sizes))
    pads = resolve_padding(padding, sizes, kernel, stride, dilation)
    axes = zip(sizes, kernel, stride, pads, dilation, strict=True)
    return [(size + sum(pad) - (k - 1) * d - 1) // step + 1 for size, k, step, pad, d in axes]


def taps(sizes, kernel, stride, padding, dilation, mode):
    """Every (output pixel, tap, source pixel) of a convolution; the source is None for a zero of the padding."""
    axes = len(sizes)
    stride, dilation = each(stride, axes), each(dilation, axes)
    outputs = output_sizes(sizes, kernel, stride, padding, dilation)
    pads = resolve_padding(padding, sizes, kernel, stride, dilation)
    for place in itertools.product(*map(range, (*outputs, *kernel))):
        output, tap = place[:axes], place[axes:]
        steps = zip(output, tap, stride, dilation, pads, sizes, strict=True)
        source = tuple(source_index(i * s + a * d - before, size, mode) for i, a, s, d, (before, _), size in steps)
        yield output, tap, None if None in source else source


def channels_first(x, layout):
    """A float64 copy of an image batch, channels first."""
    x = np.array(x, np.float64)
    return np.moveaxis(x, -1, 1) if layout == "channels_last" else x


def in_layout(x, layout):
    """A channels-first image batch in the asked layout."""
    return np.moveaxis(x, 1, -1) if layout == "channels_last" else x


def grouped(x, groups):
    """The channels, axis 1, split in groups."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def grouped_weight(w, groups):
    """The output channels split in groups: (groups, k/groups, c/groups, r, s)."""
    w = np.array(w, np.float64)
    return w.reshape(groups, -1, *w.shape[1:])


def conv(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, *, padding_mode="zeros",
           layout="channels_first", activation=None, residual=None):  # fmt: skip
    """A convolution along any number of axes, of float64 copies of the operands."""
    if x.ndim < w.ndim:
        one = conv(x[None], w, bias, stride, padding, dilation, groups, padding_mode=padding_mode, layout=layout,
                     activation=activation, residual=None if residual is None else residual[None])  # fmt: skip
        return one[0]
    x, kernel = channels_first(x, layout), w.shape[2:]
    n, _, *sizes = x.shape
    k = w.shape[0]
    y = grouped(np.zeros((n, k, *output_sizes(sizes, kernel, stride, padding, dilation))), groups)
    x, w = grouped(x, groups), grouped_weight(w, groups)
    nothing = np.zeros(x.shape[:3])
    with np.errstate(all="ignore"):
        for output, tap, source in taps(sizes, kernel, stride, padding, dilation, padding_mode):
            pixel = nothing if source is None else x[(..., *source)]
            y[(..., *output)] += (pixel[:, :, None, :] * w[(..., *tap)]).sum(axis=3)
    y = y.reshape(n, k, *y.shape[3:])
    if bias is not None:
        y += np.asarray(bias, np.float64).reshape(1, -1, *[1] * len(sizes))
    y = in_layout(y, layout)
    if residual is not None:
        y = y + np.asarray(residual, np.float64)
    return activate(y, activation)


def input_grad(dy, w, input_shape, stride=1, padding=0, dilation=1, groups=1, *, padding_mode="zeros",
                      layout="channels_first"):  # fmt: skip
    """Each product of the convolution gives dy * w to its source pixel."""
    if dy.ndim < w.ndim:
        return input_grad(dy[None], w, (1, *input_shape), stride, padding, dilation, groups,
                                 padding_mode=padding_mode, layout=layout)[0]  # fmt: skip
    dx = channels_first(np.zeros(input_shape), layout)
    n, c, *sizes = dx.shape
    kernel = w.shape[2:]
    dy, w, dx = grouped(channels_first(dy, layout), groups), grouped_weight(w, groups), grouped(dx, groups)
    with np.errstate(all="ignore"):
        for output, tap, source in taps(sizes, kernel, stride, padding, dilation, padding_mode):
            if source is not None:
                dx[(..., *source)] += (dy[(..., *output)][..., None] * w[(..., *tap)]).sum(axis=2)
    return in_layout(dx.reshape(n, c, *sizes), layout)


def weight_grad(dy, x, weight_shape, stride=1, padding=0, dilation=1, groups=1, *, padding_mode="zeros",
                       layout="channels_first"):  # fmt: skip
    """Each product of the convolution gives dy * x to its tap, a zero of the padding included."""
    if dy.ndim < len(weight_shape):
        dy, x = dy[None], x[None]
    x, dy = channels_first(x, layout), grouped(channels_first(dy, layout), groups)
    sizes, kernel = x.shape[2:], weight_shape[2:]
    x, dw = grouped(x, groups), grouped_weight(np.zeros(weight_shape), groups)
    nothing = np.zeros(x.shape[:3])
    with np.errstate(all="ignore"):
        for output, tap, source in taps(sizes, kernel, stride, padding, dilation, padding_mode):
            pixel = nothing if source is None else x[(..., *source)]
            dw[(..., *tap)] += (dy[(..., *output)][..., None] * pixel[:, :, None, :]).sum(axis=0)
    return dw.reshape(weight_shape)


def bias_grad(dy, layout="channels_first", axes=2):
    """Each output pixel gives dy to its channel's bias."""
    dy = channels_first(dy if dy.ndim == axes + 2 else dy[None], layout)
    with np.errstate(all="ignore"):
        return np.moveaxis(dy, 1, 0).reshape(dy.shape[1], -1).sum(axis=1)


conv2d, conv2d_input_grad, conv2d_weight_grad, conv2d_bias_grad = conv, input_grad, weight_grad, bias_grad
