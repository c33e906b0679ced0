"""How a Winograd convolution is cut: pure Python, for machines and sizes that nobody tests on."""

import math
from unittest import mock

import pytest
from forced import MEMBERS, member
from hypothesis import given
from hypothesis import strategies as st

from fastconv import blocking, dispatch
from fastconv.algorithm.winograd import Winograd, plan
from fastconv.job import Job
from fastconv.problem import conv2d_problem
from fastconv.target import Target, host

TARGETS = [Target("avx512"), Target("avx2", l2=256 << 10), Target("generic", l2=512 << 10), Target("neon", l1=64 << 10)]


@st.composite
def cuts(draw):
    """(member, problem, target, threads, packed): from one pixel to 4096x4096, any channels, any dilation."""
    which = draw(st.sampled_from(MEMBERS))
    size = st.sampled_from([1, 2, 7, 14, 27, 56, 224, 1000, 4096])
    channels = st.sampled_from([1, 3, 16, 17, 64, 100, 512, 2048, 8192])
    c, k, h, w = draw(channels), draw(channels), draw(size), draw(size)
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3), (16, 1), (16, 16)]))
    problem = conv2d_problem(
        (draw(st.sampled_from([1, 2, 64])), c, h, w), (k, c, which.r, which.s), padding="same", dilation=dilation,
        dtype=draw(st.sampled_from(["float32", "float64", "float16"])),
    )  # fmt: skip
    return which, problem, draw(st.sampled_from(TARGETS)), draw(st.integers(1, 64)), draw(st.booleans())


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
    window = problem.dilation[0] * problem.dilation[1]
    assert cut.tiles == cut.high * cut.wide * window <= max(plan.MOST_TILES, window)
    assert 1 <= cut.channel_blocks <= threads
    assert not (packed and cut.raw_weights)


@given(cuts())
def test_transformed_tiles_of_all_threads_are_bounded(drawn):
    """By MOST_BYTES, unless a block is a single window."""
    which, problem, target, threads, packed = drawn
    cut = plan.Cut.of(problem, which, target, threads, packed)
    item = 8 if problem.dtype == "float64" else 4
    if cut.high * cut.wide > 1:
        assert threads * which.products * problem.c * item * cut.tiles <= plan.MOST_BYTES


@given(cuts())
def test_register_tiles_exist(drawn):
    which, problem, target, threads, packed = drawn
    cut = plan.Cut.of(problem, which, target, threads, packed)
    assert 1 <= cut.vectors <= blocking.most_vectors(cut.rows, target)
    assert cut.rows <= (14 if target.registers == 32 else 6)


@given(cuts())
def test_planning_takes_few_steps(drawn):
    """At most two for each height of a block that saves one and each number of blocks of channels."""
    which, problem, target, threads, packed = drawn
    with mock.patch.object(plan, "winograd_task_cycles", side_effect=plan.winograd_task_cycles) as cost:
        cut = plan.Cut.of(problem, which, target, threads, packed)
    heights = min(plan.MOST_TILES, 2 * math.isqrt(cut.windows[0]) + 1)
    vectors = -(-problem.k // target.lanes(8 if problem.dtype == "float64" else 4))
    assert cost.call_count <= 2 * heights * min(threads, vectors)


@given(cuts())
def test_threads_are_used(drawn):
    """As many tasks as threads where the output has as many register tiles."""
    which, problem, target, threads, packed = drawn
    cut = plan.Cut.of(problem, which, target, threads, packed)
    vectors = -(-problem.k // target.lanes(8 if problem.dtype == "float64" else 4))
    if problem.n >= threads:
        assert cut.tasks(problem) >= threads
    assert cut.channel_blocks <= -(-vectors // cut.vectors)


@pytest.mark.parametrize("threads", [1, 2, 5, 64])
def test_scratch_holds_its_parts(threads):
    """The parts of a task's scratch follow one another without overlap, whatever the cut."""
    which, target = member("4x4k3x3"), host()
    for c, k, h, w in ((1, 1, 1, 1), (17, 33, 5, 300), (512, 512, 7, 7), (64, 64, 56, 56), (100, 1000, 30, 9)):
        problem = conv2d_problem((1, c, h, w), (k, c, 3, 3), dtype="float32", padding=1)
        cut = plan.Cut.of(problem, which, target, threads, True)
        panels, put = plan._Panels.of(problem, which, cut, target), {}
        size = plan._put_scratch(lambda put=put, **words: put.update(words), problem, which, cut, panels, target)
        lanes, pixel = target.lanes(4), target.vector_bytes
        strip = (cut.high * 4 + 2) * (cut.wide * 4 + 2) * pixel
        assert put["V_AT"] >= plan.t_.STRIP + strip
        assert put["V_XI"] >= -(-c // lanes) * put["V_C"] and put["V_C"] >= cut.tiles * pixel
        assert put["Z_AT"] >= put["V_AT"] + 36 * put["V_XI"]
        wide = panels.base + (panels.larger > 0)
        assert put["STAGE_AT"] >= put["Z_AT"] + 36 * cut.tiles * wide * pixel
        assert put["LINES_AT"] >= put["STAGE_AT"] + 4 * cut.wide * 4 * pixel
        assert size >= put["LINES_AT"] + 16 * 4 * cut.wide * 4 * 4


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
