"""The oracle: convolution from its definition, in float64, never fast and never clever. Tests only."""

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
        return [(0, 0)] * 2
    if isinstance(padding, str):
        pairs = []
        for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
            out = -(-size // s)
            total = max(0, (out - 1) * s + (k - 1) * d + 1 - size)
            small, large = total // 2, total - total // 2
            pairs.append((large, small) if padding == "same_lower" else (small, large))
        return pairs
    if isinstance(padding, int):
        return [(padding, padding)] * 2
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


def conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, *, padding_mode="zeros",
           layout="channels_first", activation=None, residual=None):  # fmt: skip
    """conv2d of float64 copies of the operands."""
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    if x.ndim == 3:
        one = conv2d(x[None], w, bias, stride, padding, dilation, groups, padding_mode=padding_mode, layout=layout,
                     activation=activation, residual=None if residual is None else residual[None])  # fmt: skip
        return one[0]
    if layout == "channels_last":
        x = x.transpose(0, 3, 1, 2)
    stride, dilation = ((v, v) if isinstance(v, int) else tuple(v) for v in (stride, dilation))
    n, c, height, width = x.shape
    k, per_group, r, s = w.shape
    (top, bottom), (left, right) = resolve_padding(padding, (height, width), (r, s), stride, dilation)
    oh = (height + top + bottom - (r - 1) * dilation[0] - 1) // stride[0] + 1
    ow = (width + left + right - (s - 1) * dilation[1] - 1) // stride[1] + 1
    y = np.zeros((n, k, oh, ow))
    with np.errstate(all="ignore"):
        for i in range(oh):
            for j in range(ow):
                for a in range(r):
                    for b in range(s):
                        h = source_index(i * stride[0] + a * dilation[0] - top, height, padding_mode)
                        v = source_index(j * stride[1] + b * dilation[1] - left, width, padding_mode)
                        pixel = np.zeros((n, c)) if h is None or v is None else x[:, :, h, v]
                        for g in range(groups):
                            inputs = slice(g * per_group, (g + 1) * per_group)
                            outputs = slice(g * (k // groups), (g + 1) * (k // groups))
                            products = pixel[:, None, inputs] * w[None, outputs, :, a, b]
                            y[:, outputs, i, j] += products.sum(axis=2)
    if bias is not None:
        y += np.asarray(bias, np.float64)[None, :, None, None]
    if layout == "channels_last":
        y = y.transpose(0, 2, 3, 1)
    if residual is not None:
        y = y + np.asarray(residual, np.float64)
    return activate(y, activation)
