"""Volumes tap by tap along the depth: each adds its convolution of slices, read where they lie, to the result.

For depthwise kernels, whose slices must not become channels, for slices too large to be brought together, and where
many would be zeros, which are left out (unless sums are to be strict). A frame's first tap brings bias and residual,
its last the activation. Narrow types are computed in float32 and rounded once.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastconv import cost, threads, workspace
from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps
from fastconv.algorithm.volume.frames import Band, Run, forward_taps, planes, runs
from fastconv.algorithm.volume.run import Planes, memories
from fastconv.algorithm.volume.slices import frame
from fastconv.algorithm.volume.together import Several, how_many
from fastconv.algorithm.volume.weights import regroup_job
from fastconv.job import Job
from fastconv.problem.conv import Borrowed, Depth, Problem
from fastconv.target import Target


class TapByTap:
    """Every tap by the cheapest of some algorithms of images that can do it."""

    def __init__(self, name: str, algorithms: Sequence[Algorithm]):
        self.name, self._algorithms = name, algorithms

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        backward = problem.pass_ == "input_grad"
        if backward:
            reason = _unlike(problem)
            if reason:
                return reason
            problem = convolution(problem)
        found = (None if backward else planes(problem, x)) or _slices(*_wide(problem, x))
        reasons = [a.supports(*found, target) for a in self._algorithms]
        return reasons[-1] if all(reasons) else None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        backward = problem.pass_ == "input_grad"
        if backward:
            problem = convolution(problem)
        flat = None if backward else planes(problem, x)
        if flat:
            return self._best(*flat, target, packed).cost(*flat, target, packed)
        problem, x = _wide(problem, x)
        one, steps = _slices(problem, x)
        taps, frames, launches = forward_taps(problem), Counter(), 0
        for run in runs(taps, problem.precision == "strict"):
            frames[run.tap] += run.band.count
            launches += 1
        again = (frames.total() - taps.frames) * problem.n * problem.k * problem.oh * problem.ow * cost.C.join / 2
        best = self._best(one, steps, target, packed)
        each = (best.cost(replace(one, n=problem.n * some), steps, target, packed) for some in frames.values())
        regrouped = 0.0
        if not packed and (backward or taps.count > 1):
            regrouped = math.prod(problem.weight_shape) * cost.C.regroup_weight
            launches += taps.count  # each tap's weights are packed by themselves
        # Measured: sums that come again, and weights for few frames, take a fifth more; a launch takes some 10 us with
        # what Python does before it.
        return 1.2 * sum(each) + again + regrouped + 4 * launches * cost.C.launch

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool):
        backward, given = problem.pass_ == "input_grad", problem
        if backward:
            problem = convolution(problem)
        flat = None if backward else planes(problem, x)
        if flat:
            found, steps = flat
            made = self._best(*flat, target, packed).build(found, steps, target, count, packed)
            return Planes(made, found.source_shape, found.result_shape)
        inner, x = _wide(problem, x)
        taps, parts, made = forward_taps(inner), [], {}
        algorithm = self._best(*_slices(inner, x), target, packed)
        for run in runs(taps, inner.precision == "strict"):  # infinity times zero is NaN
            one = replace(
                inner, op="conv2d", depth=None, n=run.band.count, frames=(taps.frames, 1),
                bias=run.first and inner.bias, residual=inner.residual if run.first else True,
                activation=inner.activation if run.last else None, slope=inner.slope if run.last else 0.0,
            )  # fmt: skip
            steps = _run_steps(inner, x, run.band)
            key = one, steps
            if key not in made:
                made[key] = algorithm.build(one, steps, target, count, packed)
            parts.append(Part(made[key], run))
        own, job = tuple(reversed(taps.own)) if backward else taps.own, None
        if backward or taps.count > 1:
            flip = backward and not inner.borrowed
            job = regroup_job(replace(given, dtype=inner.dtype), own, given.k, target, flip=flip)
        return Tapped(problem, inner, parts, job)

    def _best(self, problem: Problem, x: Steps, target: Target, packed: bool) -> Algorithm:
        able = [a for a in self._algorithms if a.supports(problem, x, target) is None]
        image = replace(problem, n=1)
        return able[0] if len(able) == 1 else min(able, key=lambda a: a.cost(image, x, target, packed))


def refuses(problem: Problem) -> str | None:
    """Why a gradient with respect to the input is not a depthwise convolution, or None."""
    return _unlike(problem) if _own_channels(problem) else "a group has more than one channel"


def _own_channels(problem: Problem) -> bool:
    """Whether each channel has a kernel of its own."""
    return problem.depthwise and problem.k == problem.c


def _unlike(problem: Problem) -> str | None:
    """Why a gradient with respect to the input is not a convolution of dy, or None."""
    if problem.stride != (1, 1) or problem.depth.stride != 1:
        return "stride"
    if problem.padding_mode != "zeros":
        return "padding mode"
    spans = ((problem.r - 1) * problem.dilation[0], (problem.s - 1) * problem.dilation[1])
    if any(max(pads) > span for pads, span in zip(problem.padding, spans, strict=True)):
        return "padding wider than the kernel"
    return None


def convolution(problem: Problem) -> Problem:
    """The convolution of dy by the reversed taps that such a gradient is: each channel's own, or borrowed."""
    d = problem.depth
    axes = zip((problem.r, problem.s), problem.dilation, problem.padding, strict=True)
    padding = tuple(((k - 1) * step - before, (k - 1) * step - after) for k, step, (before, after) in axes)
    reach = (d.kernel - 1) * d.dilation
    reversed_ = Borrowed(problem.r, problem.s, (problem.r - 1, problem.s - 1), (-1, -1))
    return replace(
        problem, pass_="forward", c=problem.k, k=problem.c, h=problem.oh, w=problem.ow, padding=padding,
        depth=Depth(d.outputs, d.kernel, 1, (reach - d.padding[0], reach - d.padding[1]), d.dilation),
        borrowed=None if _own_channels(problem) else reversed_,
    )  # fmt: skip


def _wide(problem: Problem, x: Steps) -> tuple[Problem, Steps]:
    """The problem in the type that sums are made in."""
    if problem.itemsize > 2:
        return problem, x
    problem = replace(problem, dtype="float32")
    return problem, contiguous_steps(problem)


def _slices(problem: Problem, x: Steps) -> tuple[Problem, Steps]:
    """The convolution of one slice by one tap, in place."""
    one = replace(problem, op="conv2d", depth=None, n=1, frames=(problem.od, 1), residual=True)
    return one, Steps(0, x.c, x.h, x.w)


def _run_steps(problem: Problem, x: Steps, band: Band) -> Steps:
    """The steps of slices in place, or of one row of zeros for all."""
    if band.slices[0] >= 0:
        return Steps(band.step * x.d if band.count > 1 else 0, x.c, x.h, x.w)
    item = problem.itemsize
    return Steps(0, item, 0, problem.c * item) if problem.layout == "channels_last" else Steps(0, 0, 0, item)


@dataclass
class Part(Several):
    """Frames that read evenly spaced slices with one tap."""

    run: Run


@dataclass
class Tapped:
    """A convolution of volumes tap by tap, ready to run; see `Execution`."""

    problem: Problem
    inner: Problem  # in the type of sums
    parts: list[Part]
    weights: Job | None

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "tap by tap", *self._forms

    @functools.cached_property
    def _together(self) -> int:
        """Volumes that are computed at once: as many as stay in cache from one tap to the next."""
        each = self._bytes(math.prod(self.inner.source_shape[1:]) + math.prod(self.inner.result_shape[1:]))
        return how_many(self.problem.n, each, (part.execution for part in self.parts))

    @functools.cached_property
    def _forms(self) -> dict[tuple, Execution]:
        """An execution for each form of a tap's packed weights."""
        return {(part.run.tap, part.execution.packing): part.execution for part in self.parts}

    def _bytes(self, elements: int) -> int:
        return elements * self.inner.itemsize

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        inner = max(part.execution.workspace(count) for part in self.parts)
        return inner + self._bytes(math.prod(self.inner.weight_shape) + self._zeros())

    def _zeros(self) -> int:
        """Elements of the row that stands for slices of zeros."""
        return self.inner.w * (self.inner.c if self.inner.layout == "channels_last" else 1)

    def _pieces(self, weight: np.ndarray, memory) -> np.ndarray:
        """The weights of each tap."""
        kind, taps = np.dtype(self.inner.dtype), self.inner.depth.kernel
        weight = weight.astype(kind, copy=False)
        if self.weights is None:
            return weight.reshape(taps, -1)
        size = self._bytes(weight.size)
        regrouped = memory(size)[:size].view(kind)
        threads.run(self.weights, weight, y=regrouped)
        return regrouped.reshape(taps, -1)

    def pack(self, weight: np.ndarray) -> dict:
        """The weights of each tap, packed."""
        return self._packed(weight, workspace.aligned)

    def _packed(self, weight: np.ndarray, memory: Callable[[int], np.ndarray]) -> dict:
        """What `pack` makes, in such memory."""
        pieces = self._pieces(weight, memory)
        return {form: execution.pack(pieces[form[0]], memory) for form, execution in self._forms.items()}

    def run(self, x, weight, bias, residual, y, packed=None) -> None:
        """Convolve into `y`; arrays have all their axes."""
        kind, layout = np.dtype(self.inner.dtype), self.problem.layout
        narrow = y.dtype != kind
        with memories() as memory, np.errstate(all="ignore"):
            zeros = memory(self._bytes(self._zeros()))
            zeros[:] = 0
            if packed is None:
                packed = self._packed(weight, memory)
            for n in range(0, self.problem.n, self._together):
                volumes = min(self._together, self.problem.n - n)
                volume, result, beside = (a if a is None else a[n : n + volumes] for a in (x, y, residual))
                if narrow:
                    volume, result = np.ascontiguousarray(volume, kind), np.empty(result.shape, kind)
                    beside = None if beside is None else np.ascontiguousarray(beside, kind)
                for part in self.parts:
                    band, first = part.run.band, part.run.first
                    source = zeros if band.slices[0] < 0 else frame(volume, 0, band.slices[0], layout)
                    add = to = frame(result, 0, band.first, layout)
                    if first:
                        add = None if beside is None else frame(beside, 0, band.first, layout)
                    # Zeros serve all volumes.
                    sources = 0 if source is zeros else volume.strides[0]
                    added = 0 if add is None else (beside if first else result).strides[0]
                    held = packed[part.run.tap, part.execution.packing]
                    convolution = part.of(volumes, sources, added, result.strides[0])
                    convolution.run(source, None, bias if first else None, add, to, held)
                if narrow:
                    y[n : n + volumes] = result
