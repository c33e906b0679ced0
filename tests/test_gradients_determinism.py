"""Bits of gradients do not depend on threads or earlier calls; NaN and Inf go where the sums put them."""

import threading

import numpy as np
import pytest
from arrays import integers, layout_of
from gradients import ALL, ALL_IDS, INPUT, LAYOUTS, OPS, WEIGHT, able, normal_case, oracle, plan, run
from test_threads import LAYERS, python

import fastconv as fc


@pytest.mark.parametrize("case", ALL, ids=ALL_IDS)
def test_threads(rng, case):
    """Of every algorithm and of "auto", which must choose alike; the layouts take turns."""
    dy, x, w, options = normal_case(rng, case, LAYOUTS[ALL.index(case) % 2], np.float32, batch=3)
    for op in OPS:
        chosen = plan(op, x, w, **options).algorithm
        calls = [(name, "default") for name in ("auto", *able(op, x, w, "default", **options))] + [("auto", "strict")]
        for algorithm, precision in calls:
            results = set()
            for count in (1, 2, 3, 7):
                with fc.num_threads(count):
                    assert plan(op, x, w, **options).algorithm == chosen
                    got = run(op, dy, x, w, algorithm=algorithm, precision=precision, **options)
                    results.add(got.tobytes())
            assert len(results) == 1, f"{op} {algorithm} {precision}"


@pytest.mark.parametrize("case", ALL[::2], ids=ALL_IDS[::2])
def test_input_gradient_of_a_part_of_the_batch(rng, case):
    dy, x, w, options = normal_case(rng, case, LAYOUTS[ALL.index(case) // 2 % 2], np.float32, batch=5)
    for algorithm in ("auto", *able(INPUT, x, w, "default", **options)):
        options["algorithm"] = algorithm
        whole = run(INPUT, dy, x, w, **options)
        pieces = [run(INPUT, dy[i : i + 2], x[i : i + 2], w, **options) for i in range(0, 5, 2)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole, err_msg=algorithm)


@pytest.mark.parametrize(("k", "r", "groups"), [(96, 3, 1), (64, 1, 1), (64, 3, 64), (128, 3, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_many_tasks_on_many_threads(rng, k, r, groups, stride):
    """Enough work that sums over pixels and images are split."""
    options = {"stride": stride, "padding": r // 2, "groups": groups}
    x, w = rng.normal(size=(2, 64, 60, 61)).astype(np.float32), rng.normal(size=(k, 64 // groups, r, r))
    w = w.astype(np.float32)
    dy = rng.normal(size=fc.conv2d(x, w, **options).shape).astype(np.float32)
    with fc.num_threads(1):
        expected = fc.conv2d_backward(dy, x, w, **options)
    for count in (2, 3, 5):
        with fc.num_threads(count):
            for got, one in zip(fc.conv2d_backward(dy, x, w, **options), expected, strict=True):
                np.testing.assert_array_equal(got, one)


def test_python_threads_at_once(rng):
    x, w = rng.normal(size=(4, 16, 20, 20)), rng.normal(size=(24, 16, 3, 3))
    dy = rng.normal(size=(4, 24, 20, 20))
    layer, failures = fc.Conv2d(w, padding=1), []
    expected = fc.conv2d_backward(dy, x, w, padding=1)
    by_layer = layer.backward(dy, x)

    def work():
        for _ in range(10):
            for got, right in ((fc.conv2d_backward(dy, x, w, padding=1), expected), (layer.backward(dy, x), by_layer)):
                if not all(map(np.array_equal, got, right)):
                    failures.append(1)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


@pytest.mark.parametrize("layer", LAYERS)
def test_fork(layer):
    python(
        """
        import warnings; warnings.simplefilter("ignore")
        dy = np.random.default_rng(2).normal(size=(2, 64, 40, 40)).astype(np.float32)
        def gradients(): return fc.conv2d_backward(dy, x, w, padding=1)
        with fc.num_threads(1): right = gradients()
        def same(): assert all(map(np.array_equal, gradients(), right))
        same()
        pid = os.fork()
        if pid == 0:
            try:
                same(); same()
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        same()
        """,
        layer,
    )


def test_functions_remember_nothing(rng):
    x, w, dy = (integers(rng, shape, np.float64) for shape in ((1, 8, 9, 9), (16, 8, 3, 3), (1, 16, 7, 7)))
    first = fc.conv2d_backward(dy, x, w, precision="strict")
    for a in (dy, x, w):
        a *= 2
    for once, got, times in zip(first, fc.conv2d_backward(dy, x, w, precision="strict"), (4, 4, 2), strict=True):
        np.testing.assert_array_equal(got, times * once)


# NaN and Inf


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", ALL[::2], ids=ALL_IDS[::2])
def test_specials_go_through(rng, case, special):
    """From dy to both gradients, and from x to the weight's; strict algorithms."""
    dy, x, w, options = normal_case(rng, case, LAYOUTS[ALL.index(case) // 2 % 2], np.float32)
    w[0, 0, 0, 0] = 0.0
    for op, name in ((INPUT, "dy"), (WEIGHT, "dy"), (WEIGHT, "x")):
        arrays = {"dy": dy.copy(), "x": x.copy(), "w": w}
        arrays[name][tuple(size // 2 for size in arrays[name].shape)] = special
        expected = oracle(op, **arrays, **options)
        for algorithm in able(op, x, w, **options):
            got = run(op, **arrays, algorithm=algorithm, precision="strict", **options)
            for kind in (np.isnan, np.isposinf, np.isneginf):
                np.testing.assert_array_equal(kind(got), kind(expected), err_msg=f"{op} {name} {algorithm}")


def test_specials_in_weights_reach_every_pixel_they_multiply(rng):
    """They may reach others too, as 0 * NaN is NaN wherever a kernel reads a zero for a pixel outside dy."""
    dy, w = rng.normal(size=(1, 3, 5, 5)).astype(np.float32), rng.normal(size=(3, 4, 3, 3)).astype(np.float32)
    w[1, 2, 0, 0] = np.nan
    dx = fc.conv2d_input_grad(dy, w, (1, 4, 7, 7), precision="strict")
    assert np.isnan(dx[:, 2, :5, :5]).all() and not np.isnan(dx[:, [0, 1, 3]]).any()


def test_denormals_are_kept():
    tiny = np.full((1, 1, 4, 40), 1e-42, np.float32)
    np.testing.assert_array_equal(fc.conv2d_input_grad(tiny, np.ones((1, 1, 1, 1), np.float32), tiny.shape), tiny)
    one = np.zeros_like(tiny)
    one[0, 0, 2, 3] = 1
    np.testing.assert_array_equal(fc.conv2d_weight_grad(one, tiny, (1, 1, 1, 1)), tiny[:, :, :1, :1])


# out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("more", [{}, {"groups": 6}, {"padding_mode": "circular"}], ids=str)
def test_out_over_an_input(rng, layout, more):
    """dx over dy where the two have one shape; dw in the memory of x; each over the other operand, shifted."""
    groups, options = more.get("groups", 1), {"padding": 1, "layout": layout, **more}
    dy, x = (layout_of(integers(rng, (2, 6, 7, 8), np.float32), layout) for _ in range(2))
    w = integers(rng, (6, 6 // groups, 3, 3), np.float32)
    for op in OPS:
        right = oracle(op, dy, x, w, **options)
        for algorithm in ("auto", *able(op, x, w, **options)):
            for index in (0, 2 if op == INPUT else 1):
                for shift in (0, 1, 64):
                    memory = np.zeros(dy.size + w.size + x.size + shift, np.float32)
                    arrays = [dy, x, w]
                    over = memory[: arrays[index].size].reshape(arrays[index].shape)
                    over[...] = arrays[index]
                    arrays[index] = over
                    out = memory[shift : shift + right.size].reshape(right.shape)
                    assert run(op, *arrays, out=out, algorithm=algorithm, precision="strict", **options) is out
                    np.testing.assert_array_equal(out, right, err_msg=f"{op} {algorithm} {index} {shift}")
