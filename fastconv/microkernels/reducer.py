"""What the variants of a pool kernel's name mean, as operations on vectors."""

from __future__ import annotations

import math

from llvmlite import ir

from fastconv.codegen.vector import I32, SIZE, Vectors
from fastconv.codegen.vmath import absolute
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, narrow

LOADS = ("plain", "abs", "square", "power", "abspower", "ratio", "powerratio")
QUICK = ("plain", "abs", "square")  # loads of an instruction at most: windows may share rows, or be taken in one pass
FINISHES = ("keep", "round", "divide", "scale", "root", "powerroot", "timesx", "timespower")
LEAST = {"i8": -128, "u8": 0, "i32": -(2**31)}


class Reducer:
    """What a name's variants mean, as operations on vectors. A state is [value], or [value, index]."""

    def __init__(self, b: ir.IRBuilder, name: str):
        spec = parse(name)
        self.b, self.spec, self.words = b, spec, set(spec.variants)
        self.v = Vectors(b, spec.dtype, spec.lanes)
        self.load_word = next((word for word in LOADS if word in self.words), "plain")
        self.finish_word = next(word for word in FINISHES if word in self.words)
        self.maximum = "max" in self.words
        self.indexed = not self.words.isdisjoint({"indices", "far"})
        self.stored = spec.source
        self.source = Source(self.v, spec.dtype if "held" in self.words else spec.source)
        self.number = Vectors(b, "i32" if "indices" in self.words else "i64", spec.lanes) if self.indexed else None
        self.integral = isinstance(self.v.scalar, ir.IntType)

    # Elements -----------------------------------------------------------------------------------------------

    def identity(self) -> list[ir.Value]:
        """The state of a window without taps."""
        v = self.v
        if not self.maximum:
            return [v.zero()]
        least = v.constant(LEAST[self.stored] if self.integral else -math.inf)
        return [least, self.number.constant(-1)] if self.indexed else [least]

    def load(self, pointer, mask=None):
        """An element of every lane."""
        return self.source.vector(pointer, mask)

    def transformed(self, x, pointer, mask, exponents, beyond):
        """What a tap contributes; the second array's elements lie `beyond` bytes after x's."""
        v, b, word = self.v, self.b, self.load_word
        if word in ("abs", "abspower"):
            x = absolute(v, x)
        if word in ("power", "abspower"):
            return power(v, x, self.exponent(exponents, 0))
        if word == "square":
            return b.fmul(x, x)
        if word in ("ratio", "powerratio"):
            z = self.load(v.offset(pointer, beyond), mask)
            ratio = b.fdiv(x, z) if word == "ratio" else b.fmul(x, power(v, z, self.exponent(exponents, 2)))
            return b.select(b.fcmp_unordered("!=", z, v.zero()), ratio, v.zero())
        return x

    def exponent(self, address, which: int):
        """One of p, 1 / p, 1 - p, p - 1, as they lie at an address."""
        v = self.v
        return v.load_scalar(v.offset(v.pointer(address), which * v.size))

    def absorb(self, state, x, index=None, weight=None, ordered=False):
        """The state after one more element; `ordered`: its index is above all before."""
        b, v = self.b, self.v
        if weight is not None:
            return [v.fma(weight, x, state[0])]
        if not self.maximum:
            return [b.fadd(state[0], x)]
        value = state[0]
        if self.indexed and ordered:
            # The first of equals stays, and the last NaN.
            better = b.icmp_signed(">", x, value) if self.integral else b.fcmp_ordered(">", x, value)
            if not self.integral:
                better = b.or_(better, b.fcmp_unordered("uno", x, x))
            return [b.select(better, x, value), b.select(better, index, state[1])]
        if self.integral:
            greater, equal = b.icmp_signed(">", x, value), b.icmp_signed("==", x, value)
        else:
            # Two instructions: one maximum that gives x if either is NaN, under a mask that keeps a NaN once there.
            higher = b.select(b.fcmp_ordered(">", value, x), value, x)
            greater, equal = b.fcmp_ordered(">", x, value), b.fcmp_ordered("==", x, value)
        if not self.indexed:
            if self.integral:
                return [b.select(greater, x, value)]
            return [b.select(b.fcmp_ordered("ord", value, value), higher, value)]
        earlier = b.icmp_unsigned("<", index, state[1])
        better = b.or_(greater, b.and_(equal, earlier))
        if not self.integral:
            # The first of equals, but the last NaN, whose index is compared too: rows are reduced after their columns.
            later = b.or_(b.fcmp_ordered("ord", value, value), b.not_(earlier))
            better = b.or_(better, b.and_(b.fcmp_unordered("uno", x, x), later))
        return [b.select(better, x, value), b.select(better, index, state[1])]

    # Results ------------------------------------------------------------------------------------------------

    def finished(self, value, factors, exponents, beside):
        """The result of a window; `factors()` gives (divisor, reciprocal or scale), `beside()` x's elements there."""
        b, v, word = self.b, self.v, self.finish_word
        if word == "divide":
            return divided(v, value, *factors())
        if word in ("scale", "root", "powerroot"):
            value = b.fmul(value, factors()[1])
        if word == "root":
            return v.call(f"llvm.sqrt.v{v.lanes}{v.dtype}", v.type, value)
        if word == "powerroot":
            return power(v, value, self.exponent(exponents, 1))
        if word == "timesx":
            return b.fmul(value, beside())
        if word == "timespower":
            return b.fmul(value, power(v, beside(), self.exponent(exponents, 3)))
        return value

    @property
    def width(self) -> int:
        """Bytes of an element of dst."""
        return self.v.size if self.finish_word == "keep" else SIZE[self.stored]

    def store(self, value, pointer, mask):
        """The result's valid lanes."""
        if self.finish_word == "keep":
            self.v.store_masked(value, pointer, mask)
        else:
            Vectors(self.b, self.stored, self.v.lanes).store_masked(narrow(self.v, value, self.stored), pointer, mask)

    def store_index(self, index, pointer, mask):
        """Indices: to scratch as they are, to the caller's array as 64 bits."""
        if self.finish_word == "keep" or self.number.dtype == "i64":
            self.number.store_masked(index, pointer, mask)
        else:
            wide = Vectors(self.b, "i64", self.v.lanes)
            wide.store_masked(self.b.sext(index, wide.type), pointer, mask)

    @property
    def index_width(self) -> int:
        """Bytes of an index in dst."""
        return self.number.size if self.finish_word == "keep" else 8


def divided(v: Vectors, s, divisor, reciprocal):
    """s / divisor, rounded as a division is, in three multiplications: a division of 16 lanes takes ten cycles.

    P. Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", 1990. Where the rest is
    NaN (s is infinite or NaN) or zero, the product is the result.
    """
    b = v.b
    product = b.fmul(s, reciprocal)
    rest = v.fma(b.fneg(product), divisor, s)
    return b.select(b.fcmp_ordered("!=", rest, v.zero()), v.fma(rest, reciprocal, product), product)


def power(v: Vectors, x, exponent):
    """x ** exponent, lane by lane, by the C library."""
    b = v.b
    result = ir.Constant(v.type, ir.Undefined)
    for lane in range(v.lanes):
        at = ir.Constant(I32, lane)
        raised = v.call(f"llvm.pow.{v.dtype}", v.scalar, b.extract_element(x, at), exponent)
        result = b.insert_element(result, raised, at)
    return result
