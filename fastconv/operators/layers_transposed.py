"""Layers of transposed convolutions, whose weights are regrouped and packed once."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import threads
from fastconv.checks import as_size, check_array, check_same_dtype
from fastconv.operators import conv_transpose_grad
from fastconv.operators.batch_norm import batch_norm_fold
from fastconv.operators.conv import check_algorithm
from fastconv.operators.conv_transpose import prepare
from fastconv.operators.gradients import ConvGradients
from fastconv.operators.layers import Layer
from fastconv.problem.transposed import transposed_problem


class _ConvTranspose(Layer):
    """What the layers of all numbers of spatial axes share."""

    def __init__(
        self,
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
        batch_norm: Any = None,
    ):
        weight = check_array("weight", weight, int(self._op[-2]) + 2)
        bias = None if bias is None else check_array("bias", bias, 1)
        check_same_dtype(weight, bias, names=("weight", "bias"))
        count = as_size("groups", groups, 1)
        if bias is not None and bias.shape != (weight.shape[1] * count,):
            raise ValueError(
                f"bias must have shape {(weight.shape[1] * count,)}, one value an output channel, got {bias.shape}"
            )
        options = {
            "stride": stride, "padding": padding, "output_padding": output_padding, "groups": groups,
            "dilation": dilation, "layout": layout, "activation": activation, "precision": precision,
        }  # fmt: skip
        self._check_options(weight, algorithm, options)
        if batch_norm is not None:
            folded, bias = batch_norm_fold(outputs_first(weight, count), bias, batch_norm)
            weight = outputs_first(folded, count)
        self._hold(weight, bias, algorithm, options)

    def _check_options(self, weight: np.ndarray, algorithm: str, options: dict[str, Any]) -> None:
        """Say now what is wrong whatever the input will be, on an image larger than any padding."""
        c, _, *kernel = weight.shape
        sizes = (2 ** (36 // len(kernel)),) * len(kernel)
        last = options["layout"] == "channels_last"
        shape = (1, *sizes, max(c, 1)) if last else (1, max(c, 1), *sizes)
        transposed_problem(self._op, shape, weight.shape, dtype=weight.dtype, addressable=False, **options)
        check_algorithm(self._op, algorithm)

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Convolve `x`; `out` receives the result."""
        try:
            key = x.shape, x.strides, x.dtype, x.__class__, threads.get_num_threads()
            prepared, packed = self._calls[key]
        except (KeyError, AttributeError):
            prepared = None
        if prepared is None:
            prepared = prepare(self._op, x, self._weight, self._bias, self._algorithm, True, **self._options)
            packed = self._keep((x.shape, x.strides, x.dtype, x.__class__, threads.get_num_threads()), prepared)
        return prepared(x, self._weight, self._bias, None, out, packed)

    def backward(
        self,
        grad_output: np.ndarray,
        x: np.ndarray,
        needs: tuple[bool, bool, bool] = (True, True, True),
        *,
        algorithm: str = "auto",
    ) -> ConvGradients:
        """Compute the gradients of the layer at input `x`; see `conv_transpose2d_backward`.

        Weights are packed for the input's gradient once. A folded batch norm is a part of weight and bias: the
        gradients are those of the folded ones.

        Raises
        ------
        TypeError
            As for `conv_transpose2d_backward`.
        ValueError
            As for `conv_transpose2d_backward`; or if the layer has an activation, whose derivative takes its result:
            convolve without one to train.
        """
        return self._differentiate(conv_transpose_grad.GRADIENTS, grad_output, x, needs, algorithm)


def outputs_first(weight: np.ndarray, groups: int) -> np.ndarray:
    """(C, K / groups, ...) as (K, C / groups, ...), or the other way round."""
    first, second, *kernel = weight.shape
    grouped = weight.reshape(groups, first // groups, second, *kernel)
    return grouped.swapaxes(1, 2).reshape(groups * second, first // groups, *kernel)


class ConvTranspose2d(_ConvTranspose):
    """A `conv_transpose2d` with its weight, bias and options fixed; weights are packed once.

    The arrays are copied at construction. A layer may be called from many threads.

    Parameters
    ----------
    weight, bias, stride, padding, output_padding, groups, dilation, layout, activation, algorithm, precision
        As for `conv_transpose2d`.
    batch_norm : (gamma, beta, mean, var, eps), optional
        Folded into weight and bias, as for `Conv2d`; the four arrays have shape (K,).

    Raises
    ------
    TypeError, ValueError
        As for `conv_transpose2d`: for the weight and its options at construction, for the input at the call.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> layer = fc.ConvTranspose2d(np.ones((2, 1, 2, 2), np.float32), stride=2, activation="relu")
    >>> layer(np.ones((1, 2, 4, 4), np.float32)).shape
    (1, 1, 8, 8)
    """

    _op = "conv_transpose2d"


class ConvTranspose1d(_ConvTranspose):
    """A `conv_transpose1d` with its weight, bias and options fixed; weights are packed once. See `ConvTranspose2d`.

    Parameters
    ----------
    weight, bias, stride, padding, output_padding, groups, dilation, layout, activation, algorithm, precision
        As for `conv_transpose1d`.
    batch_norm : (gamma, beta, mean, var, eps), optional
        As for `ConvTranspose2d`.

    Raises
    ------
    TypeError, ValueError
        As for `conv_transpose1d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> layer = fc.ConvTranspose1d(np.ones((2, 1, 16), np.float32), stride=8, padding=4)
    >>> layer(np.ones((1, 2, 10), np.float32)).shape
    (1, 1, 80)
    """

    _op = "conv_transpose1d"


class ConvTranspose3d(_ConvTranspose):
    """A `conv_transpose3d` with its weight, bias and options fixed; weights are packed once. See `ConvTranspose2d`.

    Parameters
    ----------
    weight, bias, stride, padding, output_padding, groups, dilation, layout, activation, algorithm, precision
        As for `conv_transpose3d`.
    batch_norm : (gamma, beta, mean, var, eps), optional
        As for `ConvTranspose2d`.

    Raises
    ------
    TypeError, ValueError
        As for `conv_transpose3d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> layer = fc.ConvTranspose3d(np.ones((2, 1, 2, 2, 2), np.float32), stride=2)
    >>> layer(np.ones((1, 2, 3, 4, 4), np.float32)).shape
    (1, 1, 6, 8, 8)
    """

    _op = "conv_transpose3d"
