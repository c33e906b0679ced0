"""The loops around the register tile, for every dense convolution: tasks, chunks of the reduction, tiles.

A task is one (image, group, block of output pixels, block of output channels). It packs the strips of input that its
pixels need (or reads x in place), runs the tiles over each chunk of the reduction, and finishes what the tiles
could not: a transpose, a narrow output type, an activation that needs a polynomial.

Everything is an address or a size: the plan is an array of integers, laid out by the names below.
"""

from __future__ import annotations

from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native

# The plan of a nest. Steps and pitches are in bytes.
(
    GROUPS, PIXEL_BLOCKS, CHANNEL_BLOCKS,           # tasks, besides images
    CHANNELS, CHUNK, TAPS, CHUNKS,                  # reduction: channels of a group, of a chunk; taps of the kernel
    COLUMN_BLOCKS, BLOCK_ROWS, BLOCK_COLUMNS, OH, OW,   # a block of output pixels
    PIXELS_ARE_LANES, LANES, ITEM,
    ROW_MOST, VECTOR_MOST, CHANNEL_TILES, TILES_A_BLOCK,    # tiles; channels are cut for all blocks at once
    GROUP_CHANNELS, KERNELS, LANES_OUTER,
    TABLE, PITCH,
    PACK, PACK_PLAN, STRIPS_AT, STRIP_CHUNK, STRIP_BYTES,   # PACK = 0: x is read in place
    X_N, X_G, X_C, X_ROW, X_PIXEL,                  # steps in place; X_PIXEL also from pixel to pixel of a strip
    W_G, W_CHUNK_CHANNEL, W_TILE_CHANNEL,           # W_TILE_CHANNEL = 0: packed, a tile's channels step by its depth
    Y_N, Y_G, Y_PIXEL, Y_CHANNEL, Y_ITEM,
    R_N, R_G, R_PIXEL, R_CHANNEL,
    ACTIVATION, SLOPE,
    STAGED, STAGE_PIXEL, STAGE_CHANNEL, STAGE_BYTES,    # tiles go to scratch, not to y
    AFTER, FINISH, TRANSPOSE,
    NEST_FIELDS,
) = range(56)  # fmt: skip

# AFTER: what remains once a task's tiles are done.
NOTHING, FINISH_LINES, TRANSPOSE_ONLY, TRANSPOSE_FINISH = range(4)
VECTORS_TABLED = 9  # the kernel table has rows of 2 * 9 addresses: 0 to 8 vectors, whole or with a masked tail
# The arrays of one call, as the launcher lays them out.
X, W, BIAS, RESIDUAL, Y = range(5)


@helper
def tile_start(index, base, larger):
    """Where part `index` of a split starts."""
    return index * base + min(index, larger)


@helper
def run_tiles(plan, depth, table, x, w, w_channel, y, y_pixel, y_channel, first, bias, residual, act,
              tile0, tile1, pixels):  # fmt: skip
    """All tiles of one task over one chunk: channel tiles tile0..tile1, `pixels` output pixels."""
    lanes, item = peek(plan, LANES), peek(plan, ITEM)
    most_rows, most_vectors = peek(plan, ROW_MOST), peek(plan, VECTOR_MOST)
    channels, kernels, pitch = peek(plan, GROUP_CHANNELS), peek(plan, KERNELS), peek(plan, PITCH)
    x_pixel, r_pixel, r_channel = peek(plan, X_PIXEL), peek(plan, R_PIXEL), peek(plan, R_CHANNEL)
    along_pixels = peek(plan, PIXELS_ARE_LANES) != 0
    if along_pixels:
        vectors = (pixels + lanes - 1) // lanes
        row_extent, vector_extent = channels, vectors
    else:
        vectors = (channels + lanes - 1) // lanes
        row_extent, vector_extent = pixels, vectors
    row_parts = (row_extent + most_rows - 1) // most_rows
    row_base, row_larger = row_extent // row_parts, row_extent % row_parts
    vector_parts = (vector_extent + most_vectors - 1) // most_vectors
    vector_base, vector_larger = vector_extent // vector_parts, vector_extent % vector_parts
    if along_pixels:
        row_from, row_to, vector_from, vector_to = tile0, tile1, 0, vector_parts
    else:
        row_from, row_to, vector_from, vector_to = 0, row_parts, tile0, tile1
    lanes_outer = peek(plan, LANES_OUTER) != 0
    outer_from, outer_to = (vector_from, vector_to) if lanes_outer else (row_from, row_to)
    inner_from, inner_to = (row_from, row_to) if lanes_outer else (vector_from, vector_to)
    for outer in range(outer_from, outer_to):
        for inner in range(inner_from, inner_to):
            i, j = (inner, outer) if lanes_outer else (outer, inner)
            row = tile_start(i, row_base, row_larger)
            rows = tile_start(i + 1, row_base, row_larger) - row
            vector = tile_start(j, vector_base, vector_larger)
            width = tile_start(j + 1, vector_base, vector_larger) - vector
            lane = vector * lanes
            lane_extent = pixels if along_pixels else channels
            last = min(lane_extent - lane - (width - 1) * lanes, lanes)
            p, k = (lane, row) if along_pixels else (row, lane)
            kernel = peek(kernels, (rows * VECTORS_TABLED + width) * 2 + (1 if last < lanes else 0))
            y_pitch, r_pitch = (y_channel, r_channel) if along_pixels else (y_pixel, r_pixel)
            invoke(
                kernel,
                (
                    depth, x + p * x_pixel, table, w + k * w_channel, pitch,
                    y + p * y_pixel + k * y_channel, y_pitch, first,
                    bias + k * item if bias != 0 else 0,
                    residual + p * r_pixel + k * r_channel if residual != 0 else 0, r_pitch, act, last,
                ),
            )  # fmt: skip


@helper
def finish_task(plan, after, scratch, source, source_pixel, source_channel, y, residual, k0, k1, pixels):
    """Bring a task's sums from `source` to y: transpose, residual, activation, narrowing."""
    y_pixel, y_channel = peek(plan, Y_PIXEL), peek(plan, Y_CHANNEL)
    r_pixel, r_channel = peek(plan, R_PIXEL), peek(plan, R_CHANNEL)
    finish, slope = peek(plan, FINISH), peek(plan, SLOPE)
    if after == TRANSPOSE_ONLY:
        invoke(peek(plan, TRANSPOSE),
               (source + k0 * source_channel, source_pixel, y + k0 * y_channel, y_channel, pixels, k1 - k0))  # fmt: skip
    elif after == TRANSPOSE_FINISH:
        pitch = pixels * peek(plan, ITEM)
        for k in range(k0, k1, 16):
            some = min(16, k1 - k)
            invoke(peek(plan, TRANSPOSE),
                   (source + k * source_channel, source_pixel, scratch, pitch, pixels, some))  # fmt: skip
            for i in range(some):
                invoke(finish, (scratch + i * pitch, y + (k + i) * y_channel,
                                residual + (k + i) * r_channel if residual != 0 else 0, pixels, slope))  # fmt: skip
    elif peek(plan, PIXELS_ARE_LANES) != 0:
        for k in range(k0, k1):
            invoke(finish, (source + k * source_channel, y + k * y_channel,
                            residual + k * r_channel if residual != 0 else 0, pixels, slope))  # fmt: skip
    else:
        for p in range(pixels):
            invoke(finish, (source + p * source_pixel + k0 * source_channel, y + p * y_pixel + k0 * y_channel,
                            residual + p * r_pixel + k0 * r_channel if residual != 0 else 0,
                            k1 - k0, slope))  # fmt: skip


@native("nest", 4)
def nest(plan, call, scratch, task):
    """One task of a dense convolution.

    `scratch` holds the number of the pixel block whose strips it holds (-1 when a worker starts), the strips, the
    stage, and room for a few finished lines.
    """
    channel_blocks, pixel_blocks = peek(plan, CHANNEL_BLOCKS), peek(plan, PIXEL_BLOCKS)
    channel_block = task % channel_blocks
    task //= channel_blocks
    block = task
    packed = peek(scratch, 0) == block
    pixel_block = task % pixel_blocks
    task //= pixel_blocks
    g, n = task % peek(plan, GROUPS), task // peek(plan, GROUPS)

    column_blocks, ow = peek(plan, COLUMN_BLOCKS), peek(plan, OW)
    oh0 = pixel_block // column_blocks * peek(plan, BLOCK_ROWS)
    ow0 = pixel_block % column_blocks * peek(plan, BLOCK_COLUMNS)
    height = min(peek(plan, BLOCK_ROWS), peek(plan, OH) - oh0)
    width = min(peek(plan, BLOCK_COLUMNS), ow - ow0)
    pixels, start = height * width, oh0 * ow + ow0

    tile0 = channel_block * peek(plan, TILES_A_BLOCK)
    tile1 = min(tile0 + peek(plan, TILES_A_BLOCK), peek(plan, CHANNEL_TILES))
    item, group_channels, lanes = peek(plan, ITEM), peek(plan, GROUP_CHANNELS), peek(plan, LANES)
    if peek(plan, PIXELS_ARE_LANES) != 0:
        extent, unit = group_channels, 1
    else:
        extent, unit = (group_channels + lanes - 1) // lanes, lanes
    tiles = peek(plan, CHANNEL_TILES)
    k0 = tile_start(tile0, extent // tiles, extent % tiles) * unit
    k1 = min(tile_start(tile1, extent // tiles, extent % tiles) * unit, group_channels)

    y = peek(call, Y) + n * peek(plan, Y_N) + g * peek(plan, Y_G) + start * peek(plan, Y_PIXEL)
    residual = peek(call, RESIDUAL)
    if residual != 0:
        residual += n * peek(plan, R_N) + g * peek(plan, R_G) + start * peek(plan, R_PIXEL)
    bias = peek(call, BIAS)
    if bias != 0:
        bias += g * group_channels * item
    stage = scratch + peek(plan, STRIP_BYTES)
    staged = peek(plan, STAGED) != 0
    if staged:
        sums, sums_pixel, sums_channel = stage, peek(plan, STAGE_PIXEL), peek(plan, STAGE_CHANNEL)
        sums -= k0 * sums_channel
    else:
        sums, sums_pixel, sums_channel = y, peek(plan, Y_PIXEL), peek(plan, Y_CHANNEL)

    channels, chunk, taps = peek(plan, CHANNELS), peek(plan, CHUNK), peek(plan, TAPS)
    x = peek(call, X) + n * peek(plan, X_N) + g * peek(plan, X_G)
    w = peek(call, W) + g * peek(plan, W_G)
    pack = peek(plan, PACK)
    after = peek(plan, AFTER)
    for c0 in range(0, channels, chunk):
        some = min(chunk, channels - c0)
        depth, last = some * taps, c0 + some == channels
        if pack != 0:
            strips = scratch + peek(plan, STRIPS_AT) + c0 // chunk * peek(plan, STRIP_CHUNK)
            if not packed:
                invoke(pack, (peek(plan, PACK_PLAN), x + c0 * peek(plan, X_C), strips, scratch + 64, some, oh0, ow0,
                              width))  # fmt: skip
        else:
            strips = x + c0 * peek(plan, X_C) + oh0 * peek(plan, X_ROW) + ow0 * peek(plan, X_PIXEL)
        w_channel = peek(plan, W_TILE_CHANNEL)
        if w_channel == 0:
            w_channel = depth * item
        run_tiles(
            plan, depth, peek(plan, TABLE), strips, w + c0 * peek(plan, W_CHUNK_CHANNEL), w_channel,
            sums, sums_pixel, sums_channel, 1 if c0 == 0 else 0,
            bias if last else 0, residual if last and not staged else 0,
            peek(plan, ACTIVATION) if last else 0, tile0, tile1, pixels,
        )  # fmt: skip
    # Blocks of channels follow one another over the same pixels: keep the strips if all chunks have room of their own.
    if peek(plan, STRIP_CHUNK) > 0 or chunk == channels:
        poke(scratch, 0, block)
    if after != NOTHING:
        finish_task(plan, after, stage + peek(plan, STAGE_BYTES), sums, sums_pixel, sums_channel, y,
                    residual if staged else 0, k0, k1, pixels)  # fmt: skip
