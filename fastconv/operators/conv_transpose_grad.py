"""Gradients of transposed convolutions: a convolution, and the weight gradient with x and dy exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.operators.conv_transpose import OPS
from fastconv.operators.docs.transposed import described
from fastconv.operators.gradients import ConvGradients, Gradients
from fastconv.problem.conv import Problem
from fastconv.problem.transposed import bias_problem, transposed_problem


class _OfTransposed(Gradients):
    NOUN = "transposed convolution"
    OPTIONS = ("stride", "padding", "output_padding", "groups", "dilation", "layout", "precision")

    def problem(self, op: str, x_shape: tuple, weight_shape: tuple, pass_: str, **options: Any) -> Problem:
        return transposed_problem(op, x_shape, weight_shape, pass_=pass_, **options)

    def result_shape(self, problem: Problem) -> tuple[int, ...]:
        return problem.x_shape

    def for_bias(self, problem: Problem) -> Problem:
        return bias_problem(problem)

    def reading(self, pass_: str, grad_output: Any, other: Any) -> tuple[Any, Any]:
        return grad_output, other


GRADIENTS = _OfTransposed()


def _input_grad(op: str):
    """The input's gradient along one, two or three spatial axes; written out for two."""

    def input_grad(
        grad_output: np.ndarray,
        weight: np.ndarray,
        input_shape: tuple[int, ...],
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
        *,
        layout: str = "channels_first",
        algorithm: str = "auto",
        precision: str = "default",
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        r"""Compute the gradient of `conv_transpose2d` with respect to its input: a convolution of grad_output.

        .. math::
            dx[n,c,h,w] = \sum_{k,r,s} weight[c,k,r,s]\, dy[n,k,\, h\,stride_h + r\,dilation_h - top,\,
            w\,stride_w + s\,dilation_w - left]

        Parameters
        ----------
        grad_output : ndarray, shape (N, K, OH, OW) or (N, OH, OW, K), or without N
            The gradient of the loss with respect to conv_transpose2d's result; any strides.
        weight : ndarray, shape (C, K / groups, R, S)
            grad_output's dtype: float32, float64, float16 or bfloat16. Narrow types are accumulated in float32 and
            rounded once.
        input_shape : tuple of int
            The shape of conv_transpose2d's input, with N if grad_output has it.
        stride, padding, output_padding, groups, dilation, layout, precision
            As they were for `conv_transpose2d`.
        algorithm : str
            "auto", "tune" or a name out of ``fastconv.algorithms("conv_transpose2d_input_grad")``; see `conv2d`.
        out : ndarray, optional
            Receives the result; may overlap any input.

        Returns
        -------
        ndarray, shape `input_shape`
            Bitwise the same for any number of threads.

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
        >>> dy, w = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 2, 2), np.float32)
        >>> fc.conv_transpose2d_input_grad(dy, w, (1, 1, 2, 2), stride=2)
        array([[[[4., 4.],
                 [4., 4.]]]], dtype=float32)
        """
        order = op, stride, padding, output_padding, groups, dilation, layout, precision
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
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
        *,
        layout: str = "channels_first",
        algorithm: str = "auto",
        precision: str = "default",
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        r"""Compute the gradient of `conv_transpose2d` with respect to its weight.

        .. math::
            dw[c,k,r,s] = \sum_{n,h,w} x[n,c,h,w]\, dy[n,\, k',\, h\,stride_h + r\,dilation_h - top,\,
            w\,stride_w + s\,dilation_w - left]

        where :math:`k'` is output channel k of c's group.

        Parameters
        ----------
        grad_output : ndarray, shape (N, K, OH, OW) or (N, OH, OW, K), or without N
            The gradient of the loss with respect to conv_transpose2d's result; any strides.
        x : ndarray, shape (N, C, H, W) or (N, H, W, C), or without N
            conv_transpose2d's input; grad_output's dtype: float32, float64, float16 or bfloat16. Narrow types are
            accumulated in float32 and rounded once.
        weight_shape : tuple of four int
            (C, K / groups, R, S).
        stride, padding, output_padding, groups, dilation, layout, precision
            As they were for `conv_transpose2d`.
        algorithm : str
            "auto", "tune" or a name out of ``fastconv.algorithms("conv_transpose2d_weight_grad")``; see `conv2d`.
        out : ndarray, optional
            Receives the result; may overlap any input.

        Returns
        -------
        ndarray, shape `weight_shape`
            Bitwise the same for any number of threads.

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
        >>> dy, x = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 2, 2), np.float32)
        >>> fc.conv_transpose2d_weight_grad(dy, x, (1, 1, 2, 2), stride=2)
        array([[[[4., 4.],
                 [4., 4.]]]], dtype=float32)
        """
        order = op, stride, padding, output_padding, groups, dilation, layout, precision
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
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
        *,
        layout: str = "channels_first",
        needs: tuple[bool, bool, bool] = (True, True, True),
        algorithm: str = "auto",
        precision: str = "default",
    ) -> ConvGradients:
        """Compute the gradients of `conv_transpose2d` with respect to its input, weight and bias.

        Parameters
        ----------
        grad_output, x, weight, stride, padding, output_padding, groups, dilation, layout, precision
            As for `conv_transpose2d_input_grad` and `conv_transpose2d_weight_grad`.
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
            As for `conv_transpose2d_input_grad` and `conv_transpose2d_weight_grad`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastconv as fc
        >>> x, w = np.ones((2, 3, 4, 4), np.float32), np.ones((3, 5, 2, 2), np.float32)
        >>> grads = fc.conv_transpose2d_backward(np.ones((2, 5, 8, 8), np.float32), x, w, stride=2)
        >>> grads.input.shape, grads.weight.shape, grads.bias
        ((2, 3, 4, 4), (3, 5, 2, 2), array([128., 128., 128., 128., 128.], dtype=float32))
        """
        order = op, stride, padding, output_padding, groups, dilation, layout, precision
        return GRADIENTS.compute(grad_output, x, weight, needs, algorithm, order)

    return described(backward, f"{op}_backward")


conv_transpose1d_input_grad, conv_transpose2d_input_grad, conv_transpose3d_input_grad = map(_input_grad, OPS)
conv_transpose1d_weight_grad, conv_transpose2d_weight_grad, conv_transpose3d_weight_grad = map(_weight_grad, OPS)
conv_transpose1d_backward, conv_transpose2d_backward, conv_transpose3d_backward = map(_backward, OPS)
