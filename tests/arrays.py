"""Operands for the tests: small integers, whose sums are exact, or normal numbers."""

import ml_dtypes
import numpy as np

DTYPES = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


def layout_of(x, layout):
    """A channels-first array in the asked layout, contiguous."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if layout == "channels_last" else x


def integers(rng, shape, dtype, most=3):
    """Integers in [-most, most]."""
    return rng.integers(-most, most + 1, shape).astype(dtype)


def rounded(y, dtype):
    """A float64 result rounded once to a stored type; narrow types are reached through float32, as kernels sum."""
    with np.errstate(all="ignore"):
        return y.astype(np.float32).astype(dtype) if dtype.itemsize == 2 else y.astype(dtype)
