"""The kernels of pools by rows and parts, of unpooling and of `fold` against NumPy, on every instruction set here."""

import itertools
import sys

import numpy as np
import pytest
from kernels import call
from poolmodel import Model
from test_depthwise_grad_kernels import all_of
from test_microkernels import ISAS

from fastconv import workspace
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import parse
from fastconv.microkernels.poolglide import SPACE

needs_guard = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
if sys.platform.startswith("linux"):
    from guard import guarded


def some(op, every=1):
    """The inventory's kernels of an operation, or some of them that have all words among them."""
    return [name for isa in ISAS for name in all_of(op, [isa])[::every]]


def table(rng, count, most, places, item, indices):
    """Begins of `count` cells of up to `most` taps, and the taps."""
    begins = np.concatenate([[0], np.cumsum(rng.integers(0, most + 1, count))])
    taps = np.stack([rng.integers(0, places, begins[-1] + 1) * item, rng.integers(0, indices, begins[-1] + 1)], 1)
    return begins.astype(np.int64), np.ascontiguousarray(taps, np.int64)


@pytest.mark.parametrize("name", some("pooltaps", 17))
def test_pooltaps(rng, name):
    model = Model(name, rng)
    item, cells, column = model.source.itemsize, 3, 5
    for n in (1, model.lanes, 3 * model.lanes + 1, 9 * model.lanes - 1):
        x, z = (model.draw(n + 40) for _ in range(2))
        more = model.draw(cells, n + 3, kind=model.result)
        (_, fixed), (begins, varying) = table(rng, 1, 3, 20, item, 9), table(rng, cells, 3, 20, item, 9)
        weights, factors = model.draw(n + 40, kind=model.held), np.array([[3, 1 / 3]] * cells, model.held)
        y, indices = model.out(cells, n)
        if indices is not None:  # whose taps come in the order of their positions
            fixed[:, 1], varying[:, 1] = 20 * np.arange(len(fixed)), np.arange(len(varying))
        call(microkernel(name), x, fixed, len(fixed), begins, varying, cells, y, y.strides[0], n, factors, weights,
             model.exponents, z.ctypes.data - x.ctypes.data, more, 0 if indices is None else indices,
             0 if indices is None else indices.strides[0], column)  # fmt: skip
        across, expected, found = "across" in model.words, np.empty((cells, n)), np.empty((cells, n))
        for i, j in np.ndindex(cells, n):
            taps = [a + b for a in fixed for b in varying[begins[i] : begins[i + 1]]]
            at = [tap[0] // item + j for tap in taps]
            numbers = [tap[1] + (column + j) * across for tap in taps]
            by = weights[numbers] if taps and {"weights", "rowweights"} & set(model.words) else None
            value, found[i, j] = model.reduced(model.loaded(x[at], z[at]), numbers, by)
            expected[i, j] = model.finished(value, 3, 1 / 3, more[i, j])
        model.check(y, indices, expected, found)


def factor_lines(model, lines, n):
    """Divisors of lines and their reciprocals: the addresses of rows, the distance, the numbers."""
    numbers = np.ones((lines, 2, n + 64), model.held)
    numbers[:, 0, :n] = model.rng.integers(1, 9, (lines, n))
    numbers[:, 1] = 1 / numbers[:, 0]
    places = numbers.ctypes.data + np.arange(lines) * numbers.strides[0]
    return places.astype(np.int64), numbers.strides[1], numbers


@needs_guard
@pytest.mark.parametrize("name", some("poolrow", 37))
def test_poolrow(rng, name):
    """Also of lines that follow each other, of which nothing is written beyond the last."""
    model = Model(name, rng)
    item, step = model.held.itemsize, 2
    stride = next((int(w[1:]) for w in model.words if w in ("s1", "s2", "s3", "s4")), 5)
    taps = next((int(w[1:]) for w in model.words if w in ("t1", "t2", "t3")), 4)
    for n, lines in itertools.product((1, model.lanes - 1, model.lanes, 2 * model.lanes + 1), (3, model.lanes + 2)):
        x = model.draw(40 + (n + model.lanes) * stride)
        numbers = None if model.number is None else rng.integers(0, 99, x.size).astype(model.number)
        begins, varying = table(rng, lines, 2, 20, item, 9)
        weights, more = model.draw(40, kind=model.held), model.draw(lines, n + 3, kind=model.result)
        places, apart, factors = factor_lines(model, lines, n)
        y, indices = model.out(lines, n)
        none = model.number is None
        close, close_at = (
            guarded(np.full((lines, n), 77, model.result), True),
            None if none else np.full((lines, n), -7),
        )
        for to, index_to, beside in ((y, indices, more), (close, close_at, guarded(more[:, :n].copy(), True))):
            call(microkernel(name), x, begins, varying, lines, to, to.strides[0], n, taps, step * item, stride * item,
                 places, apart, weights, model.exponents, beside, 0 if none else numbers, 0 if none else index_to,
                 0 if none else index_to.strides[0])  # fmt: skip
        expected, found = np.empty((lines, n)), np.empty((lines, n))
        for i, j in np.ndindex(lines, n):
            pairs = [(tap, s) for tap in varying[begins[i] : begins[i + 1]] for s in range(taps)]
            at = [tap[0] // item + j * stride + s * step for tap, s in pairs]
            by = [weights[tap[1] + s] for tap, s in pairs] if "weights" in model.words else None
            value, found[i, j] = model.reduced(x[at].astype(float), None if none else numbers[at], by)
            expected[i, j] = model.finished(value, *factors[i, :, j], more[i, j])
        model.check(y, indices, expected, found)
        np.testing.assert_array_equal(close, y[:, :n])
        if not none:
            np.testing.assert_array_equal(close_at, indices[:, :n])


@pytest.mark.parametrize("name", some("poolspans", 11))
def test_poolspans(rng, name):
    model = Model(name, rng)
    item, lines, n = model.source.itemsize, 3, 4
    spans = np.array([[0, 1], [2, 4 * model.lanes], [1, 4 * model.lanes + 3], [5, 9 * model.lanes - 1]], np.int64)
    x = model.draw(60 + 10 * model.lanes)
    held = None if model.number is None else rng.integers(0, 99, x.size).astype(model.number)
    begins, varying = np.arange(lines + 1), np.stack([rng.integers(0, 20, lines + 1) * item, np.arange(lines + 1)], 1)
    places, apart, factors = factor_lines(model, lines, n)
    y, indices = model.out(lines, n)
    none = model.number is None
    call(microkernel(name), x, begins, np.ascontiguousarray(varying), lines, y, y.strides[0], n, 0, spans, 0, places,
         apart, 0, model.exponents, 0, 0 if none else held, 0 if none else indices,
         0 if none else indices.strides[0])  # fmt: skip
    expected, found = np.empty((lines, n)), np.empty((lines, n))
    for i, j in np.ndindex(lines, n):
        inside = np.arange(spans[j, 0], spans[j].sum())
        at = varying[i, 0] // item + inside
        numbers = inside if none or "held" not in model.words else held[at]
        value, found[i, j] = model.reduced(model.loaded(x[at], x[at]), numbers)
        expected[i, j] = model.finished(value, *factors[i, :, j], 0)
    model.check(y, indices, expected, found)


@pytest.mark.parametrize("name", some("poolpicks", 5))
def test_poolpicks(rng, name):
    model = Model(name, rng)
    item, lines, taps, size = model.held.itemsize, 3, 3, 25
    for n in (1, model.lanes, 2 * model.lanes + 1):
        x = model.draw(lines, size + 1)
        x[:, -1] = model.lowest if model.maximum else 0  # what taps that a window lacks read
        numbers = None if model.number is None else rng.integers(0, 99, x.shape).astype(model.number)
        if numbers is not None:
            numbers[:, -1] = -1
        pitch = -(-n // model.lanes) * model.lanes
        places = rng.integers(0, size + 1, (taps, pitch)).astype(np.int32)
        begins, varying = np.arange(lines + 1), np.stack([np.arange(lines + 1) * (size + 1) * item] * 2, 1)
        rows, apart, factors = factor_lines(model, lines, n)
        y, indices = model.out(lines, n)
        none = model.number is None
        call(microkernel(name), x, begins, np.ascontiguousarray(varying), lines, y, y.strides[0], n, taps, places,
             4 * pitch, rows, apart, 0, model.exponents, 0, 0 if none else numbers, 0 if none else indices,
             0 if none else indices.strides[0])  # fmt: skip
        expected, found = np.empty((lines, n)), np.empty((lines, n))
        for i, j in np.ndindex(lines, n):
            at = places[:, j]
            # -1 is the largest number without a sign.
            order = None if none else numbers[i, at].astype(int) % 1000
            value, number = model.reduced(x[i, at].astype(float), order)
            expected[i, j], found[i, j] = model.finished(value, *factors[i, :, j], 0), number if number < 999 else -1
        model.check(y, indices, expected, found)


@pytest.mark.parametrize("name", some("poolpixels", 11))
def test_poolpixels(rng, name):
    model = Model(name, rng)
    factors = np.array([3, 1 / 3], model.held)
    for n, pixels in ((1, 3), (model.lanes, 1), (5 * model.lanes + 1, 5), (3, 1030)):
        x = model.draw(pixels, n + 2)
        if "root" in model.words or "powerroot" in model.words:
            pixels = min(pixels, 100)  # float16 has no larger norms
        y, indices = model.out(n)
        call(microkernel(name), x, pixels, x.strides[0], n, y, factors, model.exponents,
             0 if indices is None else indices)  # fmt: skip
        windows = [model.reduced(model.loaded(x[:pixels, j], x[:pixels, j]), range(pixels)) for j in range(n)]
        model.check(y, indices, [model.finished(value, 3, 1 / 3, 0) for value, _ in windows], [i for _, i in windows])


@needs_guard
@pytest.mark.parametrize("name", some("poolplanes", 5))
def test_poolplanes(rng, name):
    model = Model(name, rng)
    factors, lanes = np.array([3, 1 / 3], model.held), model.lanes
    for planes, n in ((1, 3), (lanes, 1), (lanes + 1, lanes), (2 * lanes - 1, 4 * lanes + 3), (3, 9 * lanes + 1)):
        x = guarded(model.draw(planes, n), True)
        y, _ = model.out(planes)
        call(microkernel(name), x, x.strides[0], planes, n, y, factors, model.exponents)
        values = [model.reduced(model.loaded(plane, plane), None)[0] for plane in x]
        model.check(y, None, [model.finished(value, 3, 1 / 3, 0) for value in values], None)


@pytest.mark.parametrize("name", some("poolfill"))
def test_poolfill(rng, name):
    model = Model(name, rng)
    for lines, n in ((1, 1), (3, model.lanes), (2, 2 * model.lanes + 3)):
        x, y = model.draw(lines), np.full(lines * n + 3, 77, model.stored)
        call(microkernel(name), x, lines, n, y, np.array([3, 1 / 3], model.held))
        model.check(y, None, np.repeat(x.astype(float) / 3, n), None)


@pytest.mark.parametrize("name", some("poolrepeat"))
def test_poolrepeat(rng, name):
    model = Model(name, rng)
    pixels, first, plane, wrong = 4, 2, 9, np.zeros(1, np.int64)
    for n in (1, model.lanes, 5 * model.lanes - 1):
        x, index = model.draw(n), rng.integers(-1, plane, n)
        y = np.full((pixels, n + 3), 77, model.stored)
        call(microkernel(name), x, y, y.strides[0], n, first, pixels, np.array([3, 1 / 3], model.held), index, plane,
             wrong)  # fmt: skip
        here = index == np.arange(first, first + pixels)[:, None]
        wide = x.astype(float)
        model.check(y, None, np.where(here, wide, 0) if model.maximum else np.tile(wide / 3, (pixels, 1)), None)
        if model.maximum:
            assert not wrong[0]
            for bad in (plane, -2, 2**40 + first):
                index[-1] = bad
                call(microkernel(name), x, y, y.strides[0], n, first, pixels, 0, index, plane, wrong)
                assert wrong[0]
                wrong[0] = 0


def word_of(name, kind):
    """The number in a word like s2."""
    return next(int(w[1:]) for w in parse(name).variants if w[0] == kind and w[1:].isdecimal())


@pytest.mark.parametrize("name", some("poolglide"))
def test_poolglide(rng, name):
    model = Model(name, rng)
    size, cells, item = 23, 13, model.source.itemsize
    for n in (1, model.lanes, 5 * model.lanes - 1):
        for kernel, first in ((1, 0), (5, -3), (13, -6), (30, -9)):
            x, (y, _) = model.draw(size, n), model.out(cells, n)
            space = workspace.aligned(kernel * SPACE)
            call(microkernel(name), x, n * item, size, first, kernel, cells, y, y.strides[0], n, space)
            expected = np.full((cells, n), float(model.lowest) if model.maximum else 0.0)
            for i in range(cells):
                here = x[max(0, first + i) : max(0, first + i + kernel)].astype(np.float64)
                if len(here):
                    terms = model.loaded(here, here)
                    expected[i] = terms.max(0) if model.maximum else terms.sum(0)
            model.check(y, None, expected, None)


@pytest.mark.parametrize("name", some("poolspread"))
def test_poolspread(rng, name):
    """Zeros lie between elements, and nothing is written behind the last."""
    model = Model(name, rng)
    for n in (0, 1, model.lanes, model.lanes + 1, 2 * model.lanes + 3):
        step = 5 if "any" in model.words else word_of(name, "s")
        x, y = model.draw(3, n + 1, kind=model.held), np.zeros((3, n * step + 1), model.held)
        y[:, max(0, (n - 1) * step + 1) :] = 77
        call(microkernel(name), x, x.strides[0], 3, n, y, y.strides[0], step * model.held.itemsize)
        expected = np.zeros((3, n * step))
        expected[:, ::step] = x[:, :n]
        end = max(0, (n - 1) * step + 1)
        np.testing.assert_array_equal(y[:, :end], expected[:, :end])
        assert (y[:, end:] == 77).all()


@needs_guard
@pytest.mark.parametrize("name", [*some("scatter"), *some("lookup")])
def test_scatter_and_lookup(rng, name):
    """Of one place named twice the last stays, be it in one vector; only a part is written, and nothing beyond y."""
    op, kind = parse(name).op, {"f32": np.uint32, "f64": np.uint64, "bf16": np.uint16}[parse(name).dtype]
    size, bad, first, count = 17, np.zeros(1, np.int64), 2, 13
    part = (first, count) if op == "scatter" else ()
    for rows, run, pitch in ((12, 1, 1), (53, 1, 1), (12, 5, 5), (12, 5, 8), (12, 16, 16), (12, 19, 23)):
        index = rng.integers(0, size, (rows, pitch))
        index[:, run:] = size  # which are not looked at
        tall = max(rows, size)
        x = guarded(rng.integers(1, 999, (tall, pitch)).astype(kind), True)
        y, index = guarded(np.zeros((tall, pitch), kind), True), guarded(index, True)
        expected = np.zeros_like(y)
        call(microkernel(name), x, y, index, rows, run, pitch, size, bad, *part)
        for i, lane in np.ndindex(rows, run):
            to, source = (i, index[i, lane]) if op == "lookup" else (index[i, lane], i)
            if op == "lookup" or first <= to < first + count:
                expected[to, lane] = x[source, lane]
        np.testing.assert_array_equal(y, expected)
        assert not bad[0]
        for outside in (-1, size, 2**40):
            for at in range(min(rows, 20)) if run == 1 else (0,):
                there = np.full(rows, outside)
                there[:at] = index.ravel()[:at]
                call(microkernel(name), x, y, there, at + 1, 1, pitch, size, bad, *part)
                assert bad[0]
                bad[0] = 0


@pytest.mark.parametrize("name", some("overlap"))
def test_overlap(rng, name):
    model, rows = Model(name, rng), 2
    columns, taps = 5 * model.lanes + 3, 3
    x = rng.integers(-4, 5, (taps, rows, columns)).astype(model.stored)
    ends = np.sort(rng.integers(0, columns + 1, (taps, 2)), 1)
    ends[0] = 0, columns
    pieces = np.column_stack([x.ctypes.data + np.arange(taps) * x.strides[0], ends]).astype(np.int64)
    for count in (0, 1, taps):
        y = np.full((rows, columns + 3), 77, model.stored)
        inner = (ends[:count, 0].max(initial=0), ends[:count, 1].min(initial=columns))
        call(microkernel(name), pieces, count, y, columns, *inner, rows, x.strides[1], y.strides[0])
        there = (ends[:, :1] <= np.arange(columns)) & (np.arange(columns) < ends[:, 1:])
        model.check(y, None, np.where(there[:, None], x, 0)[:count].astype(float).sum(0), None)
