"""The kernels that go through all channels of a row, against NumPy, on every instruction set this CPU can run."""

import numpy as np
import pytest
from kernels import call
from test_depthwise_grad_kernels import FAR, all_of, kind_of, small
from test_microkernels import ISAS, aligned

from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import parse


def window_of(name):
    """Rows and columns of the kernel, and the stride."""
    size, stride = parse(name).variants[0].split("s")
    return *map(int, size.split("x")), int(stride)


def packed(w, lanes):
    """Weights [tap][channel] as [vector][tap][lane], the last vector as it overlaps the one before."""
    taps, channels = w.shape
    firsts = [min(first, channels - lanes) for first in range(0, channels, lanes)]
    to = aligned((len(firsts), taps, lanes), w.dtype)
    for vector, first in enumerate(firsts):
        to[vector] = w[:, first : first + lanes]
    return to


def rows_of(x, first, count, no_pixel):
    """Where rows first.. lie and how far apart their pixels are; outside there is one pixel of zeros."""
    return np.array(
        [(x[h].ctypes.data, x.strides[1]) if 0 <= h < len(x) else (no_pixel.ctypes.data, 0)
         for h in range(first, first + count)], np.int64
    )  # fmt: skip


@pytest.mark.parametrize("name", all_of("depthrows", ISAS))
def test_depthrows(rng, name):
    (r, s, stride), kind, lanes, pixels = window_of(name), kind_of(name), parse(name).lanes, parse(name).rows
    for extra, left, channels in ((0, 0, lanes), (3, 2, lanes + 3), (2 * pixels, s - 1, 2 * lanes)):
        run = pixels + extra
        width = max(1, (run - 1) * stride + s - left - 1)
        x, w, no_pixel = (
            small(rng, (r, width, channels), kind),
            small(rng, (r * s, channels), kind),
            np.zeros(channels, kind),
        )
        bias, residual = small(rng, channels, kind), small(rng, (run, channels), kind)
        y = np.full((run + 1, channels), 7, kind)
        for first in (-1, 0):
            rows = rows_of(x, first, r, no_pixel)
            call(microkernel(name), rows, left, width, no_pixel, packed(w, lanes), y, y.strides[0], bias, residual, 0,
                 run, channels, FAR, FAR)  # fmt: skip
            padded = np.zeros((r, left + width + s, channels), kind)
            padded[-first:, left : left + width] = x[: r + first]
            want = bias + residual
            for i in range(r):
                for j in range(s):
                    want = want + w[i * s + j] * padded[i, j : j + (run - 1) * stride + 1 : stride]
            np.testing.assert_array_equal(y[:run], want)
            assert (y[run] == 7).all()


@pytest.mark.parametrize("name", all_of("depthrowsinput", ISAS))
def test_depthrowsinput(rng, name):
    (r, s, _), kind, lanes, pairs = window_of(name), kind_of(name), parse(name).lanes, parse(name).rows
    kernel_rows = range(parse(name).variants[1] == "odd", r, 2)
    for extra, left, beyond, channels in ((0, 0, 0, lanes), (3, 1, 1, lanes + 3), (2 * pairs, s - 1, 0, 2 * lanes)):
        dx_width = 2 * (pairs + extra) - left % 2 - beyond
        width = max(1, (dx_width + left - s) // 2 + 1)
        dy, w, no_pixel = (
            small(rng, (r, width, channels), kind),
            small(rng, (r * s, channels), kind),
            np.zeros(channels, kind),
        )
        guarded = np.full((dx_width + 2, channels), 7, kind)
        dx = guarded[1:-1]
        rows = rows_of(dy, 1 - len(kernel_rows) // 2, len(kernel_rows), no_pixel)
        call(microkernel(name), rows, left, width, no_pixel, packed(w, lanes), dx, dx.strides[0], dx_width, channels,
             FAR, FAR)  # fmt: skip
        padded = np.zeros((left + dx_width + 2 * width + s, channels), kind)
        for at, i in enumerate(kernel_rows):
            row = 1 - len(kernel_rows) // 2 + at
            if not 0 <= row < r:
                continue
            for j in range(s):
                padded[j : j + 2 * width - 1 : 2] += w[i * s + j] * dy[row]
        np.testing.assert_array_equal(dx, padded[left : left + dx_width])
        assert (guarded[[0, -1]] == 7).all()
