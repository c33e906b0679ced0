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
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout == "channels_last" else x


def integers(rng, shape, dtype, most=3):
    """Integers in [-most, most]."""
    return rng.integers(-most, most + 1, shape).astype(dtype)


def assert_near(y, exact, length, times, err_msg=""):
    """Within `times` the bound of a sum of `length` products of operands of at most 3, and y's own rounding.

    For members of Winograd's family, which sums of the same integers in another order do not stay exact in.
    """
    eps = np.finfo(np.float64 if y.dtype == np.float64 else np.float32).eps
    own = {2: 2.0**-7 if y.dtype == DTYPES["bfloat16"] else 2.0**-10}.get(y.dtype.itemsize, eps)
    bound = times * eps * (2 + np.sqrt(length) / 2) * 9 * (length + 1)
    np.testing.assert_allclose(y.astype(np.float64), exact, rtol=own, atol=bound, err_msg=err_msg)


def rounded(y, dtype):
    """A float64 result rounded once to a stored type; narrow types are reached through float32, as kernels sum."""
    with np.errstate(all="ignore"):
        return y.astype(np.float32).astype(dtype) if dtype.itemsize == 2 else y.astype(dtype)
