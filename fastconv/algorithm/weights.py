"""Packing of weights: (K, C/groups, R, S) into one panel per register tile and chunk of the reduction.

A panel holds, for each product of its chunk in turn, one weight for each of the tile's channels. Panels of a chunk
follow one another, so the panel of the tile that starts at channel k lies k * depth elements into its chunk.
"""

from __future__ import annotations

from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native

(
    GROUPS, CHANNELS, CHUNK, TAPS, CHUNKS, GROUP_CHANNELS, UNIT, PADDED, TILES, TILE_BASE, TILE_LARGER,
    SOURCE_ITEM, ITEM, TRANSPOSE, W_FIELDS,
) = range(15)  # fmt: skip


@native("weights", 4)
def pack_weights(plan, call, scratch, task):
    """Pack one tile's panel of one chunk of one group, from call[0] to call[4]."""
    tiles, chunks, chunk = peek(plan, TILES), peek(plan, CHUNKS), peek(plan, CHUNK)
    tile, task = task % tiles, task // tiles
    c0, g = task % chunks * chunk, task // chunks
    base, larger, unit = peek(plan, TILE_BASE), peek(plan, TILE_LARGER), peek(plan, UNIT)
    channels, taps, outputs = peek(plan, CHANNELS), peek(plan, TAPS), peek(plan, GROUP_CHANNELS)
    k = (tile * base + min(tile, larger)) * unit
    wide = (base + (1 if tile < larger else 0)) * unit
    rows, depth = min(wide, outputs - k), min(chunk, channels - c0) * taps
    length, item, source_item = channels * taps, peek(plan, ITEM), peek(plan, SOURCE_ITEM)
    source = peek(call, 0) + ((g * outputs + k) * length + c0 * taps) * source_item
    panel = peek(call, 4) + (peek(plan, PADDED) * (g * length + c0 * taps) + k * depth) * item
    invoke(peek(plan, TRANSPOSE), (source, length * source_item, panel, wide * item, rows, depth))
