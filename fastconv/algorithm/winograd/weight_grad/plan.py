"""How a weight gradient by Winograd's algorithm is cut into tasks, and the plans of its launches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fastconv import blocking, job
from fastconv.algorithm.common import Execution, Steps, contiguous_steps, finish_name, names_of
from fastconv.algorithm.nest import VECTORS_TABLED
from fastconv.algorithm.winograd.members import Member
from fastconv.algorithm.winograd.tiles import TILES_FIELDS, between_products, put_tiles
from fastconv.algorithm.winograd.weight_grad import tasks as t_
from fastconv.cost import winograd_weight_grad_cycles
from fastconv.job import Job
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.problem.conv import Problem
from fastconv.target import Target

MOST_TILES = (16, 32, 48, 64, 96, 128)  # of a block, worth trying: each sum of so many products is added to memory
MOST_VECTORS = 8  # of a block of channels, at least that worth trying
# Few channels leave few tasks; segments of the sum are tasks too. Each is transformed back by itself, which costs as
# much as some 15 tiles do. The first few tasks are worth that soon.
SEGMENTED = ((8, 64), (32, 256))  # (tasks, fewest tiles of a segment to get so many)
MOST_SEGMENT_BYTES = 8 << 20
SUM_OUTPUTS = 16  # output channels of a task that adds up segments


class Parts(NamedTuple):
    """Vectors of channels in near-equal blocks: `larger` of base + 1, the others of base."""

    count: int
    base: int
    larger: int

    @property
    def most(self) -> int:
        """Vectors of the largest."""
        return self.base + (self.larger > 0)


class Cut(NamedTuple):
    """How one problem is cut: into blocks of channels, and blocks of images and windows whose tiles are summed."""

    windows: tuple[int, int]
    row_blocks: int
    column_blocks: int
    class_blocks: int
    row_classes: int
    column_classes: int
    image_blocks: int
    images: int  # of the largest block
    high: int  # its rows of windows
    wide: int  # its columns of windows
    classes: int  # its row classes
    c: Parts
    k: Parts
    rows: int = 0  # of a register tile
    vectors: int = 0
    segments: int = 1

    @property
    def tiles(self) -> int:
        """Tiles of the largest block."""
        return self.images * self.high * self.wide * self.classes * self.column_classes

    @property
    def blocks(self) -> int:
        """Blocks whose tiles are summed."""
        return self.image_blocks * self.row_blocks * self.column_blocks * self.class_blocks

    @classmethod
    def of(cls, problem: Problem, member: Member, target: Target) -> Cut | None:
        """The cut of the fewest cycles, as the cost model counts them; None if not even the least has room."""
        cuts = [cut for cut in cls._cuts(problem, member, target) if Scratch.of(problem, member, cut, target).fits]
        return min(cuts, key=lambda cut: winograd_weight_grad_cycles(problem, member, cut, target), default=None)

    @classmethod
    def _cuts(cls, problem: Problem, member: Member, target: Target) -> Iterator[Cut]:
        _, _, item = names_of(problem)
        lanes, pixel, room = target.lanes(item), target.vector_bytes, target.l2 * 3 // 4
        c, k = (-(-extent // problem.groups // lanes) for extent in (problem.c, problem.k))
        for c_parts in _splits(c):
            for k_parts in _splits(k):
                rows, vectors, _ = blocking.choose_tile(k_parts.most * lanes, c_parts.most, target)
                sums = member.weights * c_parts.most * k_parts.most * lanes * pixel
                fit = (room - sums) // (member.products * (c_parts.most + k_parts.most) * pixel)
                least = c_parts.most == k_parts.most == 1
                for most in MOST_TILES:
                    if most > fit and not (least and most == MOST_TILES[0]):
                        break
                    cut = cls._blocks(problem, member, most, c_parts, k_parts)
                    cut = cut._replace(rows=rows, vectors=vectors)
                    yield cut._replace(segments=_segments(problem, cut, target))

    @classmethod
    def _blocks(cls, problem: Problem, member: Member, most: int, c: Parts, k: Parts) -> Cut:
        """Blocks of about `most` tiles."""
        (dh, dw), (down, across), n = problem.dilation, member.windows(problem), max(problem.n, 1)
        row_classes, column_classes = min(dh, problem.oh), min(dw, problem.ow)
        column_blocks = -(-across // max(1, most // column_classes))
        wide = -(-across // column_blocks)
        lines, images = max(1, most // (wide * column_classes)), 1
        row_blocks = class_blocks = 1
        if lines < row_classes:
            row_blocks, class_blocks = down, -(-row_classes // lines)
        elif lines < down * row_classes:
            row_blocks = -(-down // (lines // row_classes))
        elif column_blocks == 1:
            images = min(n, lines // (down * row_classes))
        image_blocks = -(-n // images)
        return cls((down, across), row_blocks, column_blocks, class_blocks, row_classes, column_classes,
                   image_blocks, -(-n // image_blocks), -(-down // row_blocks), wide,
                   -(-row_classes // class_blocks), c, k)  # fmt: skip


def _splits(vectors: int) -> list[Parts]:
    """Different splits into near-equal parts, from large parts to small ones."""
    found = {}
    for most in range(min(vectors, MOST_VECTORS), 0, -1):
        parts = Parts(*blocking.split(vectors, most))
        found.setdefault(parts.count, parts)
    return list(found.values())


def _segments(problem: Problem, cut: Cut, target: Target) -> int:
    """Segments of the sum, by nothing but the problem: the order of a sum must not depend on the threads."""
    tasks, tiles, segments = problem.groups * cut.c.count * cut.k.count, cut.tiles * cut.blocks, 1
    for enough, fewest in SEGMENTED:
        segments = max(segments, min(-(-enough // tasks), tiles // fewest))
    return max(1, min(segments, cut.blocks, MOST_SEGMENT_BYTES // segment_bytes(problem, target)))


def segment_bytes(problem: Problem, target: Target) -> int:
    """The gradients of one segment: whole vectors of input channels."""
    _, _, item = names_of(problem)
    vectors = -(-problem.c // problem.groups // target.lanes(item))
    return problem.k * vectors * problem.r * problem.s * target.vector_bytes


class Scratch(NamedTuple):
    """Where a task's parts lie in its scratch, one after the other: strip, v, d, z, dw, lines."""

    v_at: int
    v_xi: int
    d_at: int
    d_xi: int
    z_at: int
    z_xi: int
    dw_at: int
    lines_at: int
    size: int

    @property
    def fits(self) -> bool:
        """Whether there is room for it."""
        return self.size <= job.share(1)

    @classmethod
    def of(cls, problem: Problem, member: Member, cut: Cut, target: Target) -> Scratch:
        """The scratch of the largest task."""
        _, _, item = names_of(problem)
        pixel, lanes, taps, between = target.vector_bytes, target.lanes(item), problem.r * problem.s, between_products
        strip = math.prod(member.strip(problem, cut)) * pixel
        v_xi = between.py_func(cut.tiles * cut.c.most * pixel)
        d_xi = between.py_func(cut.tiles * cut.k.most * pixel)
        z_xi = between.py_func(cut.k.most * lanes * cut.c.most * pixel)
        v_at = t_.STRIP_STARTS + strip
        d_at = v_at + member.products * v_xi
        z_at = d_at + member.products * d_xi
        dw_at = z_at + member.weights * z_xi
        lines_at = dw_at + (cut.k.most * lanes * taps * pixel if cut.segments == 1 else 0)
        return cls(v_at, v_xi, d_at, d_xi, z_at, z_xi, dw_at, lines_at, lines_at + taps * pixel)


def execution(problem: Problem, x: Steps, member: Member, cut: Cut, target: Target) -> Execution:
    """The launches: the segments' sums, and what adds them up if there are several."""
    stored, computing, item = names_of(problem)
    scratch, pixel = Scratch.of(problem, member, cut, target), target.vector_bytes
    outputs, channels, taps = problem.k // problem.groups, problem.c // problem.groups, problem.r * problem.s
    plan, dy_plan = np.zeros(t_.WEIGHT_GRAD_FIELDS, np.int64), np.zeros(TILES_FIELDS, np.int64)
    dy_problem = replace(problem, c=problem.k, h=problem.oh, w=problem.ow, r=1, s=1, stride=(1, 1),
                         padding=((0, 0), (0, 0)), padding_mode="zeros")  # fmt: skip
    dy = contiguous_steps(dy_problem)
    put_tiles(plan, problem, x, member, cut, target, "wgin", scratch.v_xi)
    put_tiles(dy_plan, dy_problem, dy, member, cut, target, "wgdy", scratch.d_xi)
    kernels, tables, starts = _kernels(problem, cut, target)
    order = np.array(member.order(), np.int64)
    for name, value in {
        "DY": dy_plan.ctypes.data, "SEGMENTS": cut.segments, "BLOCKS_BASE": cut.blocks // cut.segments,
        "BLOCKS_LARGER": cut.blocks % cut.segments, "IMAGE_BLOCKS": cut.image_blocks,
        "IMAGE_BASE": problem.n // cut.image_blocks, "IMAGE_LARGER": problem.n % cut.image_blocks,
        "GROUPS": problem.groups, "CHANNELS": channels, "OUTPUTS": outputs, "PRODUCTS": member.products, "TAPS": taps,
        "ORDER": order.ctypes.data,
        "C_BLOCKS": cut.c.count, "C_BASE": cut.c.base, "C_LARGER": cut.c.larger,
        "K_BLOCKS": cut.k.count, "K_BASE": cut.k.base, "K_LARGER": cut.k.larger,
        "X_N": x.n, "X_C": x.c, "DY_N": dy.n, "DY_C": dy.c, "ROW_MOST": cut.rows, "VECTOR_MOST": cut.vectors,
        "TABLE": starts.ctypes.data, "KERNELS": kernels.ctypes.data, "STRIP_AT": t_.STRIP_STARTS,
        "V_AT": scratch.v_at, "D_AT": scratch.d_at, "Z_AT": scratch.z_at, "Z_XI": scratch.z_xi, "DW_AT": scratch.dw_at,
        "WGDW": microkernel(f"wgdw_{computing}_{target.isa}_{member.variant}").address,
        "DW_SEGMENT": segment_bytes(problem, target), "DW_STORED": problem.itemsize,
        "TRANSPOSE": microkernel(f"transpose_{computing}_{target.isa}_columns").address,
        "FINISH": 0 if stored == computing else microkernel(finish_name(problem, target, None)).address,
        "ACCUMULATE": microkernel(f"accumulate_{computing}_{target.isa}").address,
        "SUM_OUTPUTS": SUM_OUTPUTS, "LINES_AT": scratch.lines_at,
    }.items():  # fmt: skip
        plan[getattr(t_, name)] = value
    keep = [dy_plan, kernels, tables, starts, order]
    tasks = cut.segments * problem.groups * cut.c.count * cut.k.count
    parts = [Job(t_.winograd_weight_grad.address, plan, tasks, scratch.size, problem.flops, keep)]
    if cut.segments == 1:
        return Execution(parts, None, 0, ())
    plan = plan.copy()
    plan[t_.LINES_AT] = 0
    vectors = segment_bytes(problem, target) // pixel * cut.segments
    tasks = problem.groups * -(-channels // target.lanes(item)) * -(-outputs // SUM_OUTPUTS)
    parts.append(Job(t_.add_segments.address, plan, tasks, taps * pixel, 32 * vectors, keep))
    return Execution(parts, None, 0, (), cut.segments * segment_bytes(problem, target))


def _kernels(problem: Problem, cut: Cut, target: Target) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """The register tiles, and for each number of vectors of output channels where the tiles of d lie."""
    _, computing, item = names_of(problem)
    outputs, lanes = problem.k // problem.groups, target.lanes(item)
    kernels, starts, tables = np.zeros(15 * VECTORS_TABLED * 2, np.int64), np.zeros(cut.k.most + 1, np.int64), []
    last = outputs - (-(-outputs // lanes) - cut.k.base) * lanes
    for extent in {cut.k.most * lanes, cut.k.base * lanes, last}:
        for rows in blocking.sizes(extent, cut.rows):
            for panel in {cut.c.most, cut.c.base}:
                for vectors in blocking.sizes(panel, cut.vectors):
                    kernel = microkernel(gemm_name(computing, rows, vectors, target, "ch", "near"))
                    kernels[(rows * VECTORS_TABLED + vectors) * 2] = kernel.address
    for vectors in {cut.k.base, cut.k.most}:
        tables.append(np.arange(cut.tiles, dtype=np.int64) * (vectors * target.vector_bytes))
        starts[vectors] = tables[-1].ctypes.data
    return kernels, tables, starts
