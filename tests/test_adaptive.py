"""Adaptive and global pools and their gradients: against the definition and PyTorch, on awkward arrays."""

import os

import numpy as np
import parts
import pools
import pytest
from arrays import DTYPES, integers, rounded
from pools import ALL_DTYPES, assert_close, laid
from test_properties import VIEWS
from test_windows import any_view

import fastconv as fc

COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "30"))
MOST = {1: 120, 2: 40, 3: 12}
LAYOUTS = ("channels_first", "channels_last")


def same(found, exact, message=""):
    """Equal, NaNs included, which NumPy does not know of bfloat16."""
    assert found.dtype == exact.dtype
    np.testing.assert_array_equal(found.astype(np.float64), exact.astype(np.float64), err_msg=str(message))


class Drawn:
    """A random geometry."""

    def __init__(self, rng, dtypes):
        self.dims = int(rng.integers(1, 4))
        self.sizes = rng.integers(1, MOST[self.dims], self.dims).tolist()
        most = MOST[self.dims] // 3
        self.outs = [int(rng.choice([1, size, rng.integers(1, most), rng.integers(1, most)])) for size in self.sizes]
        if rng.random() < 0.2:
            self.outs = [1] * self.dims
        self.n, self.c = int(rng.integers(1, 4)), int(rng.integers(1, 40))
        self.layout = str(rng.choice(LAYOUTS))
        self.dtype = dtypes[str(rng.choice(list(dtypes)))]
        self.view = str(rng.choice([v for v in VIEWS if v != "broadcast"]))
        self.x = rng.integers(0 if self.dtype.kind == "u" else -4, 5, (self.n, self.c, *self.sizes)).astype(self.dtype)

    def __str__(self):
        return " ".join(f"{name}={value}" for name, value in vars(self).items() if name != "x")

    def call(self, name, array, *args):
        """A pool on an awkward view of an array whose channels are first; the result's are first, too."""
        function = getattr(fc, name.replace("#", f"{self.dims}d"))
        found = function(any_view(laid(array, self.layout), self.view), *args, layout=self.layout)
        return tuple(map(self.first, found)) if isinstance(found, tuple) else self.first(found)

    def first(self, y):
        return np.moveaxis(y, -1, 1) if self.layout == "channels_last" else y

    def shape(self, array):
        return laid(array, self.layout).shape


@pytest.mark.parametrize("part", range(4))
def test_average(part):
    rng = np.random.default_rng([51, part])
    for _ in range(COUNT // 4):
        drawn = Drawn(rng, DTYPES)
        exact = parts.adaptive_avg(drawn.x, drawn.outs)
        asked = [None if out == size and rng.random() < 0.5 else out for out, size in zip(drawn.outs, drawn.sizes,
                                                                                         strict=True)]  # fmt: skip
        y = drawn.call("adaptive_avg_pool#", drawn.x, tuple(asked))
        # Sums of small integers are exact, and divided as a division rounds.
        np.testing.assert_array_equal(y, rounded(exact, drawn.dtype), err_msg=str(drawn))
        dy = integers(rng, exact.shape, drawn.dtype)
        dx = drawn.call("adaptive_avg_pool#_backward", dy, drawn.shape(drawn.x))
        assert_close(dx, parts.adaptive_avg_gradient(dy, drawn.sizes), str(drawn))


@pytest.mark.parametrize("part", range(4))
def test_maximum(part):
    rng = np.random.default_rng([52, part])
    for _ in range(COUNT // 4):
        drawn = Drawn(rng, ALL_DTYPES)
        x, floats = drawn.x, drawn.dtype.kind not in "iu"
        if floats:
            x[rng.random(x.shape) < 0.01] = np.nan
            x[rng.random(x.shape) < 0.2] = -np.inf
        exact, places = parts.adaptive_max(x, drawn.outs)
        y = drawn.call("adaptive_max_pool#", x, tuple(drawn.outs))
        again, indices = drawn.call("adaptive_max_pool#", x, tuple(drawn.outs), True)
        for found in (y, again):
            same(found, exact, drawn)
        numbers = places >= 0
        np.testing.assert_array_equal(indices[numbers], places[numbers], err_msg=str(drawn))
        there = parts.look_up(x, indices)
        assert (there[~numbers] != there[~numbers]).all(), drawn
        if floats:
            dy = integers(rng, exact.shape, drawn.dtype)
            given = laid(indices, drawn.layout)
            dx = drawn.call("adaptive_max_pool#_backward", dy, given, drawn.shape(x))
            expected = rounded(pools.max_gradient(dy, indices, drawn.sizes), drawn.dtype)
            np.testing.assert_array_equal(dx, expected, err_msg=str(drawn))


@pytest.mark.parametrize("part", range(2))
def test_global(part):
    rng = np.random.default_rng([53, part])
    for _ in range(COUNT // 4):
        drawn = Drawn(rng, DTYPES)
        x, ones = drawn.x, (1,) * drawn.dims
        y = drawn.call("global_avg_pool", x)
        np.testing.assert_array_equal(y, rounded(parts.adaptive_avg(x, ones), drawn.dtype), err_msg=str(drawn))
        dy = integers(rng, y.shape, drawn.dtype)
        dx = drawn.call("global_avg_pool_backward", dy, drawn.shape(x))
        assert_close(dx, parts.adaptive_avg_gradient(dy, drawn.sizes), str(drawn))
        exact, places = parts.adaptive_max(x, ones)
        np.testing.assert_array_equal(drawn.call("global_max_pool", x), exact, err_msg=str(drawn))
        dx = drawn.call("global_max_pool_backward", dy, laid(x, drawn.layout))
        expected = rounded(pools.max_gradient(dy, places, drawn.sizes), drawn.dtype)
        np.testing.assert_array_equal(dx, expected, err_msg=str(drawn))
        for norm in (1, 2, 3, np.inf):
            small = np.abs(x) if norm == 3 else x
            y = drawn.call("global_lp_pool", small, norm)
            exact = pools.lp_pool(small, norm, tuple(drawn.sizes))
            assert_close(y, exact, f"{drawn} {norm}", 32)
            dx = drawn.call("global_lp_pool_backward", dy, laid(small, drawn.layout), laid(y, drawn.layout), norm)
            if norm == np.inf:
                _, places = parts.adaptive_max(np.abs(small), ones)
                exact = pools.max_gradient(dy, places, drawn.sizes) * np.sign(small.astype(np.float64))
            else:
                exact = pools.lp_gradient(dy, small, y, norm, tuple(drawn.sizes))
            assert_close(dx, exact, f"{drawn} {norm}", 64)


def test_norm_of_magnitudes(rng):
    """ONNX's GlobalLpPool takes |x|."""
    x = integers(rng, (2, 3, 5, 6), np.float64, 9)
    for norm in (1, 2, 3):
        y = fc.global_lp_pool(x, norm, convention="onnx")
        np.testing.assert_allclose(y[..., 0, 0], (np.abs(x) ** norm).sum((2, 3)) ** (1 / norm))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("sizes", "outs"),
    [
        ((13, 13), (6, 6)),
        ((14, 14), (7, 7)),
        ((32, 20), (1, 1)),
        ((5, 7), (9, 3)),
        ((100,), (7,)),
        ((7, 9, 8), (2, 4, 3)),
    ],
)
def test_torch(rng, sizes, outs, layout):
    torch = pytest.importorskip("torch")
    dims, x = len(sizes), rng.normal(size=(2, 17, *sizes))
    for kind in ("avg", "max"):
        given = torch.from_numpy(x).requires_grad_()
        peer = getattr(torch.nn.functional, f"adaptive_{kind}_pool{dims}d")
        exact = peer(given, outs)
        dy = rng.normal(size=exact.shape)
        exact.backward(torch.from_numpy(dy))
        source, name = laid(x, layout), f"adaptive_{kind}_pool{dims}d"
        y = getattr(fc, name)(source, outs, layout=layout)
        np.testing.assert_allclose(y, laid(exact.detach().numpy(), layout), rtol=1e-12, atol=1e-12)
        backward, extra = getattr(fc, f"{name}_backward"), ()
        if kind == "max":
            _, indices = getattr(fc, name)(source, outs, True, layout=layout)
            np.testing.assert_array_equal(indices, laid(peer(given, outs, True)[1].numpy(), layout))
            extra = (indices,)
        dx = backward(laid(dy, layout), *extra, source.shape, layout=layout)
        np.testing.assert_allclose(dx, laid(given.grad.numpy(), layout), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("sizes", "outs"), [((1, 9, 3), (2, 9, 3)), ((1, 6), (3, 4)), ((5, 1), (2, 2)), ((1,), (4,))])
def test_one_element_is_the_maximum_of_several_windows(rng, sizes, outs, layout):
    x = laid(rng.normal(size=(2, 25, *sizes)).astype(np.float32), layout)
    dy = laid(integers(rng, (2, 25, *outs), np.float32), layout)
    _, indices = getattr(fc, f"adaptive_max_pool{len(sizes)}d")(x, outs, True, layout=layout)
    dx = getattr(fc, f"adaptive_max_pool{len(sizes)}d_backward")(dy, indices, x.shape, layout=layout)
    spatial = tuple(range(1, x.ndim - 1) if layout == "channels_last" else range(2, x.ndim))
    np.testing.assert_array_equal(dx.sum(spatial), dy.sum(spatial))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_large_planes_are_summed_well(rng, layout):
    """A single chain of float32 sums would err by 2e-5 or more here."""
    x = laid((rng.random((1, 3, 700, 900)) + 1).astype(np.float32), layout)
    axes = (1, 2) if layout == "channels_last" else (2, 3)
    exact = x.astype(np.float64).mean(axes).ravel()
    np.testing.assert_allclose(fc.global_avg_pool(x, layout=layout).ravel(), exact, rtol=2e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_images_that_are_cut_into_parts(rng, dtype):
    """Channels last: what parts of pixels come to is joined, in as many jobs as there are threads for."""
    x = rng.normal(size=(3, 141, 133, 37)).astype(dtype)
    x[1, 77, 50, 3] = np.nan
    wide = x.astype(np.float64)
    pools = (
        (lambda x: fc.global_avg_pool(x, layout="channels_last"), wide.mean((1, 2))),
        (lambda x: fc.global_max_pool(x, layout="channels_last"), wide.max((1, 2))),
        (lambda x: fc.global_lp_pool(x, 2, layout="channels_last"), np.sqrt((wide**2).sum((1, 2)))),
    )
    for pool, exact in pools:
        whole = pool(x)
        tolerance = {8: 1e-12, 4: 2e-6, 2: 1e-2}[x.itemsize]
        np.testing.assert_allclose(whole[:, 0, 0].astype(np.float64), exact, rtol=tolerance, atol=tolerance)
        for count in (1, 2, 7):
            with fc.num_threads(count):
                assert pool(x).tobytes() == whole.tobytes()
                assert pool(x[2:]).tobytes() == whole[2:].tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("outs", [1, 7, (5, 9)])
def test_threads_and_batch(rng, outs, layout):
    x = laid(rng.normal(size=(5, 70, 45, 44)).astype(np.float32), layout)

    def results(x):
        y = fc.adaptive_avg_pool2d(x, outs, layout=layout)
        values, indices = fc.adaptive_max_pool2d(x, outs, True, layout=layout)
        dx = fc.adaptive_avg_pool2d_backward(y, x.shape, layout=layout)
        return y, values, indices, dx, fc.adaptive_max_pool2d_backward(y, indices, x.shape, layout=layout)

    whole = results(x)
    for count in (1, 2, 3, 7):
        with fc.num_threads(count):
            for found, one in zip(results(x), whole, strict=True):
                np.testing.assert_array_equal(found, one)
            for found, one in zip(results(x[2:3]), whole, strict=True):
                np.testing.assert_array_equal(found, one[2:3])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_out_and_unbatched(rng, layout):
    x = laid(rng.normal(size=(1, 6, 9, 8)).astype(np.float32), layout)
    memory = np.zeros(x.size + 8, np.float32)
    over = memory[4:-4].reshape(x.shape)
    over[...] = x
    place = memory[: x.size].reshape(x.shape)  # of the input's size, over most of it
    expected = fc.adaptive_avg_pool2d(x, (None, 8), layout=layout)
    assert fc.adaptive_avg_pool2d(over, (9, 8), layout=layout, out=place) is place
    np.testing.assert_array_equal(place, expected)
    np.testing.assert_array_equal(expected, x)
    values, indices = fc.adaptive_max_pool2d(x, 3, True, layout=layout)
    alone = fc.adaptive_max_pool2d(x[0], 3, True, layout=layout)
    np.testing.assert_array_equal(alone[0], values[0])
    np.testing.assert_array_equal(alone[1], indices[0])
    dx = fc.adaptive_max_pool2d_backward(alone[0], alone[1], x.shape[1:], layout=layout)
    out = np.full(x.shape, np.nan, np.float32)
    assert fc.adaptive_max_pool2d_backward(values, indices, x.shape, layout=layout, out=out) is out
    np.testing.assert_array_equal(out[0], dx)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_empty_batch(layout):
    x = laid(np.zeros((0, 3, 5, 5), np.float32), layout)
    y, indices = fc.adaptive_max_pool2d(x, 2, True, layout=layout)
    assert y.shape == indices.shape == laid(np.zeros((0, 3, 2, 2)), layout).shape
    assert fc.adaptive_avg_pool2d_backward(y, x.shape, layout=layout).shape == x.shape
    assert fc.global_avg_pool(x, layout=layout).shape == laid(np.zeros((0, 3, 1, 1)), layout).shape
    assert fc.global_max_pool_backward(fc.global_max_pool(x, layout=layout), x, layout=layout).shape == x.shape


def test_insight():
    assert fc.explain("adaptive_avg_pool2d", (1, 64, 7, 7), 1).algorithm == "whole"
    assert fc.explain("avg_pool2d", (1, 64, 7, 7), 7).algorithm == "whole"
    assert fc.explain("adaptive_max_pool2d", (1, 64, 13, 13), (6, None), return_indices=True).algorithm == "pass"
    assert fc.explain("adaptive_avg_pool2d_backward", (1, 13, 13, 64), 6, layout="channels_last").algorithm == "windows"
    assert fc.explain("adaptive_max_pool1d_backward", (1, 4, 10), (1, 4, 3)).algorithm == "scatter"
    with pytest.raises(TypeError, match="has no option stride"):
        fc.explain("adaptive_avg_pool2d", (1, 64, 7, 7), 1, stride=2)


X = np.zeros((2, 3, 5, 5), np.float32)
ONES = np.zeros((2, 3, 1, 1), np.float32)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "output_size must have 2 entries", lambda: fc.adaptive_avg_pool2d(X, (1, 2, 3))),
        (ValueError, r"output_size\[0\] must be at least 1", lambda: fc.adaptive_avg_pool2d(X, (0, 1))),
        (TypeError, r"output_size\[1\] must be an int or None", lambda: fc.adaptive_max_pool2d(X, (1, 2.0))),
        (TypeError, "return_indices", lambda: fc.adaptive_max_pool2d(X, 2, 1)),
        (ValueError, "layout must be one of", lambda: fc.adaptive_max_pool2d(X, 2, layout="nchw")),
        (TypeError, "x must be float32", lambda: fc.adaptive_avg_pool2d(X.astype(np.int8), 2)),
        (ValueError, "x must have 3 or 4 axes", lambda: fc.adaptive_avg_pool2d(X[0, 0], 2)),
        (ValueError, "no height", lambda: fc.adaptive_avg_pool2d(X[:, :, :0], 2)),
        (ValueError, "agree in batch|output shape", lambda: fc.adaptive_avg_pool2d_backward(X[:1], X.shape)),
        (ValueError, "input_shape must have 4 ints", lambda: fc.adaptive_avg_pool2d_backward(X, (3, 5, 5))),
        (ValueError, "x must have 3 or 4 or 5 axes", lambda: fc.global_avg_pool(X[0, 0])),
        (TypeError, "x must be a NumPy array", lambda: fc.global_max_pool([[[1.0]]])),
        (ValueError, "spatial axes of 1", lambda: fc.global_avg_pool_backward(X, X.shape)),
        (ValueError, "spatial axes of 1", lambda: fc.global_max_pool_backward(X, X)),
        (TypeError, "x is float64", lambda: fc.global_max_pool_backward(ONES, X.astype(np.float64))),
        (TypeError, "x is int8", lambda: fc.global_max_pool_backward(ONES, X.astype(np.int8))),
        (ValueError, "norm_type", lambda: fc.global_lp_pool(X, 0)),
        (ValueError, "layout must be one of", lambda: fc.global_lp_pool(X, 2, layout="nchw")),
        (ValueError, "grad_output must have", lambda: fc.global_lp_pool_backward(X, X, X, 2)),
        (ValueError, "indices", lambda: fc.adaptive_max_pool2d_backward(ONES, np.full(ONES.shape, 25), X.shape)),
    ],
)
def test_errors(error, match, call):
    with pytest.raises(error, match=match):
        call()


def test_no_access_outside(rng):
    guard = pytest.importorskip("guard")
    for layout in LAYOUTS:
        for outs in ((1, 1), (3, 6), (2, 40), (11, 39)):
            for at_end in (True, False):
                x = guard.guarded(laid(integers(rng, (1, 5, 11, 39), np.float32), layout), at_end)
                y = guard.guarded(fc.adaptive_avg_pool2d(x, outs, layout=layout), at_end)
                out = guard.guarded(np.zeros_like(x), at_end)
                fc.adaptive_avg_pool2d_backward(y, x.shape, layout=layout, out=out)
                values, indices = fc.adaptive_max_pool2d(x, outs, True, layout=layout)
                first = np.moveaxis(x, -1, 1) if layout == "channels_last" else x
                np.testing.assert_array_equal(values, laid(parts.adaptive_max(first, outs)[0], layout))
                np.testing.assert_array_equal(indices, laid(parts.adaptive_max(first, outs)[1], layout))
