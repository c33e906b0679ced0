"""Large windows: rows that share their sums, and rows in groups."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from arrays import DTYPES, rounded
from pools import assert_close, laid

import fastconv as fc
from fastconv import dispatch, target
from fastconv.problem.pool import contiguous_steps, gradient_of, pool_problem

LAYOUTS = ("channels_first", "channels_last")
CASES = [
    ((2, 3, 60, 70), (31, 31)), ((1, 2, 112, 112), (13, 13)), ((1, 2, 70, 33), (33, 8)), ((1, 1, 30, 2100), (9, 11)),
    ((1, 1, 200, 100), (101, 64)), ((1, 3, 20, 20), (13, 13)), ((2, 40, 13, 13), (13, 13)), ((1, 3, 48, 48), (3, 20)),
    ((1, 70, 64, 17), (17, 17)), ((1, 2, 130, 1), (8, 1)), ((1, 3, 1, 9000), (1, 31)), ((1, 20, 150, 9), (31, 4)),
]  # fmt: skip


def windows(x, kernel, pads, border):
    """Every window of a padded x, its taps last."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *((p, p) for p in pads)), constant_values=border)
    return np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))


def first(y, layout):
    return np.moveaxis(y, -1, 1) if layout == "channels_last" else y


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape, kernel", CASES, ids=str)
def test_stride_one(rng, shape, kernel, dtype, layout):
    x = rng.integers(-1, 2, shape).astype(DTYPES[dtype])
    pads = [k // 2 for k in kernel]
    options = {"layout": layout}
    sums = windows(x, kernel, pads, 0).sum((-1, -2))
    counts = windows(np.ones(shape), kernel, pads, 0).sum((-1, -2))
    source = laid(x, layout)
    for inside, count in ((True, kernel[0] * kernel[1]), (False, counts)):
        y = fc.avg_pool2d(source, kernel, 1, pads, False, inside, **options)
        # Small integers add up exactly.
        expected = rounded(
            (sums.astype(np.float32) / np.float32(count)) if dtype != "float64" else sums / count, y.dtype
        )
        np.testing.assert_array_equal(first(y, layout).astype(np.float64), expected.astype(np.float64))
    y = fc.lp_pool2d(source, 2, kernel, 1, **options)
    assert_close(first(y, layout), np.sqrt((windows(x, kernel, (0, 0), 0) ** 2).sum((-1, -2))))
    x[rng.random(shape) < 0.001] = np.nan
    x[rng.random(shape) < 0.5] = -np.inf
    y = fc.max_pool2d(laid(x, layout), kernel, 1, pads, **options)
    expected = windows(x, kernel, pads, -np.inf).max((-1, -2))
    np.testing.assert_array_equal(first(y, layout).astype(np.float64), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride, dilation", [(2, 1), (1, 2), (3, 2)])
def test_groups_of_taps_that_step_or_are_dilated(rng, stride, dilation, layout):
    x = rng.integers(-1, 2, (1, 2, 80, 90)).astype(np.float32)
    for size in range(8, 24):
        kernel, span = (size, size + 1), ((size - 1) * dilation + 1, size * dilation + 1)
        found = windows(x, span, (3, 3), 0)[:, :, ::stride, ::stride, ::dilation, ::dilation]
        expected = (found.sum((-1, -2)) / (size * (size + 1))).astype(np.float32)
        y = fc.avg_pool2d(laid(x, layout), kernel, stride, 3, dilation=dilation, layout=layout)
        np.testing.assert_array_equal(first(y, layout), expected)
        found = windows(x, span, (3, 3), -np.inf)[:, :, ::stride, ::stride, ::dilation, ::dilation]
        y = fc.max_pool2d(laid(x, layout), kernel, stride, 3, dilation, layout=layout)
        np.testing.assert_array_equal(first(y, layout), found.max((-1, -2)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "kernel, stride, pads",
    [((31, 31), 1, (0, 0)), ((9, 20), 1, (4, 9)), ((12, 9), 4, (0, 0)), ((70, 8), 1, (35, 3)), ((1, 30), 1, (0, 15))],
    ids=str,
)
def test_gradient_of_an_average(rng, kernel, stride, pads, dtype, layout):
    shape = (2, 3, 70, 60)
    outs = [(size + 2 * p - k) // stride + 1 for size, k, p in zip(shape[2:], kernel, pads, strict=True)]
    dy = rng.integers(-3, 4, (2, 3, *outs)).astype(DTYPES[dtype])
    sums = np.zeros((2, 3, *(size + 2 * p for size, p in zip(shape[2:], pads, strict=True))))
    for i, j in np.ndindex(*outs):
        at = (..., slice(i * stride, i * stride + kernel[0]), slice(j * stride, j * stride + kernel[1]))
        sums[at] += dy[:, :, i, j, None, None]
    sums = sums[..., pads[0] : pads[0] + 70, pads[1] : pads[1] + 60]
    there, taps = shape if layout == "channels_first" else (2, 70, 60, 3), kernel[0] * kernel[1]
    found = {}
    for threads in (1, 2, 5):
        with fc.num_threads(threads):
            found[threads] = fc.avg_pool2d_backward(laid(dy, layout), there, kernel, stride, pads, layout=layout)
        np.testing.assert_array_equal(found[threads], found[1])
    expected = rounded(sums / taps if dtype == "float64" else sums.astype(np.float32) / np.float32(taps), dy.dtype)
    if stride == 1:  # small integers add up exactly
        np.testing.assert_array_equal(first(found[1], layout).astype(np.float64), expected.astype(np.float64))
    else:
        assert_close(first(found[1], layout), expected)


def test_the_last_tap_of_three_dimensions_is_not_lost(rng):
    x = rng.integers(-3, 4, (1, 2, 3, 40, 40)).astype(np.float32)
    for layout in LAYOUTS:
        y = first(fc.max_pool3d(laid(x, layout), (1, 20, 20), 1, layout=layout), layout)
        for depth in range(3):
            np.testing.assert_array_equal(y[:, :, depth], windows(x[:, :, depth], (20, 20), (0, 0), 0).max((-1, -2)))


def test_sums_do_not_cancel(rng):
    x = rng.standard_normal((1, 2, 64, 64), np.float32)
    x[:, :, :20] *= 1e20
    expected = windows(x, (15, 15), (7, 7), 0).sum((-1, -2)) / 225
    for layout in LAYOUTS:
        y = first(fc.avg_pool2d(laid(x, layout), 15, 1, 7, layout=layout), layout)
        np.testing.assert_allclose(y[:, :, 28:], expected[:, :, 28:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_threads_and_batches_change_no_bit(rng, layout):
    x = laid(rng.standard_normal((3, 70, 100, 40)).astype(np.float32), layout)

    def pooled(x, threads):
        with fc.num_threads(threads):
            return fc.avg_pool2d(x, (9, 21), 1, (4, 10), layout=layout)

    alone = pooled(x, 1)
    for threads in (1, 2, 3, 8):
        np.testing.assert_array_equal(pooled(x, threads), alone)
        np.testing.assert_array_equal(pooled(x[1], threads), alone[1])


def test_large_windows_with_channels_in_the_lanes_share_their_sums():
    chosen = {}
    for size in (3, 31):
        problem = pool_problem("max_pool2d", (1, 112, 112, 64), size, 1, size // 2, dtype=np.dtype("f4"),
                               layout="channels_last")  # fmt: skip
        chosen[size] = dispatch.choose(problem, contiguous_steps(problem), "auto", False, target.host()).name
        problem = gradient_of(replace(problem, op="avg_pool2d"))
        gradient = dispatch.choose(problem, contiguous_steps(problem), "auto", False, target.host()).name
        assert gradient == chosen[size]
    assert chosen == {3: "slide", 31: "glide"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape, kernel", [c for c in CASES if c[0][1] != 2], ids=str)
def test_no_access_outside(rng, shape, kernel, layout, at_end):
    from guard import guarded

    x = laid(rng.integers(-3, 4, shape).astype(np.float32), layout)
    pads = [k // 2 for k in kernel]
    for pool in (fc.max_pool2d, fc.avg_pool2d):
        y = pool(x, kernel, 1, pads, layout=layout)
        out = guarded(np.zeros(y.shape, x.dtype), at_end)
        np.testing.assert_array_equal(pool(guarded(x, at_end), kernel, 1, pads, layout=layout, out=out), y)
    dx = fc.avg_pool2d_backward(y, x.shape, kernel, 1, pads, layout=layout)
    y, out = guarded(y, at_end), guarded(np.zeros(x.shape, x.dtype), at_end)
    np.testing.assert_array_equal(fc.avg_pool2d_backward(y, x.shape, kernel, 1, pads, layout=layout, out=out), dx)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_strides_far_beyond_the_input(rng, ceil_mode, layout):
    """Windows between which nothing but border lies, of a length that no memory has."""
    for _ in range(30):
        sizes, kernel, dilation = (rng.integers(1, most, 2).tolist() for most in (8, 4, 3))
        stride = [int(rng.choice([s + k - 1, s + k, 97, 10**6, 10**9])) for s, k in zip(sizes, kernel, strict=True)]
        pads = [[int(rng.integers(0, 3)) * s + int(rng.integers(0, 9)) for _ in range(2)] for s in stride]
        axes = zip(sizes, kernel, dilation, pads, strict=True)
        if any(size + sum(pad) <= (k - 1) * d for size, k, d, pad in axes):
            continue
        x = rng.integers(-9, 10, (2, 3, *sizes)).astype(np.float32)
        options = {"stride": stride, "padding": pads, "layout": layout}
        onnx = {**options, "dilation": dilation, "ceil_mode": ceil_mode, "convention": "onnx"}
        largest = first(fc.max_pool2d(laid(x, layout), kernel, **onnx), layout)
        mean = fc.avg_pool2d(laid(x, layout), kernel, count_include_pad=False, **onnx)
        window = rng.integers(-2, 3, kernel).astype(np.float32)
        where = {
            (i, j): [
                (a, b)
                for a in range(i * stride[0] - pads[0][0], i * stride[0] - pads[0][0] + kernel[0] * dilation[0])
                for b in range(j * stride[1] - pads[1][0], j * stride[1] - pads[1][0] + kernel[1] * dilation[1])
                if 0 <= a < sizes[0] and 0 <= b < sizes[1]
                and (a + pads[0][0] - i * stride[0]) % dilation[0] == 0
                and (b + pads[1][0] - j * stride[1]) % dilation[1] == 0
            ]
            for i, j in np.ndindex(largest.shape[2:])
        }  # fmt: skip
        for (i, j), places in where.items():
            seen = np.array([x[:, :, a, b] for a, b in places], np.float64).reshape(len(places), 2, 3)
            np.testing.assert_array_equal(largest[:, :, i, j], seen.max(0, initial=-np.inf))
            assert_close(first(mean, layout)[:, :, i, j], seen.sum(0) / max(1, len(places)))
        dx = fc.avg_pool2d_backward(np.ones_like(mean), laid(x, layout).shape, kernel, count_include_pad=False, **onnx)
        expected = np.zeros(sizes)
        for places in where.values():
            for place in places:
                expected[place] += 1 / len(places)
        assert_close(first(dx, layout), np.broadcast_to(expected, x.shape))
        if dilation == [1, 1] and not ceil_mode:
            sums = first(fc.weighted_avg_pool2d(laid(x, layout), window, **options), layout)
            for (i, j), places in where.items():
                right = sum(
                    (window[a + pads[0][0] - i * stride[0], b + pads[1][0] - j * stride[1]] * x[:, :, a, b]
                     for a, b in places), np.zeros((2, 3)),
                )  # fmt: skip
                np.testing.assert_array_equal(sums[:, :, i, j], right)
