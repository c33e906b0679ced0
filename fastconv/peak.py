"""The machine's measured multiply-add peak, the yardstick of every benchmark."""

from __future__ import annotations

import functools
import time

import numpy as np

from fastconv.job import Job
from fastconv.threads import num_threads, run


@functools.cache
def measured_peak(dtype: str = "float32", threads: int = 1) -> float:
    """GFLOP/s of independent fused multiply-adds in registers on `threads` threads, the fastest of many runs."""
    from fastconv.microkernels.fmapeak import CHAINS, TIMES
    from fastconv.microkernels.inventory import microkernel
    from fastconv.target import host

    short, item = ("f64", 8) if dtype == "float64" else ("f32", 4)
    kernel = microkernel(f"fmapeak_{short}_{host().isa}").address
    sums = np.zeros(8 * threads)
    # Tasks of about 0.4 ms. Those of 0.1 ms one thread may take all before the others wake: half the peak.
    best, steps = float("inf"), 60_000
    adds = CHAINS * TIMES * steps * threads
    job = Job(kernel, steps, threads, 0, 2 * adds)
    with num_threads(threads):
        run(job, y=sums)  # starts the threads
        until = time.perf_counter() + 0.2  # a busy machine shows its peak only now and then
        while time.perf_counter() < until:
            start = time.perf_counter()
            run(job, y=sums)
            best = min(best, time.perf_counter() - start)
    return 2 * adds * host().lanes(item) / best / 1e9
