"""A layer's random arrays, and samples in float64, from the definition, of what each operator computes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
        shapes = layer.x_shape(batch, layout), layer.weight_shape, layer.y_shape(batch, layout)
        arrays = (rng.standard_normal(shape, np.float32).astype(dtype, copy=False) for shape in shapes)
        return cls(layer, layout, *arrays)

    def first(self, images: np.ndarray) -> np.ndarray:
        """A view of images, if they are in the layout, with the channels first."""
        return images.transpose(0, 3, 1, 2) if self.layout == "channels_last" else images


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
    i, j = _pixels(layer.oh, layer.ow, rng)
    h = [n * s - p + np.arange(r)[None] * d for n, r, s, p, d in _axes(layer, (i, j))]
    windows = _gather(data.first(data.x)[0], *h)
    return Sample((0, slice(None), i, j), _products(windows, data.w.astype(np.float64), layer.groups, "gcpt,gkct->pgk"))


def input_grad(data: Data, rng: np.random.Generator) -> Sample:
    """Every channel of the input's gradient at some pixels of the first image: the outputs that read them."""
    layer = data.layer
    h, v = _pixels(layer.h, layer.w, rng)
    readers = []
    for n, r, s, p, d in _axes(layer, (h, v)):
        place, rest = np.divmod(n + p - np.arange(r)[None] * d, s)
        readers.append(np.where(rest == 0, place, -1))
    windows = _gather(data.first(data.dy)[0], *readers)
    return Sample((0, slice(None), h, v), _products(windows, data.w.astype(np.float64), layer.groups, "gkpt,gkct->pgc"))


def weight_grad(data: Data, rng: np.random.Generator) -> Sample:
    """Some elements of the weight's gradient: sums over all images and pixels."""
    layer, x, dy = data.layer, data.first(data.x), data.first(data.dy)
    picks = rng.choice(data.w.size, min(COUNT, data.w.size), replace=False)
    index = np.unravel_index(picks, data.w.shape)
    values = []
    for k, c, *taps in zip(*index, strict=True):
        channel = k // (layer.k // layer.groups) * (layer.c // layer.groups) + c
        pairs = zip(taps, x.shape[2:], dy.shape[2:], layer.stride, layer.padding, layer.dilation, strict=True)
        (h, i), (v, j) = (_reads(*axis) for axis in pairs)
        values.append(np.vdot(*(a.astype(np.float64) for a in (x[:, channel, h[:, None], v], dy[:, k, i[:, None], j]))))
    return Sample(index, np.array(values))


# By the public name of the operator.
SAMPLES = {"conv2d": output, "conv2d_input_grad": input_grad, "conv2d_weight_grad": weight_grad}


def _pixels(height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) of a sample of pixels."""
    return np.divmod(rng.choice(height * width, min(COUNT, height * width), replace=False), width)


def _axes(layer: Layer, places: tuple[np.ndarray, np.ndarray]):
    """For rows and for columns: (places as a column, taps, stride, padding, dilation)."""
    columns = (n[:, None] for n in places)
    return zip(columns, (layer.r, layer.s), layer.stride, layer.padding, layer.dilation, strict=True)


def _gather(image: np.ndarray, h: np.ndarray, v: np.ndarray) -> np.ndarray:
    """image[:, h[p, r], v[p, s]] as [channel, p, r * s] in float64; zero outside the image."""
    inside = ((h >= 0) & (h < image.shape[1]))[:, :, None] & ((v >= 0) & (v < image.shape[2]))[:, None, :]
    h, v = h.clip(0, image.shape[1] - 1), v.clip(0, image.shape[2] - 1)
    picked = np.where(inside, image[:, h[:, :, None], v[:, None, :]].astype(np.float64), 0.0)
    return picked.reshape(*picked.shape[:2], -1)


def _products(windows: np.ndarray, weight: np.ndarray, groups: int, sums: str) -> np.ndarray:
    """Sums of windows times weight as [pixel, channel], each group by itself."""
    windows = windows.reshape(groups, -1, *windows.shape[1:])
    weight = weight.reshape(groups, -1, weight.shape[1], weight.shape[2] * weight.shape[3])
    return np.einsum(sums, windows, weight, optimize=True).reshape(windows.shape[2], -1)


def _reads(tap: int, size: int, out: int, stride: int, padding: int, dilation: int) -> tuple[np.ndarray, np.ndarray]:
    """On one axis: what a tap reads inside the image, and the outputs for which it does."""
    places = np.arange(out) * stride + tap * dilation - padding
    inside = (places >= 0) & (places < size)
    return places[inside], inside.nonzero()[0]
