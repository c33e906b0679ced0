"""Gradients of conv1d, conv2d, conv3d: check the arguments, make the Problem of a pass, plan, run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fastconv.operators.docs.conv import described
from fastconv.operators.gradients import ConvGradients, Gradients
from fastconv.problem.conv import Problem, conv_problem


class _OfConvolution(Gradients):
    NOUN = "convolution"
    OPTIONS = ("stride", "padding", "dilation", "groups", "padding_mode", "layout", "precision")

    def problem(self, op: str, x_shape: tuple, weight_shape: tuple, pass_: str, **options: Any) -> Problem:
        return replace(conv_problem(op, x_shape, weight_shape, **options), pass_=pass_)

    def result_shape(self, problem: Problem) -> tuple[int, ...]:
        return problem.y_shape

    def for_bias(self, problem: Problem) -> Problem:
        return replace(problem, pass_="forward")

    def reading(self, pass_: str, grad_output: Any, other: Any) -> tuple[Any, Any]:
        return (grad_output, other) if pass_ == "input_grad" else (other, grad_output)


GRADIENTS = _OfConvolution()


def _input_grad(op: str):
    """The input's gradient for one number of spatial axes; written out for two."""

    def input_grad(
        grad_output: np.ndarray,
        weight: np.ndarray,
        input_shape: tuple[int, ...],
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
        layout: str = "channels_first",
        algorithm: str = "auto",
        precision: str = "default",
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        r"""Compute the gradient of `conv2d` with respect to its input.

        .. math::
            dx[n,c,h,w] = \sum_{k,i,j,r,s} weight[k,c,r,s]\, dy[n,k,i,j]

        over the outputs (i, j) and taps (r, s) that read x[n,c,h,w]: those with
        :math:`i\,stride_h + r\,dilation_h - top = h` and likewise for w, and where `padding_mode` continues x, those
        that read a copy of it outside.

        Parameters
        ----------
        grad_output : ndarray, shape (N, K, OH, OW) or (N, OH, OW, K), or without N
            The gradient of the loss with respect to conv2d's result; any strides.
        weight : ndarray, shape (K, C / groups, R, S)
            grad_output's dtype: float32, float64, float16 or bfloat16. Narrow types are accumulated in float32 and
            rounded once.
        input_shape : tuple of int
            The shape of conv2d's input, with N if grad_output has it.
        stride, padding, dilation, groups, padding_mode, layout, precision
            As they were for `conv2d`.
        algorithm : str
            "auto", "tune" or a name out of ``fastconv.algorithms("conv2d_input_grad")``; see `conv2d`.
        out : ndarray, optional
            Receives the result; may overlap any input.

        Returns
        -------
        ndarray, shape `input_shape`
            Bitwise the same for any number of threads and however a batch is split.

        Raises
        ------
        TypeError
            An argument of the wrong kind: a list for an array, an unsupported or mixed dtype, a float for a size.
        ValueError
            Sizes that do not fit together, an unknown name, or a named algorithm that cannot do this problem.

        Notes
        -----
        With a stride above 1, all phases may be the channels of one convolution: unless ``precision="strict"``, those
        with fewer taps than others then multiply zeros for them, so that an infinity in grad_output may make NaN where
        it would not otherwise reach. Besides its arrays a call takes a copy of the weights, up to 24 MiB for results
        that wait (a stride above 1, or a border that is not zeros), and what `conv2d` takes.

        References
        ----------
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.

        Examples
        --------
        >>> import numpy as np
        >>> import fastconv as fc
        >>> fc.conv2d_input_grad(np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 2, 2), np.float32), (1, 1, 3, 3))
        array([[[[1., 2., 1.],
                 [2., 4., 2.],
                 [1., 2., 1.]]]], dtype=float32)
        """
        order = op, stride, padding, dilation, groups, padding_mode, layout, precision
        return GRADIENTS.run("input_grad", (grad_output, weight), input_shape, algorithm, order, out)

    return described(input_grad, f"{op}_input_grad")


def _weight_grad(op: str):
    """The weight's gradient, likewise."""

    def weight_grad(
        grad_output: np.ndarray,
        x: np.ndarray,
        weight_shape: tuple[int, ...],
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
        layout: str = "channels_first",
        algorithm: str = "auto",
        precision: str = "default",
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        r"""Compute the gradient of `conv2d` with respect to its weight.

        .. math::
            dw[k,c,r,s] = \sum_{n,i,j} dy[n,k,i,j]\, x[n,\, c',\, i\,stride_h + r\,dilation_h - top,\,
            j\,stride_w + s\,dilation_w - left]

        where :math:`c'` is channel c of k's group and x is continued outside its bounds as `padding_mode` says.

        Parameters
        ----------
        grad_output : ndarray, shape (N, K, OH, OW) or (N, OH, OW, K), or without N
            The gradient of the loss with respect to conv2d's result; any strides.
        x : ndarray, shape (N, C, H, W) or (N, H, W, C), or without N
            conv2d's input; grad_output's dtype: float32, float64, float16 or bfloat16. Narrow types are accumulated in
            float32 and rounded once.
        weight_shape : tuple of int
            (K, C / groups, R, S).
        stride, padding, dilation, groups, padding_mode, layout, precision
            As they were for `conv2d`.
        algorithm : str
            "auto", "tune" or a name out of ``fastconv.algorithms("conv2d_weight_grad")``; see `conv2d`.
        out : ndarray, optional
            Receives the result; may overlap any input.

        Returns
        -------
        ndarray, shape `weight_shape`
            Bitwise the same for any number of threads: sums over images and pixels are formed in an order that depends
            on nothing but the sizes.

        Raises
        ------
        TypeError
            An argument of the wrong kind: a list for an array, an unsupported or mixed dtype, a float for a size.
        ValueError
            Sizes that do not fit together, an unknown name, or a named algorithm that cannot do this problem.

        References
        ----------
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.

        Examples
        --------
        >>> import numpy as np
        >>> import fastconv as fc
        >>> x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
        >>> fc.conv2d_weight_grad(np.ones((1, 1, 2, 2), np.float32), x, (1, 1, 2, 2))
        array([[[[ 8., 12.],
                 [20., 24.]]]], dtype=float32)
        """
        order = op, stride, padding, dilation, groups, padding_mode, layout, precision
        return GRADIENTS.run("weight_grad", (grad_output, x), weight_shape, algorithm, order, out)

    return described(weight_grad, f"{op}_weight_grad")


def _backward(op: str):
    """All gradients, likewise."""

    def backward(
        grad_output: np.ndarray,
        x: np.ndarray,
        weight: np.ndarray,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
        layout: str = "channels_first",
        needs: tuple[bool, bool, bool] = (True, True, True),
        algorithm: str = "auto",
        precision: str = "default",
    ) -> ConvGradients:
        """Compute the gradients of `conv2d` with respect to its input, weight and bias.

        Parameters
        ----------
        grad_output, x, weight, stride, padding, dilation, groups, padding_mode, layout, precision
            As for `conv2d_input_grad` and `conv2d_weight_grad`.
        needs : three bool
            Which of the gradients are computed: input, weight, bias.
        algorithm : str
            "auto", "tune", or a name that can do both gradients, if both are needed.

        Returns
        -------
        ConvGradients
            (input, weight, bias), of x's, weight's and K's shape; None where not needed. The bias's gradient is the sum
            of grad_output over images and pixels.

        Raises
        ------
        TypeError, ValueError
            As for `conv2d_input_grad` and `conv2d_weight_grad`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastconv as fc
        >>> x, w = np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
        >>> grads = fc.conv2d_backward(np.ones((2, 4, 6, 6), np.float32), x, w, needs=(False, True, True))
        >>> grads.input is None, grads.weight.shape, grads.bias
        (True, (4, 3, 3, 3), array([72., 72., 72., 72.], dtype=float32))
        """
        order = op, stride, padding, dilation, groups, padding_mode, layout, precision
        return GRADIENTS.compute(grad_output, x, weight, needs, algorithm, order)

    return described(backward, f"{op}_backward")


_OPS = "conv1d", "conv2d", "conv3d"
conv1d_input_grad, conv2d_input_grad, conv3d_input_grad = map(_input_grad, _OPS)
conv1d_weight_grad, conv2d_weight_grad, conv3d_weight_grad = map(_weight_grad, _OPS)
conv1d_backward, conv2d_backward, conv3d_backward = map(_backward, _OPS)
