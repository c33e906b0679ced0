"""What the functions for one, two and three dimensions have in common to say; `documented` fills in what differs."""

X = """x : ndarray, shape @first or @last, or without N
        float32, float64, float16 or bfloat16 (`ml_dtypes`){more}; any strides. float16 and bfloat16 are computed in
        float32 and rounded once."""
_KERNEL = """kernel_size : @ints
        At least 1.
    stride : @ints, optional
        At least 1; `kernel_size` if it is None."""
_PADDING = """padding : @ints, (before, after) pairs, "valid", "same", "same_upper" or "same_lower"
        At most half of what a window spans, with ``convention="torch"``."""
_CEIL = """ceil_mode : bool
        Whether a last window that the input does not fill counts. One that would start behind the input and its left
        border never does."""
LAYOUT = """layout : {"channels_first", "channels_last"}"""
OUT = """out : ndarray, optional
        Receives the {what}; may overlap any input."""
RETURNS = """ndarray, shape @out_first or @out_last, or without N
        `out` if it was given. Bitwise the same for any number of threads and any split of the batch."""
GRADIENT = """ndarray, shape `input_shape`
        `out` if it was given. Bitwise the same for any number of threads and any split of the batch."""
RAISES = """TypeError
        An argument of the wrong kind: a list for an array, an unsupported dtype, a float for a size.
    ValueError
        Sizes that do not fit together, or an unknown name."""
DY = """grad_output : ndarray, shape @out_first or @out_last, or without N
        The gradient of the loss with respect to the pool's result; any strides. float16 and bfloat16 are computed in
        float32 and rounded once."""
SHAPE = """input_shape : @tuple
        The shape of the pool's input, with N if grad_output has it."""
_SEPARABLE = "M. van Herk, Pattern Recognition Letters 13 (1992), on maxima along rows and columns"

MAX = f"""Take the largest element of every window.

    .. math:: y[n,c,o] = \\max_r x[n,\\, c,\\, o \\cdot stride + r \\cdot dilation - padding]

    over the taps r that lie inside x, with o, r and the rest one number an axis. Nothing outside x is ever larger, a
    window without any tap inside gives minus infinity (of integers the least number), and a NaN gives NaN.

    Parameters
    ----------
    {X.format(more=", int8, uint8 or int32")}
    {_KERNEL}
    {_PADDING}
    dilation : @ints
        How far a window's taps lie apart; at least 1.
    {_CEIL}
    return_indices : bool
        Whether the positions of the maxima are returned too; else none are computed.
    {LAYOUT}
    convention : {{"torch", "onnx"}}
        "onnx" takes any padding, and its indices count in the whole tensor (N, C, ...), not in a plane.
    {OUT.format(what="values")}

    Returns
    -------
    {RETURNS}
    indices : ndarray of int64, with `return_indices`
        Flat positions in the input's plane: of the first of equal maxima in scan order, or of the last NaN; -1 for a
        window without any tap inside, where PyTorch's lies outside the plane.

    Raises
    ------
    {RAISES}

    References
    ----------
    torch.nn.functional.max_pool2d; ONNX operator MaxPool, version 22; {_SEPARABLE}.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.max_pool2d(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]], dtype=float32)
    """

AVG = f"""Average every window.

    .. math:: y[n,c,o] = \\frac{{1}}{{divisor}} \\sum_r x[n,\\, c,\\, o \\cdot stride + r \\cdot dilation - padding]

    over the taps r that lie inside x, with o, r and the rest one number an axis. The divisor is `divisor_override`, or
    how many taps lie inside x and its borders, or inside x alone. A window without any tap inside gives 0.

    Parameters
    ----------
    {X.format(more="")}
    {_KERNEL}
    {_PADDING}
    {_CEIL}
    count_include_pad : bool
        Whether the divisor counts taps in the borders. Those that `ceil_mode` adds beyond never count. ONNX's own
        default is False.
    divisor_override : int, optional
        Not zero.
    dilation : @ints
        How far a window's taps lie apart; at least 1. PyTorch has no such argument, ONNX does.
    {LAYOUT}
    convention : {{"torch", "onnx"}}
        "onnx" takes any padding; the divisors are the same.
    {OUT.format(what="result")}

    Returns
    -------
    {RETURNS}

    Raises
    ------
    {RAISES}

    References
    ----------
    torch.nn.functional.avg_pool2d; ONNX operator AveragePool, version 22.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.avg_pool2d(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]], dtype=float32)
    """

LP = f"""Take the p-norm of every window.

    .. math:: y[n,c,o] = \\Big(\\sum_r x[n,\\, c,\\, o \\cdot stride + r]^p\\Big)^{{1/p}}

    with o, r and the rest one number an axis. As in PyTorch, powers are those of x and not of |x|: with p = 1 negative
    elements count as such, and other odd norms of a negative sum are NaN; and the sum of a window that `ceil_mode`
    leaves partial is multiplied by how many times larger a whole one is. p = inf gives the largest \\|x\\|.

    Parameters
    ----------
    {X.format(more="")}
    norm_type : float
        p: any number but zero, or inf.
    {_KERNEL}
    {_CEIL}
    {LAYOUT}
    convention : {{"torch", "onnx"}}
        "onnx" takes powers of \\|x\\|, and sums of partial windows as they are.
    {OUT.format(what="result")}

    Returns
    -------
    {RETURNS}

    Raises
    ------
    {RAISES}

    References
    ----------
    torch.nn.functional.lp_pool2d; ONNX operator LpPool, version 22.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.lp_pool2d(np.array([[[3.0, 0.0], [0.0, 4.0]]], np.float32), 2, 2)
    array([[[5.]]], dtype=float32)
    """

WEIGHTED = f"""Sum every window with weights, the same for all channels.

    .. math:: y[n,c,o] = \\sum_r window[r]\\, x[n,\\, c,\\, o \\cdot stride + r - padding]

    over the taps r that lie inside x, with o, r and the rest one number an axis. Nothing is divided by the sum of the
    window: a Gaussian window that sums to 1 gives averages weighted by the distance from the centre.

    Parameters
    ----------
    {X.format(more="")}
    window : ndarray, shape @window
        x's dtype.
    stride : @ints, optional
        At least 1; the window's size if it is None.
    padding : @ints, (before, after) pairs, "valid", "same", "same_upper" or "same_lower"
        Any.
    {LAYOUT}
    {OUT.format(what="result")}

    Returns
    -------
    {RETURNS}

    Raises
    ------
    {RAISES}

    References
    ----------
    A depthwise convolution with one kernel for all channels (ONNX operator Conv with groups).

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> fc.weighted_avg_pool2d(x, np.array([[0.25, 0.75], [0.0, 0.0]], np.float32))
    array([[[[ 0.75,  2.75],
             [ 8.75, 10.75]]]], dtype=float32)
    """

MAX_BACKWARD = f"""Compute the gradient of a max pool with respect to its input.

    .. math:: dx[n,c,h] = \\sum_{{o\\,:\\,indices[n,c,o] = h}} dy[n,c,o]

    Parameters
    ----------
    {DY}
    indices : ndarray of int64, grad_output's shape
        As the pool returned them; those that are -1 belong to no element.
    {SHAPE}
    {LAYOUT}
    convention : {{"torch", "onnx"}}
        That of the indices.
    {OUT.format(what="result")}

    Returns
    -------
    {GRADIENT}

    Raises
    ------
    TypeError
        An argument of the wrong kind: a list for an array, an unsupported dtype, a float for a size.
    ValueError
        Sizes that do not fit together, or an index outside the plane; then what `out` holds is undefined.

    References
    ----------
    torch.ops.aten.max_pool2d_with_indices_backward.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.max_pool1d_backward(np.ones((1, 1, 2), np.float32), np.array([[[1, 1]]]), (1, 1, 3))
    array([[[0., 2., 0.]]], dtype=float32)
    """

AVG_BACKWARD = f"""Compute the gradient of an average pool with respect to its input.

    .. math:: dx[n,c,h] = \\sum_{{o,r\\,:\\,o \\cdot stride + r \\cdot dilation - padding = h}} dy[n,c,o] / divisor[o]

    Parameters
    ----------
    {DY}
    {SHAPE}
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout, convention
        As they were for the pool.
    {OUT.format(what="result")}

    Returns
    -------
    {GRADIENT}

    Raises
    ------
    {RAISES}

    References
    ----------
    torch.ops.aten.avg_pool2d_backward.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.avg_pool1d_backward(np.ones((1, 1, 2), np.float32), (1, 1, 3), 2, 1)
    array([[[0.5, 1. , 0.5]]], dtype=float32)
    """

LP_BACKWARD = f"""Compute the gradient of a norm pool with respect to its input.

    .. math:: dx[n,c,h] = x[n,c,h]^{{p-1}} \\sum_{{o,r\\,:\\,o \\cdot stride + r = h}} dy[n,c,o]\\, y[n,c,o]^{{1-p}}

    Where y is 0, so is the gradient, unless p = 1: PyTorch gives NaN there, and 0 if p = 1, though the derivative of a
    sum is 1. With p = inf it goes to the first of the largest.

    Parameters
    ----------
    {DY}
    x : ndarray, shape @first or @last, or without N
        The pool's input.
    y : ndarray, grad_output's shape
        The pool's result.
    norm_type, kernel_size, stride, ceil_mode, layout
        As they were for the pool, with ``convention="torch"``.
    {OUT.format(what="result")}

    Returns
    -------
    {GRADIENT.replace("`input_shape`", "as x")}

    Raises
    ------
    {RAISES}

    References
    ----------
    What differentiating torch.nn.functional.lp_pool2d gives.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> x, y = np.array([[[3.0, 4.0]]]), np.array([[[5.0]]])
    >>> fc.lp_pool1d_backward(np.ones((1, 1, 1)), x, y, 2, 2)
    array([[[0.6, 0.8]]])
    """

WEIGHTED_BACKWARD = f"""Compute the gradient of a weighted average pool with respect to its input.

    .. math:: dx[n,c,h] = \\sum_{{o,r\\,:\\,o \\cdot stride + r - padding = h}} window[r]\\, dy[n,c,o]

    Parameters
    ----------
    {DY}
    {SHAPE}
    window, stride, padding, layout
        As they were for the pool.
    {OUT.format(what="result")}

    Returns
    -------
    {GRADIENT}

    Raises
    ------
    {RAISES}

    References
    ----------
    The input gradient of a depthwise convolution with one kernel.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> window = np.array([1.0, 2.0], np.float32)
    >>> fc.weighted_avg_pool1d_backward(np.ones((1, 1, 2), np.float32), (1, 1, 4), window)
    array([[[1., 2., 1., 2.]]], dtype=float32)
    """
