"""The loops around matrix tiles: blocks of pixels are cut into panels of bfloat16 parts, and so are the weights.

Channels and pixels come in blocks of 32, two tiles of 16. Where lanes are pixels the weights are the left operand of
a product, else the pixels (`microkernels.amx`).
"""

from __future__ import annotations

from fastconv.algorithm import nest as n_
from fastconv.algorithm.nest import dense_task, tile_start
from fastconv.algorithm.weights import chunk_at
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.codegen.tiles import ROWS as TILE
from fastconv.microkernels.amxparts import BLOCK, STEP

PACKED = 128  # pixels whose lanes are packed at a time


@helper
def pack_lanes(plan, x, depth, panel, panel_bytes, pixels):
    """Panels of `pixels` pixels in a row, which become lanes."""
    for p in range(0, pixels, PACKED):
        held = min(PACKED, pixels - p)
        invoke(peek(plan, n_.X_PACK), (x + p * peek(plan, n_.X_PIXEL), peek(plan, n_.TABLE), depth,
                                       panel + p // BLOCK * panel_bytes, (held + TILE - 1) // TILE, held,
                                       panel_bytes))  # fmt: skip


@helper
def pack_rows(plan, x, depth, some, panel, panel_bytes, start, pixels, run):
    """Panels of `pixels` pixels from number `start` on of runs of `run`; they become rows."""
    length = some * peek(plan, n_.PIECE)
    done = 0
    while done < pixels:
        i, j, row = (start + done) // run, (start + done) % run, done % BLOCK
        count = min(run - j, pixels - done, BLOCK - row)
        source = x + i * peek(plan, n_.X_RUN) + j * peek(plan, n_.X_PIXEL)
        invoke(peek(plan, n_.X_PACK), (source, peek(plan, n_.X_PIXEL), peek(plan, n_.TABLE), depth // length, length,
                                       panel + done // BLOCK * panel_bytes, row, count))  # fmt: skip
        done += count


@helper
def run_blocks(plan, depth, some, x, w, w_channel, y, y_run, y_pixel, y_channel, first, bias, residual, act,
               tile0, tile1, runs, run, panel, x_after):  # fmt: skip
    """All blocks of one task over one chunk; see `nest.run_tiles`."""
    along_pixels = peek(plan, n_.PIXELS_ARE_LANES) != 0
    channels, kernels, item = peek(plan, n_.GROUP_CHANNELS), peek(plan, n_.KERNELS), peek(plan, n_.ITEM)
    r_run, r_pixel, r_channel = peek(plan, n_.Y_RUN), peek(plan, n_.Y_PIXEL), peek(plan, n_.Y_CHANNEL)
    y_pitch, r_pitch = (y_channel, r_channel) if along_pixels else (y_pixel, r_pixel)
    turn = peek(plan, n_.W_PACK)
    part_bytes = (depth + STEP - 1) // STEP * STEP * peek(plan, n_.W_PRODUCT)  # of a channel or pixel
    panel_bytes, block_tiles = part_bytes * BLOCK, peek(plan, n_.BLOCK_TILES)
    # Rows of pixels are taken apart by what packs them, so that blocks go on over their ends.
    lines, line_pixels = runs, run
    if not along_pixels and y_run == run * y_pixel and (residual == 0 or r_run == run * r_pixel):
        lines, line_pixels = 1, runs * run
    extent, tiles = (channels + TILE - 1) // TILE, peek(plan, n_.CHANNEL_TILES)
    base, larger = extent // tiles, extent % tiles
    for line in range(lines):
        x_line, y_line, r_line = x + line * peek(plan, n_.X_RUN), y + line * y_run, residual + line * r_run
        for p0 in range(0, line_pixels, block_tiles * BLOCK):
            p1 = min(p0 + block_tiles * BLOCK, line_pixels)
            if along_pixels:
                pack_lanes(plan, x_line + p0 * peek(plan, n_.X_PIXEL), depth, panel, panel_bytes, p1 - p0)
            else:
                pack_rows(plan, x_line, depth, some, panel, panel_bytes, p0, p1 - p0, run)
            for tile in range(tile0, tile1):
                k = tile_start(tile, base, larger) * TILE
                high = base + (1 if tile < larger else 0)
                outputs = min(high * TILE, channels - k)
                w_tile = w + k * part_bytes
                if turn != 0:
                    w_tile = panel + block_tiles * panel_bytes
                    invoke(turn, (w + k * item, peek(plan, n_.W_TURN), depth, w_tile, outputs))
                for p in range(p0, p1, BLOCK):
                    pixels = min(BLOCK, line_pixels - p)
                    wide = (pixels + TILE - 1) // TILE
                    x_tile = panel + (p - p0) // BLOCK * panel_bytes
                    next_x, next_w = x_tile + panel_bytes, w_tile
                    if p + BLOCK >= p1:
                        next_x, next_w = panel, w_tile + (part_bytes * BLOCK if turn == 0 else 0)
                    rows, last = (
                        (outputs, pixels - (wide - 1) * TILE) if along_pixels else (pixels, outputs - (high - 1) * TILE)
                    )
                    invoke(
                        peek(kernels, high * 3 + wide),
                        (
                            depth, x_tile, w_tile,
                            y_line + p * y_pixel + k * y_channel, y_pitch, first, bias + k * item if bias != 0 else 0,
                            r_line + p * r_pixel + k * r_channel if residual != 0 else 0, r_pitch, act, rows, last,
                            next_x, next_w,
                        ),
                    )  # fmt: skip


@native("matrix", 4)
def matrix(plan, call, scratch, task):
    """One task of a dense convolution on matrix tiles."""
    invoke(peek(plan, n_.STATE), (1,))
    dense_task(plan, call, scratch, task, run_blocks)
    invoke(peek(plan, n_.STATE), (0,))


@helper
def pack_borrowed(plan, source, table, lines, panel, outputs, wide, held, some, taps):
    """Another convolution's weights, (C, K/groups, taps): their taps are read backwards, for rows by the pixels."""
    move, pack, line = peek(plan, MOVE), peek(plan, PACK), outputs * taps * 4
    if peek(plan, LANES) != 0:
        for c in range(some):
            poke(table, c, c * line)
        if taps > 1:
            for c in range(some):
                invoke(move, (source + c * line, taps * 4, lines + c * taps * wide * 4, wide * 4, held, taps))
                for tap in range(taps):
                    poke(table, tap * some + c, (c * taps + taps - 1 - tap) * wide * 4)
            source, held = lines, wide
        invoke(pack, (source, table, some * taps, panel, wide // TILE, held, 0))
    elif taps > 1:
        for c in range(some):
            poke(table, c, c * line)
        invoke(pack, (source, taps * 4, table, some, taps, panel, 0, held))
    else:
        invoke(peek(plan, TURN), (source, line, some, panel, held))


# The plan that packs weights.
(
    CHANNELS, CHUNK, R, CHUNK_R, S, CHUNK_S, OUTPUTS, TILES, TILE_BASE, TILE_LARGER, SOURCE_ITEM, PRODUCT_BYTES,
    GROUP_BYTES, CHUNKS, CHUNK_BYTES, MOVE, WIDE, PACK, TURN, LANES, BORROWED,
    FIELDS,                             # MOVE: to float32; LANES: outputs become lanes
) = range(22)  # fmt: skip


@native("matrix_weights", 4)
def pack_weights(plan, call, scratch, task):
    """Pack the panel of one block of outputs, of one chunk of one group, from call[0] to call[4].

    Products come as (channel, tap) where outputs are rows, as (tap, channel) where they are lanes, as pixels have them.
    """
    channels, r, s, outputs = peek(plan, CHANNELS), peek(plan, R), peek(plan, S), peek(plan, OUTPUTS)
    tile, task = task % peek(plan, TILES), task // peek(plan, TILES)
    chunk = task % peek(plan, CHUNKS)
    s0, columns, task = chunk_at(task, s, peek(plan, CHUNK_S))
    r0, rows, task = chunk_at(task, r, peek(plan, CHUNK_R))
    c0, some, g = chunk_at(task, channels, peek(plan, CHUNK))
    k = tile_start(tile, peek(plan, TILE_BASE), peek(plan, TILE_LARGER)) * TILE
    wide = (peek(plan, TILE_BASE) + (1 if tile < peek(plan, TILE_LARGER) else 0)) * TILE
    held, depth, length = min(wide, outputs - k), some * rows * columns, channels * r * s * peek(plan, SOURCE_ITEM)
    source = peek(call, 0) + (g * outputs + k) * length + ((c0 * r + r0) * s + s0) * peek(plan, SOURCE_ITEM)
    panel = peek(call, 4) + g * peek(plan, GROUP_BYTES) + chunk * peek(plan, CHUNK_BYTES)
    panel += k * ((depth + STEP - 1) // STEP * STEP) * peek(plan, PRODUCT_BYTES)
    table, lines, taps = scratch + 64, scratch + 64 + (depth + 7) // 8 * 64, rows * columns
    if peek(plan, BORROWED) != 0:
        source = peek(call, 0) + ((g * channels + c0) * outputs + k) * taps * 4
        pack_borrowed(plan, source, table, lines, panel, outputs, wide, held, some, taps)
    elif peek(plan, LANES) != 0:
        invoke(peek(plan, MOVE), (source, length, lines, wide * 4, held, depth))
        for tap in range(taps):
            for c in range(some):
                poke(table, tap * some + c, (c * taps + tap) * wide * 4)
        invoke(peek(plan, PACK), (lines, table, depth, panel, wide // TILE, wide, 0))
    else:
        poke(table, 0, 0)
        if peek(plan, WIDE) == 0:
            for i in range(held):
                invoke(
                    peek(plan, MOVE), (source + i * length, peek(plan, SOURCE_ITEM), lines + i * depth * 4, 0, depth, 0)
                )
            source, length = lines, depth * 4
        invoke(peek(plan, PACK), (source, length, table, 1, depth, panel, 0, held))
