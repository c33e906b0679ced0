"""Executions of volumes: of convolutions, and of gradients with respect to the input, as images."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fastconv import threads, workspace
from fastconv.algorithm.common import Execution
from fastconv.algorithm.input_grad.tasks import zeros_bias
from fastconv.algorithm.volume.frames import Taps
from fastconv.algorithm.volume.slices import Slices, frame, frames
from fastconv.algorithm.volume.together import Several, how_many
from fastconv.job import Job
from fastconv.problem.conv import Problem


@contextmanager
def memories() -> Iterator[Callable[[int], np.ndarray]]:
    """What gives memory until the end."""
    blocks = []

    def memory(size: int) -> np.ndarray:
        blocks.append(workspace.take(size))
        return blocks[-1].memory

    try:
        yield memory
    finally:
        for block in blocks:
            workspace.give(block)


@dataclass
class Step(Several):
    """A band's images and their convolution, or its gradient."""

    slices: Slices


@dataclass
class Phase:
    """Frames that have their taps in common; without steps they are zero."""

    taps: Taps
    steps: list[Step]
    weights: Job | None  # None: they are in order
    place: int  # of the regrouped weights
    size: int


@dataclass
class Volumes:
    """A convolution of volumes or its input's gradient, ready to run; see `Execution`."""

    problem: Problem
    phases: list[Phase]
    rest: Job | None = None  # makes the frames that no tap reaches, if they are not zero

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "volume", *self._forms

    @functools.cached_property
    def _forms(self) -> dict[tuple, Step]:
        """A step for each form of a phase's packed weights."""
        return {(i, step.execution.packing): step for i, phase in enumerate(self.phases) for step in phase.steps}

    @functools.cached_property
    def _shares(self) -> bool:
        """Whether packed weights are used more than once."""
        return self.problem.n * max(len(phase.steps) for phase in self.phases) > 1

    @functools.cached_property
    def weight_bytes(self) -> int:
        """Bytes of regrouped weights."""
        return sum(phase.size for phase in self.phases if phase.weights)

    @functools.cached_property
    def _slice_bytes(self) -> int:
        """Bytes of the largest copy of slices."""
        return max((step.slices.bytes for phase in self.phases for step in phase.steps), default=0)

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        inner = (step.execution.workspace(count) for phase in self.phases for step in phase.steps)
        return self.weight_bytes + self.together * self._slice_bytes + max(inner, default=0)

    def _regrouped(self, weight: np.ndarray, memory: Callable[[int], np.ndarray]) -> list[np.ndarray]:
        """The weights of each phase."""
        place = memory(self.weight_bytes) if self.weight_bytes else None
        found = []
        for phase in self.phases:
            own = weight
            if phase.weights is not None:
                own = place[phase.place : phase.place + phase.size].view(weight.dtype)
                threads.run(phase.weights, weight, y=own)
            found.append(own)
        return found

    def pack(self, weight: np.ndarray) -> dict:
        """The weights of each phase, regrouped and packed."""
        return self._packed(self._regrouped(weight, workspace.aligned), workspace.aligned)

    def _packed(self, raw: list[np.ndarray], memory: Callable[[int], np.ndarray]) -> dict:
        """The regrouped weights of each phase, packed; single convolutions in such memory."""
        found = {}
        for form, step in self._forms.items():
            own, single = step.execution, isinstance(step.execution, Execution)
            found[form] = own.pack(raw[form[0]], memory) if single else own.pack(raw[form[0]])
        return found

    def run(self, x, weight, bias, residual, y, packed=None) -> None:
        """Compute `y` from `x`, both with all their axes."""
        with memories() as memory:
            raw = [None] * len(self.phases)
            if packed is None:
                raw = self._regrouped(weight, memory)
                if self._shares:
                    packed = self._packed(raw, memory)
            size = self.together * self._slice_bytes
            copy = memory(size)[: size // x.itemsize * x.itemsize].view(x.dtype) if size else None
            for n in range(0, self.problem.n, self.together):
                volumes = min(self.together, self.problem.n - n)
                for i, phase in enumerate(self.phases):
                    for step in phase.steps:
                        held = None if packed is None else packed[i, step.execution.packing]
                        images = step.slices.images(x[n], copy, volumes, x.strides[0])
                        apart = step.slices.bytes or x.strides[0]
                        self._step(step, images, raw[i], bias, residual, y, n, held, volumes, apart)
                    if not phase.steps and phase.taps.frames:
                        some, own = slice(n, n + volumes), slice(phase.taps.start, None, phase.taps.every)
                        rest = self._rest(bias, y.dtype)
                        if self.problem.layout == "channels_last":
                            y[some, own] = rest
                        else:
                            y[some, :, own] = rest[:, None, None, None]

    def _rest(self, bias: np.ndarray | None, dtype: np.dtype) -> np.ndarray:
        """What each channel is where no tap reaches."""
        rest = np.zeros(self.problem.c, dtype)
        if self.rest is not None:
            threads.run(self.rest, zeros_bias(self.problem) if bias is None else bias, y=rest)
        return rest

    @functools.cached_property
    def together(self) -> int:
        """Volumes that are computed at once: all, if images lie in place, or as many as share a small copy."""
        executions = (step.execution for phase in self.phases for step in phase.steps)
        return how_many(self.problem.n, self._slice_bytes, executions)

    def _step(self, step: Step, source, weight, bias, residual, y, n: int, packed, volumes: int, apart: int) -> None:
        """One band of volume n, and of those after it, whose images are `apart` bytes from one to the next."""
        band, layout = step.slices.band, self.problem.layout
        images = self.problem.pass_ == "input_grad"  # taken apart as arrays; else their address is enough
        target = frames(y, n, band, layout) if images else frame(y, n, band.first, layout)
        beside = None if residual is None else frame(residual, n, band.first, layout)
        execution = step.of(volumes, apart, 0 if residual is None else residual.strides[0], y.strides[0])
        execution.run(source, weight if packed is None else None, bias, beside, target, packed)


@dataclass
class Planes:
    """A pass over images of one row for each slice, which all arrays are as they lie."""

    inner: Execution
    source: tuple[int, ...]
    result: tuple[int, ...]

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return ("planes", self.inner.packing) if self.inner.packing else ()

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self.inner.workspace(count)

    def pack(self, weight: np.ndarray):
        """What to run with as `packed` in place of this weight."""
        return self.inner.pack(weight)

    def run(self, x, weight, bias, residual, y, packed=None) -> None:
        """Compute `y` from `x`."""
        self.inner.run(x.reshape(self.source), weight, bias, residual, y.reshape(self.result), packed)


@dataclass
class FoldedDepth:
    """A gradient with respect to the input whose borders along the depth are folded back; see `Execution`.

    One volume at a time is computed with its border, in the type that sums are made in.
    """

    problem: Problem
    inner: Volumes  # of one volume
    sources: tuple[int, ...]  # the slice of x at each place along the depth

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "folded", *self.inner.packing

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(self.inner.problem.dtype)

    def _bytes(self) -> int:
        return math.prod(self.inner.problem.x_shape) * self._dtype.itemsize

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self._bytes() + self.inner.workspace(count)

    def pack(self, weight: np.ndarray):
        """What to run with as `packed` in place of this weight."""
        return self.inner.pack(weight.astype(self._dtype, copy=False))

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`."""
        if weight is not None:
            weight = weight.astype(self._dtype, copy=False)
        axis = 0 if self.problem.layout == "channels_last" else 1
        front = self.problem.depth.padding[0]
        with memories() as memory, np.errstate(all="ignore"):
            padded = memory(self._bytes())[: self._bytes()].view(self._dtype).reshape(self.inner.problem.x_shape)
            for n in range(self.problem.n):
                volume = np.ascontiguousarray(dy[n : n + 1], self._dtype) if dy.dtype != self._dtype else dy[n : n + 1]
                self.inner.run(volume, weight, None, None, padded, packed)
                slices = np.moveaxis(padded[0], axis, 0)
                for place, source in enumerate(self.sources):
                    if source >= 0 and place != source + front:
                        slices[source + front] += slices[place]
                np.moveaxis(dx[n], axis, 0)[...] = slices[front : front + self.problem.depth.size]
