"""Both forms of depthwise kernels on the same problems: pixels in the lanes, and channels in the lanes."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from arrays import integers
from hypothesis import given
from hypothesis import strategies as st

import fastconv as fc
from fastconv import dispatch
from fastconv.algorithm import depthwise_channels, depthwise_pixels
from fastconv.algorithm.common import Steps
from fastconv.job import Job
from fastconv.problem.conv import conv2d_problem
from fastconv.target import Target, host
from fastconv.threads import get_num_threads, run

PIXELS = host().isa in ("avx512", "avx2")


def executions(problem):
    """The executions of every form that can do a problem."""
    x = dispatch.contiguous_steps(problem)
    if depthwise_channels.refuses(problem, x, host()) is None:
        yield depthwise_channels.build(problem, x, host(), get_num_threads(), False)
    if depthwise_pixels.refuses(problem, x, host()) is None:
        for target in (host(), replace(host(), l3=0)):  # without an L3 every y is large enough to pass by it
            yield depthwise_pixels.build(problem, x, target, get_num_threads(), False)


def check(x, w, bias, residual, precision, **options):
    """Every form's result against the definition, exactly."""
    problem = conv2d_problem(x.shape, w.shape, dtype=x.dtype.name, bias_shape=bias.shape,
                             residual_shape=residual.shape, precision=precision, **options)  # fmt: skip
    expected = naive.conv2d(x, w, bias, residual=residual, **options)
    forms = list(executions(problem))
    for execution in forms:
        weight = w
        if execution.weights is not None:
            weight = np.zeros(execution.weight_bytes + 64, np.uint8)
            weight = weight[-weight.ctypes.data % 64 :]
            run(execution.weights, w, y=weight)
        y = np.full(expected.shape, np.nan, x.dtype)
        for part in execution.parts:
            assert isinstance(part, Job)
            run(part, x, weight, bias, residual, y)
        np.testing.assert_array_equal(y, expected)
    return len(forms)


@given(
    st.sampled_from([3, 5, 7]), st.one_of(st.integers(1, 2), st.tuples(st.integers(1, 9), st.integers(1, 9))),
    st.integers(1, 40), st.integers(1, 70), st.integers(1, 20), st.tuples(*[st.integers(0, 8)] * 4), st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([None, "relu", "relu6", ("leaky_relu", 0.5)]), st.sampled_from(["float32", "float64"]),
    st.sampled_from(["strict", "default"]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_forms_agree(size, steps, h, w, c, pads, multiplier, n, activation, dtype, precision, seed):
    """`steps` are a stride, or a dilation."""
    rng = np.random.default_rng(seed)
    stride, dilation = (steps, (1, 1)) if isinstance(steps, int) else (1, steps)
    padding = []
    for extent, step, (before, after) in zip((h, w), dilation, (pads[:2], pads[2:]), strict=True):
        lacking = max(0, (size - 1) * step + 1 - extent - before - after)  # of one window
        padding.append((before + lacking // 2, after + lacking - lacking // 2))
    x = integers(rng, (n, c, h, w), np.dtype(dtype), 2)
    weight, bias = (integers(rng, s, np.dtype(dtype), 2) for s in ((c * multiplier, 1, size, size), (c * multiplier,)))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": c, "activation": activation}
    shape = conv2d_problem(x.shape, weight.shape, dtype=dtype, **options).y_shape
    forms = check(x, weight, bias, integers(rng, shape, np.dtype(dtype), 2), precision, **options)
    assert forms == 1 + 2 * (PIXELS and (dtype == "float32" or size < 7 or host().isa == "avx512"))


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ({"layout": "channels_last"}, "contiguous"),
        ({"dtype": "float16"}, "narrow"),
        ({"dilation": 2, "stride": 2}, "no kernel"),
        ({"dilation": (1, 40000), "padding": (0, 40000)}, "apart"),
        ({"stride": 3}, "no kernel"),
        ({"stride": (1, 2)}, "no kernel"),
    ],
)
def test_pixels_refuse(problem, reason):
    options = {"dtype": "float32", "groups": 4, **problem}
    shape = (1, 20, 20, 4) if options.get("layout") == "channels_last" else (1, 4, 20, 20)
    made = conv2d_problem(shape, (4, 1, 3, 3), **options)
    assert reason in depthwise_pixels.refuses(made, dispatch.contiguous_steps(made), Target("avx512"))


def test_pixels_need_masks_and_rows():
    made = conv2d_problem((1, 4, 20, 20), (4, 1, 3, 3), dtype="float32", groups=4)
    steps = dispatch.contiguous_steps(made)
    assert "masked" in depthwise_pixels.refuses(made, steps, Target("neon"))
    apart = Steps(steps.n, steps.c, steps.h, 2 * steps.w)
    assert "rows" in depthwise_pixels.refuses(made, apart, Target("avx512"))


@pytest.mark.parametrize("activation", ["sigmoid", "silu", "gelu"])
@pytest.mark.parametrize("dilation", [1, 4])
def test_activations_that_need_a_second_step(rng, activation, dilation):
    x, w = rng.normal(size=(2, 6, 15, 31)), rng.normal(size=(6, 1, 3, 3))
    options = {"padding": dilation, "dilation": dilation, "groups": 6, "activation": activation}
    residual = rng.normal(size=(2, 6, 15, 31))
    expected = naive.conv2d(x, w, residual=residual, **options)
    np.testing.assert_allclose(fc.conv2d(x, w, residual=residual, **options), expected, rtol=1e-12, atol=1e-12)
    if PIXELS:
        problem = conv2d_problem(x.shape, w.shape, dtype="float64", residual_shape=residual.shape, **options)
        steps, y = dispatch.contiguous_steps(problem), np.empty_like(expected)
        depthwise_pixels.build(problem, steps, replace(host(), l3=0), 2, False).run(x, w, None, residual, y)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
