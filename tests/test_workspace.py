"""Memory of large results: reused when nobody can see it any more, never before, and bounded."""

import gc
import os
import pickle
import threading

import numpy as np
import pytest

import fastconv as fc
from fastconv import workspace

X = np.ones((1, 4, 400, 400), np.float32)


@pytest.fixture(autouse=True)
def nothing_idle():
    """No memory of earlier tests."""
    gc.collect()
    workspace._idle.clear()


def layer(value):
    """A layer whose result is `value` everywhere, and large."""
    return fc.Conv2d(np.full((4, 4, 1, 1), value / 4, np.float32))


def test_results_are_ordinary_arrays():
    y = layer(2)(X)
    assert y.nbytes >= workspace.LARGE and type(y) is np.ndarray
    assert y.flags.c_contiguous and y.flags.writeable and y.flags.aligned and y.ctypes.data % 64 == 0
    y += 1
    assert (pickle.loads(pickle.dumps(y)) == 3).all()


@pytest.mark.parametrize(
    "part",
    [lambda y: y, lambda y: y[0, 1], lambda y: y.reshape(-1)[5:], lambda y: y.T, lambda y: memoryview(y),
     lambda y: np.frombuffer(y, np.uint8).view(np.float32), lambda y: np.asarray(memoryview(y))[..., ::2],
     lambda y: y.view(np.int32).view(np.float32), lambda y: np.lib.stride_tricks.as_strided(y, (5,), (4,))],
    ids=["itself", "view", "reshaped", "transposed", "memoryview", "bytes", "of_memoryview", "dtype", "strided"],
)  # fmt: skip
def test_memory_that_someone_sees_is_not_reused(part):
    seen = part(layer(7)(X))
    for value in range(20):
        layer(value)(X)
        if value % 8 == 0:
            gc.collect()
    assert (np.asarray(seen) == 7).all()


def test_memory_that_nobody_sees_is_reused():
    first = layer(1)(X)
    place = first.ctypes.data
    del first
    assert layer(2)(X).ctypes.data == place


def test_of_equal_blocks_that_given_back_last_comes_first():
    """It still lies in the caches; also where a block of another size was given back after it."""
    first, second, other = (workspace.take(size << 20) for size in (3, 3, 1))
    workspace.give(first)
    workspace.give(second)
    assert workspace.take(3 << 20) is second
    workspace.give(second)
    workspace.give(other)
    assert workspace.take(3 << 20) is second


def test_idle_memory_is_bounded():
    held = [workspace._leased((size << 20,), np.dtype(np.uint8)) for size in (1, 7, 30, 60, 50, 140)]
    assert len({a.ctypes.data for a in held}) == len(held)
    del held
    assert sum(block.size for block in workspace._idle) <= workspace.KEPT_BYTES


def test_small_results_do_not_take_large_blocks():
    workspace.give(workspace.take(40 << 20))
    assert workspace.take(1 << 20).size < 40 << 20


def test_many_threads(rng):
    failures = []

    def work(value):
        kept = []
        for i in range(30):
            kept.append((value + i, layer(value + i)(X)))
            if len(kept) > 3:
                expected, y = kept.pop(0)
                if not (y == expected).all():
                    failures.append(expected)

    workers = [threading.Thread(target=work, args=(100 * i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_a_lease_that_ends_while_memory_is_taken(monkeypatch):
    """The collector may end a lease at any allocation, also inside `take` and `give` of the same thread."""
    gc.collect()
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for value in range(40):
            ring = [layer(value)(X)]
            ring.append(ring)  # only the collector ends it
            del ring
            assert (layer(value)(X) == value).all()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert sum(block.size for block in workspace._idle) <= workspace.KEPT_BYTES


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_its_parents_results():
    y = layer(5)(X)
    child = os.fork()
    if child == 0:
        fine = bool((layer(6)(X) == 6).all() and (y == 5).all())
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and (y == 5).all()


def test_blocks_are_aligned_bounded_and_reused():
    blocks = [workspace.take(size) for size in (1, 100, 1 << 20, 50 << 20, 90 << 20)]
    assert all(b.address % 64 == 0 for b in blocks)
    assert len({b.address for b in blocks}) == len(blocks)
    for block in blocks:
        workspace.give(block)
    assert sum(b.size for b in workspace._idle) <= workspace.KEPT_BYTES
    assert workspace.take(80 << 20) is blocks[-1]
