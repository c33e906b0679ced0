"""Nothing is read or written outside the arrays: all operands lie against protected pages."""

import sys

import naive
import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, layout_of, rounded
from shapes import CASES, IDS

import fastconv as fc

if not sys.platform.startswith("linux"):
    pytest.skip("needs mprotect", allow_module_level=True)
from guard import guarded


@pytest.mark.checkerboard(3)
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_no_access_outside(rng, case, layout, dtype, at_end):
    _, x_sizes, w_shape, options = case
    dtype, options = DTYPES[dtype], {**options, "layout": layout}
    x = guarded(layout_of(integers(rng, x_sizes, dtype, 1), layout), at_end)
    w, bias = (
        guarded(integers(rng, w_shape, dtype, 1), at_end),
        guarded(integers(rng, w_shape[:1], dtype, 1), at_end),
    )
    expected = naive.conv2d(x, w, bias, **options)
    residual = guarded(integers(rng, expected.shape, dtype, 1), at_end)
    expected = expected + residual.astype(np.float64)
    exactly = rounded(expected, dtype)
    for algorithm in fc.algorithms("conv2d"):
        inexact = algorithm.startswith("winograd")
        precision = {"winograd": "fast", "winograd_amx": "fast", "amx": "default"}.get(algorithm, "strict")
        out = guarded(np.zeros(expected.shape, dtype), at_end)
        try:
            fc.conv2d(x, w, bias, residual=residual, algorithm=algorithm, precision=precision, out=out, **options)
        except ValueError as refused:
            assert "cannot do" in str(refused)
            continue
        if inexact:
            assert_near(out, expected, w[0].size, 64)
        else:
            np.testing.assert_array_equal(out, exactly, err_msg=algorithm)
