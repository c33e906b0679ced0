"""How a Winograd convolution is cut: pure Python, for machines and sizes that nobody tests on."""

import math
from dataclasses import replace
from unittest import mock

import pytest
from forced import MEMBERS, member
from hypothesis import given
from hypothesis import strategies as st

from fastconv import blocking, dispatch
from fastconv.algorithm.input_grad import InputGrad
from fastconv.algorithm.winograd import Winograd, plan
from fastconv.job import Job
from fastconv.problem.conv import conv2d_problem
from fastconv.target import Target, host

TARGETS = [Target("avx512"), Target("avx2", l2=256 << 10), Target("generic", l2=512 << 10), Target("neon", l1=64 << 10)]


@st.composite
def cuts(draw):
    """(member, problem, target, threads, packed): from one pixel to 4096x4096, any channels, any dilation."""
    which, target = draw(st.sampled_from(MEMBERS)), draw(st.sampled_from(TARGETS))
    if target.isa == "avx512" and which.sw == 1:
        which = replace(which, matrix=draw(st.booleans()))
    size = st.sampled_from([1, 2, 7, 14, 27, 56, 224, 1000, 4096])
    channels = st.sampled_from([1, 3, 16, 17, 64, 100, 512, 2048, 8192])
    c, k, h, w = draw(channels), draw(channels), draw(size), draw(size)
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3), (16, 1), (16, 16)]))
    dilation = dilation if which.sw == 1 else (1, 1)
    problem = conv2d_problem(
        (draw(st.sampled_from([1, 2, 64])), c, h, w), (k, c, which.r, which.s), dilation=dilation,
        stride=(which.sh, which.sw), padding=((which.r - 1) * dilation[0], (which.s - 1) * dilation[1]),
        dtype=draw(st.sampled_from(["float32", "float16", *["float64"] * (not which.matrix)])),
    )  # fmt: skip
    return which, problem, target, draw(st.integers(1, 64)), draw(st.booleans())


@given(cuts())
def test_blocks_cover_all_windows(drawn):
    which, problem, target, threads, packed = drawn
    cut = plan.Cut.of(problem, which, target, threads, packed)
    for extent, blocks, windows, tile, dilation in zip(
        (problem.oh, problem.ow), (cut.row_blocks, cut.column_blocks), cut.windows, (which.mh, which.mw),
        problem.dilation, strict=True,
    ):  # fmt: skip
        assert (windows - 1) * tile * dilation < extent <= windows * tile * dilation
        assert 1 <= blocks <= windows  # so that no block is empty
    assert 1 <= cut.class_blocks <= cut.row_classes == min(problem.dilation[0], problem.oh)
    assert cut.class_blocks == 1 or cut.row_blocks == cut.windows[0]
    assert cut.classes * cut.class_blocks >= cut.row_classes
    least = cut.column_classes  # of one row class of a window
    assert cut.tiles == cut.images * cut.high * cut.wide * cut.classes * cut.column_classes
    assert cut.tiles <= max(plan.MOST_TILES, least)
    assert 1 <= cut.images <= problem.n
    whole = cut.row_blocks == cut.column_blocks == cut.class_blocks == 1
    assert cut.images == 1 or (whole and (not packed or target.l2 < 1 << 20))
    assert 1 <= cut.channel_blocks <= threads
    assert not (packed and cut.raw_weights)


@given(cuts())
def test_register_tiles_exist(drawn):
    which, problem, target, threads, packed = drawn
    cut = plan.Cut.of(problem, which, target, threads, packed)
    if which.matrix:
        assert 1 <= cut.vectors <= max(plan.MATRIX_VECTORS)
        return
    assert 1 <= cut.vectors <= blocking.most_vectors(cut.rows, target)
    assert cut.rows <= (14 if target.registers == 32 else 6)


@given(cuts())
def test_planning_takes_few_steps(drawn):
    """At most four for each height of a block that saves one or half as many images, and each number
    of blocks of channels that differs."""
    which, problem, target, threads, packed = drawn
    with mock.patch.object(plan, "winograd_task_cycles", side_effect=plan.winograd_task_cycles) as cost:
        cut = plan.Cut.of(problem, which, target, threads, packed)
    heights = min(plan.MOST_TILES, 2 * math.isqrt(cut.windows[0]) + 1 + cut.row_classes) + math.log2(problem.n)
    vectors = -(-problem.k // target.lanes(8 if problem.dtype == "float64" else 4))
    sizes = len(plan.MATRIX_VECTORS) if which.matrix else 1
    assert cost.call_count <= 4 * sizes * heights * min(threads, 2 * math.isqrt(vectors) + 1)


@given(cuts())
def test_threads_are_used(drawn):
    """As many tasks as threads where the output has as many register tiles."""
    which, problem, target, threads, packed = drawn
    cut = plan.Cut.of(problem, which, target, threads, packed)
    vectors = -(-problem.k // target.lanes(8 if problem.dtype == "float64" else 4))
    if problem.n >= threads:
        assert cut.tasks(problem) >= threads
    assert cut.channel_blocks <= -(-vectors // cut.vectors)


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 5, 64])
def test_scratch_holds_its_parts(threads, packed, matrix):
    """The parts of a task's scratch follow one another without overlap, whatever the cut."""
    which, target = replace(member("4x4k3x3"), matrix=matrix), Target("avx512") if matrix else host()
    for c, k, h, w in ((1, 1, 1, 1), (17, 33, 5, 300), (512, 512, 7, 7), (64, 64, 56, 56), (100, 1000, 30, 9)):
        problem = conv2d_problem((1, c, h, w), (k, c, 3, 3), dtype="float32", padding=1)
        cut = plan.Cut.of(problem, which, target, threads, packed)
        panels = plan.Panels.of(problem, which, cut.vectors, target)
        at = plan.Scratch.of(problem, which, cut, panels, target)
        lanes, pixel = target.lanes(4), target.vector_bytes
        strip, tiles = (cut.high * 4 + 2) * (cut.wide * 4 + 2) * pixel, cut.tiles
        vectors, value = -(-c // lanes), pixel  # of channels, and their bytes of a tile
        if matrix:
            assert at.low_at >= plan.t_.STRIP + 2 * strip
            assert at.v_at >= at.low_at + 36 * plan.LOW_XI
            tiles, vectors, value = -(-tiles // 32) * 32, -(-c // 32), 32 * 6
        else:
            assert at.v_at >= plan.t_.STRIP + strip
        assert at.v_xi >= vectors * tiles * value
        assert at.z_at >= at.v_at + 36 * at.v_xi
        assert at.stage_at >= at.z_at + 36 * -(-cut.tiles // 16) * 16 * panels.widest * pixel * matrix
        assert at.stage_at >= at.z_at + 36 * cut.tiles * panels.widest * pixel
        pixels = 4 * min(cut.wide * 4, w)
        assert at.lines_at >= at.stage_at + pixels * pixel
        assert at.taps_at >= at.lines_at + plan.output.LINES * pixels * 4
        if cut.raw_weights:
            held = 32 if matrix else min(c, plan.WEIGHT_CHANNELS)
            assert at.u_at >= at.taps_at + 9 * held * panels.widest * pixel
            values = -(-cut.u_channels // 32) * 32 * -(-panels.widest // 2) * 2 * 16 * 6 if matrix else 0
            assert at.size >= at.u_at + 36 * max(values, cut.u_channels * panels.widest * pixel)


def test_layers_share_packed_weights_of_one_form():
    """Executions whose packing is equal read the same bytes."""
    forms = {}
    for h in (5, 7, 14, 28, 56):
        for threads in (1, 2, 8):
            problem = conv2d_problem((1, 32, h, h), (96, 32, 3, 3), dtype="float32", padding=1)
            steps = dispatch.contiguous_steps(problem)
            made = Winograd(member("4x4k3x3")).build(problem, steps, host(), threads, True)
            assert isinstance(made.weights, Job)
            words = tuple(made.weights.plan), made.weight_bytes
            assert forms.setdefault(made.packing, words) == words


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_the_member_is_that_of_a_nominal_batch(n):
    """Gradients transform weights once for a batch, and larger members have more of them; n itself has no say."""
    problem = conv2d_problem((n, 256, 14, 14), (256, 256, 3, 3), padding=1, dtype="float32")
    target = Target("avx512", 48 << 10, 2 << 20, 64 << 20)
    made = {images: Winograd(images=images)._member(problem, target, False) for images in (1, 8)}
    assert made[8].mh * made[8].mw > made[1].mh * made[1].mw
    # Held weights are transformed by nobody who waits.
    assert Winograd(images=1)._member(problem, target, True).mh >= 3


def test_gradients_choose_for_a_batch():
    def images(op):  # depthwise ones have no choice
        there = dispatch.CANDIDATES[op, "input_grad"]
        return {a._images for a in there if isinstance(a, InputGrad) and a.name != "depthwise"}

    assert images("conv1d") == images("conv2d") == {dispatch.BATCH}
    assert images("conv_transpose2d") == {1}  # which are forward passes
    forward = next(a for a in dispatch.CANDIDATES["conv2d", "forward"] if a.name == "winograd")
    assert forward.images == 1
