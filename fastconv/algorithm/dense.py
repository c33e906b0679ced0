"""Plans for `nest`: how one dense convolution is cut, addressed and packed. Shared by im2col, pointwise and direct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastconv import blocking
from fastconv.algorithm import nest as n_
from fastconv.algorithm import strips as s_
from fastconv.algorithm import weights as w_
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Launch, Steps, finish_name, move_name, names_of
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.problem import Problem
from fastconv.target import Target

MODES = {"zeros": s_.ZEROS, "reflect": s_.REFLECT, "replicate": s_.REPLICATE, "circular": s_.CIRCULAR}


@dataclass(frozen=True)
class Shape:
    """The choices of one dense plan: what lies in a register's lanes, whether x and w are read in place, the tile."""

    lanes: str  # "pixels" or "channels"
    in_place: bool
    raw_weights: bool
    rows: int
    vectors: int


def dense_weights(problem: Problem, shape: Shape, target: Target) -> tuple[Launch, int]:
    """The launch that packs the weights for `shape`, and the packed size in bytes."""
    _, computing, item = names_of(problem)
    stored_item = 2 if problem.dtype in ("float16", "bfloat16") else item
    lanes = target.lanes(item)
    outputs, channels = problem.k // problem.groups, problem.c // problem.groups
    taps = problem.r * problem.s
    chunk = blocking.chunk_channels(channels, taps)
    unit = 1 if shape.lanes == "pixels" else lanes
    extent = -(-outputs // unit)
    tiles, base, larger = blocking.split(extent, shape.rows if shape.lanes == "pixels" else shape.vectors)
    transpose = microkernel(move_name("transpose", problem, target))
    plan = np.zeros(w_.W_FIELDS, np.int64)
    chunks = -(-channels // chunk)
    for index, value in (
        (w_.GROUPS, problem.groups), (w_.CHANNELS, channels), (w_.CHUNK, chunk), (w_.TAPS, taps), (w_.CHUNKS, chunks),
        (w_.GROUP_CHANNELS, outputs), (w_.UNIT, unit), (w_.PADDED, extent * unit), (w_.TILES, tiles),
        (w_.TILE_BASE, base), (w_.TILE_LARGER, larger), (w_.SOURCE_ITEM, stored_item), (w_.ITEM, item),
        (w_.TRANSPOSE, transpose.address),
    ):  # fmt: skip
        plan[index] = value
    size = problem.groups * extent * unit * channels * taps * item
    launch = Launch(w_.pack_weights.address, plan, problem.groups * chunks * tiles, 0, size)
    return launch, size


def dense(problem: Problem, x: Steps, shape: Shape, target: Target, threads: int) -> Launch:
    """The launch that convolves; its weights are raw or packed as `shape` says."""
    stored, computing, item = names_of(problem)
    lanes = target.lanes(item)
    narrow = stored != computing
    outputs, channels, taps = problem.k // problem.groups, problem.c // problem.groups, problem.r * problem.s
    chunk = blocking.chunk_channels(channels, taps)
    pixels_are_lanes, last = shape.lanes == "pixels", problem.layout == "channels_last"
    oh, ow, (sh, sw), (dh, dw) = problem.oh, problem.ow, problem.stride, problem.dilation
    extent = outputs if pixels_are_lanes else -(-outputs // lanes)
    tiles = blocking.split(extent, shape.rows if pixels_are_lanes else shape.vectors)[0]
    p = np.zeros(n_.NEST_FIELDS, np.int64)
    keep: list = []

    # Output: y and the residual are contiguous in the problem's layout.
    stored_item = 2 if narrow else item
    y_pixel, y_channel = (problem.k * stored_item, stored_item) if last else (stored_item, oh * ow * stored_item)
    p[n_.Y_N] = p[n_.R_N] = problem.k * oh * ow * stored_item
    p[n_.Y_G] = p[n_.R_G] = outputs * y_channel
    p[n_.Y_PIXEL] = p[n_.R_PIXEL] = y_pixel
    p[n_.Y_CHANNEL] = p[n_.R_CHANNEL] = y_channel

    # Input in place, or packed.
    p[n_.X_N], p[n_.X_G], p[n_.X_C] = x.n, channels * x.c, x.c
    flat = False
    if shape.in_place:
        pixel = sw * x.w
        flat = sw == 1 and sh == 1 and x.h == problem.w * x.w
        if flat:
            oh, ow = 1, oh * ow
        p[n_.X_PIXEL], p[n_.X_ROW] = pixel, sh * x.h
        table = np.arange(chunk, dtype=np.int64) * x.c
        per_pixel = chunk * item
    else:
        per_pixel = chunk * problem.s * max(1, min(sh, problem.r)) * item
    rows_a_block, columns, tiles_a_block = _blocks(
        problem, shape, target, threads, oh, ow, per_pixel, chunk < channels, tiles, lanes, item,
        shape.in_place and not flat,
    )
    if not shape.in_place:
        runs = blocking.strip_rows(rows_a_block, problem.r, sh, dh)
        rows = np.array(runs.rows, np.int64)
        starts = np.array(runs.starts, np.int64)
        c, r, s = (a.ravel() for a in np.mgrid[:chunk, : problem.r, : problem.s])
        if last:
            tap = chunk * item
            pixel = problem.s * tap
            if pixel % 1024 == 0:
                pixel += 64  # keeps the pixels of a tile out of one another's cache sets
            table = starts[r] * columns * pixel + s * tap + c * item
            strip = len(rows) * columns * pixel
        else:
            tap, pixel = 0, item
            table = ((c * problem.s + s) * len(rows) + starts[r]) * columns * item
            strip = chunk * problem.s * len(rows) * columns * item
        p[n_.X_PIXEL] = pixel
        pack = s_.strips_last if last else s_.strips_first
        sp = np.zeros(s_.STRIP_FIELDS, np.int64)
        plane = microkernel(move_name("plane", problem, target))
        # One vector past the strips may be read (never used) by a tile's last load.
        strip = _round(strip + target.vector_bytes)
        chunks = -(-channels // chunk)
        kept = chunks if chunks > 1 and tiles_a_block < tiles and chunks * strip <= target.l2 * 5 // 8 else 1
        p[n_.STRIPS_AT] = 64 + _round(8 * len(rows))
        p[n_.STRIP_CHUNK] = strip if kept > 1 else 0
        p[n_.STRIP_BYTES] = p[n_.STRIPS_AT] + kept * strip
        move = microkernel(move_name("row", problem, target))
        for index, value in (
            (s_.H, problem.h), (s_.WIDTH, problem.w), (s_.STRIDE_H, sh), (s_.STRIDE_W, sw),
            (s_.TOP, problem.padding[0][0]), (s_.LEFT, problem.padding[1][0]), (s_.S, problem.s), (s_.DILATION_W, dw),
            (s_.MODE, MODES[problem.padding_mode]), (s_.ROWS, len(rows)), (s_.ROW_OFFSETS, rows.ctypes.data),
            (s_.X_C, x.c), (s_.X_H, x.h), (s_.X_W, x.w), (s_.PIXEL_BYTES, pixel), (s_.TAP_BYTES, tap),
            (s_.ITEM_BYTES, item), (s_.ROW_MOVE, move.address), (s_.PLANE_MOVE, plane.address),
        ):  # fmt: skip
            sp[index] = value
        p[n_.PACK], p[n_.PACK_PLAN] = pack.address, sp.ctypes.data
        keep += [sp, rows, move]
    table = np.ascontiguousarray(table)
    keep.append(table)
    if shape.in_place:
        p[n_.STRIP_BYTES] = 64

    # Output stage: where tiles cannot write y themselves.
    block = rows_a_block * columns
    transposes = not pixels_are_lanes and not last
    staged = transposes or narrow
    simple = not staged and problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu")
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep.append(slope)
    p[n_.SLOPE] = slope.ctypes.data
    if simple:
        p[n_.ACTIVATION] = SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data)
    k_block = outputs if tiles_a_block == tiles else -(-outputs // tiles) * tiles_a_block + tiles_a_block * lanes
    if staged:
        p[n_.STAGED] = 1
        if pixels_are_lanes:
            p[n_.STAGE_PIXEL], p[n_.STAGE_CHANNEL] = item, block * item
        else:
            p[n_.STAGE_PIXEL], p[n_.STAGE_CHANNEL] = _round(k_block * item), item
        p[n_.STAGE_BYTES] = _round((k_block if pixels_are_lanes else block) * max(p[n_.STAGE_PIXEL] if not pixels_are_lanes else 0, p[n_.STAGE_CHANNEL] if pixels_are_lanes else 0))
    plain = problem.activation is None and not problem.residual and not narrow
    if transposes:
        p[n_.AFTER] = n_.TRANSPOSE_ONLY if plain else n_.TRANSPOSE_FINISH
        p[n_.TRANSPOSE] = microkernel(f"transpose_{computing}_{target.isa}").address
    elif staged or not simple:
        p[n_.AFTER] = n_.FINISH_LINES
    if p[n_.AFTER] in (n_.TRANSPOSE_FINISH, n_.FINISH_LINES):
        p[n_.FINISH] = microkernel(finish_name(problem, target, problem.activation)).address

    # Tiles and their kernels.
    column_blocks = -(-ow // columns)
    pixel_blocks = -(-oh // rows_a_block) * column_blocks
    channel_blocks = -(-tiles // tiles_a_block)
    strided = shape.raw_weights if pixels_are_lanes else bool(p[n_.X_PIXEL] != item)
    kernels = np.zeros(15 * n_.VECTORS_TABLED * 2, np.int64)
    extents = _block_pixels(oh, ow, rows_a_block, columns)
    for rows, vectors, tail in _tiles_used(shape, outputs, extents, lanes):
        variants = ["px" if pixels_are_lanes else "ch"] + ["strided"] * strided + ["tail"] * tail
        kernel = microkernel(gemm_name(computing, rows, vectors, target, *variants))
        kernels[(rows * n_.VECTORS_TABLED + vectors) * 2 + tail] = kernel.address
    keep.append(kernels)
    length = channels * taps
    w_extent = extent if pixels_are_lanes else extent * lanes
    for index, value in (
        (n_.GROUPS, problem.groups), (n_.PIXEL_BLOCKS, pixel_blocks), (n_.CHANNEL_BLOCKS, channel_blocks),
        (n_.CHANNELS, channels), (n_.CHUNK, chunk), (n_.TAPS, taps), (n_.COLUMN_BLOCKS, column_blocks),
        (n_.BLOCK_ROWS, rows_a_block), (n_.BLOCK_COLUMNS, columns), (n_.OH, oh), (n_.OW, ow),
        (n_.PIXELS_ARE_LANES, pixels_are_lanes), (n_.LANES, lanes), (n_.ITEM, item), (n_.ROW_MOST, shape.rows),
        (n_.VECTOR_MOST, shape.vectors), (n_.CHANNEL_TILES, tiles), (n_.TILES_A_BLOCK, tiles_a_block),
        (n_.GROUP_CHANNELS, outputs), (n_.KERNELS, kernels.ctypes.data), (n_.TABLE, table.ctypes.data),
        (n_.PITCH, length * item if pixels_are_lanes else p[n_.X_PIXEL]),
        (n_.W_G, (outputs if shape.raw_weights else w_extent) * length * item),
        (n_.W_CHUNK_CHANNEL, taps * item if shape.raw_weights else w_extent * taps * item),
        (n_.W_TILE_CHANNEL, length * item if shape.raw_weights else 0),
        (n_.LANES_OUTER, _lanes_outer(shape, target, chunk * taps * item, outputs, lanes)),
    ):  # fmt: skip
        p[index] = value
    tasks = problem.n * problem.groups * pixel_blocks * channel_blocks
    scratch = int(p[n_.STRIP_BYTES] + p[n_.STAGE_BYTES]) + (_round(16 * block * item) if transposes else 0)
    return Launch(n_.nest.address, p, tasks, scratch, problem.flops, keep)


def _round(size: int) -> int:
    return -(-int(size) // 64) * 64


def _lanes_outer(shape: Shape, target: Target, depth_bytes: int, outputs: int, lanes: int) -> bool:
    """Whether a tile's vectors stay in L1 while the rows change, or the other way round."""
    if shape.lanes == "channels":
        return True
    return shape.vectors * lanes * depth_bytes <= target.l1 * 5 // 8 and outputs * depth_bytes <= target.l2 // 2


def _blocks(problem, shape, target, threads, oh, ow, per_pixel, accumulates, tiles, lanes, item,
            one_row):
    """(rows, columns) of a block of output pixels and channel tiles of a task."""
    unit = shape.vectors * lanes if shape.lanes == "pixels" else shape.rows
    outputs = problem.k // problem.groups
    if accumulates or shape.lanes == "channels" and problem.layout == "channels_first":
        per_pixel += outputs * item
    most = max(unit, target.l2 // 2 // per_pixel)
    pixels = oh * ow
    wanted = 1
    others = problem.n * problem.groups
    if threads > 1 and problem.flops > 1e6:
        wanted = max(1, -(-2 * threads // others))
    w_bytes = problem.k * problem.c // problem.groups * problem.r * problem.s * item
    x_bytes = problem.c * problem.h * problem.w * item
    channel_blocks = 1
    if wanted > 1 and (w_bytes > x_bytes or pixels < wanted * unit):
        channel_blocks = min(tiles, wanted)
        wanted = -(-wanted // channel_blocks)
    blocks = max(wanted, -(-pixels // most))
    if oh == 1 or one_row:
        rows, columns = 1, min(ow, blocking.even_parts(ow, -(-blocks // oh), unit))
    elif -(-pixels // blocks) < ow * 3 // 4:
        rows, columns = 1, min(ow, blocking.even_parts(ow, max(1, -(-blocks // oh)), unit))
    else:
        rows, columns = max(1, round(oh / blocks)) if blocks <= oh else 1, ow
        rows = -(-oh // -(-oh // rows))
    return rows, columns, -(-tiles // channel_blocks)


def _block_pixels(oh, ow, rows, columns):
    """The distinct numbers of pixels that blocks have."""
    heights = {rows, oh % rows} - {0}
    widths = {columns, ow % columns} - {0}
    return {h * w for h in heights for w in widths}


def _tiles_used(shape, outputs, extents, lanes):
    """Every (rows, vectors, tail) that the tiles of these blocks need."""
    pixels_are_lanes = shape.lanes == "pixels"
    used = set()
    for pixels in extents:
        rows_of, lanes_of = (outputs, pixels) if pixels_are_lanes else (pixels, outputs)
        widths = blocking.sizes(-(-lanes_of // lanes), shape.vectors)
        for rows in blocking.sizes(rows_of, shape.rows):
            used |= {(rows, width, False) for width in widths}
            if lanes_of % lanes:
                used.add((rows, min(widths), True))
    return used
