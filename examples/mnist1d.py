"""Train a small CNN on MNIST-1D with fastconv's gradients and NumPy: about 94 % of the test set.

`python examples/mnist1d.py --plot mnist1d.png` shows the loss and the accuracy as they develop. The network is that of
S. Greydanus, D. Kobak, "Scaling down deep learning with MNIST-1D", arXiv:2011.14439, for which they report 94 +- 2 %:
three convolutions with stride 2, each followed by a ReLU, and a dense layer. Examples are moved by a few places at
random while training; without that it knows all of the training set by heart and 90 % of the test set.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from mnist1d_data import LENGTH, Split, generate

import fastconv as fc

CHANNELS, KERNEL, LAYERS, DIGITS = 15, 3, 3, 10
STRIDE, PADDING = 2, 1
BATCH, STEPS = 100, 6000
RATE = 1e-2  # of learning, at the beginning; it falls to zero along half a cosine
MOVE = 3  # places by which examples are moved at random while training, lest they be learnt by heart
EVERY = 100  # steps between two looks at the test set

Parameters = dict[str, np.ndarray]


def conv1d_relu_backward(dy: np.ndarray, y: np.ndarray, x: np.ndarray, weight: np.ndarray, first: bool) -> tuple:
    """The gradients of input (None for the first layer, where nobody needs it), weight and bias."""
    dy = np.where(y > 0, dy, 0)
    return fc.conv1d_backward(dy, x, weight, STRIDE, PADDING, needs=(not first, True, True))


def initial(rng: np.random.Generator, dtype: type = np.float32) -> Parameters:
    """Uniform parameters, of a variance that keeps that of the signals."""
    shapes, channels, length = {}, 1, LENGTH
    for i in range(LAYERS):
        shapes[f"weight{i}"] = CHANNELS, channels, KERNEL
        channels, length = CHANNELS, (length + 2 * PADDING - KERNEL) // STRIDE + 1
    shapes["dense"] = channels * length, DIGITS
    found = {}
    for name, shape in shapes.items():
        inputs, outputs = (shape[0], shape[1]) if name == "dense" else (shape[1] * shape[2], shape[0])
        found[name] = rng.uniform(-1, 1, shape).astype(dtype) * dtype(np.sqrt(6 / inputs))
        found[name.replace("weight", "bias") if name != "dense" else "offset"] = np.zeros(outputs, dtype)
    return found


def forward(p: Parameters, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Signals (N, 40) to logits (N, 10), and the inputs of all layers, which `backward` needs."""
    kept = [x[:, None]]
    for i in range(LAYERS):
        kept.append(fc.conv1d(kept[-1], p[f"weight{i}"], p[f"bias{i}"], STRIDE, PADDING, activation="relu"))
    return kept[-1].reshape(len(x), -1) @ p["dense"] + p["offset"], kept


def backward(p: Parameters, kept: list[np.ndarray], dlogits: np.ndarray) -> Parameters:
    """The gradients of all parameters."""
    last = kept[-1]
    g = {"dense": last.reshape(len(last), -1).T @ dlogits, "offset": dlogits.sum(axis=0)}
    dy = (dlogits @ p["dense"].T).reshape(last.shape)
    for i in reversed(range(LAYERS)):
        dy, g[f"weight{i}"], g[f"bias{i}"] = conv1d_relu_backward(dy, kept[i + 1], kept[i], p[f"weight{i}"], i == 0)
    return g


def cross_entropy(logits: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of -log softmax(logits)[y], and its gradient."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    shares = np.exp(shifted)
    total = shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = float(np.mean(np.log(total[:, 0]) - shifted[rows, y]))
    gradient = shares / total
    gradient[rows, y] -= 1
    return loss, gradient / len(y)


class Adam:
    """D. Kingma, J. Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980."""

    def __init__(self, p: Parameters, decay: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8):
        self.decay, self.epsilon, self.steps = decay, epsilon, 0
        self.means = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in p.items()}

    def step(self, p: Parameters, gradients: Parameters, rate: float) -> None:
        """Move the parameters in place."""
        self.steps += 1
        a, b = self.decay
        rate *= np.sqrt(1 - b**self.steps) / (1 - a**self.steps)
        for name, g in gradients.items():
            mean, square = self.means[name]
            mean += (1 - a) * (g - mean)
            square += (1 - b) * (g * g - square)
            p[name] -= rate * mean / (np.sqrt(square) + self.epsilon)


class Progress(NamedTuple):
    """What is to be seen after some steps; the loss and the accuracy of training are means over the last ones."""

    step: int
    loss: float
    train: float
    test: float


def moved(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The signals, each rotated by a random number of places."""
    places = np.arange(x.shape[1]) + rng.integers(-MOVE, MOVE + 1, (len(x), 1))
    return np.take_along_axis(x, places % x.shape[1], axis=1)


def accuracy(p: Parameters, data: Split) -> float:
    """The share of digits that are recognised."""
    return float(np.mean(forward(p, data.x)[0].argmax(axis=1) == data.y))


def train(p: Parameters, data: Split, test: Split, steps: int, rng: np.random.Generator,
          every: int = EVERY) -> Iterator[Progress]:  # fmt: skip
    """Change the parameters step by step, and say now and then how it goes."""
    adam, order, losses, hits = Adam(p), np.empty(0, int), [], []
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order = rng.permutation(len(data.y))
        some, order = order[:BATCH], order[BATCH:]
        logits, kept = forward(p, moved(data.x[some], rng))
        loss, dlogits = cross_entropy(logits, data.y[some])
        adam.step(p, backward(p, kept, dlogits), RATE * 0.5 * (1 + np.cos(np.pi * step / steps)))
        losses.append(loss)
        hits.append(np.mean(logits.argmax(axis=1) == data.y[some]))
        if step % every == 0 or step == steps:
            yield Progress(step, float(np.mean(losses)), float(np.mean(hits)), accuracy(p, test))
            losses, hits = [], []


def shown(rows: Iterable[Progress], steps: int) -> Iterator[Progress]:
    """Print a line a row, over a bar if rich is installed and this is a terminal."""

    def line(row: Progress) -> str:
        return f"step {row.step:5d}  loss {row.loss:.4f}  training {row.train:6.2%}  test {row.test:6.2%}"

    try:
        from rich.progress import Progress as Bar
    except ImportError:
        Bar = None
    if Bar is None or not sys.stdout.isatty():
        for row in rows:
            print(line(row), flush=True)
            yield row
        return
    with Bar(transient=True) as bar:
        task = bar.add_task("training", total=steps)
        for row in rows:
            bar.console.print(line(row), highlight=False)
            bar.update(task, completed=row.step)
            yield row


def plot(path: str, rows: list[Progress]) -> None:
    """Draw loss and accuracy over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    steps = [row.step for row in rows]
    left.semilogy(steps, [row.loss for row in rows], color="#0072B2")
    left.set(title="training loss", xlabel="step")
    right.plot(steps, [100 * row.train for row in rows], color="#0072B2", label="training")
    right.plot(steps, [100 * row.test for row in rows], color="#D55E00", label=f"test: {rows[-1].test:.1%}")
    right.set(title="accuracy, %", xlabel="step")
    right.legend(frameon=False, loc="lower right")
    for axis in (left, right):
        axis.grid(color="#dddddd", linewidth=0.6)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> float:
    """Train, and return the accuracy on the test set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0, help="of the parameters and of the examples' order")
    parser.add_argument("--plot", metavar="FILE", help="needs matplotlib")
    options = parser.parse_args(arguments)
    if options.steps < 1 or options.seed < 0:
        parser.error("--steps must be at least 1, --seed at least 0")
    data, test = (Split(split.x.astype(np.float32), split.y) for split in generate())
    rng = np.random.default_rng(options.seed)
    parameters, start = initial(rng), time.perf_counter()
    rows = list(shown(train(parameters, data, test, options.steps, rng), options.steps))
    print(f"{rows[-1].test:.1%} of the test set after {options.steps} steps and {time.perf_counter() - start:.0f} s")
    if options.plot:
        plot(options.plot, rows)
    return rows[-1].test


if __name__ == "__main__":
    main()
