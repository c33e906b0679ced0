"""Errors of every algorithm against exact results: the tables of docs/accuracy.md.

A problem is one image of random data. Errors are shares of the output's root mean square (RMS), so that they do not
depend on the data's scale; bounds hold for the ratio of the largest errors on one and the same problem.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

import fastconv as fc
from fastconv import threads, workspace
from fastconv.algorithm.winograd import Winograd
from fastconv.algorithm.winograd.members import Member, family
from fastconv.bench import comparison, report
from fastconv.dispatch import contiguous_steps
from fastconv.problem.conv import Problem, conv2d_problem
from fastconv.target import host


class Kernel(NamedTuple):
    """A kind of convolution."""

    r: int
    s: int
    dilation: int = 1
    stride: int = 1  # of the axes that have more than one tap

    @property
    def steps(self) -> tuple[int, int]:
        """The stride of both axes."""
        return self.stride if self.r > 1 else 1, self.stride


# Times direct summation's largest error: what the precisions promise.
BOUND = {"default": 16, "fast": 64}
UNIT = {"float32": 1e-7, "float64": 1e-16}  # of the errors shown
KERNELS = (
    *(Kernel(*sizes) for sizes in ((1, 1), (3, 3), (3, 3, 2), (2, 2), (4, 4), (5, 5), (1, 3), (1, 5), (1, 7))),
    *(Kernel(*sizes, stride=2) for sizes in ((3, 3), (4, 4), (5, 5), (7, 7), (1, 3), (1, 4))),
)
STRIDES = 1, 2  # which have tables of their own
CHANNELS = (16, 32, 64, 128, 256, 512, 1024)
SHOWN = (16, 64, 256, 1024)  # with figures of their own
OUTPUTS, SIZE = 64, 60  # channels, and rows and columns: a multiple of every tile
SEEDS = 2
DATA = {
    "normal": lambda x: x,
    "post-ReLU": lambda x: np.maximum(x, 0),
    "post-ReLU + 1": lambda x: np.maximum(x, 0) + 1,
    "90 % zeros": lambda x: np.maximum(x - x.dtype.type(1.2816), 0),
}
SPARSE = "90 % zeros"  # which plain sums skip without an error; transforms fill them, so that the bounds do not hold
OURS, PEER, TILES = "direct", "torch", "amx"


@dataclass
class Row:
    """One algorithm's errors on one kind of problem: (mean, largest) for each of the seeds."""

    kernel: Kernel
    data: str
    channels: int
    algorithm: str
    member: Member | None = None
    errors: list[tuple[float, float]] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """The mean absolute error of all problems."""
        return sum(mean for mean, _ in self.errors) / len(self.errors)

    @property
    def most(self) -> float:
        """The largest error of all problems."""
        return max(most for _, most in self.errors)

    def times(self, base: Row) -> tuple[float, float]:
        """How many times the base's: its mean error, and its largest on the problem where this ratio is worst."""
        pairs = zip(self.errors, base.errors, strict=True)
        return self.mean / base.mean, max(mine[1] / other[1] for mine, other in pairs)


def name(kernel: Kernel) -> str:
    """A kernel in words."""
    dilation, stride = f", dilation {kernel.dilation}", f", stride {kernel.stride}"
    return f"{kernel.r}x{kernel.s}" + dilation * (kernel.dilation > 1) + stride * (kernel.stride > 1)


def problem_of(kernel: Kernel, channels: int, dtype: str, size: int = SIZE) -> Problem:
    """The problem whose every output pixel sums all of the kernel's taps."""
    (r, s, dilation, _), (sh, sw) = kernel, kernel.steps
    high, wide = (size - 1) * sh + (r - 1) * dilation + 1, (size - 1) * sw + (s - 1) * dilation + 1
    x, w = (1, channels, high, wide), (OUTPUTS, channels, r, s)
    return conv2d_problem(x, w, dtype=dtype, dilation=dilation, stride=(sh, sw))


def arrays(problem: Problem, data: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The image and the weights of one seed; weights are normal."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(problem.x_shape, problem.dtype)
    return DATA[data](x), rng.standard_normal(problem.weight_shape, problem.dtype)


def exact(x: np.ndarray, w: np.ndarray, dilation: int, steps: tuple[int, int] = (1, 1)) -> list[np.ndarray]:
    """The convolution of one image as float64 terms, of which the first is by far the largest.

    float64 sums are exact enough for float32. For float64 both inputs are split into integers so short, times powers
    of two, that float64 holds sums of their products exactly (Ozaki et al., Numerical Algorithms 59, 2012).
    """
    if x.dtype == np.float32:
        return [_sums(x.astype(np.float64), w.astype(np.float64), dilation, steps)]
    bits = int(53 - math.log2(w[0].size)) // 2
    highs, lows = slices(x, bits), slices(w, bits)
    return [_sums(highs[i], lows[total - i], dilation, steps) for total in range(3) for i in range(total + 1)]


def slices(a: np.ndarray, bits: int) -> list[np.ndarray]:
    """Three arrays whose sum is `a` almost, each of integers of so many bits times a power of two."""
    found = []
    for _ in range(3):
        unit = 2.0 ** (math.frexp(np.abs(a).max())[1] - bits)
        found.append(np.rint(a / unit) * unit)
        a = a - found[-1]
    return found


def _sums(x: np.ndarray, w: np.ndarray, dilation: int, steps: tuple[int, int]) -> np.ndarray:
    """The convolution in float64, tap by tap."""
    r, s = w.shape[2:]
    oh, ow = (
        (size - (taps - 1) * dilation - 1) // step + 1
        for size, taps, step in zip(x.shape[2:], (r, s), steps, strict=True)
    )
    y = 0.0
    for i in range(r):
        for j in range(s):
            window = x[0, :, i * dilation :: steps[0], j * dilation :: steps[1]][:, :oh, :ow]
            y = y + np.ascontiguousarray(w[:, :, i, j]) @ window.reshape(x.shape[1], oh * ow)
    return y.reshape(1, len(w), oh, ow)


def statistics(y: np.ndarray, terms: list[np.ndarray]) -> tuple[float, float]:
    """(mean, largest) absolute error over the RMS of the exact result."""
    error = y.astype(np.float64)
    for term in terms:
        error = error - term
    error, rms = np.abs(error), math.sqrt(np.mean(np.square(terms[0])))
    return float(error.mean()) / rms, float(error.max()) / rms


def convolve(problem: Problem, member: Member, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """One member's result, whatever the precision."""
    steps, count = contiguous_steps(problem), threads.get_num_threads()
    execution = Winograd(only=member).build(problem, steps, host(), count, True)
    packed, y = workspace.aligned(execution.weight_bytes), np.empty(problem.y_shape, problem.dtype)
    threads.run(execution.weights, w, y=packed)
    for job in execution.parts:
        threads.run(job, x, packed, y=y)
    return y


def _torch(x: np.ndarray, w: np.ndarray, kernel: Kernel) -> np.ndarray:
    import torch

    with torch.inference_mode():
        y = torch.nn.functional.conv2d(*map(torch.from_numpy, (x, w)), stride=kernel.steps, dilation=kernel.dilation)
        return y.numpy()


def measure(dtype: str, seed: int, kernels: Iterable = KERNELS, channels: Iterable = CHANNELS,
            size: int = SIZE) -> Iterator[list[Row]]:  # fmt: skip
    """The rows of each kernel, data and number of channels: direct, torch if it is here, matrix tiles if the processor
    has some, every Winograd member with register tiles and on matrix tiles."""
    tiles = host().amx and dtype == "float32"
    peer = importlib.util.find_spec("torch") is not None
    for kernel, data, c in itertools.product(kernels, DATA, channels):
        problem = problem_of(kernel, c, dtype, size)
        rows = [Row(kernel, data, c, OURS)] + [Row(kernel, data, c, PEER)] * peer
        rows += [Row(kernel, data, c, TILES)] * tiles
        members = family(kernel.r, kernel.s, "fast", kernel.steps)
        on_tiles = tiles and kernel.stride == 1
        rows += [Row(kernel, data, c, title(m), m) for m in members]
        rows += [Row(kernel, data, c, title(m), m) for m in (replace(m, matrix=True) for m in members)] * on_tiles
        for one in range(seed, seed + SEEDS):
            x, w = arrays(problem, data, one)
            terms = exact(x, w, kernel.dilation, kernel.steps)
            for row in rows:
                row.errors.append(statistics(_result(row, problem, x, w), terms))
        yield rows


def _result(row: Row, problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    if row.member:
        return convolve(problem, row.member, x, w)
    if row.algorithm == PEER:
        return _torch(x, w, row.kernel)
    algorithm = TILES if row.algorithm == TILES else "im2col"
    return fc.conv2d(x, w, dilation=problem.dilation, stride=problem.stride, algorithm=algorithm)


def title(member: Member) -> str:
    """A member as papers write it."""
    return f"F({member.mh}x{member.mw}, {member.r}x{member.s})" + f" {TILES}" * member.matrix


def precision(row: Row) -> str:
    """The least precision that allows a row's algorithm."""
    if row.member is None:
        return "default" if row.algorithm == TILES else "strict"
    plain = replace(row.member, matrix=False)
    return next(p for p in BOUND if plain in family(plain.r, plain.s, p, (plain.sh, plain.sw)))


def markdown(rows: list[Row], dtype: str, machine: dict[str, str]) -> str:
    """Ratios at worst, then the figures themselves for each kind of data."""
    outputs = SEEDS * OUTPUTS * SIZE**2
    lines = [
        f"{machine['cpu']} ({machine['core']}, {machine['isa']}), {machine['date']}, {dtype}; {SEEDS} images of "
        f"{OUTPUTS} x {SIZE} x {SIZE} outputs a figure ({outputs} in all), {CHANNELS[0]} to {CHANNELS[-1]} input "
        "channels.",
        "",
        "Mean error, largest error as multiples of those of direct summation and of torch, the worst of all numbers of "
        "channels. The bound is for the largest, held against direct summation's on the same problem.",
        "",
        *_ratios(rows),
    ]
    for data in DATA:
        lines += ["", f"Mean, largest error in units of {UNIT[dtype]:.0e} of the output's RMS, {data} data:", ""]
        lines += _figures([row for row in rows if row.data == data], UNIT[dtype])
    return "\n".join(lines)


def _ratios(rows: list[Row]) -> list[str]:
    peer = any(row.algorithm == PEER for row in rows)
    heads = ["kernel", "algorithm", "precision", "bound", "direct", f"direct, {SPARSE}"] + ["torch"] * peer
    lines = _head(heads)
    bases = {(row.kernel, row.data, row.channels, row.algorithm): row for row in rows if row.member is None}
    for alike in _alike(rows):
        first = alike[0]
        if first.algorithm == OURS:
            continue

        def worst(base, sparse, alike=alike):
            some = [r.times(bases[r.kernel, r.data, r.channels, base]) for r in alike if (r.data == SPARSE) == sparse]
            return ", ".join(_short(max(ratios)) for ratios in zip(*some, strict=True))

        bound = BOUND.get(precision(first))
        cells = [name(first.kernel), first.algorithm, *((precision(first), str(bound)) if bound else "--")]
        cells += [worst(OURS, False), worst(OURS, True)]
        if peer:
            cells.append(worst(PEER, False) if bound else "-")
        lines.append(_line(cells))
    return lines


def _figures(rows: list[Row], unit: float) -> list[str]:
    shown = [c for c in SHOWN if any(row.channels == c for row in rows)]
    lines = _head(["kernel", "algorithm", *(f"{c} channels" for c in shown)])
    for alike in _alike(rows):
        found = {row.channels: f"{_short(row.mean / unit)}, {_short(row.most / unit)}" for row in alike}
        lines.append(_line([name(alike[0].kernel), alike[0].algorithm, *(found[c] for c in shown)]))
    return lines


def _short(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _alike(rows: list[Row]) -> list[list[Row]]:
    """Rows of one kernel and algorithm together."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.kernel, row.algorithm), []).append(row)
    return list(groups.values())


def _head(cells: list[str]) -> list[str]:
    return [_line(cells), "|---" * len(cells) + "|"]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def marker(dtype: str, stride: int) -> str:
    """What the document calls a table."""
    return f"accuracy {dtype}" + (f" stride {stride}" if stride > 1 else "")


def run(dtype: str, seed: int, document: str | None, stride: int = 1) -> None:
    """Measure everything, line by line, then print the tables, and put them into a document."""
    if dtype not in UNIT:
        raise ValueError(f"--errors: --dtype must be one of {', '.join(UNIT)}, got {dtype!r}")
    if seed < 0:
        raise ValueError(f"--seed: must be at least 0, got {seed}")
    if stride not in STRIDES:
        raise ValueError(f"--stride: must be one of {', '.join(map(str, STRIDES))}, got {stride}")
    markers = f"<!-- {marker(dtype, stride)} -->", f"<!-- /{marker(dtype, stride)} -->"
    if document:
        comparison.place(document, *markers)
    rows: list[Row] = []
    for some in measure(dtype, seed, [kernel for kernel in KERNELS if kernel.stride == stride]):
        base = some[0]
        ratios = ", ".join(f"{row.algorithm} {row.times(base)[1]:.2f}" for row in some[1:])
        print(f"{name(base.kernel)}, {base.data}, {base.channels} channels: {ratios}", flush=True)
        rows += some
    table = markdown(rows, dtype, report.machine())
    print(f"\n{table}")
    if document:
        comparison.write(table, document, *markers)
