"""Implicit GEMM: strips of input are packed block by block inside the blocking, never the whole patch matrix."""

from __future__ import annotations

from dataclasses import replace

from fastconv import blocking, workspace
from fastconv.algorithm.common import Execution, Steps, names_of
from fastconv.algorithm.cut import Part, Shape
from fastconv.algorithm.dense import dense, dense_weights, packed_bytes
from fastconv.cost import dense_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target


def shapes(problem: Problem, target: Target, in_place: bool, packed: bool) -> list[Shape]:
    """The dense plans that can do `problem`: either orientation, weights packed beforehand or read as they are.

    With channels in the lanes, weights "as they are" are packed a panel at a time, just before the panel is used. That
    is the only way for those of a call that would take too much memory all packed. Weights of several taps that
    are another convolution's are packed beforehand.

    Pixels in the lanes go through panels where x is read in place, and may where vectors are short: each step of six
    rows by two vectors of eight reads as many bytes as one of twelve rows by two of sixteen.
    """
    _, _, item = names_of(problem)
    lanes = target.lanes(item)
    outputs = problem.k // problem.groups
    narrow, point = item != problem.itemsize, (problem.r, problem.s) == (1, 1)
    able, found = [], []
    unable = problem.borrowed and narrow and point  # what moves such weights does not widen them
    if problem.layout == "channels_first" and not unable and (problem.stride[1] == 1 or not in_place):
        able += [("pixels", in_place)] + [("pixels", True)] * (not in_place and target.registers == 16)
    for along, panels in (*able, ("channels", False)):
        apart = panels and not in_place and blocking.ragged(problem, lanes)
        _, run = blocking.runs(problem, in_place, apart)
        sizes = (outputs, -(-run // lanes)) if along == "pixels" else (run, -(-outputs // lanes))
        tile = blocking.choose_tile(*sizes, target)[:2]
        shape = Shape(along, in_place, False, *tile, panels=panels, apart=apart)
        if packed or packed_bytes(problem, shape, target) <= workspace.MOST_WEIGHT_BYTES:
            found.append(shape)
        raw = not (narrow and along == "pixels")
        if problem.borrowed:
            raw = along == "channels" and not narrow and point
        if not packed and raw:
            found.append(replace(shape, raw_weights=True))
    return found


def best_shape(problem: Problem, x: Steps, target: Target, in_place: bool, packed: bool) -> Shape:
    """The cheapest of `shapes` by the cost model."""
    return min(
        shapes(problem, target, in_place, packed),
        key=lambda shape: dense_cycles(problem, shape, target, packed),
    )


def execution(
    problem: Problem, x: Steps, shape: Shape, target: Target, threads: int, part: Part | None = None
) -> Execution:
    """The launches for one shape, of all of the output or a part."""
    main = [dense(problem, x, shape, target, threads, part)]
    if shape.raw_weights:
        return Execution(main, None, 0, ())
    weights, size = dense_weights(problem, shape, target)
    most, chunk = shape.rows if shape.lanes == "pixels" else shape.vectors, blocking.dense_chunk(problem).channels
    return Execution(main, weights, size, ("dense", shape.lanes, most, shape.products, chunk))


class Im2col:
    """Accepts every problem; weights that are another convolution's if they can be packed."""

    name = "im2col"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        other = problem.borrowed
        if not other:
            return None
        if (other.r, other.s) != (problem.r, problem.s):
            return "some taps of another convolution's kernels"
        chunk = blocking.chunk_of(problem.c // problem.groups, problem.r, problem.s)
        if (chunk.rows, chunk.columns) != (problem.r, problem.s):
            return "parts of another convolution's kernels"
        return None if shapes(problem, target, False, False) else "another convolution's weights take too much memory"

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        shape = best_shape(problem, x, target, False, packed)
        return dense_cycles(problem, shape, target, packed)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        shape = best_shape(problem, x, target, False, packed)
        return execution(problem, x, shape, target, threads)
