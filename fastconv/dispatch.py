"""Which algorithm runs: an ordered list of candidates, why each is out or what it should cost, and the plan cache."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from fastconv import cost
from fastconv import target as targets
from fastconv.algorithm.amx import Amx
from fastconv.algorithm.bias_grad import bias_grad
from fastconv.algorithm.column import Column, as_row
from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps  # noqa: F401
from fastconv.algorithm.depthwise import Depthwise
from fastconv.algorithm.depthwise_input import DepthwiseInput
from fastconv.algorithm.depthwise_phases import DepthwisePhases
from fastconv.algorithm.depthwise_weight import DepthwiseWeight
from fastconv.algorithm.direct import Direct
from fastconv.algorithm.im2col import Im2col
from fastconv.algorithm.input_grad import InputGrad
from fastconv.algorithm.input_grad.banded import Banded
from fastconv.algorithm.input_grad.columns import Columns
from fastconv.algorithm.input_grad.disjoint import Disjoint
from fastconv.algorithm.input_grad.exchanged import Exchanged
from fastconv.algorithm.input_grad.merged import Merged
from fastconv.algorithm.matvec import Matvec
from fastconv.algorithm.pointwise import Pointwise
from fastconv.algorithm.pool import (
    Apart,
    Bands,
    Glide,
    OnePass,
    Rows,
    Scatter,
    Slide,
    Sweep,
    Turned,
    WeightedRows,
    Whole,
    Windows,
)
from fastconv.algorithm.pool import reads as pool_reads  # noqa: F401
from fastconv.algorithm.volume import Volume
from fastconv.algorithm.volume.depthwise import DepthwiseVolume
from fastconv.algorithm.volume.taps import TapByTap
from fastconv.algorithm.volume.weight_grad import VolumeWeightGrad
from fastconv.algorithm.weight_grad import WeightGrad
from fastconv.algorithm.winograd import Winograd
from fastconv.algorithm.winograd.weight_grad import WinogradWeightGrad
from fastconv.problem.conv import OWN_PASS, Problem
from fastconv.problem.pool import OPS as POOLS
from fastconv.target import Target

cost.use()  # constants fitted on this machine, if somebody did that

# Input gradients choose as for so many images, whatever their number: for a batch, larger members of Winograd's family
# are worth their weights, which every call transforms. 256 channels on 14x14 are 1.35 times as fast as with those for
# one image, which lose at most a sixth.
BATCH = 8


def _algorithms(images: int) -> tuple[Algorithm, ...]:
    """Those of a convolution, which choose as for so many images."""
    winograd = Winograd(images=images), Winograd(images=images, matrix=True)
    return Depthwise(), Matvec(), Pointwise(), *winograd, Amx(), Direct(), Im2col()


def _input_grads(images: int) -> tuple[Algorithm, ...]:
    """Those of an input gradient: all phases at once, or one by one."""
    able = _algorithms(images)
    return (
        Merged(able, images),
        Disjoint(),
        Columns(able[2]),
        Exchanged(able[2]),
        DepthwisePhases(),
        Banded(),
        InputGrad("phases", able, images),
        DepthwiseInput(),
        *(InputGrad(a.name, (a,), images) for a in able[1:]),
    )


def _of_volumes(algorithms: tuple[Algorithm, ...], images: int) -> tuple[Algorithm, ...]:
    """Those of an input gradient of volumes, from those of so many images."""
    kept = (a for a in algorithms if a.name not in ("exchanged", "depthwise_phases", "depthwise"))
    taps = TapByTap("taps", _algorithms(images))
    return DepthwiseVolume(), taps, *(a if a.name in ("disjoint", "columns", "banded") else Volume(a) for a in kept)


_FORWARD, _INPUT_GRAD = _algorithms(1), _input_grads(BATCH)
_WEIGHT_GRAD = (
    DepthwiseWeight(),
    WinogradWeightGrad(),
    *(WeightGrad(name) for name in ("amx", "taps", "outputs", "inputs")),
)
# Read from top to bottom; the last accepts everything. Signals are images of height 1.
CANDIDATES: dict[tuple[str, str], tuple[Algorithm, ...]] = {
    (op, pass_): algorithms
    for op in ("conv1d", "conv2d")
    for pass_, algorithms in (("forward", _FORWARD), ("input_grad", _INPUT_GRAD), ("weight_grad", _WEIGHT_GRAD))
}
CANDIDATES |= {
    ("conv3d", "forward"): (
        DepthwiseVolume(),
        *map(Volume, _FORWARD[1:]),
        TapByTap("taps", _FORWARD),
    ),
    ("conv3d", "input_grad"): _of_volumes(_INPUT_GRAD, BATCH),
    ("conv3d", "weight_grad"): (
        VolumeWeightGrad(_WEIGHT_GRAD[0], apart=True),
        *map(VolumeWeightGrad, _WEIGHT_GRAD[1:]),
    ),
}
# A transposed convolution is the input gradient of the convolution behind it; its algorithm is that for one image.
_GIVEN = _input_grads(1)
for _axes, _given in ((1, _GIVEN), (2, _GIVEN), (3, _of_volumes(_GIVEN, 1))):
    _own = {pass_: CANDIDATES[f"conv{_axes}d", pass_] for pass_ in OWN_PASS if (f"conv{_axes}d", pass_) in CANDIDATES}
    _own["input_grad"] = _given
    CANDIDATES |= {(f"conv_transpose{_axes}d", pass_): algorithms for pass_, algorithms in _own.items()}
_SLIDING = (Whole(), OnePass(), Sweep(), Apart(), Turned(), Rows(), WeightedRows(), Glide(), Slide(), Windows())
CANDIDATES |= {(op, "forward"): _SLIDING for op in POOLS}
CANDIDATES |= {(op, "backward"): (Whole(), Bands(), Scatter()) if "max" in op else _SLIDING for op in POOLS}


@dataclass(frozen=True)
class Candidate:
    """One algorithm for one problem: its estimated cycles, or the reason it is out."""

    algorithm: Algorithm
    cycles: float | None
    reason: str | None


def operators() -> dict[str, tuple[str, str]]:
    """The operator and the pass behind each public name."""
    found = {}
    for op, pass_ in CANDIDATES:
        own = OWN_PASS[pass_] if op.startswith("conv_transpose") else pass_
        found[op if own == "forward" else f"{op}_{own}"] = op, pass_
    return found


def operator(name: str) -> tuple[str, str]:
    """The operator and the pass behind one public name."""
    known = operators()
    if not isinstance(name, str) or name not in known:
        there = ", ".join(sorted(map(repr, known)))
        raise ValueError(f"op: {name!r} is not an operator with algorithms; there are {there}")
    return known[name]


def names(op: str) -> tuple[str, ...]:
    """The algorithms' names of one operator, by its public name."""
    return tuple(a.name for a in CANDIDATES[operator(op)])


def _computed(problem: Problem, x: Steps) -> tuple[Problem, Steps, int | None]:
    """What algorithms see: signals are images of height 1, and so are images of one column (`as_row`)."""
    return as_row(problem.flat, x) if isinstance(problem, Problem) else (problem.flat, x, None)


def consider(problem: Problem, x: Steps, packed: bool, target: Target | None = None) -> list[Candidate]:
    """Every candidate in order, with its cost or the reason against it."""
    target = target or targets.host()
    algorithms, (problem, x, _) = CANDIDATES[problem.op, problem.pass_], _computed(problem, x)
    # The choice fixes the order of sums, which must not depend on how a batch is split: but for gradients of weights,
    # which are sums over the batch, it is made for a number of images that is always the same.
    images = {"forward": 1, "backward": 1, "input_grad": BATCH}.get(problem.own_pass, max(1, problem.n))
    image = replace(problem, n=images)
    found = []
    for algorithm in algorithms:
        reason = algorithm.supports(problem, x, target)
        cycles = None if reason else algorithm.cost(image, x, target, packed) / images
        found.append(Candidate(algorithm, cycles, reason))
    return found


def choose(problem: Problem, x: Steps, algorithm: str, packed: bool, target: Target | None = None) -> Algorithm:
    """The named algorithm, or for "auto" the cheapest; the number of threads has no say."""
    if algorithm == "auto":
        found = consider(problem, x, packed, target)
        able = [c for c in found if c.reason is None]
        if not able:
            raise ValueError(f"{problem.label} is beyond every algorithm; the last one says: {found[-1].reason}")
        return min(able, key=lambda c: c.cycles).algorithm
    target = target or targets.host()
    flat, x, _ = _computed(problem, x)
    reasons = {a: a.supports(flat, x, target) for a in CANDIDATES[problem.op, problem.pass_]}
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
    flat, x, column = _computed(problem, x)
    made = chosen.build(flat, x, targets.host(), threads, packed)
    return chosen.name, made if column is None else Column(made, flat, column)


@functools.lru_cache(maxsize=512)
def bias_execution(problem: Problem) -> Execution:
    """The launches of the bias's gradient."""
    return bias_grad(problem, targets.host())
