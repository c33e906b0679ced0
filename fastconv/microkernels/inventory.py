"""Every microkernel by name: looked up, compiled on first use, listed for tests and benchmarks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

from fastconv.blocking import most_vectors
from fastconv.codegen.emit import emit
from fastconv.codegen.jit import Native, native
from fastconv.microkernels import (  # noqa: F401  each registers its emitter
    amx,
    amxparts,
    depthwise,
    dot,
    finish,
    fmapeak,
    gemm,
    overlap,
    pack,
    pool,
    poolapart,
    poolglide,
    poolnames,
    poolparts,
    poolpass,
    poolscatter,
    poolslide,
    regroup,
    scatter,
    stencil,
    stencilinput,
    tapsums,
    total,
    winograd,
)
from fastconv.microkernels.names import VECTOR_BYTES, Name, parse
from fastconv.target import Target


def _one(name):
    def kernel(a):
        emit(name, (a,))

    return native(name, 1)(kernel)


def _four(name):
    def kernel(a, b, c, d):
        emit(name, (a, b, c, d))

    return native(name, 4)(kernel)


def _five(name):
    def kernel(a, b, c, d, e):
        emit(name, (a, b, c, d, e))

    return native(name, 5)(kernel)


def _six(name):
    def kernel(a, b, c, d, e, f):
        emit(name, (a, b, c, d, e, f))

    return native(name, 6)(kernel)


def _seven(name):
    def kernel(a, b, c, d, e, f, g):
        emit(name, (a, b, c, d, e, f, g))

    return native(name, 7)(kernel)


def _eight(name):
    def kernel(a, b, c, d, e, f, g, h):
        emit(name, (a, b, c, d, e, f, g, h))

    return native(name, 8)(kernel)


def _nine(name):
    def kernel(a, b, c, d, e, f, g, h, i):
        emit(name, (a, b, c, d, e, f, g, h, i))

    return native(name, 9)(kernel)


def _ten(name):
    def kernel(a, b, c, d, e, f, g, h, i, j):
        emit(name, (a, b, c, d, e, f, g, h, i, j))

    return native(name, 10)(kernel)


def _fourteen(name):
    def kernel(a, b, c, d, e, f, g, h, i, j, k, l, m, n):  # noqa: E741
        emit(name, (a, b, c, d, e, f, g, h, i, j, k, l, m, n))

    return native(name, 14)(kernel)


def _eighteen(name):
    def kernel(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r):  # noqa: E741
        emit(name, (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r))

    return native(name, 18)(kernel)


def _fifteen(name):
    def kernel(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o):  # noqa: E741
        emit(name, (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o))

    return native(name, 15)(kernel)


def _twelve(name):
    def kernel(a, b, c, d, e, f, g, h, i, j, k, m):
        emit(name, (a, b, c, d, e, f, g, h, i, j, k, m))

    return native(name, 12)(kernel)


def _seventeen(name):
    def kernel(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q):  # noqa: E741
        emit(name, (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q))

    return native(name, 17)(kernel)


def _twenty(name):
    def kernel(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t):  # noqa: E741
        emit(name, (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t))

    return native(name, 20)(kernel)


# Compiled functions have a fixed number of operands, so there is one of these for each number.
OPERANDS = {
    "gemm": _fifteen,
    "amx": _fourteen,
    "amxlanes": _seven,
    "amxcolumns": _seven,
    "amxrows": _eight,
    "amxturned": _five,
    "amxstate": _one,
    "amxsums": _eight,
    "depthwise": _seventeen,
    "stencil": _twenty,
    "stencilinput": _seventeen,
    "stencilweight": _fifteen,
    "depthweight": _ten,
    "wgin": _seven,
    "wgweight": _eight,
    "wgpairin": _ten,
    "wgpairweight": _eight,
    "wgout": _fourteen,
    "wgdy": _seven,
    "wgdw": _seven,
    "plane": _eight,
    "panel": _six,
    "dot": _eight,
    "row": _six,
    "spread": _six,
    "transpose": _six,
    "finish": _five,
    "fmapeak": _four,
    "pick": _seven,
    "flip": _six,
    "slab": _six,
    "fetch": _four,
    "comb": _five,
    "weave": _eight,
    "accumulate": _five,
    "total": _five,
    "overlap": _nine,
    "scatter": _ten,
    "lookup": _eight,
    "pooltaps": _seventeen,
    "poolrow": _eighteen,
    "poolpass": _twelve,
    "poolpair": _fifteen,
    "poolapart": _ten,
    "poolchoose": _seven,
    "poolglide": _ten,
    "poolslide": _ten,
    "poolspread": _seven,
    "poolscatter": _fourteen,
    "poolzero": _four,
    "poolselect": _nine,
    "poolspans": _eighteen,
    "poolpicks": _eighteen,
    "poolplanes": _seven,
    "poolpixels": _eight,
    "poolfill": _five,
    "poolrepeat": _ten,
}
ACTIVATIONS = ("none", "relu", "relu6", "leaky", "sigmoid", "tanh", "silu", "hardswish", "gelu")


@functools.cache
def microkernel(name: str) -> Native:
    """The kernel of this name; its code is made when its address is first asked for."""
    return OPERANDS[parse(name).op](name)


def gemm_name(dtype: str, rows: int, vectors: int, target: Target, *variants: str) -> str:
    """The name of a register tile of `rows` x `vectors` vectors."""
    lanes = VECTOR_BYTES[target.isa] // (8 if dtype == "f64" else 4)
    return str(Name("gemm", dtype, dtype, rows, vectors * lanes, target.isa, variants))


def names(target: Target) -> Iterator[str]:
    """Every microkernel that the dispatcher may ask for on `target`."""
    for dtype in ("f32", "f64"):
        for rows in range(1, 15 if target.registers == 32 else 7):
            for vectors in range(1, most_vectors(rows, target) + 1):
                for words in gemm.VARIANTS:
                    yield gemm_name(dtype, rows, vectors, target, *words)
    kinds_of = [f"{size}s{stride}" for size in depthwise.SIZES for stride in (1, 2)]
    for dtype in ("f32", "f64"):
        lanes = VECTOR_BYTES[target.isa] // (8 if dtype == "f64" else 4)
        for pixels in range(1, depthwise.MOST_PIXELS + 1):
            for words in itertools.product((*kinds_of, "taps"), ("", "parts")):
                yield str(Name("depthwise", dtype, dtype, pixels, lanes, target.isa, tuple(filter(None, words))))
        for taps in range(1, tapsums.MOST_TAPS + 1):
            yield str(Name("depthweight", dtype, dtype, taps, lanes, target.isa, ()))
        if target.isa in ("avx512", "avx2"):
            for kind in stencil.kinds(lanes):
                yield str(Name("stencilweight", dtype, dtype, 1, lanes, target.isa, (kind,)))
            for kind in stencilinput.kinds(lanes):
                yield str(Name("stencilinput", dtype, dtype, 1, lanes, target.isa, (kind,)))
            for wide in range(lanes, stencil.MOST_VECTORS * lanes + 1, lanes):
                for kind in (*stencil.kinds(lanes), *stencil.volume_kinds(lanes)):
                    yield str(Name("stencil", dtype, dtype, 1, wide, target.isa, (kind,)))
                for kind in stencil.dilated_kinds(lanes):
                    yield str(Name("stencil", dtype, dtype, 1, wide, target.isa, (kind, "dilated")))
        for word in winograd.variants():
            for op in ("wgin", "wgweight", "wgdy", "wgdw"):
                yield f"{op}_{dtype}_{target.isa}_{word}"
            yield f"wgout_{dtype}_{target.isa}_{word}"
            yield f"wgout_{dtype}_{target.isa}_{word}_tail"
        yield f"panel_{dtype}_{target.isa}"
        for rows in range(1, dot.most_rows(lanes) + 1):
            yield str(Name("dot", dtype, dtype, rows, lanes, target.isa, ()))
        yield f"accumulate_{dtype}_{target.isa}"
    for moved, op in itertools.product(
        dict.fromkeys(regroup.MOVED.values()), ("pick", "flip", "slab", "fetch", "comb", "weave", "scatter", "lookup")
    ):
        yield f"{op}_{moved}_{target.isa}"
    yield f"plane_bf16_{target.isa}"
    yield f"transpose_bf16_{target.isa}_columns"
    for kinds in ("f32", "f64", "f16f32", "bf16f32"):
        yield f"row_{kinds}_{target.isa}"
        yield f"plane_{kinds}_{target.isa}"
        yield f"overlap_{kinds}_{target.isa}"
        yield f"spread_{kinds}_{target.isa}"
        yield f"total_{kinds}_{target.isa}_across"
        yield f"total_{kinds}_{target.isa}_down"
        yield f"transpose_{kinds}_{target.isa}_rows"
        yield f"transpose_{kinds}_{target.isa}_columns"
        for act in ACTIVATIONS:
            yield f"finish_{kinds}_{target.isa}_{act}"
            if kinds in ("f32", "f64") and target.isa in ("avx512", "avx2") and act not in ("relu", "relu6", "leaky"):
                yield f"finish_{kinds}_{target.isa}_{act}_past"
    if target.amx:
        for rows, columns, way in itertools.product((16, 32), (16, 32), ("px", "ch")):
            for count in amxparts.PRODUCTS:
                yield str(Name("amx", "f32", "f32", rows, columns, target.isa, (way, f"x{count}")))
        for op, count in itertools.product(("amxlanes", "amxcolumns", "amxrows", "amxturned"), amxparts.PRODUCTS):
            yield f"{op}_f32_{target.isa}_x{count}"
        yield f"amxstate_f32_{target.isa}"
        for rows, columns in itertools.product((16, 32), (16, 32)):
            yield str(Name("amxsums", "f32", "f32", rows, columns, target.isa, ("x6",)))
        for op, word in itertools.product(("wgpairin", "wgpairweight"), winograd.variants()):
            yield f"{op}_f32_{target.isa}_x6_{word}"
    yield from poolnames.names(target.isa)
