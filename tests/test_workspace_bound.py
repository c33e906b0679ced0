"""A call's memory besides its arrays: at most 64 MiB, whatever the sizes, on any number of threads."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastconv as fc
from fastconv import dispatch, workspace
from fastconv.algorithm.column import as_row
from fastconv.problem.conv import conv2d_problem
from fastconv.target import host

MOST = 64 << 20  # what conv2d promises

# (C, K, H, W, R, S), options
HARD = [
    ((8192, 64, 14, 14, 3, 3), {"padding": 1}),  # a panel of weights has all channels
    ((8192, 8192, 7, 7, 3, 3), {"padding": 1}),
    ((512, 4096, 7, 7, 7, 7), {}),  # 411 MB of weights
    ((4096, 4096, 1, 1, 1, 1), {}),
    ((336, 336, 64, 64, 3, 3), {"padding": 16, "dilation": 16}),  # a window spans all sub-grids
    ((1024, 64, 300, 300, 3, 3), {"padding": 64, "dilation": 64}),
    ((64, 64, 4096, 4096, 3, 3), {"padding": 1}),
    ((3, 64, 4096, 4096, 7, 7), {"padding": 3, "stride": 2}),
    ((64, 256, 4096, 4096, 1, 1), {}),
    ((128, 128, 1, 100_000, 1, 5), {}),
    ((2048, 128, 100_000, 1, 3, 1), {}),
    ((4096, 4096, 8, 1, 3, 3), {"padding": 1}),  # one column of kernels, of three
    ((640, 1024, 100_000, 1, 3, 3), {"padding": 1}),
    ((1, 128, 4096, 4096, 63, 63), {"padding": 31}),
    ((1, 64, 2000, 2000, 1000, 1000), {}),  # a million taps
    ((64, 64, 4096, 4096, 3, 3), {"padding": 1, "groups": 64}),
    ((64, 192, 512, 512, 31, 31), {"padding": 15, "groups": 64}),
    ((4096, 4096, 64, 64, 3, 3), {"padding": 32, "dilation": 32, "groups": 4096}),
]


def plans(problem, threads, packed):
    """(algorithm, bytes of a call) of each that accepts the problem."""
    steps = dispatch.contiguous_steps(problem)
    row, row_steps, column = as_row(problem, steps)
    beside = 0 if packed or column is None else math.prod(row.weight_shape) * row.itemsize
    for candidate in dispatch.consider(problem, steps, packed):
        if candidate.reason is None:
            made = candidate.algorithm.build(row, row_steps, dispatch.targets.host(), threads, packed)
            launches = made.parts if packed or made.weights is None else [*made.parts, made.weights]
            scratch = max(job.workspace(threads) for job in launches)
            yield candidate.algorithm.name, beside + scratch + (0 if packed else made.weight_bytes)


def check(problem, threads, packed):
    found = dict(plans(problem, threads, packed))
    assert "im2col" in found, "it accepts every problem"
    assert all(size <= MOST for size in found.values()), (problem.label, threads, packed, found)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize(("sizes", "options"), HARD, ids=["x".join(map(str, sizes)) for sizes, _ in HARD])
def test_hard_cases(sizes, options, layout):
    c, k, h, w, r, s = sizes
    shape = (1, c, h, w) if layout == "channels_first" else (1, h, w, c)
    weight = (k, c // options.get("groups", 1), r, s)
    for dtype in ("float32", "float64", "float16"):
        problem = conv2d_problem(shape, weight, dtype=dtype, layout=layout, **options)
        for threads in (1, 2, 16, 64):
            for packed in (True, False):
                check(problem, threads, packed)


@st.composite
def problems(draw):
    """Sizes of several orders of magnitude."""
    size, channels = (
        st.sampled_from([1, 2, 7, 56, 300, 1000, 4096, 30_000]),
        st.sampled_from([1, 3, 16, 100, 512, 8192]),
    )
    taps, dilation = st.sampled_from([1, 2, 3, 5, 7, 31, 63]), st.sampled_from([1, 1, 2, 16, 64])
    groups = draw(st.sampled_from([1, 1, 2, 64]))
    c, k, r, s = draw(channels) * groups, draw(channels) * groups, draw(taps), draw(taps)
    layout, h, w = draw(st.sampled_from(["channels_first", "channels_last"])), draw(size), draw(size)
    n = draw(st.sampled_from([1, 3]))
    return conv2d_problem(
        (n, c, h, w) if layout == "channels_first" else (n, h, w, c), (k, c // groups, r, s), layout=layout,
        groups=groups, padding="same", dilation=(draw(dilation), draw(dilation)),
        stride=draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3)])),
        dtype=draw(st.sampled_from(["float32", "float64", "bfloat16"])),
        precision=draw(st.sampled_from(["strict", "default", "fast"])),
    )  # fmt: skip


@given(problems(), st.sampled_from([1, 2, 3, 16, 64]), st.booleans())
def test_any_size(problem, threads, packed):
    check(problem, threads, packed)


@pytest.mark.parametrize("algorithm", ["winograd", "im2col", "direct", *["amx", "winograd_amx"] * host().amx])
def test_a_large_image(rng, algorithm, monkeypatch):
    """4096 x 4096, for real: the memory taken, and some of the outputs."""
    taken = []
    take = workspace.take
    monkeypatch.setattr(workspace, "take", lambda size: taken.append(size) or take(size))
    x = rng.integers(-3, 4, (1, 4, 4096, 4096)).astype(np.float32)
    w = rng.integers(-3, 4, (2, 4, 3, 3)).astype(np.float32)
    y = np.empty((1, 2, 4096, 4096), np.float32)
    fc.conv2d(x, w, padding=1, algorithm=algorithm, out=y)
    assert 0 < max(taken) <= sum(taken) <= MOST
    for i, j in [*rng.integers(1, 4095, (200, 2)).tolist(), [1, 1], [4094, 4094]]:
        expected = np.einsum("chw,kchw->k", x[0, :, i - 1 : i + 2, j - 1 : j + 2], w)
        np.testing.assert_allclose(y[0, :, i, j], expected, atol=1e-3)
    np.testing.assert_allclose(y[0, :, 0, 0], np.einsum("chw,kchw->k", x[0, :, :2, :2], w[:, :, 1:, 1:]), atol=1e-3)
