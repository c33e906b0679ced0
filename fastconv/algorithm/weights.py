"""Packing of weights: (K, C/groups, R, S) into one panel per register tile and chunk of the reduction.

Weights of another convolution lie as (C, K/groups, R, S), and their taps are read backwards.

A panel holds, for each product of its chunk in turn, one weight for each of the tile's channels. Panels of a chunk
follow one another, so the panel of the tile that starts at channel k lies k * depth elements into its chunk.
"""

from __future__ import annotations

from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native

(
    CHANNELS, CHUNK, R, CHUNK_R, S, CHUNK_S, GROUP_CHANNELS, UNIT, PADDED, TILES, TILE_BASE, TILE_LARGER,
    SOURCE_ITEM, ITEM, TRANSPOSE, MOVE, W_FIELDS,   # MOVE: of another convolution's weights those of one tap, or 0
) = range(17)  # fmt: skip


@helper
def chunk_at(task, extent, chunk):
    """Where along an axis the chunk of a task starts, how much of the axis it has, and the task's number without it."""
    chunks = (extent + chunk - 1) // chunk
    start = task % chunks * chunk
    return start, min(chunk, extent - start), task // chunks


@native("weights", 4)
def pack_weights(plan, call, scratch, task):
    """Pack one tile's panel of one chunk of one group, from call[0] to call[4]."""
    channels, r, s = peek(plan, CHANNELS), peek(plan, R), peek(plan, S)
    tile, task = task % peek(plan, TILES), task // peek(plan, TILES)
    s0, columns, task = chunk_at(task, s, peek(plan, CHUNK_S))
    r0, rows, task = chunk_at(task, r, peek(plan, CHUNK_R))
    c0, some, g = chunk_at(task, channels, peek(plan, CHUNK))
    base, larger, unit = peek(plan, TILE_BASE), peek(plan, TILE_LARGER), peek(plan, UNIT)
    k = (tile * base + min(tile, larger)) * unit
    wide = (base + (1 if tile < larger else 0)) * unit
    depth, length, outputs = some * rows * columns, channels * r * s, peek(plan, GROUP_CHANNELS)
    first, item, source_item = (c0 * r + r0) * s + s0, peek(plan, ITEM), peek(plan, SOURCE_ITEM)
    panel = peek(call, 4) + (peek(plan, PADDED) * (g * length + first) + k * depth) * item
    held, pitch, taps = min(wide, outputs - k), wide * item, r * s
    if peek(plan, MOVE) != 0:
        source = peek(call, 0) + ((g * channels + c0) * outputs + k) * taps * source_item
        for c in range(some):
            line, to = source + c * outputs * taps * source_item, panel + c * taps * pitch
            if taps == 1:
                invoke(peek(plan, MOVE), (line, source_item, to, 0, held, wide - held))
            else:
                invoke(peek(plan, TRANSPOSE), (line, taps * source_item, to + (taps - 1) * pitch, -pitch, held, taps))
        return
    source = peek(call, 0) + ((g * outputs + k) * length + first) * source_item
    invoke(peek(plan, TRANSPOSE), (source, length * source_item, panel, pitch, held, depth))
