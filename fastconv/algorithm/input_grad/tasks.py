"""What an input gradient does besides convolutions: regroup the weights, put phases together, fold borders back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastconv.algorithm.common import finish_name, names_of
from fastconv.algorithm.input_grad.phases import Phase
from fastconv.algorithm.input_grad.weave import weave_address, weave_rows
from fastconv.algorithm.strips import MODES, source_index
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.regroup import MOVED, WOVEN
from fastconv.problem.conv import SHORT_DTYPE, Problem
from fastconv.target import Target

X, W, Y = 0, 1, 4  # of a call's arrays

# Weights: (K, C / groups, R, S) becomes (C, K / groups, taps) for each phase.
(
    BLOCKS, BLOCK, OUTPUTS, CHANNELS, W_C, W_K, PIECES, TABLES, PICK, FLIP, TRANSPOSE, COLUMNS, TO_COLUMN,
    WEIGHTS_FIELDS,
) = range(14)  # fmt: skip
TABLE_AT, TABLE_G, TABLE_C, TABLE_K, TABLE_TAPS, TABLE_OFFSETS = range(6)
WEIGHTS_A_TASK = 4096  # where they are one stream
OUTPUTS_A_TASK = 16  # that many streams through w: a task reads whole lines of it, one after the other


@native("input_grad_weights", 4)
def regroup_weights(plan, call, scratch, task):
    """Some output channels of one group, for every piece."""
    blocks, channels, outputs = peek(plan, BLOCKS), peek(plan, CHANNELS), peek(plan, OUTPUTS)
    g, k0 = task // blocks, task % blocks * peek(plan, BLOCK)
    some = min(peek(plan, BLOCK), outputs - k0)
    w_c, w_k = peek(plan, W_C), peek(plan, W_K)
    w = peek(call, X) + (g * outputs + k0) * w_k
    if peek(plan, TRANSPOSE) != 0:
        table = peek(peek(plan, TABLES), 0)
        to = peek(call, Y) + peek(table, TABLE_AT) + g * peek(table, TABLE_G) + k0 * peek(table, TABLE_K)
        invoke(peek(plan, TRANSPOSE), (w, w_k, to, peek(plan, TO_COLUMN), some, peek(plan, COLUMNS)))
        return
    for c in range(channels):  # all pieces of a channel while its lines are near
        for piece in range(peek(plan, PIECES)):
            table = peek(peek(plan, TABLES), piece)
            to_k, taps = peek(table, TABLE_K), peek(table, TABLE_TAPS)
            to = peek(call, Y) + peek(table, TABLE_AT) + g * peek(table, TABLE_G) + k0 * to_k
            to += c * peek(table, TABLE_C)
            if peek(plan, FLIP) != 0:
                invoke(peek(plan, FLIP), (w + c * w_c, w_k, taps, to, to_k, some))
                continue
            invoke(peek(plan, PICK), (w + c * w_c, w_k, table + 8 * TABLE_OFFSETS, taps, to, to_k, some))


@dataclass(frozen=True)
class Piece:
    """Some taps of w side by side: where they go, in bytes, and the steps there."""

    at: int
    group: int
    channel: int  # of dx
    output: int  # channel of dy
    taps: list[tuple[int, int]]


def pieces_of(problem: Problem, phases: Sequence[Phase], places: list[int]) -> list[Piece]:
    """Each phase's taps at its place."""
    outputs, channels = problem.k // problem.groups, problem.c // problem.groups
    found = []
    for phase, place in zip(phases, places, strict=True):
        pitch = len(phase.taps) * problem.itemsize
        found.append(Piece(place, channels * outputs * pitch, outputs * pitch, pitch, phase.taps))
    return found


def weights_job(problem: Problem, pieces: list[Piece], target: Target) -> Job:
    """The launch that brings w to the phases' convolutions."""
    item, (k, channels, r, s) = problem.itemsize, problem.weight_shape
    groups, outputs = problem.groups, k // problem.groups
    pieces = [piece for piece in pieces if piece.taps]
    one_stream = channels == 1 and all(piece.group == outputs * piece.output for piece in pieces)
    if one_stream:  # the groups' weights lie as those of one group's outputs do, there too
        groups, outputs = 1, k
    tables = [
        np.array([p.at, p.group, p.channel, p.output, len(p.taps), *((i * s + j) * item for i, j in p.taps)], np.int64)
        for p in pieces
    ]
    starts = np.array([table.ctypes.data for table in tables], np.int64)
    block = min(WEIGHTS_A_TASK // (r * s) + 1 if one_stream else OUTPUTS_A_TASK, outputs)
    stored = SHORT_DTYPE[problem.dtype]
    pick, flip, transpose = microkernel(f"pick_{MOVED[stored]}_{target.isa}").address, 0, 0
    if len(pieces) == 1 and pieces[0].taps == [(i, j) for i in reversed(range(r)) for j in reversed(range(s))]:
        # All taps in reverse: a vector at a time, in a quarter of the time that one by one takes.
        flip = microkernel(f"flip_{MOVED[stored]}_{target.isa}").address
    in_order = len(pieces) == r * s and all(p.channel == r * s * p.output * outputs for p in pieces)
    in_order = in_order and all(p.at == (i * s + j) * p.output * outputs for p in pieces for i, j in p.taps)
    if pieces and ((r, s) == (1, 1) or in_order) and stored in ("f32", "f64"):
        transpose = microkernel(f"transpose_{stored}_{target.isa}_columns").address
    plan = np.zeros(WEIGHTS_FIELDS, np.int64)
    for index, value in (
        (BLOCKS, -(-outputs // block)), (BLOCK, block), (OUTPUTS, outputs), (CHANNELS, channels),
        (W_C, r * s * item), (W_K, channels * r * s * item), (PIECES, len(pieces)), (TABLES, starts.ctypes.data),
        (PICK, pick), (FLIP, flip), (TRANSPOSE, transpose), (COLUMNS, channels * r * s),
        (TO_COLUMN, pieces[0].channel // (r * s) if pieces else 0),  # none: no tap reaches a pixel
    ):  # fmt: skip
        plan[index] = value
    tasks = groups * -(-outputs // block)
    return Job(regroup_weights.address, plan, tasks, 0, 32 * k * channels * r * s, [tables, starts])


# Phases: their results, one after the other, become rows of dx.
(
    CHANNELS_LAST, IMAGE_TASKS, ROWS, WIDTH, STRIDE_H, STRIDE_W, ITEM, C,
    DX_N, DX_C, DX_H, DX_W, PLACES, COMB, WEAVE, TOGETHER, PHASES_FIELDS,
) = range(17)  # fmt: skip


@native("input_grad_phases", 4)
def join_phases(plan, call, scratch, task):
    """One channel of one image, or with channels last one row of it.

    In the place of w come the values that each channel has where no tap reaches, or nothing: zeros.
    """
    image_tasks, channels_last = peek(plan, IMAGE_TASKS), peek(plan, CHANNELS_LAST) != 0
    n, part = task // image_tasks, task % image_tasks
    sh, sw, item, width = peek(plan, STRIDE_H), peek(plan, STRIDE_W), peek(plan, ITEM), peek(plan, WIDTH)
    channels, dx_h, dx_w = peek(plan, C), peek(plan, DX_H), peek(plan, DX_W)
    columns_of, rest, weave = min(sw, width), peek(call, W), peek(plan, WEAVE)
    start, stop = (part, part + 1) if channels_last else (0, peek(plan, ROWS))
    dx = peek(call, Y) + n * peek(plan, DX_N) + (0 if channels_last else part * peek(plan, DX_C))
    # The rows of a phase go together, as far as they stay near.
    stretch, to_row = peek(plan, TOGETHER) * sh, sh * dx_h
    for top in range(start, stop, stretch):
        end = min(top + stretch, stop)
        for i in range(top, min(top + sh, end)):
            line, count, woven = dx + i * dx_h, (end - i + sh - 1) // sh, weave != 0 and columns_of == sw
            s0, s1, s2, s3, p0, p1, p2, p3 = 0, 0, 0, 0, 0, 0, 0, 0
            empty = False  # whether no tap reaches some of its columns
            for b in range(columns_of):
                empty = empty or peek(peek(plan, PLACES) + 24 * (i % sh * columns_of + b), 0) < 0
            woven = woven and (rest == 0 or not empty)
            cleared = empty and not woven and not channels_last
            if cleared:  # whole rows, before the columns that taps reach
                for t in range(count):
                    source, step = (0, item) if rest == 0 else (rest + part * item, 0)
                    invoke(peek(plan, COMB), (source, step, line + t * to_row, item, width))
            for b in range(columns_of):
                # A place holds where a phase's results start (-1: all zero), how many rows and columns they have.
                place = peek(plan, PLACES) + 24 * (i % sh * columns_of + b)
                source, rows, columns, step, row = peek(place, 0), peek(place, 1), peek(place, 2), item, 0
                if cleared and source < 0:
                    continue
                if source >= 0:
                    row = columns * item * (channels if channels_last else 1)
                    above = (n * rows + i // sh) if channels_last else ((n * channels + part) * rows + i // sh)
                    source += peek(call, X) + above * row
                elif rest == 0:
                    source = 0
                else:
                    source, step = rest if channels_last else rest + part * item, 0
                if channels_last:
                    pixel = channels * step if source != 0 else 0
                    for j in range(columns):
                        invoke(peek(plan, COMB), (source + j * pixel, item, line + (b + j * sw) * dx_w, item, channels))
                elif woven:
                    s0, s1, s2, s3, p0, p1, p2, p3 = s1, s2, s3, source, p1, p2, p3, row
                else:
                    for t in range(count):
                        to = line + t * to_row + b * item
                        invoke(peek(plan, COMB), (source + t * row, step, to, sw * item, columns))
            if woven and not channels_last:
                weave_rows(weave, sw, s0, p0, s1, p1, s2, p2, s3, p3, line, to_row, width, count)


def phases_job(problem: Problem, rows: int, phases: Sequence[Phase], places: list[int], target: Target) -> Job:
    """The launch that makes `rows` rows of dx from its phases' results, which lie at these places in bytes, or nowhere:
    -1."""
    item, last, moved = problem.itemsize, problem.layout == "channels_last", MOVED[SHORT_DTYPE[problem.dtype]]
    (sh, sw), c, h, w = problem.stride, problem.c, problem.h, problem.w
    table = np.array(
        [v for p, at in zip(phases, places, strict=True) for v in (at, p.rows.size, p.columns.size)], np.int64
    )
    comb, weave = microkernel(f"comb_{moved}_{target.isa}").address, weave_address(sw, moved, target)
    dx_n, dx_c = (step * item for step in problem.steps_between(c, h, w))
    dx_h, dx_w = (w * c * item, c * item) if last else (w * item, item)
    plan = np.zeros(PHASES_FIELDS, np.int64)
    for index, value in (
        (CHANNELS_LAST, last), (IMAGE_TASKS, rows if last else c), (ROWS, rows), (WIDTH, w), (STRIDE_H, sh),
        (STRIDE_W, sw), (ITEM, item), (C, c), (DX_N, dx_n), (DX_C, dx_c), (DX_H, dx_h), (DX_W, dx_w),
        (PLACES, table.ctypes.data), (COMB, comb), (WEAVE, weave), (TOGETHER, max(1, WOVEN // w)),
    ):  # fmt: skip
        plan[index] = value
    tasks = problem.n * (rows if last else c)
    return Job(join_phases.address, plan, tasks, 0, 8 * problem.n * c * rows * w, [table])


# Where no tap reaches: what bias and activation alone give.
R_CHANNELS, R_FINISH, R_SLOPE, REST_FIELDS = range(4)


@native("input_grad_rest", 4)
def finish_rest(plan, call, scratch, task):
    """A value for each channel."""
    invoke(peek(plan, R_FINISH), (peek(call, X), peek(call, Y), 0, peek(plan, R_CHANNELS), peek(plan, R_SLOPE)))


def rest_job(problem: Problem, target: Target) -> Job:
    """The launch that makes of bias the result of sums without products."""
    slope = np.full(1, problem.slope, np.float64 if names_of(problem)[1] == "f64" else np.float32)
    finish = microkernel(finish_name(problem, target, problem.activation))
    plan = np.zeros(REST_FIELDS, np.int64)
    plan[[R_CHANNELS, R_FINISH, R_SLOPE]] = problem.c, finish.address, slope.ctypes.data
    return Job(finish_rest.address, plan, 1, 0, 0, [slope])


def zeros_bias(problem: Problem) -> np.ndarray:
    """A bias of zeros, in the type that sums are made in."""
    return np.zeros(problem.c, np.float64 if names_of(problem)[1] == "f64" else np.float32)


# Borders: dx of the padded input, whose padding goes back to where its values came from.
(
    F_LAST, F_CHANNELS, F_H, F_W, F_TOP, F_LEFT, F_HEIGHT, F_WIDTH, F_MODE, F_ITEM, F_STORED, F_ACCUMULATE, F_FINISH,
    F_N, F_C, FOLD_FIELDS,
) = range(16)  # fmt: skip


@native("input_grad_fold", 4)
def fold_border(plan, call, scratch, task):
    """One channel of one image, or with channels last one image: rows first, then columns, then what lies inside."""
    last = peek(plan, F_LAST) != 0
    channels = peek(plan, F_CHANNELS) if last else 1  # side by side in a pixel
    n, c = (task, 0) if last else (task // peek(plan, F_CHANNELS), task % peek(plan, F_CHANNELS))
    h, w, top, left = peek(plan, F_H), peek(plan, F_W), peek(plan, F_TOP), peek(plan, F_LEFT)
    height, width, mode, item = peek(plan, F_HEIGHT), peek(plan, F_WIDTH), peek(plan, F_MODE), peek(plan, F_ITEM)
    accumulate, pixel = peek(plan, F_ACCUMULATE), channels * item
    padded = peek(call, X) + task * height * width * pixel
    dx = peek(call, Y) + n * peek(plan, F_N) + c * peek(plan, F_C)
    row = width * pixel
    for t in range(height):
        to = source_index(t - top, h, mode) + top
        if to != t:
            invoke(accumulate, (padded + t * row, item, padded + to * row, item, width * channels))
    for t in range(width):
        to = source_index(t - left, w, mode) + left
        if to != t:
            inside = padded + top * row
            if channels == 1:
                invoke(accumulate, (inside + t * pixel, row, inside + to * pixel, row, h))
            else:
                for i in range(h):
                    line = inside + i * row
                    invoke(accumulate, (line + t * pixel, item, line + to * pixel, item, channels))
    for i in range(h):
        source = padded + (top + i) * row + left * pixel
        invoke(peek(plan, F_FINISH), (source, dx + i * w * channels * peek(plan, F_STORED), 0, w * channels, 0))


def fold_job(problem: Problem, target: Target) -> Job:
    """The launch that makes dx of the padded input's gradient, which is in the computing type."""
    _, computing, item = names_of(problem)
    (top, bottom), (left, right) = problem.padding
    last, steps = problem.layout == "channels_last", problem.steps_between(problem.c, problem.h, problem.w)
    plan = np.zeros(FOLD_FIELDS, np.int64)
    for index, value in (
        (F_LAST, last), (F_CHANNELS, problem.c), (F_H, problem.h), (F_W, problem.w), (F_TOP, top), (F_LEFT, left),
        (F_HEIGHT, problem.h + top + bottom), (F_WIDTH, problem.w + left + right),
        (F_MODE, MODES[problem.padding_mode]), (F_ITEM, item), (F_STORED, problem.itemsize),
        (F_ACCUMULATE, microkernel(f"accumulate_{computing}_{target.isa}").address),
        (F_FINISH, microkernel(finish_name(problem, target, None)).address),
        (F_N, steps[0] * problem.itemsize), (F_C, steps[1] * problem.itemsize),
    ):  # fmt: skip
        plan[index] = value
    tasks = problem.n * (1 if last else problem.c)
    return Job(fold_border.address, plan, tasks, 0, 8 * problem.n * problem.c * problem.h * problem.w)
