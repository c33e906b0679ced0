"""Pools in one pass: windows of few taps that lie inside x, over all sizes of the last vector of a row."""

import sys

import numpy as np
import pools
import pytest
from pools import ALL_DTYPES

import fastconv as fc
from fastconv import dispatch
from fastconv.problem.pool import contiguous_steps, pool_problem

WINDOWS = [(2, 2), (3, 2), (3, 3), (4, 4), (5, 3), ((4, 2), (1, 2)), ((1, 3), (5, 2)), ((9, 4), (2, 4)), ((2, 5), 4)]


def values(rng, shape, dtype):
    kind = ALL_DTYPES[dtype]
    return rng.integers(0 if dtype == "uint8" else -9, 9, shape).astype(kind)


@pytest.mark.checkerboard(3)
@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_every_width(rng, window, dtype):
    kernel, stride = window
    for width in (*range(5, 14), 31, 32, 33, 47, 64, 71, 133):
        x = values(rng, (2, 3, 9 + width % 4, width), dtype)
        y, indices = pools.max_pool(x, kernel, stride)
        found, at = fc.max_pool2d(x, kernel, stride, return_indices=True)
        np.testing.assert_array_equal(found, y, err_msg=f"{width}")
        np.testing.assert_array_equal(at, indices)
        np.testing.assert_array_equal(fc.max_pool2d(x, kernel, stride), y)
        if x.dtype.kind not in "iu":
            pools.assert_close(fc.avg_pool2d(x, kernel, stride), pools.avg_pool(x, kernel, stride))
            for norm in (1, 2):
                wide = np.abs(x)
                pools.assert_close(fc.lp_pool2d(wide, norm, kernel, stride), pools.lp_pool(wide, norm, kernel, stride))


def test_averages_of_powers_of_two_and_of_others_round_as_divisions(rng):
    x = rng.standard_normal((1, 3, 12, 24), np.float32)
    for kernel in (2, 3, 4):
        parts = [x[:, :, i::kernel, j::kernel] for j in range(kernel) for i in range(kernel)]
        columns = [sum(parts[j * kernel + 1 : (j + 1) * kernel], parts[j * kernel]) for j in range(kernel)]
        expected = sum(columns[1:], columns[0]) / np.float32(kernel * kernel)
        np.testing.assert_array_equal(fc.avg_pool2d(x, kernel), expected)


@pytest.mark.checkerboard(3)
@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize(
    "kernel, padding", [(3, 1), ((3, 3), (0, 1)), ((2, 3), 1), ((1, 3), (0, 1)), (3, (1, 0)), (2, 1), (5, 1), (5, 2)]
)
def test_windows_that_begin_before_the_input(rng, kernel, padding, dtype):
    for width in (*range(5, 14), 30, 32, 33, 34, 64, 72, 134):
        for height in (5, 6, 8, 9):
            x = values(rng, (2, 3, height, width), dtype)
            x -= 20 * (dtype != "uint8")  # so that nothing in the border can be taken for a maximum
            y, indices = pools.max_pool(x, kernel, 2, padding)
            np.testing.assert_array_equal(fc.max_pool2d(x, kernel, 2, padding), y, err_msg=f"{height} {width}")
            np.testing.assert_array_equal(fc.max_pool2d(x, kernel, 2, padding, return_indices=True)[1], indices)
            np.testing.assert_array_equal(fc.max_pool2d(x[:, ::2], kernel, 2, padding), y[:, ::2])
            if x.dtype.kind not in "iu":
                for inside in (True, False):
                    pools.assert_close(
                        fc.avg_pool2d(x, kernel, 2, padding, False, inside),
                        pools.avg_pool(x, kernel, 2, padding, include_pad=inside),
                    )


@pytest.mark.checkerboard(3)
@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("kernel, stride", [(2, 2), (3, 2), (3, 3), ((1, 3), 2), ((3, 2), 2), (5, 4)], ids=str)
def test_windows_that_end_behind_the_input(rng, kernel, stride, dtype):
    for width in (*range(5, 20), 30, 32, 33, 34, 64, 72, 134):
        for height in (5, 6, 8, 9):
            x = values(rng, (2, 3, height, width), dtype)
            x -= 20 * (dtype != "uint8")  # so that nothing in the border can be taken for a maximum
            for padding in (0, 1 if np.ndim(kernel) == 0 else tuple(side // 2 for side in kernel)):
                options = {"padding": padding, "ceil_mode": True}
                y, indices = pools.max_pool(x, kernel, stride, padding, 1, True)
                found = fc.max_pool2d(x, kernel, stride, return_indices=True, **options)[1]
                np.testing.assert_array_equal(found, indices)
                for view, expected in ((x, y), (x[:, ::2], y[:, ::2])):
                    np.testing.assert_array_equal(fc.max_pool2d(view, kernel, stride, **options), expected)
                if x.dtype.kind not in "iu":
                    expected = pools.avg_pool(x, kernel, stride, **options)
                    pools.assert_close(fc.avg_pool2d(x, kernel, stride, **options), expected)


@pytest.mark.checkerboard(3)
@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("kernel", [3, (1, 3), (2, 3)], ids=str)
def test_windows_of_three_side_by_side(rng, kernel, dtype):
    for width in (*range(3, 20), 30, 33, 64, 72, 133):
        x = values(rng, (2, 3, 3 + width % 5, width), dtype) - np.array(20 * (dtype != "uint8"), ALL_DTYPES[dtype])
        for padding in (0, 1 if kernel == 3 else (kernel[0] // 2, 1)):
            y, _ = pools.max_pool(x, kernel, 1, padding)
            np.testing.assert_array_equal(fc.max_pool2d(x, kernel, 1, padding), y)
            np.testing.assert_array_equal(fc.max_pool2d(x[:, :, ::-1], kernel, 1, padding)[:, :, ::-1],
                                          pools.max_pool(x[:, :, ::-1], kernel, 1, padding)[0][:, :, ::-1])  # fmt: skip
            if x.dtype.kind not in "iu":
                pools.assert_close(fc.avg_pool2d(x, kernel, 1, padding), pools.avg_pool(x, kernel, 1, padding))


def test_windows_that_leave_the_input_are_taken_in_one_pass():
    for shape, taken in (((1, 64, 112, 112), True), ((1, 64, 113, 112), True), ((1, 64, 112, 113), True)):
        problem = pool_problem("max_pool2d", shape, 3, 2, 1, dtype=np.dtype("f4"))
        name = dispatch.choose(problem, contiguous_steps(problem), "auto", False).name
        assert (name == "pass") is taken


@pytest.mark.parametrize("kernel, stride, padding", [(3, 2, 1), (2, 2, 1), (5, 3, 2), ((2, 3), 2, (0, 1))], ids=str)
def test_indices_where_all_elements_are_the_least(rng, kernel, stride, padding):
    """They are elements of x, not of the border, which has as little."""
    for x in (np.full((2, 3, 9, 21), -np.inf, np.float32), np.full((1, 2, 8, 70), -128, np.int8)):
        x[:, :, ::4, ::3] = rng.integers(-5, 5, x[:, :, ::4, ::3].shape)
        x[:, 1] = x.min()
        for ceil in (False, True):
            y, indices = pools.max_pool(x, kernel, stride, padding, 1, ceil)
            found = fc.max_pool2d(x, kernel, stride, padding, 1, ceil, return_indices=True)
            np.testing.assert_array_equal(found[0], y)
            np.testing.assert_array_equal(found[1], indices)


def test_borders_of_more_than_a_line(rng):
    """ONNX's padding may be anything."""
    x = values(rng, (2, 3, 9, 21), "float32") - 20
    for stride, pads in (((1, 2), ((0, 2), (0, 0))), ((1, 2), ((0, 1), (1, 2))), ((2, 2), ((2, 2), (2, 4)))):
        y, _ = pools.max_pool(x, (3, 5), stride, pads)
        np.testing.assert_array_equal(fc.max_pool2d(x, (3, 5), stride, pads, convention="onnx"), y)


def test_nan_and_infinity(rng):
    x = rng.integers(-3, 4, (2, 5, 18, 38)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.1] = -np.inf
    y, _ = pools.max_pool(x, 3, 2, 1)
    np.testing.assert_array_equal(fc.max_pool2d(x, 3, 2, 1), y)
    for kernel, stride in WINDOWS:
        y, indices = pools.max_pool(x, kernel, stride)
        found, at = fc.max_pool2d(x, kernel, stride, return_indices=True)
        np.testing.assert_array_equal(found, y)
        np.testing.assert_array_equal(at, indices)
        np.testing.assert_array_equal(fc.max_pool2d(x, kernel, stride), y)


@pytest.mark.parametrize("sizes", [(17,), (6, 7, 9), (1, 2, 2), (5, 4, 40)], ids=str)
def test_other_dimensions(rng, sizes):
    dims = len(sizes)
    x = values(rng, (3, 2, *sizes), "float32")
    for kernel, stride in ((2, 2), (2, 10**9)) if min(sizes) > 1 else (((1, 2, 2), 2),):
        y, indices = pools.max_pool(x, kernel, stride)
        found, at = getattr(fc, f"max_pool{dims}d")(x, kernel, stride, return_indices=True)
        np.testing.assert_array_equal(found, y)
        np.testing.assert_array_equal(at, indices)
        np.testing.assert_array_equal(
            getattr(fc, f"avg_pool{dims}d")(x, kernel, stride), pools.avg_pool(x, kernel, stride)
        )


@pytest.mark.parametrize("step", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 1, -1), (-1, -1, -1)], ids=str)
def test_views(rng, step):
    x = values(rng, (4, 6, 16, 14), "float32")
    for view in (x[:: step[0], :: step[1], :: step[2]], x[:, : 5 * step[1] : step[1], :: step[2]], x[1:2, :3]):
        y, at = (fc.max_pool2d(a, 2, return_indices=True) for a in (view, view.copy()))
        np.testing.assert_array_equal(y, at)
    view = x[:: step[0], :: step[1], :: step[2]]
    for call in (fc.max_pool2d, fc.avg_pool2d):
        np.testing.assert_array_equal(call(view, 2), call(view.copy(), 2))
    flat = np.broadcast_to(x[:1, :1], (3, 4, 16, 14))
    np.testing.assert_array_equal(fc.max_pool2d(flat, 2), fc.max_pool2d(flat.copy(), 2))


@pytest.mark.parametrize("shape", [(3, 7, 14, 14), (1, 1, 1024, 66), (2, 300, 13, 13), (1, 64, 56, 56)], ids=str)
def test_threads_and_batches_change_no_bit(rng, shape):
    x = rng.standard_normal(shape, np.float32)
    with fc.num_threads(1):
        alone = fc.avg_pool2d(x, 3, 2), fc.max_pool2d(x, 2, return_indices=True)[1]
    np.testing.assert_array_equal(fc.max_pool2d(x[-1], 2, return_indices=True)[1], alone[1][-1])
    for threads in (2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(fc.avg_pool2d(x, 3, 2), alone[0])
            np.testing.assert_array_equal(fc.max_pool2d(x, 2, return_indices=True)[1], alone[1])
    np.testing.assert_array_equal(fc.avg_pool2d(x[-1], 3, 2), alone[0][-1])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "uint8"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_no_access_outside(rng, window, dtype, at_end):
    from guard import guarded

    for width in (5, 7, 32, 33, 66, 70):
        x = values(rng, (1, 3, 9, width), dtype)
        held = guarded(x, at_end)
        y, indices = pools.max_pool(x, *window)
        out = guarded(np.zeros(y.shape, x.dtype), at_end)
        np.testing.assert_array_equal(fc.max_pool2d(held, *window, out=out), y)
        found = fc.max_pool2d(held, *window, return_indices=True, out=out)
        np.testing.assert_array_equal(found[1], indices)
        for height in (9, 8):
            held, y = guarded(x[:, :, :height], at_end), pools.max_pool(x[:, :, :height], 3, 2, 1)[0]
            out = guarded(np.zeros(y.shape, x.dtype), at_end)
            np.testing.assert_array_equal(fc.max_pool2d(held, 3, 2, 1, out=out), y)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint8])
def test_a_window_behind_x_has_no_index(dtype):
    """Even where its least value could be that of the first element."""
    x = (np.arange(3 * 16 * 19 * 6) % 100).reshape(3, 16, 19, 6).astype(dtype)
    padding = ((0, 0), (0, 3))
    _, found = fc.max_pool2d(x, (4, 2), stride=2, padding=padding, convention="onnx", return_indices=True)
    assert (found[..., -1] == -1).all() and (found[..., :-1] >= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_windows_of_one_behind_x(dtype):
    """They have the least value there is, and not what lies in memory behind x."""
    x = (np.arange(3 * 36 * 58) % 50).reshape(3, 36, 58).astype(dtype)
    found = fc.max_pool1d(x, 1, stride=1, padding=((0, 3),), convention="onnx")
    np.testing.assert_array_equal(found[..., :58], x)
    assert (found[..., 58:] == (-np.inf if dtype == np.float32 else np.iinfo(dtype).min)).all()
