"""How many threads a call uses, and whether it is safe to use any: decided here and nowhere else.

The number is a property of the calling context, never of the process: other libraries' settings, and Numba's own,
are left as they are. Kernels split their output among workers and never the order of a sum, so the number changes
the time and not one bit of the result.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from fastconv import workspace
from fastconv.codegen.lock import setup
from fastconv.job import DATA_AT, LIGHT_FLOPS, Job, place

# Below this many multiply-adds one thread is faster: a launch costs about 34 us with the workqueue layer.
SERIAL_FLOPS = {"omp": LIGHT_FLOPS, "tbb": 800_000, "workqueue": 6_000_000}
CYCLE_FLOPS = 12  # of them for a cycle of a cost model, some of which are a call's own

_chosen: ContextVar[int | None] = ContextVar("fastconv_num_threads", default=None)
_default: int | None = None
_layer: str | None = None
_serial: Callable[..., None] | None = None
_forked_with_pool = False
_workqueue = threading.Lock()  # this layer aborts the process when two threads launch at once


def _quota(membership: Path, mount: Path) -> float:
    """The CPUs that a container may use, from its control groups; infinity without a limit."""
    limits = [math.inf]
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return math.inf
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, read = mount, _quota_v2
        elif "cpu" in controllers.split(","):
            base, read = mount / "cpu", _quota_v1
        else:
            continue
        path = base / group.lstrip("/")
        # A limit holds for everything below it. Seen from inside a container, the path may not exist.
        for folder in (path, *path.parents):
            if folder.is_relative_to(base):
                with contextlib.suppress(OSError, ValueError):
                    limits.append(read(folder))
    return min(limits)


def _quota_v1(folder: Path) -> float:
    quota = int((folder / "cpu.cfs_quota_us").read_text())
    return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else math.inf


def _quota_v2(folder: Path) -> float:
    quota, period = (folder / "cpu.max").read_text().split()
    return math.inf if quota == "max" else int(quota) / int(period)


def _available() -> int:
    """CPUs this process may use: affinity and container quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return cpus if quota == math.inf else max(1, min(cpus, math.ceil(quota)))


def _checked(n: object, name: str) -> int:
    if isinstance(n, bool):
        raise TypeError(f"{name}: expected an int of at least 1, got {n!r}")
    try:
        count = operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}: expected an int of at least 1, got {n!r}") from None
    if count < 1:
        raise ValueError(f"{name}: expected an int of at least 1, got {count}")
    return count


def get_num_threads() -> int:
    """Return how many threads a call in this context may use.

    Returns
    -------
    int
        What `set_num_threads` or `num_threads` chose in this context, else ``FASTCONV_NUM_THREADS``, else the CPUs
        that the process's affinity and its container's quota leave it.

    Examples
    --------
    >>> import fastconv as fc
    >>> with fc.num_threads(1):
    ...     fc.get_num_threads()
    1
    """
    global _default
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    if _default is None:
        text = os.environ.get("FASTCONV_NUM_THREADS", "")
        if text.strip():
            if not text.strip().isdecimal():
                raise ValueError(f"FASTCONV_NUM_THREADS: expected an int of at least 1, got {text!r}")
            _default = _checked(int(text), "FASTCONV_NUM_THREADS")
        else:
            _default = _available()
    return _default


def set_num_threads(n: int) -> None:
    """Set how many threads calls in this context may use.

    The setting belongs to the calling context (`contextvars`): a thread or an asynchronous task that sets it does not
    change it for others. More threads than Numba's pool has (``NUMBA_NUM_THREADS``) are not used.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    TypeError
        If `n` is not an int.
    ValueError
        If `n` is less than 1.

    Examples
    --------
    >>> import fastconv as fc
    >>> with fc.num_threads(2):
    ...     fc.set_num_threads(1)
    ...     fc.get_num_threads()
    1
    """
    _chosen.set(_checked(n, "n"))


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Use `n` threads inside a ``with`` block, in this context only.

    Parameters
    ----------
    n : int
        At least 1; anything else is a `TypeError` or `ValueError` as for `set_num_threads`.

    Examples
    --------
    >>> import fastconv as fc
    >>> with fc.num_threads(1):
    ...     fc.get_num_threads()
    1
    """
    token = _chosen.set(_checked(n, "n"))
    try:
        yield
    finally:
        _chosen.reset(token)


def layer() -> str:
    """Return the name of Numba's threading layer in use: "omp", "tbb", "workqueue", or "none yet"."""
    return _layer or "none yet"


def _start_pool() -> None:
    """Start Numba's threads once, and remember which layer they came from."""
    global _layer
    with setup:
        if _layer is None:
            with _openmp_default_kept():
                _layer = _launch().start_pool()


@functools.cache
def _launch():
    """The launchers, whose import brings in Numba."""
    with setup:
        from fastconv.codegen import launch

        return launch


@contextmanager
def _openmp_default_kept() -> Iterator[None]:
    """Undo what starting Numba's OpenMP layer does to others (PyTorch for one) that use the same OpenMP library.

    It sets the library's number of threads (https://github.com/numba/numba/issues/9387).
    """
    openmp = None
    try:
        from numba.np.ufunc import omppool

        # The library that its symbols were bound to: one that is global already, else its own.
        handles = (ctypes.CDLL(None) if os.name == "posix" else None, ctypes.CDLL(omppool.__file__))
        openmp = next((handle for handle in handles if hasattr(handle, "omp_get_max_threads")), None)
    except (ImportError, OSError):
        pass
    before = openmp.omp_get_max_threads() if openmp else 0
    try:
        yield
    finally:
        if openmp:
            openmp.omp_set_num_threads(before)


def _first_serial() -> Callable[..., None]:
    """What runs a job in the calling thread, remembered."""
    global _serial
    _serial = _launch().serial.entry
    return _serial


def _pool_runs() -> bool:
    """Whether Numba's thread pool runs in this process, whoever started it."""
    module = sys.modules.get("numba.np.ufunc.parallel")
    return bool(getattr(module, "_is_initialized", False))


def most() -> int:
    """The most workers that a call in this context can have."""
    return 1 if _forked_with_pool else min(get_num_threads(), _launch().POOL_SIZE)


def workers(tasks: int, flops: int) -> int:
    """How many threads this call should use; 1 means: in the calling thread."""
    if tasks < 2 or flops < LIGHT_FLOPS or _forked_with_pool:
        return 1
    n = get_num_threads()
    if n < 2:
        return 1
    if _layer is None:
        _start_pool()
    if flops < SERIAL_FLOPS[_layer]:
        return 1
    # The whole team even for a few tasks: GNU OpenMP ends and starts threads when the size of a team changes.
    return min(n, _launch().POOL_SIZE)


def run(job: Job, x=None, w=None, bias=None, residual=None, y=None) -> None:
    """Run a job's tasks on these arrays; each worker has scratch of its own."""
    if job.light:
        # Straight on: what follows takes 0.5 us, a fourth of a call on a few thousand elements.
        (_serial or _first_serial())(
            job.address,
            0 if x is None else id(x) + DATA_AT,
            0 if w is None else id(w) + DATA_AT,
            0 if bias is None else id(bias) + DATA_AT,
            0 if residual is None else id(residual) + DATA_AT,
            0 if y is None else id(y) + DATA_AT,
            0,
        )
        return
    count = min(workers(job.tasks, job.flops), job.room)
    exclusive = count > 1 and _layer == "workqueue"
    if exclusive and not _workqueue.acquire(blocking=False):
        count, exclusive = 1, False
    block = None
    try:
        address = 0
        if job.step:
            block = workspace.take(job.workspace(count))
            address = block.address
        arrays = (place(x), place(w), place(bias), place(residual), place(y))
        if count > 1:
            _launch().parallel(job.address, *arrays, address, count)
        else:
            _launch().serial.entry(job.address, *arrays, address)
    finally:
        if block is not None:
            workspace.give(block)
        if exclusive:
            _workqueue.release()


def _after_fork_in_child() -> None:
    """GNU OpenMP kills a forked child that uses its parent's pool, and workqueue's threads are gone: go serial."""
    global _forked_with_pool, _workqueue
    _forked_with_pool = _forked_with_pool or _pool_runs()
    _workqueue = threading.Lock()
    workspace.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
