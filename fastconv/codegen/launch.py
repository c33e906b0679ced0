"""One kernel over many tasks: in this thread, or shared among Numba's threads.

A kernel is called as kernel(plan, call, scratch, task); `call` points to [x, w, bias, residual, y]. Before a worker's
first task the first integer of its scratch, which is on the stack if none is given, is set to -1: "holds nothing".

Each worker has a range of the tasks, the same at every call, so that a core finds in its own cache what it wrote or
read in the last one: depthwise 3x3 of 144 channels on 56x56 1.2 times as fast as with tasks for whoever comes. One
that is done with its own takes the next tasks of others, so a slow core holds up nobody.

The threads are those of Numba's pool (omp, tbb or workqueue), started through the C function that a `prange` calls.
A `prange` itself takes 0.2 s longer to load from the cache, and cannot choose its number of threads in code that can
be cached.
"""

from __future__ import annotations

import importlib

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.ufunc import parallel as numba_pool

from fastconv.codegen.emit import COUNTER, counters, frame, invoke, peek, poke, scratchpad, take_ticket
from fastconv.codegen.jit import helper, launcher, native
from fastconv.codegen.lock import setup
from fastconv.codegen.vector import I64, integer
from fastconv.job import KERNEL, PLAN, STEP, TASKS

# The words of a call after [x, w, bias, residual, y], and, on cache lines of its own, how many workers have scratch.
JOB, SCRATCH, WORKERS, COUNTERS = range(5, 9)
NEXT_WORKER = COUNTER
# The words of a worker's counter: the next task of its range, and where that ends.
NEXT, END = range(2)
# The words of a pool: its C functions, and the address of `work`.
PARALLEL_FOR, GET_MASK, SET_MASK, WORK, POOL_WORDS = range(5)
POOL_SIZE = numba_pool.NUM_THREADS


def _call(builder, address, result, arguments):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)


@intrinsic
def start(typingctx, parallel_for, work, job, workers):
    """A pool's parallel_for(function, args, dims, steps, data, inner_ndim, array_count, threads).

    The one "array", of steps of a byte from address 0, tells each worker its number.
    """

    def generate(context, builder, signature, values):
        parallel_for, work, job, workers = values
        pointer = ir.IntType(8).as_pointer()
        items = builder.bitcast(cgutils.alloca_once_value(builder, workers), pointer)
        work, job = (builder.inttoptr(value, pointer) for value in (work, job))
        threads = builder.trunc(workers, ir.IntType(32))
        first, step = (builder.bitcast(cgutils.alloca_once_value(builder, integer(n)), pointer) for n in (0, 1))
        arguments = [work, first, items, step, job, integer(0), integer(1), threads]
        _call(builder, parallel_for, ir.VoidType(), arguments)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def get_mask(typingctx, function):
    """Numba's number of threads for the calling thread."""

    def generate(context, builder, signature, values):
        return builder.sext(_call(builder, values[0], ir.IntType(32), []), I64)

    return types.intp(types.intp), generate


@intrinsic
def set_mask(typingctx, function, count):
    """Set Numba's number of threads for the calling thread."""

    def generate(context, builder, signature, values):
        _call(builder, values[0], ir.VoidType(), [builder.trunc(values[1], ir.IntType(32))])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@helper
def first_element(place):
    """The address that is written at `place`; 0 for none."""
    return peek(place, 0) if place != 0 else 0


@launcher("launch_serial", 7)
def serial(job, x, w, bias, residual, y, scratch):
    """All tasks of a job, one after another. The arrays are given by where their addresses are written, or 0."""
    call = frame(first_element(x), first_element(w), first_element(bias), first_element(residual), first_element(y))
    kernel, plan = peek(job, KERNEL), peek(job, PLAN)
    if scratch == 0:
        scratch = scratchpad()
    poke(scratch, 0, -1)
    for task in range(peek(job, TASKS)):
        invoke(kernel, (plan, call, scratch, task))


@native("launch_work", 4)
def work(numbers, dims, steps, call):
    """What a thread does: the tasks of its range, then those that others have left. How often the pool calls this
    makes no difference."""
    job, workers, scratch = peek(call, JOB), peek(call, WORKERS), 0
    kernel, plan = peek(job, KERNEL), peek(job, PLAN)
    for turn in range(workers):
        counter = peek(call, COUNTERS) + 8 * COUNTER * ((peek(numbers, 0) + turn) % workers)
        end = peek(counter, END)
        if peek(counter, NEXT) >= end:
            continue
        task = take_ticket(counter)
        while task < end:
            if scratch == 0:
                scratch = peek(call, SCRATCH)
                if scratch == 0:
                    scratch = scratchpad()
                else:
                    scratch += take_ticket(call + 8 * NEXT_WORKER) * peek(job, STEP)
                poke(scratch, 0, -1)
            invoke(kernel, (plan, call, scratch, task))
            task = take_ticket(counter)


@launcher("launch_parallel", 9)
def _parallel(pool, job, x, w, bias, residual, y, scratch, workers):
    call = frame(first_element(x), first_element(w), first_element(bias), first_element(residual), first_element(y))
    poke(call, JOB, job)
    poke(call, SCRATCH, scratch)
    poke(call, WORKERS, workers)
    poke(call, NEXT_WORKER, 0)
    tasks, ranges = peek(job, TASKS), counters(workers)
    poke(call, COUNTERS, ranges)
    for worker in range(workers):
        poke(ranges + 8 * COUNTER * worker, NEXT, worker * tasks // workers)
        poke(ranges + 8 * COUNTER * worker, END, (worker + 1) * tasks // workers)
    # A launch leaves its number of threads behind as the calling thread's Numba setting.
    before = get_mask(peek(pool, GET_MASK))
    start(peek(pool, PARALLEL_FOR), peek(pool, WORK), call, workers)
    set_mask(peek(pool, SET_MASK), before)


_POOLS = {"omp": "omppool", "tbb": "tbbpool", "workqueue": "workqueue"}
_pool = np.zeros(POOL_WORDS, np.int64)
_pool_address = _pool.ctypes.data


def start_pool() -> str:
    """Start Numba's threads, unless they run, and say which layer it chose."""
    with setup:
        numba_pool._launch_threads()
        layer = numba_pool._threading_layer
        library = importlib.import_module(f"numba.np.ufunc.{_POOLS[layer]}")
        _pool[:] = library.parallel_for, library.get_num_threads, library.set_num_threads, work.address
    return layer


def parallel(job, x, w, bias, residual, y, scratch, workers) -> None:
    """The tasks of a job on `workers` threads of the started pool; `scratch` has a step of it for each."""
    _parallel.entry(_pool_address, job, x, w, bias, residual, y, scratch, workers)
