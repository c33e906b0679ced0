"""Elements at places that an array of indices names: written there, or read from there.

scatter   dst[index[i, j], j] = src[i, j],  i < rows, j < run, where index[i, j] is in [first, first + count); of one
          place named twice, the last stays
lookup    dst[i, j] = src[index[i, j], j],  i < rows, j < run

All rows lie `pitch` elements apart: they are pixels and their channels, or single elements. An index outside of
[0, size) touches nothing but sets the word `bad` to 1. Elements are moved, not computed with, so any type of the right
size will do; narrow ones are called bf16.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I1, I64, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each


def _each_index(b: ir.IRBuilder, name: str, args: list[ir.Value], part: list, one: Callable, some: Callable) -> None:
    """One element by `one`, or where the processor does so, a vector by `some`, for every index that is good.

    Both are handed the bytes before an element and before its place; `some` also lanes and which of them are good.
    `part` is nothing, or the first place and the number of those that are meant."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    index, rows, run, pitch, size, bad = args
    if spec.isa != "avx512" or v.size < 4:
        _single(v, one, part, *args)
        return
    alone = b.and_(b.icmp_signed("==", run, integer(1)), b.icmp_signed("==", pitch, integer(1)))
    whole = b.or_(alone, b.icmp_signed(">=", run, integer(v.lanes)))
    with b.if_else(whole) as (vectors, singles):
        with vectors:  # Single elements are a row of which all lanes have the same places.
            rows, run = b.select(alone, integer(1), rows), b.select(alone, rows, run)
            step = b.select(alone, integer(0), integer(v.size))
            _together(v, some, part, index, rows, run, pitch, size, bad, step)
        with singles:
            _single(v, one, part, *args)


def _single(v: Vectors, move: Callable, part, index, rows, run, pitch, size, bad) -> None:
    """One element after another."""
    b, index, one = v.b, v.pointer(index), integer(1)
    over = b.add(b.sub(pitch, run), one)
    # One loop over all elements: pixels of a few channels would spend their time in starting an inner one.
    with v.loop_or_none(b.mul(rows, run), integer(0), integer(0)) as (_, (i, lane), following):
        place, ahead = v.load_integer(v.offset(index, b.mul(i, integer(8)))), b.add(lane, one)
        last = b.icmp_signed("==", ahead, run)
        following += [b.add(i, b.select(last, over, one)), b.select(last, integer(0), ahead)]
        with b.if_else(b.icmp_unsigned("<", place, size), likely=True) as (good, otherwise):
            with good, b.if_then(_meant(b, place, part)):
                there = b.mul(b.add(b.mul(place, pitch), lane), integer(v.size))
                move(v, b.mul(i, integer(v.size)), there)
            with otherwise:
                b.store(one, v.pointer(bad, I64), align=8)


def _meant(b: ir.IRBuilder, place: ir.Value, part: list) -> ir.Value:
    """Whether a place, or each of a vector, is in a part."""
    if not part:
        return ir.Constant(I1, 1)
    return b.icmp_unsigned("<", b.sub(place, part[0]), part[1])


def _together(v: Vectors, move: Callable, part, index, rows, run, pitch, size, bad, step) -> None:
    """Vectors of elements, whose places lie `step` bytes apart before indices are counted."""
    b, number = v.b, Vectors(v.b, "i64", v.lanes)
    steps = b.mul(number.broadcast(step), ir.Constant(number.type, list(range(v.lanes))))
    pitches, sizes = number.broadcast(b.mul(pitch, integer(v.size))), number.broadcast(size)
    part = [number.broadcast(limit) for limit in part]
    astray = b.alloca(number.mask_type)
    b.store(ir.Constant(number.mask_type, [0] * v.lanes), astray)
    whole = b.sub(run, b.srem(run, integer(v.lanes)))
    left = v.opaque(b.sub(run, whole))
    with each(v, integer(0), rows, 1) as row:
        start = b.mul(row, pitch)

        def block(j, mask, start=start):
            """A vector, or some lanes of one."""
            i = b.add(start, j)
            at = v.offset(v.pointer(index), b.mul(i, integer(8)))
            place = number.load(at) if mask is None else number.load_masked(at, mask)
            good = b.icmp_unsigned("<", place, sizes)
            bits = b.not_(good)
            if mask is not None:
                good, bits = b.and_(good, mask), b.and_(bits, mask)
            b.store(b.or_(b.load(astray), bits), astray)
            good = b.and_(good, _meant(b, place, part)) if part else good
            # Most vectors of a part's task may have nothing to do with it.
            some = b.icmp_unsigned("!=", b.bitcast(good, ir.IntType(v.lanes)), ir.Constant(ir.IntType(v.lanes), 0))
            with b.if_then(some):
                there = b.add(b.add(b.mul(place, pitches), steps), number.broadcast(b.mul(j, step)))
                move(v, b.mul(i, integer(v.size)), there, mask, good)

        with each(v, integer(0), whole, v.lanes) as j:
            block(j, None)
        with b.if_then(b.icmp_signed(">", left, integer(0))):
            block(whole, v.first_lanes(left))
    bits = b.bitcast(b.load(astray), ir.IntType(v.lanes))
    with b.if_then(b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), likely=False):
        b.store(integer(1), v.pointer(bad, I64), align=8)


def _copy(v: Vectors, src: ir.Value, src_at: ir.Value, dst: ir.Value, dst_at: ir.Value) -> None:
    """One element."""
    to = v.b.bitcast(v.offset(v.pointer(dst), dst_at), v.scalar.as_pointer())
    v.b.store(v.load_scalar(v.offset(v.pointer(src), src_at)), to, align=v.size)


def _addresses(v: Vectors, array: ir.Value, offsets: ir.Value) -> ir.Value:
    return v.b.add(Vectors(v.b, "i64", v.lanes).broadcast(array), offsets)


@emitter("scatter")
def scatter(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, dst, index, rows, run, pitch, size, bad, first, count."""
    src, dst, *rest, first, count = args

    def some(v, at, there, mask, good):
        # Of lanes with one place the last stays, by LLVM's definition of a scattered store.
        at = v.offset(v.pointer(src), at)
        v.scatter(v.load(at) if mask is None else v.load_masked(at, mask), _addresses(v, dst, there), good)

    _each_index(b, name, rest, [first, count], lambda v, at, there: _copy(v, src, at, dst, there), some)


@emitter("lookup")
def lookup(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, dst, index, rows, run, pitch, size, bad."""
    src, dst, *rest = args

    def some(v, at, there, mask, good):
        v.store_lanes(v.gather(_addresses(v, src, there), good), v.offset(v.pointer(dst), at), good)

    _each_index(b, name, rest, [], lambda v, at, there: _copy(v, src, there, dst, at), some)
