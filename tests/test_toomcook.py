"""The 1-D transforms of every F(m, r), in exact arithmetic: from the definition, and against textbook matrices."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv.microkernels import toomcook
from fastconv.microkernels.winograd import STRIDED_TILES, TILES

MEMBERS = [(m, r) for r, sizes in TILES.items() for m in sizes]
EACH = pytest.mark.parametrize(("m", "r"), MEMBERS, ids=lambda v: str(v))
STRIDED = [(m, r, 1) for m, r in MEMBERS] + [(m, r, 2) for r, sizes in STRIDED_TILES.items() for m in sizes]
STRIDED += [(3, 7, 3), (2, 3, 4), (1, 1, 2)]  # nothing is special about strides of 2
AT_ANY_STRIDE = pytest.mark.parametrize(("m", "r", "stride"), STRIDED, ids=lambda v: str(v))


class Exact:
    """`toomcook.Ops` on Fractions or arrays of them, which counts."""

    def __init__(self):
        self.count = 0

    def _done(self, value):
        self.count += 1
        return value

    def add(self, a, b):
        return self._done(a + b)

    def sub(self, a, b):
        return self._done(a - b)

    def mul(self, value, number):
        return self._done(value * number)

    def fma(self, value, number, addend):
        return self._done(value * number + addend)


def matrix(transform, size, m, r):
    """A linear transform's matrix, from what it does to unit vectors."""
    units = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)])
    return np.array([value + units[0] * 0 for value in transform(Exact(), list(units), m, r)])


def matrices(m, r):
    """(A^T, G, B^T)."""
    a = m + r - 1
    return (matrix(toomcook.transform_output, a, m, r), matrix(toomcook.transform_weight, r, m, r),
            matrix(toomcook.transform_input, a, m, r))  # fmt: skip


NUMBERS = st.integers(-1000, 1000).map(Fraction)


def drawn(data, count):
    """Some numbers."""
    return data.draw(st.lists(NUMBERS, min_size=count, max_size=count))


@AT_ANY_STRIDE
@given(data=st.data())
def test_filters_as_defined(m, r, stride, data):
    x, w, ops = drawn(data, (m - 1) * stride + r), drawn(data, r), Exact()
    v, u = (f(ops, a, m, r, stride) for f, a in ((toomcook.transform_input, x), (toomcook.transform_weight, w)))
    shared = toomcook.weights(m, r, stride)
    assert len(v) == len(shared) == toomcook.products(m, r, stride) and set(shared) == set(range(len(u)))
    y = toomcook.transform_output(ops, [p * u[i] for p, i in zip(v, shared, strict=True)], m, r, stride)
    assert y == [sum(w[j] * x[i * stride + j] for j in range(r)) for i in range(m)]


@AT_ANY_STRIDE
@given(data=st.data())
def test_weight_gradients_as_defined(m, r, stride, data):
    x, dy, ops = drawn(data, (m - 1) * stride + r), drawn(data, m), Exact()
    v = toomcook.transform_input(ops, x, m, r, stride)
    d = toomcook.transform_output_grad(ops, dy, m, r, stride)
    shared = toomcook.weights(m, r, stride)
    sums = [Fraction(0)] * (max(shared) + 1)
    for p, q, i in zip(v, d, shared, strict=True):
        sums[i] += p * q
    dw = toomcook.transform_weight_grad(ops, sums, m, r, stride)
    assert dw == [sum(dy[i] * x[i * stride + j] for i in range(m)) for j in range(r)]


def test_products_of_a_stride():
    """3 taps at stride 2: m + 1 and m products, these of one tap; 5 taps: of 3 and of 2."""
    assert (toomcook.phases(3, 2), toomcook.products(4, 3, 2), toomcook.products(4, 5, 2)) == ([2, 1], 9, 11)
    assert toomcook.weights(4, 3, 2) == [0, 1, 2, 3, 4, 5, 5, 5, 5]


@EACH
def test_sizes(m, r):
    a = m + r - 1
    assert [t.shape for t in matrices(m, r)] == [(m, a), (a, r), (a, a)]


@EACH
def test_points_are_distinct(m, r):
    finite = toomcook.points(m, r)
    assert len(set(finite)) == len(finite) == m + r - 2


@EACH
def test_constants_of_x_and_y_are_exact(m, r):
    """Rounded constants would err as much as the sums do; those of G are applied in float64."""
    at, _, bt = matrices(m, r)
    assert all(Fraction(float(np.float32(float(c)))) == c for t in (at, bt) for c in t.flat)


@EACH
def test_matrices_are_the_textbooks(m, r):
    """Rows of B^T: coefficients of M / (x - p), and M; of G: powers over the product of differences; A: powers."""
    finite = toomcook.points(m, r)
    at, g, bt = matrices(m, r)

    def polynomial(roots):
        # NumPy's product of (x - root), highest power first, on Fractions.
        coefficients = np.array([Fraction(1)])
        for root in roots:
            coefficients = np.convolve(coefficients, np.array([Fraction(1), -root]))
        return coefficients[::-1]

    for i, p in enumerate(finite):
        others = [q for q in finite if q != p]
        scale = np.prod([p - q for q in others]) if others else Fraction(1)
        assert list(bt[i]) == [*polynomial(others), 0]
        assert list(g[i]) == [p**e / scale for e in range(r)]
        assert list(at[:, i]) == [p**e for e in range(m)]
    assert list(bt[-1]) == list(polynomial(finite))
    assert list(g[-1]) == [0] * (r - 1) + [1]
    assert list(at[:, -1]) == [0] * (m - 1) + [1]


# Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, section 4.1, with the points 0, 1, -1.
LAVIN = (
    [[1, 1, 1, 0], [0, 1, -1, -1]],
    [[1, 0, 0], [Fraction(1, 2)] * 3, [Fraction(1, 2), Fraction(-1, 2), Fraction(1, 2)], [0, 0, 1]],
    [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
)


def test_f23_is_lavins_up_to_scaling():
    """Each product may be scaled by a factor in one transform and its inverse in another, and nothing else."""
    (at, g, bt), (at2, g2, bt2) = matrices(2, 3), (np.array(t) for t in LAVIN)

    def ratio(ours, theirs):
        factors = {a / b for a, b in zip(ours, theirs, strict=True) if b != 0}
        assert len(factors) == 1 and all((a == 0) == (b == 0) for a, b in zip(ours, theirs, strict=True))
        return factors.pop()

    assert toomcook.points(2, 3) == (0, 1, -1)
    for i in range(4):
        assert ratio(at[:, i], at2[:, i]) * ratio(g[i], g2[i]) * ratio(bt[i], bt2[i]) == 1


# (m, r): operations of the input's and the output's transform; fused multiply-adds count as one.
OPERATIONS = {(2, 3): (4, 4), (4, 3): (12, 12), (6, 3): (24, 20)}


@pytest.mark.parametrize(("m", "r"), OPERATIONS)
def test_operations(m, r):
    counts = []
    for transform in (toomcook.transform_input, toomcook.transform_output):
        ops = Exact()
        transform(ops, [Fraction(1)] * (m + r - 1), m, r)
        counts.append(ops.count)
    assert tuple(counts) == OPERATIONS[m, r]


@EACH
def test_float64_rounds_little(rng, m, r):
    """The same code on arrays: what is wrong in a constant would show as an error far above rounding."""
    x, w = rng.normal(size=(m + r - 1, 500)), rng.normal(size=(r, 500))

    class Arrays(Exact):
        def mul(self, value, number):
            return value * float(number)

        def fma(self, value, number, addend):
            return value * float(number) + addend

    ops = Arrays()
    u, v = toomcook.transform_weight(ops, list(w), m, r), toomcook.transform_input(ops, list(x), m, r)
    y = np.array(toomcook.transform_output(ops, [p * q for p, q in zip(u, v, strict=True)], m, r))
    expected = np.array([sum(w[j] * x[i + j] for j in range(r)) for i in range(m)])
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)
