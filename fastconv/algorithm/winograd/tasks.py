"""The task of a fused Winograd convolution: transform a block of x, multiply, transform back, all near L2.

A block is some rows by some columns of windows; a window is one tile for each of the dilation's sub-grids. For each
vector of input channels the block's strip is packed and transformed to v. Then for one panel of output channels, as
wide as a register tile, after the other: every product xi is a matrix product of its own, and the sums z become y.

    v  [xi][vector of channels][tile][lane]     tiles of a block: [row][row class][column class][column]
    u  [panel][xi][channel][output channel]     transformed weights
    z  [xi][tile][output channel]               of one panel
"""

from __future__ import annotations

from fastconv.algorithm import output
from fastconv.algorithm.lanes import LANES_FIELDS, X_C, pack_lanes
from fastconv.algorithm.nest import VECTORS_TABLED, tile_start
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native

# The plan, after the words of `lanes`; steps and pitches in bytes.
(
    GROUPS, CHANNEL_BLOCKS, PANELS, PANELS_A_BLOCK, PANEL_BASE, PANEL_LARGER,
    ROW_BLOCKS, ROW_BASE, ROW_LARGER, COLUMN_BLOCKS, COLUMN_BASE, COLUMN_LARGER,    # in windows
    CHANNELS, CHUNK, OUTPUTS, LANES, ITEM,
    MH, MW, R, S, DH, DW, PRODUCTS, TOP, LEFT, OH, OW,
    X_N, X_G, U_G, U_PANEL, V_AT, V_XI, V_C, Z_AT, STAGE_AT, LINES_AT,
    ROW_MOST, TABLE, KERNELS, WGIN, WGOUT, WGOUT_TAIL,
    RAW, TAPS_AT, U_AT,                             # RAW: the plan that transforms weights just before their use, or 0
    Y_N, Y_G, Y_ROW, Y_PIXEL, Y_CHANNEL,
    AFTER, FINISH, SLOPE, TRANSPOSE, ACTIVATION,
    WINOGRAD_FIELDS,
) = range(LANES_FIELDS, LANES_FIELDS + 58)  # fmt: skip
X, W, BIAS, RESIDUAL, Y = range(5)
DUMP = 64  # scratch starts with the number of the block whose v it holds, and a vector that nobody reads
STRIP = DUMP + 64


@helper
def between_products(size):
    """Bytes from one product to the next, at least `size`: an odd number of lines, or they would share sets of L1."""
    return (size + 127) // 128 * 128 + 64


# The plan of transformed weights.
(
    P_CHANNELS, P_BLOCK, P_BLOCKS, P_TAPS, P_OUTPUTS, P_LANES, P_ITEM, P_SOURCE_ITEM, P_TRANSPOSE, P_KERNEL,
    P_PANELS, P_BASE, P_LARGER, P_U_G, P_U_PANEL, P_FIELDS,
) = range(16)  # fmt: skip


@helper
def transform_weights(plan, w, u, taps_of, g, start, width, c0):
    """Transform to the panel at u the weights of `width` vectors of output channels from `start` on of group g, for a
    block of input channels from c0 on; `taps_of` is scratch."""
    lanes, item, taps = peek(plan, P_LANES), peek(plan, P_ITEM), peek(plan, P_TAPS)
    channels, outputs, pixel = peek(plan, P_CHANNELS), peek(plan, P_OUTPUTS), lanes * item
    some, wide = min(peek(plan, P_BLOCK), channels - c0), width * pixel
    length, source_item, k0 = channels * taps, peek(plan, P_SOURCE_ITEM), start * lanes
    source = w + ((g * outputs + k0) * length + c0 * taps) * source_item
    rows = min(width * lanes, outputs - k0)
    invoke(peek(plan, P_TRANSPOSE), (source, length * source_item, taps_of, wide, rows, some * taps))
    u_xi, to = between_products(channels * wide), u + c0 * wide
    for at in range(0, wide, pixel):
        invoke(peek(plan, P_KERNEL), (taps_of + at, wide, taps * wide, some, to + at, u_xi, wide))


@native("winograd_weights", 4)
def winograd_weights(plan, call, scratch, task):
    """Transform one panel's weights of some input channels of one group."""
    c0, task = task % peek(plan, P_BLOCKS) * peek(plan, P_BLOCK), task // peek(plan, P_BLOCKS)
    panel, g = task % peek(plan, P_PANELS), task // peek(plan, P_PANELS)
    start = tile_start(panel, peek(plan, P_BASE), peek(plan, P_LARGER))
    width = peek(plan, P_BASE) + (1 if panel < peek(plan, P_LARGER) else 0)
    u = peek(call, Y) + g * peek(plan, P_U_G) + panel * peek(plan, P_U_PANEL)
    transform_weights(plan, peek(call, X), u, scratch, g, start, width, c0)


@helper
def transform_block(plan, x, scratch, tr0, tc0, trs, tcs):
    """Pack and transform the windows from (tr0, tc0) on, trs by tcs of them, of all channels of a group."""
    lanes, channels = peek(plan, LANES), peek(plan, CHANNELS)
    pixel, dh, dw = lanes * peek(plan, ITEM), peek(plan, DH), peek(plan, DW)
    high, wide = peek(plan, MH) * dh, peek(plan, MW) * dw
    v, v_xi, strip = scratch + peek(plan, V_AT), peek(plan, V_XI), scratch + STRIP
    rows, columns = trs * high + (peek(plan, R) - 1) * dh, tcs * wide + (peek(plan, S) - 1) * dw
    top, left, row = tr0 * high - peek(plan, TOP), tc0 * wide - peek(plan, LEFT), columns * pixel
    for c in range(0, channels, lanes):
        pack_lanes(plan, x + c * peek(plan, X_C), strip, rows, top, columns, left, min(lanes, channels - c))
        to = v + c // lanes * peek(plan, V_C)
        for i in range(trs):
            for a in range(dh):
                for b in range(dw):
                    source = strip + (i * high + a) * row + b * pixel
                    invoke(peek(plan, WGIN), (source, dh * row, dw * pixel, tcs, to, v_xi, pixel))
                    to += tcs * pixel


@helper
def multiply(plan, v, u, z, z_xi, tiles, width):
    """z[xi] = v[xi] u[xi] for every product, with one panel of `width` vectors."""
    lanes, channels, chunk, most = peek(plan, LANES), peek(plan, CHANNELS), peek(plan, CHUNK), peek(plan, ROW_MOST)
    pixel, table, kernels = lanes * peek(plan, ITEM), peek(plan, TABLE), peek(plan, KERNELS)
    v_xi, v_c = peek(plan, V_XI), peek(plan, V_C)
    parts, wide = (tiles + most - 1) // most, width * pixel
    base, larger = tiles // parts, tiles % parts
    u_xi = between_products(channels * wide)
    for xi in range(peek(plan, PRODUCTS)):
        for c0 in range(0, channels, chunk):
            depth, first = min(chunk, channels - c0), 1 if c0 == 0 else 0
            source = v + xi * v_xi + c0 // lanes * v_c
            for part in range(parts):
                row, rows = tile_start(part, base, larger), base + (1 if part < larger else 0)
                invoke(
                    peek(kernels, (rows * VECTORS_TABLED + width) * 2),
                    (depth, source + row * pixel, table, u + xi * u_xi + c0 * wide, pixel,
                     z + xi * z_xi + row * wide, wide, first, 0, 0, 0, 0, 0, 0),
                )  # fmt: skip


@helper
def write_block(plan, scratch, z, z_xi, start, width, y, bias, residual, trs, tcs, rows, columns):
    """Transform one panel's sums of a block back and finish them: `rows` by `columns` pixels of y, from its first."""
    lanes, item, after = peek(plan, LANES), peek(plan, ITEM), peek(plan, AFTER)
    mh, mw, dh, dw = peek(plan, MH), peek(plan, MW), peek(plan, DH), peek(plan, DW)
    pixel, high, wide, z_tile = lanes * item, mh * dh, tcs * mw * dw, width * lanes * item
    y_row, y_pixel, y_channel = peek(plan, Y_ROW), peek(plan, Y_PIXEL), peek(plan, Y_CHANNEL)
    direct = after == output.NOTHING
    stage, lines = scratch + peek(plan, STAGE_AT), scratch + peek(plan, LINES_AT)
    for i in range(trs):
        left = rows - i * high
        for j in range(width):
            valid, at = min(lanes, peek(plan, OUTPUTS) - (start + j) * lanes), i * high * y_row + j * lanes * y_channel
            kernel = peek(plan, WGOUT_TAIL) if valid < lanes else peek(plan, WGOUT)
            to, beside = y + at, residual + at if residual != 0 else 0
            sums, sums_row, sums_pixel, extra = stage, wide * pixel, pixel, 0
            if direct:
                sums, sums_row, sums_pixel, extra = to, y_row, y_pixel, beside
            for a in range(dh):
                for b in range(dw):
                    line, place = ((i * dh + a) * dw + b) * tcs, a * sums_row + b * sums_pixel
                    invoke(
                        kernel,
                        (
                            z + line * z_tile + j * pixel, z_xi, z_tile, tcs,
                            sums + place, dh * sums_row, dw * sums_pixel,
                            (left - a + dh - 1) // dh, (columns - b + dw - 1) // dw, scratch + DUMP,
                            bias + j * pixel if bias != 0 else 0, extra + place if extra != 0 else 0,
                            peek(plan, ACTIVATION), valid,
                        ),
                    )  # fmt: skip
            if not direct:
                # Rows that are whole follow one another in y and in the stage: they are finished as one.
                some = min(high, left)
                together = some if wide == columns and y_row == columns * y_pixel else 1
                for row in range(0, some, together):
                    output.finish_run(
                        after, False, peek(plan, FINISH), peek(plan, SLOPE), peek(plan, TRANSPOSE), item, lines,
                        stage + row * wide * pixel, pixel, item, to + row * y_row, y_pixel, y_channel,
                        beside + row * y_row if beside != 0 else 0, 0, valid, together * columns,
                    )  # fmt: skip


@native("winograd", 4)
def winograd(plan, call, scratch, task):
    """One block of windows of one image and group, for some panels of output channels."""
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
    # Blocks of channels follow one another over the same windows.
    if peek(scratch, 0) != block:
        x = peek(call, X) + n * peek(plan, X_N) + g * peek(plan, X_G)
        transform_block(plan, x, scratch, tr0, tc0, trs, tcs)
        poke(scratch, 0, block)

    high, wide, lanes = peek(plan, MH) * peek(plan, DH), peek(plan, MW) * peek(plan, DW), peek(plan, LANES)
    oh0, ow0, tiles = tr0 * high, tc0 * wide, trs * tcs * peek(plan, DH) * peek(plan, DW)
    rows, columns = min(trs * high, peek(plan, OH) - oh0), min(tcs * wide, peek(plan, OW) - ow0)
    item, y_channel = peek(plan, ITEM), peek(plan, Y_CHANNEL)
    z, pixel = scratch + peek(plan, Z_AT), lanes * item
    place = n * peek(plan, Y_N) + g * peek(plan, Y_G) + oh0 * peek(plan, Y_ROW) + ow0 * peek(plan, Y_PIXEL)
    panel0, raw = channel_block * peek(plan, PANELS_A_BLOCK), peek(plan, RAW)
    for panel in range(panel0, min(panel0 + peek(plan, PANELS_A_BLOCK), peek(plan, PANELS))):
        start = tile_start(panel, peek(plan, PANEL_BASE), peek(plan, PANEL_LARGER))
        width = peek(plan, PANEL_BASE) + (1 if panel < peek(plan, PANEL_LARGER) else 0)
        if raw != 0:
            u = scratch + peek(plan, U_AT)
            for c in range(0, peek(plan, CHANNELS), peek(raw, P_BLOCK)):
                transform_weights(raw, peek(call, W), u, scratch + peek(plan, TAPS_AT), g, start, width, c)
        else:
            u = peek(call, W) + g * peek(plan, U_G) + panel * peek(plan, U_PANEL)
        z_xi = between_products(tiles * width * pixel)
        multiply(plan, scratch + peek(plan, V_AT), u, z, z_xi, tiles, width)
        k, bias, residual = start * lanes, peek(call, BIAS), peek(call, RESIDUAL)
        there = place + k * y_channel
        write_block(plan, scratch, z, z_xi, start, width, peek(call, Y) + there,
                    bias + (g * peek(plan, OUTPUTS) + k) * item if bias != 0 else 0,
                    residual + there if residual != 0 else 0, trs, tcs, rows, columns)  # fmt: skip
