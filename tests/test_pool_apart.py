"""Gradients of pools whose windows lie side by side, over all sizes of the last vector and of what is left over."""

import sys

import numpy as np
import pools
import pytest
from arrays import DTYPES, rounded

import fastconv as fc


def values(rng, shape, dtype):
    return rng.integers(-9, 9, shape).astype(DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [2, 3, 4, (3, 2), (1, 4)], ids=str)
def test_average_of_every_width(rng, kernel, dtype):
    for width in (*range(4, 14), 31, 32, 33, 47, 64, 71, 133):
        shape = (2, 3, 8 + width % 5, width)
        dy = values(rng, fc.avg_pool2d(np.zeros(shape, np.float32), kernel).shape, dtype)
        dx = fc.avg_pool2d_backward(dy, shape, kernel, out=np.full(shape, 7, dy.dtype))
        pools.assert_close(dx, pools.avg_gradient(dy, shape[2:], kernel), f"{width}", 1)


@pytest.mark.parametrize("sizes, kernel", [((17,), 2), ((6, 7, 9), (2, 3, 2)), ((6, 7, 9), (3, 2, 4)), ((5, 6, 8), 2)])
def test_average_in_other_dimensions(rng, sizes, kernel):
    dims = len(sizes)
    x = values(rng, (3, 2, *sizes), "float32")
    dy = getattr(fc, f"avg_pool{dims}d")(x, kernel)
    dx = getattr(fc, f"avg_pool{dims}d_backward")(dy, x.shape, kernel)
    pools.assert_close(dx, pools.avg_gradient(dy, sizes, kernel))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_maximum_of_every_width(rng, layout, dtype):
    for width in (*range(2, 14), 31, 32, 33, 47, 64, 71, 133):
        x = values(rng, (2, 3, 4 + width % 4, width), dtype)
        for kernel, stride in ((2, 2), (3, 2), (3, 1)):
            if min(x.shape[2:]) < kernel:
                continue
            y, indices = fc.max_pool2d(x, kernel, stride, return_indices=True)
            dy = values(rng, y.shape, dtype)
            dx = maximum_gradient(dy, indices, x.shape, layout)
            expected = pools.max_gradient(dy, indices, x.shape[2:])
            np.testing.assert_array_equal(dx.astype(np.float64), expected, err_msg=f"{width} {kernel} {stride}")


def maximum_gradient(dy, indices, shape, layout):
    """The gradient of a max pool, its arrays channels first, computed in a layout."""
    if layout == "channels_first":
        return fc.max_pool2d_backward(dy, indices, shape, out=np.full(shape, 7, dy.dtype))
    n, c, h, w = shape
    dy, indices = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (dy, indices))
    out = np.full((n, h, w, c), 7, dy.dtype)
    return np.moveaxis(fc.max_pool2d_backward(dy, indices, out.shape, layout=layout, out=out), -1, 1)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("order", [-1, 1], ids=["first", "last"])
@pytest.mark.parametrize("kernel, stride, dilation", [(5, 2, 2), (3, 1, 2), (3, 3, 3), (4, 1, 1), (7, 2, 1), (3, 2, 1)])
def test_maxima_all_at_one_end_of_their_windows(kernel, stride, dilation, order, layout):
    """What is seen of some windows says little of others."""
    for size in (10, 11, 19, 33):
        for shape in ((1, 16, size, size), (2, 3, size, 9), (1, 8, 1, size)):
            kernels = kernel, kernel if size < 33 else 1
            if shape[2] == 1:
                kernels = 1, kernel
            pads = tuple(min(1, k // 2) for k in kernels)
            spans = [(k - 1) * dilation + 1 - 2 * p for k, p in zip(kernels, pads, strict=True)]
            if spans[0] > shape[2] or spans[1] > shape[3]:
                continue
            x = (order * np.arange(np.prod(shape), dtype=np.float32)).reshape(shape)
            y, indices = fc.max_pool2d(x, kernels, stride, pads, dilation, return_indices=True)
            dy = np.arange(1, y.size + 1, dtype=np.float32).reshape(y.shape) % 17
            expected = pools.max_gradient(dy, indices, shape[2:])
            np.testing.assert_array_equal(maximum_gradient(dy, indices, shape, layout), expected)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 14, 14), (1, 2, 5, 67), (1, 4, 3, 33), (1, 40, 70, 20)], ids=str)
def test_indices_outside_their_windows_are_added_up(rng, shape, kernel, layout):
    """Wherever they are, also far from their windows, where other bands of rows are."""
    y, _ = fc.max_pool2d(np.zeros(shape, np.float32), kernel, 2, return_indices=True)
    dy = values(rng, y.shape, "float32")
    for share in (0.0, 0.001, 0.02, 1.0):
        x = rng.standard_normal(shape, np.float32)
        _, indices = fc.max_pool2d(x, kernel, 2, return_indices=True)
        stray = rng.random(indices.shape) < share
        indices[stray] = rng.integers(-1, shape[2] * shape[3], np.count_nonzero(stray))
        expected = pools.max_gradient(dy, indices, shape[2:])
        np.testing.assert_array_equal(maximum_gradient(dy, indices, shape, layout), expected)
    _, indices = fc.max_pool2d(np.zeros(shape, np.float32), kernel, 2, return_indices=True)
    for wrong in (shape[2] * shape[3], -2, 2**32, 2**32 + 1, -(2**63), 2**63 - 1):
        for at in ((0, 1, 0, 0), (0, 1, -1, -1)):
            there = indices.copy()
            there[at] = wrong
            with pytest.raises(ValueError, match="indices must be in"):
                maximum_gradient(dy, there, shape, layout)


MAXIMA = [
    ((2, 40, 70), 31, 1, 15), ((1, 5, 301), 3, 2, 1), ((1, 3, 9, 1), (5, 1), 1, (2, 0)), ((1, 40, 60, 50), 31, 1, 15),
    ((2, 5, 61, 33), 13, 3, 6), ((1, 4, 1, 90), (1, 3), (1, 2), (0, 1)), ((2, 20, 9, 20, 11), 3, 1, 1),
    ((1, 5, 12, 8, 7), 2, 2, 0), ((1, 3, 2, 30, 9), (1, 9, 9), 1, (0, 4, 4)),
]  # fmt: skip


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape, kernel, stride, pads", MAXIMA, ids=str)
def test_maximum_of_any_window(rng, shape, kernel, stride, pads, dtype, layout):
    """Signals, images and volumes; windows whose maxima lie far from their outputs; indices that belong elsewhere."""
    dims, last = len(shape) - 2, layout == "channels_last"
    _, indices = getattr(fc, f"max_pool{dims}d")(
        rng.standard_normal(shape).astype(DTYPES[dtype]), kernel, stride, pads, return_indices=True
    )
    dy = values(rng, indices.shape, dtype)
    backward = getattr(fc, f"max_pool{dims}d_backward")
    for stray in (0, 3):
        indices.reshape(-1)[rng.integers(0, indices.size, stray)] = rng.integers(-1, np.prod(shape[2:]), stray)
        expected = pools.max_gradient(dy, indices, shape[2:])
        arrays = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) if last else a for a in (dy, indices)]
        x_shape = (shape[0], *shape[2:], shape[1]) if last else shape
        for count in (1, 2, 3):
            with fc.num_threads(count):
                dx = backward(*arrays, x_shape, layout=layout)
            found = np.moveaxis(dx, -1, 1) if last else dx
            np.testing.assert_array_equal(found.astype(np.float64), rounded(expected, dy.dtype).astype(np.float64))


def test_zeros_have_one_sign(rng):
    """Whichever way a gradient is computed, an element has a sum that began with zero."""
    for layout in ("channels_first", "channels_last"):
        for kernel in (2, 3):
            x = rng.standard_normal((1, 20, 40, 40), np.float32)
            y, indices = fc.max_pool2d(x, kernel, 2, return_indices=True)
            assert not np.signbit(maximum_gradient(np.full_like(y, -0.0), indices, x.shape, layout)).any()


@pytest.mark.parametrize("shape", [(3, 7, 14, 14), (1, 1, 1024, 66), (2, 300, 13, 13), (1, 64, 56, 56)], ids=str)
def test_threads_change_no_bit(rng, shape):
    x = rng.standard_normal(shape, np.float32)

    def gradients(threads):
        with fc.num_threads(threads):
            y, indices = fc.max_pool2d(x, 2, return_indices=True)
            wide, places = fc.max_pool2d(x, 3, 2, return_indices=True)
            last = maximum_gradient(wide, places, shape, "channels_last")
            return fc.max_pool2d_backward(y, indices, shape), fc.avg_pool2d_backward(y, shape, 2), last

    for threads in (2, 3):
        for found, alone in zip(gradients(threads), gradients(1), strict=True):
            np.testing.assert_array_equal(found, alone)


def test_views(rng):
    dy = values(rng, (4, 6, 8, 14), "float32")
    for view in (dy[::2], dy[:, ::2], dy[:, :, ::2], dy[..., ::2], dy[::-1, ::-1, ::-1], np.asfortranarray(dy)):
        shape = (*view.shape[:2], 2 * view.shape[2] + 1, 2 * view.shape[3])
        expected = fc.avg_pool2d_backward(view.copy(), shape, 2)
        np.testing.assert_array_equal(fc.avg_pool2d_backward(view, shape, 2), expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_no_access_outside(rng, dtype, at_end):
    from guard import guarded

    for width in (4, 7, 32, 33, 70):
        for kernel in (2, 3, 4):
            x = values(rng, (1, 3, 9, width), dtype)
            y, indices = fc.max_pool2d(x, kernel, return_indices=True)
            dy, at = guarded(y, at_end), guarded(indices, at_end)
            out = guarded(np.zeros(x.shape, x.dtype), at_end)
            found = fc.max_pool2d_backward(dy, at, x.shape, out=out).astype(np.float64)
            np.testing.assert_array_equal(found, pools.max_gradient(y, indices, x.shape[2:]))
            fc.avg_pool2d_backward(dy, x.shape, kernel, out=out)


def test_parts_that_only_resemble_windows_side_by_side(rng):
    """Parts that differ along one axis, and planes that several outputs have, are no windows of a kernel here."""
    x = values(rng, (1, 2, 1, 4, 4), "float32")
    y, indices = fc.adaptive_max_pool3d(x, (3, 2, 2), return_indices=True)
    dx = fc.adaptive_max_pool3d_backward(y, indices, x.shape)
    np.testing.assert_array_equal(dx, pools.max_gradient(y, indices, x.shape[2:]))
    x = values(rng, (2, 3, 7, 12), "float32")
    for outs in ((3, 6), (5, 4), (14, 6), (2, 3)):
        cuts = [
            [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)] for n, out in zip((7, 12), outs, strict=True)
        ]
        parts = [[x[:, :, a:b, c:d] for c, d in cuts[1]] for a, b in cuts[0]]
        found = np.array([[part.max((2, 3)) for part in row] for row in parts]).transpose(2, 3, 0, 1)
        np.testing.assert_array_equal(fc.adaptive_max_pool2d(x, outs), found)
        dy, expected = values(rng, found.shape, "float32"), np.zeros(x.shape)
        for i, j in np.ndindex(*outs):
            (a, b), (c, d) = cuts[0][i], cuts[1][j]
            expected[:, :, a:b, c:d] += dy[:, :, i, j, None, None] / ((b - a) * (d - c))
        pools.assert_close(fc.adaptive_avg_pool2d_backward(dy, x.shape), expected)
