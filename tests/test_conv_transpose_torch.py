"""PyTorch in float64 as a second opinion on transposed convolutions; FASTCONV_RANDOM_PROBLEMS sets how many."""

import os

import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, rounded
from test_properties import VIEWS
from test_properties import view_of as view_of_images
from transposed import CASES, IDS, case_of, operator

import fastconv as fc

torch = pytest.importorskip("torch")
COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "60"))


def reference(x, w, bias, dy, options):
    """The result of torch in float64, and its gradients."""
    x, w, bias = (torch.from_numpy(np.array(a, np.float64)).requires_grad_() for a in (x, w, bias))
    function = getattr(torch.nn.functional, operator(x.shape))
    y = function(x, w, bias, **options)
    dy = torch.from_numpy(np.array(dy(tuple(y.shape)), np.float64))
    return y.detach().numpy(), dy.numpy(), [g.numpy() for g in torch.autograd.grad(y, (x, w, bias), dy)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_oracle_agrees(case):
    """Where torch has the padding."""
    (x, w, bias, dy), options, expected, gradients = case_of(case, "channels_first", np.float64)
    padding = options.get("padding", 0)
    if isinstance(padding, str) or np.ndim(padding) == 2:
        return
    del options["layout"]
    y, _, got = reference(x, w, bias, lambda shape: dy, options)
    for one, other in zip((y, *got), (expected, *gradients), strict=True):
        np.testing.assert_array_equal(one, other)


def draw(rng, axes):
    """The shapes and options of a random problem; None if nothing is left of its output."""
    groups = int(rng.choice([1, 1, 2, 4]))
    if rng.random() < 0.25:
        groups = c = int(rng.integers(1, 24))
        per_group = int(rng.integers(1, 3))
    else:
        c, per_group = groups * int(rng.integers(1, 20)), int(rng.integers(1, 24))
    most, taps = {1: (40, 12), 2: (14, 6), 3: (7, 4)}[axes]
    sizes, kernel = (tuple(map(int, rng.integers(1, high, axes))) for high in (most, taps))
    stride, dilation = tuple(map(int, rng.integers(1, 5, axes))), tuple(map(int, rng.choice([1, 1, 2, 3], axes)))
    padding = tuple(map(int, rng.integers(0, 4, axes)))
    extra = tuple(int(rng.integers(0, max(pair))) for pair in zip(stride, dilation, strict=True))
    options = {"stride": stride, "padding": padding, "output_padding": extra, "groups": groups, "dilation": dilation}
    for size, k, s, d, p, e in zip(sizes, kernel, stride, dilation, padding, extra, strict=True):
        if (size - 1) * s + (k - 1) * d + 1 - 2 * p + e < 1:
            return None
    return (int(rng.integers(1, 4)), c, *sizes), (c, per_group, *kernel), options


def view_of(rng, a):
    """The array in memory of some kind."""
    if a.ndim != 4:
        return a if rng.random() < 0.5 else np.asfortranarray(a)
    return view_of_images(a, str(rng.choice([kind for kind in VIEWS if kind != "broadcast"])))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_random_problems(axes):
    rng = np.random.default_rng(2028 + axes)
    op, done = f"conv_transpose{axes}d", 0
    while done < COUNT:
        problem = draw(rng, axes)
        if problem is None:
            continue
        x_shape, w_shape, options = problem
        dtype = DTYPES[str(rng.choice(sorted(DTYPES)))]
        x, w = integers(rng, x_shape, dtype, 2), integers(rng, w_shape, dtype, 2)
        bias = integers(rng, w_shape[1] * options["groups"], dtype)
        y, dy, gradients = reference(x, w, bias, lambda shape: integers(rng, shape, dtype, 2), options)  # noqa: B023
        dy = dy.astype(dtype)
        if rng.random() < 0.5:
            options["layout"] = "channels_last"
            x, dy, y, gradients[0] = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, dy, y, gradients[0]))
        algorithm = str(rng.choice(["auto", *fc.algorithms(op)]))
        precision = str(rng.choice(["strict", "strict", "default", "fast"]))
        message = f"{problem} {dtype} {options.get('layout')} {algorithm} {precision}"
        try:
            got = getattr(fc, op)(view_of(rng, x), view_of(rng, w), bias, algorithm=algorithm, precision=precision,
                                  **options)  # fmt: skip
            if precision == "strict":
                np.testing.assert_array_equal(got, rounded(y, dtype), err_msg=message)
            else:
                assert_near(got, y, w[:, 0].size, {"default": 16, "fast": 64}[precision], message)
        except ValueError as refused:
            assert algorithm != "auto" and "cannot do" in str(refused), message
        found = getattr(fc, f"{op}_backward")(view_of(rng, dy), view_of(rng, x), w, precision="strict", **options)
        for name, gradient, right in zip(found._fields, found, gradients, strict=True):
            np.testing.assert_array_equal(gradient, rounded(right, dtype), err_msg=f"{name} {message}")
        done += 1
