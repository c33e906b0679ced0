"""What is to be computed: a frozen Problem, and the function that makes one from a caller's arguments."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastconv.checks import (
    ITEMSIZE,
    as_activation,
    as_shape,
    as_size,
    as_sizes,
    check_choice,
    check_not_empty,
    dtype_name,
    shape_of,
    shown,
)

LAYOUTS = ("channels_first", "channels_last")
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
PADDING_NAMES = ("valid", "same", "same_upper", "same_lower")
PRECISIONS = ("strict", "default", "fast")
PASSES = ("forward", "input_grad", "weight_grad")
# A transposed convolution's passes by those of the convolution behind it, and the other way round.
OWN_PASS = {"forward": "input_grad", "input_grad": "forward", "weight_grad": "weight_grad"}

NAMES = "x", "weight"  # what shapes came from, as errors name it
# The spatial axes by their number, as errors name them.
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}

Pair = tuple[int, int]

SHORT_DTYPE = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}
SHORT_DTYPE |= {"int8": "i8", "uint8": "u8", "int32": "i32"}  # of max pools
_SHORT_LAYOUT = {"channels_first": "nchw", "channels_last": "nhwc"}


@dataclass(frozen=True, slots=True)
class Depth:
    """The first spatial axis of volumes."""

    size: int
    kernel: int
    stride: int
    padding: Pair
    dilation: int

    @property
    def outputs(self) -> int:
        """The output's depth."""
        return output_size(self.size, self.kernel, self.stride, self.dilation, self.padding)


@dataclass(frozen=True)
class Borrowed:
    """Which weights (C, K / groups, r, s) of another convolution are one's own: tap `first`, then every `step`-th."""

    r: int
    s: int
    first: Pair
    step: Pair


@dataclass(frozen=True, slots=True)
class Problem:
    """All that decides how one operator call is computed, except the values of its arrays.

    One-dimensional operators have height 1. Only volumes have a depth. Where images are frames of a larger result,
    `frames` says how many planes lie between the channels of an image, and how many between images. `borrowed` weights
    are another convolution's as they lie.
    """

    op: str
    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: Pair
    padding: tuple[Pair, Pair]  # ((top, bottom), (left, right))
    dilation: Pair
    groups: int
    padding_mode: str = "zeros"
    layout: str = "channels_first"
    dtype: str = "float32"
    bias: bool = False
    residual: bool = False
    activation: str | None = None
    slope: float = 0.0
    precision: str = "default"
    pass_: str = "forward"
    depth: Depth | None = None
    frames: Pair | None = None
    borrowed: Borrowed | None = None

    @property
    def spatial(self) -> int:
        """How many spatial axes the operator has."""
        return int(self.op[-2])

    @property
    def flat(self) -> Problem:
        """That of the images of height 1 as which signals are computed; others are as they are."""
        return replace(self, op=self.op.replace("1d", "2d")) if self.spatial == 1 else self

    @property
    def od(self) -> int:
        """The output's depth."""
        return self.depth.outputs if self.depth else 1

    @property
    def oh(self) -> int:
        """The output's height."""
        return output_size(self.h, self.r, self.stride[0], self.dilation[0], self.padding[0])

    @property
    def ow(self) -> int:
        """The output's width."""
        return output_size(self.w, self.s, self.stride[1], self.dilation[1], self.padding[1])

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The input's shape in its layout."""
        return self._shape(self.c, (self.depth and self.depth.size, self.h, self.w))

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The weight's shape, which is the same in all layouts."""
        return self.k, self.c // self.groups, *self._axes((self.depth and self.depth.kernel, self.r, self.s))

    @property
    def y_shape(self) -> tuple[int, ...]:
        """The output's shape in its layout."""
        return self._shape(self.k, (self.od, self.oh, self.ow))

    @property
    def source_shape(self) -> tuple[int, ...]:
        """The shape of the images that this pass reads, whatever their steps: x, or dy for the input gradient."""
        return self.y_shape if self.pass_ == "input_grad" else self.x_shape

    @property
    def result_shape(self) -> tuple[int, ...]:
        """The shape of what this pass computes."""
        return {"forward": self.y_shape, "input_grad": self.x_shape, "weight_grad": self.weight_shape}[self.pass_]

    def steps_between(self, channels: int, height: int, width: int) -> Pair:
        """Elements from one image of a result to the next, and from one channel to the next."""
        between, every = self.frames or (1, channels if self.layout == "channels_first" else 1)
        if self.layout == "channels_last":
            return every * channels * height * width, 1
        return every * height * width, between * height * width

    def _shape(self, channels: int, sizes: tuple) -> tuple[int, ...]:
        """An image's shape in the layout."""
        sizes = self._axes(sizes)
        return (self.n, *sizes, channels) if self.layout == "channels_last" else (self.n, channels, *sizes)

    def _axes(self, values: tuple) -> tuple:
        """What the operator has of three values: for depth, height and width."""
        return values[3 - self.spatial :]

    @property
    def flops(self) -> int:
        """Two for every product of the definition, those with the padding included."""
        return 2 * self.n * self.od * self.oh * self.ow * math.prod(self.weight_shape)

    @property
    def bytes(self) -> int:
        """The size of x, weight and y together: what must be moved at least."""
        return sum(map(math.prod, (self.x_shape, self.weight_shape, self.y_shape))) * ITEMSIZE[self.dtype]

    @property
    def itemsize(self) -> int:
        """Bytes of one stored element."""
        return ITEMSIZE[self.dtype]

    @property
    def padding_zero(self) -> bool:
        """Whether nothing is padded."""
        return self.padding == ((0, 0), (0, 0))

    @property
    def depthwise(self) -> bool:
        """Whether every group has one input channel, and there is more than one group."""
        return self.groups > 1 and self.c == self.groups

    @property
    def transposed(self) -> bool:
        """Whether the operator computes this convolution's input gradient; see `transposed`."""
        return self.op.startswith("conv_transpose")

    @property
    def own_pass(self) -> str:
        """The pass as the operator calls it."""
        return OWN_PASS[self.pass_] if self.transposed else self.pass_

    @property
    def label(self) -> str:
        """A short text that no other problem has."""
        d = self.depth

        def axes(depth, values):
            return self._axes((depth, *values))

        def joined(depth, values):
            return "x".join(map(str, axes(depth, values)))

        x, y = (f"c{self.c}", joined(d and d.size, (self.h, self.w))), (f"k{self.k}",)
        pads = [_joined("-", pair) for pair in axes(d and d.padding, self.padding)]
        if self.transposed:  # the output's size says how much is cut off at the end
            x, y = (f"c{self.k}", joined(self.od, (self.oh, self.ow))), (f"k{self.c}", x[1])
            pads = [str(pair[0]) for pair in axes(d and d.padding, self.padding)]
        parts = [
            self.op,
            SHORT_DTYPE[self.dtype],
            _SHORT_LAYOUT[self.layout],
            f"n{self.n}",
            *x,
            *y,
            joined(d and d.kernel, (self.r, self.s)),
            "s" + _joined("x", axes(d and d.stride, self.stride)),
            "p" + _joined("x", pads),
            "d" + _joined("x", axes(d and d.dilation, self.dilation)),
            f"g{self.groups}",
            self.padding_mode if self.padding_mode != "zeros" else "",
            "bias" if self.bias else "",
            "residual" if self.residual else "",
            self.activation or "",
            str(self.slope) if self.activation == "leaky_relu" else "",
            self.precision if self.precision != "default" else "",
            self.own_pass if self.own_pass != "forward" else "",
            "frames{}x{}".format(*self.frames) if self.frames else "",
        ]
        return "_".join(part for part in parts if part)


def _joined(separator: str, values) -> str:
    """The values with a separator between them, or one of them if they are alike."""
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else separator.join(texts)


def output_size(size: int, kernel: int, stride: int, dilation: int, pads: Pair) -> int:
    """How many windows fit on a padded axis; not positive if none does."""
    return (size + sum(pads) - dilation * (kernel - 1) - 1) // stride + 1


def conv_problem(
    op: str,
    x_shape: Any,
    weight_shape: Any,
    *,
    dtype: Any,
    bias_shape: tuple[int, ...] | None = None,
    residual_shape: tuple[int, ...] | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    padding_mode: str = "zeros",
    layout: str = "channels_first",
    activation: Any = None,
    precision: str = "default",
    names: tuple[str, str] = NAMES,
) -> Problem:
    """The Problem of a call of conv1d, conv2d or conv3d; x_shape, which came from the first of `names`, and
    residual_shape have their batch axis."""
    check_choice(f"{op}: layout", layout, LAYOUTS)
    check_choice(f"{op}: padding_mode", padding_mode, PADDING_MODES)
    check_choice(f"{op}: precision", precision, PRECISIONS)
    activation, slope = as_activation(f"{op}: activation", activation)

    count = int(op[-2])
    axes = AXES[count]
    x_shape = as_shape(f"{op}: x_shape", x_shape, count + 2, 0)
    n, c, *sizes = x_shape if layout == "channels_first" else (x_shape[0], x_shape[-1], *x_shape[1:-1])
    k, group_c, *kernel = weight_shape = as_shape(f"{op}: weight_shape", weight_shape, count + 2, 0)
    x, weight = names
    check_not_empty(f"{op}: {x}", {"channels": c, **dict(zip(axes, sizes, strict=True))}, x_shape)
    named = {"output channels": k, "channels": group_c, **dict(zip(axes, kernel, strict=True))}
    check_not_empty(f"{op}: {weight}", named, weight_shape)

    groups = as_size(f"{op}: groups", groups, 1)
    if c % groups:
        raise ValueError(f"{op}: groups={groups} must divide {x}'s {c} channels (shape {x_shape}, {layout})")
    if k % groups:
        raise ValueError(f"{op}: groups={groups} must divide {weight}'s {k} output channels ({shape_of(weight)}[0])")
    if group_c != c // groups:
        raise ValueError(
            f"{op}: {weight} has {group_c} input channels a group ({shape_of(weight)}[1]), but {x} has {c} channels "
            f"and groups={groups}, so it must have {c // groups} ({shape_of(x)} {x_shape}, {layout})"
        )

    stride = as_sizes(f"{op}: stride", stride, count, 1)
    dilation = as_sizes(f"{op}: dilation", dilation, count, 1)
    padding = resolve_padding(op, padding, sizes, kernel, stride, dilation)
    if not any(map(any, padding)):
        padding_mode = "zeros"  # with nothing to pad the modes are one problem
    for axis in zip(axes, sizes, kernel, dilation, padding, strict=True):
        _check_axis(op, names, *axis, padding_mode)
    # Where they make no difference, strides and dilations may be any number: keep them small enough to compute with.
    stride = tuple(min(step, size + sum(pads)) for step, size, pads in zip(stride, sizes, padding, strict=True))
    dilation = tuple(step if taps > 1 else 1 for step, taps in zip(dilation, kernel, strict=True))

    def plane(values, missing):
        """Those of height and width."""
        return (missing, *values)[-2:]

    problem = Problem(
        op,
        *(n, c, *plane(sizes, 1), k, *plane(kernel, 1)),
        plane(stride, 1),
        plane(padding, (0, 0)),
        plane(dilation, 1),
        groups,
        padding_mode,
        layout,
        dtype_name(dtype),
        bias_shape is not None,
        residual_shape is not None,
        activation,
        slope,
        precision,
        depth=Depth(sizes[0], kernel[0], stride[0], padding[0], dilation[0]) if count == 3 else None,
    )
    y_shape = problem.y_shape
    # An empty batch counts as one image, as it does when NumPy makes the array.
    if max(n, 1) * k * problem.od * problem.oh * problem.ow * ITEMSIZE[problem.dtype] > sys.maxsize:
        raise ValueError(
            f"{op}: {shape_of(x)} {x_shape} with padding {padding} gives an output of shape {y_shape}, "
            "which is too large to address"
        )
    if bias_shape is not None and tuple(bias_shape) != (k,):
        raise ValueError(f"{op}: bias must have shape {(k,)}, one value an output channel, got {tuple(bias_shape)}")
    if residual_shape is not None and tuple(residual_shape) != y_shape:
        raise ValueError(
            f"{op}: residual must have the output's shape {y_shape} (with a batch axis), got {tuple(residual_shape)}"
        )
    return problem


conv2d_problem = functools.partial(conv_problem, "conv2d")


def resolve_padding(
    op: str, padding: Any, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Pair, ...]:
    """(before, after) for each spatial axis, from any form of the `padding` argument."""
    name, count = f"{op}: padding", len(sizes)
    if isinstance(padding, str):
        check_choice(name, padding, PADDING_NAMES)
        if padding == "valid":
            return ((0, 0),) * count
        axes = zip(sizes, kernel, stride, dilation, strict=True)
        return tuple(_same(*axis, at_end=padding != "same_lower") for axis in axes)
    if isinstance(padding, (tuple, list)):
        pairs = [isinstance(entry, (tuple, list)) for entry in padding]
        if len(padding) != count or any(pairs) != all(pairs):
            more = "s" * (count > 1)
            raise ValueError(
                f"{name} must be an int, {count} int{more}, {count} (before, after) pair{more} or one of "
                f"{', '.join(map(repr, PADDING_NAMES))}, got {shown(padding)}"
            )
        if all(pairs):
            return tuple(as_shape(f"{name}[{axis}]", pair, 2, 0) for axis, pair in enumerate(padding))
    return tuple((size, size) for size in as_sizes(name, padding, count, 0))


def _same(size: int, kernel: int, stride: int, dilation: int, *, at_end: bool) -> Pair:
    """The padding that gives ceil(size / stride) outputs; an odd element goes to the end or to the start."""
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + dilation * (kernel - 1) + 1 - size)
    less, more = total // 2, total - total // 2
    return (less, more) if at_end else (more, less)


def _check_axis(op: str, names: tuple, axis: str, size: int, kernel: int, dilation: int, pads: Pair, mode: str) -> None:
    """One spatial axis's padding must be one that its mode can make, and its kernel must fit."""
    x, weight = names
    if mode == "reflect" and max(pads) >= size:
        raise ValueError(f"{op}: padding {pads} must be less than {x}'s {axis} {size} with padding_mode='reflect'")
    if mode == "circular" and max(pads) > size:
        raise ValueError(f"{op}: padding {pads} must be at most {x}'s {axis} {size} with padding_mode='circular'")
    padded, span = size + sum(pads), dilation * (kernel - 1) + 1
    if padded > sys.maxsize:
        raise ValueError(f"{op}: padding {pads} makes {x}'s {axis} {padded}, which is too large to address")
    if span > padded:
        raise ValueError(
            f"{op}: {weight} spans {span} of the {axis} (kernel {kernel}, dilation {dilation}), "
            f"but {x} has only {padded} ({size} and padding {pads})"
        )
