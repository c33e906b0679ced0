"""Layers: an operator whose weights are prepared once."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import call, threads
from fastconv.checks import as_size, as_sizes, check_array, check_same_dtype
from fastconv.codegen.lock import setup
from fastconv.operators import conv_grad
from fastconv.operators.batch_norm import batch_norm_fold
from fastconv.operators.conv import check_algorithm, prepare
from fastconv.operators.gradients import ConvGradients, Gradients
from fastconv.problem.conv import conv_problem

MOST_CALLS = 64  # prepared calls that one layer remembers


class Layer:
    """What all layers share: arrays of their own, prepared calls, weights packed once."""

    _op: str

    def _hold(self, weight, bias, algorithm: str, options: dict[str, Any]) -> None:
        """Copy the arrays, which have been checked, and the options, whose lists a caller may change."""
        self._weight, self._bias = _kept(weight), None if bias is None else _kept(bias)
        self._algorithm, self._options = algorithm, {name: _fixed(value) for name, value in options.items()}
        self._calls = call.Calls(MOST_CALLS)
        self._packed: dict[tuple, Any] = {}

    @property
    def weight(self) -> np.ndarray:
        """The weight, read-only: packed copies of it are in use."""
        return self._weight

    @property
    def bias(self) -> np.ndarray | None:
        """The bias, read-only, or None."""
        return self._bias

    def __getstate__(self) -> tuple:
        """What a copy of the layer, in whatever process, is made of: all the rest is addresses in this one."""
        return self._weight, self._bias, self._algorithm, self._options

    def __setstate__(self, state: tuple) -> None:
        self._hold(*state)

    def _keep(self, key: tuple, prepared: call.Call):
        """Remember a prepared call, with the weights packed for it, which are returned."""
        packed = self._pack(prepared)
        with setup:
            self._calls.keep(key, (prepared, packed))
        return packed

    def _pack(self, prepared: call.Call):
        """The weights as a call wants them; packed at most once a form of a pass, as passes read them differently."""
        form = prepared.problem.pass_, prepared.execution.packing
        if not form[1]:
            return self._weight
        with setup:
            packed = self._packed.get(form)
            if packed is None:
                packed = self._packed[form] = prepared.pack(self._weight)
        return packed

    def _differentiate(self, gradients: Gradients, grad_output, x, needs, algorithm: str) -> ConvGradients:
        """The gradients at x, the input's from weights that are packed for it once."""
        activation = self._options["activation"]
        if activation is not None:
            raise ValueError(f"backward: the layer has activation={activation!r}; its gradient needs one without")
        order = self._op, *(self._options[name] for name in gradients.OPTIONS)

        def input_grad(grad_output, x, weight):
            key = "input_grad", grad_output.shape, grad_output.strides, x.shape, algorithm, threads.get_num_threads()
            prepared, packed = self._calls.get(key, (None, None))
            if prepared is None:
                arrays = grad_output, weight
                prepared = gradients.prepare("input_grad", arrays, x.shape, algorithm, order, True)
                packed = self._keep(key, prepared)
            return prepared(grad_output, weight, None, None, None, packed)

        return gradients.compute(grad_output, x, self._weight, needs, algorithm, order, input_grad)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return f"{type(self).__name__}(weight {self._weight.shape} {self._weight.dtype}, {options})"


def _kept(array: np.ndarray) -> np.ndarray:
    """A copy that nobody changes."""
    array = np.array(array, order="C", copy=True)
    array.flags.writeable = False
    return array


def _fixed(value: Any) -> Any:
    """An option with tuples for lists."""
    return tuple(map(_fixed, value)) if isinstance(value, (tuple, list)) else value


class _Conv(Layer):
    """What the layers of all numbers of spatial axes share."""

    def __init__(
        self,
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
        algorithm: str = "auto",
        precision: str = "default",
        batch_norm: Any = None,
    ):
        weight = check_array("weight", weight, int(self._op[-2]) + 2)
        bias = None if bias is None else check_array("bias", bias, 1)
        check_same_dtype(weight, bias, names=("weight", "bias"))
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ValueError(f"bias must have shape {weight.shape[:1]}, one value an output channel, got {bias.shape}")
        if batch_norm is not None:
            weight, bias = batch_norm_fold(weight, bias, batch_norm)
        self._hold(weight, bias, algorithm, {
            "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
            "padding_mode": padding_mode, "layout": layout, "activation": activation, "precision": precision,
        })  # fmt: skip
        self._check_options()

    def _check_options(self) -> None:
        """Say now what is wrong whatever the input will be, by a problem on an image that anything fits."""
        per_group, *kernel = self._weight.shape[1:]
        groups = as_size("groups", self._options["groups"], 1)
        dilation = as_sizes("dilation", self._options["dilation"], len(kernel), 1)
        sizes = ((size - 1) * d + 2 ** (40 // len(kernel)) for size, d in zip(kernel, dilation, strict=True))
        last = self._options["layout"] == "channels_last"
        channels = max(1, per_group) * groups
        shape = (1, *sizes, channels) if last else (1, channels, *sizes)
        conv_problem(self._op, shape, self._weight.shape, dtype=self._weight.dtype, **self._options)
        check_algorithm(self._op, self._algorithm)

    def __call__(self, x: np.ndarray, residual: np.ndarray | None = None, out: np.ndarray | None = None) -> np.ndarray:
        """Convolve `x`; `residual` is added before the activation, `out` receives the result."""
        try:
            key = (
                x.shape, x.strides, x.dtype, x.__class__,
                None if residual is None else (residual.shape, residual.dtype, residual.__class__),
                threads.get_num_threads(),
            )  # fmt: skip
            prepared, packed = self._calls[key]
        except (KeyError, AttributeError):
            prepared = None
        if prepared is None:
            prepared, packed = self._prepare(x, residual)
        return prepared(x, self._weight, self._bias, residual, out, packed)

    def backward(
        self,
        grad_output: np.ndarray,
        x: np.ndarray,
        needs: tuple[bool, bool, bool] = (True, True, True),
        *,
        algorithm: str = "auto",
    ) -> ConvGradients:
        """Compute the gradients of the layer at input `x`; see `conv2d_backward`.

        Weights are regrouped and packed for the input's gradient once. A folded batch norm is a part of weight and
        bias: the gradients are those of the folded ones.

        Raises
        ------
        TypeError
            As for `conv2d_backward`.
        ValueError
            As for `conv2d_backward`; or if the layer has an activation, whose derivative takes its result: convolve
            without one to train.
        """
        return self._differentiate(conv_grad.GRADIENTS, grad_output, x, needs, algorithm)

    def _prepare(self, x, residual):
        prepared = prepare(self._op, x, self._weight, self._bias, residual, self._algorithm, True, **self._options)
        key = (
            x.shape, x.strides, x.dtype, x.__class__,
            None if residual is None else (residual.shape, residual.dtype, residual.__class__),
            threads.get_num_threads(),
        )  # fmt: skip
        return prepared, self._keep(key, prepared)


class Conv2d(_Conv):
    """A `conv2d` with its weight, bias and options fixed; weights are packed once.

    The arrays are copied at construction. A layer may be called from many threads.

    Parameters
    ----------
    weight, bias, stride, padding, dilation, groups, padding_mode, layout, activation, algorithm, precision
        As for `conv2d`.
    batch_norm : (gamma, beta, mean, var, eps), optional
        Folded into weight and bias: weight * gamma / sqrt(var + eps), (bias - mean) * gamma / sqrt(var + eps) + beta,
        computed in float64 and rounded once. The four arrays have shape (K,).

    Raises
    ------
    TypeError, ValueError
        As for `conv2d`: for the weight and its options at construction, for the input at the call.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> layer = fc.Conv2d(np.ones((2, 1, 3, 3), np.float32), padding=1, activation="relu")
    >>> layer(np.ones((1, 1, 4, 4), np.float32)).shape
    (1, 2, 4, 4)
    """

    _op = "conv2d"


class Conv1d(_Conv):
    """A `conv1d` with its weight, bias and options fixed; weights are packed once. See `Conv2d`.

    Parameters
    ----------
    weight, bias, stride, padding, dilation, groups, padding_mode, layout, activation, algorithm, precision
        As for `conv1d`.
    batch_norm : (gamma, beta, mean, var, eps), optional
        As for `Conv2d`.

    Raises
    ------
    TypeError, ValueError
        As for `conv1d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> layer = fc.Conv1d(np.ones((2, 1, 3), np.float32), padding=((2, 0),), activation="relu")
    >>> layer(np.ones((1, 1, 8), np.float32)).shape
    (1, 2, 8)
    """

    _op = "conv1d"


class Conv3d(_Conv):
    """A `conv3d` with its weight, bias and options fixed; weights are packed once. See `Conv2d`.

    Parameters
    ----------
    weight, bias, stride, padding, dilation, groups, padding_mode, layout, activation, algorithm, precision
        As for `conv3d`.
    batch_norm : (gamma, beta, mean, var, eps), optional
        As for `Conv2d`.

    Raises
    ------
    TypeError, ValueError
        As for `conv3d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> layer = fc.Conv3d(np.ones((2, 1, 3, 3, 3), np.float32), padding=1, activation="relu")
    >>> layer(np.ones((1, 1, 4, 6, 6), np.float32)).shape
    (1, 2, 4, 6, 6)
    """

    _op = "conv3d"
