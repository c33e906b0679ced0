"""What a pool is to compute: a frozen PoolProblem, and the function that makes one from a caller's arguments."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

from fastconv.checks import ITEMSIZE, as_shape, as_size, as_sizes, check_bool, check_choice, dtype_name, shown
from fastconv.problem.conv import LAYOUTS, SHORT_DTYPE, resolve_padding
from fastconv.problem.pool_axes import ONE, Axis, Parts, axis_in_parts

CONVENTIONS = ("torch", "onnx")
AXES = ("depth", "height", "width")
KINDS = ("max", "avg", "lp", "weighted_avg")  # of pools whose windows slide
KINDS_IN_PARTS = ("adaptive_max", "adaptive_avg")  # of those that divide their axes
OPS = tuple(f"{kind}_pool{dims}d" for kind in (*KINDS, *KINDS_IN_PARTS) for dims in (1, 2, 3))
Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class PoolProblem:
    """All that decides how a pool, or its gradient, is computed, except the values of its arrays.

    There are always three axes; the first ones of a one- or two-dimensional pool have one element.
    """

    op: str
    n: int
    c: int
    axes: tuple[Axis, Axis, Axis]
    layout: str = "channels_first"
    dtype: str = "float32"
    indices: bool = False  # whether the positions of maxima are returned
    include_pad: bool = True
    divisor: int | None = None
    norm: float = 0.0
    convention: str = "torch"
    pass_: str = "forward"

    @property
    def flat(self) -> PoolProblem:
        """As algorithms take it."""
        return self

    @property
    def own_pass(self) -> str:
        """The pass as the operator calls it."""
        return self.pass_

    @property
    def dims(self) -> int:
        """Spatial axes that the caller's arrays have."""
        return int(self.op[-2])

    @property
    def kind(self) -> str:
        """What the windows compute: "max", "avg", "lp" or "weighted_avg"."""
        return self.op[: self.op.index("_pool")].removeprefix("adaptive_")

    @property
    def one_window(self) -> bool:
        """Whether a single window has all elements of a plane."""
        return all(axis.out == 1 and axis.inside()[0] == axis.size for axis in self.axes)

    @property
    def in_parts(self) -> bool:
        """Whether windows along some axis are not alike."""
        return any(isinstance(axis, Parts) for axis in self.axes)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The pool's input, in its layout."""
        return self._shape([axis.size for axis in self.axes])

    @property
    def y_shape(self) -> tuple[int, ...]:
        """The pool's output, in its layout."""
        return self._shape([axis.out for axis in self.axes])

    @property
    def source_shape(self) -> tuple[int, ...]:
        """What this pass reads: x, or dy."""
        return self.x_shape if self.pass_ == "forward" else self.y_shape

    @property
    def result_shape(self) -> tuple[int, ...]:
        """What this pass computes: y, or dx."""
        return self.y_shape if self.pass_ == "forward" else self.x_shape

    def _shape(self, sizes: list[int]) -> tuple[int, ...]:
        """An image's shape in the layout."""
        return joined_shape(self.n, self.c, sizes[-self.dims :], self.layout)

    @property
    def plane(self) -> int:
        """Elements of one channel of one image of x."""
        return math.prod(axis.size for axis in self.axes)

    @property
    def outputs(self) -> int:
        """Elements of one channel of one image of y."""
        return math.prod(axis.out for axis in self.axes)

    @property
    def taps(self) -> int:
        """Elements of a window."""
        return math.prod(axis.kernel for axis in self.axes)

    @property
    def flops(self) -> int:
        """One for every element of every window."""
        return self.n * self.c * self.outputs * self.taps

    @property
    def bytes(self) -> int:
        """The size of what must be moved at least: what is read and written, and indices."""
        moved = self.plane + self.outputs * (3 if self.kind == "lp" and self.pass_ == "backward" else 1)
        return self.n * self.c * (moved * self.itemsize + 8 * self.outputs * self.indices)

    @property
    def itemsize(self) -> int:
        """Bytes of one stored element."""
        return ITEMSIZE[self.dtype]

    @property
    def label(self) -> str:
        """A short text that no other problem has."""
        axes = self.axes[-self.dims :]

        def joined(name: str) -> str:
            texts = [str(getattr(axis, name)) for axis in axes]
            return texts[0] if len(set(texts)) == 1 else "x".join(texts)

        pads = [str(a.before) if a.before == a.after else f"{a.before}-{a.after}" for a in axes]
        form = "cl" if self.layout == "channels_last" else "cf"
        parts = [
            self.op, SHORT_DTYPE[self.dtype], form, f"n{self.n}", f"c{self.c}", "x".join(str(a.size) for a in axes),
            "to" + "x".join(str(a.out) for a in axes), "k" + joined("kernel"), "s" + joined("stride"),
            "p" + (pads[0] if len(set(pads)) == 1 else "x".join(pads)), "d" + joined("dilation"),
            "indices" if self.indices else "", "" if self.include_pad else "inside",
            f"by{self.divisor}" if self.divisor is not None else "", f"norm{self.norm:g}" if self.norm else "",
            self.convention if self.convention != "torch" else "", self.pass_ if self.pass_ != "forward" else "",
        ]  # fmt: skip
        return "_".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class PoolSteps:
    """Bytes from one element of the array that a pass reads to the next along each axis."""

    n: int
    c: int
    d: int
    h: int
    w: int


def contiguous_steps(problem: PoolProblem) -> PoolSteps:
    """The steps of a C-contiguous source."""
    steps, at = [], problem.itemsize
    for size in reversed(problem.source_shape):
        steps.insert(0, at)
        at *= size
    return steps_along(problem, tuple(steps))


def steps_along(problem: PoolProblem, strides: tuple[int, ...]) -> PoolSteps:
    """The strides of an array with a batch axis, by the name of the axis."""
    n, *rest = strides
    *spatial, c = rest if problem.layout == "channels_last" else (*rest[1:], rest[0])
    return PoolSteps(n, c, *(0,) * (3 - problem.dims), *spatial)


def pool_problem(
    op: str, x_shape: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: Any = False, *, dtype: Any, indices: Any = False, include_pad: Any = True, divisor: Any = None,
    norm: Any = None, layout: str = "channels_first", convention: str = "torch",
) -> PoolProblem:  # fmt: skip
    """The Problem of a pool with sliding windows; x_shape has its batch axis."""
    dims, kind = int(op[-2]), op[: op.index("_pool")]
    check_choice(f"{op}: convention", convention, CONVENTIONS)
    name = dtype_name(dtype, integers=kind == "max")
    n, c, sizes = split_shape(op, "x_shape", x_shape, dims, layout)
    kernel = as_sizes(f"{op}: {'window' if kind == 'weighted_avg' else 'kernel_size'}", kernel_size, dims, 1)
    stride = kernel if stride is None else as_sizes(f"{op}: stride", stride, dims, 1)
    dilation = as_sizes(f"{op}: dilation", dilation, dims, 1)
    pads = resolve_padding(op, padding, sizes, kernel, stride, dilation)
    check_bool(f"{op}: ceil_mode", ceil_mode)
    check_bool(f"{op}: return_indices", indices)
    check_bool(f"{op}: count_include_pad", include_pad)
    axes = tuple(
        _axis(op, convention, kind, bool(ceil_mode), *given)
        for given in zip(AXES[-dims:], sizes, kernel, stride, dilation, pads, strict=True)
    )
    if divisor is not None:
        divisor = as_size(f"{op}: divisor_override", divisor, -sys.maxsize)
        if divisor == 0:
            raise ValueError(f"{op}: divisor_override must not be zero")
    problem = PoolProblem(
        op, n, c, (ONE,) * (3 - dims) + axes, layout, name, bool(indices),
        # Where no window leaves the axis, both ways to count are one problem.
        bool(include_pad) or all(axis.whole for axis in axes), divisor,
        _norm(f"{op}: norm_type", norm) if kind == "lp" else 0.0,
        convention if kind == "lp" or indices else "torch",
    )  # fmt: skip
    return check_addressable(problem)


def adaptive_problem(
    op: str, x_shape: Any, output_size: Any, *, dtype: Any, indices: Any = False, layout: str = "channels_first"
) -> PoolProblem:
    """The Problem of an adaptive pool; x_shape has its batch axis."""
    dims, name = int(op[-2]), f"{op}: output_size"
    n, c, sizes = split_shape(op, "x_shape", x_shape, dims, layout)
    if not isinstance(output_size, (tuple, list)):
        output_size = (output_size,) * dims
    if len(output_size) != dims:
        raise ValueError(f"{name} must have {dims} entries, got {len(output_size)}: {tuple(output_size)}")
    axes = tuple(
        axis_in_parts(size, size if out is None else as_size(f"{name}[{i}]", out, 1, "an int or None"))
        for i, (size, out) in enumerate(zip(sizes, output_size, strict=True))
    )
    check_bool(f"{op}: return_indices", indices)
    kind_max = op.startswith("adaptive_max")
    problem = PoolProblem(
        op, n, c, (ONE,) * (3 - dims) + axes, layout, dtype_name(dtype, integers=kind_max), bool(indices)
    )
    return check_addressable(problem)


def check_addressable(problem: PoolProblem) -> PoolProblem:
    """A result must not be larger than memory can be."""
    if max(problem.n, 1) * problem.c * max(problem.outputs, problem.plane) * 8 > sys.maxsize:
        raise ValueError(
            f"{problem.op}: x of shape {problem.x_shape} and an output of shape {problem.y_shape} are too large "
            "to address"
        )
    return problem


def split_shape(op: str, name: str, shape: Any, dims: int, layout: str) -> tuple[int, int, tuple[int, ...]]:
    """(batch, channels, spatial sizes) of a shape with a batch axis; only the batch may be empty."""
    check_choice(f"{op}: layout", layout, LAYOUTS)
    n, *rest = as_shape(f"{op}: {name}", shape, dims + 2, 0)
    *sizes, c = rest if layout == "channels_last" else (*rest[1:], rest[0])
    for axis, size in zip((*AXES[-dims:], "channels"), (*sizes, c), strict=True):
        if size == 0:
            raise ValueError(
                f"{op}: {name.removesuffix('_shape')} has no {axis} (shape {tuple(shape)}); only the batch axis may be "
                "empty"
            )
    return n, c, tuple(sizes)


def joined_shape(n: int, c: int, sizes: Any, layout: str) -> tuple[int, ...]:
    """The shape of images in a layout."""
    return (n, *sizes, c) if layout == "channels_last" else (n, c, *sizes)


def _norm(name: str, value: Any) -> float:
    """A norm's exponent: any real number but zero and NaN."""
    if isinstance(value, bool) or not hasattr(value, "__float__") or hasattr(value, "__len__"):
        raise TypeError(f"{name} must be a real number, not {shown(value)}")
    try:
        norm = float(value)
    except OverflowError:
        norm = math.nan
    if norm == 0 or math.isnan(norm) or norm == -math.inf:
        raise ValueError(f"{name} must be a number other than zero, or inf, got {shown(value)}")
    return norm


def _axis(op: str, convention: str, kind: str, ceil: bool, name: str, size: int, kernel: int, stride: int,
          dilation: int, pads: tuple[int, int]) -> Axis:  # fmt: skip
    """One axis with its number of windows, as both conventions have it."""
    before, after = pads
    span = (kernel - 1) * dilation + 1
    if max(size + before + after, span) * 64 > sys.maxsize:  # with room for the bytes of an element and of a vector
        raise ValueError(f"{op}: a window of {span} on {size} and padding {pads} is too large to address")
    if convention == "torch" and kind != "weighted_avg" and max(pads) > span // 2:
        raise ValueError(
            f"{op}: padding {pads} must be at most half the window, {span // 2} of {span} along the {name} "
            "(convention='onnx' takes any)"
        )
    room = size + before + after - span
    out = (room + (stride - 1 if ceil else 0)) // stride + 1
    if ceil:
        out = min(out, -(-(size + before) // stride))  # none starts in the border behind, or beyond it
    if out < 1:
        raise ValueError(
            f"{op}: a window spans {span} of the {name} (kernel {kernel}, dilation {dilation}), but x has only "
            f"{size + before + after} ({size} and padding {pads})"
        )
    return Axis(size, out, kernel, stride, dilation, before, after)


def max_gradient_problem(op: str, x_shape: Any, y_shape: Any, *, dtype: Any, layout: str) -> PoolProblem:
    """The Problem of a max pool's gradient, which needs no windows; both shapes have their batch axis."""
    dims = int(op[-2])
    n, c, sizes = split_shape(op, "input_shape", x_shape, dims, layout)
    m, k, outs = split_shape(op, "grad_output's shape", y_shape, dims, layout)
    if (n, c) != (m, k):
        raise ValueError(
            f"{op}: grad_output of shape {tuple(y_shape)} and input_shape {tuple(x_shape)} must agree in batch and "
            f"channels ({layout})"
        )
    axes = tuple(Axis(size, out) for size, out in zip(sizes, outs, strict=True))
    problem = PoolProblem(op, n, c, (ONE,) * (3 - dims) + axes, layout, dtype_name(dtype), pass_="backward")
    return check_addressable(problem)


def gradient_of(problem: PoolProblem) -> PoolProblem:
    """The problem of a pool's gradient with respect to its input; averages of one element each are their own."""
    alone = all((axis.kernel, axis.stride, axis.out) == (1, 1, axis.size) for axis in problem.axes)
    if alone and problem.kind == "avg":
        return problem
    return replace(problem, pass_="backward")
