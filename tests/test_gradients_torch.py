"""PyTorch's autograd in float64 as a second opinion; FASTCONV_RANDOM_PROBLEMS sets how many problems."""

import os

import naive
import numpy as np
import pytest
from arrays import DTYPES, integers, layout_of, rounded
from gradients import ALL, ALL_IDS, INPUT, OPS, WEIGHT, check, integer_case, length, plan, run
from test_gradients_identities import output_of, torch_conv2d
from test_properties import VIEWS, view_of
from test_torch import draw

import fastconv as fc

torch = pytest.importorskip("torch")
COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "100"))


def reference(dy, x, w, **options):
    """torch.autograd on float64 copies: the gradients of input and weight."""
    x, w = (torch.from_numpy(np.array(a, np.float64)).requires_grad_() for a in (x, w))
    y = torch_conv2d(x, w, **options)
    return [g.numpy() for g in torch.autograd.grad(y, (x, w), torch.from_numpy(np.array(dy, np.float64)))]


@pytest.mark.parametrize("case", ALL, ids=ALL_IDS)
def test_the_oracle_agrees(case):
    dy, x, w, options, expected = integer_case(case, "channels_first", np.float64)
    for got, op in zip(reference(dy, x, w, **options), OPS, strict=True):
        np.testing.assert_array_equal(got, expected[op])


def test_random_problems():
    """Each pass alone, with an algorithm of its own, and all three at once."""
    rng = np.random.default_rng(2027)
    done = 0
    while done < COUNT:
        problem = draw(rng)
        if problem is None:
            continue
        x_shape, w_shape, stride, dilation, groups, pads, mode = problem
        dtype, layout = DTYPES[str(rng.choice(sorted(DTYPES)))], str(rng.choice(["channels_first", "channels_last"]))
        options = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups, "padding_mode": mode,
                   "layout": layout}  # fmt: skip
        x, w = layout_of(integers(rng, x_shape, dtype, 2), layout), integers(rng, w_shape, dtype, 2)
        sizes = naive.output_sizes(x_shape[2:], w_shape[2:], stride, pads, dilation)
        dy = layout_of(integers(rng, (x_shape[0], w_shape[0], *sizes), dtype, 2), layout)
        expected = dict(zip(OPS, reference(dy, x, w, **options), strict=True))
        views = [str(kind) for kind in rng.choice([v for v in VIEWS if v != "broadcast"], 3)]
        arrays = [view_of(a, kind) for a, kind in zip((dy, x, w), views, strict=True)]
        precision = str(rng.choice(["strict", "strict", "default", "fast"]))
        message = f"{problem} {dtype} {layout} {views} {precision}"
        try:
            for op in OPS:
                compare(op, arrays, options, expected[op], precision, rng)
            needs = tuple(rng.random(3) < 0.7)
            got = fc.conv2d_backward(*arrays, needs=needs, precision="strict", **options)
            right = expected[INPUT], expected[WEIGHT], naive.conv2d_bias_grad(dy, layout)
            for needed, gradient, exactly in zip(needs, got, right, strict=True):
                assert (gradient is not None) == needed
                if needed:
                    np.testing.assert_array_equal(gradient, rounded(exactly, dtype))
        except Exception as error:
            raise AssertionError(message) from error
        done += 1


def compare(op, arrays, options, expected, precision, rng):
    """One pass with one of the algorithms, which may refuse."""
    dy, x, w = arrays
    algorithm = str(rng.choice(["auto", *fc.algorithms(op)]))
    out = output_of(str(rng.choice(["none", "fresh", "gaps"])), x if op == INPUT else w)
    try:
        got = run(op, dy, x, w, algorithm=algorithm, precision=precision, out=out, **options)
    except ValueError as refused:
        assert algorithm != "auto" and "cannot do" in str(refused)
        return
    assert out is None or got is out
    ran = plan(op, x, w, precision, **options).algorithm if algorithm == "auto" else algorithm
    check(got, expected, ran, precision, length(op, dy, w, **options))
