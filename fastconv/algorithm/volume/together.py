"""One launch for several volumes: tasks of the same plan, with the arrays of one volume after the other.

A launch and what Python does about it take 10 to 30 us, as long as 1 MFLOP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.codegen.emit import frame, invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job

INNER, INNER_PLAN, INNER_TASKS, X_STEP, RESIDUAL_STEP, Y_STEP = range(6)
X, W, BIAS, RESIDUAL, Y = range(5)
VOLUME = 1 << 32  # in the first word of a scratch, which tells what else the scratch holds
MOST_TOGETHER = 2 << 20  # bytes of several volumes that one launch leaves to the next: they stay in cache
MOST_MADE = 16  # launches that are kept


@native("volumes_together", 4)
def together(plan, call, scratch, task):
    """One task of one volume."""
    volume, task = task // peek(plan, INNER_TASKS), task % peek(plan, INNER_TASKS)
    residual = peek(call, RESIDUAL)
    residual = residual + volume * peek(plan, RESIDUAL_STEP) if residual != 0 else 0
    x, y = peek(call, X) + volume * peek(plan, X_STEP), peek(call, Y) + volume * peek(plan, Y_STEP)
    held = peek(scratch, 0)
    poke(scratch, 0, held % VOLUME if held >= 0 and held // VOLUME == volume else -1)
    own = frame(x, peek(call, W), peek(call, BIAS), residual, y)
    invoke(peek(plan, INNER), (peek(plan, INNER_PLAN), own, scratch, task))
    held = peek(scratch, 0)
    if held >= 0:
        poke(scratch, 0, volume * VOLUME + held)


def of_several(job: Job, volumes: int, x_step: int, residual_step: int, y_step: int) -> Job:
    """A job for some volumes, whose arrays are so many bytes apart."""
    plan = job.plan if isinstance(job.plan, int) else job.plan.ctypes.data
    words = np.array([job.kernel, plan, job.tasks, x_step, residual_step, y_step], np.int64)
    return Job(together.address, words, volumes * job.tasks, job.scratch, volumes * job.flops, [job])


def how_many(volumes: int, each: int, executions: Iterable[Execution]) -> int:
    """Of so many volumes, which leave `each` bytes to the next launch, those that are computed at once."""
    if not all(isinstance(one, Execution) and not one.shared_bytes for one in executions):
        return 1
    return max(1, min(volumes, MOST_TOGETHER // max(1, each)))


@dataclass
class Several:
    """What has a convolution by packed weights, which can be one of several volumes at once."""

    execution: Execution
    _made: dict = field(default_factory=dict, kw_only=True)

    def of(self, volumes: int, x_step: int, residual_step: int, y_step: int) -> Execution:
        """The convolution of some volumes, whose arrays are so many bytes apart."""
        if volumes == 1:
            return self.execution
        key = volumes, x_step, residual_step, y_step
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= MOST_MADE:
                self._made.clear()
            parts = [of_several(part, *key) for part in self.execution.parts]
            made = self._made[key] = Execution(parts, None, 0, ())
        return made
