"""How a dense convolution is cut, and what each thread has of it: pure Python, for machines that nobody tests on."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv import dispatch, job
from fastconv.algorithm.cut import Cut, block_sizes, whole
from fastconv.algorithm.im2col import best_shape, shapes
from fastconv.algorithm.nest import block_start
from fastconv.networks import all_layers
from fastconv.problem.conv import conv2d_problem
from fastconv.target import Target

TARGETS = [Target("avx512"), Target("avx2", l2=512 << 10), Target("generic", l2=256 << 10), Target("neon", l1=64 << 10)]
SIZES = st.sampled_from([1, 2, 7, 13, 14, 28, 57, 224])
CHANNELS = st.sampled_from([1, 3, 16, 17, 64, 100, 512, 2048])


@given(st.integers(1, 300), st.integers(1, 40))
def test_any_range_of_blocks_is_as_large_as_another(extent, blocks):
    sizes = block_sizes(extent, blocks)
    assert sum(sizes) == extent and min(sizes) >= 1
    for many in range(1, len(sizes) + 1):
        sums = {sum(sizes[i : i + many]) for i in range(len(sizes) - many + 1)}
        assert max(sums) - min(sums) <= 1


@given(st.integers(1, 9), st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=4))
def test_busiest_is_the_largest_range(threads, axes):
    tasks = [math.prod(blocks) for blocks in itertools.product(*axes)]
    ends = [worker * len(tasks) // threads for worker in range(threads + 1)]  # as launches share them
    shares = [sum(tasks[start:stop]) for start, stop in itertools.pairwise(ends)]
    assert job.busiest(threads, *axes) == pytest.approx(max(shares) / sum(tasks))


@given(st.data())
def test_blocks_cover_the_output(data):
    draw, target = data.draw, data.draw(st.sampled_from(TARGETS))
    kernel, stride = draw(st.sampled_from([1, 1, 3])), draw(st.sampled_from([1, 2]))
    c, k, layout = draw(CHANNELS), draw(CHANNELS), draw(st.sampled_from(["channels_first", "channels_last"]))
    n, h, w = draw(st.sampled_from([1, 2, 7])), draw(SIZES), draw(SIZES)
    x = (n, c, h, w) if layout == "channels_first" else (n, h, w, c)
    problem = conv2d_problem(
        x, (k, c, kernel, kernel), stride=stride, padding=kernel // 2, layout=layout, dtype="float32"
    )
    shape = draw(st.sampled_from(shapes(problem, target, kernel == 1, draw(st.booleans()))))
    cut = Cut.of(problem, dispatch.contiguous_steps(problem), shape, target, draw(st.integers(1, 64)), whole(problem))
    starts = [block_start.py_func(i, cut.column_blocks, cut.run_units) for i in range(cut.column_blocks + 1)]
    ends = [min(start * cut.run_unit, cut.run) for start in starts]
    widths = {stop - start for start, stop in itertools.pairwise(ends)}
    assert ends[0] == 0 and ends[-1] == cut.run and min(widths) > 0
    assert widths <= cut.column_sizes and max(widths) == cut.block_run
    assert cut.runs * cut.run == problem.oh * problem.ow and cut.row_blocks <= cut.runs
    assert cut.tasks == cut.blocks * cut.channel_blocks and 1 <= cut.tiles_a_block <= cut.tiles


@pytest.mark.parametrize(
    ("threads", "most", "mean"), [(2, 1.21, 1.01), (4, 1.61, 1.03), (8, 1.65, 1.06), (16, 1.75, 1.11)]
)
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "raw"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_threads_share_networks_layers(layout, packed, threads, most, mean):
    target, shares = TARGETS[0], {}
    for layer in all_layers():
        if layer.op != "conv2d":
            continue
        problem = conv2d_problem(
            layer.x_shape(1, layout), layer.weight_shape, layout=layout, dtype="float32", **layer.kwargs
        )
        if problem.groups > 1 or problem.flops < 10e6:
            continue
        steps, in_place = dispatch.contiguous_steps(problem), layer.weight_shape[2:] == (1, 1)
        cut = Cut.of(
            problem, steps, best_shape(problem, steps, target, in_place, packed), target, threads, whole(problem)
        )
        shares[problem.label] = threads * cut.busiest(threads)
    # Times an even share. For two threads three tiles of channels and two are the worst that there is.
    assert max(shares.values()) <= most, max(shares, key=shares.get)
    assert sum(shares.values()) / len(shares) < mean
