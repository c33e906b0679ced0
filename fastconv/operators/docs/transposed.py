"""The docstrings of transposed convolutions along one and three axes, which say what differs from two."""

from __future__ import annotations

from collections.abc import Callable
from string import Template

_FORWARD = Template("""Transposed convolution of a batch of $things: `conv_transpose2d` along $axes.

    .. math::
        $formula

    over the inputs and taps that are written there; c runs over the channels of k's group, and k' is k's place in it.

    Parameters
    ----------
    x : ndarray, shape $x_first or $x_last, or without N
    weight : ndarray, shape $weight
    bias : ndarray, shape (K,), optional
    stride, output_padding, dilation : int or $count
    padding : int, $count, $pairs, "valid", "same", "same_upper" or "same_lower"
    groups, layout, activation, algorithm, precision
        As for `conv_transpose2d`.
    out : ndarray, optional
        Receives the result; may overlap any input.

    Returns
    -------
    ndarray, shape $y_first or $y_last, or without N
        `out` if it was given. Bitwise the same for any number of threads and any split of the batch.

    Raises
    ------
    TypeError, ValueError
        As for `conv_transpose2d`.

    References
    ----------
    Definition: ONNX operator ConvTranspose.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> x, w = np.ones($one, np.float32), np.ones($two, np.float32)
    >>> fc.$op(x, w, stride=2).shape
    $three
    """)

_INPUT_GRAD = Template("""Compute the gradient of `$op` with respect to its input: a convolution.

    Parameters
    ----------
    grad_output : ndarray, shape $y_first or $y_last, or without N
        The gradient of the loss with respect to the result of `$op`; any strides.
    weight : ndarray, shape $weight
    input_shape : tuple of int
        The shape of the input, with N if grad_output has it.
    stride, padding, output_padding, groups, dilation, layout, precision
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
        As for `conv_transpose2d_input_grad`, whose formula and promises hold along $axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> dy, w = np.ones($three, np.float32), np.ones($two, np.float32)
    >>> fc.${op}_input_grad(dy, w, $one, stride=2).max()
    np.float32($taps.0)
    """)

_WEIGHT_GRAD = Template("""Compute the gradient of `$op` with respect to its weight.

    Parameters
    ----------
    grad_output : ndarray, shape $y_first or $y_last, or without N
        The gradient of the loss with respect to the result of `$op`; any strides.
    x : ndarray, shape $x_first or $x_last, or without N
    weight_shape : tuple of int
        $weight.
    stride, padding, output_padding, groups, dilation, layout, precision
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
        As for `conv_transpose2d_weight_grad`, whose formula and promises hold along $axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> dy, x = np.ones($three, np.float32), np.ones($one, np.float32)
    >>> fc.${op}_weight_grad(dy, x, $two, stride=2).max()
    np.float32($pixels.0)
    """)

_BACKWARD = Template("""Compute the gradients of `$op` with respect to its input, weight and bias.

    Parameters
    ----------
    grad_output, x, weight, stride, padding, output_padding, groups, dilation, layout, precision
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
        As for `conv_transpose2d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> dy, x, w = (np.ones(shape, np.float32) for shape in ($three, $one, $two))
    >>> fc.${op}_backward(dy, x, w, stride=2, needs=(False, True, True)).bias
    array([$sum.], dtype=float32)
    """)

_WORDS = {
    "conv_transpose1d": {
        "things": "signals", "axes": "one axis",
        "formula": r"y[n,k,\, l\,stride + s\,dilation - before] = act\Big(bias[k] + \sum weight[c,k',s]\,"
                   r" x[n,c,l]\Big)",
        "x_first": "(N, C, L)", "x_last": "(N, L, C)", "weight": "(C, K / groups, S)",
        "y_first": "(N, K, OL)", "y_last": "(N, OL, K)", "count": "one int", "pairs": "one (before, after) pair",
        "one": "(1, 1, 3)", "two": "(1, 1, 2)", "three": "(1, 1, 6)", "taps": "2", "pixels": "3", "sum": "6",
    },
    "conv_transpose3d": {
        "things": "volumes", "axes": "three axes",
        "formula": r"y[n,k,\, d\,stride_d + t\,dilation_d - front,\, h\,stride_h + r\,dilation_h - top,\,"
                   "\n        " r"w\,stride_w + s\,dilation_w - left] = act\Big(bias[k] + \sum weight[c,k',t,r,s]\,"
                   r" x[n,c,d,h,w]\Big)",
        "x_first": "(N, C, D, H, W)", "x_last": "(N, D, H, W, C)", "weight": "(C, K / groups, T, R, S)",
        "y_first": "(N, K, OD, OH, OW)", "y_last": "(N, OD, OH, OW, K)", "count": "three ints",
        "pairs": "three (before, after) pairs",
        "one": "(1, 1, 2, 3, 3)", "two": "(1, 1, 2, 2, 2)", "three": "(1, 1, 4, 6, 6)", "taps": "8", "pixels": "18",
        "sum": "144",
    },
}  # fmt: skip
_TEMPLATES = {"": _FORWARD, "input_grad": _INPUT_GRAD, "weight_grad": _WEIGHT_GRAD, "backward": _BACKWARD}


def described(function: Callable, name: str) -> Callable:
    """The function under its public name, with the docstring that belongs to it."""
    op = name[: len("conv_transpose1d")]
    function.__name__ = function.__qualname__ = name
    if op in _WORDS:
        function.__doc__ = _TEMPLATES[name[len(op) + 1 :]].substitute(_WORDS[op], op=op)
    return function
