"""The docstrings of operators along one and three axes, which say what differs from those along two."""

from __future__ import annotations

from collections.abc import Callable
from string import Template

_CONV = Template("""Convolve a batch of $things (cross-correlation): `conv2d` along $axes.

    .. math::
        $formula

    where :math:`c'` runs over the channels of k's group.

    Parameters
    ----------
    x : ndarray, shape $x_first or $x_last, or without N
    weight : ndarray, shape $weight
    bias : ndarray, shape (K,), optional
    stride, dilation : int or $count
    padding : int, $count, $pairs, "valid", "same", "same_upper" or "same_lower"
    groups, padding_mode, layout, activation, algorithm, precision
        As for `conv2d`.
    residual : ndarray, the result's shape, optional
        Added before the activation.
    out : ndarray, optional
        Receives the result; may overlap any input.

    Returns
    -------
    ndarray, shape $y_first or $y_last, or without N
        `out` if it was given. Bitwise the same for any number of threads and any split of the batch.

    Raises
    ------
    TypeError, ValueError
        As for `conv2d`.

    Notes
    -----
    $notes

    References
    ----------
    Definition: ONNX operator Conv.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    $example
    """)

_INPUT_GRAD = Template("""Compute the gradient of `$op` with respect to its input.

    Parameters
    ----------
    grad_output : ndarray, shape $y_first or $y_last, or without N
        The gradient of the loss with respect to the result of `$op`; any strides.
    weight : ndarray, shape $weight
    input_shape : tuple of int
        The shape of the input, with N if grad_output has it.
    stride, padding, dilation, groups, padding_mode, layout, precision
        As they were for `$op`.
    algorithm : str
        "auto", "tune" or a name out of ``fastconv.algorithms("${op}_input_grad")``; see `conv2d`.
    out : ndarray, optional
        Receives the result; may overlap any input.

    Returns
    -------
    ndarray, shape `input_shape`

    Raises
    ------
    TypeError, ValueError
        As for `conv2d_input_grad`, whose formula and promises hold along $axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> dy, w = (np.ones($ones, np.float32) for _ in range(2))
    >>> fc.${op}_input_grad(dy, w, $larger)[0, 0, ..., 0].max()
    np.float32($half.0)
    """)

_WEIGHT_GRAD = Template("""Compute the gradient of `$op` with respect to its weight.

    Parameters
    ----------
    grad_output : ndarray, shape $y_first or $y_last, or without N
        The gradient of the loss with respect to the result of `$op`; any strides.
    x : ndarray, shape $x_first or $x_last, or without N
    weight_shape : tuple of int
        $weight.
    stride, padding, dilation, groups, padding_mode, layout, precision
        As they were for `$op`.
    algorithm : str
        "auto", "tune" or a name out of ``fastconv.algorithms("${op}_weight_grad")``; see `conv2d`.
    out : ndarray, optional
        Receives the result; may overlap any input.

    Returns
    -------
    ndarray, shape `weight_shape`

    Raises
    ------
    TypeError, ValueError
        As for `conv2d_weight_grad`, whose formula and promises hold along $axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> dy, x = np.ones($ones, np.float32), np.ones($larger, np.float32)
    >>> fc.${op}_weight_grad(dy, x, $ones).max()
    np.float32($sum.0)
    """)

_BACKWARD = Template("""Compute the gradients of `$op` with respect to its input, weight and bias.

    Parameters
    ----------
    grad_output, x, weight, stride, padding, dilation, groups, padding_mode, layout, precision
        As for `${op}_input_grad` and `${op}_weight_grad`.
    needs : three bool
        Which of the gradients are computed: input, weight, bias.
    algorithm : str
        "auto", "tune", or a name that can do both gradients, if both are needed.

    Returns
    -------
    ConvGradients
        (input, weight, bias), of x's, weight's and K's shape; None where not needed.

    Raises
    ------
    TypeError, ValueError
        As for `conv2d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> x, w, dy = (np.ones(shape, np.float32) for shape in ($larger, $ones, $ones))
    >>> fc.${op}_backward(dy, x, w, needs=(False, True, True)).bias
    array([$sum.], dtype=float32)
    """)

_WORDS = {
    "conv1d": {
        "things": "signals", "axes": "one axis",
        "formula": r"y[n,k,i] = act\Big(bias[k] + residual[n,k,i] + \sum_{c,s} weight[k,c,s]\,"
                   "\n        " r"x[n,\, c',\, i\,stride + s\,dilation - before]\Big)",
        "x_first": "(N, C, L)", "x_last": "(N, L, C)", "weight": "(K, C / groups, S)",
        "y_first": "(N, K, OL)", "y_last": "(N, OL, K)", "count": "one int", "pairs": "one (before, after) pair",
        "notes": "``padding=(((S - 1) * dilation, 0),)`` is causal: no output sees a later input.",
        "example": ">>> fc.conv1d(np.arange(6, dtype=np.float32).reshape(1, 1, 6), np.ones((1, 1, 3), np.float32))"
                   "\n    array([[[ 3.,  6.,  9., 12.]]], dtype=float32)",
        "ones": "(1, 1, 2)", "larger": "(1, 1, 3)", "half": "1", "sum": "2",
    },
    "conv3d": {
        "things": "volumes", "axes": "three axes",
        "formula": r"y[n,k,h,i,j] = act\Big(bias[k] + residual[n,k,h,i,j] + \sum_{c,t,r,s} weight[k,c,t,r,s]\,"
                   "\n        "
                   r"x[n,\, c',\, h\,stride_d + t\,dilation_d - front,\, i\,stride_h + r\,dilation_h - top,\,"
                   "\n        " r"j\,stride_w + s\,dilation_w - left]\Big)",
        "x_first": "(N, C, D, H, W)", "x_last": "(N, D, H, W, C)", "weight": "(K, C / groups, T, R, S)",
        "y_first": "(N, K, OD, OH, OW)", "y_last": "(N, OD, OH, OW, K)", "count": "three ints",
        "pairs": "three (before, after) pairs",
        "notes": "Volumes are convolved as images whose channels are those of all slices that a window sees. A call"
                 "\n    takes up to 24 MiB for such slices, and regrouped weights, besides what `conv2d` takes.",
        "example": ">>> fc.conv3d(np.ones((1, 1, 3, 4, 4), np.float32), np.ones((1, 1, 3, 3, 3), np.float32))"
                   "\n    array([[[[[27., 27.],\n              [27., 27.]]]]], dtype=float32)",
        "ones": "(1, 1, 2, 2, 2)", "larger": "(1, 1, 3, 3, 3)", "half": "4", "sum": "8",
    },
}  # fmt: skip
_TEMPLATES = {"": _CONV, "input_grad": _INPUT_GRAD, "weight_grad": _WEIGHT_GRAD, "backward": _BACKWARD}


def described(function: Callable, name: str) -> Callable:
    """The function under its public name, with the docstring that belongs to it."""
    op, _, what = name.partition("_")
    function.__name__ = function.__qualname__ = name
    if op in _WORDS:
        function.__doc__ = _TEMPLATES[what].substitute(_WORDS[op], op=op)
    return function
