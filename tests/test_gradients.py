"""The gradients of conv2d against the oracle: every case of the taxonomy, every algorithm, layout and dtype."""

import itertools

import naive
import numpy as np
import pytest
from arrays import DTYPES, integers, layout_of, rounded
from gradients import (
    ALL,
    ALL_IDS,
    INPUT,
    LAYOUTS,
    OPS,
    TIMES,
    WEIGHT,
    able,
    check,
    integer_case,
    length,
    normal_case,
    oracle,
    plan,
    run,
    y_shape,
)
from shapes import CASES, GRADIENT_CASES

import fastconv as fc

NEEDS = list(itertools.product((True, False), repeat=3))


@pytest.mark.checkerboard(5)
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", ALL, ids=ALL_IDS)
def test_integers_are_exact(case, layout, dtype, op):
    """Strict in every dtype; the other precisions in float32 and in one other dtype by turns."""
    dy, x, w, options, expected = integer_case(case, layout, DTYPES[dtype])
    terms = length(op, dy, w, **options)
    others = ("float32", ("float64", "float16", "bfloat16")[ALL.index(case) % 3])
    for precision in TIMES if dtype in others else ("strict",):
        how = plan(op, x, w, precision, **options)
        results = {}
        for candidate in how.candidates:
            algorithm = candidate.name
            if candidate.reason is None:
                got = run(op, dy, x, w, algorithm=algorithm, precision=precision, **options)
                assert got.dtype == x.dtype and got.flags.c_contiguous
                check(got, expected[op], algorithm, precision, terms)
                results[algorithm] = got
            elif precision == "strict":
                with pytest.raises(ValueError, match=rf"{algorithm}.*cannot do"):
                    run(op, dy, x, w, algorithm=algorithm, precision=precision, **options)
        got = run(op, dy, x, w, precision=precision, **options)
        np.testing.assert_array_equal(got, results[how.algorithm], err_msg=f"auto {how.algorithm} {precision}")


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("case", ALL[::2], ids=ALL_IDS[::2])
def test_error_is_that_of_a_dot_product(rng, case, op):
    """Componentwise: a sum of L products, added in chunks, errs by a few sqrt(L) eps of the sum of their sizes.

    That of the other precisions may be 16 and 64 times as large, compared with the largest sum.
    """
    layout = LAYOUTS[ALL.index(case) // 2 % 2]
    *arrays, options = normal_case(rng, case, layout, np.float32)
    expected, sizes = oracle(op, *arrays, **options), oracle(op, *map(abs, arrays), **options)
    bound = (2 + np.sqrt(length(op, arrays[0], arrays[2], **options)) / 2) * np.finfo(np.float32).eps * sizes
    for precision, times in TIMES.items():
        for algorithm in able(op, *arrays[1:], precision, **options):
            error = abs(run(op, *arrays, algorithm=algorithm, precision=precision, **options) - expected)
            most = bound if precision == "strict" else times * bound.max()
            assert np.all(error <= most), f"{algorithm} {precision}"


UNTOUCHED = [case for case in (*CASES, *GRADIENT_CASES) if "stride" in case[3]]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", UNTOUCHED, ids=[case[0] for case in UNTOUCHED])
def test_pixels_that_no_window_touches_get_zero(rng, case, layout):
    """Even if all of dy is NaN, and whatever `out` held."""
    dy, x, w, options = normal_case(rng, case, layout, np.float32)
    touched = naive.conv2d_input_grad(np.ones(dy.shape), np.ones(w.shape), x.shape, **options) > 0
    dy[...] = np.nan
    for algorithm in able(INPUT, x, w, **options):
        out = np.full_like(x, 7)
        run(INPUT, dy, x, w, algorithm=algorithm, precision="strict", out=out, **options)
        np.testing.assert_array_equal(np.isnan(out), touched, err_msg=algorithm)
        assert (out[~touched] == 0).all(), algorithm


def test_the_cases_have_untouched_pixels():
    """Inside, and at the end: else the test above shows nothing."""
    counts = {}
    for label, x_sizes, w_shape, options in UNTOUCHED:
        dy, w = np.ones(y_shape(x_sizes, w_shape, options)), np.ones(w_shape)
        counts[label] = np.count_nonzero(naive.conv2d_input_grad(dy, w, x_sizes, **options)[0, 0] == 0)
    assert all(counts[label] > 0 for label in ("stride_wider_than_kernel", "last_rows_unreached", "point_strided_tail"))
    assert sum(count > 0 for count in counts.values()) >= 10


# Both at once


@pytest.mark.parametrize("case", ALL, ids=ALL_IDS)
def test_all_three(case):
    index = ALL.index(case)
    layout, dtype = LAYOUTS[index % 2], DTYPES[sorted(DTYPES)[index // 2 % 4]]
    dy, x, w, options, expected = integer_case(case, layout, dtype)
    expected["bias"] = naive.conv2d_bias_grad(dy, layout)
    for algorithm in ("auto", *sorted(set(able(INPUT, x, w, **options)) & set(able(WEIGHT, x, w, **options)))):
        got = fc.conv2d_backward(dy, x, w, algorithm=algorithm, precision="strict", **options)
        for name, gradient in zip(got._fields, got, strict=True):
            key = {"input": INPUT, "weight": WEIGHT}.get(name, name)
            assert gradient.dtype == dtype and gradient.flags.c_contiguous
            np.testing.assert_array_equal(gradient, rounded(expected[key], dtype), err_msg=f"{name} {algorithm}")


@pytest.mark.parametrize("needs", NEEDS, ids=str)
def test_needs(needs):
    dy, x, w, options, expected = integer_case(CASES[7], "channels_first", np.float32)
    got = fc.conv2d_backward(dy, x, w, needs=needs, precision="strict", **options)
    assert isinstance(got, tuple) and got._fields == ("input", "weight", "bias")
    expected = expected[INPUT], expected[WEIGHT], naive.conv2d_bias_grad(dy)
    for needed, gradient, right in zip(needs, got, expected, strict=True):
        if needed:
            np.testing.assert_array_equal(gradient, right)
        else:
            assert gradient is None
    again = fc.conv2d_backward(dy, x, w, needs=list(needs), precision="strict", **options)
    assert [gradient is None for gradient in again] == [not needed for needed in needs]


def test_a_name_must_do_every_pass_that_is_needed():
    """And only those."""
    for case in ALL:
        dy, x, w, options, _ = integer_case(case, "channels_first", np.float32)
        names = {op: set(able(op, x, w, "default", **options)) for op in OPS}
        for algorithm in sorted(names[INPUT] ^ names[WEIGHT]):
            for needs in NEEDS:
                needed = [op for op, need in zip(OPS, needs[:2], strict=True) if need]
                if all(algorithm in names[op] for op in needed) and needed:
                    fc.conv2d_backward(dy, x, w, needs=needs, algorithm=algorithm, **options)
                elif needed:
                    with pytest.raises(ValueError, match=r"\balgorithm\b"):
                        fc.conv2d_backward(dy, x, w, needs=needs, algorithm=algorithm, **options)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bias_gradient_does_not_drift(layout):
    """A million equal values: adding them one after another would err by a hundredth."""
    dy = layout_of(np.full((1, 2, 1000, 1000), 0.1, np.float32), layout)
    x, w = dy[..., :1] if layout == "channels_last" else dy[:, :1], np.ones((2, 1, 1, 1), np.float32)
    got = fc.conv2d_backward(dy, x, w, layout=layout, needs=(False, False, True)).bias
    np.testing.assert_allclose(got, 1e5, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bias_gradient_is_rounded_once(rng, layout, dtype):
    """More pixels than a narrow sum could count."""
    dtype = DTYPES[dtype]
    dy = layout_of(abs(integers(rng, (3, 5, 60, 70), dtype)), layout)
    x = layout_of(np.zeros((3, 2, 60, 70), dtype), layout)
    got = fc.conv2d_backward(dy, x, np.zeros((5, 2, 1, 1), dtype), layout=layout, needs=(False, False, True)).bias
    assert got.shape == (5,) and got.dtype == dtype
    np.testing.assert_array_equal(got, rounded(naive.conv2d_bias_grad(dy, layout), dtype))


# Forms of the arguments


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("label", ["three_strided_tail", "depthwise_plain", "reflect", "point_plain"])
def test_without_a_batch_axis(layout, label):
    dy, x, w, options, _ = integer_case(ALL[ALL_IDS.index(label)], layout, np.float32)
    dy, x, options = dy[:1], x[:1], {**options, "precision": "strict"}
    for op in OPS:
        for algorithm in ("auto", *able(op, x, w, **options)):
            with_axis = run(op, dy, x, w, algorithm=algorithm, **options)
            got = run(op, dy[0], x[0], w, algorithm=algorithm, **options)
            np.testing.assert_array_equal(got, with_axis[0] if op == INPUT else with_axis)
    got, batch = (fc.conv2d_backward(*arrays, w, **options) for arrays in ((dy[0], x[0]), (dy, x)))
    for one, other in zip(got, (batch.input[0], batch.weight, batch.bias), strict=True):
        np.testing.assert_array_equal(one, other)
    assert fc.explain(INPUT, x.shape[1:], w.shape, **options).algorithm == plan(INPUT, x, w, **options).algorithm


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("label", ["three_plain", "depthwise_plain", "point_plain", "circular", "grouped_plain"])
def test_an_empty_batch(layout, label, dtype):
    """dx is empty; nothing is summed for the others."""
    dy, x, w, options, _ = integer_case(ALL[ALL_IDS.index(label)], layout, DTYPES[dtype])
    dy, x = dy[:0], x[:0]
    for op in OPS:
        for algorithm in ("auto", *able(op, x, w, "default", **options)):
            got = run(op, dy, x, w, algorithm=algorithm, **options)
            np.testing.assert_array_equal(got, np.zeros((x if op == INPUT else w).shape, x.dtype), strict=True)
    got = fc.conv2d_backward(dy, x, w, **options)
    for gradient, like in zip(got, (x, w, w[:, 0, 0, 0]), strict=True):
        np.testing.assert_array_equal(gradient, np.zeros(like.shape, x.dtype), strict=True)
    out = np.full(w.shape, np.nan).astype(x.dtype)
    assert run(WEIGHT, dy, x, w, out=out, **options) is out and not out.any()


def test_positions_and_forms(rng):
    """torch's order; shapes and sizes as tuples, lists and NumPy ints."""
    x, w = integers(rng, (2, 4, 9, 11), np.float64), integers(rng, (6, 2, 3, 2), np.float64)
    options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 3), "groups": 2}
    dy = integers(rng, naive.conv2d(x, w, **options).shape, np.float64)
    expected = [oracle(op, dy, x, w, **options) for op in OPS]
    ints = [tuple(map(np.int32, a.shape)) for a in (x, w)]
    for sizes in (options.values(), ([np.int64(2), 1], [[1, 1], (2, 2)], np.array([1, 3]).tolist(), np.uint8(2))):
        for x_shape, w_shape in ((x.shape, w.shape), (list(x.shape), list(w.shape)), ints):
            np.testing.assert_array_equal(fc.conv2d_input_grad(dy, w, x_shape, *sizes, precision="strict"), expected[0])
            np.testing.assert_array_equal(
                fc.conv2d_weight_grad(dy, x, w_shape, *sizes, precision="strict"), expected[1]
            )
        for got, right in zip(fc.conv2d_backward(dy, x, w, *sizes, precision="strict"), expected, strict=False):
            np.testing.assert_array_equal(got, right)
