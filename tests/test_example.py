"""The example: its data, its gradients, and that it learns."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import mnist1d
import mnist1d_data

sys.path.pop(0)


def test_data():
    (x, y), (test_x, test_y) = mnist1d_data.generate(3, 400, 100)
    assert x.shape == (400, 40) and y.shape == (400,) and test_x.shape == (100, 40)
    everything = np.concatenate([x, test_x])
    assert abs(everything.mean()) < 1e-12 and everything.std() == pytest.approx(1)
    assert np.bincount(np.concatenate([y, test_y])).tolist() == [50] * 10
    again, other = mnist1d_data.generate(3, 400, 100)[0], mnist1d_data.generate(4, 400, 100)[0]
    assert np.array_equal(again.x, x) and not np.array_equal(other.x, x)


def test_examples_are_moved_templates(monkeypatch):
    for name in ("SCALE", "SHEAR", "SMOOTH_NOISE", "NOISE"):
        monkeypatch.setattr(mnist1d_data, name, 0.0)
    shape = np.array([0.0, 1, 2, 3, 2, 1, -1, -2, -3, -2, -1, 0])
    for seed in range(20):
        example = mnist1d_data._example(shape, np.random.default_rng(seed))
        assert 2 < example.max() <= 3 and -3 <= example.min() < -2
        assert example.argmax() < example.argmin() and 4 < np.count_nonzero(example) < 12


def test_gradients_by_finite_differences(rng):
    p = mnist1d.initial(rng, np.float64)
    for name in p:  # biases are zero at the beginning
        p[name] += 0.1 * rng.standard_normal(p[name].shape)
    x, y = rng.standard_normal((4, 40)), rng.integers(0, 10, 4)

    def loss():
        return mnist1d.cross_entropy(mnist1d.forward(p, x)[0], y)[0]

    logits, kept = mnist1d.forward(p, x)
    gradients = mnist1d.backward(p, kept, mnist1d.cross_entropy(logits, y)[1])
    assert gradients.keys() == p.keys()
    step = 1e-6
    for name, values in p.items():
        for place in rng.choice(values.size, min(values.size, 12), replace=False):
            at = np.unravel_index(place, values.shape)
            here = values[at]
            values[at] = here + step
            above = loss()
            values[at] = here - step
            difference = (above - loss()) / (2 * step)
            values[at] = here
            assert gradients[name][at] == pytest.approx(difference, rel=1e-5, abs=1e-8), (name, at)


def trained(seed, steps=60):
    data, test = (mnist1d.Split(s.x.astype(np.float32), s.y) for s in mnist1d_data.generate(1, 500, 100))
    rng = np.random.default_rng(seed)
    p = mnist1d.initial(rng)
    return p, list(mnist1d.train(p, data, test, steps, rng, every=10))


def test_it_learns_and_depends_on_the_seed_only():
    p, rows = trained(0)
    assert [row.step for row in rows] == [10, 20, 30, 40, 50, 60]
    assert rows[-1].loss < 0.8 * rows[0].loss and rows[-1].train > rows[0].train
    assert all(value.dtype == np.float32 for value in p.values())
    again, other = trained(0)[0], trained(1)[0]
    assert all(np.array_equal(p[name], again[name]) for name in p)
    assert not np.array_equal(p["dense"], other["dense"])


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(mnist1d, "generate", lambda: mnist1d_data.generate(1, 200, 50))
    given = ["--steps", "20"]
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        pass
    else:
        given += ["--plot", str(tmp_path / "a.png")]
    assert 0 <= mnist1d.main(given) <= 1
    assert "step    20" in capsys.readouterr().out
    assert len(given) == 2 or (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
