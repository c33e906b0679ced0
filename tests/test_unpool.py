"""Max unpooling and its gradient: against the definition and PyTorch, on awkward arrays, and what they refuse."""

import os

import numpy as np
import parts
import pytest
from arrays import DTYPES, integers
from pools import laid
from test_properties import VIEWS
from test_windows import any_view

import fastconv as fc

COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "30"))
MOST = {1: 40, 2: 12, 3: 5}
LAYOUTS = ("channels_first", "channels_last")


def run(name, axes, *args, **options):
    return getattr(fc, f"{name.replace('#', f'{axes}d')}")(*args, **options)


@pytest.mark.parametrize("part", range(4))
def test_random_problems(part):
    rng = np.random.default_rng([41, part])
    for _ in range(COUNT // 4):
        axes = int(rng.integers(1, 4))
        inside = rng.integers(1, MOST[axes], axes)
        kernel, stride = (rng.integers(1, 4, axes) for _ in range(2))
        padding = rng.integers(0, 2, axes)
        usual = (inside - 1) * stride - 2 * padding + kernel
        if (usual < 1).any():
            continue
        given = bool(rng.random() < 0.5)
        sizes = np.maximum(1, usual + rng.integers(1 - stride, stride)) if given else usual
        if (np.abs(sizes - usual) >= stride).any():
            continue
        n, c, plane = int(rng.integers(1, 4)), int(rng.integers(1, 40)), int(np.prod(sizes))
        dtype = DTYPES[str(rng.choice(sorted(DTYPES)))]
        x = integers(rng, (n, c, *inside), dtype, 30)
        indices = rng.integers(0, plane, x.shape)  # some of them twice
        dy = integers(rng, (n, c, *sizes), dtype, 30)
        layout, view = str(rng.choice(LAYOUTS)), str(rng.choice([v for v in VIEWS if v != "broadcast"]))
        message = f"{x.shape} {kernel} {stride} {padding} {sizes} {dtype} {layout} {view}"
        window = (kernel.tolist(), stride.tolist(), padding.tolist(), sizes.tolist() if given else None)
        arrays = [any_view(laid(array, layout), view) for array in (x, indices, dy)]
        y = run("max_unpool#", axes, *arrays[:2], *window, layout=layout)
        np.testing.assert_array_equal(y, laid(parts.unpool(x, indices, sizes), layout), err_msg=message)
        dx = run("max_unpool#_backward", axes, arrays[2], arrays[1], layout=layout)
        np.testing.assert_array_equal(dx, laid(parts.look_up(dy, indices), layout), err_msg=message)
        alone = run("max_unpool#", axes, arrays[0][0], arrays[1][0], *window, layout=layout)
        np.testing.assert_array_equal(alone, y[0], err_msg=message)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_torch(rng, axes, layout):
    """Back and forth, with an output size."""
    torch = pytest.importorskip("torch")
    sizes = (13, 11, 9)[:axes]
    x = torch.from_numpy(rng.normal(size=(2, 5, *sizes)).astype(np.float32))
    y, indices = getattr(torch.nn.functional, f"max_pool{axes}d")(x, 2, return_indices=True)
    exact = getattr(torch.nn.functional, f"max_unpool{axes}d")(y, indices, 2, output_size=sizes)
    pooled, places = run("max_pool#", axes, laid(x.numpy(), layout), 2, return_indices=True, layout=layout)
    found = run("max_unpool#", axes, pooled, places, 2, output_size=sizes, layout=layout)
    np.testing.assert_array_equal(found, laid(exact.numpy(), layout))
    whole = (2, 5, *sizes) if layout == "channels_first" else (2, *sizes, 5)
    np.testing.assert_array_equal(run("max_unpool#", axes, pooled, places, 2, output_size=whole, layout=layout), found)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_threads(rng, layout):
    x = laid(rng.normal(size=(2, 70, 40, 41)).astype(np.float32), layout)
    indices = rng.integers(0, 80 * 82, x.shape)
    expected = None
    for count in (1, 2, 5):
        with fc.num_threads(count):
            y = fc.max_unpool2d(x, indices, 2, layout=layout)
            results = (y, fc.max_unpool2d_backward(y, indices, layout=layout))
        expected = expected or results
        for found, one in zip(results, expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_out(rng):
    memory = rng.normal(size=(1, 3, 8, 8)).astype(np.float32)
    x, indices = memory[:, :, :4, :4], rng.integers(0, 64, (1, 3, 4, 4))
    expected = fc.max_unpool2d(x, indices, 2)
    assert fc.max_unpool2d(x, indices, 2, out=memory) is memory
    np.testing.assert_array_equal(memory, expected)
    gaps = np.zeros((1, 6, 4, 8), np.float32)[:, ::2, :, ::2]
    assert fc.max_unpool2d_backward(memory, indices, out=gaps) is gaps
    np.testing.assert_array_equal(gaps, parts.look_up(expected, indices))


def test_empty_batch():
    x, indices = np.zeros((0, 3, 4, 4), np.float32), np.zeros((0, 3, 4, 4), np.int64)
    assert fc.max_unpool2d(x, indices, 2).shape == (0, 3, 8, 8)
    assert fc.max_unpool2d_backward(np.zeros((0, 3, 8, 8), np.float32), indices).shape == x.shape


X, AT = np.zeros((1, 2, 3, 3), np.float32), np.zeros((1, 2, 3, 3), np.int64)


def with_index(value, *place):
    indices = AT.copy()
    indices[place] = value
    return indices


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, r"got 36 at \(0, 1, 2, 0\)", lambda: fc.max_unpool2d(X, with_index(36, 0, 1, 2, 0), 2)),
        (ValueError, r"got -1 at \(0, 0, 0, 1\)", lambda: fc.max_unpool2d(X, with_index(-1, 0, 0, 0, 1), 2)),
        (ValueError, r"got 9 at \(0, 1, 0, 0\)", lambda: fc.max_unpool2d_backward(X, with_index(9, 0, 1, 0, 0))),
        (TypeError, "indices must be int64", lambda: fc.max_unpool2d(X, AT.astype(np.int32), 2)),
        (TypeError, "indices must be a NumPy array", lambda: fc.max_unpool2d(X, AT.tolist(), 2)),
        (ValueError, "indices must have shape", lambda: fc.max_unpool2d(X, AT[:, :1], 2)),
        (
            ValueError,
            "must be above 4 and below 8",
            lambda: fc.max_unpool2d(X, AT, 2, None, 0, (6, 8)),
        ),
        (TypeError, "output_size must be a tuple", lambda: fc.max_unpool2d(X, AT, 2, None, 0, 6)),
        (ValueError, "leave nothing", lambda: fc.max_unpool2d(X, AT, 2, 1, 2)),
        (ValueError, "layout must be one of", lambda: fc.max_unpool2d(X, AT, 2, layout="first")),
        (ValueError, "x must have 4 or 5 axes", lambda: fc.max_unpool3d(X[0], AT[0], 2)),
        (ValueError, "batch and channels", lambda: fc.max_unpool2d_backward(X[:, :1], AT)),
        (ValueError, "out must have", lambda: fc.max_unpool2d(X, AT, 2, out=X)),
    ],
)
def test_errors(error, match, call):
    with pytest.raises(error, match=match):
        call()
