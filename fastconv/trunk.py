"""A network's layer, and the trunk that collects layers while it carries the image's size from one to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

Pair = tuple[int, int]


@dataclass(frozen=True)
class Depth:
    """The first axis of a layer of volumes."""

    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def out(self) -> int:
        """The output's depth."""
        return (self.size + 2 * self.padding - (self.kernel - 1) * self.dilation - 1) // self.stride + 1

    @property
    def back(self) -> int:
        """A transposed convolution's output's depth."""
        return (self.size - 1) * self.stride + (self.kernel - 1) * self.dilation + 1 - 2 * self.padding


@dataclass(frozen=True)
class Layer:
    """One layer: operator, input sizes, kernel, and how often the network has it.

    `extra` is what the output has beyond the usual formula: a pool's last partial window (ceil mode), or the
    rows and columns that the inverse of a strided layer cannot infer (output padding).
    """

    op: str
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    count: int = 1
    extra: Pair = (0, 0)
    depth: Depth | None = None

    @property
    def oh(self) -> int:
        """Output height."""
        return self._out(self.h, self.r, 0)

    @property
    def ow(self) -> int:
        """Output width."""
        return self._out(self.w, self.s, 1)

    def _out(self, size: int, kernel: int, axis: int) -> int:
        extent = (kernel - 1) * self.dilation[axis] + 1
        if self.op.startswith(("conv_transpose", "max_unpool")):
            return (size - 1) * self.stride[axis] + extent - 2 * self.padding[axis] + self.extra[axis]
        return (size + 2 * self.padding[axis] - extent) // self.stride[axis] + 1 + self.extra[axis]

    def x_shape(self, batch: int = 1, layout: str = "channels_first") -> tuple[int, ...]:
        """The input's shape; one-dimensional operators have no height."""
        return self._shape(batch, self.c, self.sizes, layout)

    def y_shape(self, batch: int = 1, layout: str = "channels_first") -> tuple[int, ...]:
        """The output's shape."""
        return self._shape(batch, self.k, self.y_sizes, layout)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The input's size along the operator's axes."""
        return self._axes(self.depth and self.depth.size, self.h, self.w)

    @property
    def y_sizes(self) -> tuple[int, ...]:
        """The output's."""
        return self._axes(self.depth and (self.depth.back if self.transposed else self.depth.out), self.oh, self.ow)

    @property
    def transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return self.op.startswith("conv_transpose")

    def mirrored(self) -> Layer:
        """The convolution from a transposed one's output to its input."""
        depth = self.depth and replace(self.depth, size=self.depth.back)
        return replace(
            self, op=self.op.replace("_transpose", ""), c=self.k, k=self.c, h=self.oh, w=self.ow, extra=(0, 0),
            depth=depth,
        )  # fmt: skip

    @property
    def kernel(self) -> tuple[int, ...]:
        """The kernel's."""
        return self._axes(self.depth and self.depth.kernel, self.r, self.s)

    def _axes(self, depth: int | None, height: int, width: int) -> tuple[int, ...]:
        """What the operator has of a depth, a height and a width."""
        if self.depth:
            return depth, height, width
        return (width,) if self.op.endswith("1d") else (height, width)

    def _shape(self, batch: int, channels: int, size: tuple[int, ...], layout: str) -> tuple[int, ...]:
        return (batch, *size, channels) if layout == "channels_last" else (batch, channels, *size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The weight's shape."""
        if self.transposed:
            return (self.c, self.k // self.groups, *self.kernel)
        return (self.k, self.c // self.groups, *self.kernel)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The options of a call; one-dimensional operators take one number each."""
        found = {name: self.window(name) for name in ("stride", "padding", "dilation")}
        if self.op.endswith("1d"):
            found = {name: value for name, (value,) in found.items()}
        if self.transposed:
            extra = self._axes(0, *self.extra)
            found["output_padding"] = extra[0] if self.op.endswith("1d") else extra
        return {**found, "groups": self.groups}

    def window(self, name: str) -> tuple[int, ...]:
        """The stride, padding or dilation along the operator's axes."""
        return self._axes(self.depth and getattr(self.depth, name), *getattr(self, name))

    def flops(self, batch: int = 1) -> int:
        """Two for each product; zero for pooling."""
        if not self.op.startswith("conv"):
            return 0
        pixels = math.prod(self.sizes if "transpose" in self.op else self.y_sizes)
        return 2 * batch * pixels * math.prod(self.kernel) * self.c * self.k // self.groups

    def bytes(self, batch: int = 1, itemsize: int = 4) -> int:
        """Input, output and, of a convolution, weight: each once, as its gradients move them too."""
        weights = math.prod(self.weight_shape) if self.op.startswith("conv") else 0
        return itemsize * (math.prod(self.x_shape(batch)) + weights + math.prod(self.y_shape(batch)))

    @property
    def label(self) -> str:
        """A short name that sorts, unique among layers."""
        text = f"c{self.c:04d}_k{self.k:04d}_{self.h:03d}x{self.w:03d}_{self.r}x{self.s}"
        for letter, pair, usual in (
            ("s", self.stride, None),
            ("p", self.padding, 0),
            ("d", self.dilation, 1),
            ("e", self.extra, 0),
        ):
            if pair != (usual, usual):
                text += f"_{letter}{pair[0]}" + ("" if pair[0] == pair[1] else f"x{pair[1]}")
        if self.depth:
            d = self.depth
            text += f"_depth{d.size}x{d.kernel}s{d.stride}p{d.padding}d{d.dilation}"
        text += f"_g{self.groups}" if self.groups > 1 else ""
        return text if self.op == "conv2d" else f"{self.op}_{text}"


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


class Trunk:
    """Collects layers while it carries (channels, height, width) through a network."""

    def __init__(self, c: int, h: int, w: int | None = None):
        self.c, self.h, self.w = c, h, h if w is None else w
        self.layers: list[Layer] = []

    def add(self, op: str, k: int, kernel: int | Pair, stride: int | Pair = 1, padding: int | Pair = 0,
            dilation: int | Pair = 1, groups: int = 1, extra: int | Pair = 0,
            depth: Depth | None = None) -> Trunk:  # fmt: skip
        """Apply a layer."""
        window = (*_pair(kernel), _pair(stride), _pair(padding), _pair(dilation))
        layer = Layer(op, self.c, self.h, self.w, k, *window, groups, extra=_pair(extra), depth=depth)
        self.layers.append(layer)
        self.c, self.h, self.w = k, layer.oh, layer.ow
        return self

    def conv(self, k: int, kernel: int | Pair, stride: int | Pair = 1, padding: int | Pair | None = None,
             dilation: int = 1, groups: int = 1) -> Trunk:  # fmt: skip
        """A convolution; without a padding it keeps the size, divided by the stride."""
        if padding is None:
            r, s = _pair(kernel)
            padding = ((r - 1) * dilation // 2, (s - 1) * dilation // 2)
        return self.add("conv2d", k, kernel, stride, padding, dilation, groups)

    def depthwise(self, kernel: int, stride: int = 1) -> Trunk:
        """A depthwise convolution."""
        return self.conv(self.c, kernel, stride, groups=self.c)

    def max_pool(self, kernel: int, stride: int, padding: int = 0, ceil: bool = False) -> Trunk:
        """Max pooling; `ceil` keeps a last partial window, if it begins inside the image."""

        def partial(n: int) -> int:
            whole, rest = divmod(n + 2 * padding - kernel, stride)
            return int(ceil and rest > 0 and (whole + 1) * stride < n + padding)

        extra = partial(self.h), partial(self.w)
        return self.add("max_pool2d", self.c, kernel, stride, padding, extra=extra)

    def avg_pool(self, kernel: int, stride: int) -> Trunk:
        """Average pooling."""
        return self.add("avg_pool2d", self.c, kernel, stride)

    def global_pool(self) -> Trunk:
        """Global average pooling."""
        return self.add("global_avg_pool", self.c, (self.h, self.w))

    def at(self, c: int, h: int, w: int | None = None) -> Trunk:
        """Go on from another place in the network."""
        self.c, self.h, self.w = c, h, h if w is None else w
        return self

    def branch(self, *steps: Callable[[Trunk], Trunk]) -> Trunk:
        """Run branches from here and concatenate their channels."""
        c, h, w = self.c, self.h, self.w
        total = 0
        for step in steps:
            self.at(c, h, w)
            step(self)
            total += self.c
        return self.at(total, self.h, self.w)
