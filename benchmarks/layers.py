"""Convolution and its gradients over network layers: seconds, and the share of the peak measured in the same process.

The peak is that of multiply-adds. The share is what compares between machines and days, the seconds what asv watches on
one machine.
"""

import time

import numpy as np

import fastconv as fc
from fastconv.networks import network
from fastconv.peak import measured_peak

THREADS = (1, 2)
LAYERS = {
    layer.label: layer
    for name in ("lenet5", "resnet50", "mobilenet_v2")
    for layer in network(name)
    if layer.op == "conv2d"
}
# For the gradients: a first layer, 3x3, 1x1, strides, depthwise.
FEW = (
    "c0003_k0064_224x224_7x7_s2_p3",
    "c0064_k0064_056x056_3x3_s1_p1",
    "c0512_k0512_007x007_3x3_s1_p1",
    "c0128_k0128_056x056_3x3_s2_p1",
    "c0256_k0064_056x056_1x1_s1",
    "c1024_k2048_014x014_1x1_s2",
    "c0144_k0144_056x056_3x3_s1_p1_g144",
    "c0576_k0576_014x014_3x3_s2_p1_g576",
)


def fastest(call, seconds=0.1):
    """The fastest of the runs that fit into `seconds`."""
    call()
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


class _Layers:
    """Every layer, in both layouts, on one thread and on two."""

    version = "1"
    param_names = ("layer", "layout", "threads")
    params = (sorted(LAYERS), ("channels_first", "channels_last"), THREADS)
    timeout = 120
    warmup_time = 0.05
    batch = 1
    operators = 1  # that a call computes

    def setup(self, label, layout, threads):
        self.layer, rng = LAYERS[label], np.random.default_rng(0)
        self.x = rng.standard_normal(self.layer.x_shape(self.batch, layout), np.float32)
        self.w = rng.standard_normal(self.layer.weight_shape, np.float32)
        self.options = {**self.layer.kwargs, "layout": layout}
        fc.set_num_threads(threads)
        self.prepare()
        self.call()  # compiles or loads the kernels

    def prepare(self):
        """Make `self.call`."""
        raise NotImplementedError

    def time_layer(self, label, layout, threads):
        self.call()

    def track_share_of_peak(self, label, layout, threads):
        flops = self.operators * self.layer.flops(self.batch)
        return 100 * flops / fastest(self.call) / 1e9 / measured_peak("float32", threads)

    track_share_of_peak.unit = "% of peak"


class Function(_Layers):
    """conv2d: weights new at each call."""

    def prepare(self):
        self.call = lambda: fc.conv2d(self.x, self.w, **self.options)


class Packed(_Layers):
    """Conv2d: weights packed once."""

    def prepare(self):
        held = fc.Conv2d(self.w, **self.options)
        self.call = lambda: held(self.x)


class _Gradients(_Layers):
    """A few layers, at a batch that people train with."""

    params = (FEW, ("channels_first", "channels_last"), THREADS)
    batch = 8

    def prepare(self):
        shape = self.layer.y_shape(self.batch, self.options["layout"])
        self.dy = np.random.default_rng(1).standard_normal(shape, np.float32)


class InputGrad(_Gradients):
    """conv2d_input_grad."""

    def prepare(self):
        super().prepare()
        self.call = lambda: fc.conv2d_input_grad(self.dy, self.w, self.x.shape, **self.options)


class WeightGrad(_Gradients):
    """conv2d_weight_grad."""

    def prepare(self):
        super().prepare()
        self.call = lambda: fc.conv2d_weight_grad(self.dy, self.x, self.w.shape, **self.options)


class Backward(_Gradients):
    """conv2d_backward: the gradients of input, weight and bias."""

    operators = 2

    def prepare(self):
        super().prepare()
        self.call = lambda: fc.conv2d_backward(self.dy, self.x, self.w, **self.options)
