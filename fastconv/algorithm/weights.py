"""Packing of weights: (K, C/groups, R, S) into one panel per register tile and chunk of the reduction.

Weights of another convolution lie as (C, K/groups, R, S), and their taps are read backwards. Those of some tiles are
packed together: pieces of lines that are worth fetching.

A panel holds, for each product of its chunk in turn, one weight for each of the tile's channels. Panels of a chunk
follow one another, so the panel of the tile that starts at channel k lies k * depth elements into its chunk.
"""

from __future__ import annotations

from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native

(
    CHANNELS, CHUNK, R, CHUNK_R, S, CHUNK_S, GROUP_CHANNELS, UNIT, PADDED, TILES, TILE_BASE, TILE_LARGER,
    SOURCE_ITEM, ITEM, TRANSPOSE, TOGETHER,
    MOVE, FETCH,                                            # another convolution's weights of one tap, or 0
    W_FIELDS,
) = range(19)  # fmt: skip


@helper
def chunk_at(task, extent, chunk):
    """Where along an axis the chunk of a task starts, how much of the axis it has, and the task's number without it."""
    chunks = (extent + chunk - 1) // chunk
    start = task % chunks * chunk
    return start, min(chunk, extent - start), task // chunks


@native("weights", 4)
def pack_weights(plan, call, scratch, task):
    """Pack the panels of some tiles, of one chunk of one group, from call[0] to call[4]."""
    channels, r, s = peek(plan, CHANNELS), peek(plan, R), peek(plan, S)
    tiles, together = peek(plan, TILES), peek(plan, TOGETHER)
    blocks = (tiles + together - 1) // together
    tile0, task = task % blocks * together, task // blocks
    s0, columns, task = chunk_at(task, s, peek(plan, CHUNK_S))
    r0, rows, task = chunk_at(task, r, peek(plan, CHUNK_R))
    c0, some, g = chunk_at(task, channels, peek(plan, CHUNK))
    base, larger, unit, item = peek(plan, TILE_BASE), peek(plan, TILE_LARGER), peek(plan, UNIT), peek(plan, ITEM)
    depth, length, outputs = some * rows * columns, channels * r * s, peek(plan, GROUP_CHANNELS)
    first, source_item = (c0 * r + r0) * s + s0, peek(plan, SOURCE_ITEM)
    tile1 = min(tile0 + together, tiles)
    if peek(plan, FETCH) != 0:  # lines that lie apart, all at once: one after another they take twice as long
        k0, k1 = (tile0 * base + min(tile0, larger)) * unit, (tile1 * base + min(tile1, larger)) * unit
        source = peek(call, 0) + ((g * channels + c0) * outputs + k0) * source_item
        invoke(peek(plan, FETCH), (source, outputs * source_item, min(k1, outputs) - k0, some))
    for tile in range(tile0, tile1):
        k = (tile * base + min(tile, larger)) * unit
        wide = (base + (1 if tile < larger else 0)) * unit
        panel = peek(call, 4) + (peek(plan, PADDED) * (g * length + first) + k * depth) * item
        if peek(plan, MOVE) != 0:
            source = peek(call, 0) + ((g * channels + c0) * outputs + k) * r * s * source_item
            move_borrowed(plan, source, outputs, panel, wide, min(wide, outputs - k), some, r * s)
        else:
            source = peek(call, 0) + ((g * outputs + k) * length + first) * source_item
            held = min(wide, outputs - k)
            invoke(peek(plan, TRANSPOSE), (source, length * source_item, panel, wide * item, held, depth))


@helper
def move_borrowed(plan, source, outputs, panel, wide, held, some, taps):
    """Another convolution's weights of one tile and `some` input channels: as they lie, or each channel's backwards."""
    unit, item, source_item, move = peek(plan, UNIT), peek(plan, ITEM), peek(plan, SOURCE_ITEM), peek(plan, MOVE)
    pitch, line = wide * item, outputs * taps * source_item
    if taps > 1:
        for c in range(some):
            last = panel + ((c + 1) * taps - 1) * pitch
            invoke(peek(plan, TRANSPOSE), (source + c * line, taps * source_item, last, -pitch, held, taps))
    elif unit > 1:
        for j in range(0, wide, unit):
            invoke(move, (source + j * source_item, line, panel + j * item, pitch, some, min(unit, held - j)))
    else:
        invoke(move, (source, line, panel, pitch, held, some))
