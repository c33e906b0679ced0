"""conv_transpose1d, 2d and 3d: check the arguments, make a Problem, plan, run."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import threads
from fastconv.call import Call, Calls
from fastconv.checks import check_array, check_same_dtype
from fastconv.operators.conv import planned, typed
from fastconv.operators.docs.transposed import described
from fastconv.problem.transposed import transposed_problem

OPS = "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"
_calls = Calls(512)


def _transposed(op: str):
    """A transposed convolution along one, two or three spatial axes; written out for two."""

    def conv_transpose(
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
        *,
        layout: str = "channels_first",
        activation: Any = None,
        algorithm: str = "auto",
        precision: str = "default",
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        r"""Transposed convolution of a batch of images: what `conv2d` does to gradients, used to make images larger.

        .. math::
            y[n,k,i,j] = act\Big(bias[k] + \sum_{c,h,w,r,s} weight[c,k',r,s]\, x[n,c,h,w]\Big)

        over the inputs (h, w) and taps (r, s) that are written to (i, j): those with
        :math:`h\,stride_h + r\,dilation_h - top = i` and likewise for j; c runs over the channels of k's group, and k'
        is k's place in it.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W) or (N, H, W, C), or without N
            float32, float64, float16 or bfloat16 (`ml_dtypes`); any strides. float16 and bfloat16 are accumulated in
            float32 and rounded once.
        weight : ndarray, shape (C, K / groups, R, S)
            The same shape in both layouts; x's dtype.
        bias : ndarray, shape (K,), optional
            x's dtype.
        stride, dilation : int or two ints
            For height and width; at least 1.
        padding : int, two ints, two (before, after) pairs, "valid", "same", "same_upper" or "same_lower"
            How much is cut off the output: (H - 1) * stride + dilation * (R - 1) + 1 rows are left with none of it,
            which is what "valid" means. "same" leaves H * stride rows, and cuts the odd one off the end ("same_lower":
            the start).
        output_padding : int or two ints
            Rows and columns that are added at the end, where taps may not reach; less than the stride or the dilation.
        groups : int
            Divides C and K.
        layout : {"channels_first", "channels_last"}
        activation : None, str or ("leaky_relu", slope)
            As for `conv2d`.
        algorithm : str
            "auto", "tune" or a name out of ``fastconv.algorithms("conv_transpose2d")``; see `conv2d`.
        precision : {"strict", "default", "fast"}
            As for `conv2d`.
        out : ndarray, optional
            Receives the result; may overlap any input.

        Returns
        -------
        ndarray, shape (N, K, OH, OW) or (N, OH, OW, K), or without N
            `out` if it was given. Bitwise the same for any number of threads and any split of the batch.

        Raises
        ------
        TypeError
            An argument of the wrong kind: a list for an array, an unsupported or mixed dtype, a float for a size.
        ValueError
            Sizes that do not fit together, an unknown name, or a named algorithm that cannot do this problem.

        Notes
        -----
        No zero is stuffed between inputs: outputs are computed in stride_h * stride_w phases, each an ordinary
        convolution of x with the taps that reach it, or all as channels of one convolution, which is a matrix product
        where the kernel is as large as the stride; or, where pixels are few and weights many, all products of all taps
        are formed and then added up. In the second way, unless ``precision="strict"``, phases with fewer taps than
        others multiply zeros for them, so that an infinity in x may make NaN where it would not otherwise reach.
        Besides its arrays a call takes what `conv2d_input_grad` takes.

        References
        ----------
        Definition: ONNX operator ConvTranspose; V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep
        learning", arXiv:1603.07285, chapter 4.

        Examples
        --------
        >>> import numpy as np
        >>> import fastconv as fc
        >>> x = np.array([[[[1, 2], [3, 4]]]], np.float32)
        >>> fc.conv_transpose2d(x, np.ones((1, 1, 2, 2), np.float32), stride=2)
        array([[[[1., 1., 2., 2.],
                 [1., 1., 2., 2.],
                 [3., 3., 4., 4.],
                 [3., 3., 4., 4.]]]], dtype=float32)
        """
        arguments = op, stride, padding, output_padding, groups, dilation, layout, activation, precision
        return run(x, weight, bias, out, algorithm, arguments)

    return described(conv_transpose, op)


conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_transposed, OPS)

# The options in their order behind the operator's name.
OPTIONS = ("stride", "padding", "output_padding", "groups", "dilation", "layout", "activation", "precision")


def run(x, weight, bias, out, algorithm, arguments: tuple) -> np.ndarray:
    """One call, prepared before or now."""
    try:
        call = _calls[_key(x, weight, bias, algorithm, arguments)]
    except (KeyError, TypeError, AttributeError):
        call = None
    if call is None:
        op, *options = arguments
        call = prepare(op, x, weight, bias, algorithm, False, **dict(zip(OPTIONS, options, strict=True)))
        _calls.keep(_key(x, weight, bias, algorithm, arguments), call)
    return call(x, weight, bias, None, out)


def _key(x, weight, bias, algorithm, arguments) -> tuple:
    """What a prepared call depends on."""
    op, stride, padding, output_padding, groups, dilation, layout, activation, precision = arguments
    return (
        op, x.shape, x.strides, x.dtype, x.__class__, weight.shape, weight.dtype, weight.__class__,
        None if bias is None else (bias.shape, bias.dtype, bias.__class__),
        stride if stride.__class__ is int else typed(stride),
        padding if padding.__class__ is int else typed(padding),
        output_padding if output_padding.__class__ is int else typed(output_padding),
        groups if groups.__class__ is int else typed(groups),
        dilation if dilation.__class__ is int else typed(dilation),
        layout, activation if activation.__class__ is str else typed(activation), algorithm, precision,
        threads.get_num_threads(),
    )  # fmt: skip


def prepare(op, x, weight, bias, algorithm, packed, **options) -> Call:
    """Check arrays and options of one transposed convolution and plan it."""
    axes = int(op[-2]) + 2
    x, weight = check_array("x", x, (axes - 1, axes)), check_array("weight", weight, axes)
    bias = None if bias is None else check_array("bias", bias, 1)
    dtype = check_same_dtype(x, weight, bias)
    batch = () if x.ndim == axes else (1,)
    problem = transposed_problem(
        op, (*batch, *x.shape), weight.shape, dtype=dtype, bias_shape=None if bias is None else bias.shape, **options
    )
    return planned(op, problem, (x, weight, bias, None), algorithm, packed)
