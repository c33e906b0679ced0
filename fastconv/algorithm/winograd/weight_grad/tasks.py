"""The task of a weight gradient by Winograd's algorithm: the sums of some output and input channels over some blocks.

Every tile of dy is a filter of mh x mw taps for the same tile of x: transformed, they are multiplied point by point.
The products are added up over tiles, images and blocks first; only the sums z are transformed back, once. So for each
point xi there is one matrix product, of output channels by input channels, along tiles:

    v   [xi][panel of input channels][tile][lane]   transformed x; a panel is as wide as a register tile
    d   [xi][tile][output channel]                  transformed dy
    z   [xi][panel of input channels][output channel][lane]; at stride 2 some products share their sum
    dw  [vector of input channels][output channel][tap][lane]

Where there are few channels, segments of the blocks are tasks of their own, and a second launch adds up their dw.
"""

from __future__ import annotations

from fastconv.algorithm.nest import VECTORS_TABLED, alike, tile_start
from fastconv.algorithm.winograd.tiles import COLUMN_CLASSES, ITEM, LANES, TILES_FIELDS, V_XI, block_at, transform_block
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native

# The plan, after the words of `tiles` for x; steps and pitches in bytes.
(
    DY,                                             # the words of `tiles` for dy
    SEGMENTS, BLOCKS_BASE, BLOCKS_LARGER,           # blocks of a segment
    IMAGE_BLOCKS, IMAGE_BASE, IMAGE_LARGER,         # images of a block
    GROUPS, CHANNELS, OUTPUTS, PRODUCTS, ORDER, TAPS,     # ORDER as that of the convolution
    C_BLOCKS, C_BASE, C_LARGER, K_BLOCKS, K_BASE, K_LARGER,     # in vectors
    X_N, X_C, DY_N, DY_C, ROW_MOST, VECTOR_MOST, TABLE, KERNELS,
    STRIP_AT, V_AT, D_AT, Z_AT, Z_XI, DW_AT,
    WGDW, DW_SEGMENT, DW_STORED, TRANSPOSE, FINISH, ACCUMULATE, SUM_OUTPUTS, LINES_AT,
    WEIGHT_GRAD_FIELDS,
) = range(TILES_FIELDS, TILES_FIELDS + 42)  # fmt: skip
X, W, BIAS, RESIDUAL, Y = range(5)
STRIP_STARTS = 64  # scratch starts with a word of the launcher's


@helper
def part_of(index, base, larger):
    """Start and size of a part of a split."""
    return tile_start(index, base, larger), base + (1 if index < larger else 0)


@helper
def panels_of(plan, vectors):
    """(how many, base, larger): the panels of so many vectors of input channels."""
    panels = (vectors + peek(plan, VECTOR_MOST) - 1) // peek(plan, VECTOR_MOST)
    return panels, vectors // panels, vectors % panels


@helper
def transform_images(plan, call, scratch, block, g, c0, c_vectors, k0, k_vectors):
    """Fill v and d with a block's tiles; how many there are."""
    lanes, dy_plan = peek(plan, LANES), peek(plan, DY)
    pixel, strip = lanes * peek(plan, ITEM), scratch + peek(plan, STRIP_AT)
    tr0, tc0, trs, tcs, a0, classes, image_block = block_at(plan, block)
    n0, images = part_of(image_block, peek(plan, IMAGE_BASE), peek(plan, IMAGE_LARGER))
    each = trs * tcs * classes * peek(plan, COLUMN_CLASSES)
    tiles, channels, outputs = images * each, peek(plan, CHANNELS), peek(plan, OUTPUTS)
    panels, base, larger = panels_of(plan, c_vectors)
    for i in range(images):
        x = peek(call, X) + (n0 + i) * peek(plan, X_N) + g * channels * peek(plan, X_C)
        for panel in range(panels):
            start, width = part_of(panel, base, larger)
            c, wide = c0 + start * lanes, width * pixel
            v = scratch + peek(plan, V_AT) + start * pixel * tiles + i * each * wide
            transform_block(plan, x + c * peek(plan, X_C), min(width * lanes, channels - c), strip, v, wide, pixel,
                            tr0, tc0, trs, tcs, a0, classes)  # fmt: skip
        dy = peek(call, W) + (n0 + i) * peek(plan, DY_N) + (g * outputs + k0) * peek(plan, DY_C)
        wide = k_vectors * pixel
        d = scratch + peek(plan, D_AT) + i * each * wide
        transform_block(dy_plan, dy, min(k_vectors * lanes, outputs - k0), strip, d, wide, pixel,
                        tr0, tc0, trs, tcs, a0, classes)  # fmt: skip
    return tiles


@helper
def multiply(plan, scratch, tiles, c_vectors, k_vectors, rows, first):
    """z (+)= d[xi]^T v[xi] for every product, `rows` output channels; products of the same weights have one sum."""
    item, kernels, most = peek(plan, ITEM), peek(plan, KERNELS), peek(plan, ROW_MOST)
    pixel = peek(plan, LANES) * item
    table = peek(peek(plan, TABLE), k_vectors)
    panels, base, larger = panels_of(plan, c_vectors)
    parts = (rows + most - 1) // most
    order, before = peek(plan, ORDER), -1
    for product in range(peek(plan, PRODUCTS)):
        xi, weights = peek(order, 2 * product), peek(order, 2 * product + 1)
        new = first if weights != before else 0
        d = scratch + peek(plan, D_AT) + xi * peek(peek(plan, DY), V_XI)
        v = scratch + peek(plan, V_AT) + xi * peek(plan, V_XI)
        z, before = scratch + peek(plan, Z_AT) + weights * peek(plan, Z_XI), weights
        for panel in range(panels):
            start, width = part_of(panel, base, larger)
            wide, sums = width * pixel, z + start * pixel * rows
            part, larger_parts = 0, rows % parts
            while part < parts:
                row, some = part_of(part, rows // parts, larger_parts)
                together = alike(part, parts, larger_parts)
                invoke(
                    peek(kernels, (some * VECTORS_TABLED + width) * 2),
                    (tiles, d + row * item, table, v + start * pixel * tiles, 0, sums + row * wide, wide, new,
                     0, 0, 0, 0, 0, 0, 0, together, some * item, 0, some * wide, 0, 0, 0),
                )  # fmt: skip
                part += together


@helper
def write_taps(plan, source, lines, dw, c0, valid, rows):
    """Write the gradients of `rows` output channels, `valid` input channels from c0 on, to dw, the first one's row."""
    taps, item, stored = peek(plan, TAPS), peek(plan, ITEM), peek(plan, DW_STORED)
    pixel = peek(plan, LANES) * item
    to = dw + c0 * taps * stored
    for _ in range(rows):
        if peek(plan, FINISH) == 0:
            invoke(peek(plan, TRANSPOSE), (source, pixel, to, taps * item, taps, valid))
        else:
            invoke(peek(plan, TRANSPOSE), (source, pixel, lines, taps * item, taps, valid))
            invoke(peek(plan, FINISH), (lines, to, 0, taps * valid, 0))
        source, to = source + taps * pixel, to + peek(plan, CHANNELS) * taps * stored


@native("winograd_weight_grad", 4)
def winograd_weight_grad(plan, call, scratch, task):
    """One segment's sums, of one block of output and one of input channels of one group, transformed back."""
    k_block, task = task % peek(plan, K_BLOCKS), task // peek(plan, K_BLOCKS)
    c_block, task = task % peek(plan, C_BLOCKS), task // peek(plan, C_BLOCKS)
    g, segment = task % peek(plan, GROUPS), task // peek(plan, GROUPS)
    lanes, channels, outputs, taps = peek(plan, LANES), peek(plan, CHANNELS), peek(plan, OUTPUTS), peek(plan, TAPS)
    pixel = lanes * peek(plan, ITEM)
    c_start, c_vectors = part_of(c_block, peek(plan, C_BASE), peek(plan, C_LARGER))
    k_start, k_vectors = part_of(k_block, peek(plan, K_BASE), peek(plan, K_LARGER))
    k0, rows = k_start * lanes, min(k_vectors * lanes, outputs - k_start * lanes)
    start, blocks = part_of(segment, peek(plan, BLOCKS_BASE), peek(plan, BLOCKS_LARGER))
    for block in range(start, start + blocks):
        tiles = transform_images(plan, call, scratch, block, g, c_start * lanes, c_vectors, k0, k_vectors)
        multiply(plan, scratch, tiles, c_vectors, k_vectors, rows, 1 if block == start else 0)
    panels, base, larger = panels_of(plan, c_vectors)
    for panel in range(panels):
        begin, width = part_of(panel, base, larger)
        for j in range(width):
            z = scratch + peek(plan, Z_AT) + begin * pixel * rows + j * pixel
            vector = c_start + begin + j
            whole = peek(plan, SEGMENTS) == 1
            dw = scratch + peek(plan, DW_AT)
            if not whole:
                vectors = (channels + lanes - 1) // lanes
                above = (g * vectors + vector) * outputs + k0
                dw = peek(call, RESIDUAL) + segment * peek(plan, DW_SEGMENT) + above * taps * pixel
            invoke(peek(plan, WGDW), (z, peek(plan, Z_XI), width * pixel, rows, dw, pixel, taps * pixel))
            if whole:
                to = peek(call, Y) + (g * outputs + k0) * channels * taps * peek(plan, DW_STORED)
                valid = min(lanes, channels - vector * lanes)
                write_taps(plan, dw, scratch + peek(plan, LINES_AT), to, vector * lanes, valid, rows)


@native("winograd_weight_grad_sum", 4)
def add_segments(plan, call, scratch, task):
    """Add up the segments of one vector of input channels, some output channels, and write them."""
    lanes, channels, outputs, taps = peek(plan, LANES), peek(plan, CHANNELS), peek(plan, OUTPUTS), peek(plan, TAPS)
    together, vectors = peek(plan, SUM_OUTPUTS), (channels + lanes - 1) // lanes
    parts = (outputs + together - 1) // together
    part, above = task % parts, task // parts
    k0, vector, g = part * together, above % vectors, above // vectors
    rows, size = min(together, outputs - k0), taps * lanes * peek(plan, ITEM)
    sums = peek(call, RESIDUAL) + (above * outputs + k0) * size
    for segment in range(1, peek(plan, SEGMENTS)):
        item = peek(plan, ITEM)
        invoke(peek(plan, ACCUMULATE), (sums + segment * peek(plan, DW_SEGMENT), item, sums, item, rows * taps * lanes))
    dw = peek(call, Y) + (g * outputs + k0) * channels * taps * peek(plan, DW_STORED)
    valid = min(lanes, channels - vector * lanes)
    write_taps(plan, sums, scratch + peek(plan, LINES_AT), dw, vector * lanes, valid, rows)
