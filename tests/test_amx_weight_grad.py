"""Weight gradients on matrix tiles: panels against NumPy, odd shapes against the definition, threads, NaN, reasons."""

import ctypes
from dataclasses import replace

import naive
import numpy as np
import pytest
from gradients import y_shape

import fastconv as fc
from fastconv import target, workspace
from fastconv.microkernels.amxparts import PART_BYTES, PARTS
from fastconv.microkernels.inventory import microkernel

pytestmark = pytest.mark.skipif(not target.host().amx, reason="no matrix tiles")


def cut(values, parts):
    """float32 numbers as the upper halves of bfloat16 parts, which add up to them."""
    found = []
    for _ in range(parts):
        high = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
        found.append((high.view(np.uint32) >> 16).astype(np.uint16))
        values = values - high
    return found


def panel(matrix, products):
    """[step][part][row][pair][2] of a matrix of up to 32 rows: pairs are products 16 apart."""
    rows, depth = matrix.shape
    steps = -(-depth // 32)
    padded = np.zeros((32, steps * 32), np.float32)
    padded[:rows, :depth] = matrix
    parts = np.stack(cut(padded, PARTS[products]))  # part, row, product
    return parts.reshape(len(parts), 32, steps, 2, 16).transpose(2, 0, 1, 4, 3)


@pytest.mark.parametrize("products", [1, 4, 6])
@pytest.mark.parametrize("rows", [1, 16, 21, 32])
@pytest.mark.parametrize(("pieces", "length"), [(1, 70), (1, 32), (1, 5), (3, 50), (5, 16), (7, 9), (40, 1), (2, 33)])
def test_panels(products, rows, pieces, length):
    rng = np.random.default_rng(rows * length + pieces)
    source = rng.normal(size=(rows, pieces, length + 3)).astype(np.float32)
    table = np.arange(pieces, dtype=np.int64) * (length + 3) * 4
    matrix = np.ascontiguousarray(source[:, :, :length].reshape(rows, -1))
    expected = panel(matrix, products)
    at, pitch = source.ctypes.data, source.strides[0]

    def made(op, *args):
        memory = workspace.aligned(len(expected) * PARTS[products] * PART_BYTES)
        args = [memory.ctypes.data if a is None else a for a in args]
        address = microkernel(f"{op}_f32_avx512_x{products}").address
        ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(args))(address)(*args)
        return memory.view(np.uint16)

    found = made("amxrows", at, pitch, table.ctypes.data, pieces, length, None, 0, rows).reshape(expected.shape)
    np.testing.assert_array_equal(found[:, :, :rows], expected[:, :, :rows])
    # Rows become lanes: [step][part][tile][pair][lane][2], and none is left as it was in a tile that is there.
    tiles = expected.reshape(*expected.shape[:2], 2, 16, 16, 2).swapaxes(3, 4)[:, :, : -(-rows // 16)]
    lanes = np.ascontiguousarray(matrix.T)
    places = np.arange(len(lanes), dtype=np.int64) * lanes.strides[0]
    wide = tiles.shape[2]
    found = made("amxlanes", lanes.ctypes.data, places.ctypes.data, len(lanes), None, wide, rows, 0)
    np.testing.assert_array_equal(found.reshape(*expected.shape[:2], 2, 16, 16, 2)[:, :, :wide], tiles)
    found = made("amxturned", lanes.ctypes.data, lanes.strides[0], len(lanes), None, rows).reshape(expected.shape)
    np.testing.assert_array_equal(found[:, :, :rows], expected[:, :, :rows])
    if pieces == 1 or length >= 16:
        found = made("amxcolumns", at, pitch, table.ctypes.data, pieces, length, None, rows)
        np.testing.assert_array_equal(found.reshape(*expected.shape[:2], 2, 16, 16, 2)[:, :, :wide], tiles)


# x, w, options: every way in which operands become panels, several chunks, segments and blocks.
PROBLEMS = [
    ((3, 40, 9, 7), (50, 40, 1, 1), {}),
    ((9, 70, 3, 2), (33, 70, 1, 1), {}),
    ((1, 17, 1, 19), (8, 17, 1, 1), {"padding": ((3, 1), (0, 3))}),
    ((2, 36, 33, 35), (70, 18, 3, 3), {"padding": 1, "groups": 2}),
    ((2, 20, 21, 40), (37, 20, 3, 2), {"stride": (2, 3), "dilation": (1, 2), "padding": 2, "padding_mode": "reflect"}),
    ((4, 33, 40, 40), (16, 33, 1, 1), {"stride": 2}),
    ((1, 5, 40, 60), (20, 5, 2, 2), {"dilation": 30, "padding": 15, "padding_mode": "circular"}),
]


def integer_operands(problem, layout, dtype):
    """dy, x and dw; small integers, whose sums are exact."""
    x_shape, w_shape, options = problem
    rng = np.random.default_rng(len(x_shape) + x_shape[1])
    x, dy = (rng.integers(-2, 3, size).astype(np.float64) for size in (x_shape, y_shape(x_shape, w_shape, options)))
    dw = naive.conv2d_weight_grad(dy, x, w_shape, **options)
    if layout == "channels_last":
        x, dy = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, dy))
    return dy.astype(dtype), x.astype(dtype), dw


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_integers_are_exact(problem, layout, dtype):
    dy, x, dw = integer_operands(problem, layout, dtype)
    options = {**problem[2], "layout": layout, "algorithm": "amx"}
    got = fc.conv2d_weight_grad(dy, x, problem[1], **options)
    np.testing.assert_array_equal(got, dw.astype(dtype))
    view = np.repeat(x, 2, axis=2)[:, :, ::-2]  # of the same numbers in another order, far apart
    np.testing.assert_array_equal(
        fc.conv2d_weight_grad(dy, view, problem[1], **options),
        fc.conv2d_weight_grad(dy, np.ascontiguousarray(view), problem[1], **options),
    )


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize(
    ("op", "x_shape", "w_shape", "sizes"),
    [
        ("conv1d", (3, 20, 50), (35, 20, 3), (48,)),
        ("conv3d", (2, 20, 5, 9, 8), (35, 20, 3, 2, 3), (3, 8, 6)),
        ("conv3d", (2, 20, 5, 9, 8), (35, 20, 1, 1, 1), (5, 9, 8)),
        ("conv_transpose2d", (2, 20, 9, 8), (20, 35, 3, 3), (11, 10)),
    ],
)
def test_other_operators(op, x_shape, w_shape, sizes, layout):
    """Signals, volumes and transposed convolutions get what plain sums give."""
    rng = np.random.default_rng(4)
    outputs = w_shape[1] if "transpose" in op else w_shape[0]
    dy, x = (rng.integers(-2, 3, shape).astype(np.float32) for shape in ((x_shape[0], outputs, *sizes), x_shape))
    if layout == "channels_last":
        dy, x = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (dy, x))
    gradient = getattr(fc, f"{op}_weight_grad")
    found = [gradient(dy, x, w_shape, layout=layout, algorithm=name) for name in ("amx", "inputs")]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize(("channels", "outputs", "taps"), [(300, 70, 1), (70, 300, 1), (64, 100, 3)])
def test_threads_change_no_bit(channels, outputs, taps, layout):
    rng = np.random.default_rng(channels)
    x = rng.normal(size=(5, channels, 40, 31)).astype(np.float32)
    dy = rng.normal(size=(5, outputs, 41 - taps, 32 - taps)).astype(np.float32)
    if layout == "channels_last":
        x, dy = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, dy))
    found, before = [], fc.get_num_threads()
    for threads in (1, 2, 5):
        fc.set_num_threads(threads)
        shape = outputs, channels, taps, taps
        found.append(fc.conv2d_weight_grad(dy, x, shape, layout=layout, algorithm="amx"))
    fc.set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_what_is_not_finite_stays_where_it_belongs(layout):
    rng = np.random.default_rng(3)
    x, dy = rng.normal(size=(2, 40, 12, 13)), rng.normal(size=(2, 35, 12, 13))
    x[0, 7, 3, 4], x[1, 33, 2, 2], dy[1, 20, 5, 5], dy[0, 5, 0, 0] = np.inf, np.nan, -np.inf, 0
    expected = np.einsum("nkhw,nchw->kc", dy, x)[:, :, None, None]
    x, dy = (a.astype(np.float32) for a in (x, dy))
    if layout == "channels_last":
        x, dy = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, dy))
    got = fc.conv2d_weight_grad(dy, x, (35, 40, 1, 1), layout=layout, algorithm="amx")
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_reasons():
    plan = fc.explain("conv2d_weight_grad", (1, 8, 9, 9), (8, 8, 3, 3), precision="strict")
    assert "strict" in next(c.reason for c in plan.candidates if c.name == "amx")
    with pytest.raises(ValueError, match="float64"):
        fc.conv2d_weight_grad(np.zeros((1, 8, 7, 7)), np.zeros((1, 8, 9, 9)), (8, 8, 3, 3), algorithm="amx")


def test_targets_without_tiles_refuse():
    from fastconv.algorithm.common import contiguous_steps
    from fastconv.algorithm.weight_grad import WeightGrad
    from fastconv.problem.conv import conv2d_problem

    problem = conv2d_problem((1, 8, 9, 9), (8, 8, 3, 3), dtype=np.dtype(np.float32))
    problem = replace(problem, pass_="weight_grad")
    assert "AMX" in WeightGrad("amx").supports(problem, contiguous_steps(problem), target.Target("avx2"))
