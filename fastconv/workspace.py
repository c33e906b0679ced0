"""Memory of kernels and of large results: 64-byte aligned, reused, bounded."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable

import numpy as np

KEPT_BYTES = 128 << 20  # what may lie idle between calls, in all
# The most that a call takes beyond its output, whatever the sizes: weights that it packs, and scratch of all threads.
MOST_BYTES = 64 << 20
MOST_WEIGHT_BYTES = 16 << 20
MOST_SCRATCH_BYTES = MOST_BYTES - MOST_WEIGHT_BYTES
ALIGNMENT = 64
SMALL = 1 << 16  # bytes of the smallest blocks
# Results from this size on are reused. The system takes such memory back when it is freed, and giving it anew, page by
# page and zeroed, can cost as much as the convolution: 64 channels of 572x572 took twice the time. To find a block
# takes 2 us, a tenth of the gradient of an average of 1.2 MB: the C library's heap gives smaller arrays sooner.
LARGE = 1 << 21


def aligned(nbytes: int) -> np.ndarray:
    """`nbytes` zero bytes that start on a cache line."""
    memory = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + nbytes]


class Block:
    """A piece of memory; `address` is its first byte."""

    __slots__ = ("address", "memory", "size")

    def __init__(self, size: int):
        self.memory = aligned(size)
        self.size, self.address = size, self.memory.ctypes.data


class Lease:
    """A block while arrays are made of it: NumPy keeps this object as their base, and its end gives the block back."""

    __slots__ = ("__array_interface__", "_block")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self._block = take(math.prod(shape) * dtype.itemsize)
        place = (self._block.address, False)
        self.__array_interface__ = {"version": 3, "typestr": dtype.str, "shape": shape, "data": place}

    def __del__(self):
        if give is not None and hasattr(self, "_block"):  # neither at the interpreter's end nor without memory
            give(self._block)


_size = operator.attrgetter("size")
_idle: list[Block] = []
_lock = threading.RLock()  # a lease may end at any allocation, so also while its own thread is in here


def allocator(shape: tuple[int, ...], dtype: np.dtype) -> Callable[..., np.ndarray]:
    """What makes arrays of this shape and dtype: NumPy, or reused memory for large ones."""
    return np.empty if math.prod(shape) * dtype.itemsize < LARGE else _leased


def _leased(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A new array with any content, of reused memory."""
    array = np.asarray(Lease(shape, dtype))
    return array if array.dtype == dtype else array.view(dtype)  # a type that NumPy does not know by its code


def take(size: int) -> Block:
    """A block of at least `size` bytes, for the caller alone until it is given back."""
    size = max(size, SMALL)
    with _lock:
        # Of equal ones that which was given back last: it still lies in the caches.
        newest = _idle[::-1]
        equal = [block for block in newest if block.size == size]
        for block in equal or sorted((block for block in newest if size < block.size <= 4 * size), key=_size):
            if block in _idle:  # a lease that ended just now may have pushed it out
                _idle.remove(block)
                return block
    return Block(size)


def give(block: Block) -> None:
    """Return a block; when too much lies idle, those that have lain longest go."""
    with _lock:
        _idle.append(block)
        while _idle and sum(map(_size, _idle)) > KEPT_BYTES:
            _idle.pop(0)


def reset_after_fork() -> None:
    """A forked child starts with no idle blocks and a lock that nobody holds."""
    global _lock
    _lock = threading.RLock()
    _idle.clear()
