"""The gradient with respect to the input: convolutions of dy, run by the algorithms of the forward pass.

At stride 1 it is one convolution, with the weights' taps reversed and their channels exchanged: most algorithms read
them as they lie (`borrowed`), for others they are regrouped. Larger strides have a convolution for each phase
(`phases`), whose results are then put together; no zero is ever multiplied. Borders that were not zeros are folded
back: their gradient is added to that of the pixels whose values they had.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fastconv import cost, threads, workspace
from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps, names_of
from fastconv.algorithm.input_grad.merged import cheapest, cropped
from fastconv.algorithm.input_grad.phases import Phase, as_w_lies, phases_of
from fastconv.algorithm.input_grad.tasks import fold_job, phases_job, pieces_of, rest_job, weights_job, zeros_bias
from fastconv.job import Job
from fastconv.microkernels.regroup import WEAVES
from fastconv.problem.conv import Borrowed, Pair, Problem
from fastconv.target import Target

MOST_RESULTS = 24 << 20  # bytes of results that wait to be put together; more images, or rows, wait their turn
MOST_BORDER = 4 << 30  # bytes of an image with its border, if these are more than twice its own
MOST_PHASES = 1 << 20  # a phase takes 25 us to plan


class InputGrad:
    """Every phase by the algorithm, of those that can do it, that is the cheapest for so many images."""

    def __init__(self, name: str, algorithms: Sequence[Algorithm], images: int = 1):
        self.name, self._algorithms, self._images = name, algorithms, images

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if len(self._algorithms) > 1 and problem.stride == (1, 1):
            return "stride 1 has one phase"
        if problem.padding_mode != "zeros":
            own = problem.h * problem.w
            problem, x = _unpadded(problem, x)
            if (reason := _too_large(problem, own)) is not None:
                return reason
        for phase in _convolutions(problem):
            reasons = [a.supports(phase.problem, x, target) for a in self._algorithms]
            if all(reasons):
                return reasons[-1] if problem.stride == (1, 1) else f"in one phase, {reasons[-1]}"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        inner, x = _unpadded(problem, x)
        cycles, choose = 0.0, self._choice(x, target, packed)
        takes = functools.cache(lambda problem: choose(problem).cost(problem, x, target, packed))
        for phase in _convolutions(inner):
            best = choose(phase.problem)
            cycles += takes(phase.problem)
            as_it_lies = borrows(best, inner, phase, x, target)
            if not as_it_lies:
                cycles += 2 * cost.C.launch  # one, and what Python does around: 5 us besides the convolution
            if not packed:
                # Where w is read as it lies every phase goes through all of it.
                read = problem.r * problem.s * cost.C.pack_panel
                each = read if as_it_lies else len(phase.taps) * cost.C.regroup_weight
                cycles += problem.k * (problem.c // problem.groups) * each
        if problem.stride != (1, 1):
            cycles += len(phases_of(inner)) * cost.C.launch
            across = problem.stride[1]
            pieces = 0 if across in WEAVES else min(across, problem.s) + (across > problem.s)
            cycles += problem.n * problem.c * problem.h * (problem.w * cost.C.join + pieces * cost.C.join_row)
        return cycles

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool):
        if problem.padding_mode == "zeros":
            made = self._phased(problem, x, target, count, packed)
            return made.alone() or made
        inner, x = _unpadded(problem, x)
        each = inner.itemsize * inner.c * inner.h * inner.w
        images = max(1, min(problem.n, MOST_RESULTS // each))
        sizes = {min(images, problem.n - start) for start in range(0, problem.n, images)}
        return Folded(
            problem, images,
            {n: self._phased(replace(inner, n=n), x, target, count, packed) for n in sizes},
            {n: fold_job(replace(problem, n=n), target) for n in sizes},
        )  # fmt: skip

    def _choice(self, x: Steps, target: Target, packed: bool) -> Callable[[Problem], Algorithm]:
        """What finds the algorithm of a convolution: one search for all phases that are alike."""
        return functools.cache(
            lambda problem: cheapest(self._algorithms, replace(problem, n=self._images), x, target, packed)
        )

    def _phased(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Phased:
        """The convolutions of a problem with zero padding, cut so that little waits to be put together."""
        item, (sh, sw) = problem.itemsize, problem.stride
        phases = phases_of(problem)
        row = problem.c * problem.w * item
        images, rows = problem.n, problem.h
        if (sh, sw) != (1, 1) or phases[0].problem is None:
            images = max(1, min(images, MOST_RESULTS // (row * problem.h)))
            if row * problem.h > MOST_RESULTS:
                rows = max(1, MOST_RESULTS // (row * sh)) * sh
        places, size = [], 0
        for phase in phases:
            places.append(size)
            size += -(-len(phase.taps) * problem.k * problem.c // problem.groups * item // 64) * 64
        rest = None
        if (problem.bias or problem.activation) and any(phase.problem is None for phase in phases):
            rest = rest_job(problem, target)
        parts = []
        for n0 in range(0, problem.n, images):
            part = replace(problem, n=min(images, problem.n - n0))
            for top in range(0, problem.h, rows):
                band = top, min(top + rows, problem.h)
                parts.append(Part(n0, part.n, band, *self._convolve(part, band, x, target, count, packed)))
        moved = {step.index for part in parts for step in part.steps if not step.borrowed}
        pieces = [piece for i, piece in enumerate(pieces_of(problem, phases, places)) if i in moved]
        return Phased(problem, places, size, weights_job(problem, pieces, target) if pieces else None, rest, parts)

    def _convolve(self, problem: Problem, band: Pair, x: Steps, target: Target, count: int, packed: bool):
        """The convolutions of some images and rows, and the launch that puts their results together."""
        steps, places, size, choose = [], [], 0, self._choice(x, target, packed)
        for index, phase in enumerate(phases_of(problem, band)):
            if phase.problem is None:
                places.append(-1)
                continue
            algorithm = choose(phase.problem)
            as_it_lies = borrows(algorithm, problem, phase, x, target)
            inner = as_w_lies(problem, phase) if as_it_lies else phase.problem
            steps.append(Step(index, phase, size, algorithm.build(inner, x, target, count, packed), inner.borrowed))
            places.append(size)
            size += -(-math.prod(phase.problem.y_shape) * problem.itemsize // 64) * 64
        if problem.stride == (1, 1) and steps:
            return steps, None, 0
        join = phases_job(problem, band[1] - band[0], phases_of(problem, band), places, target)
        return steps, join, max(size, 64)


def borrows(algorithm: Algorithm, problem: Problem, phase: Phase, x: Steps, target: Target) -> bool:
    """Whether an algorithm can read w as it lies."""
    return algorithm.supports(as_w_lies(problem, phase), x, target) is None


def _convolutions(problem: Problem) -> list[Phase]:
    """The phases that are not zero."""
    return [phase for phase in phases_of(problem) if phase.problem is not None]


def _too_large(problem: Problem, own: int) -> str | None:
    """Why the gradient of an image with its border, on which nothing is cut off, cannot be computed; `own` of its
    pixels are not border."""
    sizes, item = (problem.h, problem.w), names_of(problem)[2]
    size, phases = problem.c * math.prod(sizes) * item, math.prod(map(min, problem.stride, sizes))
    if size > MOST_BORDER and math.prod(sizes) > 2 * own:
        return f"padding makes an image of {size} bytes, which are more than {MOST_BORDER >> 30} GiB"
    return f"stride and padding make {phases} phases, more than {MOST_PHASES}" if phases > MOST_PHASES else None


def _unpadded(problem: Problem, x: Steps) -> tuple[Problem, Steps]:
    """The problem whose result is folded: on the padded input, in the type that sums are made in."""
    if problem.padding_mode == "zeros":
        return problem, x
    (top, bottom), (left, right) = problem.padding
    dtype = "float32" if problem.itemsize == 2 else problem.dtype
    inner = replace(
        problem, h=problem.h + top + bottom, w=problem.w + left + right, padding=((0, 0), (0, 0)), padding_mode="zeros",
        dtype=dtype, frames=None,
    )  # fmt: skip
    return inner, x if dtype == problem.dtype else contiguous_steps(inner)


@dataclass
class Step:
    """One phase's convolution, and where its result lies among those that wait."""

    index: int
    phase: Phase
    place: int
    execution: Execution
    borrowed: Borrowed | None  # w as it lies; None: regrouped


@dataclass
class Part:
    """Some images and rows of dx."""

    first: int
    images: int
    rows: Pair
    steps: list[Step]
    join: Job | None
    size: int  # bytes of results


@dataclass
class Phased:
    """An input gradient with zero padding, ready to run; see `Execution`."""

    problem: Problem
    places: list[int]  # of the phases' weights
    weight_bytes: int
    weights: Job | None  # regroups them, if a step needs that
    rest: Job | None  # makes the results of phases without taps, if they are not zero
    parts: list[Part] = field(default_factory=list)

    def alone(self) -> Execution | None:
        """Its only convolution, if that reads dy and w as they lie and there is nothing else to do."""
        if self.rest is not None or len(self.parts) != 1 or self.parts[0].join is not None:
            return None
        crops = (0, self.problem.oh), (0, self.problem.ow)
        for step in self.parts[0].steps:  # one at most, if nothing is put together
            if step.borrowed and (step.phase.rows.crop, step.phase.columns.crop) == crops:
                return step.execution
        return None

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "phases", *self._forms()

    def _forms(self) -> dict[tuple, Step]:
        """A step for each form of a phase's packed weights."""
        return {(step.index, step.execution.packing): step for part in self.parts for step in part.steps}

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        convolutions = (step.execution.workspace(count) for part in self.parts for step in part.steps)
        rest = self.problem.c * self.problem.itemsize if self.rest is not None else 0
        weights = self.weight_bytes if self.weights else 0
        return rest + weights + max((part.size for part in self.parts), default=0) + max(convolutions, default=0)

    def pack(self, weight: np.ndarray) -> dict[tuple, np.ndarray]:
        """The weights of each phase, regrouped and packed."""
        regrouped = self._regrouped(weight, workspace.aligned)
        forms = self._forms().items()
        return {form: step.execution.pack(self._weights(weight, regrouped, step)) for form, step in forms}

    def _regrouped(self, weight: np.ndarray, memory: Callable[[int], np.ndarray]) -> np.ndarray | None:
        """The weights of the phases that need it, regrouped."""
        if self.weights is None:
            return None
        regrouped = memory(self.weight_bytes)
        threads.run(self.weights, weight, y=regrouped)
        return regrouped

    def _weights(self, weight: np.ndarray, regrouped: np.ndarray | None, step: Step) -> np.ndarray:
        return weight if step.borrowed else regrouped[self.places[step.index] :]

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        blocks = []

        def memory(size):
            blocks.append(workspace.take(size))
            return blocks[-1].memory

        try:
            regrouped = self._regrouped(weight, memory) if packed is None else None
            results = memory(max((part.size for part in self.parts), default=0) or 64)
            rest = None
            if self.rest is not None:
                rest = memory(self.problem.c * self.problem.itemsize)
                threads.run(self.rest, zeros_bias(self.problem) if bias is None else bias, y=rest)
            for part in self.parts:
                images = slice(part.first, part.first + part.images)
                target = _rows(dx[images], part.rows, self.problem.layout)
                for step in part.steps:
                    form = step.index, step.execution.packing
                    w = self._weights(weight, regrouped, step) if packed is None else None
                    source = cropped(dy[images], step.phase.rows.crop, step.phase.columns.crop, self.problem.layout)
                    y = target if part.join is None else results[step.place :]
                    step.execution.run(source, w, bias, None, y, None if packed is None else packed[form])
                if part.join is not None:
                    threads.run(part.join, results, rest, y=target)
        finally:
            for block in blocks:
                workspace.give(block)


@dataclass
class Folded:
    """An input gradient whose border is folded back, ready to run; see `Execution`."""

    problem: Problem
    images: int  # at a time
    inner: dict[int, Phased]  # by number of images
    fold: dict[int, Job]

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "folded", *((n, self.inner[n].packing) for n in sorted(self.inner))

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(np.float64 if names_of(self.problem)[1] == "f64" else np.float32)

    def _size(self) -> int:
        """Bytes of the padded gradient of the images that are computed at a time."""
        return max(math.prod(inner.problem.x_shape) for inner in self.inner.values()) * self._dtype.itemsize

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self._size() + max(inner.workspace(count) for inner in self.inner.values())

    def pack(self, weight: np.ndarray) -> dict[int, dict]:
        """The weights of each number of images."""
        wide = weight.astype(self._dtype, copy=False)
        return {n: inner.pack(wide) for n, inner in self.inner.items()}

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`."""
        wide = self._dtype
        if weight is not None:
            weight = weight.astype(wide, copy=False)
        if dy.dtype != wide:
            dy = np.ascontiguousarray(dy, wide)
        block = workspace.take(self._size())
        try:
            for first in range(0, self.problem.n, self.images):
                part = slice(first, min(first + self.images, self.problem.n))
                n = part.stop - first
                inner = self.inner[n]
                shape = inner.problem.x_shape
                padded = block.memory[: math.prod(shape) * wide.itemsize].view(wide).reshape(shape)
                inner.run(dy[part], weight, None, None, padded, None if packed is None else packed[n])
                threads.run(self.fold[n], padded, y=dx[part])
        finally:
            workspace.give(block)


def _rows(dx: np.ndarray, rows: Pair, layout: str) -> np.ndarray:
    """Some rows of dx."""
    return dx[:, slice(*rows)] if layout == "channels_last" else dx[:, :, slice(*rows)]
