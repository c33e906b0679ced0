"""Volumes as images: which slices of the source each frame of the result reads. Pure Python.

Frame f of a convolution with T taps along the depth reads the slices f * stride + t * dilation - before. It is that of
an image whose channels are those of T slices, if these follow one another in memory. Frames then share their slices:
the image of the next one starts some slices farther on. With a dilation that is so for each class of frames by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fastconv.algorithm.common import Steps
from fastconv.algorithm.input_grad.phases import axis_phases
from fastconv.algorithm.strips import MODES, source_index
from fastconv.problem.conv import Pair, Problem

MOST_SLICES = 24 << 20  # bytes of slices that are brought together at a time


def source_at(place: int, size: int, mode: str) -> int:
    """The slice at a place along the padded depth, or -1 for zeros."""
    return source_index.py_func(place, size, MODES[mode])


@dataclass(frozen=True)
class Taps:
    """What an operator does along the depth: windows of `count` taps over `size` slices give `frames` frames.

    `own` are the places of these taps in the weight, and frame f is number start + f * every of the result.
    """

    frames: int
    size: int
    own: tuple[int, ...]
    stride: int
    dilation: int
    before: int
    mode: str
    start: int = 0
    every: int = 1

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.own)

    def source(self, frame: int, tap: int) -> int:
        """The slice that a frame reads with a tap, or -1: zeros."""
        place = frame * self.stride + tap * self.dilation - self.before
        return source_at(place, self.size, self.mode)

    def one(self, tap: int) -> Taps:
        """One tap alone."""
        return replace(self, own=self.own[tap : tap + 1], dilation=1, before=self.before - tap * self.dilation)


@dataclass(frozen=True)
class Band:
    """Frames first, first + every, ... of the result, and the slices that they read: frame i starts at i * step."""

    first: int
    count: int
    every: int
    slices: tuple[int, ...]
    step: int


def bands(taps: Taps, most: int, most_frames: int) -> Iterator[Band]:
    """Bands of at most `most_frames` frames that read at most `most` slices, or are one frame."""
    common = math.gcd(taps.stride, taps.dilation)
    classes, step = taps.dilation // common, taps.stride // common
    each = max(1, min((most - taps.count) // step + 1, most_frames))
    for first in range(min(classes, taps.frames)):
        own = range(first, taps.frames, classes)
        pieces = -(-len(own) // each)
        for piece in range(pieces):
            part = own[len(own) * piece // pieces : len(own) * (piece + 1) // pieces]
            top = part[0] * taps.stride - taps.before
            last = (len(part) - 1) * step + taps.count
            slices = tuple(source_at(top + i * taps.dilation, taps.size, taps.mode) for i in range(last))
            yield Band(taps.start + part[0] * taps.every, len(part), classes * taps.every, slices, step)


@dataclass(frozen=True)
class Run:
    """Frames whose slices for one tap lie evenly spaced in the source, where the band's `step` is counted. Their sums
    start with this tap, or end with it, or not."""

    tap: int
    band: Band
    first: bool
    last: bool


def runs(taps: Taps, zeros: bool) -> Iterator[Run]:
    """All that frames are added up of, tap by tap: those first that most frames have, so that few runs start sums.

    Slices of zeros are left out, unless `zeros` asks for them: with a dilation of 8 they are a third of 16 frames.
    Frames that see nothing else have one.
    """
    order = sorted(range(taps.count), key=lambda tap: -sum(taps.source(f, tap) >= 0 for f in range(taps.frames)))
    seen = [[t for t in order if zeros or taps.source(f, t) >= 0] or order[:1] for f in range(taps.frames)]
    frames_of: dict[int, list[int]] = {tap: [] for tap in order}
    for f, own in enumerate(seen):
        for tap in own:
            frames_of[tap].append(f)
    for tap, frames in frames_of.items():
        about = [(taps.source(f, tap), tap == seen[f][0], tap == seen[f][-1]) for f in frames]
        start = 0
        while start < len(frames):
            (source, *ends), stop, step = about[start], start + 1, 0
            if stop < len(frames) and min(source, about[stop][0]) >= 0:
                step = about[stop][0] - source
            while stop < len(frames) and frames[stop] == frames[stop - 1] + 1:
                if about[stop] != (source + (stop - start) * step, *ends):
                    break
                stop += 1
            first = taps.start + frames[start] * taps.every
            yield Run(tap, Band(first, stop - start, taps.every, (source,), step), *ends)
            start = stop


def planes(problem: Problem, x: Steps) -> tuple[Problem, Steps] | None:
    """The images (depth, height * width) as which kernels of one tap there can be computed in place, or None."""
    d = problem.depth
    plain = (problem.r, problem.s, problem.stride) == (1, 1, (1, 1)) and problem.padding_zero
    if not plain or x.h != problem.w * x.w:
        return None
    found = replace(
        problem, op="conv2d", depth=None, h=d.size, w=problem.h * problem.w, r=d.kernel, stride=(d.stride, 1),
        padding=(d.padding, (0, 0)), dilation=(d.dilation, 1),
    )  # fmt: skip
    return found, Steps(x.n, x.c, x.d, x.w)


def forward_taps(problem: Problem) -> Taps:
    """The taps of a convolution: all of them; so has the gradient of its weight."""
    d = problem.depth
    dilation = d.dilation if d.kernel > 1 else 1
    return Taps(d.outputs, d.size, tuple(range(d.kernel)), d.stride, dilation, d.padding[0], problem.padding_mode)


def input_grad_taps(problem: Problem) -> list[Taps]:
    """Those of the convolutions of dy that give every stride-th frame of dx, padded along the depth with zeros."""
    d = problem.depth
    return [
        Taps(
            axis.size, axis.outputs, tuple(axis.first + i * axis.step for i in reversed(range(axis.taps))), 1,
            axis.dilation if axis.taps > 1 else 1, axis.above, "zeros", start, d.stride,
        )
        for start, axis in enumerate(axis_phases(d.size, d.kernel, d.stride, d.dilation, d.padding[0], d.outputs))
    ]  # fmt: skip


def channels_of(problem: Problem) -> int:
    """Channels of a slice of the source."""
    return problem.k if problem.pass_ == "input_grad" else problem.c


def image(problem: Problem, taps: Taps, band: Band) -> Problem:
    """A band's frames as images with the channels of all taps."""
    name, frames = ("k", problem.depth.size) if problem.pass_ == "input_grad" else ("c", problem.depth.outputs)
    return replace(
        problem, op="conv2d", depth=None, n=band.count, **{name: taps.count * getattr(problem, name)},
        frames=None if problem.pass_ == "weight_grad" else (frames, band.every),
    )  # fmt: skip


def in_place(problem: Problem, x: Steps, taps: Taps, band: Band) -> Steps | None:
    """The steps of a band's images where the source has their slices as they need them, or None."""
    first, alone = band.slices[0], channels_of(problem) == problem.groups
    even = tuple(range(first, first + len(band.slices) * taps.dilation, taps.dilation))
    if first < 0 or band.slices != even or (taps.count > 1 and not alone):
        return None
    n, between = band.step * taps.dilation * x.d, taps.dilation * x.d
    if taps.count == 1:
        return Steps(n, x.c, x.h, x.w)
    return Steps(n, between, x.h, x.w, g=x.c if problem.groups > 1 else 0)


def copied(problem: Problem, taps: Taps, band: Band) -> tuple[Steps, tuple[int, ...]]:
    """The steps of a band's images in a copy of their slices, and the copy's shape: (group, slice, channel, height,
    width), or with channels last (height, width, group, slice, channel)."""
    slices, groups = len(band.slices), problem.groups if taps.count > 1 else 1
    each, (h, w) = channels_of(problem) // groups, source_sizes(problem)
    if problem.layout == "channels_last":
        shape = h, w, groups, slices, each
        row, pixel, group, slice_, channel = _steps(shape, problem.itemsize)
        return Steps(band.step * slice_, channel, row, pixel, g=group if groups > 1 else 0), shape
    shape = groups, slices, each, h, w
    group, slice_, channel, row, pixel = _steps(shape, problem.itemsize)
    return Steps(band.step * slice_, channel, row, pixel, g=group if groups > 1 else 0), shape


def source_sizes(problem: Problem) -> Pair:
    """Height and width of a slice of the source."""
    return (problem.oh, problem.ow) if problem.pass_ == "input_grad" else (problem.h, problem.w)


def _steps(shape: tuple[int, ...], item: int) -> list[int]:
    """Bytes between elements of a contiguous array along its axes."""
    steps = [item]
    for size in shape[:0:-1]:
        steps.insert(0, steps[0] * size)
    return steps
