"""What a pool kernel's name says, on NumPy's numbers, and how such kernels are called."""

import ml_dtypes
import numpy as np
from pools import assert_close
from test_depthwise_grad_kernels import CALLS

from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.microkernels.names import parse

P = 2.5  # of norms
KINDS = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64, "i8": np.int8,
         "u8": np.uint8, "i32": np.int32}  # fmt: skip


@native("call_the_five", 4)
def call_five(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:6]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5)))


@native("call_the_others_six", 4)
def call_six(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:7]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6)))


@native("call_the_seven", 4)
def call_seven(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:8]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7)))  # fmt: skip


@native("call_the_others_eight", 4)
def call_eight(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:9]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7), peek(plan, 8)))  # fmt: skip


@native("call_the_twelve", 4)
def call_twelve(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:13]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7), peek(plan, 8), peek(plan, 9), peek(plan, 10), peek(plan, 11),
                           peek(plan, 12)))  # fmt: skip


@native("call_the_eighteen", 4)
def call_eighteen(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:19]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7), peek(plan, 8), peek(plan, 9), peek(plan, 10), peek(plan, 11),
                           peek(plan, 12), peek(plan, 13), peek(plan, 14), peek(plan, 15), peek(plan, 16),
                           peek(plan, 17), peek(plan, 18)))  # fmt: skip


@native("call_the_nine", 4)
def call_nine(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:10]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7), peek(plan, 8), peek(plan, 9)))  # fmt: skip


@native("call_the_fourteen", 4)
def call_fourteen(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:15]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4), peek(plan, 5), peek(plan, 6),
                           peek(plan, 7), peek(plan, 8), peek(plan, 9), peek(plan, 10), peek(plan, 11),
                           peek(plan, 12), peek(plan, 13), peek(plan, 14)))  # fmt: skip


@native("call_the_four", 4)
def call_four(plan, call, scratch, task):
    """Call the kernel at plan[0] with the operands plan[1:5]."""
    invoke(peek(plan, 0), (peek(plan, 1), peek(plan, 2), peek(plan, 3), peek(plan, 4)))


CALLS.update({4: call_four, 5: call_five, 6: call_six, 7: call_seven, 8: call_eight, 9: call_nine, 12: call_twelve,
              14: call_fourteen, 18: call_eighteen})  # fmt: skip


class Model:
    """What a kernel's name says, on NumPy's numbers."""

    def __init__(self, name, rng):
        spec = parse(name)
        self.name, self.words, self.lanes, self.rng = name, spec.variants, spec.lanes, rng
        self.stored, self.held = np.dtype(KINDS[spec.source]), np.dtype(KINDS[spec.dtype])
        self.source = self.held if "held" in self.words else self.stored
        self.keep, self.maximum = "keep" in self.words, "max" in self.words
        self.result = self.held if self.keep else self.stored
        self.number = next((np.dtype(k) for w, k in (("indices", "i4"), ("far", "i8")) if w in self.words), None)
        self.index = self.number if self.keep or self.number is None else np.dtype(np.int64)
        self.exponents = np.array([P, 1 / P, 1 - P, P - 1], self.held)
        self.lowest = np.iinfo(self.stored).min if self.stored.kind in "iu" else -np.inf

    def draw(self, *shape, kind=None):
        """Small integers; positive ones where they are raised to powers."""
        kind = kind or self.source
        low = 0 if {"power", "powerratio", "abspower", "powerroot", "root", "timespower"} & set(self.words) else -4
        return self.rng.integers(0 if self.stored.kind == "u" else low, 5, shape).astype(kind)

    def loaded(self, x, z):
        """What taps contribute."""
        x, z = np.asarray(x, np.float64), np.asarray(z, np.float64)
        powers = {"abs": np.abs(x), "square": x * x, "plain": x}
        (word,) = (w for w in self.words if w in (*powers, "power", "abspower", "ratio", "powerratio"))
        if word in powers:
            return powers[word]
        if word in ("power", "abspower"):
            return np.abs(x) ** P
        by = z if word == "ratio" else np.abs(z) ** (P - 1)
        return np.divide(x, by, out=np.zeros_like(x), where=z != 0)

    def reduced(self, terms, numbers, weights=None):
        """The result of a window's terms, in order, and the least index of a maximum."""
        numbers = np.zeros(len(terms)) if numbers is None else numbers
        if self.maximum:
            value = max(terms, default=self.lowest)
            return value, min((i for i, t in zip(numbers, terms, strict=True) if t == value), default=-1)
        return float(np.dot(terms, np.ones(len(terms)) if weights is None else weights)), -1

    def finished(self, value, divisor, scale, beside):
        """What becomes of it."""
        (word,) = (w for w in self.words if w in FINISHES)
        return FINISHES[word](value, divisor, scale, float(beside))

    def out(self, *shape):
        """Arrays for results and indices, with more than is to be written."""
        shape = (*shape[:-1], shape[-1] + 3)
        indices = None if self.index is None else np.full(shape, -7, self.index)
        return np.full(shape, 77, self.result), indices

    def check(self, y, indices, expected, found):
        """Nothing but the results was written."""
        wide = y.astype(np.float64)
        assert (wide[..., -3:] == 77).all()
        exact = set(self.words) <= {"plain", "abs", "max", "sum", "round", "keep", "across", "held", "indices", "far"}
        if exact or self.held.kind in "iu":
            np.testing.assert_array_equal(wide[..., :-3], expected)
        else:
            assert_close(y[..., :-3], np.asarray(expected, np.float64), self.name)
        if indices is not None:
            assert (indices[..., -3:] == -7).all()
            np.testing.assert_array_equal(indices[..., :-3], found)


FINISHES = {
    "keep": lambda value, divisor, scale, x: value,
    "round": lambda value, divisor, scale, x: value,
    "divide": lambda value, divisor, scale, x: value / divisor,
    "scale": lambda value, divisor, scale, x: value * scale,
    "root": lambda value, divisor, scale, x: (value * scale) ** 0.5,
    "powerroot": lambda value, divisor, scale, x: (value * scale) ** (1 / P),
    "timesx": lambda value, divisor, scale, x: value * x,
    "timespower": lambda value, divisor, scale, x: value * x ** (P - 1),
}
