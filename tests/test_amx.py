"""Dense convolution on matrix tiles: exact where sums are, as accurate as float32 sums, the same bits however cut."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from arrays import DTYPES, integers, layout_of
from forks import forks
from guard import guarded
from hypothesis import given
from hypothesis import strategies as st

import fastconv as fc
from fastconv import dispatch
from fastconv.algorithm import dense, lanes, matrix_plan
from fastconv.algorithm.amx import Amx
from fastconv.bench import accuracy
from fastconv.microkernels.inventory import names
from fastconv.problem.conv import conv2d_problem
from fastconv.target import Target, host

needs_tiles = pytest.mark.skipif(not host().amx, reason="this processor has no matrix tiles")
LAYOUTS = ("channels_first", "channels_last")
TIMES = 2  # the errors of plain sums; measured: at most 1.7, see docs/accuracy.md
HERE = Path(__file__).parent


@st.composite
def problems(draw, dtypes=("float32", "float16", "bfloat16")):
    """Sizes around those of tiles, one and several blocks of them."""
    size, few = st.sampled_from([1, 2, 5, 15, 16, 17, 31, 32, 33, 40]), st.integers(1, 3)
    channels = st.sampled_from([1, 2, 15, 16, 17, 31, 32, 33, 48, 65, 130])
    groups, r, s = draw(st.sampled_from([1, 1, 1, 2, 3])), draw(few), draw(st.integers(1, 5))
    dilation, stride = (draw(few), draw(few)), (draw(few), draw(few))
    padding = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    h, w = (draw(size) + (taps - 1) * d for taps, d in zip((r, s), dilation, strict=True))
    c, k = draw(channels), draw(channels)
    return {
        "x": (draw(st.sampled_from([1, 1, 2])), c * groups, h, w),
        "w": (k * groups, c, r, s),
        "options": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
                    "layout": draw(st.sampled_from(LAYOUTS)),
                    "activation": draw(st.sampled_from([None, None, "relu", "relu6", ("leaky_relu", 0.5), "gelu"]))},
        "dtype": DTYPES[draw(st.sampled_from(dtypes))],
        "bias": draw(st.booleans()),
        "residual": draw(st.booleans()),
        "seed": draw(st.integers(0, 1 << 30)),
    }  # fmt: skip


def both(drawn, change=lambda rng, x, w: None):
    """The results of "amx" and "im2col" on small integers, which `change` may alter."""
    rng, options, layout = np.random.default_rng(drawn["seed"]), drawn["options"], drawn["options"]["layout"]
    x, w = (integers(rng, drawn[name], drawn["dtype"]) for name in "xw")
    change(rng, x, w)
    x = layout_of(x, layout)
    if drawn["bias"]:
        options = {**options, "bias": integers(rng, len(w), drawn["dtype"])}
    if drawn["residual"]:
        bare = {name: options[name] for name in ("stride", "padding", "dilation", "groups", "layout")}
        options = {**options, "residual": integers(rng, fc.conv2d(x, w, **bare).shape, drawn["dtype"])}
    return [fc.conv2d(x, w, **options, algorithm=name).astype(np.float64) for name in ("amx", "im2col")]


@needs_tiles
@given(problems())
def test_sums_of_integers(drawn):
    found, expected = both(drawn)
    np.testing.assert_array_equal(found, expected)


def sprinkle(specials, share):
    """Put specials in the pixels, in the weights, or in both."""

    def change(rng, x, w):
        where = rng.integers(0, 3)
        for side, array in enumerate((x, w)):
            if where in (side, 2):
                flat = array.reshape(-1)
                places = rng.integers(0, flat.size, 1 + int(share * flat.size))
                flat[places] = rng.choice(specials, places.size).astype(array.dtype)

    return change


@needs_tiles
@given(problems(), st.sampled_from([(np.inf,), (np.inf, -np.inf), (np.inf, -np.inf, np.nan), (np.nan,)]),
       st.sampled_from([0, 0, 0.01]))  # fmt: skip
def test_infinities_and_nan(drawn, specials, share):
    """As IEEE 754 says: the results of plain multiply-adds, which meet every product once."""
    found, expected = both(drawn, sprinkle(specials, share))
    np.testing.assert_array_equal(found, expected)


@needs_tiles
@pytest.mark.parametrize("layout", LAYOUTS)
def test_signalling_nan(layout):
    """One that has only low bits, besides those of an infinity."""
    x = np.ones((1, 3, 6, 40), np.float32)
    x.view(np.uint32)[0, 1, 2, 20] = 0x7F800001
    y = fc.conv2d(layout_of(x, layout), np.ones((5, 3, 1, 1), np.float32), layout=layout, algorithm="amx")
    assert np.isnan(y).sum() == 5


@needs_tiles
@pytest.mark.parametrize("layout", LAYOUTS)
def test_overflow_hangs_on_its_own_operands(layout):
    """Products that overflow with both signs: the same bits, whatever lies in other pixels of the block."""
    x, w = np.full((1, 2, 1, 32), 3e38, np.float32), np.full((5, 2, 1, 1), 2, np.float32)
    w[:, 1] = -2
    found = []
    for last in (1, np.inf):
        x[..., -1] = last
        y = fc.conv2d(layout_of(x, layout), w, layout=layout, algorithm="amx")
        found.append(y[..., :-1] if layout == "channels_first" else y[:, :, :-1])
    np.testing.assert_array_equal(*found)


@needs_tiles
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_largest_numbers(layout):
    """Cutting off rounds to zero and does not overflow; a product that does is an infinity of its sign."""
    most = np.finfo(np.float32).max
    x = np.full((1, 1, 6, 40), most, np.float32)
    x[..., ::2] *= -1
    w = np.array([1, -1, 0.5, 2, -4], np.float32).reshape(5, 1, 1, 1)
    y = fc.conv2d(layout_of(x, layout), w, layout=layout, algorithm="amx")
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(y, layout_of(x * w.reshape(1, 5, 1, 1), layout))


@needs_tiles
@pytest.mark.parametrize("layout", LAYOUTS)
def test_denormals(layout):
    """Tiles take denormal parts, products and sums for zeros; what follows the sum does not."""

    def result(x, w, bias=None):
        x, w = (np.full(shape, a, np.float32) for shape, a in (((1, 1, 6, 40), x), ((3, 1, 1, 1), w)))
        y = fc.conv2d(layout_of(x, layout), w, bias, layout=layout, algorithm="amx")
        assert len(np.unique(y)) == 1
        return float(y.flat[0])

    for exponent in (-103, -104, -110, -111, -118, -119, -126):
        x = 2.0**exponent * (2 - 2.0**-23)  # all bits are ones
        y = result(x, 1)
        assert 0 < y <= x and x - y < 2.0**-126
        assert (y == x) == (exponent >= -110), "the third part of such a number is 2^-16 of it"
        assert result(x, 2.0**20) == y * 2**20, "parts are lost before they are multiplied"
    assert result(2.0**-126 - 2.0**-149, 1) == result(2.0**-140, 2.0**20) == 0
    assert result(2.0**-103 * (1 + 2.0**-23), 1) == 2.0**-103 * (1 + 2.0**-23)
    assert result(2.0**-104 * (1 + 2.0**-23), 1) == 2.0**-104, "the part of its last bit alone is below 2^-126"
    assert result(2.0**-63, 2.0**-63) == 2.0**-126 and result(2.0**-63, 2.0**-64) == 0
    assert result(2.0**-60 * (1 + 2.0**-20), 2.0**-55) == 2.0**-115, "products of small parts are lost likewise"
    small = np.full(3, 1e-40, np.float32)
    assert result(0, 1, small) == small[0]


@needs_tiles
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_all_numbers_of_sixteen_bits(dtype, layout):
    """One product each: exact but for bfloat16's denormals, which are zeros."""
    values = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[dtype])
    x = layout_of(values.reshape(1, 1, 256, 256), layout)
    y = fc.conv2d(x, np.ones((1, 1, 1, 1), DTYPES[dtype]), layout=layout, algorithm="amx").reshape(-1)
    expected = values.astype(np.float32)
    expected[np.abs(expected) < 2.0**-126] = 0
    np.testing.assert_array_equal(y.astype(np.float32), expected)


LARGE = [  # blocks of several tiles, chunks, tasks
    ("three", (5, 64, 28, 28), (96, 64, 3, 3), {"padding": 1}),
    ("strided", (5, 130, 14, 14), (70, 130, 3, 3), {"padding": 1, "stride": 2}),
    ("point", (5, 700, 7, 7), (33, 700, 1, 1), {}),
    ("grouped", (5, 96, 20, 33), (63, 32, 3, 5), {"groups": 3, "dilation": 2}),
    ("first", (5, 3, 60, 61), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
]


@needs_tiles
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "weight", "options"), [case[1:] for case in LARGE], ids=[case[0] for case in LARGE])
def test_no_access_outside(rng, shape, weight, options, layout, at_end):
    """All operands lie against protected pages; results are exact."""
    options = {**options, "layout": layout}
    x, w, bias = (guarded(layout_of(integers(rng, size, np.float32), layout if size is shape else ""), at_end)
                  for size in (shape, weight, weight[:1]))  # fmt: skip
    bare = fc.conv2d(x, w, bias, algorithm="im2col", **options)
    residual, out = guarded(integers(rng, bare.shape, np.float32), at_end), guarded(np.zeros_like(bare), at_end)
    fc.conv2d(x, w, bias, residual=residual, algorithm="amx", out=out, **options)
    np.testing.assert_array_equal(out, bare + residual)


@needs_tiles
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "weight", "options"), [case[1:] for case in LARGE], ids=[case[0] for case in LARGE])
def test_bits(rng, shape, weight, options, layout):
    """The same for any number of threads and any split of the batch, with weights packed before or in the call."""
    options = {**options, "layout": layout, "algorithm": "amx"}
    x, w = layout_of(rng.normal(size=shape).astype(np.float32), layout), rng.normal(size=weight).astype(np.float32)
    with fc.num_threads(1):
        expected = fc.conv2d(x, w, **options)
    for threads in (2, 3, 7):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(fc.conv2d(x, w, **options), expected)
    for at in range(1, 5):
        pieces = [fc.conv2d(some, w, **options) for some in (x[:at], x[at:])]
        np.testing.assert_array_equal(np.concatenate(pieces), expected)
    np.testing.assert_array_equal(fc.Conv2d(w, **options)(x), expected)


@needs_tiles
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("data", ["normal", "post-ReLU"])
@pytest.mark.parametrize("channels", [16, 64, 256, 1024])
@pytest.mark.parametrize("kernel", [accuracy.Kernel(*sizes) for sizes in ((1, 1), (3, 3), (1, 5))], ids=accuracy.name)
def test_errors(kernel, channels, data, layout):
    """Mean and largest against float64, as multiples of those of plain sums on the same problem."""
    problem = accuracy.problem_of(kernel, channels, "float32", 24)
    for seed in range(2):
        x, w = accuracy.arrays(problem, data, seed)
        exact = accuracy.exact(x, w, 1)
        plain = accuracy.statistics(fc.conv2d(x, w, algorithm="im2col"), exact)
        y = fc.conv2d(layout_of(x, layout), w, layout=layout, algorithm="amx")
        y = np.moveaxis(y, -1, 1) if layout == "channels_last" else y
        mean, most = accuracy.statistics(y, exact)
        assert 0 < mean < TIMES * plain[0] and most < TIMES * plain[1]
        if channels * kernel.r * kernel.s >= 64:
            assert mean < plain[0]


@needs_tiles
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_errors_of_sixteen_bits(rng, dtype):
    """A sum is rounded once to the stored type: half a unit of its last place, and what float32 sums have lost."""
    kind = DTYPES[dtype]
    x, w = (rng.normal(size=size).astype(kind) for size in ((1, 200, 20, 20), (40, 200, 3, 3)))
    exact = fc.conv2d(x.astype(np.float64), w.astype(np.float64))
    y = fc.conv2d(x, w, algorithm="amx").astype(np.float64)
    half = 2.0**-11 if dtype == "float16" else 2.0**-8
    assert (np.abs(y - exact) <= half * np.abs(exact) + 2e-5 * exact.std()).all()


def tiled(isa="avx512"):
    """Machines with and without tiles that differ in nothing else."""
    return Target(isa, amx=True), Target(isa)


def refused(target, x_shape=(1, 64, 20, 20), weight=(64, 64, 3, 3), dtype="float32", **options):
    """Why a problem is not computed on matrix tiles of a machine."""
    problem = conv2d_problem(x_shape, weight, dtype=dtype, **options)
    return Amx().supports(problem, dispatch.contiguous_steps(problem), target)


def test_refusals_say_why():
    able, unable = tiled()
    assert refused(able) is None and refused(able, dtype="float16") is None and refused(able, dtype="bfloat16") is None
    assert "Intel AMX" in refused(unable)
    assert "float64" in refused(able, dtype="float64")
    assert "strict" in refused(able, precision="strict")
    assert "memory" in refused(able, (1, 8192, 7, 7), (8192, 8192, 3, 3))


@needs_tiles
def test_calls_that_are_refused(rng):
    x, w = rng.normal(size=(1, 8, 9, 9)), rng.normal(size=(8, 8, 3, 3))
    with pytest.raises(ValueError, match=r"algorithm.*amx.*float64"):
        fc.conv2d(x, w, algorithm="amx")
    x, w = x.astype(np.float32), w.astype(np.float32)
    with pytest.raises(ValueError, match=r"algorithm.*amx.*strict"):
        fc.conv2d(x, w, algorithm="amx", precision="strict")
    assert fc.explain("conv2d", x.shape, w.shape, precision="strict").algorithm != "amx"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_kernel_asked_for_is_listed(monkeypatch, layout):
    target, _ = tiled()
    asked = set()

    class Asked:
        address = 1

        def __init__(self, name):
            asked.add(name)

    for file in (dense, lanes, matrix_plan):
        monkeypatch.setattr(file, "microkernel", Asked)
    for dtype in ("float32", "float16", "bfloat16"):
        for c, k, size in ((3, 5, 3), (16, 40, 17), (700, 70, 60)):
            shape = (1, c, size, size) if layout == "channels_first" else (1, size, size, c)
            for taps in (1, 3):
                problem = conv2d_problem(shape, (k, c, taps, taps), layout=layout, dtype=dtype)
                Amx().build(problem, dispatch.contiguous_steps(problem), target, 2, False)
    way, pack = ("px", "lanes") if layout == "channels_first" else ("ch", "rows")
    assert {f"amx_f32_32x32_avx512_{way}_x6", f"amx{pack}_f32_avx512_x1", "amxstate_f32_avx512"} <= asked
    assert asked <= set(names(target))


CHECK = """
    import os, sys
    import numpy as np
    import fastconv as fc
    from fastconv.target import host

    x = np.random.default_rng(0).integers(-3, 4, (1, 40, 20, 20)).astype(np.float32)
    w = np.random.default_rng(1).integers(-3, 4, (33, 40, 3, 3)).astype(np.float32)

    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    expected = np.einsum("nchwrs,kcrs->nkhw", windows, w, optimize=True)

    def check(algorithm):
        most = 0 if algorithm == "amx" else 1e-3  # "auto" may take Winograd
        np.testing.assert_allclose(fc.conv2d(x, w, algorithm=algorithm), expected, rtol=0, atol=most)
"""


def python(text, **env):
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHECK) + textwrap.dedent(text)], env={**os.environ, **env},
        capture_output=True, text=True, timeout=300, cwd=HERE.parent,
    )  # fmt: skip


@pytest.mark.skipif(host().isa != "avx512", reason="AVX-512 code")
@pytest.mark.parametrize("asked", [{"FASTCONV_ISA": "avx512"}, {"NUMBA_CPU_NAME": "generic"}], ids=str)
def test_an_instruction_set_that_is_asked_for_has_no_tiles(asked):
    result = python(
        """
        assert not host().amx
        check("auto")
        try:
            check("amx")
        except ValueError as error:
            assert "Intel AMX" in str(error), error
        else:
            sys.exit("not refused")
        """,
        **asked,
    )
    assert result.returncode == 0, result.stderr


@needs_tiles
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("before", ['check("amx")', "pass"], ids=["used_before", "fresh"])
def test_children_have_tiles(before):
    """Forked before and after their parent has asked for them."""
    result = python(forks('check("amx")', before, 2))
    assert result.returncode == 0, result.stderr
