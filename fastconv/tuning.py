"""algorithm="tune": every algorithm that accepts a problem is measured once, and the winner remembered.

Only calls that ask for it come here; "auto" neither measures nor reads what was measured. A winner holds for one
problem, one machine and one number of threads. Tuning takes turns in a process and holds no lock that others need.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastconv import call, dispatch, threads, winners
from fastconv import target as targets
from fastconv.algorithm.common import Steps
from fastconv.call import Call
from fastconv.codegen.lock import setup
from fastconv.problem.conv import Problem
from fastconv.version import __version__
from fastconv.winners import Winner

BUDGET = 0.5  # seconds of measuring a problem, after compilation and one run of each
MARGIN = 0.03  # what a candidate must save, so that noise does not choose
LEAST_TURNS, MOST_TURNS = 2, 200
RUNS = 3  # in a row, so that each has its own data in the caches
HOPELESS = 2.0  # times the fastest; such a candidate is not measured further

_memory: winners.Winners = {}
_seen: object = None  # the file's state when it was last read
_measuring = threading.RLock()


def tuned(problem: Problem, arrays: tuple, packed: bool) -> Call:
    """A prepared call with this problem's winner, measured now on (x, weight, bias, residual) if there is none yet."""
    x = arrays[0]
    steps, _ = call.steps_of(problem, x)
    name = "auto"  # no images: nothing can be measured, and nothing needs to
    if problem.n:
        winner = remembered(problem, steps, packed)
        if winner is None:
            with _measuring:
                # Another thread may have measured while this one waited.
                winner = remembered(problem, steps, packed) or _measure(problem, steps, arrays, packed)
        name = winner.winner
    with setup:
        return Call(problem, x, name, packed)


def remembered(problem: Problem, x: Steps, packed: bool) -> Winner | None:
    """The winner of a measurement that had all of today's candidates, in memory or on disk."""
    able, key = set(_able(problem, x, packed)), _key(problem, x, packed)

    def good(winner: Winner | None) -> bool:
        return winner is not None and winner.winner in able and able <= set(winner.candidates)

    if not good(_memory.get(key)):
        _reread()
    winner = _memory.get(key)
    return winner if good(winner) else None


def in_turns(
    calls: dict[str, Callable[[], object]], clock=time.perf_counter, budget: float = BUDGET
) -> dict[str, float]:
    """The fastest run of each call in seconds: turns of a few runs each, while the budget lasts."""
    best, racing = dict.fromkeys(calls, math.inf), list(calls)
    runs, spent = 1, 0.0
    for turn in range(1, MOST_TURNS + 1):
        for name in racing:
            for _ in range(runs):
                begin = clock()
                calls[name]()
                took = clock() - begin
                best[name] = min(best[name], took)
                spent += took
        if spent > budget / 10:  # a few short runs may just have been disturbed
            racing = [name for name in racing if best[name] <= HOPELESS * min(best.values())]
        lap = sum(best[name] for name in racing)
        if turn >= LEAST_TURNS and spent + lap > budget:
            break
        runs = RUNS if spent + RUNS * lap <= budget else 1
    return best


def fastest(times: dict[str, float], incumbent: str) -> str:
    """The fastest, if it saves enough to leave the incumbent for it."""
    best = min(times, key=times.__getitem__)
    return best if times[best] <= (1 - MARGIN) * times[incumbent] else incumbent


def _measure(problem: Problem, steps: Steps, arrays: tuple, packed: bool) -> Winner:
    """Run every candidate on these arrays, into a result of its own, and remember who won."""
    auto = dispatch.choose(problem, steps, "auto", packed).name
    times = in_turns(candidates(problem, steps, arrays, packed))
    winner = Winner(fastest(times, auto), auto, times, winners.now(), __version__)
    key = _key(problem, steps, packed)
    _memory[key] = winner
    if call.VERBOSE:
        print(f"fastconv: tuned {problem.label} {winner.winner} (auto: {auto})", file=sys.stderr)
    winners.keep(key, winner)
    return winner


def candidates(problem: Problem, steps: Steps, arrays: tuple, packed: bool) -> dict[str, Callable[[], object]]:
    """Every algorithm that accepts the problem, ready to run on (x, weight, bias, residual) into a result of ours."""
    x, weight, bias, residual = arrays
    y, calls = None, {}
    for name in _able(problem, steps, packed):
        with setup:
            candidate = Call(problem, x, name, packed)
        if y is None:
            y = np.empty(candidate.shape, candidate.dtype)
        held = candidate.pack(weight) if packed else None
        calls[name] = functools.partial(candidate.run, x, weight, bias, residual, y, held)
        calls[name]()  # compiles what is missing
    return calls


def _able(problem: Problem, x: Steps, packed: bool) -> list[str]:
    """The algorithms that accept this problem."""
    return [c.algorithm.name for c in dispatch.consider(problem, x, packed) if c.reason is None]


def _key(problem: Problem, x: Steps, packed: bool) -> str:
    """Everything that a measurement depends on."""
    host, usual = targets.host(), dispatch.contiguous_steps(problem)
    if problem.n == 1:  # the step to the next image, which there is not
        x = replace(x, n=usual.n)
    return "; ".join([
        f"{host.name} {host.isa}{' AMX' * host.amx} L1 {host.l1} L2 {host.l2}",
        f"threads {threads.most()}",
        "weights packed" if packed else "weights new",
        "x contiguous" if x == usual else f"x by {x.n},{x.c},{x.h},{x.w}",
        problem.label,
    ])  # fmt: skip


def _reread() -> None:
    """Add what the file holds to memory, if it has changed since it was last read."""
    global _seen
    state = winners.state()
    if state != _seen:
        _memory.update(winners.merge(dict(_memory), winners.read()))
        _seen = state


def _after_fork_in_child() -> None:
    """The thread that was measuring is not in the child and would never release its lock."""
    global _measuring
    _measuring = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
