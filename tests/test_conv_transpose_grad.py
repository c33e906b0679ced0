"""Gradients of transposed convolutions, layers, guard pages: by the cases of the forward pass."""

import sys

import numpy as np
import pytest
from arrays import DTYPES, integers, rounded
from transposed import CASES, IDS, LAYOUTS, able, call, case_of, operator, oracle

import fastconv as fc


@pytest.mark.checkerboard(5)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_cases(case, layout, dtype):
    """By backward, and each pass by each algorithm that can do it."""
    (x, w, _, dy), options, _, expected = case_of(case, layout, DTYPES[dtype])
    op = operator(x.shape)
    got = call(f"{op}_backward", dy, x, w, precision="strict", **options)
    for name, gradient, right in zip(got._fields, got, expected, strict=True):
        assert gradient.dtype == DTYPES[dtype]
        np.testing.assert_array_equal(gradient, rounded(right, gradient.dtype), err_msg=name)
    for algorithm in able(f"{op}_input_grad", x, w, **options):
        dx = call(f"{op}_input_grad", dy, w, x.shape, algorithm=algorithm, precision="strict", **options)
        np.testing.assert_array_equal(dx, rounded(expected[0], dx.dtype), err_msg=algorithm)
    for algorithm in able(f"{op}_weight_grad", x, w, **options):
        dw = call(f"{op}_weight_grad", dy, x, w.shape, algorithm=algorithm, precision="strict", **options)
        np.testing.assert_array_equal(dw, rounded(expected[1], dw.dtype), err_msg=algorithm)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_adjoint(rng, case):
    """<dy, convT(x, w)> = <conv(dy, w), x>, where the convolution has the padding that gives x's sizes."""
    (x, w, _, dy), options, _, (dx, dw, _) = case_of(case, "channels_first", np.float64)
    y = call(operator(x.shape), x, w, precision="strict", **options)
    assert np.vdot(dy, y) == np.vdot(dx, x) == np.vdot(dw, w)
    options.pop("output_padding", None)
    if isinstance(options.get("padding", 0), str):
        return
    try:
        back = call(f"conv{x.ndim - 2}d", dy, w, precision="strict", **options)
    except ValueError:  # nothing is left of dy
        return
    if back.shape == x.shape:  # not if another window fits into what output_padding added
        np.testing.assert_array_equal(back, dx)


@pytest.mark.parametrize("needs", [(True, False, False), (False, True, False), (False, False, True), (False,) * 3])
def test_needs(rng, needs):
    x, w = integers(rng, (2, 3, 5, 4), np.float32), integers(rng, (3, 4, 3, 3), np.float32)
    dy = integers(rng, (2, 4, 9, 7), np.float32)
    whole = fc.conv_transpose2d_backward(dy, x, w, 2, 1)
    for needed, got, right in zip(needs, fc.conv_transpose2d_backward(dy, x, w, 2, 1, needs=needs), whole, strict=True):
        assert (got is not None) == needed
        if needed:
            np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("case", CASES[::3], ids=IDS[::3])
def test_bits_on_any_number_of_threads(rng, case):
    (x, w, _, dy), options, *_ = case_of(case, LAYOUTS[IDS.index(case[0]) % 2], np.float32)
    x, w, dy = (rng.normal(size=a.shape).astype(np.float32) for a in (x, w, dy))
    results = set()
    for count in (1, 2, 3, 7):
        with fc.num_threads(count):
            got = call(f"{operator(x.shape)}_backward", dy, x, w, **options)
            results.add(tuple(a.tobytes() for a in got))
    assert len(results) == 1


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_layers(case):
    """Twice, as what is packed at the first call is used at the second; layouts and dtypes take turns."""
    index = IDS.index(case[0])
    dtype = list(DTYPES.values())[index % 4]
    (x, w, bias, dy), options, expected, gradients = case_of(case, LAYOUTS[index % 2], dtype)
    layer = getattr(fc, operator(x.shape).replace("conv_t", "ConvT"))(w, bias, precision="strict", **options)
    for _ in range(2):
        np.testing.assert_array_equal(layer(x), rounded(expected, dtype))
        np.testing.assert_array_equal(layer(x[0]), rounded(expected[0], dtype))
        for got, right in zip(layer.backward(dy, x), gradients, strict=True):
            np.testing.assert_array_equal(got, rounded(right, dtype))
    out = np.zeros(expected.shape, dtype)
    assert layer(x, out=out) is out
    w[...] = 7  # the layer has its own
    np.testing.assert_array_equal(layer(x), out)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_batch_norm(rng, groups):
    x, w, bias = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(4, 3, 4, 4)), rng.normal(size=3 * groups)
    gamma, beta, mean, var = *rng.normal(size=(3, 3 * groups)), rng.uniform(0.5, 2, 3 * groups)
    layer = fc.ConvTranspose2d(w, bias, 2, 1, groups=groups, batch_norm=(gamma, beta, mean, var, 1e-3))
    gamma, beta, mean, var = (a[:, None, None] for a in (gamma, beta, mean, var))
    expected = (oracle(x, w, bias, 2, 1, groups=groups) - mean) / np.sqrt(var + 1e-3) * gamma + beta
    np.testing.assert_allclose(layer(x), expected, rtol=1e-10, atol=1e-10)


def test_a_layer_with_an_activation_has_no_backward():
    layer = fc.ConvTranspose2d(np.ones((2, 3, 2, 2), np.float32), stride=2, activation="relu")
    with pytest.raises(ValueError, match=r"\bactivation\b"):
        layer.backward(np.ones((1, 3, 4, 4), np.float32), np.ones((1, 2, 2, 2), np.float32))
    assert "stride=2" in repr(layer) and "ConvTranspose2d" in repr(layer)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_no_access_outside(case, layout, at_end):
    """All operands lie against protected pages; in float32, and in one of the other dtypes by turns."""
    from guard import guarded

    for dtype in ("float32", ("float64", "float16", "bfloat16")[IDS.index(case[0]) % 3]):
        arrays, options, expected, (dx, dw, _) = case_of(case, layout, DTYPES[dtype])
        x, w, bias, dy = (guarded(a, at_end) for a in arrays)
        op = operator(x.shape)
        runs = {
            op: (expected, (x, w, bias)),
            f"{op}_input_grad": (dx, (dy, w, x.shape)),
            f"{op}_weight_grad": (dw, (dy, x, w.shape)),
        }
        for name, (right, arguments) in runs.items():
            out = guarded(np.full(right.shape, np.nan).astype(DTYPES[dtype]), at_end)
            for algorithm in able(name, x, w, **options):
                out[...] = np.nan
                call(name, *arguments, algorithm=algorithm, precision="strict", out=out, **options)
                np.testing.assert_array_equal(out, rounded(right, out.dtype), err_msg=f"{name} {algorithm}")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_pixel_has_no_access_outside(dtype, layout, at_end):
    """Weights as the image, which sums that are cut strictly do not do; integers are exact all the same."""
    from guard import guarded

    arrays, options, expected, _ = case_of(CASES[IDS.index("dcgan_one_pixel")], layout, DTYPES[dtype])
    x, w, bias, _ = (guarded(a, at_end) for a in arrays)
    out = guarded(np.full(expected.shape, np.nan).astype(DTYPES[dtype]), at_end)
    fc.conv_transpose2d(x, w, bias, algorithm="exchanged", out=out, **options)
    np.testing.assert_array_equal(out, expected)
    fc.conv_transpose2d(x, w, bias, algorithm="exchanged", activation="relu", out=out, **options)
    np.testing.assert_array_equal(out, np.maximum(expected, 0))
