"""Depthwise convolution of volumes in one pass, on every instruction set that has its kernels."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from arrays import integers, layout_of
from hypothesis import given
from hypothesis import strategies as st
from test_microkernels import ISAS

import fastconv as fc
from fastconv import dispatch
from fastconv.algorithm import depthwise_pixels, depthwise_rows
from fastconv.algorithm.common import Execution
from fastconv.algorithm.volume.depthwise import DepthwiseVolume, Reversed
from fastconv.algorithm.volume.taps import Tapped
from fastconv.microkernels.stencil import dilated_kinds, kinds, volume_kinds
from fastconv.problem.conv import conv_problem
from fastconv.target import Target, host

MASKED = [isa for isa in ISAS if isa in ("avx512", "avx2")]


def convolved(x, w, bias, residual, target, workers=2, **options):
    """The result in one pass."""
    problem = conv_problem("conv3d", x.shape, w.shape, dtype=x.dtype.name, bias_shape=bias.shape,
                           residual_shape=residual.shape, **options)  # fmt: skip
    steps = dispatch.contiguous_steps(problem)
    assert depthwise_pixels.refuses(problem, steps, target) is None
    y = np.full(problem.y_shape, np.nan, x.dtype)
    depthwise_pixels.build(problem, steps, target, workers, False).run(x, w, bias, residual, y)
    return y


@pytest.mark.parametrize("isa", MASKED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel(rng, isa, dtype):
    target = Target(isa)
    lanes = target.lanes(np.dtype(dtype).itemsize)
    dilated = set(dilated_kinds(lanes)) - set(kinds(lanes))
    for kind, across in (*((kind, 1) for kind in volume_kinds(lanes)), *((kind, 5) for kind in sorted(dilated))):
        (*kernel, last), stride = kind.split("s")[0].split("x"), int(kind[-1])
        kernel = (*map(int, kernel), int(last))
        for columns in (lanes - 1, 2 * lanes):  # tiles of one vector, and of two
            size = (columns - 1) * stride + (kernel[2] - 1) * across - 1
            x = integers(rng, (2, 3, 4, 6, size), np.dtype(dtype), 2)
            w, bias = integers(rng, (3, 1, *kernel), np.dtype(dtype), 2), integers(rng, (3,), np.dtype(dtype), 2)
            options = {"stride": (1, stride, stride), "padding": ((2, 1), (1, 2), (1, 1)), "groups": 3,
                       "dilation": (1, 1, across)}  # fmt: skip
            shape = fc.conv3d(x, w, algorithm="taps", **options).shape
            residual = integers(rng, shape, np.dtype(dtype), 2)
            expected = naive.conv(x, w, bias, residual=residual, **options)
            np.testing.assert_array_equal(convolved(x, w, bias, residual, target, **options), expected)


@pytest.mark.skipif(not MASKED, reason="no masked loads")
@given(
    st.sampled_from([3, 5]), st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), st.integers(1, 7),
    st.integers(1, 9), st.integers(1, 40), st.integers(1, 20), st.tuples(*[st.integers(0, 4)] * 6), st.integers(1, 2),
    st.sampled_from([None, "relu", ("leaky_relu", 0.5)]), st.integers(1, 5), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_random(size, strides, dilation, d, h, w, c, pads, multiplier, activation, workers, seed):
    rng = np.random.default_rng(seed)
    padding = [pads[:2], pads[2:4], pads[4:]]
    if strides[1] == 2:
        dilation = (dilation[0], 1, 1)
    for axis, (extent, spread) in enumerate(zip((d, h, w), dilation, strict=True)):
        lacking = max(0, (size - 1) * spread + 1 - extent - sum(padding[axis]))  # of one window
        padding[axis] = padding[axis][0] + lacking // 2, padding[axis][1] + lacking - lacking // 2
    stride = (strides[0], strides[1], strides[1])
    c = max(c, 2)
    options = {"stride": stride, "padding": tuple(padding), "dilation": dilation, "groups": c,
               "activation": activation}  # fmt: skip
    x = integers(rng, (2, c, d, h, w), np.dtype(np.float32), 2)
    weight, bias = (
        integers(rng, shape, x.dtype, 2) for shape in ((c * multiplier, 1, size, size, size), (c * multiplier,))
    )  # fmt: skip
    problem = conv_problem("conv3d", x.shape, weight.shape, dtype="float32", **options)
    residual = integers(rng, problem.y_shape, x.dtype, 2)
    expected = naive.conv(x, weight, bias, residual=residual, **options)
    np.testing.assert_array_equal(convolved(x, weight, bias, residual, host(), workers, **options), expected)


@given(
    st.sampled_from(ISAS), st.sampled_from([np.float32, np.float64]), st.sampled_from([2, 3]),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)), st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 21)), st.integers(0, 20),
    st.tuples(*[st.integers(0, 4)] * 6), st.sampled_from([None, "relu", ("leaky_relu", 0.5)]), st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_channels_last(isa, dtype, size, stride, dilation, sizes, more, pads, activation, workers, seed):
    """A frame's rows read those of all its slices, where they lie."""
    rng, target = np.random.default_rng(seed), Target(isa)
    c = target.lanes(np.dtype(dtype).itemsize) + more
    spread, padding = (*dilation, 1), [pads[:2], pads[2:4], pads[4:]]
    for axis, extent in enumerate(sizes):
        lacking = max(0, (size - 1) * spread[axis] + 1 - extent - sum(padding[axis]))  # of one window
        padding[axis] = padding[axis][0] + lacking // 2, padding[axis][1] + lacking - lacking // 2
    options = {"stride": stride, "padding": tuple(padding), "dilation": spread, "groups": c, "activation": activation,
               "layout": "channels_last"}  # fmt: skip
    x, w, bias = (integers(rng, shape, dtype, 2) for shape in ((2, *sizes, c), (c, 1, *[size] * 3), (c,)))
    problem = conv_problem("conv3d", x.shape, w.shape, dtype=x.dtype.name, bias_shape=bias.shape, **options)
    residual, y = integers(rng, problem.y_shape, dtype, 2), np.full(problem.y_shape, np.nan, dtype)
    steps = dispatch.contiguous_steps(problem)
    assert depthwise_rows.refuses(problem, steps, target) is None
    depthwise_rows.build(problem, steps, target, workers, False).run(x, w, bias, residual, y)
    np.testing.assert_array_equal(y, naive.conv(x, w, bias, residual=residual, **options))


@pytest.mark.skipif(not MASKED, reason="no masked loads")
@pytest.mark.parametrize(
    ("made", "options"),
    [
        (Execution, {}),
        (Execution, {"dilation": (2, 1, 1), "stride": (3, 2, 2)}),
        (Reversed, {"pass_": "input_grad"}),
        (Reversed, {"pass_": "input_grad", "dilation": 2, "padding": 2}),
        (Tapped, {"padding_mode": "reflect"}),
        (Execution, {"dilation": (3, 2, 4), "padding": 4}),
        (Tapped, {"dilation": (1, 2, 1), "stride": (1, 2, 2)}),
        (Tapped, {"stride": (1, 1, 2)}),
        (Execution, {"layout": "channels_last"}),
        (Execution, {"layout": "channels_last", "dilation": (3, 2, 1), "stride": (3, 1, 2)}),
        (Reversed, {"layout": "channels_last", "pass_": "input_grad"}),
        (Tapped, {"layout": "channels_last", "padding_mode": "circular"}),
        (Tapped, {"layout": "channels_last", "stride": 3}),
        (Tapped, {"dtype": "float16"}),
    ],
)
def test_which_are_done_in_one_pass(made, options):
    last = options.get("layout") == "channels_last"
    options = {"groups": 16, "padding": 1, "dtype": "float32", **options}
    pass_ = options.pop("pass_", "forward")
    shape = (1, 6, 9, 20, 16) if last else (1, 16, 6, 9, 20)
    problem = replace(conv_problem("conv3d", shape, (16, 1, 3, 3, 3), **options), pass_=pass_)
    steps = dispatch.contiguous_steps(problem)
    assert type(DepthwiseVolume().build(problem, steps, host(), 2, False)) is made


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_slices_from_the_last_to_the_first(rng, layout):
    """Where they lie is before the first one's place, which is not outside."""
    x, w = integers(rng, (2, 16, 6, 9, 20), np.float32), integers(rng, (16, 1, 3, 3, 3), np.float32)
    backwards = layout_of(x[:, :, ::-1], layout)[:, :: -1 if layout == "channels_last" else 1]
    backwards = backwards if layout == "channels_last" else np.ascontiguousarray(backwards)[:, :, ::-1]
    expected = naive.conv(layout_of(x, layout), w, None, padding=1, groups=16, layout=layout)
    assert min(backwards.strides) < 0
    np.testing.assert_array_equal(fc.conv3d(backwards, w, padding=1, groups=16, layout=layout), expected)


def test_input_grad_of_a_layer(rng):
    """Weights are reversed once, and a plain call gives the same bits."""
    x = rng.standard_normal((2, 5, 4, 9, 21)).astype(np.float32)
    weight = rng.standard_normal((5, 1, 3, 3, 3)).astype(np.float32)
    layer = fc.Conv3d(weight, padding=1, groups=5)
    dy = layer(x)
    expected = fc.conv3d_input_grad(dy, weight, x.shape, padding=1, groups=5, algorithm="depthwise")
    found = layer.backward(dy, x, (True, False, False), algorithm="depthwise").input
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, naive.input_grad(dy, weight, x.shape, padding=1, groups=5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [(1, 3, 3), (1, 5, 5), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pads", [(0, 0), (3, 1)], ids=str)
def test_kernels_of_one_slice(rng, kernel, stride, pads):
    x, w = integers(rng, (2, 16, 5, 9, 40), np.float32, 3), integers(rng, (16, 1, *kernel), np.float32, 3)
    options = {"stride": (stride, 1, 1), "padding": (pads, (1, 1), (1, 1)), "groups": 16, "precision": "strict"}
    expected = naive.conv(x, w, None, **{key: value for key, value in options.items() if key != "precision"})
    np.testing.assert_array_equal(fc.conv3d(x, w, **options), expected)
    dy = integers(rng, expected.shape, np.float32, 3)
    dx = fc.conv3d_input_grad(dy, w, x.shape, **options)
    assert np.vdot(dx, x) == np.vdot(dy, expected)
