"""The convolution and pooling layers of well-known networks, with multiplicity; for tests, benchmarks, CLI.

Each network is traced by a `Trunk`, which carries the image's size from layer to layer. Sizes are the
published ones (224 pixels and torchvision's definitions where it has the network).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

Pair = tuple[int, int]


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
        return self._shape(batch, self.c, (self.h, self.w), layout)

    def y_shape(self, batch: int = 1, layout: str = "channels_first") -> tuple[int, ...]:
        """The output's shape."""
        return self._shape(batch, self.k, (self.oh, self.ow), layout)

    def _shape(self, batch: int, channels: int, size: Pair, layout: str) -> tuple[int, ...]:
        size = size[1:] if self.op.endswith("1d") else size
        return (batch, *size, channels) if layout == "channels_last" else (batch, channels, *size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The weight's shape."""
        kernel = (self.s,) if self.op.endswith("1d") else (self.r, self.s)
        if self.op.startswith("conv_transpose"):
            return (self.c, self.k // self.groups, *kernel)
        return (self.k, self.c // self.groups, *kernel)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The options of a call; one-dimensional operators take one number each."""
        pairs = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        if self.op.endswith("1d"):
            return {**{name: pair[1] for name, pair in pairs.items()}, "groups": self.groups}
        return {**pairs, "groups": self.groups}

    def flops(self, batch: int = 1) -> int:
        """Two for each product; zero for pooling."""
        if not self.op.startswith("conv"):
            return 0
        pixels = self.h * self.w if "transpose" in self.op else self.oh * self.ow
        return 2 * batch * pixels * self.r * self.s * self.c * self.k // self.groups

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
            dilation: int | Pair = 1, groups: int = 1, extra: int | Pair = 0) -> Trunk:  # fmt: skip
        """Apply a layer."""
        window = (*_pair(kernel), _pair(stride), _pair(padding), _pair(dilation))
        layer = Layer(op, self.c, self.h, self.w, k, *window, groups, extra=_pair(extra))
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


def _mnist1d() -> Trunk:
    net = Trunk(1, 1, 40)
    for _ in range(3):
        net.add("conv1d", 15, (1, 3), (1, 2), (0, 1))
    return net


def _lenet5() -> Trunk:
    net = Trunk(1, 28).conv(6, 5).avg_pool(2, 2)
    return net.conv(16, 5, padding=0).avg_pool(2, 2).conv(120, 5, padding=0)


def _alexnet() -> Trunk:
    net = Trunk(3, 224).conv(64, 11, 4, 2).max_pool(3, 2).conv(192, 5).max_pool(3, 2)
    return net.conv(384, 3).conv(256, 3).conv(256, 3).max_pool(3, 2)


def _alexnet_groups() -> Trunk:
    net = Trunk(3, 227).conv(96, 11, 4, 0).max_pool(3, 2).conv(256, 5, groups=2).max_pool(3, 2)
    return net.conv(384, 3).conv(384, 3, groups=2).conv(256, 3, groups=2).max_pool(3, 2)


def _zfnet() -> Trunk:
    net = Trunk(3, 224).conv(96, 7, 2, 1).max_pool(3, 2, 1).conv(256, 5, 2, 0).max_pool(3, 2, 1)
    return net.conv(384, 3).conv(384, 3).conv(256, 3).max_pool(3, 2)


def _zfnet_deconv() -> Trunk:
    net = Trunk(256, 6).add("max_unpool2d", 256, 3, 2)  # every size is that of zfnet, backwards
    for k in (384, 384, 256):
        net.add("conv_transpose2d", k, 3, 1, 1)
    net.add("max_unpool2d", 256, 3, 2, 1, extra=1).add("conv_transpose2d", 96, 5, 2)
    return net.add("max_unpool2d", 96, 3, 2, 1, extra=1).add("conv_transpose2d", 3, 7, 2, 1, extra=1)


def _vgg(*repeats: int) -> Trunk:
    net = Trunk(3, 224)
    for k, repeat in zip((64, 128, 256, 512, 512), repeats, strict=True):
        for _ in range(repeat):
            net.conv(k, 3)
        net.max_pool(2, 2)
    return net


def _googlenet() -> Trunk:
    net = Trunk(3, 224).conv(64, 7, 2).max_pool(3, 2, ceil=True)
    net.conv(64, 1).conv(192, 3).max_pool(3, 2, ceil=True)

    def inception(a: int, b1: int, b3: int, c1: int, c3: int, d: int) -> None:
        net.branch(
            lambda t: t.conv(a, 1),
            lambda t: t.conv(b1, 1).conv(b3, 3),
            lambda t: t.conv(c1, 1).conv(c3, 3),  # torchvision's "5x5" branch is 3x3
            lambda t: t.max_pool(3, 1, 1).conv(d, 1),
        )

    inception(64, 96, 128, 16, 32, 32)
    inception(128, 128, 192, 32, 96, 64)
    net.max_pool(3, 2, ceil=True)
    for sizes in ((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
                  (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)):  # fmt: skip
        inception(*sizes)
    net.max_pool(2, 2, ceil=True)
    inception(256, 160, 320, 32, 128, 128)
    inception(384, 192, 384, 48, 128, 128)
    return net.global_pool()


def _resnet(repeats: tuple[int, ...], bottleneck: bool) -> Trunk:
    net = Trunk(3, 224).conv(64, 7, 2).max_pool(3, 2, 1)
    for stage, repeat in enumerate(repeats):
        width = 64 << stage
        out = 4 * width if bottleneck else width
        for block in range(repeat):
            stride = 2 if block == 0 and stage > 0 else 1
            c, h = net.c, net.h
            if bottleneck:
                net.conv(width, 1).conv(width, 3, stride).conv(out, 1)
            else:
                net.conv(width, 3, stride).conv(width, 3)
            if c != out or stride != 1:
                net.at(c, h).conv(out, 1, stride)
    return net.global_pool()


def _densenet121() -> Trunk:
    net = Trunk(3, 224).conv(64, 7, 2).max_pool(3, 2, 1)
    for stage, repeat in enumerate((6, 12, 24, 16)):
        if stage:
            net.conv(net.c // 2, 1).avg_pool(2, 2)
        for _ in range(repeat):
            c, h = net.c, net.h
            net.conv(128, 1).conv(32, 3).at(c + 32, h)
    return net.global_pool()


def _squeezenet(version: str) -> Trunk:
    net = Trunk(3, 224)

    def fire(squeeze: int, expand: int) -> None:
        net.conv(squeeze, 1).branch(lambda t: t.conv(expand, 1), lambda t: t.conv(expand, 3))

    sizes = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    pools = {"1_0": (3, 7), "1_1": (2, 4)}[version]
    net.conv(96, 7, 2, 0) if version == "1_0" else net.conv(64, 3, 2, 0)
    net.max_pool(3, 2, ceil=True)
    for i, (squeeze, expand) in enumerate(sizes):
        if i in pools:
            net.max_pool(3, 2, ceil=True)
        fire(squeeze, expand)
    return net.conv(1000, 1).global_pool()


def _mobilenet_v2() -> Trunk:
    net = Trunk(3, 224).conv(32, 3, 2)
    for t, k, repeat, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                 (6, 160, 3, 2), (6, 320, 1, 1)):  # fmt: skip
        for block in range(repeat):
            if t > 1:
                net.conv(t * net.c, 1)
            net.depthwise(3, stride if block == 0 else 1).conv(k, 1)
    return net.conv(1280, 1).global_pool()


def _efficientnet_b0() -> Trunk:
    net = Trunk(3, 224).conv(32, 3, 2)
    for t, k, repeat, stride, kernel in (
        (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
    ):  # fmt: skip
        for block in range(repeat):
            inputs = net.c
            if t > 1:
                net.conv(t * inputs, 1)
            net.depthwise(kernel, stride if block == 0 else 1)
            c, h = net.c, net.h
            net.global_pool().conv(inputs // 4, 1).conv(c, 1).at(c, h).conv(k, 1)
    return net.conv(1280, 1).global_pool()


def _unet() -> Trunk:
    net = Trunk(1, 572)
    for depth in range(5):
        if depth:
            net.max_pool(2, 2)
        net.conv(64 << depth, 3, padding=0).conv(64 << depth, 3, padding=0)
    for depth in reversed(range(4)):
        net.add("conv_transpose2d", 64 << depth, 2, 2).at(128 << depth, net.h)
        net.conv(64 << depth, 3, padding=0).conv(64 << depth, 3, padding=0)
    return net.conv(2, 1)


def _pixelcnn() -> Trunk:
    net = Trunk(1, 28).conv(128, 7)
    for _ in range(15):
        net.conv(64, 1).conv(64, 3).conv(128, 1)
    return net.conv(128, 1).conv(256, 1)


def _context() -> Trunk:
    net = Trunk(21, 64)
    for dilation in (1, 1, 2, 4, 8, 16, 1):
        net.conv(21, 3, dilation=dilation)
    net.conv(21, 1).at(21, 64)
    for k, dilation in zip((42, 42, 84, 168, 336, 672, 672), (1, 1, 2, 4, 8, 16, 1), strict=True):
        net.conv(k, 3, dilation=dilation)
    return net.conv(21, 1)


NETWORKS: dict[str, Callable[[], Trunk]] = {
    "mnist1d": _mnist1d,
    "lenet5": _lenet5,
    "alexnet": _alexnet,
    "alexnet_groups": _alexnet_groups,
    "zfnet": _zfnet,
    "zfnet_deconv": _zfnet_deconv,
    "vgg16": lambda: _vgg(2, 2, 3, 3, 3),
    "vgg19": lambda: _vgg(2, 2, 4, 4, 4),
    "googlenet": _googlenet,
    "resnet18": lambda: _resnet((2, 2, 2, 2), False),
    "resnet34": lambda: _resnet((3, 4, 6, 3), False),
    "resnet50": lambda: _resnet((3, 4, 6, 3), True),
    "densenet121": _densenet121,
    "squeezenet1_0": lambda: _squeezenet("1_0"),
    "squeezenet1_1": lambda: _squeezenet("1_1"),
    "mobilenet_v2": _mobilenet_v2,
    "efficientnet_b0": _efficientnet_b0,
    "unet": _unet,
    "pixelcnn": _pixelcnn,
    "context": _context,
}


def _merged(layers: list[Layer]) -> tuple[Layer, ...]:
    counts: dict[Layer, int] = {}
    for layer in layers:
        key = replace(layer, count=1)
        counts[key] = counts.get(key, 0) + layer.count
    return tuple(replace(layer, count=count) for layer, count in counts.items())


def network(name: str) -> tuple[Layer, ...]:
    """The layers of a network, duplicates counted, in order of first appearance."""
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS) or sorted(NETWORKS)
        raise ValueError(f"network: {name!r} is not known; did you mean {', '.join(map(repr, close))}?")
    return _merged(NETWORKS[name]().layers)


def all_layers() -> tuple[Layer, ...]:
    """Every layer of every network, duplicates counted."""
    return _merged([layer for name in NETWORKS for layer in network(name)])
