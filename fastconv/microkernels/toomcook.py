"""Winograd's minimal filtering F(m, r), from interpolation points: m outputs of an r-tap filter in m + r - 1 products.

    y = A^T [ (G w) * (B^T x) ]        x: a = m + r - 1 inputs, w: r taps, y: m outputs

The construction is Toom-Cook's, transposed (Blahut, Fast Algorithms for Signal Processing, 5.4; Barabasz et al., Error
Analysis and Improving the Accuracy of Winograd Convolution, 2020): with points p and M = product of (x - p), the row of
B^T for p holds the coefficients of M / (x - p), the column of A^T the powers of p, and the row of G the same powers
divided by (M / (x - p)) at p. The last point is infinity: M itself, and the leading coefficients.

The gradient of w is the transpose of all this, for each tile of y's gradient: dw = G^T [ (A dy) * (B^T x) ]. Products
may be summed over any tiles before G^T.

A stride splits a filter into phases: taps p, p + stride, ... see inputs p, p + stride, ... at stride 1. Their products
stand one after the other and y is the sum of the phases' y. The products of a phase of one tap are that tap's, so they
share one value of G w. 3 taps at stride 2 take m + 1 and m products instead of 3 m, four outputs in both dimensions
81 instead of 144, from 36 different values of w.

The transforms are functions on lists of values and four words of `ops`: so Fractions, NumPy arrays and registers all
go through the same code. Points come as p, -p pairs where they can, which share most of their work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol

F = Fraction
# Finite points by how many a transform has, a - 1: those with the smallest errors among fractions that float32 holds,
# as their products are, by a search over random data. Pairs p, -p share work; an even number does better without 0.
POINTS: dict[int, tuple[Fraction, ...]] = {
    0: (),
    1: (F(0),),
    2: (F(3, 4), F(-3, 4)),
    3: (F(0), F(1), F(-1)),
    4: (F(13, 32), F(-13, 32), F(5, 4), F(-5, 4)),
    5: (F(0), F(21, 32), F(-21, 32), F(49, 32), F(-49, 32)),
    6: (F(5, 16), F(-5, 16), F(7, 8), F(-7, 8), F(13, 8), F(-13, 8)),
    7: (F(0), F(1), F(-1), F(2), F(-2), F(1, 2), F(-1, 2)),
}


class Ops(Protocol):
    """What transforms do with values; numbers are exact."""

    def add(self, a: Any, b: Any) -> Any:
        """a + b."""

    def sub(self, a: Any, b: Any) -> Any:
        """a - b."""

    def mul(self, value: Any, number: Fraction) -> Any:
        """value * number."""

    def fma(self, value: Any, number: Fraction, addend: Any) -> Any:
        """value * number + addend."""


def points(m: int, r: int) -> tuple[Fraction, ...]:
    """The finite points of F(m, r)."""
    return POINTS[m + r - 2]


def phases(r: int, stride: int) -> list[int]:
    """Taps of each phase of r."""
    return [len(range(phase, r, stride)) for phase in range(min(r, stride))]


def products(m: int, r: int, stride: int) -> int:
    """How many products m outputs of r taps take."""
    return sum(m + taps - 1 for taps in phases(r, stride))


def weights(m: int, r: int, stride: int) -> list[int]:
    """For each product, which value of G w it takes."""
    found: list[int] = []
    for taps in phases(r, stride):
        first = max(found, default=-1) + 1
        found += [first + i * (taps > 1) for i in range(m + taps - 1)]
    return found


def times(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients, lowest first, of the product of (x - root)."""
    product = [F(1)]
    for root in roots:
        shifted = [F(0), *product]
        product = [high - root * low for high, low in zip(shifted, [*product, F(0)], strict=True)]
    return product


def _add(ops: Ops, value: Any, number: Fraction, addend: Any) -> Any:
    """value * number + addend, without the product if the number is 1 or -1."""
    if number == 1:
        return ops.add(addend, value)
    return ops.sub(addend, value) if number == -1 else ops.fma(value, number, addend)


def _dot(ops: Ops, values: Sequence[Any], numbers: Sequence[Fraction]) -> Any:
    """The sum of value * number; the last factor that is 1 starts it, zeros cost nothing."""
    terms = [(value, number) for value, number in zip(values, numbers, strict=True) if number != 0]
    ones = [i for i, (_, number) in enumerate(terms) if number == 1]
    value, number = terms.pop(ones[-1] if ones else -1)
    total = value if number == 1 else ops.mul(value, number)
    for value, number in reversed(terms):
        total = _add(ops, value, number, total)
    return total


def pairs(finite: Sequence[Fraction]) -> list[tuple[int, int | None]]:
    """Indices of points, each with that of its opposite, or None."""
    found: list[tuple[int, int | None]] = []
    for i, p in enumerate(finite):
        opposite = finite.index(-p) if p != 0 and -p in finite else None
        if opposite is None or i < opposite:
            found.append((i, opposite))
    return found


def scales(finite: Sequence[Fraction]) -> list[Fraction]:
    """For each point, one over the product of its differences to the others."""
    return [F(1) / math.prod((p - q for q in finite if q != p), start=F(1)) for p in finite]


def _by_phases(transform, ops: Ops, values: Sequence[Any], m: int, r: int, stride: int) -> list[Any]:
    """The transforms of all phases, one after the other."""
    split = enumerate(phases(r, stride))
    return [value for phase, taps in split for value in transform(ops, values[phase::stride], m, taps)]


def transform_input(ops: Ops, x: Sequence[Any], m: int, r: int, stride: int = 1) -> list[Any]:
    """B^T x: the values of (m - 1) stride + r inputs."""
    if stride > 1:
        return _by_phases(transform_input, ops, x, m, r, stride)
    if r == 1:
        return list(x)
    finite = points(m, r)
    out: list[Any] = [None] * (len(finite) + 1)
    for i, j in pairs(finite):
        rest = times([p for k, p in enumerate(finite) if k not in (i, j)])
        if j is None:
            out[i] = _dot(ops, x[:-1], rest)
        else:  # (x + p) R and (x - p) R
            low, high = _dot(ops, x[: len(rest)], rest), _dot(ops, x[1 : len(rest) + 1], rest)
            out[i], out[j] = (_add(ops, low, p, high) for p in (finite[i], finite[j]))
    out[-1] = _dot(ops, x, times(finite))
    return out


def transform_weight(ops: Ops, w: Sequence[Any], m: int, r: int, stride: int = 1) -> list[Any]:
    """G w: the different values of r taps; `weights` says which products they are for."""
    if stride > 1:
        return _by_phases(transform_weight, ops, w, m, r, stride)
    if r == 1:
        return list(w)
    finite = points(m, r)
    out = [_dot(ops, w, [p**e * scale for e in range(r)]) for p, scale in zip(finite, scales(finite), strict=True)]
    return [*out, w[-1]]


def transform_output(ops: Ops, products: Sequence[Any], m: int, r: int, stride: int = 1) -> list[Any]:
    """A^T z: m outputs of all products."""
    if stride > 1:
        y, first = [], 0
        for taps in phases(r, stride):
            part = transform_output(ops, products[first : first + m + taps - 1], m, taps)
            y, first = [ops.add(*both) for both in zip(y, part, strict=True)] if first else part, first + m + taps - 1
        return y
    if r == 1:
        return list(products)
    finite = points(m, r)
    terms: list[tuple[Fraction, Any, Any]] = []  # point, what its even powers multiply, what its odd powers multiply
    for i, j in pairs(finite):
        if j is None:
            terms.append((finite[i], products[i], products[i]))
        else:
            both = ops.add(products[i], products[j]), ops.sub(products[i], products[j])
            terms.append((finite[i], *both))
    out = []
    for power in range(m):
        numbers = [p**power for p, _, _ in terms]
        values = [odd if power % 2 else even for _, even, odd in terms]
        if power == m - 1:
            numbers, values = [*numbers, F(1)], [*values, products[-1]]
        out.append(_dot(ops, values, numbers))
    return out


def transform_output_grad(ops: Ops, dy: Sequence[Any], m: int, r: int, stride: int = 1) -> list[Any]:
    """A dy: the values of m outputs for all products."""
    if stride > 1:
        return [value for taps in phases(r, stride) for value in transform_output_grad(ops, dy, m, taps)]
    if r == 1:
        return list(dy)
    finite = points(m, r)
    out: list[Any] = [None] * (len(finite) + 1)
    for i, j in pairs(finite):
        p = finite[i]
        if j is None:
            out[i] = _dot(ops, dy, [p**e for e in range(m)])
        elif m == 1:
            out[i] = out[j] = dy[0]
        else:
            even, odd = (_dot(ops, part, [p ** (2 * e) for e in range(len(part))]) for part in (dy[::2], dy[1::2]))
            out[i], out[j] = (_add(ops, odd, point, even) for point in (p, finite[j]))
    out[-1] = dy[-1]
    return out


def transform_weight_grad(ops: Ops, products: Sequence[Any], m: int, r: int, stride: int = 1) -> list[Any]:
    """G^T z: r taps of the products, added up where they share a value of G w."""
    if stride > 1:
        dw: list[Any] = [None] * r
        for phase, taps in enumerate(phases(r, stride)):
            size = max(weights(m, taps, 1)) + 1
            dw[phase::stride] = transform_weight_grad(ops, products[:size], m, taps)
            products = products[size:]
        return dw
    if r == 1:
        return list(products)
    factors = scales(points(m, r))
    scaled = [z if f == 1 else ops.mul(z, f) for z, f in zip(products[:-1], factors, strict=True)]
    return transform_output(ops, [*scaled, products[-1]], r, m)
