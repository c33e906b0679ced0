"""Blocks of windows, and their tiles packed and transformed: what a convolution and its weight's gradient have alike.

A block is some rows by some columns of windows; a window is one tile for each of the dilation's sub-grids, each a row
class and a column class. Where that makes many tiles, a block is one row of windows and has some of the row classes.

    strip  [row][row class][column][lane]
    tiles of a block: [row][row class][column class][column]
"""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Steps, names_of
from fastconv.algorithm.lanes import LANES_FIELDS, SPREAD, X_C, pack_lanes, put_input
from fastconv.algorithm.nest import block_start
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper
from fastconv.codegen.tiles import ROW_BYTES
from fastconv.microkernels.amxparts import BLOCK, PART_BYTES, PARTS, STEP
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan, after the words of `lanes`. Tiles of MH x MW outputs are DOWN x ACROSS pixels of x apart, and read OVER_H
# rows and OVER_W columns beyond these.
(
    ROW_BLOCKS, WINDOW_ROWS, COLUMN_BLOCKS, WINDOW_COLUMNS,
    CLASS_BLOCKS, ROW_CLASSES, COLUMN_CLASSES,
    LANES, ITEM, MH, MW, DOWN, ACROSS, OVER_H, OVER_W, DH, DW, TOP, LEFT, V_XI, TRANSFORM, PAIRS,
    TILES_FIELDS,
) = range(LANES_FIELDS, LANES_FIELDS + 23)  # fmt: skip

# On matrix tiles.
STEP_BYTES = PARTS[6] * PART_BYTES  # of a step of channels of a block
LINE = 14  # tiles side by side whose values of one vector of channels stay in L1
LOW_XI = (LINE + 1) * ROW_BYTES  # between their products


@helper
def between_products(size):
    """Bytes from one product to the next, at least `size`: an odd number of lines, or they would share sets of L1."""
    return (size + 127) // 128 * 128 + 64


@helper
def block_bytes(channels):
    """Bytes of a block of 32 tiles of windows, or output channels, on matrix tiles."""
    return (channels + STEP - 1) // STEP * STEP_BYTES


@helper
def block_at(plan, block):
    """(first row, first column, rows, columns of windows, first row class, row classes, the number without all that)"""
    column_block, above = block % peek(plan, COLUMN_BLOCKS), block // peek(plan, COLUMN_BLOCKS)
    class_block, above = above % peek(plan, CLASS_BLOCKS), above // peek(plan, CLASS_BLOCKS)
    row_block, above = above % peek(plan, ROW_BLOCKS), above // peek(plan, ROW_BLOCKS)
    tr0, trs = _span(row_block, peek(plan, ROW_BLOCKS), peek(plan, WINDOW_ROWS))
    tc0, tcs = _span(column_block, peek(plan, COLUMN_BLOCKS), peek(plan, WINDOW_COLUMNS))
    a0, classes = _span(class_block, peek(plan, CLASS_BLOCKS), peek(plan, ROW_CLASSES))
    return tr0, tc0, trs, tcs, a0, classes, above


@helper
def _span(index, blocks, extent):
    """Start and size of a block."""
    start = block_start(index, blocks, extent)
    return start, block_start(index + 1, blocks, extent) - start


@helper
def strip_at(plan, tr0, tc0, trs, tcs, a0, classes):
    """(rows, columns, first row, first column) of the strip that the windows from (tr0, tc0) on read."""
    down, across, dh, dw = peek(plan, DOWN), peek(plan, ACROSS), peek(plan, DH), peek(plan, DW)
    rows = (trs * down + peek(plan, OVER_H)) * classes
    columns = (tcs * across + peek(plan, OVER_W) - 1) * dw + peek(plan, COLUMN_CLASSES)
    return rows, columns, tr0 * down * dh + a0 - peek(plan, TOP), tc0 * across * dw - peek(plan, LEFT)


@helper
def transform_block(plan, x, channels, strip, v, v_tile, v_c, tr0, tc0, trs, tcs, a0, classes):
    """Pack and transform the windows from (tr0, tc0) on, trs by tcs of them, of `channels` channels; of their row
    classes those from a0 on, `classes` of them. Tiles go to v, v_tile apart, and vectors of channels v_c."""
    lanes, down = peek(plan, LANES), peek(plan, DOWN)
    pixel, dh, dw, column_classes = lanes * peek(plan, ITEM), peek(plan, DH), peek(plan, DW), peek(plan, COLUMN_CLASSES)
    rows, columns, top, left = strip_at(plan, tr0, tc0, trs, tcs, a0, classes)
    row = columns * pixel
    for c in range(0, channels, lanes):
        source, valid = x + c * peek(plan, X_C), min(lanes, channels - c)
        pack_lanes(plan, source, strip, rows, top, classes, dh, columns, left, valid, lanes)
        to = v + c // lanes * v_c
        for i in range(trs):
            for a in range(classes):
                for b in range(column_classes):
                    tiles = strip + (i * down * classes + a) * row + b * pixel
                    invoke(peek(plan, TRANSFORM), (tiles, classes * row, dw * pixel, tcs, to, peek(plan, V_XI), v_tile))
                    to += tcs * v_tile


@helper
def transform_pairs(plan, x, channels, strip, low, v, v_block, tile0, tr0, tc0, trs, tcs, a0, classes):
    """As `transform_block`, two vectors of channels at a time, to the rows of blocks of BLOCK tiles, `v_block` apart;
    from number `tile0` on."""
    lanes, down, across = peek(plan, LANES), peek(plan, DOWN), peek(plan, ACROSS)
    pixel, dh, dw, column_classes = lanes * peek(plan, ITEM), peek(plan, DH), peek(plan, DW), peek(plan, COLUMN_CLASSES)
    rows, columns, top, left = strip_at(plan, tr0, tc0, trs, tcs, a0, classes)
    row = columns * pixel
    size = rows * row
    for c in range(0, channels, STEP):
        for half in range(2):
            valid = min(lanes, channels - c - half * lanes)
            if valid > 0:
                source = x + (c + half * lanes) * peek(plan, X_C)
                pack_lanes(plan, source, strip + half * size, rows, top, classes, dh, columns, left, valid, lanes)
            else:
                invoke(peek(plan, SPREAD), (x, 0, strip + size, pixel, rows * columns, 0))
        to, t = v + c // STEP * STEP_BYTES, tile0
        for i in range(trs):
            for a in range(classes):
                for b in range(column_classes):
                    at, left_over = strip + (i * down * classes + a) * row + b * pixel, tcs
                    while left_over > 0:
                        some = min(left_over, LINE, BLOCK - t % BLOCK)
                        invoke(peek(plan, TRANSFORM), (at, classes * row, dw * pixel, some, low, LOW_XI, pixel))
                        line = to + t // BLOCK * v_block + t % BLOCK * ROW_BYTES
                        invoke(peek(plan, PAIRS), (at + size, classes * row, dw * pixel, some, line, peek(plan, V_XI),
                                                   ROW_BYTES, low, LOW_XI, pixel))  # fmt: skip
                        at, t, left_over = at + some * across * dw * pixel, t + some, left_over - some


def put_tiles(plan: np.ndarray, problem: Problem, x: Steps, member, cut, target: Target, op: str, v_xi: int) -> None:
    """Write those words, and those of `lanes`: windows of a problem's input, cut into blocks, transformed by `op`."""
    (_, computing, item), (sh, sw) = names_of(problem), problem.stride
    put_input(plan, problem, x, target)
    for index, (extent, blocks) in (
        (ROW_BLOCKS, (cut.windows[0], cut.row_blocks)), (COLUMN_BLOCKS, (cut.windows[1], cut.column_blocks)),
        (CLASS_BLOCKS, (cut.row_classes, cut.class_blocks)),
    ):  # fmt: skip
        plan[index : index + 2] = blocks, extent
    for index, value in (
        (COLUMN_CLASSES, cut.column_classes), (LANES, target.lanes(item)), (ITEM, item),
        (MH, member.mh), (MW, member.mw), (DOWN, member.mh * sh), (ACROSS, member.mw * sw), (OVER_H, problem.r - sh),
        (OVER_W, problem.s - sw), (DH, problem.dilation[0]),
        (DW, problem.dilation[1]), (TOP, problem.padding[0][0]), (LEFT, problem.padding[1][0]), (V_XI, v_xi),
        (TRANSFORM, microkernel(f"{op}_{computing}_{target.isa}_{member.variant}").address),
    ):  # fmt: skip
        plan[index] = value
    if member.matrix:
        plan[PAIRS] = microkernel(f"wgpairin_f32_{target.isa}_x6_{member.variant}").address
