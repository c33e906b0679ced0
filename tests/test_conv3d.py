"""conv3d, its gradients and its layer against the oracle: every algorithm, layout, dtype; guard pages, bits, memory."""

import sys
import zlib

import naive
import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, layout_of, rounded
from guard import guarded

import fastconv as fc
from fastconv import cost, dispatch, workspace
from fastconv.algorithm.common import contiguous_steps
from fastconv.algorithm.volume.frames import MOST_SLICES, bands, forward_taps, input_grad_taps, runs
from fastconv.problem.conv import conv_problem
from fastconv.target import host

LAYOUTS = ("channels_first", "channels_last")
TIMES = {"strict": 1, "default": 16, "fast": 64}
# (label, x (n, c, d, h, w), weight, options)
CASES = [
    ("plain", (1, 5, 5, 6, 7), (9, 5, 3, 3, 3), {"padding": 1}),
    ("wide", (1, 17, 3, 5, 19), (33, 17, 2, 3, 3), {"padding": (0, 1, 1)}),
    ("batch", (3, 4, 4, 5, 6), (5, 4, 3, 3, 3), {"padding": 1}),
    ("first_channel", (2, 1, 6, 7, 8), (8, 1, 3, 3, 3), {}),
    ("first_channel_padded", (1, 1, 6, 7, 8), (8, 1, 3, 3, 3), {"padding": 1}),
    ("strided", (2, 3, 7, 8, 9), (4, 3, 3, 3, 3), {"stride": 2, "padding": 1}),
    ("strided_depth_only", (1, 3, 8, 5, 6), (4, 3, 2, 3, 3),
     {"stride": (3, 1, 1), "padding": ((0, 2), (1, 1), (1, 1))}),
    ("side_by_side", (2, 4, 4, 6, 4), (3, 4, 2, 2, 2), {"stride": 2}),
    ("stride_wider_than_kernel", (1, 3, 9, 5, 6), (4, 3, 2, 2, 2), {"stride": (4, 3, 3)}),
    ("dilated", (1, 3, 9, 8, 9), (4, 3, 3, 2, 3), {"padding": 2, "dilation": 2}),
    ("dilated_strided", (1, 4, 11, 7, 8), (4, 4, 3, 2, 2),
     {"padding": (4, 1, 1), "dilation": (3, 2, 1), "stride": (2, 1, 2)}),
    ("grouped", (1, 6, 5, 6, 7), (8, 3, 3, 3, 3), {"groups": 2, "padding": 1}),
    ("grouped_dilated", (2, 6, 7, 5, 6), (9, 2, 3, 2, 2), {"groups": 3, "dilation": (2, 1, 1), "padding": (1, 0, 1)}),
    ("depthwise", (2, 9, 5, 6, 11), (9, 1, 3, 3, 3), {"groups": 9, "padding": 1}),
    ("depthwise_wide", (1, 19, 4, 5, 37), (19, 1, 3, 3, 3), {"groups": 19, "padding": 1}),
    ("depthwise_strided", (1, 5, 7, 8, 9), (5, 1, 3, 3, 3), {"groups": 5, "padding": 1, "stride": 2}),
    ("depthwise_dilated", (1, 5, 9, 8, 9), (5, 1, 3, 3, 3), {"groups": 5, "padding": (2, 1, 1), "dilation": (2, 1, 1)}),
    ("depthwise_multiplier", (1, 4, 5, 6, 7), (8, 1, 3, 3, 3), {"groups": 4, "padding": 1}),
    ("depthwise_circular", (1, 4, 5, 6, 7), (4, 1, 3, 3, 3), {"groups": 4, "padding": 2, "padding_mode": "circular"}),
    ("depthwise_padding_wider", (1, 4, 3, 4, 5), (4, 1, 2, 2, 2), {"groups": 4, "padding": 3}),
    ("point", (2, 7, 4, 5, 6), (9, 7, 1, 1, 1), {}),
    ("point_strided", (2, 7, 5, 5, 6), (9, 7, 1, 1, 1), {"stride": 2}),
    ("point_padded", (1, 3, 3, 4, 5), (4, 3, 1, 1, 1), {"padding": 1}),
    ("along_depth", (2, 6, 8, 4, 5), (7, 6, 3, 1, 1), {"padding": (1, 0, 0)}),
    ("along_depth_strided", (1, 6, 9, 4, 5), (7, 6, 3, 1, 1),
     {"padding": (2, 0, 0), "stride": (2, 1, 1), "dilation": (2, 1, 1)}),
    ("along_depth_reflect", (1, 3, 6, 4, 5), (4, 3, 3, 1, 1), {"padding": (2, 0, 0), "padding_mode": "reflect"}),
    ("across", (2, 6, 4, 7, 8), (7, 6, 1, 3, 3), {"padding": (0, 1, 1)}),
    ("across_strided", (1, 6, 6, 7, 8), (7, 6, 1, 3, 3), {"padding": (0, 1, 1), "stride": (2, 2, 2)}),
    ("one_slice", (2, 5, 1, 6, 7), (4, 5, 1, 3, 3), {"padding": (0, 1, 1)}),
    ("depth_just_fits", (2, 3, 4, 5, 6), (4, 3, 4, 3, 3), {}),
    ("windows_in_the_padding", (1, 2, 2, 3, 4), (3, 2, 2, 2, 2), {"padding": 4, "dilation": 2}),
    ("asymmetric", (1, 3, 5, 6, 7), (4, 3, 3, 3, 3), {"padding": ((2, 0), (0, 1), (1, 0))}),
    ("same", (1, 3, 5, 6, 7), (4, 3, 2, 3, 4), {"padding": "same", "stride": (2, 1, 3)}),
    ("same_lower", (1, 3, 5, 6, 7), (4, 3, 2, 4, 2), {"padding": "same_lower"}),
    ("reflect", (1, 3, 4, 5, 6), (4, 3, 3, 3, 3), {"padding": (2, 1, 2), "padding_mode": "reflect"}),
    ("replicate", (2, 3, 3, 4, 5), (4, 3, 3, 3, 3), {"padding": ((3, 1), (0, 2), (1, 1)), "padding_mode": "replicate"}),
    ("circular_strided", (1, 4, 4, 5, 6), (4, 2, 3, 3, 3),
     {"padding": (3, 1, 1), "padding_mode": "circular", "stride": (2, 1, 2), "groups": 2}),
    ("reflect_across", (1, 3, 4, 5, 6), (4, 3, 3, 3, 3), {"padding": (0, 1, 1), "padding_mode": "reflect"}),
    ("grouped_circular_across", (2, 6, 4, 5, 6), (9, 2, 2, 3, 3),
     {"padding": (0, 2, 1), "padding_mode": "circular", "groups": 3}),
    ("depthwise_replicate_across", (1, 4, 5, 5, 6), (8, 1, 3, 3, 3),
     {"padding": (0, 2, 4), "padding_mode": "replicate", "groups": 4, "stride": (1, 1, 2)}),
    ("deep", (1, 130, 3, 4, 5), (20, 130, 3, 3, 3), {"padding": 1}),
]  # fmt: skip
IDS = [case[0] for case in CASES]
OPS = ("conv3d", "conv3d_input_grad", "conv3d_weight_grad")


def integer_case(case, dtype):
    """x, w, bias, residual, dy of small integers, channels first."""
    label, x_sizes, w_shape, options = case
    rng = np.random.default_rng(zlib.crc32(label.encode()))
    most = 1 if dtype.itemsize == 2 else 2
    where = (options.get(name, default) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1)))
    y_sizes = (x_sizes[0], w_shape[0], *naive.output_sizes(x_sizes[2:], w_shape[2:], *where))
    return [integers(rng, shape, dtype, most) for shape in (x_sizes, w_shape, w_shape[:1], y_sizes, y_sizes)]


def able(op, x, w, **options):
    """The algorithms that accept a pass."""
    plan = fc.explain(op, x.shape, w.shape, dtype=x.dtype.name, **options)
    return [c.name for c in plan.candidates if c.reason is None]


def run(op, x, w, bias, residual, dy, algorithm, **options):
    """One pass by its function."""
    if op == "conv3d":
        return fc.conv3d(x, w, bias, residual=residual, activation="relu", algorithm=algorithm, **options)
    if op == "conv3d_input_grad":
        return fc.conv3d_input_grad(dy, w, x.shape, algorithm=algorithm, **options)
    return fc.conv3d_weight_grad(dy, x, w.shape, algorithm=algorithm, **options)


def oracle(op, x, w, bias, residual, dy, **options):
    """The same by its definition, channels first."""
    if op == "conv3d":
        return naive.conv(x, w, bias, residual=residual, activation="relu", **options)
    if op == "conv3d_input_grad":
        return naive.input_grad(dy, w, x.shape, **options)
    return naive.weight_grad(dy, x, w.shape, **options)


def laid_out(arrays, layout):
    """x, w, bias, residual, dy in a layout."""
    x, w, bias, residual, dy = arrays
    return [layout_of(x, layout), w, bias, layout_of(residual, layout), layout_of(dy, layout)]


@pytest.mark.checkerboard
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_integers(case, op):
    """Exact where algorithms only sum, near where they transform, in all dtypes and layouts, against guard pages."""
    for dtype in DTYPES.values():
        arrays = integer_case(case, dtype)
        expected = oracle(op, *arrays, **case[3])
        for layout in LAYOUTS:
            given = [guarded(a, len(layout) % 2) for a in laid_out(arrays, layout)]
            right = expected if op == "conv3d_weight_grad" else layout_of(expected, layout)
            for precision, times in TIMES.items():
                options = {**case[3], "layout": layout, "precision": precision}
                names = able(op, given[0], given[1], **options)
                for name in ("auto", *names):
                    out = guarded(np.full(right.shape, np.nan, dtype), True)
                    y = run(op, *given, name, out=out, **options)
                    assert y is out
                    if precision == "strict" or name in ("direct", "im2col", "depthwise", "inputs", "outputs"):
                        np.testing.assert_array_equal(y, rounded(right, dtype), err_msg=f"{name} {layout} {dtype}")
                    else:
                        assert_near(y, right, right.size * given[0].size, times, f"{name} {layout} {dtype}")


def test_every_algorithm_is_tested():
    for op in OPS:
        ran = set()
        for case in CASES:
            x, w, *_ = integer_case(case, DTYPES["float32"])
            ran |= set(able(op, x, w, **case[3]))
        tiles = set() if host().amx else {"amx", "winograd_amx", "banded"}  # on processors that have them
        assert ran >= set(fc.algorithms(op)) - tiles - {"matvec"}, op


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_layer(case, layout):
    """The layer gives what the function with the same algorithm does, and its gradients; bias's is the sum."""
    x, w, bias, residual, dy = laid_out(integer_case(case, DTYPES["float32"]), layout)
    options = {**case[3], "layout": layout, "precision": "strict"}
    for name in able("conv3d", x, w, **options):
        layer = fc.Conv3d(w, bias, algorithm=name, **options)
        np.testing.assert_array_equal(layer(x, residual=residual), fc.conv3d(x, w, bias, residual=residual, **options))
    layer = fc.Conv3d(w, bias, **options)
    for found in (layer.backward(dy, x), layer.backward(dy, x), fc.conv3d_backward(dy, x, w, **options)):
        np.testing.assert_array_equal(found.input, fc.conv3d_input_grad(dy, w, x.shape, **options))
        np.testing.assert_array_equal(found.weight, fc.conv3d_weight_grad(dy, x, w.shape, **options))
        np.testing.assert_array_equal(found.bias, naive.bias_grad(dy, layout, 3))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unbatched_and_empty(rng, layout):
    x, w = rng.normal(size=(2, 3, 4, 5, 6)).astype(np.float32), rng.normal(size=(4, 3, 3, 3, 3)).astype(np.float32)
    x, options = layout_of(x, layout), {"padding": 1, "layout": layout}
    y = fc.conv3d(x, w, **options)
    np.testing.assert_array_equal(fc.conv3d(x[1], w, algorithm="im2col", **options),
                                  fc.conv3d(x, w, algorithm="im2col", **options)[1])  # fmt: skip
    assert fc.conv3d(x[:0], w, **options).shape == (0, *y.shape[1:])
    assert not fc.conv3d_weight_grad(y[:0], x[:0], w.shape, **options).any()
    assert fc.conv3d_input_grad(y[:0], w, x[:0].shape, **options).shape == (0, *x.shape[1:])
    one = fc.conv3d_backward(y[1], x[1], w, **options)
    np.testing.assert_allclose(one.input, fc.conv3d_input_grad(y, w, x.shape, **options)[1], atol=1e-4)
    np.testing.assert_array_equal(one.weight, fc.conv3d_weight_grad(y[1:], x[1:], w.shape, **options))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("label", ["plain", "batch", "dilated_strided", "grouped_dilated", "depthwise", "replicate"])
def test_views_and_overlap(label, op):
    """Any strides, and an output that overlaps an input."""
    case = CASES[IDS.index(label)]
    arrays = laid_out(integer_case(case, DTYPES["float32"]), "channels_first")
    right = run(op, *arrays, "auto", precision="strict", **case[3])

    def view(a):
        wide = np.zeros([2 * size for size in a.shape], a.dtype)[tuple(slice(None, None, -2) for _ in a.shape)]
        wide[...] = a
        return wide

    for change in (view, np.asfortranarray, lambda a: a.astype(a.dtype)):
        np.testing.assert_array_equal(run(op, *map(change, arrays), "auto", precision="strict", **case[3]), right)
    memory = np.zeros(max(right.size, arrays[0].size) + 7, np.float32)
    x = memory[7 : 7 + arrays[0].size].reshape(arrays[0].shape)
    x[...] = arrays[0]
    out = memory[: right.size].reshape(right.shape)
    np.testing.assert_array_equal(run(op, x, *arrays[1:], "auto", out=out, precision="strict", **case[3]), right)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("label", ["batch", "strided", "dilated", "grouped", "depthwise", "depthwise_strided",
                                   "along_depth", "across", "replicate"])  # fmt: skip
def test_bits(rng, label, layout):
    """The same for any number of threads, and for any split of the batch with a named algorithm."""
    _, (_, *sizes), w_shape, options = CASES[IDS.index(label)]
    options = {**options, "layout": layout}
    x, w = (
        layout_of(rng.normal(size=(4, *sizes)).astype(np.float32), layout),
        rng.normal(size=w_shape).astype(np.float32),
    )
    dy = rng.normal(size=fc.conv3d(x, w, **options).shape).astype(np.float32)
    for op in OPS:
        for name in able(op, x, w, **options):
            found = []
            for threads in (1, 2, 3):
                with fc.num_threads(threads):
                    found.append(run(op, x, w, None, None, dy, name, **options))
            np.testing.assert_array_equal(found[0], found[1], err_msg=f"{op} {name}")
            np.testing.assert_array_equal(found[0], found[2], err_msg=f"{op} {name}")
            if op != "conv3d_weight_grad":
                parts = [run(op, x[i:j], w, None, None, dy[i:j], name, **options) for i, j in ((0, 1), (1, 4))]
                np.testing.assert_array_equal(np.concatenate(parts), found[0], err_msg=f"{op} {name}")


def test_bands_do_not_change_bits(rng, monkeypatch):
    """Slices that are brought together a few at a time give the same frames."""
    x, w = rng.normal(size=(1, 6, 12, 9, 10)).astype(np.float32), rng.normal(size=(5, 6, 3, 3, 3)).astype(np.float32)
    options = {"padding": 2, "dilation": (2, 1, 1), "algorithm": "im2col"}
    whole = fc.conv3d(x, w, **options), fc.conv3d_input_grad(fc.conv3d(x, w, **options), w, x.shape, **options)
    monkeypatch.setattr("fastconv.algorithm.volume.MOST_SLICES", 4 * 6 * 90 * 4)
    dispatch.execution.cache_clear()
    from fastconv.operators import conv, conv_grad

    conv._calls.clear(), conv_grad.GRADIENTS.calls.clear()
    try:
        np.testing.assert_array_equal(fc.conv3d(x, w, **options), whole[0])
        np.testing.assert_array_equal(fc.conv3d_input_grad(whole[0], w, x.shape, **options), whole[1])
    finally:
        dispatch.execution.cache_clear()
        conv._calls.clear(), conv_grad.GRADIENTS.calls.clear()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_frames_read_their_slices(case):
    """Bands and runs of frames, against the definition."""
    problem = conv_problem("conv3d", case[1], case[2], dtype="float32", **case[3])
    everything = [forward_taps(problem), *input_grad_taps(problem)]
    for taps in everything:
        for most in (1, 4, sys.maxsize):
            seen = []
            for band in bands(taps, most, 3) if taps.count else ():
                assert len(band.slices) <= max(most, taps.count)
                for i in range(band.count):
                    frame = (band.first + i * band.every - taps.start) // taps.every
                    seen.append(frame)
                    window = band.slices[i * band.step : i * band.step + taps.count]
                    assert window == tuple(taps.source(frame, t) for t in range(taps.count))
            assert sorted(seen) == list(range(taps.frames)) or not taps.count
        for zeros in (False, True) if taps.count else ():
            frames_have_their_taps(taps, zeros)


def frames_have_their_taps(taps, zeros):
    """Runs, against the definition."""
    seen = [[] for _ in range(taps.frames)]
    for run in runs(taps, zeros):
        for i in range(run.band.count):
            frame = (run.band.first + i * run.band.every - taps.start) // taps.every
            source = taps.source(frame, run.tap)
            assert run.band.slices[0] + i * run.band.step * (source >= 0) == source
            assert run.first == (not seen[frame]) and not (seen[frame] and seen[frame][-1][1])
            seen[frame].append((run.tap, run.last))
    for frame, found in enumerate(seen):
        due = [tap for tap in range(taps.count) if zeros or taps.source(frame, tap) >= 0]
        assert sorted(tap for tap, _ in found) == due or (not due and len(found) == 1)
        assert found[-1][1]


def test_memory(rng, monkeypatch):
    """A large volume for real: the memory taken, and some of the outputs."""
    taken = []
    take = workspace.take
    monkeypatch.setattr(workspace, "take", lambda size: taken.append(size) or take(size))
    x = rng.integers(-3, 4, (1, 8, 60, 256, 256)).astype(np.float32)  # 126 MB
    w = rng.integers(-3, 4, (3, 8, 3, 3, 3)).astype(np.float32)
    y = np.empty((1, 3, 58, 254, 254), np.float32)
    for name in able("conv3d", x, w):
        taken.clear()
        fc.conv3d(x, w, algorithm=name, out=y)
        assert sum(taken) <= 64 << 20, name
        for i, j, k in rng.integers(0, 58, (50, 3)).tolist():
            expected = np.einsum("cdhw,kcdhw->k", x[0, :, i : i + 3, j : j + 3, k : k + 3], w)
            np.testing.assert_allclose(y[0, :, i, j, k], expected, atol=1e-2, err_msg=name)


def test_slices_too_large_to_copy():
    """Then taps are convolved one by one, where slices lie."""
    plan = fc.explain("conv3d", (1, 64, 9, 512, 512), (64, 64, 3, 3, 3), padding=1)
    reasons = {c.name: c.reason for c in plan.candidates}
    assert reasons["taps"] is None and f"more than {MOST_SLICES >> 20} MiB" in reasons["im2col"]
    assert plan.algorithm == "taps"
    assert plan.workspace <= 64 << 20


@pytest.mark.parametrize("op", ["conv3d", "conv3d_weight_grad"])
def test_infinities(op, rng):
    """NaN and infinities pass as the definition says, a zero of the padding times infinity included."""
    x, w, _, _, dy = integer_case(CASES[0], DTYPES["float32"])
    x[0, 1, 2, 3, 1], w[2, 1, 0, 1, 1], dy[0, 1, 0, 1, 1] = np.inf, np.inf, np.nan
    options = dict(CASES[0][3])
    if op == "conv3d":
        right = naive.conv(x, w, **options)
        for name in able(op, x, w, precision="strict", **options):
            np.testing.assert_array_equal(fc.conv3d(x, w, algorithm=name, precision="strict", **options), right)
    else:
        right = oracle(op, x, w, None, None, dy, **options)
        for name in able(op, x, w, precision="strict", **options):
            got = run(op, x, w, None, None, dy, name, precision="strict", **options)
            np.testing.assert_array_equal(np.isfinite(got) | ~np.isfinite(right), True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, w: fc.conv3d(x[0, 0], w), "x must have 4 or 5 axes"),
        (lambda x, w: fc.conv3d(x, w[0]), "weight must have 5 axes"),
        (lambda x, w: fc.conv3d(x, w, stride=(1, 2)), "conv3d: stride must have 3 ints"),
        (lambda x, w: fc.conv3d(x, w, padding=(1, 2)), "3 \\(before, after\\) pairs"),
        (lambda x, w: fc.conv3d(x, w, dilation=(9, 1, 1)), "conv3d: weight spans 19 of the depth"),
        (lambda x, w: fc.conv3d(x, w, padding=(5, 0, 0), padding_mode="reflect"), "x's depth 5"),
        (lambda x, w: fc.conv3d(x, w, algorithm="depthwise"), "these can"),
        (lambda x, w: fc.conv3d(x, w, groups=2), "groups=2 must divide x's 3 channels"),
        (lambda x, w: fc.conv3d(x, w, out=np.zeros((1, 4, 3, 3, 3), np.float32)), "out must have the result's shape"),
        (lambda x, w: fc.Conv3d(w, stride=0), "conv3d: stride must be at least 1"),
        (lambda x, w: fc.conv3d_input_grad(x, w, (1, 3, 5, 5)), "input_shape must have 5 ints"),
        (lambda x, w: fc.conv3d_weight_grad(x, x, w.shape), "grad_output must have the convolution's output shape"),
        (lambda x, w: fc.explain("conv4d", x.shape, w.shape), "is not an operator"),
    ],
)
def test_errors(call, message):
    x, w = np.zeros((1, 3, 5, 6, 7), np.float32), np.zeros((4, 3, 3, 3, 3), np.float32)
    with pytest.raises(ValueError, match=message):
        call(x, w)


def test_taps_are_charged_for_regrouping():
    """Weights of a call are brought to the order of their taps first; packed ones are not."""
    problem = conv_problem("conv3d", (1, 48, 4, 9, 9), (64, 48, 3, 3, 3), dtype=np.float32)
    (taps,) = (a for a in dispatch.CANDIDATES["conv3d", "forward"] if a.name == "taps")
    raw, packed = (taps.cost(problem, contiguous_steps(problem), host(), held) for held in (False, True))
    assert raw - packed >= np.prod(problem.weight_shape) * cost.C.regroup_weight
