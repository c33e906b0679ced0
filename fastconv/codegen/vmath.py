"""Exponential, sigmoid, tanh and the normal distribution function on vectors, without calls to a scalar library.

Every function takes and returns IR values of a `Vectors` type; NaN goes through, infinities give the limits.
"""

from __future__ import annotations

import math

from llvmlite import ir

from fastconv.codegen.vector import I32, I64, Vectors

# ln 2 in two parts whose first has trailing zeros, so that n * LN2[0] is exact; then where exp overflows or vanishes,
# the bits of the mantissa, and 1.5 * 2**bits: adding it rounds to an integer and leaves that integer in the low bits.
_LN2 = {
    "f32": (0.693359375, -2.12194440054690583e-4),
    "f64": (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
_RANGE = {"f32": (-87.0, 88.3), "f64": (-708.0, 709.4)}
_MANTISSA = {"f32": 23, "f64": 52}
_TERMS = {
    "f32": 7,
    "f64": 13,
}  # of exp's Taylor series on |r| <= ln(2) / 2: the next term is below half an ulp

# (1 + 2 t) exp(t^2) erfc(t) as a polynomial in u = (t - 3.75) / (t + 3.75), t >= 0, to 4e-18: Chebyshev interpolation
# in 60 digits. The form is from M. Shepherd, J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in
# 0 <= x < inf", Math. Comp. 36 (1981).
_ERFC = (
    1.2375126308378275, -0.14024059858554697, 0.0035854154854644293, 0.0822767384901452, -0.10880393014174886,
    0.09230432116037748, -0.05869339858963678, 0.028362277418956406, -0.009746579558029269, 0.0017556258528952811,
    0.0002937136655912978, -0.0002901540805407804, 5.164909889286232e-05, 2.2384239154913275e-05,
    -1.144414623815191e-05, -9.735598964328064e-07, 1.751637649601541e-06, -5.7218230958346924e-08,
    -2.5866850798706725e-07, 2.3263508968392438e-08, 3.867533481457039e-08, -3.744210188699918e-09,
    -5.173990441239732e-09, 3.111433574798822e-10, 4.2514718382857137e-10,
)  # fmt: skip


def horner(v: Vectors, t: ir.Value, coefficients) -> ir.Value:
    """The polynomial with these coefficients, lowest first."""
    total = v.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = v.fma(total, t, v.constant(coefficient))
    return total


def _clamp(v: Vectors, t: ir.Value, low: float, high: float) -> ir.Value:
    """t held within [low, high]; NaN stays NaN."""
    t = v.where_less(t, v.constant(low), v.constant(low), t)
    return v.where_less(v.constant(high), t, v.constant(high), t)


def _exp_parts(v: Vectors, t: ir.Value) -> tuple[ir.Value, ir.Value]:
    """(2**n, e**r - 1) with t = n ln 2 + r, |r| <= ln(2) / 2."""
    b, bits = v.b, _MANTISSA[v.dtype]
    magic = v.constant(1.5 * 2.0**bits)
    shifted = v.fma(t, v.constant(1 / math.log(2)), magic)
    n = b.fsub(shifted, magic)
    high, low = _LN2[v.dtype]
    r = v.fma(n, v.constant(-high), t)
    r = v.fma(n, v.constant(-low), r)
    series = horner(v, r, [1 / math.factorial(k) for k in range(1, _TERMS[v.dtype] + 1)])
    whole = ir.VectorType(I32 if v.dtype == "f32" else I64, v.lanes)
    exponent = b.shl(b.bitcast(shifted, whole), ir.Constant(whole, [bits] * v.lanes))
    one = b.bitcast(v.constant(1.0), whole)
    return b.bitcast(b.add(exponent, one), v.type), b.fmul(r, series)


def exp(v: Vectors, t: ir.Value) -> ir.Value:
    """e**t; infinity above the range of normal numbers, zero below it."""
    low, high = _RANGE[v.dtype]
    scale, less_one = _exp_parts(v, _clamp(v, t, low, high))
    result = v.fma(scale, less_one, scale)
    result = v.where_less(t, v.constant(low), v.zero(), result)
    return v.where_less(v.constant(high), t, v.constant(math.inf), result)


def sigmoid(v: Vectors, t: ir.Value) -> ir.Value:
    """1 / (1 + e**-t)."""
    one = v.constant(1.0)
    return v.b.fdiv(one, v.b.fadd(one, exp(v, v.b.fneg(t))))


def silu(v: Vectors, t: ir.Value) -> ir.Value:
    """t / (1 + e**-t); NaN at minus infinity, as the definition has it."""
    return v.b.fdiv(t, v.b.fadd(v.constant(1.0), exp(v, v.b.fneg(t))))


def tanh(v: Vectors, t: ir.Value) -> ir.Value:
    """With m = e**(2|t|) - 1: m / (m + 2), exact in relative terms near zero too, and t's sign."""
    b = v.b
    doubled = absolute(v, b.fadd(t, t))
    limit = 40.0
    scale, less_one = _exp_parts(v, _clamp(v, doubled, 0.0, limit))
    m = v.fma(scale, less_one, b.fsub(scale, v.constant(1.0)))
    result = b.fdiv(m, b.fadd(m, v.constant(2.0)))
    return v.call(f"llvm.copysign.v{v.lanes}{v.dtype}", v.type, result, t)


def absolute(v: Vectors, t: ir.Value) -> ir.Value:
    """|t|."""
    return v.call(f"llvm.fabs.v{v.lanes}{v.dtype}", v.type, t)


def normal_cdf(v: Vectors, x: ir.Value) -> ir.Value:
    """(1 + erf(x / sqrt 2)) / 2, from erfc(|x| / sqrt 2) so that neither tail cancels."""
    b = v.b
    t = b.fmul(absolute(v, x), v.constant(math.sqrt(0.5)))
    t = _clamp(v, t, 0.0, 40.0)
    centre = v.constant(3.75)
    u = b.fdiv(b.fsub(t, centre), b.fadd(t, centre))
    numerator = b.fmul(horner(v, u, _ERFC), exp(v, b.fneg(b.fmul(t, t))))
    half = b.fmul(v.constant(0.5), b.fdiv(numerator, v.fma(t, v.constant(2.0), v.constant(1.0))))
    return v.where_less(x, v.zero(), half, b.fsub(v.constant(1.0), half))
