"""Kernels of matrix tiles: panels of parts, and the blocks that multiply them, against NumPy."""

import numpy as np
import pytest
from guard import guarded
from test_microkernels import aligned

from fastconv import threads
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.amxparts import MOST_LINE, MOST_VECTORS, PARTS, PRODUCTS
from fastconv.microkernels.inventory import microkernel, names
from fastconv.microkernels.names import parse
from fastconv.target import host

pytestmark = pytest.mark.skipif(not host().amx, reason="this processor has no matrix tiles")
STEP, TILE = 32, 16
LEAST = 127 - 103  # the biased exponent from which on no part of a number is denormal: 2^-103


@native("call_seven", 4)
def call_the_seven(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:8]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7)))  # fmt: skip


@native("call_eight", 4)
def call_the_eight(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:9]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7), peek(plan, 8)))  # fmt: skip


@native("call_block", 4)
def call_the_block(plan, call, scratch, task):
    """Call the kernel at plan[1] with the operands plan[2:16], while the thread has tile registers by plan[0]."""
    invoke(peek(plan, 0), (1,))
    invoke(peek(plan, 1), (peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6), peek(plan, 7),
                           peek(plan, 8), peek(plan, 9), peek(plan, 10), peek(plan, 11), peek(plan, 12),
                           peek(plan, 13), peek(plan, 14), peek(plan, 15)))  # fmt: skip
    invoke(peek(plan, 0), (0,))


def run(caller, *words):
    """One task with these words as its plan; arrays stand for their addresses."""
    plan = [word.ctypes.data if isinstance(word, np.ndarray) else word for word in words]
    threads.run(Job(caller.address, np.array(plan, np.int64), 1, 0, 0))


def cut(values, parts):
    """The bfloat16 parts of float32 numbers, as bits: each the upper half of what the ones before have left."""
    found = []
    if parts > 2:
        with np.errstate(invalid="ignore"):
            values = values + np.float32(0)  # signalling NaN become quiet, and so keep their upper half
    for _ in range(parts):
        high = values.view(np.uint32) & np.uint32(0xFFFF0000)
        found.append((high >> 16).astype(np.uint16))
        with np.errstate(invalid="ignore"):
            values = values - high.view(np.float32)
    return np.stack(found)


def widened(bits):
    """bfloat16 bits as float32 numbers."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rows_panel(values, parts):
    """[step][part][row][16 pairs of products][2] of (rows, depth), with zeros for what is missing to 32 rows and whole
    steps; a pair is 16 products apart."""
    rows, depth = values.shape
    steps = -(-depth // STEP)
    whole = np.zeros((2 * TILE, steps * STEP), np.float32)
    whole[:rows, :depth] = values
    pairs = cut(whole, parts).reshape(parts, 2 * TILE, steps, 2, STEP // 2).swapaxes(3, 4)
    return pairs.reshape(parts, 2 * TILE, steps, STEP).transpose(2, 0, 1, 3)


def lanes_panel(values, parts):
    """[step][part][tile][pair][lane][2] of (depth, lanes), with zeros as above."""
    return rows_panel(values.T, parts).reshape(-1, parts, 2, TILE, STEP // 2, 2).transpose(0, 1, 2, 4, 3, 5)


def held(panel):
    """A copy of a panel's bits on whole cache lines."""
    found = aligned(panel.shape, np.uint16)
    found[...] = panel
    return found


def any_bits(rng, shape, least=1):
    """Normal numbers of random bits, from a biased exponent on, with the largest and smallest ones among them."""
    bits = rng.integers(0, 1 << 23, shape) | rng.integers(least, 255, shape) << 23 | rng.integers(0, 2, shape) << 31
    bits = bits.astype(np.uint32)
    flat = bits.reshape(-1)
    flat[:4] = [0x7F7FFFFF, 0xFF7FFFFF, least << 23, 0x80000000][: flat.size]
    return bits.view(np.float32)


@pytest.mark.parametrize("least", [1, LEAST])
def test_parts_add_up(rng, least):
    """Exactly, for normal numbers of any bits; from 2^-103 on no part is denormal, which tiles take for zero."""
    values = any_bits(rng, 20_000, least)
    parts = widened(cut(values, 3)).astype(np.float64)
    sizes = np.abs(parts)
    assert np.isfinite(parts).all() and (sizes[0] <= np.abs(values)).all(), "cutting off cannot overflow"
    assert (sizes[1:] <= sizes[:-1] * 2.0**-7).all()
    exact = np.abs(values) >= 2.0**-110
    np.testing.assert_array_equal(parts.sum(0)[exact], values[exact])
    assert np.abs(parts.sum(0) - values).max() < 2.0**-133
    if least == LEAST:
        assert ((sizes == 0) | (sizes >= 2.0**-126)).all()


def test_two_parts_are_all_of_float16():
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = values[np.isfinite(values)]
    np.testing.assert_array_equal(widened(cut(values, 2)).sum(0), values)


@pytest.mark.parametrize("products", PRODUCTS)
def test_rows(rng, products):
    """Panels have the parts of any rows, in whole steps; other rows stay as they were."""
    kernel, parts = microkernel(f"amxrows_f32_avx512_x{products}"), PARTS[products]
    for pieces, length in ((1, 1), (1, 31), (1, 32), (1, 75), (3, 5), (9, 16), (7, 33), (3, MOST_LINE // 3)):
        depth = pieces * length
        for row, rows in ((0, 32), (0, 1), (5, 20), (31, 1)):
            x = guarded(any_bits(rng, (rows, 2 * pieces, length)), at_end=True)
            picks = rng.integers(0, 2 * pieces, pieces)
            table = picks * length * 4
            expected = rows_panel(x[:, picks].reshape(rows, depth), parts)
            found = aligned(expected.shape, np.uint16)
            found[...] = 0x1234
            run(call_the_eight, kernel.address, x, x.strides[0], table, pieces, length, found, row, rows)
            np.testing.assert_array_equal(found[:, :, row : row + rows], expected[:, :, :rows])
            found[:, :, row : row + rows] = 0x1234
            assert (found == 0x1234).all()


@pytest.mark.parametrize("products", PRODUCTS)
def test_lanes(rng, products):
    """Panels of lanes side by side have the parts of any products, in whole steps; other tiles stay as they were."""
    kernel, parts = microkernel(f"amxlanes_f32_avx512_x{products}"), PARTS[products]
    for depth in (1, 2, 31, 32, 33, 70):
        for vectors in range(1, MOST_VECTORS + 1):
            for last in (1, 7, TILE):
                valid = (vectors - 1) * TILE + last
                x = guarded(any_bits(rng, (depth, valid)), at_end=True)
                picks = rng.integers(0, depth, depth)
                table = picks * x.strides[0]
                expected = [lanes_panel(x[picks, at : at + 32], parts) for at in range(0, valid, 32)]
                found = aligned((len(expected) + 1, *expected[0].shape), np.uint16)
                found[...] = 0x1234
                run(call_the_seven, kernel.address, x, table, depth, found, vectors, valid, found.strides[0])
                for i, panel in enumerate(expected):
                    tiles = min(2, vectors - 2 * i)
                    np.testing.assert_array_equal(found[i, :, :, :tiles], panel[:, :, :tiles])
                    found[i, :, :, :tiles] = 0x1234
                assert (found == 0x1234).all()


def blocks():
    """Every kernel of a block."""
    return [name for name in names(host()) if parse(name).op == "amx"]


def operands(spec, parts, left, right):
    """x and w for a kernel: the right operand has lanes."""
    rows, lanes = held(rows_panel(left, parts)), held(lanes_panel(right, parts))
    return (lanes, rows) if "px" in spec.variants else (rows, lanes)


def call(kernel, depth, x, w, y, first=1, bias=0, residual=0, residual_pitch=0, activation=0, rows=0, last=0):
    """Run one block."""
    state = microkernel("amxstate_f32_avx512").address
    run(call_the_block, state, kernel.address, depth, x, w, y, y.strides[0], first, bias, residual, residual_pitch,
        activation, rows, last, x, w)  # fmt: skip


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("name", blocks())
def test_block(rng, name, at_end):
    """Sums of whole numbers, with all that may follow them; nothing outside the block's arrays is touched."""
    kernel, spec = microkernel(name), parse(name)
    products, slope = int(spec.variants[1][1:]), np.full(1, 0.5, np.float32)
    parts = PARTS[products]
    most = 400 if parts > 1 else 200  # nine bits are two parts
    for depth, missing, last in ((1, 0, 16), (31, 3, 1), (32, 0, 16), (33, 15, 9), (70, 6, 15), (96, 0, 5)):
        rows, columns = spec.rows - missing, spec.columns - TILE + last
        left = rng.integers(-most, most + 1, (rows, depth)).astype(np.float32)
        right = rng.integers(-most, most + 1, (depth, columns)).astype(np.float32)
        x, w = operands(spec, parts, left, right)
        along = rows if "px" in spec.variants else columns
        bias, residual, before = (
            guarded(rng.integers(-9, 10, size).astype(np.float32), at_end)
            for size in (along, (rows, columns), (rows, columns))
        )
        wide = bias[:, None] if "px" in spec.variants else bias[None]
        for first, with_bias, with_residual, act in ((1, 0, 0, 0), (0, 1, 0, 1), (0, 1, 1, 2), (1, 0, 1, slope)):
            y = guarded(before, at_end)
            call(kernel, depth, x, w, y, first, bias if with_bias else 0, residual if with_residual else 0,
                 residual.strides[0], act, rows, last)  # fmt: skip
            expected = left @ right + (0 if first else before) + with_bias * wide + with_residual * residual
            if isinstance(act, np.ndarray):
                expected = np.where(expected < 0, expected / 2, expected)
            elif act:
                expected = np.clip(expected, 0, 6 if act == 2 else None)
            np.testing.assert_array_equal(y, expected)
        apart = np.full((rows, columns + 3), 7, np.float32)  # rows a pitch apart
        call(kernel, depth, x, w, apart[:, 1:], 1, rows=rows, last=last)
        np.testing.assert_array_equal(apart[:, 1:-2], left @ right)
        assert (apart[:, [0, -2, -1]] == 7).all()


@pytest.mark.parametrize("name", blocks())
def test_all_products_count(rng, name):
    """Normal numbers: the error of products of so many parts, not of fewer, over many steps."""
    kernel, spec = microkernel(name), parse(name)
    products, depth = int(spec.variants[1][1:]), 500
    parts = PARTS[products]
    left, right = (rng.normal(size=size).astype(np.float32) for size in ((spec.rows, depth), (depth, spec.columns)))
    if products < 6:  # as many bits as the parts have
        left, right = (a.astype(np.float16).astype(np.float32) if products == 4 else widened(cut(a, 1))[0]
                       for a in (left, right))  # fmt: skip
    x, w = operands(spec, parts, left, right)
    y = np.empty((spec.rows, spec.columns), np.float32)
    call(kernel, depth, x, w, y, rows=spec.rows, last=TILE)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    size = np.abs(left).astype(np.float64) @ np.abs(right)
    assert (np.abs(y - exact) / size).max() < 2.0**-22


@pytest.mark.parametrize("name", blocks())
def test_sums_of_a_step_are_apart(name):
    """2^24 swallows a one that is added to it, but not the sum of 32 of them."""
    kernel, spec = microkernel(name), parse(name)
    left, right = np.ones((spec.rows, 64), np.float32), np.ones((64, spec.columns), np.float32)
    left[:, 0], left[:, 1:32] = 2.0**24, 0
    x, w = operands(spec, PARTS[int(spec.variants[1][1:])], left, right)
    y = np.empty((spec.rows, spec.columns), np.float32)
    call(kernel, 64, x, w, y, rows=spec.rows, last=TILE)
    assert (y == 2**24 + 32).all()


@pytest.mark.parametrize("name", blocks())
def test_infinities(rng, name):
    """Sums with infinite and NaN operands are those of plain multiply-adds, and the others of the block are as ever."""
    kernel, spec = microkernel(name), parse(name)
    parts, depth = PARTS[int(spec.variants[1][1:])], 67
    left, right = (rng.integers(-3, 4, size).astype(np.float32) for size in ((spec.rows, depth), (depth, spec.columns)))
    for specials in ((np.inf,), (np.inf, -np.inf), (np.inf, -np.inf, np.nan), (np.nan,)):
        for sides in ((left.copy(), right), (left, right.copy()), (left.copy(), right.copy())):
            for side, other in zip(sides, (left, right), strict=True):
                if side is not other:
                    side.reshape(-1)[rng.integers(0, side.size, len(specials))] = specials
            x, w = operands(spec, parts, *sides)
            y = np.empty((spec.rows, spec.columns), np.float32)
            call(kernel, depth, x, w, y, rows=spec.rows, last=TILE)
            with np.errstate(invalid="ignore"):
                expected = (sides[0][:, :, None] * sides[1][None]).sum(1)
            np.testing.assert_array_equal(y, expected)
            assert np.isfinite(expected).any() and not np.isfinite(expected).all()


@native("call_sums", 4)
def call_sums(plan, call, scratch, task):
    """Call the kernel at plan[1] with the operands plan[2:10], while the thread has tile registers by plan[0]."""
    invoke(peek(plan, 0), (1,))
    invoke(peek(plan, 1), (peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6), peek(plan, 7),
                           peek(plan, 8), peek(plan, 9)))  # fmt: skip
    invoke(peek(plan, 0), (0,))


@pytest.mark.parametrize("depth", [32, 70, 256])
@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (16, 32), (32, 16), (32, 32)])
def test_sums(rng, rows, columns, depth):
    """Exact integers; whole tiles are written and nothing beside them, the second half added to the first."""
    x, w = (rng.integers(-500, 500, shape).astype(np.float32) for shape in ((rows, depth), (depth, columns)))
    z = aligned((rows + 1, columns + 16), np.float32)
    z[...] = -7777
    state = microkernel(f"amxstate_f32_{host().isa}").address
    kernel = microkernel(f"amxsums_f32_{rows}x{columns}_{host().isa}_x6").address
    half = depth // 64 * 32
    for start, end in ((0, half), (half, depth)) if half else ((0, depth),):
        left, right = rows_panel(x[:, start:end], 3), lanes_panel(w[start:end], 3)
        panels = [aligned(panel.shape, panel.dtype) for panel in (left, right)]
        for to, panel in zip(panels, (left, right), strict=True):
            to[...] = panel
        run(call_sums, state, kernel, end - start, *panels, z, z.strides[0], int(start == 0), *panels)
    np.testing.assert_array_equal(z[:rows, :columns], x @ w)
    assert (z[rows:] == -7777).all() and (z[:, columns:] == -7777).all()
