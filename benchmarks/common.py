"""What the suites share: how many parameters they take, and prepared calls with what limits them."""

import functools
import os

import numpy as np

import fastconv as fc
from fastconv.bench import pools, roofline
from fastconv.bench.passes import PASSES
from fastconv.bench.reference import Data
from fastconv.bench.runner import dtype_of
from fastconv.bench.timing import fastest
from fastconv.networks import all_layers

# few: one of everything, to see that nothing is broken; usual: minutes; all: every layer of every network, hours.
AMOUNT = os.environ.get("FASTCONV_ASV", "usual")
LAYERS = {layer.label: layer for layer in all_layers()}
TIMES = "times what it takes at the machine's limit"
LAYOUTS = ("channels_first", "channels_last")


def some(usual, everything=()):
    """The parameters of a suite: what it usually has, and first among everything if all are wanted."""
    if AMOUNT == "few":
        return list(usual[:1])
    return list(dict.fromkeys([*usual, *(everything if AMOUNT == "all" else ())]))


def every(*ops):
    """The labels of all layers of these operators, sorted."""
    return sorted(label for label, layer in LAYERS.items() if layer.op in ops)


@functools.lru_cache(1)
def prepared(pass_, api, label, layout, threads, batch, dtype="float32"):
    """(call, the seconds that the machine's limits leave it) for one layer; run once, so that its kernels are there."""
    layer, does = LAYERS[label], PASSES[pass_]
    name = pools.function(layer, pass_) if pools.is_pool(layer) else does.function.replace("conv2d", layer.op)
    if not all(hasattr(fc, part) for part in name.split(" and ")):
        raise NotImplementedError
    data = Data.random(layer, batch, layout, dtype_of(dtype))
    call = does.calls(data, api)[api]
    call()
    moved = does.bytes(layer, batch, data.x.itemsize)
    return call, functools.partial(roofline.limit, does.flops(layer, batch), moved, dtype, threads)


class _Timed:
    """A call that `prepare` makes: its seconds, and these over what the machine allows, measured in the same process.

    The limit is that of multiply-adds, or of copying the operands, whichever is slower. The quotient is what compares
    between machines and days: 1 is at the limit, 2 takes twice the time, as asv has it that less is better. An
    algorithm that needs fewer products than the definition can be below 1.
    """

    version = "1"
    rounds, repeat, warmup_time, timeout = 1, (5, 200, 0.3), 0.05, 120
    threads = 2

    def prepare(self, *params):
        """(call, limit); remembered, for asv sets up again for each sample."""
        raise NotImplementedError

    def setup(self, *params):
        fc.set_num_threads(self.threads)
        self.call, self.limit = self.prepare(*params)

    def time_call(self, *params):
        self.call()

    def track_call_vs_peak(self, *params):
        return quotient(fastest(self.call), self.limit())

    track_call_vs_peak.unit = TIMES


def quotient(seconds, limit):
    """Four digits of it, for asv shows all that there are."""
    return float(f"{seconds / limit:.4g}")


def random(shape, seed=0):
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
