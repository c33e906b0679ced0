"""Microkernels: the grammar, the tile against NumPy on every instruction set this CPU can run, one golden IR."""

import re
from pathlib import Path

import numpy as np
import pytest
from kernels import call
from llvmlite import ir

from fastconv import blocking
from fastconv.microkernels import fmapeak, gemm
from fastconv.microkernels.inventory import gemm_name, microkernel, names
from fastconv.microkernels.names import parse
from fastconv.target import Target, host

ISAS = ["generic", *(["avx2"] if host().isa in ("avx2", "avx512") else []), host().isa]
ISAS = list(dict.fromkeys(ISAS))
GOLDEN = Path(__file__).parent / "golden"


def call_gemm(kernel, *operands, tiles=1, steps=(0,) * 6):
    """Run one gemm kernel."""
    call(kernel, *operands, tiles, *steps)


def call_dot(kernel, w, x, y, bias=0, activation=0):
    """Run one dot kernel without a residual."""
    call(kernel, w, w.strides[0], x, len(x), y, bias, 0, activation)


def aligned(shape, dtype):
    """A 64-byte aligned array of zeros."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


TARGETS = [*(Target(isa) for isa in ("avx512", "avx2", "neon", "generic")), Target("avx512", amx=True)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.isa + "_amx" * target.amx)
def test_names_round_trip(target):
    found, isa = list(names(target)), target.isa
    assert len(set(found)) == len(found) > 100
    assert sum(name.startswith("amx") for name in found) == (41 if target.amx else 0)
    for name in found:
        assert str(parse(name)) == name and parse(name).isa == isa


@pytest.mark.parametrize("text", ["", "gemm", "gemm_f32_avx9", "gemm_f8_8x48_avx512", "8x48", "gemm_f32_8x48"])
def test_names_outside_the_grammar(text):
    with pytest.raises(ValueError, match="name"):
        parse(text)


def tiles():
    """Tile shapes that the cutting may ask for: the corners and a few between."""
    for isa in ISAS:
        target = Target(isa)
        most = 14 if target.registers == 32 else 6
        for rows in sorted({1, 3, most // 2, most}):
            for vectors in sorted({1, blocking.most_vectors(rows, target)}):
                yield isa, rows, vectors


@pytest.mark.parametrize("tail", [False, True], ids=["whole", "tail"])
@pytest.mark.parametrize("words", [w for w in gemm.VARIANTS if not {"parts", "tail"} & set(w)], ids="-".join)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize(("isa", "rows", "vectors"), list(tiles()))
def test_gemm(rng, isa, rows, vectors, dtype, words, tail):
    check_gemm(rng, isa, rows, vectors, dtype, words, tail)


@pytest.mark.parametrize("tail", [False, True], ids=["whole", "tail"])
@pytest.mark.parametrize(
    ("dtype", "words"),
    [("f32", ("px",)), ("f32", ("px", "panel")), ("f64", ("ch", "strided")), ("f64", ("ch", "strided", "far"))],
)
@pytest.mark.parametrize(("isa", "rows", "vectors"), list(tiles()))
def test_gemm_in_parts(rng, isa, rows, vectors, dtype, words, tail):
    for part in (1, 2, 4, 7, 9):
        check_gemm(rng, isa, rows, vectors, dtype, words, tail, part)


def check_gemm(rng, isa, rows, vectors, dtype, words, tail, part=0):
    """One tile of a sum of seven products against NumPy, with all that may follow the sum."""
    kind = np.float32 if dtype == "f32" else np.float64
    item = np.dtype(kind).itemsize
    lanes_are, strided, panel = words[0], "strided" in words, "panel" in words
    words = (*words, *["parts"] * (part > 0), *["tail"] * tail)
    kernel = microkernel(gemm_name(dtype, rows, vectors, Target(isa), *words))
    lanes = parse(kernel.name).lanes
    last = max(1, lanes - 3) if tail else lanes
    columns, depth = (vectors - 1) * lanes + last, 7
    scalars = rng.integers(-3, 4, (depth, rows)).astype(kind)
    lines = rng.integers(-3, 4, (depth, columns)).astype(kind)
    held = aligned((depth, vectors * lanes), kind)
    held[:, :columns] = lines
    side = np.ascontiguousarray(scalars.T if strided else scalars)
    pitch = depth * item if strided else 0
    if lanes_are == "px":
        table = np.arange(depth, dtype=np.int64) * held.strides[0]
        x, w = held, side
        if panel:
            table[:] = -64  # for fetching ahead only, which never faults
        if "pairs" in words:
            table = np.stack([table, np.arange(depth) * item, np.full(depth, -64)], axis=1)
    else:
        table = np.arange(depth, dtype=np.int64) * (item if strided else rows * item)
        x, w = side, held
    bias = rng.integers(-3, 4, rows if lanes_are == "px" else columns).astype(kind)
    residual = rng.integers(-3, 4, (rows, columns)).astype(kind)
    before = rng.integers(-3, 4, (rows, columns)).astype(kind)
    product = scalars.T @ lines
    wide = bias[:, None] if lanes_are == "px" else bias[None]
    slope = np.full(1, 0.5, kind)
    operands = (depth, x.ctypes.data, table.ctypes.data, w.ctypes.data, pitch)
    for first, with_bias, with_residual, act in (
        (1, 0, 0, 0),
        (0, 1, 0, 1),
        (0, 1, 1, 2),
        (1, 0, 1, slope.ctypes.data),
    ):
        y = before.copy()
        call_gemm(kernel, *operands, y, y.strides[0], first, bias.ctypes.data * with_bias,
                  residual.ctypes.data * with_residual, residual.strides[0], act, last, part, x)  # fmt: skip
        expected = product + (0 if first else before) + with_bias * wide + with_residual * residual
        if act in (1, 2):
            expected = np.clip(expected, 0, 6 if act == 2 else None)
        elif act:
            expected = np.where(expected < 0, expected / 2, expected)
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("tail", [False, True], ids=["whole", "tail"])
@pytest.mark.parametrize("words", [w for w in gemm.VARIANTS if "tail" not in w], ids="-".join)
@pytest.mark.parametrize(("isa", "rows", "vectors"), list(tiles()))
def test_tiles_one_after_another(rng, isa, rows, vectors, words, tail):
    """The same as a call for each, every operand a step farther on."""
    kernel = microkernel(gemm_name("f32", rows, vectors, Target(isa), *words, *["tail"] * tail))
    lanes, depth, count = parse(kernel.name).lanes, 5, 3
    wide, columns = vectors * lanes, (vectors - 1) * lanes + max(1, lanes - 3) if tail else vectors * lanes
    held, side = aligned((count, depth, wide), np.float32), np.zeros((count, rows, 16), np.float32)
    held[:], side[:] = rng.normal(size=held.shape), rng.normal(size=side.shape)
    pixels, strided = words[0] == "px", "strided" in words
    x, w = (held, side) if pixels else (side, held)
    table = np.arange(depth, dtype=np.int64) * (4 * wide if pixels else 4 if strided else 4 * rows)
    if "pairs" in words:
        table = np.stack([table, np.arange(depth) * 4, np.zeros(depth, np.int64)], axis=1)
    y = rng.normal(size=(count, rows, columns)).astype(np.float32)
    bias, residual = rng.normal(size=(count, max(rows, wide))).astype(np.float32), np.roll(y, 1)
    moving = [x, w, y, bias, residual, x]  # the last: what is fetched ahead

    def run(tile, tiles):
        at = [array[tile:].ctypes.data for array in moving]
        call_gemm(kernel, depth, at[0], table, at[1], side.strides[1] if strided else 0, at[2], y.strides[1], 0,
                  at[3], at[4], residual.strides[1], 1, columns - wide + lanes, 2, at[5], tiles=tiles,
                  steps=[array.strides[0] for array in moving])  # fmt: skip

    before = y.copy()
    for tile in range(count):
        run(tile, 1)
    expected, y[:] = y.copy(), before
    run(0, count)
    assert not np.array_equal(expected, before)
    np.testing.assert_array_equal(y, expected)


def dots():
    """Every kernel of rows of weights against a vector."""
    return [name for isa in ISAS for name in names(Target(isa)) if parse(name).op == "dot"]


@pytest.mark.parametrize("name", dots())
def test_dot(rng, name):
    """Sums of any length, whole numbers, so that they are exact; what lies behind y stays."""
    kernel, spec = microkernel(name), parse(name)
    kind = np.float32 if spec.dtype == "f32" else np.float64
    for depth in (1, 15, 16, 17, 33, 64, 131):
        w, x, bias = (rng.integers(-3, 4, size).astype(kind) for size in ((spec.rows, depth), depth, spec.rows))
        y = np.full(spec.rows + 1, 7, kind)
        call_dot(kernel, w, x, y)
        np.testing.assert_array_equal(y, [*(w @ x), 7])
        call_dot(kernel, w, x, y, bias.ctypes.data, 1)
        np.testing.assert_array_equal(y, [*np.maximum(w @ x + bias, 0), 7])


@pytest.mark.parametrize("name", dots())
def test_sixteen_sums_of_a_dot_are_apart(name):
    """A huge number swallows the ones that are added to its sum, at most a sixteenth, until its opposite comes."""
    kernel, spec = microkernel(name), parse(name)
    x = np.ones(512, np.float32 if spec.dtype == "f32" else np.float64)
    x[0], x[-32] = 2.0**60, -(2.0**60)  # in one sum, if that takes every 16th or every 32nd product
    w, y = np.ones((spec.rows, len(x)), x.dtype), np.zeros(spec.rows, x.dtype)
    call_dot(kernel, w, x, y)
    assert (y >= 510 - len(x) // 16).all() and (y < 510).all(), y


@pytest.mark.parametrize("variant", ["rows", "columns"])
@pytest.mark.parametrize("kinds", ["f32", "f64"])
@pytest.mark.parametrize("isa", ISAS)
def test_transpose(rng, isa, kinds, variant):
    """Exact, and `rows` fills whole vectors with zeros: denormals that lay there would slow down whoever computes."""
    kernel, kind = microkernel(f"transpose_{kinds}_{isa}_{variant}"), np.dtype(kinds.replace("f", "float"))
    lanes = parse(kernel.name).lanes
    for rows in sorted({1, lanes - 1, lanes, lanes + 1, 2 * lanes + 3}):
        for columns in sorted({1, lanes, lanes + 2}):
            source = rng.normal(size=(rows, columns + 1)).astype(kind)
            whole = -(-rows // lanes) * lanes
            for pitch in (whole, whole + 1):
                found = aligned((columns + 1, pitch), kind)
                found[:] = 1e-310 if kinds == "f64" else 1e-40
                before = found.copy()
                call(kernel, source.ctypes.data, source.strides[0], found.ctypes.data, found.strides[0], rows,
                         columns)  # fmt: skip
                np.testing.assert_array_equal(found[:columns, :rows], source[:, :columns].T)
                filled = whole if variant == "rows" and pitch == whole else rows
                assert not found[:columns, rows:filled].any()
                np.testing.assert_array_equal(found[:columns, filled:], before[:columns, filled:])
                np.testing.assert_array_equal(found[columns], before[columns])


@pytest.mark.parametrize("kinds", ["f32", "f64"])
@pytest.mark.parametrize("isa", ISAS)
def test_panel(rng, isa, kinds):
    """Any rows of an array, side by side in whole vectors, zeros behind them; nothing else is written."""
    kernel, kind = microkernel(f"panel_{kinds}_{isa}"), np.dtype(kinds.replace("f", "float"))
    lanes = parse(kernel.name).lanes
    source = rng.normal(size=(9, 9 * lanes)).astype(kind)
    picks = rng.integers(0, 9, 5)
    table = picks * source.strides[0]
    for vectors in range(1, 9):
        for last in {1, lanes // 2, lanes}:
            valid, panel = (vectors - 1) * lanes + last, aligned((6, vectors * lanes), kind)
            panel[:] = 7
            call(kernel, source.ctypes.data, table.ctypes.data, 5, panel.ctypes.data, vectors,
                     valid)  # fmt: skip
            np.testing.assert_array_equal(panel[:5, :valid], source[picks, :valid])
            assert not panel[:5, valid:].any() and (panel[5] == 7).all()


@pytest.mark.parametrize(("part", "expected"), [(9, 0), (8, 0), (4, 4), (3, 5), (2, 6), (1, 7)])
def test_parts_are_summed_apart(part, expected):
    """2^24 swallows a one that is added to it in a part, but nothing is lost between parts."""
    kernel = microkernel(gemm_name("f32", 1, 1, host(), "px", "parts"))
    products = np.array([2**24, *[1] * 7, -(2**24)], np.float32)
    lanes = parse(kernel.name).lanes
    x, y = (aligned((count, lanes), np.float32) for count in (len(products), 1))
    x[...] = products[:, None]
    w, table = np.ones(len(products), np.float32), np.arange(len(products), dtype=np.int64) * x.strides[0]
    call_gemm(kernel, len(products), x, table, w, 0, y, 0, 1, 0, 0, 0, 0, 0, part, 0)
    np.testing.assert_array_equal(y, expected)


def multiplying_loops(name):
    """The assembly of a kernel's innermost loops that multiply and add."""
    asm = microkernel(name).inspect_asm()
    loops = [text for _, text in re.findall(r"(?s)(\.LBB\d+_\d+):((?:(?!\n\.LBB).)*)\n\tj\w+\t\1\n", asm)]
    return [text for text in loops if "vfmadd" in text]


@pytest.mark.skipif(host().isa != "avx512", reason="AVX-512 assembly")
@pytest.mark.parametrize("word", ["px", "px_parts"])
def test_assembly_of_the_main_tile(word):
    loops = multiplying_loops(f"gemm_f32_8x48_avx512_{word}")
    assert len(loops) == (2 if "parts" in word else 1), "the first part, and the others"
    for loop in loops:
        assert loop.count("vfmadd") >= 24 and "zmm" in loop
        assert "%rsp" not in loop, "a register spills inside the loop"


def test_golden_ir():
    """One kernel's emitted IR: a change of the emitters shows in review; delete the file to accept a new one."""
    name = "gemm_f32_2x8_generic_px_tail"
    module = ir.Module("golden")
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * len(gemm.ARGUMENTS)), name)
    builder = ir.IRBuilder(kernel.append_basic_block())
    gemm.gemm(builder, name, list(kernel.args))
    builder.ret_void()
    path = GOLDEN / f"{name}.ll"
    text = str(module).split("define", 1)[1]
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} was missing and has been written: read it, then run again")
    assert text == path.read_text()


@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa != host().isa])
def test_whole_convolutions_on_other_instruction_sets(isa, tmp_path):
    """The taxonomy's exact cases in a process that is told to use fewer instructions."""
    import os
    import subprocess
    import sys

    env = {**os.environ, "FASTCONV_ISA": isa, "FASTCONV_CACHE_DIR": str(tmp_path)}
    here = Path(__file__).parent
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(here.parent),
         str(here / "test_conv2d.py"), "-k", "exact and ((float32 and channels_first) or (float64 and channels_last))"],
        env=env, capture_output=True, text=True, timeout=900, cwd=here.parent,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.skipif(host().isa not in ("avx512", "avx2"), reason="counts x86's multiply-adds")
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_no_multiply_add_of_the_yardstick_is_saved(dtype):
    """A chain that starts where it stays is no chain: the peak came out an eleventh too high."""
    (loop,) = multiplying_loops(f"fmapeak_{dtype}_{host().isa}")
    assert loop.count("vfmadd") % (fmapeak.CHAINS * fmapeak.TIMES) == 0
