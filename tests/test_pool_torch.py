"""Pools against PyTorch in float64, forward and backward; FASTCONV_RANDOM_PROBLEMS sets how many problems."""

import os

import numpy as np
import pytest
from arrays import DTYPES, rounded
from pools import ALL_DTYPES, assert_close, laid
from strided import scattered

import fastconv as fc

torch = pytest.importorskip("torch")
functional = torch.nn.functional
COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "30"))
SEED = int(os.environ.get("FASTCONV_RANDOM_SEED", "0"))
MOST = {1: 150, 2: 30, 3: 10}


class Drawn:
    """A random pool that PyTorch takes too: the same padding on both sides, at most half the kernel."""

    def __init__(self, rng, kind, dtypes=DTYPES):
        self.kind, self.dims = kind, int(rng.integers(1, 4))
        dilated = kind == "max" and rng.random() < 0.5
        self.ceil = kind != "weighted_avg" and bool(rng.random() < 0.5)
        while True:
            self.sizes = rng.integers(1, MOST[self.dims], self.dims).tolist()
            self.kernel, self.stride = (rng.integers(1, 8, self.dims).tolist() for _ in range(2))
            self.dilation = rng.integers(1, 4, self.dims).tolist() if dilated else [1] * self.dims
            self.padding = [0 if kind == "lp" else int(rng.integers(0, k // 2 + 1)) for k in self.kernel]
            spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
            # avg_pool3d wants the input itself to be as large as a window.
            borders = [0] * 3 if (kind, self.dims) == ("avg", 3) else self.padding
            if all(s + 2 * p >= t for s, p, t in zip(self.sizes, borders, spans, strict=True)):
                break
        if rng.random() < 0.3:
            self.stride = list(self.kernel)
        self.n, self.c = int(rng.integers(1, 4)), int(rng.choice([1, 2, 3, 7, 16, 19, 33]))
        self.batched = self.n > 1 or rng.random() < 0.7
        self.layout = str(rng.choice(["channels_first", "channels_last"]))
        self.dtype = dtypes[str(rng.choice(list(dtypes)))]
        least = 0 if self.dtype.kind == "u" else -4
        self.x = rng.integers(least, 5, (self.n, self.c, *self.sizes)).astype(self.dtype)

    def __str__(self):
        return " ".join(f"{name}={value}" for name, value in vars(self).items() if name != "x")

    @property
    def window(self):
        return self.kernel, self.stride, self.padding

    def given(self, rng, x):
        """Channels-first values as the pool gets them."""
        x = laid(x, self.layout)
        return scattered(rng, x if self.batched else x[0])

    def first(self, y):
        """A result of ours with all axes, channels first."""
        y = y if self.batched else y[None]
        return np.moveaxis(y, -1, 1) if self.layout == "channels_last" else y

    def ours(self, *args, gradient=False, **options):
        name = f"{self.kind}_pool{self.dims}d" + "_backward" * gradient
        return getattr(fc, name)(*args, layout=self.layout, **options)

    def dy(self, rng, shape):
        return rng.integers(-4, 5, shape).astype(self.dtype)

    @property
    def input_shape(self):
        x = laid(self.x, self.layout)
        return x.shape if self.batched else x.shape[1:]


def leaf(x):
    """A float64 tensor that wants a gradient."""
    return torch.tensor(np.ascontiguousarray(x, np.float64), requires_grad=True)


def gradient(y, x, dy):
    """What PyTorch's autograd says."""
    return torch.autograd.grad(y, x, torch.tensor(dy.astype(np.float64)))[0].numpy()


def same(y, expected, message):
    """Equal, with NaN where NaN is expected; bfloat16's NaN is not known to NumPy."""
    np.testing.assert_array_equal(y.astype(np.float64), expected.astype(np.float64), err_msg=message)


def with_specials(rng, x):
    """Some NaN and infinities among the values."""
    for value, share in ((np.nan, 0.02), (np.inf, 0.02), (-np.inf, rng.choice([0.1, 0.95]))):
        x[rng.random(x.shape) < share] = value


@pytest.mark.parametrize("part", range(2))
def test_max(part):
    rng = np.random.default_rng([1, part, SEED])
    for _ in range(COUNT // 2):
        drawn = Drawn(rng, "max", ALL_DTYPES)
        floats = drawn.dtype.kind not in "iu"
        if floats and rng.random() < 0.5:
            with_specials(rng, drawn.x)
        x, pool = leaf(drawn.x), getattr(functional, f"max_pool{drawn.dims}d")
        options = (*drawn.window, drawn.dilation, drawn.ceil)
        expected, positions = pool(x, *options, return_indices=True)
        # PyTorch gives a window without elements an index beyond the plane; here it is -1.
        positions = np.where(np.isneginf(_ones(drawn, pool, options)), -1, positions.numpy())
        value, source = expected.detach().numpy(), drawn.given(rng, drawn.x)
        if not floats:
            value = np.where(positions < 0, np.iinfo(drawn.dtype).min, value)
        same(drawn.first(drawn.ours(source, *options)), value, str(drawn))
        y, indices = drawn.ours(source, *options, True)
        same(drawn.first(y), value, str(drawn))
        np.testing.assert_array_equal(drawn.first(indices), positions, err_msg=str(drawn))
        if floats and (positions >= 0).all():
            dy = drawn.dy(rng, value.shape)
            dx = drawn.ours(drawn.given(rng, dy), scattered(rng, indices), drawn.input_shape, gradient=True)
            same(drawn.first(dx), rounded(gradient(expected, x, dy), drawn.dtype), str(drawn))


def _ones(drawn, pool, options):
    """1 where a window has elements, minus infinity where it has none."""
    return pool(torch.ones((1, 1, *drawn.sizes), dtype=torch.float64), *options).numpy()


def tolerance(drawn, length):
    """What a sum of as many normal numbers may be off by, in the type it is computed in, and its rounding."""
    eps = np.finfo(np.float64 if drawn.dtype == np.float64 else np.float32).eps
    own = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(drawn.dtype.name, eps)
    return {"rtol": own, "atol": 5 * length * eps}


@pytest.mark.parametrize("part", range(2))
def test_average(part):
    rng = np.random.default_rng([2, part, SEED])
    for _ in range(COUNT // 2):
        drawn = Drawn(rng, "avg")
        inside, divisor, normal = bool(rng.random() < 0.5), [None, None, 3, -7][rng.integers(4)], rng.random() < 0.5
        if normal:
            drawn.x = rng.standard_normal(drawn.x.shape).astype(drawn.dtype)
        x, options = leaf(drawn.x), (*drawn.window, drawn.ceil, inside, divisor)
        if drawn.dims == 1:  # which has no divisor_override there: one row of two-dimensional ones
            flat = ([1, *drawn.kernel], [1, *drawn.stride], [0, *drawn.padding], drawn.ceil, inside, divisor)
            expected = functional.avg_pool2d(x[:, :, None], *flat)[:, :, 0]
        else:
            expected = getattr(functional, f"avg_pool{drawn.dims}d")(x, *options)
        y, value = drawn.first(drawn.ours(drawn.given(rng, drawn.x), *options)), expected.detach().numpy()
        taps = int(np.prod(drawn.kernel))
        if normal:
            allowed = tolerance(drawn, taps)
            np.testing.assert_allclose(y.astype(np.float64), value, **allowed, err_msg=str(drawn))
        else:
            same(y, rounded(value, drawn.dtype), str(drawn))
        dy = drawn.dy(rng, value.shape)
        dx = drawn.ours(drawn.given(rng, dy), drawn.input_shape, *options, gradient=True)
        assert_close(drawn.first(dx), gradient(expected, x, dy), str(drawn))


@pytest.mark.parametrize("part", range(2))
def test_norm(part):
    rng = np.random.default_rng([3, part, SEED])
    for _ in range(COUNT // 2):
        drawn, norm = Drawn(rng, "lp"), [1, 2, 2.0, 3, 0.5, 4, 2.5, -1, np.inf][rng.integers(9)]
        if norm in (0.5, 2.5, -1):
            drawn.x = (np.abs(drawn.x) + 0.5).astype(drawn.dtype)
        window, x = (drawn.kernel, drawn.stride, drawn.ceil), leaf(drawn.x)

        def norm_of(x, drawn=drawn, norm=norm):
            window = (drawn.kernel, drawn.stride) if drawn.dims > 1 else (*drawn.kernel, *drawn.stride)
            return getattr(functional, f"lp_pool{drawn.dims}d")(x, norm, *window, drawn.ceil)

        expected = norm_of(x)
        source = drawn.given(rng, drawn.x)
        y, value = drawn.ours(source, norm, *window), expected.detach().numpy()
        assert_close(drawn.first(y), value, str(drawn), 32)
        dy = drawn.dy(rng, value.shape)
        dx = drawn.ours(drawn.given(rng, dy), source, scattered(rng, y), norm, *window, gradient=True)
        if norm == 1:  # PyTorch gives 0 where a sum is 0, not a sum's derivative: sums that are not 0 have the same
            positive = leaf(drawn.x + drawn.dtype.type(5))
            exact = gradient(norm_of(positive), positive, dy)
        elif drawn.dtype.itemsize == 2:
            continue  # PyTorch goes on with a y that was not rounded
        else:
            exact = gradient(expected, x, dy)
        known = np.isfinite(exact)  # NaN where y is 0, which has no derivative: here it is 0
        dx = drawn.first(dx)
        if not np.isnan(value).any():  # roots of negative sums are
            assert np.isfinite(dx[~known].astype(np.float64)).all(), str(drawn)
        assert_close(np.where(known, dx, 0).astype(drawn.dtype), np.where(known, exact, 0), f"{norm} {drawn}", 64)


@pytest.mark.parametrize("part", range(2))
def test_weighted(part):
    rng = np.random.default_rng([4, part, SEED])
    for _ in range(COUNT // 2):
        drawn = Drawn(rng, "weighted_avg")
        weights, x = rng.integers(-3, 4, drawn.kernel).astype(drawn.dtype), leaf(drawn.x)
        kernel = torch.tensor(weights.astype(np.float64)).expand(drawn.c, 1, *drawn.kernel)
        expected = getattr(functional, f"conv{drawn.dims}d")(x, kernel, None, *drawn.window[1:], groups=drawn.c)
        value, given = expected.detach().numpy(), scattered(rng, weights)
        y = drawn.ours(drawn.given(rng, drawn.x), given, *drawn.window[1:])
        same(drawn.first(y), rounded(value, drawn.dtype), str(drawn))
        dy = drawn.dy(rng, value.shape)
        dx = drawn.ours(drawn.given(rng, dy), drawn.input_shape, given, *drawn.window[1:], gradient=True)
        same(drawn.first(dx), rounded(gradient(expected, x, dy), drawn.dtype), str(drawn))
