"""What the machine allows: multiply-adds in registers, and bytes through its memory, both measured in this process."""

from __future__ import annotations

import functools
import math
import threading
import time

import numpy as np

from fastconv.peak import measured_peak

LEAST, MOST = 1 << 16, 1 << 28  # bytes of a copy that is timed
FOOTPRINTS = tuple(1 << shift for shift in (16, 20, 24, 28))  # those of a picture: L1 and L2, L2, L3, beyond
SECONDS = 0.02  # of copying, for a figure; repeated, and the best counts


def limit(flops: int, moved: int, dtype: str, threads: int) -> float:
    """The seconds below which no direct algorithm can be: all products at the peak, or all bytes at a copy's speed."""
    peak = measured_peak("float64" if dtype == "float64" else "float32", threads)
    return max(flops / peak, moved / bandwidth(moved, threads)) / 1e9


def bandwidth(moved: int, threads: int) -> float:
    """GB/s of copies that read and write so many bytes together, on `threads` threads."""
    return _measured(1 << (min(max(moved, LEAST), MOST) - 1).bit_length(), threads)


@functools.cache
def _measured(moved: int, threads: int) -> float:
    """The best of a few copies by NumPy, each thread with its part of the memory, again and again."""
    size = moved // 2 // threads
    pairs = [(np.zeros(size, np.uint8), np.ones(size, np.uint8)) for _ in range(threads)]
    for pair in pairs:
        np.copyto(*pair)  # touches the pages
    best, runs = 0.0, max(1, math.ceil(SECONDS / 5 / (moved / 20e9)))
    for _ in range(5):
        best = max(best, runs * 2 * size * threads / _together(pairs, runs) / 1e9)
    return best


def _together(pairs: list[tuple[np.ndarray, np.ndarray]], runs: int) -> float:
    """Seconds until every thread has copied its pair so many times."""
    start = threading.Barrier(len(pairs))
    begins, ends = [0.0] * len(pairs), [0.0] * len(pairs)

    def work(i: int) -> None:
        target, source = pairs[i]
        start.wait()
        begins[i] = time.perf_counter()
        for _ in range(runs):
            np.copyto(target, source)
        ends[i] = time.perf_counter()

    workers = [threading.Thread(target=work, args=(i,)) for i in range(1, len(pairs))]
    for worker in workers:
        worker.start()
    work(0)
    for worker in workers:
        worker.join()
    return max(ends) - min(begins)


def roof(dtype: str, threads: int) -> dict:
    """The machine's limits as a run's JSON keeps them."""
    return {
        "peak_gflops": measured_peak("float64" if dtype == "float64" else "float32", threads),
        "bandwidth_gb_s": {str(moved): bandwidth(moved, threads) for moved in FOOTPRINTS},
        "threads": threads,
    }
