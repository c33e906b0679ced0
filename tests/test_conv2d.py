"""conv2d and Conv2d against the oracle: every case of the taxonomy, every algorithm, layout and dtype."""

import naive
import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, layout_of, rounded
from shapes import CASES, IDS

import fastconv as fc

LAYOUTS = ("channels_first", "channels_last")
ALGORITHMS = ("auto", *fc.algorithms("conv2d"))


def operands(rng, case, layout, dtype, make):
    """x, weight, bias, residual and the options of one case."""
    _, x_sizes, w_shape, options = case
    options = {**options, "layout": layout, "precision": "strict"}
    x = layout_of(make(x_sizes), layout).astype(dtype)
    w, bias = make(w_shape).astype(dtype), make(w_shape[:1]).astype(dtype)
    shape = oracle(np.zeros(x.shape), np.zeros(w_shape), **options).shape
    return x, w, bias, make(shape).astype(dtype), options


def oracle(*arrays, precision="strict", **options):
    """What is computed, whatever the precision."""
    return naive.conv2d(*arrays, **options)


def run(algorithm, x, w, bias, residual, options):
    """Function and layer, which must agree to the bit; None if the named algorithm refuses with the reason it gives."""
    plan = fc.explain("conv2d", x.shape, w.shape, bias=True, residual=True, dtype=x.dtype.name, **options)
    refusal = {c.name: c.reason for c in plan.candidates}.get(algorithm)
    if refusal is not None:
        with pytest.raises(ValueError, match=algorithm):
            fc.conv2d(x, w, bias, residual=residual, algorithm=algorithm, **options)
        return None
    y = fc.conv2d(x, w, bias, residual=residual, algorithm=algorithm, **options)
    again = fc.Conv2d(w, bias, algorithm=algorithm, **options)(x, residual=residual)
    assert y.dtype == x.dtype and y.flags.c_contiguous
    np.testing.assert_array_equal(y, again)
    return y


@pytest.mark.checkerboard
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_integers_are_exact(rng, case, layout, dtype):
    dtype = DTYPES[dtype]
    most = 1 if dtype.itemsize == 2 else 3
    x, w, bias, residual, options = operands(rng, case, layout, dtype, lambda s: integers(rng, s, dtype, most))
    expected = oracle(x, w, bias, residual=residual, **options)
    exactly, ran = rounded(expected, dtype), 0
    for algorithm in ALGORITHMS:
        y = run(algorithm, x, w, bias, residual, options)
        if y is not None:
            np.testing.assert_array_equal(y, exactly, err_msg=algorithm)
            ran += 1
    assert ran >= 2, "auto and the algorithm that accepts everything"
    options["precision"] = "default"  # whose plain sums are not formed in parts
    for algorithm in set(ALGORITHMS) - {"auto", "winograd", "winograd_amx"}:
        y = run(algorithm, x, w, bias, residual, options)
        if y is not None:
            np.testing.assert_array_equal(y, exactly, err_msg=algorithm)
    for precision, times in (("default", 16), ("fast", 64)):
        options["precision"] = precision
        y = fc.conv2d(x, w, bias, residual=residual, **options)
        assert_near(y, expected, w[0].size, times, precision)
        layer = fc.Conv2d(w, bias, **options)
        assert_near(layer(x, residual=residual), expected, w[0].size, times, precision)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_error_is_that_of_a_dot_product(rng, case, layout, dtype):
    """Componentwise: a sum of L products, added in chunks, errs by a few sqrt(L) eps of the sum of their sizes.

    That of the other precisions may be 16 and 64 times as large, compared with the largest sum.
    """
    dtype = DTYPES[dtype]
    x, w, bias, residual, options = operands(rng, case, layout, dtype, lambda s: rng.normal(size=s))
    exact = oracle(x, w, bias, residual=residual, **options)
    sizes = oracle(abs(x), abs(w), abs(bias), residual=abs(residual), **options)
    length = w[0].size + 2
    bound = (2 + np.sqrt(length) / 2) * np.finfo(dtype).eps * sizes
    if dtype == np.float64:
        bound *= 2  # the oracle rounds too
    for algorithm in ALGORITHMS:
        y = run(algorithm, x, w, bias, residual, options)
        if y is not None:
            assert np.all(np.abs(y - exact) <= bound), algorithm
    options["precision"] = "default"
    y = run("amx", x, w, bias, residual, options)
    assert y is None or np.all(np.abs(y - exact) <= bound), "parts are no less exact"
    for precision, times in (("default", 16), ("fast", 64)):
        options["precision"] = precision
        y = fc.conv2d(x, w, bias, residual=residual, **options)
        assert np.all(np.abs(y - exact) <= times * bound.max()), precision


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "activation",
    ["relu", "relu6", "leaky_relu", ("leaky_relu", 0.25), "sigmoid", "tanh", "silu", "hardswish", "gelu"],
    ids=str,
)
@pytest.mark.parametrize("groups", [1, 12])
def test_activations(rng, activation, layout, dtype, groups):
    dtype = DTYPES[dtype]
    x = layout_of(rng.normal(size=(2, 12, 9, 10)), layout).astype(dtype)
    w = rng.normal(size=(36, 12 // groups, 3, 3)).astype(dtype)
    shape = naive.conv2d(x, w, padding=1, groups=groups, layout=layout).shape
    for residual in (None, rng.normal(size=shape).astype(dtype)):
        options = {
            "padding": 1,
            "groups": groups,
            "layout": layout,
            "activation": activation,
            "residual": residual,
        }
        expected = naive.conv2d(x, w, **options)
        y = fc.conv2d(x, w, precision="strict", **options).astype(np.float64)
        eps = {"float32": 1e-5, "float64": 1e-13, "float16": 2e-3, "bfloat16": 1.6e-2}[dtype.name]
        np.testing.assert_allclose(y, expected, rtol=eps, atol=eps)


def test_batch_norm_is_folded(rng):
    x = rng.normal(size=(2, 5, 8, 8))
    w, bias = rng.normal(size=(7, 5, 3, 3)), rng.normal(size=7)
    gamma, beta, mean = rng.normal(size=(3, 7))
    var = rng.uniform(0.5, 2, 7)
    layer = fc.Conv2d(w, bias, padding=1, batch_norm=(gamma, beta, mean, var, 1e-5))
    scale = (gamma / np.sqrt(var + 1e-5))[:, None, None]
    plain = naive.conv2d(x, w, bias, padding=1)
    np.testing.assert_allclose(layer(x), (plain - mean[:, None, None]) * scale + beta[:, None, None], rtol=1e-12,
                               atol=1e-12)  # fmt: skip


def test_unbatched_and_empty(rng):
    x, w = integers(rng, (4, 6, 7), np.float32), integers(rng, (3, 4, 3, 3), np.float32)
    np.testing.assert_array_equal(fc.conv2d(x, w), fc.conv2d(x[None], w)[0])
    for algorithm in ("auto", "direct", "winograd"):
        assert fc.conv2d(np.zeros((0, 4, 6, 7), np.float32), w, algorithm=algorithm).shape == (0, 3, 4, 5)
    np.testing.assert_array_equal(fc.Conv2d(w, precision="strict")(x), fc.conv2d(x, w, precision="strict"))


def test_strides_and_dilations_that_make_no_difference(rng):
    x, w = integers(rng, (2, 3, 5, 6), np.float32), integers(rng, (4, 3, 1, 1), np.float32)
    for huge in (7, 2**40, 2**62):
        np.testing.assert_array_equal(fc.conv2d(x, w, stride=huge, dilation=huge), fc.conv2d(x[:, :, :1, :1], w))


@pytest.mark.parametrize("outputs", [1, 3, 4, 7])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_few_outputs_of_planes(rng, outputs, dtype):
    """Some planes at a time where planes are large, all where they are small: one layer sees both."""
    w, bias = integers(rng, (outputs, 37, 1, 1), DTYPES[dtype]), integers(rng, (outputs,), DTYPES[dtype])
    for algorithm in ("auto", "pointwise", "direct", "im2col"):
        if dtype == "float16" and algorithm in ("pointwise", "direct"):
            continue
        layer = fc.Conv2d(w, bias, activation="relu", algorithm=algorithm)
        for size in ((33, 47), (5, 7), (65, 32)):
            x = integers(rng, (2, 37, *size), DTYPES[dtype], 2)
            residual = integers(rng, (2, outputs, *size), DTYPES[dtype])
            expected = np.maximum(naive.conv(x, w, bias, residual=residual), 0)
            found = fc.conv2d(x, w, bias, residual=residual, activation="relu", algorithm=algorithm)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(layer(x, residual=residual), expected)
            np.testing.assert_array_equal(layer(x[:, :, ::2]), np.maximum(naive.conv(x[:, :, ::2], w, bias), 0))
            dx = fc.conv2d_input_grad(x, w.swapaxes(0, 1), (2, outputs, *size))
            np.testing.assert_array_equal(dx, naive.conv(x, w))
