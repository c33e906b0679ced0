"""A kernel with its plan and its number of tasks: what a call of several threads is made of."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fastconv import workspace

# NumPy's C interface: an array object is a Python object's header followed by the address of its first element. Reading
# that address in compiled code costs nothing, where `ctypes.data` costs 0.7 us, a sixth of a small convolution.
DATA_AT = object.__basicsize__

PAGE, LINE = 4096, 64
# Multiply-adds (an element moved counts as 32) below which one thread is faster with any kind of threads: a launch
# costs 2-3 us with OpenMP, and a core does some 50 000 multiply-adds in a microsecond.
LIGHT_FLOPS = 400_000
SMALL_SCRATCH = 64 << 10  # bytes that a worker has on its stack: to find as many elsewhere takes two microseconds

# The words of a job, as launchers read them.
KERNEL, PLAN, STEP, TASKS, JOB_WORDS = range(5)


@dataclass
class Job:
    """`tasks` calls of the kernel at an address; `keep` holds what the plan's addresses point to."""

    kernel: int
    plan: np.ndarray | int
    tasks: int
    scratch: int  # bytes that each worker needs
    flops: int  # multiply-adds, or 32 for an element moved
    keep: list = field(default_factory=list)

    def __post_init__(self):
        # Odd lines apart: workers do not share cache sets.
        self.step = -(-self.scratch // PAGE) * PAGE + LINE if self.scratch > SMALL_SCRATCH else 0
        # The most threads that may work at once: a call's scratch is bounded, however many there are.
        self.room = room(self.scratch)
        plan = self.plan if isinstance(self.plan, int) else self.plan.ctypes.data
        self.words = np.array([self.kernel, plan, self.step, self.tasks], np.int64)
        self.address = self.words.ctypes.data
        # So little that one thread is faster, whichever layer the threads are of; and no scratch to be found.
        self.light = self.step == 0 and (self.tasks < 2 or self.flops < LIGHT_FLOPS)

    def workspace(self, threads: int) -> int:
        """Bytes of scratch when it runs on `threads` threads, on their stacks or elsewhere."""
        return (self.step or self.scratch) * min(threads, self.room, self.tasks)


def room(scratch: int) -> int:
    """How many workers may have so much scratch each; one always."""
    return max(1, workspace.MOST_SCRATCH_BYTES // (-(-scratch // PAGE) * PAGE + LINE)) if scratch else sys.maxsize


def share(threads: int) -> int:
    """The most scratch with which all of `threads` threads have room."""
    return max(0, (workspace.MOST_SCRATCH_BYTES // threads - LINE) // PAGE * PAGE)


def busiest(threads: int, *axes: Sequence[int]) -> float:
    """The part of the work that the busiest of `threads` threads has. Each has a range of the tasks, one for every
    combination of blocks of these sizes; the last axis is the innermost."""
    several = [blocks for blocks in axes if len(blocks) > 1] or [[1]]
    done = np.cumsum([0, *np.ravel(functools.reduce(np.multiply.outer, several))])
    ends = np.arange(threads + 1) * (len(done) - 1) // threads
    return float(np.diff(done[ends]).max() / done[-1])


def place(array: np.ndarray | None) -> int:
    """Where the address of an array's first element is written; 0 for no array. Good while the array lives."""
    return 0 if array is None else id(array) + DATA_AT


def _check() -> None:
    probe = np.zeros(1)
    if ctypes.c_void_p.from_address(place(probe)).value != probe.ctypes.data:
        raise ImportError("fastconv needs CPython, and a NumPy whose arrays begin with their address")


_check()
