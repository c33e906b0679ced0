"""Fused Winograd convolution: fewer multiplications for kernels of 2 to 7 taps at stride 1.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016): every tile of m x m outputs is transformed,
multiplied point by point, which over channels is a matrix product for each point, and transformed back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import blocking
from fastconv.algorithm import lanes as l_
from fastconv.algorithm import output
from fastconv.algorithm import winograd_tasks as t_
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, move_name, names_of
from fastconv.algorithm.dense import MODES
from fastconv.cost import winograd_task_cycles, winograd_weight_cycles
from fastconv.job import Job
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.problem import Problem
from fastconv.target import Target

# Output pixels of a tile along an axis, by the kernel's taps there; those for precision="fast" come after the others.
# docs/accuracy.md has their measured errors.
DEFAULT = {1: (1,), 2: (2, 4), 3: (2, 3, 4), 4: (2, 3), 5: (2,), 7: ()}
FAST = {1: (1,), 2: (2, 4), 3: (2, 3, 4, 5, 6), 4: (2, 3, 4), 5: (2, 4), 7: (2,)}
LEAST_TILES, MOST_TILES = 28, 112  # of a block: fewer read the weights too often, more leave threads idle
TUNE = {}


@dataclass(frozen=True)
class Member:
    """F(mh x mw, r x s): one of the family."""

    mh: int
    mw: int
    r: int
    s: int

    @property
    def products(self) -> int:
        """Multiplications of a tile."""
        return (self.mh + self.r - 1) * (self.mw + self.s - 1)

    @property
    def variant(self) -> str:
        """Its word in the names of microkernels."""
        return f"{self.mh}x{self.mw}k{self.r}x{self.s}"

    def windows(self, problem: Problem) -> tuple[int, int]:
        """Rows and columns of windows: one tile for each of the dilation's sub-grids."""
        (dh, dw), (oh, ow) = problem.dilation, (problem.oh, problem.ow)
        return -(-oh // (self.mh * dh)), -(-ow // (self.mw * dw))


def members(problem: Problem) -> list[Member]:
    """Those that the problem's precision allows."""
    allowed = {"strict": {}, "default": DEFAULT, "fast": FAST}[problem.precision]
    heights, widths = allowed.get(problem.r, ()), allowed.get(problem.s, ())
    return [Member(mh, mw, problem.r, problem.s) for mh in heights for mw in widths
            if problem.r == 1 or problem.s == 1 or mh == mw]


@dataclass(frozen=True)
class Cut:
    """How one problem is cut into blocks of windows, sweeps of output channels and register tiles."""

    row_blocks: int
    column_blocks: int
    windows: tuple[int, int]
    tiles: int  # of the largest block
    rows: int  # of a register tile
    vectors: int
    register_tiles: int
    tiles_a_sweep: int
    channel_blocks: int

    @property
    def sweeps(self) -> int:
        """Passes over v, each for some output channels."""
        return -(-self.register_tiles // self.tiles_a_sweep)

    @classmethod
    def of(cls, problem: Problem, member: Member, target: Target, threads: int) -> Cut:
        """The cut that keeps the busiest thread's cycles, as the cost model sees them, lowest."""
        lanes = target.lanes(names_of(problem)[2])
        dh, dw = problem.dilation
        k_vectors, subgrids = -(-(problem.k // problem.groups) // lanes), dh * dw
        (down, across), best = member.windows(problem), None
        channels = problem.c // problem.groups
        most = max(LEAST_TILES, target.l2 // (member.products * channels * target.vector_bytes // lanes))
        most = min(most, MOST_TILES) // subgrids
        column_blocks = -(-across // max(1, most))
        wide = -(-across // column_blocks)
        for high in {-(-down // blocks) for blocks in range(1, down + 1)}:
            if high > 1 and high * wide > most:
                continue
            row_blocks = -(-down // high)
            tiles = high * wide * subgrids
            rows, vectors, _ = blocking.choose_tile(tiles, k_vectors, target)
            register_tiles = -(-k_vectors // vectors)
            for split in range(1, min(threads, register_tiles) + 1):
                cut = cls(row_blocks, column_blocks, (down, across), tiles, rows, vectors, register_tiles, 1, split)
                tasks = problem.n * problem.groups * row_blocks * column_blocks * split
                cycles = -(-tasks // threads) * winograd_task_cycles(problem, member, cut, target)
                if best is None or cycles < best[0]:
                    best = cycles, cut
        return best[1]


def _shares(extent: int, parts: int) -> set[int]:
    """The sizes of `parts` near-equal parts."""
    return {extent // parts, -(-extent // parts)}


def _padded(size: int) -> int:
    return (size + 127) // 128 * 128 + 64


def _cycles(problem: Problem, member: Member, target: Target, packed: bool) -> float:
    """What one member costs on one core."""
    cut = Cut.of(problem, member, target, 1)
    tasks = problem.n * problem.groups * cut.row_blocks * cut.column_blocks
    cycles = tasks * winograd_task_cycles(problem, member, cut, target)
    return cycles if packed else cycles + winograd_weight_cycles(problem, member, target)


class Winograd:
    """Stride 1, kernels of up to 7 taps, zeros or any other padding."""

    name = "winograd"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if problem.stride != (1, 1):
            return "stride"
        if problem.precision == "strict":
            return "precision='strict' allows plain sums only"
        if (problem.r, problem.s) == (1, 1) or not members(problem):
            return "no member of the family has this kernel size within the precision"
        if problem.depthwise:
            return "a group has one input channel"
        if problem.itemsize not in (x.w, x.c):
            return "neither x's rows nor its channels are contiguous"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return min(_cycles(problem, member, target, packed) for member in members(problem))

    def member(self, problem: Problem, target: Target, packed: bool) -> Member:
        """The cheapest, whatever the batch: the choice decides the bits."""
        if "member" in TUNE:
            return TUNE["member"]
        image = replace(problem, n=1)
        return min(members(problem), key=lambda member: _cycles(image, member, target, packed))

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        member = self.member(problem, target, packed)
        cut = Cut.of(problem, member, target, threads)
        weights, size = _weights(problem, member, cut, target)
        packing = ("winograd", member, cut.vectors, cut.tiles_a_sweep)
        return Execution([_main(problem, x, member, cut, target)], weights, size, packing)


def _sizes(problem: Problem, member: Member, cut: Cut, target: Target) -> tuple[int, int]:
    """Bytes of the transformed weights of one sweep and of one group."""
    _, _, item = names_of(problem)
    pixel, channels = target.vector_bytes, problem.c // problem.groups
    sweep = member.products * _padded(cut.tiles_a_sweep * cut.vectors * pixel * channels)
    return sweep, cut.sweeps * sweep


def _weights(problem: Problem, member: Member, cut: Cut, target: Target) -> tuple[Job, int]:
    """The launch that transforms the weights, and their size then."""
    _, computing, item = names_of(problem)
    lanes, outputs, channels = target.lanes(item), problem.k // problem.groups, problem.c // problem.groups
    taps, block = problem.r * problem.s, min(channels, 16)
    _, base, larger = blocking.split(-(-outputs // lanes), cut.vectors)
    sweep, group = _sizes(problem, member, cut, target)
    kernel = microkernel(f"wgweight_{computing}_{target.isa}_{member.variant}")
    blocks = -(-channels // block)
    plan = np.zeros(t_.P_FIELDS, np.int64)
    for index, value in (
        (t_.P_CHANNELS, channels), (t_.P_BLOCK, block), (t_.P_BLOCKS, blocks), (t_.P_TAPS, taps),
        (t_.P_OUTPUTS, outputs), (t_.P_LANES, lanes), (t_.P_ITEM, item), (t_.P_SOURCE_ITEM, problem.itemsize),
        (t_.P_TRANSPOSE, microkernel(move_name("transpose", problem, target, "rows")).address),
        (t_.P_KERNEL, kernel.address), (t_.P_TILES, cut.register_tiles), (t_.P_TILES_A_SWEEP, cut.tiles_a_sweep),
        (t_.P_TILE_BASE, base), (t_.P_TILE_LARGER, larger), (t_.P_U_G, group), (t_.P_U_SWEEP, sweep),
    ):  # fmt: skip
        plan[index] = value
    size, scratch = problem.groups * group, cut.vectors * target.vector_bytes * taps * block
    tasks = problem.groups * cut.register_tiles * blocks
    return Job(t_.winograd_weights.address, plan, tasks, scratch, 8 * size), size


def _main(problem: Problem, x: Steps, member: Member, cut: Cut, target: Target) -> Job:
    """The launch that convolves."""
    stored, computing, item = names_of(problem)
    lanes, outputs, channels = target.lanes(item), problem.k // problem.groups, problem.c // problem.groups
    pixel, (dh, dw), (oh, ow) = target.vector_bytes, problem.dilation, (problem.oh, problem.ow)
    plan, keep = np.zeros(t_.WINOGRAD_FIELDS, np.int64), []

    def put(**fields: int) -> None:
        for name, value in fields.items():
            plan[getattr(t_, name)] = value

    gather = x.w == problem.itemsize
    for name, value in {
        "X_C": x.c, "X_H": x.h, "X_W": x.w, "H": problem.h, "W": problem.w, "MODE": MODES[problem.padding_mode],
        "PIXEL": pixel,
        "GATHER": microkernel(move_name("transpose", problem, target, "columns")).address if gather else 0,
        "SPREAD": microkernel(move_name("spread", problem, target)).address,
    }.items():  # fmt: skip
        plan[getattr(l_, name)] = value

    chunk = channels
    table = np.arange(channels)
    table = np.ascontiguousarray(table // lanes * cut.tiles * pixel + table % lanes * item, np.int64)
    heights, widths = _shares(cut.windows[0], cut.row_blocks), _shares(cut.windows[1], cut.column_blocks)
    tiles_of = {high * wide * dh * dw for high in heights for wide in widths}
    _, base, larger = blocking.split(-(-outputs // lanes), cut.vectors)
    kernels = np.zeros(15 * t_.VECTORS_TABLED, np.int64)
    for rows in {rows for tiles in tiles_of for rows in blocking.sizes(tiles, cut.rows)}:
        for vectors in {base, base + (larger > 0)}:
            kernels[rows * t_.VECTORS_TABLED + vectors] = microkernel(
                gemm_name(computing, rows, vectors, target, "ch", "strided")).address
    keep += [table, kernels]
    put(GROUPS=problem.groups, CHANNEL_BLOCKS=cut.channel_blocks, SWEEPS=cut.sweeps,
        SWEEPS_A_BLOCK=-(-cut.sweeps // cut.channel_blocks),
        ROW_BLOCKS=cut.row_blocks, ROW_BASE=cut.windows[0] // cut.row_blocks, ROW_LARGER=cut.windows[0] % cut.row_blocks,
        COLUMN_BLOCKS=cut.column_blocks, COLUMN_BASE=cut.windows[1] // cut.column_blocks,
        COLUMN_LARGER=cut.windows[1] % cut.column_blocks, CHANNELS=channels, CHUNK=chunk, OUTPUTS=outputs, LANES=lanes,
        ITEM=item, MH=member.mh, MW=member.mw, R=problem.r, S=problem.s, DH=dh, DW=dw, PRODUCTS=member.products,
        TOP=problem.padding[0][0], LEFT=problem.padding[1][0], OH=oh, OW=ow, X_N=x.n, X_G=channels * x.c,
        TILES_A_SWEEP=cut.tiles_a_sweep, REGISTER_TILES=cut.register_tiles, TILE_BASE=base, TILE_LARGER=larger,
        ROW_MOST=cut.rows, TABLE=table.ctypes.data, KERNELS=kernels.ctypes.data)
    sweep, group = _sizes(problem, member, cut, target)
    put(U_G=group, U_SWEEP=sweep)
    for name, op, tail in (("WGIN", "wgin", ""), ("WGOUT", "wgout", ""), ("WGOUT_TAIL", "wgout", "_tail")):
        put(**{name: microkernel(f"{op}_{computing}_{target.isa}_{member.variant}{tail}").address})

    # Output.
    last, narrow = problem.layout == "channels_last", stored != computing
    step = problem.itemsize
    y_pixel, y_channel = (problem.k * step, step) if last else (step, oh * ow * step)
    put(Y_N=problem.k * oh * ow * step, Y_G=outputs * y_channel, Y_ROW=ow * y_pixel, Y_PIXEL=y_pixel, Y_CHANNEL=y_channel)
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep.append(slope)
    simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu") and not narrow
    if last:
        after = output.NOTHING if simple else output.FINISH_LINES
    else:
        after = output.TRANSPOSE_ONLY if simple and not problem.residual else output.TRANSPOSE_FINISH
        put(TRANSPOSE=microkernel(f"transpose_{computing}_{target.isa}_columns").address)
    put(AFTER=after, SLOPE=slope.ctypes.data)
    if after in (output.NOTHING, output.TRANSPOSE_ONLY):
        put(ACTIVATION=SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data))
    else:
        put(FINISH=microkernel(finish_name(problem, target, problem.activation)).address)

    # Scratch.
    trs, tcs = -(-cut.windows[0] // cut.row_blocks), -(-cut.windows[1] // cut.column_blocks)
    strip = (trs * member.mh * dh + (problem.r - 1) * dh) * (tcs * member.mw * dw + (problem.s - 1) * dw) * pixel
    vectors = -(-channels // lanes)
    v_xi = _padded(vectors * cut.tiles * pixel)
    z_xi = _padded(cut.tiles * cut.tiles_a_sweep * cut.vectors * pixel)
    stage = member.mh * dh * tcs * member.mw * dw * pixel
    at = t_.STRIP + strip
    put(V_AT=at, V_XI=v_xi, V_C=cut.tiles * pixel, Z_AT=at + v_xi * member.products)
    at += (v_xi + z_xi) * member.products
    put(STAGE_AT=at, LINES_AT=at + stage)
    scratch = at + stage + output.LINES * stage // pixel * item
    tasks = problem.n * problem.groups * cut.row_blocks * cut.column_blocks * cut.channel_blocks
    return Job(t_.winograd.address, plan, tasks, scratch, problem.flops, keep)
