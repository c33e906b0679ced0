"""What a pool kernel's name says, on NumPy's numbers."""

import ml_dtypes
import numpy as np
from pools import assert_close

from fastconv.microkernels.names import parse

P = 2.5  # of norms
KINDS = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64, "i8": np.int8,
         "u8": np.uint8, "i32": np.int32}  # fmt: skip


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

    def agree(self, y, expected):
        """Maxima are exact, sums within what their type allows."""
        if self.maximum:
            np.testing.assert_array_equal(y.astype(np.float64), expected)
        else:
            assert_close(y, expected, self.name)

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
