"""Which algorithm runs: an ordered list of candidates, why each is out or what it should cost, and the plan cache."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from fastconv import cost
from fastconv import target as targets
from fastconv.algorithm.bias_grad import bias_grad
from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps  # noqa: F401
from fastconv.algorithm.depthwise import Depthwise
from fastconv.algorithm.depthwise_input import DepthwiseInput
from fastconv.algorithm.depthwise_weight import DepthwiseWeight
from fastconv.algorithm.direct import Direct
from fastconv.algorithm.im2col import Im2col
from fastconv.algorithm.input_grad import InputGrad
from fastconv.algorithm.matvec import Matvec
from fastconv.algorithm.pointwise import Pointwise
from fastconv.algorithm.pool import Apart, Glide, OnePass, Rows, Scatter, WeightedRows, Windows
from fastconv.algorithm.pool import reads as pool_reads  # noqa: F401
from fastconv.algorithm.weight_grad import WeightGrad
from fastconv.algorithm.winograd import Winograd
from fastconv.algorithm.winograd.weight_grad import WinogradWeightGrad
from fastconv.pool_problem import OPS as POOLS
from fastconv.problem import Problem
from fastconv.target import Target

cost.use()  # constants fitted on this machine, if somebody did that

_FORWARD = (Depthwise(), Matvec(), Pointwise(), Winograd(), Direct(), Im2col())
_WEIGHT_GRAD = (WeightGrad("taps"), WeightGrad("outputs"), WeightGrad("inputs"))
# Read from top to bottom; the last accepts everything.
CANDIDATES: dict[tuple[str, str], tuple[Algorithm, ...]] = {
    ("conv2d", "forward"): _FORWARD,
    ("conv2d", "input_grad"): (
        InputGrad("phases", _FORWARD),
        DepthwiseInput(),
        *(InputGrad(a.name, (a,)) for a in _FORWARD[1:]),
    ),
    ("conv2d", "weight_grad"): (DepthwiseWeight(), WinogradWeightGrad(), *_WEIGHT_GRAD),
}
_SLIDING = (OnePass(), Apart(), Rows(), WeightedRows(), Glide(), Windows())
CANDIDATES |= {(op, "forward"): _SLIDING for op in POOLS}
CANDIDATES |= {(op, "backward"): (Scatter(),) if op.startswith("max") else _SLIDING for op in POOLS}


@dataclass(frozen=True)
class Candidate:
    """One algorithm for one problem: its estimated cycles, or the reason it is out."""

    algorithm: Algorithm
    cycles: float | None
    reason: str | None


def operators() -> dict[str, tuple[str, str]]:
    """The operator and the pass behind each public name."""
    return {op if pass_ == "forward" else f"{op}_{pass_}": (op, pass_) for op, pass_ in CANDIDATES}


def operator(name: str) -> tuple[str, str]:
    """The operator and the pass behind one public name."""
    known = operators()
    if name not in known:
        there = ", ".join(sorted(map(repr, known)))
        raise ValueError(f"op: {name!r} is not an operator with algorithms; there are {there}")
    return known[name]


def names(op: str) -> tuple[str, ...]:
    """The algorithms' names of one operator, by its public name."""
    return tuple(a.name for a in CANDIDATES[operator(op)])


def consider(problem: Problem, x: Steps, packed: bool, target: Target | None = None) -> list[Candidate]:
    """Every candidate in order, with its cost or the reason against it."""
    target = target or targets.host()
    # Costs are those of one image: the choice fixes the order of sums, which must not depend on how a batch is split.
    # Gradients are computed for a whole batch, over which that of the weight even adds up.
    image = replace(problem, n=1 if problem.pass_ == "forward" else max(1, problem.n))
    found = []
    for algorithm in CANDIDATES[problem.op, problem.pass_]:
        reason = algorithm.supports(problem, x, target)
        cycles = None if reason else algorithm.cost(image, x, target, packed)
        found.append(Candidate(algorithm, cycles, reason))
    return found


def choose(problem: Problem, x: Steps, algorithm: str, packed: bool, target: Target | None = None) -> Algorithm:
    """The named algorithm, or for "auto" the cheapest; the number of threads has no say."""
    if algorithm == "auto":
        able = [c for c in consider(problem, x, packed, target) if c.reason is None]
        return min(able, key=lambda c: c.cycles).algorithm
    target = target or targets.host()
    reasons = {a: a.supports(problem, x, target) for a in CANDIDATES[problem.op, problem.pass_]}
    for candidate, reason in reasons.items():
        if candidate.name == algorithm:
            if reason is None:
                return candidate
            can = ", ".join(repr(a.name) for a, against in reasons.items() if against is None)
            raise ValueError(f"algorithm: {algorithm!r} cannot do {problem.label}: {reason}; these can: {can}")
    there = ", ".join(map(repr, ("auto", *(a.name for a in reasons))))
    raise ValueError(f"algorithm: {algorithm!r} is not one of {there}")


@functools.lru_cache(maxsize=512)
def execution(problem: Problem, x: Steps, algorithm: str, threads: int, packed: bool) -> tuple[str, Execution]:
    """The chosen algorithm's name and its execution, remembered for the most recent problems."""
    if problem.pass_ != "forward":
        problem = replace(problem, n=max(1, problem.n))  # nothing runs on an empty batch, but it can be explained
    chosen = choose(problem, x, algorithm, packed)
    return chosen.name, chosen.build(problem, x, targets.host(), threads, packed)


@functools.lru_cache(maxsize=512)
def bias_execution(problem: Problem) -> Execution:
    """The launches of the bias's gradient."""
    return bias_grad(problem, targets.host())
