"""What a weight gradient does: tiles over chunks of pixels, sums of segments, and how sums become dw."""

from __future__ import annotations

from fastconv.algorithm.lanes import LANES_FIELDS, PIXEL, X_C, X_H, X_W, pack_lanes  # noqa: F401
from fastconv.algorithm.nest import tile_start
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native

# The plan, after the words of `lanes`, which say where the operand in the lanes lies. Steps and pitches in bytes.
(
    BLOCKS, TAP_ROW_BLOCKS, TAP_COLUMN_BLOCKS, LANE_BLOCKS, ROW_BLOCKS, SEGMENTS,      # tasks
    TAP_ROWS, TAP_COLUMNS, R, S,
    CHUNKS, CHUNK_ROWS, CHUNK_COLUMNS, N, IMAGES, OH, ROWS, OW, COLUMNS,               # chunks, and their pixels
    LANES, LANE_CHANNELS, LANE_TILES, LANE_TILES_A_BLOCK, VECTOR_BASE, VECTOR_LARGER, TILE_BYTES,
    ROW_TILES, ROW_TILES_A_BLOCK, ROW_BASE, ROW_LARGER,
    L_SLOT, L_N, L_G, L_TOP, L_LEFT, L_OH, L_OW, L_OH_COLUMN, L_TAP_ROW, L_TAP_COLUMN,  # lanes: lines and columns
    L_PARTS, L_LINES, L_STEP, L_PART_STEP, L_COLUMN_PARTS, L_COLUMNS, L_COLUMN_PART_STEP, STRIP, STRIP_AT,
    R_SLOT, R_N, R_G, R_CHANNEL, R_OH, R_OW, R_TAP_ROW, R_TAP_COLUMN,                  # rows: steps in x or dy
    R_PACK, R_MOVE, R_PLAN, R_TABLE_AT, R_AT, R_IMAGE, R_LINE, R_TOP, R_LEFT, R_STRIDE_H, R_STRIDE_W, R_DH, R_DW,
    R_CHANNELS, PITCH, FETCH_GROUP, FETCH_CHANNELS, FETCH_LANES,
    TABLE, KERNELS, UNITS, UNITS_A_TAP, TAPS_ARE_ROWS, SUM_PITCH,
    SUMS, SUMS_AT, LINE_BYTES, LINES_A_BLOCK,
    DW_G, DW_LINE, DW_LANE, DW_TAP, COPIES, MERGED, TRANSPOSE, FINISH, NARROW, STAGE_AT, ITEM, ACCUMULATE,
    WEIGHT_GRAD_FIELDS,
) = range(LANES_FIELDS, LANES_FIELDS + 98)  # fmt: skip

IN_PLACE, BY_CHANNEL, BY_PIXEL, STRIPS = range(4)  # R_PACK
STAGE_LINES = 256
VECTORS_TABLED = 9
RESIDUAL, Y = 3, 4


@helper
def block_place(plan, block):
    """Group, first tap row and column, block of lanes, block of rows."""
    row_block, block = block % peek(plan, ROW_BLOCKS), block // peek(plan, ROW_BLOCKS)
    lane_block, block = block % peek(plan, LANE_BLOCKS), block // peek(plan, LANE_BLOCKS)
    s, block = block % peek(plan, TAP_COLUMN_BLOCKS), block // peek(plan, TAP_COLUMN_BLOCKS)
    r, g = block % peek(plan, TAP_ROW_BLOCKS), block // peek(plan, TAP_ROW_BLOCKS)
    return g, r * peek(plan, TAP_ROWS), s * peek(plan, TAP_COLUMNS), lane_block, row_block


@helper
def chunk_place(plan, chunk):
    """First image, row and column of a chunk."""
    above, columns, rows = chunk // peek(plan, CHUNK_COLUMNS), peek(plan, CHUNK_COLUMNS), peek(plan, CHUNK_ROWS)
    n0 = above // rows * peek(plan, IMAGES)
    return n0, above % rows * peek(plan, ROWS), chunk % columns * peek(plan, COLUMNS)


@helper
def scalars_of(plan, call, g, r0, s0, n0, oh0, ow0):
    """Where the scalars of a chunk lie; their image, for strips."""
    place = peek(call, peek(plan, R_SLOT)) + n0 * peek(plan, R_N) + g * peek(plan, R_G)
    if peek(plan, R_PACK) == STRIPS:
        return place
    place += oh0 * peek(plan, R_OH) + ow0 * peek(plan, R_OW)
    return place + r0 * peek(plan, R_TAP_ROW) + s0 * peek(plan, R_TAP_COLUMN)


@helper
def first_line(plan, r0, s0, oh0, ow0):
    """The first row and column of a chunk's strip."""
    row = oh0 * peek(plan, L_OH) + r0 * peek(plan, L_TAP_ROW) - peek(plan, L_TOP)
    column = oh0 * peek(plan, L_OH_COLUMN) + ow0 * peek(plan, L_OW) + s0 * peek(plan, L_TAP_COLUMN)
    return row, column - peek(plan, L_LEFT)


@helper
def pack_scalars(plan, call, scratch, source, rows, row, images, run, above, before):
    """The scalars of one chunk, as the table says where they lie."""
    way, move, to, line = peek(plan, R_PACK), peek(plan, R_MOVE), scratch + peek(plan, R_AT), peek(plan, R_LINE)
    channel, pixel = peek(plan, R_CHANNEL), peek(plan, R_OW)
    for _ in range(images):
        if way == BY_CHANNEL:
            for k in range(rows):
                invoke(move, (source + (row + k) * channel, pixel, to + k * line, 0, run, 0))
        elif way == BY_PIXEL:
            for q in range(run):
                invoke(move, (source + row * channel + q * pixel, channel, to + q * line, 0, rows, 0))
        else:
            invoke(move, (peek(plan, R_PLAN), source + row * channel, to, scratch + peek(plan, R_TABLE_AT), rows, above,
                          before))  # fmt: skip
        source += peek(plan, R_N)
        to += peek(plan, R_IMAGE)


@helper
def pack_tile(plan, source, strip, images, row0, column0, vectors, valid):
    """The lanes of one tile for one chunk."""
    lanes, pixel = peek(plan, LANES), peek(plan, LANES) * peek(plan, ITEM)
    lines, columns = peek(plan, L_LINES), peek(plan, L_COLUMNS)
    for i in range(images):
        to = strip + i * peek(plan, STRIP)
        for r in range(peek(plan, L_PARTS)):
            for s in range(peek(plan, L_COLUMN_PARTS)):
                for j in range(vectors):
                    pack_lanes(
                        plan, source + j * lanes * peek(plan, X_C), to + j * pixel, lines,
                        row0 + r * peek(plan, L_PART_STEP), 1, peek(plan, L_STEP), columns,
                        column0 + s * peek(plan, L_COLUMN_PART_STEP), min(lanes, valid - j * lanes), lanes,
                    )  # fmt: skip
                to += lines * columns * peek(plan, TILE_BYTES)
        source += peek(plan, L_N)


@helper
def finish_lines(plan, sums, dw, lines, taps, valid, scratch):
    """Lines of sums, [line][tap][lane], become dw; of one tile, `valid` channels wide."""
    pitch, dw_line, dw_lane, dw_tap = (
        peek(plan, LINE_BYTES), peek(plan, DW_LINE), peek(plan, DW_LANE), peek(plan, DW_TAP),
    )  # fmt: skip
    finish, transpose, tile_bytes = peek(plan, FINISH), peek(plan, TRANSPOSE), peek(plan, TILE_BYTES)
    item, stage = peek(plan, ITEM), scratch + peek(plan, STAGE_AT)
    if peek(plan, COPIES) != 0:
        for i in range(lines):
            invoke(finish, (sums + i * pitch, dw + i * dw_line, 0, valid, 0))
        return
    if peek(plan, MERGED) != 0:
        lines, taps = 1, lines * taps
    for i in range(lines):
        source, to = sums + i * pitch, dw + i * dw_line
        if peek(plan, NARROW) == 0:
            invoke(transpose, (source, tile_bytes, to, dw_lane, taps, valid))
        else:
            for t in range(0, taps, STAGE_LINES):
                some = min(STAGE_LINES, taps - t)
                invoke(transpose, (source + t * tile_bytes, tile_bytes, stage, some * item, some, valid))
                for j in range(valid):
                    invoke(finish, (stage + j * some * item, to + j * dw_lane + t * dw_tap, 0, some, 0))


@helper
def finish_block(plan, call, scratch, sums, block, line0, line1):
    """Some lines of one block, for all of its tiles of lanes."""
    g, r0, s0, lane_block, row_block = block_place(plan, block)
    taps = min(peek(plan, TAP_ROWS), peek(plan, R) - r0) * min(peek(plan, TAP_COLUMNS), peek(plan, S) - s0)
    row = tile_start(row_block * peek(plan, ROW_TILES_A_BLOCK), peek(plan, ROW_BASE), peek(plan, ROW_LARGER))
    row = 0 if peek(plan, TAPS_ARE_ROWS) != 0 else row
    lanes, first = peek(plan, LANES), lane_block * peek(plan, LANE_TILES_A_BLOCK)
    dw = peek(call, Y) + g * peek(plan, DW_G) + (row + line0) * peek(plan, DW_LINE)
    dw += (r0 * peek(plan, S) + s0) * peek(plan, DW_TAP)
    for tile in range(first, min(first + peek(plan, LANE_TILES_A_BLOCK), peek(plan, LANE_TILES))):
        lane = tile_start(tile, peek(plan, VECTOR_BASE), peek(plan, VECTOR_LARGER)) * lanes
        stop = tile_start(tile + 1, peek(plan, VECTOR_BASE), peek(plan, VECTOR_LARGER)) * lanes
        place = sums + ((tile - first) * peek(plan, LINES_A_BLOCK) + line0) * peek(plan, LINE_BYTES)
        valid = min(stop, peek(plan, LANE_CHANNELS)) - lane
        finish_lines(plan, place, dw + lane * peek(plan, DW_LANE), line1 - line0, taps, valid, scratch)


@helper
def lines_of(plan, block):
    """How many lines a block has."""
    if peek(plan, TAPS_ARE_ROWS) != 0:
        return peek(plan, LINES_A_BLOCK)
    tile = block % peek(plan, ROW_BLOCKS) * peek(plan, ROW_TILES_A_BLOCK)
    stop = min(tile + peek(plan, ROW_TILES_A_BLOCK), peek(plan, ROW_TILES))
    base, larger = peek(plan, ROW_BASE), peek(plan, ROW_LARGER)
    return tile_start(stop, base, larger) - tile_start(tile, base, larger)


@native("weight_grad", 4)
def weight_grad(plan, call, scratch, task):
    """One block of dw over one segment; it is finished too if there is no other segment."""
    block, segment = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    g, r0, s0, lane_block, row_block = block_place(plan, block)
    segments, chunks = peek(plan, SEGMENTS), peek(plan, CHUNKS)
    sums = scratch + peek(plan, SUMS_AT)
    if segments > 1:
        sums = peek(call, RESIDUAL) + task * peek(plan, SUMS)
    lanes, table, kernels = peek(plan, LANES), peek(plan, TABLE), peek(plan, KERNELS)
    vector_base, vector_larger = peek(plan, VECTOR_BASE), peek(plan, VECTOR_LARGER)
    row_base, row_larger = peek(plan, ROW_BASE), peek(plan, ROW_LARGER)
    lane_tile0, row_tile0 = lane_block * peek(plan, LANE_TILES_A_BLOCK), row_block * peek(plan, ROW_TILES_A_BLOCK)
    lane_tile1 = min(lane_tile0 + peek(plan, LANE_TILES_A_BLOCK), peek(plan, LANE_TILES))
    row_tile1 = min(row_tile0 + peek(plan, ROW_TILES_A_BLOCK), peek(plan, ROW_TILES))
    block_row = tile_start(row_tile0, row_base, row_larger)
    tap_rows, tap_columns = (
        min(peek(plan, TAP_ROWS), peek(plan, R) - r0),
        min(peek(plan, TAP_COLUMNS), peek(plan, S) - s0),
    )
    taps_are_rows = peek(plan, TAPS_ARE_ROWS) != 0
    # The last block of taps may be smaller: its units come first in the table.
    units = peek(plan, UNITS_A_TAP) * (tap_rows if taps_are_rows else tap_rows * tap_columns)
    pack_rows, pitch, sum_pitch = peek(plan, R_PACK), peek(plan, PITCH), peek(plan, SUM_PITCH)
    strip = scratch + peek(plan, STRIP_AT)
    lanes_at = peek(call, peek(plan, L_SLOT)) + g * peek(plan, L_G)
    fetch_group, fetch_channels = peek(plan, FETCH_GROUP), peek(plan, FETCH_CHANNELS)
    first_lane = tile_start(lane_tile0, vector_base, vector_larger) * lanes
    lane_groups = (tile_start(lane_tile1, vector_base, vector_larger) * lanes - first_lane) // fetch_channels
    lane_groups = lane_groups if peek(plan, FETCH_LANES) != 0 else 0
    row_groups = tile_start(row_tile1, row_base, row_larger) - block_row
    row_groups = (row_groups + fetch_channels - 1) // fetch_channels if pack_rows != STRIPS and not taps_are_rows else 0
    start = tile_start(segment, chunks // segments, chunks % segments)
    stop = tile_start(segment + 1, chunks // segments, chunks % segments)
    for chunk in range(start, stop):
        n0, oh0, ow0 = chunk_place(plan, chunk)
        images = min(peek(plan, IMAGES), peek(plan, N) - n0)
        run = min(peek(plan, ROWS), peek(plan, OH) - oh0) * min(peek(plan, COLUMNS), peek(plan, OW) - ow0)
        depth = images * run
        scalars = scalars_of(plan, call, g, r0, s0, n0, oh0, ow0)
        row0, column0 = first_line(plan, r0, s0, oh0, ow0)
        source = lanes_at + n0 * peek(plan, L_N)
        # What the next chunk will read is fetched meanwhile: 1x1 from 16 to 96 channels on 112x112 1.13 times as fast.
        groups, fetched, lanes_next, rows_next = 0, 0, source, scalars
        if chunk + 1 < stop:
            n1, oh1, ow1 = chunk_place(plan, chunk + 1)
            row1, column1 = first_line(plan, r0, s0, oh1, ow1)
            lanes_next = source + (n1 - n0) * peek(plan, L_N) + first_lane * peek(plan, X_C)
            lanes_next += row1 * peek(plan, X_H) + column1 * peek(plan, X_W)
            rows_next = scalars_of(plan, call, g, r0, s0, n1, oh1, ow1) + block_row * peek(plan, R_CHANNEL)
            groups = lane_groups + row_groups
        if pack_rows != IN_PLACE:
            rows = peek(plan, R_CHANNELS)
            if not taps_are_rows:
                rows = tile_start(row_tile1, row_base, row_larger) - block_row
            above = oh0 * peek(plan, R_STRIDE_H) + r0 * peek(plan, R_DH) - peek(plan, R_TOP)
            before = ow0 * peek(plan, R_STRIDE_W) + s0 * peek(plan, R_DW) - peek(plan, R_LEFT)
            pack_scalars(plan, call, scratch, scalars, rows, 0 if taps_are_rows else block_row, images, run, above,
                         before)  # fmt: skip
            scalars = scratch + peek(plan, R_AT)
        else:
            scalars += block_row * pitch
        first = 1 if chunk == start else 0
        for lane_tile in range(lane_tile0, lane_tile1):
            vector = tile_start(lane_tile, vector_base, vector_larger)
            vectors = vector_base + (1 if lane_tile < vector_larger else 0)
            pack_tile(plan, source + vector * lanes * peek(plan, X_C), strip, images, row0, column0, vectors,
                      peek(plan, LANE_CHANNELS) - vector * lanes)  # fmt: skip
            tile_sums = sums + (lane_tile - lane_tile0) * peek(plan, LINES_A_BLOCK) * peek(plan, LINE_BYTES)
            for row_tile in range(row_tile0, row_tile1):
                row = tile_start(row_tile, row_base, row_larger) - block_row
                rows = row_base + (1 if row_tile < row_larger else 0)
                kernel = (rows * VECTORS_TABLED + vectors) * 2
                unit = peek(plan, UNITS)
                for _ in range(units):
                    fetches, ahead = 1 if fetched < groups else 0, lanes_next + fetched * fetch_group
                    if fetched >= lane_groups:
                        ahead = rows_next + (fetched - lane_groups) * fetch_group
                    fetched += fetches
                    # A unit: where its lanes, its scalars and its sums start.
                    invoke(
                        peek(kernels, kernel + fetches),
                        (
                            depth, strip + peek(unit, 0), table, scalars + row * pitch + peek(unit, 1), pitch,
                            tile_sums + row * sum_pitch + peek(unit, 2), sum_pitch, first, 0, 0, 0, 0, lanes, 0, ahead,
                            1, 0, 0, 0, 0, 0, 0,
                        ),
                    )  # fmt: skip
                    unit += 24
    if segments == 1:
        finish_block(plan, call, scratch, sums, block, 0, lines_of(plan, block))


PLAN, PARTS, SUM_FIELDS = range(3)


@native("weight_grad_sum", 4)
def weight_grad_sum(plan, call, scratch, task):
    """Some lines of one block: its segments added up, in their order."""
    parts, plan = peek(plan, PARTS), peek(plan, PLAN)
    block, part = task // parts, task % parts
    lines = lines_of(plan, block)
    line0, line1 = lines * part // parts, lines * (part + 1) // parts
    size, item = peek(plan, SUMS), peek(plan, ITEM)
    sums, each = peek(call, RESIDUAL) + block * size, peek(plan, LINES_A_BLOCK) * peek(plan, LINE_BYTES)
    if line0 == line1:
        return
    for tile in range(peek(plan, LANE_TILES_A_BLOCK)):
        to, count = tile * each + line0 * peek(plan, LINE_BYTES), (line1 - line0) * peek(plan, LINE_BYTES) // item
        for segment in range(1, peek(plan, SEGMENTS)):
            source = sums + segment * peek(plan, BLOCKS) * size + to
            invoke(peek(plan, ACCUMULATE), (source, item, sums + to, item, count))
    finish_block(plan, call, scratch, sums, block, line0, line1)
