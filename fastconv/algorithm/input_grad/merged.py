"""The input gradient as one convolution of dy: every phase of an image is a channel of the result.

Where phases have equally many taps, or nearly so, one convolution with a channel for each phase of each channel reads
dy once, fills tiles and starts once. Its windows are placed alike for all phases: dx[stride j + a - before] is phase
a at place j. What it gives is put together by `weave`, some rows at a time where it is large.

W. Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastconv import cost, threads, workspace
from fastconv.algorithm.common import Algorithm, Execution, Steps
from fastconv.algorithm.input_grad.phases import Axis
from fastconv.algorithm.input_grad.tasks import Piece, weights_job
from fastconv.algorithm.input_grad.weave import weave_job
from fastconv.job import LINE, Job
from fastconv.microkernels.regroup import WEAVES
from fastconv.problem.conv import Pair, Problem
from fastconv.target import Target

# Bytes of results that wait to be put together. Bands that stay in L2 would be put together sooner, but fill tiles less
# and read the weights again: 512 to 256 channels 2x2 on 52x52 took 1.2 times as long.
BAND = 24 << 20


class Merged:
    """All phases at once, by the cheapest of some algorithms that can do their convolution for so many images."""

    name = "merged"

    def __init__(self, algorithms: Sequence[Algorithm], images: int = 1):
        self._algorithms, self._images = algorithms, images

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if problem.stride == (1, 1):
            return "stride 1 has one phase"
        if problem.padding_mode != "zeros":
            return "a border that is folded back"
        if any(step > 1 and dilation > 1 for step, dilation in zip(problem.stride, problem.dilation, strict=True)):
            return "stride and dilation on one axis"
        if problem.layout == "channels_last" and problem.groups > 1:
            return "a group's phases lie apart"
        down, across = axes_of(problem)
        if down.zero or across.zero:
            return "no tap reaches a pixel"
        if problem.precision == "strict" and ragged(problem):
            # As infinity times zero is NaN.
            return "precision='strict' multiplies no zero for taps that a phase has not"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        inner = merged(problem, *axes_of(problem))
        cycles = cheapest(self._algorithms, inner, x, target, packed).cost(inner, x, target, packed)
        if not packed:
            # A kernel of the stride's size is but transposed, in half the time.
            each = cost.C.regroup_weight * (0.5 if (problem.r, problem.s) == problem.stride else 1.0)
            cycles += problem.k * (problem.c // problem.groups) * problem.r * problem.s * each
        pieces = 0 if problem.stride[1] in WEAVES else problem.stride[1]
        cycles += problem.n * problem.c * problem.h * (problem.w * cost.C.join + pieces * cost.C.join_row)
        return cycles + 5 * cost.C.launch  # two of them, and what Python does around

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Woven:
        down, across = axes_of(problem)
        (sh, sw), top, item = problem.stride, problem.padding[0][0], problem.itemsize
        pieces, size = pieces_of(problem, down, across)
        weights, parts = weights_job(problem, pieces, target), []
        whole = merged(replace(problem, n=self._images), down, across)
        algorithm = cheapest(self._algorithms, whole, x, target, packed)
        if lies_ready(problem, across):
            inner = merged(problem, down, across)
            whole = Part(None, down, across, algorithm.build(inner, x, target, count, packed))
            return Woven(problem, size, weights, [whole])
        row = problem.c * sh * sw * across.size * item
        images = max(1, min(problem.n, BAND // (row * down.size)))
        bands = -(-down.size // max(1, min(down.size, BAND // row)))
        executions: dict[Problem, Execution] = {}
        for n in range(0, problem.n, images):
            part = replace(problem, n=min(images, problem.n - n))
            for band in range(bands):
                start, stop = down.size * band // bands, down.size * (band + 1) // bands
                lines = down.part(start, stop)
                first = top // sh + start
                rows = max(0, first * sh - top), min(problem.h, (first + lines.size) * sh - top)
                inner = replace(merged(part, lines, across), frames=None)
                if inner not in executions:
                    executions[inner] = algorithm.build(inner, x, target, count, packed)
                join = weave_job(part, lines, across, first, rows, target)
                bytes_ = part.n * row * lines.size
                images_ = slice(n, n + part.n) if part.n < problem.n else None
                parts.append(Part(images_, lines, across, executions[inner], join, bytes_))
        return Woven(problem, size, weights, parts)


def cheapest(algorithms: Sequence[Algorithm], problem: Problem, x: Steps, target: Target, packed: bool) -> Algorithm:
    """The cheapest that can do a problem."""
    able = [a for a in algorithms if a.supports(problem, x, target) is None]
    return able[0] if len(able) == 1 else min(able, key=lambda a: a.cost(problem, x, target, packed))


def ragged(problem: Problem) -> bool:
    """Whether some phases have fewer taps than others."""
    return any(size % step for size, step in zip((problem.r, problem.s), problem.stride, strict=True))


def axes_of(problem: Problem) -> tuple[Axis, Axis]:
    """The places of the merged convolution, down and across, and what they read of dy."""
    return tuple(
        _axis(*values)
        for values in zip(
            (problem.h, problem.w), (problem.r, problem.s), problem.stride, problem.dilation,
            (pads[0] for pads in problem.padding), (problem.oh, problem.ow), strict=True,
        )
    )  # fmt: skip


def _axis(size: int, kernel: int, stride: int, dilation: int, before: int, outputs: int) -> Axis:
    """The places along one axis."""
    taps = -(-kernel // stride)
    first, last = before // stride, (before + size - 1) // stride
    return Axis(last - first + 1, 0, stride, taps, dilation, (taps - 1) * dilation - first, last - outputs + 1, outputs)


def merged(problem: Problem, down: Axis, across: Axis) -> Problem:
    """The convolution that gives all phases at these places."""
    return replace(
        problem, c=problem.k, k=problem.c * problem.stride[0] * problem.stride[1], h=down.crop[1] - down.crop[0],
        w=across.crop[1] - across.crop[0], r=down.taps, s=across.taps, stride=(1, 1),
        padding=(down.pads, across.pads), dilation=(down.dilation, across.dilation), pass_="forward",
    )  # fmt: skip


def lies_ready(problem: Problem, across: Axis) -> bool:
    """Whether the result is dx as it lies."""
    (sh, sw), left = problem.stride, problem.padding[1][0]
    return problem.layout == "channels_last" and sh == 1 and left % sw == 0 and problem.w == sw * across.size


def pieces_of(problem: Problem, down: Axis, across: Axis) -> tuple[list[Piece], int]:
    """Where each phase's taps go, row by row, and the size of all: in the order of channels, taps reversed.

    Channels first a channel's phases are side by side, channels last a phase's channels; so are they in the result.
    """
    (sh, sw), item = problem.stride, problem.itemsize
    outputs, channels = problem.k // problem.groups, problem.c // problem.groups
    taps = down.taps * across.taps * item
    one = outputs * taps  # a channel of the result
    phase, channel = (channels * one, one) if problem.layout == "channels_last" else (one, sh * sw * one)
    found = []
    for a in range(sh):
        for b in range(sw):
            columns = list(range(b, problem.s, sw))[::-1]
            for m, r in enumerate(range(a, problem.r, sh)):
                place = (down.taps - 1 - m) * across.taps + across.taps - len(columns)
                at = (a * sw + b) * phase + place * item
                found.append(Piece(at, sh * sw * channels * one, channel, taps, [(r, s) for s in columns]))
    return found, problem.c * sh * sw * one


@dataclass
class Part:
    """Some places of some images, and the launch that puts them together; None: they are together."""

    images: slice | None  # None: all
    rows: Axis
    columns: Axis
    execution: Execution
    join: Job | None = None
    size: int = 0  # bytes of results


@dataclass
class Woven:
    """An input gradient in one convolution, ready to run; see `Execution`."""

    problem: Problem
    weight_bytes: int
    weights: Job
    parts: list[Part]

    def __post_init__(self):
        # An execution for each form of packed weights.
        self._forms = {part.execution.packing: part.execution for part in self.parts}
        self._ragged = ragged(self.problem)
        self._results = max(part.size for part in self.parts)
        # In a call's memory: results, regrouped weights, then what is packed of them.
        self._regrouped = _lines(self._results)
        self._packed, self._size = {}, self._regrouped + _lines(self.weight_bytes)
        for form, execution in self._forms.items():
            if execution.weights is not None:
                self._packed[form] = self._size
                self._size += _lines(execution.weight_bytes)

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "merged", *self._forms

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self._size + max(part.execution.workspace(count) - part.execution.weight_bytes for part in self.parts)

    def pack(self, weight: np.ndarray) -> dict[tuple, np.ndarray]:
        """The weights of all phases, regrouped and packed."""
        regrouped = workspace.aligned(self.weight_bytes)
        threads.run(self.weights, weight, y=regrouped)
        return {form: execution.pack(regrouped) for form, execution in self._forms.items()}

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        size = self._size if packed is None else self._results
        block = workspace.take(size) if size else None
        memory = None if block is None else block.memory
        try:
            if packed is None:
                packed = self._pack(weight, memory)
            if bias is not None:
                phases = self.problem.stride[0] * self.problem.stride[1]
                bias = np.tile(bias, phases) if self.problem.layout == "channels_last" else np.repeat(bias, phases)
            for part in self.parts:
                target = dx if part.images is None else dx[part.images]
                source = dy if part.images is None else dy[part.images]
                source = cropped(source, part.rows.crop, part.columns.crop, self.problem.layout)
                y = target if part.join is None else memory
                part.execution.run(source, None, bias, None, y, packed[part.execution.packing])
                if part.join is not None:
                    threads.run(part.join, memory, y=target)
        finally:
            if block is not None:
                workspace.give(block)

    def _pack(self, weight: np.ndarray, memory: np.ndarray) -> dict[tuple, np.ndarray]:
        """What `pack` makes, in memory of this call; bands share it."""
        regrouped = memory[self._regrouped :]
        if self._ragged:
            regrouped[: self.weight_bytes] = 0  # taps that some phases do not have
        threads.run(self.weights, weight, y=regrouped)
        found = dict.fromkeys(self._forms, regrouped)
        for form, place in self._packed.items():
            found[form] = memory[place:]
            threads.run(self._forms[form].weights, regrouped, y=found[form])
        return found


def _lines(size: int) -> int:
    """Bytes in whole cache lines."""
    return -(-size // LINE) * LINE


def cropped(dy: np.ndarray, rows: Pair, columns: Pair, layout: str) -> np.ndarray:
    """The part of dy that is read."""
    down, across = dy.shape[1:3] if layout == "channels_last" else dy.shape[2:]
    if rows == (0, down) and columns == (0, across):
        return dy
    rows, columns = slice(*rows), slice(*columns)
    return dy[:, rows, columns] if layout == "channels_last" else dy[:, :, rows, columns]
