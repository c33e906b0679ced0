"""A layer's random arrays, and samples in float64, from the definition, of what each operator computes of them."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from fastconv.bench import pools
from fastconv.networks import Layer

COUNT = 64  # pixels or weights of a sample


@dataclass(frozen=True)
class Data:
    """A layer and its arrays: input and output gradient in the layout, and the weight."""

    layer: Layer
    layout: str
    x: np.ndarray
    w: np.ndarray
    dy: np.ndarray

    @classmethod
    def random(cls, layer: Layer, batch: int, layout: str, dtype: np.dtype) -> Data:
        """Normal data, the same for a layer at each run."""
        rng = np.random.default_rng(sum(layer.label.encode()))
        x_shape = layer.x_shape(batch, layout)
        weight_shape = (0,) * len(x_shape) if pools.is_pool(layer) else layer.weight_shape
        shapes = x_shape, weight_shape, layer.y_shape(batch, layout)
        arrays = (rng.standard_normal(shape, np.float32).astype(dtype, copy=False) for shape in shapes)
        return cls(layer, layout, *arrays)

    def mirrored(self) -> Data:
        """The same arrays as those of the convolution behind a transposed one."""
        return Data(self.layer.mirrored(), self.layout, self.dy, self.w, self.x)

    def first(self, images: np.ndarray) -> np.ndarray:
        """A view of images, if they are in the layout, with the channels first."""
        return np.moveaxis(images, -1, 1) if self.layout == "channels_last" else images


@dataclass(frozen=True)
class Sample:
    """Some elements of a result: where they are in its channels_first form, and their values in float64."""

    index: tuple
    values: np.ndarray

    def error(self, result: np.ndarray) -> float:
        """A result's largest error at these elements, relative to the largest value."""
        picked = result[self.index].astype(np.float64)
        return float(np.abs(picked - self.values).max() / max(np.abs(self.values).max(), 1e-300))


def output(data: Data, rng: np.random.Generator) -> Sample:
    """Every channel of the output at some pixels of the first image."""
    layer = data.layer
    places = _pixels(layer.y_sizes, rng)
    windows, inside = _gather(data.first(data.x)[0], _windows(layer, places))
    if pools.is_pool(layer):
        return Sample((0, slice(None), *places), pools.values(layer, windows, inside).T)
    values = _products(windows, data.w.astype(np.float64), layer.groups, "gcpt,gkct->pgk")
    return Sample((0, slice(None), *places), values)


def input_grad(data: Data, rng: np.random.Generator) -> Sample:
    """Every channel of the input's gradient at some pixels of the first image: the outputs that read them."""
    layer = data.layer
    places = _pixels(layer.sizes, rng)
    readers = []
    for n, r, s, p, d in _axes(layer, places):
        place, rest = np.divmod(n + p - np.arange(r)[None] * d, s)
        readers.append(np.where(rest == 0, place, -1))
    dy = data.first(data.dy)[0]
    if pools.is_pool(layer):
        reads = functools.partial(_windows, layer)
        x = data.first(data.x)[0]
        return Sample((0, slice(None), *places), pools.gradients(layer, dy, x, readers, places, _gather, reads).T)
    windows, _ = _gather(dy, readers)
    values = _products(windows, data.w.astype(np.float64), layer.groups, "gkpt,gkct->pgc")
    return Sample((0, slice(None), *places), values)


def weight_grad(data: Data, rng: np.random.Generator) -> Sample:
    """Some elements of the weight's gradient: sums over all images and pixels."""
    layer, x, dy = data.layer, data.first(data.x), data.first(data.dy)
    picks = rng.choice(data.w.size, min(COUNT, data.w.size), replace=False)
    index = np.unravel_index(picks, data.w.shape)
    windows, values = [layer.window(name) for name in ("stride", "padding", "dilation")], []
    for k, c, *taps in zip(*index, strict=True):
        channel = k // (layer.k // layer.groups) * (layer.c // layer.groups) + c
        axes = [_reads(*axis) for axis in zip(taps, x.shape[2:], dy.shape[2:], *windows, strict=True)]
        read, by = (np.ix_(np.arange(len(x)), *places) for places in zip(*axes, strict=True))
        pair = x[:, channel][read], dy[:, k][by]
        values.append(np.vdot(*(a.astype(np.float64) for a in pair)))
    return Sample(index, np.array(values))


# By what is computed; and of a transposed convolution, by what the convolution behind it computes.
SAMPLES = {"forward": output, "input_grad": input_grad, "weight_grad": weight_grad}
MIRRORED = {"forward": input_grad, "input_grad": output, "weight_grad": weight_grad}


def sample(what: str, data: Data, rng: np.random.Generator) -> Sample:
    """A sample of what a pass computes."""
    return MIRRORED[what](data.mirrored(), rng) if data.layer.transposed else SAMPLES[what](data, rng)


def _pixels(sizes: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """The places of a sample of pixels along each axis."""
    count = math.prod(sizes)
    return np.unravel_index(rng.choice(count, min(COUNT, count), replace=False), sizes)


def _windows(layer: Layer, places: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """What each output reads, as [place, tap] for each axis."""
    return [n * s - p + np.arange(r)[None] * d for n, r, s, p, d in _axes(layer, places)]


def _axes(layer: Layer, places: tuple[np.ndarray, ...]):
    """For each axis: (places as a column, taps, stride, padding, dilation)."""
    windows = (layer.window(name) for name in ("stride", "padding", "dilation"))
    return zip((n[:, None] for n in places), layer.kernel, *windows, strict=True)


def _gather(image: np.ndarray, places: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """image[:, places[0][p, t], places[1][p, r], ...] as [channel, p, all taps] in float64, zero outside the image.

    And for each place and tap, whether it is inside.
    """
    index, inside, count = [], True, len(places)
    for axis, (at, size) in enumerate(zip(places, image.shape[1:], strict=True)):
        shape = (len(at), *(-1 if i == axis else 1 for i in range(count)))
        inside = inside & ((at >= 0) & (at < size)).reshape(shape)
        index.append(at.clip(0, size - 1).reshape(shape))
    picked = np.where(inside, image[(slice(None), *index)].astype(np.float64), 0.0)
    return picked.reshape(*picked.shape[:2], -1), inside.reshape(picked.shape[1], -1)


def _products(windows: np.ndarray, weight: np.ndarray, groups: int, sums: str) -> np.ndarray:
    """Sums of windows times weight as [pixel, channel], each group by itself."""
    windows = windows.reshape(groups, -1, *windows.shape[1:])
    weight = weight.reshape(groups, -1, weight.shape[1], math.prod(weight.shape[2:]))
    return np.einsum(sums, windows, weight, optimize=True).reshape(windows.shape[2], -1)


def _reads(tap: int, size: int, out: int, stride: int, padding: int, dilation: int) -> tuple[np.ndarray, np.ndarray]:
    """On one axis: what a tap reads inside the image, and the outputs for which it does."""
    places = np.arange(out) * stride + tap * dilation - padding
    inside = (places >= 0) & (places < size)
    return places[inside], inside.nonzero()[0]
