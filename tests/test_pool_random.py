"""Random pools and their gradients against float64 loops; FASTCONV_RANDOM_PROBLEMS sets how many problems."""

import os

import numpy as np
import pools
import pytest
from arrays import DTYPES, rounded
from pools import ALL_DTYPES, assert_close, assert_summed, laid

import fastconv as fc

COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "30"))
MOST = {1: 60, 2: 24, 3: 9}


class Drawn:
    """A random geometry: padding as the convention allows it, windows that fit."""

    def __init__(self, rng, kind):
        self.kind, self.dims = kind, int(rng.integers(1, 4))
        while True:
            self.sizes = rng.integers(1, MOST[self.dims], self.dims).tolist()
            self.kernel, self.stride = (rng.integers(1, 6, self.dims).tolist() for _ in range(2))
            plain = kind in ("lp", "weighted_avg")
            self.dilation = [1] * self.dims if plain else rng.integers(1, 3, self.dims).tolist()
            self.ceil = kind != "weighted_avg" and bool(rng.random() < 0.4)
            self.convention = str(rng.choice(["torch", "torch", "onnx"]))
            spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
            free = self.convention == "onnx" or kind == "weighted_avg"
            self.pads = [[int(v) for v in rng.integers(0, 4 if free else span // 2 + 1, 2)] for span in spans]
            if kind == "lp":
                self.pads = [[0, 0]] * self.dims
            outs = pools.windows(self.sizes, self.kernel, self.stride, self.pads, self.dilation, self.ceil)[0]
            if 0 not in outs:
                break
        self.n, self.c = int(rng.integers(1, 4)), int(rng.integers(1, 40))
        self.layout = str(rng.choice(["channels_first", "channels_last"]))
        self.dtype = ALL_DTYPES[str(rng.choice(list(ALL_DTYPES if kind == "max" else DTYPES)))]
        self.x = rng.integers(0 if self.dtype.kind == "u" else -4, 5, (self.n, self.c, *self.sizes)).astype(self.dtype)

    def __str__(self):
        return " ".join(f"{name}={value}" for name, value in vars(self).items() if name != "x")

    def call(self, *args, gradient=False, **options):
        """Our pool, or its gradient."""
        name = f"{self.kind}_pool{self.dims}d" + "_backward" * gradient
        return getattr(fc, name)(*args, layout=self.layout, **options)

    def first(self, y):
        """A result with its channels first."""
        return np.moveaxis(y, -1, 1) if self.layout == "channels_last" else y

    def dy(self, rng, shape):
        return rng.integers(-4, 5, shape).astype(self.dtype)


def same(y, expected, drawn):
    """Equal, NaN where NaN is expected; bfloat16's NaN is not known to NumPy."""
    np.testing.assert_array_equal(y.astype(np.float64), expected.astype(np.float64), err_msg=str(drawn))


@pytest.mark.parametrize("part", range(4))
def test_max(part):
    rng = np.random.default_rng([2026, part])
    for _ in range(COUNT // 4):
        drawn = Drawn(rng, "max")
        x, floats, whole = drawn.x, drawn.dtype.kind not in "iu", drawn.convention == "onnx"
        if floats:
            x[rng.random(x.shape) < 0.02] = np.nan
            x[rng.random(x.shape) < 0.1] = -np.inf
        window = (drawn.kernel, drawn.stride, drawn.pads, drawn.dilation, drawn.ceil)
        expected, positions = pools.max_pool(x, *window)
        source = laid(x, drawn.layout)
        y = drawn.call(source, *window, convention=drawn.convention)
        again, indices = drawn.call(source, *window, True, convention=drawn.convention)
        for values in (y, again):
            same(drawn.first(values), expected, drawn)
        given, first = indices, drawn.first(indices)
        if whole:
            planes = np.arange(drawn.n * drawn.c).reshape(drawn.n, drawn.c, *[1] * drawn.dims)
            first = np.where(first < 0, first, first - planes * x[0, 0].size)
        numbers = expected == expected
        np.testing.assert_array_equal(first[numbers], positions[numbers], err_msg=str(drawn))
        n, c, *_ = np.nonzero(~numbers)
        found = x.reshape(*x.shape[:2], -1)[n, c, first[~numbers]]
        assert (found != found).all(), drawn
        if floats:
            dy = drawn.dy(rng, expected.shape)
            dx = drawn.call(laid(dy, drawn.layout), given, source.shape, gradient=True, convention=drawn.convention)
            exact = pools.max_gradient(dy, first, drawn.sizes)
            np.testing.assert_array_equal(drawn.first(dx), rounded(exact, drawn.dtype), err_msg=str(drawn))


@pytest.mark.parametrize("part", range(2))
def test_average(part):
    rng = np.random.default_rng([2027, part])
    for _ in range(COUNT // 2):
        drawn = Drawn(rng, "avg")
        inside, divisor = bool(rng.random() < 0.5), [None, None, 3, -7][rng.integers(4)]
        window = (drawn.kernel, drawn.stride, drawn.pads, drawn.ceil, inside, divisor)
        options = {"dilation": drawn.dilation, "convention": drawn.convention}
        source = laid(drawn.x, drawn.layout)
        y = drawn.call(source, *window, **options)
        expected = pools.avg_pool(drawn.x, *window, dilation=drawn.dilation)
        # Sums of small integers are exact, and divided as a division rounds.
        np.testing.assert_array_equal(drawn.first(y), rounded(expected, drawn.dtype), err_msg=str(drawn))
        dy = drawn.dy(rng, expected.shape)
        dx = drawn.call(laid(dy, drawn.layout), source.shape, *window, **options, gradient=True)
        exact = pools.avg_gradient(dy, drawn.sizes, *window, dilation=drawn.dilation)
        assert_close(drawn.first(dx), exact, str(drawn))


@pytest.mark.parametrize("norm", [1, 2, 3, 4, 2.5, 0.5, -1, np.inf])
def test_norm(norm):
    rng = np.random.default_rng([2029, int(norm * 10) if norm < 9 and norm > 0 else 0])
    for _ in range(max(1, COUNT // 16)):
        drawn = Drawn(rng, "lp")
        if norm in (2.5, 0.5, -1):
            drawn.x = (np.abs(drawn.x) + 0.5).astype(drawn.dtype)
        source, onnx = laid(drawn.x, drawn.layout), drawn.convention == "onnx"
        window = (drawn.kernel, drawn.stride, drawn.ceil)
        y = drawn.call(source, norm, *window, convention=drawn.convention)
        expected = pools.lp_pool(drawn.x, norm, *window, onnx=onnx)
        assert_close(drawn.first(y), expected, str(drawn), 32)
        if onnx:
            continue
        dy = drawn.dy(rng, expected.shape)
        dx = drawn.call(laid(dy, drawn.layout), source, y, norm, *window, gradient=True)
        if np.isinf(norm):
            _, indices = pools.max_pool(np.abs(drawn.x), drawn.kernel, drawn.stride, 0, 1, drawn.ceil)
            exact = pools.max_gradient(dy, indices, drawn.sizes) * np.sign(drawn.x.astype(np.float64))
        else:
            values = drawn.x, drawn.first(y), norm, *window
            exact, magnitude = pools.lp_gradient(dy, *values), pools.lp_gradient(np.abs(dy), *values)
            # A term has two powers (within a unit in the last place, which is two roundings), a share and two products;
            # as many as windows that have an element are added, and signs of dy may cancel all but the roundings.
            with np.errstate(invalid="ignore"):
                assert_summed(drawn.first(dx), exact, np.abs(magnitude), 7 + int(np.prod(drawn.kernel)), str(drawn))
            continue
        assert_close(drawn.first(dx), exact, str(drawn), 64)


@pytest.mark.parametrize("part", range(2))
def test_weighted(part):
    rng = np.random.default_rng([2028, part])
    for _ in range(COUNT // 4):
        drawn = Drawn(rng, "weighted_avg")
        weights = rng.integers(-3, 4, drawn.kernel).astype(drawn.dtype)
        source = laid(drawn.x, drawn.layout)
        y = drawn.call(source, weights, drawn.stride, drawn.pads)
        expected = pools.weighted_pool(drawn.x, weights, drawn.stride, drawn.pads)
        np.testing.assert_array_equal(drawn.first(y), rounded(expected, drawn.dtype), err_msg=str(drawn))
        dy = drawn.dy(rng, expected.shape)
        dx = drawn.call(laid(dy, drawn.layout), source.shape, weights, drawn.stride, drawn.pads, gradient=True)
        exact = pools.weighted_gradient(dy, drawn.sizes, weights, drawn.stride, drawn.pads)
        np.testing.assert_array_equal(drawn.first(dx), rounded(exact, drawn.dtype), err_msg=str(drawn))
