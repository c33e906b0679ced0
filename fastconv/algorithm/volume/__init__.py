"""Volumes by the algorithms of images.

Frames of the result are images whose channels are those of all slices that a window sees (`frames`); the weights are
brought to the same order (`weights`). So the sum over the depth is a part of the sum over channels, and all that is
known of images holds: register tiles, Winograd's algorithm, memory in blocks. Slices are brought together in a copy of
at most 24 MiB at a time, unless the source has them so (`slices`). Where weights are many and frames few, each frame
has a copy of its own, in the order that the weights have as they lie.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace

from fastconv import cost
from fastconv.algorithm.common import Algorithm, Steps, contiguous_steps
from fastconv.algorithm.input_grad.tasks import rest_job
from fastconv.algorithm.volume.frames import (
    MOST_SLICES,
    Taps,
    bands,
    channels_of,
    forward_taps,
    image,
    in_place,
    input_grad_taps,
    planes,
    source_at,
    source_sizes,
)
from fastconv.algorithm.volume.run import FoldedDepth, Phase, Planes, Step, Volumes
from fastconv.algorithm.volume.slices import Slices
from fastconv.algorithm.volume.weights import regroup_job
from fastconv.problem.conv import Problem
from fastconv.target import Target


class Volume:
    """A convolution, or its gradient with respect to the input, by one that does the same of images."""

    def __init__(self, algorithm: Algorithm):
        self.name, self._algorithm = algorithm.name, algorithm

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        flat = planes(problem, x)
        if flat:
            return self._algorithm.supports(*flat, target)
        inner, x, _ = _unpadded(problem, x)
        for taps in _phases(inner):
            some = slices_of(inner, x, taps, one=True)
            if some is None:
                return f"the slices of one frame take more than {MOST_SLICES >> 20} MiB"
            for part in some:
                reason = self._algorithm.supports(image(inner, taps, part.band), part.steps, target)
                if reason:
                    return reason
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        flat = planes(problem, x)
        if flat:
            return self._algorithm.cost(*flat, target, packed)
        inner, x, _ = _unpadded(problem, x)
        cycles = 0.0
        for taps in _phases(inner):
            (part,) = slices_of(inner, x, taps, one=True)
            # Classes of a dilation are all alike, and each is gathered and launched by itself.
            classes = min(taps.frames, taps.dilation // math.gcd(taps.stride, taps.dilation))
            each = replace(image(inner, taps, part.band), n=taps.frames)
            cycles += self._algorithm.cost(each, part.steps, target, packed)
            cycles += part.elements / part.band.count * taps.frames * cost.C.join
            cycles += classes * cost.C.volume * (part.elements > 0)
        return problem.n * cycles

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool):
        flat = planes(problem, x)
        if flat:
            found, steps = flat
            made = self._algorithm.build(found, steps, target, count, packed)
            return Planes(made, found.source_shape, found.result_shape)
        inner, x, sources = _unpadded(problem, x)
        rest = rest_job(problem, target) if problem.bias or problem.activation else None
        volumes = Volumes(inner, list(self._built(inner, x, target, count, packed)), rest)
        return FoldedDepth(problem, volumes, sources) if sources else volumes

    def _built(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Iterator[Phase]:
        place, k, per_group = 0, problem.k, problem.c // problem.groups
        backward = problem.pass_ == "input_grad"
        every = forward_taps(problem).own
        for taps in input_grad_taps(problem) if backward else [forward_taps(problem)]:
            steps, made = [], {}
            found = None if packed else windows_of(problem, x, taps)
            if found is None:
                found = slices_of(problem, x, taps) if taps.count else ()
            for part in found:
                key = part.band.count, part.band.every, part.steps
                if key not in made:
                    one = image(problem, taps, part.band)
                    made[key] = self._algorithm.build(one, part.steps, target, count, packed)
                steps.append(Step(made[key], part))
            size = -(-k * per_group * taps.count * problem.r * problem.s * problem.itemsize // 64) * 64
            # One tap of all, one channel, or windows: that is the order that weights have.
            in_order = taps.own == every and (taps.count == 1 or (not backward and per_group == 1))
            in_order = in_order or any(step.slices.taps for step in steps)
            job = None
            if taps.count and not in_order:
                job = regroup_job(problem, taps.own, k // problem.groups if backward else 1, target)
            yield Phase(taps, steps, job, place, size)
            place += size if job else 0


def _phases(problem: Problem) -> list[Taps]:
    """The taps of the convolutions that are not zero."""
    found = input_grad_taps(problem) if problem.pass_ == "input_grad" else [forward_taps(problem)]
    return [taps for taps in found if taps.count and taps.frames]


def slices_of(
    problem: Problem, x: Steps, taps: Taps, *, one: bool = False, most: int = sys.maxsize
) -> list[Slices] | None:
    """The bands of a phase, of at most `most` frames: in place if all can be; with `one`, the first of them only, or
    None if it is too large."""
    whole = list(bands(taps, sys.maxsize, most))
    if not all(in_place(problem, x, taps, band) for band in whole):
        h, w = source_sizes(problem)
        slices = MOST_SLICES // (h * w * channels_of(problem) * problem.itemsize)
        if one and slices < taps.count:
            return None
        whole = list(bands(taps, slices, most))
        return [Slices.copied(problem, taps, band) for band in whole[: 1 if one else None]]
    return [Slices.placed(problem, x, taps, band) for band in whole[: 1 if one else None]]


def windows_of(problem: Problem, x: Steps, taps: Taps) -> list[Slices] | None:
    """The bands of a convolution whose frames have slices of their own, so that weights are in order as they lie; None
    unless regrouping them would take longer: 512 channels 3x3x3 on 2x7x7 took half as long again."""
    h, w = source_sizes(problem)
    if problem.pass_ != "forward" or problem.layout == "channels_last" or taps.count == 1 or problem.depthwise:
        return None
    copied = taps.count * channels_of(problem) * h * w  # for a frame
    weights = math.prod(problem.weight_shape)
    most = MOST_SLICES // (copied * problem.itemsize)
    if not most or weights * cost.C.regroup_weight < taps.frames * copied * cost.C.join:
        return None
    whole = bands(taps, sys.maxsize, sys.maxsize)
    if all(in_place(problem, x, taps, band) for band in whole):
        return None
    return [Slices.windows(problem, taps, band) for band in bands(taps, sys.maxsize, most)]


def _unpadded(problem: Problem, x: Steps) -> tuple[Problem, Steps, tuple[int, ...]]:
    """A gradient with respect to an input whose border is to be folded back along the depth: that of the padded input,
    in the type that sums are made in, and what slices of the input its slices are; any other problem as it is.

    Narrow types come here with any border: images that share slices cannot be brought to a wider type one by one.
    """
    d = problem.depth
    if problem.pass_ != "input_grad" or problem.padding_mode == "zeros":
        return problem, x, ()
    if not any(d.padding) and problem.itemsize > 2:
        return problem, x, ()
    size = d.size + sum(d.padding)
    sources = tuple(source_at(place - d.padding[0], d.size, problem.padding_mode) for place in range(size))
    dtype = "float32" if problem.itemsize == 2 else problem.dtype
    inner = replace(problem, n=1, depth=replace(d, size=size, padding=(0, 0)), dtype=dtype)
    if inner.padding_zero:
        inner = replace(inner, padding_mode="zeros")
    return inner, x if dtype == problem.dtype else contiguous_steps(inner), sources
