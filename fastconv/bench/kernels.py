"""Microkernels by themselves, on operands in the nearest caches: their share of a core's multiply-add peak."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from fastconv.bench.timing import in_turns
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name, parse
from fastconv.peak import measured_peak
from fastconv.workspace import aligned

DEPTH = 1024  # products of a tile: twice as many are timed too, and the difference counts, without the call
ROWS, RUN = 28, 56  # output pixels of a plane
PLANES = 8
PART = 64  # products of a part, of kernels that sum in parts
BUDGET = 0.1


def share_of_peak(name: str) -> float:
    """Percent of one core's multiply-add peak that a kernel reaches, by its name; of the OPS below."""
    spec = parse(name)
    if spec.op not in OPS or "taps" in spec.variants:
        raise ValueError(f"name: {name!r} is none of {', '.join(OPS)}")
    flops, calls, kept = OPS[spec.op](name, spec)  # kept: the operands, whose addresses the calls have; y the third
    times = [min(runs) for runs in in_turns(calls, BUDGET)]
    del kept
    seconds = times[-1] - sum(times[:-1])
    return 100 * flops / seconds / 1e9 / measured_peak("float64" if spec.dtype == "f64" else "float32", 1)


def _call(name: str, *operands: int | np.ndarray) -> Callable[[], None]:
    """A call of a kernel from Python; it takes as many of the operands as it has."""
    kernel = microkernel(name)
    words = [o.ctypes.data if isinstance(o, np.ndarray) else o for o in operands]
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * kernel.operands)(kernel.address)
    words = words[: kernel.operands]
    return lambda: run(*words)


def _array(spec: Name, *shape: int) -> np.ndarray:
    """An aligned array of ones in the kernel's type, whose memory it keeps."""
    kind = np.dtype(np.float64 if spec.dtype == "f64" else np.float32)
    found = aligned(int(np.prod(shape)) * kind.itemsize).view(kind)[: int(np.prod(shape))].reshape(shape)
    found[:] = 1
    return found


def _gemm(name: str, spec: Name):
    """Tiles of DEPTH products and of twice as many; one orientation's weights lie as the other's pixels."""
    strided, depth = "strided" in spec.variants, 2 * DEPTH
    lines, scalars = _array(spec, depth, spec.columns), _array(spec, depth, spec.rows)
    y = _array(spec, spec.rows, spec.columns)
    item, pitch = y.itemsize, depth * y.itemsize if strided else 0
    step = item if strided else spec.rows * item
    if spec.variants[0] == "px":
        table, x, w = np.arange(depth, dtype=np.int64) * lines.strides[0], lines, scalars
        if "pairs" in spec.variants:
            table = np.stack([table, np.arange(depth) * step, table], axis=1)
    else:
        table, x, w = np.arange(depth, dtype=np.int64) * step, scalars, lines
    calls = [_call(name, count, x, table, w, pitch, y, y.strides[0], 1, 0, 0, 0, 0, spec.lanes, PART, x, 1,
                   *[0] * 6)
             for count in (DEPTH, depth)]  # fmt: skip
    return 2 * DEPTH * spec.rows * spec.columns, calls, (lines, scalars, y, table)


def _kernel_of(spec: Name) -> tuple[int, int]:
    """(size, stride) of a stencil's variant."""
    size, stride = spec.variants[0].split("s")
    return int(size.split("x")[-1]), int(stride)


def _depthwise(name: str, spec: Name):
    size, stride = _kernel_of(spec)
    high, wide = (ROWS - 1) * stride + size, (RUN - 1) * stride + size
    x, y = _array(spec, high, wide, spec.lanes), _array(spec, ROWS, RUN, spec.lanes)
    w = _array(spec, size * size, spec.lanes)
    row, pixel = x.strides[:2]
    call = _call(name, x, row, stride * row, stride * pixel, 0, size * size, w, y, *y.strides[:2], 0, 0, 0, spec.lanes,
                 ROWS, RUN, 0)  # fmt: skip
    return 2 * y.size * size * size, [call], (x, w, y)


def _stencil(name: str, spec: Name):
    size, stride = _kernel_of(spec)
    run = -(-RUN // spec.columns) * spec.columns
    high, wide = (ROWS - 1) * stride + size, (run - 1) * stride + size
    depth = int(spec.variants[0][0]) if spec.variants[0].count("x") == 2 else 1
    x, y = _array(spec, PLANES, depth, high, wide), _array(spec, PLANES, ROWS, run)
    w, zeros, slices = _array(spec, PLANES, depth * size * size), _array(spec, 256), np.arange(depth) * x.strides[1]
    call = _call(name, PLANES, x, x.strides[0], x.strides[2], 0, high, 0, wide, zeros, w, y, y.strides[0], y.strides[1],
                 run, ROWS, 0, 0, 0, slices, 1, x.strides[0], y.strides[0])  # fmt: skip
    return 2 * y.size * depth * size * size, [call], (x, w, y, zeros, slices)


def _dot(name: str, spec: Name):
    """As _gemm, but longer, for it has less to do for each product."""
    depth = 16 * DEPTH
    w, x, y = _array(spec, spec.rows, depth), _array(spec, depth), _array(spec, spec.rows)
    calls = [_call(name, w, w.strides[0], x, count, y, 0, 0, 0) for count in (depth // 2, depth)]
    return w.size, calls, (w, x, y)


def _amx(name: str, spec: Name):
    """As _gemm, on panels whose numbers are ones: of their parts the first is one and the others are zero."""
    from fastconv.microkernels import amx  # here, as older commits are measured that have none

    parts, depth = amx.PARTS[amx.products_of(spec.variants)], 2 * DEPTH
    x, w = (_array(spec, depth // amx.STEP, parts, amx.PART_BYTES // 4) for _ in range(2))
    for panel in (x, w):
        panel[:] = 0
        panel[:, 0].view(np.uint16)[:] = 0x3F80  # one, in bfloat16
    y, state = _array(spec, spec.rows, spec.columns), f"amxstate_f32_{spec.isa}"
    take, give = _call(state, 1), _call(state, 0)

    def timed(depth):
        block = _call(name, depth, x, w, y, y.strides[0], 1, 0, 0, 0, 0, spec.rows, spec.lanes, x, w)

        def run():
            take()
            block()
            give()

        return run

    return 2 * DEPTH * y.size, [timed(DEPTH), timed(depth)], (x, w, y)


OPS: dict[str, Callable] = {"gemm": _gemm, "amx": _amx, "depthwise": _depthwise, "stencil": _stencil, "dot": _dot}
