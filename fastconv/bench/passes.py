"""What is timed of a layer: the forward pass, one of the gradients, or a step of training.

A pass is a list of operators, one for each of its results, our calls that compute them and torch's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fastconv as fc
from fastconv.bench import pools
from fastconv.bench.reference import SAMPLES, Data, Sample, sample
from fastconv.networks import Layer

Call = Callable[[], object]  # gives one result, or several as a tuple


@dataclass(frozen=True)
class Pass:
    """One of PASSES.

    `ours` prepares our calls: "function", which is given its weights anew, and "layer" if there is one that holds them.
    `torch` does the same for tensors: (module, x, w, dy, options) -> call; options are the layer's `kwargs`.
    """

    name: str
    function: str  # what a user calls
    ops: tuple[str, ...]
    ours: Callable[[Data], dict[str, Call]]
    torch: Callable[..., Call]

    def calls(self, data: Data, api: str) -> dict[str, Call]:
        """Our calls for --api; a pool has one."""
        if pools.is_pool(data.layer):
            return {"function": pools.call(self.name, data.layer, data.layout, data.x, data.dy)}
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
        return [sample(op, data, rng) for op in self.ops]

    def error(self, results: object, samples: list[Sample], data: Data | None = None) -> float:
        """The largest relative error of what a call gave; with `data` its images are in the layout of these."""
        results = results if isinstance(results, tuple) else (results,)
        errors = []
        for op, result, expected in zip(self.ops, results, samples, strict=True):
            image = data is not None and op != "weight_grad"
            errors.append(expected.error(data.first(result) if image else np.asarray(result)))
        return float(np.max(errors))  # which is NaN if one is

    def algorithm(self, data: Data, packed: bool) -> str:
        """The names of what "auto" takes."""
        if pools.is_pool(data.layer):
            return pools.algorithm(self.name, data.layer, data.x, data.layout)
        options = {**data.layer.kwargs, "layout": data.layout, "dtype": data.x.dtype, "packed": packed}
        names = (data.layer.op if op == "forward" else f"{data.layer.op}_{op}" for op in self.ops)
        return "+".join(fc.explain(op, data.x.shape, data.w.shape, **options).algorithm for op in names)


def _ours(data: Data, what: str) -> Callable:
    """One of our functions for the layer's operator, with its options."""
    function = getattr(fc, data.layer.op + what)
    return functools.partial(function, **data.layer.kwargs, layout=data.layout)


def class_of(op: str) -> str:
    """The name of an operator's layer."""
    return "".join(word.capitalize() for word in op.split("_"))


def _forward(data: Data) -> dict[str, Call]:
    x, w, conv = data.x, data.w, _ours(data, "")
    name = class_of(data.layer.op)
    held = getattr(fc, name)(w, None, **data.layer.kwargs, layout=data.layout)
    return {"function": lambda: conv(x, w, None), "layer": lambda: held(x)}


def _input_grad(data: Data) -> dict[str, Call]:
    grad = _ours(data, "_input_grad")
    return {"function": lambda: grad(data.dy, data.w, data.x.shape)}


def _weight_grad(data: Data) -> dict[str, Call]:
    grad = _ours(data, "_weight_grad")
    return {"function": lambda: grad(data.dy, data.x, data.w.shape)}


def _training(data: Data) -> dict[str, Call]:
    x, w, dy, conv, backward = data.x, data.w, data.dy, _ours(data, ""), _ours(data, "_backward")
    needs = (True, True, False)
    return {"function": lambda: (conv(x, w, None), *backward(dy, x, w, needs=needs)[:2])}


def _torch_forward(torch, x, w, dy, options) -> Call:
    name = f"conv{'_transpose' if 'output_padding' in options else ''}{x.ndim - 2}d"
    conv = getattr(torch.nn.functional, name)
    return lambda: conv(x, w, None, **options)


def _torch_backward(torch, x, w, dy, options, needs) -> Call:
    backward = torch.ops.aten.convolution_backward.default
    axes = x.ndim - 2
    window = [np.atleast_1d(options[name]).tolist() for name in ("stride", "padding", "dilation")]
    extra, groups = np.atleast_1d(options.get("output_padding", (0,) * axes)).tolist(), options["groups"]
    return lambda: backward(dy, x, w, None, *window, "output_padding" in options, extra, groups, needs)


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
