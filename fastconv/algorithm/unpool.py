"""Max unpooling: elements put where indices say, zeros elsewhere; and its gradient, which takes them from there.

A task owns the places that it writes to, so that of two elements with one place the later in scan order stays. With the
channels last these are some pixels of an image, for which the task looks through all indices: that takes little time
beside putting elements, as long as parts are few. Blocks of channels instead took twice as long: threads that write to
every other 128 bytes wait for each other's lines.
"""

from __future__ import annotations

import numpy as np

from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.regroup import MOVED
from fastconv.problem.conv import SHORT_DTYPE
from fastconv.target import Target

# Of a call's arrays: the elements that are moved, their places, the word that tells of a bad one, and the result.
FROM, INDEX, BAD, TO = 0, 1, 2, 4
TASK_ELEMENTS = 16 << 10  # of indices that a task takes at least, if there are so many
PARTS = 8  # of an image at most

PLANES, EACH, IN, OUT, ITEM, MOVE, CLEAR, FIRST_FIELDS = range(8)


@native("unpool_first", 4)
def unpool_planes(plan, call, scratch, task):
    """Some planes, channels first."""
    inside, outside, item = peek(plan, IN), peek(plan, OUT), peek(plan, ITEM)
    for plane in range(task * peek(plan, EACH), min((task + 1) * peek(plan, EACH), peek(plan, PLANES))):
        to = peek(call, TO) + plane * outside * item
        invoke(peek(plan, CLEAR), (0, item, to, item, outside))
        invoke(peek(plan, MOVE), (peek(call, FROM) + plane * inside * item, to, peek(call, INDEX) + plane * inside * 8,
                                  inside, 1, 1, outside, peek(call, BAD), 0, outside))  # fmt: skip


@native("unpool_first_grad", 4)
def look_up_planes(plan, call, scratch, task):
    """The gradient of some planes, channels first."""
    inside, outside, item = peek(plan, IN), peek(plan, OUT), peek(plan, ITEM)
    for plane in range(task * peek(plan, EACH), min((task + 1) * peek(plan, EACH), peek(plan, PLANES))):
        invoke(peek(plan, MOVE), (peek(call, FROM) + plane * outside * item, peek(call, TO) + plane * inside * item,
                                  peek(call, INDEX) + plane * inside * 8, inside, 1, 1, outside,
                                  peek(call, BAD)))  # fmt: skip


BLOCKS, BLOCK, CHANNELS, LAST_IN, LAST_OUT, LAST_ITEM, LAST_MOVE, LAST_CLEAR, LAST_FIELDS = range(9)


@native("unpool_last", 4)
def unpool_channels(plan, call, scratch, task):
    """Some pixels of an image, channels last; a block is of pixels."""
    channels, item, inside, outside = (
        peek(plan, CHANNELS), peek(plan, LAST_ITEM), peek(plan, LAST_IN), peek(plan, LAST_OUT)
    )  # fmt: skip
    image, first = task // peek(plan, BLOCKS), task % peek(plan, BLOCKS) * peek(plan, BLOCK)
    to, at, some = image * outside * channels, image * inside * channels, min(peek(plan, BLOCK), outside - first)
    invoke(peek(plan, LAST_CLEAR), (0, item, peek(call, TO) + (to + first * channels) * item, item, some * channels))
    invoke(peek(plan, LAST_MOVE), (peek(call, FROM) + at * item, peek(call, TO) + to * item, peek(call, INDEX) + at * 8,
                                   inside, channels, channels, outside, peek(call, BAD), first, some))  # fmt: skip


@native("unpool_last_grad", 4)
def look_up_pixels(plan, call, scratch, task):
    """The gradient of some of an image's pixels, channels last; a block is of pixels."""
    channels, item, inside, outside = (
        peek(plan, CHANNELS), peek(plan, LAST_ITEM), peek(plan, LAST_IN), peek(plan, LAST_OUT)
    )  # fmt: skip
    image, first = task // peek(plan, BLOCKS), task % peek(plan, BLOCKS) * peek(plan, BLOCK)
    source = peek(call, FROM) + image * outside * channels * item
    at, some = (image * inside + first) * channels, min(peek(plan, BLOCK), inside - first)
    invoke(peek(plan, LAST_MOVE), (source, peek(call, TO) + at * item, peek(call, INDEX) + at * 8, some, channels,
                                   channels, outside, peek(call, BAD)))  # fmt: skip


def unpool(
    n: int, c: int, inside: int, outside: int, dtype: str, last: bool, gradient: bool, target: Target, threads: int
) -> list[Job]:
    """The jobs for n images of c channels of `inside` elements, put among `outside`, all contiguous."""
    moved = MOVED[SHORT_DTYPE[dtype]]
    item = {"f32": 4, "f64": 8}.get(moved, 2)
    kernels = [
        microkernel(f"{name}_{moved}_{target.isa}").address for name in ("lookup" if gradient else "scatter", "comb")
    ]
    flops = 32 * n * c * inside + (0 if gradient else 2 * n * c * outside)
    if not last:
        kernel = look_up_planes if gradient else unpool_planes
        each = max(1, min(TASK_ELEMENTS // inside, n * c // 8))
        plan = np.array([n * c, each, inside, outside, item, *kernels], np.int64)
        return [Job(kernel.address, plan, -(-n * c // each), 0, flops)]
    if gradient:
        block = max(1, min(inside, max(TASK_ELEMENTS // c, -(-inside * n // 8))))
        blocks = -(-inside // block)
    else:
        block = -(-outside // min(PARTS, -(-threads // n)))
        blocks = -(-outside // block)
    kernel = look_up_pixels if gradient else unpool_channels
    plan = np.array([blocks, block, c, inside, outside, item, *kernels], np.int64)
    return [Job(kernel.address, plan, n * blocks, 0, flops)]
