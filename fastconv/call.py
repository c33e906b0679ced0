"""A prepared call: everything about it is decided, only the arrays are missing."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from fastconv import threads, workspace
from fastconv.checks import check_out
from fastconv.codegen.lock import setup
from fastconv.problem.conv import Problem

if TYPE_CHECKING:
    from fastconv.algorithm.common import Steps

VERBOSE = os.environ.get("FASTCONV_VERBOSE", "0") not in ("", "0")


class Calls(dict):
    """Prepared calls by what they depend on; the first that came is forgotten first."""

    def __init__(self, most: int):
        self._most = most

    def keep(self, key: tuple, value) -> None:
        """Remember a value, and forget others if there are too many; other threads may do so at the same time."""
        with setup:
            while len(self) >= self._most:
                del self[next(iter(self))]
            self[key] = value


class Call:
    """One problem on arrays of one shape, stride and dtype; made once, called often, from any thread."""

    __slots__ = ("_full", "_new", "_odd", "algorithm", "dtype", "execution", "problem", "shape", "wide")

    def __init__(self, problem: Problem, x: np.ndarray, algorithm: str, packed: bool):
        from fastconv import dispatch

        self.problem, self.dtype = problem, x.dtype
        self.shape = problem.result_shape
        if x.ndim < problem.spatial + 2 and problem.pass_ != "weight_grad":
            self.shape = self.shape[1:]
        # Those that take arrays apart want all axes; to others an array is its address.
        flat, parts = problem.flat, problem.pass_ != "forward" or problem.spatial == 3
        self._full = (flat.source_shape, flat.result_shape, flat.y_shape) if parts else None
        self._new = workspace.allocator(self.shape, self.dtype)
        # float16 and bfloat16 kernels take their bias in float32.
        self.wide = np.dtype(np.float32) if problem.itemsize == 2 else None
        steps, self._odd = steps_of(problem, x)
        count = threads.get_num_threads()
        self.algorithm, self.execution = dispatch.execution(problem, steps, algorithm, count, packed)

    def __call__(self, x, weight, bias, residual, out, packed=None):
        """Run on these arrays, which have been checked to be what this call was made for."""
        start = time.perf_counter() if VERBOSE else 0.0
        y = receiver(out, (x, weight, bias, residual), self.shape, self.dtype, self._new)
        if self.problem.n == 0:
            y[...] = 0  # which only a weight gradient has elements for
        elif y.size:
            self.run(x, weight, bias, residual, y, packed)
        if VERBOSE:
            self._log(time.perf_counter() - start)
        if out is None:
            return y
        if y is not out:
            np.copyto(out, y)
        return out

    def pack(self, weight):
        """What to call with as `packed` in place of this weight; it may be kept and used again."""
        return self.execution.pack(weight)

    def run(self, x, weight, bias, residual, y, packed):
        """Convolve into `y`, which is contiguous and shares no memory with the others."""
        if self._odd:
            x = copied(x)
        elif not x.flags.aligned:
            x = aligned(x)
        if bias is not None:
            bias = bias.astype(self.wide) if self.wide is not None else plain(bias)
        if residual is not None:
            residual = plain(residual)
        weight = plain(weight) if packed is None else None
        if self._full is not None:
            source, result, outputs = self._full
            x, y = x.reshape(source), y.reshape(result)
            if self.problem.pass_ == "weight_grad":
                weight = weight.reshape(outputs)
            if residual is not None:
                residual = residual.reshape(outputs)
        self.execution.run(x, weight, bias, residual, y, packed)

    def _log(self, seconds: float) -> None:
        print(f"fastconv: {self.problem.label} {self.algorithm} {seconds * 1e3:.3f} ms", file=sys.stderr)


def steps_of(problem: Problem, x: np.ndarray) -> tuple[Steps, bool]:
    """The steps of x as kernels read it, and whether that is a copy because x's own are not whole elements."""
    from fastconv import dispatch
    from fastconv.algorithm.common import Steps

    steps = x.strides if x.ndim == problem.spatial + 2 else (0, *x.strides)
    if not x.size:
        return dispatch.contiguous_steps(problem), False  # NumPy's are zero
    if any(step % problem.itemsize for step in steps):
        return dispatch.contiguous_steps(problem), True
    return Steps.of(problem, steps), False


def receiver(out, inputs, shape: tuple[int, ...], dtype: np.dtype, new) -> np.ndarray:
    """`out` itself if it was given and kernels may write to it, else a new array, to copy from."""
    if out is not None:
        check_out(out, shape, dtype)
        fit = out.flags.c_contiguous and out.flags.aligned and type(out) is np.ndarray
        if fit and not any(a is not None and np.may_share_memory(out, a) for a in inputs):
            return out
    return new(shape, dtype)


def plain(array: np.ndarray) -> np.ndarray:
    """The array, or a copy if it is not contiguous and aligned."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else copied(array)


def copied(array: np.ndarray) -> np.ndarray:
    return np.array(array, order="C", copy=True, subok=False)


def aligned(x: np.ndarray) -> np.ndarray:
    """A copy in aligned memory whose elements lie as x's do, since that is what the plan reads."""
    spans = [(size - 1) * step for size, step in zip(x.shape, x.strides, strict=True)]
    before = -sum(min(span, 0) for span in spans)
    after = sum(max(span, 0) for span in spans) + x.itemsize
    copy = np.ndarray(x.shape, x.dtype, np.empty(before + after, np.uint8), before, x.strides)
    np.copyto(copy, x)
    return copy
