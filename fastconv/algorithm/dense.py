"""Plans for `nest`: how one dense convolution is cut, addressed and packed. Shared by im2col, pointwise and direct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastconv import blocking
from fastconv.algorithm import matrix as m_
from fastconv.algorithm import matrix_plan, output
from fastconv.algorithm import nest as n_
from fastconv.algorithm import strips as s_
from fastconv.algorithm import weights as w_
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Steps, finish_name, move_name, names_of, sum_part
from fastconv.algorithm.cut import Cut, Part, Shape, whole
from fastconv.job import Job
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.microkernels.regroup import MOVED
from fastconv.problem.conv import Problem
from fastconv.target import Target

TILES_A_TASK = 8  # of borrowed weights
GROUP_FLOPS = 8_000  # multiply-adds in the time that one group's tiles take to start, about 500 cycles


@dataclass(frozen=True)
class Handed:
    """Who brings a task's sums from scratch to y: a kernel and its plan; bytes from image to image, group to group."""

    kernel: int
    plan: np.ndarray
    image: int
    group: int
    slope: np.ndarray  # that the plan points to


def packed_bytes(problem: Problem, shape: Shape, target: Target) -> int:
    """The size of all weights, packed for `shape`."""
    _, _, item = names_of(problem)
    unit = 1 if shape.lanes == "pixels" else target.lanes(item)
    held = -(-problem.k // problem.groups // unit) * unit
    return held * problem.c * problem.r * problem.s * item


def dense_weights(problem: Problem, shape: Shape, target: Target) -> tuple[Job, int]:
    """The launch that packs the weights for `shape`, and the packed size in bytes."""
    if shape.products:
        return matrix_plan.weights(problem, shape, target)
    stored, computing, item = names_of(problem)
    stored_item = 2 if problem.dtype in ("float16", "bfloat16") else item
    lanes = target.lanes(item)
    outputs, channels = problem.k // problem.groups, problem.c // problem.groups
    chunk = blocking.dense_chunk(problem)
    unit = 1 if shape.lanes == "pixels" else lanes
    extent = -(-outputs // unit)
    tiles, base, larger = blocking.split(extent, shape.rows if shape.lanes == "pixels" else shape.vectors)
    transpose = microkernel(move_name("transpose", problem, target, "rows"))
    plan, move, fetch, together = np.zeros(w_.W_FIELDS, np.int64), 0, 0, 1
    if problem.borrowed:
        name = f"slab_{computing}_{target.isa}" if unit == 1 else move_name("spread", problem, target)
        move, together = microkernel(name).address, TILES_A_TASK
        if problem.r * problem.s == 1:
            fetch = microkernel(f"fetch_{MOVED[stored]}_{target.isa}").address
    chunks = chunk.count(channels, problem.r, problem.s)
    for index, value in (
        (w_.CHANNELS, channels), (w_.CHUNK, chunk.channels), (w_.R, problem.r), (w_.CHUNK_R, chunk.rows),
        (w_.S, problem.s), (w_.CHUNK_S, chunk.columns),
        (w_.GROUP_CHANNELS, outputs), (w_.UNIT, unit), (w_.PADDED, extent * unit), (w_.TILES, tiles),
        (w_.TILE_BASE, base), (w_.TILE_LARGER, larger), (w_.SOURCE_ITEM, stored_item), (w_.ITEM, item),
        (w_.TRANSPOSE, transpose.address),
        (w_.MOVE, move), (w_.TOGETHER, together), (w_.FETCH, fetch),
    ):  # fmt: skip
        plan[index] = value
    size = packed_bytes(problem, shape, target)
    launch = Job(w_.pack_weights.address, plan, problem.groups * chunks * -(-tiles // together), 0, 8 * size)
    return launch, size


def dense(
    problem: Problem, x: Steps, shape: Shape, target: Target, threads: int, part: Part | None = None,
    cut: Cut | None = None, handed: Handed | None = None,
) -> Job:  # fmt: skip
    """The launch that convolves, all of the output or a part; its weights are raw or packed as `shape` says. With
    `handed`, whose `cut` stages, it is not the launch that writes y."""
    part = part or whole(problem)
    cut = cut or Cut.of(problem, x, shape, target, threads, part)
    plan = np.zeros(n_.NEST_FIELDS, np.int64)
    keep: list = []

    def put(**fields: int) -> None:
        for name, value in fields.items():
            plan[getattr(n_, name)] = value

    _put_tasks(put, problem, cut, part)
    put_tiles = matrix_plan.put_tiles if shape.products else _put_tiles
    put_tiles(put, problem, shape, cut, target, keep)
    _put_input(put, problem, x, shape, cut, target, keep)
    _put_output(put, problem, cut, shape, target, keep, handed)
    if cut.fetched_by_planes:
        _put_ahead(put, x, shape, cut, keep)
    put(PANEL_AT=cut.strip_bytes + cut.stage_bytes + cut.line_bytes)
    # A group starts its own task: 183 groups of one product, 33 x 27 pixels, take 0.2 ms but 0.3 million multiply-adds.
    flops = problem.flops * part.pixels // (problem.oh * problem.ow) + GROUP_FLOPS * problem.n * problem.groups
    kernel = m_.matrix if shape.products else n_.nest
    return Job(kernel.address, plan, cut.tasks, cut.scratch, flops, keep)


def _put_tasks(put, problem, cut, part):
    """How a task's number is taken apart."""
    put(
        GROUPS=problem.groups, CHANNEL_BLOCKS=cut.channel_blocks,
        CHANNELS_OUTER=cut.blocks if cut.channels_outer else 0,
        ROW_BLOCKS=cut.row_blocks, RUNS=cut.runs,
        COLUMN_BLOCKS=cut.column_blocks, RUN=cut.run, RUN_UNITS=cut.run_units, RUN_UNIT=cut.run_unit,
        CHANNELS=cut.channels, CHUNK=cut.chunk.channels,
        R=problem.r, CHUNK_R=cut.chunk.rows, S=problem.s, CHUNK_S=cut.chunk.columns, CHUNKS=cut.chunks,
        OH_START=part.top, OW_START=part.left,
    )  # fmt: skip


def _put_tiles(put, problem, shape, cut, target, keep):
    """The register tiles, their kernels and the weights they read."""
    _, computing, item = names_of(problem)
    along_pixels, taps = shape.lanes == "pixels", problem.r * problem.s
    strided = shape.raw_weights if along_pixels else (not shape.in_place and problem.layout == "channels_last")
    strided = strided or (not along_pixels and shape.in_place)
    put(BLOCK_TILES=cut.block_tiles, JOINED=cut.joined)
    if cut.panels:
        put(X_PACK=microkernel(f"panel_{computing}_{target.isa}").address)
    kernels = np.zeros(15 * n_.VECTORS_TABLED * 2, np.int64)
    variants = ["px" if along_pixels else "ch"] + ["strided"] * strided
    if shape.panels:
        variants.append("panel")
    elif shape.in_place:
        variants.append("far")
    part = sum_part(problem, cut.chunk.products)
    variants += ["parts"] * (part < cut.chunk.products)
    for rows, vectors, tail in _tiles_used(shape, cut):
        kernel = microkernel(gemm_name(computing, rows, vectors, target, *variants, *["tail"] * tail))
        kernels[(rows * n_.VECTORS_TABLED + vectors) * 2 + tail] = kernel.address
    keep.append(kernels)
    length = cut.channels * taps
    held = cut.outputs if along_pixels else -(-cut.outputs // cut.lanes) * cut.lanes
    depth_bytes = cut.chunk.products * item
    # A tile's vectors stay in L1 while the rows change if they fit there; otherwise its rows stay. They also stay while
    # packed strips go by if y is large: some planes of it are written to their end, where all planes in turn took 2.7
    # times as long (1 to 64 channels, 3x3 on 572x572). Panels hold the pixels of a few tiles only, so these stay.
    vectors_fit = shape.vectors * cut.lanes * depth_bytes <= target.l1 * 5 // 8
    vectors_fit = vectors_fit and cut.outputs * depth_bytes <= target.l2 // 2
    small_y = cut.outputs * problem.oh * problem.ow * item <= target.l2
    put(
        PIXELS_ARE_LANES=along_pixels, LANES=cut.lanes, ITEM=item, SUM_PART=part,
        ROW_MOST=shape.rows, VECTOR_MOST=shape.vectors, CHANNEL_TILES=cut.tiles, TILES_A_BLOCK=cut.tiles_a_block,
        GROUP_CHANNELS=cut.outputs, KERNELS=kernels.ctypes.data,
        UNIT=shape.channel_tiles(cut.lanes)[0],
        LANES_OUTER=not along_pixels or shape.panels or (vectors_fit and small_y),
    )  # fmt: skip
    if shape.raw_weights:
        stored = problem.itemsize
        put(W_G=cut.outputs * length * stored, W_PRODUCT=stored, W_TILE_CHANNEL=length * stored)
        if problem.borrowed:
            lines = np.arange(cut.chunk.products, dtype=np.int64) * cut.outputs * stored
            keep.append(lines)
            put(W_PRODUCT=cut.outputs * stored, W_TILE_CHANNEL=stored, W_LINES=lines.ctypes.data)
            put(W_PACK=microkernel(f"panel_{computing}_{target.isa}").address)
        elif not along_pixels:
            put(W_PACK=microkernel(move_name("transpose", problem, target, "rows")).address)
    else:
        put(W_G=held * length * item, W_PRODUCT=held * item)
    if along_pixels:
        put(PITCH=length * item)


def _put_input(put, problem, x, shape, cut, target, keep):
    """Where the reduction's products lie from a pixel: in x itself, or in packed strips."""
    (sh, sw), (dh, dw), (top, left) = problem.stride, problem.dilation, (pads[0] for pads in problem.padding)
    chunk = cut.chunk
    put(X_N=x.n, X_G=x.group(cut.channels), X_C=x.c, STRIP_BYTES=cut.strip_bytes)
    c, r, s = (axis.ravel() for axis in np.mgrid[: chunk.channels, : chunk.rows, : chunk.columns])
    if shape.in_place:
        run, pixel = sh * x.h, sw * x.w
        table = c * x.c + r * dh * x.h + s * dw * x.w
        put(X_ROW=x.h, X_COLUMN=x.w)
    else:
        table, run, pixel = _put_strips(put, problem, x, cut, target, keep, c, r, s)
    if shape.products:
        table = table.reshape(cut.chunk.channels, -1)
        if shape.lanes == "channels":  # pieces of a pixel's channels
            table = table[0, :: cut.piece]
        else:  # borrowed weights stay as they lie
            table = (table[:, ::-1] if problem.borrowed else table).ravel()
    table = np.ascontiguousarray(table, np.int64)
    keep.append(table)
    put(TABLE=table.ctypes.data, X_RUN=run, X_PIXEL=pixel, STRIDE_H=sh, STRIDE_W=sw, TOP=top, LEFT=left, DH=dh, DW=dw)
    if shape.lanes == "channels":
        put(PITCH=pixel)


def _put_ahead(put, x, shape, cut, keep):
    """The lines that a tile's steps ask for: runs of some planes, those of the next tile's planes a step farther on."""
    depth, lines = cut.chunk.products, cut.block_tiles * shape.vectors
    planes = max(1, depth // lines)
    step = np.minimum(np.arange(depth), planes * lines - 1)
    ahead = np.ascontiguousarray(step // lines * x.c + step % lines * cut.lanes * cut.item, np.int64)
    keep.append(ahead)
    put(AHEAD=ahead.ctypes.data, AHEAD_STEP=planes * x.c)


def _put_strips(put, problem, x, cut, target, keep, c, r, s):
    """The plan that packs strips; the product table, the step from run to run and from pixel to pixel."""
    item, line, last = cut.item, cut.line, problem.layout == "channels_last"
    height, width = (1, problem.h * problem.w) if cut.flat else (problem.h, problem.w)
    taps = blocking.runs_of(cut.block_runs, cut.chunk.rows, problem.stride[0], problem.dilation[0])
    rows, starts = np.array(taps.lines, np.int64), np.array(taps.starts, np.int64)
    columns = cut.columns
    first, part, place = (np.array(a, np.int64) for a in (columns.firsts, columns.parts, columns.places))
    if last:
        run = len(first) * columns.width * line
        pixel = problem.stride[1] // columns.step * line
        table = starts[r] * run + (part[s] * columns.width + place[s]) * line + c * item
    else:
        run, pixel = columns.width * item, item
        table = (((c * len(first) + part[s]) * len(rows) + starts[r]) * columns.width + place[s]) * item
    plan = np.zeros(s_.STRIP_FIELDS, np.int64)
    row, plane = (microkernel(move_name(kind, problem, target)) for kind in ("row", "plane"))
    for name, value in {
        "H": height, "WIDTH": width, "STEP": columns.step, "MODE": s_.MODES[problem.padding_mode], "ROWS": len(rows),
        "ROW_OFFSETS": rows.ctypes.data, "CLASSES": len(first), "CLASS_FIRST": first.ctypes.data,
        "COLUMNS": columns.width, "X_C": x.c, "X_H": x.h, "X_W": x.w, "PIXEL_BYTES": line, "ITEM_BYTES": item,
        "ROW_MOVE": row.address, "PLANE_MOVE": plane.address, "AHEAD": 0 if cut.near else x.c,
    }.items():  # fmt: skip
        plan[getattr(s_, name)] = value
    keep += [plan, rows, first]
    put(
        PACK=(s_.strips_last if last else s_.strips_first).address, PACK_PLAN=plan.ctypes.data,
        STRIPS_AT=cut.strips_at, STRIP_CHUNK=cut.strip if cut.strips_kept > 1 else 0,
    )  # fmt: skip
    return table, run, pixel


def _put_output(put, problem, cut, shape, target, keep, handed):
    """Where y lies, and what tiles leave to do. y and the residual are contiguous in the problem's layout."""
    _, computing, item = names_of(problem)
    stored, (image, channel) = problem.itemsize, problem.steps_between(problem.k, problem.oh, problem.ow)
    last, along_pixels = problem.layout == "channels_last", shape.lanes == "pixels"
    pixel, channel = problem.k * stored if last else stored, channel * stored
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep.append(slope)
    put(Y_N=image * stored, Y_G=cut.outputs * channel, Y_PIXEL=pixel, Y_CHANNEL=channel,
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
        pitch = cut.stage_pitch
        pixel, channel = (item, pitch) if along_pixels else (pitch, item)
        put(STAGED=1, STAGE_PIXEL=pixel, STAGE_CHANNEL=channel, STAGE_BYTES=cut.stage_bytes)
    if handed:
        put(AFTER=output.HANDED, FINISH=handed.kernel, TRANSPOSE=handed.plan.ctypes.data, Y_N=handed.image,
            Y_G=handed.group, Y_PIXEL=0, Y_RUN=0)  # fmt: skip
        keep.append(handed)


def _tiles_used(shape, cut):
    """Every (rows, vectors, tail) that the tiles of this cut's blocks need."""
    used = set()
    for run in cut.tiled:
        rows_of, lanes_of = (cut.outputs, run) if shape.lanes == "pixels" else (run, cut.outputs)
        widths = blocking.sizes(-(-lanes_of // cut.lanes), shape.vectors)
        for rows in blocking.sizes(rows_of, shape.rows):
            used |= {(rows, width, False) for width in widths}
            if lanes_of % cut.lanes:
                used.add((rows, min(widths), True))
    return used
