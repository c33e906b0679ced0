"""The plans of a Winograd convolution's launches."""

from __future__ import annotations

import itertools

import numpy as np

from fastconv import blocking
from fastconv.algorithm import output
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, move_name, names_of
from fastconv.algorithm.nest import VECTORS_TABLED
from fastconv.algorithm.winograd import tasks as t_
from fastconv.algorithm.winograd.members import Member
from fastconv.algorithm.winograd.plan import Cut, Panels, Scratch, stored_taps, weight_channels
from fastconv.algorithm.winograd.tiles import block_bytes, put_tiles
from fastconv.codegen.tiles import ROWS
from fastconv.job import Job
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.microkernels.names import Name
from fastconv.microkernels.regroup import MOVED
from fastconv.problem.conv import Borrowed, Problem
from fastconv.target import Target


def execution(problem: Problem, x: Steps, member: Member, target: Target, threads: int, packed: bool) -> Execution:
    """The launches: the convolution, and before it the weights' transform, unless tasks do it."""
    cut = Cut.of(problem, member, target, threads, packed)
    panels = Panels.of(problem, member, cut.vectors, target)
    weights = _weights(problem, member, panels, target)
    main = _main(problem, x, member, cut, panels, weights, target)
    if cut.raw_weights:
        return Execution([main], None, 0, ())
    return Execution([main], weights, panels.total, ("winograd", member, cut.vectors))


def _weights(problem: Problem, member: Member, panels: Panels, target: Target) -> Job:
    """The launch that transforms the weights."""
    _, computing, item = names_of(problem)
    channels, taps = problem.c // problem.groups, stored_taps(problem)
    own = problem.borrowed or Borrowed(problem.r, problem.s, (0, 0), (1, 1))
    block = weight_channels(problem, member)
    blocks = -(-channels // block)
    weight = f"wgweight_{computing}_{target.isa}_{member.variant}"
    if member.matrix:
        weight = f"wgpairweight_{computing}_{target.isa}_x6_{member.variant}"
    plan = np.zeros(t_.P_FIELDS, np.int64)
    for name, value in {
        "CHANNELS": channels, "BLOCK": block, "BLOCKS": blocks, "TAPS": taps,
        "FIRST": own.first[0] * own.s + own.first[1], "ROW": own.step[0] * own.s, "COLUMN": own.step[1],
        "BORROWED": problem.borrowed is not None, "OUTPUTS": problem.k // problem.groups,
        "LANES": target.lanes(item), "ITEM": item, "SOURCE_ITEM": problem.itemsize,
        "FETCH": microkernel(f"fetch_{MOVED[names_of(problem)[0]]}_{target.isa}").address,
        "TRANSPOSE": microkernel(move_name("transpose", problem, target, "rows")).address,
        "KERNEL": microkernel(weight).address, "MATRIX": member.matrix,
        "PANELS": panels.count, "BASE": panels.base, "LARGER": panels.larger,
        "U_G": panels.count * panels.size, "U_PANEL": panels.size,
    }.items():  # fmt: skip
        plan[getattr(t_, f"P_{name}")] = value
    scratch = panels.widest * target.vector_bytes * taps * block
    return Job(t_.winograd_weights.address, plan, problem.groups * panels.count * blocks, scratch, 8 * panels.total)


def _main(
    problem: Problem, x: Steps, member: Member, cut: Cut, panels: Panels, weights: Job, target: Target
) -> Job:  # fmt: skip
    """The launch that convolves."""
    outputs, channels = problem.k // problem.groups, problem.c // problem.groups
    plan, keep = np.zeros(t_.WINOGRAD_FIELDS, np.int64), []

    def put(**fields: int) -> None:
        for name, value in fields.items():
            plan[getattr(t_, name)] = value

    order = np.array(member.order(), np.int64)
    keep.append(order)
    put(
        GROUPS=problem.groups, IMAGES=problem.n, IMAGES_A_BLOCK=cut.images, CHANNEL_BLOCKS=cut.channel_blocks,
        PANELS=panels.count, PANELS_A_BLOCK=-(-panels.count // cut.channel_blocks), PANEL_BASE=panels.base,
        PANEL_LARGER=panels.larger,
        CHANNELS=channels, CHUNK=blocking.chunk_winograd(channels), OUTPUTS=outputs, PRODUCTS=member.products,
        OH=problem.oh, OW=problem.ow, ORDER=order.ctypes.data,
        X_N=x.n, X_G=x.group(channels), U_G=panels.count * panels.size, U_PANEL=panels.size,
    )  # fmt: skip
    scratch = Scratch.of(problem, member, cut, panels, target)
    put_tiles(plan, problem, x, member, cut, target, "wgin", scratch.v_xi)
    _put_kernels(put, problem, member, cut, panels, target, keep)
    _put_output(put, problem, target, keep)
    put(
        V_AT=scratch.v_at, LOW_AT=scratch.low_at,
        V_C=block_bytes.py_func(channels) if member.matrix else cut.tiles * target.vector_bytes, Z_AT=scratch.z_at,
        STAGE_AT=scratch.stage_at, LINES_AT=scratch.lines_at, TAPS_AT=scratch.taps_at, U_AT=scratch.u_at,
        U_CHANNELS=cut.u_channels if cut.raw_weights else channels,
    )  # fmt: skip
    if cut.raw_weights:
        keep.append(weights)
        put(RAW=weights.plan.ctypes.data)
    return Job(t_.winograd.address, plan, cut.tasks(problem), scratch.size, problem.flops, keep)


def _put_kernels(put, problem, member, cut, panels, target, keep):
    """The transform back, and what forms products."""
    _, computing, _ = names_of(problem)
    for name, op, tail in (("WGOUT", "wgout", ""), ("WGOUT_TAIL", "wgout", "_tail")):
        put(**{name: microkernel(f"{op}_{computing}_{target.isa}_{member.variant}{tail}").address})
    if member.matrix:
        kernels = np.zeros(9, np.int64)
        for high, wide in itertools.product((1, 2), (1, 2)):
            block = Name("amxsums", "f32", "f32", high * ROWS, wide * ROWS, target.isa, ("x6",))
            kernels[high * 3 + wide] = microkernel(str(block)).address
        keep.append(kernels)
        put(KERNELS=kernels.ctypes.data, STATE=microkernel(f"amxstate_f32_{target.isa}").address)
    else:
        _put_register_tiles(put, problem, cut, panels, target, keep)


def _put_register_tiles(put, problem, cut, panels, target, keep):
    """The register tiles, and where a channel's values lie among the transformed tiles."""
    _, computing, item = names_of(problem)
    lanes = target.lanes(item)
    channels = np.arange(problem.c // problem.groups)
    table = np.ascontiguousarray(
        channels // lanes * cut.tiles * target.vector_bytes + channels % lanes * item, np.int64
    )
    heights, classes, widths = ({extent // blocks, -(-extent // blocks)} for extent, blocks in cut.parts)
    images = {cut.images, problem.n % cut.images or cut.images}
    tiles = {i * h * w * a * cut.column_classes for i in images for h in heights for w in widths for a in classes}
    kernels = np.zeros(15 * VECTORS_TABLED * 2, np.int64)
    for rows in {rows for count in tiles for rows in blocking.sizes(count, cut.rows)}:
        for vectors in {panels.base, panels.widest}:
            kernel = microkernel(gemm_name(computing, rows, vectors, target, "ch", "strided"))
            kernels[(rows * VECTORS_TABLED + vectors) * 2] = kernel.address
    keep += [table, kernels]
    put(ROW_MOST=cut.rows, TABLE=table.ctypes.data, KERNELS=kernels.ctypes.data)


def _put_output(put, problem, target, keep):
    """Where y lies, and what the transform leaves to do."""
    stored, computing, _ = names_of(problem)
    step, last = problem.itemsize, problem.layout == "channels_last"
    image, channel = problem.steps_between(problem.k, problem.oh, problem.ow)
    y_pixel, y_channel = problem.k * step if last else step, channel * step
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
        Y_N=image * step, Y_G=problem.k // problem.groups * y_channel,
        Y_ROW=problem.ow * y_pixel, Y_PIXEL=y_pixel, Y_CHANNEL=y_channel, AFTER=after, SLOPE=slope.ctypes.data,
    )  # fmt: skip
