"""The gradient with respect to the bias: dy summed over images and pixels.

Sums of parts are added up in their order, and parts depend on nothing but the sizes: neither the number of threads nor
the length of a sum changes what it is worth.
"""

from __future__ import annotations

import math

import numpy as np

from fastconv.algorithm.common import Execution, finish_name, move_name, names_of
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.conv import Problem
from fastconv.target import Target

X, SHARED, Y = 0, 3, 4  # of a call's arrays
PART = 1 << 16  # elements of a plane that are summed at once; each lane adds up a thousand of them
LEAST_ROWS = 512  # pixels of a part, channels last
COLUMNS = 64  # channels that a task adds the parts of

IMAGES, PLANE, X_N, X_K, ITEM, STORED, TOTAL, TOTAL_WIDE, FINISH, FIRST_FIELDS = range(10)


@native("bias_grad_first", 4)
def sum_planes(plan, call, scratch, task):
    """One channel, channels first."""
    item, stored, plane = peek(plan, ITEM), peek(plan, STORED), peek(plan, PLANE)
    sums, count = scratch + 64, 0
    for n in range(peek(plan, IMAGES)):
        source = peek(call, X) + n * peek(plan, X_N) + task * peek(plan, X_K)
        for start in range(0, plane, PART):
            invoke(peek(plan, TOTAL), (source + start * stored, 0, min(PART, plane - start), 0, sums + count * item))
            count += 1
    invoke(peek(plan, TOTAL_WIDE), (sums, 0, count, 0, scratch))
    invoke(peek(plan, FINISH), (scratch, peek(call, Y) + task * stored, 0, 1, 0))


ROWS, ROWS_A_PART, CHANNELS, PITCH, LAST_ITEM, LAST_TOTAL, LAST_FIELDS = range(7)


@native("bias_grad_parts", 4)
def sum_rows(plan, call, scratch, task):
    """Some pixels of all channels, channels last."""
    start, channels = task * peek(plan, ROWS_A_PART), peek(plan, CHANNELS)
    some = min(peek(plan, ROWS_A_PART), peek(plan, ROWS) - start)
    to = peek(call, SHARED) + task * channels * peek(plan, LAST_ITEM)
    source = peek(call, X) + start * peek(plan, PITCH)
    invoke(peek(plan, LAST_TOTAL), (source, peek(plan, PITCH), some, channels, to))


PARTS, JOIN_CHANNELS, JOIN_ITEM, JOIN_STORED, JOIN_TOTAL, JOIN_FINISH, JOIN_FIELDS = range(7)


@native("bias_grad_join", 4)
def join_parts(plan, call, scratch, task):
    """The parts of some channels."""
    channels, item, start = peek(plan, JOIN_CHANNELS), peek(plan, JOIN_ITEM), task * COLUMNS
    some = min(COLUMNS, channels - start)
    source = peek(call, SHARED) + start * item
    invoke(peek(plan, JOIN_TOTAL), (source, channels * item, peek(plan, PARTS), some, scratch))
    invoke(peek(plan, JOIN_FINISH), (scratch, peek(call, Y) + start * peek(plan, JOIN_STORED), 0, some, 0))


def bias_grad(problem: Problem, target: Target) -> Execution:
    """The launches that sum a contiguous dy into db."""
    _, computing, item = names_of(problem)
    stored, plane, k = problem.itemsize, problem.od * problem.oh * problem.ow, problem.k
    finish = microkernel(finish_name(problem, target, None)).address
    flops = 32 * problem.n * plane * k // 8
    if problem.layout == "channels_first":
        total, wide = (
            microkernel(name).address
            for name in (move_name("total", problem, target, "across"), f"total_{computing}_{target.isa}_across")
        )
        plan = np.array([problem.n, plane, k * plane * stored, plane * stored, item, stored, total, wide, finish])
        scratch = 64 + problem.n * -(-plane // PART) * item
        return Execution([Job(sum_planes.address, plan.astype(np.int64), k, scratch, flops)], None, 0, ())
    rows = problem.n * plane
    each = max(LEAST_ROWS, math.isqrt(rows))
    parts = -(-rows // each)
    total, wide = (
        microkernel(name).address
        for name in (move_name("total", problem, target, "down"), f"total_{computing}_{target.isa}_down")
    )
    plan = np.array([rows, each, k, k * stored, item, total], np.int64)
    joining = np.array([parts, k, item, stored, wide, finish], np.int64)
    jobs = [
        Job(sum_rows.address, plan, parts, 0, flops),
        Job(join_parts.address, joining, -(-k // COLUMNS), COLUMNS * item, 4 * parts * k),
    ]
    return Execution(jobs, None, 0, (), parts * k * item)
