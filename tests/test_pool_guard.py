"""Pools read and write nothing outside their arrays, which lie against protected pages."""

import sys

import numpy as np
import pools
import pytest
from arrays import DTYPES

import fastconv as fc

if not sys.platform.startswith("linux"):
    pytest.skip("needs mprotect", allow_module_level=True)
from guard import guarded

WINDOWS = [
    ((1, 3, 13, 17), 3, 2, 1), ((2, 5, 7, 7), 3, 1, 1), ((1, 2, 9, 40), (2, 5), (2, 3), 0),
    ((1, 1, 1, 65), (1, 7), (1, 5), 0),
]  # fmt: skip


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_no_access_outside(rng, window, layout, dtype, at_end):
    shape, kernel, stride, padding = window
    values = rng.integers(-3, 4, shape).astype(DTYPES[dtype])
    x = guarded(pools.laid(values, layout), at_end)
    weights = guarded(np.ones(pools.tupled(kernel, 2), x.dtype), at_end)
    expected, positions = pools.max_pool(values, kernel, stride, padding)
    expected, positions = pools.laid(expected, layout), pools.laid(positions, layout)

    def out(like):
        return guarded(np.zeros(like, x.dtype), at_end)

    y, indices = fc.max_pool2d(x, kernel, stride, padding, return_indices=True, layout=layout, out=out(expected.shape))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, positions)
    fc.max_pool2d(x, kernel, stride, padding, layout=layout, out=out(y.shape))
    fc.avg_pool2d(x, kernel, stride, padding, layout=layout, out=out(y.shape))
    fc.weighted_avg_pool2d(x, weights, stride, padding, layout=layout, out=out(y.shape))
    dy = guarded(np.ascontiguousarray(y), at_end)
    fc.max_pool2d_backward(dy, guarded(indices, at_end), x.shape, layout=layout, out=out(x.shape))
    for inside in (True, False):
        fc.avg_pool2d_backward(dy, x.shape, kernel, stride, padding, False, inside, layout=layout, out=out(x.shape))
    fc.weighted_avg_pool2d_backward(dy, x.shape, weights, stride, padding, layout=layout, out=out(x.shape))
    if padding == 0:
        norm = guarded(fc.lp_pool2d(x, 2, kernel, stride, layout=layout), at_end)
        fc.lp_pool2d_backward(dy, x, norm, 2, kernel, stride, layout=layout, out=out(x.shape))
