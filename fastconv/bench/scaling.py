"""How time grows with each size of a convolution, and with threads; time per FLOP should have no cliff."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import fastconv as fc
from fastconv.bench import report, roofline
from fastconv.bench.passes import PASSES
from fastconv.bench.reference import Data
from fastconv.bench.runner import dtype_of
from fastconv.bench.timing import in_turns
from fastconv.networks import Layer
from fastconv.peak import measured_peak

BASE = {"C": 64, "K": 64, "H": 56, "N": 1}
KINDS = {"3x3": 3, "1x1": 1, "depthwise 3x3": 3}
POWERS = (16, 32, 64, 128, 256, 512)
# Every size within 3 of a power of two, and some on the way to the next.
SIZES = tuple(sorted({p + step for p in POWERS for step in range(-3, 4) if 16 <= p + step <= 512}
                     | {p * part // 8 for p in POWERS[:-1] for part in (10, 12, 14)}))  # fmt: skip
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16)
CLIFF = 1.5  # between neighbours, in time per FLOP
BUDGET = 0.06  # seconds a point
AGAIN = 3  # times: a point is measured once more if it makes a cliff, which may have been another process


@dataclass(frozen=True)
class Point:
    """One size on one axis; the others are those of BASE."""

    kind: str
    axis: str  # C, K, H (and W), N or threads
    size: int
    threads: int

    @property
    def layer(self) -> Layer:
        """The convolution, of the same size as its input."""
        sizes = {**BASE, self.axis: self.size}
        depthwise = self.kind.startswith("depthwise")
        c, k, h, r = sizes["C"], sizes["C" if depthwise else "K"], sizes["H"], KINDS[self.kind]
        return Layer("conv2d", c, h, h, k, r, r, padding=(r // 2, r // 2), groups=c if depthwise else 1)

    @property
    def batch(self) -> int:
        """Images."""
        return self.size if self.axis == "N" else BASE["N"]


def points(threads: int, kinds: Iterable[str] = tuple(KINDS), axes: Iterable[str] = ("C", "K", "H", "N", "threads"),
           sizes: Iterable[int] = SIZES) -> list[Point]:  # fmt: skip
    """Every point of the sweep in order; depthwise layers have no K of their own."""
    along = {"C": sizes, "K": sizes, "H": sizes, "N": BATCHES, "threads": range(1, threads + 1)}
    return [
        Point(kind, axis, size, size if axis == "threads" else threads)
        for kind in kinds
        for axis in axes
        for size in along[axis]
        if (kind, axis) != ("depthwise 3x3", "K")
    ]


def seconds(point: Point, layout: str, dtype: str, api: str, budget: float = BUDGET) -> float:
    """The fastest run of one point."""
    data = Data.random(point.layer, point.batch, layout, dtype_of(dtype))
    with fc.num_threads(point.threads):
        (call,) = PASSES["forward"].calls(data, api).values()
        call()
        return min(in_turns([call], budget)[0])


def measure(wanted: list[Point], layout: str, dtype: str, api: str) -> Iterator[dict]:
    """Each point as JSON has it; one that makes a cliff with the point before is measured again, and so is that."""
    before = None
    for point in wanted:
        found = _entry(point, seconds(point, layout, dtype, api))
        if before and same_line(before[1], found) and cliff(before[1], found) > CLIFF:
            for old, entry in (before, (point, found)):
                entry["seconds"] = min(entry["seconds"], seconds(old, layout, dtype, api, AGAIN * BUDGET))
        if before:
            yield before[1]
        before = point, found
    if before:
        yield before[1]


def _entry(point: Point, taken: float) -> dict:
    flops = point.layer.flops(point.batch)
    return {"kind": point.kind, "axis": point.axis, "size": point.size, "threads": point.threads, "flops": flops,
            "bytes": point.layer.bytes(point.batch), "seconds": taken}  # fmt: skip


def same_line(a: dict, b: dict) -> bool:
    """Whether two points are on one line of the picture."""
    return (a["kind"], a["axis"]) == (b["kind"], b["axis"])


def cliff(a: dict, b: dict) -> float:
    """How many times one's time per FLOP is the other's, the larger by the smaller."""
    ratio = (a["seconds"] / a["flops"]) / (b["seconds"] / b["flops"])
    return max(ratio, 1 / ratio)


def worst(found: list[dict]) -> list[tuple[float, dict, dict]]:
    """Neighbours by cliff, the worst first; not along threads, and not along N, whose steps are large."""
    pairs = [(a, b) for a, b in itertools.pairwise(found) if same_line(a, b) and a["axis"] in "CKH"]
    return sorted(((cliff(a, b), a, b) for a, b in pairs), key=lambda found: -found[0])


def summary(found: list[dict]) -> str:
    """The worst neighbours of each line."""
    lines, ranked = [], worst(found)
    for kind, axis in dict.fromkeys((a["kind"], a["axis"]) for _, a, _ in ranked):
        own = [(ratio, a["size"], b["size"]) for ratio, a, b in ranked if (a["kind"], a["axis"]) == (kind, axis)]
        over = sum(ratio > CLIFF for ratio, *_ in own)
        named = ", ".join(f"{a}-{b}: {ratio:.2f}" for ratio, a, b in own[:3])
        lines.append(
            f"{kind}, {axis}: time per FLOP of neighbours varies by {named}; {over} of {len(own)} over {CLIFF}"
        )
    return "\n".join(lines)


def run(layout: str, dtype: str, threads: int, api: str) -> dict:
    """Measure, print each point, and give the JSON."""
    if api == "both":
        api = "layer"
    wanted, found = points(threads), []
    title = f"{len(wanted)} sizes, {'Conv2d' if api == 'layer' else 'conv2d'}, {dtype}, {layout}, {threads} threads"
    print(title)
    peak = {count: measured_peak("float64" if dtype == "float64" else "float32", count)
            for count in range(1, threads + 1)}  # fmt: skip
    for i, entry in enumerate(measure(wanted, layout, dtype, api), 1):
        found.append(entry)
        gflops = entry["flops"] / entry["seconds"] / 1e9
        share = 100 * gflops / peak[entry["threads"]]
        print(f"{entry['kind']:<14} {entry['axis']:<7} {entry['size']:4d}  {entry['threads']} threads  "
              f"{entry['seconds'] * 1e3:9.4f} ms  {gflops:7.1f} GFLOP/s  {share:5.1f} % of peak  [{i}/{len(wanted)}]",
              flush=True)  # fmt: skip
    print(summary(found))
    options = {"network": "scaling", "layout": layout, "dtype": dtype, "api": api, "batch": 1}
    return {"machine": report.machine(), "options": options, "roof": roofline.roof(dtype, threads),
            "peak_gflops": {str(count): value for count, value in peak.items()}, "points": found}  # fmt: skip
