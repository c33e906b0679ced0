"""unfold and fold: the windows of an image as the columns of a matrix, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import target as targets
from fastconv.call import Calls
from fastconv.checks import as_sizes, check_array, dtype_name
from fastconv.codegen.lock import setup
from fastconv.jobcall import JobCall, array_key
from fastconv.operators.conv import typed
from fastconv.problem.grid import Grid, make_grid

_calls = Calls(512)


def unfold(x: np.ndarray, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> np.ndarray:
    r"""Take every window of an image (im2col).

    .. math::
        y[n,\, (c, r, s),\, (i, j)] = x[n,\, c,\, i\,stride_h + r\,dilation_h - padding_h,\,
        j\,stride_w + s\,dilation_w - padding_w]

    and 0 outside of x. The axes in parentheses are one axis of y, in that order. Images have one to three spatial axes.

    Parameters
    ----------
    x : ndarray, shape (N, C, *spatial) or (C, *spatial)
        float32, float64, float16 or bfloat16 (`ml_dtypes`); any strides.
    kernel_size : int or one int a spatial axis
        How many ints there are says how many spatial axes x has. A single int is as in PyTorch for two of them, and
        where x could not have two: for three if x has 5 axes, for one if it has 2.
    dilation, padding, stride : int or one int a spatial axis
        `padding` zeros are put on both sides of an axis.

    Returns
    -------
    ndarray, shape (N, C * prod(kernel_size), L) or without N
        L windows, of which ``(size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`` lie along an axis.

    Raises
    ------
    TypeError
        An argument of the wrong kind: a list for an array, an unsupported dtype, a float for a size.
    ValueError
        Sizes that do not fit together.

    See Also
    --------
    fold : The adjoint.

    References
    ----------
    Definition: ``torch.nn.functional.unfold``. K. Chellapilla, S. Puri, P. Simard, "High performance convolutional
    neural networks for document processing", 2006.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> x = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    >>> fc.unfold(x, 2)
    array([[[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]]], dtype=float32)
    """
    try:
        key = ("unfold", *array_key(x), *map(typed, (kernel_size, dilation, padding, stride)))
        call = _calls[key]
    except (KeyError, TypeError, AttributeError):
        call = None
    if call is None:
        call = _unfold_call(x, kernel_size, dilation, padding, stride)
        _calls.keep(key, call)
    return call(x)


def fold(
    cols: np.ndarray, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> np.ndarray:
    r"""Add windows up to the image that they lie on (col2im), the adjoint of `unfold`.

    .. math::
        y[n, c, h, w] = \sum_{r,s,i,j} cols[n,\, (c, r, s),\, (i, j)]

    over all taps (r, s) of all windows (i, j) with :math:`i\,stride_h + r\,dilation_h - padding_h = h`, and so for w.
    Images have one to three spatial axes.

    Parameters
    ----------
    cols : ndarray, shape (N, C * prod(kernel_size), L) or without N
        float32, float64, float16 or bfloat16 (`ml_dtypes`); any strides. float16 and bfloat16 are added up in float32
        and rounded once.
    output_size : int or one int a spatial axis
        How many ints there are says how many spatial axes the image has; a single int is a square's two sides, as in
        PyTorch.
    kernel_size, dilation, padding, stride : int or one int a spatial axis
        As `unfold` took them.

    Returns
    -------
    ndarray, shape (N, C, *output_size) or without N
        Bitwise the same for any number of threads: taps are added in the order of the kernel.

    Raises
    ------
    TypeError
        An argument of the wrong kind: a list for an array, an unsupported dtype, a float for a size.
    ValueError
        Sizes that do not fit together.

    References
    ----------
    Definition: ``torch.nn.functional.fold``; ONNX operator Col2Im.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.fold(fc.unfold(np.ones((1, 1, 3, 3), np.float32), 2), (3, 3), 2)
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]], dtype=float32)
    """
    try:
        key = ("fold", *array_key(cols), *map(typed, (output_size, kernel_size, dilation, padding, stride)))
        call = _calls[key]
    except (KeyError, TypeError, AttributeError):
        call = None
    if call is None:
        call = _fold_call(cols, output_size, kernel_size, dilation, padding, stride)
        _calls.keep(key, call)
    return call(cols)


def _unfold_call(x, kernel_size, dilation, padding, stride) -> JobCall:
    """Check everything, and plan."""
    if isinstance(kernel_size, (tuple, list)):
        axes = len(kernel_size)
        if not 1 <= axes <= 3:
            raise ValueError(f"unfold: kernel_size must have 1 to 3 ints, got {axes}: {tuple(kernel_size)}")
        x = check_array("x", x, (axes + 1, axes + 2))
    else:
        x = check_array("x", x, (2, 3, 4, 5))
        axes = {5: 3, 2: 1}.get(x.ndim, 2)
    batched = x.ndim == axes + 2
    n, c, *spatial = x.shape if batched else (1, *x.shape)
    grid = make_grid("unfold", n, c, tuple(spatial), dtype_name(x.dtype), kernel_size, dilation, padding, stride)
    shape = (n, grid.rows, grid.windows)
    steps, copy = x.strides, any(step % x.itemsize for step in x.strides)
    if copy:
        steps = tuple(math.prod(x.shape[axis + 1 :]) * x.itemsize for axis in range(x.ndim))
    steps = steps if batched else (0, *steps)
    steps = (*steps[:2], *(0,) * (3 - axes), *steps[2:])
    return _call("unfold", grid, x.dtype, shape if batched else shape[1:], copy, steps)


def _fold_call(cols, output_size, kernel_size, dilation, padding, stride) -> JobCall:
    """Check everything, and plan."""
    cols = check_array("cols", cols, (2, 3))
    axes = len(output_size) if isinstance(output_size, (tuple, list)) else 2
    if not 1 <= axes <= 3:
        raise ValueError(f"fold: output_size must have 1 to 3 ints, got {axes}: {tuple(output_size)}")
    spatial = as_sizes("fold: output_size", output_size, axes, 1)
    batched = cols.ndim == 3
    n, rows, windows = cols.shape if batched else (1, *cols.shape)
    taps = math.prod(as_sizes("fold: kernel_size", kernel_size, axes, 1))
    if rows == 0 or rows % taps:
        raise ValueError(
            f"fold: cols must have a multiple of {taps} rows, the elements of a window (kernel_size {kernel_size}), "
            f"got {rows}: shape {cols.shape}"
        )
    grid = make_grid("fold", n, rows // taps, spatial, dtype_name(cols.dtype), kernel_size, dilation, padding, stride)
    if windows != grid.windows:
        raise ValueError(
            f"fold: cols must have a column for each of the {grid.windows} windows "
            f"({' x '.join(map(str, grid.counts[3 - axes :]))}) on an image of {spatial}, got {windows}: "
            f"shape {cols.shape}"
        )
    shape = (n, grid.c, *spatial)
    strides = cols.strides if batched else (0, *cols.strides)
    item = cols.itemsize
    copy = (windows > 1 and strides[2] != item) or any(step % item for step in strides)
    steps = (rows * windows * item, windows * item) if copy else strides[:2]
    return _call("fold", grid, cols.dtype, shape if batched else shape[1:], copy, steps)


def _call(op: str, grid: Grid, dtype: np.dtype, shape: tuple[int, ...], copy: bool, steps: tuple[int, ...]) -> JobCall:
    """The call of one job, or of none for an empty batch."""
    jobs = []
    if grid.n:
        with setup:
            from fastconv.algorithm import fold, unfold

            make = {"fold": fold.fold, "unfold": unfold.unfold}[op]
            jobs = [make(grid, steps, targets.host())]
    return JobCall(f"{op}_{grid.label}", shape, dtype, jobs, (not copy,))
