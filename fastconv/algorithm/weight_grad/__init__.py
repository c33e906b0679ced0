"""The gradient with respect to the weight: a product of matrices that is summed over the pixels of dy.

The channels of one operand are packed into lanes, with the border that padding makes; the other's scalars are read
where they lie. All taps share what is packed: each starts at another address. Sums of some hundred pixels at a time are
added up in the order of the pixels, those of segments (parts of the images, where dw is small) by a second launch.
On matrix tiles both operands are cut into panels of bfloat16 parts instead (`panels`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastconv import cost
from fastconv.algorithm import strips as s_
from fastconv.algorithm.amx import refusal
from fastconv.algorithm.common import Execution, Steps, contiguous_steps, finish_name, move_name, names_of
from fastconv.algorithm.lanes import put_input
from fastconv.algorithm.matrix import TILE
from fastconv.algorithm.nest import W, X
from fastconv.algorithm.weight_grad import panels as p_
from fastconv.algorithm.weight_grad import tasks as t_
from fastconv.algorithm.weight_grad.cut import Cut, Form
from fastconv.blocking import sizes
from fastconv.job import LINE, Job
from fastconv.microkernels.amxparts import PART_BYTES, PARTS
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.problem.conv import Problem
from fastconv.target import Target

FORMS = {
    "inputs": Form(True, False),
    "outputs": Form(False, False),
    "taps": Form(False, True),
    "amx": Form(True, False, panels=True),
}
MOST_TAPS_INPUTS = 64  # input channels of a group whose taps may be rows
LINES_A_TASK = 16  # of sums that are added up


class WeightGrad:
    """One form of the product: what is in the lanes and what is in a tile's rows."""

    def __init__(self, name: str):
        self.name, self._form = name, FORMS[name]

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if self._form.panels:
            return refusal(problem, target)
        if self._form.taps_are_rows and problem.c // problem.groups > MOST_TAPS_INPUTS:
            return f"more than {MOST_TAPS_INPUTS} input channels a group"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return cost.weight_grad_cycles(Cut.of(problem, x, self._form, target, 1))

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        cut = Cut.of(problem, x, self._form, target, threads)
        plan, keep = np.zeros(p_.FIELDS, np.int64), []

        def put(**fields: int) -> None:
            for name, value in fields.items():
                plan[getattr(t_ if hasattr(t_, name) else p_, name)] = value

        _put_lanes(put, plan, cut)
        _put_tasks(put, cut)
        if cut.form.panels:
            _put_panels(put, plan, cut, keep)
        else:
            _put_rows(put, cut, keep)
            _put_kernels(put, cut, keep)
        _put_tiles(put, cut)
        _put_output(put, cut)
        kernel = p_.weight_grad_panels if cut.form.panels else t_.weight_grad
        parts = [Job(kernel.address, plan, cut.tasks, cut.scratch, cut.problem.flops, keep)]
        if cut.segments > 1:
            pieces = -(-cut.lines // LINES_A_TASK)
            again = np.array([plan.ctypes.data, pieces], np.int64)
            moved = 8 * cut.segments * cut.blocks * cut.sums
            parts.append(Job(t_.weight_grad_sum.address, again, cut.blocks * pieces, 64 + cut.stage, moved, [plan]))
        return Execution(parts, None, 0, (), cut.shared)


def _dy_steps(problem: Problem) -> Steps:
    """Where dy's elements lie; it is contiguous."""
    return contiguous_steps(replace(problem, pass_="input_grad"))


def _put_lanes(put, plan, cut: Cut) -> None:
    """The operand in the lanes: where it lies, and how a chunk's strip of it is packed."""
    problem, x, dy = cut.problem, cut.x, _dy_steps(cut.problem)
    (sh, sw), (dh, dw), (top, left) = problem.stride, problem.dilation, (pads[0] for pads in problem.padding)
    down, across = cut.axes
    if cut.form.inputs_are_lanes:
        put_input(plan, problem, x, cut.target)
        put(L_SLOT=X, L_N=x.n, L_G=x.group(cut.inputs), L_TOP=top, L_LEFT=left, L_OH=sh, L_OW=sw, L_TAP_ROW=dh,
            L_TAP_COLUMN=dw)  # fmt: skip
    else:
        # The pixels of dy in one row.
        plane = replace(problem, h=1, w=problem.oh * problem.ow, padding=((0, 0), (0, 0)), padding_mode="zeros")
        put_input(plan, plane, dy, cut.target)
        put(L_SLOT=W, L_N=dy.n, L_G=cut.outputs * dy.c, L_OH_COLUMN=problem.ow, L_OW=1)
    plan[t_.PIXEL] = cut.tile_bytes
    put(L_PARTS=down.parts, L_LINES=down.lines, L_STEP=down.step, L_PART_STEP=down.part_step,
        L_COLUMN_PARTS=across.parts, L_COLUMNS=across.lines, L_COLUMN_PART_STEP=across.part_step,
        STRIP=cut.strip)  # fmt: skip


def _put_tasks(put, cut: Cut) -> None:
    """How a task's number is taken apart, and where its memory lies."""
    problem, (down, across), (_, rows, columns) = cut.problem, cut.tap_blocks, cut.pixel_chunks
    sums_at = 64
    rows_at = sums_at + cut.own_sums
    table_at = rows_at + cut.images * cut.row_strip
    strip_at = table_at + cut.row_table
    put(
        BLOCKS=cut.blocks, TAP_ROW_BLOCKS=down, TAP_COLUMN_BLOCKS=across, LANE_BLOCKS=cut.lane_blocks,
        ROW_BLOCKS=cut.row_blocks, SEGMENTS=cut.segments, TAP_ROWS=cut.tap_rows, TAP_COLUMNS=cut.tap_columns,
        R=problem.r, S=problem.s, CHUNKS=cut.chunks, CHUNK_ROWS=rows, CHUNK_COLUMNS=columns, N=problem.n,
        IMAGES=cut.images, OH=problem.oh, ROWS=cut.rows, OW=problem.ow, COLUMNS=cut.columns,
        SUMS_AT=sums_at, R_AT=rows_at, R_TABLE_AT=table_at, STRIP_AT=strip_at,
        STAGE_AT=64 if cut.segments > 1 else strip_at + cut.images * cut.strip + cut.panels,
    )  # fmt: skip


def _pixels(cut: Cut) -> list[np.ndarray]:
    """Image, row and column of each pixel of a chunk."""
    return [a.ravel() for a in np.mgrid[: cut.images, : cut.rows, : cut.columns]]


def _taps(cut: Cut) -> list[np.ndarray]:
    """Row and column of each tap of a block."""
    return [a.ravel() for a in np.mgrid[: cut.tap_rows, : cut.tap_columns]]


def _strip_places(cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels and taps lie in the strips of the lanes."""
    (image, oh, ow), (r, s), (down, across) = _pixels(cut), _taps(cut), cut.axes
    line = across.lines * cut.tile_bytes
    lanes = image * cut.strip + oh * down.output * line + ow * across.output * cut.tile_bytes
    lane_taps = r * down.tap * line + s * across.tap * cut.tile_bytes
    if down.parts > 1:
        lane_taps = lane_taps + r * (across.parts - 1) * down.lines * line
    if across.parts > 1:
        lane_taps = lane_taps - s * across.tap * cut.tile_bytes + s * down.lines * line
    return lanes, lane_taps


def _put_rows(put, cut: Cut, keep: list) -> None:
    """The operand of the scalars, the table of a chunk's pixels and the units of a block."""
    problem, x, dy, item = cut.problem, cut.x, _dy_steps(cut.problem), cut.item
    (sh, sw), (dh, dw), (top, left) = problem.stride, problem.dilation, (pads[0] for pads in problem.padding)
    (image, oh, ow), (r, s) = _pixels(cut), _taps(cut)
    lanes, lane_taps = _strip_places(cut)
    if not cut.form.inputs_are_lanes:
        lanes = image * cut.strip + (oh * cut.columns + ow) * cut.tile_bytes
        lane_taps = 0 * r
    row_taps, channel = 0 * r, 0
    if cut.form.inputs_are_lanes:
        put(R_SLOT=W, R_N=dy.n, R_G=cut.outputs * dy.c, R_CHANNEL=dy.c, R_OH=dy.h, R_OW=dy.w)
        if cut.in_place:
            rows, pitch = image * dy.n + oh * dy.h + ow * dy.w, dy.c
        else:
            pixels, q = cut.rows * cut.columns, oh * cut.columns + ow
            by_pixel = problem.layout == "channels_last"
            step = cut.row_channels * item if by_pixel else cut.images * pixels * item
            put(R_PACK=t_.BY_PIXEL if by_pixel else t_.BY_CHANNEL, R_LINE=step,
                R_MOVE=microkernel(move_name("row", problem, cut.target)).address,
                R_IMAGE=pixels * (step if by_pixel else item))  # fmt: skip
            rows, pitch = ((image * pixels + q) * step, item) if by_pixel else ((image * pixels + q) * item, step)
    else:
        put(R_SLOT=X, R_N=x.n, R_G=x.group(cut.inputs), R_CHANNEL=x.c, R_OH=sh * x.h, R_OW=sw * x.w, R_TAP_ROW=dh * x.h,
            R_TAP_COLUMN=dw * x.w, R_TOP=top, R_LEFT=left, R_STRIDE_H=sh, R_STRIDE_W=sw, R_DH=dh, R_DW=dw,
            R_CHANNELS=cut.row_channels)  # fmt: skip
        if cut.in_place:
            rows, row_taps = image * x.n + oh * sh * x.h + ow * sw * x.w, r * dh * x.h + s * dw * x.w
            channel, tap = x.c, dw * x.w
        else:
            rows, row_taps, channel = _put_strips(put, cut, keep, image, oh, ow, r, s)
            tap = int(row_taps[1] - row_taps[0]) if cut.tap_columns > 1 else item
        pitch = tap if cut.form.taps_are_rows else channel
    table = np.ascontiguousarray(np.stack([lanes, rows, _put_fetch(put, cut)], 1), np.int64)
    if cut.form.taps_are_rows:
        first, c = (a.ravel() for a in np.mgrid[: cut.tap_rows, : cut.inputs])
        first = first * cut.tap_columns
        units = np.stack([lane_taps[first], row_taps[first] + c * channel, (c * cut.taps + first) * cut.tile_bytes], 1)
    else:
        units = np.stack([lane_taps, row_taps, np.arange(cut.taps) * cut.tile_bytes], 1)
    units = np.ascontiguousarray(units, np.int64)
    keep += [table, units]
    put(TABLE=table.ctypes.data, UNITS=units.ctypes.data, PITCH=pitch, TAPS_ARE_ROWS=cut.form.taps_are_rows,
        UNITS_A_TAP=cut.inputs if cut.form.taps_are_rows else 1)  # fmt: skip


def _put_fetch(put, cut: Cut) -> np.ndarray:
    """What each step of a tile fetches for the next chunk: the lines of some channels, group after group.

    Both operands are fetched if their channels, or pixels, lie equally far apart; else the scalars only.
    """
    problem, x, dy, q = cut.problem, cut.x, _dy_steps(cut.problem), np.arange(cut.depth)
    rows, lanes = (dy, x) if cut.form.inputs_are_lanes else (x, dy)
    if problem.layout == "channels_last":
        group, offsets, alike = LINE, q * rows.w, rows.w == lanes.w
    else:
        channels = LINE // problem.itemsize
        group, offsets, alike = channels * rows.c, q % channels * rows.c + q // channels * LINE, rows.c == lanes.c
    each = LINE // problem.itemsize
    put(FETCH_GROUP=group, FETCH_CHANNELS=each, FETCH_LANES=alike)
    return offsets


def _put_strips(put, cut: Cut, keep: list, image, oh, ow, r, s):
    """Packed strips of x for scalars: where pixels and taps lie in them, and the step from channel to channel."""
    problem, x, item = cut.problem, cut.x, cut.item
    last = problem.layout == "channels_last"
    runs, columns = cut.row_runs
    lines, starts = np.array(runs.lines, np.int64), np.array(runs.starts, np.int64)
    first, part, place = (np.array(a, np.int64) for a in (columns.firsts, columns.parts, columns.places))
    pixel = cut.row_channels * item if last else item
    if last:
        run, channel = len(first) * columns.width * pixel, item
        taps = starts[r] * run + (part[s] * columns.width + place[s]) * pixel
    else:
        run, channel = columns.width * item, len(first) * len(lines) * columns.width * item
        taps = ((part[s] * len(lines) + starts[r]) * columns.width + place[s]) * item
    plan = np.zeros(s_.STRIP_FIELDS, np.int64)
    row, plane = (microkernel(move_name(kind, problem, cut.target)) for kind in ("row", "plane"))
    for name, value in {
        "H": problem.h, "WIDTH": problem.w, "STEP": columns.step, "MODE": s_.MODES[problem.padding_mode],
        "ROWS": len(lines), "ROW_OFFSETS": lines.ctypes.data, "CLASSES": len(first),
        "CLASS_FIRST": first.ctypes.data, "COLUMNS": columns.width, "X_C": x.c, "X_H": x.h, "X_W": x.w,
        "PIXEL_BYTES": pixel, "ITEM_BYTES": item, "ROW_MOVE": row.address, "PLANE_MOVE": plane.address,
        "AHEAD": x.c if problem.bytes > cut.target.l2 else 0,
    }.items():  # fmt: skip
        plan[getattr(s_, name)] = value
    keep += [plan, lines, first]
    put(R_PACK=t_.STRIPS, R_MOVE=(s_.strips_last if last else s_.strips_first).address, R_PLAN=plan.ctypes.data,
        R_IMAGE=cut.row_strip)  # fmt: skip
    return image * cut.row_strip + oh * run + ow * (problem.stride[1] // columns.step) * pixel, taps, channel


def _put_kernels(put, cut: Cut, keep: list) -> None:
    """The tiles and their kernels."""
    _, computing, _ = names_of(cut.problem)
    kernels = np.zeros(15 * t_.VECTORS_TABLED * 2, np.int64)
    for rows in sizes(cut.row_extent, cut.row_most):
        for vectors in sizes(cut.vectors, cut.vector_most):
            for fetches in (False, True):
                words = "px", "strided", "pairs", *["far"] * fetches
                kernel = microkernel(gemm_name(computing, rows, vectors, cut.target, *words))
                kernels[(rows * t_.VECTORS_TABLED + vectors) * 2 + fetches] = kernel.address
    keep.append(kernels)
    put(KERNELS=kernels.ctypes.data)


def _put_panels(put, plan, cut: Cut, keep: list) -> None:
    """On matrix tiles: kernels, and how both operands become panels."""
    problem, x, dy, isa, word = cut.problem, cut.x, _dy_steps(cut.problem), cut.target.isa, f"x{cut.products}"
    (sh, sw), (dh, dw), (image, oh, ow), (r, s) = problem.stride, problem.dilation, _pixels(cut), _taps(cut)
    kernels = np.zeros(9, np.int64)
    for high in (1, 2):
        for wide in (1, 2):
            kernels[3 * high + wide] = microkernel(f"amx_f32_{high * TILE}x{wide * TILE}_{isa}_px_{word}").address
    lanes, lane_taps = _strip_places(cut)
    if cut.lanes_in_place:
        lanes, lane_taps = image * x.n + oh * sh * x.h + ow * sw * x.w, r * dh * x.h + s * dw * x.w
    units = np.ascontiguousarray(np.stack([lane_taps, np.arange(cut.taps) * cut.tile_bytes], 1), np.int64)
    table, images = lanes.astype(np.int64), np.arange(cut.images, dtype=np.int64)
    if cut.planes:
        table = images * x.n
    pieces = images * dy.n
    keep += [kernels, units, table, pieces]
    put(R_SLOT=W, R_N=dy.n, R_G=cut.outputs * dy.c, R_CHANNEL=dy.c, R_OH=dy.h, R_OW=dy.w)
    if not cut.in_place:
        turned, pixels = problem.layout == "channels_last", cut.rows * cut.columns
        words = ("transpose", problem, cut.target, "columns") if turned else ("row", problem, cut.target)
        put(R_PACK=t_.BY_CHANNEL, TURNED=turned, R_MOVE=microkernel(move_name(*words)).address,
            R_LINE=cut.depth * cut.item, R_IMAGE=pixels * cut.item)  # fmt: skip
    lane_pack = "amxcolumns" if cut.planes else "amxlanes"
    put(
        KERNELS=kernels.ctypes.data, UNITS=units.ctypes.data, STATE=microkernel(f"amxstate_f32_{isa}").address,
        ROW_PACK=microkernel(f"amxrows_f32_{isa}_{word}").address, PIECES=pieces.ctypes.data,
        LANE_PACK=microkernel(f"{lane_pack}_f32_{isa}_{word}").address, LANE_TABLE=table.ctypes.data,
        PLANES=cut.planes, LANES_IN_PLACE=cut.lanes_in_place, KEEPS_LANES=cut.keeps_lanes, DIRECT=cut.direct,
        STEP_BYTES=PARTS[cut.products] * PART_BYTES, PANELS_AT=int(plan[t_.STRIP_AT]) + cut.images * cut.strip,
    )  # fmt: skip


def _put_tiles(put, cut: Cut) -> None:
    """Tiles, and where their sums lie."""
    put(
        LANES=cut.lanes, ITEM=cut.item, LANE_CHANNELS=cut.lane_channels,
        LANE_TILES=cut.lane_tiles, LANE_TILES_A_BLOCK=cut.lane_tiles_a_block,
        VECTOR_BASE=cut.vectors // cut.lane_tiles, VECTOR_LARGER=cut.vectors % cut.lane_tiles,
        TILE_BYTES=cut.tile_bytes, ROW_TILES=cut.row_tiles, ROW_TILES_A_BLOCK=cut.row_tiles_a_block,
        ROW_BASE=cut.row_extent // cut.row_tiles, ROW_LARGER=cut.row_extent % cut.row_tiles,
        SUMS=cut.sums, LINE_BYTES=cut.taps * cut.tile_bytes, LINES_A_BLOCK=cut.lines,
        SUM_PITCH=cut.tile_bytes if cut.form.taps_are_rows else cut.taps * cut.tile_bytes,
    )  # fmt: skip


def _put_output(put, cut: Cut) -> None:
    """Where dw lies, and how it is written."""
    problem, (_, computing, _) = cut.problem, names_of(cut.problem)
    tap, taps = problem.itemsize, problem.r * problem.s
    input_, output = taps * tap, cut.inputs * taps * tap
    line, lane = (output, input_) if cut.form.inputs_are_lanes else (input_, output)
    put(
        DW_G=cut.outputs * output, DW_LINE=line, DW_LANE=lane, DW_TAP=tap, NARROW=problem.itemsize != cut.item,
        COPIES=cut.form.inputs_are_lanes and taps == 1,
        MERGED=not cut.form.inputs_are_lanes and cut.taps == taps,
        TRANSPOSE=microkernel(f"transpose_{computing}_{cut.target.isa}_columns").address,
        FINISH=microkernel(finish_name(problem, cut.target, None)).address,
        ACCUMULATE=microkernel(f"accumulate_{computing}_{cut.target.isa}").address,
    )  # fmt: skip
