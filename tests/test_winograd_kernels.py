"""Winograd's transforms against NumPy, on every instruction set this CPU can run."""

import numpy as np
import pytest
from forced import axes_of, member
from kernels import call
from test_amx_kernels import lanes_panel, rows_panel
from test_microkernels import ISAS, aligned
from test_toomcook import Exact

from fastconv.microkernels import toomcook
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import parse
from fastconv.target import host

pytestmark = [
    pytest.mark.parametrize("isa", ISAS),
    pytest.mark.parametrize("dtype", ["f32", "f64"]),
    pytest.mark.parametrize("which", [member(w) for w in ("2x2k3x3", "4x4k3x3", "6x6k3x3", "4x4k2x3", "2x2k5x3",
                                                          "1x6k1x3", "4x1k4x1", "2x2k7x7", "4x4k3x3s2x2",
                                                          "2x2k5x5s2x2", "1x4k1x10s1x5")],
                            ids=lambda m: m.variant),
]  # fmt: skip
TILES, UNTOUCHED = 3, -7777.0


class Float64(Exact):
    """`toomcook.Ops` on float64 arrays."""

    def mul(self, value, number):
        return value * float(number)

    def fma(self, value, number, addend):
        return value * float(number) + addend


def both(transform, values, sizes):
    """A transform along the first two axes of an array, whose `sizes` are (m, r, stride) of each."""
    ops = Float64()
    rows = np.array(transform(ops, list(values.astype(np.float64)), *sizes[0]))
    return np.stack(transform(ops, list(np.moveaxis(rows, 1, 0)), *sizes[1]), axis=1)


def near(found, expected, kind, largest):
    """Equal but for rounding on the way: a few units of the largest value there."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=64 * np.finfo(kind).eps * max(1.0, largest))


def made(isa, dtype, op, which, *variants):
    """(name, NumPy's type, lanes, bytes of a vector)."""
    name = "_".join([op, dtype, isa, which.variant, *variants])
    kind = np.float32 if dtype == "f32" else np.float64
    lanes = parse(name).lanes
    return name, kind, lanes, lanes * np.dtype(kind).itemsize


def axes(which):
    """(m, r, stride) of both axes, and how many products a tile has along them."""
    return axes_of(which), *(toomcook.products(*axis) for axis in axes_of(which))


def weights_of(which):
    """How many values transformed weights have along both axes."""
    return [max(toomcook.weights(*axis)) + 1 for axis in axes_of(which)]


def pixels_of(which):
    """Pixels that a tile reads along both axes."""
    return [(m - 1) * stride + r for m, r, stride in axes_of(which)]


def test_input(rng, isa, dtype, which):
    name, kind, lanes, pixel = made(isa, dtype, "wgin", which)
    (sizes, high, wide), (rows, width), across = axes(which), pixels_of(which), which.mw * which.sw
    columns = TILES * across + which.s - which.sw
    x = aligned((rows, columns, lanes), kind)
    x[...] = rng.normal(size=x.shape)
    v = aligned((high * wide, TILES + 1, lanes), kind)
    v[...] = UNTOUCHED
    call(microkernel(name), x.ctypes.data, columns * pixel, pixel, TILES, v.ctypes.data, v.strides[0], v.strides[1])
    for t in range(TILES):
        expected = both(toomcook.transform_input, x[:, t * across : t * across + width], sizes)
        near(v[:, t], expected.reshape(v[:, t].shape), kind, np.abs(expected).max())
    assert (v[:, TILES] == UNTOUCHED).all()


def test_weight(rng, isa, dtype, which):
    name, kind, lanes, _ = made(isa, dtype, "wgweight", which)
    (sizes, _, _), (high, wide) = axes(which), weights_of(which)
    w = aligned((TILES, which.r, which.s, lanes), kind)
    w[...] = rng.normal(size=w.shape)
    u = aligned((high * wide, TILES + 1, lanes), kind)
    for taps in (w, w[:, ::-1, ::-1]):
        u[...] = UNTOUCHED
        call(microkernel(name), taps.ctypes.data, taps.strides[2], taps.strides[1], taps.strides[0], TILES,
             u.ctypes.data, u.strides[0], u.strides[1])  # fmt: skip
        for c in range(TILES):
            expected = both(toomcook.transform_weight, taps[c], sizes).reshape(u[:, c].shape)
            # Computed in float64 and rounded once.
            np.testing.assert_allclose(u[:, c], expected, rtol=2 * np.finfo(kind).eps, atol=1e-13)
        assert (u[:, TILES] == UNTOUCHED).all()


@pytest.mark.parametrize("tail", [False, True], ids=["whole", "tail"])
def test_output(rng, isa, dtype, which, tail):
    name, kind, lanes, _ = made(isa, dtype, "wgout", which, *["tail"] * tail)
    sizes, high, wide = axes(which)
    last = max(1, lanes - 3) if tail else lanes
    z = aligned((high * wide, TILES, lanes), kind)
    z[...] = rng.normal(size=z.shape)
    sums = [both(toomcook.transform_output, z[:, t].reshape(high, wide, lanes), sizes) for t in range(TILES)]
    sums = np.concatenate(sums, axis=1)[..., :last]
    dump, slope = aligned((lanes,), kind), np.full(1, 0.5, kind)
    bias = rng.normal(size=last).astype(kind)
    for rows, columns in ((which.mh, TILES * which.mw), (1, TILES * which.mw - 1), (which.mh, 1)):
        # As in channels-last memory: pixels are more channels apart than a vector, rows longer than the tiles.
        y = np.full((which.mh + 1, TILES * which.mw + 1, lanes + 5), UNTOUCHED, kind)
        residual = rng.normal(size=y.shape).astype(kind)
        for with_bias, with_residual, act in ((0, 0, 0), (1, 0, 1), (1, 1, 2), (0, 1, slope.ctypes.data)):
            y[...] = UNTOUCHED
            call(microkernel(name), z.ctypes.data, z.strides[0], z.strides[1], TILES, y.ctypes.data, y.strides[0],
                 y.strides[1], rows, columns, dump.ctypes.data, bias.ctypes.data * with_bias,
                 residual.ctypes.data * with_residual, act, last)  # fmt: skip
            inside = (slice(rows), slice(columns), slice(last))
            expected = sums[:rows, :columns] + with_bias * bias + with_residual * residual[inside]
            largest = np.abs(z).max() * np.abs(sums).max()
            if act in (1, 2):
                expected = np.clip(expected, 0, 6 if act == 2 else None)
            elif act:
                expected = np.where(expected < 0, expected / 2, expected)
            near(y[inside], expected, kind, largest)
            y[inside] = UNTOUCHED
            assert (y == UNTOUCHED).all(), "written outside"


def test_output_grad(rng, isa, dtype, which):
    name, kind, lanes, pixel = made(isa, dtype, "wgdy", which)
    sizes, high, wide = axes(which)
    columns = TILES * which.mw
    dy = aligned((which.mh, columns, lanes), kind)
    dy[...] = rng.normal(size=dy.shape)
    v = aligned((high * wide, TILES + 1, lanes), kind)
    v[...] = UNTOUCHED
    call(microkernel(name), dy.ctypes.data, columns * pixel, pixel, TILES, v.ctypes.data, v.strides[0], v.strides[1])
    for t in range(TILES):
        expected = both(toomcook.transform_output_grad, dy[:, t * which.mw : (t + 1) * which.mw], sizes)
        near(v[:, t], expected.reshape(v[:, t].shape), kind, np.abs(expected).max())
    assert (v[:, TILES] == UNTOUCHED).all()


def test_weight_grad(rng, isa, dtype, which):
    name, kind, lanes, pixel = made(isa, dtype, "wgdw", which)
    (sizes, _, _), (high, wide) = axes(which), weights_of(which)
    z = aligned((high * wide, TILES, lanes), kind)
    z[...] = rng.normal(size=z.shape)
    dw = aligned((which.r * which.s, TILES + 1, lanes), kind)
    dw[...] = UNTOUCHED
    call(microkernel(name), z.ctypes.data, z.strides[0], pixel, TILES, dw.ctypes.data, dw.strides[0], pixel)
    for t in range(TILES):
        expected = both(toomcook.transform_weight_grad, z[:, t].reshape(high, wide, lanes), sizes)
        near(dw[:, t], expected.reshape(dw[:, t].shape), kind, np.abs(z).max() * np.abs(expected).max())
    assert (dw[:, TILES] == UNTOUCHED).all()


def test_pairs(rng, isa, dtype, which):
    """For matrix tiles: bit by bit the parts of what the transforms of single vectors give."""
    if (isa, dtype) != ("avx512", "f32") or not host().amx or which.sw > 1:
        pytest.skip("no matrix tiles, or not their type or stride")
    _, high, wide = axes(which)
    products, columns = high * wide, TILES * which.mw + which.s - 1
    x = aligned((2, high, columns, 16), np.float32)
    x[...] = rng.normal(size=x.shape)
    v = aligned((2, products, TILES, 16), np.float32)
    for half in range(2):
        name = f"wgin_f32_avx512_{which.variant}"
        call(microkernel(name), x[half].ctypes.data, columns * 64, 64, TILES, v[half].ctypes.data, TILES * 64, 64)
    panel = aligned((products, 3, 32, 32), np.uint16)
    panel[...] = 7
    name = f"wgpairin_f32_avx512_x6_{which.variant}"
    call(microkernel(name), x[1].ctypes.data, columns * 64, 64, TILES, panel.ctypes.data, panel.strides[0], 64,
         v[0].ctypes.data, TILES * 64, 64)  # fmt: skip
    for xi in range(products):
        expected = rows_panel(np.concatenate(v[:, xi], axis=1), 3)[0]
        np.testing.assert_array_equal(panel[xi, :, :TILES], expected[:, :TILES])
    assert (panel[:, :, TILES:] == 7).all()

    w = aligned((32, which.r, which.s, 16), np.float32)
    w[...] = rng.normal(size=w.shape)
    u = aligned((products, 32, 16), np.float32)
    steps = w.strides[2], w.strides[1], w.strides[0]
    name = f"wgweight_f32_avx512_{which.variant}"
    call(microkernel(name), w.ctypes.data, *steps, 32, u.ctypes.data, u.strides[0], u.strides[1])
    panel = aligned((products, 3, 2, 16, 16, 2), np.uint16)
    panel[...] = 7
    name = f"wgpairweight_f32_avx512_x6_{which.variant}"
    call(microkernel(name), w.ctypes.data, *steps, 16, panel.ctypes.data, panel.strides[0], 64)
    for xi in range(products):
        np.testing.assert_array_equal(panel[xi, :, 0], lanes_panel(u[xi], 3)[0][:, 0])
    assert (panel[:, :, 1] == 7).all()
