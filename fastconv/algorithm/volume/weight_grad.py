"""The gradient with respect to a volume's weight, by an algorithm that computes it for images.

The slices of x are brought together as for the convolution, and those frames of dy that belong to them. The sums of
volumes and bands are added up in their order, in the type that sums are made in, and rounded once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import cost, threads
from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps
from fastconv.algorithm.volume import copies, slices_of
from fastconv.algorithm.volume.frames import MOST_SLICES, Taps, forward_taps, image, planes
from fastconv.algorithm.volume.run import Planes, memories
from fastconv.algorithm.volume.slices import Slices, frames
from fastconv.algorithm.volume.weights import regroup_job
from fastconv.job import Job
from fastconv.problem.conv import Problem
from fastconv.target import Target


class VolumeWeightGrad:
    """With the channels of all taps together, or `apart`: tap after tap, where channels must not be more."""

    def __init__(self, algorithm: Algorithm, apart: bool = False):
        self.name, self._algorithm, self._apart = algorithm.name, algorithm, apart

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        flat = planes(problem, x)
        if flat:
            return self._algorithm.supports(*flat, target)
        problem, x = _wide(problem, x)
        for taps in self._taps(problem):
            some = slices_of(problem, x, taps, one=True)
            if some is None:
                return f"the slices of one frame take more than {MOST_SLICES >> 20} MiB"
            (part,) = some
            reason = self._algorithm.supports(image(problem, taps, part.band), part.steps, target)
            if reason:
                return reason
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        flat = planes(problem, x)
        if flat:
            return self._algorithm.cost(*flat, target, packed)
        problem, x = _wide(problem, x)
        cycles = 0.0
        for taps in self._taps(problem):
            (part,) = slices_of(problem, x, taps, one=True)
            each = replace(image(problem, taps, part.band), n=taps.frames)
            copies = part.elements / part.band.count * taps.frames + problem.k * taps.frames * problem.oh * problem.ow
            cycles += self._algorithm.cost(each, part.steps, target, packed) + copies * cost.C.join + cost.C.volume
        return problem.n * cycles

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool):
        flat = planes(problem, x)
        if flat:
            found, steps = flat
            made = self._algorithm.build(found, steps, target, count, packed)
            return Planes(made, found.source_shape, found.result_shape)
        inner, x = _wide(problem, x)
        parts, made = [], {}
        most = max(1, MOST_SLICES // (inner.k * inner.oh * inner.ow * inner.itemsize))
        for tap, taps in enumerate(self._taps(inner)):
            for part in slices_of(inner, x, taps, most=most):
                key = part.band.count, part.steps
                if key not in made:
                    one = image(inner, taps, part.band)
                    made[key] = self._algorithm.build(one, part.steps, target, count, packed)
                parts.append(Part(tap, part, made[key]))
        own = forward_taps(inner).own
        in_order = len(own) == 1 or (inner.c == inner.groups and not self._apart)
        job = None if in_order else regroup_job(inner, own, inner.k if self._apart else 1, target, back=True)
        return VolumeWeights(problem, inner, parts, len(own) if self._apart else 1, job)

    def _taps(self, problem: Problem) -> list[Taps]:
        """Those whose channels are computed together."""
        taps = forward_taps(problem)
        return [taps.one(tap) for tap in range(taps.count)] if self._apart else [taps]


def _wide(problem: Problem, x: Steps) -> tuple[Problem, Steps]:
    """The problem in the type that sums are made in."""
    if problem.itemsize > 2:
        return problem, x
    problem = replace(problem, dtype="float32")
    return problem, contiguous_steps(problem)


@dataclass
class Part:
    """A band's share in the gradient of a tap, or of all."""

    tap: int
    slices: Slices
    execution: Execution


@dataclass
class VolumeWeights:
    """A weight gradient of volumes, ready to run; see `Execution`."""

    problem: Problem
    inner: Problem  # in the type of sums
    parts: list[Part]
    pieces: int  # of dw: one for each tap, or one
    back: Job | None
    packing: tuple = ()

    def _size(self) -> int:
        """Bytes of dw."""
        return math.prod(self.inner.weight_shape) * self.inner.itemsize

    def _copies(self) -> tuple[int, int]:
        """The most elements of copied slices, and of copied frames of dy."""
        frames_ = max(part.slices.band.count for part in self.parts)
        return max(part.slices.elements for part in self.parts), frames_ * self.inner.k * self.inner.oh * self.inner.ow

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        inner = max(part.execution.workspace(count) for part in self.parts)
        gradients = self._repeats() + (self.back is not None) + (self.problem.itemsize < self.inner.itemsize)
        return gradients * self._size() + sum(self._copies()) * self.inner.itemsize + inner

    def _repeats(self) -> bool:
        """Whether a piece is a sum of several volumes or bands."""
        return self.problem.n * len(self.parts) > self.pieces

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """There is nothing to pack."""
        return weight

    def run(self, x, dy, bias, residual, dw, packed=None) -> None:
        """Write the gradient into `dw`."""
        kind = np.dtype(self.inner.dtype)
        slices, outputs = self._copies()
        with memories() as memory, np.errstate(all="ignore"):

            def array(elements: int) -> np.ndarray:
                return memory(elements * kind.itemsize)[: elements * kind.itemsize].view(kind)

            copy, dy_copy = array(slices) if slices else None, array(outputs)
            part = array(dw.size).reshape(self.pieces, -1) if self._repeats() else None
            sums = dw.reshape(-1) if dw.dtype == kind else array(dw.size)
            total, seen = (sums if self.back is None else array(dw.size)).reshape(self.pieces, -1), set()
            for n in range(self.problem.n):
                volume = x[n] if x.dtype == kind else np.ascontiguousarray(x[n], kind)
                for own in self.parts:
                    band = own.slices.band
                    images = frames(dy, n, band, self.problem.layout)
                    if images.dtype != kind or not images.flags.c_contiguous:
                        held = dy_copy[: images.size].reshape(images.shape)
                        if images.dtype == kind:
                            job = copies.copy_job(held[:, None], images[:, None], tuple(range(len(images))))
                            threads.run(job, images, y=held)
                        else:
                            np.copyto(held, images)
                        images = held
                    first = own.tap not in seen
                    seen.add(own.tap)
                    to = total[own.tap] if first else part[own.tap]
                    own.execution.run(own.slices.images(volume, copy), images, None, None, to)
                    if not first:
                        total[own.tap] += part[own.tap]
            if self.back is not None:
                threads.run(self.back, total, y=sums)
            if sums.dtype != dw.dtype:
                dw.reshape(-1)[...] = sums
