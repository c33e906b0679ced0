"""Images of one column, computed as rows, against the definition."""

import naive
import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, layout_of, rounded
from hypothesis import given
from hypothesis import strategies as st

import fastconv as fc
from fastconv import dispatch
from fastconv.algorithm.column import as_row
from fastconv.problem.conv import conv2d_problem


def row_of(x_shape, weight_shape, **options):
    """The problem as algorithms see it, and the column of kernels that it has."""
    problem = conv2d_problem(x_shape, weight_shape, dtype="float32", **options)
    row, _, column = as_row(problem, dispatch.contiguous_steps(problem))
    return row, column


def test_the_column_that_sees_the_image():
    row, column = row_of((1, 4, 30, 1), (6, 4, 5, 3), padding=((1, 2), (2, 0)), stride=(2, 3), dilation=(3, 1))
    assert column == 2 and (row.h, row.w, row.r, row.s) == (1, 30, 1, 5)
    assert (row.stride, row.padding, row.dilation) == ((1, 2), ((0, 0), (1, 2)), (1, 3))
    assert row_of((1, 4, 30, 1), (6, 4, 5, 1))[1] is None, "weights are in order"
    assert row_of((1, 4, 30, 1), (6, 4, 5, 1))[0].w == 30


@pytest.mark.parametrize(
    ("width", "kernel", "options"),
    [
        (2, 1, {}),
        (1, 1, {"padding": ((0, 0), (1, 0)), "stride": (1, 2)}),  # nothing but padding is seen
        (1, 3, {"padding": (0, 2)}),  # three columns of output
        (1, 3, {"padding": ((0, 0), (1, 1)), "dilation": (1, 2), "stride": (1, 2)}),  # the column falls between taps
        (1, 3, {"padding": (0, 1), "padding_mode": "replicate"}),
        (1, 3, {"padding": (0, 1), "precision": "strict"}),
    ],
)
def test_what_stays_as_it_is(width, kernel, options):
    if options.get("dilation"):
        options = {**options, "padding": ((0, 0), (3, 1))}
    problem, column = row_of((1, 4, 30, width), (6, 4, 5, kernel), **options)
    assert column is None and (problem.h, problem.w) == (30, width)


@given(
    st.integers(1, 40), st.integers(1, 3), st.sampled_from([(1, 1, 1), (3, 5, 1), (8, 20, 2), (6, 12, 6), (33, 1, 1)]),
    st.integers(1, 5), st.integers(1, 4), st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.integers(0, 4)] * 4), st.integers(1, 3), st.sampled_from(["channels_first", "channels_last"]),
    st.sampled_from(sorted(DTYPES)), st.sampled_from([None, "relu", "silu"]), st.sampled_from(["default", "strict"]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_random(h, n, sizes, r, s, steps, pads, stride, layout, dtype, activation, precision, seed):
    rng, (c, k, groups) = np.random.default_rng(seed), sizes
    padding = (pads[:2], pads[2:])
    lacking = [max(0, (kernel - 1) * step + 1 - extent - sum(around))
               for extent, kernel, step, around in zip((h, 1), (r, s), steps, padding, strict=True)]  # fmt: skip
    padding = [(before + lack, after) for (before, after), lack in zip(padding, lacking, strict=True)]
    x = layout_of(integers(rng, (n, c, h, 1), DTYPES[dtype], 1), layout)
    w, bias = integers(rng, (k, c // groups, r, s), DTYPES[dtype], 1), integers(rng, (k,), DTYPES[dtype], 1)
    options = {"padding": padding, "stride": (stride, 2), "dilation": steps, "groups": groups, "layout": layout}
    expected = naive.conv2d(x, w, bias, activation=activation, **options)
    options |= {"activation": activation, "precision": precision}
    held = fc.Conv2d(w, bias, **options)
    for y in (fc.conv2d(x, w, bias, **options), held(x), held(x[:, ::-1][:, ::-1] if layout == "channels_last" else x)):
        if activation == "silu" or precision == "default":
            assert_near(y, expected, w[0].size, 16)
        else:
            np.testing.assert_array_equal(y, rounded(expected, DTYPES[dtype]))


def test_infinite_weights_in_the_padding_count_where_sums_are_strict():
    x, w = np.ones((1, 1, 4, 1), np.float32), np.ones((1, 1, 1, 3), np.float32)
    w[..., 0] = np.inf
    assert np.isnan(fc.conv2d(x, w, padding=(0, 1), precision="strict")).all()
    assert (fc.conv2d(x, w, padding=(0, 1)) == 1).all()
