"""How microkernels are called on NumPy's arrays."""

import ctypes

import numpy as np


def call(kernel, *operands):
    """Run one kernel; arrays stand for their addresses."""
    words = [o.ctypes.data if isinstance(o, np.ndarray) else int(o) for o in operands]
    assert len(words) == kernel.operands, kernel.name
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(words))(kernel.address)(*words)
