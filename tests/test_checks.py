"""Checks of arrays and dtypes, and folding of a batch normalisation."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from fastconv.checks import check_array, check_out, check_same_dtype, dtype_name
from fastconv.operators.batch_norm import batch_norm_fold

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


# Arrays


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
def test_supported_dtypes(name):
    dtype = BFLOAT16 if name == "bfloat16" else np.dtype(name)
    for form in (name, dtype, dtype.type):
        assert dtype_name(form) == name
    array = np.zeros((2, 3), dtype)
    assert check_array("x", array, 2) is array


@pytest.mark.parametrize("dtype", [None, "int32", "half precision", ">f4", "f4,f4", complex, [1], 3, object()])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="dtype must be float32, float64, float16 or bfloat16"):
        dtype_name(dtype)


@pytest.mark.parametrize(
    "view",
    [
        np.zeros((4, 6), np.float32)[::-1, ::2],
        np.zeros((4, 6), np.float32).T,
        np.frombuffer(bytes(33), np.float32, 8, offset=1).reshape(2, 4),
        np.broadcast_to(np.float32(1), (2, 3)),
    ],
    ids=["negative strides", "transposed", "unaligned and read-only", "broadcast"],
)
def test_any_strides_are_accepted_as_they_are(view):
    assert check_array("x", view, 2) is view


def test_subclasses_become_plain_views():
    class Tagged(np.ndarray):
        pass

    tagged = np.zeros((2, 3), np.float32).view(Tagged)
    plain = check_array("x", tagged, (2, 3))
    assert type(plain) is np.ndarray
    assert np.shares_memory(plain, tagged)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([[1.0]], TypeError, r"weight must be a NumPy array, not list: use np.asarray\(weight\)"),
        (1.0, TypeError, "weight must be a NumPy array, not float"),
        (np.float32(1), TypeError, "weight must be a NumPy array, not float32"),
        (None, TypeError, "weight must be a NumPy array, not NoneType"),
        (
            np.ma.zeros((1, 1), np.float32),
            TypeError,
            r"weight must not be a masked array.*weight.filled\(0\)",
        ),
        (
            np.zeros((1, 1), int),
            TypeError,
            r"weight must be float32, .*not int64.*weight.astype\(np.float32\)",
        ),
        (np.zeros((1, 1), bool), TypeError, "weight must be float32, .*not bool"),
        (np.zeros((1, 1), object), TypeError, "weight must be float32, .*not object"),
        (np.zeros((1, 1), np.longdouble), TypeError, "weight must be float32, .*not (float128|longdouble)"),
        (np.zeros((1, 1), complex), TypeError, "weight must be .*complex128.*weight.real and weight.imag"),
        (np.zeros((1, 1), ml_dtypes.float8_e4m3fn), TypeError, "weight must be float32, .*not float8_e4m3fn"),
        (np.zeros((1, 1), "f4,f4"), TypeError, "weight must be float32"),
        (np.zeros((1,), np.float32), ValueError, r"weight must have 2 or 3 axes, got 1: shape \(1,\)"),
    ],
)
def test_refused_arrays(value, error, message):
    with pytest.raises(error, match=message):
        check_array("weight", value, (2, 3))


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_the_other_byte_order_is_refused_with_advice_that_works(name):
    x = np.arange(3, dtype=np.dtype(name).newbyteorder())
    with pytest.raises(TypeError, match=r'byte order: use x.astype\(x.dtype.newbyteorder\("="\)\)'):
        check_array("x", x, 1)
    np.testing.assert_array_equal(check_array("x", x.astype(x.dtype.newbyteorder("=")), 1), [0, 1, 2])


def test_one_dtype():
    x, narrow = np.zeros(2, np.float32), np.zeros(2, BFLOAT16)
    assert check_same_dtype(x, x, None, x) == "float32"
    assert check_same_dtype(narrow, narrow) == "bfloat16"
    with pytest.raises(TypeError, match=r"residual is float64, but x is float32.*residual.astype\(x.dtype\)"):
        check_same_dtype(x, x, None, np.zeros(2))
    with pytest.raises(TypeError, match="x is float32, but grad_output is bfloat16"):
        check_same_dtype(narrow, x, names=("grad_output", "x"))


def test_out():
    out = np.empty((2, 3), np.float32)
    assert check_out(out, (2, 3), np.dtype(np.float32)) is out
    reversed_ = out[::-1]
    assert check_out(reversed_, (2, 3), np.dtype(np.float32)) is reversed_
    empty = np.empty((0, 3), np.float32)
    assert check_out(empty, (0, 3), np.dtype(np.float32)) is empty


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        ([[0.0]], TypeError, "out must be a NumPy array, not list"),
        (np.ma.zeros((2, 3), np.float32), TypeError, "out must not be a masked array"),
        (np.zeros((2, 3)), TypeError, "out must be float32 .*not float64"),
        (np.zeros((2, 3), ">f4"), TypeError, "out must be float32 .*not >f4"),
        (
            np.zeros((3, 2), np.float32),
            ValueError,
            r"out must have the result's shape \(2, 3\), got \(3, 2\)",
        ),
        (np.zeros((1, 2, 3), np.float32), ValueError, "out must have the result's shape"),
        (np.broadcast_to(np.float32(0), (2, 3)), ValueError, "out must be writeable"),
        (
            np.lib.stride_tricks.as_strided(np.zeros(3, np.float32), (2, 3), (0, 4)),
            ValueError,
            "out must not repeat",
        ),
    ],
)
def test_refused_out(out, error, message):
    with pytest.raises(error, match=message):
        check_out(out, (2, 3), np.dtype(np.float32))


# Batch normalisation


def statistics(k=3, **changes):
    """(gamma, beta, mean, var, eps) for k outputs."""
    values = {
        "gamma": np.arange(1.0, k + 1),
        "beta": np.ones(k),
        "mean": np.full(k, 2.0),
        "var": np.full(k, 3.0),
    }
    return tuple((values | {"eps": 1.0} | changes).values())


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 4, 4)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_fold(shape, with_bias):
    weight = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    bias = np.array([5, 6, 7], np.float32) if with_bias else None
    before = weight.copy()
    folded, shift = batch_norm_fold(weight, bias, statistics())
    assert folded.dtype == shift.dtype == np.float32
    # gamma / sqrt(3 + 1) is 0.5, 1, 1.5
    np.testing.assert_array_equal(folded, [weight[0] * 0.5, weight[1], weight[2] * 1.5])
    np.testing.assert_array_equal(shift, [2.5, 5, 8.5] if with_bias else [0, -1, -2])
    np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize(("dtype", "bits"), [(np.dtype(np.float16), 10), (np.dtype(np.float32), 23), (BFLOAT16, 7)])
@pytest.mark.parametrize("sign", [1, -1])
def test_fold_rounds_once(dtype, bits, sign):
    # gamma is a hair off the middle of two numbers of the dtype, and float32 has no room for the hair.
    ulp, hair = Fraction(1, 2**bits), Fraction(1, 2**40)
    cases = {
        1 + ulp / 2 + hair: 1 + ulp,
        1 + ulp / 2 - hair: 1,
        1 + 3 * ulp / 2 - hair: 1 + ulp,
        1 + ulp / 2: 1,
    }
    gamma = np.array([sign * float(value) for value in cases])
    zeros, ones = np.zeros(4), np.ones(4)
    folded, shift = batch_norm_fold(np.ones((4, 1), dtype), None, (gamma, gamma, zeros, ones, 0))
    expected = [sign * float(value) for value in cases.values()]
    np.testing.assert_array_equal(folded[:, 0].astype(float), expected)
    np.testing.assert_array_equal(shift.astype(float), expected)


def test_fold_to_bfloat16_keeps_what_is_not_finite():
    gamma = np.array([np.inf, -np.inf, np.nan, -0.0, 3.4e38])
    folded, _ = batch_norm_fold(np.ones((5, 1), BFLOAT16), None, (gamma, *[np.ones(5)] * 3, 0.0))
    expected = [np.inf, -np.inf, np.nan, -0.0, np.inf]
    np.testing.assert_array_equal(folded[:, 0].astype(float), expected)
    assert np.signbit(folded[3, 0].astype(float))


@pytest.mark.parametrize(
    ("batch_norm", "error", "message"),
    [
        (None, TypeError, r"batch_norm must be \(gamma, beta, mean, var, eps\)"),
        (statistics()[:4], ValueError, r"batch_norm must be \(gamma, beta, mean, var, eps\), got 4 values"),
        (statistics(gamma=[1.0, 1.0, 1.0]), TypeError, "batch_norm's gamma must be a NumPy array, not list"),
        (statistics(beta=np.ones(3, int)), TypeError, "batch_norm's beta must be float32"),
        (statistics(mean=np.ones(2)), ValueError, r"batch_norm's mean must have shape \(3,\), got \(2,\)"),
        (statistics(var=np.ones((3, 1))), ValueError, "batch_norm's var must have 1 axes, got 2"),
        (statistics(var=np.array([1.0, -1.0, 1.0])), ValueError, r"batch_norm's var \+ eps must be positive"),
        (
            statistics(var=np.array([1.0, np.nan, 1.0])),
            ValueError,
            r"batch_norm's var \+ eps must be positive",
        ),
        (statistics(var=np.zeros(3), eps=0), ValueError, r"batch_norm's var \+ eps must be positive"),
        (statistics(eps=-1e-5), ValueError, "batch_norm's eps must be at least 0"),
        (statistics(eps=np.nan), ValueError, "batch_norm's eps must be finite"),
        (statistics(eps="1e-5"), TypeError, "batch_norm's eps must be a real number"),
        (statistics(eps=True), TypeError, "batch_norm's eps must be a real number"),
    ],
)
def test_refused_batch_norm(batch_norm, error, message):
    with pytest.raises(error, match=message):
        batch_norm_fold(np.ones((3, 2, 1, 1), np.float32), None, batch_norm)
