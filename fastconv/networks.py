"""The convolution and pooling layers of well-known networks, with multiplicity; for tests, benchmarks, CLI.

Each network is traced by a `Trunk`, which carries the image's size from layer to layer. Sizes are the
published ones (224 pixels and torchvision's definitions where it has the network).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace

from fastconv.trunk import Depth, Layer, Trunk


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


def _conv1d() -> Trunk:
    """Stacks along one axis: WaveNet's residual blocks, wav2vec 2.0's feature extractor, long kernels on biosignals."""
    net = Trunk(64, 1, 16000)
    for dilation in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
        net.at(64, 1, 16000).add("conv1d", 128, (1, 2), padding=0, dilation=(1, dilation))
    net.at(64, 1, 16000).add("conv1d", 256, (1, 1)).at(1, 1, 16000)
    for k, kernel, stride in ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2):
        net.add("conv1d", k, (1, kernel), (1, stride))
    net.at(768, 1, 49).add("conv1d", 768, (1, 128), padding=(0, 64), groups=16)  # its positional embedding
    net.at(1, 1, 40)
    for _ in range(3):
        net.add("conv1d", 15, (1, 3), (1, 2), (0, 1))
    net.at(12, 1, 5000).add("conv1d", 64, (1, 15), (1, 2), (0, 7)).add("conv1d", 128, (1, 15), (1, 2), (0, 7))
    net.at(22, 1, 1000).add("conv1d", 40, (1, 65), padding=(0, 32)).at(8, 1, 4000).add("conv1d", 16, (1, 1001))
    net.at(1, 1, 16000).add("conv1d", 64, (1, 251))
    return net.at(256, 1, 1000).add("conv1d", 256, (1, 31), padding=(0, 15), groups=256)  # Conformer's


def _conv3d() -> Trunk:
    """C3D, a 3-D U-Net, depthwise and pseudo-3-D kernels; a volume's depth is that of the layer itself."""
    net = Trunk(3, 112)

    def conv(c, k, depth, size, kernel=(3, 3), stride=1, groups=1):
        padding = tuple(taps // 2 for taps in kernel)
        net.at(c, size).add("conv3d", k, kernel, stride, padding, groups=groups, depth=depth)

    for c, k, d, size in ((3, 64, 16, 112), (64, 128, 16, 56), (128, 256, 8, 28), (256, 256, 8, 28), (256, 512, 4, 14),
                          (512, 512, 4, 14), (512, 512, 2, 7)):  # fmt: skip
        conv(c, k, Depth(d, 3, 1, 1), size)
    for c, k, size in ((1, 32, 64), (32, 64, 64), (64, 64, 32), (64, 128, 32), (128, 128, 16), (128, 256, 16),
                       (192, 64, 64), (384, 128, 32)):  # fmt: skip
        conv(c, k, Depth(size, 3, 1, 1), size)
    conv(64, 3, Depth(64, 1), 64, (1, 1))
    for c, d, size in ((64, 16, 56), (128, 8, 28), (432, 4, 14)):
        conv(c, c, Depth(d, 3, 1, 1), size, groups=c)
    for c, k, d, size in ((64, 64, 16, 56), (128, 128, 8, 28), (256, 256, 4, 14)):
        conv(c, k, Depth(d, 1), size)
        conv(c, k, Depth(d, 3, 1, 1), size, (1, 1))
    conv(64, 128, Depth(16, 3, 2, 1), 56, stride=2)
    return net


def _transposed() -> Trunk:
    """Up-convolutions of U-Nets, DCGAN, FCN, ZFNet's way back, depthwise ones, a vocoder's, a 3-D U-Net's."""
    net = Trunk(1024, 28)

    def up(c, size, k, kernel, stride, padding=0, groups=1, extra=0, depth=None):
        net.at(c, size).add(f"conv_transpose{3 if depth else 2}d", k, kernel, stride, padding, 1, groups, extra, depth)

    for c, size in ((1024, 28), (512, 52), (256, 100), (128, 196)):
        up(c, size, c // 2, 2, 2)
    for c, size in ((256, 32), (128, 64)):
        up(c, size, c // 2, 3, 2, 1, extra=1)
    up(100, 1, 1024, 4, 1)
    for c, size, k in ((1024, 4, 512), (512, 8, 256), (256, 16, 128), (128, 32, 3)):
        up(c, size, k, 4, 2, 1)
    up(21, 16, 21, 4, 2)
    up(21, 34, 21, 4, 2)
    up(21, 70, 21, 16, 8)
    up(21, 70, 21, 16, 8, groups=21)
    for c, size, k in ((256, 13, 384), (384, 13, 384), (384, 13, 256)):
        up(c, size, k, 3, 1, 1)
    up(256, 26, 96, 5, 2)
    up(96, 110, 3, 7, 2, 1, extra=1)
    up(64, 56, 64, 3, 2, 1, 64, 1)
    up(128, 28, 128, 4, 2, 1, 128)
    for c, size, k, kernel, stride in ((512, 100, 256, 16, 8), (256, 800, 128, 16, 8), (128, 6400, 64, 4, 2),
                                       (64, 12800, 32, 4, 2)):  # fmt: skip
        padding = (kernel - stride) // 2
        net.at(c, 1, size).add("conv_transpose1d", k, (1, kernel), (1, stride), (0, padding))
    net.at(1026, 1, 224).add("conv_transpose1d", 1, (1, 1024), (1, 256))
    for c, size in ((256, 8), (128, 16), (64, 32)):
        up(c, size, c // 2, 2, 2, depth=Depth(size, 2, 2))
    return net


def _pool() -> Trunk:
    """What the networks do not pool: large windows, signals, volumes."""
    net = Trunk(64, 112)
    for op in ("max_pool", "avg_pool"):
        for kernel, stride in ((3, 1), (13, 1), (31, 1), (7, 4)):
            net.at(64, 112).add(f"{op}2d", 64, kernel, stride, kernel // 2)
        for kernel, stride in ((3, 2), (31, 1)):
            net.at(64, 1, 16384).add(f"{op}1d", 64, (1, kernel), (1, stride), (0, kernel // 2))
        net.at(32, 56).add(f"{op}3d", 32, 2, 2, depth=Depth(16, 2, 2))
        net.at(32, 56).add(f"{op}3d", 32, 3, 1, 1, depth=Depth(16, 3, 1, 1))
    return net


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
    "conv1d": _conv1d,
    "conv3d": _conv3d,
    "transposed": _transposed,
    "pool": _pool,
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
