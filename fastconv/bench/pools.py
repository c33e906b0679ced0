"""Pools as layers: our calls, torch's, and samples of what they compute, from the definition. They have no weights."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np

import fastconv as fc
from fastconv.networks import Layer

OPS = ("max_pool", "avg_pool", "global_avg_pool")
GRADIENTS = ("forward", "input_grad")


def is_pool(layer: Layer) -> bool:
    """Whether a layer is a pool that can be timed."""
    return layer.op.startswith(OPS)


def timed(layer: Layer, pass_: str = "forward") -> bool:
    """Whether a layer can be timed in a pass at all."""
    return layer.op.startswith("conv") or (is_pool(layer) and pass_ in GRADIENTS)


def window(layer: Layer) -> dict:
    """The arguments of our functions and torch's beside the arrays; global pools have none."""
    if layer.op.startswith("global"):
        return {}
    options = {"kernel_size": layer.kernel, "stride": layer.window("stride"), "padding": layer.window("padding")}
    return {**options, "ceil_mode": any(layer.extra)}


def function(layer: Layer, pass_: str) -> str:
    """The public name."""
    return layer.op if pass_ == "forward" else f"{layer.op}_backward"


def call(pass_: str, layer: Layer, layout: str, x: np.ndarray, dy: np.ndarray) -> Callable[[], np.ndarray]:
    """Our call."""
    options = {**window(layer), "layout": layout}
    run = getattr(fc, function(layer, pass_))
    if pass_ == "forward":
        return lambda: run(x, **options)
    if layer.op.startswith("max"):
        _, indices = getattr(fc, layer.op)(x, **options, return_indices=True)
        return lambda: run(dy, indices, x.shape, layout=layout)
    return lambda: run(dy, x.shape, **options)


def torch_call(torch, pass_: str, layer: Layer, x, dy) -> Callable:
    """torch's, for tensors in any format."""
    options, dims = window(layer), x.ndim - 2
    if layer.op.startswith("global"):
        mean = functools.partial(torch.mean, dim=tuple(range(2, x.ndim)), keepdim=True)
        return (lambda: mean(x)) if pass_ == "forward" else lambda: (dy / math.prod(layer.sizes)).expand_as(x).clone()
    pool = getattr(torch.nn.functional, layer.op)
    if pass_ == "forward":
        return lambda: pool(x, **options)
    if dims == 1:  # whose gradient is that of two dimensions
        x, dy = x.unsqueeze(-2), dy.unsqueeze(-2)
        options = {**options, "kernel_size": (1, *options["kernel_size"]), "stride": (1, *options["stride"]),
                   "padding": (0, *options["padding"])}  # fmt: skip
        two = torch_backward(torch, layer.op.replace("1d", "2d"), options, x, dy)
        return lambda: two().squeeze(-2)
    return torch_backward(torch, layer.op, options, x, dy)


def torch_backward(torch, op: str, options: dict, x, dy) -> Callable:
    """The gradient that torch's autograd would call."""
    shape = options["kernel_size"], options["stride"], options["padding"]
    if op.startswith("avg"):
        gradient = getattr(torch.ops.aten, f"{op}_backward")
        return lambda: gradient(dy, x, *shape, options["ceil_mode"], True, None)
    gradient = getattr(torch.ops.aten, f"{op}_with_indices_backward")
    _, indices = getattr(torch.nn.functional, op)(x, **options, return_indices=True)
    return lambda: gradient(dy, x, *shape, [1] * (x.ndim - 2), options["ceil_mode"], indices)


def algorithm(pass_: str, layer: Layer, x: np.ndarray, layout: str) -> str:
    """The name of what "auto" takes; the gradient of a maximum has no choice."""
    if pass_ != "forward" and layer.op.startswith("max"):
        return "scatter"
    if layer.op.startswith("global"):
        op, options = f"adaptive_avg_pool{x.ndim - 2}d", {}
        arguments: tuple = (1,)
    else:
        op, options = layer.op, window(layer)
        arguments = (options.pop("kernel_size"),)
    name = op if pass_ == "forward" else f"{op}_backward"
    return fc.explain(name, x.shape, *arguments, dtype=x.dtype, layout=layout, **options).algorithm


def values(layer: Layer, windows: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What a pool makes of windows as [channel, place, tap]; what is outside counts as zero for a mean."""
    if layer.op.startswith("max"):
        return np.where(inside, windows, -np.inf).max(-1)
    return windows.sum(-1) / windows.shape[-1]


def gradients(layer: Layer, dy: np.ndarray, x: np.ndarray, readers: np.ndarray, places: tuple, gather: Callable,
              reads: Callable) -> np.ndarray:  # fmt: skip
    """The input's gradient at places as [channel, place].

    `readers` has for each axis, place and tap the output that reads the place by this tap, or one outside; dy and x
    are one image; `gather` and `reads` are those of `reference`.
    """
    found, _ = gather(dy, readers)
    if not layer.op.startswith("max"):
        return found.sum(-1) / found.shape[-1]
    total, here = 0.0, x[(slice(None), *places)]
    for i, taps in enumerate(itertools.product(*(range(n) for n in layer.kernel))):
        at = tuple(axis[:, t].clip(0) for axis, t in zip(readers, taps, strict=True))
        best = values(layer, *gather(x, reads(at)))
        total = total + np.where(best == here, found[..., i], 0.0)
    return total
