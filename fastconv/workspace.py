"""Scratch memory for kernels: 64-byte aligned, zeroed once, reused, bounded."""

from __future__ import annotations

import threading

import numpy as np

KEPT_BYTES = 64 << 20  # what may lie idle between calls, in all
ALIGNMENT = 64


def aligned(nbytes: int) -> np.ndarray:
    """`nbytes` zero bytes that start on a cache line."""
    memory = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + nbytes]


class Block:
    """A piece of scratch; `address` is its first byte."""

    __slots__ = ("address", "memory", "size")

    def __init__(self, size: int):
        self.memory = aligned(size)
        self.size, self.address = size, self.memory.ctypes.data


_idle: list[Block] = []
_lock = threading.Lock()


def take(size: int) -> Block:
    """A block of at least `size` bytes, for the caller alone until it is given back."""
    with _lock:
        for i in range(len(_idle) - 1, -1, -1):
            if _idle[i].size >= size:
                return _idle.pop(i)
    return Block(max(size, 1 << 16))


def give(block: Block) -> None:
    """Return a block; the smallest idle ones go first when too much lies idle."""
    with _lock:
        _idle.append(block)
        if len(_idle) > 1 and sum(b.size for b in _idle) > KEPT_BYTES:
            _idle.sort(key=lambda b: b.size)
            while len(_idle) > 1 and sum(b.size for b in _idle) > KEPT_BYTES:
                _idle.pop(0)
            if _idle[0].size > KEPT_BYTES:
                _idle.clear()


def reset_after_fork() -> None:
    """A forked child starts with no idle blocks and a lock that nobody holds."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()
