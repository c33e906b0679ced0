"""Regret: its shapes, its statistics on made-up times, and a small measurement."""

import itertools

import numpy as np
import pytest

from fastconv import dispatch
from fastconv.bench import regret
from fastconv.bench.regret import Row
from fastconv.problem.conv import conv2d_problem

MACHINE = {"cpu": "a", "core": "b", "isa": "c", "date": "d"}
FLOAT = np.dtype(np.float32)


def test_random_shapes_depend_on_the_seed_only():
    first, again, other = (regret.random_problems(40, seed, "channels_first", FLOAT) for seed in (0, 0, 1))
    assert first == again and first != other and len(set(first)) == 40
    assert all(p.oh > 0 and p.ow > 0 and p.flops <= regret.MOST_FLOPS for p in first)
    assert any(p.groups > 1 for p in first) and any(p.n > 1 for p in first) and any(p.stride != (1, 1) for p in first)


def test_there_are_more_than_300_shapes():
    problems = regret.network_problems("channels_last", FLOAT)
    assert len(problems) + regret.RANDOM >= 300 and len(set(problems)) == len(problems)


def test_statistics():
    rows = [Row("a", "x", {"x": 1.0, "y": 2.0}), Row("b", "x", {"x": 4.0, "y": 1.0}), Row("c", "x", {"x": 1.0})]
    found = regret.statistics(rows)
    assert found["geometric mean"] == pytest.approx(4 ** (1 / 3)) and found["maximum"] == 4
    assert found["95 %"] == pytest.approx(np.percentile([1, 4, 1], 95))
    assert found["auto is best"] == found["one algorithm only"] * 2 == pytest.approx(2 / 3)
    table = regret.markdown({1: rows, 2: rows[:1]}, MACHINE)
    assert "| 1 | 3 | 1.587 | " in table and "| 2 | 1 | 1.000 | 1.00 | 1.00 | 100% | 0% |" in table
    assert "| b | x | y | 4.00 |" in table


def test_a_suspect_is_measured_again():
    problem = conv2d_problem((1, 8, 12, 12), (8, 8, 3, 3), dtype=FLOAT, padding=1)
    auto = dispatch.choose(problem, dispatch.contiguous_steps(problem), "auto", True).name
    asked = []

    def in_turns(calls, budget):
        asked.append((set(calls), budget))
        for call in calls.values():
            call()
        place = itertools.count(1)
        return {name: 5.0 if name == auto and len(asked) == 1 else next(place) * 1.0 for name in calls}

    (row,) = regret.measure([problem], True, in_turns)
    assert row.auto == auto and auto in row.times
    assert len(asked) == 2 and len(asked[0][0]) > 2 and len(asked[1][0]) == 2 and auto in asked[1][0]
    assert asked[1][1] > asked[0][1] and row.regret <= 2


def test_the_choice_does_not_see_the_number_of_threads(monkeypatch):
    problems = regret.random_problems(30, 3, "channels_first", FLOAT)
    monkeypatch.setattr("fastconv.threads.get_num_threads", lambda: pytest.fail("asked for the number of threads"))
    for problem in problems:
        dispatch.choose(problem, dispatch.contiguous_steps(problem), "auto", False)


@pytest.mark.parametrize("pass_", ["forward", "input_grad", "weight_grad"])
def test_a_run_writes_its_table(tmp_path, monkeypatch, capsys, pass_):
    document = tmp_path / "regret.md"
    what = "layer" if pass_ == "forward" else pass_
    name = f"regret {what} float32 channels_first"
    document.write_text(f"x\n<!-- {name} -->\n<!-- /{name} -->\n")
    small = [conv2d_problem((1, 4, 6, 6), (4, 4, 3, 3), dtype=FLOAT)]
    monkeypatch.setattr(regret, "network_problems", lambda *_: small)
    monkeypatch.setattr(regret, "RANDOM", 2)
    monkeypatch.setattr(regret, "BUDGET", 0.001)
    monkeypatch.setattr(regret, "AGAIN", 0.001)
    regret.run("channels_first", "float32", (1, 2), "both", 5, str(document), pass_)
    text = document.read_text()
    assert text.startswith("x\n") and "| 1 | 3 |" in text and "| 2 | 3 |" in text
    assert f"3 shapes, {what}, float32, channels_first, 2 threads" in capsys.readouterr().out


@pytest.mark.parametrize("pass_", ["forward", "input_grad", "weight_grad"])
@pytest.mark.parametrize("family", ["conv1d", "conv3d", "transposed"])
def test_other_dimensions_are_measured_too(family, pass_):
    ops = regret.FAMILIES[family]
    problems = regret.random_problems(12, 0, "channels_first", FLOAT, ops, pass_)
    assert {p.op for p in problems} == set(ops) and {p.own_pass for p in problems} == {pass_}
    assert regret.network_problems("channels_last", FLOAT, ops, pass_)
    small = min(problems, key=lambda p: p.bytes)
    (row,) = regret.measure([small], False, lambda calls, budget: {name: call() or 1.0 for name, call in calls.items()})
    assert row.auto in row.times
