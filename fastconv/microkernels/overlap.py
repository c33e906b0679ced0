"""Sums of pieces that overlap: what brings windows back to where they were taken from.

overlap   dst[i][j] = round( sum over t < taps, low[t] <= j < high[t], of src[t][i][j] ),  i < rows, j < columns
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, each, narrow

PIECE_WORDS = 3  # of the table, a piece: the address of its element for j = 0, whether or not it has one; low; high


@emitter("overlap")
def overlap(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: table, taps, dst, columns, low, high, rows, step, pitch: all pieces have all of [low, high); bytes
    from row to row of pieces, and of dst."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    source = Source(v, spec.source)
    table, taps, dst, columns, low, high, rows, step, pitch = args
    size, lanes = integer(source.narrow.size), integer(v.lanes)

    def summed(j, row, inside):
        """The sums of the vector at j; `inside`: all pieces have all of it."""
        with v.loop_or_none(taps, v.pointer(table), v.zero()) as (_, (piece, before), following):
            at = v.offset(v.pointer(v.load_integer(piece)), b.add(row, b.mul(j, size)))
            mask = None
            if not inside:
                ends = [b.sub(v.load_integer(v.offset(piece, 8 * word)), j) for word in (1, 2)]
                without, up_to = map(v.first_lanes, ends)
                mask = b.and_(up_to, b.not_(without))
            following += [v.offset(piece, 8 * PIECE_WORDS), b.fadd(before, source.vector(at, mask))]
        return narrow(v, following[1], spec.source)

    with v.loop_or_none(rows, v.pointer(dst), integer(0)) as (_, (line, row), following):
        with each(v, integer(0), columns, v.lanes) as j:
            to = v.offset(line, b.mul(j, size))
            whole = b.and_(b.icmp_signed(">=", j, low), b.icmp_signed("<=", b.add(j, lanes), high))
            with b.if_else(whole) as (then, otherwise):
                with then:
                    source.narrow.store(summed(j, row, True), to)
                with otherwise:
                    source.narrow.store_masked(summed(j, row, False), to, v.first_lanes(b.sub(columns, j)))
        following += [v.offset(line, pitch), b.add(row, step)]
