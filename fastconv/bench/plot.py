"""A picture of a bench run: bars against the peers, and the roofline."""

from __future__ import annotations

from fastconv.bench.report import machine
from fastconv.bench.runner import Row


def plot(path: str, rows: list[Row], against: list[str], title: str) -> None:
    """Write a picture; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    width = max(9.0, 0.28 * len(rows) * (1 + len(against)) / 2 + 3)
    figure, (bars, roof) = plt.subplots(2, 1, figsize=(width, 10), constrained_layout=True)
    peak, step = rows[0].peak, 0.8 / (1 + len(against))
    for j, name in enumerate(["fastconv", *against]):
        times = [row.seconds if name == "fastconv" else row.peers.get(name) for row in rows]
        heights = [0 if t is None else row.flops / t / 1e9 for row, t in zip(rows, times, strict=True)]
        bars.bar([i + j * step for i in range(len(rows))], heights, step, label=name)
    bars.axhline(peak, color="black", linewidth=0.8, linestyle="--", label="multiply-add peak")
    bars.set_xticks([i + 0.4 for i in range(len(rows))], [row.layer.label for row in rows], rotation=90, fontsize=7)
    bars.set_ylabel("GFLOP/s")
    bars.legend(ncols=3, fontsize=8)
    info = machine()
    bars.set_title(f"{title}: {info['cpu']}, {info['date']}")

    intensity = [row.flops / _bytes(row) for row in rows]
    roof.scatter(intensity, [row.gflops for row in rows], s=14, label="fastconv")
    bandwidth = max(row.gflops / i for row, i in zip(rows, intensity, strict=True))
    xs = [min(intensity) / 2, peak / bandwidth, max(intensity) * 2]
    roof.plot(xs, [min(peak, x * bandwidth) for x in xs], color="black", linewidth=0.8,
              label=f"peak; {bandwidth:.0f} GB/s, the most that a layer moved")  # fmt: skip
    roof.set(xscale="log", yscale="log", xlabel="flop per byte of input, weight and output", ylabel="GFLOP/s")
    roof.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _bytes(row: Row) -> int:
    layer = row.layer
    weights = layer.k * layer.c // layer.groups * layer.r * layer.s
    batch = row.flops // max(layer.flops(), 1)
    return 4 * (batch * (layer.c * layer.h * layer.w + layer.k * layer.oh * layer.ow) + weights)
