"""Weights that are read as another convolution has them, against the same weights regrouped: every bit is the same."""

from dataclasses import replace

import numpy as np
import pytest

import fastconv as fc
from fastconv.algorithm.common import Execution, contiguous_steps
from fastconv.algorithm.im2col import Im2col, execution, shapes
from fastconv.algorithm.pointwise import Pointwise
from fastconv.algorithm.winograd import Winograd
from fastconv.dispatch import choose
from fastconv.problem.conv import Borrowed, conv2d_problem
from fastconv.target import host

# (C, K, size, kernel, groups)
PROBLEMS = [
    (64, 48, 9, (1, 1), 1),
    (33, 500, 6, (1, 1), 1),  # tiles of several tasks
    (700, 37, 5, (1, 1), 1),  # two chunks of the reduction
    (24, 60, 7, (1, 1), 4),
    (64, 48, 9, (3, 3), 1),
    (130, 33, 8, (3, 3), 1),
    (40, 60, 8, (3, 2), 2),
    (3, 5, 12, (5, 7), 1),
    (1, 1, 44, (40, 41), 1),  # two chunks of one channel's taps
]
IDS = [f"c{c}_k{k}_{size}_{r}x{s}_g{g}" for c, k, size, (r, s), g in PROBLEMS]
DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16}


def both(case, dtype, layout, rng):
    """A convolution, its input, its weights, and the same weights as the one before it has them."""
    c, k, size, kernel, groups = case
    shape = (2, c, size, size) if layout == "channels_first" else (2, size, size, c)
    x = rng.standard_normal(shape).astype(DTYPES[dtype])
    w = rng.standard_normal((k, c // groups, *kernel)).astype(DTYPES[dtype])
    problem = conv2d_problem(x.shape, w.shape, padding="same", groups=groups, layout=layout, dtype=x.dtype)
    grouped = w.reshape(groups, k // groups, c // groups, *kernel)[..., ::-1, ::-1]
    flipped = np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(c, k // groups, *kernel)
    return problem, x, w, flipped


def borrowed(problem):
    """The same convolution by the weights of the one whose input's gradient it is."""
    r, s = problem.r, problem.s
    return replace(problem, borrowed=Borrowed(r, s, (r - 1, s - 1), (-1, -1)))


def run(built, problem, x, w, packed):
    """The result of an execution, with weights packed beforehand or not."""
    y = np.full(problem.y_shape, np.nan, x.dtype)
    built.run(x, None if packed else w, None, None, y, built.pack(w) if packed else None)
    return y


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", PROBLEMS, ids=IDS)
def test_every_shape_of_a_dense_plan(case, dtype, layout, packed, rng):
    problem, x, w, flipped = both(case, dtype, layout, rng)
    other, steps, tried = borrowed(problem), contiguous_steps(problem), 0
    for algorithm, in_place in ((Im2col(), False), (Pointwise(), True)):
        if algorithm.supports(other, steps, host()):
            continue
        for shape in shapes(other, host(), in_place, packed):
            straight = run(execution(problem, steps, shape, host(), 2), problem, x, w, packed)
            turned = run(execution(other, steps, shape, host(), 2), problem, x, flipped, packed)
            np.testing.assert_array_equal(turned, straight, err_msg=str(shape))
            tried += 1
    assert tried or case[3] == (40, 41)


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for case in PROBLEMS if case[3] in ((3, 3), (3, 2))], ids=str)
def test_winograd(case, dtype, layout, packed, rng):
    problem, x, w, flipped = both(case, dtype, layout, rng)
    other, steps = borrowed(problem), contiguous_steps(problem)
    assert Winograd().supports(other, steps, host()) is None
    straight = run(Winograd().build(problem, steps, host(), 2, packed), problem, x, w, packed)
    turned = run(Winograd().build(other, steps, host(), 2, packed), problem, x, flipped, packed)
    np.testing.assert_array_equal(turned, straight)


def test_parts_of_kernels_are_regrouped():
    problem = borrowed(conv2d_problem((1, 1, 44, 44), (1, 1, 40, 41), dtype="float32"))
    assert "another" in Im2col().supports(problem, contiguous_steps(problem), host())


@pytest.mark.parametrize("kernel", [1, 3])
def test_input_gradients_of_stride_1_regroup_nothing(kernel):
    problem = conv2d_problem((1, 64, 14, 14), (48, 64, kernel, kernel), padding="same", dtype="float32")
    problem = replace(problem, pass_="input_grad")
    steps = contiguous_steps(problem)
    for algorithm in ("auto", "im2col"):
        built = choose(problem, steps, algorithm, False).build(problem, steps, host(), 1, False)
        assert type(built) is Execution  # one convolution, whose weights are packed at most


def test_a_layer_packs_them_once(rng):
    w = rng.integers(-3, 4, (48, 64, 3, 3)).astype(np.float32)
    x, dy = (rng.integers(-3, 4, (2, c, 9, 9)).astype(np.float32) for c in (64, 48))
    layer = fc.Conv2d(w, padding=1, precision="strict")
    expected = fc.conv2d_input_grad(dy, w, x.shape, padding=1, precision="strict")
    for _ in range(2):
        np.testing.assert_array_equal(layer.backward(dy, x).input, expected)
