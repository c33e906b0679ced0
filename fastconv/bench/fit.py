"""Fit the cost model to this machine: time a sample of shapes on one core, and move its constants to what that says."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np

import fastconv as fc
from fastconv import cost, dispatch, tuning
from fastconv.algorithm.common import Algorithm
from fastconv.bench.regret import network_problems, random_problems
from fastconv.bench.runner import geometric_mean
from fastconv.constants import Constants, save
from fastconv.peak import measured_peak
from fastconv.problem.conv import Problem, conv2d_problem
from fastconv.target import flops_per_cycle, host

SHAPES = 90
BUDGET = 0.06  # seconds a shape
STEPS = (0.5, 0.8, 1.25, 2.0)  # what a constant is tried times
ROUNDS = 3
# A constant that the sample says little about stays near its place: doubling it must save this much of the error.
INERTIA = 2e-4
OUTLIER = 0.7  # errors count up to a factor of two: shapes that the model does not understand must not bend it


@dataclass(frozen=True)
class Sample:
    """One shape, the algorithms that accept it, and the cycles that each took."""

    problem: Problem
    packed: bool
    cycles: dict[Algorithm, float]


def run() -> None:
    """Measure, fit, say what it gains, and keep it if it chooses better."""
    samples = measure(_problems(), _progress)
    before = cost.C
    fitted = fit(samples, before)
    old, new = choices(samples, before), choices(samples, fitted)
    for name, was in asdict(before).items():
        now = getattr(fitted, name)
        if now != was:
            print(f"{name}: {was:g} -> {now:g}")
    factor, after = (math.exp(spread(samples, constants)) for constants in (before, fitted))
    print(f"predictions are off by a factor of {factor:.2f}, fitted {after:.2f}")
    print(f"choices take {old:.3f} times the best's time, fitted {new:.3f}")
    if new < old:
        print(f"kept in {save(fitted, host())}")
    else:
        print("not kept: it chooses no better")


def _problems() -> list[Problem]:
    """A sample of the networks' layers and of odd shapes."""
    kind = np.dtype(np.float32)
    layers = [p for p in network_problems("channels_first", kind) if p.flops < 2e9]
    return layers[:: max(1, len(layers) * 2 // SHAPES)] + random_problems(SHAPES // 2, 1, "channels_first", kind)


def measure(problems: list[Problem], progress: Callable[[Iterable, int], Iterable] = lambda items, _: items,
            in_turns=tuning.in_turns) -> list[Sample]:  # fmt: skip
    """Cycles of every algorithm, one thread, with weights packed and new; what any call takes is not counted."""
    samples, rng = [], np.random.default_rng(0)
    with fc.num_threads(1):
        hertz = measured_peak("float32", 1) * 1e9 / flops_per_cycle("float32")
        least = min(_times(conv2d_problem((1, 1, 1, 1), (1, 1, 1, 1), dtype="float32"), True, rng, in_turns).values())
        for problem in progress(problems, len(problems)):
            for packed in (True, False):
                times = _times(problem, packed, rng, in_turns)
                able = {a.name: a for a in dispatch.CANDIDATES[problem.op, problem.pass_]}
                cycles = {able[name]: max(time - least, 0.1 * time) * hertz for name, time in times.items()}
                samples.append(Sample(problem, packed, cycles))
    return samples


def _times(problem, packed, rng, in_turns) -> dict[str, float]:
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in (problem.x_shape, problem.weight_shape))
    steps = dispatch.contiguous_steps(problem)
    return in_turns(tuning.candidates(problem, steps, (x, w, None, None), packed), budget=BUDGET)


def predicted(sample: Sample) -> dict[Algorithm, float]:
    """What the model, with the constants in use, says of a sample."""
    found = dispatch.consider(sample.problem, dispatch.contiguous_steps(sample.problem), sample.packed)
    return {c.algorithm: sample.problem.n * c.cycles for c in found if c.algorithm in sample.cycles}


def spread(samples: list[Sample], constants: Constants) -> float:
    """Root mean square of the logarithm of measured over predicted."""
    return math.sqrt(float(np.mean([e * e for e in _errors(samples, constants)])))


def _errors(samples: list[Sample], constants: Constants) -> list[float]:
    cost.use(constants)
    try:
        return [math.log(sample.cycles[a] / cycles) for sample in samples for a, cycles in predicted(sample).items()
                if sample.cycles[a] < 3 * min(sample.cycles.values())]  # fmt: skip
    finally:
        cost.use()


def choices(samples: list[Sample], constants: Constants) -> float:
    """Geometric mean of the time of what the model chooses over the best's."""
    cost.use(constants)
    try:
        return geometric_mean([
            sample.cycles[min(found, key=found.__getitem__)] / min(sample.cycles.values())
            for sample in samples for found in [predicted(sample)]
        ])  # fmt: skip
    finally:
        cost.use()


def fit(samples: list[Sample], constants: Constants) -> Constants:
    """Move one constant after the other to where the errors are least."""

    def loss(some: list[Sample], tried: Constants) -> float:
        bent = sum(math.log(v / w) ** 2 for v, w in zip(asdict(tried).values(), asdict(constants).values(), strict=True)
                   if v and w)  # fmt: skip
        errors = _errors(some, tried)
        return sum(min(e * e, OUTLIER**2) for e in errors) / max(1, len(errors)) + INERTIA * bent

    best = constants
    for _ in range(ROUNDS):
        start = best
        for name in asdict(constants):
            some = [s for s in (_only(sample, name) for sample in samples) if s.cycles]
            tries = [replace(best, **{name: getattr(best, name) * step}) for step in (1.0, *STEPS)]
            best = min(tries, key=lambda tried, some=some: loss(some, tried))
        if best == start:
            break
    return best


def _only(sample: Sample, name: str) -> Sample:
    """The part of a sample that a constant has a say in."""
    winograd = name.startswith("winograd")
    shared = name in ("task", "nest")
    kept = {a: c for a, c in sample.cycles.items() if a.name.startswith("winograd") == winograd or shared}
    return replace(sample, cycles=kept)


def _progress(items: Iterable, total: int) -> Iterable:
    """A bar, if this is a terminal and rich is installed."""
    try:
        from rich.progress import track
    except ImportError:
        return items
    return track(items, "measuring", total) if sys.stdout.isatty() else items
