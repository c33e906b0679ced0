"""Transposed convolutions against their definition: every case, layout, dtype and algorithm; and other promises."""

import time

import naive
import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, rounded
from transposed import CASES, IDS, LAYOUTS, able, call, case_of, operator, oracle

import fastconv as fc
from fastconv import dispatch
from fastconv.algorithm import depthwise_phases
from fastconv.algorithm.input_grad import columns, merged

ACTIVATIONS = ("relu", "relu6", ("leaky_relu", 0.5))


@pytest.mark.checkerboard(5)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_cases(case, layout, dtype):
    """Small integers are exact in every algorithm that only sums; with and without bias and activation."""
    (x, w, bias, _), options, expected, _ = case_of(case, layout, DTYPES[dtype])
    op = operator(x.shape)
    plain = expected - (bias.astype(np.float64) if layout == "channels_last" else
                        bias.astype(np.float64).reshape(-1, *[1] * (x.ndim - 2)))  # fmt: skip
    for algorithm in ("auto", *able(op, x, w, bias=True, **options)):
        got = call(op, x, w, bias, algorithm=algorithm, precision="strict", **options)
        assert got.dtype == DTYPES[dtype]
        np.testing.assert_array_equal(got, rounded(expected, got.dtype), err_msg=algorithm)
    activation = ACTIVATIONS[IDS.index(case[0]) % 3]
    for algorithm in ("auto", *able(op, x, w, **options)):
        got = call(op, x, w, algorithm=algorithm, precision="strict", **options)
        np.testing.assert_array_equal(got, rounded(plain, got.dtype), err_msg=algorithm)
        if dtype in ("float32", "float64"):
            got = call(op, x, w, bias, activation=activation, algorithm=algorithm, precision="strict", **options)
            right = naive.activate(expected, activation)
            np.testing.assert_array_equal(got, rounded(right, got.dtype), err_msg=f"{algorithm} {activation}")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_inexact_algorithms(case):
    """Those that transform, within their bound."""
    for layout in LAYOUTS:
        (x, w, bias, _), options, expected, _ = case_of(case, layout, np.float32)
        op = operator(x.shape)
        for precision, times in (("default", 16), ("fast", 64)):
            for algorithm in able(op, x, w, precision, True, **options):
                got = call(op, x, w, bias, algorithm=algorithm, precision=precision, **options)
                assert_near(got, expected, w[:, 0].size, times, f"{algorithm} {precision} {layout}")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "silu", "hardswish", "gelu"])
@pytest.mark.parametrize("case", [c for c in CASES if "beyond" in c[0] or c[0] in ("unet", "signal_no_tap")],
                         ids=lambda c: c[0])  # fmt: skip
def test_activations_where_no_tap_reaches(case, activation, layout):
    """A pixel without taps is the activation of the bias, or of zero."""
    (x, w, bias, _), options, *_ = case_of(case, layout, np.float64)
    for b in (bias, None):
        for algorithm in able(operator(x.shape), x, w, bias=b is not None, **options):
            got = call(operator(x.shape), x, w, b, activation=activation, algorithm=algorithm, **options)
            expected = oracle(x, w, b, activation=activation, **options)
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12, err_msg=algorithm)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_no_batch_and_an_empty_one(case):
    (x, w, bias, _), options, expected, _ = case_of(case, LAYOUTS[IDS.index(case[0]) % 2], np.float32)
    op = operator(x.shape)
    np.testing.assert_array_equal(call(op, x[0], w, bias, precision="strict", **options), expected[0])
    assert call(op, x[:0], w, bias, **options).shape == (0, *expected.shape[1:])


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_any_memory(case):
    """Steps of all kinds, and an `out` with gaps or over an input."""
    (x, w, bias, _), options, expected, _ = case_of(case, LAYOUTS[IDS.index(case[0]) % 2], np.float32)
    op = operator(x.shape)
    backwards = (slice(None, None, -1),) * x.ndim
    gaps = np.zeros([2 * size for size in x.shape], np.float32)[(slice(None, None, 2),) * x.ndim]
    gaps[...] = x
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    odd[...] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    for view in (np.asfortranarray(x), x[backwards].copy()[backwards], gaps, odd, read_only):
        for weight in (w, np.asfortranarray(w)):
            got = call(op, view, weight, bias, precision="strict", **options)
            np.testing.assert_array_equal(got, expected)
    large = np.full([2 * size for size in expected.shape], np.nan, np.float32)
    out = large[(slice(None, None, 2),) * x.ndim]
    assert call(op, x, w, bias, precision="strict", out=out, **options) is out
    np.testing.assert_array_equal(out, expected)
    shared = np.zeros(max(x.size, expected.size) + 5, np.float32)
    over, out = shared[3 : 3 + x.size].reshape(x.shape), shared[: expected.size].reshape(expected.shape)
    over[...] = x
    call(op, over, w, bias, precision="strict", out=out, **options)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_bits(rng, case):
    """The same for any number of threads and any split of the batch, of each algorithm."""
    label, (_, *rest), w_shape, options = case
    options = {**options, "layout": LAYOUTS[IDS.index(label) % 2]}
    x = rng.normal(size=(5, *rest)).astype(np.float32)
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if options["layout"] == "channels_last" else x
    w = rng.normal(size=w_shape).astype(np.float32)
    bias = rng.normal(size=w_shape[1] * options.get("groups", 1)).astype(np.float32)
    op = operator(x.shape)
    for algorithm in ("auto", *able(op, x, w, "default", True, **options)):
        results = set()
        for count in (1, 2, 3, 7):
            with fc.num_threads(count):
                whole = call(op, x, w, bias, algorithm=algorithm, **options)
                results.add(whole.tobytes())
        pieces = [call(op, x[i : i + 2], w, bias, algorithm=algorithm, **options) for i in range(0, 5, 2)]
        results.add(np.concatenate(pieces).tobytes())
        assert len(results) == 1, algorithm


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bands(rng, layout, monkeypatch):
    """Results that do not wait all at once: several bands of one image, several images at a time."""
    monkeypatch.setattr(merged, "BAND", 4 << 20)
    monkeypatch.setattr(columns, "MOST_COLUMNS", 5 << 20)
    for shape, w_shape, options in (
        ((1, 8, 150, 150), (8, 16, 4, 4), {"stride": 4, "padding": 1}),
        ((9, 6, 40, 50), (6, 16, 4, 2), {"stride": 2, "padding": 1}),
        ((1, 3, 300, 260), (3, 5, 3, 3), {"stride": 3}),
    ):
        x, w = integers(rng, shape, np.float32), integers(rng, w_shape, np.float32)
        options["layout"], options["precision"] = layout, "strict"
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout == "channels_last" else x
        algorithms = able("conv_transpose2d", x, w, **options)
        assert {"merged", "phases"} <= set(algorithms)
        assert ("columns" in algorithms) == (layout == "channels_first" and len(x) > 1)
        expected = fc.conv_transpose2d(x, w, algorithm="im2col", **options)
        for algorithm in algorithms:
            got = fc.conv_transpose2d(x, w, algorithm=algorithm, **options)
            np.testing.assert_array_equal(got, expected, err_msg=algorithm)
        image = np.ascontiguousarray(np.moveaxis(x, -1, 1) if layout == "channels_last" else x)[:1, :, :20, :20]
        corner = oracle(image, w, **{name: options[name] for name in ("stride", "padding") if name in options})
        got = np.moveaxis(expected, -1, 1) if layout == "channels_last" else expected
        np.testing.assert_array_equal(got[:1, :, :30, :30], corner[:, :, :30, :30])


@pytest.mark.parametrize(
    ("shape", "w_shape", "stride", "groups"),
    [
        ((2, 32, 40, 53), (32, 24, 2, 3), (2, 3), 2),
        ((1, 20, 9, 70), (20, 31, 1, 2), (1, 2), 1),
        ((1, 24, 5, 6), (24, 900, 2, 2), 2, 1),  # blocks of columns, which may part those that are woven together
        ((2, 700, 6, 9, 20), (700, 3, 2, 1, 2), (2, 1, 2), 1),  # sums of several chunks
        ((3, 9, 4000), (9, 7, 5), 5, 1),
    ],
)
def test_windows_side_by_side(rng, shape, w_shape, stride, groups):
    """One product for all, by any number of tasks and threads."""
    op = f"conv_transpose{len(shape) - 2}d"
    bias = integers(rng, (w_shape[1] * groups,), np.float32)
    x, w = integers(rng, shape, np.float32), integers(rng, w_shape, np.float32)
    for activation in (None, "relu", ("leaky_relu", 0.25), "gelu"):
        options = {"stride": stride, "groups": groups, "activation": activation}
        expected = call(op, x, w, bias, algorithm="im2col", **options)
        results = set()
        for threads in (1, 2, 3, 8):
            with fc.num_threads(threads):
                results.add(call(op, x, w, bias, algorithm="disjoint", **options).tobytes())
        assert results == {expected.tobytes()}, activation


@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("group", [1, 5, 16, 37])
def test_channels_that_a_task_has(rng, monkeypatch, group, dtype, activation):
    """Channels last, some at a time, are those of planes to the last bit."""
    monkeypatch.setattr(depthwise_phases, "_group", lambda problem, target: group)
    dispatch.execution.cache_clear()
    x, w, bias = (integers(rng, shape, dtype) for shape in ((2, 37, 5, 9), (37, 1, 9, 9), (37,)))
    options = {"stride": (3, 5), "padding": (2, 1), "output_padding": (1, 2), "groups": 37}
    run = {**options, "algorithm": "depthwise_phases", "activation": activation}
    planes = fc.conv_transpose2d(x, w, bias, **run)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            got = fc.conv_transpose2d(last, w, bias, layout="channels_last", **run)
        np.testing.assert_array_equal(np.moveaxis(got, -1, 1), planes)
    dispatch.execution.cache_clear()
    if activation is None:
        np.testing.assert_array_equal(planes, oracle(x, w, bias, **options))


def test_nan_and_infinity_reach_what_their_taps_reach(rng):
    x, w = rng.normal(size=(1, 3, 6, 6)), rng.normal(size=(3, 2, 3, 3))
    x[0, 1, 2, 3], x[0, 0, 5, 5] = np.nan, np.inf
    with np.errstate(all="ignore"):
        expected = oracle(x, w, stride=2, padding=1)
    for algorithm in able("conv_transpose2d", x, w, stride=2, padding=1):
        got = fc.conv_transpose2d(x, w, None, 2, 1, algorithm=algorithm, precision="strict")
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    w = rng.normal(size=(3, 2, 4, 4))  # which all phases have as many taps of
    with np.errstate(all="ignore"):
        expected = oracle(x, w, stride=2, padding=1)
    algorithms = able("conv_transpose2d", x, w, stride=2, padding=1)
    assert "merged" in algorithms
    for algorithm in algorithms:
        got = fc.conv_transpose2d(x, w, None, 2, 1, algorithm=algorithm, precision="strict")
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_istft_takes_no_second(rng):
    """224 frames of 1024 samples, 256 apart."""
    x, w = rng.normal(size=(1, 1026, 224)).astype(np.float32), rng.normal(size=(1026, 1, 1024)).astype(np.float32)
    y = fc.conv_transpose1d(x, w, stride=256)
    frames = w[:, 0].T.astype(np.float64) @ x[0]
    expected = np.zeros(223 * 256 + 1024)
    for i in range(224):
        expected[256 * i : 256 * i + 1024] += frames[:, i]
    np.testing.assert_allclose(y[0, 0], expected, atol=2e-3)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        fc.conv_transpose1d(x, w, stride=256)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
