"""The task of a fused Winograd convolution: transform a block of x, multiply, transform back, all in L2.

A block is some rows by some columns of windows; a window is one tile for each of the dilation's sub-grids. For each
vector of input channels the block's strip is packed and transformed to v; then, for one sweep of output channels after
the other, every product xi is a matrix product of its own, and the sums are transformed to y.

    v  [xi][vector of channels][tile][lane]     u  [sweep][xi][register tile][channel][its lanes]
    z  [xi][tile][channels of the sweep]        tiles of a block: [row][row class][column class][column]
"""

from __future__ import annotations

from fastconv.algorithm import output
from fastconv.algorithm.lanes import LANES_FIELDS, pack_lanes
from fastconv.algorithm.nest import tile_start
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native

# The plan, after the words of `lanes`; steps and pitches in bytes.
(
    GROUPS, CHANNEL_BLOCKS, SWEEPS, SWEEPS_A_BLOCK,
    ROW_BLOCKS, ROW_BASE, ROW_LARGER, COLUMN_BLOCKS, COLUMN_BASE, COLUMN_LARGER,    # in windows
    CHANNELS, CHUNK, OUTPUTS, LANES, ITEM,
    MH, MW, R, S, DH, DW, PRODUCTS, TOP, LEFT, OH, OW,
    X_N, X_G, U_G, U_SWEEP,
    V_AT, V_XI, V_C, Z_AT, STAGE_AT, LINES_AT,
    TILES_A_SWEEP, REGISTER_TILES, TILE_BASE, TILE_LARGER, ROW_MOST, TABLE, KERNELS,
    WGIN, WGOUT, WGOUT_TAIL,
    Y_N, Y_G, Y_ROW, Y_PIXEL, Y_CHANNEL,
    AFTER, FINISH, SLOPE, TRANSPOSE, ACTIVATION,
    WINOGRAD_FIELDS,
) = range(LANES_FIELDS, LANES_FIELDS + 57)  # fmt: skip
X, W, BIAS, RESIDUAL, Y = range(5)
DUMP, STRIP = 64, 64 + 512  # where, after the word that says which block's v the scratch holds
VECTORS_TABLED = 9
PAD = 192  # products lie an odd number of lines apart, or their streams share sets of L1


@helper
def padded(size):
    """A step between products: at least `size` bytes and an odd number of cache lines."""
    return (size + 127) // 128 * 128 + 64


@helper
def multiply(plan, v, u, z, z_xi, z_tile, tiles, vectors, tile0, tile1):
    """z[xi] = v[xi] u[xi] for every product, register tiles tile0..tile1 of the output channels, `vectors` in all."""
    lanes, item, channels = peek(plan, LANES), peek(plan, ITEM), peek(plan, CHANNELS)
    pixel, chunk, most = lanes * item, peek(plan, CHUNK), peek(plan, ROW_MOST)
    table, kernels = peek(plan, TABLE), peek(plan, KERNELS)
    parts = (tiles + most - 1) // most
    base, larger = tiles // parts, tiles % parts
    u_xi, v_xi = padded(vectors * pixel * channels), peek(plan, V_XI)
    wide, wider = peek(plan, TILE_BASE), peek(plan, TILE_LARGER)
    for xi in range(peek(plan, PRODUCTS)):
        for c0 in range(0, channels, chunk):
            panel, sums = u + xi * u_xi, z + xi * z_xi
            depth, first = min(chunk, channels - c0), 1 if c0 == 0 else 0
            source = v + xi * v_xi + c0 // lanes * peek(plan, V_C)
            for tile in range(tile0, tile1):
                width = wide + (1 if tile < wider else 0)
                for part in range(parts):
                    row, rows = tile_start(part, base, larger), base + (1 if part < larger else 0)
                    invoke(
                        peek(kernels, rows * VECTORS_TABLED + width),
                        (depth, source + row * pixel, table, panel + c0 * width * pixel, pixel,
                         sums + row * z_tile, z_tile, first, 0, 0, 0, 0, 0),
                    )  # fmt: skip
                panel += channels * width * pixel
                sums += width * pixel


@helper
def write_block(plan, scratch, z, z_xi, z_tile, vector, y, bias, residual, trs, tcs, rows, columns):
    """Transform one vector of output channels of a block back, and finish it."""
    lanes, item, after = peek(plan, LANES), peek(plan, ITEM), peek(plan, AFTER)
    mh, mw, dh, dw = peek(plan, MH), peek(plan, MW), peek(plan, DH), peek(plan, DW)
    pixel, high, wide = lanes * item, mh * dh, tcs * mw * dw
    y_row, y_pixel, y_channel = peek(plan, Y_ROW), peek(plan, Y_PIXEL), peek(plan, Y_CHANNEL)
    valid = min(lanes, peek(plan, OUTPUTS) - vector * lanes)
    kernel = peek(plan, WGOUT_TAIL) if valid < lanes else peek(plan, WGOUT)
    direct = after == output.NOTHING
    stage, lines = scratch + peek(plan, STAGE_AT), scratch + peek(plan, LINES_AT)
    some_bias = bias + vector * pixel if bias != 0 else 0
    for i in range(trs):
        left_rows = rows - i * high
        to = y + i * high * y_row
        beside = residual + i * high * y_row if residual != 0 else 0
        for a in range(dh):
            for b in range(dw):
                line = ((i * dh + a) * dw + b) * tcs
                sums, sums_row, sums_pixel, extra = stage, wide * pixel, pixel, 0
                if direct:
                    sums, sums_row, sums_pixel, extra = to, y_row, y_pixel, beside
                place = a * sums_row + b * sums_pixel
                invoke(
                    kernel,
                    (
                        z + line * z_tile, z_xi, z_tile, tcs, sums + place, dh * sums_row, dw * sums_pixel,
                        (left_rows - a + dh - 1) // dh, (columns - b + dw - 1) // dw, scratch + DUMP,
                        some_bias, extra + place if extra != 0 else 0, peek(plan, ACTIVATION), valid,
                    ),
                )  # fmt: skip
        if not direct:
            lines_done = min(high, left_rows)
            # Rows that are whole follow one another in y and in the stage: they are done as one.
            together = lines_done if wide == columns and y_row == columns * y_pixel else 1
            for j in range(0, lines_done, together):
                output.finish_run(
                    after, False, peek(plan, FINISH), peek(plan, SLOPE), peek(plan, TRANSPOSE), item, lines,
                    stage + j * wide * pixel, pixel, item, to + j * y_row, y_pixel, y_channel,
                    beside + j * y_row if beside != 0 else 0, 0, valid, together * columns,
                )  # fmt: skip


@native("winograd", 4)
def winograd(plan, call, scratch, task):
    """One block of windows of one image and group, for some sweeps of output channels."""
    channel_block = task % peek(plan, CHANNEL_BLOCKS)
    block = task // peek(plan, CHANNEL_BLOCKS)
    column_block = block % peek(plan, COLUMN_BLOCKS)
    above = block // peek(plan, COLUMN_BLOCKS)
    row_block, above = above % peek(plan, ROW_BLOCKS), above // peek(plan, ROW_BLOCKS)
    g, n = above % peek(plan, GROUPS), above // peek(plan, GROUPS)
    tr0 = tile_start(row_block, peek(plan, ROW_BASE), peek(plan, ROW_LARGER))
    tc0 = tile_start(column_block, peek(plan, COLUMN_BASE), peek(plan, COLUMN_LARGER))
    trs = peek(plan, ROW_BASE) + (1 if row_block < peek(plan, ROW_LARGER) else 0)
    tcs = peek(plan, COLUMN_BASE) + (1 if column_block < peek(plan, COLUMN_LARGER) else 0)
    lanes, item, channels = peek(plan, LANES), peek(plan, ITEM), peek(plan, CHANNELS)
    mh, mw, dh, dw = peek(plan, MH), peek(plan, MW), peek(plan, DH), peek(plan, DW)
    pixel, tiles = lanes * item, trs * tcs * dh * dw
    high, wide = mh * dh, mw * dw
    v, v_xi = scratch + peek(plan, V_AT), peek(plan, V_XI)

    if peek(scratch, 0) != block:
        x = peek(call, X) + n * peek(plan, X_N) + g * peek(plan, X_G)
        strip, kernel = scratch + STRIP, peek(plan, WGIN)
        strip_rows = trs * high + (peek(plan, R) - 1) * dh
        strip_columns = tcs * wide + (peek(plan, S) - 1) * dw
        strip_row = strip_columns * pixel
        for c in range(0, channels, lanes):
            pack_lanes(plan, x + c * peek(plan, 0), strip, strip_rows, tr0 * high - peek(plan, TOP), 1,
                       strip_columns, tc0 * wide - peek(plan, LEFT), min(lanes, channels - c))  # fmt: skip
            to = v + c // lanes * peek(plan, V_C)
            for i in range(trs):
                for a in range(dh):
                    for b in range(dw):
                        source = strip + (i * high + a) * strip_row + b * pixel
                        invoke(kernel, (source, dh * strip_row, dw * pixel, tcs, to, v_xi, pixel))
                        to += tcs * pixel
        poke(scratch, 0, block)

    oh0, ow0 = tr0 * high, tc0 * wide
    rows, columns = min(trs * high, peek(plan, OH) - oh0), min(tcs * wide, peek(plan, OW) - ow0)
    z, z_at = scratch + peek(plan, Z_AT), peek(plan, Y_ROW) * oh0 + peek(plan, Y_PIXEL) * ow0
    bias = peek(call, BIAS) + g * peek(plan, OUTPUTS) * item if peek(call, BIAS) != 0 else 0
    sweep0 = channel_block * peek(plan, SWEEPS_A_BLOCK)
    for sweep in range(sweep0, min(sweep0 + peek(plan, SWEEPS_A_BLOCK), peek(plan, SWEEPS))):
        tile0 = sweep * peek(plan, TILES_A_SWEEP)
        tile1 = min(tile0 + peek(plan, TILES_A_SWEEP), peek(plan, REGISTER_TILES))
        start = tile_start(tile0, peek(plan, TILE_BASE), peek(plan, TILE_LARGER))
        vectors = tile_start(tile1, peek(plan, TILE_BASE), peek(plan, TILE_LARGER)) - start
        z_tile = vectors * pixel
        z_xi = padded(tiles * z_tile)
        u = peek(call, W) + g * peek(plan, U_G) + sweep * peek(plan, U_SWEEP)
        multiply(plan, v, u, z, z_xi, z_tile, tiles, vectors, tile0, tile1)
        for vector in range(start, start + vectors):
            place = n * peek(plan, Y_N) + g * peek(plan, Y_G) + vector * lanes * peek(plan, Y_CHANNEL) + z_at
            residual = peek(call, RESIDUAL) + place if peek(call, RESIDUAL) != 0 else 0
            write_block(plan, scratch, z + (vector - start) * pixel, z_xi, z_tile, vector, peek(call, Y) + place,
                        bias, residual, trs, tcs, rows, columns)  # fmt: skip


(
    P_CHANNELS, P_BLOCK, P_BLOCKS, P_TAPS, P_OUTPUTS, P_LANES, P_ITEM, P_SOURCE_ITEM, P_TRANSPOSE, P_KERNEL,
    P_TILES, P_TILES_A_SWEEP, P_TILE_BASE, P_TILE_LARGER, P_U_G, P_U_SWEEP, P_FIELDS,
) = range(17)  # fmt: skip


@native("winograd_weights", 4)
def winograd_weights(plan, call, scratch, task):
    """Transform the weights of some input channels and one register tile's output channels of one group."""
    blocks, tiles = peek(plan, P_BLOCKS), peek(plan, P_TILES)
    c0, task = task % blocks * peek(plan, P_BLOCK), task // blocks
    tile, g = task % tiles, task // tiles
    base, larger, lanes, item = peek(plan, P_TILE_BASE), peek(plan, P_TILE_LARGER), peek(plan, P_LANES), peek(plan, P_ITEM)
    channels, outputs, taps = peek(plan, P_CHANNELS), peek(plan, P_OUTPUTS), peek(plan, P_TAPS)
    some, pixel = min(peek(plan, P_BLOCK), channels - c0), lanes * item
    start, width = tile_start(tile, base, larger), base + (1 if tile < larger else 0)
    length, source_item, wide = channels * taps, peek(plan, P_SOURCE_ITEM), width * pixel
    rows = min(width * lanes, outputs - start * lanes)
    source = peek(call, X) + ((g * outputs + start * lanes) * length + c0 * taps) * source_item
    invoke(peek(plan, P_TRANSPOSE), (source, length * source_item, scratch, wide, rows, some * taps))
    sweep = tile // peek(plan, P_TILES_A_SWEEP)
    tile0 = sweep * peek(plan, P_TILES_A_SWEEP)
    tile1 = min(tile0 + peek(plan, P_TILES_A_SWEEP), tiles)
    sweep_start = tile_start(tile0, base, larger)
    vectors = tile_start(tile1, base, larger) - sweep_start
    u = peek(call, Y) + g * peek(plan, P_U_G) + sweep * peek(plan, P_U_SWEEP)
    u += (start - sweep_start) * channels * pixel + c0 * wide
    for j in range(width):
        at = j * pixel
        u_xi = padded(vectors * pixel * channels)
        invoke(peek(plan, P_KERNEL), (scratch + at, wide, taps * wide, some, u + at, u_xi, wide))
