"""Depthwise convolution with pixels in the lanes: planes are read in place, weights as they are, y is written once.

Of volumes, frame after frame of some planes, while the slices that frames share are near. With a dilation of d rows,
every d-th row is a plane of its own: d of them are done one after the other, each a class.
"""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, names_of
from fastconv.algorithm.nest import block_start
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.microkernels.stencil import MOST_VECTORS, ZEROS, dilated_kinds, kinds, volume_kinds
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan; steps in bytes. A task is some output rows of some frames of some planes of one image; rows are counted in
# their class.
(
    OUTPUTS, MULTIPLIER, PLANES, BLOCKS, ROW_BLOCKS, ROWS, FRAMES, FRAME_BLOCKS, SLICES, FRAME_SLICES,
    H, W, STRIDE_H, TOP, LEFT, TAPS, OH, OW, CLASSES, APART, ITEM,
    X_N, X_C, X_H, Y_N, Y_CHANNEL, Y_FRAME,
    KERNEL, KERNEL_RUN, LAST_KERNEL,                # KERNEL has the first KERNEL_RUN columns, LAST_KERNEL the rest
    ACTIVATION, FINISH, SLOPE, NO_ROW, STAGED, PIECE,   # STAGED: the rows of a PIECE go to y by way of scratch
    X_AHEAD, Y_AHEAD,
    PIXELS_FIELDS,
) = range(39)  # fmt: skip
X, WEIGHT, BIAS, RESIDUAL, Y = range(5)
MOST_APART = 1 << 16  # columns that a window may span
PAST_CACHES = 40 << 20  # bytes of y that are written past the caches, if they are not half of L3: decision 18
TASK_VECTORS = 512  # output vectors that make a task worth its start, about 3000 cycles


@native("depthwise_pixels", 4)
def depthwise_pixels(plan, call, scratch, task):
    """Some output rows of some frames of some planes of one image."""
    row_block, task = task % peek(plan, ROW_BLOCKS), task // peek(plan, ROW_BLOCKS)
    frame_block, task = task % peek(plan, FRAME_BLOCKS), task // peek(plan, FRAME_BLOCKS)
    block, n = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    first = block_start(row_block, peek(plan, ROW_BLOCKS), peek(plan, ROWS))
    stop, classes = block_start(row_block + 1, peek(plan, ROW_BLOCKS), peek(plan, ROWS)), peek(plan, CLASSES)
    run, item, h, oh, x_h = peek(plan, OW), peek(plan, ITEM), peek(plan, H), peek(plan, OH), peek(plan, X_H)
    stride, above, finish, taps = peek(plan, STRIDE_H), peek(plan, TOP), peek(plan, FINISH), peek(plan, TAPS)
    x = peek(call, X) + n * peek(plan, X_N) - peek(plan, LEFT) * item
    multiplier, k0 = peek(plan, MULTIPLIER), block * peek(plan, PLANES)
    planes = min(peek(plan, PLANES), peek(plan, OUTPUTS) - k0)
    frames, blocks = peek(plan, FRAMES), peek(plan, FRAME_BLOCKS)
    # Planes that share their input are done one at a time, and those that go through scratch.
    staged, piece = peek(plan, STAGED) != 0, peek(plan, PIECE)
    together = planes if multiplier == 1 and not staged else 1
    for k in range(k0, k0 + planes, together):
        for frame in range(frames * frame_block // blocks, frames * (frame_block + 1) // blocks):
            image = n * peek(plan, Y_N) + k * peek(plan, Y_CHANNEL) + frame * peek(plan, Y_FRAME)
            for start in range(first, stop, piece):
                end, at = min(start + piece, stop), image + start * classes * run * item
                y = scratch if staged else peek(call, Y) + at
                for own in range(min(classes, oh)):
                    row = own + start * classes
                    runs = min(end, (oh - own + classes - 1) // classes) - start
                    if runs <= 0:
                        continue
                    window = row * stride - above
                    top = window // classes  # the same row, as its class counts
                    high = (h - (window - top * classes) + classes - 1) // classes
                    source = x + k // multiplier * peek(plan, X_C) + window * x_h
                    to, most = own * run * item, peek(plan, KERNEL_RUN)
                    for column in range(0, run, most):
                        place = to + column * item
                        invoke(
                            peek(plan, KERNEL if column == 0 else LAST_KERNEL),
                            (
                                together, source + column * stride * item, peek(plan, X_C), x_h * classes, top, high,
                                peek(plan, LEFT) - column * stride, peek(plan, W), peek(plan, NO_ROW),
                                peek(call, WEIGHT) + k * taps * item, y + place, peek(plan, Y_CHANNEL),
                                run * item * classes, min(run - column, most), runs,
                                peek(call, BIAS) + k * item if peek(call, BIAS) != 0 else 0,
                                peek(call, RESIDUAL) + at + place if peek(call, RESIDUAL) != 0 else 0,
                                peek(plan, ACTIVATION), peek(plan, SLICES) + frame * peek(plan, FRAME_SLICES),
                                peek(plan, APART), peek(plan, X_AHEAD), peek(plan, Y_AHEAD),
                            ),
                        )  # fmt: skip
                if finish != 0:
                    count = (min(end * classes, oh) - start * classes) * run
                    for i in range(together):
                        line = i * peek(plan, Y_CHANNEL)
                        invoke(finish, (y + line, peek(call, Y) + at + line, 0, count, peek(plan, SLOPE)))


def refuses(problem: Problem, x: Steps, target: Target) -> str | None:
    """Why these kernels cannot do the problem, or None."""
    if problem.layout == "channels_last":
        return "pixels are not contiguous"
    if problem.padding_mode != "zeros":
        return "padding mode"
    if target.isa not in ("avx512", "avx2"):
        return "no masked loads"
    if problem.dtype not in ("float32", "float64"):
        return "narrow dtypes are widened while packing"
    if problem.depth and problem.depth.kernel == 1:
        return "kernels of images know one frame"
    lanes = target.lanes(problem.itemsize)
    known = (*kinds(lanes), *volume_kinds(lanes)) if problem.dilation == (1, 1) else dilated_kinds(lanes)
    if _kind(problem) not in known or problem.stride[0] != problem.stride[1]:
        return "no kernel for this size, stride or dilation"
    if (problem.s - 1) * problem.dilation[1] > MOST_APART:
        return f"kernel columns are more than {MOST_APART} apart"
    return None if x.w == problem.itemsize else "x's rows are not contiguous"


def _kind(problem: Problem) -> str:
    """The kernel's variant."""
    depth = f"{problem.depth.kernel}x" if problem.depth and problem.depth.kernel > 1 else ""
    return f"{depth}{problem.r}x{problem.s}s{problem.stride[0]}"


def build(problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
    """The execution for this problem, with weights as they are."""
    _, computing, item = names_of(problem)
    lanes, (oh, ow) = target.lanes(item), (problem.oh, problem.ow)
    across = -(-ow // lanes)
    vectors, (classes, apart) = oh * across, problem.dilation
    rows = -(-oh // classes)  # of a class
    frames, depth, slices = slices_of(problem, x)
    tasks = problem.n * problem.k
    frame_blocks = max(1, min(frames // (2 * depth), -(-4 * threads // tasks)))
    tasks *= frame_blocks
    row_blocks = max(1, min(rows // (2 * problem.r), -(-4 * threads // tasks), vectors // TASK_VECTORS))
    most = TASK_VECTORS // vectors
    if depth > 1:  # the slices of so many planes stay in L1
        most = target.l1 // 2 // (depth * problem.h * problem.w * item)
    planes = max(1, min(most, problem.n * problem.k // (4 * threads)))
    words = (_kind(problem),) if apart == 1 else (_kind(problem), "dilated")
    wide = min(MOST_VECTORS, across)
    kernel, last_kernel = (
        microkernel(str(Name("stencil", computing, computing, 1, count * lanes, target.isa, words)))
        for count in (wide, across % wide or wide)
    )
    kernel_run = across // wide * wide * lanes  # or all, if that is more than there are
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    no_row = np.zeros(ZEROS + (problem.s - 1) * apart * item, np.uint8)
    row = ow * item
    staged = classes == 1 and problem.n * problem.k * frames * oh * row > min(target.l3 // 2, PAST_CACHES)
    piece = _piece(problem, target.l1 // 2, row)
    staged = staged and piece * row <= target.l2 // 4
    if not staged:
        piece = _piece(problem, target.l2 // 4, row + problem.w * problem.stride[0] * item)
    simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu")
    left = None if simple else problem.activation  # for `finish`
    finish = microkernel(finish_name(problem, target, left, past=staged)) if staged or not simple else None
    image, channel = problem.steps_between(problem.k, frames * oh, ow)
    if piece * classes < oh:
        x_ahead, y_ahead = piece * classes * problem.stride[0] * x.h, piece * classes * row
    elif frames > 1:
        x_ahead, y_ahead = problem.depth.stride * x.d, oh * row
    else:
        x_ahead, y_ahead = planes * problem.c // problem.k * x.c, planes * channel * item
    plan = np.zeros(PIXELS_FIELDS, np.int64)
    for index, value in (
        (OUTPUTS, problem.k), (MULTIPLIER, problem.k // problem.c), (PLANES, planes), (BLOCKS, -(-problem.k // planes)),
        (ROW_BLOCKS, row_blocks), (ROWS, rows),
        (FRAMES, frames), (FRAME_BLOCKS, frame_blocks), (SLICES, slices.ctypes.data), (FRAME_SLICES, 8 * depth),
        (H, problem.h), (W, problem.w), (STRIDE_H, problem.stride[0]),
        (TOP, problem.padding[0][0]), (LEFT, problem.padding[1][0]), (TAPS, depth * problem.r * problem.s), (OH, oh),
        (OW, ow), (CLASSES, classes), (APART, apart), (ITEM, item), (X_N, x.n), (X_C, x.c), (X_H, x.h),
        (Y_N, image * item), (Y_CHANNEL, channel * item), (Y_FRAME, oh * ow * item),
        (KERNEL, kernel.address), (KERNEL_RUN, kernel_run), (LAST_KERNEL, last_kernel.address),
        (SLOPE, slope.ctypes.data), (NO_ROW, no_row.ctypes.data),
        (ACTIVATION, SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data) if simple else 0),
        (FINISH, 0 if finish is None else finish.address), (STAGED, staged), (PIECE, piece),
        (X_AHEAD, x_ahead), (Y_AHEAD, 0 if staged else y_ahead),
    ):  # fmt: skip
        plan[index] = value
    tasks = problem.n * -(-problem.k // planes) * frame_blocks * row_blocks
    scratch, keep = piece * row if staged else 0, [slope, no_row, slices]
    return Execution([Job(depthwise_pixels.address, plan, tasks, scratch, 4 * problem.flops, keep)], None, 0, ())


def _piece(problem: Problem, cache: int, row: int) -> int:
    """How many rows of a class are walked at a time, so that what they take, `row` bytes each, stays in a cache."""
    return max(2 * problem.r, cache // row)


def slices_of(problem: Problem, x: Steps) -> tuple[int, int, np.ndarray]:
    """How many frames there are, how many slices each reads, and where these lie: -1 in the padding."""
    d = problem.depth
    if d is None:
        return 1, 1, np.zeros(1, np.int64)
    place = np.arange(d.outputs)[:, None] * d.stride + np.arange(d.kernel) * d.dilation - d.padding[0]
    return d.outputs, d.kernel, np.where((place >= 0) & (place < d.size), place * x.d, -1).astype(np.int64)
