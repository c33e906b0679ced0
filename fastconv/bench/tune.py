"""The tune command: measure every layer of a network once, and say how far "auto" was from the best."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastconv as fc
from fastconv import winners
from fastconv.bench.passes import class_of
from fastconv.bench.runner import dtype_of, geometric_mean
from fastconv.networks import Layer, all_layers, network

APIS = {"function": (False,), "layer": (True,), "both": (False, True)}


@dataclass(frozen=True)
class Tuned:
    """One layer; milliseconds."""

    label: str
    api: str  # the function, with weights new at each call, or the layer, with weights packed
    auto: str
    winner: str
    auto_ms: float
    best_ms: float
    measured: bool  # now, not before

    @property
    def gain(self) -> float:
        """How many times the best's time the automatic choice takes."""
        return self.auto_ms / self.best_ms

    def __str__(self) -> str:
        change = self.auto if self.winner == self.auto else f"{self.auto} -> {self.winner}"
        before = "" if self.measured else "  remembered"
        return (f"{self.label:<44}  {self.api}  {change:<24}  {self.auto_ms:9.4f} ms  {self.best_ms:9.4f} ms  "
                f"{self.gain:5.2f}{before}")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """The command."""
    if options.merge:
        print(merge_file(options.merge))
    if options.network is None:
        if not options.merge:
            raise ValueError("network: say which to tune, or all, or --merge FILE")
        return 0
    layers = all_layers() if options.network == "all" else network(options.network)
    layers = tuple(layer for layer in layers if layer.op.startswith("conv"))
    threads = options.threads or fc.get_num_threads()
    if options.batch < 1 or threads < 1:
        raise ValueError(f"--batch and --threads must be at least 1, got {options.batch} and {threads}")
    print(f"{options.network}, {options.dtype}, {options.layout}, batch {options.batch}, {threads} threads: "
          "auto, auto -> winner if they differ; auto's time, the best's, their ratio")  # fmt: skip
    total, done, status = len(layers) * len(APIS[options.api]), [], 0
    rows = tune(layers, options.layout, options.dtype, options.batch, threads, options.api)
    try:
        for row in _progress(rows, total):
            done.append(row)
    except KeyboardInterrupt:
        print(f"stopped after {len(done)} of {total}; they are remembered")
        status = 130
    print(summary(done))
    print(f"winners: {winners.path() or 'kept in this process only'}")
    return status


def tune(layers: Iterable[Layer], layout: str, dtype: str, batch: int, threads: int, api: str) -> Iterator[Tuned]:
    """Tune layer after layer; each is on disk before the next begins."""
    kind = dtype_of(dtype)
    with fc.num_threads(threads):
        for layer in layers:
            for packed in APIS[api]:
                yield _tune(layer, layout, kind, batch, packed)


def _tune(layer: Layer, layout: str, dtype: np.dtype, batch: int, packed: bool) -> Tuned:
    shape, options = layer.x_shape(batch, layout), {**layer.kwargs, "layout": layout}

    def plan() -> fc.Plan:
        return fc.explain(layer.op, shape, layer.weight_shape, dtype=dtype, packed=packed, **options)

    found = plan()
    measured = found.tuned is None
    if measured:
        rng = np.random.default_rng(0)
        x, w = (rng.normal(size=size).astype(np.float32).astype(dtype) for size in (shape, layer.weight_shape))
        if packed:
            getattr(fc, class_of(layer.op))(w, None, algorithm="tune", **options)(x)
        else:
            getattr(fc, layer.op)(x, w, None, algorithm="tune", **options)
        found = plan()
    times = {c.name: c.tuned_milliseconds for c in found.candidates if c.tuned_milliseconds is not None}
    best = min(times.values())
    return Tuned(
        layer.label,
        class_of(layer.op) if packed else layer.op,
        found.algorithm,
        found.tuned,
        times[found.algorithm],
        best,
        measured,
    )


def summary(rows: list[Tuned]) -> str:
    """How often and how far the automatic choice was not the best."""
    if not rows:
        return "nothing was tuned"
    gains, differ = [row.gain for row in rows], sum(row.winner != row.auto for row in rows)
    return (f"{differ} of {len(rows)} winners differ from auto; auto/best: geometric mean {geometric_mean(gains):.3f}, "
            f"greatest {max(gains):.2f} ({max(rows, key=lambda row: row.gain).label})")  # fmt: skip


def merge_file(other: str) -> str:
    """Add another file's winners to ours, the newer of each."""
    where = winners.path()
    if where is None:
        raise ValueError("--merge: there is no folder for measured winners; set FASTCONV_TUNING_FILE")
    added = 0

    def change(found: winners.Winners) -> winners.Winners:
        nonlocal added
        merged = winners.merge(found, theirs)
        added = sum(found.get(key) != winner for key, winner in merged.items())
        return merged

    try:
        theirs = winners.parse(Path(other).read_bytes())
    except (OSError, ValueError) as wrong:
        raise ValueError(f"--merge: cannot read {other}: {wrong}") from wrong
    try:
        merged = winners.update(where, change)
    except (OSError, ValueError) as wrong:
        raise ValueError(f"--merge: cannot change {where}: {wrong}") from wrong
    return f"{added} of {len(theirs)} winners taken from {other}; {where} has {len(merged)}"


def _progress(rows: Iterable[Tuned], total: int) -> Iterator[Tuned]:
    """Print rows as they come, over a bar if rich is installed and this is a terminal."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        terminal = False
    else:
        console = Console()
        terminal = console.is_terminal
    if not terminal:
        for i, row in enumerate(rows, 1):
            print(f"{row}  [{i}/{total}]", flush=True)
            yield row
        return
    with Progress(console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("tuning", total=total)
        for row in rows:
            progress.console.print(str(row), highlight=False, soft_wrap=True)
            progress.advance(task)
            progress.refresh()  # only here, for measurements to be undisturbed
            yield row
