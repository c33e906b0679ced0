"""Bands of frames as arrays: views of the source, or of a copy of their slices in the order that images need."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fastconv import threads
from fastconv.algorithm.common import Steps
from fastconv.algorithm.volume import copies
from fastconv.algorithm.volume.frames import Band, Taps, channels_of, copied, in_place, source_sizes
from fastconv.algorithm.volume.together import MOST_MADE
from fastconv.job import Job
from fastconv.problem.conv import Problem


@dataclass(frozen=True)
class Slices:
    """Where a band's images lie."""

    problem: Problem
    band: Band
    steps: Steps
    shape: tuple[int, ...]  # of the images
    copy: tuple[int, ...]  # the shape of the copy; () if images are read in place
    taps: int = 0  # of each frame, whose slices are copied for it alone; 0: frames share their slices
    made: dict[tuple, list] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def placed(cls, problem: Problem, x: Steps, taps: Taps, band: Band) -> Slices:
        """Those of a band that `in_place` accepts."""
        return cls(problem, band, in_place(problem, x, taps, band), _shape(problem, taps, band), ())

    @classmethod
    def copied(cls, problem: Problem, taps: Taps, band: Band) -> Slices:
        """A copy."""
        steps, copy = copied(problem, taps, band)
        return cls(problem, band, steps, _shape(problem, taps, band), copy)

    @classmethod
    def windows(cls, problem: Problem, taps: Taps, band: Band) -> Slices:
        """A copy with slices of their own for every frame, channels first: [frame][channel][tap]."""
        h, w = source_sizes(problem)
        copy = band.count, channels_of(problem), taps.count, h, w
        plane = h * w * problem.itemsize
        steps = Steps(copy[1] * copy[2] * plane, plane, w * problem.itemsize, problem.itemsize)
        return cls(problem, band, steps, _shape(problem, taps, band), copy, taps.count)

    @property
    def elements(self) -> int:
        """Of the copy."""
        return math.prod(self.copy) if self.copy else 0

    @property
    def bytes(self) -> int:
        """Of the copy."""
        return self.elements * self.problem.itemsize

    def images(self, volume: np.ndarray, memory: np.ndarray | None, volumes: int = 1, step: int = 0) -> np.ndarray:
        """The images of one volume of the source, in `memory` of their type if they are copied; and of those after it,
        `volumes` in all, `step` bytes apart.

        But for the gradient with respect to the input, which takes images apart, their address is enough: any array
        that begins there."""
        last = self.problem.layout == "channels_last"
        if self.copy:
            array = memory[: self.elements].reshape(self.copy)
            for start, job in self._jobs(array, volume, (volumes, step, array.nbytes) if volumes > 1 else copies.ONE):
                threads.run(job, volume, y=memory[start:] if start else memory)
        else:
            array = volume[self.band.slices[0]] if last else volume[:, self.band.slices[0]]
        if self.problem.pass_ != "input_grad":
            return array
        at = self.steps
        steps = (at.n, at.h, at.w, at.c) if last else (at.n, at.c, at.h, at.w)
        if self.copy:  # in a tenth of the time that the other way takes, 9 us
            return np.ndarray(self.shape, array.dtype, array, 0, steps)
        return as_strided(array, self.shape, steps)

    def _jobs(self, array: np.ndarray, volume: np.ndarray, volumes: tuple[int, int, int]) -> list[tuple[int, Job]]:
        """The launches that copy all slices of an array of such steps, after the element of the copy each starts at."""
        key = volume.strides, volumes
        jobs = self.made.get(key)
        if jobs is None:
            if len(self.made) >= MOST_MADE:
                self.made.clear()
            jobs = self.made[key] = [
                ((to.ctypes.data - array.ctypes.data) // array.itemsize, copies.copy_job(to, source, places, volumes))
                for to, source, places in self._moves(array, volume)
            ]
        return jobs

    def _moves(self, array: np.ndarray, volume: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, ...]]]:
        """What goes where: to[i] = source[places[i]]."""
        if self.taps:
            for tap in range(self.taps):
                places = self.band.slices[tap :: self.band.step][: self.band.count]
                yield array[:, None, :, tap], volume.swapaxes(0, 1)[:, None], places
        elif self.problem.layout == "channels_last":
            source = volume.reshape(*volume.shape[:3], array.shape[2], -1)
            yield array.transpose(3, 0, 1, 2, 4), source, self.band.slices
        else:
            source = volume.reshape(array.shape[0], -1, *volume.shape[1:])
            yield array.transpose(1, 0, 2, 3, 4), source.transpose(2, 0, 1, 3, 4), self.band.slices


def _shape(problem: Problem, taps: Taps, band: Band) -> tuple[int, ...]:
    """The shape of a band's images."""
    (h, w), c = source_sizes(problem), taps.count * channels_of(problem)
    return (band.count, h, w, c) if problem.layout == "channels_last" else (band.count, c, h, w)


def frame(y: np.ndarray, n: int, first: int, layout: str) -> np.ndarray:
    """The first frame of a band of volume n."""
    return y[n, first] if layout == "channels_last" else y[n, :, first]


def frames(y: np.ndarray, n: int, band: Band, layout: str) -> np.ndarray:
    """All frames of a band of volume n as images."""
    own = slice(band.first, band.first + (band.count - 1) * band.every + 1, band.every)
    return y[n, own] if layout == "channels_last" else y[n, :, own].swapaxes(0, 1)
