"""One kernel over many tasks: in this thread, or shared among Numba's threads.

A kernel is called as kernel(plan, call, scratch, task); `call` points to [x, w, bias, residual, y]. Before a worker's
first task the first integer of its scratch is set to -1: "holds nothing".
"""

from __future__ import annotations

from numba import prange

from fastconv.codegen.emit import COUNTER, frame, invoke, poke, take_ticket
from fastconv.codegen.jit import launcher


@launcher("launch_serial", 10)
def serial(kernel, plan, x, w, bias, residual, y, scratch, step, tasks):
    """All tasks, one after another."""
    call = frame(x, w, bias, residual, y)
    if scratch != 0:
        poke(scratch, 0, -1)
    for task in range(tasks):
        invoke(kernel, (plan, call, scratch, task))


@launcher("launch_parallel", 11, parallel=True)
def parallel(kernel, plan, x, w, bias, residual, y, scratch, step, tasks, workers):
    """Workers draw tasks until none is left; each has `step` bytes of scratch of its own."""
    call = frame(x, w, bias, residual, y)
    counter = call + 8 * COUNTER
    for worker in prange(workers):
        mine = scratch + worker * step
        if scratch != 0:
            poke(mine, 0, -1)
        task = take_ticket(counter)
        while task < tasks:
            invoke(kernel, (plan, call, mine, task))
            task = take_ticket(counter)
