"""Pools with sliding windows: check the arguments, make a PoolProblem, plan, run.

Every function below hands its arguments to `pooled`, which remembers prepared calls by all that they depend on.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from operator import is_
from typing import Any

import numpy as np

from fastconv import threads
from fastconv.call import Calls
from fastconv.checks import as_sequence, check_array, check_same_dtype
from fastconv.codegen.lock import setup
from fastconv.operators.conv import typed
from fastconv.operators.docs import pool as pool_docs
from fastconv.pool_call import PoolCall
from fastconv.problem.pool import PoolProblem, adaptive_problem, gradient_of, max_gradient_problem, pool_problem

_calls = Calls(512)  # with the options that each was prepared for, and their types


def pooled(prepare: Callable[..., PoolCall], op: str, arrays: tuple, options: tuple, out: Any = None):
    """Run a prepared call; what `prepare(op, arrays, *options)` makes is remembered."""
    call = _known(prepare, op, arrays, options)
    if call is None:
        hashable = _hashable(options)
        call = _known(prepare, op, arrays, hashable)
        if call is None:
            call = prepare(op, arrays, *options)
            _calls.keep(_key(prepare, op, arrays, hashable), (hashable, _exact(hashable), call))
    return call(*arrays, out=out)


def _known(prepare: Callable, op: str, arrays: tuple, options: tuple) -> PoolCall | None:
    """A call that was prepared before."""
    try:
        known, exact, call = _calls[_key(prepare, op, arrays, options)]
    except (KeyError, TypeError, AttributeError):  # new, or has lists, which have no hash, or not an array
        return None
    # 1, 1.0 and True are equal. To look at types takes 0.7 us, a fifth of a call on a few thousand elements; the same
    # objects need no look.
    return call if all(map(is_, options, known)) or _exact(options) == exact else None


def _key(prepare: Callable, op: str, arrays: tuple, options: tuple) -> tuple:
    """What a prepared call depends on, but for the types of its options."""
    first = arrays[0]
    key = (prepare, op, threads.get_num_threads(), first.shape, first.strides, first.dtype, first.__class__, options)
    return key if len(arrays) == 1 else (*key, *((a.shape, a.dtype, a.__class__) for a in arrays[1:]))


def _hashable(options: tuple) -> tuple:
    """Options as a key may have them."""
    try:
        hash(options)
    except TypeError:
        return tuple(map(typed, options))
    return options


def _exact(options: tuple) -> tuple:
    """The types of options and of their parts; where parts have parts, with their values."""
    kinds = tuple(map(type, options))
    inner = tuple(map(type, chain.from_iterable([o for o in options if o.__class__ is tuple])))
    return tuple(map(typed, options)) if tuple in inner else (kinds, inner)


def with_batch(array_shape: tuple[int, ...], dims: int) -> tuple[int, ...]:
    """A shape with its batch axis, which may have been left out."""
    return array_shape if len(array_shape) == dims + 2 else (1, *array_shape)


def prepared(problem: PoolProblem, source: np.ndarray) -> PoolCall:
    """Plan a problem on an array like this one."""
    with setup:
        return PoolCall(problem, source)


def documented(text: str, *functions: Callable) -> None:
    """Give a pool's functions for one, two and three dimensions what they have in common to say."""
    for dims, function in enumerate(functions, 1):
        sizes, outs = "D, H, W"[-3 * dims + 2 :], "OD, OH, OW"[-4 * dims + 2 :]
        words = {
            "@first": f"(N, C, {sizes})", "@last": f"(N, {sizes}, C)", "@out_first": f"(N, C, {outs})",
            "@out_last": f"(N, {outs}, C)", "@ints": ("int", "int or two ints", "int or three ints")[dims - 1],
            "@window": f"({('KD, KH, KW')[-4 * dims + 2 :]}{',' if dims == 1 else ''})",
            "@tuple": f"tuple of {dims + 2} int, or one less",
        }  # fmt: skip
        filled = text
        for word in sorted(words, key=len, reverse=True):
            filled = filled.replace(word, words[word])
        function.__doc__ = filled


def forward(op: str, arrays: tuple, kernel_size: Any, *options: Any) -> PoolCall:
    """A call of a pool; the options are named by `NAMES`."""
    kind, dims = op[: op.index("_pool")], int(op[-2])
    x = check_array("x", arrays[0], (dims + 1, dims + 2), integers=kind == "max")
    if kind == "weighted_avg":
        kernel_size = window_size(arrays[1], dims)
        check_same_dtype(x, arrays[1], names=("x", "window"))
    named = dict(zip(NAMES[kind], options, strict=True))
    return prepared(problem_of(op, x.shape, kernel_size, dtype=x.dtype, **named), x)


def window_size(window: Any, dims: int) -> tuple[int, ...]:
    """The kernel's size of a weighted pool."""
    shape = check_array("window", window, dims).shape
    if 0 in shape:
        raise ValueError(f"window must not be empty, got shape {shape}")
    return shape


def problem_of(op: str, x_shape: tuple, kernel_size: Any, **options: Any) -> PoolProblem:
    """The problem of a pool on arrays of this shape, with or without a batch axis."""
    return pool_problem(op, with_batch(tuple(x_shape), int(op[-2])), kernel_size, **options)


# What public names are called in a problem.
_INSIDE = {"return_indices": "indices", "count_include_pad": "include_pad", "divisor_override": "divisor",
           "norm_type": "norm"}  # fmt: skip


def explained(op: str, pass_: str, x_shape: Any, kernel_size: Any, dtype: Any, options: dict[str, Any]) -> PoolProblem:
    """The problem that shapes and a pool's own options describe; kernel_size is an adaptive
    pool's output_size, and y's shape for a max pool's gradient."""
    dims = int(op[-2])
    if "max" in op and pass_ == "backward":
        _check_known(op, options, {"layout"})
        shapes = with_batch(x_shape, dims), with_batch(as_sequence("y's shape", kernel_size), dims)
        return max_gradient_problem(op, *shapes, dtype=dtype, **{"layout": "channels_first", **options})
    if op.startswith("adaptive"):
        _check_known(op, options, {"layout", "return_indices"} if "max" in op else {"layout"})
        named = {_INSIDE.get(name, name): value for name, value in options.items()}
        problem = adaptive_problem(op, with_batch(x_shape, dims), kernel_size, dtype=dtype, **named)
        return problem if pass_ == "forward" else gradient_of(problem)
    if isinstance(kernel_size, (tuple, list)) and len(kernel_size) == 1:
        (kernel_size,) = kernel_size  # as the command line has it
    named = {_INSIDE.get(name, name): value for name, value in options.items()}
    _check_known(op, options, {public_name(name) for name in NAMES[op[: op.index("_pool")]]})
    problem = problem_of(op, x_shape, kernel_size, dtype=dtype, **named)
    return problem if pass_ == "forward" else gradient_of(problem)


def _check_known(op: str, options: dict[str, Any], known: set[str]) -> None:
    """No option but those that the pool has."""
    if not set(options) <= known:
        raise TypeError(f"{op}: has no option {', '.join(sorted(set(options) - known))}")


def public_name(inside: str) -> str:
    """A problem's option, as callers know it."""
    return next((public for public, name in _INSIDE.items() if name == inside), inside)


# The options of each kind of pool after kernel_size, in the order in which they are handed on.
_COMMON = ("layout", "convention")
NAMES = {
    "max": ("stride", "padding", "dilation", "ceil_mode", "indices", *_COMMON),
    "avg": ("stride", "padding", "ceil_mode", "include_pad", "divisor", "dilation", *_COMMON),
    "lp": ("stride", "ceil_mode", "norm", *_COMMON),
    "weighted_avg": ("stride", "padding", "layout"),
}


def max_pool1d(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False, *, layout: str = "channels_first",
               convention: str = "torch", out: np.ndarray | None = None):  # fmt: skip
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, convention)
    return pooled(forward, "max_pool1d", (x,), options, out)


def max_pool2d(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False, *, layout: str = "channels_first",
               convention: str = "torch", out: np.ndarray | None = None):  # fmt: skip
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, convention)
    return pooled(forward, "max_pool2d", (x,), options, out)


def max_pool3d(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False, *, layout: str = "channels_first",
               convention: str = "torch", out: np.ndarray | None = None):  # fmt: skip
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, convention)
    return pooled(forward, "max_pool3d", (x,), options, out)


documented(pool_docs.MAX, max_pool1d, max_pool2d, max_pool3d)


def avg_pool1d(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None, *, dilation: Any = 1,
               layout: str = "channels_first", convention: str = "torch",
               out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout,
               convention)  # fmt: skip
    return pooled(forward, "avg_pool1d", (x,), options, out)


def avg_pool2d(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None, *, dilation: Any = 1,
               layout: str = "channels_first", convention: str = "torch",
               out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout,
               convention)  # fmt: skip
    return pooled(forward, "avg_pool2d", (x,), options, out)


def avg_pool3d(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None, *, dilation: Any = 1,
               layout: str = "channels_first", convention: str = "torch",
               out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, layout,
               convention)  # fmt: skip
    return pooled(forward, "avg_pool3d", (x,), options, out)


documented(pool_docs.AVG, avg_pool1d, avg_pool2d, avg_pool3d)


def lp_pool1d(x: np.ndarray, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False, *,
              layout: str = "channels_first", convention: str = "torch",
              out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (kernel_size, stride, ceil_mode, norm_type, layout, convention)
    return pooled(forward, "lp_pool1d", (x,), options, out)


def lp_pool2d(x: np.ndarray, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False, *,
              layout: str = "channels_first", convention: str = "torch",
              out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (kernel_size, stride, ceil_mode, norm_type, layout, convention)
    return pooled(forward, "lp_pool2d", (x,), options, out)


def lp_pool3d(x: np.ndarray, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False, *,
              layout: str = "channels_first", convention: str = "torch",
              out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    options = (kernel_size, stride, ceil_mode, norm_type, layout, convention)
    return pooled(forward, "lp_pool3d", (x,), options, out)


documented(pool_docs.LP, lp_pool1d, lp_pool2d, lp_pool3d)


def weighted_avg_pool1d(x: np.ndarray, window: np.ndarray, stride: Any = None, padding: Any = 0, *,
                        layout: str = "channels_first", out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(forward, "weighted_avg_pool1d", (x, window), (None, stride, padding, layout), out)


def weighted_avg_pool2d(x: np.ndarray, window: np.ndarray, stride: Any = None, padding: Any = 0, *,
                        layout: str = "channels_first", out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(forward, "weighted_avg_pool2d", (x, window), (None, stride, padding, layout), out)


def weighted_avg_pool3d(x: np.ndarray, window: np.ndarray, stride: Any = None, padding: Any = 0, *,
                        layout: str = "channels_first", out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    return pooled(forward, "weighted_avg_pool3d", (x, window), (None, stride, padding, layout), out)


documented(pool_docs.WEIGHTED, weighted_avg_pool1d, weighted_avg_pool2d, weighted_avg_pool3d)
