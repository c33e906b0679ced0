"""Winograd's bits depend on nothing but the problem, NaN and Inf stay in their tiles, and errors in their class."""

import os
from dataclasses import replace

import naive
import numpy as np
import pytest
from arrays import layout_of
from forced import MATRIX, MEMBERS, axes_of, forget, member, name_of, only, times_of, values_of

import fastconv as fc
from fastconv import workspace
from fastconv.algorithm.winograd import plan
from fastconv.algorithm.winograd.members import family
from fastconv.microkernels.winograd import SIGNAL_TILES, STRIDED_TILES, TILES
from fastconv.operators import conv
from fastconv.problem.conv import conv2d_problem
from fastconv.target import host

COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "60"))
LAYOUTS = pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
# Large enough for several threads, and for all that a cut can be: blocks of windows, of channels, both, neither.
PROBLEMS = {
    "one_block": ("4x4k3x3", (5, 40, 9, 10), (200, 40, 3, 3), {"padding": 1, "activation": "relu"}),
    "many_blocks": ("4x4k3x3", (3, 17, 61, 47), (33, 17, 3, 3), {"padding": 1}),
    "groups": ("2x2k5x5", (3, 36, 30, 21), (57, 12, 5, 5), {"padding": (2, 0), "groups": 3}),
    "dilated": ("6x6k3x3", (3, 19, 40, 33), (40, 19, 3, 3), {"padding": 3, "dilation": (3, 2)}),
    "strided": ("4x4k3x3s2x2", (3, 36, 61, 47), (40, 36, 3, 3), {"padding": 1, "stride": 2, "activation": "relu"}),
    "long": ("1x6k1x3", (2, 24, 5, 700), (20, 24, 1, 3), {"padding": (0, 1), "activation": "silu"}),
}  # fmt: skip


def operands(rng, x_shape, w_shape, layout):
    """x, weight and bias of normal numbers."""
    x, w, bias = (rng.normal(size=size).astype(np.float32) for size in (x_shape, w_shape, w_shape[0]))
    return layout_of(x, layout), w, bias


KINDS = pytest.mark.parametrize("matrix", [False, *[True] * bool(MATRIX)], ids=lambda m: "amx" if m else "vectors")


@KINDS
@LAYOUTS
@pytest.mark.parametrize("problem", PROBLEMS)
def test_threads_batches_and_layers(rng, problem, layout, matrix):
    word, x_shape, w_shape, options = PROBLEMS[problem]
    if matrix and options.get("stride"):
        pytest.skip("not on matrix tiles")
    which = replace(member(word), matrix=matrix)
    options = {**options, "layout": layout, "algorithm": name_of(which)}
    x, w, bias = operands(rng, x_shape, w_shape, layout)
    with only(which):
        with fc.num_threads(1):
            expected = fc.conv2d(x, w, bias, **options)
        layer = fc.Conv2d(w, bias, **options)
        for count in (1, 2, 3, 64):
            with fc.num_threads(count):
                np.testing.assert_array_equal(fc.conv2d(x, w, bias, **options), expected)
                np.testing.assert_array_equal(layer(x), expected)
                for size in (1, 2):
                    pieces = [fc.conv2d(x[i : i + size], w, bias, **options) for i in range(0, len(x), size)]
                    np.testing.assert_array_equal(np.concatenate(pieces), expected)


def test_member_does_not_depend_on_the_batch(rng):
    """Nor on the threads; unforced, it is the costs of one image that choose it."""
    w = rng.normal(size=(70, 33, 3, 3)).astype(np.float32)
    for h, width in ((7, 7), (13, 15), (31, 20)):
        x = rng.normal(size=(6, 33, h, width)).astype(np.float32)
        options = {"padding": 1, "algorithm": "winograd", "precision": "fast"}
        expected = fc.conv2d(x, w, **options)
        for count in (1, 3):
            with fc.num_threads(count):
                for size in (1, 4):
                    pieces = [fc.conv2d(x[i : i + size], w, **options) for i in range(0, 6, size)]
                    np.testing.assert_array_equal(np.concatenate(pieces), expected)


@KINDS
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_where_weights_are_transformed(rng, monkeypatch, groups, activation, matrix):
    """By each task or beforehand, for a call or for a layer: the bits are the same."""
    x, w, bias = operands(rng, (2, 70 * groups, 13, 15), (119 * groups, 70, 3, 3), "channels_first")
    residual = rng.normal(size=(2, 119 * groups, 13, 15)).astype(np.float32)
    which = replace(member("4x4k3x3"), matrix=matrix)
    options = {"padding": 1, "groups": groups, "algorithm": name_of(which), "activation": activation}
    costs = plan.Cut.cycles
    with only(which):
        expected = fc.Conv2d(w, bias, **options)(x, residual=residual)
        for raw in (False, True):
            monkeypatch.setattr(
                plan.Cut, "cycles", lambda cut, *a, raw=raw: costs(cut, *a) + 1e12 * (cut.raw_weights != raw)
            )
            for count in (1, 3):
                with fc.num_threads(count):
                    forget()
                    y = fc.conv2d(x, w, bias, residual=residual, **options)
                    (call,) = conv._calls.values()
                    assert (call.execution.weights is None) == raw
                    np.testing.assert_array_equal(y, expected)


def test_large_weights_are_transformed_by_tasks(monkeypatch):
    """The buffer for all of them has a limit."""
    problem = conv2d_problem((1, 64, 30, 30), (64, 64, 3, 3), dtype="float32")
    for limit, raw in ((1, {True}), (1 << 40, {False, True})):
        monkeypatch.setattr(workspace, "MOST_WEIGHT_BYTES", limit)
        cuts = [plan.Cut.of(problem, m, host(), n, False) for m in family(3, 3, "fast") for n in (1, 2, 64)]
        assert {cut.raw_weights for cut in cuts} <= raw
        assert not any(plan.Cut.of(problem, m, host(), 2, True).raw_weights for m in family(3, 3, "fast"))


def reached(size, tile, taps, stride, dilation, pads, mode, at):
    """For one axis: outputs whose window holds the input at `at`, outputs whose tile does."""
    outputs = (size + sum(pads) - (taps - 1) * dilation - 1) // stride + 1
    sources = [naive.source_index(i - pads[0], size, mode) for i in range(size + sum(pads))]
    by_window, by_tile = np.zeros(outputs, bool), np.zeros(outputs, bool)
    for o in range(outputs):
        by_window[o] = any(sources[o * stride + e * dilation] == at for e in range(taps))
        block, within = divmod(o, tile * dilation)
        first = block * tile * dilation + within % dilation
        inputs = [first * stride + e * dilation for e in range((tile - 1) * stride + taps)]
        by_tile[o] = any(i < len(sources) and sources[i] == at for i in inputs)
    return by_window, by_tile


@KINDS
@LAYOUTS
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("4x4k3x3", {"padding": ((1, 1), (1, 1))}),
        ("4x4k3x3", {"padding": ((2, 0), (0, 0)), "dilation": (2, 3)}),
        ("2x2k5x5", {"padding": ((0, 2), (2, 5)), "groups": 2}),
        ("6x6k3x3", {"padding": ((0, 0), (1, 1))}),
        ("1x4k1x3", {"padding": ((0, 0), (1, 2))}),
        ("4x4k3x3s2x2", {"padding": ((1, 0), (1, 1)), "stride": (2, 2)}),
        ("1x3k1x4s1x2", {"padding": ((0, 0), (2, 1)), "stride": (1, 2), "padding_mode": "reflect"}),
        ("4x4k3x3", {"padding": ((2, 2), (1, 3)), "padding_mode": "reflect"}),
        ("4x4k3x3", {"padding": ((1, 1), (1, 1)), "padding_mode": "circular"}),
        ("3x3k3x3", {"padding": ((0, 4), (5, 1)), "padding_mode": "replicate"}),
    ],
)
def test_specials_stay_in_their_tiles(rng, word, options, special, layout, matrix):
    """They reach every output whose window holds them, and none whose tile does not."""
    which, groups = replace(member(word), matrix=matrix), options.get("groups", 1)
    pads, dilation = options["padding"], options.get("dilation", (1, 1))
    mode = options.get("padding_mode", "zeros")
    if matrix and options.get("stride"):
        pytest.skip("not on matrix tiles")
    n, c, h, w = 2, 6, 15, 17
    weight = rng.normal(size=(18, c // groups, which.r, which.s)).astype(np.float32)
    clean = rng.normal(size=(n, c, h, w)).astype(np.float32)
    options = {**options, "layout": layout, "algorithm": name_of(which)}

    def convolve(x):
        y = fc.conv2d(layout_of(x, layout), weight, **options)
        return y.transpose(0, 3, 1, 2) if layout == "channels_last" else y

    with only(which):
        expected = convolve(clean)
        for channel, i, j in ((0, 0, 0), (3, 7, 8), (5, h - 1, w - 1), (1, 0, w - 2), (5, 11, 4)):
            x = clean.copy()
            x[1, channel, i, j] = special
            y = convolve(x)
            axes = zip((h, w), axes_of(which), dilation, pads, (i, j), strict=True)
            rows, columns = (reached(size, *axis, step, pad, mode, at) for size, axis, step, pad, at in axes)
            held, near = (np.zeros(y.shape, bool) for _ in range(2))
            first = channel // (c // groups) * (18 // groups)
            for mask, axis in ((held, 0), (near, 1)):
                mask[1, first : first + 18 // groups] = np.outer(rows[axis], columns[axis])
            assert held.any() or "stride" in options  # which may leave a row without a window
            assert not np.isfinite(y[held]).any()
            np.testing.assert_array_equal(y[~near], expected[~near])


@KINDS
def test_special_weights_reach_their_channel_only(rng, matrix):
    x, w, _ = operands(rng, (1, 5, 9, 9), (20, 5, 3, 3), "channels_first")
    algorithm = "winograd_amx" if matrix else "winograd"
    expected = fc.conv2d(x, w, algorithm=algorithm)
    w[7, 2, 1, 1] = np.inf
    y = fc.conv2d(x, w, algorithm=algorithm)
    assert not np.isfinite(y[:, 7]).any()
    np.testing.assert_array_equal(np.delete(y, 7, 1), np.delete(expected, 7, 1))


def test_precisions_members():
    kinds = [(r, s, (1, 1)) for r in TILES for s in TILES]
    kinds += [(r, r, (2, 2)) for r in STRIDED_TILES] + [(1, s, (1, 2)) for s in STRIDED_TILES]
    kinds += [(1, s, (1, stride)) for s, stride in SIGNAL_TILES]
    for r, s, stride in kinds:
        assert family(r, s, "strict", stride) == ()
        assert all(values_of(m) <= 14 for m in family(r, s, "default", stride))
        assert set(family(r, s, "default", stride)) <= set(family(r, s, "fast", stride))
    assert sum(len(family(r, s, "fast", stride)) for r, s, stride in kinds) == len(MEMBERS)
    assert member("4x4k3x3") in family(3, 3, "default") and member("6x6k3x3") not in family(3, 3, "default")


def reference(x, w, stride):
    """The sums in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), w.shape[2:], (2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    return np.einsum("nchwrs,kcrs->nkhw", windows, w.astype(np.float64), optimize=True)


def random_problem(rng, which):
    """x and weight for a member, its float64 result; sizes whose largest errors mean something."""
    c, k, h, w = (int(rng.integers(*limits)) for limits in ((16, 160), (8, 40), (16, 40), (16, 40)))
    draw = rng.random if rng.random() < 0.5 else rng.normal
    x = draw(size=(1, c, h, w)).astype(np.float32)
    weight = rng.normal(size=(k, c, which.r, which.s)).astype(np.float32)
    return x, weight, reference(x, weight, (which.sh, which.sw))


def test_errors_keep_to_their_class(rng):
    """The statistic: the largest error among all outputs, as a multiple of a plain sum's on the same operands."""
    for _ in range(COUNT):
        which = (MEMBERS + MATRIX)[rng.integers(len(MEMBERS + MATRIX))]
        x, w, exact = random_problem(rng, which)
        stride = which.sh, which.sw
        plain = fc.conv2d(x, w, stride=stride, algorithm=str(rng.choice(["direct", "im2col"])))
        with only(which):
            y = fc.conv2d(x, w, stride=stride, algorithm=name_of(which))
        ratio = np.abs(y - exact).max() / np.abs(plain - exact).max()
        assert ratio <= times_of(which), (which.variant, w.shape)


@pytest.mark.parametrize(("precision", "times"), [("strict", 1), ("default", 16), ("fast", 64)])
def test_errors_of_auto(rng, precision, times):
    """Named precisions, the choice left to the costs: within the class, compared as above."""
    for _ in range(COUNT):
        which = MEMBERS[rng.integers(len(MEMBERS))]
        (x, w, exact), stride = random_problem(rng, which), (which.sh, which.sw)
        plain = np.abs(fc.conv2d(x, w, stride=stride, algorithm="im2col") - exact).max()
        assert np.abs(fc.conv2d(x, w, stride=stride, precision=precision) - exact).max() <= times * plain
