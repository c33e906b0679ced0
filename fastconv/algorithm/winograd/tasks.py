"""The task of a fused Winograd convolution: transform a block of x, multiply, transform back, all near L2.

For each vector of input channels the block's strip is packed and transformed to v. Then for one panel of output
channels, as wide as a register tile, after the other: every product xi is a matrix product of its own, and the sums z
become y. Weights that are not transformed beforehand are so for a few input channels at a time, which all products use
before the next few.

    v      [xi][vector of channels][tile][lane]     tiles of a block, or of some images where these are small
    u      [panel][xi][channel][output channel]     transformed weights; at stride 2 some products share theirs
    z      [xi][tile][output channel]               of one panel

On matrix tiles v and u are panels of bfloat16 parts (`microkernels.amxparts`) of 32 tiles or output channels each:

    v      [xi][block of tiles][step of channels][part][tile][pair]
    u      [panel][xi][block of output channels][step of channels][part][pair][output channel]
"""

from __future__ import annotations

from fastconv.algorithm import output
from fastconv.algorithm.nest import VECTORS_TABLED, alike, tile_start
from fastconv.algorithm.winograd.tiles import (
    COLUMN_CLASSES,
    DH,
    DW,
    ITEM,
    LANES,
    MH,
    MW,
    STEP_BYTES,
    TILES_FIELDS,
    V_XI,
    between_products,
    block_at,
    block_bytes,
    transform_block,
    transform_pairs,
)
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.codegen.tiles import ROW_BYTES, ROWS, TILE_BYTES
from fastconv.microkernels.amxparts import BLOCK, STEP

# The plan, after the words of `tiles`; steps and pitches in bytes.
(
    GROUPS, IMAGES, IMAGES_A_BLOCK, CHANNEL_BLOCKS, PANELS, PANELS_A_BLOCK, PANEL_BASE, PANEL_LARGER,
    CHANNELS, CHUNK, OUTPUTS, PRODUCTS, ORDER, OH, OW,   # ORDER: a product, its weights, the next product, ...
    X_N, X_G, U_G, U_PANEL, V_AT, V_C, Z_AT, STAGE_AT, LINES_AT,
    ROW_MOST, TABLE, KERNELS, WGOUT, WGOUT_TAIL,
    RAW, TAPS_AT, U_AT,                             # RAW: the plan that transforms weights just before their use, or 0
    U_CHANNELS,                                     # input channels whose weights lie in u together
    Y_N, Y_G, Y_ROW, Y_PIXEL, Y_CHANNEL,
    AFTER, FINISH, SLOPE, TRANSPOSE, ACTIVATION,
    STATE, LOW_AT,                                  # of matrix tiles
    WINOGRAD_FIELDS,
) = range(TILES_FIELDS, TILES_FIELDS + 46)  # fmt: skip
X, W, BIAS, RESIDUAL, Y = range(5)
DUMP = 64  # scratch starts with the number of the block whose v it holds, and a vector that nobody reads
STRIP = DUMP + 64


# The plan of transformed weights.
(
    P_CHANNELS, P_BLOCK, P_BLOCKS, P_TAPS, P_FIRST, P_ROW, P_COLUMN, P_BORROWED,   # all taps; those that are used
    P_OUTPUTS, P_LANES, P_ITEM, P_SOURCE_ITEM, P_FETCH, P_TRANSPOSE, P_KERNEL,
    P_PANELS, P_BASE, P_LARGER, P_U_G, P_U_PANEL, P_MATRIX, P_FIELDS,
) = range(22)  # fmt: skip


@helper
def transform_weights(plan, w, u, u_xi, u_block, taps_of, g, start, width, c0):
    """Transform to u the weights of `width` vectors of output channels from `start` on of group g, for a block of input
    channels from c0 on; `taps_of` is scratch. Blocks for matrix tiles are `u_block` apart."""
    lanes, item, taps = peek(plan, P_LANES), peek(plan, P_ITEM), peek(plan, P_TAPS)
    channels, outputs, pixel = peek(plan, P_CHANNELS), peek(plan, P_OUTPUTS), lanes * item
    some, wide = min(peek(plan, P_BLOCK), channels - c0), width * pixel
    length, source_item, k0 = channels * taps, peek(plan, P_SOURCE_ITEM), start * lanes
    rows = min(width * lanes, outputs - k0)
    if peek(plan, P_BORROWED) != 0:
        # Each channel is a short run of lines, which the processor does not fetch ahead: 384 to 256 channels 3x3 on
        # 13x13 took a tenth longer.
        later = w + ((g * channels + min(c0 + some, channels - some)) * outputs + k0) * taps * source_item
        invoke(peek(plan, P_FETCH), (later, outputs * taps * source_item, rows * taps, some))
        for c in range(some):
            source = w + ((g * channels + c0 + c) * outputs + k0) * taps * source_item
            invoke(peek(plan, P_TRANSPOSE), (source, taps * source_item, taps_of + c * taps * wide, wide, rows, taps))
    else:
        source = w + ((g * outputs + k0) * length + c0 * taps) * source_item
        invoke(peek(plan, P_TRANSPOSE), (source, length * source_item, taps_of, wide, rows, some * taps))
    first, column, row = taps_of + peek(plan, P_FIRST) * wide, peek(plan, P_COLUMN) * wide, peek(plan, P_ROW) * wide
    if peek(plan, P_MATRIX) == 0:
        for at in range(0, wide, pixel):
            invoke(peek(plan, P_KERNEL), (first + at, column, row, taps * wide, some, u + at, u_xi, wide))
        return
    for at in range(taps_of + some * taps * wide, taps_of + STEP * taps * wide, 8):
        poke(at, 0, 0)  # channels that are not there
    for j in range(width):
        to = u + j // 2 * u_block + j % 2 * TILE_BYTES
        invoke(peek(plan, P_KERNEL), (first + j * pixel, column, row, taps * wide, STEP // 2, to, u_xi, ROW_BYTES))


@native("winograd_weights", 4)
def winograd_weights(plan, call, scratch, task):
    """Transform one panel's weights of some input channels of one group."""
    c0, task = task % peek(plan, P_BLOCKS) * peek(plan, P_BLOCK), task // peek(plan, P_BLOCKS)
    panel, g = task % peek(plan, P_PANELS), task // peek(plan, P_PANELS)
    start = tile_start(panel, peek(plan, P_BASE), peek(plan, P_LARGER))
    width = peek(plan, P_BASE) + (1 if panel < peek(plan, P_LARGER) else 0)
    wide = width * peek(plan, P_LANES) * peek(plan, P_ITEM)
    u = peek(call, Y) + g * peek(plan, P_U_G) + panel * peek(plan, P_U_PANEL)
    if peek(plan, P_MATRIX) != 0:
        u_block = block_bytes(peek(plan, P_CHANNELS))
        u_xi, at = between_products((width + 1) // 2 * u_block), c0 // STEP * STEP_BYTES
    else:
        u_block, u_xi, at = 0, between_products(peek(plan, P_CHANNELS) * wide), c0 * wide
    transform_weights(plan, peek(call, X), u + at, u_xi, u_block, scratch, g, start, width, c0)


@helper
def multiply(plan, v, u, u_xi, z, z_xi, tiles, width, start, end):
    """z[xi] = v[xi] u[xi] for every product, with one panel of `width` vectors; input channels from `start` on, where u
    starts, are added to what z holds."""
    lanes, chunk, most = peek(plan, LANES), peek(plan, CHUNK), peek(plan, ROW_MOST)
    pixel, table, kernels = lanes * peek(plan, ITEM), peek(plan, TABLE), peek(plan, KERNELS)
    v_xi, v_c = peek(plan, V_XI), peek(plan, V_C)
    parts, wide = (tiles + most - 1) // most, width * pixel
    base, larger, order = tiles // parts, tiles % parts, peek(plan, ORDER)
    for product in range(peek(plan, PRODUCTS)):
        xi, weights_xi = peek(order, 2 * product), u + peek(order, 2 * product + 1) * u_xi
        for c0 in range(start, end, chunk):
            depth, first = min(chunk, end - c0), 1 if c0 == 0 else 0
            source, weights = v + xi * v_xi + c0 // lanes * v_c, weights_xi + (c0 - start) * wide
            part = 0
            while part < parts:
                row, rows = tile_start(part, base, larger), base + (1 if part < larger else 0)
                together = alike(part, parts, larger)
                invoke(
                    peek(kernels, (rows * VECTORS_TABLED + width) * 2),
                    (depth, source + row * pixel, table, weights, pixel,
                     z + xi * z_xi + row * wide, wide, first, 0, 0, 0, 0, 0, 0, 0,
                     together, rows * pixel, 0, rows * wide, 0, 0, 0),
                )  # fmt: skip
                part += together


@helper
def multiply_blocks(plan, v, u, u_xi, u_block, z, z_xi, tiles, width, start, end):
    """The same on matrix tiles, block by block; the panels of the next one are fetched meanwhile."""
    v_xi, v_block, kernels = peek(plan, V_XI), peek(plan, V_C), peek(plan, KERNELS)
    depth, z_tile, products = end - start, width * ROW_BYTES, peek(plan, PRODUCTS)
    v, first = v + start // STEP * STEP_BYTES, 1 if start == 0 else 0
    for xi in range(products):
        for k in range(0, width, 2):
            weights, wide = u + xi * u_xi + k // 2 * u_block, min(2, width - k)
            for t in range(0, tiles, BLOCK):
                source, high = v + xi * v_xi + t // BLOCK * v_block, 2 if tiles - t > ROWS else 1
                next_v, next_u = source + v_block, weights
                if t + BLOCK >= tiles:
                    next_v, next_u = v + xi * v_xi, weights + u_block
                    if k + 2 >= width and xi + 1 < products:
                        next_v, next_u = next_v + v_xi, u + (xi + 1) * u_xi
                invoke(
                    peek(kernels, high * 3 + wide),
                    (depth, source, weights, z + xi * z_xi + t * z_tile + k * ROW_BYTES, z_tile, first, next_v, next_u),
                )  # fmt: skip


@helper
def write_block(plan, scratch, z, z_xi, start, width, y, bias, residual, trs, tcs, classes, rows, columns):
    """Transform one panel's sums of a block back and finish them. y is the first of the `columns` pixels of its first
    row, and y has `rows` rows from there on, `dh` of them for each of the block's."""
    lanes, item, after = peek(plan, LANES), peek(plan, ITEM), peek(plan, AFTER)
    mh, dh, dw = peek(plan, MH), peek(plan, DH), peek(plan, DW)
    pixel, high, z_tile, column_classes = lanes * item, mh * dh, width * lanes * item, peek(plan, COLUMN_CLASSES)
    y_row, y_pixel, y_channel = peek(plan, Y_ROW), peek(plan, Y_PIXEL), peek(plan, Y_CHANNEL)
    direct = after == output.NOTHING
    stage, lines = scratch + peek(plan, STAGE_AT), scratch + peek(plan, LINES_AT)
    for i in range(trs):
        left = rows - i * high
        for j in range(width):
            valid, at = min(lanes, peek(plan, OUTPUTS) - (start + j) * lanes), i * high * y_row + j * lanes * y_channel
            kernel = peek(plan, WGOUT_TAIL) if valid < lanes else peek(plan, WGOUT)
            to, beside = y + at, residual + at if residual != 0 else 0
            # The stage has the rows of all classes of the block for the tiles' first row, then for their second.
            sums, sums_row, sums_class, sums_pixel, extra = stage, classes * columns * pixel, columns * pixel, pixel, 0
            if direct:
                sums, sums_row, sums_class, sums_pixel, extra = to, dh * y_row, y_row, y_pixel, beside
            for a in range(classes):
                for b in range(column_classes):
                    line, place = ((i * classes + a) * column_classes + b) * tcs, a * sums_class + b * sums_pixel
                    invoke(
                        kernel,
                        (
                            z + line * z_tile + j * pixel, z_xi, z_tile, tcs,
                            sums + place, sums_row, dw * sums_pixel,
                            (left - a + dh - 1) // dh, (columns - b + dw - 1) // dw, scratch + DUMP,
                            bias + j * pixel if bias != 0 else 0, extra + place if extra != 0 else 0,
                            peek(plan, ACTIVATION), valid,
                        ),
                    )  # fmt: skip
            if not direct:
                # Rows that follow one another in y and in the stage are finished as one, if they are whole.
                group = high if classes == dh else classes
                for m in range(0, high, dh if group < high else high):
                    some = min(group, left - m)
                    together = some if y_row == columns * y_pixel else 1
                    for row in range(0, some, max(together, 1)):
                        at, source = (m + row) * y_row, stage + (m // dh * classes + row) * columns * pixel
                        output.finish_run(
                            after, False, peek(plan, FINISH), peek(plan, SLOPE), peek(plan, TRANSPOSE), item, lines,
                            source, pixel, item, to + at, y_pixel, y_channel, beside + at if beside != 0 else 0,
                            0, valid, together * columns,
                        )  # fmt: skip


@native("winograd", 4)
def winograd(plan, call, scratch, task):
    """One block of windows of one group, for some panels of output channels."""
    channel_block = task % peek(plan, CHANNEL_BLOCKS)
    block = task // peek(plan, CHANNEL_BLOCKS)
    tr0, tc0, trs, tcs, a0, classes, above = block_at(plan, block)
    g, n = above % peek(plan, GROUPS), above // peek(plan, GROUPS) * peek(plan, IMAGES_A_BLOCK)
    images = min(peek(plan, IMAGES_A_BLOCK), peek(plan, IMAGES) - n)
    high, wide, lanes = peek(plan, MH) * peek(plan, DH), peek(plan, MW) * peek(plan, DW), peek(plan, LANES)
    oh0, ow0, each = tr0 * high + a0, tc0 * wide, trs * tcs * classes * peek(plan, COLUMN_CLASSES)
    tiles = images * each
    rows, columns = peek(plan, OH) - oh0, min(tcs * wide, peek(plan, OW) - ow0)
    if rows <= 0:
        return  # the last windows may lack some row classes
    matrix = peek(plan, STATE) != 0
    if matrix:
        invoke(peek(plan, STATE), (1,))
    # Blocks of channels follow one another over the same windows.
    if peek(scratch, 0) != block:
        x = peek(call, X) + n * peek(plan, X_N) + g * peek(plan, X_G)
        strip, v, v_tile = scratch + STRIP, scratch + peek(plan, V_AT), lanes * peek(plan, ITEM)
        for image in range(images):
            at, channels = x + image * peek(plan, X_N), peek(plan, CHANNELS)
            if matrix:
                transform_pairs(plan, at, channels, strip, scratch + peek(plan, LOW_AT), v, peek(plan, V_C),
                                image * each, tr0, tc0, trs, tcs, a0, classes)  # fmt: skip
            else:
                transform_block(plan, at, channels, strip, v + image * each * v_tile, v_tile, peek(plan, V_C),
                                tr0, tc0, trs, tcs, a0, classes)  # fmt: skip
        poke(scratch, 0, block)

    item, y_channel, channels = peek(plan, ITEM), peek(plan, Y_CHANNEL), peek(plan, CHANNELS)
    v, z, pixel = scratch + peek(plan, V_AT), scratch + peek(plan, Z_AT), lanes * item
    place = n * peek(plan, Y_N) + g * peek(plan, Y_G) + oh0 * peek(plan, Y_ROW) + ow0 * peek(plan, Y_PIXEL)
    panel0, raw, together = channel_block * peek(plan, PANELS_A_BLOCK), peek(plan, RAW), peek(plan, U_CHANNELS)
    for panel in range(panel0, min(panel0 + peek(plan, PANELS_A_BLOCK), peek(plan, PANELS))):
        start = tile_start(panel, peek(plan, PANEL_BASE), peek(plan, PANEL_LARGER))
        width = peek(plan, PANEL_BASE) + (1 if panel < peek(plan, PANEL_LARGER) else 0)
        u = peek(call, W) + g * peek(plan, U_G) + panel * peek(plan, U_PANEL)
        u_block = block_bytes(together) if matrix else 0
        u_xi = between_products((width + 1) // 2 * u_block if matrix else together * width * pixel)
        z_xi = between_products((-(-tiles // ROWS) * ROWS if matrix else tiles) * width * pixel)
        for c0 in range(0, channels, together):
            end = min(c0 + together, channels)
            if raw != 0:
                u = scratch + peek(plan, U_AT)
                for c in range(c0, end, peek(raw, P_BLOCK)):
                    to = u + ((c - c0) // STEP * STEP_BYTES if matrix else (c - c0) * width * pixel)
                    taps_of = scratch + peek(plan, TAPS_AT)
                    transform_weights(raw, peek(call, W), to, u_xi, u_block, taps_of, g, start, width, c)
            if matrix:
                multiply_blocks(plan, v, u, u_xi, u_block, z, z_xi, tiles, width, c0, end)
            else:
                multiply(plan, v, u, u_xi, z, z_xi, tiles, width, c0, end)
        k, bias, residual = start * lanes, peek(call, BIAS), peek(call, RESIDUAL)
        bias = bias + (g * peek(plan, OUTPUTS) + k) * item if bias != 0 else 0
        for image in range(images):
            there = place + image * peek(plan, Y_N) + k * y_channel
            sums = z + image * each * width * pixel
            write_block(plan, scratch, sums, z_xi, start, width, peek(call, Y) + there, bias,
                        residual + there if residual != 0 else 0, trs, tcs, classes, rows, columns)  # fmt: skip
    if matrix:
        invoke(peek(plan, STATE), (0,))
