"""One launch for several volumes: tasks of the same plan, with the arrays of one volume after the other.

A launch and what Python does about it take 10 to 30 us, as long as 1 MFLOP.
"""

from __future__ import annotations

import numpy as np

from fastconv.codegen.emit import frame, invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job

INNER, INNER_PLAN, INNER_TASKS, X_STEP, RESIDUAL_STEP, Y_STEP = range(6)
X, W, BIAS, RESIDUAL, Y = range(5)
VOLUME = 1 << 32  # in the first word of a scratch, which tells what else the scratch holds


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
