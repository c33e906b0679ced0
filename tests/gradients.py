"""The two passes of conv2d's gradient in one form for the tests: (op, dy, x, w, options)."""

import functools
import zlib

import naive
import numpy as np
from arrays import assert_near, integers, layout_of, rounded
from shapes import CASES, GRADIENT_CASES

import fastconv as fc

INPUT, WEIGHT = OPS = ("conv2d_input_grad", "conv2d_weight_grad")
LAYOUTS = ("channels_first", "channels_last")
TIMES = {"strict": 1, "default": 16, "fast": 64}  # the precisions, and how inexact their algorithms may be
ALL = CASES + GRADIENT_CASES
ALL_IDS = [case[0] for case in ALL]


def run(op, dy, x, w, **options):
    """One gradient by its function."""
    if op == INPUT:
        return fc.conv2d_input_grad(dy, w, x.shape, **options)
    return fc.conv2d_weight_grad(dy, x, w.shape, **options)


def oracle(op, dy, x, w, **options):
    """One gradient by its definition."""
    if op == INPUT:
        return naive.conv2d_input_grad(dy, w, x.shape, **options)
    return naive.conv2d_weight_grad(dy, x, w.shape, **options)


def plan(op, x, w, precision="default", **options):
    """What the dispatcher says of a pass."""
    return fc.explain(op, x.shape, w.shape, dtype=x.dtype.name, precision=precision, **options)


def able(op, x, w, precision="strict", **options):
    """The algorithms that accept a pass."""
    return [c.name for c in plan(op, x, w, precision, **options).candidates if c.reason is None]


def exact(algorithm):
    """Whether it only sums products, so that integers stay exact in it whatever the precision.

    "phases" and "merged" run convolutions, which may be Winograd's.
    """
    return algorithm not in ("winograd", "winograd_amx", "phases", "merged")


def length(op, dy, w, groups=1, padding_mode="zeros", **_):
    """How many products one element of the gradient sums; a border that folds back may bring nine times as many."""
    if op == WEIGHT:
        return dy.size // w.shape[0]
    return w.size // w.shape[1] // groups * (1 if padding_mode == "zeros" else 9)


def check(got, expected, algorithm, precision, terms):
    """Integers: exact where the algorithm only sums, near where it transforms."""
    if precision == "strict" or exact(algorithm):
        np.testing.assert_array_equal(got, rounded(expected, got.dtype), err_msg=f"{algorithm} {precision}")
    else:
        assert_near(got, expected, terms, TIMES[precision], f"{algorithm} {precision}")


@functools.cache
def _integer_case(label):
    """dy, x, w in float64, channels first, and the gradients by the oracle: once for all dtypes and layouts."""
    _, x_sizes, w_shape, options = ALL[ALL_IDS.index(label)]
    rng = np.random.default_rng(zlib.crc32(label.encode()))
    x, w = integers(rng, x_sizes, np.float64), integers(rng, w_shape, np.float64)
    dy = integers(rng, y_shape(x_sizes, w_shape, options), np.float64)
    return dy, x, w, {op: oracle(op, dy, x, w, **options) for op in OPS}


def y_shape(x_sizes, w_shape, options):
    """The shape of dy, channels first."""
    where = (options.get(name, default) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1)))
    return x_sizes[0], w_shape[0], *naive.output_sizes(x_sizes[2:], w_shape[2:], *where)


def integer_case(case, layout, dtype):
    """dy, x, w, the options and both gradients of a case with small integers, whose sums are exact in float32."""
    label, *_, options = case
    dy, x, w, expected = _integer_case(label)
    dy, x = (layout_of(a, layout).astype(dtype) for a in (dy, x))
    expected = {INPUT: layout_of(expected[INPUT], layout), WEIGHT: expected[WEIGHT]}
    return dy, x, w.astype(dtype), {**options, "layout": layout}, expected


def normal_case(rng, case, layout, dtype, batch=None):
    """dy, x, w and the options of a case with normal numbers, in a batch of another size if asked."""
    _, (n, *rest), w_shape, options = case
    x_sizes = (batch or n, *rest)
    dy, x = rng.normal(size=y_shape(x_sizes, w_shape, options)), rng.normal(size=x_sizes)
    dy, x = (layout_of(a, layout).astype(dtype) for a in (dy, x))
    return dy, x, rng.normal(size=w_shape).astype(dtype), {**options, "layout": layout}
