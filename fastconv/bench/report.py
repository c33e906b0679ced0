"""What a bench run shows: a live table, totals, JSON."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from fastconv.bench.passes import PASSES
from fastconv.bench.peers import LIBRARIES, PEERS
from fastconv.bench.runner import Row, geometric_mean


def columns(against: list[str]) -> list[str]:
    """The table's heads."""
    ratios = [f"{peer} x" for peer in against]
    return ["layer", "count", "algorithm", "ms", "GFLOP/s", "% peak", "error", *ratios]


def cells(row: Row, against: list[str]) -> list[str]:
    """One row as text."""
    ratios = [f"{row.ratio(peer):.2f}" if peer in row.peers else "-" for peer in against]
    return [row.layer.label, str(row.layer.count), row.algorithm, f"{row.seconds * 1e3:.4f}", f"{row.gflops:.1f}",
            f"{100 * row.gflops / row.peak:.1f}", f"{row.error:.1e}", *ratios]  # fmt: skip


def show(rows: Iterable[Row], against: list[str], total: int, title: str, pass_: str = "forward") -> list[Row]:
    """Print rows as they come, by rich if it is installed and this is a terminal, else as plain lines."""
    try:
        from rich.console import Console
    except ImportError:
        return list(_plain(rows, against, total, len(PASSES[pass_].ops)))
    console = Console()
    if not console.is_terminal:
        return list(_plain(rows, against, total, len(PASSES[pass_].ops)))
    return _live(rows, against, total, title, console)


def _plain(rows: Iterable[Row], against: list[str], total: int, algorithms: int) -> Iterator[Row]:
    widths = [44, 5, 11 * algorithms - 1, 10, 8, 7, 8] + [max(7, len(f"{peer} x")) for peer in against]

    def line(texts):
        first, *rest = (text.ljust(w) if i in (0, 2) else text.rjust(w)
                        for i, (text, w) in enumerate(zip(texts, widths, strict=True)))  # fmt: skip
        return "  ".join([first, *rest])

    print(line(columns(against)), flush=True)
    for i, row in enumerate(rows, 1):
        print(f"{line(cells(row, against))}  [{i}/{total}]", flush=True)
        for note in row.notes:
            print(f"    {note}", flush=True)
        yield row


def _live(rows: Iterable[Row], against: list[str], total: int, title: str, console) -> list[Row]:
    from rich.live import Live
    from rich.table import Table

    table = Table(title=title)
    for i, head in enumerate(columns(against)):
        table.add_column(head, justify="left" if i in (0, 2) else "right", no_wrap=True)
    done = []
    with Live(table, console=console, refresh_per_second=8, vertical_overflow="visible"):
        for i, row in enumerate(rows, 1):
            table.add_row(*cells(row, against))
            table.caption = f"{i} of {total} layers"
            done.append(row)
    for row in done:
        for note in row.notes:
            console.print(f"{row.layer.label}: {note}")
    return done


def summary(rows: list[Row], against: list[str], pass_: str = "forward") -> str:
    """Totals weighted by multiplicity, and the ratios' means and minima."""
    if not rows:
        return "nothing was measured"
    seconds = sum(row.seconds * row.layer.count for row in rows)
    flops = sum(row.flops * row.layer.count for row in rows)
    lines = [f"total {seconds * 1e3:.3f} ms, {flops / 1e9:.3f} GFLOP, {flops / seconds / 1e9:.1f} GFLOP/s, "
             f"{100 * flops / seconds / 1e9 / rows[0].peak:.1f} % of the measured multiply-add peak of "
             f"{rows[0].peak:.0f} GFLOP/s"]  # fmt: skip
    held = [peer for peer in against if not PEERS[peer].anew]
    formats = [peer for peer in against if peer in LIBRARIES["torch"]]
    for peer in against:
        lines.append(_ratios(peer, [row.ratio(peer) for row in rows if peer in row.peers]))
    for name, group in (
        (f"best of torch's formats ({PASSES[pass_].function})", formats),
        (f"best of {', '.join(held)} (Conv2d)", held),
    ):
        if len(group) > 1:
            best = [min(row.ratio(p) for p in group if p in row.peers) for row in rows if set(group) & set(row.peers)]
            lines.append(_ratios(name, best))
    return "\n".join(lines)


def _ratios(name: str, ratios: list[float]) -> str:
    if not ratios:
        return f"{name}: no layer"
    return (f"{name}: {geometric_mean(ratios):.2f} times its speed (geometric mean of {len(ratios)} layers), "
            f"least {min(ratios):.2f}")  # fmt: skip


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    import numba
    import numpy

    import fastconv
    from fastconv.target import host

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": model, "core": host().name, "isa": host().isa, "system": platform.platform(),
            "python": platform.python_version(), "numpy": numpy.__version__, "numba": numba.__version__,
            "fastconv": fastconv.__version__, "date": time.strftime("%Y-%m-%d")}  # fmt: skip


def versions() -> dict[str, str]:
    """The peers that are installed."""
    found = {}
    for module in sorted({peer.module for peer in PEERS.values()}):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[module] = importlib.metadata.version(module)
    return found


def as_json(rows: list[Row], options: dict, roof: dict | None = None) -> dict:
    """Every figure, the machine and the options of a run; `roof` is what the machine allows (`roofline`)."""
    return {
        "machine": machine(),
        "versions": versions(),
        "options": options,
        "roof": roof,
        "rows": [
            {"layer": row.layer.label, "count": row.layer.count, "algorithm": row.algorithm, "flops": row.flops,
             "bytes": row.bytes, "function_s": row.function, "layer_s": row.packed, "peak_gflops": row.peak,
             "error": row.error, "peers_s": row.peers, "notes": row.notes}
            for row in rows
        ],
    }  # fmt: skip


def write_json(path: str, data: dict) -> None:
    """Write a run for `comparison` to read."""
    Path(path).write_text(json.dumps(data, indent=1) + "\n")
