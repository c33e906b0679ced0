"""The Problem of a transposed convolution: that of the convolution whose input's gradient it is.

Its c, h, w are the transposed convolution's output, its k, oh, ow the input; so its pass "input_grad" is the forward
pass here, "forward" the gradient with respect to the input, and x and dy change places in "weight_grad".
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from fastconv.checks import (
    ITEMSIZE,
    as_activation,
    as_shape,
    as_size,
    as_sizes,
    check_choice,
    check_not_empty,
    dtype_name,
    shape_of,
)
from fastconv.problem.conv import (
    AXES,
    LAYOUTS,
    NAMES,
    OWN_PASS,
    PRECISIONS,
    Depth,
    Pair,
    Problem,
    resolve_padding,
)


def transposed_problem(
    op: str,
    x_shape: Any,
    weight_shape: Any,
    *,
    dtype: Any,
    bias_shape: tuple[int, ...] | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
    layout: str = "channels_first",
    activation: Any = None,
    precision: str = "default",
    pass_: str = "forward",
    addressable: bool = True,
    names: tuple[str, str] = NAMES,
) -> Problem:
    """The Problem of a call of conv_transpose1d, 2d or 3d; x_shape has its batch axis, `pass_` is the operator's.

    Not `addressable`: only the options are checked, on an image of any size. `names` as for `conv_problem`.
    """
    check_choice(f"{op}: layout", layout, LAYOUTS)
    check_choice(f"{op}: precision", precision, PRECISIONS)
    activation, slope = as_activation(f"{op}: activation", activation)
    count = int(op[-2])
    x_shape = as_shape(f"{op}: x_shape", x_shape, count + 2, 0)
    weight_shape = as_shape(f"{op}: weight_shape", weight_shape, count + 2, 0)
    n, c, *sizes = x_shape if layout == "channels_first" else (x_shape[0], x_shape[-1], *x_shape[1:-1])
    x, weight = names
    check_not_empty(f"{op}: {x}", dict(zip(("channels", *AXES[count]), (c, *sizes), strict=True)), x_shape)
    named = zip(("input channels", "output channels", *AXES[count]), weight_shape, strict=True)
    check_not_empty(f"{op}: {weight}", dict(named), weight_shape)
    groups = as_size(f"{op}: groups", groups, 1)
    if c != weight_shape[0]:
        raise ValueError(
            f"{op}: {weight} has {weight_shape[0]} input channels ({shape_of(weight)}[0]), but {x} has {c} "
            f"({shape_of(x)} {x_shape}, {layout}): {weight} must have shape (C, K / groups, {', '.join(AXES[count])})"
        )
    if c % groups:
        raise ValueError(f"{op}: groups={groups} must divide {x}'s {c} channels (shape {x_shape}, {layout})")
    k, kernel = weight_shape[1] * groups, weight_shape[2:]

    stride = as_sizes(f"{op}: stride", stride, count, 1)
    dilation = as_sizes(f"{op}: dilation", dilation, count, 1)
    spans = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True))
    extra = as_sizes(f"{op}: output_padding", output_padding, count, 0)
    for axis, more, *steps in zip(AXES[count], extra, stride, dilation, strict=True):
        if more >= max(steps):
            raise ValueError(
                f"{op}: output_padding {more} of the {axis} must be less than its stride {steps[0]} or dilation "
                f"{steps[1]}: longer results hold nothing but bias; pad them"
            )
    # "same" keeps stride outputs an input: what the convolution from there is padded by to get here.
    whole = tuple(size * step for size, step in zip(sizes, stride, strict=True))
    pads = resolve_padding(op, padding, whole, kernel, stride, dilation)
    if isinstance(padding, str) and padding != "valid":
        extra = tuple(more + max(0, step - span) for more, step, span in zip(extra, stride, spans, strict=True))
    outputs, found = [], []
    for axis, size, step, span, (before, after), more in zip(
        AXES[count], sizes, stride, spans, pads, extra, strict=True
    ):
        reach = (size - 1) * step + span
        outputs.append(reach + more - before - after)
        if outputs[-1] < 1:
            raise ValueError(
                f"{op}: padding {(before, after)} leaves nothing of the output's {axis}, which is {reach} without "
                f"padding and has output_padding {more}: pad less"
            )
        found.append((before, _after(outputs[-1], before, reach, step)))
    # All that one input gives lies side by side: with a stride of the kernel's size every tap is a phase.
    stride = tuple(
        max(step, taps) if size == 1 and spread == 1 else step
        for size, step, taps, spread in zip(sizes, stride, kernel, dilation, strict=True)
    )
    y_shape = (n, k, *outputs) if layout == "channels_first" else (n, *outputs, k)
    if addressable:
        _check_addressable(op, x, x_shape, y_shape, ITEMSIZE[dtype_name(dtype)])
    if bias_shape is not None and tuple(bias_shape) != (k,):
        raise ValueError(f"{op}: bias must have shape {(k,)}, one value an output channel, got {tuple(bias_shape)}")
    return _problem(
        op, n, c, k, outputs, kernel, stride, found, dilation, groups=groups, layout=layout, dtype=dtype_name(dtype),
        bias=bias_shape is not None, activation=activation, slope=slope, precision=precision, pass_=OWN_PASS[pass_],
    )  # fmt: skip


def _problem(op, n, c, k, outputs, kernel, stride, padding, dilation, **options) -> Problem:
    """The convolution from the outputs to the inputs."""

    def plane(values, missing):
        """Those of height and width."""
        return (missing, *values)[-2:]

    depth = None
    if len(kernel) == 3:
        depth = Depth(outputs[0], kernel[0], stride[0], padding[0], dilation[0])
    return Problem(
        op, n, k, *plane(outputs, 1), c, *plane(kernel, 1), plane(stride, 1), plane(padding, (0, 0)),
        plane(dilation, 1), depth=depth, **options,
    )  # fmt: skip


def _after(size: int, before: int, reach: int, stride: int) -> int:
    """How much the convolution pads after its `size` inputs to give outputs that reach so far: 0 if that will do.

    Negative, if so many inputs are beyond all windows that there would be another window.
    """
    least = reach - size - before
    return max(least, min(0, least + stride - 1))


def _check_addressable(op: str, x: str, x_shape: tuple, y_shape: tuple, itemsize: int) -> None:
    """NumPy must be able to make the result; an empty batch counts as one image, as it does there."""
    size = itemsize
    for extent in y_shape:
        size *= max(extent, 1)
    if size > sys.maxsize:
        raise ValueError(
            f"{op}: {shape_of(x)} {x_shape} gives an output of shape {y_shape}, which is too large to address"
        )


def bias_problem(problem: Problem) -> Problem:
    """A problem whose output is the transposed convolution's, which the gradient of the bias is a sum of."""
    unit: Pair = (1, 1)
    depth = problem.depth and Depth(problem.depth.size, 1, 1, (0, 0), 1)
    return replace(
        problem, k=problem.c, r=1, s=1, stride=unit, dilation=unit, padding=((0, 0), (0, 0)), groups=1, bias=False,
        activation=None, depth=depth,
    )  # fmt: skip
