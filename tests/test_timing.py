"""The timing loop on a clock that only its calls move, and the limits that times are held against."""

import numpy as np
import pytest

from fastconv.bench import kernels, roofline, timing
from fastconv.microkernels.inventory import names
from fastconv.microkernels.names import parse
from fastconv.target import host


class Clock:
    """Calls of given lengths; `log` has who ran, `rests` how often there was a rest."""

    def __init__(self, *lengths):
        self.now, self.log, self.rests = 0.0, [], 0
        self.calls = [self.call(i, length) for i, length in enumerate(lengths)]

    def __call__(self):
        return self.now

    def call(self, i, length):
        def run():
            self.now += length(len(self.log)) if callable(length) else length
            self.log.append(i)

        return run

    def rest(self, seconds):
        self.rests += 1


def in_turns(clock, budget):
    return timing.in_turns(clock.calls, budget, clock, clock.rest)


def test_everyone_spends_the_budget():
    clock = Clock(1e-3, 1e-2)
    fast, slow = in_turns(clock, 0.2)
    assert fast == pytest.approx([1e-3] * 200) and slow == pytest.approx([1e-2] * 20)


def test_a_few_runs_are_not_believed():
    """All of the first fifteen runs are disturbed, though none of them takes the whole budget."""
    clock = Clock(lambda before: 1e-5 if before > 16 else 0.015)
    (runs,) = in_turns(clock, 0.1)
    assert min(runs) == pytest.approx(1e-5)
    assert sum(in_turns(Clock(0.08), 0.1)[0]) == pytest.approx(0.4, abs=0.1), "but not for ever"


def test_calls_take_turns():
    clock = Clock(1e-3, 1e-3)
    in_turns(clock, 0.02)
    assert clock.log[:12] == [0] * 6 + [1] * 6  # the first of six is not noted
    assert clock.rests == 8 and len(clock.log) == 48


def test_a_turn_of_short_runs_is_long_enough():
    clock = Clock(1e-5)
    (runs,) = in_turns(clock, 0.01)
    assert len(runs) == pytest.approx(0.01 / 1e-5, abs=timing.TURN / 1e-5)
    assert len(clock.log) - len(runs) <= 0.01 / timing.TURN + 1, "few runs are lost"


def test_what_takes_too_long_runs_once_a_turn():
    clock = Clock(1.0, 1e-3)
    slow, fast = in_turns(clock, 0.1)
    assert slow == pytest.approx([1.0] * timing.TURNS)
    assert clock.log.count(0) == timing.TURNS + 1
    assert len(fast) == 100


def test_one_call_needs_no_rest():
    clock = Clock(1e-3)
    in_turns(clock, 0.01)
    assert clock.rests == 0


def test_fastest_is_the_least(monkeypatch):
    monkeypatch.setattr(timing, "in_turns", lambda calls, budget: [[3.0, 1.0, 2.0]])
    assert timing.fastest(None) == 1.0


def test_the_limit_is_the_slower_of_both(monkeypatch):
    monkeypatch.setattr(roofline, "measured_peak", lambda dtype, threads: 100.0 if dtype == "float32" else 50.0)
    monkeypatch.setattr(roofline, "bandwidth", lambda moved, threads: 10.0)
    assert roofline.limit(10**9, 1000, "float32", 1) == pytest.approx(0.01)
    assert roofline.limit(10**9, 1000, "float64", 1) == pytest.approx(0.02)
    assert roofline.limit(10, 10**9, "float16", 1) == pytest.approx(0.1)


def test_bandwidths_are_shared_by_similar_sizes(monkeypatch):
    asked = []
    monkeypatch.setattr(roofline, "_measured", lambda moved, threads: asked.append(moved) or 1.0)
    for moved in (1, roofline.LEAST, roofline.LEAST + 1, 1 << 20, (1 << 20) - 1, 1 << 40):
        roofline.bandwidth(moved, 2)
    assert asked == [roofline.LEAST, roofline.LEAST, 2 * roofline.LEAST, 1 << 20, 1 << 20, roofline.MOST]


@pytest.mark.parametrize("threads", [1, 2])
def test_bandwidth_is_that_of_a_copy(threads):
    assert 0.1 < roofline.bandwidth(1 << 20, threads) < 1e4


def kernels_of(op):
    """A few kernels of an operation that the benchmark knows, the widest among them."""
    found = [name for name in names(host()) if name.split("_")[0] == op and "taps" not in name.split("_")]
    return found[:: max(1, len(found) // 12)] + found[-1:]


@pytest.mark.parametrize("name", [name for op in kernels.OPS for name in kernels_of(op)])
def test_kernels_compute_what_is_timed(name):
    """Operands are ones, so that each output counts its products."""
    spec = parse(name)
    flops, calls, kept = kernels.OPS[spec.op](name, spec)
    y, products = kept[2], []
    for call in calls:
        call()
        (sums,) = np.unique(y)
        products.append(sums * y.size)
    assert flops == 2 * (products[-1] - sum(products[:-1]))


def test_kernels_have_a_share():
    (name, *_) = kernels_of("gemm")
    assert 0 < kernels.share_of_peak(name) < 1000
    with pytest.raises(ValueError, match="row_f32"):
        kernels.share_of_peak(f"row_f32_{host().isa}")


def test_no_budget_is_a_run_a_turn():
    assert [len(runs) for runs in timing.in_turns([lambda: None], 0.0)] == [timing.TURNS]
