"""Bands of frames as arrays: views of the source, or of a copy of their slices in the order that images need."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fastconv.algorithm.common import Steps
from fastconv.algorithm.volume import copies
from fastconv.algorithm.volume.frames import Band, Taps, channels_of, copied, in_place, source_sizes
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

        A convolution needs no more than their address: for it, any array that begins there."""
        last = self.problem.layout == "channels_last"
        if self.copy:
            array = memory[: self.elements].reshape(self.copy)
            self._fill(array, volume, (volumes, step, array.nbytes) if volumes > 1 else copies.ONE)
        else:
            array = volume[self.band.slices[0]] if last else volume[:, self.band.slices[0]]
        if self.problem.pass_ == "forward":
            return array
        n, c, h, w = (getattr(self.steps, axis) for axis in "nchw")
        return as_strided(array, self.shape, (n, h, w, c) if last else (n, c, h, w))

    def _fill(self, array: np.ndarray, volume: np.ndarray, volumes: tuple[int, int, int]) -> None:
        """Copy all slices."""
        for tap in range(self.taps):
            places = self.band.slices[tap :: self.band.step][: self.band.count]
            copies.copy(array[:, None, :, tap], volume.swapaxes(0, 1)[:, None], places, volumes)
        if self.taps:
            return
        last = self.problem.layout == "channels_last"
        groups = array.shape[2 if last else 0]
        if last:
            to, source = array.transpose(3, 0, 1, 2, 4), volume.reshape(*volume.shape[:3], groups, -1)
        else:
            to = array.transpose(1, 0, 2, 3, 4)
            source = volume.reshape(groups, -1, *volume.shape[1:]).transpose(2, 0, 1, 3, 4)
        copies.copy(to, source, self.band.slices, volumes)


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
