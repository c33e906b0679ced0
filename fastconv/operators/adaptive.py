"""Pools that divide the input into a given number of parts, pools of whole planes, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.checks import as_shape, check_array, check_axes, check_same_dtype
from fastconv.operators import pool_grad
from fastconv.operators.docs import adaptive as docs
from fastconv.operators.pool import documented, forward, pooled, prepared, with_batch
from fastconv.pool_call import PoolCall
from fastconv.problem.pool import adaptive_problem


def in_parts(op: str, arrays: tuple, output_size: Any, indices: Any, layout: str) -> PoolCall:
    """A call of an adaptive pool."""
    dims = int(op[-2])
    x = check_array("x", arrays[0], (dims + 1, dims + 2), integers="max" in op)
    shape = with_batch(x.shape, dims)
    return prepared(adaptive_problem(op, shape, output_size, dtype=x.dtype, indices=indices, layout=layout), x)


def in_parts_backward(op: str, arrays: tuple, input_shape: Any, layout: str) -> PoolCall:
    """A call of an adaptive average pool's gradient; grad_output's shape says into how many parts."""
    dims = int(op[-2])
    dy = check_array("grad_output", arrays[0], (dims + 1, dims + 2))
    shape = as_shape(f"{op}: input_shape", input_shape, dy.ndim, 0)
    sizes = dy.shape[-dims - 1 : -1] if layout == "channels_last" else dy.shape[-dims:]
    problem = adaptive_problem(op, with_batch(shape, dims), sizes, dtype=dy.dtype, layout=layout)
    return prepared(pool_grad.fitting(problem, dy), dy)


def adaptive_avg_pool1d(x: np.ndarray, output_size: Any, *, layout: str = "channels_first",
                        out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(in_parts, "adaptive_avg_pool1d", (x,), (output_size, False, layout), out)


def adaptive_avg_pool2d(x: np.ndarray, output_size: Any, *, layout: str = "channels_first",
                        out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(in_parts, "adaptive_avg_pool2d", (x,), (output_size, False, layout), out)


def adaptive_avg_pool3d(x: np.ndarray, output_size: Any, *, layout: str = "channels_first",
                        out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(in_parts, "adaptive_avg_pool3d", (x,), (output_size, False, layout), out)


documented(docs.AVG, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)


def adaptive_max_pool1d(x: np.ndarray, output_size: Any, return_indices: bool = False, *,
                        layout: str = "channels_first", out: np.ndarray | None = None):  # fmt: skip
    return pooled(in_parts, "adaptive_max_pool1d", (x,), (output_size, return_indices, layout), out)


def adaptive_max_pool2d(x: np.ndarray, output_size: Any, return_indices: bool = False, *,
                        layout: str = "channels_first", out: np.ndarray | None = None):  # fmt: skip
    return pooled(in_parts, "adaptive_max_pool2d", (x,), (output_size, return_indices, layout), out)


def adaptive_max_pool3d(x: np.ndarray, output_size: Any, return_indices: bool = False, *,
                        layout: str = "channels_first", out: np.ndarray | None = None):  # fmt: skip
    return pooled(in_parts, "adaptive_max_pool3d", (x,), (output_size, return_indices, layout), out)


documented(docs.MAX, adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d)


def adaptive_avg_pool1d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], *,
                                 layout: str = "channels_first", out: np.ndarray | None = None
                                 ) -> np.ndarray:  # fmt: skip
    return pooled(in_parts_backward, "adaptive_avg_pool1d", (grad_output,), (input_shape, layout), out)


def adaptive_avg_pool2d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], *,
                                 layout: str = "channels_first", out: np.ndarray | None = None
                                 ) -> np.ndarray:  # fmt: skip
    return pooled(in_parts_backward, "adaptive_avg_pool2d", (grad_output,), (input_shape, layout), out)


def adaptive_avg_pool3d_backward(grad_output: np.ndarray, input_shape: tuple[int, ...], *,
                                 layout: str = "channels_first", out: np.ndarray | None = None
                                 ) -> np.ndarray:  # fmt: skip
    return pooled(in_parts_backward, "adaptive_avg_pool3d", (grad_output,), (input_shape, layout), out)


documented(docs.AVG_BACKWARD, adaptive_avg_pool1d_backward, adaptive_avg_pool2d_backward, adaptive_avg_pool3d_backward)


def _max_backward(dims: int, grad_output, indices, input_shape, layout, out) -> np.ndarray:
    options = (input_shape, layout, "torch")
    return pooled(pool_grad.max_backward, f"adaptive_max_pool{dims}d", (grad_output, indices), options, out)


def adaptive_max_pool1d_backward(grad_output: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...], *,
                                 layout: str = "channels_first", out: np.ndarray | None = None
                                 ) -> np.ndarray:  # fmt: skip
    return _max_backward(1, grad_output, indices, input_shape, layout, out)


def adaptive_max_pool2d_backward(grad_output: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...], *,
                                 layout: str = "channels_first", out: np.ndarray | None = None
                                 ) -> np.ndarray:  # fmt: skip
    return _max_backward(2, grad_output, indices, input_shape, layout, out)


def adaptive_max_pool3d_backward(grad_output: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...], *,
                                 layout: str = "channels_first", out: np.ndarray | None = None
                                 ) -> np.ndarray:  # fmt: skip
    return _max_backward(3, grad_output, indices, input_shape, layout, out)


documented(docs.MAX_BACKWARD, adaptive_max_pool1d_backward, adaptive_max_pool2d_backward, adaptive_max_pool3d_backward)


def _dims(name: str, array: Any, integers: bool = False) -> int:
    """How many spatial axes an array with a batch axis has."""
    if type(array) is np.ndarray and 3 <= array.ndim <= 5:
        return array.ndim - 2  # its type is looked at when the call is prepared
    return check_array(name, array, (3, 4, 5), integers).ndim - 2


def _plane(x: np.ndarray, layout: str) -> tuple[int, ...]:
    """The spatial sizes of an array with a batch axis."""
    return x.shape[1:-1] if layout == "channels_last" else x.shape[2:]


def global_avg_pool(x: np.ndarray, *, layout: str = "channels_first", out: np.ndarray | None = None) -> np.ndarray:
    return pooled(in_parts, f"adaptive_avg_pool{_dims('x', x)}d", (x,), (1, False, layout), out)


def global_max_pool(x: np.ndarray, *, layout: str = "channels_first", out: np.ndarray | None = None) -> np.ndarray:
    return pooled(in_parts, f"adaptive_max_pool{_dims('x', x, True)}d", (x,), (1, False, layout), out)


def global_lp_pool(
    x: np.ndarray, norm_type: float, *, layout: str = "channels_first", convention: str = "torch",
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    options = (_plane(x, layout) if _dims("x", x) else None, None, False, norm_type, layout, convention)
    return pooled(forward, f"lp_pool{x.ndim - 2}d", (x,), options, out)


def global_avg_pool_backward(
    grad_output: np.ndarray, input_shape: tuple[int, ...], *, layout: str = "channels_first",
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    op = f"adaptive_avg_pool{_dims('grad_output', grad_output)}d"
    _check_ones(grad_output, layout)
    return pooled(in_parts_backward, op, (grad_output,), (input_shape, layout), out)


def global_max_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, *, layout: str = "channels_first", out: np.ndarray | None = None
) -> np.ndarray:
    dims = _dims("x", x)
    check_axes("grad_output", check_array("grad_output", grad_output, (3, 4, 5)), x.ndim)
    check_same_dtype(grad_output, x, names=("grad_output", "x"))
    _check_ones(grad_output, layout)
    _, indices = pooled(in_parts, f"adaptive_max_pool{dims}d", (x,), (1, True, layout))
    return _max_backward(dims, grad_output, indices, x.shape, layout, out)


def global_lp_pool_backward(
    grad_output: np.ndarray, x: np.ndarray, y: np.ndarray, norm_type: float, *, layout: str = "channels_first",
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    backward = (pool_grad.lp_pool1d_backward, pool_grad.lp_pool2d_backward, pool_grad.lp_pool3d_backward)
    dims = _dims("x", x)
    return backward[dims - 1](grad_output, x, y, norm_type, _plane(x, layout), layout=layout, out=out)


def _check_ones(grad_output: np.ndarray, layout: str) -> None:
    """A global pool's result has one element a plane."""
    plane = _plane(grad_output, layout)
    if plane.count(1) != len(plane):
        raise ValueError(
            f"grad_output must have spatial axes of 1, as a global pool's result, got shape {grad_output.shape}"
        )


global_avg_pool.__doc__ = docs.GLOBAL_AVG
global_max_pool.__doc__ = docs.GLOBAL_MAX
global_lp_pool.__doc__ = docs.GLOBAL_LP
global_avg_pool_backward.__doc__ = docs.GLOBAL_AVG_BACKWARD
global_max_pool_backward.__doc__ = docs.GLOBAL_MAX_BACKWARD
global_lp_pool_backward.__doc__ = docs.GLOBAL_LP_BACKWARD
