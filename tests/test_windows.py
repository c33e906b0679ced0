"""unfold and fold: against their definition and PyTorch, on awkward arrays, and what they refuse."""

import os

import numpy as np
import parts
import pytest
from arrays import DTYPES, integers, rounded
from hypothesis import given
from hypothesis import strategies as st
from test_properties import VIEWS, view_of

import fastconv as fc

COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "30"))
MOST = {1: 90, 2: 30, 3: 9}


def any_view(x, kind):
    """An awkward view of an array of any number of axes."""
    if kind == "transposed":
        return np.ascontiguousarray(x.T).T
    if kind == "negative":
        flip = (slice(None, None, -1),) * x.ndim
        return np.ascontiguousarray(x[flip])[flip]
    if kind == "gaps":
        large = np.zeros([2 * size + 1 for size in x.shape], x.dtype)
        inner = large[(slice(1, None, 2),) * x.ndim]
        inner[...] = x
        return inner
    if kind == "unaligned_view":
        return any_view(any_view(x, "negative"), "unaligned")
    return view_of(x, kind)


class Drawn:
    """A random geometry whose windows fit."""

    def __init__(self, rng):
        self.axes = int(rng.integers(1, 4))
        while True:
            self.sizes = rng.integers(1, MOST[self.axes], self.axes).tolist()
            self.kernel = rng.integers(1, 6, self.axes).tolist()
            self.dilation, self.padding = rng.integers(1, 4, self.axes).tolist(), rng.integers(0, 4, self.axes).tolist()
            self.stride = rng.integers(1, 7, self.axes).tolist()
            if all(
                size + 2 * p >= d * (k - 1) + 1
                for size, k, d, p in zip(self.sizes, self.kernel, self.dilation, self.padding, strict=True)
            ):
                break
        self.n, self.c = int(rng.integers(1, 4)), int(rng.integers(1, 9))
        self.dtype = DTYPES[str(rng.choice(sorted(DTYPES)))]
        self.view = str(rng.choice([v for v in VIEWS if v != "broadcast"]))
        self.batched = bool(rng.random() < 0.8)

    @property
    def options(self):
        return tuple(self.dilation), tuple(self.padding), tuple(self.stride)

    def __str__(self):
        return str(vars(self))


@pytest.mark.parametrize("part", range(4))
def test_random_problems(part):
    rng = np.random.default_rng([31, part])
    for _ in range(COUNT // 4):
        drawn = Drawn(rng)
        x = integers(rng, (drawn.n if drawn.batched else 1, drawn.c, *drawn.sizes), drawn.dtype, 30)
        kernel = tuple(drawn.kernel)
        expected = parts.unfold(x, kernel, *drawn.options)
        given_x = any_view(x if drawn.batched else x[0], drawn.view)
        y = fc.unfold(given_x, kernel, *drawn.options)
        np.testing.assert_array_equal(y, expected if drawn.batched else expected[0], err_msg=str(drawn))
        cols = integers(rng, expected.shape, drawn.dtype, 30)
        exact = rounded(parts.fold(cols, drawn.sizes, kernel, *drawn.options), drawn.dtype)
        given_cols = any_view(cols if drawn.batched else cols[0], drawn.view)
        y = fc.fold(given_cols, tuple(drawn.sizes), kernel, *drawn.options)
        np.testing.assert_array_equal(y, exact if drawn.batched else exact[0], err_msg=str(drawn))


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(1, 5), st.integers(1, 2), st.integers(0, 3),
    st.integers(1, 5),
)  # fmt: skip
def test_torch(h, w, r, s, dilation, padding, stride):
    torch = pytest.importorskip("torch")
    if h + 2 * padding <= dilation * (r - 1) or w + 2 * padding <= dilation * (s - 1):
        return
    x = np.random.default_rng([h, w]).normal(size=(2, 3, h, w)).astype(np.float32)
    options = {"dilation": dilation, "padding": padding, "stride": stride}
    cols = torch.nn.functional.unfold(torch.from_numpy(x), (r, s), **options)
    y = fc.unfold(x, (r, s), **options)
    np.testing.assert_array_equal(y, cols.numpy())
    image = torch.nn.functional.fold(cols.double(), (h, w), (r, s), **options)
    np.testing.assert_allclose(fc.fold(y, (h, w), (r, s), **options), image.numpy(), rtol=1e-5, atol=1e-5)


def test_one_int_stands_for_all_axes():
    x = np.arange(120.0)
    for shape, axes in (((3, 40), 1), ((2, 6, 10), 2), ((1, 2, 6, 10), 2), ((1, 2, 3, 4, 5), 3)):
        image = x.reshape(shape)
        np.testing.assert_array_equal(
            fc.unfold(image, 2, 1, 1, 2), fc.unfold(image, [2] * axes, [1] * axes, [1] * axes, [2] * axes)
        )
    np.testing.assert_array_equal(fc.fold(np.ones((1, 4, 4)), 3, 2), fc.fold(np.ones((1, 4, 4)), (3, 3), (2, 2)))


def test_adjoint(rng):
    """<unfold(x), c> = <x, fold(c)>, exactly for small integers."""
    x = integers(rng, (2, 3, 11, 14), np.float64, 9)
    options = ((3, 2), (1, 2), (2, 1), (2, 3))
    y = fc.unfold(x, *options)
    cols = integers(rng, y.shape, np.float64, 9)
    assert (y * cols).sum() == (x * fc.fold(cols, (11, 14), *options)).sum()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_threads_and_batch(rng, stride):
    x = rng.normal(size=(4, 32, 40, 41)).astype(np.float32)
    cols = fc.unfold(x, 3, 1, 1, stride)
    image = fc.fold(cols, (40, 41), 3, 1, 1, stride)
    for count in (1, 2, 5):
        with fc.num_threads(count):
            np.testing.assert_array_equal(fc.unfold(x, 3, 1, 1, stride), cols)
            np.testing.assert_array_equal(fc.fold(cols, (40, 41), 3, 1, 1, stride), image)
            np.testing.assert_array_equal(fc.fold(cols[1:2], (40, 41), 3, 1, 1, stride), image[1:2])


def test_empty_batch():
    cols = fc.unfold(np.zeros((0, 3, 5, 5), np.float32), 3)
    assert cols.shape == (0, 27, 9)
    assert fc.fold(cols, (5, 5), 3).shape == (0, 3, 5, 5)


def test_nan_and_inf():
    x = np.array([[[np.nan, np.inf, -np.inf, 1.0, 2.0]]])
    y = fc.unfold(x, (2,))
    np.testing.assert_array_equal(y[0, 0], [np.nan, np.inf, -np.inf, 1.0])
    np.testing.assert_array_equal(fc.fold(y, (5,), (2,))[0, 0], [np.nan, np.inf, -np.inf, 2.0, 2.0])


def test_narrow_sums_are_rounded_once():
    """One and 600 parts of 2**-12: added up in float16 they would stay 1."""
    cols = np.full((1, 601, 1), 2.0**-12, np.float16)
    cols[0, 0] = 1
    stacked = np.ascontiguousarray(np.broadcast_to(cols.reshape(1, 601, 1), (1, 601, 601)) * np.eye(601)[::-1])
    y = fc.fold(stacked.astype(np.float16), (1201,), (601,))
    assert y[0, 0, 600] == np.float16(1 + 600 * 2.0**-12)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (TypeError, "x must be a NumPy array", lambda: fc.unfold([[1.0]], 1)),
        (TypeError, "x must be float32", lambda: fc.unfold(np.zeros((1, 1, 2, 2), np.int32), 1)),
        (ValueError, "x must have 3 or 4 axes", lambda: fc.unfold(np.zeros((2, 2)), (1, 1))),
        (ValueError, "kernel_size must have 1 to 3 ints", lambda: fc.unfold(np.zeros((1, 1, 2)), ())),
        (TypeError, "kernel_size must be", lambda: fc.unfold(np.zeros((1, 1, 2, 2)), 1.5)),
        (ValueError, "stride must be at least 1", lambda: fc.unfold(np.zeros((1, 1, 2, 2)), 1, stride=0)),
        (ValueError, "padding must be at least 0", lambda: fc.unfold(np.zeros((1, 1, 2, 2)), 1, padding=-1)),
        (ValueError, "kernel_size spans 5 of the width", lambda: fc.unfold(np.zeros((1, 1, 9, 2)), 3, 2)),
        (ValueError, "no channels", lambda: fc.unfold(np.zeros((1, 0, 9, 2)), 1)),
        (ValueError, "multiple of 4 rows", lambda: fc.fold(np.zeros((1, 5, 4)), (3, 3), 2)),
        (ValueError, "each of the 4 windows", lambda: fc.fold(np.zeros((1, 4, 5)), (3, 3), 2)),
        (ValueError, "output_size must have 1 to 3", lambda: fc.fold(np.zeros((1, 4, 4)), (1, 1, 3, 3), 2)),
        (ValueError, "cols must have 2 or 3 axes", lambda: fc.fold(np.zeros((1, 1, 4, 4)), (3, 3), 2)),
        (TypeError, "output_size", lambda: fc.fold(np.zeros((1, 4, 4)), 3.0, 2)),
    ],
)
def test_errors(error, match, call):
    with pytest.raises(error, match=match):
        call()


def test_no_access_outside(rng):
    guard = pytest.importorskip("guard")
    for stride, at_end in ((1, True), (2, True), (3, True), (5, False), (1, False)):
        for dtype in DTYPES.values():
            x = guard.guarded(integers(rng, (1, 2, 9, 37), dtype, 9), at_end)
            y = guard.guarded(fc.unfold(x, (3, 4), 1, (1, 2), stride), at_end)
            np.testing.assert_array_equal(y, parts.unfold(x, (3, 4), 1, (1, 2), stride))
            exact = rounded(parts.fold(y, (9, 37), (3, 4), 1, (1, 2), stride), dtype)
            np.testing.assert_array_equal(fc.fold(y, (9, 37), (3, 4), 1, (1, 2), stride), exact)
