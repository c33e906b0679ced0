"""The kernels of pools' gradients against NumPy, on every instruction set this CPU can run."""

import itertools
import sys

import numpy as np
import pytest
from kernels import call
from poolmodel import KINDS, Model
from pools import assert_close
from test_pool_kernels import needs_guard, some, word_of

from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import parse
from fastconv.microkernels.poolscatter import AT_ONCE, TOGETHER
from fastconv.microkernels.poolspot import SIDE

if sys.platform.startswith("linux"):
    from guard import guarded


@needs_guard
@pytest.mark.parametrize("name", some("poolapart"))
def test_poolapart(rng, name):
    model, times = Model(name, rng), word_of(name, "t")
    item, ns = model.stored.itemsize, (1, 2, model.lanes - 1, model.lanes, 2 * model.lanes + 1)
    for n, rest, lines in itertools.product(ns, (0, 1, model.lanes + 1), (3, model.lanes + 2)):
        width = n * times + rest
        x, y = guarded(model.draw(lines, n, kind=model.stored), True), guarded(np.full((2 * lines, width), 77,
                                                                                      model.stored), True)  # fmt: skip
        fixed = np.array([[0, 0], [width * item, 0]], np.int64)
        call(microkernel(name), x, n * item, lines, n, fixed, 2, y, 2 * width * item, rest,
             np.array([3, 1 / 3], model.held))  # fmt: skip
        expected = np.zeros((2 * lines, width))
        expected[:, : n * times] = np.repeat(np.repeat(x.astype(np.float64) / 3, 2, 0), times, 1)
        assert_close(y, expected, name)


@needs_guard
@pytest.mark.parametrize("name", some("poolchoose"))
def test_poolchoose(rng, name):
    """Indices outside their windows are told of, and nothing is written beyond y."""
    kind, lanes = KINDS[parse(name).source], parse(name).lanes
    ns = 1, 2, lanes - 1, lanes, 2 * lanes + 1
    for n, odd, planes, (lines, rest) in itertools.product(ns, (0, 1), (1, 3), ((3, 0), (3, 2), (lanes + 2, 0))):
        width, wrong = 2 * n + odd, np.zeros(1, np.int64)
        plane, rows = (2 * lines + rest) * width, (planes, lines, n)
        corners = 2 * np.arange(lines)[:, None] * width + 2 * np.arange(n)
        index = corners + rng.integers(0, 2, rows) * width + rng.integers(0, 2, rows)
        x, index = guarded(rng.integers(1, 9, rows).astype(kind), True), guarded(index, True)
        y = guarded(np.full(planes * plane - rest * width, 77, kind), True)
        call(microkernel(name), x, index, planes, lines, n, y, plane, width, wrong)
        expected = np.zeros((planes, plane))
        for p in range(planes):
            expected[p, index[p].ravel()] = x[p].ravel()
            # What lies behind a plane's last line, and is not looked at, may be written to.
            found = y[p * plane : p * plane + 2 * lines * width]
            np.testing.assert_array_equal(found.astype(np.float64), expected[p, : 2 * lines * width])
        assert not wrong[0]
        for stray in {-1, 2, width - 1, width + 2, 2**40} - {0, 1, width, width + 1}:
            there = index.copy()
            there[-1, -1, -1] = corners[-1, -1] + stray
            wrong[0] = 0
            call(microkernel(name), x, there, planes, lines, n, y, plane, width, wrong)
            assert wrong[0]


@needs_guard
@pytest.mark.parametrize("name", some("poolspot"))
def test_poolspot(rng, name):
    """Windows may leave the plane, and the band of rows that is added to; indices outside them are told of."""
    kind, lanes, wrong = KINDS[parse(name).dtype], parse(name).lanes, np.zeros(1, np.int64)
    for n, step, (height, top, end, row) in itertools.product(
        (1, lanes, 2 * lanes + 1), (1, 2, 3), ((5, 0, 5, 1), (4, 0, 4, -1), (4, 0, 4, 2), (6, 2, 4, 0), (6, 3, 5, 2))
    ):
        columns, column = 4, -1
        width = (columns - 1) * step + 2
        corners = np.stack(np.broadcast_arrays(row, np.arange(columns) * step + column), -1)[:, None]
        places = corners + rng.integers(0, SIDE, (columns, n, 2))
        inside = (places >= 0).all(-1) & (places < [height, width]).all(-1)
        index = guarded(np.where(inside, places[..., 0] * width + places[..., 1], -1), True)
        x = guarded(rng.integers(1, 9, (columns, n)).astype(kind), True)
        y = guarded(np.ones((end - top, width, n), kind), True)
        expected = np.ones((height, width, n))
        for (j, c), there in np.ndenumerate(inside):
            if there:
                expected[places[j, c, 0], places[j, c, 1], c] += x[j, c]
        arguments = columns, n, y, width, height, top, end, row, column, step, wrong
        call(microkernel(name), x, index, *arguments)
        np.testing.assert_array_equal(y.astype(np.float64), expected[top:end])
        assert not wrong[0]
        for stray in (-2, -(2**31), 2**32 - 1, 2**40, (top + 1) * width + column + SIDE + 1, height * width):
            index[0, -1] = stray
            call(microkernel(name), x, index, *arguments)
            assert wrong[0], stray
            wrong[0] = 0


@pytest.mark.parametrize("name", some("poolscatter"))
def test_poolscatter(rng, name):
    """Of the positions that there may be, some are added to; any other leaves the flag, but -1."""
    model = Model(name, rng)
    n = 8 if not parse(name).variants else 2 * model.lanes + 3  # vectors and a part of one
    cells, channels, first, count, low, span, wrong = 5, n + 1, 3, 5, 2, 9, np.zeros(1, np.int64)
    x, item = model.draw(cells, channels, kind=model.stored), model.held.itemsize
    index = rng.integers(low - 1, low + span, (cells, channels))
    index[index < low] = -1
    index[:, n:] = 99  # which are not looked at
    y = np.ones((count, n + 1), model.held)
    places = first, count, y, y.strides[0], item, 0, low, span, wrong
    call(microkernel(name), x, index, cells, n, channels, *places)
    expected = np.ones((count, n + 1))
    for (cell, i), place in np.ndenumerate(index[:, :n] - first):
        if 0 <= place < count:
            expected[place, i] += float(x[cell, i])
    np.testing.assert_array_equal(y, expected)
    assert not wrong[0]
    for bad in (-2, 0, low - 1, low + span, 2**40):
        call(microkernel(name), x, np.full(1, bad), 1, 1, 1, *places)
        assert wrong[0]
        wrong[0] = 0


@needs_guard
@pytest.mark.parametrize("name", [name for name in some("poolscatter") if not parse(name).variants])
@pytest.mark.parametrize("n", [1, AT_ONCE - 1, AT_ONCE, 3 * AT_ONCE + 2])
def test_poolscatter_planes(rng, name, n):
    """Several planes, a cell each: elements of one place are added in their order, and a bad index is met anywhere."""
    model = Model(name, rng)
    cells, first, count, span, wrong = TOGETHER + 1, 2, 4, 7, np.zeros(1, np.int64)
    x = guarded(model.draw(cells, n, kind=model.stored), True)
    index = rng.integers(first, first + count, (cells, n))
    index[1] = rng.integers(-1, span, n)  # others' positions, and none
    index = guarded(index, True)
    y = guarded(np.full((cells, count), 1e4, model.held), True)
    places = first, count, y, y.itemsize, 0, y.strides[0], 0, span, wrong
    call(microkernel(name), x, index, cells, n, n, *places)
    expected = np.full(y.shape, 1e4, model.held)
    for (cell, i), place in np.ndenumerate(index - first):
        if 0 <= place < count:
            expected[cell, place] += model.held.type(x[cell, i])
    np.testing.assert_array_equal(y, expected)
    assert not wrong[0]
    for at in np.ndindex(index.shape):
        there = index.copy()
        there[at] = span
        call(microkernel(name), x, there, cells, n, n, *places)
        assert wrong[0]
        wrong[0] = 0


@needs_guard
@pytest.mark.parametrize("name", some("poolselect"))
def test_poolselect(rng, name):
    """Indices outside their windows are told of, and nothing is written beyond y."""
    kind, lanes, rows, columns, origin = KINDS[parse(name).source], parse(name).lanes, 3, 4, 16
    for n, odd in itertools.product((1, lanes - 1, lanes, 2 * lanes + 1), (0, 1)):
        width, wrong = 2 * columns + odd, np.zeros(1, np.int64)
        corners = (2 * np.arange(rows)[:, None] * width + 2 * np.arange(columns))[..., None] + origin
        index = corners + rng.integers(0, 2, (rows, columns, n)) * width + rng.integers(0, 2, (rows, columns, n))
        x, index = guarded(rng.integers(1, 9, index.shape).astype(kind), True), guarded(index, True)
        x[0, 0, 0] = -0.0
        y = np.full((2 * rows * width, n), 77, kind)
        inside = guarded(y[: len(y) - odd], True)  # the last pixel of a row of odd width is in no window
        call(microkernel(name), x, index, rows, columns, n, origin, inside, width, wrong)
        expected = np.zeros(y.shape)
        expected.reshape(2 * rows, width, n)[:, 2 * columns :] = 77
        np.put_along_axis(expected, index.reshape(-1, n) - origin, x.reshape(-1, n).astype(np.float64), 0)
        np.testing.assert_array_equal(inside.astype(np.float64), expected[: len(inside)])
        assert not np.signbit(inside.astype(np.float64)).any()
        assert not wrong[0]
        for stray in {-1, 2, width - 1, width + 2, 2**40} - {0, 1, width, width + 1}:
            there = index.copy()
            there[-1, -1, -1] = corners[-1, -1, 0] + stray
            wrong[0] = 0
            call(microkernel(name), x, there, rows, columns, n, origin, inside, width, wrong)
            assert wrong[0]


@needs_guard
@pytest.mark.parametrize("name", some("poolzero"))
def test_poolzero(rng, name):
    kind, lanes = KINDS[parse(name).source], parse(name).lanes
    for n in (0, 1, lanes - 1, lanes, 2 * lanes + 1):
        y = guarded(np.full((3, n + 2), 77, kind), True)
        call(microkernel(name), y, 3, y.strides[0], n)
        assert not y[:, :n].any()
        assert (y[:, n:] == 77).all()
        whole = guarded(np.full((3, max(n, 1)), 77, kind), True)
        call(microkernel(name), whole, 1, 0, whole.size)
        assert not whole.any()
