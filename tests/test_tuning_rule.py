"""How "tune" measures, and who wins: on a clock that passes only while a call runs."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv import tuning


@pytest.mark.parametrize(("seconds", "winner"), [(0.98, "auto"), (0.96, "other"), (1.0, "auto"), (2.0, "auto")])
def test_the_incumbent_is_kept_unless_beaten_clearly(seconds, winner):
    assert tuning.fastest({"auto": 1.0, "other": seconds, "third": 1.5}, "auto") == winner


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(1e-6, 1), min_size=1), st.data())
def test_whoever_wins_is_worth_it(times, data):
    incumbent = data.draw(st.sampled_from(sorted(times)))
    winner = tuning.fastest(times, incumbent)
    if winner == incumbent:
        assert min(times.values()) > 0.97 * times[incumbent] or times[incumbent] == min(times.values())
    else:
        assert times[winner] == min(times.values()) and times[winner] <= 0.97 * times[incumbent]


class Clock:
    """Time that passes only while calls run, and the calls."""

    def __init__(self, **durations):
        self.now, self.log = 0.0, []
        self.durations = durations
        self.calls = {name: functools.partial(self.run, name) for name in durations}

    def run(self, name):
        self.now += next(self.durations[name])
        self.log.append(name)

    def __call__(self):
        return self.now


def steady(seconds):
    while True:
        yield seconds


def disturbed(seconds):
    for i in range(10**6):
        yield seconds * (1 + 5 * (i % 7 != 4))


def test_the_fastest_run_counts():
    clock = Clock(a=disturbed(1e-4), b=steady(1.5e-4))
    times = tuning.in_turns(clock.calls, clock)
    assert times == {"a": pytest.approx(1e-4), "b": pytest.approx(1.5e-4)}
    assert tuning.fastest(times, "b") == "a"


def test_candidates_take_turns():
    clock = Clock(a=steady(1e-3), b=steady(1.1e-3), c=steady(1.2e-3))
    tuning.in_turns(clock.calls, clock)
    for name in "abc":
        at = [i for i, other in enumerate(clock.log) if other == name]
        assert len(at) >= tuning.LEAST_TURNS and max(np.diff(at)) <= 2 * tuning.RUNS + 1


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=6))
def test_the_budget(seconds):
    clock = Clock(**{f"c{i}": steady(s) for i, s in enumerate(seconds)})
    times = tuning.in_turns(clock.calls, clock)
    assert times == {f"c{i}": pytest.approx(s, abs=1e-9) for i, s in enumerate(seconds)}
    assert clock.now <= max(tuning.BUDGET, tuning.LEAST_TURNS * sum(seconds)) + 1e-9


def test_hopeless_candidates_cost_one_run():
    clock = Clock(fast=steady(0.01), slow=steady(0.3))
    tuning.in_turns(clock.calls, clock)
    assert clock.log.count("slow") == 1 and clock.log.count("fast") > 5
