"""The kernels of pools of small windows against NumPy, on every instruction set this CPU can run."""

import itertools
import sys

import numpy as np
import pytest
from kernels import call
from poolmodel import Model
from test_pool_kernels import needs_guard, some, word_of

from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import parse
from fastconv.microkernels.poolpass import BEFORE

if sys.platform.startswith("linux"):
    from guard import guarded


@needs_guard
@pytest.mark.parametrize("name", some("poolpass", 331))
def test_poolpass(rng, name):
    """Nothing is read or written beyond the arrays, which end where a page does."""
    model, (rows, taps, stride) = Model(name, rng), (word_of(name, kind) for kind in "rts")
    words, item, first, step = parse(name).variants, model.stored.itemsize, 5, 1000
    before, least = next((p for p in BEFORE if f"p{p}" in words), 0), int("behind" in words)
    ns = 1, 2, model.lanes - 1, model.lanes, model.lanes + 1, 2 * model.lanes + 3
    for n, behind, (lines, gap) in itertools.product(ns, {least, max(least, taps - 1)}, ((3, 2), (7, 1), (2, 0))):
        behind = behind if least else 0
        width = (n - 1) * stride + taps - before - behind
        if width < 1:
            continue
        x = guarded(model.draw(lines * gap + rows - gap, width), True)
        fixed = np.stack([np.arange(rows) * width * item, np.arange(rows) * 50], 1).astype(np.int64)
        indexed = model.number is not None
        y, indices = guarded(np.full((lines, n), 77, model.stored), True), guarded(np.full((lines, n), -7), True)
        call(microkernel(name), x, fixed, lines, gap * width * item, y, n * item, n, np.array([3, 1 / 3], model.held),
             indices if indexed else 0, 8 * n, first, step, width)  # fmt: skip
        expected, found = np.empty((lines, n)), np.full((lines, n), -7)
        for i, j in np.ndindex(lines, n):
            column = j * stride - before
            window = x[i * gap : i * gap + rows, max(0, column) : column + taps].ravel()
            numbers = np.arange(rows)[:, None] * 50 + np.arange(taps) + first + i * step + column
            numbers = numbers[:, max(0, -column) : max(0, -column) + window.size // rows].ravel()
            value, number = model.reduced(model.loaded(window, window), numbers if indexed else None)
            expected[i, j] = model.finished(value, 3, 1 / 3, 0)
            found[i, j] = number if indexed else -7
        model.agree(y, expected)
        np.testing.assert_array_equal(indices, found)


@needs_guard
@pytest.mark.parametrize("name", some("poolpair", 7))
def test_poolpair(rng, name):
    """Each image of a pair is what `poolpass` makes of it; nothing is read or written beyond the arrays."""
    model, (rows, taps, stride) = Model(name, rng), (word_of(name, kind) for kind in "rts")
    lines, gap, first, step, item = 3, 2, 5, 1000, model.stored.itemsize
    single = microkernel(name.replace("poolpair", "poolpass"))
    for n in range(1, model.lanes // 2 + 1):
        width = (n - 1) * stride + taps
        if width > model.lanes:
            continue
        x = guarded(model.draw(2, lines * gap + rows - gap, width), True)
        fixed = np.stack([np.arange(rows) * width * item, np.arange(rows) * 50], 1).astype(np.int64)
        indexed, factors = model.number is not None, np.array([3, 1 / 3], model.held)
        for apart in (1, 0):  # two images, or one twice
            y, indices = (
                guarded(np.full((2, lines, n), 77, model.stored), True),
                guarded(np.full((2, lines, n), -7), True),
            )
            expected, numbers = y.copy(), indices.copy()
            call(microkernel(name), x, fixed, lines, gap * width * item, y, n * item, n, factors,
                 indices if indexed else 0, 8 * n, first, step, width, apart * x.strides[0], apart * y.strides[0],
                 apart * indices.strides[0])  # fmt: skip
            for i in range(1 + apart):
                call(single, x[i], fixed, lines, gap * width * item, expected[i], n * item, n, factors,
                     numbers[i] if indexed else 0, 8 * n, first, step, width)  # fmt: skip
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(indices, numbers)


@needs_guard
@pytest.mark.parametrize("name", some("poolsweep", 23))
def test_poolsweep(rng, name):
    """Nothing is read or written beyond the arrays, which end or begin where a page does."""
    model, (rows, taps) = Model(name, rng), (word_of(name, kind) for kind in "rt")
    item, far = model.stored.itemsize, 64
    for n, before, behind in itertools.product((1, 2, model.lanes - 1, model.lanes, 2 * model.lanes + 3),
                                               {0, taps // 2, taps - 1}, {0, taps - 1}):  # fmt: skip
        columns, above, size = n + taps - 1 - before - behind, rows // 2, 4
        lines = size + 2 * above - rows + 1
        if columns < 1:
            continue
        for end in (False, True):
            x = guarded(model.draw(size, columns), end)
            y = guarded(np.full((lines, n), 77, model.stored), end)
            factors = np.array([[3.0] * far, [1 / 3] * far], model.held)
            divisors = np.full(lines, factors.ctypes.data, np.int64)
            call(microkernel(name), x, columns * item, -above, size, lines, y, n * item, n, columns, before, divisors,
                 far * factors.itemsize)  # fmt: skip
            expected = np.empty((lines, n))
            for i, j in np.ndindex(lines, n):
                window = x[max(0, i - above) : i - above + rows, max(0, j - before) : max(0, j - before + taps)].ravel()
                value, _ = model.reduced(model.loaded(window, window), None)
                expected[i, j] = model.finished(value, 3, 1 / 3, 0)
            model.agree(y, expected)


@needs_guard
@pytest.mark.parametrize("name", some("poolslide", 3))
def test_poolslide(rng, name):
    """Nothing is read or written beyond the arrays, which end where a page does."""
    model, rows, item = Model(name, rng), word_of(name, "r"), Model(name, rng).stored.itemsize
    for n in (1, model.lanes, 5 * model.lanes - 1):
        for size, first, cells in ((9, -1, 9), (9, 0, 7), (1, -1, 1), (2, -2, 4)):
            x = guarded(model.draw(rows, size, n), True)
            fixed = np.stack([np.arange(rows) * x.strides[0], np.zeros(rows)], 1).astype(np.int64)
            y, factors = guarded(np.full((cells, n), 77, model.stored), True), np.tile([3, 1 / 3], (cells, 1))
            call(microkernel(name), x, fixed, n * item, size, first, cells, y, n * item, n,
                 np.ascontiguousarray(factors, model.held))  # fmt: skip
            expected = np.empty((cells, n))
            for i, c in np.ndindex(cells, n):
                window = x[:, max(0, first + i) : first + i + 3, c].ravel()
                value, _ = model.reduced(model.loaded(window, window), None)
                expected[i, c] = model.finished(value, 3, 1 / 3, 0)
            model.agree(y, expected)
