"""How a Winograd convolution is cut into tasks, and the plans of its launches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastconv import blocking
from fastconv.algorithm import output
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, move_name, names_of
from fastconv.algorithm.lanes import put_input
from fastconv.algorithm.nest import VECTORS_TABLED
from fastconv.algorithm.winograd import tasks as t_
from fastconv.algorithm.winograd.members import Member
from fastconv.cost import winograd_task_cycles, winograd_weight_cycles
from fastconv.job import Job
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.problem import Problem
from fastconv.target import Target

MOST_TILES = 112  # of a block: more gain nothing, and their products leave L2
MOST_BYTES = 48 << 20  # of all threads' transformed tiles
# Weights that are new at each call are transformed beforehand, if they take no more than this, or by each task.
MOST_WEIGHT_BYTES = 16 << 20
WEIGHT_CHANNELS = 16  # input channels that are transformed at a time


def window_bytes(problem: Problem, member: Member) -> int:
    """The transformed tiles of one window, which no block can be smaller than: many with a large dilation."""
    _, _, item = names_of(problem)
    return math.prod(problem.dilation) * member.products * max(problem.c // problem.groups, 16) * item


@dataclass(frozen=True)
class Cut:
    """How one problem is cut into blocks of windows, and output channels into panels as wide as a register tile."""

    windows: tuple[int, int]
    row_blocks: int
    column_blocks: int
    tiles: int  # of the largest block
    rows: int  # of a register tile
    vectors: int
    channel_blocks: int
    raw_weights: bool

    @property
    def high(self) -> int:
        """Rows of windows of the largest block."""
        return -(-self.windows[0] // self.row_blocks)

    @property
    def wide(self) -> int:
        """Columns of windows of the largest block."""
        return -(-self.windows[1] // self.column_blocks)

    def tasks(self, problem: Problem) -> int:
        """How many there are."""
        return problem.n * problem.groups * self.row_blocks * self.column_blocks * self.channel_blocks

    def cycles(self, problem: Problem, member: Member, target: Target, threads: int, packed: bool) -> float:
        """What the busiest of `threads` threads has to do."""
        cycles = -(-self.tasks(problem) // threads) * winograd_task_cycles(problem, member, self, target)
        if packed or self.raw_weights:
            return cycles
        return cycles + winograd_weight_cycles(problem, member, target, threads)

    @classmethod
    def of(cls, problem: Problem, member: Member, target: Target, threads: int, packed: bool) -> Cut:
        """The cut that leaves the busiest thread the fewest cycles, as the cost model counts them."""
        _, _, item = names_of(problem)
        subgrids = problem.dilation[0] * problem.dilation[1]
        k_vectors = -(-problem.k // problem.groups // target.lanes(item))
        most = MOST_BYTES // threads // (member.products * problem.c // problem.groups * item)
        most = max(1, min(MOST_TILES, most) // subgrids)
        (down, across), best = member.windows(problem), None
        column_blocks = -(-across // most)
        wide = -(-across // column_blocks)
        for high in range(1, max(1, min(most // wide, down)) + 1):
            row_blocks = -(-down // high)
            if high > 1 and row_blocks == -(-down // (high - 1)):
                continue  # no fewer blocks than with one row less
            tiles = high * wide * subgrids
            rows, vectors, _ = blocking.choose_tile(tiles, k_vectors, target)
            for split in range(1, min(threads, -(-k_vectors // vectors)) + 1):
                for raw in (False,) if packed else (False, True):
                    cut = cls((down, across), row_blocks, column_blocks, tiles, rows, vectors, split, raw)
                    if not packed and not raw and _Panels.of(problem, member, cut, target).total > MOST_WEIGHT_BYTES:
                        continue
                    cycles = cut.cycles(problem, member, target, threads, packed)
                    if best is None or cycles < best[0]:
                        best = cycles, cut
        return best[1]


def execution(problem: Problem, x: Steps, member: Member, target: Target, threads: int, packed: bool) -> Execution:
    """The launches: the convolution, and before it the weights' transform, unless tasks do it."""
    cut = Cut.of(problem, member, target, threads, packed)
    panels = _Panels.of(problem, member, cut, target)
    weights = _weights(problem, member, panels, target)
    main = _main(problem, x, member, cut, panels, weights, target)
    if cut.raw_weights:
        return Execution([main], None, 0, ())
    return Execution([main], weights, panels.total, ("winograd", member, cut.vectors))


@dataclass(frozen=True)
class _Panels:
    """The panels of a group's output channels: `larger` of base + 1 vectors, the others of base.

    Transformed, one has `size` bytes, and those of all groups `total`.
    """

    count: int
    base: int
    larger: int
    size: int
    total: int

    @classmethod
    def of(cls, problem: Problem, member: Member, cut: Cut, target: Target) -> _Panels:
        _, _, item = names_of(problem)
        outputs, channels = problem.k // problem.groups, problem.c // problem.groups
        count, base, larger = blocking.split(-(-outputs // target.lanes(item)), cut.vectors)
        size = member.products * _between_products(channels * (base + (larger > 0)) * target.vector_bytes)
        return cls(count, base, larger, size, problem.groups * count * size)


def _between_products(size: int) -> int:
    return t_.between_products.py_func(size)


def _weights(problem: Problem, member: Member, panels: _Panels, target: Target) -> Job:
    """The launch that transforms the weights."""
    _, computing, item = names_of(problem)
    channels, taps = problem.c // problem.groups, problem.r * problem.s
    block = min(channels, WEIGHT_CHANNELS)
    blocks = -(-channels // block)
    plan = np.zeros(t_.P_FIELDS, np.int64)
    for name, value in {
        "CHANNELS": channels, "BLOCK": block, "BLOCKS": blocks, "TAPS": taps, "OUTPUTS": problem.k // problem.groups,
        "LANES": target.lanes(item), "ITEM": item, "SOURCE_ITEM": problem.itemsize,
        "TRANSPOSE": microkernel(move_name("transpose", problem, target, "rows")).address,
        "KERNEL": microkernel(f"wgweight_{computing}_{target.isa}_{member.variant}").address,
        "PANELS": panels.count, "BASE": panels.base, "LARGER": panels.larger,
        "U_G": panels.count * panels.size, "U_PANEL": panels.size,
    }.items():  # fmt: skip
        plan[getattr(t_, f"P_{name}")] = value
    scratch = (panels.base + (panels.larger > 0)) * target.vector_bytes * taps * block
    return Job(t_.winograd_weights.address, plan, problem.groups * panels.count * blocks, scratch, 8 * panels.total)


def _main(
    problem: Problem, x: Steps, member: Member, cut: Cut, panels: _Panels, weights: Job, target: Target
) -> Job:  # fmt: skip
    """The launch that convolves."""
    _, _, item = names_of(problem)
    outputs, channels, (dh, dw) = problem.k // problem.groups, problem.c // problem.groups, problem.dilation
    plan, keep = np.zeros(t_.WINOGRAD_FIELDS, np.int64), []

    def put(**fields: int) -> None:
        for name, value in fields.items():
            plan[getattr(t_, name)] = value

    put(
        GROUPS=problem.groups, CHANNEL_BLOCKS=cut.channel_blocks, PANELS=panels.count,
        PANELS_A_BLOCK=-(-panels.count // cut.channel_blocks), PANEL_BASE=panels.base, PANEL_LARGER=panels.larger,
        ROW_BLOCKS=cut.row_blocks, ROW_BASE=cut.windows[0] // cut.row_blocks,
        ROW_LARGER=cut.windows[0] % cut.row_blocks,
        COLUMN_BLOCKS=cut.column_blocks, COLUMN_BASE=cut.windows[1] // cut.column_blocks,
        COLUMN_LARGER=cut.windows[1] % cut.column_blocks,
        CHANNELS=channels, CHUNK=blocking.chunk_winograd(channels), OUTPUTS=outputs, LANES=target.lanes(item),
        ITEM=item, MH=member.mh, MW=member.mw, R=problem.r, S=problem.s, DH=dh, DW=dw, PRODUCTS=member.products,
        TOP=problem.padding[0][0], LEFT=problem.padding[1][0], OH=problem.oh, OW=problem.ow,
        X_N=x.n, X_G=channels * x.c, U_G=panels.count * panels.size, U_PANEL=panels.size,
    )  # fmt: skip
    put_input(plan, problem, x, target)
    _put_kernels(put, problem, member, cut, panels, target, keep)
    _put_output(put, problem, target, keep)
    scratch = _put_scratch(put, problem, member, cut, panels, target)
    if cut.raw_weights:
        keep.append(weights)
        put(RAW=weights.plan.ctypes.data, TAPS_AT=scratch, U_AT=scratch + weights.scratch)
        scratch += weights.scratch + panels.size
    return Job(t_.winograd.address, plan, cut.tasks(problem), scratch, problem.flops, keep)


def _put_kernels(put, problem, member, cut, panels, target, keep):
    """The transforms, the register tiles, and where a channel's values lie among the transformed tiles."""
    _, computing, item = names_of(problem)
    lanes, subgrids = target.lanes(item), problem.dilation[0] * problem.dilation[1]
    channels = np.arange(problem.c // problem.groups)
    table = np.ascontiguousarray(
        channels // lanes * cut.tiles * target.vector_bytes + channels % lanes * item, np.int64
    )
    heights, widths = ({extent // blocks, -(-extent // blocks)} for extent, blocks in
                       zip(cut.windows, (cut.row_blocks, cut.column_blocks), strict=True))  # fmt: skip
    kernels = np.zeros(15 * VECTORS_TABLED * 2, np.int64)
    for rows in {rows for h in heights for w in widths for rows in blocking.sizes(h * w * subgrids, cut.rows)}:
        for vectors in {panels.base, panels.base + (panels.larger > 0)}:
            kernel = microkernel(gemm_name(computing, rows, vectors, target, "ch", "strided"))
            kernels[(rows * VECTORS_TABLED + vectors) * 2] = kernel.address
    keep += [table, kernels]
    put(ROW_MOST=cut.rows, TABLE=table.ctypes.data, KERNELS=kernels.ctypes.data)
    for name, op, tail in (("WGIN", "wgin", ""), ("WGOUT", "wgout", ""), ("WGOUT_TAIL", "wgout", "_tail")):
        put(**{name: microkernel(f"{op}_{computing}_{target.isa}_{member.variant}{tail}").address})


def _put_output(put, problem, target, keep):
    """Where y lies, and what the transform leaves to do."""
    stored, computing, _ = names_of(problem)
    step, last = problem.itemsize, problem.layout == "channels_last"
    y_pixel, y_channel = (problem.k * step, step) if last else (step, problem.oh * problem.ow * step)
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep.append(slope)
    simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu") and stored == computing
    if last:
        after = output.NOTHING if simple else output.FINISH_LINES
    else:
        after = output.TRANSPOSE_ONLY if simple and not problem.residual else output.TRANSPOSE_FINISH
        put(TRANSPOSE=microkernel(f"transpose_{computing}_{target.isa}_columns").address)
    if after in (output.NOTHING, output.TRANSPOSE_ONLY):
        put(ACTIVATION=SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data))
    else:
        put(FINISH=microkernel(finish_name(problem, target, problem.activation)).address)
    put(
        Y_N=problem.k * problem.oh * problem.ow * step, Y_G=problem.k // problem.groups * y_channel,
        Y_ROW=problem.ow * y_pixel, Y_PIXEL=y_pixel, Y_CHANNEL=y_channel, AFTER=after, SLOPE=slope.ctypes.data,
    )  # fmt: skip


def _put_scratch(put, problem, member, cut, panels, target):
    """Where a task's strip, transformed tiles, sums and unfinished rows lie; the bytes they take."""
    _, _, item = names_of(problem)
    pixel, (dh, dw) = target.vector_bytes, problem.dilation
    high, wide = cut.high * member.mh * dh, cut.wide * member.mw * dw
    strip = (high + (problem.r - 1) * dh) * (wide + (problem.s - 1) * dw) * pixel
    vectors = -(-(problem.c // problem.groups) // target.lanes(item))
    v_xi = _between_products(vectors * cut.tiles * pixel)
    z_xi = _between_products(cut.tiles * (panels.base + (panels.larger > 0)) * pixel)
    stage = member.mh * dh * wide
    z_at = t_.STRIP + strip + v_xi * member.products
    stage_at = z_at + z_xi * member.products
    lines_at = stage_at + stage * pixel
    put(V_AT=t_.STRIP + strip, V_XI=v_xi, V_C=cut.tiles * pixel, Z_AT=z_at, STAGE_AT=stage_at, LINES_AT=lines_at)
    return lines_at + output.LINES * stage * item
