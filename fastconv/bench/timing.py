"""The one timing loop of benchmarks: calls take turns, and every run is noted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

RUNS, TURN = 5, 1e-3  # a turn is at least so many runs and so many seconds, if its share of the budget allows
TURNS = 3  # at least
# On a busy machine a run may take a thousand times as long, and the budget with it: fewer runs than these are not
# believed until so many budgets are spent.
FEW, PATIENCE = 20, 4
REST = 0.002  # seconds between the turns of different calls: others' threads spin for a while after their call


def in_turns(calls: Sequence[Callable[[], object]], budget: float, clock=time.perf_counter,
             sleep=time.sleep) -> list[list[float]]:  # fmt: skip
    """Every run's seconds for each call: turns of a few runs each, until every call has spent its budget.

    The first run of a turn finds its data far away and is not noted, unless one run takes the whole budget: such a call
    runs once a turn.
    """
    runs: list[list[float]] = [[] for _ in calls]
    racing, turns = list(range(len(calls))), 0
    while racing:
        for i in racing:
            if len(calls) > 1:
                sleep(REST)
            runs[i] += _turn(calls[i], budget, min(runs[i], default=0.0), clock)
        turns += 1
        racing = [i for i in racing if turns < TURNS or sum(runs[i]) < budget * (PATIENCE if len(runs[i]) < FEW else 1)]
    return runs


def _turn(call: Callable[[], object], budget: float, usual: float, clock) -> list[float]:
    """The runs of one turn; `usual` is what a run took before."""
    if usual <= budget:
        call()
    noted: list[float] = []
    spent = 0.0
    while not noted or (spent < budget / TURNS and (len(noted) < RUNS or spent < TURN)):
        begin = clock()
        call()
        noted.append(clock() - begin)
        spent += noted[-1]
    return noted


def fastest(call: Callable[[], object], budget: float = 0.1) -> float:
    """The fastest run of one call in seconds."""
    return min(in_turns([call], budget)[0])
