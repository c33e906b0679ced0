"""Depthwise convolution in place: one pass over x, one over y, no border, no packing of the input."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Launch, Steps, finish_name, names_of
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.cost import depthwise_cycles
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.problem import Problem
from fastconv.target import Target

(
    CHANNELS, MULTIPLIER, BLOCK, BLOCKS, ROW_BLOCK, ROW_BLOCKS,
    H, WIDTH, OH, OW, R, S, STRIDE_H, STRIDE_W, DILATION_H, DILATION_W, TOP, LEFT,
    X_N, X_C, X_H, X_W, Y_N, Y_C, Y_PIXEL, ITEM, LANES,
    FLAT, MASKS, MASK_ROW, MASK_COL, VECTORS, GROUPS, KERNELS,
    ACTIVATION, FINISH, SLOPE, W_ROW, W_COL, PAD_CHANNELS,
    DEPTHWISE_FIELDS,
) = range(41)  # fmt: skip

MOST_VECTORS = 8  # vectors of pixels in a px tile, and pixels in a ch tile
X, W, BIAS, RESIDUAL, Y = range(5)


@helper
def taps_inside(first, dilation, taps, size):
    """Which taps of a kernel axis that starts at `first` fall inside [0, size): (from, to)."""
    low = 0 if first >= 0 else min(taps, (-first + dilation - 1) // dilation)
    high = min(taps, (size - 1 - first) // dilation + 1) if first < size else 0
    return low, max(low, high)


@helper
def plane_rows(plan, x, w, y, bias, residual, row0, row1, count):
    """Rows row0..row1 of one output plane that see the same kernel rows, `count` rows in one call of each tile."""
    r0, r1 = taps_inside(row0 * peek(plan, STRIDE_H) - peek(plan, TOP), peek(plan, DILATION_H), peek(plan, R),
                         peek(plan, H))  # fmt: skip
    ow, lanes, item = peek(plan, OW), peek(plan, LANES), peek(plan, ITEM)
    stride, width = peek(plan, STRIDE_W), peek(plan, VECTORS)
    x_h, x_w = peek(plan, X_H), peek(plan, X_W)
    x += (row0 * peek(plan, STRIDE_H) - peek(plan, TOP) + r0 * peek(plan, DILATION_H)) * x_h - peek(plan, LEFT) * x_w
    w += r0 * peek(plan, S) * item
    offset = row0 * ow * item
    total = (ow + lanes - 1) // lanes
    for vector in range(0, total, width):
        some = min(width, total - vector)
        at = vector * lanes
        invoke(
            peek(peek(plan, KERNELS), some),
            (
                x + at * stride * x_w, peek(plan, DILATION_H) * x_h, peek(plan, DILATION_W) * x_w,
                w, r1 - r0, peek(plan, S), peek(plan, S) * item,
                peek(plan, MASKS) + vector * stride * 2, 0, peek(plan, MASK_COL),
                y + offset + at * item, bias, residual + offset + at * item if residual != 0 else 0,
                peek(plan, ACTIVATION), min(ow - at - (some - 1) * lanes, lanes),
                count, peek(plan, STRIDE_H) * x_h, ow * item, 0,
            ),
        )  # fmt: skip


@helper
def plane_flat(plan, x, w, y, bias, residual):
    """A whole plane as one run of pixels: the output has the input's width, so a tap is a shift."""
    pixels, lanes, item = peek(plan, OH) * peek(plan, OW), peek(plan, LANES), peek(plan, ITEM)
    x_w, width = peek(plan, X_W), peek(plan, VECTORS)
    x -= peek(plan, TOP) * peek(plan, X_H) + peek(plan, LEFT) * x_w
    total = (pixels + lanes - 1) // lanes
    whole = pixels // (lanes * width)
    vector = 0
    while vector < total:
        count = whole if vector == 0 and whole > 0 else 1
        some = width if count * width <= total - vector else total - vector
        at = vector * lanes
        last = min(pixels - at - ((count * some) - 1) * lanes, lanes)
        invoke(
            peek(peek(plan, KERNELS), some),
            (
                x + at * x_w, peek(plan, DILATION_H) * peek(plan, X_H), peek(plan, DILATION_W) * x_w,
                w, peek(plan, R), peek(plan, S), peek(plan, S) * item,
                peek(plan, MASKS) + vector * 2, peek(plan, MASK_ROW), peek(plan, MASK_COL),
                y + at * item, bias, residual + at * item if residual != 0 else 0,
                peek(plan, ACTIVATION), last, count, some * lanes * x_w, some * lanes * item, some * 2,
            ),
        )  # fmt: skip
        vector += count * some


@native("depthwise_first", 4)
def depthwise_first(plan, call, scratch, task):
    """Some output channels, or some rows of one, of one channels-first image."""
    row_block = task % peek(plan, ROW_BLOCKS)
    task //= peek(plan, ROW_BLOCKS)
    block, n = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    oh, ow, item = peek(plan, OH), peek(plan, OW), peek(plan, ITEM)
    row0 = row_block * peek(plan, ROW_BLOCK)
    row1 = min(row0 + peek(plan, ROW_BLOCK), oh)
    taps, multiplier = peek(plan, R) * peek(plan, S), peek(plan, MULTIPLIER)
    reach = (peek(plan, R) - 1) * peek(plan, DILATION_H)
    first = block * peek(plan, BLOCK)
    for k in range(first, min(first + peek(plan, BLOCK), peek(plan, CHANNELS) * multiplier)):
        x = peek(call, X) + n * peek(plan, X_N) + k // multiplier * peek(plan, X_C)
        w = peek(call, W) + k * taps * item
        place = n * peek(plan, Y_N) + k * peek(plan, Y_C)
        y = peek(call, Y) + place
        bias = peek(call, BIAS) + k * item if peek(call, BIAS) != 0 else 0
        residual = peek(call, RESIDUAL) + place if peek(call, RESIDUAL) != 0 else 0
        if peek(plan, FLAT) != 0:
            plane_flat(plan, x, w, y, bias, residual)
        else:
            row = row0
            while row < row1:
                top = row * peek(plan, STRIDE_H) - peek(plan, TOP)
                count = 1
                if top >= 0 and top + reach < peek(plan, H):
                    inner = (peek(plan, H) - 1 - reach - top) // peek(plan, STRIDE_H) + 1
                    count = min(inner, row1 - row)
                plane_rows(plan, x, w, y, bias, residual, row, row + count, count)
                row += count
        if peek(plan, FINISH) != 0:
            start, length = row0 * ow * item, (row1 - row0) * ow
            invoke(peek(plan, FINISH), (y + start, y + start, 0, length, peek(plan, SLOPE)))


@native("depthwise_last", 4)
def depthwise_last(plan, call, scratch, task):
    """Some output rows of one channels-last image, all channels, a multiplier of one."""
    block, n = task % peek(plan, ROW_BLOCKS), task // peek(plan, ROW_BLOCKS)
    row0 = block * peek(plan, ROW_BLOCK)
    row1 = min(row0 + peek(plan, ROW_BLOCK), peek(plan, OH))
    ow, channels, lanes, _item = peek(plan, OW), peek(plan, CHANNELS), peek(plan, LANES), peek(plan, ITEM)
    stride, dilation, taps = peek(plan, STRIDE_W), peek(plan, DILATION_W), peek(plan, S)
    x_h, x_w, pixel = peek(plan, X_H), peek(plan, X_W), peek(plan, Y_PIXEL)
    vectors = (channels + lanes - 1) // lanes
    last = channels - (vectors - 1) * lanes
    for row in range(row0, row1):
        top = row * peek(plan, STRIDE_H) - peek(plan, TOP)
        r0, r1 = taps_inside(top, peek(plan, DILATION_H), peek(plan, R), peek(plan, H))
        line = peek(call, X) + n * peek(plan, X_N) + (top + r0 * peek(plan, DILATION_H)) * x_h
        place = n * peek(plan, Y_N) + row * ow * pixel
        col = 0
        while col < ow:
            left = col * stride - peek(plan, LEFT)
            s0, s1 = taps_inside(left, dilation, taps, peek(plan, WIDTH))
            count = 1
            if s0 == 0 and s1 == taps:
                inner = (peek(plan, WIDTH) - 1 - (taps - 1) * dilation - left) // stride + 1
                inner = min(inner, ow - col)
                count = (inner + (inner + 7) // 8 - 1) // ((inner + 7) // 8)
            at = place + col * pixel
            residual = peek(call, RESIDUAL)
            invoke(
                peek(peek(plan, KERNELS), count),
                (
                    line + (left + s0 * dilation) * x_w, peek(plan, DILATION_H) * x_h, dilation * x_w, stride * x_w,
                    peek(call, W) + r0 * peek(plan, W_ROW) + s0 * peek(plan, W_COL), r1 - r0, s1 - s0,
                    peek(plan, W_ROW), peek(plan, W_COL), peek(call, Y) + at, pixel, peek(call, BIAS),
                    residual + at if residual != 0 else 0, pixel, peek(plan, ACTIVATION), vectors, last,
                ),
            )  # fmt: skip
            if peek(plan, FINISH) != 0:
                y = peek(call, Y) + at
                invoke(peek(plan, FINISH), (y, y, 0, count * channels, peek(plan, SLOPE)))
            col += count


class Depthwise:
    """One input channel a group, zeros for padding."""

    name = "depthwise"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        stored, computing, item = names_of(problem)
        if not problem.depthwise:
            return "a group has more than one input channel"
        if problem.padding_mode != "zeros":
            return "padding mode"
        if stored != computing:
            return "narrow dtypes are widened while packing"
        if problem.layout == "channels_last":
            if problem.k != problem.c:
                return "depth multiplier in channels_last"
            return None if x.c == item else "x's channels are not contiguous"
        if x.w != item:
            return "x's rows are not contiguous"
        if problem.stride[1] > 2:
            return "stride > 2"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return depthwise_cycles(problem, target)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        build = _last if problem.layout == "channels_last" else _first
        return build(problem, x, target, threads)


def _plan(problem: Problem, x: Steps, target: Target, keep: list) -> np.ndarray:
    """The fields that both layouts share."""
    _, computing, item = names_of(problem)
    plan = np.zeros(DEPTHWISE_FIELDS, np.int64)
    (sh, sw), (dh, dw) = problem.stride, problem.dilation
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep.append(slope)
    simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu")
    for index, value in (
        (CHANNELS, problem.c), (MULTIPLIER, problem.k // problem.c), (H, problem.h), (WIDTH, problem.w),
        (OH, problem.oh), (OW, problem.ow), (R, problem.r), (S, problem.s), (STRIDE_H, sh), (STRIDE_W, sw),
        (DILATION_H, dh), (DILATION_W, dw), (TOP, problem.padding[0][0]), (LEFT, problem.padding[1][0]),
        (X_N, x.n), (X_C, x.c), (X_H, x.h), (X_W, x.w), (ITEM, item), (LANES, target.lanes(item)),
        (Y_N, problem.k * problem.oh * problem.ow * item), (Y_C, problem.oh * problem.ow * item),
        (Y_PIXEL, problem.k * item), (SLOPE, slope.ctypes.data),
        (ACTIVATION, SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data if simple else 0)),
        (FINISH, 0 if simple else microkernel(finish_name(problem, target, problem.activation)).address),
    ):  # fmt: skip
        plan[index] = value
    return plan


def _inside(positions: np.ndarray, size: int) -> np.ndarray:
    return (positions >= 0) & (positions < size)


def _bits(lanes_inside: np.ndarray, lanes: int) -> np.ndarray:
    """Booleans, a multiple of `lanes` along the last axis, as one 16-bit mask a vector."""
    grouped = lanes_inside.reshape(*lanes_inside.shape[:-1], -1, lanes)
    return (grouped << np.arange(lanes)).sum(-1).astype(np.uint16)


def _first(problem: Problem, x: Steps, target: Target, threads: int) -> Execution:
    """channels_first: lanes are pixels of one plane."""
    _, computing, item = names_of(problem)
    lanes = target.lanes(item)
    keep: list = []
    plan = _plan(problem, x, target, keep)
    (sh, sw), (dh, dw) = problem.stride, problem.dilation
    (top, _), (left, _) = problem.padding
    oh, ow = problem.oh, problem.ow
    # A plane as one run of pixels wastes no lanes at row ends, but its masks grow with the plane.
    flat = (sh, sw) == (1, 1) and ow == problem.w and x.h == problem.w * x.w and ow % lanes != 0 and oh * ow <= 16384
    if flat:
        total = -(-oh * ow // lanes)
        pixels = np.arange(total * lanes)
        rows, cols = pixels // ow, pixels % ow
        real = pixels < oh * ow
        inside = np.stack([
            np.stack([real & _inside(rows + r * dh - top, problem.h) & _inside(cols + s * dw - left, problem.w)
                      for s in range(problem.s)])
            for r in range(problem.r)
        ])  # fmt: skip
        masks = np.ascontiguousarray(_bits(inside, lanes))
        plan[MASK_ROW], plan[MASK_COL] = masks.strides[0], masks.strides[1]
    else:
        total = -(-ow // lanes)
        columns = np.arange(total * lanes * sw)
        wanted = (columns % sw == 0) & (columns // sw < ow)
        inside = np.stack([wanted & _inside(columns + s * dw - left, problem.w) for s in range(problem.s)])
        masks = np.ascontiguousarray(_bits(inside, lanes))
        plan[MASK_COL] = masks.strides[0]
    most = min(MOST_VECTORS, total)
    variant = "s2" if sw == 2 else "s1"
    kernels = np.zeros(MOST_VECTORS + 1, np.int64)
    for vectors in {most, total % most} - {0}:
        name = Name("depthwise", computing, computing, 1, vectors * lanes, target.isa, ("px", variant))
        kernels[vectors] = microkernel(str(name)).address
    keep += [masks, kernels]
    planes = problem.n * problem.k
    wanted_tasks = 4 * threads
    # A few channels a task; rows of one plane only if there are too few planes for the threads.
    block = max(1, min(problem.k, planes // wanted_tasks, 64))
    row_blocks = 1
    if not flat and planes < wanted_tasks and oh * ow > 4096:
        row_blocks = min(oh, -(-wanted_tasks // planes))
    row_block = -(-oh // row_blocks)
    row_blocks, blocks = -(-oh // row_block), -(-problem.k // block)
    for index, value in (
        (FLAT, flat), (MASKS, masks.ctypes.data), (VECTORS, most), (KERNELS, kernels.ctypes.data),
        (BLOCK, block), (BLOCKS, blocks), (ROW_BLOCK, row_block), (ROW_BLOCKS, row_blocks),
    ):  # fmt: skip
        plan[index] = value
    main = Launch(depthwise_first.address, plan, problem.n * blocks * row_blocks, 0, problem.flops * 4, keep)
    return Execution(main, None, 0, ())


def _last(problem: Problem, x: Steps, target: Target, threads: int) -> Execution:
    """channels_last: lanes are channels, and weights are packed tap by tap."""
    _, computing, item = names_of(problem)
    lanes = target.lanes(item)
    keep: list = []
    plan = _plan(problem, x, target, keep)
    kernels = np.zeros(MOST_VECTORS + 1, np.int64)
    for rows in range(1, min(MOST_VECTORS, problem.ow) + 1):
        name = Name("depthwise", computing, computing, rows, lanes, target.isa, ("ch",))
        kernels[rows] = microkernel(str(name)).address
    keep.append(kernels)
    tap = -(-problem.c // lanes) * lanes * item
    row_block = max(1, problem.oh * problem.n // (4 * threads))
    row_block = min(row_block, problem.oh)
    row_blocks = -(-problem.oh // row_block)
    for index, value in (
        (KERNELS, kernels.ctypes.data), (W_ROW, problem.s * tap), (W_COL, tap),
        (ROW_BLOCK, row_block), (ROW_BLOCKS, row_blocks),
    ):  # fmt: skip
        plan[index] = value
    main = Launch(depthwise_last.address, plan, problem.n * row_blocks, 0, problem.flops * 4, keep)
    taps = problem.r * problem.s
    transpose = microkernel(f"transpose_{computing}_{target.isa}")
    packing = np.array([transpose.address, taps * item, tap, problem.c, taps], np.int64)
    weights = Launch(taps_last.address, packing, 1, 0, 0, [transpose])
    return Execution(main, weights, taps * tap, ("depthwise", "last"))


@native("depthwise_weights", 4)
def taps_last(plan, call, scratch, task):
    """Pack (C, 1, R, S) weights as [tap][channel]."""
    invoke(
        peek(plan, 0),
        (peek(call, X), peek(plan, 1), peek(call, Y), peek(plan, 2), peek(plan, 3), peek(plan, 4)),
    )
