"""Sums in parts, for precision="strict": products are added up a part at a time, then the parts to one another."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from fastconv.codegen.vector import Vectors, integer


def in_parts(v: Vectors, products: ir.Value, part: ir.Value, add_up: Callable, *addresses: ir.Value) -> list[ir.Value]:
    """add_up(products, *addresses) with its sums formed in parts of `part` products.

    It gives the addresses of what follows, then sums. Those of the parts before wait in memory: LLVM spills them around
    a part's loop, so that the part has the registers.
    """
    b, many = v.b, len(addresses)

    def one(left, *addresses):
        some = b.select(b.icmp_signed("<", left, part), left, part)
        return b.sub(left, some), *add_up(some, *addresses)

    more = b.sdiv(b.sub(products, integer(1)), part)  # parts besides the first
    with v.loop_or_none(more, *one(products, *addresses)) as (_, state, following):
        before, found = state[1 + many :], one(*state[: 1 + many])
        following += found[: 1 + many]
        following += [b.fadd(total, sum_) for total, sum_ in zip(before, found[1 + many :], strict=True)]
    return following[1:]
