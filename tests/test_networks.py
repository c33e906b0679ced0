"""The networks' layers against published counts."""

import pytest

from fastconv.networks import NETWORKS, all_layers, network

# Multiply-adds of the convolutions, in millions (published totals less the dense layers).
MILLIONS = {
    "alexnet": 655.6, "vgg16": 15346.6, "vgg19": 19508.4, "googlenet": 1497.3, "resnet18": 1813.6, "resnet34": 3663.3,
    "resnet50": 4087.1, "densenet121": 2833.1, "squeezenet1_0": 818.9, "squeezenet1_1": 349.2, "mobilenet_v2": 299.5,
    "efficientnet_b0": 384.4,
}  # fmt: skip


@pytest.mark.parametrize(("name", "millions"), MILLIONS.items(), ids=MILLIONS)
def test_multiply_adds(name, millions):
    total = sum(layer.flops() * layer.count for layer in network(name)) / 2e6
    assert total == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(("name", "count"), [("resnet50", 53), ("vgg16", 13), ("mobilenet_v2", 52),
                                             ("densenet121", 120), ("googlenet", 57), ("unet", 23)])  # fmt: skip
def test_number_of_convolutions(name, count):
    assert sum(layer.count for layer in network(name) if layer.op.startswith("conv")) == count


def test_labels_are_unique():
    for layers in (all_layers(), *(network(name) for name in NETWORKS)):
        assert len({layer.label for layer in layers}) == len(layers)


def test_sizes():
    last = network("unet")[-1]
    assert (last.h, last.w, last.k) == (388, 388, 2)
    assert [layer.ow for layer in network("mnist1d")] == [20, 10, 5]
    assert network("zfnet_deconv")[-1].k == 3


def test_unknown_network():
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        network("resnet51")
