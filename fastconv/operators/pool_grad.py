"""Gradients of pools with sliding windows: check the arguments, make a PoolProblem, plan, run."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from fastconv.checks import as_shape, check_array, check_choice, check_indices, check_out, check_same_dtype
from fastconv.operators.docs import pool as pool_docs
from fastconv.operators.pool import NAMES, documented, forward, pooled, prepared, problem_of, window_size, with_batch
from fastconv.pool_call import PoolCall
from fastconv.problem.pool import CONVENTIONS, PoolProblem, gradient_of, max_gradient_problem


def _shape(op: str, value: Any, grad_output: np.ndarray) -> tuple[int, ...]:
    """input_shape, which has a batch axis if grad_output has one."""
    return as_shape(f"{op}: input_shape", value, grad_output.ndim, 0)


def _grad_output(op: str, value: Any) -> np.ndarray:
    dims = int(op[-2])
    return check_array("grad_output", value, (dims + 1, dims + 2))


def fitting(problem: PoolProblem, grad_output: np.ndarray) -> PoolProblem:
    """The gradient's problem, if grad_output has the shape of the pool's result."""
    shape = problem.y_shape if grad_output.ndim == problem.dims + 2 else problem.y_shape[1:]
    if grad_output.shape != shape:
        raise ValueError(f"grad_output must have the pool's output shape {shape}, got {grad_output.shape}")
    return gradient_of(problem)


def backward(op: str, arrays: tuple, input_shape: Any, kernel_size: Any, *options: Any) -> PoolCall:
    """A call of the gradient of an average or a weighted average; the options are named by `NAMES`."""
    kind = op[: op.index("_pool")]
    dy = _grad_output(op, arrays[0])
    if kind == "weighted_avg":
        kernel_size = window_size(arrays[1], int(op[-2]))
        check_same_dtype(dy, arrays[1], names=("grad_output", "window"))
    named = dict(zip(NAMES[kind], options, strict=True))
    problem = problem_of(op, _shape(op, input_shape, dy), kernel_size, dtype=dy.dtype, **named)
    return prepared(fitting(problem, dy), dy)


def max_backward(op: str, arrays: tuple, input_shape: Any, layout: str, convention: str) -> PoolCall:
    """A call of a max pool's gradient."""
    dy = _grad_output(op, arrays[0])
    check_indices("indices", arrays[1], dy.shape)
    check_choice(f"{op}: convention", convention, CONVENTIONS)
    dims = int(op[-2])
    shape = with_batch(_shape(op, input_shape, dy), dims)
    problem = max_gradient_problem(op, shape, with_batch(dy.shape, dims), dtype=dy.dtype, layout=layout)
    return prepared(replace(problem, convention=convention), dy)


def lp_backward(op: str, arrays: tuple, kernel_size: Any, *options: Any) -> PoolCall:
    """A call of a norm's gradient."""
    dy, dims = _grad_output(op, arrays[0]), int(op[-2])
    x, y = check_array("x", arrays[1], (dims + 1, dims + 2)), check_array("y", arrays[2], dy.ndim)
    check_same_dtype(dy, x, y, names=("grad_output", "x", "y"))
    if x.ndim != dy.ndim or y.shape != dy.shape:
        raise ValueError(f"grad_output of shape {dy.shape} and y of shape {y.shape} must be alike, "
                         f"and x of shape {x.shape} have as many axes")  # fmt: skip
    problem = problem_of(op, x.shape, kernel_size, dtype=dy.dtype, **dict(zip(NAMES["lp"], options, strict=True)))
    return prepared(fitting(problem, dy), dy)


def _lp_gradient(op: str, arrays: tuple, norm: Any, window: tuple, layout: str, out: Any) -> np.ndarray:
    """A norm's gradient; that of the largest |x| is a max pool's."""
    options = (*window, norm, layout, "torch")
    if not (isinstance(norm, (float, np.floating)) and math.isinf(norm)):
        return pooled(lp_backward, op, arrays, options, out)
    lp_backward(op, arrays, *options)  # to check everything
    dy, x, _ = arrays
    kernel_size, stride, ceil_mode = window
    positions = (kernel_size, stride, 0, 1, ceil_mode, True, layout, "torch")
    maximum = op.replace("lp", "max")
    _, indices = pooled(forward, maximum, (np.abs(x),), positions)
    dx = pooled(max_backward, maximum, (dy, indices), (x.shape, layout, "torch")) * np.sign(x)
    if out is None:
        return dx
    np.copyto(check_out(out, dx.shape, dx.dtype), dx)
    return out


def max_pool1d_backward(grad_output: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...], *,
                        layout: str = "channels_first", convention: str = "torch",
                        out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(max_backward, "max_pool1d", (grad_output, indices), (input_shape, layout, convention), out)


def max_pool2d_backward(grad_output: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...], *,
                        layout: str = "channels_first", convention: str = "torch",
                        out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(max_backward, "max_pool2d", (grad_output, indices), (input_shape, layout, convention), out)


def max_pool3d_backward(grad_output: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...], *,
                        layout: str = "channels_first", convention: str = "torch",
                        out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(max_backward, "max_pool3d", (grad_output, indices), (input_shape, layout, convention), out)


documented(pool_docs.MAX_BACKWARD, max_pool1d_backward, max_pool2d_backward, max_pool3d_backward)


def avg_pool1d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], kernel_size: Any, stride: Any = None,
                        padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
                        divisor_override: int | None = None, *, dilation: Any = 1, layout: str = "channels_first",
                        convention: str = "torch", out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation,
               layout, convention)  # fmt: skip
    return pooled(backward, "avg_pool1d", (grad_output,), options, out)


def avg_pool2d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], kernel_size: Any, stride: Any = None,
                        padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
                        divisor_override: int | None = None, *, dilation: Any = 1, layout: str = "channels_first",
                        convention: str = "torch", out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation,
               layout, convention)  # fmt: skip
    return pooled(backward, "avg_pool2d", (grad_output,), options, out)


def avg_pool3d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], kernel_size: Any, stride: Any = None,
                        padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
                        divisor_override: int | None = None, *, dilation: Any = 1, layout: str = "channels_first",
                        convention: str = "torch", out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation,
               layout, convention)  # fmt: skip
    return pooled(backward, "avg_pool3d", (grad_output,), options, out)


documented(pool_docs.AVG_BACKWARD, avg_pool1d_backward, avg_pool2d_backward, avg_pool3d_backward)


def lp_pool1d_backward(grad_output: np.ndarray, x: np.ndarray, y: np.ndarray, norm_type: float, kernel_size: Any,
                       stride: Any = None, ceil_mode: bool = False, *, layout: str = "channels_first",
                       out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return _lp_gradient("lp_pool1d", (grad_output, x, y), norm_type, (kernel_size, stride, ceil_mode), layout, out)


def lp_pool2d_backward(grad_output: np.ndarray, x: np.ndarray, y: np.ndarray, norm_type: float, kernel_size: Any,
                       stride: Any = None, ceil_mode: bool = False, *, layout: str = "channels_first",
                       out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return _lp_gradient("lp_pool2d", (grad_output, x, y), norm_type, (kernel_size, stride, ceil_mode), layout, out)


def lp_pool3d_backward(grad_output: np.ndarray, x: np.ndarray, y: np.ndarray, norm_type: float, kernel_size: Any,
                       stride: Any = None, ceil_mode: bool = False, *, layout: str = "channels_first",
                       out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return _lp_gradient("lp_pool3d", (grad_output, x, y), norm_type, (kernel_size, stride, ceil_mode), layout, out)


documented(pool_docs.LP_BACKWARD, lp_pool1d_backward, lp_pool2d_backward, lp_pool3d_backward)


def weighted_avg_pool1d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], window: np.ndarray,
                                 stride: Any = None, padding: Any = 0, *, layout: str = "channels_first",
                                 out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (input_shape, None, stride, padding, layout)
    return pooled(backward, "weighted_avg_pool1d", (grad_output, window), options, out)


def weighted_avg_pool2d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], window: np.ndarray,
                                 stride: Any = None, padding: Any = 0, *, layout: str = "channels_first",
                                 out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (input_shape, None, stride, padding, layout)
    return pooled(backward, "weighted_avg_pool2d", (grad_output, window), options, out)


def weighted_avg_pool3d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], window: np.ndarray,
                                 stride: Any = None, padding: Any = 0, *, layout: str = "channels_first",
                                 out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (input_shape, None, stride, padding, layout)
    return pooled(backward, "weighted_avg_pool3d", (grad_output, window), options, out)


documented(
    pool_docs.WEIGHTED_BACKWARD, weighted_avg_pool1d_backward, weighted_avg_pool2d_backward,
    weighted_avg_pool3d_backward,
)  # fmt: skip
