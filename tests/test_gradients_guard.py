"""The gradients read and write nothing outside their arrays: all operands lie against protected pages."""

import sys

import numpy as np
import pytest
from arrays import DTYPES
from gradients import ALL, ALL_IDS, INPUT, LAYOUTS, OPS, able, check, exact, integer_case, length, run

if not sys.platform.startswith("linux"):
    pytest.skip("needs mprotect", allow_module_level=True)
from guard import guarded

OTHERS = ("float64", "float16", "bfloat16")


@pytest.mark.checkerboard(3)
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", ALL, ids=ALL_IDS)
def test_no_access_outside(case, layout, at_end):
    """In float32, and in one of the other dtypes by turns."""
    for dtype in ("float32", OTHERS[ALL.index(case) % 3]):
        dy, x, w, options, expected = integer_case(case, layout, DTYPES[dtype])
        dy, x, w, dx, dw = (guarded(a, at_end) for a in (dy, x, w, x, w))
        for op in OPS:
            out = dx if op == INPUT else dw
            calls = [(algorithm, "strict") for algorithm in able(op, x, w, **options)]
            names = [name for name, _ in calls]
            calls += [(name, "fast") for name in able(op, x, w, "fast", **options) if not exact(name)]
            calls += [(n, "default") for n in able(op, x, w, "default", **options) if exact(n) and n not in names]
            for algorithm, precision in calls:
                out[...] = np.nan
                run(op, dy, x, w, algorithm=algorithm, precision=precision, out=out, **options)
                check(out, expected[op], algorithm, precision, length(op, dy, w, **options))
