"""What a caller hears about wrong arguments: at once, the right kind of error, and which argument it was."""

import math
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import fastconv as fc

X = np.ones((2, 4, 8, 8), np.float32)
WEIGHT = np.ones((6, 4, 3, 3), np.float32)
BIAS = np.ones(6, np.float32)
Y = np.zeros((2, 6, 6, 6), np.float32)
READ_ONLY = Y.copy()
READ_ONLY.flags.writeable = False
PART = np.ones(6)  # a good gamma, beta, mean or var
NAN = math.nan


def both(one, other):
    """A pattern that asks for two words, in any order."""
    return rf"(?s)(?=.*\b{one}\b)(?=.*\b{other}\b)"


ARRAYS = [
    ({"x": X.tolist()}, TypeError, r"\bx\b.*asarray"),
    ({"x": 1.0}, TypeError, r"\bx\b"),
    ({"x": None}, TypeError, r"\bx\b"),
    ({"x": np.float32(1)}, TypeError, r"\bx\b"),
    ({"x": np.ma.masked_array(X)}, TypeError, r"\bx\b.*masked"),
    ({"x": X.astype(np.int64)}, TypeError, r"\bx\b.*int64.*float32"),
    ({"x": X.astype(np.uint8)}, TypeError, r"\bx\b.*uint8.*float32"),
    ({"x": X.astype(bool)}, TypeError, r"\bx\b.*bool.*float32"),
    ({"x": X.astype(np.complex64)}, TypeError, r"\bx\b.*complex64"),
    ({"x": X.astype(object)}, TypeError, r"\bx\b.*object"),
    ({"x": X.astype(X.dtype.newbyteorder())}, TypeError, r"\bx\b.*newbyteorder"),
    ({"x": X[0, 0]}, ValueError, r"\bx\b.*axes.*\(8, 8\)"),
    ({"x": X[None]}, ValueError, r"\bx\b.*axes.*\(1, 2, 4, 8, 8\)"),
    ({"x": X[:, :0]}, ValueError, r"\bx\b.*batch"),
    ({"x": X[:, :, :0]}, ValueError, r"\bx\b.*height"),
    ({"x": X[:, :, :, :0]}, ValueError, r"\bx\b.*width"),
    ({"x": X[0, :, :, :0]}, ValueError, r"\bx\b.*width"),
    ({"x": X[:, :, :2]}, ValueError, r"(?s)(?=.*\bweight\b)(?=.*\bx\b)(?=.*height)"),
    ({"weight": WEIGHT.tolist()}, TypeError, r"\bweight\b.*asarray"),
    ({"weight": None}, TypeError, r"\bweight\b"),
    ({"weight": WEIGHT.astype(np.int32)}, TypeError, r"\bweight\b.*int32"),
    ({"weight": WEIGHT.astype(">f4")}, TypeError, r"\bweight\b.*newbyteorder"),
    ({"weight": WEIGHT.astype(np.float64)}, TypeError, both("float64", "float32")),
    ({"weight": WEIGHT.astype(np.float16)}, TypeError, both("float16", "float32")),
    ({"weight": WEIGHT[0]}, ValueError, r"\bweight\b.*axes.*\(4, 3, 3\)"),
    ({"weight": WEIGHT[:, :3]}, ValueError, r"(?s)(?=.*\bweight\b)(?=.*\b3\b)(?=.*\b4\b)"),
    ({"weight": WEIGHT[:0]}, ValueError, r"\bweight\b"),
    ({"weight": WEIGHT[:, :, :0]}, ValueError, r"\bweight\b"),
    ({"bias": BIAS.tolist()}, TypeError, r"\bbias\b.*asarray"),
    ({"bias": 1.0}, TypeError, r"\bbias\b"),
    ({"bias": BIAS.astype(int)}, TypeError, r"\bbias\b.*int64"),
    ({"bias": BIAS.astype(np.float64)}, TypeError, r"\bbias\b.*float64.*float32"),
    ({"bias": BIAS[:5]}, ValueError, r"\bbias\b.*\(5,\)"),
    ({"bias": BIAS[:, None]}, ValueError, r"\bbias\b"),
    ({"bias": BIAS[0:1]}, ValueError, r"\bbias\b"),
    ({"residual": Y.tolist()}, TypeError, r"\bresidual\b.*asarray"),
    ({"residual": Y.astype(np.float64)}, TypeError, r"\bresidual\b.*float64.*float32"),
    ({"residual": Y[:, :, 1:]}, ValueError, r"\bresidual\b.*\(2, 6, 5, 6\)"),
    ({"residual": Y[:1]}, ValueError, r"\bresidual\b"),
    ({"residual": Y[0]}, ValueError, r"\bresidual\b"),
    ({"x": X[0], "residual": Y[:1]}, ValueError, r"\bresidual\b"),
    ({"out": Y.tolist()}, TypeError, r"\bout\b"),
    ({"out": Y.astype(np.float64)}, TypeError, r"\bout\b.*float64"),
    ({"out": Y.astype(">f4")}, TypeError, r"\bout\b"),
    ({"out": np.ma.masked_array(Y)}, TypeError, r"\bout\b"),
    ({"out": Y[:, :5]}, ValueError, r"\bout\b.*\(2, 5, 6, 6\)"),
    ({"out": Y, "padding": 1}, ValueError, r"\bout\b.*\(2, 6, 8, 8\)"),
    ({"out": Y[0]}, ValueError, r"\bout\b"),
    ({"x": X[0], "out": Y[:1]}, ValueError, r"\bout\b"),
    ({"x": X[:0], "out": Y}, ValueError, r"\bout\b"),
    ({"out": READ_ONLY}, ValueError, r"\bout\b.*read-only"),
]

OPTIONS = [
    *[
        ({name: value}, TypeError, rf"\b{name}\b")
        for name in ("stride", "padding", "dilation", "groups")
        for value in (1.0, NAN, True, np.True_, np.float64(1), 1j, None, b"1", np.ones(2, int), {1, 2})
    ],
    *[
        ({name: value}, TypeError, rf"\b{name}\b")
        for name in ("stride", "padding", "dilation")
        for value in ((1, 1.0), [1, NAN], (True, 1), (1, None), ("1", "1"))
    ],
    *[
        ({name: value}, ValueError, rf"\b{name}\b")
        for name in ("stride", "padding", "dilation")
        for value in ((), (1,), [1, 1, 1], -1, (1, -1), np.int64(-1), 2**80)
    ],
    *[({name: "1"}, TypeError, rf"\b{name}\b") for name in ("stride", "dilation", "groups")],
    ({"stride": 0}, ValueError, r"\bstride\b.*\b0\b"),
    ({"stride": (0, 1)}, ValueError, r"\bstride\b.*\b0\b"),
    ({"stride": ((1, 1), (1, 1))}, TypeError, r"\bstride\b"),
    ({"dilation": 0}, ValueError, r"\bdilation\b.*\b0\b"),
    ({"dilation": 4}, ValueError, both("weight", "dilation")),
    ({"groups": 0}, ValueError, r"\bgroups\b.*\b0\b"),
    ({"groups": -2}, ValueError, r"\bgroups\b.*-2"),
    ({"groups": (1, 1)}, TypeError, r"\bgroups\b"),
    ({"groups": 3}, ValueError, both("groups", "3")),
    ({"groups": 4, "weight": WEIGHT[:, :1]}, ValueError, both("groups", "weight")),
    ({"groups": 2}, ValueError, both("groups", "weight")),
    ({"padding": "full"}, ValueError, r"\bpadding\b.*\bsame\b"),
    ({"padding": "1"}, ValueError, r"\bpadding\b.*\bsame\b"),
    ({"padding": "SAME"}, ValueError, r"\bpadding\b.*\bsame\b"),
    ({"padding": (1, 1, 1, 1)}, ValueError, r"\bpadding\b"),
    ({"padding": ((1, 1),)}, ValueError, r"\bpadding\b"),
    ({"padding": ((1, 1), 1)}, ValueError, r"\bpadding\b"),
    ({"padding": ((1, 1), (1, 1, 1))}, ValueError, r"\bpadding\b"),
    ({"padding": ((1, 1), (1, -1))}, ValueError, r"\bpadding\b.*-1"),
    ({"padding": ((1, 1), (1, 1.0))}, TypeError, r"\bpadding\b"),
    ({"padding": ((1, 1), (1, False))}, TypeError, r"\bpadding\b"),
    ({"padding": 8, "padding_mode": "reflect"}, ValueError, r"\bpadding\b.*\breflect\b"),
    ({"padding": ((0, 9), (0, 0)), "padding_mode": "circular"}, ValueError, r"\bpadding\b.*\bcircular\b"),
    ({"padding": 2**31}, ValueError, "too large"),
    ({"padding": 2**62}, ValueError, "too large"),
    ({"padding": 2**62, "stride": 2**62}, ValueError, r"\bpadding\b.*too large"),
    *[
        ({name: value}, ValueError, rf"\b{name}\b")
        for name in ("padding_mode", "layout", "precision", "algorithm")
        for value in ("", "nonsense", "Zeros", "NCHW", "STRICT")
    ],
    *[
        ({name: value}, TypeError, rf"\b{name}\b")
        for name in ("padding_mode", "layout", "precision", "algorithm")
        for value in (None, 1, True, b"zeros", ["zeros"])
    ],
    ({"padding_mode": "constant"}, ValueError, r"\bpadding_mode\b.*\bzeros\b"),
    ({"activation": "mish"}, ValueError, r"\bactivation\b.*\bmish\b"),
    ({"activation": "ReLU"}, ValueError, r"\bactivation\b.*\brelu\b"),
    ({"activation": np.tanh}, TypeError, r"\bactivation\b"),
    ({"activation": 0}, TypeError, r"\bactivation\b"),
    ({"activation": False}, TypeError, r"\bactivation\b"),
    ({"activation": ()}, ValueError, r"\bactivation\b"),
    ({"activation": ("relu", 0.1)}, ValueError, r"\bactivation\b"),
    ({"activation": ("leaky_relu",)}, ValueError, r"\bactivation\b"),
    ({"activation": ("leaky_relu", 0.1, 0.2)}, ValueError, r"\bactivation\b"),
    ({"activation": ("leaky_relu", NAN)}, ValueError, r"\bactivation\b.*\bslope\b"),
    ({"activation": ("leaky_relu", -math.inf)}, ValueError, r"\bactivation\b.*\bslope\b"),
    ({"activation": ("leaky_relu", 10**400)}, ValueError, r"\bactivation\b.*\bslope\b"),
    ({"activation": ("leaky_relu", "0.1")}, TypeError, r"\bactivation\b.*\bslope\b"),
    ({"activation": ("leaky_relu", True)}, TypeError, r"\bactivation\b.*\bslope\b"),
    ({"activation": ("leaky_relu", None)}, TypeError, r"\bactivation\b.*\bslope\b"),
]


def case_id(case):
    """The wrong arguments, arrays by their type and shape."""
    texts = (
        f"{name}={value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else f"{name}={value!r:.24}"
        for name, value in case[0].items()
    )
    return "-".join(texts)


CASES = [pytest.param(*case, id=case_id(case)) for case in ARRAYS + OPTIONS]


@pytest.mark.parametrize(("arguments", "error", "message"), CASES)
def test_conv2d(arguments, error, message):
    with pytest.raises(error, match=message):
        fc.conv2d(**{"x": X, "weight": WEIGHT} | arguments)


@pytest.mark.parametrize(("arguments", "error", "message"), CASES)
def test_layer(arguments, error, message):
    at_call = {"x": X} | {name: arguments[name] for name in ("x", "residual", "out") if name in arguments}
    fixed = {"weight": WEIGHT} | {name: value for name, value in arguments.items() if name not in at_call}
    with pytest.raises(error, match=message):
        fc.Conv2d(**fixed)(**at_call)


@pytest.mark.parametrize(
    "arguments",
    [
        {"weight": WEIGHT.tolist()},
        {"weight": WEIGHT[0]},
        {"weight": WEIGHT[:, :0]},
        {"bias": BIAS[:5]},
        {"bias": BIAS.astype(np.float64)},
        {"stride": 0},
        {"stride": 1.0},
        {"padding": -1},
        {"padding": "full"},
        {"dilation": (1, 1, 1)},
        {"groups": 4},
        {"padding_mode": "mirror"},
        {"layout": "NHWC"},
        {"activation": "mish"},
        {"algorithm": "nonsense"},
        {"precision": "exact"},
    ],
    ids=lambda arguments: case_id((arguments,)),
)
def test_a_layer_refuses_what_no_input_can_mend_when_it_is_made(arguments):
    (name,) = arguments
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        fc.Conv2d(**{"weight": WEIGHT} | arguments)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ({"stride": 1}, {"stride": 1.0}),
        ({"stride": 1}, {"stride": True}),
        ({"stride": 1}, {"stride": Fraction(1)}),
        ({"stride": 1}, {"stride": Decimal(1)}),
        ({"stride": (1, 2)}, {"stride": (1, 2.0)}),
        ({"stride": (1, 2)}, {"stride": (True, 2)}),
        ({"dilation": 1}, {"dilation": np.float64(1)}),
        ({"dilation": [1, 1]}, {"dilation": [1, 1.0]}),
        ({"groups": 1}, {"groups": np.True_}),
        ({"groups": 1}, {"groups": 1.0}),
        ({"padding": 0}, {"padding": False}),
        ({"padding": ((1, 0), (0, 1))}, {"padding": ((1, 0), (0, 1.0))}),
        ({"activation": ("leaky_relu", 1)}, {"activation": ("leaky_relu", True)}),
    ],
    ids=repr,
)
def test_an_equal_but_right_call_before_does_not_let_a_wrong_one_pass(right, wrong):
    fc.conv2d(X, WEIGHT, **right)
    (name,) = wrong
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        fc.conv2d(X, WEIGHT, **wrong)
    fc.conv2d(X, WEIGHT, **right)


@pytest.mark.parametrize("name", ["x", "weight", "bias", "residual"])
@pytest.mark.parametrize("dtype", [np.int32, ">f4", np.float64])
def test_a_right_call_before_does_not_let_a_wrong_array_pass(name, dtype):
    arrays = {"x": X, "weight": WEIGHT, "bias": BIAS, "residual": Y}
    fc.conv2d(**arrays)
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        fc.conv2d(**arrays | {name: arrays[name].astype(dtype)})
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        fc.conv2d(**arrays | {name: np.ma.masked_array(arrays[name])})


def test_an_algorithm_that_cannot_do_it_names_those_that_can():
    with pytest.raises(ValueError, match=r"\balgorithm\b.*\bpointwise\b") as caught:
        fc.conv2d(X, WEIGHT, algorithm="pointwise")
    words = re.findall(r"\w+", str(caught.value))
    others = [name for name in fc.algorithms("conv2d") if name in words and name != "pointwise"]
    assert others
    for name in others:
        fc.conv2d(X, WEIGHT, algorithm=name)


def test_arguments_after_groups_are_keywords():
    with pytest.raises(TypeError):
        fc.conv2d(X, WEIGHT, None, 1, 0, 1, 1, "zeros")
    with pytest.raises(TypeError):
        fc.Conv2d(WEIGHT, None, 1, 0, 1, 1, "zeros")


@pytest.mark.parametrize(
    "call",
    [
        lambda: fc.conv2d(X, WEIGHT, stride=0),
        lambda: fc.conv2d(X.tolist(), WEIGHT),
        lambda: fc.conv2d(X, WEIGHT, stride={}),
        lambda: fc.Conv2d(WEIGHT)(X[:, :3]),
        lambda: fc.Conv2d(WEIGHT)(X.tolist()),
        lambda: fc.Conv2d(WEIGHT).backward(Y, X, algorithm="nonsense"),
        lambda: fc.conv2d_backward(Y, X, WEIGHT, stride=0),
        lambda: fc.conv2d_input_grad(Y, WEIGHT, None),
        lambda: fc.conv_transpose2d(Y, WEIGHT, stride=0),
        lambda: fc.ConvTranspose2d(WEIGHT)(X),
        lambda: fc.ConvTranspose2d(WEIGHT).backward(X, Y, algorithm="nonsense"),
        lambda: fc.conv_transpose2d_weight_grad(X, Y, None),
        lambda: fc.max_pool2d(X, 0),
        lambda: fc.max_pool2d_backward(X, X, X.shape),
        lambda: fc.adaptive_avg_pool2d(X, 0),
        lambda: fc.max_unpool2d(X, X, 2),
        lambda: fc.max_unpool2d_backward(X, X),
        lambda: fc.unfold(X, 0),
        lambda: fc.fold(X[0], 0, 2),
    ],
)
def test_no_other_error_stands_before_it(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert caught.value.__context__ is None


def test_an_error_leaves_out_as_it_was():
    out = np.full_like(Y, 7)
    for wrong in ({"stride": 0}, {"residual": Y[:1]}, {"algorithm": "nonsense"}):
        with pytest.raises(ValueError):
            fc.conv2d(X, WEIGHT, **wrong, out=out)
    with pytest.raises(ValueError):
        fc.Conv2d(WEIGHT)(X, Y[:1], out)
    assert (out == 7).all()


def test_slopes_of_either_zero_give_the_same_bits_in_either_order():
    results = [fc.conv2d(-X, WEIGHT, activation=("leaky_relu", slope)) for slope in (-0.0, 0.0, -0.0)]
    fresh = fc.Conv2d(WEIGHT, activation=("leaky_relu", 0.0))(-X)
    assert len({y.tobytes() for y in (*results, fresh)}) == 1


# Batch normalisation


@pytest.mark.parametrize(
    ("batch_norm", "error"),
    [
        (1, TypeError),
        ("gamma", TypeError),
        (PART, TypeError),
        ((PART,) * 4, (TypeError, ValueError)),
        ((PART, PART, PART, PART, 1e-5, 0.1), (TypeError, ValueError)),
        ((PART.tolist(), PART, PART, PART, 1e-5), TypeError),
        ((PART, PART.astype(int), PART, PART, 1e-5), TypeError),
        ((PART, PART, None, PART, 1e-5), TypeError),
        ((PART, PART, PART, PART + 0j, 1e-5), TypeError),
        ((PART[:5], PART, PART, PART, 1e-5), ValueError),
        ((PART, PART[:, None], PART, PART, 1e-5), ValueError),
        ((PART, PART, PART[:1], PART, 1e-5), ValueError),
        ((PART, PART, PART, -PART, 1e-5), ValueError),
        ((PART, PART, PART, 0 * PART, 0.0), ValueError),
        ((PART, PART, PART, NAN * PART, 1e-5), ValueError),
        ((PART, PART, PART, PART, -1e-5), ValueError),
        ((PART, PART, PART, PART, NAN), ValueError),
        ((PART, PART, PART, PART, math.inf), ValueError),
        ((PART, PART, PART, PART, "1e-5"), TypeError),
        ((PART, PART, PART, PART, True), TypeError),
        ((PART, PART, PART, PART, None), TypeError),
    ],
)
def test_batch_norm(batch_norm, error):
    with pytest.raises(error, match=r"\bbatch_norm\b"):
        fc.Conv2d(WEIGHT, batch_norm=batch_norm)


# What is not an error


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.int64, np.uint64, np.intp])
def test_numpy_integers_are_sizes(kind):
    one, two = kind(1), kind(2)
    expected = fc.conv2d(X, WEIGHT, BIAS, stride=2, padding=((1, 2), (2, 1)), dilation=1, groups=1)
    options = {"stride": [two, 2], "padding": ((one, two), [two, one]), "dilation": one, "groups": one}
    np.testing.assert_array_equal(fc.conv2d(X, WEIGHT, BIAS, **options), expected)
    np.testing.assert_array_equal(fc.Conv2d(WEIGHT, BIAS, **options)(X), expected)


def test_an_empty_batch_is_an_empty_result():
    for empty, shape in ((X[:0], (0, 6, 6, 6)), (X[:0, :, ::-1], (0, 6, 6, 6))):
        y = fc.conv2d(empty, WEIGHT, BIAS)
        assert (y.shape, y.dtype) == (shape, np.float32)
        assert fc.Conv2d(WEIGHT, BIAS)(empty).shape == shape
    out = np.empty((0, 6, 6, 6), np.float32)
    assert fc.conv2d(X[:0], WEIGHT, out=out) is out


def test_plain_subclasses_are_arrays():
    class Tagged(np.ndarray):
        pass

    y = fc.conv2d(X.view(Tagged), WEIGHT.view(Tagged), BIAS.view(Tagged))
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, fc.conv2d(X, WEIGHT, BIAS))
    out = np.empty_like(Y).view(Tagged)
    assert fc.conv2d(X, WEIGHT, BIAS, out=out) is out
    np.testing.assert_array_equal(out, y)


def test_batch_norm_is_rounded_once_to_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    # A hair above the middle of 1 and the next bfloat16; float32 has no room for the hair.
    gamma = np.full(6, 1 + 2**-8 + 2**-40)
    layer = fc.Conv2d(np.ones((6, 1, 1, 1), bfloat16), batch_norm=(gamma, 0 * PART, 0 * PART, PART, 0.0))
    np.testing.assert_array_equal(layer(np.ones((1, 1, 1, 1), bfloat16)).astype(float), 1 + 2**-7)
