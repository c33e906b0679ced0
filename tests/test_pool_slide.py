"""Windows of three pixels that move on by one, channels last: columns are shared."""

import sys

import numpy as np
import pools
import pytest
from pools import ALL_DTYPES, laid

import fastconv as fc
from fastconv import dispatch
from fastconv.problem.pool import contiguous_steps, gradient_of, pool_problem

LAST = {"layout": "channels_last"}
# (kernel, stride, padding) of windows that it takes, and sizes of planes.
WINDOWS = [(3, 1, 1), (3, 1, 0), ((1, 3), 1, 0), ((2, 3), (3, 1), (1, 1)), ((3, 3), (2, 1), (1, 0)), (3, 1, (0, 1))]
SIZES = [(7, 7), (14, 9), (3, 3), (5, 40), (9, 4)]


def first(y):
    return np.moveaxis(y, -1, 1)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_against_the_definition(rng, window, dtype):
    kernel, stride, padding = window
    kind = ALL_DTYPES[dtype]
    for sizes in SIZES:
        for c in (1, 5, 16, 70):
            x = rng.integers(0 if dtype == "uint8" else -29, -1 if dtype != "uint8" else 9, (2, c, *sizes)).astype(kind)
            source = laid(x, "channels_last")
            y = fc.max_pool2d(source, kernel, stride, padding, **LAST)
            np.testing.assert_array_equal(first(y), pools.max_pool(x, kernel, stride, padding)[0])
            if kind.kind in "iu" or c == 5:
                continue
            for inside in (True, False):
                y = fc.avg_pool2d(source, kernel, stride, padding, False, inside, **LAST)
                pools.assert_close(first(y), pools.avg_pool(x, kernel, stride, padding, include_pad=inside))
            dy = (np.arange(y.size).reshape(y.shape) % 7 - 3).astype(kind)
            dx = fc.avg_pool2d_backward(dy, source.shape, kernel, stride, padding, **LAST)
            pools.assert_close(first(dx), pools.avg_gradient(first(dy), sizes, kernel, stride, padding))
            if padding == 0:
                y = fc.lp_pool2d(source, 2, kernel, stride, **LAST)
                pools.assert_close(first(y), pools.lp_pool(x, 2, kernel, stride))


def test_nan_and_infinity(rng):
    x = rng.integers(-3, 4, (2, 21, 13, 17)).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    x[rng.random(x.shape) < 0.3] = -np.inf
    y = fc.max_pool2d(laid(x, "channels_last"), 3, 1, 1, **LAST)
    np.testing.assert_array_equal(first(y), pools.max_pool(x, 3, 1, 1)[0])


def test_it_is_chosen():
    for pool in ("max", "avg"):
        problem = pool_problem(f"{pool}_pool2d", (1, 28, 28, 192), 3, 1, 1, dtype=np.dtype("f4"), **LAST)
        found = [problem, gradient_of(problem)] if pool == "avg" else [problem]
        for problem in found:
            assert dispatch.choose(problem, contiguous_steps(problem), "auto", False).name == "slide"


def test_views_threads_and_batches_change_no_bit(rng):
    x = rng.standard_normal((3, 30, 22, 40)).astype(np.float32)
    with fc.num_threads(1):
        alone = fc.avg_pool2d(x, 3, 1, 1, **LAST)
    for threads in (2, 5):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(fc.avg_pool2d(x, 3, 1, 1, **LAST), alone)
            np.testing.assert_array_equal(fc.avg_pool2d(x[1], 3, 1, 1, **LAST), alone[1])
    for view in (x[::-1, ::2, ::-3], x[:, :, :, 3:17], x[:, :, ::-1, ::2]):
        np.testing.assert_array_equal(fc.max_pool2d(view, 3, 1, 1, **LAST), fc.max_pool2d(view.copy(), 3, 1, 1, **LAST))
    alone = fc.max_pool2d(x, 3, 1, 1, **LAST)
    np.testing.assert_array_equal(fc.max_pool2d(x, 3, 1, 1, out=x, **LAST), alone)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_no_access_outside(rng, window, at_end):
    from guard import guarded

    for c in (1, 16, 21):
        x = laid(rng.integers(-9, -1, (2, c, 9, 11)).astype(np.float32), "channels_last")
        for pool in (fc.max_pool2d, fc.avg_pool2d):
            y = pool(x, *window, **LAST)
            out = guarded(np.zeros(y.shape, x.dtype), at_end)
            np.testing.assert_array_equal(pool(guarded(x, at_end), *window, out=out, **LAST), y)
        dx = fc.avg_pool2d_backward(y, x.shape, *window, **LAST)
        y, out = guarded(y, at_end), guarded(np.zeros(x.shape, x.dtype), at_end)
        np.testing.assert_array_equal(fc.avg_pool2d_backward(y, x.shape, *window, out=out, **LAST), dx)
