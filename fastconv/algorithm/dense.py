"""Plans for `nest`: how one dense convolution is cut, addressed and packed. Shared by im2col, pointwise and direct."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastconv import blocking
from fastconv.algorithm import nest as n_
from fastconv.algorithm import output
from fastconv.algorithm import strips as s_
from fastconv.algorithm import weights as w_
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Steps, finish_name, move_name, names_of, sum_part
from fastconv.job import Job
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.problem import Problem
from fastconv.target import Target


@dataclass(frozen=True)
class Shape:
    """The choices of one dense plan: what lies in a register's lanes, whether x and w are read in place, the tile."""

    lanes: str  # "pixels" or "channels"
    in_place: bool
    raw_weights: bool
    rows: int
    vectors: int


def dense_weights(problem: Problem, shape: Shape, target: Target) -> tuple[Job, int]:
    """The launch that packs the weights for `shape`, and the packed size in bytes."""
    _, _computing, item = names_of(problem)
    stored_item = 2 if problem.dtype in ("float16", "bfloat16") else item
    lanes = target.lanes(item)
    outputs, channels = problem.k // problem.groups, problem.c // problem.groups
    taps = problem.r * problem.s
    chunk = blocking.chunk_channels(channels, taps)
    unit = 1 if shape.lanes == "pixels" else lanes
    extent = -(-outputs // unit)
    tiles, base, larger = blocking.split(extent, shape.rows if shape.lanes == "pixels" else shape.vectors)
    transpose = microkernel(move_name("transpose", problem, target, "rows"))
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
    launch = Job(w_.pack_weights.address, plan, problem.groups * chunks * tiles, 0, 8 * size)
    return launch, size


@dataclass(frozen=True)
class Part:
    """A rectangle of output pixels: rows top..bottom, columns left..right."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return max(0, self.bottom - self.top) * max(0, self.right - self.left)


def whole(problem: Problem) -> Part:
    """All output pixels."""
    return Part(0, problem.oh, 0, problem.ow)


def dense(problem: Problem, x: Steps, shape: Shape, target: Target, threads: int, part: Part | None = None) -> Job:
    """The launch that convolves, all of the output or a part; its weights are raw or packed as `shape` says."""
    part = part or whole(problem)
    cut = Cut.of(problem, x, shape, target, threads, part)
    plan = np.zeros(n_.NEST_FIELDS, np.int64)
    keep: list = []

    def put(**fields: int) -> None:
        for name, value in fields.items():
            plan[getattr(n_, name)] = value

    _put_tasks(put, problem, cut, part)
    _put_tiles(put, problem, shape, cut, target, keep)
    _put_input(put, problem, x, shape, cut, target, keep)
    _put_output(put, problem, cut, shape, target, keep)
    scratch = int(plan[n_.STRIP_BYTES] + plan[n_.STAGE_BYTES]) + cut.line_bytes
    if plan[n_.W_PACK]:
        put(PANEL_AT=scratch)
        scratch += shape.vectors * cut.lanes * cut.chunk * problem.r * problem.s * cut.item
    flops = problem.flops * part.pixels // (problem.oh * problem.ow)
    return Job(n_.nest.address, plan, cut.tasks, scratch, flops, keep)


@dataclass(frozen=True)
class Cut:
    """How one dense problem is cut into tasks, runs and tiles."""

    item: int
    lanes: int
    outputs: int  # channels of a group
    channels: int
    chunk: int
    tiles: int  # channel tiles of a group
    tiles_a_block: int
    runs: int  # rows of output pixels, as runs see them
    run: int  # pixels of a row
    row_blocks: int
    column_blocks: int
    tasks: int
    flat: bool  # the whole plane is one run
    stages: bool
    transposes: bool

    @property
    def block_runs(self) -> int:
        """Rows of the largest block."""
        return -(-self.runs // self.row_blocks)

    @property
    def block_run(self) -> int:
        """Columns of the largest block."""
        return -(-self.run // self.column_blocks)

    @property
    def line_bytes(self) -> int:
        """Scratch for transposed lines."""
        return _round(16 * self.block_run * self.item) if self.transposes else 0

    @classmethod
    def of(cls, problem: Problem, x: Steps, shape: Shape, target: Target, threads: int, part: Part) -> Cut:
        """Blocks that keep strips and sums in L2, and as many as the threads need."""
        stored, computing, item = names_of(problem)
        lanes = target.lanes(item)
        outputs, channels = problem.k // problem.groups, problem.c // problem.groups
        chunk = blocking.chunk_channels(channels, problem.r * problem.s)
        along_pixels = shape.lanes == "pixels"
        extent = outputs if along_pixels else -(-outputs // lanes)
        tiles = blocking.split(extent, shape.rows if along_pixels else shape.vectors)[0]
        point = (problem.r, problem.s) == (1, 1) and problem.stride == (1, 1) and problem.padding_zero
        flat = point and x.h == problem.w * x.w
        runs, run = (1, part.pixels) if flat else (part.bottom - part.top, part.right - part.left)
        transposes = not along_pixels and problem.layout == "channels_first"
        stages = transposes or stored != computing
        per_pixel = chunk * problem.stride[1] * min(problem.stride[0], problem.r) * item
        unit = shape.vectors * lanes if along_pixels else shape.rows
        planes, weights = problem.n * problem.groups, problem.k * channels * problem.r * problem.s
        heavy = weights > problem.c * problem.h * problem.w
        # Each block of pixels packs the panels it uses anew: better few blocks that fill L2 than many that fit well.
        repacks = shape.raw_weights and not along_pixels
        if transposes or chunk < channels:
            per_pixel += outputs * item // (threads if repacks and heavy and planes < threads else 1)
        fit = -(-runs * run * per_pixel // (target.l2 * 3 // 4 if repacks else target.l2 // 3))
        blocks, channel_blocks = fit, 1
        if threads > 1 and problem.flops > 1e6 and planes * fit < 4 * threads:
            wanted = threads // math.gcd(planes * fit, threads)
            pieces = runs if runs > 1 else -(-run // unit)
            # Channels are cut where weights outweigh the input, unless that leaves threads with less to do.
            by_channels, by_pixels = _largest_share(tiles, wanted), _largest_share(pieces, wanted)
            if by_channels < by_pixels * (1.1 if heavy else 0.75):
                channel_blocks = min(tiles, wanted)
            else:
                blocks = fit * wanted
        row_blocks = min(runs, blocks)
        column_blocks = min(-(-run // unit), -(-blocks // row_blocks)) if blocks > runs else 1
        tiles_a_block = -(-tiles // channel_blocks)
        tasks = planes * row_blocks * column_blocks * -(-tiles // tiles_a_block)
        return cls(item, lanes, outputs, channels, chunk, tiles, tiles_a_block, runs, run, row_blocks,
                   column_blocks, tasks, flat, stages, transposes)  # fmt: skip


def _largest_share(pieces: int, workers: int) -> float:
    """The part of the work that the busiest of `workers` has, if it comes in equal pieces."""
    return -(-pieces // workers) / pieces


def _put_tasks(put, problem, cut, part):
    """How a task's number is taken apart."""
    put(
        GROUPS=problem.groups, CHANNEL_BLOCKS=-(-cut.tiles // cut.tiles_a_block),
        ROW_BLOCKS=cut.row_blocks, ROW_BASE=cut.runs // cut.row_blocks, ROW_LARGER=cut.runs % cut.row_blocks,
        COLUMN_BLOCKS=cut.column_blocks, COLUMN_BASE=cut.run // cut.column_blocks,
        COLUMN_LARGER=cut.run % cut.column_blocks, CHANNELS=cut.channels, CHUNK=cut.chunk,
        TAPS=problem.r * problem.s, OH_START=part.top, OW_START=part.left,
    )  # fmt: skip


def _put_tiles(put, problem, shape, cut, target, keep):
    """The register tiles, their kernels and the weights they read."""
    _, computing, item = names_of(problem)
    along_pixels, taps = shape.lanes == "pixels", problem.r * problem.s
    strided = shape.raw_weights if along_pixels else (not shape.in_place and problem.layout == "channels_last")
    strided = strided or (not along_pixels and shape.in_place)
    variants = ["px" if along_pixels else "ch"] + ["strided"] * strided
    part = sum_part(problem, cut.chunk * taps)
    variants += ["parts"] * (part < cut.chunk * taps)
    kernels = np.zeros(15 * n_.VECTORS_TABLED * 2, np.int64)
    for rows, vectors, tail in _tiles_used(shape, cut):
        kernel = microkernel(gemm_name(computing, rows, vectors, target, *variants, *["tail"] * tail))
        kernels[(rows * n_.VECTORS_TABLED + vectors) * 2 + tail] = kernel.address
    keep.append(kernels)
    length = cut.channels * taps
    held = cut.outputs if along_pixels else -(-cut.outputs // cut.lanes) * cut.lanes
    depth_bytes = cut.chunk * taps * item
    # A tile's vectors stay in L1 while the rows change if they fit there; otherwise its rows stay. They also stay while
    # packed strips go by if y is large: some planes of it are written to their end, where all planes in turn took 2.7
    # times as long (1 to 64 channels, 3x3 on 572x572). Strips in place are too far away to go by often.
    vectors_fit = shape.vectors * cut.lanes * depth_bytes <= target.l1 * 5 // 8
    vectors_fit = vectors_fit and cut.outputs * depth_bytes <= target.l2 // 2
    small_y = cut.outputs * problem.oh * problem.ow * item <= target.l2
    put(
        PIXELS_ARE_LANES=along_pixels, LANES=cut.lanes, ITEM=item, SUM_PART=part,
        ROW_MOST=shape.rows, VECTOR_MOST=shape.vectors, CHANNEL_TILES=cut.tiles, TILES_A_BLOCK=cut.tiles_a_block,
        GROUP_CHANNELS=cut.outputs, KERNELS=kernels.ctypes.data,
        LANES_OUTER=not along_pixels or shape.in_place or (vectors_fit and small_y),
    )  # fmt: skip
    if shape.raw_weights:
        stored = problem.itemsize
        put(W_G=cut.outputs * length * stored, W_CHUNK_CHANNEL=taps * stored, W_TILE_CHANNEL=length * stored)
        if not along_pixels:
            put(W_PACK=microkernel(move_name("transpose", problem, target, "rows")).address)
    else:
        put(W_G=held * length * item, W_CHUNK_CHANNEL=held * taps * item)
    if along_pixels:
        put(PITCH=length * item)


def _put_input(put, problem, x, shape, cut, target, keep):
    """Where the reduction's products lie from a pixel: in x itself, or in packed strips."""
    (sh, sw), (dh, dw) = problem.stride, problem.dilation
    put(X_N=x.n, X_G=cut.channels * x.c, X_C=x.c)
    c, r, s = (axis.ravel() for axis in np.mgrid[: cut.chunk, : problem.r, : problem.s])
    if shape.in_place:
        run, pixel = sh * x.h, sw * x.w
        table = c * x.c + r * dh * x.h + s * dw * x.w
        corner = -problem.padding[0][0] * x.h - problem.padding[1][0] * x.w
        put(X_ROW=run, X_COLUMN=pixel, X_CORNER=corner, STRIP_BYTES=64)
    else:
        table, run, pixel = _put_strips(put, problem, x, cut, target, keep, c, r, s)
    table = np.ascontiguousarray(table, np.int64)
    keep.append(table)
    put(TABLE=table.ctypes.data, X_RUN=run, X_PIXEL=pixel)
    if shape.lanes == "channels":
        put(PITCH=pixel)


def _put_strips(put, problem, x, cut, target, keep, c, r, s):
    """The plan that packs strips; the product table, the step from run to run and from pixel to pixel."""
    item, last = cut.item, problem.layout == "channels_last"
    (sh, sw), (dh, dw) = problem.stride, problem.dilation
    columns = cut.block_run
    height, width = (1, problem.h * problem.w) if cut.flat else (problem.h, problem.w)
    taps = blocking.strip_rows(cut.block_runs, problem.r, sh, dh)
    rows, starts = np.array(taps.rows, np.int64), np.array(taps.starts, np.int64)
    across = np.arange(problem.s) * dw
    if last:
        columns = (columns - 1) * sw + int(across[-1]) + 1
        first = np.zeros(1, np.int64)
        line = cut.chunk * item
        line += 64 if line % 1024 == 0 else 0  # keeps the pixels of a tile out of one another's cache sets
        run, pixel = columns * line, sw * line
        table = (starts[r] * columns + across[s]) * line + c * item
        strip = len(rows) * run
    else:
        residues = sorted(set((across % sw).tolist()))
        first = np.array(residues, np.int64)
        columns += int((across // sw).max())
        part = np.array([residues.index(a % sw) for a in across.tolist()])
        run, pixel, line = columns * item, item, item
        table = (((c * len(residues) + part[s]) * len(rows) + starts[r]) * columns + (across // sw)[s]) * item
        strip = cut.chunk * len(residues) * len(rows) * run
    plan = np.zeros(s_.STRIP_FIELDS, np.int64)
    row, plane = (microkernel(move_name(kind, problem, target)) for kind in ("row", "plane"))
    for name, value in {
        "H": height, "WIDTH": width, "STRIDE_H": sh, "STRIDE_W": sw, "TOP": problem.padding[0][0],
        "LEFT": problem.padding[1][0], "MODE": s_.MODES[problem.padding_mode], "ROWS": len(rows),
        "ROW_OFFSETS": rows.ctypes.data, "CLASSES": len(first), "CLASS_FIRST": first.ctypes.data, "COLUMNS": columns,
        "X_C": x.c, "X_H": x.h, "X_W": x.w, "PIXEL_BYTES": line, "ITEM_BYTES": item,
        "ROW_MOVE": row.address, "PLANE_MOVE": plane.address,
    }.items():  # fmt: skip
        plan[getattr(s_, name)] = value
    keep += [plan, rows, first]
    # One vector past the strips may be read (never used) by a tile's last load.
    strip = _round(strip + target.vector_bytes)
    chunks = -(-cut.channels // cut.chunk)
    kept = chunks if cut.tiles_a_block < cut.tiles and chunks * strip <= target.l2 * 5 // 8 else 1
    at = 64 + _round(8 * len(rows))
    put(
        PACK=(s_.strips_last if last else s_.strips_first).address, PACK_PLAN=plan.ctypes.data, STRIPS_AT=at,
        STRIP_CHUNK=strip if kept > 1 else 0, STRIP_BYTES=at + kept * strip,
    )  # fmt: skip
    return table, run, pixel


def _put_output(put, problem, cut, shape, target, keep):
    """Where y lies, and what tiles leave to do. y and the residual are contiguous in the problem's layout."""
    _, computing, item = names_of(problem)
    stored, plane = problem.itemsize, problem.oh * problem.ow
    last, along_pixels = problem.layout == "channels_last", shape.lanes == "pixels"
    pixel, channel = (problem.k * stored, stored) if last else (stored, plane * stored)
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep.append(slope)
    put(Y_N=problem.k * plane * stored, Y_G=cut.outputs * channel, Y_PIXEL=pixel, Y_CHANNEL=channel,
        Y_RUN=problem.ow * pixel, SLOPE=slope.ctypes.data)  # fmt: skip
    narrow = stored != item
    simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu") and not narrow
    if cut.transposes:
        after = output.TRANSPOSE_ONLY if simple and not problem.residual else output.TRANSPOSE_FINISH
        put(TRANSPOSE=microkernel(f"transpose_{computing}_{target.isa}_columns").address)
    else:
        after = output.NOTHING if simple else output.FINISH_LINES
    put(AFTER=after)
    if after in (output.NOTHING, output.TRANSPOSE_ONLY):
        put(ACTIVATION=SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data))
    else:
        put(FINISH=microkernel(finish_name(problem, target, problem.activation)).address)
    if cut.stages:
        block = cut.block_runs * cut.block_run
        most = min(cut.outputs, _most_outputs(shape, cut))
        if along_pixels:
            put(
                STAGED=1,
                STAGE_PIXEL=item,
                STAGE_CHANNEL=block * item,
                STAGE_BYTES=_round(most * block * item),
            )
        else:
            pitch = _round(most * item)
            put(STAGED=1, STAGE_PIXEL=pitch, STAGE_CHANNEL=item, STAGE_BYTES=block * pitch)


def _most_outputs(shape: Shape, cut: Cut) -> int:
    """The most output channels that one task's tiles cover."""
    unit = 1 if shape.lanes == "pixels" else cut.lanes
    _parts, base, larger = blocking.split(-(-cut.outputs // unit), shape.rows if unit == 1 else shape.vectors)
    return cut.tiles_a_block * (base + (larger > 0)) * unit


def _round(size: int) -> int:
    return -(-int(size) // 64) * 64


def _tiles_used(shape, cut):
    """Every (rows, vectors, tail) that the tiles of this cut's blocks need."""
    used = set()
    for run in {cut.run // cut.column_blocks, cut.block_run}:
        rows_of, lanes_of = (cut.outputs, run) if shape.lanes == "pixels" else (run, cut.outputs)
        widths = blocking.sizes(-(-lanes_of // cut.lanes), shape.vectors)
        for rows in blocking.sizes(rows_of, shape.rows):
            used |= {(rows, width, False) for width in widths}
            if lanes_of % cut.lanes:
                used.add((rows, min(widths), True))
    return used
