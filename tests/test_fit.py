"""The cost model's constants: fitted to made-up times, kept for one machine, read back."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from fastconv import constants, cost, dispatch
from fastconv.bench import fit
from fastconv.constants import Constants
from fastconv.problem.conv import conv2d_problem
from fastconv.target import Target, host

MACHINE = Target("avx512", name="here")


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCONV_TUNING_FILE", str(tmp_path / "folder" / "tuning.json"))
    yield tmp_path / "folder" / "model.json"
    cost.use(Constants())


def samples():
    found = []
    # The last is one column, which algorithms see as a row.
    for c, k, h, w in ((16, 16, 20, 20), (64, 64, 28, 28), (5, 40, 33, 33), (128, 32, 14, 14), (48, 32, 40, 1)):
        problem = conv2d_problem((1, c, h, w), (k, c, 3, 3), dtype=np.float32, padding=1)
        able = [
            x.algorithm for x in dispatch.consider(problem, dispatch.contiguous_steps(problem), True) if not x.reason
        ]
        found.append(fit.Sample(problem, True, dict.fromkeys(able, 1.0)))
    return [replace(s, cycles=fit.predicted(s)) for s in found]


def test_a_kept_fit_is_read_back_on_the_same_machine_only(own_file):
    assert constants.load(MACHINE) == Constants()
    fitted = replace(Constants(), tile=12.5)
    assert constants.save(fitted, MACHINE) == own_file
    assert constants.load(MACHINE) == fitted
    assert constants.load(replace(MACHINE, l2=1)) == Constants()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "fastconv cost model", "version": 99}'])
def test_a_file_that_is_not_understood_changes_nothing(own_file, content):
    own_file.parent.mkdir()
    own_file.write_text(content)
    assert constants.load(MACHINE) == Constants()


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", True])
def test_constants_are_numbers(value):
    with pytest.raises(ValueError, match="tile must be a number of cycles"):
        Constants(tile=value)


def test_the_model_uses_what_was_kept(own_file):
    problem = conv2d_problem((1, 16, 20, 20), (16, 16, 3, 3), dtype=np.float32)
    before = {c.algorithm.name: c.cycles for c in dispatch.consider(problem, dispatch.contiguous_steps(problem), True)}
    constants.save(replace(Constants(), nest=1e6), host())
    cost.use()
    after = {c.algorithm.name: c.cycles for c in dispatch.consider(problem, dispatch.contiguous_steps(problem), True)}
    assert after["im2col"] > before["im2col"] + 9e5


def test_fitting_finds_constants_that_made_the_times(own_file, monkeypatch):
    truth = replace(Constants(), winograd_in=2 * Constants().winograd_in, tile=4 * Constants().tile)
    cost.use(truth)
    measured = samples()
    cost.use(Constants())
    monkeypatch.setattr(fit, "ROUNDS", 2)
    assert fit.spread(measured, truth) < 1e-12 < fit.spread(measured, Constants())
    fitted = fit.fit(measured, Constants())
    assert fit.spread(measured, fitted) < 0.5 * fit.spread(measured, Constants())
    assert fit.choices(measured, truth) == 1
    assert set(asdict(fitted)) == set(asdict(truth))


def test_measuring_counts_cycles(monkeypatch):
    problem = conv2d_problem((1, 8, 6, 6), (8, 8, 3, 3), dtype=np.float32)
    monkeypatch.setattr(fit, "measured_peak", lambda dtype, threads: 64.0)
    seconds = iter([1e-6, *[3e-6] * 50])

    def in_turns(calls, budget):
        took = next(seconds)
        return dict.fromkeys(calls, took)

    packed, new = fit.measure([problem], in_turns=in_turns)
    assert packed.packed and not new.packed
    hertz = 64e9 / fit.flops_per_cycle("float32")
    assert all(cycles == pytest.approx(2e-6 * hertz) for cycles in packed.cycles.values())
