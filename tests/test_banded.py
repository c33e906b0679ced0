"""Columns added up while they are near: bands, blocks of channels, and weights cut just before their use."""

import sys

import numpy as np
import pytest

import fastconv as fc
from fastconv import dispatch
from fastconv.algorithm.input_grad import banded
from fastconv.target import host

torch = pytest.importorskip("torch")
if not host().amx:
    pytest.skip("this processor has no matrix tiles", allow_module_level=True)


def problem_of(rng, dims):
    """A transposed convolution of small integers, whose sums are exact: operands, options, and PyTorch's result."""
    groups = int(rng.choice([1, 1, 2]))
    c, k = (groups * int(n) for n in rng.integers(1, (50, 40)))
    sizes, kernel = rng.integers(1, (9, 14, 23)[-dims:]), rng.integers(1, 6, dims)
    stride, dilation = rng.integers(1, 5, dims), rng.integers(1, 3, dims)
    padding = [int(rng.integers(0, (r - 1) * d + 1)) for r, d in zip(kernel, dilation, strict=True)]
    extra = [int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True)]
    spans = zip(sizes, stride, padding, kernel, dilation, extra, strict=True)
    if any((n - 1) * s - 2 * p + d * (r - 1) + e + 1 < 1 for n, s, p, r, d, e in spans):
        padding = [0] * dims
    x = rng.integers(-4, 5, (3, c, *sizes)).astype(np.float32)
    w = rng.integers(-4, 5, (c, k // groups, *kernel)).astype(np.float32)
    bias = rng.integers(-4, 5, k).astype(np.float32)
    options = {"stride": tuple(map(int, stride)), "padding": tuple(padding), "output_padding": tuple(extra)}
    options |= {"groups": groups, "dilation": tuple(map(int, dilation))}
    call = getattr(torch.nn.functional, f"conv_transpose{dims}d")
    expected = call(*(torch.from_numpy(a).double() for a in (x, w, bias)), **options).relu().numpy()
    return (x, w, bias), options, expected


@pytest.mark.parametrize("room", [None, 3 << 14], ids=["L2", "little"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_exact(dims, room, monkeypatch):
    """Integers are exact, in as many bands as there is room for, weights cut beforehand or when they are used."""
    dispatch.execution.cache_clear()
    rng = np.random.default_rng(dims)
    cuts = set()
    best = banded.Pieces.best.__func__

    def seen(cls, problem, target, count):
        found = best(cls, problem, target, count)
        cuts.add((found.bands > 1, found.blocks > 1, found.raw))
        return found

    monkeypatch.setattr(banded.Pieces, "best", classmethod(seen))
    if room:
        monkeypatch.setattr(banded.job, "share", lambda count: room)
    for _ in range(25):
        (x, w, bias), options, expected = problem_of(rng, dims)
        options |= {"activation": "relu", "algorithm": "banded"}
        call, layer = (getattr(fc, name) for name in (f"conv_transpose{dims}d", f"ConvTranspose{dims}d"))
        for count in (1, 2):
            with fc.num_threads(count):
                np.testing.assert_array_equal(call(x, w, bias, **options), expected)
                np.testing.assert_array_equal(layer(w, bias, **options)(x), expected)
    assert any(raw for *_, raw in cuts)
    if room and dims > 1:
        assert any(bands for bands, *_ in cuts) and not all(raw for *_, raw in cuts)
    dispatch.execution.cache_clear()


@pytest.mark.parametrize("shape", [(2, 24, 9, 11), (1, 70, 7, 7)], ids=str)
def test_bits(rng, shape, monkeypatch):
    """However it is cut, for weights that are packed or not, an image gives the same bits."""
    x, w = rng.normal(size=shape).astype(np.float32), rng.normal(size=(shape[1], 33, 3, 4)).astype(np.float32)
    options, found = {"stride": (2, 1), "padding": (1, 2), "algorithm": "banded"}, set()
    share = banded.job.share
    for room in (None, 1 << 15, 1 << 17):
        monkeypatch.setattr(banded.job, "share", share if room is None else lambda count, room=room: room)
        for count in (1, 2, 5):
            dispatch.execution.cache_clear()
            with fc.num_threads(count):
                found.add(fc.conv_transpose2d(x, w, **options).tobytes())
                found.add(fc.ConvTranspose2d(w, **options)(x).tobytes())
                images = [fc.conv_transpose2d(image[None], w, **options) for image in x]
                found.add(np.concatenate(images).tobytes())
    dispatch.execution.cache_clear()
    assert len(found) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
def test_no_access_outside(at_end, monkeypatch):
    """Operands lie against protected pages."""
    from guard import guarded

    dispatch.execution.cache_clear()
    rng = np.random.default_rng(5)
    monkeypatch.setattr(banded.job, "share", lambda count: 1 << 16)
    for dims in (1, 2, 3, 2, 2, 3):
        arrays, options, expected = problem_of(rng, dims)
        arrays, out = [guarded(a, at_end) for a in arrays], guarded(np.zeros(expected.shape, np.float32), at_end)
        call = getattr(fc, f"conv_transpose{dims}d")
        call(*arrays, **options, activation="relu", algorithm="banded", out=out)
        np.testing.assert_array_equal(out, expected)
    dispatch.execution.cache_clear()


def test_nan_and_infinity(rng):
    """They reach what their taps reach, and nothing else."""
    x, w = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((1, 5, 6, 7), (5, 4, 3, 3)))
    w[w == 0] = 1
    x[0, 2, 3, 3], x[0, 1, 0, 0] = np.nan, np.inf
    y = fc.conv_transpose2d(x, w, stride=2, padding=1, algorithm="banded")
    expected = torch.nn.functional.conv_transpose2d(*map(torch.from_numpy, (x, w)), stride=2, padding=1).numpy()
    np.testing.assert_array_equal(y, expected)
