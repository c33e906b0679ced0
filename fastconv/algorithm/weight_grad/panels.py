"""A weight gradient on matrix tiles: both operands of a chunk are cut into panels of bfloat16 parts.

A block keeps the panels of one side for all of the other's, which are made one by one: those of 32 output channels,
rows of dy; those of 32 input channels at one tap, lanes of a strip of x or of x itself.
"""

from __future__ import annotations

from fastconv.algorithm.nest import X, tile_start
from fastconv.algorithm.weight_grad import tasks as t_
from fastconv.algorithm.weight_grad.tasks import block_place, chunk_place, first_line, scalars_of
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.codegen.tiles import ROWS as TILE
from fastconv.microkernels.amxparts import STEP

# The plan, after the words of `tasks`.
(
    STATE, ROW_PACK, PIECES, LANE_PACK, LANES_IN_PLACE, LANE_TABLE, KEEPS_LANES, STEP_BYTES, PANELS_AT, TURNED,
    PLANES, DIRECT,                                     # DIRECT: sums are formed in dw
    FIELDS,
) = range(t_.WEIGHT_GRAD_FIELDS, t_.WEIGHT_GRAD_FIELDS + 13)  # fmt: skip


@helper
def rows_panel(plan, call, scratch, source, row, rows, images, run, panel):
    """The panel of `rows` channels of dy from number `row` on."""
    channel, place = peek(plan, t_.R_CHANNEL), source + row * peek(plan, t_.R_CHANNEL)
    if peek(plan, t_.R_PACK) != t_.IN_PLACE:
        lines, pitch = scratch + peek(plan, t_.R_AT), peek(plan, t_.R_LINE)
        if peek(plan, TURNED) != 0:
            invoke(peek(plan, t_.R_MOVE), (place, peek(plan, t_.R_OW), lines, pitch, images * run, rows))
        else:
            t_.pack_scalars(plan, call, scratch, source, rows, row, images, run, 0, 0)
        place, channel, images, run = lines, pitch, 1, images * run
    invoke(peek(plan, ROW_PACK), (place, channel, peek(plan, PIECES), images, run, panel, 0, rows))


@helper
def lanes_panel(plan, scratch, source, fresh, unit, tile, images, depth, row0, column0, panel):
    """The panel of a tile's input channels at one tap; `fresh`: their strip is not there yet."""
    lanes, base, larger = peek(plan, t_.LANES), peek(plan, t_.VECTOR_BASE), peek(plan, t_.VECTOR_LARGER)
    vector, vectors = tile_start(tile, base, larger), base + (1 if tile < larger else 0)
    valid = peek(plan, t_.LANE_CHANNELS) - vector * lanes
    place, strip = source + vector * lanes * peek(plan, t_.X_C), scratch + peek(plan, t_.STRIP_AT)
    if peek(plan, LANES_IN_PLACE) != 0:
        place += row0 * peek(plan, t_.X_H) + column0 * peek(plan, t_.X_W)
    else:
        if fresh:
            t_.pack_tile(plan, place, strip, images, row0, column0, vectors, valid)
        place, valid = strip, vectors * lanes
    place += peek(peek(plan, t_.UNITS) + 16 * unit, 0)
    pack, table, valid = peek(plan, LANE_PACK), peek(plan, LANE_TABLE), min(valid, vectors * lanes)
    if peek(plan, PLANES) != 0:
        invoke(pack, (place, peek(plan, t_.X_C), table, images, depth // images, panel, valid))
    else:
        invoke(pack, (place, table, depth, panel, vectors, valid, 0))


@native("weight_grad_panels", 4)
def weight_grad_panels(plan, call, scratch, task):
    """One block of dw over one segment; it is finished too if there is no other segment."""
    invoke(peek(plan, STATE), (1,))
    block, segment = task % peek(plan, t_.BLOCKS), task // peek(plan, t_.BLOCKS)
    g, r0, s0, lane_block, row_block = block_place(plan, block)
    segments, chunks = peek(plan, t_.SEGMENTS), peek(plan, t_.CHUNKS)
    sums = scratch + peek(plan, t_.SUMS_AT)
    if segments > 1:
        sums = peek(call, t_.RESIDUAL) + task * peek(plan, t_.SUMS)
    lanes, kernels, units_at = peek(plan, t_.LANES), peek(plan, t_.KERNELS), peek(plan, t_.UNITS)
    vector_base, vector_larger = peek(plan, t_.VECTOR_BASE), peek(plan, t_.VECTOR_LARGER)
    row_base, row_larger, sum_pitch = peek(plan, t_.ROW_BASE), peek(plan, t_.ROW_LARGER), peek(plan, t_.SUM_PITCH)
    tile_sums = peek(plan, t_.LINES_A_BLOCK) * peek(plan, t_.LINE_BYTES)
    lane_tile0 = lane_block * peek(plan, t_.LANE_TILES_A_BLOCK)
    row_tile0 = row_block * peek(plan, t_.ROW_TILES_A_BLOCK)
    wide = min(peek(plan, t_.LANE_TILES_A_BLOCK), peek(plan, t_.LANE_TILES) - lane_tile0)
    high = min(peek(plan, t_.ROW_TILES_A_BLOCK), peek(plan, t_.ROW_TILES) - row_tile0)
    block_row = tile_start(row_tile0, row_base, row_larger)
    units = min(peek(plan, t_.TAP_ROWS), peek(plan, t_.R) - r0) * min(peek(plan, t_.TAP_COLUMNS), peek(plan, t_.S) - s0)
    direct = peek(plan, DIRECT) != 0
    if direct:
        lane = tile_start(lane_tile0, vector_base, vector_larger) * lanes
        sums = peek(call, t_.Y) + g * peek(plan, t_.DW_G) + lane * peek(plan, t_.DW_LANE)
        sums, sum_pitch = sums + block_row * peek(plan, t_.DW_LINE), peek(plan, t_.DW_LINE)
    keeps_lanes, panels = peek(plan, KEEPS_LANES), scratch + peek(plan, PANELS_AT)
    kept, made = (wide * units, high) if keeps_lanes != 0 else (high, wide * units)
    start = tile_start(segment, chunks // segments, chunks % segments)
    stop = tile_start(segment + 1, chunks // segments, chunks % segments)
    for chunk in range(start, stop):
        n0, oh0, ow0 = chunk_place(plan, chunk)
        images = min(peek(plan, t_.IMAGES), peek(plan, t_.N) - n0)
        run = min(peek(plan, t_.ROWS), peek(plan, t_.OH) - oh0) * min(peek(plan, t_.COLUMNS), peek(plan, t_.OW) - ow0)
        depth = images * run
        size = (depth + STEP - 1) // STEP * peek(plan, STEP_BYTES)
        dy = scalars_of(plan, call, g, r0, s0, n0, oh0, ow0)
        x = peek(call, X) + g * peek(plan, t_.L_G) + n0 * peek(plan, t_.L_N)
        row0, column0 = first_line(plan, r0, s0, oh0, ow0)
        # The kept panels come first, then one of the other side with all of them.
        for turn in range(kept + made):
            index = turn if turn < kept else turn - kept
            panel = panels + (turn if turn < kept else kept) * size
            if (turn < kept) == (keeps_lanes != 0):
                lanes_panel(plan, scratch, x, index % units == 0, index % units, lane_tile0 + index // units, images,
                            depth, row0, column0, panel)  # fmt: skip
            else:
                row = tile_start(row_tile0 + index, row_base, row_larger)
                rows = row_base + (1 if row_tile0 + index < row_larger else 0)
                rows_panel(plan, call, scratch, dy, row, rows, images, run, panel)
            if turn < kept:
                continue
            for other in range(kept):
                column, row_tile = (other, row_tile0 + index) if keeps_lanes != 0 else (index, row_tile0 + other)
                mine = panels + other * size
                x_panel, dy_panel = (mine, panel) if keeps_lanes != 0 else (panel, mine)
                tile, unit = column // units, column % units
                vectors = vector_base + (1 if lane_tile0 + tile < vector_larger else 0)
                rows = row_base + (1 if row_tile < row_larger else 0)
                to = sums + (tile_start(row_tile, row_base, row_larger) - block_row) * sum_pitch
                last = lanes
                if direct:
                    lane = tile_start(lane_tile0 + tile, vector_base, vector_larger) * lanes
                    to += (lane - tile_start(lane_tile0, vector_base, vector_larger) * lanes) * peek(plan, t_.DW_LANE)
                    last = min(lanes, peek(plan, t_.LANE_CHANNELS) - lane - (vectors - 1) * lanes)
                else:
                    to += tile * tile_sums + peek(units_at + 16 * unit, 1)
                ahead = mine + size if other + 1 < kept else panels
                invoke(
                    peek(kernels, (rows + TILE - 1) // TILE * 3 + vectors),
                    (
                        depth, x_panel, dy_panel, to, sum_pitch, 1 if chunk == start else 0, 0, 0, 0, 0, rows, last,
                        ahead if keeps_lanes != 0 else panel, panel if keeps_lanes != 0 else ahead,
                    ),
                )  # fmt: skip
    if segments == 1 and not direct:
        t_.finish_block(plan, call, scratch, sums, block, 0, t_.lines_of(plan, block))
    invoke(peek(plan, STATE), (0,))
