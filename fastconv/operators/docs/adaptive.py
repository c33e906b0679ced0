"""What adaptive and global pools have to say; words that begin with @ are filled in by `pool.documented`."""

from fastconv.operators.docs.pool import DY, GRADIENT, LAYOUT, OUT, RAISES, RETURNS, SHAPE, X

_SIZE = """output_size : int, None, or one of them a spatial axis
        How many parts; None for as many as the axis has elements. May be more than that."""
_PARTS = """Part o of OH reaches from floor(o * H / OH) to ceil((o + 1) * H / OH), so neighbours may share an element;
    so it is for the other axes."""
_ALL_X = """x : ndarray, shape (N, C, *spatial) or (N, *spatial, C), with one to three spatial axes
        float32, float64, float16 or bfloat16 (`ml_dtypes`){more}; any strides. float16 and bfloat16 are computed in
        float32 and rounded once. There must be a batch axis, or it could not be told how many axes are spatial."""
_ONES = """ndarray, x's shape with spatial axes of 1
        `out` if it was given. Bitwise the same for any number of threads and any split of the batch."""
_ONES_DY = """grad_output : ndarray, shape (N, C, 1, ...) or (N, 1, ..., C)
        The gradient of the loss with respect to the pool's result."""
_AS_X = """ndarray, x's shape
        `out` if it was given. Bitwise the same for any number of threads and any split of the batch."""

AVG = f"""Average each of a given number of parts of the input.

    .. math:: y[n,c,o] = \\frac{{1}}{{|P_o|}} \\sum_{{h \\in P_o}} x[n, c, h]

    {_PARTS}

    Parameters
    ----------
    {X.format(more="")}
    {_SIZE}
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
    torch.nn.functional.adaptive_avg_pool2d.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.adaptive_avg_pool1d(np.arange(5.0).reshape(1, 1, 5), 2)
    array([[[1., 3.]]])
    """

MAX = f"""Take the largest element of each of a given number of parts of the input.

    .. math:: y[n,c,o] = \\max_{{h \\in P_o}} x[n, c, h]

    {_PARTS} A NaN gives NaN.

    Parameters
    ----------
    {X.format(more=", int8, uint8 or int32")}
    {_SIZE}
    return_indices : bool
        Whether the positions of the maxima are returned too; else none are computed.
    {LAYOUT}
    {OUT.format(what="values")}

    Returns
    -------
    {RETURNS}
    indices : ndarray of int64, with `return_indices`
        Flat positions in the input's plane: of the first of equal maxima in scan order, or of a NaN.

    Raises
    ------
    {RAISES}

    References
    ----------
    torch.nn.functional.adaptive_max_pool2d.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.adaptive_max_pool1d(np.arange(5.0).reshape(1, 1, 5), 2, return_indices=True)
    (array([[[2., 4.]]]), array([[[2, 4]]]))
    """

AVG_BACKWARD = f"""Return the gradient of an adaptive average pool with respect to its input.

    .. math:: dx[n,c,h] = \\sum_{{o: h \\in P_o}} dy[n,c,o] \\,/\\, |P_o|

    {_PARTS}

    Parameters
    ----------
    {DY}
    {SHAPE}
    {LAYOUT}
    {OUT.format(what="gradient")}

    Returns
    -------
    {GRADIENT}

    Raises
    ------
    {RAISES}

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.adaptive_avg_pool1d_backward(np.array([[[3.0, 6.0]]]), (1, 1, 5))
    array([[[1., 1., 3., 2., 2.]]])
    """

MAX_BACKWARD = f"""Return the gradient of an adaptive max pool with respect to its input.

    .. math:: dx[n, c, indices[n,c,o]] \\mathrel{{+}}= dy[n,c,o]

    in the order of o, where dx's spatial axes are taken as one.

    Parameters
    ----------
    {DY}
    indices : ndarray of int64, grad_output's shape
        As the pool returned them.
    {SHAPE}
    {LAYOUT}
    {OUT.format(what="gradient")}

    Returns
    -------
    {GRADIENT}

    Raises
    ------
    {RAISES}

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.adaptive_max_pool1d_backward(np.array([[[3.0, 6.0]]]), np.array([[[2, 4]]]), (1, 1, 5))
    array([[[0., 0., 3., 0., 6.]]])
    """

GLOBAL_AVG = f"""Average each plane.

    .. math:: y[n,c] = \\frac{{1}}{{HW}} \\sum_{{h,w}} x[n,c,h,w]

    Sums are formed in parts of a few hundred elements, and these added up.

    Parameters
    ----------
    {_ALL_X.format(more="")}
    {LAYOUT}
    {OUT.format(what="result")}

    Returns
    -------
    {_ONES}

    Raises
    ------
    {RAISES}

    References
    ----------
    ONNX operator GlobalAveragePool. M. Lin, Q. Chen, S. Yan, "Network in network", arXiv:1312.4400.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.global_avg_pool(np.arange(4.0).reshape(1, 1, 2, 2))
    array([[[[1.5]]]])
    """

GLOBAL_MAX = f"""Take the largest element of each plane; a NaN gives NaN.

    .. math:: y[n,c] = \\max_{{h,w}} x[n,c,h,w]

    Parameters
    ----------
    {_ALL_X.format(more=", int8, uint8 or int32")}
    {LAYOUT}
    {OUT.format(what="result")}

    Returns
    -------
    {_ONES}

    Raises
    ------
    {RAISES}

    References
    ----------
    ONNX operator GlobalMaxPool.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.global_max_pool(np.arange(4.0).reshape(1, 1, 2, 2))
    array([[[[3.]]]])
    """

GLOBAL_LP = f"""Take the p-norm of each plane.

    .. math:: y[n,c] = \\Big(\\sum_{{h,w}} x[n,c,h,w]^p\\Big)^{{1/p}}

    This is `lp_pool2d` with a window of the whole plane: powers are those of x, not of \\|x\\|.

    Parameters
    ----------
    {_ALL_X.format(more="")}
    norm_type : float
        p: any number but zero, or inf for the largest \\|x\\|.
    {LAYOUT}
    convention : {{"torch", "onnx"}}
        "onnx" takes powers of \\|x\\|.
    {OUT.format(what="result")}

    Returns
    -------
    {_ONES}

    Raises
    ------
    {RAISES}

    References
    ----------
    torch.nn.functional.lp_pool2d; ONNX operator GlobalLpPool.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.global_lp_pool(np.array([[[3.0, 4.0]]]), 2)
    array([[[5.]]])
    """

GLOBAL_AVG_BACKWARD = f"""Return the gradient of `global_avg_pool` with respect to its input: a part of dy for each.

    Parameters
    ----------
    {_ONES_DY}
    input_shape : tuple of int
        The shape of the pool's input.
    {LAYOUT}
    {OUT.format(what="gradient")}

    Returns
    -------
    {GRADIENT}

    Raises
    ------
    {RAISES}

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.global_avg_pool_backward(np.ones((1, 1, 1)), (1, 1, 4))
    array([[[0.25, 0.25, 0.25, 0.25]]])
    """

GLOBAL_MAX_BACKWARD = f"""Return the gradient of `global_max_pool` with respect to x.

    The first of equal maxima in scan order has all of it; where there are NaNs, one of them.

    Parameters
    ----------
    {_ONES_DY}
    x : ndarray
        The pool's input, of grad_output's dtype.
    {LAYOUT}
    {OUT.format(what="gradient")}

    Returns
    -------
    {_AS_X}

    Raises
    ------
    {RAISES}

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> fc.global_max_pool_backward(np.ones((1, 1, 1)), np.array([[[1.0, 2.0, 2.0]]]))
    array([[[0., 1., 0.]]])
    """

GLOBAL_LP_BACKWARD = f"""Return the gradient of `global_lp_pool` (``convention="torch"``) with respect to x.

    .. math:: dx[n,c,h,w] = dy[n,c] \\, x[n,c,h,w]^{{p-1}} \\, y[n,c]^{{1-p}}

    and 0 where y is, unless p is 1. That of the largest \\|x\\| is a max pool's.

    Parameters
    ----------
    {_ONES_DY}
    x, y : ndarrays
        The pool's input and its result, of grad_output's dtype.
    norm_type : float
    {LAYOUT}
    {OUT.format(what="gradient")}

    Returns
    -------
    {_AS_X}

    Raises
    ------
    {RAISES}

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> x = np.array([[[3.0, 4.0]]])
    >>> fc.global_lp_pool_backward(np.ones((1, 1, 1)), x, fc.global_lp_pool(x, 2), 2)
    array([[[0.6, 0.8]]])
    """
