"""Pools of one window that has all elements of a plane: global pools, and gradients that fill planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan, factor_rows, index_word
from fastconv.algorithm.pool.recipe import dtypes, exponents, kernel_name, recipe
from fastconv.algorithm.pool.taps import each_alone
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import LINE, Job
from fastconv.microkernels.inventory import microkernel
from fastconv.pool_cost import pool_whole_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
HEAD = 64  # bytes before what parts come to
TASK_ELEMENTS = 1 << 14  # that a task reads or writes at least, if there are so many
BLOCK_BYTES = 64  # of a pixel's channels that a task has at least
# Images of so many bytes, channels last, are cut into parts of pixels, 8 for every so many: threads that read every
# other cache line read all of them from L3, 16 us for 1.6 MB, where those that read half of the lines keep them in L2.
CUT_BYTES, PARTS_BYTES = 1 << 20, 1 << 22
WHOLE_BYTES = 3 << 9  # of a pixel from which on a gradient writes it at once, if of whole cache lines: page after page
PART_PIXELS = 64  # of a part at least
SHARED_BYTES = 16 << 20  # for what parts come to, at most

PLAN = Plan(
    "kernel a_task chunks channels stored plane x_n x_c begins lines span factors exponents indexed finish parts part "
    "item"
)
(
    KERNEL, A_TASK, CHUNKS, CHANNELS, STORED, PLANE, X_N, X_C, BEGINS, LINES, SPAN, FACTORS, EXPONENTS,
    INDEXED, FINISH, PARTS, PART, ITEM,
) = range(len(PLAN.fields))  # fmt: skip


@native("pool_planes", 4)
def pool_planes(plan, call, scratch, task):
    """Some channels of an image, channels first, with indices: a plane is a line with one window."""
    n, c = task // peek(plan, CHUNKS), task % peek(plan, CHUNKS) * peek(plan, A_TASK)
    channels, stored = peek(plan, CHANNELS), peek(plan, STORED)
    place = n * channels + c
    invoke(
        peek(plan, KERNEL),
        (
            peek(call, X) + n * peek(plan, X_N) + c * peek(plan, X_C), peek(plan, BEGINS), peek(plan, LINES),
            min(peek(plan, A_TASK), channels - c), peek(call, Y) + place * stored, stored, 1, 0, peek(plan, SPAN), 0,
            0, 0, 0, peek(plan, EXPONENTS), 0, 0,
            peek(call, RESIDUAL) + place * 8 if peek(plan, INDEXED) != 0 else 0, 8,
        ),
    )  # fmt: skip


@native("pool_sums", 4)
def pool_sums(plan, call, scratch, task):
    """Some channels of an image, channels first, without indices."""
    n, c = task // peek(plan, CHUNKS), task % peek(plan, CHUNKS) * peek(plan, A_TASK)
    channels = peek(plan, CHANNELS)
    invoke(
        peek(plan, KERNEL),
        (
            peek(call, X) + n * peek(plan, X_N) + c * peek(plan, X_C), peek(plan, X_C),
            min(peek(plan, A_TASK), channels - c), peek(plan, PLANE),
            peek(call, Y) + (n * channels + c) * peek(plan, STORED), peek(plan, FACTORS), peek(plan, EXPONENTS),
        ),
    )  # fmt: skip


@native("pool_pixels", 4)
def pool_pixels(plan, call, scratch, task):
    """Some channels of an image, channels last."""
    n, c = task // peek(plan, CHUNKS), task % peek(plan, CHUNKS) * peek(plan, A_TASK)
    channels, stored = peek(plan, CHANNELS), peek(plan, STORED)
    place = n * channels + c
    invoke(
        peek(plan, KERNEL),
        (
            peek(call, X) + n * peek(plan, X_N) + c * stored, peek(plan, PLANE), channels * stored,
            min(peek(plan, A_TASK), channels - c), peek(call, Y) + place * stored, peek(plan, FACTORS),
            peek(plan, EXPONENTS), peek(call, RESIDUAL) + place * 8 if peek(plan, INDEXED) != 0 else 0,
        ),
    )  # fmt: skip


@helper
def part_of(plan, call, n, part, to):
    """Some pixels of an image, channels last, as numbers that are to be joined."""
    pitch, first = peek(plan, CHANNELS) * peek(plan, STORED), part * peek(plan, PART)
    invoke(
        peek(plan, KERNEL),
        (
            peek(call, X) + n * peek(plan, X_N) + first * pitch, min(peek(plan, PART), peek(plan, PLANE) - first),
            pitch, peek(plan, CHANNELS), to, 0, peek(plan, EXPONENTS), 0,
        ),
    )  # fmt: skip


@helper
def join(plan, call, n, held):
    """The result of an image, of what its parts came to."""
    channels = peek(plan, CHANNELS)
    invoke(
        peek(plan, FINISH),
        (
            held, peek(plan, PARTS), channels * peek(plan, ITEM), channels,
            peek(call, Y) + n * channels * peek(plan, STORED), peek(plan, FACTORS), peek(plan, EXPONENTS), 0,
        ),
    )  # fmt: skip


@native("pool_part", 4)
def pool_part(plan, call, scratch, task):
    """Some pixels of an image."""
    to = peek(call, RESIDUAL) + task * peek(plan, CHANNELS) * peek(plan, ITEM)
    part_of(plan, call, task // peek(plan, PARTS), task % peek(plan, PARTS), to)


@native("pool_join", 4)
def pool_join(plan, call, scratch, task):
    """An image whose parts are there."""
    parts = peek(plan, PARTS) * peek(plan, CHANNELS) * peek(plan, ITEM)
    join(plan, call, task, peek(call, RESIDUAL) + task * parts)


@native("pool_image", 4)
def pool_image(plan, call, scratch, task):
    """An image with all its parts."""
    for part in range(peek(plan, PARTS)):
        part_of(plan, call, task, part, scratch + HEAD + part * peek(plan, CHANNELS) * peek(plan, ITEM))
    join(plan, call, task, scratch + HEAD)


@native("pool_fill", 4)
def pool_fill(plan, call, scratch, task):
    """The gradient of some channels of an image, channels first."""
    n, c = task // peek(plan, CHUNKS), task % peek(plan, CHUNKS) * peek(plan, A_TASK)
    place, stored = n * peek(plan, CHANNELS) + c, peek(plan, STORED)
    invoke(
        peek(plan, KERNEL),
        (
            peek(call, X) + place * stored, min(peek(plan, A_TASK), peek(plan, CHANNELS) - c), peek(plan, PLANE),
            peek(call, Y) + place * peek(plan, PLANE) * stored, peek(plan, FACTORS),
        ),
    )  # fmt: skip


@native("pool_repeat", 4)
def pool_repeat(plan, call, scratch, task):
    """The gradient of some pixels of an image, channels last."""
    n, first = task // peek(plan, CHUNKS), task % peek(plan, CHUNKS) * peek(plan, A_TASK)
    channels, stored, plane = peek(plan, CHANNELS), peek(plan, STORED), peek(plan, PLANE)
    pitch, indexed, end = channels * stored, peek(plan, INDEXED), min(first + peek(plan, A_TASK), plane)
    a_call = 1 if indexed == 0 and pitch >= WHOLE_BYTES and pitch % LINE == 0 else end - first
    for at in range(first, end, a_call):
        invoke(
            peek(plan, KERNEL),
            (
                peek(call, X) + n * pitch, peek(call, Y) + (n * plane + at) * pitch, pitch, channels, at, a_call,
                peek(plan, FACTORS), peek(call, W) + n * channels * 8 if indexed != 0 else 0, plane,
                peek(call, RESIDUAL),
            ),
        )  # fmt: skip


class Whole:
    """One window on each plane."""

    name = "whole"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        if problem.kind == "weighted_avg":
            return "every tap has a weight"
        backward = problem.pass_ == "backward"
        if backward and problem.kind == "max":  # whose windows do not matter
            return None if problem.layout == LAST and problem.outputs == 1 else "a maximum is put into its plane"
        if backward and problem.kind != "avg":
            return "not an average"
        return None if problem.one_window else "windows have less than a plane"

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_whole_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        last, backward, plane, extent = problem.layout == LAST, problem.pass_ == "backward", problem.plane, problem.c
        indexed = problem.indices or (backward and problem.kind == "max")
        words = recipe(replace(problem, pass_="forward")) if indexed else recipe(problem)
        _, held = dtypes(problem)
        kernel, op = {
            (False, False): (pool_planes, "poolspans") if indexed else (pool_sums, "poolplanes"),
            (False, True): (pool_pixels, "poolpixels"),
            (True, False): (pool_fill, "poolfill"),
            (True, True): (pool_repeat, "poolrepeat"),
        }[backward, last]  # fmt: skip
        numbers_are = index_word(replace(problem, indices=indexed))
        parts = _parts(problem) if kernel is pool_pixels and not indexed else 1
        word = kernel_name(
            op, problem, target, words.load, words.op, "keep" if parts > 1 else words.finish, numbers_are
        )
        joining = kernel_name(op, problem, target, "plain", words.op, words.finish, "held")
        a_task = max(1, TASK_ELEMENTS // plane)
        if kernel is pool_sums:  # whole vectors of planes
            a_task = -(-a_task // target.lanes(held.itemsize)) * target.lanes(held.itemsize)
        if kernel is pool_pixels:
            # A pixel's channels are cut only where there are too few images: lines side by side come faster.
            line, blocks = BLOCK_BYTES // problem.itemsize, -(-threads // max(1, problem.n))
            a_task = max(-(-problem.c // blocks // line) * line, -(-TASK_ELEMENTS // plane))
        elif backward:
            # A task a thread where L2 holds what each writes: what another took would have to come back: 1 us of 20.
            extent, each = (plane, problem.c) if last else (problem.c, plane)
            share = -(-extent // -(-threads // max(1, problem.n)))
            fits = share * each * problem.itemsize <= target.l2
            a_task = max(share if fits else 1, TASK_ELEMENTS // each)
        a_task = min(extent, a_task)
        lines, span = each_alone(a_task, x.c), np.array([0, plane], np.int64)
        factors = None
        if words.factor is not None:
            _, factors = factor_rows(words.factor, [1, 1, 1], held, pairs=True)
        powers = exponents(problem)
        plan = PLAN.array(
            kernel=microkernel(word).address, a_task=a_task, chunks=-(-extent // a_task), channels=problem.c,
            stored=problem.itemsize, plane=plane, x_n=x.n, x_c=x.c, begins=lines.begins, lines=lines.table, span=span,
            factors=factors, exponents=powers, indexed=indexed,
            finish=microkernel(joining).address if parts > 1 else 0, parts=parts, part=-(-plane // parts),
            item=held.itemsize,
        )  # fmt: skip
        keep = [lines, span, factors, powers]
        moved = 4 * problem.n * problem.c * plane  # up to 100 000 elements a launch takes longer
        if parts > 1:
            image = parts * problem.c * held.itemsize
            if problem.n >= threads or problem.n * image > SHARED_BYTES:
                return Execution([Job(pool_image.address, plan, problem.n, HEAD + image, moved, keep)], None, 0, ())
            jobs = [
                Job(pool_part.address, plan, problem.n * parts, 0, moved, keep),
                Job(pool_join.address, plan, problem.n, 0, 4 * problem.n * problem.c * parts, keep),
            ]
            return Execution(jobs, None, 0, (), problem.n * image)
        job = Job(kernel.address, plan, problem.n * -(-extent // a_task), 0, moved, keep)
        return Execution([job], None, 0, ())


def _parts(problem: PoolProblem) -> int:
    """Into how many parts the pixels of an image are cut; threads have no say in it, nor has the batch."""
    size = problem.plane * problem.c * problem.itemsize
    if size < CUT_BYTES or problem.plane < 2 * PART_PIXELS:
        return 1
    part = -(-problem.plane // min(8 * -(-size // PARTS_BYTES), problem.plane // PART_PIXELS))
    return -(-problem.plane // part)  # none is empty
