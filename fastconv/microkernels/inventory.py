"""Every microkernel by name: looked up, compiled on first use, listed for tests and benchmarks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

from fastconv.blocking import most_vectors
from fastconv.codegen.jit import Emitted
from fastconv.microkernels import (  # noqa: F401  each registers its emitter
    amx,
    amxparts,
    depthrows,
    depthwise,
    dot,
    finish,
    fmapeak,
    gemm,
    overlap,
    pack,
    plane,
    pool,
    poolapart,
    poolglide,
    poolnames,
    poolparts,
    poolpass,
    poolscatter,
    poolslide,
    poolspot,
    poolsweep,
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

# How many operands each kernel has.
OPERANDS = {
    "gemm": 22,
    "amx": 14,
    "amxlanes": 7,
    "amxcolumns": 7,
    "amxrows": 8,
    "amxturned": 5,
    "amxstate": 1,
    "amxsums": 8,
    "depthwise": 17,
    "depthrows": 14,
    "depthrowsinput": 11,
    "stencil": 22,
    "stencilinput": 19,
    "stencilweight": 17,
    "depthweight": 10,
    "wgin": 7,
    "wgweight": 8,
    "wgpairin": 10,
    "wgpairweight": 8,
    "wgout": 14,
    "wgdy": 7,
    "wgdw": 7,
    "plane": 9,
    "panel": 6,
    "dot": 8,
    "row": 6,
    "spread": 6,
    "transpose": 6,
    "finish": 5,
    "fmapeak": 4,
    "pick": 7,
    "flip": 6,
    "slab": 6,
    "fetch": 4,
    "comb": 5,
    "weave": 8,
    "weavethree": 10,
    "weavefour": 12,
    "accumulate": 5,
    "total": 5,
    "overlap": 9,
    "scatter": 10,
    "lookup": 8,
    "pooltaps": 17,
    "poolrow": 18,
    "poolpass": 13,
    "poolpair": 16,
    "poolapart": 10,
    "poolchoose": 9,
    "poolglide": 10,
    "poolslide": 10,
    "poolsweep": 12,
    "poolspot": 13,
    "poolspread": 7,
    "poolscatter": 14,
    "poolzero": 4,
    "poolselect": 9,
    "poolspans": 18,
    "poolpicks": 18,
    "poolplanes": 7,
    "poolpixels": 8,
    "poolfill": 5,
    "poolrepeat": 10,
}
ACTIVATIONS = ("none", "relu", "relu6", "leaky", "sigmoid", "tanh", "silu", "hardswish", "gelu")


@functools.cache
def microkernel(name: str) -> Emitted:
    """The kernel of this name; its code is made when its address is first asked for."""
    return Emitted(name, OPERANDS[parse(name).op])


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
            for kind in depthrows.kinds():
                yield str(Name("depthrows", dtype, dtype, pixels, lanes, target.isa, (kind,)))
            for words in itertools.product(depthrows.input_kinds(), ("even", "odd")):
                if pixels <= depthrows.MOST_PAIRS:
                    yield str(Name("depthrowsinput", dtype, dtype, pixels, lanes, target.isa, words))
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
        for word in winograd.variants() + winograd.strided_variants():
            for op in ("wgin", "wgweight", "wgdy", "wgdw"):
                yield f"{op}_{dtype}_{target.isa}_{word}"
            yield f"wgout_{dtype}_{target.isa}_{word}"
            yield f"wgout_{dtype}_{target.isa}_{word}_tail"
        yield f"panel_{dtype}_{target.isa}"
        for rows in range(1, dot.most_rows(lanes) + 1):
            yield str(Name("dot", dtype, dtype, rows, lanes, target.isa, ()))
        yield f"accumulate_{dtype}_{target.isa}"
    moves = "pick", "flip", "slab", "fetch", "comb", *regroup.WEAVES.values(), "scatter", "lookup"
    for moved, op in itertools.product(dict.fromkeys(regroup.MOVED.values()), moves):
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
