"""What unfold, unpooling and adaptive pools compute, by loops over their definitions in float64."""

import itertools
import math

import numpy as np


def spread(value, count):
    """One number for every axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


def unfold(x, kernel, dilation=1, padding=0, stride=1):
    """Columns of an (N, C, *spatial) array."""
    axes = x.ndim - 2
    kernel, dilation, padding, stride = (spread(value, axes) for value in (kernel, dilation, padding, stride))
    counts = [
        len(range(0, size + 2 * p - d * (k - 1), s))
        for size, k, d, p, s in zip(x.shape[2:], kernel, dilation, padding, stride, strict=True)
    ]
    y = np.zeros((*x.shape[:2], *kernel, *counts), x.dtype)
    for tap in itertools.product(*map(range, kernel)):
        for window in itertools.product(*map(range, counts)):
            at = [w * s + t * d - p for w, s, t, d, p in zip(window, stride, tap, dilation, padding, strict=True)]
            if all(0 <= a < size for a, size in zip(at, x.shape[2:], strict=True)):
                y[(slice(None), slice(None), *tap, *window)] = x[(slice(None), slice(None), *at)]
    return y.reshape(x.shape[0], -1, math.prod(counts))


def fold(cols, sizes, kernel, *options):
    """The image whose windows are these columns, added up: every element of them is traced to its place."""
    c = cols.shape[1] // math.prod(spread(kernel, len(sizes)))
    places = np.arange(1, c * math.prod(sizes) + 1, dtype=np.float64).reshape(1, c, *sizes)
    where = unfold(places, kernel, *options)[0].astype(np.int64)
    y = np.zeros((len(cols), c * math.prod(sizes) + 1))
    for n in range(len(cols)):
        np.add.at(y[n], where.ravel(), cols[n].astype(np.float64).ravel())
    return y[:, 1:].reshape(len(cols), c, *sizes)


def unpool(x, indices, sizes):
    """Elements one after another."""
    y = np.zeros((*x.shape[:2], math.prod(sizes)), x.dtype)
    for n, c in np.ndindex(*x.shape[:2]):
        for value, place in zip(x[n, c].ravel(), indices[n, c].ravel(), strict=True):
            y[n, c, place] = value
    return y.reshape(*x.shape[:2], *sizes)


def look_up(dy, indices):
    """The gradient of every element's place."""
    n, c = dy.shape[:2]
    return np.take_along_axis(dy.reshape(n, c, -1), indices.reshape(n, c, -1), 2).reshape(indices.shape)


def divisions(sizes, outs):
    """(output, its part as slices) of every part."""
    for out in np.ndindex(*outs):
        yield (
            out,
            tuple(
                slice(o * size // count, math.ceil((o + 1) * size / count))
                for o, size, count in zip(out, sizes, outs, strict=True)
            ),
        )


def adaptive_avg(x, outs):
    y = np.zeros((*x.shape[:2], *outs))
    for out, part in divisions(x.shape[2:], outs):
        piece = x[(slice(None), slice(None), *part)].astype(np.float64)
        y[(..., *out)] = piece.reshape(*x.shape[:2], -1).sum(-1) / math.prod(piece.shape[2:])
    return y


def adaptive_max(x, outs):
    """(values, indices): the first of equals, or any NaN, whose index is then -1."""
    sizes = x.shape[2:]
    numbers = np.arange(math.prod(sizes)).reshape(sizes)
    y = np.zeros((*x.shape[:2], *outs), x.dtype)
    indices = np.zeros(y.shape, np.int64)
    for out, part in divisions(sizes, outs):
        piece = x[(slice(None), slice(None), *part)].reshape(*x.shape[:2], -1)
        nan = (piece != piece).any(-1)
        first = np.where(nan, (piece != piece).argmax(-1), piece.astype(np.float64).argmax(-1))
        y[(..., *out)] = np.take_along_axis(piece, first[..., None], -1)[..., 0]
        indices[(..., *out)] = np.where(nan, -1, numbers[part].ravel()[first])
    return y, indices


def adaptive_avg_gradient(dy, sizes):
    dx = np.zeros((*dy.shape[:2], *sizes))
    for out, part in divisions(sizes, dy.shape[2:]):
        share = dy[(..., *out)].astype(np.float64) / math.prod(s.stop - s.start for s in part)
        dx[(slice(None), slice(None), *part)] += share.reshape(*dy.shape[:2], *(1,) * len(sizes))
    return dx
