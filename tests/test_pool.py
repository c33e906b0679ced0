"""Pools with sliding windows: what users were bitten by elsewhere, arrays of any kind, errors, bits."""

import numpy as np
import pools
import pytest
from arrays import DTYPES
from pools import laid
from test_properties import VIEWS, view_of

import fastconv as fc

LAYOUTS = ("channels_first", "channels_last")
INF = np.inf


def both(op, x, *args, **options):
    """A pool of channels-first values in both layouts, as channels first."""
    for layout in LAYOUTS:
        y = getattr(fc, op)(laid(x, layout), *args, layout=layout, **options)
        yield tuple(pools_first(part, layout) for part in y) if isinstance(y, tuple) else pools_first(y, layout)


def pools_first(y, layout):
    return np.moveaxis(y, -1, 1) if layout == "channels_last" else y


# Regressions of others: https://github.com/pytorch/pytorch/issues/7645, 40131; tensorflow 125965


def test_pytorch_40131_windows_of_minus_infinity_have_an_index():
    x = np.full((1, 2, 4, 4), -INF, np.float32)
    for y, indices in both("max_pool2d", x, 2, return_indices=True):
        assert (y == -INF).all()
        np.testing.assert_array_equal(indices[0, 1], [[0, 2], [8, 10]])


def test_pytorch_7645_tensorflow_125965_nan_wherever_it_lies():
    for place in np.ndindex(3, 3):
        x = np.zeros((1, 35, 3, 3), np.float32)
        x[(0, slice(None), *place)] = np.nan
        for y, indices in both("max_pool2d", x, 3, return_indices=True):
            assert np.isnan(y).all() and (indices == np.ravel_multi_index(place, (3, 3))).all()
        for y in both("max_pool2d", x, 3):
            assert np.isnan(y).all()


# https://github.com/pytorch/pytorch/issues/183528; onnxruntime 29629, 16203, 15446, 16351; onnx 4958; tvm 18594


def test_onnx_4958_onnxruntime_29629_ceil_mode_does_not_count_beyond_the_border():
    x = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    expected = [[3.5, 4.5, 5.5], [11.5, 12.5, 13.5]]
    for convention in ("torch", "onnx"):
        for y in both("avg_pool2d", x, (2, 2), (2, 1), 0, True, convention=convention):
            np.testing.assert_array_equal(y, [[expected]])
    x = np.ones((1, 1, 5), np.float32)
    for y in both("avg_pool1d", x, 3, 2, 1, True):
        np.testing.assert_array_equal(y, [[[np.float32(2 / 3), 1, np.float32(2 / 3)]]])
    for y in both("avg_pool1d", x, 3, 3, 0, True):
        np.testing.assert_array_equal(y, [[[1, 1]]])


def test_pytorch_183528_no_nan_in_rows_that_ceil_mode_adds():
    x = np.ones((1, 3, 7, 7), np.float32)
    for inside in (True, False):
        for y in both("avg_pool2d", x, 3, 3, 1, True, inside):
            assert np.isfinite(y).all()


def test_onnxruntime_16203_tvm_18594_no_window_starts_behind_the_input():
    x = np.ones((1, 1, 21, 7), np.float32)
    for y in both("max_pool2d", x, (2, 3), (2, 3), ((1, 3), (0, 1)), (2, 2), True, convention="onnx"):
        assert y.shape == (1, 1, 11, 2) and (y == 1).all()


def test_windows_without_elements():
    x = np.ones((1, 2, 1), np.float32)
    for y, indices in both("max_pool1d", x, 2, 1, 2, 3, return_indices=True):
        assert y.shape == (1, 2, 2) and (y == -INF).all() and (indices == -1).all()
    for y in both("max_pool1d", x.astype(np.int8), 2, 1, ((3, 0),), convention="onnx"):
        assert y[0, 0, 0] == -128
    for y in both("avg_pool1d", x, 2, 1, ((3, 0),), False, False, convention="onnx"):
        assert y[0, 0, 0] == 0
    dx = fc.max_pool1d_backward(np.ones((1, 1, 2), np.float32), np.array([[[-1, 0]]]), (1, 1, 3))
    np.testing.assert_array_equal(dx, [[[1, 0, 0]]])


def test_of_several_nan_the_last_in_scan_order_has_the_index():
    x = np.zeros((1, 35, 3, 3), np.float32)
    x[:, :, [0, 1, 2], [2, 0, 1]] = np.nan  # columns from left to right end with the first of them
    for _, indices in both("max_pool2d", x, 3, return_indices=True):
        assert (indices == 7).all()


@pytest.mark.parametrize("kernel", [100, 2**31, 2**56])
def test_windows_far_larger_than_the_input(kernel):
    x = np.arange(84, dtype=np.float32).reshape(1, 2, 6, 7)
    for y, indices in both("max_pool2d", x, kernel, 1, kernel // 2, return_indices=True):
        assert y.shape == (1, 2, 7, 8) and (indices == 41).all() and (y[0, :, 3, 3] == [41, 83]).all()
    for y in both("avg_pool2d", x, kernel, 1, kernel // 2, False, False):
        np.testing.assert_array_equal(y[0, :, 0, 0], [20.5, 62.5])
    with pytest.raises(ValueError, match="too large to address"):
        fc.avg_pool2d(x, 2**62, 1, 2**61)


def test_dilation_and_norm_beyond_any_use():
    x = np.arange(1, 85, dtype=np.float32).reshape(1, 2, 6, 7)
    for y in both("max_pool2d", x, 1, 1, 0, 2**62):
        np.testing.assert_array_equal(y, x)
    assert fc.lp_pool2d(x, 1e300, 2).shape == (1, 2, 3, 3)  # and no warning


@pytest.mark.parametrize("weight", [INF, -INF, np.nan])
@pytest.mark.parametrize("stride", [1, 2])
def test_borders_are_not_multiplied_by_weights_that_are_not_finite(rng, weight, stride):
    x, window = rng.integers(1, 5, (2, 3, 6, 7)).astype(np.float32), rng.integers(1, 4, (3, 2)).astype(np.float32)
    window[0, 0] = weight
    expected = pools.weighted_pool(x, window, stride, 1)
    for y in both("weighted_avg_pool2d", x, window, stride, 1):
        np.testing.assert_array_equal(y, expected)
    dy = rng.integers(1, 5, expected.shape).astype(np.float32)
    exact = pools.weighted_gradient(dy, (6, 7), window, stride, 1)
    for layout in LAYOUTS:
        shape = laid(x, layout).shape
        dx = fc.weighted_avg_pool2d_backward(laid(dy, layout), shape, window, stride, 1, layout=layout)
        np.testing.assert_array_equal(pools_first(dx, layout), exact)


# Arrays


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", [v for v in VIEWS if v != "broadcast"])
def test_any_strides(rng, kind, layout):
    x = laid(rng.integers(-9, 9, (2, 5, 11, 13)).astype(np.float32), layout)
    view, window = view_of(x, kind), np.ones((3, 2), np.float32)
    for call in (
        lambda x: fc.max_pool2d(x, 3, 2, 1, layout=layout),
        lambda x: fc.avg_pool2d(x, 3, 2, 1, layout=layout),
        lambda x: fc.weighted_avg_pool2d(x, window, 2, 1, layout=layout),
        lambda x: fc.avg_pool2d_backward(x, (2, 22, 26, 5) if layout != "channels_first" else (2, 5, 22, 26), 2,
                                         layout=layout),
    ):  # fmt: skip
        np.testing.assert_array_equal(call(view), call(x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_batch_and_empty_batch(rng, layout):
    x = laid(rng.standard_normal((1, 5, 8, 9)).astype(np.float32), layout)
    for call in (lambda x: fc.max_pool2d(x, 2, return_indices=True, layout=layout)[1],
                 lambda x: fc.max_pool2d(x, 2, layout=layout), lambda x: fc.avg_pool2d(x, (2, 3), layout=layout),
                 lambda x: fc.max_pool2d(x, 1, layout=layout), lambda x: fc.max_pool2d(x, 3, 2, 1, layout=layout),
                 lambda x: fc.avg_pool2d(x, 3, 1, 1, layout=layout)):  # fmt: skip
        y = call(x)
        np.testing.assert_array_equal(call(x[0]), y[0])
        assert call(x[:0]).shape == (0, *y.shape[1:])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_out_that_overlaps(rng, layout):
    x = laid(rng.standard_normal((1, 4, 9, 9)).astype(np.float32), layout)
    expected = fc.max_pool2d(x, 3, 1, 1, layout=layout)
    again = x.copy()
    assert fc.max_pool2d(again, 3, 1, 1, layout=layout, out=again) is again
    np.testing.assert_array_equal(again, expected)
    wide = np.zeros((*expected.shape[:-1], 2 * expected.shape[-1]), np.float32)[..., ::2]
    fc.avg_pool2d(x, 3, 1, 1, layout=layout, out=wide)
    np.testing.assert_array_equal(wide, fc.avg_pool2d(x, 3, 1, 1, layout=layout))


# Bits


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("op", ["max", "avg", "lp", "weighted_avg"])
def test_bits_do_not_depend_on_threads_or_batch(rng, op, layout):
    x = laid(rng.standard_normal((5, 24, 30, 40)).astype(np.float32), layout)
    args = {"max": (3, 2, 1), "avg": (3, 2, 1), "lp": (2, 3, 2), "weighted_avg": (np.ones((3, 3), np.float32), 2, 1)}

    def forward(x):
        return getattr(fc, f"{op}_pool2d")(x, *args[op], layout=layout)

    def gradient(x):
        y = forward(x)
        if op == "max":
            _, indices = fc.max_pool2d(x, 3, 2, 1, return_indices=True, layout=layout)
            return fc.max_pool2d_backward(y, indices, x.shape, layout=layout)
        if op == "lp":
            return fc.lp_pool2d_backward(y, x, y, *args[op], layout=layout)
        return getattr(fc, f"{op}_pool2d_backward")(y, x.shape, *args[op], layout=layout)

    for call in (forward, gradient):
        with fc.num_threads(1):
            expected = call(x)
        for count in (2, 3):
            with fc.num_threads(count):
                np.testing.assert_array_equal(call(x), expected)
        np.testing.assert_array_equal(np.concatenate([call(x[:2]), call(x[2:])]), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_long_rows_are_cut(rng, dtype):
    x = rng.standard_normal((1, 1, 9001)).astype(DTYPES[dtype])
    for stride, kernel in ((1, 7), (3, 5), (5, 9)):
        for y, indices in both("max_pool1d", x, kernel, stride, kernel // 2, return_indices=True):
            expected, positions = pools.max_pool(x, kernel, stride, kernel // 2)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(indices, positions)
        dy = rng.integers(-3, 4, expected.shape).astype(DTYPES[dtype])
        for layout in LAYOUTS:
            dx = fc.avg_pool1d_backward(laid(dy, layout), laid(x, layout).shape, kernel, stride, kernel // 2,
                                        layout=layout)  # fmt: skip
            pools.assert_close(pools_first(dx, layout), pools.avg_gradient(dy, (9001,), kernel, stride, kernel // 2))


# Errors


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: fc.max_pool2d(x, 0), ValueError, "kernel_size"),
        (lambda x: fc.max_pool2d(x, 2.0), TypeError, "kernel_size"),
        (lambda x: fc.max_pool2d(x, 2, 0), ValueError, "stride"),
        (lambda x: fc.max_pool2d(x, 2, 1, 2), ValueError, "at most half"),
        (lambda x: fc.max_pool2d(x, 9), ValueError, "spans 9"),
        (lambda x: fc.max_pool2d(x, 2, dilation=0), ValueError, "dilation"),
        (lambda x: fc.max_pool2d(x, 2, ceil_mode=1), TypeError, "ceil_mode"),
        (lambda x: fc.max_pool2d(x, 2, layout="nchw"), ValueError, "layout"),
        (lambda x: fc.max_pool2d(x, 2, convention="tf"), ValueError, "convention"),
        (lambda x: fc.max_pool2d(x.tolist(), 2), TypeError, "x must be a NumPy array"),
        (lambda x: fc.max_pool2d(x[0, 0], 2), ValueError, "x must have 3 or 4 axes"),
        (lambda x: fc.max_pool2d(x.astype(np.int64), 2), TypeError, "int64"),
        (lambda x: fc.avg_pool2d(x.astype(np.int8), 2), TypeError, "int8"),
        (lambda x: fc.avg_pool2d(x, 2, divisor_override=0), ValueError, "divisor_override"),
        (lambda x: fc.lp_pool2d(x, 0, 2), ValueError, "norm_type"),
        (lambda x: fc.lp_pool2d(x, "2", 2), TypeError, "norm_type"),
        (lambda x: fc.lp_pool2d(x, None, 2), TypeError, "norm_type"),
        (lambda x: fc.lp_pool2d(x, 10**400, 2), ValueError, "norm_type"),
        (lambda x: fc.max_pool2d(x.astype(">i4"), 2), TypeError, "byte order"),
        (lambda x: fc.max_pool2d_backward(x, np.zeros(x.shape, np.int64), x.shape, convention="onnx"), ValueError,
         "indices .* in the tensor"),
        (lambda x: fc.weighted_avg_pool2d(x, np.ones((2, 2))), TypeError, "window"),
        (lambda x: fc.weighted_avg_pool2d(x, np.ones(2, np.float32)), ValueError, "window"),
        (lambda x: fc.max_pool2d(x, 2, out=np.zeros((1, 2, 2, 3), np.float32)), ValueError, "out"),
        (lambda x: fc.max_pool2d_backward(x, np.full(x.shape, 64), x.shape), ValueError, "indices"),
        (lambda x: fc.max_pool2d_backward(x, np.full(x.shape, -2), x.shape), ValueError, "indices"),
        (lambda x: fc.max_pool2d_backward(x, np.zeros(x.shape, np.int32), x.shape), TypeError, "indices"),
        (lambda x: fc.avg_pool2d_backward(x, (1, 2, 9, 9), 2), ValueError, "grad_output"),
        (lambda x: fc.avg_pool2d_backward(x, (2, 9, 9), 2), ValueError, "input_shape"),
        (lambda x: fc.lp_pool2d_backward(x, x, x[..., :1], 2, 2), ValueError, "y of shape"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(call, kind, words):
    with pytest.raises(kind, match=words):
        call(np.zeros((1, 2, 8, 8), np.float32))


def test_explain_and_algorithms():
    for op in ("max_pool1d", "avg_pool2d", "lp_pool3d", "weighted_avg_pool2d"):
        assert "rows" in fc.algorithms(op) and fc.algorithms(f"{op}_backward")
    plan = fc.explain("max_pool2d", (1, 64, 112, 112), 7, stride=1, padding=3)
    assert plan.algorithm == "rows" and "MB in and out" in str(plan)
    assert fc.explain("avg_pool2d_backward", (1, 8, 8, 4), 2, layout="channels_last").algorithm == "windows"
    assert fc.explain("max_pool2d_backward", (1, 4, 8, 8), (1, 4, 4, 4)).algorithm == "scatter"
    with pytest.raises(TypeError, match="has no option"):
        fc.explain("max_pool2d", (1, 64, 112, 112), 3, groups=2)


def test_options_that_are_equal_but_of_other_types_are_not_taken_for_each_other():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    for kernel, others in ((1, (True, 1.0)), ((1, 1), ((1, True), (1.0, 1))), ([1, 1], ([1, True], (1.0, 1)))):
        for _ in range(2):
            np.testing.assert_array_equal(fc.max_pool2d(x, kernel), x)
            for other in others:
                with pytest.raises(TypeError, match="kernel_size"):
                    fc.max_pool2d(x, other)
    pads = [(0, 0), [0, 0]], ((0, 0), (0, 0)), [[0, 0], [0, 0]]
    for padding in (*pads, *pads):
        np.testing.assert_array_equal(fc.max_pool2d(x, 1, padding=padding), x)
    with pytest.raises(TypeError, match="padding"):
        fc.max_pool2d(x, 1, padding=((0, 0), (0, False)))
