"""The kernels of depthwise gradients against NumPy, on every instruction set this CPU can run."""

import numpy as np
import pytest
from kernels import call
from test_microkernels import ISAS, aligned

from fastconv.microkernels.inventory import OPERANDS, microkernel, names
from fastconv.microkernels.names import parse
from fastconv.target import Target

MASKED = [isa for isa in ISAS if isa in ("avx512", "avx2")]


def all_of(op, isas):
    """The inventory's kernels of one operation."""
    return [name for isa in isas for name in names(Target(isa)) if name.startswith(op + "_")]


def small(rng, shape, kind):
    """Small integers."""
    return rng.integers(-3, 4, shape).astype(kind)


FAR = 1 << 40  # bytes ahead that there are none of: asking for them is no access


def kind_of(name):
    """The type that a kernel computes in."""
    return np.dtype(parse(name).dtype.replace("f", "float"))


def window_of(name):
    """Kernel size and stride of a stencil."""
    size, stride = parse(name).variants[-1].split("s")
    return int(size.split("x")[0]), int(stride)


def test_operands_are_known():
    assert {"depthweight", "stencilweight", "stencilinput"} <= set(OPERANDS)


@pytest.mark.parametrize("name", all_of("depthweight", ISAS))
def test_depthweight(rng, name):
    taps, lanes, kind = parse(name).rows, parse(name).lanes, kind_of(name)
    item, (runs, run) = kind.itemsize, (3, 5)
    x = aligned((40, lanes), kind)
    x[...] = small(rng, x.shape, kind)
    dy, sums = small(rng, (runs, run + 1, lanes), kind), aligned((taps + 1, lanes), kind)
    sums[...] = before = small(rng, sums.shape, kind)
    table = rng.integers(0, 10, taps)
    call(microkernel(name), dy, dy.strides[0], dy.strides[1], x, 9 * lanes * item, 2 * lanes * item,
         table * lanes * item, sums, runs, run)  # fmt: skip
    for t in range(taps):
        at = 9 * np.arange(runs)[:, None] + 2 * np.arange(run) + table[t]
        np.testing.assert_array_equal(sums[t], before[t] + (dy[:, :run] * x[at]).sum((0, 1)))
    np.testing.assert_array_equal(sums[taps], before[taps])


@pytest.mark.parametrize("name", all_of("stencilweight", MASKED))
def test_stencilweight(rng, name):
    (size, stride), kind, lanes = window_of(name), kind_of(name), parse(name).lanes
    item, no_row = kind.itemsize, np.zeros(1024, np.uint8)
    for run in (1, lanes - 1, lanes, 2 * lanes + 3):
        runs, top, left = -(-size // stride) + 2, size // 2, 1
        height, width = (runs - 1) * stride + size - top - 1, (run - 1) * stride + size - left - 1
        if width < 1:
            continue
        x, dy = small(rng, (2, height, width), kind), small(rng, (2, runs, run), kind)
        dw = np.full(size * size + 1, 7, kind)
        start = x.ctypes.data - (top * width + left) * item
        call(microkernel(name), 2, start, x.strides[0], FAR, x.strides[1], -top, height, left, width, no_row, dy,
             dy.strides[0], FAR, dy.strides[1], run, runs, dw)  # fmt: skip
        padded = np.pad(x, ((0, 0), (top, 1), (left, 1)))
        for r in range(size):
            for s in range(size):
                part = padded[:, r : r + (runs - 1) * stride + 1 : stride, s : s + (run - 1) * stride + 1 : stride]
                assert dw[r * size + s] == (part * dy).sum()
        assert dw[-1] == 7


@pytest.mark.parametrize("name", all_of("stencilinput", MASKED))
def test_stencilinput(rng, name):
    (size, _), kind, lanes = window_of(name), kind_of(name), parse(name).lanes
    item, no_row, planes, top = kind.itemsize, np.zeros(1024, np.uint8), 2, 1
    for left, columns in ((0, 1), (1, lanes), (3, 2 * lanes + 1)):
        rows = 4
        height, width = 2 * rows + size - 2 - top, 2 * columns + size - 2 - left
        if width < 1:
            continue
        dy, w = small(rng, (planes, rows, columns), kind), small(rng, (planes, size, size), kind)
        dx = np.full((planes, height, width), np.nan, kind)
        call(microkernel(name), planes, dy, dy.strides[0], dy.strides[1], 0, rows, columns, no_row, w,
             dx.ctypes.data - (top * width + left) * item, dx.strides[0], dx.strides[1], -top, height, left, width,
             (height + top + 1) // 2, FAR, FAR)  # fmt: skip
        padded = np.zeros((planes, top + height, left + width), kind)
        for r in range(size):
            for s in range(size):
                padded[:, r : r + 2 * rows - 1 : 2, s : s + 2 * columns - 1 : 2] += w[:, r, s, None, None] * dy
        np.testing.assert_array_equal(dx, padded[:, top:, left:])
