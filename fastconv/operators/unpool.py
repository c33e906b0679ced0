"""Max unpooling and its gradient: max_unpool1d, 2d and 3d."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from fastconv import target as targets
from fastconv import threads
from fastconv.call import Calls
from fastconv.checks import as_shape, as_sizes, check_array, check_axes, check_indices, dtype_name, shown
from fastconv.codegen.lock import setup
from fastconv.jobcall import JobCall, array_key
from fastconv.operators.conv import typed
from fastconv.operators.pool import with_batch
from fastconv.problem.pool import joined_shape, split_shape

_calls = Calls(512)


def max_unpool2d(
    x: np.ndarray,
    indices: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    layout: str = "channels_first",
    out: np.ndarray | None = None,
) -> np.ndarray:
    r"""Put every element where it was before a max pool; zeros elsewhere.

    .. math::
        y[n, c, indices[n, c, i, j]] = x[n, c, i, j]

    where y's spatial axes are taken as one. Of several elements with one index, the last in scan order stays.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W) or (N, H, W, C), or without N
        float32, float64, float16 or bfloat16 (`ml_dtypes`); any strides.
    indices : ndarray of int64, x's shape
        As ``max_pool2d(..., return_indices=True)`` gives them: flat in the plane of the result.
    kernel_size, stride, padding : int or one int a spatial axis
        Those of the pooling; `stride` is `kernel_size` if it is None.
    output_size : sequence of ints, optional
        The result's spatial sizes, or its whole shape with a batch axis. Without it they are
        ``(size - 1) * stride - 2 * padding + kernel_size``; they may differ from that by less than a stride.
    layout : {"channels_first", "channels_last"}
    out : ndarray, optional
        Receives the result; may overlap any input. Its content is lost if an index is bad.

    Returns
    -------
    ndarray
        `out` if it was given. Bitwise the same for any number of threads.

    Raises
    ------
    TypeError
        An argument of the wrong kind: a list for an array, an unsupported dtype, indices other than int64.
    ValueError
        Sizes that do not fit together, or an index outside of the result's plane; the first such is named.

    References
    ----------
    Definition: ``torch.nn.functional.max_unpool2d``. M. Zeiler, R. Fergus, "Visualizing and understanding convolutional
    networks", arXiv:1311.2901.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> x = np.array([[[[5.0, 6.0]]]], np.float32)
    >>> fc.max_unpool2d(x, np.array([[[[4, 3]]]]), 2)
    array([[[[0., 0., 0., 6.],
             [5., 0., 0., 0.]]]], dtype=float32)
    """
    return _unpool(2, x, indices, kernel_size, stride, padding, output_size, layout, out)


def max_unpool1d(
    x: np.ndarray, indices: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None, *, layout: str = "channels_first", out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Put every element where it was before a max pool of one spatial axis; zeros elsewhere. See `max_unpool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.max_unpool1d(np.array([[5.0, 6.0]]), np.array([[1, 2]]), 2)
    array([[0., 5., 6., 0.]])
    """
    return _unpool(1, x, indices, kernel_size, stride, padding, output_size, layout, out)


def max_unpool3d(
    x: np.ndarray, indices: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None, *, layout: str = "channels_first", out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Put every element where it was before a max pool of three spatial axes; zeros elsewhere. See `max_unpool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.max_unpool3d(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 7), 2).ravel()
    array([0., 0., 0., 0., 0., 0., 0., 1.])
    """
    return _unpool(3, x, indices, kernel_size, stride, padding, output_size, layout, out)


def max_unpool2d_backward(
    grad_output: np.ndarray, indices: np.ndarray, *, layout: str = "channels_first", out: np.ndarray | None = None
) -> np.ndarray:
    r"""Return the gradient of `max_unpool2d` with respect to x.

    .. math::
        dx[n, c, i, j] = dy[n, c, indices[n, c, i, j]]

    As in PyTorch, every element takes the gradient of its place, also one that a later element had overwritten.

    Parameters
    ----------
    grad_output : ndarray, shape (N, C, OH, OW) or (N, OH, OW, C), or without N
        float32, float64, float16 or bfloat16 (`ml_dtypes`); any strides.
    indices : ndarray of int64
        What `max_unpool2d` was given.
    layout : {"channels_first", "channels_last"}
    out : ndarray, optional
        Receives the gradient; may overlap any input.

    Returns
    -------
    ndarray, the shape of `indices`
        `out` if it was given. Bitwise the same for any number of threads and any split of the batch.

    Raises
    ------
    TypeError, ValueError
        As for `max_unpool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.max_unpool2d_backward(np.arange(8.0).reshape(1, 2, 4), np.array([[[4, 3]]]))
    array([[[4., 3.]]])
    """
    return _backward(2, grad_output, indices, layout, out)


def max_unpool1d_backward(
    grad_output: np.ndarray, indices: np.ndarray, *, layout: str = "channels_first", out: np.ndarray | None = None
) -> np.ndarray:
    """Return the gradient of `max_unpool1d` with respect to x. See `max_unpool2d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.max_unpool1d_backward(np.arange(4.0).reshape(1, 4), np.array([[1, 2]]))
    array([[1., 2.]])
    """
    return _backward(1, grad_output, indices, layout, out)


def max_unpool3d_backward(
    grad_output: np.ndarray, indices: np.ndarray, *, layout: str = "channels_first", out: np.ndarray | None = None
) -> np.ndarray:
    """Return the gradient of `max_unpool3d` with respect to x. See `max_unpool2d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.max_unpool3d_backward(np.arange(8.0).reshape(1, 2, 2, 2), np.full((1, 1, 1, 1), 7))
    array([[[[7.]]]])
    """
    return _backward(3, grad_output, indices, layout, out)


def _unpool(axes, x, indices, kernel_size, stride, padding, output_size, layout, out):
    """Prepare or find the call, run it, and look whether all indices were good."""
    try:
        key = (axes, array_key(x), array_key(indices), *map(typed, (kernel_size, stride, padding, output_size)), layout,
               threads.get_num_threads())  # fmt: skip
        call, plane = _calls[key]
    except (KeyError, TypeError, AttributeError):
        call = None
    if call is None:
        call, plane = _unpool_call(axes, x, indices, kernel_size, stride, padding, output_size, layout)
        _calls.keep(key, (call, plane))
    return _checked(f"max_unpool{axes}d", call, plane, x, indices, out)


def _backward(axes, grad_output, indices, layout, out):
    """Prepare or find the call, run it, and look whether all indices were good."""
    try:
        key = (axes, array_key(grad_output), array_key(indices), layout, threads.get_num_threads())
        call, plane = _calls[key]
    except (KeyError, TypeError, AttributeError):
        call = None
    if call is None:
        call, plane = _backward_call(axes, grad_output, indices, layout)
        _calls.keep(key, (call, plane))
    return _checked(f"max_unpool{axes}d_backward", call, plane, grad_output, indices, out)


def _checked(op: str, call: JobCall, plane: int, array, indices, out):
    """The call's result, if all indices lay in their plane."""
    bad = np.zeros(1, np.int64)
    result = call(array, indices, out=out, word=bad)
    if bad[0]:
        first = tuple(np.argwhere((indices < 0) | (indices >= plane))[0].tolist())
        raise ValueError(
            f"{op}: indices must be at least 0 and below {plane}, the elements of a plane of the result, "
            f"got {indices[first]} at {first}"
        )
    return result


def _unpool_call(axes, x, indices, kernel_size, stride, padding, output_size, layout) -> tuple[JobCall, int]:
    """Check everything, and plan; with the elements of a plane."""
    op = f"max_unpool{axes}d"
    x = check_array("x", x, (axes + 1, axes + 2))
    check_indices("indices", indices, x.shape)
    n, c, spatial = split_shape(op, "x", with_batch(x.shape, axes), axes, layout)
    kernel = as_sizes(f"{op}: kernel_size", kernel_size, axes, 1)
    stride = kernel if stride is None else as_sizes(f"{op}: stride", stride, axes, 1)
    padding = as_sizes(f"{op}: padding", padding, axes, 0)
    sizes = tuple(
        (size - 1) * step - 2 * pad + k for size, step, pad, k in zip(spatial, stride, padding, kernel, strict=True)
    )
    if output_size is not None:
        sizes = _given_size(op, output_size, sizes, stride, axes, layout)
    elif min(sizes) < 1:
        raise ValueError(f"{op}: kernel_size {kernel}, stride {stride} and padding {padding} leave nothing: {sizes}")
    if max(n, 1) * c * math.prod(sizes) * x.itemsize > sys.maxsize:
        raise ValueError(f"{op}: an output of {sizes} is too large to address")
    shape = joined_shape(n, c, sizes, layout)[-x.ndim :]
    return _call(op, n, c, math.prod(spatial), math.prod(sizes), x, shape, layout, False), math.prod(sizes)


def _given_size(op, output_size, default, stride, axes, layout) -> tuple[int, ...]:
    """The result's spatial sizes as the caller gives them: less than a stride from the default."""
    if not isinstance(output_size, (tuple, list)):
        raise TypeError(f"{op}: output_size must be a tuple or list of {axes} ints, not {shown(output_size)}")
    if len(output_size) == axes + 2:
        output_size = output_size[2:] if layout == "channels_first" else output_size[1:-1]
    sizes = as_shape(f"{op}: output_size", output_size, axes, 1)
    for axis, (size, usual, step) in enumerate(zip(sizes, default, stride, strict=True)):
        if abs(size - usual) >= step:
            raise ValueError(
                f"{op}: output_size[{axis}] must be above {usual - step} and below {usual + step} "
                f"(usually {usual}, stride {step}), got {size}"
            )
    return sizes


def _backward_call(axes, grad_output, indices, layout) -> tuple[JobCall, int]:
    """Check everything, and plan; with the elements of a plane."""
    op = f"max_unpool{axes}d_backward"
    dy = check_array("grad_output", grad_output, (axes + 1, axes + 2))
    n, c, sizes = split_shape(op, "grad_output", with_batch(dy.shape, axes), axes, layout)
    indices = check_indices("indices", indices, getattr(indices, "shape", ()))
    check_axes("indices", indices, dy.ndim)
    found = split_shape(op, "indices", with_batch(indices.shape, axes), axes, layout)
    if found[:2] != (n, c):
        raise ValueError(
            f"{op}: indices must have grad_output's batch and channels {(n, c)}, got {found[:2]} (shapes "
            f"{indices.shape} and {dy.shape}, {layout})"
        )
    call = _call(op, n, c, math.prod(found[2]), math.prod(sizes), dy, indices.shape, layout, True)
    return call, math.prod(sizes)


def _call(op, n, c, inside, outside, array, shape, layout, gradient: bool) -> JobCall:
    """The call of one job, or of none for an empty batch."""
    dtype = dtype_name(array.dtype)
    jobs = []
    if n:
        with setup:
            from fastconv.algorithm.unpool import unpool

            last, count = layout == "channels_last", threads.get_num_threads()
            jobs = unpool(n, c, inside, outside, dtype, last, gradient, targets.host(), count)
    return JobCall(f"{op}_{dtype}_n{n}_c{c}_{inside}to{outside}_{layout}", shape, array.dtype, jobs)
