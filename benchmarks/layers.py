"""conv2d and Conv2d over network layers: seconds, and the share of the multiply-add peak measured in the same process.

The share is what compares between machines and days; the seconds are what asv watches on one machine.
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

    def setup(self, label, layout, threads):
        self.layer, rng = LAYERS[label], np.random.default_rng(0)
        self.x = rng.standard_normal(self.layer.x_shape(1, layout), np.float32)
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
        return 100 * self.layer.flops(1) / fastest(self.call) / 1e9 / measured_peak("float32", threads)

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
