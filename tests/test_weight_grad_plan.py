"""How weight gradients are cut: sums that do not depend on threads, bounded memory, every kernel in the inventory."""

from dataclasses import replace

import numpy as np
import pytest

from fastconv import job, workspace
from fastconv.algorithm.common import contiguous_steps
from fastconv.algorithm.weight_grad import FORMS
from fastconv.algorithm.weight_grad.cut import MOST_SUMS, Cut, axis_of, flattened
from fastconv.microkernels.amxparts import MOST_LINE
from fastconv.problem.conv import conv2d_problem
from fastconv.target import Target

TARGETS = [Target("avx512", 48 << 10, 2 << 20, 64 << 20), Target("avx2"), Target("neon"), Target("generic")]
# x shape, weight shape, options
PROBLEMS = {
    "3x3": ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "deep": ((8, 512, 7, 7), (512, 512, 3, 3), {"padding": 1}),
    "1x1": ((8, 1024, 14, 14), (256, 1024, 1, 1), {}),
    "stem": ((2, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    "dense": ((8, 2048, 1, 1), (1000, 2048, 1, 1), {}),
    "depthwise": ((2, 40, 30, 30), (40, 1, 3, 3), {"groups": 40}),
    "wide": ((1, 3, 2, 5000), (5, 3, 2, 3), {}),
    "dilated": ((1, 20, 64, 64), (20, 20, 3, 3), {"dilation": 200, "padding": 400}),
    "strided": ((1, 20, 999, 999), (20, 20, 3, 3), {"stride": 300, "dilation": 7}),
    "many taps": ((1, 20, 300, 300), (30, 20, 290, 290), {}),
    "long row": ((1, 2, 1, 9000), (3, 2, 1, 5000), {}),
}


def cut(name, form, target, threads=2, **options):
    x_shape, weight_shape, more = PROBLEMS[name]
    problem = conv2d_problem(x_shape, weight_shape, **{"dtype": np.dtype(np.float32), **more, **options})
    problem = replace(problem, pass_="weight_grad")
    return Cut.of(problem, contiguous_steps(problem), FORMS[form], target, threads)


def every_cut(**options):
    for name, (_, (_, channels, *_), _) in PROBLEMS.items():
        for form in FORMS:
            if form != "taps" or channels <= 64:
                for target in TARGETS:
                    yield cut(name, form, target, **options)


@pytest.mark.parametrize("threads", [1, 2, 7, 64])
def test_memory_is_bounded(threads):
    for found in every_cut(threads=threads):
        assert found.shared <= MOST_SUMS * 5 // 4
        assert min(threads, job.room(found.scratch)) * found.scratch <= workspace.MOST_SCRATCH_BYTES


def test_the_order_of_sums_does_not_depend_on_threads():
    for one, many in zip(every_cut(threads=1), every_cut(threads=64), strict=True):
        for field in ("images", "rows", "columns", "segments", "tap_rows", "tap_columns"):
            assert getattr(one, field) == getattr(many, field)


def test_chunks_are_short_sums():
    for found in every_cut():
        assert found.depth <= 1000 or found.form.panels
        # What is put together of pieces has to fit the memory that packs it.
        assert found.depth <= MOST_LINE or found.images == 1
        assert found.chunks * found.depth >= found.problem.n * found.problem.oh * found.problem.ow
        # A chunk that is cut short is the first part of a whole one.
        assert found.images == 1 or (found.rows, found.columns) == (found.problem.oh, found.problem.ow)
        assert found.rows == 1 or found.columns == found.problem.ow


def test_blocks_cover_all_tiles():
    for found in every_cut(threads=16):
        assert found.lane_blocks * found.lane_tiles_a_block >= found.lane_tiles
        assert found.row_blocks * found.row_tiles_a_block >= found.row_tiles
        assert found.tap_rows == 1 or found.tap_columns == found.problem.s


def test_small_gradients_of_large_images_are_segmented():
    assert cut("stem", "taps", TARGETS[0]).tasks >= 16
    assert cut("3x3", "inputs", TARGETS[0]).segments > 1
    assert cut("deep", "inputs", TARGETS[0]).segments == 1


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize(
    ("outputs", "taps", "stride", "dilation"), [(5, 3, 1, 1), (4, 1, 2, 1), (2, 3, 1, 50), (3, 2, 9, 4)]
)
def test_axis(outputs, taps, stride, dilation, steps):
    """Every output meets every tap at its input line."""
    axis = axis_of(outputs, taps, stride, dilation, steps=steps)
    lines = [part * axis.part_step + i * axis.step for part in range(axis.parts) for i in range(axis.lines)]
    assert len(lines) == axis.total
    for output in range(outputs):
        for tap in range(taps):
            assert lines[output * axis.output + tap * axis.tap] == output * stride + tap * dilation


def test_flattened():
    problem = conv2d_problem((4, 8, 6, 7), (5, 8, 1, 1), dtype=np.dtype(np.float32))
    first, _ = flattened(problem, contiguous_steps(problem))
    assert (first.n, first.h, first.w) == (4, 1, 42)
    problem = replace(problem, layout="channels_last")
    last, steps = flattened(problem, contiguous_steps(problem))
    assert (last.n, last.h, last.w, steps.w) == (1, 1, 168, 32)
    strided = replace(problem, stride=(2, 1))
    assert flattened(strided, contiguous_steps(strided))[0] is strided
