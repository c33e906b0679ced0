"""What the gradients of convolutions and of transposed convolutions share: checks, prepared calls, all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv import threads
from fastconv.call import Call, Calls, plain
from fastconv.checks import as_shape, check_array, check_same_dtype
from fastconv.codegen.lock import setup
from fastconv.operators.conv import planned, typed
from fastconv.problem.conv import NAMES, Problem


class ConvGradients(NamedTuple):
    """The gradients of a loss with respect to a convolution's input, weight and bias; None where not asked for."""

    input: np.ndarray | None
    weight: np.ndarray | None
    bias: np.ndarray | None


class Gradients:
    """The gradients of one family of operators.

    A pass is "input_grad" or "weight_grad", `arrays` are its grad_output and the other array that it reads (the weight,
    or x), `shape` is that of its result, and `order` the operator's name followed by the values of OPTIONS.
    """

    NOUN: str  # the operator in messages
    OPTIONS: tuple[str, ...]  # those that gradients know

    def __init__(self):
        self.calls = Calls(512)

    def problem(self, op: str, x_shape: tuple, weight_shape: tuple, pass_: str, **options: Any) -> Problem:
        """The problem of one pass; its images have a batch."""
        raise NotImplementedError

    def result_shape(self, problem: Problem) -> tuple[int, ...]:
        """The shape of the operator's result, from a pass's problem."""
        raise NotImplementedError

    def for_bias(self, problem: Problem) -> Problem:
        """The convolution whose bias has the same gradient."""
        raise NotImplementedError

    def reading(self, pass_: str, grad_output: Any, other: Any) -> tuple[Any, Any]:
        """The array that the kernels of a pass read as images, and the one beside it."""
        raise NotImplementedError

    def run(self, pass_: str, arrays: tuple, shape: Any, algorithm: str, order: tuple, out=None) -> np.ndarray:
        """One pass, prepared before or now."""
        try:
            key = (
                pass_, *((a.shape, a.strides, a.dtype, a.__class__) for a in arrays), typed(shape), algorithm,
                *map(typed, order), threads.get_num_threads(),
            )  # fmt: skip
            call = self.calls.get(key)
        except (TypeError, AttributeError):
            call = key = None
        if call is None:
            call = self.prepare(pass_, arrays, shape, algorithm, order)
            self.calls.keep(key, call)
        return call(*self.reading(pass_, *arrays), None, None, out)

    def prepare(self, pass_: str, arrays: tuple, shape: Any, algorithm: str, order: tuple, packed=False) -> Call:
        """Check arrays and options of one pass and plan it."""
        op = order[0]
        axes = int(op[-2]) + 2
        grad_output = check_array("grad_output", arrays[0], (axes - 1, axes))
        if pass_ == "input_grad":
            name, other = "weight", check_array("weight", arrays[1], axes)
            x_shape, weight_shape = as_shape("input_shape", shape, grad_output.ndim, 0), other.shape
        else:
            name, other = "x", check_array("x", arrays[1], (axes - 1, axes))
            x_shape, weight_shape = other.shape, as_shape("weight_shape", shape, axes, 0)
        check_same_dtype(grad_output, other, names=("grad_output", name))
        names = ("input_shape", name) if pass_ == "input_grad" else (name, "weight_shape")
        problem = self._problem(pass_, grad_output, x_shape, weight_shape, order, names)
        return planned(f"{op}_{pass_}", problem, (*self.reading(pass_, grad_output, other), None, None), algorithm,
                       packed)  # fmt: skip

    def compute(self, grad_output, x, weight, needs: Any, algorithm: str, order: tuple,
                input_grad: Callable | None = None) -> ConvGradients:  # fmt: skip
        """Check everything, and compute what is needed; `input_grad` computes the input's of checked arrays."""
        for_input, for_weight, for_bias = _three_flags(needs)
        axes = int(order[0][-2]) + 2
        grad_output, x = (check_array(*named, (axes - 1, axes)) for named in (("grad_output", grad_output), ("x", x)))
        weight = check_array("weight", weight, axes)
        check_same_dtype(grad_output, x, weight, names=("grad_output", "x", "weight"))
        problem = self._problem("weight_grad", grad_output, x.shape, weight.shape, order)
        dx = dw = db = None
        if for_input and input_grad is not None:
            dx = input_grad(grad_output, x, weight)
        elif for_input:
            dx = self.run("input_grad", (grad_output, weight), x.shape, algorithm, order)
        if for_weight:
            dw = self.run("weight_grad", (grad_output, x), weight.shape, algorithm, order)
        if for_bias:
            db = _bias_grad(grad_output, self.for_bias(problem))
        return ConvGradients(dx, dw, db)

    def _problem(self, pass_: str, grad_output: np.ndarray, x_shape: tuple, weight_shape: tuple, order: tuple,
                 names: tuple[str, str] = NAMES) -> Problem:  # fmt: skip
        """The problem of a pass of these shapes, for whose result grad_output must be a gradient; `names` of what the
        shapes came from."""
        op, *values = order
        batch = () if len(x_shape) == int(op[-2]) + 2 else (1,)
        named = dict(zip(self.OPTIONS, values, strict=True))
        problem = self.problem(op, (*batch, *x_shape), weight_shape, pass_, dtype=grad_output.dtype, names=names,
                               **named)  # fmt: skip
        expected = self.result_shape(problem)[len(batch) :]
        if grad_output.shape != expected:
            raise ValueError(
                f"grad_output must have the {self.NOUN}'s output shape {expected}, got {grad_output.shape}"
            )
        return problem


def _three_flags(needs: Any) -> tuple[bool, bool, bool]:
    """Three flags."""
    if not isinstance(needs, (tuple, list)):
        raise TypeError(f"needs must be three bools: of input, weight and bias; got {needs!r}")
    if len(needs) != 3:
        raise ValueError(f"needs must be three bools: of input, weight and bias; got {len(needs)} values")
    for flag in needs:
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"needs must be three bools: of input, weight and bias; got {needs!r}")
    return tuple(map(bool, needs))


def _bias_grad(grad_output: np.ndarray, problem: Problem) -> np.ndarray:
    """The sum of grad_output over images and pixels; narrow types are added up in float32 and rounded once."""
    db = np.zeros(problem.k, grad_output.dtype)
    if grad_output.size:
        with setup:
            from fastconv import dispatch

            execution = dispatch.bias_execution(problem)
        execution.run(plain(grad_output), None, None, None, db)
    return db
