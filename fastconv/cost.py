"""The cost model: cycles of one core, from counts and a few measured constants (`constants`).

The model never sees the number of threads, because the choice must not depend on it.
"""

from __future__ import annotations

import math

from fastconv import blocking, constants
from fastconv.constants import Constants
from fastconv.job import PAGE
from fastconv.problem.conv import Problem
from fastconv.target import Target, host

C = Constants()
NEAR_PLANES = 2500  # bytes: of smaller ones the processor fetches the next ahead, as they share pages
GRADIENT_OFFSETS = 2  # of each step of a weight gradient's tiles: of a vector and of scalars


def use(chosen: Constants | None = None) -> None:
    """Count with these constants from now on, or with those that were fitted on this machine."""
    global C
    C = chosen or constants.load(host())


def _far(total: float, target: Target) -> float:
    """How far away `total` bytes of packed weights are: not at all if they take half of L2, in L3 if they fill it."""
    return min(1.0, max(0.0, 2 * total / target.l2 - 1))


def _weight_byte(total: float, target: Target) -> float:
    """To read a byte of `total` packed weights."""
    return C.weight_byte * _far(total, target)


def dense_cycles(problem: Problem, shape, target: Target, packed: bool) -> float:
    """A dense plan: its tiles' steps, packing, output."""
    item = 8 if problem.dtype == "float64" else 4
    lanes = target.lanes(item)
    groups, n = problem.groups, problem.n
    outputs, channels = problem.k // groups, problem.c // groups
    oh, ow, depth = problem.oh, problem.ow, channels * problem.r * problem.s
    pixels, (runs, run) = oh * ow, blocking.runs(problem, shape.in_place, shape.apart)
    rows, vectors = (outputs, -(-run // lanes)) if shape.lanes == "pixels" else (run, -(-outputs // lanes))
    step, tiles = 0.0, 0
    for size, count in blocking.counted(rows, shape.rows):
        for width, times in blocking.counted(vectors, shape.vectors):
            # In strips or a panel that were just packed; or weights that follow one another, for one pixel alone.
            near = shape.lanes == "pixels" or n * pixels == 1
            step += count * times * blocking.tile_cycles(size, width, target, near)
            tiles += count * times
    chunks = blocking.dense_chunk(problem).count(channels, problem.r, problem.s)
    slower = 0.0
    if shape.in_place and problem.layout == "channels_last":
        pitch = problem.c * problem.stride[1] * item
        if problem.r * problem.s > 1:
            slower = C.conflict * (pitch % 2048 == 0)
        else:  # pixels whose addresses differ by pages fall into one set of L1
            slower = C.conflict_point * (pitch % PAGE == 0 and min(rows, shape.rows) > target.l1 // PAGE)
    elif shape.in_place and problem.layout == "channels_first":
        # Of each line that a row of taps loads it uses the less, the farther windows lie apart.
        share = C.in_place_strided_point if problem.r * problem.s == 1 else C.in_place_strided
        slower = share * (problem.stride[1] > 1) * problem.stride[1] / problem.s
        if shape.lanes == "channels" and problem.r * problem.s == 1:
            # Where vectors are short, a line of each plane for every step takes as long as the step's multiply-adds.
            far = problem.h * problem.w * item / NEAR_PLANES if target.registers == 32 else 1.0
            slower += C.in_place_apart * min(1.0, far)
    elif shape.lanes == "pixels" and problem.r * problem.s > 1 and not shape.panels:
        slower = C.strips_unaligned
    elif shape.lanes == "channels" and problem.r * problem.s == 1 and problem.layout == "channels_first":
        slower = C.in_place_apart / 2 * (target.registers == 16)  # packed planes are nearer
    cycles = runs * (step * depth * (1 + slower) + tiles * chunks * C.tile)
    if shape.panels:  # vectors of a line that start anywhere, as taps make them, lie in two
        crossing = shape.in_place and problem.r * problem.s > 1 and target.vector_bytes == 64
        cycles += runs * vectors * depth * C.panel * (1.6 if crossing else 1.0)
    if not shape.in_place:
        last = problem.layout == "channels_last"
        rows_packed, row = (oh, ow) if shape.apart else (runs, run)
        height = blocking.count_lines(rows_packed, problem.r, problem.stride[0], problem.dilation[0])
        columns = blocking.columns_of(
            row, problem.s, problem.stride[1], problem.dilation[1], contiguous=last, apart=shape.apart
        )
        parts, wide = len(columns.firsts), columns.width
        if last:
            cycles += height * parts * wide * (channels * C.move + C.move_pixel * (groups > 1))
        else:
            cycles += channels * parts * (C.plane + height * -(-wide // lanes) * columns.step * C.line)
    transposed = shape.lanes == "channels" and problem.layout == "channels_first"
    apart = shape.panels and problem.r * problem.s > 1 and outputs * pixels * item > target.l2
    store = (C.transpose if transposed else C.store) + C.store_apart * apart
    cycles += outputs * pixels * store * (1 + 0.5 * (chunks - 1) / chunks)
    cycles += outputs * depth * item * _weight_byte(problem.k * depth * item, target)
    cycles = n * groups * (cycles + C.task) + C.nest
    if not packed and not shape.raw_weights:
        cycles += problem.k * depth * C.pack_weight + C.packing
    elif shape.raw_weights and shape.lanes == "channels":
        blocks = -(-oh * ow * min(channels * item, 2560) // (target.l2 * 3 // 4))
        cycles += n * problem.k * depth * C.pack_panel * blocks
    return cycles


MATRIX_TILE, MATRIX_STEP = 16, 32  # rows and lanes of a tile, products of a step


def _matrix_products(rows: int, lanes: int) -> float:
    """Cycles of one product of parts of all tiles, a step deep: 16 a tile, but sums of a block of fewer than four wait
    for one another."""
    return sum(
        count * times * max(16 * high * wide, 52)
        for high, count in blocking.counted(rows, 2)
        for wide, times in blocking.counted(lanes, 2)
    )


def matrix_cycles(problem: Problem, shape, target: Target, packed: bool) -> float:
    """A dense plan on matrix tiles: products of parts, cutting pixels into them, output."""
    groups, n, step = problem.groups, problem.n, MATRIX_STEP
    outputs, channels = problem.k // groups, problem.c // groups
    depth, pixels = channels * problem.r * problem.s, problem.oh * problem.ow
    steps, vectors = -(-depth // step), -(-pixels // MATRIX_TILE)
    cycles = (
        _matrix_products(-(-outputs // MATRIX_TILE), vectors) * steps * shape.products * C.matrix_step
        + vectors * steps * step * C.matrix_cut
    )
    if not shape.in_place:
        if problem.layout == "channels_last":
            cycles += pixels * channels * C.move
        else:
            cycles += channels * problem.s * vectors * problem.stride[1] * C.matrix_line
    cycles += outputs * pixels * C.matrix_store
    cycles += outputs * depth * C.matrix_weight * _far(6 * problem.k * depth, target)
    cycles = n * groups * (cycles + C.task) + C.matrix_start
    if not packed:
        cycles += problem.k * depth * C.matrix_pack + C.packing
    return cycles


def banded_task_cycles(columns: int, pixels: int, depth: int, products: int, total: int, target: Target) -> float:
    """Columns of some pixels on matrix tiles, of weights of which there are `total`: as `matrix_cycles`."""
    steps, vectors = -(-depth // MATRIX_STEP), -(-pixels // MATRIX_TILE)
    return (
        _matrix_products(-(-columns // MATRIX_TILE), vectors) * steps * products * C.matrix_step
        + vectors * steps * MATRIX_STEP * C.matrix_cut
        + columns * pixels * C.matrix_store
        + columns * depth * C.matrix_weight * _far(6 * total, target)
        + C.task
    )


def winograd_task_cycles(problem: Problem, member, cut, target: Target) -> float:
    """One task of a fused Winograd convolution: its strip, its tiles in and out, its share of the products."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    channels = problem.c // problem.groups
    c_vectors, k_vectors = -(-channels // lanes), -(-(problem.k // problem.groups) // lanes)
    strip_rows, strip_columns = member.strip(problem, cut)
    strip = strip_rows * strip_columns
    lines = cut.high * cut.classes * cut.column_classes
    share = cut.share(problem, target)
    tiles_in, tiles_out = c_vectors * cut.tiles, k_vectors * cut.tiles * share
    panels = -(-k_vectors // cut.vectors)
    if member.matrix:
        c_vectors += c_vectors % 2  # they come in twos
    products, cuts = (_winograd_blocks, C.winograd_cut) if member.matrix else (_winograd_tiles, 0.0)
    weight_cuts = C.winograd_cut_weight * member.matrix
    return (
        cut.images * c_vectors * (strip * C.winograd_pack + strip_rows * C.winograd_row)
        + cut.images * lines * (c_vectors + k_vectors * share) * C.winograd_line
        + tiles_in * member.products * (C.winograd_in + cuts)
        + tiles_out * (member.products * C.winograd_out + member.mh * member.mw * C.winograd_write)
        + share * products(problem, member, cut, target)
        + share
        * (channels * cut.raw_weights)
        * (member.weights * k_vectors * (C.winograd_transform + weight_cuts) + panels * C.winograd_taps)
        + C.task
        + C.nest
        + C.winograd_start
    )


def winograd_start_cycles(member) -> float:
    """What a call takes besides its tasks."""
    return C.matrix_start if member.matrix else 0.0


def _winograd_tiles(problem: Problem, member, cut, target: Target) -> float:
    """The products of a block in register tiles, for all panels of output channels."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    channels, k_vectors = problem.c // problem.groups, -(-(problem.k // problem.groups) // lanes)
    steps = sum(
        count * times * (blocking.tile_cycles(size, width, target) * channels * C.winograd_step + C.winograd_tile)
        for size, count in blocking.counted(cut.tiles, cut.rows)
        for width, times in blocking.counted(k_vectors, cut.vectors)
    )
    weights = member.weights * channels * k_vectors * target.vector_bytes
    weight_byte = _weight_byte(problem.groups * weights, target)
    # Every panel of output channels reads the transformed tiles again.
    tiles = member.products * cut.tiles * -(-channels // lanes) * target.vector_bytes
    panels = -(-k_vectors // cut.vectors)
    # L3 has to hold the weights of all tasks and the tiles of some threads; what it does not hold comes from memory.
    far_weights = min(1.0, max(0.0, problem.groups * weights / target.l3 - 0.25))
    far_tiles = min(1.0, max(0.0, 2.5 * tiles / target.l3 - 0.3))
    return (
        member.products * steps
        + weights * (weight_byte + far_weights * C.winograd_far_weight)
        + panels * tiles * far_tiles * C.winograd_far_tile
    )


def _winograd_blocks(problem: Problem, member, cut, target: Target) -> float:
    """The same on matrix tiles: what L2 does not hold comes more slowly than tiles take it."""
    channels, k_vectors = problem.c // problem.groups, -(-(problem.k // problem.groups) // MATRIX_TILE)
    steps, unit = -(-channels // MATRIX_STEP), 6 * MATRIX_STEP  # bytes of a step of a tile of windows or an output
    heights, widths = -(-cut.tiles // MATRIX_TILE), blocking.counted(k_vectors, cut.vectors)
    blocks = sum(times * _matrix_products(heights, width) for width, times in widths)
    entered = -(-heights // 2) * sum(times * -(-width // 2) for width, times in widths)
    panels = sum(times for _, times in widths)
    tiles = member.products * -(-heights // 2) * 2 * MATRIX_TILE * steps * unit
    sums = member.products * heights * MATRIX_TILE * min(cut.vectors, k_vectors) * target.vector_bytes
    weights = 0 if cut.raw_weights else problem.groups * member.products * k_vectors * MATRIX_TILE * steps * unit

    def beyond(size):
        """The share of so many bytes that L2 does not keep."""
        return min(1.0, max(0.0, (size / target.l2 - 0.6) * 2.5))

    read = 1 + (panels - 1) * C.winograd_matrix_again
    far = weights / problem.groups * beyond(tiles + sums + weights) + read * tiles * beyond(tiles + sums)
    return (
        member.products * (blocks * steps * 6 * C.winograd_matrix_step + entered * C.winograd_block)
        + far * C.winograd_matrix_byte
    )


def winograd_weight_cycles(problem: Problem, member, target: Target, threads: int) -> float:
    """Transforming the weights of one call beforehand, on each of `threads` threads."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    channels = problem.c // problem.groups
    if member.matrix:
        channels = -(-channels // MATRIX_STEP) * MATRIX_STEP
    vectors = problem.groups * -(-(problem.k // problem.groups) // lanes) * channels
    each = C.winograd_transform if threads == 1 else C.winograd_shared_transform / threads
    if member.matrix:
        # What another core has just written comes from there, line by line, unless it is so much that L3 has it again.
        held = min(1.0, target.l2 / (6 * lanes * vectors * member.weights))
        each += (C.winograd_cut_packed + held * C.winograd_held) / threads
    return vectors * member.weights * each + C.packing


def winograd_weight_grad_cycles(problem: Problem, member, cut, target: Target) -> float:
    """A weight gradient by Winograd's algorithm: tiles of x for each block of output channels, tiles of dy for each of
    input channels, products whose sums pass through L2 once a block of tiles, and one transform back a segment."""
    lanes, groups = target.lanes(8 if problem.dtype == "float64" else 4), problem.groups
    c_vectors, k_vectors = -(-problem.c // groups // lanes), -(-problem.k // groups // lanes)
    images, blocks, taps = problem.n * cut.row_blocks * cut.column_blocks, cut.blocks, problem.r * problem.s
    lines = images * cut.high * cut.class_blocks * cut.classes * cut.column_classes
    tiles = lines * cut.wide
    moved = c_vectors * cut.k.count + k_vectors * cut.c.count
    pixels = (c_vectors * cut.k.count * member.sh * member.sw + k_vectors * cut.c.count) * member.mh * member.mw
    rows = images * cut.class_blocks * member.strip(problem, cut)[0]
    steps = sums = 0.0
    for extent, times in ((cut.k.base + 1, cut.k.larger), (cut.k.base, cut.k.count - cut.k.larger)):
        for panels, again in ((cut.c.base + 1, cut.c.larger), (cut.c.base, cut.c.count - cut.c.larger)):
            for size, count in blocking.counted(extent * lanes, cut.rows) if times else ():
                for width, number in blocking.counted(panels, cut.vectors) if again else ():
                    there = times * again * count * number
                    steps += there * blocking.tile_cycles(size, width, target, True) * C.winograd_near_step
                    sums += there * (C.winograd_tile / 2 + size * width * C.winograd_sum)
    return (
        groups * moved * (rows * C.winograd_row + lines * C.winograd_line)
        + groups * tiles * (moved * member.products * C.winograd_scatter + pixels * C.winograd_pack)
        + groups * member.products * (tiles * steps + blocks * sums)
        + cut.segments * problem.k * c_vectors * (member.weights * C.winograd_out + taps * C.winograd_tap)
        + cut.segments * groups * cut.c.count * cut.k.count * C.task
        + C.nest
        + (cut.segments > 1) * C.launch
    )


def depthwise_channels_cycles(problem: Problem, target: Target, packed: bool) -> float:
    """Depthwise, channels in the lanes: pixels packed, taps of output pixels, pixels written, each a vector."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    vectors, taps = problem.n * -(-problem.c // lanes), problem.r * problem.s
    outputs = problem.oh * problem.ow * problem.k // problem.c
    through = 0.25 if problem.layout == "channels_last" else 1.0  # a vector is moved as it is, or transposed
    each = problem.h * (problem.w * C.depthwise_in * through + C.depthwise_row)
    each += outputs * (taps * C.depthwise_tap + C.depthwise_out * through)
    cycles = vectors * (each + C.depthwise_block) + C.nest
    return cycles if packed else cycles + problem.k * taps * C.pack_panel


def depthwise_pixels_cycles(problem: Problem, target: Target) -> float:
    """Depthwise, pixels in the lanes: vectors of each output row; planes one by one where one of x has several of y."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    slices, stride = problem.depth.kernel if problem.depth else 1, problem.stride[0]
    vectors = problem.od * problem.oh * -(-problem.ow // lanes)
    halves = 2 / target.multiply_adds  # of a vector, one after the other
    loads = 3 * stride * (halves if stride > 1 else 1.0) if problem.dilation[1] == 1 else 1.5 * problem.s
    each = slices * (problem.r * problem.s * 0.55 * halves + loads)
    return problem.n * problem.k * (vectors * each + (25 if problem.k == problem.c else 130))


def depthwise_rows_cycles(problem: Problem, target: Target) -> float:
    """Depthwise in place, channels in the lanes: taps of output pixels, pixels loaded for a tile, tiles begun."""
    vectors, rows = -(-problem.c // target.lanes(problem.itemsize)), problem.n * problem.od * problem.oh
    tiles, taps = -(-problem.ow // 8), math.prod(problem.weight_shape[2:])
    loads = taps // problem.s * (problem.ow * problem.stride[1] + tiles * (problem.s - problem.stride[1]))
    each = taps * (problem.ow * 0.55 + tiles * 0.5) + loads * 0.4 + problem.ow * 1.5
    return rows * (vectors * each + tiles * 50 + 50) + problem.k * taps * C.pack_panel


def matvec_cycles(problem: Problem, target: Target) -> float:
    """A matrix times a vector: one load of weights a multiply-add, from L2 or farther; then the lanes are added up."""
    item = 8 if problem.dtype == "float64" else 4
    load = 1.9 if problem.k * problem.c * item <= target.l2 else 5.0
    return problem.n * problem.k * (-(-problem.c // target.lanes(item)) * load + 6.5) + C.task


def matrix_weight_grad_task_cycles(cut) -> float:
    """One task of a weight gradient on matrix tiles: products of parts, cutting both operands into them, its sums."""
    problem, lanes = cut.problem, cut.lanes
    tiles = cut.lane_tiles_a_block, cut.row_tiles_a_block
    vectors = min(cut.vectors, tiles[0] * -(-cut.vectors // cut.lane_tiles))
    heights = -(-cut.row_extent // cut.row_tiles // MATRIX_TILE) * tiles[1]
    chunks = cut.chunks / cut.segments
    pixels = problem.n * problem.oh * problem.ow / cut.chunks
    steps = -(-cut.depth // MATRIX_STEP)
    last = problem.layout == "channels_last"
    each = (
        _matrix_products(heights, vectors) * steps * cut.products * C.matrix_gradient_step
        + tiles[0] * tiles[1] * C.matrix_sum
    )
    each += vectors * pixels * (C.matrix_cut_plane if cut.planes else C.matrix_cut_lane)
    each *= cut.taps
    if not cut.lanes_in_place:
        down, across = cut.axes
        each += vectors * cut.images * down.total * (across.total * (C.spread_lanes if last else C.gather_lanes))
        each += vectors * cut.images * down.total * C.lane_row
    each += cut.block_rows * pixels / lanes * (C.matrix_cut_row + (0.0 if cut.in_place else C.gather_lanes))
    if cut.direct:
        return chunks * each + C.task
    sums = vectors * cut.lines * cut.taps
    return chunks * each + sums * (C.gradient_sum if cut.segments == 1 else C.gradient_shared_sum) + C.task


def weight_grad_task_cycles(cut) -> float:
    """One task of a weight gradient: its tiles' steps, packing of both operands, its sums."""
    if cut.form.panels:
        return matrix_weight_grad_task_cycles(cut)
    rows, vectors = cut.block_rows, min(cut.vectors, cut.lane_tiles_a_block * -(-cut.vectors // cut.lane_tiles))
    tiles = cut.lane_tiles_a_block * cut.row_tiles_a_block
    chunks = cut.chunks / cut.segments
    step = sum(
        count * times * blocking.tile_cycles(size, width, cut.target, offsets=GRADIENT_OFFSETS)
        for size, count in blocking.counted(rows, cut.row_most)
        for width, times in blocking.counted(vectors, cut.vector_most)
    )
    down, across = cut.axes
    strip = cut.images * down.total * across.total
    spreads = cut.problem.layout == "channels_last"
    scalars = cut.row_channels * cut.depth
    each = cut.units * (step * cut.depth + tiles * C.gradient_tile)
    each += vectors * strip * (C.spread_lanes if spreads else C.gather_lanes)
    each += cut.images * vectors * down.total * C.lane_row
    each += scalars * (C.read_scalar if cut.in_place else C.pack_scalar)
    sums = vectors * cut.lines * cut.taps
    return chunks * each + sums * (C.gradient_sum if cut.segments == 1 else C.gradient_shared_sum) + C.task


def weight_grad_cycles(cut) -> float:
    """All tasks of a weight gradient, and adding up their sums."""
    extra = C.nest if cut.segments == 1 else C.nest + C.launch
    return cut.tasks * weight_grad_task_cycles(cut) + extra


def depthwise_weight_channels_cycles(problem: Problem, target: Target) -> float:
    """Depthwise weight gradient, channels in the lanes: x and dy packed or read, multiply-adds of taps with pixels."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    vectors, pixels = problem.n * -(-problem.c // lanes), problem.oh * problem.ow
    last = problem.layout == "channels_last"
    dy = pixels * (C.lanes_copy if last else C.lanes_transpose)
    x = problem.h * problem.w * (C.lanes_copy if last else C.lanes_transpose)
    each = x + dy + pixels * problem.r * problem.s * C.lanes_tap + C.lanes_block
    return vectors * problem.k // problem.c * each + C.task


def depthwise_weight_pixels_cycles(problem: Problem, target: Target) -> float:
    """Depthwise weight gradient, pixels in the lanes: for each vector of dy its taps, and the rows of x below it."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    vectors = problem.n * problem.oh * -(-problem.ow // lanes)
    each = problem.r * problem.s * C.plane_tap + problem.stride[0] * C.plane_row
    return problem.k * (vectors * each + C.plane_sums) + C.task


def depthwise_input_cycles(problem: Problem, target: Target) -> float:
    """Depthwise input gradient of stride 2: pairs of rows of dx, two vectors of each a tile."""
    lanes = target.lanes(8 if problem.dtype == "float64" else 4)
    tiles = -(-problem.h // 2) * -(-problem.w // (2 * lanes))
    return problem.n * problem.c * (tiles * (problem.r * problem.s * C.plane_tap + C.plane_pair) + 30)
