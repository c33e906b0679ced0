"""The MNIST-1D data set of S. Greydanus and D. Kobak, generated.

"Scaling down deep learning with MNIST-1D", arXiv:2011.14439. Ten digits are drawn as templates of twelve points. Each
example is a template that was padded and thereby squeezed, scaled, moved, laid over a smooth noise, sheared and sampled
at forty places. The numbers are the published ones; the random generator is NumPy's own, so that the examples are other
ones of the same kind.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TEMPLATES = np.array([
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
])  # fmt: skip
LENGTH = 40  # of an example
PADDING = 36, 60  # zeros behind a template: least and most
CANVAS = TEMPLATES.shape[1] + PADDING[1]  # points that everything but the last step works on
MOVES = 48  # an example begins at one of so many places
SCALE = 0.4  # sizes are 1 +- half of this
SHEAR = 0.75  # slopes over the whole example are 0 +- half of this
SMOOTH_NOISE, WIDTH = 0.25, 2  # standard deviations: of the noise around a digit before it is blurred, of the blur
NOISE = 0.02  # and of the noise on everything


class Split(NamedTuple):
    """Signals of shape (N, 40), with mean 0 and deviation 1 over the whole set, and their digits."""

    x: np.ndarray
    y: np.ndarray


def generate(seed: int = 42, train: int = 4000, test: int = 1000) -> tuple[Split, Split]:
    """The training and the test set: all digits equally often in both together, in random order."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(train + test) % len(TEMPLATES))
    shapes = (TEMPLATES - TEMPLATES.mean(axis=1, keepdims=True)) / TEMPLATES.std(axis=1, keepdims=True)
    shapes = (shapes - shapes[:, :1]) / 6  # a digit begins and ends at zero
    x = np.stack([_example(shapes[digit], rng) for digit in y])
    x = (x - x.mean()) / x.std()
    return Split(x[:train], y[:train]), Split(x[train:], y[train:])


def _example(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn, padded = len(shape), len(shape) + rng.integers(PADDING[0], PADDING[1] + 1)
    # The padded template, stretched to the canvas; the digit is where its points still matter.
    places = np.linspace(0, padded - 1, CANVAS)
    signal, digit = np.interp(places, np.arange(drawn), shape, right=0.0), places < drawn
    signal = signal * (1 + SCALE * (rng.random() - 0.5))
    move = rng.integers(MOVES)
    signal, digit = np.roll(signal, move), np.roll(digit, move)
    signal = np.where(digit, signal, _blur(SMOOTH_NOISE * rng.standard_normal(CANVAS)))
    signal = signal + NOISE * rng.standard_normal(CANVAS)
    signal = signal - SHEAR * (rng.random() - 0.5) * np.linspace(-0.5, 0.5, CANVAS)
    return np.interp(np.linspace(0, CANVAS - 1, LENGTH), np.arange(CANVAS), signal)


def _blur(noise: np.ndarray) -> np.ndarray:
    """Convolve with a Gaussian, the ends mirrored."""
    reach = 4 * WIDTH
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / WIDTH) ** 2)
    return np.convolve(np.pad(noise, reach, mode="symmetric"), bell / bell.sum(), mode="valid")
