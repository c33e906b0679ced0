"""Regret: how much slower than the best algorithm is the one that "auto" takes, on shapes of networks and odd ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

import fastconv as fc
from fastconv import dispatch, tuning
from fastconv.bench import comparison, report
from fastconv.bench.runner import dtype_of, geometric_mean
from fastconv.networks import all_layers
from fastconv.problem.conv import PASSES, Problem, conv_problem
from fastconv.problem.transposed import transposed_problem

RANDOM = 100  # odd shapes besides those of the networks
MOST_FLOPS, MOST_BYTES = 2e9, 64e6  # of an odd shape: some milliseconds
BUDGET = 0.12  # seconds a shape
SUSPECT, AGAIN = 1.1, 0.5  # a regret from here on is measured once more, the two algorithms alone, for so many seconds
WORST = 10
# What is measured together, by the name of the set of networks that has most of it.
FAMILIES = {
    "conv2d": ("conv2d",),
    "conv1d": ("conv1d",),
    "conv3d": ("conv3d",),
    "transposed": ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
}
SIZES = {
    1: (4000, 100, 15),
    2: (160, 15, 7),
    3: (40, 7, 4),
}  # of random images, of kernels, of kernels alike on all axes


@dataclass(frozen=True)
class Row:
    """One shape: what auto takes, and every algorithm's seconds."""

    label: str
    auto: str
    times: dict[str, float]

    @property
    def best(self) -> str:
        """The fastest algorithm."""
        return min(self.times, key=self.times.__getitem__)

    @property
    def regret(self) -> float:
        """auto's time in units of the best's."""
        return self.times[self.auto] / self.times[self.best]


def network_problems(layout: str, dtype: np.dtype, ops: tuple[str, ...] = FAMILIES["conv2d"],
                     pass_: str = "forward") -> list[Problem]:  # fmt: skip
    """One pass of these operators in every network, each shape once."""
    layers = [layer for layer in all_layers() if layer.op in ops]
    return [_problem(layer.op, layer.x_shape(1, layout), layer.weight_shape, pass_, dtype=dtype, layout=layout,
                     **layer.kwargs) for layer in layers]  # fmt: skip


def random_problems(count: int, seed: int, layout: str, dtype: np.dtype, ops: tuple[str, ...] = FAMILIES["conv2d"],
                    pass_: str = "forward") -> list[Problem]:  # fmt: skip
    """Shapes that nobody would name: odd channels, thin images, large kernels, borders of all kinds."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < count:
        op = ops[0] if len(ops) == 1 else str(rng.choice(ops))
        problem = _random_problem(rng, op, layout, dtype, pass_)
        if problem is not None and problem.flops <= MOST_FLOPS and problem.bytes <= MOST_BYTES:
            found[problem] = None
    return list(found)


def _random_problem(rng: np.random.Generator, op: str, layout: str, dtype: np.dtype, pass_: str) -> Problem | None:
    axes = int(op[-2])
    most, taps, usual = SIZES[axes]

    def size(most: float) -> int:
        """Small sizes are as likely as large ones."""
        return int(np.exp(rng.uniform(0, np.log(most + 1))))

    n, c, k = size(7) if rng.random() < 0.3 else 1, size(512), size(512)
    sizes = [size(most) for _ in range(axes)]
    if rng.random() < 0.4:
        kernel = (3,) * axes
    else:
        kernel = tuple(size(taps) for _ in range(axes)) if rng.random() < 0.5 else (size(usual),) * axes
    groups = 1
    if rng.random() < 0.25:
        groups = c if rng.random() < 0.5 else int(rng.choice([2, 4, 8, 32]))
        c, k = -(-c // groups) * groups, -(-k // groups) * groups
        if groups == c:
            k = c * int(rng.integers(1, 4))
    unit = rng.random() < 0.6
    stride = (1,) * axes if unit else tuple(int(v) for v in rng.integers(1, 4, axes))
    dilation = (1,) * axes if rng.random() < 0.8 else tuple(int(v) for v in rng.integers(1, 5, axes))
    pads = tuple((size(r) - 1, size(r) - 1) for r in kernel) if rng.random() < 0.5 else "same"
    shape = (n, c, *sizes) if layout == "channels_first" else (n, *sizes, c)
    weight = (c, k // groups) if "transpose" in op else (k, c // groups)
    try:
        return _problem(op, shape, (*weight, *kernel), pass_, dtype=dtype, layout=layout, groups=groups, stride=stride,
                        dilation=dilation, padding=pads)  # fmt: skip
    except ValueError:  # the kernel is larger than the image
        return None


def _problem(op: str, x_shape: tuple, weight_shape: tuple, pass_: str, **options) -> Problem:
    """The problem of a pass, as the operators make it."""
    if "transpose" in op:
        return transposed_problem(op, x_shape, weight_shape, pass_=pass_, **options)
    return replace(conv_problem(op, x_shape, weight_shape, **options), pass_=pass_)


def measure(problems: Iterable[Problem], packed: bool, in_turns=tuning.in_turns) -> Iterator[Row]:
    """Time every algorithm of each problem, all in turns, the fastest of many runs.

    On a shared machine a run of turns can be disturbed as a whole. So a regret that is worth a look is measured again,
    auto's choice and the best alone and for longer, and the second measurement counts for these two.
    """
    for problem in problems:
        rng, steps = np.random.default_rng(0), dispatch.contiguous_steps(problem)
        beside = problem.y_shape if problem.pass_ == "weight_grad" else problem.weight_shape
        arrays = (rng.normal(size=shape).astype(np.float32).astype(dtype_of(problem.dtype))
                  for shape in (problem.source_shape, beside))  # fmt: skip
        auto = dispatch.choose(problem, steps, "auto", packed).name
        calls = tuning.candidates(problem, steps, (*arrays, None, None), packed)
        row = Row(problem.label, auto, in_turns(calls, budget=BUDGET) if len(calls) > 1 else {auto: 1.0})
        if row.regret > SUSPECT:
            again = in_turns({name: calls[name] for name in (auto, row.best)}, budget=AGAIN)
            slower = {name: time for name, time in row.times.items() if time > row.times[auto]}
            row = Row(problem.label, auto, {**slower, **again})
        yield row


def statistics(rows: list[Row]) -> dict[str, float]:
    """Geometric mean, 95th percentile and maximum of the regret; the shares without any and without a choice."""
    regrets = [row.regret for row in rows]
    return {
        "shapes": len(rows),
        "geometric mean": geometric_mean(regrets),
        "95 %": float(np.percentile(regrets, 95)),
        "maximum": max(regrets),
        "auto is best": sum(row.auto == row.best for row in rows) / len(rows),
        "one algorithm only": sum(len(row.times) == 1 for row in rows) / len(rows),
    }


def markdown(results: dict[int, list[Row]], machine: dict[str, str]) -> str:
    """The statistics for each number of threads, and the worst shapes."""
    found = {threads: statistics(rows) for threads, rows in results.items()}
    lines = ["| threads | " + " | ".join(next(iter(found.values()))) + " |", "|---" * 7 + "|"]
    for threads, figures in found.items():
        shapes, mean, high, most, hit, single = figures.values()
        lines.append(f"| {threads} | {shapes} | {mean:.3f} | {high:.2f} | {most:.2f} | {hit:.0%} | {single:.0%} |")
    for threads, rows in results.items():
        lines += [
            "",
            f"The worst with {threads} threads:",
            "",
            "| shape | auto | best | auto / best |",
            "|---" * 4 + "|",
        ]
        for row in sorted(rows, key=lambda row: -row.regret)[:WORST]:
            lines.append(f"| {row.label} | {row.auto} | {row.best} | {row.regret:.2f} |")
    lines += ["", f"{machine['cpu']} ({machine['core']}, {machine['isa']}), {machine['date']}."]
    return "\n".join(lines)


def run(layout: str, dtype: str, threads: tuple[int, ...], api: str, seed: int, document: str | None,
        pass_: str = "forward", family: str = "conv2d") -> None:  # fmt: skip
    """Measure, print the tables, and put them into a document."""
    if pass_ not in PASSES:
        raise ValueError(f"--regret: --pass must be one of {', '.join(PASSES)}, got {pass_!r}")
    if api == "both":
        api = "layer" if pass_ == "forward" else "function"
    what = f"{api if pass_ == 'forward' else pass_} {dtype} {layout}"
    if family != "conv2d":
        what = f"{family} {what}"
    markers = f"<!-- regret {what} -->", f"<!-- /regret {what} -->"
    if document:
        comparison.place(document, *markers)
    kind = dtype_of(dtype)
    ops = FAMILIES[family]
    problems = network_problems(layout, kind, ops, pass_)
    problems += random_problems(RANDOM, seed, layout, kind, ops, pass_)
    results: dict[int, list[Row]] = {}
    for count in threads:
        print(f"{len(problems)} shapes, {what.replace(' ', ', ')}, {count} threads", flush=True)
        with fc.num_threads(count):
            results[count] = list(_shown(measure(problems, api == "layer"), len(problems)))
    table = markdown(results, report.machine())
    print(table)
    if document:
        comparison.write(table, document, *markers)


def _shown(rows: Iterable[Row], total: int) -> Iterator[Row]:
    """Show how far it is, if this is a terminal and rich is installed; name the shapes that are off."""
    try:
        from rich.progress import track
    except ImportError:
        track = None
    if track is not None and sys.stdout.isatty():
        rows = track(rows, "regret", total)
    for row in rows:
        if row.regret > SUSPECT:
            print(f"{row.label}: {row.auto}, {row.best} is {row.regret:.2f} times as fast", flush=True)
        yield row
