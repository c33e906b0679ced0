"""Time layers: ours and the peers' in turns, each result checked against float64 on a sample of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

import fastconv as fc
from fastconv.bench import peers
from fastconv.bench.passes import PASSES, Pass
from fastconv.bench.reference import Data
from fastconv.bench.timing import in_turns
from fastconv.networks import Layer
from fastconv.peak import measured_peak

# A result whose largest error exceeds this many eps of the largest value is wrong, whoever computed it; peers that
# use Winograd are well within it.
WRONG = 4096


@dataclass
class Row:
    """One layer's figures; times in seconds."""

    layer: Layer
    algorithm: str
    flops: int
    peak: float  # GFLOP/s
    error: float  # largest, relative to the largest value
    function: float | None  # weights new at each call, as conv2d and the gradients have them
    packed: float | None  # Conv2d
    peers: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    bytes: int = 0  # of all operands, each once
    runs: dict[str, list[float]] = field(default_factory=dict)  # every run: "function", "layer", peers

    @property
    def seconds(self) -> float:
        """Our time: the layer's if it was measured."""
        return self.packed if self.packed is not None else self.function

    @property
    def gflops(self) -> float:
        """Useful GFLOP/s."""
        return self.flops / self.seconds / 1e9

    def ours(self, peer: str) -> float:
        """The time of ours that a peer is held against: weights anew, or held, as the peer has them."""
        function, packed = self.function, self.packed
        if function is None or packed is None:
            return self.seconds
        return function if peers.PEERS[peer].anew else packed

    def ratio(self, peer: str) -> float | None:
        """How many times the peer's time is ours."""
        return self.peers[peer] / self.ours(peer) if peer in self.peers else None


def measure(layers: tuple[Layer, ...], *, against: list[str], pass_: str = "forward", layout: str = "channels_first",
            dtype: str = "float32", threads: int = 1, batch: int = 1, api: str = "both",
            budget: float = 0.06) -> Iterator[Row]:  # fmt: skip
    """Measure a pass of conv2d layers one by one."""
    kind = dtype_of(dtype)
    peak = measured_peak(dtype if dtype == "float64" else "float32", threads)
    with fc.num_threads(threads):
        for layer in layers:
            data = Data.random(layer, batch, layout, kind)
            yield _row(PASSES[pass_], data, against, threads, api, budget, peak)


def dtype_of(name: str) -> np.dtype:
    """The dtype of a name, bfloat16's too."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _row(pass_: Pass, data: Data, against: list[str], threads: int, api: str, budget: float, peak: float) -> Row:
    layer, calls, samples = data.layer, pass_.calls(data, api), pass_.samples(data)
    error = float(np.max([pass_.error(call(), samples, data) for call in calls.values()]))
    most = WRONG * epsilon(data.x.dtype)
    if not error <= most:
        raise AssertionError(f"{layer.label}: our error is {error:.2g} of the largest value")
    notes = []
    for peer in against:
        try:
            call = peers.prepare(peer, pass_, data, threads)
            wrong = pass_.error(call(), samples)
        except Exception as failure:  # a peer that cannot do a layer says so in its own way
            notes.append(f"{peer}: {str(failure).splitlines()[0][:80] if str(failure) else type(failure).__name__}")
            continue
        if wrong <= most:
            calls[peer] = call
        else:
            notes.append(f"{peer}: wrong by {wrong:.2g} of the largest value, not timed")
    runs = dict(zip(calls, in_turns(list(calls.values()), budget), strict=True))
    times = {name: min(noted) for name, noted in runs.items()}
    function, packed = times.pop("function", None), times.pop("layer", None)
    algorithm, flops = pass_.algorithm(data, packed is not None), pass_.flops(layer, len(data.x))
    moved = pass_.bytes(layer, len(data.x), data.x.itemsize)
    return Row(layer, algorithm, flops, peak, error, function, packed, times, notes, moved, runs)


def epsilon(dtype: np.dtype) -> float:
    """The step above one, of a narrow dtype too."""
    narrow = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
    return narrow.get(dtype.name) or float(np.finfo(dtype).eps)


def geometric_mean(values: list[float]) -> float:
    """exp of the mean of logarithms."""
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")
