"""Elements at places that an array of indices names: written there, or read from there.

scatter   dst[index[i, j], j] = src[i, j],  i < rows, j < run; of one place named twice, the last stays
lookup    dst[i, j] = src[index[i, j], j],  i < rows, j < run

All rows lie `pitch` elements apart: they are pixels and their channels, or single elements. An index outside of
[0, size) touches nothing but sets the word `bad` to 1. Elements are moved, not computed with, so any type of the right
size will do; narrow ones are called bf16.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I64, Vectors, integer
from fastconv.microkernels.names import parse


def _each_index(b: ir.IRBuilder, name: str, args: list[ir.Value], move) -> None:
    """move(v, at, there): the bytes before an element and before its place, for every index that is good."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    index, rows, run, pitch, size, bad = args
    index, one = v.pointer(index), integer(1)
    over = b.add(b.sub(pitch, run), one)
    # One loop over all elements: pixels of a few channels would spend their time in starting an inner one.
    with v.loop_or_none(b.mul(rows, run), integer(0), integer(0)) as (_, (i, lane), following):
        place, ahead = v.load_integer(v.offset(index, b.mul(i, integer(8)))), b.add(lane, one)
        last = b.icmp_signed("==", ahead, run)
        following += [b.add(i, b.select(last, over, one)), b.select(last, integer(0), ahead)]
        with b.if_else(b.icmp_unsigned("<", place, size), likely=True) as (good, otherwise):
            with good:
                there = b.mul(b.add(b.mul(place, pitch), lane), integer(v.size))
                move(v, b.mul(i, integer(v.size)), there)
            with otherwise:
                b.store(one, v.pointer(bad, I64), align=8)


def _copy(v: Vectors, src: ir.Value, src_at: ir.Value, dst: ir.Value, dst_at: ir.Value) -> None:
    """One element."""
    to = v.b.bitcast(v.offset(v.pointer(dst), dst_at), v.scalar.as_pointer())
    v.b.store(v.load_scalar(v.offset(v.pointer(src), src_at)), to, align=v.size)


@emitter("scatter")
def scatter(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, dst, index, rows, run, pitch, size, bad."""
    src, dst, *rest = args
    _each_index(b, name, rest, lambda v, at, there: _copy(v, src, at, dst, there))


@emitter("lookup")
def lookup(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, dst, index, rows, run, pitch, size, bad."""
    src, dst, *rest = args
    _each_index(b, name, rest, lambda v, at, there: _copy(v, src, there, dst, at))
