"""A convolution problem: every size that decides how it is computed, checked and frozen."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from fastconv.checks import activation_of, dims, ints, pads

LAYOUTS = ("channels_first", "channels_last")
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
PRECISIONS = ("strict", "default", "fast")
ITEMSIZE = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
SHORT = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}

Pair = tuple[int, int]


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: Pair) -> int:
    """How many windows fit on an axis."""
    return (size + sum(padding) - (kernel - 1) * dilation - 1) // stride + 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One convolution, whatever its arrays hold; sizes are the input's n, c, h, w and the output channels k."""

    op: str
    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: Pair
    padding: tuple[Pair, Pair]
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
        """Output height."""
        return output_size(self.h, self.r, self.stride[0], self.dilation[0], self.padding[0])

    @property
    def ow(self) -> int:
        """Output width."""
        return output_size(self.w, self.s, self.stride[1], self.dilation[1], self.padding[1])

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The input's shape, with its batch axis."""
        return self._shape(self.c, self.h, self.w)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The weight's shape, the same in both layouts."""
        return (self.k, self.c // self.groups, self.r, self.s)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """The output's shape, with its batch axis."""
        return self._shape(self.k, self.oh, self.ow)

    def _shape(self, channels: int, height: int, width: int) -> tuple[int, ...]:
        if self.layout == "channels_last":
            return (self.n, height, width, channels)
        return (self.n, channels, height, width)

    @property
    def flops(self) -> int:
        """Two for each product of the definition, those with the padding included."""
        return 2 * self.n * self.k * self.oh * self.ow * (self.c // self.groups) * self.r * self.s

    @property
    def bytes(self) -> int:
        """Input, weight and output once."""
        x = self.n * self.c * self.h * self.w
        w = self.k * (self.c // self.groups) * self.r * self.s
        return (x + w + self.n * self.k * self.oh * self.ow) * ITEMSIZE[self.dtype]

    @property
    def itemsize(self) -> int:
        """Bytes of one stored element."""
        return ITEMSIZE[self.dtype]

    @property
    def unpadded(self) -> bool:
        """Whether every window lies inside the input."""
        return self.padding == ((0, 0), (0, 0))

    @property
    def depthwise(self) -> bool:
        """Whether each group is one input channel."""
        return self.c == self.groups

    @property
    def label(self) -> str:
        """A short text that tells this problem from others."""
        layout = "nhwc" if self.layout == "channels_last" else "nchw"
        (t, b), (left, right) = self.padding
        extras = [word for word, on in (("bias", self.bias), ("residual", self.residual)) if on]
        extras += [self.activation] if self.activation else []
        extras += [self.padding_mode] if self.padding_mode != "zeros" else []
        return "_".join(
            [
                self.op, SHORT[self.dtype], layout, f"n{self.n}", f"c{self.c}", f"{self.h}x{self.w}", f"k{self.k}",
                f"{self.r}x{self.s}", f"s{self.stride[0]}x{self.stride[1]}", f"p{t}.{b}x{left}.{right}",
                f"d{self.dilation[0]}x{self.dilation[1]}", f"g{self.groups}", *extras,
            ]
        )  # fmt: skip


def conv2d_problem(x_shape, weight_shape, *, dtype, bias_shape=None, residual_shape=None, stride=1, padding=0,
                   dilation=1, groups=1, padding_mode="zeros", layout="channels_first", activation=None,
                   precision="default") -> Problem:  # fmt: skip
    """The problem that these arguments of conv2d describe; anything wrong with them is said at once."""
    _choice("layout", layout, LAYOUTS)
    _choice("padding_mode", padding_mode, PADDING_MODES)
    _choice("precision", precision, PRECISIONS)
    x_shape, weight_shape = dims("x", x_shape, 4), dims("weight", weight_shape, 4)
    n, c, h, w = x_shape if layout == "channels_first" else (x_shape[i] for i in (0, 3, 1, 2))
    k, per_group, r, s = weight_shape
    for name, value in (("channels", c), ("height", h), ("width", w)):
        if value == 0:
            raise ValueError(f"x: its {name} is 0 (shape {x_shape}, {layout}); only the batch axis may be empty")
    if 0 in weight_shape:
        raise ValueError(f"weight: shape {weight_shape} has an empty axis")
    (groups,) = ints("groups", groups, 1, 1, scalar_only=True)
    if c % groups or k % groups:
        raise ValueError(f"groups: {groups} does not divide x's {c} channels and weight's {k} output channels")
    if per_group != c // groups:
        raise ValueError(
            f"weight: it has {per_group} input channels a group (weight.shape[1]), but x has {c} channels "
            f"and groups={groups}, so it must have {c // groups}"
        )
    stride, dilation = ints("stride", stride, 2, 1), ints("dilation", dilation, 2, 1)
    resolved = pads(padding, (h, w), (r, s), stride, dilation)
    _check_padding(padding_mode, resolved, (h, w))
    for axis, size, kernel, d, pair in zip(("height", "width"), (h, w), (r, s), dilation, resolved, strict=True):
        extent = (kernel - 1) * d + 1
        if size + sum(pair) < extent:
            raise ValueError(
                f"weight: its {axis} spans {extent} (kernel {kernel}, dilation {d}), more than x's {size} "
                f"with padding {pair}"
            )
    kind, slope = activation_of(activation)
    problem = Problem("conv2d", n, c, h, w, k, r, s, stride, resolved, dilation, groups, padding_mode, layout, dtype,
                      bias_shape is not None, residual_shape is not None, kind, slope, precision)  # fmt: skip
    if max(n, 1) * k * problem.oh * problem.ow * 8 > sys.maxsize:
        raise ValueError(f"the output's shape {problem.y_shape} is too large to address")
    if bias_shape is not None and tuple(bias_shape) != (k,):
        raise ValueError(f"bias: shape {tuple(bias_shape)}, expected {(k,)}")
    if residual_shape is not None and tuple(residual_shape) != problem.y_shape:
        raise ValueError(f"residual: shape {tuple(residual_shape)}, expected the output's {problem.y_shape}")
    return problem


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(map(repr, allowed))}")


def _check_padding(mode: str, padding: tuple[Pair, Pair], sizes: Pair) -> None:
    for axis, size, pair in zip(("height", "width"), sizes, padding, strict=True):
        if mode == "reflect" and max(pair) >= size:
            raise ValueError(f"padding: {pair} must be less than x's {axis} {size} for padding_mode='reflect'")
        if mode == "circular" and max(pair) > size:
            raise ValueError(f"padding: {pair} must be at most x's {axis} {size} for padding_mode='circular'")
