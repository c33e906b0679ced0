"""Every name that pools may give their kernels: which loads, reductions and results go together, for which types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from fastconv.microkernels.pool import STRIDES, UNROLLED
from fastconv.microkernels.poolapart import TIMES
from fastconv.microkernels.poolpass import ALONG, BEFORE, BORDER_ROWS, PAIRED, ROWS
from fastconv.microkernels.poolslide import ROWS as SLIDING_ROWS
from fastconv.microkernels.poolsweep import SIDES
from fastconv.microkernels.reducer import QUICK

FLOATS = ("f32", "f64", "f16f32", "bf16f32")
INTEGERS = ("i32", "i8i32", "u8i32")
MAX = ("plain", "max", "round")
AVERAGE, SUM = ("plain", "sum", "divide"), ("plain", "sum", "round")
NORMS = (
    ("abs", "max", "round"), ("plain", "sum", "scale"), ("abs", "sum", "scale"), ("square", "sum", "root"),
    ("power", "sum", "powerroot"), ("abspower", "sum", "powerroot"),
)  # fmt: skip
GRADIENTS = (SUM, ("ratio", "sum", "timesx"), ("powerratio", "sum", "timespower"))  # their terms may have weights


def _indices(words: tuple[str, ...]) -> tuple[str, ...]:
    """The ways to carry indices along with a reduction."""
    return ("", "indices", "far") if words == MAX else ("",)


def _words(floats: bool) -> Iterator[tuple[str, ...]]:
    """An operation, and the words of its variant; some come more than once."""
    along = list(itertools.product(STRIDES, ("", *(f"t{taps}" for taps in range(1, UNROLLED + 1)))))
    for words in (MAX, AVERAGE, *NORMS, *GRADIENTS) if floats else (MAX,):
        load, op, finish = words
        for index in _indices(words):
            yield "pooltaps", *words, index
            yield "pooltaps", load, op, "keep", index, "across"
            for strided in along:
                yield "poolrow", "plain", op, finish, "held", index, *strided
            if words in (MAX, AVERAGE, SUM):
                yield "poolpicks", "plain", op, finish, "held", index
            if words in (MAX, AVERAGE):
                yield "poolspans", "plain", op, finish, "held", index
            if words not in GRADIENTS:
                yield ("poolspans", *words, index) if index else ("poolplanes", *words)
                yield "poolpixels", *words, index
                yield "poolpixels", load, op, "keep"
                yield "poolpixels", "plain", op, finish, "held"
            if words not in GRADIENTS and load in QUICK:
                for rows, (taps, stride) in itertools.product(ROWS, ALONG):
                    for kernel in ("poolpass", "poolpair")[: 1 + ((taps, stride) in PAIRED)]:
                        yield kernel, *words, index, f"r{rows}", f"t{taps}", f"s{stride}"
                if words in (MAX, AVERAGE, NORMS[1]):
                    for rows, (taps, stride), p, end in itertools.product(BORDER_ROWS, ALONG[1:], (0, *BEFORE), (0, 1)):
                        if p < taps and (p or end):
                            at = f"p{p}" if p else "", "behind" if end else ""
                            yield "poolpass", *words, index, f"r{rows}", f"t{taps}", f"s{stride}", *at
                yield "poolglide", load, op, "keep"
                yield from (("poolslide", *words, f"r{rows}") for rows in SLIDING_ROWS)
                for rows, taps in itertools.product(SIDES, SIDES):
                    yield "poolsweep", *words, f"r{rows}", f"t{taps}"
                yield "pooltaps", "plain", op, finish, "held"
        yield "pooltaps", "plain", op, "keep", "held"
        if words in GRADIENTS:
            yield "pooltaps", *words, "weights"
            yield "pooltaps", load, op, "keep", "across", "rowweights"
    if floats:
        yield "pooltaps", "plain", "sum", "keep"
        yield "poolfill", *AVERAGE
        yield "poolrepeat", *AVERAGE
        yield from (("poolrepeat", *MAX, index) for index in ("indices", "far"))
        yield from (("poolrow", *SUM, "held", "weights", *strided) for strided in along)
        yield from (("poolspread", apart) for apart in STRIDES[1:])
        yield from ((op,) for op in ("poolscatter", "poolzero", "poolchoose", "poolselect", "poolspot"))
        yield "poolscatter", "apart"
        yield from (("poolapart", finish, f"t{times}") for finish in ("divide", "scale") for times in TIMES)


def names(isa: str) -> Iterator[str]:
    """Every kernel of pools on an instruction set."""
    for kinds, floats in ((FLOATS, True), (INTEGERS, False)):
        for op, *words in dict.fromkeys(tuple(filter(None, found)) for found in _words(floats)):
            yield from ("_".join([op, kind, isa, *words]) for kind in kinds)
