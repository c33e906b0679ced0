"""What is timed of a layer: the forward pass, one of the gradients, or a step of training.

A pass is a list of operators, one for each of its results, our calls that compute them and torch's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fastconv as fc
from fastconv.bench.reference import SAMPLES, Data, Sample
from fastconv.networks import Layer

Call = Callable[[], object]  # gives one result, or several as a tuple


@dataclass(frozen=True)
class Pass:
    """One of PASSES.

    `ours` prepares our calls: "function", which is given its weights anew, and "layer" if there is one that holds them.
    `torch` does the same for tensors: (module, x, w, dy, (stride, padding, dilation, groups)) -> call.
    """

    name: str
    function: str  # what a user calls
    ops: tuple[str, ...]
    ours: Callable[[Data], dict[str, Call]]
    torch: Callable[..., Call]

    def calls(self, data: Data, api: str) -> dict[str, Call]:
        """Our calls for --api."""
        calls = self.ours(data)
        return calls if api == "both" else {api: calls[api]}

    def flops(self, layer: Layer, batch: int) -> int:
        """Two for each product, and each operator has as many as the convolution."""
        return len(self.ops) * layer.flops(batch)

    def bytes(self, layer: Layer, batch: int, itemsize: int) -> int:
        """Each operator reads two of input, weight and output, or their gradients, and writes the third."""
        return len(self.ops) * layer.bytes(batch, itemsize)

    def samples(self, data: Data) -> list[Sample]:
        """What the results should be at some elements."""
        rng = np.random.default_rng(0)
        return [SAMPLES[op](data, rng) for op in self.ops]

    def error(self, results: object, samples: list[Sample], data: Data | None = None) -> float:
        """The largest relative error of what a call gave; with `data` its images are in the layout of these."""
        results = results if isinstance(results, tuple) else (results,)
        errors = []
        for op, result, sample in zip(self.ops, results, samples, strict=True):
            image = data is not None and op != "conv2d_weight_grad"
            errors.append(sample.error(data.first(result) if image else np.asarray(result)))
        return float(np.max(errors))  # which is NaN if one is

    def algorithm(self, data: Data, packed: bool) -> str:
        """The names of what "auto" takes."""
        options = {**data.layer.kwargs, "layout": data.layout, "dtype": data.x.dtype, "packed": packed}
        return "+".join(fc.explain(op, data.x.shape, data.w.shape, **options).algorithm for op in self.ops)


def _forward(data: Data) -> dict[str, Call]:
    x, w, options = data.x, data.w, {**data.layer.kwargs, "layout": data.layout}
    held = fc.Conv2d(w, None, **options)
    return {"function": lambda: fc.conv2d(x, w, None, **options), "layer": lambda: held(x)}


def _input_grad(data: Data) -> dict[str, Call]:
    options = {**data.layer.kwargs, "layout": data.layout}
    return {"function": lambda: fc.conv2d_input_grad(data.dy, data.w, data.x.shape, **options)}


def _weight_grad(data: Data) -> dict[str, Call]:
    options = {**data.layer.kwargs, "layout": data.layout}
    return {"function": lambda: fc.conv2d_weight_grad(data.dy, data.x, data.w.shape, **options)}


def _training(data: Data) -> dict[str, Call]:
    x, w, dy, options = data.x, data.w, data.dy, {**data.layer.kwargs, "layout": data.layout}
    needs = (True, True, False)

    def call() -> tuple:
        y = fc.conv2d(x, w, None, **options)
        return y, *fc.conv2d_backward(dy, x, w, **options, needs=needs)[:2]

    return {"function": call}


def _torch_forward(torch, x, w, dy, options) -> Call:
    return lambda: torch.nn.functional.conv2d(x, w, None, *options)


def _torch_backward(torch, x, w, dy, options, needs) -> Call:
    backward = torch.ops.aten.convolution_backward.default
    *window, groups = options
    return lambda: backward(dy, x, w, None, *window, False, (0, 0), groups, needs)


def _torch_input_grad(*given) -> Call:
    backward = _torch_backward(*given, (True, False, False))
    return lambda: backward()[0]


def _torch_weight_grad(*given) -> Call:
    backward = _torch_backward(*given, (False, True, False))
    return lambda: backward()[1]


def _torch_training(*given) -> Call:
    forward, backward = _torch_forward(*given), _torch_backward(*given, (True, True, False))
    return lambda: (forward(), *backward()[:2])


_OPS = tuple(SAMPLES)
PASSES = {
    p.name: p
    for p in (
        Pass("forward", "conv2d", _OPS[:1], _forward, _torch_forward),
        Pass("input_grad", "conv2d_input_grad", _OPS[1:2], _input_grad, _torch_input_grad),
        Pass("weight_grad", "conv2d_weight_grad", _OPS[2:], _weight_grad, _torch_weight_grad),
        Pass("training", "conv2d and conv2d_backward", _OPS, _training, _torch_training),
    )
}
