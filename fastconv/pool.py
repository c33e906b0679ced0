"""Pools with sliding windows: check the arguments, make a PoolProblem, plan, run.

Every function below hands its arguments to `pooled`, which remembers prepared calls by all that they depend on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import threads
from fastconv.call import Calls
from fastconv.checks import check_array, check_axes, check_same_dtype
from fastconv.codegen.lock import setup
from fastconv.conv import typed
from fastconv.pool_call import PoolCall
from fastconv.pool_problem import PoolProblem, pool_problem

_calls = Calls(512)
_PLAIN = frozenset((int, str, bool, type(None)))


def pooled(prepare: Callable[..., PoolCall], op: str, arrays: tuple, options: tuple, out: Any = None):
    """Run a prepared call; what `prepare(op, arrays, *options)` makes is remembered."""
    try:
        call = _calls[_key(op, arrays, options)]
    except (KeyError, TypeError, AttributeError):
        call = prepare(op, arrays, *options)
        _calls.keep(_key(op, arrays, options), call)
    return call(*arrays, out=out)


def _key(op: str, arrays: tuple, options: tuple) -> tuple:
    """What a prepared call depends on; 1, 1.0 and True are told apart."""
    kinds = tuple(map(type, options))
    options = (options, kinds) if _PLAIN.issuperset(kinds) else tuple(map(typed, options))
    first, *others = arrays
    return (
        op, threads.get_num_threads(), first.shape, first.strides, first.dtype, first.__class__, options,
        *((a.shape, a.dtype, a.__class__) for a in others),
    )  # fmt: skip


def with_batch(array_shape: tuple[int, ...], dims: int) -> tuple[int, ...]:
    """A shape with its batch axis, which may have been left out."""
    return array_shape if len(array_shape) == dims + 2 else (1, *array_shape)


def prepared(problem: PoolProblem, source: np.ndarray) -> PoolCall:
    """Plan a problem on an array like this one."""
    with setup:
        return PoolCall(problem, source)


def forward(op: str, arrays: tuple, kernel_size: Any, *options: Any) -> PoolCall:
    """A call of a pool; the options are named by `NAMES`."""
    x = check_array("x", arrays[0], (int(op[-2]) + 1, int(op[-2]) + 2), integers=op.startswith("max"))
    named = dict(zip(NAMES[op[: op.index("_pool")]], options, strict=True))
    return prepared(problem_of(op, x.shape, kernel_size, dtype=x.dtype, **named), x)


def problem_of(op: str, x_shape: tuple, kernel_size: Any, **options: Any) -> PoolProblem:
    """The problem of a pool on arrays of this shape, with or without a batch axis."""
    return pool_problem(op, with_batch(tuple(x_shape), int(op[-2])), kernel_size, **options)


# The options of each kind of pool after kernel_size, in the order in which they are handed on.
_COMMON = ("layout", "convention")
NAMES = {
    "max": ("stride", "padding", "dilation", "ceil_mode", "indices", *_COMMON),
    "avg": ("stride", "padding", "ceil_mode", "include_pad", "divisor", "dilation", *_COMMON),
    "lp": ("stride", "ceil_mode", "norm", *_COMMON),
    "weighted_avg": ("stride", "padding", "layout"),
}


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, *,
               layout="channels_first", convention="torch", out=None):  # fmt: skip
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, convention)
    return pooled(forward, "max_pool2d", (x,), options, out)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None,
               *, dilation=1, layout="channels_first", convention="torch", out=None):  # fmt: skip
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout,
               convention)  # fmt: skip
    return pooled(forward, "avg_pool2d", (x,), options, out)
