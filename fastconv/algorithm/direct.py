"""Direct convolution: windows that lie inside the input read it in place; those that touch the border are packed."""

from __future__ import annotations

from dataclasses import replace

from fastconv import cost
from fastconv.algorithm.common import Execution, Steps, names_of
from fastconv.algorithm.cut import Part, Shape, whole
from fastconv.algorithm.dense import dense
from fastconv.algorithm.im2col import execution, shapes
from fastconv.cost import dense_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target


def interior(problem: Problem) -> Part:
    """The output pixels whose windows lie inside the input; it may be empty."""

    def span(size, kernel, stride, dilation, pads, outputs):
        first = -(-pads[0] // stride)
        last = (size - 1 - (kernel - 1) * dilation + pads[0]) // stride
        return min(first, outputs), max(min(first, outputs), min(last + 1, outputs))

    rows = span(problem.h, problem.r, problem.stride[0], problem.dilation[0], problem.padding[0], problem.oh)
    columns = span(problem.w, problem.s, problem.stride[1], problem.dilation[1], problem.padding[1], problem.ow)
    return Part(*rows, *columns)


def border(problem: Problem, inside: Part) -> list[Part]:
    """The rest of the output, as rectangles."""
    around = whole(problem)
    if not inside.pixels:
        return [around]
    parts = [
        Part(0, inside.top, 0, around.right),
        Part(inside.bottom, around.bottom, 0, around.right),
        Part(inside.top, inside.bottom, 0, inside.left),
        Part(inside.top, inside.bottom, inside.right, around.right),
    ]
    return [part for part in parts if part.pixels]


class Direct:
    """Any kernel, stride, dilation and border on input that is stored as it is computed."""

    name = "direct"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        _, _, item = names_of(problem)
        if problem.borrowed:
            return "the weights are another convolution's"
        if item != problem.itemsize:
            return "narrow dtypes are widened while packing"
        if problem.layout == "channels_first" and x.w != item:
            return "x's rows are not contiguous"
        if not interior(problem).pixels:
            return "every window touches the border"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return self._cycles(problem, self._shape(problem, target, packed), target, packed)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        shape = self._shape(problem, target, packed)
        inside = interior(problem)
        found = execution(problem, x, shape, target, threads, inside)
        beside = replace(shape, in_place=False, panels=False)
        for part in border(problem, inside):
            found.parts.append(dense(problem, x, beside, target, threads, part))
        return found

    def _shape(self, problem: Problem, target: Target, packed: bool) -> Shape:
        able = shapes(problem, target, True, packed)
        return min(able, key=lambda shape: self._cycles(problem, shape, target, packed))

    def _cycles(self, problem: Problem, shape: Shape, target: Target, packed: bool) -> float:
        inside = interior(problem)
        share = inside.pixels / (problem.oh * problem.ow)
        beside = replace(shape, in_place=False, panels=False)
        cycles = share * dense_cycles(problem, shape, target, packed)
        parts = border(problem, inside) if share < 1 else []
        # Narrow rectangles fill few lanes and rows of a tile, and each has a task for every group.
        starts = len(parts) * (cost.C.launch + 2 * cost.C.task * problem.groups)
        return cycles + 3 * (1 - share) * dense_cycles(problem, beside, target, packed) + starts
