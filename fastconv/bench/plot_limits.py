"""Pictures of limits: the roofline with every layer under it, and time against each size."""

from __future__ import annotations

from fastconv.bench.comparison import grouped
from fastconv.bench.plot import OURS, place, plain, pyplot, save, speed, title

MARKS = {
    "1x1": ("s", "#E69F00"),
    "depthwise": ("^", "#56B4E9"),
    "3x3, stride 1": ("o", "#009E73"),
    "other": ("D", "#CC79A7"),
    "1-D": ("v", "#0072B2"),
    "3-D": ("P", "#000000"),
    "transposed": ("X", "#D55E00"),
}
LINES = {"3x3": "#009E73", "1x1": "#E69F00", "depthwise 3x3": "#56B4E9"}
AXES = {
    "C": "input channels C",
    "K": "output channels K",
    "H": "height and width H",
    "N": "images N",
    "threads": "threads",
}
ROOFS = ("-", "--", "-.", ":")


def roofline(path: str, data: dict) -> None:
    """Every layer's useful GFLOP/s against its FLOP per byte, under what the machine allows."""
    if not data.get("roof") or not all(row.get("bytes") for row in data["rows"]):
        raise ValueError("this run does not say what its machine allows: it is of an older version")
    from matplotlib.ticker import LogLocator

    figure, axis = pyplot().subplots(figsize=(9, 4.8), layout="constrained")
    groups = {name: rows for name, rows in grouped(data).items() if name in MARKS and rows}
    intensities = [row["flops"] / row["bytes"] for rows in groups.values() for row in rows]
    low, high = min(intensities) / 1.5, max(intensities) * 1.5
    peak = data["roof"]["peak_gflops"]
    for (moved, rate), style in zip(data["roof"]["bandwidth_gb_s"].items(), ROOFS, strict=True):
        ridge = peak / rate
        axis.plot([low, ridge, high] if low < ridge < high else [low, high],
                  [low * rate, peak, peak] if low < ridge < high else [min(peak, x * rate) for x in (low, high)],
                  color="#555555", linewidth=1, linestyle=style,
                  label=f"{rate:.0f} GB/s, a copy of {_bytes(int(moved))}")  # fmt: skip
    axis.axhline(peak, color="#D55E00", linewidth=1, label=f"{peak:.0f} GFLOP/s, multiply-adds in registers")
    for kind, rows in groups.items():
        marker, color = MARKS[kind]
        axis.scatter([row["flops"] / row["bytes"] for row in rows], [speed(row, OURS) for row in rows], s=14,
                     marker=marker, color=color, alpha=0.8, linewidths=0, label=f"{kind} ({len(rows)})")  # fmt: skip
    axis.set(xscale="log", yscale="log", xlim=(low, high), xlabel="FLOP of direct convolution per byte of operands",
             ylabel="GFLOP/s")  # fmt: skip
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plain(axis)
    threads = data["roof"]["threads"]
    figure.legend(
        fontsize=8, loc="outside right upper", frameon=False, title=f"{threads} threads" if threads > 1 else ""
    )
    axis.set_title(title(data), fontsize=9)
    save(figure, path)


def _bytes(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def scaling(path: str, data: dict) -> None:
    """Above: milliseconds against each size. Below: picoseconds per FLOP, which should be level."""
    figure, axes = pyplot().subplots(2, len(AXES), figsize=(13, 5.6), layout="constrained", sharey="row",
                                     sharex="col")  # fmt: skip
    for column, (name, text) in enumerate(AXES.items()):
        above, below = axes[:, column]
        for kind, color in LINES.items():
            found = [point for point in data["points"] if (point["kind"], point["axis"]) == (kind, name)]
            if not found:
                continue
            sizes, style = [point["size"] for point in found], {"color": color, "linewidth": 1, "marker": ".",
                                                                "markersize": 3, "label": kind}  # fmt: skip
            above.plot(sizes, [1e3 * point["seconds"] for point in found], **style)
            below.plot(sizes, [1e12 * point["seconds"] / point["flops"] for point in found], **style)
        if name != "threads":
            peak = data["peak_gflops"][str(data["roof"]["threads"])]
            below.axhline(1e3 / peak, color="#D55E00", linewidth=1, label="multiply-add peak")
        for axis in (above, below):
            axis.set(xscale="log", yscale="log")
            ticks = sorted({point["size"] for point in data["points"] if point["axis"] == name
                            and point["size"] & (point["size"] - 1) == 0})  # fmt: skip
            axis.set_xticks(ticks)
            axis.minorticks_off()
            plain(axis)
        below.set_xlabel(text)
    axes[0, 0].set_ylabel("ms")
    axes[1, 0].set_ylabel("ps per FLOP")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    options, threads = data["options"], data["roof"]["threads"]
    what = "weights packed once" if options["api"] == "layer" else "weights new at each call"
    figure.suptitle(f"one size varied, the others C = K = 64, H = W = 56, N = 1, {threads} threads; "
                    f"{options['dtype']}, {options['layout']}, {what}\n{place(data)}", fontsize=9)  # fmt: skip
    save(figure, path)
