"""What is to be computed: a frozen Problem, and the function that makes one from a caller's arguments."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from fastconv.checks import (
    ITEMSIZE,
    as_activation,
    as_shape,
    as_size,
    as_sizes,
    check_choice,
    dtype_name,
    shown,
)

LAYOUTS = ("channels_first", "channels_last")
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
PADDING_NAMES = ("valid", "same", "same_upper", "same_lower")
PRECISIONS = ("strict", "default", "fast")
PASSES = ("forward", "input_grad", "weight_grad")

Pair = tuple[int, int]

SHORT_DTYPE = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}
SHORT_DTYPE |= {"int8": "i8", "uint8": "u8", "int32": "i32"}  # of max pools
_SHORT_LAYOUT = {"channels_first": "nchw", "channels_last": "nhwc"}


@dataclass(frozen=True, slots=True)
class Problem:
    """All that decides how one operator call is computed, except the values of its arrays."""

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

    @property
    def oh(self) -> int:
        """The output's height."""
        return output_size(self.h, self.r, self.stride[0], self.dilation[0], self.padding[0])

    @property
    def ow(self) -> int:
        """The output's width."""
        return output_size(self.w, self.s, self.stride[1], self.dilation[1], self.padding[1])

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """The input's shape in its layout."""
        return self._shape(self.c, self.h, self.w)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """The weight's shape, which is the same in both layouts."""
        return self.k, self.c // self.groups, self.r, self.s

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """The output's shape in its layout."""
        return self._shape(self.k, self.oh, self.ow)

    @property
    def source_shape(self) -> tuple[int, int, int, int]:
        """The shape of the images that this pass reads, whatever their steps: x, or dy for the input gradient."""
        return self.y_shape if self.pass_ == "input_grad" else self.x_shape

    @property
    def result_shape(self) -> tuple[int, int, int, int]:
        """The shape of what this pass computes."""
        return {"forward": self.y_shape, "input_grad": self.x_shape, "weight_grad": self.weight_shape}[self.pass_]

    def _shape(self, channels: int, height: int, width: int) -> tuple[int, int, int, int]:
        """An image's shape in the layout."""
        if self.layout == "channels_last":
            return self.n, height, width, channels
        return self.n, channels, height, width

    @property
    def flops(self) -> int:
        """Two for every product of the definition, those with the padding included."""
        return 2 * self.n * self.k * self.oh * self.ow * (self.c // self.groups) * self.r * self.s

    @property
    def bytes(self) -> int:
        """The size of x, weight and y together: what must be moved at least."""
        x = self.n * self.c * self.h * self.w
        weight = self.k * (self.c // self.groups) * self.r * self.s
        y = self.n * self.k * self.oh * self.ow
        return (x + weight + y) * ITEMSIZE[self.dtype]

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
    def label(self) -> str:
        """A short text that no other problem has."""
        parts = [
            self.op,
            SHORT_DTYPE[self.dtype],
            _SHORT_LAYOUT[self.layout],
            f"n{self.n}",
            f"c{self.c}",
            f"{self.h}x{self.w}",
            f"k{self.k}",
            f"{self.r}x{self.s}",
            "s" + _joined("x", self.stride),
            "p" + _joined("x", (_joined("-", pair) for pair in self.padding)),
            "d" + _joined("x", self.dilation),
            f"g{self.groups}",
            self.padding_mode if self.padding_mode != "zeros" else "",
            "bias" if self.bias else "",
            "residual" if self.residual else "",
            self.activation or "",
            str(self.slope) if self.activation == "leaky_relu" else "",
            self.precision if self.precision != "default" else "",
            self.pass_ if self.pass_ != "forward" else "",
        ]
        return "_".join(part for part in parts if part)


def _joined(separator: str, values) -> str:
    """The values with a separator between them, or one of them if they are alike."""
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else separator.join(texts)


def output_size(size: int, kernel: int, stride: int, dilation: int, pads: Pair) -> int:
    """How many windows fit on a padded axis; not positive if none does."""
    return (size + sum(pads) - dilation * (kernel - 1) - 1) // stride + 1


def conv2d_problem(
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
) -> Problem:
    """The Problem of a conv2d call; x_shape and residual_shape have their batch axis."""
    op = "conv2d"
    check_choice(f"{op}: layout", layout, LAYOUTS)
    check_choice(f"{op}: padding_mode", padding_mode, PADDING_MODES)
    check_choice(f"{op}: precision", precision, PRECISIONS)
    activation, slope = as_activation(f"{op}: activation", activation)

    x_shape = as_shape(f"{op}: x_shape", x_shape, 4, 0)
    n, c, h, w = x_shape if layout == "channels_first" else (x_shape[axis] for axis in (0, 3, 1, 2))
    k, group_c, r, s = weight_shape = as_shape(f"{op}: weight_shape", weight_shape, 4, 0)
    _check_not_empty(f"{op}: x", {"channels": c, "height": h, "width": w}, x_shape)
    _check_not_empty(
        f"{op}: weight", {"output channels": k, "channels": group_c, "height": r, "width": s}, weight_shape
    )

    groups = as_size(f"{op}: groups", groups, 1)
    if c % groups:
        raise ValueError(f"{op}: groups={groups} must divide x's {c} channels (shape {x_shape}, {layout})")
    if k % groups:
        raise ValueError(f"{op}: groups={groups} must divide weight's {k} output channels (weight.shape[0])")
    if group_c != c // groups:
        raise ValueError(
            f"{op}: weight has {group_c} input channels a group (weight.shape[1]), but x has {c} channels "
            f"and groups={groups}, so it must have {c // groups} (x.shape {x_shape}, {layout})"
        )

    stride = as_sizes(f"{op}: stride", stride, 2, 1)
    dilation = as_sizes(f"{op}: dilation", dilation, 2, 1)
    padding = resolve_padding(op, padding, (h, w), (r, s), stride, dilation)
    if not any(map(any, padding)):
        padding_mode = "zeros"  # with nothing to pad the modes are one problem
    for axis, size, kernel, step, pads in zip(("height", "width"), (h, w), (r, s), dilation, padding, strict=True):
        _check_axis(op, axis, size, kernel, step, pads, padding_mode)

    problem = Problem(
        op,
        *(n, c, h, w, k, r, s),
        stride,
        padding,
        dilation,
        groups,
        padding_mode,
        layout,
        dtype_name(dtype),
        bias_shape is not None,
        residual_shape is not None,
        activation,
        slope,
        precision,
    )
    y_shape = problem.y_shape
    # An empty batch counts as one image, as it does when NumPy makes the array.
    if max(n, 1) * k * problem.oh * problem.ow * ITEMSIZE[problem.dtype] > sys.maxsize:
        raise ValueError(
            f"{op}: x of shape {x_shape} with padding {padding} gives an output of shape {y_shape}, "
            "which is too large to address"
        )
    if bias_shape is not None and tuple(bias_shape) != (k,):
        raise ValueError(f"{op}: bias must have shape {(k,)}, one value an output channel, got {tuple(bias_shape)}")
    if residual_shape is not None and tuple(residual_shape) != y_shape:
        raise ValueError(
            f"{op}: residual must have the output's shape {y_shape} (with a batch axis), got {tuple(residual_shape)}"
        )
    return problem


def _check_not_empty(name: str, axes: dict[str, int], shape: tuple[int, ...]) -> None:
    """No axis but the batch may be empty."""
    for axis, size in axes.items():
        if size == 0:
            raise ValueError(f"{name} has no {axis} (shape {shape}); only x's batch axis may be empty")


def resolve_padding(op: str, padding: Any, sizes: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, ...]:
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
            raise ValueError(
                f"{name} must be an int, {count} ints, {count} (before, after) pairs or one of "
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


def _check_axis(op: str, axis: str, size: int, kernel: int, dilation: int, pads: Pair, padding_mode: str) -> None:
    """One spatial axis's padding must be one that its mode can make, and its kernel must fit."""
    if padding_mode == "reflect" and max(pads) >= size:
        raise ValueError(f"{op}: padding {pads} must be less than x's {axis} {size} with padding_mode='reflect'")
    if padding_mode == "circular" and max(pads) > size:
        raise ValueError(f"{op}: padding {pads} must be at most x's {axis} {size} with padding_mode='circular'")
    padded, span = size + sum(pads), dilation * (kernel - 1) + 1
    if padded > sys.maxsize:
        raise ValueError(f"{op}: padding {pads} makes x's {axis} {padded}, which is too large to address")
    if span > padded:
        raise ValueError(
            f"{op}: weight spans {span} of the {axis} (kernel {kernel}, dilation {dilation}), "
            f"but x has only {padded} ({size} and padding {pads})"
        )
