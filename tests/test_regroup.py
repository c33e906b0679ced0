"""Moves and sums (`regroup`, `finish`, `total`) against NumPy, on every instruction set this CPU can run."""

import numpy as np
import pytest
from kernels import call
from test_microkernels import ISAS

from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.regroup import WEAVES

MOVED = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64), "bf16": np.dtype(np.int16)}
SUMMED = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64), "f16f32": np.dtype(np.float16)}
COUNTS = [0, 1, 3, 7, 8, 16, 17, 31, 33, 64, 65, 200]


def run(name, *operands):
    """Call a microkernel by its name."""
    call(microkernel(name), *operands)


def numbers(rng, shape, dtype):
    """Integers that are exact in any type, as is their sum."""
    return rng.integers(-9, 10, shape).astype(dtype)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("taps", [1, 2, 9, 16, 17, 25, 64])
def test_flip(rng, isa, kind, taps):
    dtype = MOVED[kind]
    for count in (0, 1, 5, 16):
        source = numbers(rng, (count + 1, taps + 2), dtype)
        found = np.full((count + 2, taps + 1), 77, dtype)
        expected = found.copy()
        expected[1:-1, :taps] = source[:count, taps - 1 :: -1]
        item = dtype.itemsize
        run(f"flip_{kind}_{isa}", source, (taps + 2) * item, taps, found[1:], (taps + 1) * item, count)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("count", [1, 2, 14, 16, 33])
def test_slab(rng, isa, kind, count):
    dtype = MOVED[kind]
    for rows in (0, 1, 7):
        source, found = numbers(rng, (rows, count + 2), dtype), np.full((rows + 1, count + 1), 77, dtype)
        expected = found.copy()
        expected[:rows, :count] = source[:, :count]
        run(f"slab_{kind}_{isa}", source, source.strides[0], found, found.strides[0], count, rows)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", MOVED)
def test_fetch(rng, isa, kind):
    """It changes nothing, and may ask for what is not there."""
    source = numbers(rng, (3, 100), MOVED[kind])
    before = source.copy()
    for address, count, rows in ((source, 100, 3), (source, 1, 0), (8, 1000, 7)):
        run(f"fetch_{kind}_{isa}", address, source.strides[0], count, rows)
    np.testing.assert_array_equal(source, before)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", MOVED)
def test_pick(rng, isa, kind):
    dtype, taps = MOVED[kind], np.array([5, 3, 0, 6], np.int64)
    for count in COUNTS:
        source = numbers(rng, (count, 11), dtype)
        found = np.full((count, 9), 77, dtype)
        run(
            f"pick_{kind}_{isa}",
            source,
            11 * dtype.itemsize,
            taps * dtype.itemsize,
            4,
            found,
            9 * dtype.itemsize,
            count,
        )
        np.testing.assert_array_equal(found[:, :4], source[:, taps])
        assert (found[:, 4:] == 77).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("zeros", [False, True], ids=["values", "zeros"])
def test_comb(rng, isa, kind, step, zeros):
    dtype = MOVED[kind]
    for count in COUNTS:
        source, found = numbers(rng, count, dtype), np.full(step * count + 5, 77, dtype)
        expected = found.copy()
        expected[: step * count : step] = 0 if zeros else source
        run(f"comb_{kind}_{isa}", 0 if zeros else source, dtype.itemsize, found, step * dtype.itemsize, count)
        np.testing.assert_array_equal(found, expected)
        found[: step * count : step] = 77
        expected[: step * count : step] = 0 if zeros else source[:1]
        run(f"comb_{kind}_{isa}", 0 if zeros else source, 0, found, step * dtype.itemsize, count)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("strands", WEAVES)
@pytest.mark.parametrize("there", [(1, 1, 1, 1), (1, 0, 1, 1), (0, 1, 1, 0), (0, 0, 0, 0)], ids=str)
def test_weave(rng, isa, kind, strands, there):
    dtype = MOVED[kind]
    for count in (*COUNTS, 50, 71):
        for rows in (1, 3):
            lengths = [(count + strands - 1 - i) // strands for i in range(strands)]
            sources = [numbers(rng, (rows, max(1, n) + i), dtype) for i, n in enumerate(lengths)]
            found = np.full((rows, count + 5), 77, dtype)
            expected = found.copy()
            for i, (source, n) in enumerate(zip(sources, lengths, strict=True)):
                expected[:, i:count:strands] = source[:, :n] if there[i] else 0
            lines = [
                word for s, t in zip(sources, there, strict=False) for word in ((s, s.strides[0]) if t else (0, 0))
            ]
            run(f"{WEAVES[strands]}_{kind}_{isa}", *lines, found, found.strides[0], count, rows)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("steps", [(1, 1), (1, 4), (3, 1)], ids=str)
def test_accumulate(rng, isa, kind, steps):
    dtype = MOVED[kind]
    for count in COUNTS:
        source, found = (numbers(rng, step * count + 5, dtype) for step in steps)
        expected = found.copy()
        expected[: steps[1] * count : steps[1]] += source[: steps[0] * count : steps[0]]
        run(f"accumulate_{kind}_{isa}", source, steps[0] * dtype.itemsize, found, steps[1] * dtype.itemsize, count)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", SUMMED)
@pytest.mark.parametrize("past", ["", "_past"])
def test_finish(rng, isa, kind, past):
    """From anywhere to anywhere, and nothing beside it."""
    dtype, wide = SUMMED[kind], np.dtype(np.float64 if kind == "f64" else np.float32)
    for count in COUNTS:
        for start in (0, 1, 3, 7, 15):
            source, residual = numbers(rng, count + 1, wide)[1:], numbers(rng, count, dtype)
            found = np.full(start + count + 9, 77, dtype)
            for beside, expected in ((0, source), (residual, source + residual)):
                run(f"finish_{kind}_{isa}_none{past}", source, found[start:], beside, count, 0)
                np.testing.assert_array_equal(found, [*[77] * start, *expected, *[77] * 9])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", SUMMED)
def test_total(rng, isa, kind):
    dtype, wide = SUMMED[kind], np.dtype(np.float64 if kind == "f64" else np.float32)
    for count in COUNTS:
        source, found = numbers(rng, count, dtype), np.full(2, 77, wide)
        run(f"total_{kind}_{isa}_across", source, 0, count, 0, found)
        np.testing.assert_array_equal(found, [source.sum(dtype=wide), 77])
        source, found = numbers(rng, (19, count + 3), dtype), np.full(count + 1, 77, wide)
        run(f"total_{kind}_{isa}_down", source, (count + 3) * dtype.itemsize, 19, count, found)
        np.testing.assert_array_equal(found, [*source[:, :count].sum(axis=0, dtype=wide), 77])
