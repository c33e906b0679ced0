"""A picture of a bench run: every layer's speed, ours and the peers', under the machine's multiply-add peak."""

from __future__ import annotations

from fastconv.bench.comparison import HEADS, fastest, grouped, pass_of

OURS = "fastconv"
# Okabe and Ito's colours, which colour-blind readers can tell apart; shapes and sizes differ as well. Drawn in order.
STYLE = {
    "torch": {"marker": "s", "color": "#E69F00", "s": 9},
    "onnxruntime": {"marker": "^", "color": "#009E73", "s": 11},
    "openvino": {"marker": "D", "color": "#CC79A7", "s": 8},
    "ncnn": {"marker": "v", "color": "#56B4E9", "s": 11},
    "jax": {"marker": "P", "color": "#0072B2", "s": 11},
    "scipy": {"marker": "X", "color": "#999999", "s": 11},
    OURS: {"marker": "o", "color": "#000000", "s": 15},
}
ROW = 60  # layers; with more, the groups go on two rows


def plot(path: str, data: dict) -> None:
    """Write a picture of a run's JSON; needs matplotlib."""
    plt = pyplot()
    multiplied = {name: [row for row in rows if row["flops"]] for name, rows in grouped(data).items()}
    groups = {name: sorted(rows, key=lambda row: speed(row, OURS)) for name, rows in multiplied.items() if rows}
    names = [name for name in STYLE if name == OURS or any(fastest(row, name) for row in data["rows"])]
    peak = max(row["peak_gflops"] for row in data["rows"])
    top = 1.04 * max(peak * 1.03, *(speed(row, name) or 0 for row in data["rows"] for name in names))
    lines = rows_of({name: len(rows) for name, rows in groups.items()})
    figure = plt.figure(figsize=(9, 1.1 + 2.9 * len(lines)), layout="constrained")
    for part, line in zip(figure.subfigures(len(lines), 1, squeeze=False)[:, 0], lines, strict=True):
        widths = [max(len(groups[name]), sum(len(groups[n]) for n in line) / 7) for name in line]
        axes = part.subplots(1, len(line), sharey=True, squeeze=False, width_ratios=widths)[0]
        for axis, name in zip(axes, line, strict=True):
            _draw(axis, groups[name], names, peak)
            axis.set(title=f"{name} ({len(groups[name])})", xticks=[], ylim=(0, top))
            axis.set_xlim(-1, len(groups[name]))
        axes[0].set_ylabel("GFLOP/s")
    named = {}
    for axis in figure.axes:
        named.update(dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True)))
    handles, labels = list(named.values()), list(named)
    order = sorted(range(len(labels)), key=lambda i: labels[i] != OURS)  # ours is drawn last, but named first
    figure.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside lower center", ncols=3,
                  frameon=False, handletextpad=0.3, columnspacing=1.4)  # fmt: skip
    figure.suptitle(title(data), fontsize=9)
    save(figure, path)


def pyplot():
    """matplotlib's, without a screen, in the style of all pictures."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"font.size": 9, "svg.hashsalt": OURS, "axes.spines.top": False,
                                "axes.spines.right": False})  # fmt: skip
    import matplotlib.pyplot

    return matplotlib.pyplot


def save(figure, path: str) -> None:
    """Write a picture and forget it."""
    metadata = {"Date": None} if path.endswith(".svg") else None  # the same run gives the same file
    figure.savefig(path, dpi=100, metadata=metadata)
    pyplot().close(figure)


def rows_of(sizes: dict[str, int]) -> list[list[str]]:
    """Which groups share a row of the picture: one row for few layers, else the two of most equal length."""
    names = list(sizes)
    if sum(sizes.values()) <= ROW or len(names) == 1:
        return [names]
    cut = min(range(1, len(names)), key=lambda i: abs(sum(list(sizes.values())[:i]) - sum(list(sizes.values())[i:])))
    return [names[:cut], names[cut:]]


def speed(row: dict, name: str) -> float | None:
    """Direct convolution's GFLOP over the time that was taken."""
    seconds = (row["layer_s"] or row["function_s"]) if name == OURS else fastest(row, name)
    return row["flops"] / seconds / 1e9 if seconds else None


def _draw(axis, rows, names, peak):
    axis.axhline(peak, color="#D55E00", linewidth=1, label="multiply-add peak: direct convolution cannot pass")
    for name in names:
        points = [(i, speed(row, name)) for i, row in enumerate(rows) if speed(row, name)]
        if not points:
            continue
        label = OURS if name == OURS else HEADS[name]
        axis.scatter(*zip(*points, strict=True), label=label, linewidths=0, alpha=1 if name == OURS else 0.75,
                     **STYLE[name])  # fmt: skip
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)


def title(data: dict) -> str:
    """What was measured, and on what."""
    options = data["options"]
    network = "every convolution of the networks" if options["network"] == "all" else options["network"]
    pass_ = "" if pass_of(data) == "forward" else f"{pass_of(data)}, "
    return f"{network}, {pass_}{options['dtype']}, {options['layout']}, batch {options['batch']}\n{place(data)}"


def place(data: dict) -> str:
    """The machine and the day."""
    machine = data["machine"]
    return f"{machine['cpu']} ({machine['core']}, {machine['isa']}), {machine['date']}"


def plain(axis) -> None:
    """Ticks of logarithmic axes as people write numbers, and a grid behind everything."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        one.set_minor_formatter(NullFormatter())
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
