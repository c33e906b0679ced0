"""Time layers: ours and the peers' in turns, each result checked against float64 on a sample of pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

import fastconv as fc
from fastconv.bench import peers
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
    function: float | None  # conv2d, weights new at each call
    packed: float | None  # Conv2d
    peers: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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
        return function if peers.PEERS[peer][2] else packed

    def ratio(self, peer: str) -> float | None:
        """How many times the peer's time is ours."""
        return self.peers[peer] / self.ours(peer) if peer in self.peers else None


def reference(layer: Layer, x: np.ndarray, w: np.ndarray, layout: str, rng) -> tuple[np.ndarray, tuple]:
    """float64 results at a sample of output pixels of the first image: (values [pixels, k], (rows, columns))."""
    image = (x[0].transpose(2, 0, 1) if layout == "channels_last" else x[0]).astype(np.float64)
    (p, q), (sh, sw), (dh, dw) = layer.padding, layer.stride, layer.dilation
    padded = np.pad(image, ((0, 0), (p, p), (q, q)))
    count = min(64, layer.oh * layer.ow)
    picks = rng.choice(layer.oh * layer.ow, count, replace=False)
    rows, columns = picks // layer.ow, picks % layer.ow
    h = rows[:, None, None] * sh + np.arange(layer.r)[None, :, None] * dh
    v = columns[:, None, None] * sw + np.arange(layer.s)[None, None, :] * dw
    windows = padded[:, h, v]  # c, pixel, r, s
    groups, wide = layer.groups, w.astype(np.float64)
    windows = windows.reshape(groups, layer.c // groups, count, layer.r * layer.s)
    wide = wide.reshape(groups, layer.k // groups, layer.c // groups, layer.r * layer.s)
    values = np.einsum("gcpt,gkct->pgk", windows, wide, optimize=True).reshape(count, layer.k)
    return values, (rows, columns)


def error_of(y: np.ndarray, values: np.ndarray, places: tuple, layout: str) -> float:
    """The largest error of a result at the sampled pixels, relative to the largest value."""
    y = np.asarray(y)[0]
    picked = y[places[0], places[1]] if layout == "channels_last" else y[:, places[0], places[1]].T
    return float(np.abs(picked.astype(np.float64) - values).max() / max(np.abs(values).max(), 1e-300))


def in_turns(calls: list[Callable[[], object]], budget: float) -> list[float]:
    """The fastest run of each call: turns of a few runs each, until every call had its share of the budget."""
    best, spent, turns = [float("inf")] * len(calls), 0.0, 0
    while turns < 3 or spent < budget * len(calls):
        for i, call in enumerate(calls):
            if len(calls) > 1:
                time.sleep(0.002)  # peers' threads spin for a while after their call
            call()
            start = time.perf_counter()
            for _ in range(5):
                begin = time.perf_counter()
                call()
                best[i] = min(best[i], time.perf_counter() - begin)
            spent += time.perf_counter() - start
        turns += 1
    return best


def measure(layers: tuple[Layer, ...], *, against: list[str], layout: str = "channels_first",
            dtype: str = "float32", threads: int = 1, batch: int = 1, api: str = "both",
            budget: float = 0.06) -> Iterator[Row]:  # fmt: skip
    """Measure conv2d layers one by one."""
    kind = dtype_of(dtype)
    peak = measured_peak(dtype if dtype == "float64" else "float32", threads)
    with fc.num_threads(threads):
        for layer in layers:
            yield _row(layer, against, layout, kind, dtype, threads, batch, api, budget, peak)


def dtype_of(name: str) -> np.dtype:
    """The dtype of a name, bfloat16's too."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _row(layer, against, layout, kind, dtype, threads, batch, api, budget, peak) -> Row:
    rng = np.random.default_rng(sum(layer.label.encode()))
    x = rng.normal(size=layer.x_shape(batch, layout)).astype(np.float32).astype(kind)
    w = rng.normal(size=layer.weight_shape).astype(np.float32).astype(kind)
    options = {**layer.kwargs, "layout": layout}
    held = fc.Conv2d(w, None, **options)
    calls, names = [], []
    if api in ("function", "both"):
        calls.append(lambda: fc.conv2d(x, w, None, **options))
        names.append("function")
    if api in ("layer", "both"):
        calls.append(lambda: held(x))
        names.append("packed")
    values, places = reference(layer, x, w, layout, rng)
    error = max(error_of(call(), values, places, layout) for call in calls)
    eps = float(np.finfo(np.float32).eps) if kind.itemsize <= 4 else float(np.finfo(np.float64).eps)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, eps)
    if not error <= WRONG * eps:
        raise AssertionError(f"{layer.label}: our error is {error:.2g} of the largest value")
    notes = []
    for peer in against:
        try:
            call = peers.prepare(peer, layer, x, w, layout, threads)
            wrong = error_of(call(), values, places, "channels_first")
        except Exception as failure:  # a peer that cannot do a layer says so in its own way
            notes.append(f"{peer}: {str(failure).splitlines()[0][:80] if str(failure) else type(failure).__name__}")
            continue
        if wrong <= WRONG * eps:
            calls.append(call)
            names.append(peer)
        else:
            notes.append(f"{peer}: wrong by {wrong:.2g} of the largest value, not timed")
    times = dict(zip(names, in_turns(calls, budget), strict=True))
    function, packed = times.pop("function", None), times.pop("packed", None)
    plan = fc.explain("conv2d", x.shape, w.shape, dtype=dtype, packed=packed is not None, **options)
    return Row(layer, plan.algorithm, layer.flops(batch), peak, error, function, packed, times, notes)


def geometric_mean(values: list[float]) -> float:
    """exp of the mean of logarithms."""
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")
