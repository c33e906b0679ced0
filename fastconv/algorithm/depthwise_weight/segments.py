"""Segments of the pixels that a weight gradient sums over, and the launch that adds their sums up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastconv.algorithm.common import Execution, finish_name, names_of
from fastconv.algorithm.nest import tile_start
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.conv import Problem
from fastconv.target import Target

TASKS = 64  # worth making: as many as keep some tens of threads busy
TASK_VECTORS = 512  # of dy that make a task worth its start, some 3000 cycles
RESIDUAL, Y = 3, 4  # of a call's arrays

# The first words of a plan say how images and rows are cut, and where the sums of a segment go: to dw itself where
# there is one segment, else to memory that tasks share.
(GROUPS, IMAGES, IMAGES_LARGER, ROW_SEGMENTS, ROWS, ROWS_LARGER, SHARED, SUMS_BYTES, SEGMENT_FIELDS) = range(9)


@dataclass(frozen=True)
class Segments:
    """Images in near-equal groups, and rows in near-equal parts."""

    problem: Problem
    groups: int
    rows: int

    @classmethod
    def of(cls, problem: Problem, blocks: int, vectors: int, least_rows: int, most_rows: int) -> Segments:
        """For `blocks` blocks of channels that have so many vectors of dy each, in any image; of some rows each."""
        wanted = max(1, min(-(-TASKS // blocks), vectors // TASK_VECTORS))
        groups = min(problem.n, wanted)
        rows = max(-(-wanted // groups), -(-problem.oh // most_rows))
        return cls(problem, groups, max(1, min(problem.oh // least_rows, rows)))

    @property
    def count(self) -> int:
        """How many there are."""
        return self.groups * self.rows

    @property
    def direct(self) -> bool:
        """Whether sums are written to dw at once."""
        return self.count == 1 and self.problem.itemsize >= 4

    @property
    def bytes(self) -> int:
        """Of the sums of one segment."""
        return self.problem.k * self.problem.r * self.problem.s * names_of(self.problem)[2]

    def put(self, plan: np.ndarray) -> None:
        """Write a plan's first words."""
        n, oh = self.problem.n, self.problem.oh
        for index, value in (
            (GROUPS, self.groups), (IMAGES, n // self.groups), (IMAGES_LARGER, n % self.groups),
            (ROW_SEGMENTS, self.rows), (ROWS, oh // self.rows), (ROWS_LARGER, oh % self.rows),
            (SHARED, not self.direct), (SUMS_BYTES, self.bytes),
        ):  # fmt: skip
            plan[index] = value

    def execution(self, main: Job, target: Target) -> Execution:
        """The launch that sums, and the one that adds up."""
        if self.direct:
            return Execution([main], None, 0, ())
        return Execution([main, _adding_up(self, target)], None, 0, (), self.count * self.bytes)


@helper
def images_of(plan, segment):
    """The first image of a segment, and how many it has."""
    group = segment // peek(plan, ROW_SEGMENTS)
    base, larger = peek(plan, IMAGES), peek(plan, IMAGES_LARGER)
    return tile_start(group, base, larger), base + (1 if group < larger else 0)


@helper
def rows_of(plan, segment):
    """The first row of a segment, and how many it has."""
    part = segment % peek(plan, ROW_SEGMENTS)
    base, larger = peek(plan, ROWS), peek(plan, ROWS_LARGER)
    return tile_start(part, base, larger), base + (1 if part < larger else 0)


@helper
def sums_of(plan, call, segment):
    """Where the sums of a segment go."""
    return peek(call, RESIDUAL) + segment * peek(plan, SUMS_BYTES) if peek(plan, SHARED) != 0 else peek(call, Y)


(SEGMENTS, PITCH, COUNT, EACH, ITEM, STORED, ACCUMULATE, FINISH, ADDING_FIELDS) = range(9)
EACH_WEIGHTS = 4096  # of dw that a task adds up


@native("depthwise_weight_segments", 4)
def add_up(plan, call, scratch, task):
    """Some elements of dw: the sums of all segments, one after the other, rounded once."""
    first = task * peek(plan, EACH)
    some, item, pitch = min(peek(plan, EACH), peek(plan, COUNT) - first), peek(plan, ITEM), peek(plan, PITCH)
    total = peek(call, RESIDUAL) + first * item
    for segment in range(1, peek(plan, SEGMENTS)):
        invoke(peek(plan, ACCUMULATE), (total + segment * pitch, item, total, item, some))
    invoke(peek(plan, FINISH), (total, peek(call, Y) + first * peek(plan, STORED), 0, some, 0))


def _adding_up(segments: Segments, target: Target) -> Job:
    problem = segments.problem
    _, computing, item = names_of(problem)
    count = segments.bytes // item
    plan = np.zeros(ADDING_FIELDS, np.int64)
    for index, value in (
        (SEGMENTS, segments.count), (PITCH, segments.bytes), (COUNT, count), (EACH, EACH_WEIGHTS), (ITEM, item),
        (STORED, problem.itemsize), (ACCUMULATE, microkernel(f"accumulate_{computing}_{target.isa}").address),
        (FINISH, microkernel(finish_name(problem, target, None)).address),
    ):  # fmt: skip
        plan[index] = value
    return Job(add_up.address, plan, -(-count // EACH_WEIGHTS), 0, 32 * count * segments.count)
