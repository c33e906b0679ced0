"""Elements at places that an array of indices names: written there, or read from there.

scatter   dst[index[i] * step + i * lane] = src[i],  i < count; of one place named twice, the last stays
lookup    dst[i] = src[index[i] * step + i * lane],  i < count

An index outside of [0, size) touches nothing but sets the word `bad` to 1. Steps are in bytes. Elements are moved, not
computed with, so any type of the right size will do; narrow ones are called bf16.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I64, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each


def _each_index(b: ir.IRBuilder, name: str, args: list[ir.Value], move) -> None:
    """move(v, i, where): element i, for every index that is good; `where` is its place in bytes."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    index, count, size, step, lane, bad = args
    index = v.pointer(index)
    with each(v, integer(0), count, 1) as i:
        place = v.load_integer(v.offset(index, b.mul(i, integer(8))))
        with b.if_else(b.icmp_unsigned("<", place, size), likely=True) as (good, otherwise):
            with good:
                move(v, i, b.add(b.mul(place, step), b.mul(i, lane)))
            with otherwise:
                b.store(integer(1), v.pointer(bad, I64), align=8)


def _copy(v: Vectors, src: ir.Value, src_at: ir.Value, dst: ir.Value, dst_at: ir.Value) -> None:
    """One element."""
    to = v.b.bitcast(v.offset(v.pointer(dst), dst_at), v.scalar.as_pointer())
    v.b.store(v.load_scalar(v.offset(v.pointer(src), src_at)), to, align=v.size)


@emitter("scatter")
def scatter(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, dst, index, count, size, step, lane, bad."""
    src, dst, *rest = args

    def move(v, i, where):
        _copy(v, src, b.mul(i, integer(v.size)), dst, where)

    _each_index(b, name, rest, move)


@emitter("lookup")
def lookup(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, dst, index, count, size, step, lane, bad."""
    src, dst, *rest = args

    def move(v, i, where):
        _copy(v, src, where, dst, b.mul(i, integer(v.size)))

    _each_index(b, name, rest, move)
