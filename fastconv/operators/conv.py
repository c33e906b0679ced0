"""conv1d, conv2d, conv3d: check the arguments, make a Problem, plan, run. The file to read first."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import threads
from fastconv.call import Call, Calls
from fastconv.checks import check_array, check_choice, check_same_dtype
from fastconv.codegen.lock import setup
from fastconv.operators.docs.conv import described
from fastconv.problem.conv import Problem, conv_problem

_calls = Calls(512)


def _convolution(op: str):
    """The public function of one number of spatial axes; written out for two."""

    def conv(
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
        layout: str = "channels_first",
        activation: Any = None,
        residual: np.ndarray | None = None,
        algorithm: str = "auto",
        precision: str = "default",
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        r"""Convolve a batch of images (cross-correlation, as in every deep-learning framework).

        .. math::
            y[n,k,i,j] = act\Big(bias[k] + residual[n,k,i,j] + \sum_{c,r,s} weight[k,c,r,s]\,
            x[n,\, c',\, i\,stride_h + r\,dilation_h - top,\, j\,stride_w + s\,dilation_w - left]\Big)

        where :math:`c'` runs over the channels of k's group and x is continued outside its bounds as `padding_mode`
        says.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W) or (N, H, W, C), or without N
            float32, float64, float16 or bfloat16 (`ml_dtypes`); any strides. float16 and bfloat16 are accumulated in
            float32 and rounded once.
        weight : ndarray, shape (K, C / groups, R, S)
            The same shape in both layouts; x's dtype.
        bias : ndarray, shape (K,), optional
            x's dtype.
        stride, dilation : int or two ints
            For height and width; at least 1.
        padding : int, two ints, two (before, after) pairs, "valid", "same", "same_upper" or "same_lower"
            "same" keeps ceil(size / stride) outputs, the odd element at the end ("same_lower": at the start).
        groups : int
            Divides C and K.
        padding_mode : {"zeros", "reflect", "replicate", "circular"}
        layout : {"channels_first", "channels_last"}
        activation : None, str or ("leaky_relu", slope)
            "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "hardswish" or "gelu".
        residual : ndarray, the result's shape, optional
            Added before the activation.
        algorithm : str
            "auto", "tune" or a name out of ``fastconv.algorithms("conv2d")``. "auto" estimates. "tune" measures all
            that can do the problem, on these arrays, for about half a second; the winner is remembered on disk, for
            this machine and number of threads, so that no later call measures. As algorithms differ in the last bits,
            so may results of "tune" between numbers of threads and sizes of the batch.
        precision : {"strict", "default", "fast"}
            Plain sums that err at most twice as much as PyTorch's; or longer plain sums, those of bfloat16 parts on
            matrix tiles (about as exact), and Winograd's algorithm, whose largest error is at most 16 times theirs; or
            64 times. See docs/accuracy.md.
        out : ndarray, optional
            Receives the result; may overlap any input.

        Returns
        -------
        ndarray, shape (N, K, OH, OW) or (N, OH, OW, K), or without N
            `out` if it was given. Bitwise the same for any number of threads and any split of the batch.

        Notes
        -----
        A call takes at most 64 MiB of memory besides its arrays, and besides copies of those that no kernel can read or
        write as they are. `Conv2d`, whose weights are packed beforehand, may choose another algorithm: its results may
        differ in the last bits.

        Raises
        ------
        TypeError
            An argument of the wrong kind: a list for an array, an unsupported or mixed dtype, a float for a size.
        ValueError
            Sizes that do not fit together, an unknown name, or a named algorithm that cannot do this problem.

        References
        ----------
        Definition: ONNX operator Conv; V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning",
        arXiv:1603.07285. Blocking: K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.

        Examples
        --------
        >>> import numpy as np
        >>> import fastconv as fc
        >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
        >>> fc.conv2d(x, np.ones((1, 1, 3, 3), np.float32))
        array([[[[45., 54.],
                 [81., 90.]]]], dtype=float32)
        """
        try:
            call = _calls[_key(op, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, activation,
                               residual, algorithm, precision)]  # fmt: skip
        except (KeyError, TypeError, AttributeError):
            call = None  # and what is wrong is said outside of this block, without the key's error before it
        if call is None:
            call = _prepare(op, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, activation,
                            residual, algorithm, precision)  # fmt: skip
        return call(x, weight, bias, residual, out)

    return described(conv, op)


conv1d, conv2d, conv3d = map(_convolution, ("conv1d", "conv2d", "conv3d"))


def _key(op, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, activation, residual, algorithm,
         precision) -> tuple:  # fmt: skip
    """What a prepared call depends on."""
    return (
        op, x.shape, x.strides, x.dtype, x.__class__, weight.shape, weight.dtype, weight.__class__,
        None if bias is None else (bias.shape, bias.dtype, bias.__class__),
        stride if stride.__class__ is int else typed(stride),
        padding if padding.__class__ is int else typed(padding),
        dilation if dilation.__class__ is int else typed(dilation),
        groups if groups.__class__ is int else typed(groups),
        padding_mode, layout, activation if activation.__class__ is str else typed(activation),
        None if residual is None else (residual.shape, residual.dtype, residual.__class__),
        algorithm, precision, threads.get_num_threads(),
    )  # fmt: skip


def typed(value: Any) -> Any:
    """A size argument with the types of its parts, so that 1, 1.0 and True are told apart in a key."""
    if not isinstance(value, (tuple, list)):
        return (value.__class__, value)
    kinds = tuple(map(type, value))
    return (value.__class__, kinds, tuple(map(typed, value) if tuple in kinds or list in kinds else value))


def _prepare(*args) -> Call:
    """Check everything, plan, and remember the call."""
    (op, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, activation, residual, algorithm,
     precision) = args  # fmt: skip
    call = prepare(op, x, weight, bias, residual, algorithm, False, stride=stride, padding=padding, dilation=dilation,
                   groups=groups, padding_mode=padding_mode, layout=layout, activation=activation,
                   precision=precision)  # fmt: skip
    _calls.keep(_key(*args), call)
    return call


def prepare(op, x, weight, bias, residual, algorithm, packed, **options) -> Call:
    """Check arrays and options of one convolution and plan it."""
    axes = int(op[-2]) + 2
    x, weight = check_array("x", x, (axes - 1, axes)), check_array("weight", weight, axes)
    bias = None if bias is None else check_array("bias", bias, 1)
    residual = None if residual is None else check_array("residual", residual, x.ndim)
    dtype = check_same_dtype(x, weight, bias, residual)
    batch = () if x.ndim == axes else (1,)
    problem = conv_problem(
        op, (*batch, *x.shape), weight.shape, dtype=dtype,
        bias_shape=None if bias is None else bias.shape,
        residual_shape=None if residual is None else (*batch, *residual.shape), **options,
    )  # fmt: skip
    return planned(op, problem, (x, weight, bias, residual), algorithm, packed)


def planned(op: str, problem: Problem, arrays: tuple, algorithm: str, packed: bool) -> Call:
    """The call for a problem of this operator; `arrays`: its images, weights, bias and residual, or what is read so."""
    with setup:
        check_algorithm(op, algorithm)
        if algorithm != "tune":
            return Call(problem, arrays[0], algorithm, packed)
        from fastconv import tuning
    return tuning.tuned(problem, arrays, packed)  # which may take a while


def check_algorithm(op: str, algorithm: Any) -> None:
    """ "auto", "tune", or one of the operator's algorithms."""
    if algorithm != "auto" or not isinstance(algorithm, str):
        with setup:
            from fastconv import dispatch

        check_choice("algorithm", algorithm, ("auto", "tune", *dispatch.names(op)))
