"""A prepared pool: everything about it is decided, only the arrays are missing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastconv import threads, workspace
from fastconv.call import VERBOSE, aligned, copied, plain, receiver
from fastconv.problem.pool import PoolProblem, PoolSteps, contiguous_steps, steps_along

INT64 = np.dtype(np.int64)


class PoolCall:
    """One problem on arrays of one shape, stride and dtype; made once, called often, from any thread."""

    __slots__ = (
        "_compute",
        "_empty",
        "_held",
        "_indexed",
        "_instead",
        "_job",
        "_new",
        "_new_indices",
        "_odd",
        "_wide",
        "algorithm",
        "dtype",
        "problem",
        "shape",
    )

    def __init__(self, problem: PoolProblem, source: np.ndarray):
        from fastconv import dispatch

        self.problem, self.dtype, self._indexed = problem, source.dtype, problem.indices
        self._compute = compute_of(problem)
        self._wide = np.dtype(np.float32) if problem.itemsize == 2 else source.dtype
        batched = source.ndim == problem.dims + 2
        self.shape = problem.result_shape if batched else problem.result_shape[1:]
        self._empty = 0 in self.shape
        self._new = workspace.allocator(self.shape, self.dtype)
        self._new_indices = workspace.allocator(self.shape, INT64)
        self._new(self.shape, self.dtype)  # a result too large for memory is not planned for minutes first
        steps, self._odd = steps_of(problem, source, dispatch.pool_reads)
        self.algorithm, execution = dispatch.execution(problem, steps, "auto", threads.get_num_threads(), False)
        self._held = execution.shared_bytes
        if self._held:
            self._compute = PoolCall._shared
        # Else a second job is for arrays of which the first found that it cannot do them.
        self._job, *self._instead = execution.parts

    def __call__(self, source, *others, out=None):
        """Run on these arrays, which have been checked to be what this call was made for.

        Returns the result, or a max pool's result and indices.
        """
        start = time.perf_counter() if VERBOSE else 0.0
        shape, dtype = self.shape, self.dtype
        y = self._new(shape, dtype) if out is None else receiver(out, (source, *others), shape, dtype, self._new)
        indices = self._new_indices(shape, INT64) if self._indexed else None
        if not self._empty:
            if self._odd:
                source = copied(source)
            elif not source.flags.aligned:
                source = aligned(source)
            if self._compute is None:
                threads.run(self._job, source, None, None, indices, y)
            else:
                self._compute(self, source, others, indices, y)
        if VERBOSE:
            self._log(time.perf_counter() - start)
        if out is not None and y is not out:
            np.copyto(out, y)
        y = y if out is None else out
        return y if indices is None else (y, indices)

    def _shared(self, source, others, indices, y):
        """A pool of whole images that are cut into parts, which a second job joins."""
        held = np.empty(self._held, np.uint8)
        threads.run(self._job, source, None, None, held, y)
        threads.run(*self._instead, source, None, None, held, y)

    def _beside(self, source, others, indices, y):
        """A norm's gradient, which reads two more arrays."""
        x, outputs = map(plain, others)
        threads.run(self._job, source, x, outputs, None, y)

    def _weighted(self, source, others, indices, y):
        """A weighted average."""
        (window,) = others
        if self.problem.layout == "channels_first" and not np.isfinite(window).all():
            self._run_channels_last(source, window, y)
            return
        if self.problem.pass_ == "backward" and self.problem.layout == "channels_first":
            window = window[..., ::-1]  # a row of dx is read from left to right, so its taps come backwards
        threads.run(self._job, source, np.ascontiguousarray(window, self._wide), None, None, y)

    def _counted(self, source, others, indices, y):
        """A max pool with ONNX's indices, which count through the whole tensor."""
        threads.run(self._job, source, None, None, indices, y)
        np.add(indices, whole_tensor(self.problem, indices.ndim), out=indices, where=indices >= 0)

    def _scattered(self, source, others, indices, y):
        """A max pool's gradient, whose kernel leaves a flag if it met an index that is none."""
        problem, whole = self.problem, self.problem.convention == "onnx"
        indices, wrong = plain(others[0]), np.zeros(2, np.int64)
        if whole:
            indices = np.where(indices < 0, indices, indices - whole_tensor(problem, indices.ndim))
        threads.run(self._job, source, indices, None, wrong, y)
        if wrong[1]:
            threads.run(*self._instead, source, indices, None, wrong, y)
        if wrong[0]:
            counted = ", counted from where the plane begins in the tensor (convention='onnx')" if whole else ""
            raise ValueError(
                f"indices must be in [0, {problem.plane}), positions in a plane of the input{counted}, or -1"
            )

    def _run_channels_last(self, source, window, y):
        """There no border is multiplied: a weight that is not finite would make its zeros NaN."""
        at = -self.problem.dims - 1
        source = np.ascontiguousarray(np.moveaxis(source, at, -1))
        call = PoolCall(replace(self.problem, layout="channels_last"), source)
        np.copyto(y, np.moveaxis(call(source, window), -1, at))

    def _log(self, seconds: float) -> None:
        print(f"fastconv: {self.problem.label} {self.algorithm} {seconds * 1e3:.3f} ms", file=sys.stderr)


def compute_of(problem: PoolProblem) -> Callable[..., None] | None:
    """What runs such a problem; None for a job that reads one array and leaves what it shall."""
    if problem.kind == "weighted_avg":
        return PoolCall._weighted
    if problem.kind == "max" and problem.pass_ == "backward":
        return PoolCall._scattered
    if problem.kind == "lp" and problem.pass_ == "backward":
        return PoolCall._beside
    return PoolCall._counted if problem.indices and problem.convention == "onnx" else None


def whole_tensor(problem: PoolProblem, ndim: int) -> np.ndarray:
    """What ONNX adds to an index in a plane: where the plane begins in the tensor, channels first."""
    begins = np.arange(max(1, problem.n) * problem.c, dtype=np.int64).reshape(max(1, problem.n), problem.c)
    begins *= problem.plane
    ones = (1,) * problem.dims
    last = problem.layout == "channels_last"
    begins = begins.reshape(len(begins), *ones, problem.c) if last else begins.reshape(*begins.shape, *ones)
    return begins if ndim == problem.dims + 2 else begins[0]


def steps_of(problem: PoolProblem, source: np.ndarray, reads) -> tuple[PoolSteps, bool]:
    """The steps of the source as kernels read it, and whether that is a contiguous copy."""
    contiguous = contiguous_steps(problem)
    if not source.size:
        return contiguous, False  # NumPy's are zero
    strides = source.strides if source.ndim == problem.dims + 2 else (0, *source.strides)
    steps = steps_along(problem, strides)
    return (steps, False) if reads(problem, steps) else (contiguous, True)
