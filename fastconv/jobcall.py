"""A prepared call of operators that have one algorithm: its jobs, and what becomes of its arrays before and after."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from fastconv import threads, workspace
from fastconv.call import VERBOSE, aligned, plain, receiver
from fastconv.job import Job


class JobCall:
    """Jobs on arrays of one shape, stride and dtype; made once, called often, from any thread.

    `strided` says of each input whether its steps are those that the jobs know; any other is made contiguous.
    """

    __slots__ = ("_dtype", "_jobs", "_label", "_new", "_shape", "_strided")

    def __init__(
        self, label: str, shape: tuple[int, ...], dtype: np.dtype, jobs: Sequence[Job], strided: tuple[bool, ...] = ()
    ):
        self._label, self._shape, self._dtype, self._jobs, self._strided = label, shape, dtype, jobs, strided
        self._new = workspace.allocator(shape, dtype)

    def __call__(self, *arrays: np.ndarray, out: np.ndarray | None = None, word: np.ndarray | None = None):
        """The result for up to two arrays; `word` is where the jobs may leave a message."""
        start = time.perf_counter() if VERBOSE else 0.0
        y = receiver(out, arrays, self._shape, self._dtype, self._new)
        if y.size and self._jobs:
            arrays = [
                plain(array) if not keep else array if array.flags.aligned else aligned(array)
                for array, keep in zip(arrays, self._strided or (False,) * len(arrays), strict=True)
            ]
            for job in self._jobs:
                threads.run(job, *arrays, *[None] * (2 - len(arrays)), word, None, y)
        if VERBOSE:
            print(f"fastconv: {self._label} {(time.perf_counter() - start) * 1e3:.3f} ms", file=sys.stderr)
        if out is None or y is out:
            return y
        np.copyto(out, y)
        return out


def array_key(array: np.ndarray | None) -> tuple | None:
    """What a prepared call depends on of an array."""
    return None if array is None else (array.shape, array.strides, array.dtype, array.__class__)
