"""Bad input: an error at once that names the argument."""

import numpy as np
import pytest

import fastconv as fc

X = np.zeros((1, 4, 8, 8), np.float32)
W = np.zeros((6, 4, 3, 3), np.float32)
OUT = np.zeros((1, 6, 6, 6), np.float32)
READ_ONLY = OUT.copy()
READ_ONLY.flags.writeable = False

CASES = [
    ({"x": X.tolist()}, TypeError, "x: expected a NumPy array"),
    ({"weight": [[1.0]]}, TypeError, "weight: expected a NumPy array"),
    ({"bias": [0.0] * 6}, TypeError, "bias: expected a NumPy array"),
    ({"x": X.astype(np.int32)}, TypeError, "x: dtype int32"),
    ({"x": X.astype(bool)}, TypeError, "x: dtype bool"),
    ({"x": X.astype(complex)}, TypeError, "x: dtype complex128"),
    ({"x": X.astype(object)}, TypeError, "x: dtype object"),
    ({"x": X.astype(">f4")}, TypeError, "x: byte order"),
    ({"x": np.ma.masked_array(X)}, TypeError, "x: masked"),
    ({"weight": W.astype(np.float64)}, TypeError, "weight: dtype float64 differs"),
    ({"bias": np.zeros(6)}, TypeError, "bias: dtype float64 differs"),
    ({"residual": OUT.astype(np.float64)}, TypeError, "residual: dtype float64 differs"),
    ({"x": X[0, 0]}, ValueError, "x: expected 4 axes"),
    ({"x": X[None]}, ValueError, "x: expected 4 axes"),
    ({"weight": W[0]}, ValueError, "weight: expected 4 axes"),
    ({"weight": W[:, :3]}, ValueError, "weight: it has 3 input channels"),
    ({"weight": W[:0]}, ValueError, "weight: .* empty"),
    ({"x": X[:, :, :0]}, ValueError, "x: its height is 0"),
    ({"x": X[:, :0]}, ValueError, "x: its channels is 0"),
    ({"bias": np.zeros(5, np.float32)}, ValueError, "bias: shape"),
    ({"bias": np.zeros((6, 1), np.float32)}, ValueError, "bias: shape"),
    ({"residual": OUT[:, :, :5]}, ValueError, "residual: shape"),
    ({"residual": OUT[0]}, ValueError, "residual: expected 4 axes"),
    ({"stride": 1.0}, TypeError, "stride: expected an int"),
    ({"stride": (1.0, 1)}, TypeError, "stride: expected an int"),
    ({"stride": float("nan")}, TypeError, "stride: expected an int"),
    ({"stride": True}, TypeError, "stride: expected an int"),
    ({"stride": "2"}, TypeError, "stride: expected an int"),
    ({"stride": 0}, ValueError, "stride: expected at least 1"),
    ({"stride": (1, 2, 3)}, ValueError, "stride: expected an int or 2 ints"),
    ({"dilation": -1}, ValueError, "dilation: expected at least 1"),
    ({"dilation": 4}, ValueError, "weight: its height spans 9"),
    ({"padding": -1}, ValueError, "padding: expected at least 0"),
    ({"padding": 0.5}, TypeError, "padding: expected an int"),
    ({"padding": "full"}, ValueError, "padding: 'full'"),
    ({"padding": ((1, 1),)}, ValueError, "padding: expected 2"),
    ({"padding": ((1, 1), 1)}, ValueError, "padding: ints and"),
    ({"padding": ((1, 1, 1), (1, 1, 1))}, ValueError, "padding: expected an int or 2 ints"),
    ({"padding": 8, "padding_mode": "reflect"}, ValueError, "padding: .*reflect"),
    ({"padding": 9, "padding_mode": "circular"}, ValueError, "padding: .*circular"),
    ({"padding_mode": "mirror"}, ValueError, "padding_mode: 'mirror'"),
    ({"padding_mode": None}, TypeError, "padding_mode: expected one of"),
    ({"groups": 3}, ValueError, "groups: 3 does not divide"),
    ({"groups": 0}, ValueError, "groups: expected at least 1"),
    ({"groups": 2.0}, TypeError, "groups: expected an int"),
    ({"groups": (1,)}, TypeError, "groups: expected an int"),
    ({"layout": "NHWC"}, ValueError, "layout: 'NHWC'"),
    ({"precision": "exact"}, ValueError, "precision: 'exact'"),
    ({"activation": "swish"}, ValueError, "activation: 'swish'"),
    ({"activation": ("relu", 1)}, ValueError, "activation: only"),
    ({"activation": ("leaky_relu", "a")}, TypeError, "activation: the slope"),
    ({"activation": ("leaky_relu", float("inf"))}, ValueError, "activation: the slope"),
    ({"activation": 1}, TypeError, "activation: expected None"),
    ({"algorithm": "fft"}, ValueError, "algorithm: 'fft'"),
    ({"algorithm": "pointwise"}, ValueError, "algorithm: 'pointwise' cannot do .* not 1x1"),
    ({"algorithm": None}, TypeError, "algorithm: expected a name"),
    ({"out": OUT.tolist()}, TypeError, "out: expected a NumPy array"),
    ({"out": OUT[:, :5]}, ValueError, "out: shape"),
    ({"out": OUT.astype(np.float64)}, TypeError, "out: dtype"),
    ({"out": READ_ONLY}, ValueError, "out: it is read-only"),
]


def identity(case):
    """A test id from a case's arguments."""
    return "-".join(f"{k}={np.shape(v) if isinstance(v, np.ndarray) else str(v)[:24]}" for k, v in case[0].items())


@pytest.mark.parametrize(("arguments", "error", "words"), CASES, ids=map(identity, CASES))
def test_function(arguments, error, words):
    fc.conv2d(X, W)  # a good call first: nothing it leaves behind may let a bad one pass
    with pytest.raises(error, match=words):
        fc.conv2d(**{"x": X, "weight": W, **arguments})


@pytest.mark.parametrize(("arguments", "error", "words"), CASES, ids=map(identity, CASES))
def test_layer(arguments, error, words):
    call = {name: arguments[name] for name in ("x", "residual", "out") if name in arguments}
    fixed = {name: value for name, value in arguments.items() if name not in call}
    words = words.replace("weight: dtype float64 differs", "weight: dtype float64 differs|x: ")
    with pytest.raises(error, match=words):
        fc.Conv2d(**{"weight": W, **fixed})(**{"x": X, **call})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"stride": 0}, "stride"), ({"groups": 5}, "groups"), ({"activation": "x"}, "activation"),
     ({"padding": -1}, "padding"), ({"layout": "x"}, "layout"), ({"algorithm": "x"}, "algorithm")],
    ids=str,
)  # fmt: skip
def test_layer_says_so_at_construction(arguments, words):
    with pytest.raises(ValueError, match=words):
        fc.Conv2d(W, **arguments)


@pytest.mark.parametrize(
    ("batch_norm", "error"),
    [(1, TypeError), ((np.ones(6),) * 4, TypeError), ((np.ones(5), *[np.ones(6)] * 3, 1e-5), ValueError),
     ((*[np.ones(6)] * 3, -np.ones(6), 1e-5), ValueError), ((*[np.ones(6)] * 4, "e"), TypeError),
     ((*[np.ones(6)] * 4, -1.0), ValueError)],
    ids=range(6),
)  # fmt: skip
def test_batch_norm(batch_norm, error):
    with pytest.raises(error, match="batch_norm"):
        fc.Conv2d(W, batch_norm=batch_norm)


def test_numpy_integers_are_sizes():
    for kind in (np.int32, np.int64, np.uint8):
        y = fc.conv2d(X, W, None, kind(2), [kind(1), kind(1)], (kind(1),) * 2, kind(1))
        assert y.shape == (1, 6, 4, 4)


def test_too_large_to_address():
    with pytest.raises(ValueError, match="too large"):
        fc.explain("conv2d", (2**31, 1, 2**20, 2**20), (8, 1, 1, 1))


def test_unknown_operator():
    with pytest.raises(ValueError, match="conv9d"):
        fc.algorithms("conv9d")


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_threads(n, error):
    with pytest.raises(error, match="n: "):
        fc.set_num_threads(n)
    with pytest.raises(error, match="n: "), fc.num_threads(n):
        pass
