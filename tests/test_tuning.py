"""algorithm="tune": the right winner, measured once, remembered, and never consulted by "auto"."""

import os
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastconv as fc
from fastconv import target, tuning, winners
from fastconv.__main__ import main
from fastconv.networks import network
from fastconv.operators import conv

ROOT = Path(fc.__file__).parent.parent
SHAPES = (1, 5, 9, 8), (7, 5, 3, 3)
POINT = (1, 5, 9, 8), (7, 5, 1, 1)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A tuning file of its own, and nothing remembered from other tests."""
    monkeypatch.setenv("FASTCONV_TUNING_FILE", str(tmp_path / "t.json"))
    monkeypatch.setattr(winners, "_said", set())
    forget(monkeypatch)
    yield tmp_path / "t.json"
    conv._calls.clear()


def forget(monkeypatch):
    """What a new process knows."""
    monkeypatch.setattr(tuning, "_memory", {})
    monkeypatch.setattr(tuning, "_seen", None)
    conv._calls.clear()


@pytest.fixture
def measured(monkeypatch):
    """Times are what `measured.times` says, else 1; `measured.count` counts problems."""

    class Measured:
        times, count = {}, 0

        def __call__(self, calls):
            self.count += 1
            for call in calls.values():
                call()
            return {name: self.times.get(name, 1.0) for name in calls}

    fake = Measured()
    monkeypatch.setattr(tuning, "in_turns", fake)
    return fake


def operands(rng, shapes=SHAPES):
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def able(x, w, **options):
    return [c.name for c in fc.explain("conv2d", x.shape, w.shape, **options).candidates if c.reason is None]


def refuse(calls):
    raise AssertionError("measured")


# Results


@pytest.mark.parametrize("shapes", [SHAPES, POINT])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_equals_the_named_algorithm(rng, file, measured, monkeypatch, shapes, layout):
    x, w = operands(rng, shapes)
    x = x if layout == "channels_first" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    options = {"padding": 1, "layout": layout, "activation": "relu"} if shapes is SHAPES else {"layout": layout}
    bias = rng.normal(size=7).astype(np.float32)
    names = able(x, w, bias=True, residual=True, **options)
    assert len(names) > 1
    for name in names:
        file.unlink(missing_ok=True)
        forget(monkeypatch)
        measured.times = {name: 0.5}
        residual = rng.normal(size=fc.conv2d(x, w, **options).shape).astype(np.float32)
        kept = [a.copy() for a in (x, w, bias, residual)]
        expected = fc.conv2d(x, w, bias, residual=residual, algorithm=name, **options)
        out = np.full_like(expected, np.nan)
        y = fc.conv2d(x, w, bias, residual=residual, algorithm="tune", out=out, **options)
        assert y is out
        np.testing.assert_array_equal(y, expected)
        layer = fc.Conv2d(w, bias, algorithm="tune", **options)
        expected = fc.Conv2d(w, bias, algorithm=name, **options)(x, residual)
        np.testing.assert_array_equal(layer(x, residual), expected)
        for before, after in zip(kept, (x, w, bias, residual), strict=True):
            np.testing.assert_array_equal(before, after)
        assert {w.winner for w in winners.read().values()} == {name}


def test_really_measured(rng, file):
    x, w = operands(rng)
    y = fc.conv2d(x, w, algorithm="tune")
    ((_, winner),) = winners.read().items()
    assert set(winner.candidates) == set(able(x, w)) and winner.fastconv == fc.__version__
    np.testing.assert_array_equal(y, fc.conv2d(x, w, algorithm=winner.winner))


def test_out_over_the_inputs(rng, file, measured):
    x, w = operands(rng, ((1, 7, 9, 8), (7, 7, 3, 3)))
    expected = fc.conv2d(x, w, padding=1, residual=x, algorithm="direct")
    measured.times = {"direct": 0.5}
    fc.conv2d(x, w, padding=1, residual=x, algorithm="tune", out=x)
    np.testing.assert_array_equal(x, expected)


# Remembering


def test_measured_once(rng, file, measured, monkeypatch):
    x, w = operands(rng)
    for _ in range(3):
        fc.conv2d(x, w, algorithm="tune")
        conv._calls.clear()
        fc.conv2d(x[0], w, algorithm="tune")  # without its batch axis it is the same problem
    assert measured.count == 1
    for _ in range(2):
        fc.Conv2d(w, algorithm="tune")(x)
    assert measured.count == 2, "packed weights"
    fc.conv2d(x, w, algorithm="tune", precision="strict")
    assert measured.count == 3, "another precision"
    fc.conv2d(np.asfortranarray(x), w, algorithm="tune")
    assert measured.count == 4, "another order of memory"
    with fc.num_threads(1):
        fc.conv2d(x, w, algorithm="tune")
    assert measured.count == (5 if fc.get_num_threads() > 1 else 4), "another number of threads"
    forget(monkeypatch)
    fc.conv2d(x, w, algorithm="tune")
    assert measured.count == len(winners.read()), "read from the file"


def test_an_empty_batch_is_not_measured(file, measured):
    w = np.ones((2, 3, 3, 3), np.float32)
    y = fc.conv2d(np.ones((0, 3, 5, 5), np.float32), w, algorithm="tune")
    assert y.shape == (0, 2, 3, 3) and measured.count == 0 and not file.exists()
    assert fc.explain("conv2d", (0, 3, 5, 5), w.shape, algorithm="tune").tuned is None


def test_another_process_uses_it(rng, file, measured):
    code = """
    import numpy as np, fastconv as fc
    from fastconv import tuning
    tuning.in_turns = None
    fc.conv2d(np.ones({}, np.float32), np.ones({}, np.float32), algorithm="tune")
    print(fc.explain("conv2d", {}, {}, algorithm="tune").algorithm)
    """.format(*SHAPES, *SHAPES)
    measured.times = {"im2col": 0.9, "direct": 0.8}
    fc.conv2d(*operands(rng), algorithm="tune")
    assert python(code) == "direct"
    (key,) = winners.read()
    winners.keep(key, replace(winners.read()[key], winner="im2col"))
    assert python(code) == "im2col"


def python(code):
    """What code prints in a fresh interpreter."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], env=env, text=True,
                            capture_output=True, timeout=100)  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_two_processes_at_once(file):
    code = """
    import numpy as np, fastconv as fc
    x = np.ones((1, 4, 9, 9), np.float32)
    for k in range({}, 12, 2):
        fc.conv2d(x, np.ones((k, 4, 3, 3), np.float32), algorithm="tune")
    """
    both = [threading.Thread(target=python, args=(code.format(first),)) for first in (2, 3)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(key.split("_k")[1].split("_")[0] for key in winners.read()) == sorted(map(str, range(2, 12)))


@pytest.mark.parametrize("change", [
    {"winner": "gone", "candidates": {"gone": 1.0, "im2col": 2.0, "direct": 2.0, "winograd": 2.0}},
    {"winner": "pointwise", "candidates": {"pointwise": 1.0, "im2col": 2.0, "direct": 2.0, "winograd": 2.0}},
    {"winner": "im2col", "candidates": {"im2col": 2.0}},
], ids=["vanished", "refuses", "a candidate is missing"])  # fmt: skip
def test_what_no_longer_holds_is_measured_anew(rng, file, measured, monkeypatch, change):
    x, w = operands(rng)
    measured.times = {"direct": 0.5}
    fc.conv2d(x, w, algorithm="tune")
    ((key, right),) = winners.read().items()
    winners.keep(key, replace(right, auto="im2col", date="2999-01-01T00:00:00.000000Z", **change))
    forget(monkeypatch)
    assert fc.explain("conv2d", x.shape, w.shape).tuned is None
    fc.conv2d(x, w, algorithm="tune")
    assert measured.count == 2 and winners.read()[key].winner == "direct"
    forget(monkeypatch)
    fc.conv2d(x, w, algorithm="tune")
    assert measured.count == 2


def test_a_later_version_and_a_file_that_cannot_be_written(rng, file, measured, monkeypatch):
    x, w = operands(rng)
    file.write_text('{"format": "fastconv tuning", "version": 99}')
    for place in (file, file / "below" / "a" / "file"):
        monkeypatch.setenv("FASTCONV_TUNING_FILE", str(place))
        forget(monkeypatch)
        before = measured.count
        with pytest.warns(RuntimeWarning) as caught:
            for _ in range(3):
                conv._calls.clear()
                fc.conv2d(x, w, algorithm="tune")
        assert len(caught) == 1 and measured.count == before + 1
    assert file.read_text() == '{"format": "fastconv tuning", "version": 99}'


# "auto"


def test_auto_neither_reads_nor_measures(rng, file, measured, monkeypatch):
    x, w = operands(rng)
    auto = fc.explain("conv2d", x.shape, w.shape).algorithm
    other = next(name for name in able(x, w) if name != auto)
    measured.times = {other: 0.5}
    fc.conv2d(x, w, algorithm="tune")
    assert fc.explain("conv2d", x.shape, w.shape, algorithm="tune").algorithm == other
    forget(monkeypatch)
    for name in ("path", "read", "state"):
        monkeypatch.setattr(winners, name, refuse)
    fc.conv2d(x, w)
    fc.Conv2d(w)(x)
    assert measured.count == 1 and {call.algorithm for call in conv._calls.values()} == {auto}
    code = "import sys, numpy as np, fastconv as fc; fc.conv2d(np.ones({}, np.float32), np.ones({}, np.float32))"
    assert python(code.format(*SHAPES) + "; print('fastconv.tuning' in sys.modules)") == "False"


# Threads and forks


def test_threads_at_once_measure_once(rng, file, measured):
    x, w = operands(rng)
    expected, found = fc.conv2d(x, w, algorithm="im2col"), []
    measured.times = {"im2col": 0.5}
    threads = [threading.Thread(target=lambda: found.append(fc.conv2d(x, w, algorithm="tune"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert measured.count == 1 and len(found) == 8 and all(np.array_equal(y, expected) for y in found)


def test_others_go_on_meanwhile(rng, file, monkeypatch):
    """While one thread measures, another prepares a call of a new shape, which needs the set-up lock."""
    x, w = operands(rng)
    done = []

    def measure(calls):
        other = threading.Thread(target=lambda: done.append(fc.conv2d(x, rng.normal(size=(3, 5, 2, 2)).astype("f4"))))
        other.start()
        other.join(30)
        assert done
        return dict.fromkeys(calls, 1.0)

    monkeypatch.setattr(tuning, "in_turns", measure)
    fc.conv2d(x, w, algorithm="tune")
    assert done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_meanwhile_can_tune(file):
    python("""
    import os, threading
    import numpy as np
    import fastconv as fc
    from fastconv import tuning
    x, w = np.ones((1, 4, 9, 9), np.float32), np.ones((5, 4, 3, 3), np.float32)
    inside, leave = threading.Event(), threading.Event()
    def measure(calls):
        inside.set(), leave.wait(60)
        return dict.fromkeys(calls, 1.0)
    tuning.in_turns = measure
    thread = threading.Thread(target=fc.conv2d, args=(x, w), kwargs={"algorithm": "tune"})
    thread.start(), inside.wait(60)
    child = os.fork()
    if not child:
        import signal
        signal.alarm(10)
        tuning.in_turns = lambda calls: dict.fromkeys(calls, 1.0)
        fc.conv2d(x, w, algorithm="tune")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    leave.set(), thread.join()
    assert status == 0
    """)


# What is shown


def test_explain_shows_it(rng, file, measured):
    x, w = operands(rng)
    assert "measured" not in str(fc.explain("conv2d", x.shape, w.shape))
    measured.times = {"im2col": 0.25, "direct": 0.125}
    with fc.num_threads(1):
        fc.conv2d(x, w, algorithm="tune")
        plan = fc.explain("conv2d", x.shape, w.shape)
        assert plan.tuned == "direct"
        times = {c.name: c.tuned_milliseconds for c in plan.candidates}
        assert times["im2col"] == 250 and times["direct"] == 125 and times["pointwise"] is None
        assert "measured 125.0000 ms a call, the winner" in str(plan) and "measured 250.0000 ms a call\n" in f"{plan}\n"
        assert fc.explain("conv2d", x.shape, w.shape, packed=True).tuned is None
    with pytest.raises(ValueError, match="'tune'"):
        fc.explain("conv2d", x.shape, w.shape, algorithm="nonsense")


def test_show_config(file, capsys):
    fc.show_config()
    shown = capsys.readouterr().out
    assert str(file) in shown and ("AMX tiles" in shown) == target.host().amx


def test_command_line(file, measured, capsys, tmp_path):
    layers = [layer for layer in network("lenet5") if layer.op == "conv2d"]
    measured.times = {"im2col": 0.5, "direct": 0.25}
    assert main(["tune", "lenet5"]) == 0
    printed = capsys.readouterr().out
    assert all(layer.label in printed for layer in layers) and f"of {2 * len(layers)} winners" in printed
    assert "greatest 2.00" in printed and "remembered" not in printed and len(winners.read()) == 2 * len(layers)
    assert main(["tune", "lenet5", "--api", "layer"]) == 0
    assert capsys.readouterr().out.count("remembered") == len(layers) and measured.count == 2 * len(layers)
    other = tmp_path / "other.json"
    file.rename(other)
    assert main(["tune", "--merge", str(other)]) == 0
    assert winners.parse(file.read_bytes()) == winners.parse(other.read_bytes())
    assert f"{2 * len(layers)} of {2 * len(layers)}" in capsys.readouterr().out
    other.write_text("[")
    for wrong in (["tune", "--merge", str(other)], ["tune"], ["tune", "lenet6"], ["tune", "lenet5", "--batch", "0"]):
        assert main(wrong) == 2
    assert other.read_text() == "["


def test_command_line_for_signals(file, measured, capsys):
    assert main(["tune", "mnist1d", "--api", "both"]) == 0
    text = capsys.readouterr().out
    assert measured.count > 0 and "conv1d  " in text and "Conv1d  " in text and len(winners.read()) == measured.count


def test_interrupted(file, measured, capsys, monkeypatch):
    def measure(calls):
        if measured.count == 2:
            raise KeyboardInterrupt
        return measured(calls)

    monkeypatch.setattr(tuning, "in_turns", measure)
    assert main(["tune", "lenet5"]) == 130
    assert len(winners.read()) == 2 and "stopped after 2 of" in capsys.readouterr().out
