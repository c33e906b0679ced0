"""The loops around the register tile, for every dense convolution: tasks, chunks of the reduction, tiles.

A task is one (image, group, block of output pixels, block of output channels). It packs the strips of input that its
pixels need (or reads x in place), runs the tiles over each chunk of the reduction, and finishes what the tiles
could not: a transpose, a narrow output type, an activation that needs a polynomial.

Everything is an address or a size: the plan is an array of integers, laid out by the names below.
"""

from __future__ import annotations

from fastconv.algorithm.output import HANDED, NOTHING, finish_run
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native

# The plan of a nest. Steps and pitches are in bytes. A block of output pixels is some rows by some columns; each row
# of it is a run of pixels that are evenly spaced in the (packed) input. Where rows follow one another at the same
# distance the plan calls the whole plane one row.
(
    GROUPS, CHANNEL_BLOCKS, CHANNELS_OUTER,         # tasks; blocks of pixels, if those of channels are the outer ones
    ROW_BLOCKS, RUNS, COLUMN_BLOCKS, RUN, RUN_UNITS, RUN_UNIT,    # a block has whole units of a run, but for its end
    CHANNELS, CHUNK, R, CHUNK_R, S, CHUNK_S, CHUNKS,    # reduction: channels of a group, of a chunk; taps
    SUM_PART,                                       # products that are added up before the rest, see `sum_part`
    PIXELS_ARE_LANES, LANES, ITEM, JOINED,              # JOINED: the runs of a block are one for its tiles
    ROW_MOST, VECTOR_MOST, CHANNEL_TILES, TILES_A_BLOCK,    # tiles; channels are cut for all blocks at once,
    UNIT,                                               # in units of so many
    GROUP_CHANNELS, KERNELS, LANES_OUTER,
    TABLE, PITCH, AHEAD, AHEAD_STEP,                        # AHEAD = 0: tiles ask for what TABLE says
    PACK, PACK_PLAN, STRIPS_AT, STRIP_CHUNK, STRIP_BYTES,   # PACK = 0: x is read in place
    OH_START, OW_START,                             # where the plan's part of the output starts
    STRIDE_H, STRIDE_W, TOP, LEFT, DH, DW,
    X_N, X_G, X_C, X_ROW, X_COLUMN,                 # steps in place
    X_RUN, X_PIXEL,                                 # steps of the runs, in place or packed
    W_G, W_PRODUCT, W_TILE_CHANNEL,                 # W_TILE_CHANNEL = 0: packed, a tile's channels step by its depth
    W_PACK, X_PACK, BLOCK_TILES, PANEL_AT,          # panels, of weights or pixels, are packed just before their use
    W_LINES,                                        # where a product's weights lie, if they are another convolution's
    PIECE, W_CHUNK,                                 # of matrix tiles: taps of a piece of x; a chunk's weights
    W_TURN,                                         # from product to product of weights that W_PACK turns for a tile
    STATE,                                          # their kernel that takes and gives back registers
    Y_N, Y_G, Y_RUN, Y_PIXEL, Y_CHANNEL,
    ACTIVATION, SLOPE,
    STAGED, STAGE_PIXEL, STAGE_CHANNEL, STAGE_BYTES,    # tiles go to scratch, not to y
    AFTER, FINISH, TRANSPOSE,
    NEST_FIELDS,
) = range(80)  # fmt: skip

VECTORS_TABLED = 9  # the kernel table has rows of 2 * 9 addresses: 0 to 8 vectors, whole or with a masked tail
# The arrays of one call, as the launcher lays them out.
X, W, BIAS, RESIDUAL, Y = range(5)


@helper
def tile_start(index, base, larger):
    """Where part `index` of a split starts."""
    return index * base + min(index, larger)


@helper
def block_start(index, blocks, extent):
    """Where block `index` starts. Larger and smaller blocks take turns, so that a range of blocks is as large as any
    other of as many: 512 to 1024 channels 1x1 of stride 2 on 28x28, two threads, 1.13 times as fast."""
    return (index * extent + blocks - 1) // blocks


@helper
def alike(index, stop, larger):
    """How many parts of a split are of one size, from `index` on and before `stop`."""
    return (min(larger, stop) if index < larger else stop) - index


@helper
def place_of(plan, block):
    """A block's image and group, and its place among the blocks of rows and of columns."""
    column_block = block % peek(plan, COLUMN_BLOCKS)
    above = block // peek(plan, COLUMN_BLOCKS)
    row_block, above = above % peek(plan, ROW_BLOCKS), above // peek(plan, ROW_BLOCKS)
    return above // peek(plan, GROUPS), above % peek(plan, GROUPS), row_block, column_block


@helper
def corner_of(plan, row_block, column_block):
    """A block's first output row and column."""
    column = block_start(column_block, peek(plan, COLUMN_BLOCKS), peek(plan, RUN_UNITS)) * peek(plan, RUN_UNIT)
    return (
        peek(plan, OH_START) + block_start(row_block, peek(plan, ROW_BLOCKS), peek(plan, RUNS)),
        peek(plan, OW_START) + min(column, peek(plan, RUN)),
    )


@helper
def run_tiles(plan, depth, some, x, w, w_channel, y, y_run, y_pixel, y_channel, first, bias, residual, act,
              tile0, tile1, runs, run, panel, x_after):  # fmt: skip
    """All tiles of one task over one chunk, `depth` products of `some` input channels: channel tiles tile0..tile1,
    `runs` runs of `run` output pixels.

    `x_after` is where the pixels start that this worker packs next.
    """
    lanes, item, table = peek(plan, LANES), peek(plan, ITEM), peek(plan, TABLE)
    channels, kernels, pitch = peek(plan, GROUP_CHANNELS), peek(plan, KERNELS), peek(plan, PITCH)
    x_run, x_pixel = peek(plan, X_RUN), peek(plan, X_PIXEL)
    r_run, r_pixel, r_channel = peek(plan, Y_RUN), peek(plan, Y_PIXEL), peek(plan, Y_CHANNEL)
    along_pixels = peek(plan, PIXELS_ARE_LANES) != 0
    row_extent, lane_extent = (channels, run) if along_pixels else (run, channels)
    vector_extent = (lane_extent + lanes - 1) // lanes
    row_parts = (row_extent + peek(plan, ROW_MOST) - 1) // peek(plan, ROW_MOST)
    row_base, row_larger = row_extent // row_parts, row_extent % row_parts
    vector_parts = (vector_extent + peek(plan, VECTOR_MOST) - 1) // peek(plan, VECTOR_MOST)
    vector_base, vector_larger = vector_extent // vector_parts, vector_extent % vector_parts
    pixel_parts = vector_parts if along_pixels else row_parts
    y_pitch, r_pitch = (y_channel, r_channel) if along_pixels else (y_pixel, r_pixel)
    # Tiles turn over pixels inside channels, or the other way round: a span of 1 for the loop that is not there.
    pixels_outer = (peek(plan, LANES_OUTER) != 0) == along_pixels
    outer_tiles, inner_tiles = (1, tile1 - tile0) if pixels_outer else (tile1 - tile0, 1)
    w_pack, w_lines, x_pack = peek(plan, W_PACK), peek(plan, W_LINES), peek(plan, X_PACK)
    block_tiles = peek(plan, BLOCK_TILES) if pixels_outer else pixel_parts
    sum_part, asked, ahead_step = peek(plan, SUM_PART), peek(plan, AHEAD), peek(plan, AHEAD_STEP)
    ahead_most = max(0, depth * peek(plan, X_C) - ahead_step)
    x_panel = depth * peek(plan, VECTOR_MOST) * lanes * item
    for outer in range(outer_tiles):
        if w_pack != 0:
            start = tile_start(tile0 + outer, vector_base, vector_larger) * lanes
            width = vector_base + (1 if tile0 + outer < vector_larger else 0)
            source, held = w + start * w_channel, min(width * lanes, channels - start)
            if w_lines != 0:
                invoke(w_pack, (source, w_lines, depth, panel, width, held))
            else:
                invoke(w_pack, (source, w_channel, panel, width * lanes * item, held, depth))
        for line in range(runs):
            x_line, y_line, r_line = x + line * x_run, y + line * y_run, residual + line * r_run
            for part0 in range(0, pixel_parts, block_tiles):
                part1 = min(part0 + block_tiles, pixel_parts)
                if x_pack != 0:
                    for part in range(part0, part1):
                        p = tile_start(part, vector_base, vector_larger) * lanes
                        width = vector_base + (1 if part < vector_larger else 0)
                        invoke(x_pack, (x_line + p * x_pixel, table, depth, panel + (part - part0) * x_panel, width,
                                        min(run - p, width * lanes)))  # fmt: skip
                # A rectangle of tiles; those of one size that follow one another are one call of a kernel.
                i0, i1, j0, j1 = tile0 + outer, tile0 + outer + inner_tiles, part0, part1
                if not along_pixels:
                    i0, i1, j0, j1 = j0, j1, i0, i1
                across = j1 - j0 > 1
                i, j = i0, j0
                while i < i1:
                    row, rows = tile_start(i, row_base, row_larger), row_base + (1 if i < row_larger else 0)
                    lane = tile_start(j, vector_base, vector_larger) * lanes
                    width = vector_base + (1 if j < vector_larger else 0)
                    last = min(lane_extent - lane - (width - 1) * lanes, lanes)
                    p, k = (lane, row) if along_pixels else (row, lane)
                    kernel = peek(kernels, (rows * VECTORS_TABLED + width) * 2 + (1 if last < lanes else 0))
                    pixels, outputs = 0, rows  # from tile to tile
                    if across:
                        tiles = alike(j, j1, vector_larger)
                        if tiles > 1 and j + tiles == vector_parts and lane_extent % lanes != 0:
                            tiles -= 1
                        pixels, outputs = width * lanes, 0
                    else:
                        tiles = alike(i, i1, row_larger)
                        if not along_pixels:
                            pixels, outputs = rows, 0
                    # Each step of a tile fetches a line of the next pixels. Those of 1x1 kernels come plane by plane,
                    # some planes a tile, in the order that the processor's own prefetcher follows. Else it is the last
                    # of them, or with pixels in the lanes one of a vector: a pixel's tiles share this.
                    source, lines, x_step = x_line + p * x_pixel, table, pixels * x_pixel
                    if asked != 0:
                        lines, ahead = asked, x_after
                        if part1 < pixel_parts:
                            ahead = x_line + tile_start(part1, vector_base, vector_larger) * lanes * x_pixel
                        elif line < runs - 1:
                            ahead = x_line + x_run
                        planes = ((i - i0) * (j1 - j0) + j - j0) * ahead_step
                        ahead, further = ahead + min(planes, ahead_most), 0
                        if planes < ahead_most:
                            tiles, further = min(tiles, (ahead_most - planes) // ahead_step + 1), ahead_step
                    elif along_pixels:
                        ahead, further = source + min(i, width - 1) * lanes * x_pixel, x_step
                        if part1 < pixel_parts:
                            ahead += block_tiles * width * lanes * x_pixel
                        if x_pack != 0 and not across:
                            tiles = 1
                    else:
                        ahead, further = source + (2 * rows - 1) * x_pixel, x_step
                    if x_pack != 0:
                        source, x_step = panel + (j - j0) * x_panel, x_panel if across else 0
                    invoke(
                        kernel,
                        (
                            depth, source, lines, panel if w_pack != 0 else w + k * w_channel, pitch,
                            y_line + p * y_pixel + k * y_channel, y_pitch, first,
                            bias + k * item if bias != 0 else 0,
                            r_line + p * r_pixel + k * r_channel if residual != 0 else 0, r_pitch, act, last,
                            sum_part, ahead, tiles, x_step, outputs * w_channel,
                            pixels * y_pixel + outputs * y_channel, outputs * item if bias != 0 else 0,
                            pixels * r_pixel + outputs * r_channel if residual != 0 else 0, further,
                        ),
                    )  # fmt: skip
                    if across:
                        j += tiles
                    else:
                        i += tiles
                    if j == j1:
                        i, j = i + 1, j0


@helper
def dense_task(plan, call, scratch, task, run_chunk):
    """One task of a dense convolution, whose tiles go over a chunk as `run_chunk` says (`run_tiles`, for one).

    `scratch` holds the number of the pixel block whose strips it holds (-1 when a worker starts), the strips, the
    stage, and room for a few finished lines.
    """
    channel_block, block = task % peek(plan, CHANNEL_BLOCKS), task // peek(plan, CHANNEL_BLOCKS)
    if peek(plan, CHANNELS_OUTER) != 0:
        channel_block, block = task // peek(plan, CHANNELS_OUTER), task % peek(plan, CHANNELS_OUTER)
    n, g, row_block, column_block = place_of(plan, block)
    oh0, ow0 = corner_of(plan, row_block, column_block)
    oh1, ow1 = corner_of(plan, row_block + 1, column_block + 1)
    runs, run = oh1 - oh0, ow1 - ow0

    tile0 = channel_block * peek(plan, TILES_A_BLOCK)
    tile1 = min(tile0 + peek(plan, TILES_A_BLOCK), peek(plan, CHANNEL_TILES))
    item, group_channels, unit = peek(plan, ITEM), peek(plan, GROUP_CHANNELS), peek(plan, UNIT)
    extent, tiles = (group_channels + unit - 1) // unit, peek(plan, CHANNEL_TILES)
    k0 = tile_start(tile0, extent // tiles, extent % tiles) * unit
    k1 = min(tile_start(tile1, extent // tiles, extent % tiles) * unit, group_channels)

    y_run, y_pixel, y_channel = peek(plan, Y_RUN), peek(plan, Y_PIXEL), peek(plan, Y_CHANNEL)
    place = n * peek(plan, Y_N) + g * peek(plan, Y_G) + oh0 * y_run + ow0 * y_pixel
    y = peek(call, Y) + place
    residual = peek(call, RESIDUAL) + place if peek(call, RESIDUAL) != 0 else 0
    bias = peek(call, BIAS) + g * group_channels * item if peek(call, BIAS) != 0 else 0
    staged = peek(plan, STAGED) != 0
    # A residual that is y itself is where its sum starts: the first of several chunks would overwrite it.
    adds = residual == y and not staged
    sums, sums_run, sums_pixel, sums_channel = y, y_run, y_pixel, y_channel
    if staged:
        sums_pixel, sums_channel = peek(plan, STAGE_PIXEL), peek(plan, STAGE_CHANNEL)
        sums_run = run * sums_pixel
        sums = scratch + peek(plan, STRIP_BYTES) - k0 * sums_channel

    if peek(plan, JOINED) != 0:
        runs, run = 1, runs * run
    top, left = oh0 * peek(plan, STRIDE_H) - peek(plan, TOP), ow0 * peek(plan, STRIDE_W) - peek(plan, LEFT)
    x = peek(call, X) + n * peek(plan, X_N) + g * peek(plan, X_G)
    w = peek(call, W) + g * peek(plan, W_G)
    pack, packed = peek(plan, PACK), peek(scratch, 0) == block
    channels, r, s = peek(plan, CHANNELS), peek(plan, R), peek(plan, S)
    chunk_c, chunk_r, chunk_s = peek(plan, CHUNK), peek(plan, CHUNK_R), peek(plan, CHUNK_S)
    chunks, c0, r0, s0 = peek(plan, CHUNKS), 0, 0, 0
    x_later = 0
    if peek(plan, AHEAD) != 0:
        n, g, row_block, column_block = place_of(plan, block + 1)
        oh1, ow1 = corner_of(plan, row_block, column_block)
        x_later = peek(call, X) + n * peek(plan, X_N) + g * peek(plan, X_G)
        x_later += oh1 * peek(plan, STRIDE_H) * peek(plan, X_ROW) + ow1 * peek(plan, STRIDE_W) * peek(plan, X_COLUMN)
    for index in range(chunks):
        some, last = min(chunk_c, channels - c0), index == chunks - 1
        depth = some * min(chunk_r, r - r0) * min(chunk_s, s - s0)
        source = x + c0 * peek(plan, X_C)
        above, before = top + r0 * peek(plan, DH), left + s0 * peek(plan, DW)
        if pack != 0:
            strips = scratch + peek(plan, STRIPS_AT) + index * peek(plan, STRIP_CHUNK)
            if not packed:
                invoke(pack, (peek(plan, PACK_PLAN), source, strips, scratch + 64, some, above, before))
            source = strips
        else:
            source += above * peek(plan, X_ROW) + before * peek(plan, X_COLUMN)
        w_channel, w_chunk = peek(plan, W_TILE_CHANNEL), peek(plan, W_CHUNK)
        run_chunk(
            plan, depth, some, source,
            w + (index * w_chunk if w_chunk != 0 else ((c0 * r + r0) * s + s0) * peek(plan, W_PRODUCT)),
            w_channel if w_channel != 0 else depth * item,
            sums, sums_run, sums_pixel, sums_channel, 1 if index == 0 and not adds else 0,
            bias if last else 0, residual if last and not staged and not adds else 0,
            peek(plan, ACTIVATION) if last else 0, tile0, tile1, runs, run, scratch + peek(plan, PANEL_AT),
            x_later if last else x + (c0 + some) * peek(plan, X_C) + oh0 * peek(plan, STRIDE_H) * peek(plan, X_ROW)
            + ow0 * peek(plan, STRIDE_W) * peek(plan, X_COLUMN),
        )  # fmt: skip
        s0 += chunk_s
        if s0 >= s:
            s0, r0 = 0, r0 + chunk_r
        if r0 >= r:
            r0, c0 = 0, c0 + chunk_c
    # Blocks of channels follow one another over the same pixels: keep the strips if all chunks have room of their own.
    if peek(plan, STRIP_CHUNK) > 0 or chunks == 1:
        poke(scratch, 0, block)
    after = peek(plan, AFTER)
    if after == HANDED:
        invoke(peek(plan, FINISH), (peek(plan, TRANSPOSE), sums, sums_channel, y, k0, k1, ow0, runs * run))
    elif after != NOTHING:
        lines = scratch + peek(plan, STRIP_BYTES) + peek(plan, STAGE_BYTES)
        for i in range(runs):
            finish_run(
                after, peek(plan, PIXELS_ARE_LANES) != 0, peek(plan, FINISH), peek(plan, SLOPE), peek(plan, TRANSPOSE),
                item, lines, sums + i * sums_run, sums_pixel, sums_channel, y + i * y_run, y_pixel, y_channel,
                residual + i * y_run if staged and residual != 0 else 0, k0, k1, run,
            )  # fmt: skip


@native("nest", 4)
def nest(plan, call, scratch, task):
    """One task whose tiles are registers of vectors."""
    dense_task(plan, call, scratch, task, run_tiles)
