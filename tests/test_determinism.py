"""Bits do not depend on threads, batches or earlier calls; NaN and Inf go where the sums put them."""

import threading

import naive
import numpy as np
import pytest
from arrays import layout_of
from shapes import CASES, IDS

import fastconv as fc

LAYOUTS = ("channels_first", "channels_last")


def problem(rng, case, layout, batch=None, dtype=np.float32):
    """x, w and options of a case with normal numbers."""
    _, (n, *rest), w_shape, options = case
    x = layout_of(rng.normal(size=(batch or n, *rest)), layout).astype(dtype)
    return x, rng.normal(size=w_shape).astype(dtype), {**options, "layout": layout}


def able(x, w, options):
    """The algorithms that accept a problem."""
    plan = fc.explain("conv2d", x.shape, w.shape, dtype=x.dtype.name, **options)
    return [c.name for c in plan.candidates if c.reason is None]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_threads_and_batches(rng, case, layout):
    x, w, options = problem(rng, case, layout, batch=5)
    with fc.num_threads(1):
        plan = fc.explain("conv2d", x.shape, w.shape, **options).algorithm
    with fc.num_threads(7):
        assert fc.explain("conv2d", x.shape, w.shape, **options).algorithm == plan
    calls = [(name, "default") for name in ("auto", *able(x, w, options))] + [("auto", "strict"), ("im2col", "strict")]
    for algorithm, precision in calls:
        options.update(algorithm=algorithm, precision=precision)
        expected = fc.conv2d(x, w, **options)
        for count in (1, 2, 3, 7):
            with fc.num_threads(count):
                np.testing.assert_array_equal(fc.conv2d(x, w, **options), expected)
        for parts in ((0, 5, 1), (0, 5, 2)):
            pieces = [fc.conv2d(x[i : i + parts[2]], w, **options) for i in range(*parts)]
            np.testing.assert_array_equal(np.concatenate(pieces), expected)


def test_many_tasks_on_many_threads(rng):
    x = rng.normal(size=(2, 64, 60, 61)).astype(np.float32)
    for k, r, groups in ((96, 3, 1), (64, 1, 1), (64, 3, 64), (128, 3, 2)):
        w = rng.normal(size=(k, 64 // groups, r, r)).astype(np.float32)
        with fc.num_threads(1):
            expected = fc.conv2d(x, w, padding=r // 2, groups=groups)
        for count in (2, 3, 5):
            with fc.num_threads(count):
                np.testing.assert_array_equal(fc.conv2d(x, w, padding=r // 2, groups=groups), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", CASES[:24], ids=IDS[:24])
def test_specials_go_through(rng, case, special, layout):
    x, w, options = problem(rng, case, layout)
    x[tuple(size // 2 for size in x.shape)] = special
    w[0, 0, 0, 0] = 0.0
    expected = naive.conv2d(x, w, **options)
    for algorithm in set(able(x, w, options)) - {"winograd", "winograd_amx"}:  # their own rule is in test_winograd_bits
        y = fc.conv2d(x, w, algorithm=algorithm, **options)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(expected), err_msg=algorithm)
        np.testing.assert_array_equal(np.isposinf(y), np.isposinf(expected), err_msg=algorithm)
        np.testing.assert_array_equal(np.isneginf(y), np.isneginf(expected), err_msg=algorithm)


def test_specials_in_weights_meet_the_padding(rng):
    """0 * NaN is NaN: a NaN weight shows wherever its tap falls, on padding too."""
    x = rng.normal(size=(1, 2, 5, 5)).astype(np.float32)
    w = rng.normal(size=(3, 2, 3, 3)).astype(np.float32)
    w[1, 0, 0, 0] = np.nan
    y = fc.conv2d(x, w, padding=1)
    assert np.isnan(y[:, 1]).all() and not np.isnan(y[:, [0, 2]]).any()


def test_denormals_are_kept():
    x = np.full((1, 1, 4, 40), 1e-42, np.float32)
    y = fc.conv2d(x, np.ones((1, 1, 1, 1), np.float32))
    np.testing.assert_array_equal(y, x)


def test_python_threads_at_once(rng):
    x, w = rng.normal(size=(4, 32, 30, 30)), rng.normal(size=(48, 32, 3, 3))
    expected, failures = fc.conv2d(x, w, padding=1), []

    def work():
        for _ in range(20):
            if not np.array_equal(fc.conv2d(x, w, padding=1), expected):
                failures.append(1)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_layer_keeps_its_own_weights(rng):
    x, w, bias = rng.normal(size=(1, 8, 9, 9)), rng.normal(size=(16, 8, 3, 3)), rng.normal(size=16)
    expected = fc.conv2d(x, w, bias, precision="strict")
    layer = fc.Conv2d(w, bias, precision="strict")
    w[...] = 7
    bias[...] = 7
    np.testing.assert_array_equal(layer(x), expected)


def test_function_remembers_nothing(rng):
    x, w = rng.normal(size=(1, 8, 9, 9)), rng.normal(size=(16, 8, 3, 3))
    first = fc.conv2d(x, w)
    np.testing.assert_array_equal(fc.conv2d(x, 2 * w), 2 * first)
    x *= 2
    np.testing.assert_array_equal(fc.conv2d(x, w), 2 * first)


def test_large_and_odd_images(rng):
    """Blocks of columns: images too wide for one row of strips."""
    x = rng.normal(size=(1, 40, 3, 9001)).astype(np.float32)
    w = rng.normal(size=(24, 40, 3, 3)).astype(np.float32)
    whole = fc.conv2d(x, w, padding=1)
    exact = naive.conv2d(x[..., 4490:4512], w, padding=(1, 0))
    np.testing.assert_allclose(whole[..., 4491:4511], exact, rtol=1e-3, atol=1e-4)
    last = fc.conv2d(layout_of(x, "channels_last"), w, padding=1, layout="channels_last")
    np.testing.assert_allclose(last.transpose(0, 3, 1, 2), whole, rtol=1e-3, atol=1e-4)
