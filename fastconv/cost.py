"""The cost model: cycles of one core, from counts and a few measured constants.

Measured on Zen 5 and checked against the ordering on Cascade Lake; each constant says what it stands for. The model
never sees the number of threads, because the choice must not depend on it.
"""

from __future__ import annotations

from fastconv import blocking
from fastconv.problem import Problem
from fastconv.target import Target

MOVE = 0.4  # cycles to pack one element of a channels-last strip
PLANE = 40.0  # to pack one channel of a channels-first strip, besides its rows
LINE = 8.0  # to pack one vector of a row of it, for each vector that is read
TRANSPOSE = 0.65  # to write one output element through a transpose
STORE = 0.12  # to write one output element straight from a tile
PACK_WEIGHT = 2.5  # to pack one weight into a buffer, and read it there from another core's cache
PACKING = 6_000.0  # to start a launch that packs
PACK_PANEL = 0.5  # to pack one weight into a panel that is used at once
TILE = 30.0  # to enter and leave a tile
IN_PLACE_STEP = 0.05  # extra share of a step's time when each vector of x comes from another page
IN_PLACE_STRIDED = 0.2  # the same when windows overlap little
CONFLICT = 0.8  # extra share when windows are read in place from pixels that fall into two sets of L1, or one
WINOGRAD_PACK = 4.0  # to pack one vector of a strip
WINOGRAD_IN = 3.2  # to transform one vector of x to a product
WINOGRAD_OUT = 2.6  # to transform one vector of sums
WINOGRAD_WRITE = 4.0  # to write one vector of y
WINOGRAD_STEP = 1.1  # share of a register tile's step, with broadcasts from rows apart
WINOGRAD_TILE = 60.0  # to enter and leave a register tile
WINOGRAD_WEIGHT = 0.004  # to read a byte of transformed weights from L3
WINOGRAD_FAR_WEIGHT = 0.09  # and more where they do not fit there
WINOGRAD_FAR_TILE = 0.5  # to read a byte of transformed tiles that L3 does not hold for all threads
WINOGRAD_TRANSFORM = 8.0  # to transform the weights of a vector of channels to a product
WINOGRAD_SHARED_TRANSFORM = 24.0  # the same where other cores hold the memory and will read it
TASK = 500.0  # to start a task
NEST = 3_000.0  # to take scratch for a dense plan and read its numbers
LAUNCH = 10_000.0  # to launch a kernel on threads


def dense_cycles(problem: Problem, shape, target: Target, packed: bool) -> float:
    """A dense plan: its tiles' steps, packing, output."""
    item = 8 if problem.dtype == "float64" else 4
    lanes = target.lanes(item)
    groups, n = problem.groups, problem.n
    outputs, channels = problem.k // groups, problem.c // groups
    oh, ow, depth = problem.oh, problem.ow, channels * problem.r * problem.s
    pixels = oh * ow
    flat = (problem.r, problem.s) == (1, 1) and problem.stride == (1, 1) and problem.padding_zero
    run, runs = (pixels, 1) if flat else (ow, oh)
    if shape.lanes == "pixels":
        rows, vectors = outputs, -(-run // lanes)
    else:
        rows, vectors = run, -(-outputs // lanes)
    step, tiles = 0.0, 0
    for size, count in blocking.counted(rows, shape.rows):
        for width, times in blocking.counted(vectors, shape.vectors):
            step += count * times * blocking.tile_cycles(size, width)
            tiles += count * times
    chunks = -(-channels // blocking.chunk_channels(channels, problem.r * problem.s))
    slower = 0.0
    if shape.in_place and shape.lanes == "pixels":
        slower = IN_PLACE_STEP
    elif shape.in_place and problem.layout == "channels_last" and problem.r * problem.s > 1:
        slower = CONFLICT * (problem.c * problem.stride[1] * item % 2048 == 0)
    elif shape.in_place and problem.r * problem.s > 1:
        slower = IN_PLACE_STRIDED * (problem.stride[1] > 1)
    cycles = runs * (step * depth * (1 + slower) + tiles * chunks * TILE)
    if not shape.in_place:
        sh, sw = problem.stride
        height = oh * min(sh, problem.r) + (problem.r - 1) * problem.dilation[0] // sh
        if problem.layout == "channels_first":
            cycles += channels * min(sw, problem.s) * (PLANE + height * -(-ow // lanes) * sw * LINE)
        else:
            cycles += channels * height * ow * min(sw, problem.s) * MOVE
    transposed = shape.lanes == "channels" and problem.layout == "channels_first"
    cycles += outputs * pixels * (TRANSPOSE if transposed else STORE) * (1 + 0.5 * (chunks - 1) / chunks)
    cycles = n * groups * (cycles + TASK) + NEST
    if not packed and not shape.raw_weights:
        cycles += problem.k * depth * PACK_WEIGHT + PACKING
    elif shape.raw_weights and shape.lanes == "channels":
        blocks = -(-oh * ow * min(channels * item, 2560) // (target.l2 * 3 // 4))
        cycles += n * problem.k * depth * PACK_PANEL * blocks
    return cycles


def winograd_task_cycles(problem: Problem, member, cut, target: Target) -> float:
    """One task of a fused Winograd convolution: its strip, its tiles in and out, its share of the products."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    (dh, dw), channels = problem.dilation, problem.c // problem.groups
    c_vectors, k_vectors = -(-channels // lanes), -(-(problem.k // problem.groups) // lanes)
    high, wide = -(-cut.windows[0] // cut.row_blocks), -(-cut.windows[1] // cut.column_blocks)
    strip = (high * member.mh + problem.r - 1) * dh * (wide * member.mw + problem.s - 1) * dw
    tiles_in, tiles_out = c_vectors * cut.tiles, k_vectors * cut.tiles / cut.channel_blocks
    steps = sum(
        count * times * (blocking.tile_cycles(size, width) * channels * WINOGRAD_STEP + WINOGRAD_TILE)
        for size, count in blocking.counted(cut.tiles, cut.rows)
        for width, times in blocking.counted(k_vectors, cut.vectors)
    )
    weights = member.products * channels * k_vectors * target.vector_bytes
    # Every panel of output channels reads the transformed tiles again.
    tiles = member.products * cut.tiles * c_vectors * target.vector_bytes
    panels = -(-k_vectors // cut.vectors)
    far_weights = min(1.0, max(0.0, problem.groups * weights / target.l3 - 0.25))
    far_tiles = min(1.0, max(0.0, 2.5 * tiles / target.l3 - 0.3))
    return (
        c_vectors * strip * WINOGRAD_PACK
        + tiles_in * member.products * WINOGRAD_IN
        + tiles_out * (member.products * WINOGRAD_OUT + member.mh * member.mw * WINOGRAD_WRITE)
        + member.products * steps / cut.channel_blocks
        + weights * (WINOGRAD_WEIGHT + far_weights * WINOGRAD_FAR_WEIGHT) / cut.channel_blocks
        + panels * tiles * far_tiles * WINOGRAD_FAR_TILE / cut.channel_blocks
        + member.products * channels * k_vectors * WINOGRAD_TRANSFORM * cut.raw_weights / cut.channel_blocks
        + TASK
    )


def winograd_weight_cycles(problem: Problem, member, target: Target, threads: int) -> float:
    """Transforming the weights of one call beforehand, on each of `threads` threads."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    vectors = problem.groups * -(-(problem.k // problem.groups) // lanes) * problem.c // problem.groups
    each = WINOGRAD_TRANSFORM if threads == 1 else WINOGRAD_SHARED_TRANSFORM / threads
    return vectors * member.products * each + PACKING


def depthwise_channels_cycles(problem: Problem, target: Target) -> float:
    """Depthwise, channels in the lanes: pixels packed, taps of output pixels, pixels written, each a vector."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    vectors, taps = problem.n * -(-problem.c // lanes), problem.r * problem.s
    outputs = problem.oh * problem.ow * problem.k // problem.c
    through = 2.0 if problem.layout == "channels_last" else 6.0
    return vectors * (problem.h * problem.w * through + outputs * (taps * 0.7 + through) + 2 * TASK)


def depthwise_pixels_cycles(problem: Problem, target: Target) -> float:
    """Depthwise, pixels in the lanes: vectors of each output row, whole or not."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    taps = problem.r * problem.s
    vectors = problem.oh * -(-problem.ow // lanes)
    return problem.n * problem.k * (vectors * (taps * 0.55 + 3 * problem.stride[0]) + 25)


def matvec_cycles(problem: Problem, target: Target) -> float:
    """A matrix times a vector: one load of weights a multiply-add, from L2 or farther."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    return problem.n * problem.k * (-(-problem.c // lanes) * 1.3 + 12) + TASK
