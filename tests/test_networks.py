"""The networks' layers against published counts."""

import subprocess
import sys
from dataclasses import replace

import pytest

from fastconv.networks import NETWORKS, Layer, Trunk, all_layers, network

# Multiply-adds of the convolutions, in millions (published totals less the dense layers).
MILLIONS = {
    "alexnet": 655.6, "vgg16": 15346.6, "vgg19": 19508.4, "googlenet": 1497.3, "resnet18": 1813.6,
    "resnet34": 3663.3, "resnet50": 4087.1, "densenet121": 2833.1, "squeezenet1_0": 818.9,
    "squeezenet1_1": 349.2, "mobilenet_v2": 299.5, "efficientnet_b0": 384.4,
}  # fmt: skip


@pytest.mark.parametrize(("name", "millions"), MILLIONS.items(), ids=MILLIONS)
def test_multiply_adds(name, millions):
    total = sum(layer.flops() * layer.count for layer in network(name)) / 2e6
    assert total == pytest.approx(millions, rel=0.01)


# Convolutions and pools of each network.
NUMBERS = {
    "mnist1d": (3, 0), "lenet5": (3, 2), "alexnet": (5, 3), "alexnet_groups": (5, 3), "zfnet": (5, 3),
    "zfnet_deconv": (5, 3), "vgg16": (13, 5), "vgg19": (16, 5), "googlenet": (57, 14), "resnet18": (20, 2),
    "resnet34": (36, 2), "resnet50": (53, 2), "densenet121": (120, 5), "squeezenet1_0": (26, 4),
    "squeezenet1_1": (26, 4), "mobilenet_v2": (52, 1), "efficientnet_b0": (81, 17), "unet": (23, 4),
    "pixelcnn": (48, 0), "context": (16, 0), "conv1d": (28, 0), "conv3d": (26, 0), "transposed": (30, 0),
    "pool": (0, 16),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_number_of_layers(name):
    layers = network(name)
    convolutions = sum(layer.count for layer in layers if layer.op.startswith("conv"))
    assert (convolutions, sum(layer.count for layer in layers) - convolutions) == NUMBERS[name]


def test_union_counts_every_layer():
    assert sum(layer.count for layer in all_layers()) == sum(map(sum, NUMBERS.values()))


def test_labels_are_unique():
    for layers in (all_layers(), *(network(name) for name in NETWORKS)):
        assert len({layer.label for layer in layers}) == len(layers)


def test_sizes():
    last = network("unet")[-1]
    assert (last.h, last.w, last.k) == (388, 388, 2)
    assert [layer.ow for layer in network("mnist1d")] == [20, 10, 5]


def test_labels_name_what_is_not_default():
    plain = Layer("conv2d", 64, 56, 56, 256, 1, 1)
    assert plain.label == "c0064_k0256_056x056_1x1_s1"
    assert replace(plain, padding=(1, 1), dilation=(2, 2), groups=32).label == plain.label + "_p1_d2_g32"


def test_ceil_mode_keeps_the_partial_window():
    pools = [layer for layer in network("googlenet") if layer.op == "max_pool2d" and layer.stride == (2, 2)]
    assert [(layer.h, layer.oh) for layer in pools] == [(112, 56), (56, 28), (28, 14), (14, 7)]
    pools = [layer for layer in network("squeezenet1_0") if layer.op == "max_pool2d"]
    assert [(layer.w, layer.ow) for layer in pools] == [(109, 54), (54, 27), (27, 13)]
    # 3 = ceil(3 / 2) + 1 windows of 2, but the last would begin in the padding.
    assert Trunk(1, 3).max_pool(2, 2, 1, ceil=True).h == 2


def test_deconvolution_inverts_zfnet():
    forward = [(x.k, x.oh, x.c, x.h) for x in NETWORKS["zfnet"]().layers]
    backward = [(x.c, x.h, x.k, x.oh) for x in NETWORKS["zfnet_deconv"]().layers]
    assert backward == forward[::-1]


def test_one_dimensional_calls():
    layer = network("mnist1d")[1]
    assert layer.x_shape(2) == (2, 15, 20) and layer.x_shape(2, "channels_last") == (2, 20, 15)
    assert layer.weight_shape == (15, 15, 3)
    assert layer.kwargs == {"stride": 2, "padding": 1, "dilation": 1, "groups": 1}


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_agree_with_torch(name):
    torch = pytest.importorskip("torch")
    for layer in network(name):
        if layer.op.startswith("conv"):
            x = torch.empty(layer.x_shape(), device="meta")
            w = torch.empty(layer.weight_shape, device="meta")
            y = getattr(torch.nn.functional, layer.op)(x, w, **layer.kwargs)
        elif layer.op == "max_pool2d":
            x = torch.empty(layer.x_shape(), device="meta")
            window = (layer.r, layer.s), layer.stride, layer.padding
            y = torch.nn.functional.max_pool2d(x, *window, ceil_mode=layer.extra != (0, 0))
        else:
            continue
        assert tuple(y.shape) == layer.y_shape()


def test_module_needs_only_the_standard_library():
    code = "import sys, fastconv.networks; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_unknown_network():
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        network("resnet51")
