"""Gradients of depthwise convolution: both forms of the weight's against the definition, exactly."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from arrays import DTYPES, integers, layout_of, rounded
from hypothesis import given
from hypothesis import strategies as st
from shapes import CASES

import fastconv as fc
from fastconv import dispatch, threads
from fastconv.algorithm.depthwise_weight import channels, pixels
from fastconv.problem.conv import conv2d_problem
from fastconv.target import host

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
DEPTHWISE = [case for case in CASES if case[3].get("groups") == case[1][1]]


def problem_of(x_shape, weight_shape, dtype, options):
    """The Problem of a weight gradient."""
    return replace(conv2d_problem(x_shape, weight_shape, dtype=dtype, **options), pass_="weight_grad")


def naive_weight_grad(dy, x, problem):
    """The definition in float64, channels first: dy (N, K, OH, OW), x (N, C, H, W)."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *problem.padding), MODES[problem.padding_mode])
    dw, (sh, sw), (dh, dw_) = np.zeros(problem.weight_shape), problem.stride, problem.dilation
    spread = np.repeat(padded, problem.k // problem.c, axis=1)
    for r in range(problem.r):
        for s in range(problem.s):
            rows = slice(r * dh, r * dh + (problem.oh - 1) * sh + 1, sh)
            columns = slice(s * dw_, s * dw_ + (problem.ow - 1) * sw + 1, sw)
            dw[:, 0, r, s] = (dy.astype(np.float64) * spread[:, :, rows, columns]).sum((0, 2, 3))
    return dw


def run(execution, dy, x, problem):
    """The weight gradient by this execution."""
    dw = np.full(problem.weight_shape, np.nan, x.dtype)
    execution.run(x, dy, None, None, dw)
    return dw


def check(dy, x, problem):
    """Every form that can do the problem; channels-first arrays. Gives how many there are."""
    expected = rounded(naive_weight_grad(dy, x, problem), x.dtype)
    dy, x = layout_of(dy, problem.layout), layout_of(x, problem.layout)
    steps, forms = dispatch.contiguous_steps(problem), 0
    for form in (channels, pixels):
        if form.refuses(problem, steps, host()) is None:
            np.testing.assert_array_equal(run(form.build(problem, steps, host()), dy, x, problem), expected)
            forms += 1
    return forms


def arrays(rng, problem, most=1):
    """dy and x of small integers, channels first."""
    dtype = DTYPES[problem.dtype]
    dy = integers(rng, (problem.n, problem.k, problem.oh, problem.ow), dtype, most)
    return dy, integers(rng, (problem.n, problem.c, problem.h, problem.w), dtype, most)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 30), st.integers(1, 70), st.integers(2, 37),
    st.tuples(*[st.integers(0, 9)] * 4), st.integers(1, 3), st.integers(1, 3), st.sampled_from(list(MODES)),
    st.sampled_from(["channels_first", "channels_last"]), st.sampled_from(list(DTYPES)), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_problem(kernel, stride, dilation, h, w, c, pads, multiplier, n, mode, layout, dtype, seed):
    least = 1 if mode == "reflect" else 0
    pads = [min(pad, size - least) for pad, size in zip(pads, (h, h, w, w), strict=True)] if mode != "zeros" else pads
    spans = [d * (size - 1) + 1 for d, size in zip(dilation, kernel, strict=True)]
    if h + pads[0] + pads[1] < spans[0] or w + pads[2] + pads[3] < spans[1]:
        kernel, dilation = (1, 1), (1, 1)
    options = {"stride": stride, "padding": (tuple(pads[:2]), tuple(pads[2:])), "dilation": dilation, "groups": c,
               "padding_mode": mode, "layout": layout}  # fmt: skip
    problem = problem_of(layout_shape((n, c, h, w), layout), (c * multiplier, 1, *kernel), dtype, options)
    assert check(*arrays(np.random.default_rng(seed), problem), problem)


def layout_shape(shape, layout):
    """A channels-first shape in the layout."""
    n, c, h, w = shape
    return (n, h, w, c) if layout == "channels_last" else shape


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_width(rng, dtype, size, stride):
    forms = 0
    for w in range(1, 71):
        padding = ((size // 2, size // 2), (int(rng.integers(0, size)), size))
        options = {"stride": stride, "padding": padding, "groups": 3}
        problem = problem_of((2, 3, 11, w), (3 * (1 + w % 2), 1, size, size), dtype, options)
        forms += check(*arrays(rng, problem), problem)
    has_pixels = host().isa in ("avx512", "avx2") and (dtype == "float32" or size < 7 or host().isa == "avx512")
    assert forms == 70 * (1 + has_pixels)


@pytest.mark.parametrize(
    ("x_shape", "kernel", "options"),
    [
        ((7, 33, 20, 40), (3, 3), {"padding": 1}),
        ((8, 2, 112, 112), (3, 3), {"padding": 1, "stride": 2}),
        ((1, 3, 200, 150), (7, 7), {"padding": 3}),
        ((2, 5, 40, 41), (31, 31), {"padding": 15}),
        ((3, 4, 60, 60), (3, 3), {"dilation": 20, "padding": 20}),
        ((2, 70, 9, 300), (1, 9), {"padding": (0, 4)}),
    ],
)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_segments_and_blocks(rng, x_shape, kernel, options, layout):
    """Sizes that are cut into segments, and blocks of a plane, whatever the number of threads."""
    c = x_shape[1]
    options = {**options, "groups": c, "layout": layout}
    problem = problem_of(layout_shape(x_shape, layout), (c, 1, *kernel), "float32", options)
    assert check(*arrays(rng, problem), problem)
    dy, x = (layout_of(rng.normal(size=s).astype(np.float32), layout)
             for s in ((problem.n, c, problem.oh, problem.ow), x_shape))  # fmt: skip
    results = []
    before = threads.get_num_threads()
    try:
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            results.append(fc.conv2d_weight_grad(dy, x, problem.weight_shape, algorithm="depthwise", **options))
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("form", [channels, pixels], ids=["channels", "pixels"])
@pytest.mark.parametrize("width", [14, 16, 21])
def test_infinities_stay_where_they_belong(rng, width, form):
    """A pixel that no window of a tap sees must not make that tap NaN, and one in dy shows on the padding."""
    problem = problem_of((2, 3, 12, width), (3, 1, 3, 3), "float32", {"groups": 3})
    steps = dispatch.contiguous_steps(problem)
    if form.refuses(problem, steps, host()):
        pytest.skip("pixels need masks")
    dy, x = arrays(rng, problem)
    for row, column in ((0, 0), (11, width - 1), (5, width - 1), (11, 3)):
        broken = x.copy()
        broken[1, 1, row, column] = np.inf
        dy[...] = 1
        found = run(form.build(problem, steps, host()), dy, broken, problem)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(found, naive_weight_grad(dy, broken, problem))
    problem = problem_of((2, 3, 12, width), (3, 1, 3, 3), "float32", {"groups": 3, "padding": 1})
    dy, x = arrays(rng, problem)
    dy[0, 2, 0, 0] = np.nan
    found = run(form.build(problem, dispatch.contiguous_steps(problem), host()), dy, x, problem)
    np.testing.assert_array_equal(found, naive_weight_grad(dy, x, problem))
    assert np.isnan(found[2]).all() and not np.isnan(found[:2]).any()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("case", DEPTHWISE, ids=[case[0] for case in DEPTHWISE])
def test_no_access_outside(rng, case, layout, dtype, at_end):
    from guard import guarded

    _, x_shape, weight_shape, options = case
    options = {**options, "layout": layout}
    problem = problem_of(layout_shape(x_shape, layout), weight_shape, dtype, options)
    dy, x = arrays(rng, problem)
    expected = rounded(naive_weight_grad(dy, x, problem), x.dtype)
    dy, x = (guarded(layout_of(a, layout), at_end) for a in (dy, x))
    for form in (channels, pixels):
        steps = dispatch.contiguous_steps(problem)
        if form.refuses(problem, steps, host()) is None:
            dw = guarded(np.zeros(expected.shape, x.dtype), at_end)
            form.build(problem, steps, host()).run(x, dy, None, None, dw)
            np.testing.assert_array_equal(dw, expected)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_views(rng, layout):
    """x of any steps whose rows or pixels are contiguous, in either layout; others are another algorithm's."""
    options = {"padding": 1, "groups": 6, "layout": layout}
    problem = problem_of(layout_shape((2, 6, 9, 11), layout), (6, 1, 3, 3), "float32", options)
    dy, x = arrays(rng, problem)
    expected = naive_weight_grad(dy, x, problem)
    dy, x = layout_of(dy, layout), layout_of(x, layout)
    other = np.ascontiguousarray(np.moveaxis(x, 1, -1) if layout == "channels_first" else np.moveaxis(x, -1, 1))
    turned = np.moveaxis(other, -1, 1) if layout == "channels_first" else np.moveaxis(other, 1, -1)
    wide = np.zeros((4, *(s + 3 for s in x.shape[1:])), np.float32)
    part = wide[::2, 1:-2, 2:-1, :-3]
    part[...] = x
    flipped = np.ascontiguousarray(x[::-1])[::-1]
    for view in (turned, part, flipped):
        np.testing.assert_array_equal(view, x)
        found = fc.conv2d_weight_grad(dy, view, (6, 1, 3, 3), algorithm="depthwise", **options)
        np.testing.assert_array_equal(found, expected)
    apart = np.zeros((*x.shape, 2), np.float32)[..., 0]
    with pytest.raises(ValueError, match="contiguous"):
        fc.conv2d_weight_grad(dy, apart, (6, 1, 3, 3), algorithm="depthwise", **options)


def test_few_rows_are_for_channels(rng):
    problem = problem_of((1, 4, 3, 20), (4, 1, 3, 3), "float32", {"groups": 4})
    assert "few" in pixels.refuses(problem, dispatch.contiguous_steps(problem), host())
    assert check(*arrays(rng, problem), problem) == 1


def naive_input_grad(dy, w, problem):
    """The definition in float64, channels first, one channel a group and zeros as padding."""
    (top, bottom), (left, right) = problem.padding
    padded = np.zeros((problem.n, problem.c, problem.h + top + bottom, problem.w + left + right))
    (sh, sw), (oh, ow) = problem.stride, (problem.oh, problem.ow)
    for r in range(problem.r):
        for s in range(problem.s):
            part = padded[:, :, r : r + (oh - 1) * sh + 1 : sh, s : s + (ow - 1) * sw + 1 : sw]
            part += dy.astype(np.float64) * w[:, 0, r, s].astype(np.float64)[:, None, None]
    return padded[:, :, top : top + problem.h, left : left + problem.w]


def input_problem(x_shape, size, pads, dtype):
    """An input gradient of stride 2 with the padding (top, bottom, left, right)."""
    options = {"stride": 2, "padding": (tuple(pads[:2]), tuple(pads[2:])), "groups": x_shape[1]}
    made = conv2d_problem(x_shape, (x_shape[1], 1, size, size), dtype=dtype, **options)
    return replace(made, pass_="input_grad"), options


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_input_gradient_of_stride_two(rng, size, dtype, at_end):
    """Every width, some heights and paddings, against protected pages; for any number of threads."""
    guarded = pytest.importorskip("guard").guarded if sys.platform.startswith("linux") else lambda a, at_end: a
    for w in range(1, 71):
        h, c = int(rng.integers(1, 24)), int(rng.integers(2, 5))
        pads = [*rng.integers(0, size + 2, 2).tolist(), *rng.integers(0, size + 2, 2).tolist()]
        pads[0], pads[2] = max(pads[0], size - h - pads[1]), max(pads[2], size - w - pads[3])
        problem, options = input_problem((2, c, h, w), size, pads, dtype)
        dy, weight = (integers(rng, s, np.dtype(dtype), 2) for s in (problem.y_shape, problem.weight_shape))
        out = guarded(np.full(problem.x_shape, np.nan, dtype), at_end)
        found = fc.conv2d_input_grad(
            guarded(dy, at_end), guarded(weight, at_end), problem.x_shape, algorithm="depthwise", out=out, **options
        )
        np.testing.assert_array_equal(found, naive_input_grad(dy, weight, problem), err_msg=problem.label)


@pytest.mark.parametrize("shape", [(1, 2, 112, 112), (2, 67, 14, 14), (3, 5, 57, 30)])
def test_input_gradient_threads(rng, shape):
    problem, options = input_problem(shape, 3, (1, 1, 1, 1), "float32")
    dy, weight = (rng.normal(size=s).astype(np.float32) for s in (problem.y_shape, problem.weight_shape))
    results, before = [], threads.get_num_threads()
    try:
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            results.append(fc.conv2d_input_grad(dy, weight, shape, algorithm="depthwise", **options))
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    np.testing.assert_allclose(results[0], naive_input_grad(dy, weight, problem), rtol=1e-5, atol=1e-5)
