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
    first = one(products, *addresses)
    lost = [v.zero()] * (len(first) - 1 - many)
    with v.loop_or_none(more, *first, *lost) as (_, state, following):
        before, lost = state[1 + many : len(first)], state[len(first) :]
        found = one(*state[: 1 + many])
        totals = [add_exactly(v, *pair, rest) for *pair, rest in zip(before, found[1 + many :], lost, strict=True)]
        following += [*found[: 1 + many], *(total for total, _ in totals), *(rest for _, rest in totals)]
    return [*following[1 : 1 + many], *joined(v, following[1 + many : len(first)], following[len(first) :])]


def add_exactly(v: Vectors, total: ir.Value, part: ir.Value, lost: ir.Value) -> tuple[ir.Value, ir.Value]:
    """total + part, and `lost` with what rounding took from it; D. E. Knuth, The Art of Computer Programming, 4.2.2."""
    b = v.b
    both = b.fadd(total, part)
    share = b.fsub(both, total)
    return both, b.fadd(lost, b.fadd(b.fsub(total, b.fsub(both, share)), b.fsub(part, share)))


def joined(v: Vectors, totals: list[ir.Value], lost: list[ir.Value]) -> list[ir.Value]:
    """The totals with what they lost; a total that is not finite lost nothing."""
    b = v.b
    return [
        b.select(b.fcmp_ordered("==", b.fsub(total, total), v.zero()), b.fadd(total, rest), total)
        for total, rest in zip(totals, lost, strict=True)
    ]


def added(v: Vectors, parts: list[list[ir.Value]]) -> list[ir.Value]:
    """The sums of some parts, one after the other."""
    totals, *others = parts
    if not others:
        return totals
    lost = [v.zero()] * len(totals)
    for part in others:
        pairs = [add_exactly(v, *sums) for sums in zip(totals, part, lost, strict=True)]
        totals, lost = [total for total, _ in pairs], [rest for _, rest in pairs]
    return joined(v, totals, lost)
