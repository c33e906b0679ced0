"""What would run and why: explain, algorithms, show_config."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastconv import threads
from fastconv.checks import as_sequence, check_bool, dtype_name
from fastconv.codegen.lock import setup
from fastconv.operators.conv import check_algorithm
from fastconv.problem.conv import Problem, conv_problem
from fastconv.problem.transposed import transposed_problem
from fastconv.version import __version__


@dataclass(frozen=True)
class PlanCandidate:
    """One algorithm in a `Plan`: its estimated milliseconds on one core for one image, or the reason it is out.

    `tuned_milliseconds` is what a call took when ``algorithm="tune"`` measured it, with the plan's number of threads.
    """

    name: str
    milliseconds: float | None
    reason: str | None
    tuned_milliseconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """How a convolution would run. Printing it shows a table.

    Attributes
    ----------
    algorithm : str
        The chosen algorithm.
    candidates : tuple of PlanCandidate
        Every algorithm in the dispatcher's order.
    flops : int
        Two for each product of the definition.
    bytes : int
        Input, weight and output once.
    workspace : int
        Bytes of scratch and packed weights that a call uses.
    threads : int
    tuned : str or None
        The remembered winner of ``algorithm="tune"``, if this was measured on this machine and number of threads.
    """

    label: str
    algorithm: str
    candidates: tuple[PlanCandidate, ...]
    flops: int
    bytes: int
    workspace: int
    threads: int
    tuned: str | None = None

    def __str__(self) -> str:
        lines = [
            self.label,
            f"  {self.flops / 1e6:.3f} MFLOP, {self.bytes / 1e6:.3f} MB in and out, "
            f"{self.workspace / 1e6:.3f} MB workspace, {self.threads} threads",
        ]
        for c in self.candidates:
            star = "*" if c.name == self.algorithm else " "
            verdict = c.reason or f"about {c.milliseconds:.4f} ms an image on one core"
            if c.tuned_milliseconds is not None:
                won = ", the winner" if c.name == self.tuned else ""
                verdict += f"; measured {c.tuned_milliseconds:.4f} ms a call{won}"
            lines.append(f"  {star} {c.name:<10} {verdict}")
        return "\n".join(lines)


def algorithms(op: str) -> tuple[str, ...]:
    """Return the names of an operator's algorithms, as its ``algorithm=`` takes them.

    Parameters
    ----------
    op : str
        A convolution, a pool, or a gradient of theirs: "conv2d", "conv2d_input_grad", "conv_transpose1d",
        "max_pool3d", "max_pool2d_backward" and so on.

    Raises
    ------
    ValueError
        If there is no such operator.

    Examples
    --------
    >>> import fastconv as fc
    >>> "im2col" in fc.algorithms("conv2d")
    True
    """
    with setup:
        from fastconv import dispatch

    return dispatch.names(op)


def explain(op: str, x_shape: Any, weight_shape: Any, bias: bool = False, *, dtype: Any = "float32",
            algorithm: str = "auto", packed: bool = False, residual: bool = False, **options: Any) -> Plan:  # fmt: skip
    """Say which algorithm a call would run and why the others would not.

    Parameters
    ----------
    op : str
        An operator that `algorithms` knows: "conv2d", "conv2d_input_grad", "max_pool2d", "max_pool2d_backward" and so
        on.
    x_shape, weight_shape : sequences of int
        As the arrays of the convolution, whose gradient it may be, would have them; x with or without a batch axis,
        C-contiguous. A pool has its kernel_size in place of weight_shape (the shape of its window, or of y for the
        gradient of a max pool), and its own options.
    bias, residual : bool
        Whether the call has them; gradients have neither.
    dtype : str or dtype
    algorithm : str
        As for the operator. Nothing is measured: "tune" gives the remembered winner, or what "auto" chooses.
    packed : bool
        Whether the weights are prepared beforehand, as in a layer.
    **options
        stride, padding, dilation, groups, padding_mode, layout, activation, precision, as for the operator.

    Returns
    -------
    Plan

    Raises
    ------
    TypeError, ValueError
        As for the operator.

    Examples
    --------
    >>> import fastconv as fc
    >>> fc.explain("conv2d", (1, 64, 56, 56), (128, 64, 1, 1)).algorithm
    'pointwise'
    """
    with setup:
        from fastconv import dispatch, tuning

    base, pass_ = dispatch.operator(op)
    check_algorithm(op, algorithm)
    for name, value in (("bias", bias), ("residual", residual), ("packed", packed)):
        check_bool(name, value)
    x_shape = as_sequence("x_shape", x_shape)
    if "_pool" in base:
        _check_absent(op, bias=bias, residual=residual, packed=packed, algorithm=algorithm != "auto")
        return _explain_pool(base, pass_, x_shape, weight_shape, dtype, options)
    weight_shape = as_sequence("weight_shape", weight_shape)
    problem = replace(problem_of(base, x_shape, weight_shape, bias, residual, dtype, options), pass_=pass_)
    if problem.own_pass != "forward":
        _check_absent(op, bias=bias, residual=residual, activation=problem.activation is not None)
    steps = dispatch.contiguous_steps(problem)
    count = threads.get_num_threads()
    known = tuning.remembered(problem, steps, packed) if problem.n else None
    if algorithm == "tune":
        algorithm = known.winner if known else "auto"
    chosen, execution = dispatch.execution(problem, steps, algorithm, count, packed)
    per_ms = _cycles_of_a_millisecond(problem.dtype)
    candidates = tuple(
        PlanCandidate(
            c.algorithm.name, None if c.cycles is None else c.cycles / per_ms, c.reason,
            known.candidates[c.algorithm.name] * 1e3 if known and c.reason is None else None,
        )
        for c in dispatch.consider(problem, steps, packed)
    )  # fmt: skip
    return Plan(
        problem.label, chosen, candidates, problem.flops, problem.bytes, execution.workspace(count), count,
        known.winner if known else None,
    )  # fmt: skip


def _check_absent(op: str, **given: bool) -> None:
    """What an operator does not have must not be asked for."""
    for name, is_given in given.items():
        if is_given:
            raise ValueError(f"{name}: {op} has none")


def _cycles_of_a_millisecond(dtype: str) -> float:
    """From what the machine is measured to do."""
    from fastconv import peak, target

    dtype = "float64" if dtype == "float64" else "float32"
    return peak.measured_peak(dtype, 1) / target.flops_per_cycle(dtype) * 1e6


def _explain_pool(op: str, pass_: str, x_shape: Any, kernel_size: Any, dtype: Any, options: dict[str, Any]) -> Plan:
    """The plan of a pool on contiguous arrays."""
    from fastconv import dispatch
    from fastconv.operators.pool import explained
    from fastconv.problem.pool import contiguous_steps

    problem = explained(op, pass_, x_shape, kernel_size, dtype, options)
    steps, count = contiguous_steps(problem), threads.get_num_threads()
    chosen, execution = dispatch.execution(problem, steps, "auto", count, False)
    per_ms = _cycles_of_a_millisecond(problem.dtype)
    candidates = tuple(
        PlanCandidate(c.algorithm.name, None if c.cycles is None else c.cycles / per_ms, c.reason)
        for c in dispatch.consider(problem, steps, False)
    )
    return Plan(problem.label, chosen, candidates, problem.flops, problem.bytes, execution.workspace(count), count)


def problem_of(op, x_shape, weight_shape, bias, residual, dtype, options) -> Problem:
    """The problem that shapes alone describe."""
    shape = x_shape if len(x_shape) == int(op[-2]) + 2 else (1, *x_shape)
    name = dtype_name(dtype)
    options = dict(options)
    if op.startswith("conv_transpose"):
        if residual:
            raise ValueError(f"residual: {op} has none")
        problem = transposed_problem(op, shape, weight_shape, dtype=name, **options)
        return replace(problem, bias=bool(bias))
    problem = conv_problem(op, shape, weight_shape, dtype=name, **options)
    if bias or residual:
        problem = conv_problem(
            op, shape, weight_shape, dtype=name, bias_shape=(problem.k,) if bias else None,
            residual_shape=problem.y_shape if residual else None, **options,
        )  # fmt: skip
    return problem


def show_config() -> None:
    """Print versions, the CPU, its vectors and tiles in use, threads, and where compiled code and tuning are kept.

    Examples
    --------
    >>> import fastconv as fc
    >>> fc.show_config()  # doctest: +ELLIPSIS
    fastconv ...
    """
    with setup:
        import llvmlite
        import numba

        from fastconv import target, winners
        from fastconv.codegen import cache

    host = target.host()
    print(f"fastconv {__version__}")
    print(f"python   {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}, "
          f"llvmlite {llvmlite.__version__}")  # fmt: skip
    tiles = "AMX tiles, " if host.amx else ""
    print(f"cpu      {host.name}, {host.isa}, {host.vector_bytes * 8}-bit vectors, {tiles}"
          f"L1 {host.l1 >> 10} KiB, L2 {host.l2 >> 10} KiB")  # fmt: skip
    print(f"threads  {threads.get_num_threads()}, layer {threads.layer()}")
    print(f"cache    {cache.folder() or 'none: compiled code is not kept'}")
    print(f"tuning   {winners.path() or 'none: measured winners are not kept'}")
